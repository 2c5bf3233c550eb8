import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../../../src/errors.js';
import { clipPresets } from '../../../src/models/clip/config.js';
import { resolveClipConfig, resolveModel } from '../../../src/train/tasks/clip-config.js';
import { unpackTokenizer } from '../../support/tokenizers.js';

describe('resolveClipConfig', () => {
  it('is the preset without replacements', () => {
    expect(resolveClipConfig({ preset: 'ViT-B-32' })).toEqual(clipPresets['ViT-B-32']);
  });

  it('replaces what is given and nothing else', () => {
    const preset = clipPresets['emoji-tiny']!;
    const config = resolveClipConfig({
      preset: 'emoji-tiny',
      vision: { depth: 1, width: undefined },
      text: { contextLength: 16 },
      embedDim: 32,
      quickGelu: true,
    });
    expect(config).toEqual({
      embedDim: 32,
      vision: { ...preset.vision, depth: 1 },
      text: { ...preset.text, contextLength: 16 },
      quickGelu: true,
    });
    expect(preset.vision.depth).not.toBe(1);
  });

  it('refuses unknown presets and models that cannot be', () => {
    expect(() => resolveClipConfig({ preset: 'ViT-B32' })).toThrow(/did you mean 'ViT-B-32'/);
    expect(() => resolveClipConfig({ preset: 'ViT-B-32', vision: { patchSize: 30 } })).toThrow(ConfigError);
  });
});

describe('resolveModel', () => {
  const fixtures = ['minilm', 'byte-level', 'clip-like', 'unigram'] as const;
  const paths: Record<string, string> = {};
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'capstan-model-'));
    for (const name of fixtures) paths[name] = unpackTokenizer(name, folder);
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const resolve = (text: object) => resolveModel({ preset: 'emoji-tiny', text });

  it("is the preset's with CLIP's own tokenizer, which nothing of it names", async () => {
    expect(await resolveModel({ preset: 'ViT-B-32' })).toEqual(clipPresets['ViT-B-32']);
    expect(await resolve({ tokenizer: 'clip' })).toEqual(clipPresets['emoji-tiny']);
  });

  it("has the vocabulary, the end of text and the checksum of a tokenizer's file", async () => {
    const { text } = await resolve({ tokenizer: paths.minilm, contextLength: 40 });
    expect(text).toMatchObject({ vocabSize: 30_522, endToken: 102, contextLength: 40 });
    expect(text.tokenizer).toMatch(/^[0-9a-f]{64}$/);
    expect((await resolve({ tokenizer: paths.minilm, vocabSize: 30_528 })).text.vocabSize).toBe(30_528);
    expect((await resolve({ tokenizer: paths.unigram })).text).toMatchObject({ vocabSize: 357, endToken: 1 });
    expect((await resolve({ tokenizer: paths['byte-level'], endToken: 0 })).text.endToken).toBe(0);
  });

  it.each([
    [
      { vocabSize: 49_000 },
      /vocabSize is 49000, but the ids of CLIP's tokenizer go up to 49407: expected 49408/,
    ],
    [{ endToken: 5 }, /endToken is 5, but CLIP's tokenizer has an end of text of its own/],
    [
      { tokenizer: 'minilm', vocabSize: 30_000 },
      /vocabSize is 30000, but the ids of .*minilm.json go up to 30521/,
    ],
    [{ tokenizer: 'byte-level' }, /adds no token behind a text.*\(0 for <\|endoftext\|>\)/s],
    [{ tokenizer: 'byte-level', endToken: 99_999 }, /endToken is 99999, which is no id of/],
    [{ tokenizer: 'clip-like', endToken: 1500 }, /begins each text with token 1500 \(<\|startoftext\|>\)/],
    [{ tokenizer: '/nowhere/tokenizer.json' }, /'\/nowhere\/tokenizer.json', which cannot be read \(ENOENT/],
    [{ tokenizer: 'broken' }, /is no tokenizer.json that the library tokenizers reads/],
    [{ tokenizer: 'minilm', contextLength: 2 }, /contextLength is 2, but .* adds 2 tokens to each text/],
  ])('refuses what does not fit: %o', async (text, message) => {
    paths.broken = join(folder, 'broken.json');
    writeFileSync(paths.broken, '{"version": "1.0"}');
    const { tokenizer = 'clip' } = text as { tokenizer?: string };
    await expect(resolve({ ...text, tokenizer: paths[tokenizer] ?? tokenizer })).rejects.toThrow(message);
  });
});
