/** How far training is: a bar on a terminal, a line now and then elsewhere. */
import { SingleBar } from 'cli-progress';

/** A terminal or a log file: what progress is written to. */
export type ProgressStream = NodeJS.WritableStream & { readonly isTTY?: boolean };

/** What is shown of a step. */
export interface ProgressStep {
  readonly step: number;
  readonly loss: number;
  readonly stepMs: number;
  readonly dataWaitMs: number;
  readonly imgPerSec: number;
}

const LINE_EVERY_MS = 10_000;
/** Weight of the newest step in what is shown, so that the numbers stand still long enough to be read. */
const NEWEST = 0.1;

/** `59s`, `12m05s`, `3h07m`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
}

/** Shows steps, images per second, share of time spent waiting for data, loss, and time left. */
export class TrainProgress {
  readonly #stream: ProgressStream;
  readonly #totalSteps: number;
  readonly #bar: SingleBar | undefined;
  #lastLine = -Infinity;
  #stepMs: number | undefined;
  #waitMs = 0;
  #numImages = 0;

  /** @param firstStep steps that are done already */
  constructor(stream: ProgressStream, totalSteps: number, firstStep: number) {
    this.#stream = stream;
    this.#totalSteps = totalSteps;
    if (!stream.isTTY) return;
    this.#bar = new SingleBar({
      stream,
      format: '{bar} {value}/{total}  {numbers}',
      barsize: 24,
      hideCursor: true,
    });
    this.#bar.start(totalSteps, firstStep, { numbers: 'compiling the first step' });
  }

  /** Shows a step that is done. */
  update(row: ProgressStep): void {
    this.#average(row);
    const numbers = this.#numbers(row);
    if (this.#bar) {
      this.#bar.update(row.step, { numbers });
      return;
    }
    const now = performance.now();
    if (now - this.#lastLine < LINE_EVERY_MS && row.step < this.#totalSteps) return;
    this.#lastLine = now;
    this.#stream.write(`step ${row.step}/${this.#totalSteps}  ${numbers}\n`);
  }

  /** Leaves the terminal as it was. */
  stop(): void {
    this.#bar?.stop();
  }

  #average({ stepMs, dataWaitMs, imgPerSec }: ProgressStep): void {
    const numImages = (imgPerSec * stepMs) / 1000;
    if (this.#stepMs === undefined) {
      [this.#stepMs, this.#waitMs, this.#numImages] = [stepMs, dataWaitMs, numImages];
      return;
    }
    this.#stepMs += NEWEST * (stepMs - this.#stepMs);
    this.#waitMs += NEWEST * (dataWaitMs - this.#waitMs);
    this.#numImages += NEWEST * (numImages - this.#numImages);
  }

  #numbers({ step, loss }: ProgressStep): string {
    const stepMs = Math.max(this.#stepMs as number, 1e-9);
    const imgPerSec = (this.#numImages * 1000) / stepMs;
    const left = ((this.#totalSteps - step) * stepMs) / 1000;
    const wait = Math.min(100, (100 * this.#waitMs) / stepMs);
    return `${imgPerSec.toFixed(imgPerSec < 10 ? 1 : 0)} img/s  data wait ${wait.toFixed(0)}%  loss ${loss.toFixed(4)}  ETA ${formatDuration(left)}`;
  }
}
