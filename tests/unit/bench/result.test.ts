import { describe, expect, it } from 'vitest';
import {
  type Case,
  casesTable,
  formatNumber,
  formatTable,
  isMet,
  summarize,
} from '../../../bench/lib/result.js';
import { spreadOf } from '../../../bench/lib/statistics.js';

const at = (name: string, ratio: number, target?: number): Case => ({
  name,
  unit: 'img/s',
  ours: 10 * ratio,
  peer: 10,
  ratio,
  ...(target === undefined ? {} : { target }),
});

describe('statistics', () => {
  it('keep the extremes and the count', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3, repeats: 3 });
  });
});

describe('a bench’s result', () => {
  it('has the case of the lowest ratio on top', () => {
    const cases = [at('a', 1.5), at('b', 0.8), at('c', 2)];
    expect(summarize('race', cases)).toEqual({
      name: 'race',
      unit: 'img/s',
      ours: 8,
      peer: 10,
      ratio: 0.8,
      cases,
    });
    expect(() => summarize('race', [])).toThrow('race has no case');
  });

  it('says which targets are met', () => {
    expect([at('a', 1.1, 1.1), at('b', 1.09, 1.1), at('c', 5)].map(isMet)).toEqual([true, false, undefined]);
    const lines = casesTable([at('a', 1.2, 1.1), at('b', 1, 1.1), at('c', 1)]).split('\n');
    expect(lines[2]).toMatch(/^a .* 1\.200 +1\.10 +met$/);
    expect(lines[3]).toMatch(/MISSED$/);
    expect(lines[4]).toMatch(/ 1\.000$/);
  });

  it('aligns columns', () => {
    expect(
      formatTable(
        ['x', 'n'],
        [
          ['long', '1'],
          ['y', '100'],
        ],
      ),
    ).toBe('x       n\n----  ---\nlong    1\ny     100');
  });

  it('keeps four digits, and all before the point', () => {
    expect([12.34567, 0.00123456, 123456.7, 0].map(formatNumber)).toEqual([
      '12.35',
      '0.001235',
      '123457',
      '0',
    ]);
  });
});
