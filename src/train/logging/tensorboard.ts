/**
 * Scalars as TensorBoard reads them: a file of length-prefixed, checksummed records, each an `Event` message
 * (tensorflow/core/util/event.proto, tensorflow/core/lib/io/record_writer.h).
 */
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { cannotWrite } from '../../safetensors.js';

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  // Castagnoli's polynomial, bits reversed.
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** CRC-32C (Castagnoli, RFC 3720), unsigned. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** The checksum as record files store it: rotated right by 15 bits, plus a constant, modulo 2^32. */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** A record: length (8 bytes), its checksum, the data, their checksum; little-endian. */
export function encodeRecord(data: Uint8Array): Uint8Array {
  const record = Buffer.alloc(data.length + 16);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedCrc32c(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(maskedCrc32c(data), 12 + data.length);
  return record;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Buffer.from([...bytes, rest]);
}

const tag = (field: number, wireType: number): Buffer => varint(field * 8 + wireType);

function bytesField(field: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([tag(field, BYTES), varint(bytes.length), bytes]);
}

function doubleField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([tag(field, FIXED64), bytes]);
}

function floatField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([tag(field, FIXED32), bytes]);
}

const text = (value: string): Buffer => Buffer.from(value, 'utf8');

/** The first event of a file. Field 1 of Event: wall time in seconds; 3: the file's version. */
export function encodeVersionEvent(wallSeconds: number): Uint8Array {
  return Buffer.concat([doubleField(1, wallSeconds), bytesField(3, text('brain.Event:2'))]);
}

/** Scalars of a step. Field 2 of Event: step; 5: a summary, whose values have a tag (1) and a float (2). */
export function encodeScalarEvent(
  wallSeconds: number,
  step: number,
  scalars: Readonly<Record<string, number>>,
): Uint8Array {
  const values = Object.entries(scalars).map(([name, value]) =>
    bytesField(1, Buffer.concat([bytesField(1, text(name)), floatField(2, value)])),
  );
  return Buffer.concat([
    doubleField(1, wallSeconds),
    tag(2, VARINT),
    varint(step),
    bytesField(5, Buffer.concat(values)),
  ]);
}

/** Tells TensorBoard to forget what earlier files hold from a step on. Field 7: session log; its status 1 is START. */
export function encodeRestartEvent(wallSeconds: number, step: number): Uint8Array {
  return Buffer.concat([
    doubleField(1, wallSeconds),
    tag(2, VARINT),
    varint(step),
    bytesField(7, Buffer.concat([tag(1, VARINT), varint(1)])),
  ]);
}

/** Writes scalars to a new events file. */
export class TensorboardWriter {
  readonly #path: string;
  readonly #file: number;

  /**
   * @param directory of the run; each process adds a file of its own
   * @param restartStep first step that this process will log, if the run goes on from a checkpoint
   */
  constructor(directory: string, restartStep?: number) {
    const now = Date.now();
    const name = `events.out.tfevents.${Math.floor(now / 1000)}.${hostname()}.${process.pid}.${now % 1000}`;
    this.#path = join(directory, name);
    this.#file = openSync(this.#path, 'a');
    this.#write(encodeVersionEvent(now / 1000));
    if (restartStep !== undefined) this.#write(encodeRestartEvent(now / 1000, restartStep));
  }

  /** Adds scalars of a step. @throws CheckpointError if the disk is full */
  scalars(step: number, values: Readonly<Record<string, number>>): void {
    this.#write(encodeScalarEvent(Date.now() / 1000, step, values));
  }

  /** Returns when all is on the disk. */
  flush(): void {
    fsyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(event: Uint8Array): void {
    try {
      writeFileSync(this.#file, encodeRecord(event));
    } catch (error) {
      throw cannotWrite(this.#path, error);
    }
  }
}
