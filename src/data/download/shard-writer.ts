/** Writes a shard whose rows are done, in the list's order. */
import { rm } from 'node:fs/promises';
import { type Column, type ColumnType, captionKinds, type Row } from '../schema.js';
import { ColumnGuess, fitValue, toJson } from '../sources/infer-columns.js';
import { openTarWriter } from '../sources/tar-writer.js';
import { openArrowWriter, openParquetWriter, type ShardWriter } from '../sources/writers.js';
import type { DownloadFolder } from './folder.js';
import type { Outcome, ShardWork, SpooledImage } from './shard-work.js';

/** What is measured of an image, by img2dataset's names. */
const MEASURED: readonly Column[] = [
  { name: 'width', type: 'int64' },
  { name: 'height', type: 'int64' },
  { name: 'original_width', type: 'int64' },
  { name: 'original_height', type: 'int64' },
  { name: 'sha256', type: 'string' },
];

const KNOWN_TYPES: Readonly<Record<string, ColumnType>> = {
  key: 'string',
  url: 'string',
  label: 'string',
  split: 'string',
  captions: { list: 'string' },
};

/** Rows that a reader reads at once. */
const GROUP_ROWS = 100;
/** Columns of a tar's table that say what became of a row. */
const STATUS: readonly Column[] = [
  { name: 'status', type: 'string' },
  { name: 'error_message', type: 'string' },
];

/** A column of the list, and what it is called in shards. */
interface ListColumn extends Column {
  readonly listed: string;
}

/**
 * Writes shards of one list. The types of its columns are told by a sample of its rows; a shard with values that do not
 * fit has wider ones, so that what a shard holds never hangs on when it was made.
 */
export class ShardRowsWriter {
  readonly #sampled: ColumnGuess;
  readonly #names: ReadonlyMap<string, string>;

  /** @param names the list's columns that are written */
  constructor(
    private readonly folder: DownloadFolder,
    private readonly names: readonly string[],
    sample: readonly Row[],
  ) {
    this.#sampled = ColumnGuess.of(names, sample, KNOWN_TYPES);
    const isTar = folder.plan.to === 'webdataset';
    // Measured values have their names for themselves: what a list says of an image may be of another version of it.
    const taken = [...MEASURED, ...(isTar ? [{ name: 'key' }, ...STATUS] : [{ name: 'image' }])];
    this.#names = listNames(names, new Set(taken.map(({ name }) => name)));
  }

  /** Writes the shard into its place, if it has an image at all. */
  async write(work: ShardWork): Promise<void> {
    const columns = this.#columnsOf(work);
    const images = work.outcomes.some((outcome) => outcome !== undefined && 'image' in outcome);
    const isTar = this.folder.plan.to === 'webdataset';
    if (!images) await rm(this.folder.shardPath(work.index), { force: true });
    else if (isTar) await this.#writeTar(work, columns);
    else await this.#writeRows(work, columns);
    if (isTar) await this.#writeTable(work, columns);
  }

