/** Which samples with which captions make up each batch: positions, replacements, epochs, and what ranks agree on. */
import { DataError } from '../errors.js';
import type { CaptionPlan, CaptionSlot, Carries, PlannedCaption } from './caption-plan.js';
import type { LoaderState } from './loader-state.js';
import type { Skip } from './mix-stats.js';
import type { KindBits } from './mixing.js';
import type { FailedSlot, Ranks, SlotReport } from './order/exchange.js';
import type { Interleave } from './order/interleave.js';
import { type SlotRequest, Slots } from './order/slots.js';
import type { Sample, SampleStream } from './sample-stream.js';
import { skipBudget } from './skip-budget.js';

/** A batch's samples, or those of one rank, with their captions as text. */
export interface AssembledBatch {
  /** Number of the batch in the run, from 0. */
  readonly step: number;
  readonly epoch: number;
  /** Where the batch begins in the epoch's order. */
  readonly position: number;
  readonly samples: readonly Sample[];
  /** Of each sample. */
  readonly captions: readonly PlannedCaption[];
  /** This rank's broken samples since the batch before. */
  readonly skipped: Skip[];
  /** Keys of this rank's samples without a caption since the batch before. */
  readonly noCaption: string[];
  /** What the loader's state becomes when the batch is handed out. */
  readonly state: Pick<LoaderState, 'epoch' | 'position' | 'broken' | 'batches' | 'carries'>;
}

export interface AssemblerOptions {
  readonly stream: SampleStream;
  readonly interleave: Interleave;
  readonly captions: CaptionPlan;
  /** Of all ranks together. */
  readonly batchSize: number;
  readonly dropLast: boolean;
  readonly maxSkipRatio: number;
  readonly epochs: number | undefined;
  readonly ranks: Ranks;
}

/** Slots from `first` on and before `end`. */
export function slotsOf({ rank, worldSize }: Ranks, batchSize: number): { first: number; end: number } {
  const each = batchSize / worldSize;
  return { first: rank * each, end: (rank + 1) * each };
}

/** Puts batches together, one after the other. */
export class BatchAssembler {
  readonly #options: AssemblerOptions;
  readonly #own: { first: number; end: number };
  #epoch: number;
  #position: number;
  #step: number;
  #carries: Carries;
  #skipped: Skip[] = [];
  #noCaption: string[] = [];
  #epochBroken: number;
  #epochNoCaption = 0;
  #epochBatches = 0;
  /** The epoch was entered at its beginning, not by a resume. */
  #wholeEpoch: boolean;

