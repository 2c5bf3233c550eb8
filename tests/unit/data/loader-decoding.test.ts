import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Batch, createLoader, type LoaderOptions } from '../../../src/data/loader.js';
import type { Row } from '../../../src/data/schema.js';
import { JsonTokenizer } from '../../../src/data/text/json-tokenizer.js';
import { ConfigError } from '../../../src/errors.js';
import { KeyedRandom } from '../../../src/rng.js';
import { MemorySource } from '../../support/memory-source.js';
import { unpackTokenizer } from '../../support/tokenizers.js';

let folder: string;
let minilm: string;
let rows: Row[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-decoding-'));
  minilm = unpackTokenizer('minilm', folder);
  const random = new KeyedRandom('pictures');
  rows = await Promise.all(
    Array.from({ length: 24 }, async (_, i) => {
      const pixels = Uint8Array.from({ length: 90 * 60 * 3 }, () => random.int(256));
      const image = await sharp(pixels, { raw: { width: 90, height: 60, channels: 3 } })
        .blur(2)
        .withMetadata({ orientation: 1 + (i % 8) })
        .jpeg()
        .toBuffer();
      // 6 and 200 words.
      return { key: `k${i}`, image, ssc: `a small cat, number ${i}`, 'dsc+': `word${i} `.repeat(200).trim() };
    }),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

const defaults: LoaderOptions = {
  captions: { ssc: 0.5, 'dsc+': 0.5 },
  batchSize: 12,
  imageSize: 16,
  contextLength: 16,
  seed: 5,
  workers: 0,
  transform: 'train',
  cropScale: [0.2, 1],
};

async function take(
  options: Partial<LoaderOptions>,
  count = 2,
): Promise<{ batches: Batch[]; fingerprint: string }> {
  const loader = await createLoader({ ...defaults, source: new MemorySource(rows), ...options });
  try {
    const batches: Batch[] = [];
    while (batches.length < count) batches.push(await loader.next());
    return { batches, fingerprint: loader.state().fingerprint };
  } finally {
    await loader.close();
  }
}

const images = ({ batches }: { batches: Batch[] }): Uint8Array[] => batches.map((batch) => batch.images);

describe('decoding options', () => {
  it('off by default leave images and the saved state as they were', async () => {
    const plain = await take({});
    expect(await take({ flip: 0, exif: false, scaledDecode: false, tokenizer: 'clip' })).toEqual(plain);
    for (const name of ['flip', 'exif', 'scaledDecode', 'tokenizer', 'endToken']) {
      expect(plain.fingerprint).not.toContain(name);
    }
  });

  it.each([{ flip: 0.5 }, { exif: true }, { scaledDecode: true }] satisfies Partial<LoaderOptions>[])(
    '%o changes images, whatever the number of workers, and the state',
    async (option) => {
      const [plain, changed] = [await take({}), await take(option)];
      expect(images(changed)).not.toEqual(images(plain));
      expect(await take({ ...option, workers: 2 })).toEqual(changed);
      const [name] = Object.keys(option) as [string];
      expect(changed.fingerprint).toContain(`"${name}":`);
      const { fingerprint } = plain;
      const resumeFrom = { epoch: 0, position: 12, broken: 0, batches: 1, carries: [], seed: 5, fingerprint };
      await expect(
        createLoader({
          ...defaults,
          source: new MemorySource(rows),
          resumeFrom,
          ...option,
        }),
      ).rejects.toThrow(`${name}: was absent, is `);
    },
  );

  it('give the same images with a cache, which holds whole ones', async () => {
    const options = { flip: 0.5, exif: true };
    const cached = await take({ ...options, cacheBytes: 2 ** 22 }, 4);
    expect(images(cached)).toEqual(images(await take(options, 4)));
    await expect(take({ scaledDecode: true, cacheBytes: 2 ** 22 })).rejects.toThrow(
      /a cache holds whole ones/,
    );
    await expect(take({ flip: 1.5 })).rejects.toThrow(ConfigError);
  });

  it('mirror other samples in each epoch', async () => {
    const of = async (flip: number) => (await take({ flip, shuffle: false, cropScale: [1, 1] }, 4)).batches;
    const [never, some] = [await of(0), await of(0.5)];
    const flipped = some.map((batch, i) =>
      batch.keys.map((_, at) => {
        const image = (from: Batch | undefined) =>
          from?.images.subarray(at * 768, (at + 1) * 768) as Uint8Array;
        return Buffer.compare(image(batch), image(never[i])) !== 0;
      }),
    );
    expect(flipped.slice(0, 2)).not.toEqual(flipped.slice(2));
    expect(flipped.flat().filter(Boolean).length).toBeGreaterThan(12);
  });
});

describe('a tokenizer.json', () => {
  it('makes the tokens, in this thread and in workers', async () => {
    const here = await take({ tokenizer: minilm });
    expect(await take({ tokenizer: minilm, workers: 2 })).toEqual(here);
    const tokenizer = await JsonTokenizer.load(minilm);
    for (const { captions, tokens, numTokens, frame, truncated } of here.batches) {
      const expected = await tokenizer.encodeBatch(captions, 16);
      expect({ tokens, numTokens, frame, truncated }).toEqual(expected);
      expect(truncated).toBe(captions.filter((text) => text.startsWith('word')).length);
    }
    expect(here.fingerprint).toMatch(/"tokenizer":"[0-9a-f]{64}"/);
  });

  it('is told by what is in it, not by where it lies', async () => {
    const moved = unpackTokenizer('minilm', mkdtempSync(join(folder, 'moved-')));
    expect((await take({ tokenizer: moved })).fingerprint).toBe(
      (await take({ tokenizer: minilm })).fingerprint,
    );
    const other = unpackTokenizer('unigram', folder);
    expect((await take({ tokenizer: other })).fingerprint).not.toBe(
      (await take({ tokenizer: minilm })).fingerprint,
    );
    await expect(take({ tokenizer: join(folder, 'none.json') })).rejects.toThrow(/which cannot be read/);
    expect(readFileSync(moved)).toEqual(readFileSync(minilm));
  });

  it.each(['clip', 'json'] as const)('cuts joined captions by its own tokens: %s', async (kind) => {
    const tokenizer = kind === 'clip' ? 'clip' : minilm;
    const concat = { order: ['dsc+', 'ssc'], separator: ' ', maxTokens: { 'dsc+': 50 } } as const;
    const [batch] = (await take({ tokenizer, concat, contextLength: 256 }, 1)).batches as [Batch];
    const [short] = (await take({ tokenizer, captions: { ssc: 1 }, contextLength: 256 }, 1)).batches as [
      Batch,
    ];
    for (let row = 0; row < 12; row++) {
      // The order of samples does not depend on captions.
      expect(batch.keys[row]).toBe(short.keys[row]);
      const numOfShort = (short.numTokens[row] as number) - 2;
      expect(batch.numTokens[row]).toBe(2 + 50 + numOfShort);
      const of = (from: Batch, start: number, end: number) => [
        ...from.tokens.subarray(row * 256 + start, row * 256 + end),
      ];
      expect(of(batch, 51, 52 + numOfShort)).toEqual(of(short, 1, 2 + numOfShort));
      expect(of(batch, 52 + numOfShort, 256).every((id) => id === 0)).toBe(true);
    }
  });
});

describe('contexts longer than 77', () => {
  it.each([128, 256, 512])(
    'of %i tokens cut no earlier, and count what is cut by its whole length',
    async (contextLength) => {
      const { batches } = await take({ captions: { 'dsc+': 1 }, contextLength });
      const long = (await take({ captions: { 'dsc+': 1 }, contextLength: 1024 })).batches;
      for (const [i, batch] of batches.entries()) {
        const whole = long[i] as Batch;
        expect(batch.numTokens).toEqual(whole.numTokens);
        expect(batch.truncated).toBe([...whole.numTokens].filter((n) => n > contextLength).length);
        for (const [row, n] of whole.numTokens.entries()) {
          const own = [...batch.tokens.subarray(row * contextLength, (row + 1) * contextLength)];
          const expected = [...whole.tokens.subarray(row * 1024, row * 1024 + contextLength)];
          if (n > contextLength) expected[contextLength - 1] = 49_407;
          expect(own).toEqual(expected);
        }
      }
    },
  );

  it('count a joined caption as cut where one of its parts alone is too long', async () => {
    const concat = { order: ['dsc+'], separator: ' ', maxTokens: { ssc: 5 } } as const;
    const { batches } = await take({ concat, contextLength: 128 });
    const plain = await take({ captions: { 'dsc+': 1 }, contextLength: 128 });
    for (const [i, { numTokens, truncated, tokens }] of batches.entries()) {
      const expected = plain.batches[i] as Batch;
      expect({ numTokens, truncated, tokens }).toEqual({
        ...{ numTokens: expected.numTokens, truncated: expected.truncated, tokens: expected.tokens },
      });
      expect(truncated).toBe(12);
    }
  });
});
