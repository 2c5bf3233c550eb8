import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../../src/errors.js';
import type { ClipConfig } from '../../../../src/models/clip/config.js';
import { initClip } from '../../../../src/models/clip/init.js';

interface Moments {
  readonly shape: number[];
  readonly mean: number;
  readonly std: number;
  readonly min: number;
  readonly max: number;
  readonly kurtosis: number | null;
}

const golden = JSON.parse(
  readFileSync(new URL('../../../golden/data/clip-init.json', import.meta.url), 'utf8'),
) as { config: ClipConfig; parameters: Record<string, Moments> };

describe('initClip', () => {
  const params = initClip(golden.config, 1);

  it.each(Object.entries(golden.parameters))("draws %s from open_clip's distribution", (name, expected) => {
    const values = params[name]!;
    const size = expected.shape.reduce((a, b) => a * b, 1);
    expect(values.length).toBe(size);
    const mean = values.reduce((a, b) => a + b, 0) / size;
    const std = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / size);
    if (expected.kurtosis === null) {
      expect(values.every((x) => Math.abs(x - expected.mean) < 1e-6)).toBe(true);
      return;
    }
    // Both are samples: six standard errors of the difference.
    expect(Math.abs(mean - expected.mean)).toBeLessThan((6 * Math.SQRT2 * expected.std) / Math.sqrt(size));
    expect(Math.abs(std / expected.std - 1)).toBeLessThan(6 / Math.sqrt(size));
    const kurtosis = values.reduce((a, b) => a + (b - mean) ** 4, 0) / size / std ** 4;
    expect(Math.abs(kurtosis - expected.kurtosis)).toBeLessThan(6 * Math.sqrt(48 / size));
    if (expected.kurtosis < 2.2) {
      const largest = values.reduce((top, x) => Math.max(top, Math.abs(x)), 0);
      expect(largest).toBeLessThan(Math.max(-expected.min, expected.max) * (1 + 20 / size));
    }
  });

  it('is a function of seed and name alone', () => {
    const { config } = golden;
    const deeper = initClip({ ...config, vision: { ...config.vision, depth: 4 } }, 1);
    expect(deeper['token_embedding.weight']).toEqual(params['token_embedding.weight']);
    expect(initClip(config, 2).text_projection).not.toEqual(params.text_projection);
    const blocks = [0, 1].map((i) => params[`transformer.resblocks.${i}.mlp.c_fc.weight`]);
    expect(blocks[0]).not.toEqual(blocks[1]);
  });

  it('refuses a model that cannot be built', () => {
    expect(() => initClip({ ...golden.config, embedDim: -1 }, 1)).toThrow(ConfigError);
  });
});
