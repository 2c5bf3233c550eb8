/** A split held for evaluation: its encoded images, its columns, its captions. */
import { createHash } from 'node:crypto';
import { evalTransform } from '../data/image/transforms.js';
import type { Skip } from '../data/mix-stats.js';
import { ConfigError, DataError } from '../errors.js';
import type { EvalImages } from './evaluators.js';
import { type SkipPolicy, Skips } from './skips.js';

/** One image of a split. */
export interface EvalRow {
  readonly key: string;
  /** The encoded file. */
  readonly image: Uint8Array;
  /** Why the row is known to be broken without decoding it: no key, no image, or a file of another kind. */
  readonly fault?: string;
  /** Text columns: label, subgroup, style and so on; null where the row has none. */
  readonly columns: Readonly<Record<string, string | null>>;
  /** Captions that describe this image, for retrieval. */
  readonly captions: readonly string[];
}

/** How the images of a split are read. */
export interface SplitPolicy extends SkipPolicy {
  /** Whether the orientation that EXIF data tells is applied; as it was in training. Default false. */
  readonly exif?: boolean;
}

// Decoded pixels are kept up to this size, because training evaluates the same split again and again.
const MAX_CACHED_BYTES = 256 * 2 ** 20;
const DECODED_AT_ONCE = 32;

/**
 * The rows of a split with their pixels decoded on demand by the evaluation transform. Rows known to be broken are
 * left out at once; images that turn out to be when they are decoded keep their number, and are to be left out of
 * scores.
 */
export class EvalSplit {
  readonly keys: readonly string[];
  /** The broken rows found so far. */
  readonly skips: Skips;
  /** SHA-256 (hex) of the shards that the rows are from, see `Source`. */
  readonly fingerprint: string;
  /** Of each image, its row among all that were read, the broken ones included. */
  readonly places: readonly number[];
  readonly #rows: readonly EvalRow[];
  readonly #name: string;
  readonly #exif: boolean;
  readonly #cache = new Map<string, Uint8Array>();
  /** By image, what is wrong with it. */
  readonly #undecodable = new Map<number, string>();
  readonly #all: readonly EvalRow[];

