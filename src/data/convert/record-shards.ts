/** Shards of records: WebDataset tars as img2dataset writes them, JSON Lines, separated values. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncToDisk } from '../datasets/publish.js';
import { readImageHeader } from '../image/header.js';
import { captionKinds, type Row, type Value } from '../schema.js';
import { jsonText } from '../sources/json-text.js';
import { unwritable } from '../sources/part-file.js';
import { recordEncoder } from '../sources/record-encoder.js';
import { MAX_TEXT_RECORD, RecordFault, tooLong } from '../sources/records/record-format.js';
import { TAR_END, tarMember } from '../sources/tar-encoder.js';
import { KEY_COLUMN } from '../sources/webdataset.js';
import { openShardWriter, type ShardWriter } from '../sources/writers.js';
import { RecordNames } from './record-names.js';
import type { TargetShard } from './target.js';

/** Records written at a time. */
const GROUP_RECORDS = 64;
/** Image files under way at a time. */
const FILES_AT_ONCE = 16;

const EMPTY = new Uint8Array(0);

/** A shard whose rows are made into bytes, which throws RecordFault for those that cannot be. */
class RecordShard implements TargetShard {
  constructor(
    private readonly writer: ShardWriter,
    private readonly recordOf: (row: Row, number: number) => Promise<Uint8Array> | Uint8Array,
    private readonly settle: () => Promise<void> = async () => undefined,
  ) {}

  async add(row: Row, number: number): Promise<void> {
    await this.writer.write([{ record: await this.recordOf(row, number) }]);
  }

  async close(): Promise<void> {
    await this.settle();
    await this.writer.close();
  }

  async abort(): Promise<void> {
    await this.settle().catch(() => undefined);
    await this.writer.abort();
  }
}

/** What of the rows goes into which member of a sample. */
export interface TarLayout {
  readonly columns: readonly string[];
  readonly hasKeys: boolean;
  /** The column whose text is the member `txt`. */
  readonly textColumn: string | undefined;
  /** Columns of bytes, besides the image. */
  readonly binaries: readonly string[];
}

/** The column that becomes the member `txt`: one of that name, else the first kind of caption that is there. */
export function textColumnOf(columns: readonly string[]): string | undefined {
  return ['txt', ...captionKinds].find((name) => columns.includes(name));
}

/** Begins a tar in img2dataset's layout: image, `txt`, `json`, and each further column of bytes by its name. */
export async function openTarShard(path: string, layout: TarLayout): Promise<TargetShard> {
  const writer = await openShardWriter(path, recordEncoder(EMPTY, TAR_END), GROUP_RECORDS);
  const names = new RecordNames(layout.hasKeys, true);
  return new RecordShard(writer, (row, number) => sampleOf(row, number, layout, names));
}

function sampleOf(row: Row, number: number, layout: TarLayout, names: RecordNames): Uint8Array {
  const { columns, textColumn, binaries } = layout;
  const members: Uint8Array[] = [];
  const kept = columns.filter((column) => column !== KEY_COLUMN && !binaries.includes(column));
  const image = row.image;
  const inJson = image instanceof Uint8Array ? kept.filter((column) => column !== 'image') : kept;
  const json = jsonRecord(row, inJson);
  const ending = image instanceof Uint8Array ? endingOfImage(image) : '';
  // Last of what may refuse the row, so that no name is taken by one that is left out.
  const name = names.next(
    row.key === undefined && KEY_COLUMN in row ? { key: row[KEY_COLUMN] as Value } : row,
    number,
  );
  if (image instanceof Uint8Array) members.push(...tarMember(`${name}.${ending}`, image));
  const text = textColumn === undefined ? undefined : firstText(row[textColumn] ?? null);
  if (text !== undefined) members.push(...tarMember(`${name}.txt`, Buffer.from(text)));
  members.push(...tarMember(`${name}.json`, json));
  for (const column of binaries) {
    const bytes = row[column];
    if (bytes instanceof Uint8Array) members.push(...tarMember(`${name}.${column}`, bytes));
  }
  return Buffer.concat(members);
}

/** @throws RecordFault if the bytes are of no image that is known */
function endingOfImage(image: Uint8Array): string {
  const format = readImageHeader(image)?.format;
  if (format === undefined) {
    throw new RecordFault('Its image is no JPEG, PNG, WebP, GIF, TIFF or AVIF file, and has no name there.');
  }
  return format === 'jpeg' ? 'jpg' : format;
}

