/**
 * Kinds of caption for the slots of a batch in the exact proportions of the mix: how many slots get each kind is
 * counted, not drawn, and what a batch leaves over its whole numbers is carried to the next.
 */
import type { KeyedRandom } from '../rng.js';
import { type KindBits, kindBit, type ValidMix } from './mixing.js';
import { type CaptionKind, captionKinds } from './schema.js';

/** Per kind, in the order of `captionKinds`: samples that it is owed, negative if it had too many. */
export type Carry = readonly number[];

/** Nothing is owed. */
export const noCarry: Carry = captionKinds.map(() => 0);

/** A slot's sample as far as the choice of its kind goes. */
export interface QuotaSlot {
  /** Kinds of which the sample has a caption. */
  readonly present: KindBits;
  /** The kind that it gets if its slot's kind is none that it, or a sample to change with, has. */
  readonly standIn: CaptionKind | undefined;
}

export interface QuotaResult {
  /** Per slot. */
  readonly kinds: readonly CaptionKind[];
  /** Per slot: it got the stand-in. */
  readonly fallbacks: readonly boolean[];
  readonly carry: Carry;
}

/**
 * How many of `count` samples get each kind, so that with the carry each kind is within one sample of its share.
 *
 * Tijdeman's rule for the chairman assignment problem (Discrete Mathematics 32, 1980): of the kinds that are owed
 * 1/(2K - 2) or more, the one takes the next sample that would soonest be owed 1 - 1/(2K - 2).
 */
export function quotas(mix: ValidMix, count: number, carry: Carry): number[] {
  const active = mix.kinds.flatMap((kind, i) => {
    const weight = mix.weights[i] as number;
    return weight > 0 ? [{ at: captionKinds.indexOf(kind), weight }] : [];
  });
  const given = captionKinds.map(() => 0);
  const least = active.length > 1 ? 1 / (2 * active.length - 2) : 0;
  for (let n = 1; n <= count; n++) {
    let chosen: { at: number; due: number; ripe: boolean } | undefined;
    for (const { at, weight } of active) {
      const owed = (carry[at] as number) + n * weight - (given[at] as number);
      const ripe = owed >= least - 1e-9;
      const due = (1 - least - owed) / weight;
      if (chosen === undefined || (ripe && !chosen.ripe) || (ripe === chosen.ripe && due < chosen.due)) {
        chosen = { at, due, ripe };
      }
    }
    const { at } = chosen as { at: number };
    given[at] = (given[at] as number) + 1;
  }
  return given;
}

/**
 * Chooses the slots' kinds. Which slot gets which is a permutation by `random`. A sample that lacks its kind changes
 * with one that has it and can take the other; where there is none it gets its stand-in, and the kind that it was to
 * have is owed one.
 */
export function assignKinds(
  mix: ValidMix,
  slots: readonly QuotaSlot[],
  carry: Carry,
  random: KeyedRandom,
): QuotaResult {
  const planned = random.shuffle(
    quotas(mix, slots.length, carry).flatMap((n, i) =>
      Array<CaptionKind>(n).fill(captionKinds[i] as CaptionKind),
    ),
  );
  const kinds = [...planned];
  const has = (slot: number, kind: CaptionKind): boolean =>
    ((slots[slot] as QuotaSlot).present & kindBit(kind)) !== 0;
  // Where there was no chain for a sample there is none for another like it.
  const hopeless = new Set<string>();
  for (const [slot, { present }] of slots.entries()) {
    const like = `${kinds[slot]} ${present}`;
    if (has(slot, kinds[slot] as CaptionKind) || hopeless.has(like)) continue;
    if (!makeRoom(slot, kinds, has)) hopeless.add(like);
  }
  const fallbacks = slots.map(({ standIn }, slot) => {
    if (has(slot, kinds[slot] as CaptionKind) || standIn === undefined) return false;
    kinds[slot] = standIn;
    return true;
  });
  return { kinds, fallbacks, carry: owedAfter(mix, kinds, carry) };
}

/** Who would take a kind, and the kind that they would give up for it; none if they have no use for theirs. */
interface Taker {
  readonly slot: number;
  readonly gives: CaptionKind | undefined;
}

/**
 * Finds the slot a kind that its sample has, by a chain of changes between slots (an augmenting path, so that as many
 * slots as can be get a kind that they have). False if there is no such chain.
 */
function makeRoom(
  slot: number,
  kinds: CaptionKind[],
  has: (slot: number, kind: CaptionKind) => boolean,
): boolean {
  const lacking = kinds[slot] as CaptionKind;
  const takers = new Map<CaptionKind, Taker>();
  const reached: CaptionKind[] = [];
  const reach = (taker: Taker): void => {
    for (const kind of captionKinds) {
      if (kind === lacking || takers.has(kind) || !has(taker.slot, kind)) continue;
      takers.set(kind, taker);
      reached.push(kind);
    }
  };
  reach({ slot, gives: undefined });
  for (const kind of reached) {
    const holders = [...kinds.keys()].filter((other) => kinds[other] === kind);
    const giver = holders.find((other) => has(other, lacking));
    if (giver === undefined) {
      for (const holder of holders) reach({ slot: holder, gives: kind });
      continue;
    }
    kinds[giver] = lacking;
    for (let free: CaptionKind | undefined = kind; free !== undefined; ) {
      const taker = takers.get(free) as Taker;
      kinds[taker.slot] = free;
      free = taker.gives;
    }
    return true;
  }
  return false;
}

/** What is owed after a batch; not more than a batch can make up for, where a kind is missing too often. */
function owedAfter(mix: ValidMix, kinds: readonly CaptionKind[], carry: Carry): Carry {
  const limit = kinds.length;
  return captionKinds.map((kind, i) => {
    const at = mix.kinds.indexOf(kind);
    const weight = at < 0 ? 0 : (mix.weights[at] as number);
    const given = kinds.reduce((n, other) => (other === kind ? n + 1 : n), 0);
    // A kind without weight is owed nothing that it could be given.
    const owed = (carry[i] as number) + weight * kinds.length - given;
    return weight === 0 ? 0 : Math.max(-limit, Math.min(limit, owed));
  });
}
