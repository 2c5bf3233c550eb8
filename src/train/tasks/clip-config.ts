/** From the `model` section of a configuration to a CLIP's. */
import type { TrainConfig } from '../../config/schema.js';
import { CLIP_VOCAB_SIZE } from '../../data/text/clip-tokenizer.js';
import { JsonTokenizer } from '../../data/text/json-tokenizer.js';
import { CLIP_TOKENIZER, type TokenizerOptions, tokenizerFile } from '../../data/text/tokenizer.js';
import { ConfigError } from '../../errors.js';
import { type ClipConfig, checkClipConfig, clipPreset } from '../../models/clip/config.js';

/** The tokenizer that the section names. */
export function tokenizerOptions({ text }: TrainConfig['model']): TokenizerOptions {
  return { tokenizer: text?.tokenizer, endToken: text?.endToken };
}

/**
 * As {@link resolveClipConfig}, and fitted to the tokenizer, which decides the size of the vocabulary unless that is
 * given, and where a text ends. Reads a `tokenizer.json`; fetches nothing.
 *
 * @throws ConfigError besides if the tokenizer's file cannot be used, or has ids that the model has no room for
 */
export async function resolveModel(model: TrainConfig['model']): Promise<ClipConfig> {
  const config = resolveClipConfig(model);
  const options = tokenizerOptions(model);
  if ((options.tokenizer ?? CLIP_TOKENIZER) === CLIP_TOKENIZER) {
    if (options.endToken !== undefined) {
      throw new ConfigError(
        `model.text.endToken is ${options.endToken}, but CLIP's tokenizer has an end of text of its own. Take it out, ` +
          'or name a tokenizer.json in model.text.tokenizer.',
      );
    }
    checkVocabulary(config.text.vocabSize, CLIP_VOCAB_SIZE, "CLIP's tokenizer");
    return config;
  }
  const file = await tokenizerFile(options);
  const { vocabSize, endToken, minContext } = await JsonTokenizer.load(file.path, file.endToken);
  const wanted = model.text?.vocabSize ?? vocabSize;
  checkVocabulary(wanted, vocabSize, file.path);
  if (config.text.contextLength < minContext + 1) {
    throw new ConfigError(
      `model.text.contextLength is ${config.text.contextLength}, but ${file.path} adds ${minContext} tokens to each ` +
        'text: expected more than that.',
    );
  }
  return {
    ...config,
    text: { ...config.text, vocabSize: wanted, endToken, tokenizer: file.sha256 as string },
  };
}

function checkVocabulary(vocabSize: number, needed: number, tokenizer: string): void {
  if (vocabSize >= needed) return;
  throw new ConfigError(
    `model.text.vocabSize is ${vocabSize}, but the ids of ${tokenizer} go up to ${needed - 1}: expected ${needed} or ` +
      'more. Leave model.text.vocabSize out, or choose another tokenizer.',
  );
}

/**
 * The preset with the section's replacements, but for its tokenizer: see {@link resolveModel}.
 *
 * @throws ConfigError if there is no such preset, or what results is no model: a patch that does not divide
 *   the image, a head that does not divide the width
 */
export function resolveClipConfig(model: TrainConfig['model']): ClipConfig {
  const preset = clipPreset(model.preset);
  const { tokenizer: _tokenizer, endToken: _endToken, ...text } = model.text ?? {};
  const config: ClipConfig = {
    embedDim: model.embedDim ?? preset.embedDim,
    vision: { ...preset.vision, ...given(model.vision ?? {}) },
    text: { ...preset.text, ...given(text) },
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
