/** A split held for evaluation: its encoded images, its columns, its captions. */
import { evalTransform } from '../data/image/transforms.js';
import { DataError } from '../errors.js';

/** One image of a split. */
export interface EvalRow {
  readonly key: string;
  /** The encoded file. */
  readonly image: Uint8Array;
  /** Text columns: label, subgroup, style and so on; null where the row has none. */
  readonly columns: Readonly<Record<string, string | null>>;
  /** Captions that describe this image, for retrieval. */
  readonly captions: readonly string[];
}

// Decoded pixels are kept up to this size, because training evaluates the same split again and again.
const MAX_CACHED_BYTES = 256 * 2 ** 20;
const DECODED_AT_ONCE = 32;

/** The rows of a split with their pixels decoded on demand by the evaluation transform. */
export class EvalSplit {
  readonly keys: readonly string[];
  readonly #rows: readonly EvalRow[];
  readonly #name: string;
  readonly #cache = new Map<string, Uint8Array>();

  /**
   * @param name what the rows are, for messages: "split 'test' of data/emoji".
   * @throws DataError without rows.
   */
  constructor(rows: readonly EvalRow[], name: string) {
    if (rows.length === 0) throw new DataError(`There is no image in ${name}; nothing can be evaluated.`);
    this.#rows = rows;
    this.#name = name;
    this.keys = rows.map(({ key }) => key);
  }

  /** A column that every row has. @throws DataError naming the columns there are, or the row that has none. */
  column(column: string): string[] {
    return this.#rows.map(({ key, columns }) => {
      const value = columns[column];
      if (value !== undefined && value !== null) return value;
      throw new DataError(
        value === null
          ? `Row ${key} of ${this.#name} has no value in column '${column}'.`
          : `There is no text column '${column}' in ${this.#name}; it has ${Object.keys(columns).join(', ')}.`,
      );
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

  /** Captions per image, one or more each. @throws DataError naming an image without any. */
  captions(): (readonly string[])[] {
    return this.#rows.map(({ key, captions }) => {
      if (captions.length === 0)
        throw new DataError(`Image ${key} of ${this.#name} has no caption to retrieve.`);
      return captions;
    });
  }

  /** The encoded file of an image. */
  encoded(image: number): Uint8Array {
    return (this.#rows[image] as EvalRow).image;
  }

  /**
   * Pixels of images [from, to): short edge to `imageSize`, centre crop.
   *
   * @throws DataError naming the image that cannot be decoded. An evaluation skips none: its score would
   *   no longer be comparable.
   */
  async readPixels(from: number, to: number, imageSize: number): Promise<Uint8Array> {
    const id = `${from}-${to}-${imageSize}`;
    const held = this.#cache.get(id);
    if (held) return held;
    const bytes = imageSize * imageSize * 3;
    const pixels = new Uint8Array((to - from) * bytes);
    for (let start = from; start < to; start += DECODED_AT_ONCE) {
      const rows = this.#rows.slice(start, Math.min(start + DECODED_AT_ONCE, to));
      await Promise.all(
        rows.map(async ({ key, image }, at) => {
          try {
            pixels.set(await evalTransform(image, imageSize), (start - from + at) * bytes);
          } catch (error) {
            throw new DataError(`Image ${key} of ${this.#name}: ${(error as Error).message}`, {
              cause: error,
            });
          }
        }),
      );
    }
    if (this.#rows.length * bytes <= MAX_CACHED_BYTES) this.#cache.set(id, pixels);
    return pixels;
  }
}
