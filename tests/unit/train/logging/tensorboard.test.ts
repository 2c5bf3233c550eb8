import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  crc32c,
  encodeRecord,
  encodeRestartEvent,
  encodeScalarEvent,
  encodeVersionEvent,
  maskedCrc32c,
  TensorboardWriter,
} from '../../../../src/train/logging/tensorboard.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('crc32c', () => {
  it('gives the values of RFC 3720, appendix B.4', () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => 31 - i))).toBe(0x113fdb5c);
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(0))).toBe(0);
  });

  it('is masked as record files want it', () => {
    // rotr(0xe3069283, 15) = 0x2507c60d; + 0xa282ead8 = 0xc78ab0e5
    expect(maskedCrc32c(Buffer.from('123456789'))).toBe(0xc78ab0e5);
  });
});

describe('events', () => {
  it('encode the version, scalars and a restart', () => {
    expect(hex(encodeVersionEvent(1))).toBe(`09000000000000f03f1a0d${hex(Buffer.from('brain.Event:2'))}`);
    // time 1, step 300, summary of 10 bytes with one value of 8: tag "x", float 1.5
    expect(hex(encodeScalarEvent(1, 300, { x: 1.5 }))).toBe(
      '09000000000000f03f10ac022a0a0a080a0178150000c03f',
    );
    expect(hex(encodeRestartEvent(1, 7))).toBe('09000000000000f03f10073a020801');
  });

  it('keep steps over 2^32', () => {
    const bytes = encodeRestartEvent(0, 2 ** 40);
    // tag of the step, then 2^40 as 5 groups of zero and a 32
    expect(hex(bytes)).toContain('108080808080203a');
  });

  it('are framed by length and checksums', () => {
    const record = Buffer.from(encodeRecord(Buffer.from('123456789')));
    expect(record.length).toBe(25);
    expect(record.readBigUInt64LE(0)).toBe(9n);
    expect(record.readUInt32LE(8)).toBe(maskedCrc32c(record.subarray(0, 8)));
    expect(record.subarray(12, 21).toString()).toBe('123456789');
    expect(record.readUInt32LE(21)).toBe(0xc78ab0e5);
  });
});

/** The events of a file, checksums verified. */
function readRecords(path: string): Buffer[] {
  const bytes = readFileSync(path);
  const records: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    expect(bytes.readUInt32LE(at + 8)).toBe(maskedCrc32c(bytes.subarray(at, at + 8)));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(bytes.readUInt32LE(at + 12 + length)).toBe(maskedCrc32c(data));
    records.push(data);
    at += 16 + length;
  }
  return records;
}

describe('TensorboardWriter', () => {
  it('writes a file of its own that begins with the version, then the restart', () => {
    const dir = mkdtempSync(join(tmpdir(), 'capstan-board-'));
    try {
      const writer = new TensorboardWriter(dir, 3);
      writer.scalars(3, { 'train/loss': 0.5, 'train/lr': 1 });
      writer.flush();
      writer.close();
      const [name, ...others] = readdirSync(dir);
      expect(others).toEqual([]);
      expect(name).toMatch(/^events\.out\.tfevents\.\d{10}\./);
      const records = readRecords(join(dir, name!));
      expect(records.map((record) => hex(record.subarray(9)))).toEqual([
        hex(encodeVersionEvent(0).subarray(9)),
        hex(encodeRestartEvent(0, 3).subarray(9)),
        hex(encodeScalarEvent(0, 3, { 'train/loss': 0.5, 'train/lr': 1 }).subarray(9)),
      ]);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
