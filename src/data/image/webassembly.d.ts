/** The little of WebAssembly's API that is used. TypeScript declares it with the browser's, Node's types not at all. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    readonly exports: Readonly<Record<string, unknown>>;
    constructor(module: Module);
  }
  interface Memory {
    readonly buffer: ArrayBuffer;
    /** By pages of 64 KiB; `buffer` is another afterwards. @throws RangeError if the memory cannot be had */
    grow(numPages: number): number;
  }
}
