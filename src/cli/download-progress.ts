/** How far a download of images is: a bar on a terminal, a line now and then elsewhere. */
import { SingleBar } from 'cli-progress';
import { formatBytes } from '../assets/index.js';
import type { DownloadProgress } from '../data/download/progress.js';
import { formatDuration, type ProgressStream } from '../train/logging/progress.js';

const LINE_EVERY_MS = 10_000;
const BAR_EVERY_MS = 200;
/** Rates are over about this long, so that they stand still long enough to be read. */
const WINDOW_MS = 10_000;
/** Reasons that are shown; the report has all. */
const SHOWN_REASONS = 4;

/** What was counted at a moment. */
interface Mark {
  readonly at: number;
  readonly done: number;
  readonly images: number;
  readonly bytes: number;
}

/** Shows rows, images and bytes a second, the share of rows that have their image, time left, and failures by reason. */
export class DownloadBar {
  readonly #stream: ProgressStream;
  #bar: SingleBar | undefined;
  #shownAt = -Infinity;
  #marks: Mark[] = [];

  constructor(stream: ProgressStream) {
    this.#stream = stream;
  }

  /** Shows a count; most calls return at once. */
  update(progress: DownloadProgress): void {
    const now = performance.now();
    const isOver = progress.done === progress.rows;
    const every = this.#stream.isTTY ? BAR_EVERY_MS : LINE_EVERY_MS;
    if (now - this.#shownAt < every && !isOver) return;
    // The first call comes before anything has; a log needs no line for it.
    const isFirst = this.#marks.length === 0;
    this.#shownAt = now;
    const text = this.#text(progress, now);
    if (!this.#stream.isTTY) {
      if (!isFirst || isOver) this.#stream.write(`${progress.done}/${progress.rows} rows  ${text}\n`);
      return;
    }
    if (this.#bar === undefined) {
      this.#bar = new SingleBar({
        stream: this.#stream,
        format: '{bar} {value}/{total}  {text}',
        barsize: 20,
        hideCursor: true,
        clearOnComplete: true,
      });
      this.#bar.start(progress.rows, progress.done, { text });
    }
    this.#bar.update(progress.done, { text });
  }

  /** Leaves the terminal as it was. */
  stop(): void {
    this.#bar?.stop();
  }

  #text({ rows, done, images, bytes, failures }: DownloadProgress, at: number): string {
    const mark: Mark = { at, done, images, bytes };
    this.#marks = [...this.#marks.filter((each) => at - each.at < WINDOW_MS), mark];
    const first = this.#marks[0] as Mark;
    const seconds = Math.max(1e-3, (at - first.at) / 1000);
    const rowsPerSecond = (done - first.done) / seconds;
    const rates = `${((images - first.images) / seconds).toFixed(0)} img/s  ${formatBytes(Math.round((bytes - first.bytes) / seconds))}/s`;
    const share = done === 0 ? '' : `  ${((100 * images) / done).toFixed(1)} % have images`;
    const left = rowsPerSecond > 0 ? `  ETA ${formatDuration((rows - done) / rowsPerSecond)}` : '';
    return `${rates}${share}${left}${reasonsText(failures)}`;
  }
}

function reasonsText(failures: ReadonlyMap<string, number>): string {
  const most = [...failures].sort(([, a], [, b]) => b - a).slice(0, SHOWN_REASONS);
  return most.length === 0 ? '' : `  ${most.map(([reason, count]) => `${reason} ${count}`).join(', ')}`;
}
