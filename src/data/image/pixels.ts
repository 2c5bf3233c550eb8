/** Pixels, and memory for those of one image after the other. */

/** Decoded pixels: 8 bits, interleaved, row by row. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** 3: RGB. 4: RGB and alpha, or CMYK. */
  readonly channels: 3 | 4;
}

/** Room for larger images is not kept. */
const MAX_KEPT_BYTES = 64 * 2 ** 20;

/**
 * Room that is used again, for a caller that is done with an image before it decodes the next. Memory for each image
 * anew would have the garbage collector run every few images.
 */
export class PixelRoom {
  #kept = new Uint8Array(0);

  /** So many bytes, of any content; they are the caller's until the next call. */
  take(numBytes: number): Uint8Array {
    if (numBytes > MAX_KEPT_BYTES) return Buffer.allocUnsafeSlow(numBytes);
    if (this.#kept.length < numBytes) this.#kept = Buffer.allocUnsafeSlow(numBytes);
    return this.#kept.subarray(0, numBytes);
  }
}
