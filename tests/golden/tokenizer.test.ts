import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { ClipTokenizer } from '../../src/data/text/clip-tokenizer.js';
import { fixText } from '../../src/data/text/ftfy.js';

interface Case {
  kind: string;
  text: string;
  fixed: string;
  context: number;
  numTokens: number;
  row: number[];
}

const packed = readFileSync(new URL('./data/tokenizer.json.gz', import.meta.url));
const { cases } = JSON.parse(gunzipSync(packed).toString('utf8')) as { cases: Case[] };

describe('2,000 awkward strings, against open_clip 3.3.0 and ftfy 6.3.1', () => {
  let tokenizer: ClipTokenizer;
  beforeAll(async () => {
    tokenizer = await ClipTokenizer.load();
  });

  it('holds every kind of string', () => {
    expect(cases).toHaveLength(2000);
    expect(new Set(cases.map((c) => c.kind)).size).toBeGreaterThanOrEqual(15);
  });

  it('mends every string as ftfy does', () => {
    const differing = cases.filter((c) => fixText(c.text) !== c.fixed);
    expect(differing).toEqual([]);
  });

  it('gives every string its ids', () => {
    const differing = cases.filter((c) => {
      const batch = tokenizer.encodeBatch([c.text], c.context);
      const padded = [...c.row, ...new Array<number>(c.context - c.row.length).fill(0)];
      return (
        batch.numTokens[0] !== c.numTokens ||
        batch.truncated !== (c.numTokens > c.context ? 1 : 0) ||
        padded.some((id, i) => batch.tokens[i] !== id)
      );
    });
    expect(differing).toEqual([]);
  });

  it('gives the same ids in a batch, and by encode', () => {
    const some = cases.filter((c) => c.context === 77).slice(0, 300);
    const batch = tokenizer.encodeBatch(some.map((c) => c.text));
    some.forEach((c, i) => {
      expect([...batch.tokens.subarray(i * 77, i * 77 + c.row.length)]).toEqual(c.row);
      if (c.numTokens <= 77) expect([49406, ...tokenizer.encode(c.text), 49407]).toEqual(c.row);
    });
    expect(batch.truncated).toBe(some.filter((c) => c.numTokens > 77).length);
  });
});
