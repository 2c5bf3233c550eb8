import { ConfigError } from '../../errors.js';
import { didYouMean } from '../../nearest.js';

/** The image tower: a vision transformer with a class token. */
export interface ClipVisionConfig {
  /** Side of the square input, pixels. */
  readonly imageSize: number;
  /** Side of a square patch, pixels; divides `imageSize`. */
  readonly patchSize: number;
  readonly width: number;
  /** Number of blocks. */
  readonly depth: number;
  /** Width of one attention head; divides `width`. */
  readonly headWidth: number;
  /** Inner width of the MLP over `width`. */
  readonly mlpRatio: number;
}

/** The text tower: a causal transformer, pooled at the end-of-text token. */
export interface ClipTextConfig {
  /** Most tokens of a caption, start and end tokens included. */
  readonly contextLength: number;
  readonly vocabSize: number;
  readonly width: number;
  /** Number of blocks. */
  readonly depth: number;
  /** Divides `width`. */
  readonly numHeads: number;
  /** Inner width of the MLP over `width`. */
  readonly mlpRatio: number;
  /** Id of the end-of-text token, at the first of which a text is pooled. Left out: the largest id of the text, as CLIP's is. */
  readonly endToken?: number;
  /** SHA-256 (hex) of the `tokenizer.json` whose ids these are. Left out: CLIP's own tokenizer. */
  readonly tokenizer?: string;
}

/** Everything that decides a CLIP's parameters and computation. */
export interface ClipConfig {
  /** Width of the space that both towers project to. */
  readonly embedDim: number;
  readonly vision: ClipVisionConfig;
  readonly text: ClipTextConfig;
  /** x sigmoid(1.702 x), as OpenAI's weights need, instead of the exact GELU. */
  readonly quickGelu: boolean;
}

/** How a tower is computed, which does not change its numbers. */
export interface EncoderOptions {
  /** Keeps only the blocks' inputs for the backward pass, which computes the rest again: less memory, more work. */
  readonly remat?: boolean;
}

type VisionRow = [
  imageSize: number,
  patch: number,
  width: number,
  depth: number,
  head?: number,
  ratio?: number,
];
type TextRow = [width: number, depth: number, heads: number, contextLength?: number];

function vit(embedDim: number, vision: VisionRow, text: TextRow): ClipConfig {
  const [imageSize, patchSize, width, depth, headWidth = 64, mlpRatio = 4] = vision;
  const [textWidth, textDepth, numHeads, contextLength = 77] = text;
  return {
    embedDim,
    vision: { imageSize, patchSize, width, depth, headWidth, mlpRatio },
    text: { contextLength, vocabSize: 49408, width: textWidth, depth: textDepth, numHeads, mlpRatio: 4 },
    quickGelu: false,
  };
}

const quick = (config: ClipConfig): ClipConfig => ({ ...config, quickGelu: true });

const smallText: TextRow = [384, 12, 6];
const baseText: TextRow = [512, 12, 8];
const plusText: TextRow = [640, 12, 10];
const largeText: TextRow = [768, 12, 12];
const hugeText: TextRow = [1024, 24, 16];
const bigText: TextRow = [1280, 32, 20];

const b32 = vit(512, [224, 32, 768, 12], baseText);
const b16 = vit(512, [224, 16, 768, 12], baseText);
const l14 = vit(768, [224, 14, 1024, 24], largeText);
const l14At336 = vit(768, [336, 14, 1024, 24], largeText);
const h14 = vit(1024, [224, 14, 1280, 32, 80], hugeText);
const h14At378 = vit(1024, [378, 14, 1280, 32, 80], hugeText);
const bigG14 = vit(1280, [224, 14, 1664, 48, 104, 4.9231], bigText);

/**
 * The vision-transformer CLIPs of open_clip 3.3.0 with its own towers, under its names, and two
 * smaller ones: `ViT-Ti-16`, whose towers are both 192 wide, and `emoji-tiny`, for 64-pixel images
 * and short captions on a laptop.
 */
