import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noteChecksums } from '../../../src/engine/cache-checksums.js';
import { compileCacheFlags } from '../../../src/engine/compile-cache.js';
import { ProtoWriter } from '../../../src/engine/proto.js';

let root: string;
beforeEach(() => {
  warnings = [];
  root = mkdtempSync(join(tmpdir(), 'capstan-cache-'));
});
afterEach(() => rmSync(root, { recursive: true }));

let warnings: string[] = [];
const flagsOf = (directory: string): Promise<string[]> =>
  compileCacheFlags(directory, (message) => warnings.push(message));

/** As TensorFlow writes them: a key, the program, the machine code. */
const entry = (codeBytes: number): Uint8Array =>
  new ProtoWriter()
    .message(1, new ProtoWriter().int(1, 12))
    .message(2, 'program')
    .message(3, new Uint8Array(codeBytes))
    .finish();

describe('compileCacheFlags', () => {
  it('makes the directory and names it', async () => {
    const directory = join(root, 'a', 'b');
    expect(await flagsOf(directory)).toEqual([`--tf_xla_persistent_cache_directory=${directory}`]);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('quotes what a blank would end', async () => {
    const directory = join(root, 'my "own" cache');
    expect(await flagsOf(directory)).toEqual([
      `--tf_xla_persistent_cache_directory="${root}/my \\"own\\" cache"`,
    ]);
  });

  it('removes entries that are cut off or no entries, and nothing else', async () => {
    const whole = { 'small.pb': entry(10), 'large.pb': entry(300_000), 'notes.txt': new Uint8Array(0) };
    const broken = {
      'empty.pb': new Uint8Array(0),
      'zeros.pb': new Uint8Array(100),
      'text.pb': new TextEncoder().encode('not an entry'),
      'long.pb': Buffer.concat([entry(10), Buffer.from([1])]),
      'endless.pb': new Uint8Array(20).fill(0xfa),
    };
    for (const [name, bytes] of Object.entries({ ...whole, ...broken }))
      writeFileSync(join(root, name), bytes);
    for (const bytes of [1, 5, 5000]) {
      writeFileSync(join(root, `cut-${bytes}.pb`), entry(10_000));
      truncateSync(join(root, `cut-${bytes}.pb`), bytes);
    }
    await flagsOf(root);
    const kept = [...Object.keys(whole), 'small.pb.sha256', 'large.pb.sha256'];
    expect(readdirSync(root).sort()).toEqual(kept.sort());
    expect(warnings).toHaveLength(1);
    for (const name of [...Object.keys(broken), 'cut-1.pb']) expect(warnings[0]).toContain(name);
    expect(warnings[0]).not.toContain('small.pb');
  });

  it('gives none for what cannot be made or is no directory', async () => {
    writeFileSync(join(root, 'file'), '');
    expect(await flagsOf(join(root, 'file'))).toEqual([]);
    expect(await flagsOf(join(root, 'file', 'below'))).toEqual([]);
  });

  it('gives none where a broken entry cannot be removed', async () => {
    mkdirSync(join(root, 'directory.pb'));
    expect(await flagsOf(root)).toEqual([]);
  });

  it('removes an entry with a changed bit, and says so', async () => {
    for (const name of ['a.pb', 'b.pb', 'c.pb']) writeFileSync(join(root, name), entry(1000));
    await flagsOf(root);
    await flagsOf(root);
    expect(warnings).toEqual([]);
    const bytes = entry(1000);
    bytes[bytes.length - 500]! ^= 4;
    writeFileSync(join(root, 'b.pb'), bytes);
    await flagsOf(root);
    expect(warnings).toEqual([
      `Damaged files of the compile cache ${root} were removed and are compiled anew: b.pb.`,
    ]);
    expect(readdirSync(root).sort()).toEqual(['a.pb', 'a.pb.sha256', 'c.pb', 'c.pb.sha256']);
  });

  it('does not read again what it has verified, nor count its own reading as a use', async () => {
    const path = join(root, 'a.pb');
    writeFileSync(path, entry(1000));
    const used = new Date(1_700_000_000_000);
    utimesSync(path, used, used);
    await flagsOf(root);
    expect(statSync(path).atimeMs).toBe(used.getTime());
    const noted = readFileSync(`${path}.sha256`, 'utf8');
    // What stays undetected until the machine is started again: nothing changes so that it is not written.
    const file = openSync(path, 'r+');
    writeSync(file, Uint8Array.of(1), 0, 1, 500);
    closeSync(file);
    utimesSync(path, used, used);
    await flagsOf(root);
    expect(warnings).toEqual([]);
    writeFileSync(`${path}.sha256`, noted.replace(/ \S+$/, ' another-boot'));
    await flagsOf(root);
    expect(warnings).toHaveLength(1);
    expect(readdirSync(root)).toEqual([]);
  });

  it('checks an entry of before a change, and does not note what it has become', async () => {
    const path = join(root, 'a.pb');
    writeFileSync(path, entry(1000));
    await flagsOf(root);
    const noted = readFileSync(`${path}.sha256`, 'utf8');
    writeFileSync(path, entry(2000));
    noteChecksums(root);
    expect(readFileSync(`${path}.sha256`, 'utf8')).toBe(noted);
  });

  it('takes a checksum without a stamp, and stamps it', async () => {
    const path = join(root, 'a.pb');
    writeFileSync(path, entry(1000));
    await flagsOf(root);
    const noted = readFileSync(`${path}.sha256`, 'utf8');
    writeFileSync(`${path}.sha256`, noted.slice(0, 64));
    await flagsOf(root);
    expect(readFileSync(`${path}.sha256`, 'utf8')).toBe(noted);
    writeFileSync(`${path}.sha256`, 'f'.repeat(64));
    await flagsOf(root);
    expect(warnings).toHaveLength(1);
  });

  it('notes a checksum anew that was cut off', async () => {
    writeFileSync(join(root, 'a.pb'), entry(1000));
    await flagsOf(root);
    const noted = readFileSync(join(root, 'a.pb.sha256'), 'utf8');
    truncateSync(join(root, 'a.pb.sha256'), 10);
    await flagsOf(root);
    expect(readFileSync(join(root, 'a.pb.sha256'), 'utf8')).toBe(noted);
    expect(warnings).toEqual([]);
  });

  it('removes temporary files that are old, and leaves those that may be in use', async () => {
    const old = new Date(Date.now() - 2 * 3_600_000);
    for (const name of ['old.pb.tmp', 'new.pb.tmp', 'old.txt']) {
      writeFileSync(join(root, name), '');
      if (name.startsWith('old')) utimesSync(join(root, name), old, old);
    }
    await flagsOf(root);
    expect(readdirSync(root).sort()).toEqual(['new.pb.tmp', 'old.txt']);
  });

  it.runIf(process.platform === 'linux')(
    'gives none for a place where nothing can be made, and ends',
    async () => {
      expect(await flagsOf('/proc/capstan/xla')).toEqual([]);
    },
  );
});
