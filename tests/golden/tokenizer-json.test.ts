import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JsonTokenizer } from '../../src/data/text/json-tokenizer.js';
import { unpackTokenizer } from '../support/tokenizers.js';

const packed = readFileSync(new URL('./data/tokenizer-json.json.gz', import.meta.url));
const { texts, ids } = JSON.parse(gunzipSync(packed).toString('utf8')) as {
  texts: string[];
  ids: Record<string, number[][]>;
};

/** Of each file: the end of text, whether it is added, the padding, how many ids there are, and how many begin a text. */
const FILES = {
  minilm: { end: 102, added: false, pad: 0, vocabSize: 30_522, before: 1 },
  'byte-level': { end: 0, added: true, pad: 0, vocabSize: 1500, before: 0 },
  'clip-like': { end: 1501, added: false, pad: 1501, vocabSize: 1502, before: 1 },
  unigram: { end: 1, added: false, pad: 0, vocabSize: 357, before: 0 },
};

describe("2,000 awkward strings, against Python's tokenizers", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'capstan-tokenizers-'));
    for (const name of Object.keys(FILES)) unpackTokenizer(name as keyof typeof FILES, folder);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(Object.entries(FILES))(
    '%s: every id, whole and cut',
    async (name, { end, added, pad, vocabSize, before }) => {
      const tokenizer = await JsonTokenizer.load(join(folder, `${name}.json`), added ? end : undefined);
      expect(tokenizer).toMatchObject({ endToken: end, vocabSize });
      const wanted = (ids[name] as number[][]).map((own) => (added ? [...own, end] : own));
      for (const context of [4096, 77, 16]) {
        const batch = await tokenizer.encodeBatch(texts, context);
        const differing = wanted.filter((own, row) => {
          const kept = own.length > context ? [...own.slice(0, context - 1), end] : own;
          const padded = [...kept, ...new Array<number>(context - kept.length).fill(pad)];
          const got = batch.tokens.subarray(row * context, (row + 1) * context);
          return batch.numTokens[row] !== own.length || padded.some((id, i) => id !== got[i]);
        });
        expect(differing).toEqual([]);
        expect(batch.frame).toEqual({ before, after: 1 });
        expect(batch.truncated).toBe(wanted.filter((own) => own.length > context).length);
      }
    },
  );
});
