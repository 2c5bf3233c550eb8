import { describe, expect, it } from 'vitest';
import { textHash } from '../../../../src/data/distinct.js';
import { entitiesOf } from '../../../../src/data/inspect/entities.js';
import { FaultCounter } from '../../../../src/data/inspect/faults.js';
import { forEachInOrder, runsOf } from '../../../../src/data/inspect/in-order.js';
import { LengthCounter } from '../../../../src/data/inspect/lengths.js';
import { EntityTally } from '../../../../src/data/inspect/overlap.js';
import { spreadPlaces } from '../../../../src/data/inspect/read-rows.js';
import { RepeatCounter } from '../../../../src/data/inspect/repeats.js';
import type { LengthSummary } from '../../../../src/data/inspect/report.js';
import { SampledTable } from '../../../../src/data/inspect/sampled-table.js';
import { VocabularyCounter } from '../../../../src/data/inspect/vocabulary.js';
import { captionHash, pairHash, wordsOf } from '../../../../src/data/inspect/words.js';

describe('wordsOf', () => {
  it('keeps apostrophes, hyphens and dots inside words, in any script', () => {
    expect(wordsOf("The dog's T-shirt, 3.5 km — ÉCOLE и кот. img_1.jpg")).toEqual([
      'the',
      "dog's",
      't-shirt',
      '3.5',
      'km',
      'école',
      'и',
      'кот',
      'img',
      '1.jpg',
    ]);
    expect(wordsOf(' … ')).toEqual([]);
  });
});

describe('captionHash', () => {
  it('takes captions as equal whatever their case and white space', () => {
    expect(captionHash('  A  Cat\n')).toBe(captionHash('a cat'));
    expect(captionHash('a cat')).not.toBe(captionHash('a cats'));
  });
});

describe('pairHash', () => {
  it('tells the order of words and hardly ever meets', () => {
    const words = Array.from({ length: 300 }, (_, i) => textHash(`w${i}`));
    const pairs = new Set(words.flatMap((a) => words.map((b) => pairHash(a, b))));
    expect(pairs.size).toBeGreaterThan(300 * 300 - 3);
    expect(Math.max(...pairs)).toBeLessThan(2 ** 53);
  });
});

describe('entitiesOf', () => {
  it('finds nouns and names by their lemma, once each', () => {
    expect(entitiesOf('Two dogs and a dog are running on Seedskadee.', 'nouns')).toEqual([
      'dog',
      'seedskadee',
    ]);
    expect(entitiesOf('a red, small, quickly', 'nouns')).toEqual([]);
  });

  it('finds all words but empty ones where it is told so', () => {
    expect(entitiesOf('The red dogs of a dog 12', 'words')).toEqual(['red', 'dogs', 'dog']);
  });
});

describe('SampledTable', () => {
  it('holds all values while they fit, and then a fair sample', () => {
    const table = new SampledTable(1, 1024);
    const add = (i: number): void => {
      const slot = table.slotOf(textHash(`value ${i}`));
      if (slot !== undefined) table.column(0)[slot] = (table.column(0)[slot] as number) + 1;
    };
    for (let i = 0; i < 600; i++) add(i);
    expect([table.size, table.scale]).toEqual([600, 1]);
    for (let i = 600; i < 20_000; i++) add(i);
    for (let i = 0; i < 20_000; i++) add(i);
    expect(table.scale).toBe(64);
    expect(Math.abs(table.size * table.scale - 20_000)).toBeLessThan(2500);
    // Whatever is still held was counted each time.
    expect([...table.slots()].every((slot) => table.column(0)[slot] === 2)).toBe(true);
  });
});

describe('RepeatCounter', () => {
  it('counts what repeats, and names the rows', () => {
    const counter = new RepeatCounter();
    for (const [row, text] of ['a', 'b', 'a', 'c', 'b', 'a'].entries()) counter.add(textHash(text), row);
    expect(counter.report()).toEqual({ total: 6, distinct: 3, repeatedValues: 2, extra: 3, exact: true });
    expect(counter.top(1)).toEqual([{ hash: textHash('a'), count: 3, firstRow: 0, lastRow: 5 }]);
    expect(counter.top(9).map(({ count }) => count)).toEqual([3, 2]);
  });
});

describe('LengthCounter', () => {
  it('sums lengths up', () => {
    const lengths = new LengthCounter();
    expect(lengths.summary()).toBeUndefined();
    for (let i = 1; i <= 100; i++) lengths.add(i);
    const { histogram, ...summary } = lengths.summary() as LengthSummary;
    expect(summary).toEqual({ least: 1, median: 50, mean: 50.5, p95: 95, p99: 99, most: 100 });
    expect(histogram.width).toBe(1);
    expect(histogram.counts.slice(0, 3)).toEqual([0, 1, 1]);
    expect(lengths.share((length) => length > 75)).toBe(0.25);
  });

  it('makes bars wider, and puts what is far out into the last', () => {
    const lengths = new LengthCounter();
    for (let i = 0; i < 2000; i++) lengths.add(i % 1000);
    lengths.add(1_000_000);
    const { width, counts } = (lengths.summary() as LengthSummary).histogram;
    expect(width).toBe(4);
    expect(counts).toHaveLength(250);
    expect(counts[0]).toBe(8);
    expect(counts.at(-1)).toBe(9);
  });
});