  #columnsOf({ rows }: ShardWork): ListColumn[] {
    const sound = rows.filter(({ failure }) => failure?.reason !== 'bad-row').map(({ row }) => row);
    const { columns } = this.#sampled.with(ColumnGuess.of(this.names, sound, KNOWN_TYPES));
    return columns.map(({ name, type }) => ({ name: this.#names.get(name) as string, type, listed: name }));
  }

  async #writeRows(work: ShardWork, columns: readonly ListColumn[]): Promise<void> {
    const { plan } = this.folder;
    const all: Column[] = [...columns, ...MEASURED, { name: 'image', type: 'binary' }];
    const plain = all.map(({ name, type }) => ({ name, type }));
    const open = plan.to === 'arrow' ? openArrowWriter : openParquetWriter;
    const writer = await open(this.folder.shardPath(work.index), plain, GROUP_ROWS);
    await closing(writer, async () => {
      for (const [row, image] of imagesOf(work)) {
        const bytes = await work.spool.read(image.offset, image.length);
        await writer.write([{ ...listValues(row, columns), ...measuredValues(image), image: bytes }]);
      }
    });
  }

  /** img2dataset's layout: `NNNNNNNNN.jpg`, `.txt` and `.json`. */
  async #writeTar(work: ShardWork, columns: readonly ListColumn[]): Promise<void> {
    const writer = await openTarWriter(this.folder.shardPath(work.index));
    const caption = captionKinds.find((kind) => columns.some(({ listed }) => listed === kind));
    await closing(writer, async () => {
      for (const [row, image, i] of imagesOf(work)) {
        const bytes = await work.spool.read(image.offset, image.length);
        const key = this.#memberKey(work.index, i);
        const meta = {
          ...listValues(row, columns),
          key,
          status: 'success',
          error_message: null,
          ...measuredValues(image),
        };
        const text = caption === undefined ? null : ([row[caption] ?? null].flat()[0] ?? null);
        const txt = caption === undefined ? {} : { txt: typeof text === 'string' ? text : '' };
        await writer.addSample(key, { [image.extension]: bytes, ...txt, json: toJson(meta) });
      }
    });
  }

  /** img2dataset's table beside each tar: all rows, those without an image too. */
  async #writeTable(work: ShardWork, columns: readonly ListColumn[]): Promise<void> {
    const all: Column[] = [...columns, { name: 'key', type: 'string' }, ...STATUS, ...MEASURED];
    const plain = all.map(({ name, type }) => ({ name, type }));
    const writer = await openParquetWriter(this.folder.tablePath(work.index), plain, 10 * GROUP_ROWS);
    await closing(writer, async () => {
      for (const [i, { row }] of work.rows.entries()) {
        const outcome = work.outcomes[i] as Outcome;
        const key = this.#memberKey(work.index, i);
        const status =
          'image' in outcome
            ? { status: 'success', error_message: null, ...measuredValues(outcome.image) }
            : { status: 'failed_to_download', error_message: outcome.reason };
        await writer.write([{ ...listValues(row, columns), key, ...status }]);
      }
    });
  }

  /** The shard's number and the row's place in it, as img2dataset's `compute_key`. */
  #memberKey(shard: number, i: number): string {
    const digits = Math.ceil(Math.log10(Math.max(2, this.folder.plan.shardRows)));
    return String(shard * 10 ** digits + i).padStart(5 + digits, '0');
  }
}

/** Names for the list's columns, those that are taken with `list_` before them. */
function listNames(names: readonly string[], taken: ReadonlySet<string>): Map<string, string> {
  const all = new Set([...names, ...taken]);
  return new Map(
    names.map((name) => {
      let free = name;
      if (taken.has(name)) while (all.has(free)) free = `list_${free}`;
      all.add(free);
      return [name, free];
    }),
  );
}

function* imagesOf({
  rows,
  outcomes,
}: ShardWork): Generator<readonly [row: Row, image: SpooledImage, i: number]> {
  for (const [i, { row }] of rows.entries()) {
    const outcome = outcomes[i] as Outcome;
    if ('image' in outcome) yield [row, outcome.image, i];
  }
}

function listValues(row: Row, columns: readonly ListColumn[]): Row {
  const values: Row = {};
  for (const { name, type, listed } of columns) {
    const value = row[listed] ?? null;
    values[name] = listed === 'key' && value !== null ? String(value) : fitValue(value, type);
  }
  return values;
}

function measuredValues({ width, height, originalWidth, originalHeight, sha256 }: SpooledImage): Row {
  return { width, height, original_width: originalWidth, original_height: originalHeight, sha256 };
}

/** Does the work and closes the writer, or leaves nothing. */
async function closing(
  writer: Pick<ShardWriter, 'close' | 'abort'>,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
    await writer.close();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
