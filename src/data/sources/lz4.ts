/** LZ4 blocks, decoded by `assembly/lz4.ts` into as many bytes as are expected. */
import { readFileSync } from 'node:fs';
import { builtFile } from '../../built-file.js';

interface Exports {
  readonly memory: WebAssembly.Memory;
  block(from: number, fromEnd: number, outputStart: number, to: number, toEnd: number): number;
}

const PAGE_BYTES = 65_536;
/** A memory cannot shrink: a larger one is made anew. */
const MAX_KEPT_BYTES = 64 * 2 ** 20;
/** The input's place; 0 is what the module says of damage. */
const INPUT = 64;

let compiled: WebAssembly.Module | undefined;
let kept: Exports | undefined;

/** A memory of at least that size. */
function instance(numBytes: number): Exports {
  compiled ??= new WebAssembly.Module(readFileSync(builtFile(import.meta.url, './lz4.wasm')));
  const exports = kept ?? (new WebAssembly.Instance(compiled).exports as unknown as Exports);
  const missing = numBytes - exports.memory.buffer.byteLength;
  if (missing > 0) exports.memory.grow(Math.ceil(missing / PAGE_BYTES));
  kept = exports.memory.buffer.byteLength <= MAX_KEPT_BYTES ? exports : undefined;
  return exports;
}

/** A stream of blocks. One is decoded at a time. */
export class Lz4 {
  readonly #wasm: Exports;
  readonly #outputStart: number;
  readonly #outputEnd: number;
  #to: number;

  /** @param length bytes that the blocks make */
  constructor(input: Uint8Array, length: number) {
    this.#outputStart = INPUT + input.length;
    this.#outputEnd = this.#outputStart + length;
    this.#to = this.#outputStart;
    this.#wasm = instance(this.#outputEnd);
    new Uint8Array(this.#wasm.memory.buffer).set(input, INPUT);
  }

  /** Decodes a block, of the input's bytes from `start` to `end`. @throws Error if it is damaged or makes too much */
  block(start: number, end: number): void {
    const to = this.#wasm.block(INPUT + start, INPUT + end, this.#outputStart, this.#to, this.#outputEnd);
    if (to === 0) {
      const made = this.#to - this.#outputStart;
      throw new Error(`an LZ4 block behind byte ${made} that is damaged or makes more than is said`);
    }
    this.#to = to;
  }

  /** Takes bytes of the input as they are. @throws Error if that makes too much */
  literal(start: number, end: number): void {
    if (this.#to + end - start > this.#outputEnd)
      throw new Error(`a run of ${end - start} bytes beyond the end`);
    new Uint8Array(this.#wasm.memory.buffer).copyWithin(this.#to, INPUT + start, INPUT + end);
    this.#to += end - start;
  }

  /** What was made. @throws Error if it is less than expected */
  finish(): Uint8Array {
    if (this.#to !== this.#outputEnd) {
      throw new Error(
        `${this.#to - this.#outputStart} bytes; expected ${this.#outputEnd - this.#outputStart}`,
      );
    }
    return new Uint8Array(this.#wasm.memory.buffer).slice(this.#outputStart, this.#outputEnd);
  }
}
