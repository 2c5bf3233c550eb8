/**
 * Thrift's compact protocol, in which Parquet keeps its footer, page headers and page indexes. hyparquet decodes the footer
 * too, but believes every count in it; nothing unchecked reaches it.
 *
 * Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
 */

/** A decoded value. Whole numbers beyond 2^53 lose digits, which none that are used have. */
export type Thrift = number | boolean | Uint8Array | Thrift[] | ThriftStruct;
/** Fields by their number. */
export type ThriftStruct = Map<number, Thrift>;

/** Deeper than any structure of the format. */
const MAX_DEPTH = 16;

/** Decodes one struct. @throws Error that says what is wrong */
export function readThrift(bytes: Uint8Array, start = 0): { struct: ThriftStruct; end: number } {
  const reader = new Reader(bytes, start);
  const struct = reader.struct(0);
  return { struct, end: reader.at };
}

/** A field that must be a number. */
export function numberIn(struct: ThriftStruct, field: number, name: string): number {
  const value = struct.get(field);
  if (typeof value !== 'number') throw new Error(`no ${name}`);
  return value;
}

/** A field that is a struct, if it is there. */
export function structIn(struct: ThriftStruct, field: number): ThriftStruct | undefined {
  const value = struct.get(field);
  return value instanceof Map ? value : undefined;
}

class Reader {
  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
  ) {}

  struct(depth: number): ThriftStruct {
    if (depth > MAX_DEPTH) throw new Error('structures without end');
    const fields: ThriftStruct = new Map();
    let field = 0;
    for (;;) {
      const head = this.#byte();
      if (head === 0) return fields;
      field = head >> 4 === 0 ? this.#integer() : field + (head >> 4);
      const type = head & 15;
      fields.set(field, type === 1 || type === 2 ? type === 1 : this.#value(type, depth));
    }
  }

  #value(type: number, depth: number): Thrift {
    switch (type) {
      case 1:
      case 2:
        return this.#byte() === 1; // in a list
      case 3:
        return (this.#byte() << 24) >> 24;
      case 4:
      case 5:
      case 6:
        return this.#integer();
      case 7:
        this.#skip(8);
        return new DataView(this.bytes.buffer, this.bytes.byteOffset + this.at - 8, 8).getFloat64(0, true);
      case 8: {
        const length = this.#varint();
        this.#skip(length);
        return this.bytes.subarray(this.at - length, this.at);
      }
      case 9:
        return this.#list(depth);
      case 12:
        return this.struct(depth + 1);
      default:
        throw new Error(`an unknown type ${type} at byte ${this.at}`);
    }
  }

  #list(depth: number): Thrift[] {
    const head = this.#byte();
    const count = head >> 4 === 15 ? this.#varint() : head >> 4;
    // Each item takes a byte at least.
    if (count > this.bytes.length - this.at) throw new Error(`a list of ${count} at byte ${this.at}`);
    return Array.from({ length: count }, () => this.#value(head & 15, depth));
  }

  #byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw new Error(`an end at byte ${this.bytes.length}`);
    return byte;
  }

  #skip(length: number): void {
    this.at += length;
    if (this.at > this.bytes.length)
      throw new Error(`${length} bytes to byte ${this.at} of ${this.bytes.length}`);
  }

  #varint(): number {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 128) return value;
    }
    throw new Error(`a number without end at byte ${this.at}`);
  }

  /** A whole number with its sign in the lowest bit. */
  #integer(): number {
    const value = this.#varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}
