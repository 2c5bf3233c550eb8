/** What the ranks of a data-parallel run tell each other about a batch: which of its slots cannot be filled. */

/** A slot whose sample cannot be used. */
export interface FailedSlot {
  readonly slot: number;
  readonly key: string;
  /** Why the sample is broken; null if it only has no caption of the mix. */
  readonly reason: string | null;
}

/** What one rank found in one round of a batch. Plain JSON. */
export interface SlotReport {
  /** Of the rank's slots of this round, those whose samples cannot be used, rising. */
  readonly failed: readonly FailedSlot[];
  /** Per slot of the rank and round, which kinds of caption its sample has: bit i for the i-th of `captionKinds`. */
  readonly kinds: readonly number[];
  /** Why the rank cannot go on; then none can. */
  readonly error?: string;
}

/**
 * Hands in a rank's report and gives those of all ranks, in order of ranks. Called once a round, by each rank as often
 * as by the others.
 */
export type Exchange = (report: SlotReport) => Promise<readonly SlotReport[]>;

/** One rank of a data-parallel run. Rank r of W owns slots r·B/W to (r+1)·B/W of each global batch. */
export interface Ranks {
  readonly rank: number;
  readonly worldSize: number;
  readonly exchange: Exchange;
}

interface Round {
  readonly reports: (SlotReport | undefined)[];
  missing: number;
  readonly done: Promise<readonly SlotReport[]>;
  readonly resolve: (reports: readonly SlotReport[]) => void;
}

/** The ranks of loaders that run in one process, as for several devices of one machine. */
export function localRanks(worldSize: number): Ranks[] {
  const rounds = new Map<number, Round>();
  return Array.from({ length: worldSize }, (_, rank) => {
    let next = 0;
    const exchange = (report: SlotReport): Promise<readonly SlotReport[]> => {
      const id = next++;
      const round = rounds.get(id) ?? newRound(worldSize);
      rounds.set(id, round);
      round.reports[rank] = report;
      round.missing--;
      if (round.missing === 0) {
        rounds.delete(id);
        round.resolve(round.reports as SlotReport[]);
      }
      return round.done;
    };
    return { rank, worldSize, exchange };
  });
}

function newRound(worldSize: number): Round {
  let resolve: Round['resolve'] = () => undefined;
  const done = new Promise<readonly SlotReport[]>((settle) => {
    resolve = settle;
  });
  return { reports: new Array<SlotReport | undefined>(worldSize), missing: worldSize, done, resolve };
}
