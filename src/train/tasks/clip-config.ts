/** From the `model` section of a configuration to a CLIP's. */
import type { TrainConfig } from '../../config/schema.js';
import { type ClipConfig, checkClipConfig, clipPreset } from '../../models/clip/config.js';

/**
 * The preset with the section's replacements.
 *
 * @throws ConfigError if there is no such preset, or what results is no model: a patch that does not divide
 *   the image, a head that does not divide the width
 */
export function resolveClipConfig(model: TrainConfig['model']): ClipConfig {
  const preset = clipPreset(model.preset);
  const config: ClipConfig = {
    embedDim: model.embedDim ?? preset.embedDim,
    vision: { ...preset.vision, ...given(model.vision ?? {}) },
    text: { ...preset.text, ...given(model.text ?? {}) },
    quickGelu: model.quickGelu ?? preset.quickGelu,
  };
  checkClipConfig(config);
  return config;
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Only the keys that have a value, so that none of the preset's is replaced by undefined. */
function given<T extends object>(overrides: T): Given<T> {
  return Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined)) as Given<T>;
}
