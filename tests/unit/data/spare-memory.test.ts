import { describe, expect, it } from 'vitest';
import { freeMemory, ReadScope } from '../../../src/data/free-memory.js';
import { SpareMemory } from '../../../src/data/spare-memory.js';

describe('SpareMemory', () => {
  it('hands out what was put back if it is large enough, else new memory with slack', () => {
    const spare = new SpareMemory(2);
    const first = spare.take(100);
    expect(first.length).toBe(125);
    spare.put(first);
    expect(spare.take(120)).toBe(first);
    spare.put(first);
    expect(spare.take(126)).not.toBe(first);
    expect(spare.take(1)).toBe(first);
  });

  it('gives exact sizes only of what it has', () => {
    const spare = new SpareMemory(2);
    const piece = new Uint8Array(8);
    spare.put(piece);
    expect(spare.takeExact(7)).toBeUndefined();
    expect(spare.takeExact(8)).toBe(piece);
    expect(spare.takeExact(8)).toBeUndefined();
  });

  it('keeps no more pieces than it may, and none that is moved away or huge', () => {
    const spare = new SpareMemory(2);
    const pieces = [1, 2, 3].map((length) => new Uint8Array(length));
    for (const piece of pieces) spare.put(piece);
    expect([1, 2, 3].map((length) => spare.takeExact(length))).toEqual([undefined, pieces[1], pieces[2]]);
    spare.put(new Uint8Array(0));
    expect(spare.takeExact(0)).toBeUndefined();
    spare.put(new Uint8Array(65 * 2 ** 20));
    expect(spare.takeExact(65 * 2 ** 20)).toBeUndefined();
  });
});

describe('memory that is given back', () => {
  it('leaves arrays over it empty, however many', () => {
    const bytes = new Uint8Array(16);
    const view = bytes.subarray(4, 8);
    freeMemory(bytes);
    expect([bytes.length, view.length]).toEqual([0, 0]);
    expect(() => freeMemory(new Uint8Array(16))).not.toThrow();
  });

  it('is what a scope owns, when the scope is freed', () => {
    const [owned, other] = [new Uint8Array(4), new Uint8Array(4)];
    const scope = new ReadScope();
    scope.own(owned);
    expect(owned.length).toBe(4);
    scope.free();
    scope.free();
    expect([owned.length, other.length]).toEqual([0, 4]);
  });
});
