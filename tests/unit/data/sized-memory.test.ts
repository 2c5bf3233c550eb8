import { describe, expect, it } from 'vitest';
import { SizedMemory } from '../../../src/data/sized-memory.js';

const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

describe('SizedMemory', () => {
  it('copies into memory that was put back, if it is of about that size', () => {
    const memory = new SizedMemory(1e6);
    const first = memory.copy(filled(1000, 1));
    const { buffer } = first;
    memory.put(first);
    const second = memory.copy(filled(990, 2));
    expect(second).toEqual(filled(990, 2));
    expect(second.buffer).toBe(buffer);
    const third = memory.copy(filled(990, 3));
    expect(third.buffer).not.toBe(buffer);
    expect(second).toEqual(filled(990, 2));
  });

  it('leaves over at most a quarter, of none too', () => {
    const memory = new SizedMemory(0);
    for (let length = 0; length < 5000; length += 7) {
      const { buffer } = memory.copy(filled(length, 1));
      expect(buffer.byteLength).toBeGreaterThanOrEqual(length);
      expect(buffer.byteLength).toBeLessThanOrEqual(Math.max(4, 1.25 * length));
    }
  });

  it('frees what is more than it may keep', () => {
    const memory = new SizedMemory(1024);
    const copies = [1, 2, 3].map((value) => memory.copy(filled(512, value)));
    for (const copy of copies) memory.put(copy);
    expect(copies.map(({ length }) => length)).toEqual([512, 512, 0]);
    memory.clear();
    expect(memory.copy(filled(512, 4)).buffer).not.toBe(copies[0]?.buffer);
  });
});
