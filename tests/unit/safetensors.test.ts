import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CheckpointError } from '../../src/errors.js';
import {
  parseSafetensors,
  readSafetensors,
  serializeSafetensors,
  writeFileAtomically,
} from '../../src/safetensors.js';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'safetensors-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const sample = () =>
  new Map([
    [
      'a.weight',
      { shape: [2, 3], data: Float32Array.of(1, -2, 3.5, 0, Number.NaN, Number.POSITIVE_INFINITY) },
    ],
    ['step', { shape: [], data: Int32Array.of(7) }],
    ['empty', { shape: [0, 4], data: new Float32Array(0) }],
  ]);

function withHeader(header: unknown, data = new Uint8Array(0)): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

describe('safetensors', () => {
  it('reads what it wrote, to the bit', () => {
    const bytes = serializeSafetensors(sample(), { note: 'x' });
    const { tensors, metadata } = parseSafetensors(bytes, 'f');
    expect([...tensors.keys()]).toEqual(['a.weight', 'step', 'empty']);
    expect(tensors.get('a.weight')).toEqual(sample().get('a.weight'));
    expect(tensors.get('step')?.data).toEqual(Int32Array.of(7));
    expect(tensors.get('empty')?.shape).toEqual([0, 4]);
    expect(metadata).toEqual({ format: 'pt', note: 'x' });
  });

  it('lays the file out as the format says', () => {
    const bytes = serializeSafetensors(new Map([['w', { shape: [1], data: Float32Array.of(1) }]]));
    const headerBytes = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(headerBytes % 8).toBe(0);
    const header: unknown = JSON.parse(Buffer.from(bytes.subarray(8, 8 + headerBytes)).toString());
    expect(header).toEqual({
      __metadata__: { format: 'pt' },
      w: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
    });
    expect([...bytes.subarray(8 + headerBytes)]).toEqual([0, 0, 0x80, 0x3f]);
  });

  it.each([
    ['a cut header length', new Uint8Array(5), /5 bytes/],
    ['a header over the limit', withHeader('{}').fill(0xff, 0, 7), /over the limit/],
    ['a header beyond the end', withHeader('{}').fill(100, 0, 1), /ends at byte 108/],
    ['a header that is no JSON', withHeader('{"a":'), /not JSON/],
    ['a header that is a list', withHeader('[]'), /not an object/],
    ['an entry without a shape', withHeader({ a: { dtype: 'F32', data_offsets: [0, 0] } }), /tensor a lacks/],
    [
      'negative offsets',
      withHeader({ a: { dtype: 'F32', shape: [0], data_offsets: [-4, -4] } }),
      /tensor a lacks/,
    ],
    [
      'another type',
      withHeader({ a: { dtype: 'F64', shape: [0], data_offsets: [0, 0] } }),
      /tensor a is F64; expected F32/,
    ],
    [
      'bytes that do not fit the shape',
      withHeader({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 4] } }, new Uint8Array(4)),
      /needs 8 bytes and has 4/,
    ],
    [
      'cut data',
      withHeader({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } }, new Uint8Array(6)),
      /cut off/,
    ],
    [
      'a hole',
      withHeader({ a: { dtype: 'F32', shape: [1], data_offsets: [4, 8] } }, new Uint8Array(8)),
      /begins at byte 4/,
    ],
    [
      'an overlap',
      withHeader(
        {
          a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
          b: { dtype: 'F32', shape: [1], data_offsets: [4, 8] },
        },
        new Uint8Array(8),
      ),
      /tensor b begins at byte 4 of the data where 8/,
    ],
    [
      'bytes after the last tensor',
      withHeader({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } }, new Uint8Array(5)),
      /1 bytes follow/,
    ],
    ['metadata that is no map of strings', withHeader({ __metadata__: { a: 1 } }), /metadata/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => parseSafetensors(bytes, 'some/file')).toThrow(CheckpointError);
    expect(() => parseSafetensors(bytes, 'some/file')).toThrow(message);
    expect(() => parseSafetensors(bytes, 'some/file')).toThrow('some/file');
  });

  it('never fails otherwise, whatever is cut or flipped', () => {
    const whole = serializeSafetensors(sample());
    fc.assert(
      fc.property(
        fc.nat(whole.length),
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
        (length, flips) => {
          const bytes = whole.slice();
          for (const [at, value] of flips) bytes[at] = value;
          try {
            parseSafetensors(bytes.subarray(0, length), 'f');
          } catch (error) {
            expect(error).toBeInstanceOf(CheckpointError);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('names a file that cannot be read', async () => {
    await expect(readSafetensors(join(directory, 'absent'))).rejects.toThrow(/Cannot read .*absent/);
  });

  it('writes a file whole or not at all', async () => {
    const path = join(directory, 'f.bin');
    await writeFileAtomically(path, 'first');
    await writeFileAtomically(path, 'second');
    expect(await readFile(path, 'utf8')).toBe('second');
    expect(await readdir(directory)).toEqual(['f.bin']);
    await expect(writeFileAtomically(join(directory, 'no', 'f'), 'x')).rejects.toThrow(/Cannot write .*no.f/);
  });

  it('keeps the old file when the new one cannot be written', async () => {
    const path = join(directory, 'taken');
    await writeFile(path, 'old');
    await expect(writeFileAtomically(join(path, 'below'), 'x')).rejects.toThrow(CheckpointError);
    expect(await readFile(path, 'utf8')).toBe('old');
  });
});
