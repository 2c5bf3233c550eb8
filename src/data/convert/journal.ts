/** What a conversion has done so far: a line of JSON for its settings, then one for each whole shard. */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { DataError } from '../../errors.js';
import { replaceFile } from '../../replace-file.js';
import { listedShardSchema } from '../datasets/manifest.js';
import type { ColumnType } from '../schema.js';

/** Name of the journal in the directory of an unfinished conversion. */
export const JOURNAL_NAME = 'convert.jsonl';

/** As {@link ConvertSettings}. */
export const settingsSchema = z.object({
  /** Raised whenever the same settings make other bytes than before. */
  writer: z.literal(1),
  /** Of the sources, by path. */
  sources: z.array(z.object({ path: z.string(), fingerprint: z.string(), rows: z.number() })),
  /** Options of the command line, as text. */
  options: z.record(z.string(), z.string()),
});

/** What decides the bytes of the result. */
export type ConvertSettings = z.infer<typeof settingsSchema>;

const skipSchema = z.object({
  split: z.string(),
  /** The data set that the row is of, and its number there. */
  path: z.string(),
  row: z.number(),
  key: z.string().nullable(),
  reason: z.string(),
});

/** A row that was left out, and why. */
export type SkippedRow = z.infer<typeof skipSchema>;

const headSchema = z.object({
  settings: settingsSchema,
  /** With their types, where the format has types. */
  columns: z.array(z.object({ name: z.string(), type: z.custom<ColumnType>().optional() })),
  /** Columns of bytes, besides the image. */
  binaries: z.array(z.string()),
});

/** What a journal begins with. */
export type JournalHead = z.infer<typeof headSchema>;

const entrySchema = z.object({
  split: z.string(),
  /** Position in the split behind the last row of the shard. */
  next: z.int().nonnegative(),
  /** Absent where only rows were left that are left out. */
  shard: listedShardSchema.optional(),
  /** Rows with an image of their own. */
  images: z.int().nonnegative(),
  /** Bytes of the values of its rows, about. */
  valueBytes: z.number(),
  skipped: z.array(skipSchema),
});

/** A step that is done. */
export type JournalEntry = z.infer<typeof entrySchema>;

/** The journal of a directory. Each line is on the disk when its promise ends. */
export class Journal {
  private constructor(
    private readonly file: FileHandle,
    readonly head: JournalHead,
    readonly entries: JournalEntry[],
  ) {}

  /** Begins a journal, or goes on with one of which these entries count. */
  static async open(
    directory: string,
    head: JournalHead,
    entries: readonly JournalEntry[],
  ): Promise<Journal> {
    const path = join(directory, JOURNAL_NAME);
    await replaceFile(path, [head, ...entries].map((line) => `${JSON.stringify(line)}\n`).join(''));
    return new Journal(await open(path, 'a'), head, [...entries]);
  }

  /** Adds a step that is done. @throws the file system's error */
  async add(entry: JournalEntry): Promise<void> {
    await this.file.appendFile(`${JSON.stringify(entry)}\n`);
    await this.file.sync();
    this.entries.push(entry);
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

/**
 * What the journal of a directory says, as far as its lines are whole; undefined if there is none.
 *
 * @throws DataError if it is no journal
 */
export async function readJournal(
  directory: string,
): Promise<{ head: JournalHead; entries: JournalEntry[] } | undefined> {
  const path = join(directory, JOURNAL_NAME);
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // What follows the last line end was being written when the process ended.
  const [first, ...rest] = text.split('\n').slice(0, -1);
  if (first === undefined) return undefined;
  try {
    return {
      head: headSchema.parse(JSON.parse(first)),
      entries: rest.map((line) => entrySchema.parse(JSON.parse(line))),
    };
  } catch (cause) {
    throw new DataError(
      `${path}: is not the journal of a conversion, or is damaged. Remove the directory to begin anew.`,
      { cause },
    );
  }
}
