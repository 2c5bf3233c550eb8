/** What the images of a data set are. */
import { clusterDuplicates, type Fingerprint, fingerprintOf } from '../image/duplicates.js';
import { type ImageFinding, THUMB_BYTES, THUMB_SIDE } from './examine-images.js';
import { FaultCounter } from './faults.js';
import { LengthCounter } from './lengths.js';
import { RepeatCounter } from './repeats.js';
import type { ImageReport, ImageTrait, NearReport } from './report.js';

/** Images compared with each other at most: each with every other one. */
export const MAX_COMPARED = 20_000;
/** Groups and sizes that are listed. */
const NUM_TOP = 10;
const KEYS_OF_GROUP = 6;
/** Sizes told apart, so that memory is bounded. */
const MAX_SIZES = 100_000;

const TRAITS: readonly ImageTrait[] = ['grey', 'palette', 'cmyk', 'alpha', 'animated', '16-bit'];

/** A group of equal files by the rows of its first and last. */
export interface EqualFiles {
  readonly rows: readonly number[];
  readonly count: number;
}

/** Counts images; memory is bounded. */
export class ImageTally {
  readonly #broken = new FaultCounter();
  readonly #formats = new Map<string, number>();
  readonly #traits = new Map<ImageTrait, number>();
  readonly #orientations = new Map<string, number>();
  readonly #sizes = new Map<string, number>();
  readonly #files = new RepeatCounter();
  readonly #prints: { readonly row: number; readonly print: Fingerprint }[] = [];
  readonly #lengths = {
    width: new LengthCounter(),
    height: new LengthCounter(),
    shortSide: new LengthCounter(),
    bytes: new LengthCounter(),
    aspect: new LengthCounter(),
  };
  #looked = 0;
  #bombs = 0;

  /** @param comparedEvery of the images that can be decoded, each of so many is compared with the others */
  constructor(private readonly comparedEvery: number) {}

  /** An image that is not there or cannot be read. */
  addMissing(key: string, message: string): void {
    this.#looked++;
    this.#broken.add(key, message);
  }

  /** @param thumb its small picture, of which a copy is kept */
  add(key: string, row: number, finding: ImageFinding, thumb: Uint8Array): void {
    const { failure, format, width, height, traits, orientation, hash, bytes } = finding;
    const isCompared = this.#looked++ % this.comparedEvery === 0;
    this.#lengths.bytes.add(bytes);
    this.#files.add(hash, row);
    if (format !== undefined) increment(this.#formats, format);
    if (failure !== undefined) {
      this.#broken.add(key, failure);
      if (/decompression bomb/.test(failure)) this.#bombs++;
      return;
    }
    for (const trait of traits) increment(this.#traits, trait);
    if (orientation !== undefined) increment(this.#orientations, String(orientation));
    if (width !== undefined && height !== undefined) this.#addSize(width, height);
    if (isCompared && this.#prints.length < MAX_COMPARED) {
      this.#prints.push({ row, print: fingerprintOf(thumb.slice(0, THUMB_BYTES), THUMB_SIDE) });
    }
  }

  #addSize(width: number, height: number): void {
    this.#lengths.width.add(width);
    this.#lengths.height.add(height);
    this.#lengths.shortSide.add(Math.min(width, height));
    this.#lengths.aspect.add(Math.round((100 * width) / height));
    const size = `${width} ${height}`;
    if (this.#sizes.has(size) || this.#sizes.size < MAX_SIZES) increment(this.#sizes, size);
  }

  /** Rows of the largest groups of equal files. */
  topFiles(): EqualFiles[] {
    return this.#files
      .top(NUM_TOP)
      .map(({ firstRow, lastRow, count }) => ({ rows: [firstRow, lastRow], count }));
  }

  /** Groups of two or more images that look alike by their rows, the largest first. */
  nearGroups(): number[][] {
    const groups = new Map<number, number[]>();
    for (const [i, leader] of clusterDuplicates(this.#prints.map(({ print }) => print)).entries()) {
      const row = this.#prints[i]?.row as number;
      const group = groups.get(leader);
      if (group === undefined) groups.set(leader, [row]);
      else group.push(row);
    }
    return [...groups.values()].filter(({ length }) => length > 1).sort((a, b) => b.length - a.length);
  }

  /** @param keyOf the key of a row that {@link topFiles} or {@link nearGroups} names among the first */
  report(of: number, near: readonly number[][], keyOf: (row: number) => string): ImageReport {
    const broken = this.#broken.report();
    const traits = TRAITS.map((trait) => [trait, this.#traits.get(trait) ?? 0] as const);
    const lengths = Object.entries(this.#lengths).flatMap(([name, counter]) => {
      const summary = counter.summary();
      return summary === undefined ? [] : [[name, summary] as const];
    });
    return {
      looked: this.#looked,
      of,
      decoded: this.#looked - this.#broken.total,
      broken,
      bombs: this.#bombs,
      formats: mostFirst(this.#formats),
      modes: Object.fromEntries(traits) as Record<ImageTrait, number>,
      orientations: Object.fromEntries([...this.#orientations].sort()),
      ...Object.fromEntries(lengths),
      sizes: Object.entries(mostFirst(this.#sizes))
        .slice(0, NUM_TOP)
        .map(([size, count]) => {
          const [width, height] = size.split(' ').map(Number) as [number, number];
          return { width, height, count };
        }),
      equalFiles: {
        ...this.#files.report(),
        top: this.topFiles().map(({ rows, count }) => ({ keys: rows.map(keyOf), count })),
      },
      nearDuplicates: this.#nearReport(near, keyOf),
    };
  }

  #nearReport(near: readonly number[][], keyOf: (row: number) => string): NearReport {
    return {
      compared: this.#prints.length,
      groups: near.length,
      extra: near.reduce((sum, { length }) => sum + length - 1, 0),
      top: topGroups(near).map((rows, i) => ({ keys: rows.map(keyOf), count: (near[i] as number[]).length })),
    };
  }
}

/** Of the largest groups the first rows, those that a report names. */
export function topGroups(near: readonly number[][]): number[][] {
  return near.slice(0, NUM_TOP).map((rows) => rows.slice(0, KEYS_OF_GROUP));
}

function increment<K>(counts: Map<K, number>, of: K): void {
  counts.set(of, (counts.get(of) ?? 0) + 1);
}

function mostFirst(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
}