  /**
   * @param name what the rows are, for messages: "split 'test' of data/emoji".
   * @param policy by default no row may be broken.
   * @throws DataError without rows, or with more broken ones than may be.
   */
  constructor(
    rows: readonly EvalRow[],
    name: string,
    policy: SplitPolicy = { maxSkipRatio: 0 },
    fingerprint = '',
  ) {
    if (rows.length === 0) throw new DataError(`There is no image in ${name}; nothing can be evaluated.`);
    this.skips = new Skips(name, rows.length, policy);
    this.skips.add(rows.flatMap(({ key, fault }) => (fault === undefined ? [] : [{ key, reason: fault }])));
    this.#all = rows;
    this.places = [...rows.keys()].filter((place) => rows[place]?.fault === undefined);
    this.#rows = this.places.map((place) => rows[place] as EvalRow);
    if (this.#rows.length === 0)
      throw new DataError(`None of the ${rows.length} rows of ${name} can be read.`);
    this.#name = name;
    this.#exif = policy.exif ?? false;
    this.fingerprint = fingerprint;
    this.keys = this.#rows.map(({ key }) => key);
  }

  /** The images as evaluations take them. */
  images(): Required<Omit<EvalImages, 'embed'>> {
    return {
      keys: this.keys,
      readPixels: this.readPixels.bind(this),
      isBroken: (image) => this.#undecodable.has(image),
      skips: this.skips,
    };
  }

  /** Rows that were read, the broken ones included. */
  get numRows(): number {
    return this.#all.length;
  }

  /** Keys of all rows that were read. */
  get rowKeys(): string[] {
    return this.#all.map(({ key }) => key);
  }

  /** SHA-256 (hex) of the keys and image files of all rows: equal if and only if they are. */
  get contentHash(): string {
    const hash = createHash('sha256');
    for (const { key, image } of this.#all) hash.update(`${key}\0${image.length}\0`).update(image);
    return hash.digest('hex');
  }

  /** What was found to be broken so far, by row among all that were read. */
  get faults(): Map<number, string> {
    const known = [...this.#all.entries()].flatMap(([place, { fault }]) =>
      fault === undefined ? [] : [[place, fault] as const],
    );
    const found = [...this.#undecodable].map(([image, why]) => [this.places[image] as number, why] as const);
    return new Map([...known, ...found]);
  }

  /** Notes images that were found to be undecodable before. @throws DataError if they are more than may be */
  noteBroken(images: ReadonlyMap<number, string>): void {
    const found = [...images].filter(([image]) => !this.#undecodable.has(image));
    for (const [image, reason] of found) this.#undecodable.set(image, reason);
    this.skips.add(found.map(([image, reason]) => ({ key: this.keys[image] as string, reason })));
  }

  /**
   * A column that every row has.
   *
   * @throws ConfigError naming the columns there are; DataError naming a row that has no value
   */
  column(column: string): string[] {
    return this.#rows.map(({ key, columns }) => {
      const value = columns[column];
      if (value === undefined) {
        throw new ConfigError(
          `There is no text column '${column}' in ${this.#name}; it has ${Object.keys(columns).join(', ')}.`,
        );
      }
      if (value === null) {
        throw new DataError(`Row ${key} of ${this.#name} has no value in column '${column}'.`);
      }
      return value;
    });
  }

  /**
   * A column as class names for prompts: where no value has a space, the values are slugs, and
   * `face-smiling` is read as words. Throws as {@link column} does.
   */
  classLabels(column: string): string[] {
    const values = this.column(column);
    return values.some((value) => value.includes(' '))
      ? values
      : values.map((slug) => slug.replaceAll(/[-_]+/g, ' '));
  }

  /** Whether the rows have a column of this name. */
  has(column: string): boolean {
    return this.#rows[0]?.columns[column] !== undefined;
  }

  /** Captions per image, one or more each. @throws ConfigError if there are none at all; DataError naming an image without. */
  captions(): (readonly string[])[] {
    if (this.#rows.every(({ captions }) => captions.length === 0)) {
      throw new ConfigError(
        `No image of ${this.#name} has a caption to retrieve: expected lists of them in a column 'captions'. Evaluate on ` +
          'other data, or name the column that has them as captions.',
      );
    }
    return this.#rows.map(({ key, captions }) => {
      if (captions.length > 0) return captions;
      throw new DataError(
        `Image ${key} of ${this.#name} has no caption to retrieve: expected one or more in the column 'captions'.`,
      );
    });
  }

  /** The encoded file of an image. */
  encoded(image: number): Uint8Array {
    return (this.#rows[image] as EvalRow).image;
  }

  /**
   * Pixels of images [from, to): short edge to `imageSize`, centre crop. One that cannot be decoded is black.
   *
   * @throws DataError if more images are broken than may be.
   */
  async readPixels(from: number, to: number, imageSize: number): Promise<Uint8Array> {
    const id = `${from}-${to}-${imageSize}`;
    const held = this.#cache.get(id);
    if (held) return held;
    const bytes = imageSize * imageSize * 3;
    const pixels = new Uint8Array((to - from) * bytes);
    for (let start = from; start < to; start += DECODED_AT_ONCE) {
      const end = Math.min(start + DECODED_AT_ONCE, to);
      const faults = await Promise.all(
        Array.from({ length: end - start }, (_, at) =>
          this.#decode(start + at, imageSize, (decoded) => pixels.set(decoded, (start - from + at) * bytes)),
        ),
      );
      // Together and in order, so that what is said does not depend on which was decoded first.
      this.skips.add(faults.flatMap((fault) => fault ?? []));
    }
    if (this.#rows.length * bytes <= MAX_CACHED_BYTES) this.#cache.set(id, pixels);
    return pixels;
  }

  /** Hands the pixels of an image over, or returns what is wrong with it; of one known to be broken, neither. */
  async #decode(
    image: number,
    imageSize: number,
    take: (pixels: Uint8Array) => void,
  ): Promise<Skip | undefined> {
    if (this.#undecodable.has(image)) return undefined;
    const { key, image: file } = this.#rows[image] as EvalRow;
    try {
      take(await evalTransform(file, imageSize, { exif: this.#exif }));
      return undefined;
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      this.#undecodable.set(image, error.message);
      return { key, reason: error.message };
    }
  }
}
