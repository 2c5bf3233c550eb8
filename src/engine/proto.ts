/**
 * A protobuf reader and writer of just the wire format, for the few TensorFlow messages that cross the C
 * API as bytes: OpList, ConfigProto, AttrValue and RunMetadata.
 * Source: protobuf's encoding documentation; field numbers from tensorflow/core/framework/*.proto.
 */

/** One field of a message: a varint or fixed value in `value`, or the bytes of a length-delimited one. */
export interface ProtoField {
  readonly field: number;
  readonly value: number;
  readonly bytes: Uint8Array;
}

const EMPTY = new Uint8Array(0);

/** Iterates over the fields of a message. Varints are read as doubles: exact up to 2^53. */
export function* readProto(message: Uint8Array): Generator<ProtoField> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  const varint = (): number => {
    let result = 0;
    let scale = 1;
    for (;;) {
      const byte = message[at++];
      if (byte === undefined) throw new RangeError('protobuf message ends inside a varint');
      result += (byte & 0x7f) * scale;
      if (byte < 0x80) return result;
      scale *= 128;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    switch (tag & 7) {
      case 0:
        yield { field, value: varint(), bytes: EMPTY };
        break;
      case 1:
        yield { field, value: view.getFloat64(at, true), bytes: EMPTY };
        at += 8;
        break;
      case 2: {
        const length = varint();
        yield { field, value: 0, bytes: message.subarray(at, at + length) };
        at += length;
        break;
      }
      case 5:
        yield { field, value: view.getFloat32(at, true), bytes: EMPTY };
        at += 4;
        break;
      default:
        throw new RangeError(`protobuf wire type ${tag & 7} is not supported`);
    }
  }
}

/** Builds a message field by field. */
export class ProtoWriter {
  private readonly bytes: number[] = [];

  private varint(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.bytes.push((rest % 128) + 128);
      rest = Math.floor(rest / 128);
    }
    this.bytes.push(rest);
  }

  /** A varint field: bool, enum or a non-negative integer. */
  int(field: number, value: number): this {
    this.varint(field * 8);
    this.varint(value);
    return this;
  }

  /** A length-delimited field: a string, bytes or a message. */
  message(field: number, value: string | Uint8Array | ProtoWriter): this {
    const content =
      typeof value === 'string'
        ? new TextEncoder().encode(value)
        : value instanceof ProtoWriter
          ? value.finish()
          : value;
    this.varint(field * 8 + 2);
    this.varint(content.length);
    for (const byte of content) this.bytes.push(byte);
    return this;
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.bytes);
  }
}
