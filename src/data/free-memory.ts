/** Memory that is done with, given back before the garbage collector would come to it. */

/** A port to nowhere: what is moved through it is gone. */
const sink = new MessageChannel().port1;
sink.close();

/**
 * Gives the bytes' memory back at once; the array and all others over the same buffer are empty afterwards. Buffers
 * that wait for the collector make it run, over and over, since it counts their bytes.
 *
 * @param bytes of the caller's own
 */
export function freeMemory({ buffer }: Uint8Array<ArrayBuffer>): void {
  sink.postMessage(undefined, [buffer]);
}

/** Memory of a read, in which the bytes of rows lie until the reader has copied what is wanted of them. */
export class ReadScope {
  readonly #owned: Uint8Array<ArrayBuffer>[] = [];

  /** Leaves memory of nobody else's to the scope. */
  own(bytes: Uint8Array<ArrayBuffer>): void {
    this.#owned.push(bytes);
  }

  /** Frees it. For a read that succeeded: of one that failed, parts may still be under way. */
  free(): void {
    for (const bytes of this.#owned.splice(0)) freeMemory(bytes);
  }
}
