/** Arrow shards with a flipped bit or a lost end: an error that names the file, or rows, but never a crash. */
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Binary,
  Field,
  Int32,
  List,
  RecordBatchStreamWriter,
  Struct,
  Table,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import { Message } from 'apache-arrow/ipc/metadata/message';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSource } from '../../../../src/data/datasets/open.js';
import type { Column, Row } from '../../../../src/data/schema.js';
import { writeArrow } from '../../../../src/data/sources/writers.js';
import { DataError } from '../../../../src/errors.js';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'capstan-damage-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** A record batch with every kind of column that a data set has, and a dictionary. */
function stream(numBatches: number): Uint8Array {
  const image = new Struct([new Field('bytes', new Binary()), new Field('path', new Utf8())]);
  const captions = new List(new Field('item', new Utf8(), true));
  const part = new Table({
    n: vectorFromArray([1, 2, 3], new Int32()),
    word: vectorFromArray(['a', null, 'b']),
    image: vectorFromArray(
      [1, 2, 3].map((n) => ({ bytes: Uint8Array.of(n, 255), path: `${n}.jpg` })),
      image,
    ),
    alt: vectorFromArray(['an alt', null, ''], new Utf8()),
    captions: vectorFromArray([['one', 'two'], [], null], captions),
  });
  const whole = part.concat(...Array<Table>(numBatches - 1).fill(part));
  return RecordBatchStreamWriter.writeAll(whole).toUint8Array(true);
}

async function rowsOf(path: string): Promise<Row[]> {
  const source = await openSource(path);
  try {
    return await source.readRows([...Array(source.numRows).keys()], source.columns);
  } finally {
    await source.close();
  }
}

/** Where the messages' heads begin and end, and where the whole stream ends without its end marker. */
function headsOf(bytes: Uint8Array): { heads: [start: number, end: number][]; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const heads: [number, number][] = [];
  let at = 0;
  for (;;) {
    const end = at + 8 + view.getInt32(at + 4, true);
    if (end === at + 8) return { heads, end: at };
    heads.push([at, end]);
    at = end + Message.decode(bytes.subarray(at + 8, end)).bodyLength;
  }
}

/** Reads the file with each of the bits flipped; counts what became of it. Any error must be ours, with the path. */
async function flipBits(bytes: Uint8Array, places: Iterable<number>, bits: readonly number[]) {
  const path = join(folder, 'flipped.arrow');
  await writeFile(path, bytes);
  const file = await open(path, 'r+');
  let [numErrors, numRead] = [0, 0];
  try {
    for (const at of places) {
      for (const bit of bits) {
        await file.write(Uint8Array.of((bytes[at] as number) ^ (1 << bit)), 0, 1, at);
        try {
          await rowsOf(path);
          numRead++;
        } catch (error) {
          numErrors++;
          if (!(error instanceof DataError) || !error.message.startsWith(path)) {
            throw new Error(`byte ${at}, bit ${bit}`, { cause: error });
          }
        }
      }
      await file.write(bytes, at, 1, at);
    }
  } finally {
    await file.close();
  }
  return { numErrors, numRead };
}

function* range(start: number, end: number): Iterable<number> {
  for (let i = start; i < end; i++) yield i;
}

const everyBit = [0, 1, 2, 3, 4, 5, 6, 7];

describe('a flipped bit', () => {
  it('in the head of any message of a stream is an error that names the file, or is read', async () => {
    const bytes = stream(1);
    const { heads } = headsOf(bytes);
    expect(heads).toHaveLength(3); // schema, dictionary, record batch
    for (const [start, end] of heads) {
      const { numErrors, numRead } = await flipBits(bytes, range(start, end), everyBit);
      // The rest is in padding, names, and figures that do not matter.
      expect(numErrors).toBeGreaterThan(numRead);
    }
  });

  it('in the footer of a file, likewise', async () => {
    const columns: Column[] = [
      { name: 'key', type: 'string' },
      { name: 'captions', type: 'list<string>' },
    ];
    await writeArrow(join(folder, 'file.arrow'), columns, [{ key: 'a', captions: ['one'] }], 4);
    const bytes = await readFile(join(folder, 'file.arrow'));
    const footer = bytes.length - 10 - bytes.readInt32LE(bytes.length - 10);
    const { numErrors } = await flipBits(bytes, range(footer, bytes.length), everyBit);
    expect(numErrors).toBeGreaterThan(0);
  });
});

describe('a stream cut off', () => {
  it('within a message is an error; between messages, without its end marker, it is not', async () => {
    const bytes = stream(2);
    const { heads, end } = headsOf(bytes);
    const last = (heads.at(-1) as [number, number])[0];
    const path = join(folder, 'cut.arrow');
    const numRows = async (length: number): Promise<number> => {
      await writeFile(path, bytes.subarray(0, length));
      return (await rowsOf(path)).length;
    };
    expect(await numRows(bytes.length)).toBe(6);
    expect(await numRows(end)).toBe(6);
    expect(await numRows(last)).toBe(3);
    for (const from of [last, end]) {
      for (let rest = 1; rest < 8; rest++) {
        await expect(numRows(from + rest), `${rest} bytes`).rejects.toThrow(
          `${path}: the shard is cut off or damaged`,
        );
      }
    }
    await expect(numRows(end - 1)).rejects.toThrow(DataError);
  });

  it('may not go on after its end marker', async () => {
    const path = join(folder, 'more.arrow');
    await writeFile(path, Buffer.concat([stream(1), Uint8Array.of(0)]));
    await expect(rowsOf(path)).rejects.toThrow(/expected an end at byte \d+, found \d+ bytes/);
  });
});

describe('damage that a flipped bit does not make', () => {
  const file = (...heads: number[][]): Uint8Array =>
    Buffer.concat(
      heads.map((words) => {
        const head = new Uint8Array(8 + words.length * 4);
        const view = new DataView(head.buffer);
        view.setUint32(0, 0xffffffff, true);
        view.setInt32(4, words.length * 4, true);
        for (const [i, word] of words.entries()) view.setUint32(8 + 4 * i, word, true);
        return head;
      }),
    );

  it.each([
    ['an offset beyond the head', [1 << 30, 0, 0, 0]],
    ['no vtable', [4, 0, 0, 0]],
    ['a vtable beyond the head', [4, 0x80000000, 0, 0]],
  ])('%s is an error', async (_, words) => {
    const path = join(folder, 'made.arrow');
    await writeFile(path, file(words));
    await expect(rowsOf(path)).rejects.toThrow(/made\.arrow: is not a readable Arrow shard \(/);
  });
});
