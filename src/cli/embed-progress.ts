/** How far an embedding is: a bar on a terminal, a line now and then elsewhere. */
import { SingleBar } from 'cli-progress';
import type { CacheProgress } from '../data/features/cache-features.js';
import { formatDuration, type ProgressStream } from '../train/logging/progress.js';

const LINE_EVERY_MS = 10_000;
/** Weight of the newest batch in what is shown. */
const NEWEST = 0.1;

/** Shows rows, rows per second, the share of time spent waiting for data, and time left. */
export class EmbedProgress {
  readonly #stream: ProgressStream;
  readonly #bar: SingleBar | undefined;
  #started = false;
  #lastLine = performance.now();
  #rows = 0;
  #rate = 0;
  #wait = 0;

  constructor(stream: ProgressStream) {
    this.#stream = stream;
    if (!stream.isTTY) return;
    const format = 'embedding {bar} {value}/{total}  {numbers}';
    this.#bar = new SingleBar({ stream, format, barsize: 24, hideCursor: true, clearOnComplete: true });
  }

  /** Shows a batch that is done. */
  update({ rows, numRows, dataWaitMs, stepMs }: CacheProgress): void {
    const ms = Math.max(stepMs, 1e-6);
    const weight = this.#started ? NEWEST : 1;
    // Of what was there before, none is this batch's.
    if (this.#started) this.#rate += weight * (((rows - this.#rows) * 1000) / ms - this.#rate);
    this.#wait += weight * (dataWaitMs / ms - this.#wait);
    this.#rows = rows;
    const left = this.#rate > 0 ? formatDuration((numRows - rows) / this.#rate) : '…';
    const wait = `data wait ${Math.min(100, 100 * this.#wait).toFixed(0)}%`;
    const numbers = `${this.#rate.toFixed(this.#rate < 10 ? 1 : 0)} rows/s  ${wait}  ETA ${left}`;
    if (!this.#started) this.#bar?.start(numRows, rows, { numbers });
    this.#started = true;
    if (this.#bar !== undefined) this.#bar.update(rows, { numbers });
    else if (performance.now() - this.#lastLine >= LINE_EVERY_MS) {
      this.#lastLine = performance.now();
      this.#stream.write(`${rows}/${numRows}  ${numbers}\n`);
    }
  }

  /** Leaves the terminal as it was. */
  stop(): void {
    this.#bar?.stop();
  }
}