  constructor(options: AssemblerOptions, start: AssembledBatch['state']) {
    this.#options = options;
    this.#own = slotsOf(options.ranks, options.batchSize);
    const atEnd = start.position === options.interleave.epochLength;
    this.#epoch = atEnd ? start.epoch + 1 : start.epoch;
    this.#position = atEnd ? 0 : start.position;
    this.#step = start.batches;
    this.#carries = start.carries;
    this.#wholeEpoch = this.#position === 0;
    this.#epochBroken = atEnd ? 0 : start.broken;
    if (!this.#ended) options.stream.expect({ epoch: this.#epoch, position: this.#position });
  }

  /**
   * The next batch; undefined after the last epoch.
   *
   * @throws DataError if too many samples are broken, an epoch fills no batch, or a source, worker or rank fails
   */
  async next(): Promise<AssembledBatch | undefined> {
    const { batchSize, dropLast, interleave, stream } = this.#options;
    while (!this.#ended) {
      const [epoch, position] = [this.#epoch, this.#position];
      stream.expect({ epoch, position });
      const slots = new Slots(batchSize, position, interleave.epochLength);
      const samples = new Map<number, Sample>();
      const present = new Map<number, KindBits>();
      while (slots.pending.length > 0) await this.#round(slots, samples, present);
      const filled = slots.filled();
      this.#position = slots.next;
      const full = filled.length === batchSize || (filled.length > 0 && !dropLast);
      if (full) this.#epochBatches++;
      const broken = this.#epochBroken;
      if (this.#position === interleave.epochLength) this.#endEpoch();
      if (full) return this.#finish(filled, samples, present, { epoch, position, end: slots.next, broken });
    }
    return undefined;
  }

  get #ended(): boolean {
    const { epochs } = this.#options;
    return epochs !== undefined && this.#epoch >= epochs;
  }

  /** Loads this rank's samples of a round and lets all ranks know which slots have to take another. */
  async #round(slots: Slots, samples: Map<number, Sample>, present: Map<number, KindBits>): Promise<void> {
    const { stream, ranks } = this.#options;
    const { pending } = slots;
    const own = pending.filter(({ slot }) => slot >= this.#own.first && slot < this.#own.end);
    let report: SlotReport;
    try {
      const loaded = await stream.take(
        this.#epoch,
        own.map(({ position }) => position),
      );
      report = this.#inspect(own, loaded, samples);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (ranks.worldSize > 1) await ranks.exchange({ failed: [], kinds: [], error: message });
      throw error;
    }
    const reports = ranks.worldSize > 1 ? await ranks.exchange(report) : [report];
    for (const [rank, { error }] of reports.entries()) {
      if (error !== undefined) throw new DataError(`Rank ${rank} cannot go on: ${error}`);
    }
    const kinds = reports.flatMap((other) => other.kinds); // ranks own rising slots, so this is pending's order
    for (const [i, { slot }] of pending.entries()) present.set(slot, kinds[i] as KindBits);
    const failed = reports.flatMap((other) => other.failed);
    for (const one of failed) this.#count(one);
    for (const { slot } of failed) {
      samples.delete(slot);
      present.delete(slot);
    }
    slots.settle(failed.map(({ slot }) => slot));
  }

  #inspect(own: readonly SlotRequest[], loaded: readonly Sample[], samples: Map<number, Sample>): SlotReport {
    const failed: FailedSlot[] = [];
    for (const [i, { slot }] of own.entries()) {
      const sample = loaded[i] as Sample;
      const { key, fault } = sample;
      if (fault !== undefined) {
        failed.push({ slot, key, reason: fault });
        this.#skipped.push({ key, reason: fault });
      } else if ((sample.present & this.#options.captions.usable(sample.source, this.#step)) === 0) {
        failed.push({ slot, key, reason: null });
        this.#noCaption.push(key);
      } else {
        samples.set(slot, sample);
      }
    }
    return { failed, kinds: loaded.map(({ present }) => present) };
  }

  #count({ key, reason }: FailedSlot): void {
    if (reason === null) {
      this.#epochNoCaption++;
      return;
    }
    this.#epochBroken++;
    this.#checkBudget(key, reason);
  }

  /** The budget is the epoch's, so that which epoch fails does not depend on the order of its samples. */
  #checkBudget(key: string, fault: string): void {
    const { maxSkipRatio, interleave } = this.#options;
    const numRows = interleave.epochLength;
    const budget = skipBudget(maxSkipRatio, numRows);
    if (this.#epochBroken <= budget) return;
    throw new DataError(
      `Epoch ${this.#epoch}: broken samples: ${this.#epochBroken}, more than the ${budget} of ${numRows} that ` +
        `data.maxSkipRatio = ${maxSkipRatio} allows. Mend the data, or raise data.maxSkipRatio if the loss is ` +
        `acceptable. The last is ${key}: ${fault}`,
    );
  }

  #finish(
    filled: readonly SlotRequest[],
    samples: ReadonlyMap<number, Sample>,
    present: ReadonlyMap<number, KindBits>,
    { epoch, position, end, broken }: { epoch: number; position: number; end: number; broken: number },
  ): AssembledBatch {
    const { captions, interleave } = this.#options;
    const slots = filled.map(
      ({ slot, position: taken }): CaptionSlot => ({
        source: interleave.locate(epoch, taken).source,
        present: present.get(slot) as KindBits,
        sample: samples.get(slot),
      }),
    );
    const step = this.#step++;
    const chosen = captions.choose(slots, step, { epoch, position }, this.#carries);
    this.#carries = chosen.carries;
    const [skipped, noCaption] = [this.#skipped, this.#noCaption];
    this.#skipped = [];
    this.#noCaption = [];
    return {
      step,
      epoch,
      position,
      samples: slots.flatMap(({ sample }) => (sample === undefined ? [] : [sample as Sample])),
      captions: chosen.captions.filter((caption) => caption !== undefined),
      skipped,
      noCaption,
      state: { epoch, position: end, broken, batches: this.#step, carries: this.#carries },
    };
  }

  #endEpoch(): void {
    if (this.#epochBatches === 0 && this.#wholeEpoch) this.#failEmpty();
    this.#epoch++;
    this.#position = 0;
    this.#epochBroken = 0;
    this.#epochNoCaption = 0;
    this.#epochBatches = 0;
    this.#wholeEpoch = true;
  }

  #failEmpty(): never {
    const { interleave, batchSize, captions } = this.#options;
    const numRows = interleave.epochLength;
    const [broken, noCaption] = [this.#epochBroken, this.#epochNoCaption];
    if (noCaption === numRows - broken && noCaption > 0) {
      throw new DataError(
        `Epoch ${this.#epoch}: none of the ${noCaption} samples has a caption of kind ${captions.weightyKinds(this.#step).join(', ')}. ` +
          'Choose other kinds in data.captions, or other data.',
      );
    }
    throw new DataError(
      `Epoch ${this.#epoch} filled no batch: ${numRows - broken - noCaption} of ${numRows} samples can be used ` +
        `(${broken} are broken, ${noCaption} have no caption), a batch takes ${batchSize}. ` +
        'Lower the batch size or mend the data.',
    );
  }
}