function firstText(value: Value): string | undefined {
  const found = Array.isArray(value) ? value.find((each) => typeof each === 'string') : value;
  return typeof found === 'string' ? found : undefined;
}

/** @throws RecordFault for bytes, or a record that is too long to be read back */
function jsonRecord(row: Row, columns: readonly string[]): Uint8Array {
  const fields = columns.map(
    (column) => `${JSON.stringify(column)}:${jsonText(row[column] ?? null, `Its column '${column}'`)}`,
  );
  return checkLength(Buffer.from(`{${fields.join(',')}}`));
}

function checkLength(record: Uint8Array): Uint8Array {
  if (record.length > MAX_TEXT_RECORD) throw new RecordFault(tooLong(record.length, MAX_TEXT_RECORD));
  return record;
}

/** How a row becomes a line of text, and where its image goes. */
export interface TextLayout {
  readonly columns: readonly string[];
  readonly hasKeys: boolean;
  /** The directory of the data set, in which `images/SHARD` gets the images. */
  readonly directory: string;
  readonly format: 'jsonl' | 'csv';
}

/** Begins a file of JSON Lines or separated values. Images become files, and the paths of these are in the rows. */
export async function openTextShard(path: string, shard: string, layout: TextLayout): Promise<TargetShard> {
  const { columns, directory, format } = layout;
  const head = format === 'csv' ? Buffer.from(csvLine(columns)) : EMPTY;
  const writer = await openShardWriter(path, recordEncoder(head, EMPTY), GROUP_RECORDS);
  const files = new ImageFiles(directory, `images/${shard}`, new RecordNames(layout.hasKeys, false));
  const recordOf = async (row: Row, number: number): Promise<Uint8Array> => {
    const name = row.image instanceof Uint8Array ? files.nameOf(row.image, row, number) : undefined;
    const named = name === undefined ? row : { ...row, image: name };
    const line =
      format === 'csv'
        ? checkLength(Buffer.from(csvLine(columns.map((column) => csvText(named[column] ?? null, column)))))
        : Buffer.concat([jsonRecord(named, columns), Buffer.from('\n')]);
    if (name !== undefined) await files.write(name, row.image as Uint8Array);
    return line;
  };
  return new RecordShard(writer, recordOf, () => files.settle());
}

/**
 * A value as the text of a field: text as it stands, nothing for null, lists and objects as JSON.
 *
 * @throws RecordFault for bytes
 */
export function csvText(value: Value, column: string): string {
  if (value === null) return '';
  if (typeof value === 'object') return jsonText(value, `Its column '${column}'`);
  return Object.is(value, -0) ? '-0' : String(value);
}

/** RFC 4180. A single empty field is quoted, for an empty line is no row. */
function csvLine(fields: readonly string[]): string {
  const quoted = fields.map((field) =>
    /[",\r\n]/.test(field) || (field === '' && fields.length === 1)
      ? `"${field.replaceAll('"', '""')}"`
      : field,
  );
  return `${quoted.join(',')}\n`;
}

/** Image files of one shard. */
class ImageFiles {
  readonly #underWay = new Set<Promise<void>>();
  #failure: unknown;
  #isMade = false;

  constructor(
    private readonly directory: string,
    private readonly folder: string,
    private readonly names: RecordNames,
  ) {}

  /** The path of a row's image, from the data set's directory. @throws RecordFault */
  nameOf(image: Uint8Array, row: Row, number: number): string {
    const ending = endingOfImage(image);
    return `${this.folder}/${this.names.next(row, number)}.${ending}`;
  }

  /** Writes a file, or begins to. @throws DataError for this file or an earlier one */
  async write(name: string, image: Uint8Array): Promise<void> {
    const path = join(this.directory, name);
    if (!this.#isMade) await mkdir(dirname(path), { recursive: true });
    this.#isMade = true;
    while (this.#underWay.size >= FILES_AT_ONCE) await Promise.race(this.#underWay);
    if (this.#failure !== undefined) throw this.#failure;
    // On the disk before the journal says so.
    const writing = writeFile(path, image, { flush: true })
      .catch((cause: unknown) => {
        this.#failure ??= unwritable(path, cause);
      })
      .finally(() => this.#underWay.delete(writing));
    this.#underWay.add(writing);
  }

  /** Waits until all files are written. @throws DataError */
  async settle(): Promise<void> {
    await Promise.all(this.#underWay);
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isMade) await syncToDisk(join(this.directory, this.folder));
  }
}
