/** How far a conversion is: a bar on a terminal, a line now and then elsewhere. */
import { SingleBar } from 'cli-progress';
import type { ConvertProgress } from '../data/convert/convert.js';
import { formatDuration, type ProgressStream } from '../train/logging/progress.js';

const LINE_EVERY_MS = 10_000;
/** The bar is drawn no oftener, for rows are many. */
const DRAW_EVERY_MS = 100;

const TITLES = { columns: 'reading columns', rows: 'converting' } as const;

/** Shows rows and megabytes a second and the time left. */
export class ConvertProgressBar {
  readonly #stream: ProgressStream;
  #bar: SingleBar | undefined;
  #phase: ConvertProgress['phase'] | undefined;
  #started = 0;
  /** Where this process began: what an earlier one did took none of its time. */
  #first: ConvertProgress | undefined;
  #shown = 0;

  constructor(stream: ProgressStream) {
    this.#stream = stream;
  }

  update(progress: ConvertProgress): void {
    const now = performance.now();
    if (progress.phase !== this.#phase) this.#begin(progress, now);
    const isLast = progress.rows === progress.totalRows;
    if (!isLast && now - this.#shown < (this.#bar ? DRAW_EVERY_MS : LINE_EVERY_MS)) return;
    this.#shown = now;
    const numbers = this.#numbers(progress, (now - this.#started) / 1000);
    if (this.#bar) this.#bar.update(progress.rows, { numbers });
    else {
      const done = `${progress.rows.toLocaleString('en-US')} of ${progress.totalRows.toLocaleString('en-US')} rows`;
      this.#stream.write(`${TITLES[progress.phase]}: ${done}  ${numbers}\n`);
    }
  }

  /** Leaves the terminal as it was. */
  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }

  #begin(progress: ConvertProgress, now: number): void {
    this.stop();
    this.#phase = progress.phase;
    this.#started = now;
    this.#shown = now;
    this.#first = progress;
    if (!this.#stream.isTTY) return;
    this.#bar = new SingleBar({
      stream: this.#stream,
      format: `${TITLES[progress.phase]} {bar} {value}/{total} rows  {numbers}`,
      barsize: 24,
      clearOnComplete: true,
      hideCursor: true,
    });
    this.#bar.start(progress.totalRows, progress.rows, { numbers: '' });
  }

  #numbers({ rows, bytes, totalRows }: ConvertProgress, seconds: number): string {
    const first = this.#first as ConvertProgress;
    const perSecond = (rows - first.rows) / Math.max(seconds, 1e-9);
    const left = perSecond > 0 ? formatDuration((totalRows - rows) / perSecond) : '?';
    const megabytes = (bytes - first.bytes) / 1e6 / Math.max(seconds, 1e-9);
    return `${perSecond.toFixed(0)} rows/s  ${bytes > 0 ? `${megabytes.toFixed(1)} MB/s  ` : ''}ETA ${left}`;
  }
}
