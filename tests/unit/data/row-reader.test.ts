import { describe, expect, it } from 'vitest';
import { WindowOrder } from '../../../src/data/order/window-order.js';
import { createRowReader, defaultWindow, WindowReader } from '../../../src/data/row-reader.js';
import type { Row } from '../../../src/data/schema.js';
import { DataError } from '../../../src/errors.js';
import { MemorySource } from '../../support/memory-source.js';

const IMAGE_BYTES = 1000;

/** Rows whose images are views of one piece, as readers give them. */
function pieces(count: number): Row[] {
  const piece = new Uint8Array(count * IMAGE_BYTES).map((_, i) => Math.floor(i / IMAGE_BYTES));
  return Array.from({ length: count }, (_, i) => ({
    key: `k${i}`,
    image: piece.subarray(i * IMAGE_BYTES, (i + 1) * IMAGE_BYTES),
  }));
}

function setup(count: number, window: number, maxBytes: number, start = 0) {
  const source = new MemorySource(pieces(count));
  const order = new WindowOrder({ seed: 1, source: 0, shardRows: [count], window, shuffle: true });
  const asked: number[][] = [];
  const { readRows } = source;
  source.readRows = (indices, columns) => {
    asked.push([...indices]);
    return readRows.call(source, indices, columns);
  };
  const columns = ['key', 'image'];
  const options = { source, order, columns, start: { epoch: 0, position: start }, epochs: undefined };
  return { source, order, asked, reader: new WindowReader(options, maxBytes) };
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

describe('WindowReader', () => {
  it('reads each row of a window once, in the order in which they are stored', async () => {
    const { reader, order, asked } = setup(1000, 400, 1e9);
    for (let position = 0; position < 1000; position += 10) {
      const places = Array.from({ length: 10 }, (_, i) => ({ epoch: 0, position: position + i }));
      const rows = await reader.read(places);
      expect(rows.map(({ key }) => key)).toEqual(places.map((place) => `k${order.rowAt(0, place.position)}`));
    }
    for (const indices of asked) expect(indices).toEqual([...indices].sort((a, b) => a - b));
    const first = asked.flat().slice(0, 1000);
    expect(new Set(first).size).toBe(1000);
    await reader.close();
  });

  it('holds about a window, and begins the next as the current one is used up', async () => {
    const { reader, source } = setup(4000, 1000, 1000 * IMAGE_BYTES);
    let most = 0;
    for (let position = 0; position < 3000; position++) {
      await reader.read([{ epoch: 0, position }]);
      most = Math.max(most, reader.heldBytes);
      if (position === 0) await settled();
      // Once slices are free, the next window's are read in their place.
      if (position === 500) {
        await settled();
        expect(source.numRead).toBeGreaterThan(1400);
        expect(source.numRead).toBeLessThan(1800);
      }
    }
    expect(most).toBeLessThan(1.2 * 1000 * (IMAGE_BYTES + 5));
    await reader.close();
  });

  it('gives rows of their own, which keep no piece alive', async () => {
    const { reader } = setup(10, 10, 1e9);
    const [row] = (await reader.read([{ epoch: 0, position: 3 }])) as [Row];
    expect((row.image as Uint8Array).buffer.byteLength).toBeLessThan(1.25 * IMAGE_BYTES);
    await reader.close();
  });

  it('uses the memory of rows that are done with again, and of no others', async () => {
    const { reader, source, order } = setup(600, 300, 1e9);
    const read = async (position: number): Promise<Row> =>
      ((await reader.read([{ epoch: 0, position }])) as [Row])[0];
    const buffers = new Set<unknown>();
    let numReused = 0;
    const other = await read(0);
    for (let position = 1; position < 600; position++) {
      const row = await read(position);
      const { buffer } = row.image as Uint8Array;
      if (buffers.has(buffer)) numReused++;
      buffers.add(buffer);
      expect((row.image as Uint8Array)[0]).toBe(order.rowAt(0, position) % 256);
      reader.done(row);
      reader.done(row);
    }
    expect(numReused).toBeGreaterThan(100);
    expect((other.image as Uint8Array)[0]).toBe(order.rowAt(0, 0) % 256);
    // Read once more, it is the source's own.
    const again = await read(3);
    reader.done(again);
    const [kept] = (await source.readRows([order.rowAt(0, 3)], ['image'])) as [Row];
    expect((kept.image as Uint8Array)[0]).toBe(order.rowAt(0, 3) % 256);
    await reader.close();
  });

  it('reads the positions at which it begins first, few at a time, and then the rest as it is stored', async () => {
    const { reader, order, asked } = setup(1000, 1000, 1e9, 100);
    await reader.read(Array.from({ length: 200 }, (_, i) => ({ epoch: 0, position: 100 + i })));
    const head = Array.from({ length: 16 }, (_, i) => order.rowAt(0, 100 + i));
    expect(asked[0]).toEqual(head.sort((a, b) => a - b));
    expect(asked.slice(0, 9).map(({ length }) => length)).toEqual([...Array<number>(8).fill(16), 128]);
    await reader.close();
  });

  it('reads little that nobody waits for before rows are taken', async () => {
    const { reader, source } = setup(4000, 1000, 1e9);
    await reader.read([{ epoch: 0, position: 0 }]);
    await settled();
    // The first window, which a row was asked of, is a sixteenth.
    expect(source.numRead).toBe(63);
    await reader.close();
  });

  it('reads a window that is waited for though an earlier one is not read', async () => {
    const { reader, order } = setup(4000, 1000, 1e9);
    const [row] = await reader.read([{ epoch: 0, position: 3000 }]);
    expect(row?.key).toBe(`k${order.rowAt(0, 3000)}`);
    await reader.close();
  });

  it('reads nothing before its start, and forgets what is released', async () => {
    const { reader, order, asked } = setup(300, 100, 1e9, 150);
    await reader.read([{ epoch: 0, position: 199 }]);
    const before = new Set(Array.from({ length: 150 }, (_, position) => order.rowAt(0, position)));
    expect(asked.flat().some((row) => before.has(row))).toBe(false);
    await settled();
    reader.release({ epoch: 1, position: 0 });
    await settled();
    expect(reader.heldBytes).toBeLessThan(205 * (IMAGE_BYTES + 5));
    const [late] = await reader.read([{ epoch: 0, position: 151 }]); // not expected, and still right
    expect(late?.key).toBe(`k${order.rowAt(0, 151)}`);
    await reader.close();
  });

  it('reads what was asked for though it is released before', async () => {
    const { reader, order } = setup(4000, 1000, 1e9);
    const places = [3000, 3001, 50].map((position) => ({ epoch: 0, position }));
    const reading = reader.read(places);
    reader.release({ epoch: 1, position: 10 });
    const keys = (await reading).map(({ key }) => key);
    expect(keys).toEqual(places.map(({ position }) => `k${order.rowAt(0, position)}`));
    await reader.close();
  });

  it('passes on the failure of a read to the rows of that read', async () => {
    const { reader, source, order } = setup(400, 400, 1e9);
    const { readRows } = source;
    source.readRows = async (indices, columns) => {
      if (indices.includes(0)) throw new DataError('row 0 is cut off');
      return readRows.call(source, indices, columns);
    };
    const places = Array.from({ length: 400 }, (_, position) => ({ epoch: 0, position }));
    const at = (row: number) => places.filter(({ position }) => order.rowAt(0, position) === row);
    await expect(reader.read(at(0))).rejects.toThrow('row 0 is cut off');
    expect((await reader.read(at(399)))[0]?.key).toBe('k399');
    await reader.close();
    await expect(reader.read(at(5))).rejects.toThrow('The loader was closed.');
  });
});

describe('the choice of a reader and of a window', () => {
  const source = (rowBytes?: number, count = 10) =>
    Object.assign(new MemorySource(pieces(count)), { rowBytes });

  it('goes by how much a row takes', () => {
    expect(defaultWindow(source())).toBe(65_536);
    expect(defaultWindow(source(1000))).toBe(65_536);
    expect(defaultWindow(source(50_000))).toBe(Math.floor(2 ** 28 / 50_000));
    expect(defaultWindow(source(2 ** 24))).toBe(256);
  });

  it('reads small sources, and those that read rows singly, row by row', () => {
    const order = new WindowOrder({ seed: 1, source: 0, shardRows: [10], window: 10, shuffle: true });
    const options = { order, columns: ['key'], start: { epoch: 0, position: 0 }, epochs: 1 };
    const isWindowed = (rowBytes?: number) =>
      createRowReader({ ...options, source: source(rowBytes) }) instanceof WindowReader;
    expect([isWindowed(), isWindowed(2 ** 23), isWindowed(2 ** 24)]).toEqual([false, false, true]);
  });
});
