/** A bound on the bytes that work in progress takes. */

/** Lets work pass while what is in progress takes no more than `maxBytes`; larger work passes alone. */
export class ByteGate {
  readonly #maxBytes: number;
  #waiting: (() => void)[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Runs `work`, which takes `bytes`, when there is room. */
  async pass<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    while (this.#bytes > 0 && this.#bytes + bytes > this.#maxBytes) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#bytes += bytes;
    try {
      return await work();
    } finally {
      this.#bytes -= bytes;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const go of waiting) go();
    }
  }
}
