/** The manifest of a converted data set. */
import { z } from 'zod';
import { listedShardSchema, type Reading, readingSchema } from '../datasets/manifest.js';
import type { ColumnType } from '../schema.js';
import { readingOf, type TargetFormat } from './formats.js';
import { type Journal, type SkippedRow, settingsSchema } from './journal.js';

/** Rows left out that are named; beyond that they are counted. */
const MAX_NAMED = 10_000;

/** What `dataset.json` of a converted data set holds. */
export const convertedManifestSchema = z.object({
  name: z.string(),
  version: z.literal(2),
  rows: z.int().nonnegative(),
  /** With their types, where the format has types. */
  columns: z.array(z.object({ name: z.string(), type: z.custom<ColumnType>().optional() })),
  splits: z.record(z.string(), z.int()),
  reading: readingSchema.optional(),
  /** What was converted, and how. */
  conversion: settingsSchema,
  /** Rows left out: how many, and how many by reason. `convert_stats.json` names them. */
  skipped: z.object({ rows: z.int(), reasons: z.record(z.string(), z.int()) }),
  shards: z.array(listedShardSchema),
});

/** A converted data set with the rows that were left out. */
export interface ConvertedManifest
  extends Omit<z.infer<typeof convertedManifestSchema>, 'skipped' | 'reading'> {
  readonly reading?: Reading;
  readonly skipped: {
    readonly rows: number;
    readonly reasons: Readonly<Record<string, number>>;
    readonly named: readonly SkippedRow[];
  };
}

/** The manifest of what a journal has. */
export function manifestOf(name: string, to: TargetFormat, { head, entries }: Journal): ConvertedManifest {
  const shards = entries.flatMap(({ shard }) => (shard === undefined ? [] : [shard]));
  const splits: Record<string, number> = {};
  for (const { split, rows } of shards) splits[split] = (splits[split] ?? 0) + rows;
  const reasons: Record<string, number> = {};
  const named: SkippedRow[] = [];
  let skipped = 0;
  for (const row of entries.flatMap((entry) => entry.skipped)) {
    skipped++;
    reasons[row.reason] = (reasons[row.reason] ?? 0) + 1;
    if (named.length < MAX_NAMED) named.push(row);
  }
  const reading = readingOf(
    to,
    head,
    entries.some(({ images }) => images > 0),
  );
  return {
    name,
    version: 2,
    rows: shards.reduce((sum, { rows }) => sum + rows, 0),
    columns: head.columns,
    splits,
    ...(reading === undefined ? {} : { reading }),
    conversion: head.settings,
    skipped: { rows: skipped, reasons, named },
    shards,
  };
}
