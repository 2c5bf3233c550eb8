import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { ClipTokenizer, cleanCaption } from '../../../../src/data/text/clip-tokenizer.js';
import { ConfigError, DataError } from '../../../../src/errors.js';

describe('cleanCaption', () => {
  it.each([
    ['  A  Photo\tof\na CAT ', 'a photo of a cat'],
    ['R&amp;amp;D &lt;b&gt;', 'r&d <b>'],
    ['schÃ¶n â€” ﬁne', 'schön — fine'],
    ['ΟΔΟΣ ΣΟΣ', 'οδος σος'],
    ['\x1b[31mred\x1b[0m\u200b', 'red\u200b'],
  ])('%j becomes %j', (text, cleaned) => {
    expect(cleanCaption(text)).toBe(cleaned);
  });
});

describe('ClipTokenizer', () => {
  let tokenizer: ClipTokenizer;
  beforeAll(async () => {
    tokenizer = await ClipTokenizer.load();
  });

  it('gives the ids that the published models were trained with', () => {
    expect(tokenizer.encode('a photo of a cat')).toEqual([320, 1125, 539, 320, 2368]);
    expect(tokenizer.encode('')).toEqual([]);
  });

  it('pads with 0, counts tokens before truncation, and ends a truncated row', () => {
    const batch = tokenizer.encodeBatch(['a photo of a cat', 'cat', ''], 5);
    expect([...batch.tokens]).toEqual([
      ...[49406, 320, 1125, 539, 49407],
      ...[49406, 2368, 49407, 0, 0],
      ...[49406, 49407, 0, 0, 0],
    ]);
    expect([...batch.numTokens]).toEqual([7, 3, 2]);
    expect(batch.truncated).toBe(1);
  });

  it('leaves a text that just fits whole', () => {
    const batch = tokenizer.encodeBatch(['a photo of a cat'], 7);
    expect([...batch.tokens]).toEqual([49406, 320, 1125, 539, 320, 2368, 49407]);
    expect(batch.truncated).toBe(0);
  });

  it('takes time in proportion to a word without spaces, not its square', () => {
    const seconds = (length: number): number => {
      const start = performance.now();
      expect(tokenizer.encode('龍'.repeat(length)).length).toBeGreaterThan(0);
      return performance.now() - start;
    };
    seconds(1000);
    // Squared, twenty times the length would take four hundred times as long.
    expect(seconds(40_000)).toBeLessThan(100 * Math.max(seconds(2001), 1));
  });

  it.each([
    ['letters', 'ab'.repeat(500_000)],
    ['white space', ' '.repeat(1_000_000)],
    ['ampersands', '&'.repeat(1_000_000)],
    ['escaped ampersands', `&${'amp;'.repeat(250_000)}`],
    ['marks', '.'.repeat(1_000_000)],
  ])(
    'counts the tokens of a caption of a million characters: %s',
    (_, text) => {
      const { numTokens, truncated } = tokenizer.encodeBatch([text, text, 'cat'], 77);
      expect(numTokens[0]).toBe(tokenizer.encode(text).length + 2);
      expect([...numTokens.subarray(1)]).toEqual([numTokens[0], 3]);
      expect(truncated).toBe((numTokens[0] as number) > 77 ? 2 : 0);
    },
    30_000,
  );

  it.each([0, 1, 2.5])('refuses a context length of %d', (length) => {
    expect(() => tokenizer.encodeBatch(['x'], length)).toThrow(ConfigError);
  });

  it('refuses other files, saying what is wrong', async () => {
    expect(() => new ClipTokenizer('#version\ni n\nt h')).toThrow(/expected 48894 distinct merges, found 2/);
    expect(() => new ClipTokenizer('#version\ni n\nfoo bar')).toThrow(
      /line 3: expected two known tokens, found "foo bar"/,
    );
    const folder = mkdtempSync(join(tmpdir(), 'merges-'));
    const plain = join(folder, 'plain.txt');
    writeFileSync(plain, 'not gzip');
    await expect(ClipTokenizer.load(plain)).rejects.toThrow(/plain\.txt: expected a gzip file/);
    const short = join(folder, 'short.gz');
    writeFileSync(short, gzipSync('#version\ni n\n'));
    await expect(ClipTokenizer.load(short)).rejects.toThrow(DataError);
  });
});
