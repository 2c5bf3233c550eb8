import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../src/errors.js';
import { clipPresets } from '../../../src/models/clip/config.js';
import { resolveClipConfig } from '../../../src/train/tasks/clip-config.js';

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