export const clipPresets: Readonly<Record<string, ClipConfig>> = {
  'emoji-tiny': vit(128, [64, 8, 128, 2], [64, 2, 1, 24]),
  'ViT-Ti-16': vit(192, [224, 16, 192, 12], [192, 12, 3]),
  'ViT-S-32-alt': vit(256, [224, 32, 384, 12], [256, 10, 4]),
  'ViT-S-32': vit(384, [224, 32, 384, 12], smallText),
  'ViT-S-16-alt': vit(256, [224, 16, 384, 12], [256, 10, 4]),
  'ViT-S-16': vit(384, [224, 16, 384, 12], smallText),
  'ViT-M-32-alt': vit(384, [224, 32, 512, 12], smallText),
  'ViT-M-32': vit(512, [224, 32, 512, 12], baseText),
  'ViT-M-16': vit(512, [224, 16, 512, 12], baseText),
  'ViT-B-32': b32,
  'ViT-B-32-quickgelu': quick(b32),
  'ViT-B-32-256': vit(512, [256, 32, 768, 12], baseText),
  'ViT-B-32-plus-256': vit(640, [256, 32, 896, 12], plusText),
  'ViT-B-16': b16,
  'ViT-B-16-quickgelu': quick(b16),
  'ViT-B-16-plus': vit(640, [224, 16, 896, 12], plusText),
  'ViT-B-16-plus-240': vit(640, [240, 16, 896, 12], plusText),
  'ViT-L-16': vit(768, [224, 16, 1024, 24], largeText),
  'ViT-L-16-320': vit(768, [320, 16, 1024, 24], largeText),
  'ViT-L-14': l14,
  'ViT-L-14-quickgelu': quick(l14),
  'ViT-L-14-280': vit(768, [280, 14, 1024, 24], largeText),
  'ViT-L-14-336': l14At336,
  'ViT-L-14-336-quickgelu': quick(l14At336),
  'ViT-H-16': vit(1024, [224, 16, 1280, 32, 80], hugeText),
  'ViT-H-14': h14,
  'ViT-H-14-quickgelu': quick(h14),
  'ViT-H-14-378': h14At378,
  'ViT-H-14-378-quickgelu': quick(h14At378),
  'ViT-g-14': vit(1024, [224, 14, 1408, 40, 88, 4.3637], hugeText),
  'ViT-bigG-14': bigG14,
  'ViT-bigG-14-quickgelu': quick(bigG14),
  'ViT-e-14': vit(1280, [224, 14, 1792, 56, 112, 8.5715], [1280, 36, 20]),
};

/** The preset of that name. @throws ConfigError, with the nearest name, if there is none. */
export function clipPreset(name: string): ClipConfig {
  if (Object.hasOwn(clipPresets, name)) return clipPresets[name]!;
  const names = Object.keys(clipPresets);
  throw new ConfigError(
    `There is no CLIP preset "${name}"${didYouMean(name, names) || '.'} ` +
      `The presets are ${names.join(', ')}.`,
  );
}

/**
 * Checks what types cannot: that the counts are whole and positive, that patches tile the image and
 * heads the width.
 *
 * @throws ConfigError naming the first bad field
 */
export function checkClipConfig(config: ClipConfig): void {
  const { vision, text } = config;
  const whole: [field: string, value: number][] = [
    ['embedDim', config.embedDim],
    ['vision.imageSize', vision.imageSize],
    ['vision.patchSize', vision.patchSize],
    ['vision.width', vision.width],
    ['vision.depth', vision.depth],
    ['vision.headWidth', vision.headWidth],
    ['text.contextLength', text.contextLength],
    ['text.vocabSize', text.vocabSize],
    ['text.width', text.width],
    ['text.depth', text.depth],
    ['text.numHeads', text.numHeads],
  ];
  for (const [field, value] of whole) {
    if (!Number.isInteger(value) || value < 1) {
      throw new ConfigError(`The CLIP model's ${field} must be a whole number from 1, found ${value}.`);
    }
  }
  const { endToken, vocabSize } = config.text;
  if (endToken !== undefined && !(Number.isInteger(endToken) && endToken >= 0 && endToken < vocabSize)) {
    throw new ConfigError(
      `The CLIP model's text.endToken must be an id of the ${vocabSize} from 0, found ${endToken}.`,
    );
  }
  const divides: [wholeField: string, whole: number, partField: string, part: number][] = [
    ['vision.imageSize', vision.imageSize, 'vision.patchSize', vision.patchSize],
    ['vision.width', vision.width, 'vision.headWidth', vision.headWidth],
    ['text.width', text.width, 'text.numHeads', text.numHeads],
  ];
  for (const [wholeField, value, partField, part] of divides) {
    if (value % part !== 0) {
      throw new ConfigError(
        `The CLIP model's ${wholeField} must be a multiple of ${partField}, found ${value} and ${part}.`,
      );
    }
  }
  for (const [field, value] of [
    ['vision.mlpRatio', vision.mlpRatio],
    ['text.mlpRatio', text.mlpRatio],
  ] as const) {
    if (!(value > 0)) throw new ConfigError(`The CLIP model's ${field} must be over 0, found ${value}.`);
  }
}
