import { describe, expect, it } from 'vitest';
import { SCORE_COLUMNS, scoreRows, summariseSeeds } from '../../../src/cli/quickstart/summary.js';

const score = (value: number) => ({ value, chance: 0.0005, numQueries: 1000, numCandidates: 2000 });

describe('summariseSeeds', () => {
  it('gives mean, sample deviation, range and the ratio to chance', () => {
    const summary = summariseSeeds([{ top1: score(0.04) }, { top1: score(0.05) }, { top1: score(0.06) }]);
    expect(summary.top1).toMatchObject({
      values: [0.04, 0.05, 0.06],
      min: 0.04,
      max: 0.06,
      numCandidates: 2000,
    });
    expect(summary.top1?.mean).toBeCloseTo(0.05, 12);
    expect(summary.top1?.deviation).toBeCloseTo(0.01, 12);
    expect(summary.top1?.timesChance).toBeCloseTo(100, 9);
    const [row] = scoreRows(summary);
    expect(row).toHaveLength(SCORE_COLUMNS.length);
    expect(row?.slice(0, 6)).toEqual(['top1', '5.00 %', '1.00 %', '4.00 % to 6.00 %', '0.05 %', '100.0 x']);
  });

  it('gives one seed no spread', () => {
    const summary = summariseSeeds([{ top1: score(0.04) }]);
    expect(summary.top1?.deviation).toBeNull();
    expect(scoreRows(summary)[0]?.[2]).toBe('');
    expect(summariseSeeds([])).toEqual({});
  });
});