describe('VocabularyCounter', () => {
  it('notes how many different words there are after 100 words and 100 captions', () => {
    const counter = new VocabularyCounter();
    // 120 captions of two words each: one that they share and one of 30.
    for (let i = 0; i < 120; i++) {
      const own = [textHash('a'), textHash(`w${i % 30}`)] as const;
      counter.add(Float64Array.from(own), Float64Array.of(pairHash(...own)));
    }
    const report = counter.report();
    expect(report).toMatchObject({ captions: 120, words: 240, vocabulary: 31, exact: true });
    expect(report.distinct1).toBeCloseTo(31 / 240);
    expect(report.distinct2).toBeCloseTo(30 / 120);
    expect(report.byWords).toEqual([
      { captions: 49, words: 100, vocabulary: 31 },
      { captions: 99, words: 200, vocabulary: 31 },
    ]);
    expect(report.byCaptions).toEqual([{ captions: 100, words: 200, vocabulary: 31 }]);
  });
});

describe('EntityTally', () => {
  it('tells what two kinds share, as in figure 7', () => {
    const tally = new EntityTally();
    const add = (kind: 'alt' | 'ssc' | 'dsc', ...names: string[]): void => {
      for (const name of names) tally.name(textHash(name), name);
      tally.add(kind, Float64Array.from(names, textHash));
    };
    add('alt', 'seedskadee', 'pronghorn', 'usfws');
    add('alt', 'seedskadee');
    add('ssc', 'pronghorn', 'grass');
    add('dsc', 'grass');
    const { totals, overlaps, exact } = tally.report(['alt', 'ssc', 'dsc']);
    expect(totals).toEqual({ alt: 3, ssc: 2, dsc: 1 });
    expect(exact).toBe(true);
    expect(overlaps.map(({ kind, base }) => `${kind} ${base}`)).toEqual(['ssc alt', 'dsc alt', 'dsc ssc']);
    expect(overlaps[0]).toEqual({
      kind: 'ssc',
      base: 'alt',
      onlyKind: 1,
      shared: 1,
      onlyBase: 2,
      baseCovered: 1 / 3,
      examples: { onlyKind: ['grass'], onlyBase: ['seedskadee', 'usfws'] },
    });
  });
});

describe('FaultCounter', () => {
  it('puts faults together that differ in numbers and quoted text only', () => {
    const faults = new FaultCounter();
    for (let i = 0; i < 5; i++) faults.add(`k${i}`, `Line ${i} holds '${i}'.`);
    faults.add('other', 'It is cut off.');
    expect(faults.total).toBe(6);
    expect(faults.report()).toEqual([
      {
        reason: 'Line N holds ….',
        count: 5,
        examples: [0, 1, 2].map((i) => ({ key: `k${i}`, message: `Line ${i} holds '${i}'.` })),
      },
      { reason: 'It is cut off.', count: 1, examples: [{ key: 'other', message: 'It is cut off.' }] },
    ]);
  });
});

describe('spreadPlaces', () => {
  it('draws one place of each stretch, the same for the same seed', () => {
    const places = spreadPlaces(1000, 100, 7, 'rows');
    expect(places.map((place) => Math.floor(place / 10))).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(spreadPlaces(1000, 100, 7, 'rows')).toEqual(places);
    expect(spreadPlaces(1000, 100, 8, 'rows')).not.toEqual(places);
    expect(spreadPlaces(3, 9, 0, 'rows')).toEqual([0, 1, 2]);
  });
});

describe('forEachInOrder', () => {
  it('finishes in order, and has only so many under way', async () => {
    let underWay = 0;
    let most = 0;
    const finished: number[] = [];
    await forEachInOrder(
      [5, 1, 4, 2, 3],
      2,
      async (item) => {
        most = Math.max(most, ++underWay);
        await new Promise((resolve) => setTimeout(resolve, item));
        underWay--;
        return item * 10;
      },
      (item, result) => finished.push(item, result),
    );
    expect(finished).toEqual([5, 50, 1, 10, 4, 40, 2, 20, 3, 30]);
    expect(most).toBe(2);
  });

  it('throws the error of the first that fails, and begins nothing more', async () => {
    const begun: number[] = [];
    const work = forEachInOrder(
      [0, 1, 2, 3, 4, 5],
      2,
      async (item) => {
        begun.push(item);
        if (item === 1) throw new Error('one');
      },
      () => undefined,
    );
    await expect(work).rejects.toThrow('one');
    expect(begun).toEqual([0, 1, 2]);
    expect([...runsOf([1, 2, 3], 2)]).toEqual([[1, 2], [3]]);
  });
});
