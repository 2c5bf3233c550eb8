/** Whether a conversion goes on from an earlier one, begins, or was done before. */
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError, DataError } from '../../errors.js';
import { MANIFEST_NAME } from '../datasets/manifest.js';
import { type ConvertSettings, JOURNAL_NAME, type JournalEntry, readJournal } from './journal.js';
import { type ConvertedManifest, convertedManifestSchema } from './manifest.js';

/**
 * What is at the place of the result: undefined if there is nothing, the manifest if this conversion is done and whole.
 *
 * @throws ConfigError if it is something else
 */
export async function checkTarget(
  out: string,
  settings: ConvertSettings,
): Promise<ConvertedManifest | undefined> {
  const info = await stat(out).catch(() => undefined);
  if (info === undefined) return undefined;
  const refuse = (why: string): ConfigError =>
    new ConfigError(`${out}: ${why}, and is not overwritten. Remove it, or choose another --out.`);
  if (!info.isDirectory()) throw refuse('is a file');
  const names = await readdir(out);
  if (names.length === 0) return undefined;
  const manifest = await readConverted(out);
  if (manifest === undefined) throw refuse('exists and is no converted data set');
  const changes = differences(manifest.conversion, settings);
  if (changes !== '') throw refuse(`holds another conversion (${changes})`);
  for (const { name, bytes } of manifest.shards) {
    const found = await stat(join(out, name)).catch(() => undefined);
    if (found?.size === bytes) continue;
    throw refuse(`holds this conversion, but ${name} has ${found?.size ?? 'no'} bytes, not ${bytes}`);
  }
  await rm(join(out, JOURNAL_NAME), { force: true });
  return { ...manifest, skipped: { ...manifest.skipped, named: [] } } as ConvertedManifest;
}

async function readConverted(directory: string) {
  try {
    return convertedManifestSchema.parse(JSON.parse(await readFile(join(directory, MANIFEST_NAME), 'utf8')));
  } catch {
    return undefined;
  }
}

/**
 * What an unfinished conversion of these settings has done, as far as its shards are there; undefined if there is none.
 *
 * @throws DataError if it is of other settings, which it names
 */
export async function resumable(
  partial: string,
  settings: ConvertSettings,
): Promise<Awaited<ReturnType<typeof readJournal>>> {
  const names = await readdir(partial).catch((): string[] => []);
  const journal = await readJournal(partial);
  if (journal === undefined) {
    const foreign = names.filter((name) => name !== JOURNAL_NAME && !name.endsWith('.part'));
    if (foreign.length === 0) return undefined;
    throw new ConfigError(
      `${partial}: holds ${foreign[0]} and no journal of a conversion. Remove it, or choose another --out.`,
    );
  }
  const changes = differences(journal.head.settings, settings);
  if (changes !== '') {
    throw new DataError(
      `${partial}: cannot be gone on with: ${changes}. Restore it to go on, or remove the directory to begin anew.`,
    );
  }
  const whole: JournalEntry[] = [];
  for (const entry of journal.entries) {
    const { shard } = entry;
    const found = shard && (await stat(join(partial, shard.name)).catch(() => undefined));
    if (shard !== undefined && found?.size !== shard.bytes) break;
    whole.push(entry);
  }
  return { head: journal.head, entries: whole };
}

/** What was changed, in words; empty if nothing was. */
function differences(before: ConvertSettings, now: ConvertSettings): string {
  const changes: string[] = [];
  if (before.writer !== now.writer) changes.push('another version of capstan wrote it');
  const sources = Math.max(before.sources.length, now.sources.length);
  for (let i = 0; i < sources; i++) {
    const [was, is] = [before.sources[i], now.sources[i]];
    if (was?.fingerprint === is?.fingerprint) continue;
    if (was === undefined || is === undefined)
      changes.push(`${(was ?? is)?.path} is ${was ? 'no longer' : 'now'} a source`);
    else
      changes.push(
        `the source ${is.path} changed (it was ${was.path} with ${was.rows} rows, it has ${is.rows})`,
      );
  }
  for (const name of new Set([...Object.keys(before.options), ...Object.keys(now.options)])) {
    const [was, is] = [before.options[name], now.options[name]];
    if (was !== is) changes.push(`--${name} was ${was ?? 'absent'}, is ${is ?? 'absent'}`);
  }
  return changes.join('; ');
}

/** Removes what an ended conversion left besides whole shards. */
export async function removeOrphans(partial: string, entries: readonly JournalEntry[]): Promise<void> {
  const kept = new Set([JOURNAL_NAME, 'images', ...entries.flatMap(({ shard }) => shard?.name ?? [])]);
  const folders = new Set([...kept].map((name) => name.replace(/\.[^.]+$/, '')));
  for (const name of await readdir(partial)) {
    if (!kept.has(name)) await rm(join(partial, name), { recursive: true, force: true });
  }
  for (const name of await readdir(join(partial, 'images')).catch((): string[] => [])) {
    if (!folders.has(name)) await rm(join(partial, 'images', name), { recursive: true, force: true });
  }
}
