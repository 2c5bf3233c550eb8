import { mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compileCacheFlags } from '../../../src/engine/compile-cache.js';
import { ProtoWriter } from '../../../src/engine/proto.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'capstan-cache-'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** As TensorFlow writes them: a key, the program, the machine code. */
const entry = (codeBytes: number): Uint8Array =>
  new ProtoWriter()
    .message(1, new ProtoWriter().int(1, 12))
    .message(2, 'program')
    .message(3, new Uint8Array(codeBytes))
    .finish();

describe('compileCacheFlags', () => {
  it('makes the directory and names it', () => {
    const directory = join(root, 'a', 'b');
    expect(compileCacheFlags(directory)).toEqual([`--tf_xla_persistent_cache_directory=${directory}`]);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('quotes what a blank would end', () => {
    const directory = join(root, 'my "own" cache');
    expect(compileCacheFlags(directory)).toEqual([
      `--tf_xla_persistent_cache_directory="${root}/my \\"own\\" cache"`,
    ]);
  });

  it('removes entries that are cut off or no entries, and nothing else', () => {
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
    compileCacheFlags(root);
    expect(readdirSync(root).sort()).toEqual(Object.keys(whole).sort());
  });

  it('gives none for what cannot be made or is no directory', () => {
    writeFileSync(join(root, 'file'), '');
    expect(compileCacheFlags(join(root, 'file'))).toEqual([]);
    expect(compileCacheFlags(join(root, 'file', 'below'))).toEqual([]);
  });

  it('gives none where a broken entry cannot be removed', () => {
    mkdirSync(join(root, 'directory.pb'));
    expect(compileCacheFlags(root)).toEqual([]);
  });
});
