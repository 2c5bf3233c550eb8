/** How far the drawing of a data set is: a bar on a terminal, a line now and then elsewhere. */
import { SingleBar } from 'cli-progress';
import type { ProgressStream } from './asset-progress.js';

const LINE_EVERY_MS = 10_000;

/** Shows pictures drawn, of how many, and the time left. */
export class DrawingProgress {
  readonly #stream: ProgressStream;
  readonly #now: () => number;
  #bar: SingleBar | undefined;
  #lineAt: number;

  /** @param now milliseconds of a clock */
  constructor(stream: ProgressStream, now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#now = now;
    this.#lineAt = now() + LINE_EVERY_MS;
  }

  /** Takes note of pictures drawn; to be handed on as it is. */
  readonly update = (done: number, total: number): void => {
    if (!this.#stream.isTTY) {
      this.#writeLine(done, total);
      return;
    }
    if (this.#bar === undefined) {
      this.#bar = new SingleBar({
        format: 'drawing {bar} {value}/{total}, {eta_formatted} left',
        stream: this.#stream,
        clearOnComplete: true,
      });
      this.#bar.start(total, 0);
    }
    this.#bar.update(done);
  };

  /** Takes the bar away. */
  stop(): void {
    this.#bar?.stop();
  }

  #writeLine(done: number, total: number): void {
    if (this.#now() < this.#lineAt) return;
    this.#lineAt = this.#now() + LINE_EVERY_MS;
    this.#stream.write(`drawing ${done}/${total}\n`);
  }
}
