/** The configuration of a training run: types, bounds, defaults, descriptions and units, all from here. */
import { z } from 'zod';
import { captionKinds, shardFormats } from '../data/schema.js';
import { targets } from '../data/schemas/column-map.js';
import { schemaNames } from '../data/schemas/registry.js';
import { storageSchema } from '../data/storage/options.js';
import { field } from './field.js';

const count = () => z.int().min(1);
const positive = () => z.number().positive();

/** Checks a section also when another key of it is wrong, so that one look shows every problem. */
const isMap = ({ value }: { value: unknown }): boolean => typeof value === 'object' && value !== null;

const visionSchema = z
  .strictObject({
    imageSize: field(count(), 'Side of the square input.', 'pixels'),
    patchSize: field(count(), 'Side of a square patch; divides imageSize.', 'pixels'),
    width: field(count(), 'Width of the image tower.', 'channels'),
    depth: field(count(), 'Blocks of the image tower.', 'blocks'),
    headWidth: field(count(), 'Width of one attention head; divides width.', 'channels'),
    mlpRatio: field(positive(), 'Inner width of the MLP over width.', 'ratio'),
  })
  .partial();

const textSchema = z
  .strictObject({
    contextLength: field(
      z.int().min(3),
      'Longest caption, start and end tokens included; longer ones are cut.',
      'tokens',
    ),
    vocabSize: field(count(), "Size of the vocabulary; CLIP's tokenizer has 49,408.", 'tokens'),
    width: field(count(), 'Width of the text tower.', 'channels'),
    depth: field(count(), 'Blocks of the text tower.', 'blocks'),
    numHeads: field(count(), 'Attention heads; divides width.', 'heads'),
    tokenizer: field(
      z.string().min(1),
      "'clip' for CLIP's own tokenizer, or the path of a Hugging Face tokenizer.json, whose size vocabSize then is by default.",
    ),
    endToken: field(
      z.int().min(0),
      'With a tokenizer.json: id of the token that ends each text, where its embedding is taken; added if the file adds none. By default the first that the file adds behind a text.',
    ),
    mlpRatio: field(positive(), 'Inner width of the MLP over width.', 'ratio'),
  })
  .partial();

const modelSchema = z.strictObject({
  preset: field(
    z.string().min(1).default('emoji-tiny'),
    "Model to start from: 'emoji-tiny', 'ViT-Ti-16', or a name of open_clip's such as 'ViT-B-32'.",
  ),
  vision: field(visionSchema.optional(), "Replaces values of the preset's image tower."),
  text: field(textSchema.optional(), "Replaces values of the preset's text tower."),
  embedDim: field(
    count().optional(),
    "Replaces the preset's width of the space that both towers share.",
    'channels',
  ),
  quickGelu: field(
    z.boolean().optional(),
    "Replaces the preset's activation: true for x·sigmoid(1.702x), as OpenAI's weights need.",
  ),
});

/** How far the shares of a mix may be from adding up to 1. */
const MIX_TOLERANCE = 1e-6;

const captionsSchema = z
  .partialRecord(z.enum(captionKinds), z.number().min(0).max(1))
  .superRefine((mix, context) => {
    const sum = Object.values(mix).reduce((total: number, share) => total + (share ?? 0), 0);
    if (Math.abs(sum - 1) <= MIX_TOLERANCE) return;
    context.addIssue({
      code: 'custom',
      message: `add up to 1, and adds up to ${Number(sum.toFixed(6))}`,
      params: { kind: 'sum' },
    });
  });

const kindSchema = z.enum(captionKinds);

const kindListSchema = z
  .array(kindSchema)
  .min(1)
  .refine((kinds) => new Set(kinds).size === kinds.length, { error: 'name no kind twice' });

const columnSchema = z.union([z.string().min(1), z.array(z.string().min(1)).min(1), z.null()], {
  error: 'be a column, a list of columns, or null for none',
});

/** How a data set is read. */
const readingFields = {
  split: field(z.string().min(1).default('train'), 'Split to train on.'),
  format: field(
    z.enum(['auto', ...shardFormats]).default('auto'),
    "Storage of the shards; 'auto' goes by their names.",
  ),
  schema: field(
    z.enum(['auto', ...schemaNames]).default('auto'),
    "Layout of the data's own columns; 'auto' tells it by their names, 'custom' goes by columns alone.",
  ),
  columns: field(
    z.partialRecord(z.enum(targets), columnSchema).optional(),
    `Which column is which of ${targets.join(', ')}: a name, a path such as conversations[1].value, sha256(COLUMN), or a list. With another schema than custom, only what differs from it.`,
  ),
  images: field(
    z.string().min(1).nullable().default(null),
    "Directory or URL of the images that rows name by path; or a name such as 'images/{key}.jpg'.",
  ),
};

const sourceSchema = z.strictObject({
  path: field(
    z.string().min(1),
    'Data set: a directory of shards, a pattern such as {00000..00099}.tar, or one shard; a path, or a URL of http, https, s3 or hf.',
  ),
  ...readingFields,
  weight: field(
    positive().optional(),
    'How much of every batch is of this set, in proportion to the other weights; then each set has epochs of its own. Without any weight each has its share by size, and an epoch visits every sample once.',
  ),
  captions: field(
    captionsSchema.optional(),
    'Mix of captions of this set, instead of data.captions.',
    'share',
  ),
});

const mixScheduleSchema = z.strictObject({
  interpolation: field(
    z.enum(['step', 'linear']).default('linear'),
    "'linear': the mix goes straight from each point to the next, beginning with data.captions at step 0. 'step': it holds until the next.",
  ),
  points: field(
    z
      .array(
        z.strictObject({
          step: field(count(), 'When this mix is reached.', 'steps'),
          captions: field(captionsSchema, 'The mix.', 'share'),
        }),
      )
      .min(1)
      .refine((points) => points.every(({ step }, i) => i === 0 || step > (points[i - 1]?.step ?? 0)), {
        error: 'rise in their steps',
      }),
    'The mixes, by rising steps.',
  ),
});

const concatSchema = z.strictObject({
  order: field(kindListSchema, 'Kinds in the order of the text; those that a sample lacks are left out.'),
  separator: field(z.string().default(' '), 'What stands between them.'),
  maxTokens: field(
    z.partialRecord(kindSchema, count()).optional(),
    'Most tokens of a kind, so that it leaves room for those after it.',
    'tokens',
  ),
});

const dataFields = z.strictObject({
  path: field(
    z.string().min(1).nullable().default(null),
    'Data set: a directory of shards, a pattern such as {00000..00099}.tar, or one shard; a path, or a URL of http, https, s3 or hf. Or null, and sources.',
  ),
  ...readingFields,
  sources: field(
    z.array(sourceSchema).min(1).optional(),
    'Several data sets, instead of path and what says how it is read. Evaluations use the first.',
  ),
  captions: field(
    captionsSchema,
    `Mix of captions: the share of each kind (${captionKinds.join(', ')}), adding up to 1. An inherited mix is replaced whole.`,
    'share',
  ),
  mixSchedule: field(mixScheduleSchema.optional(), 'How the mix changes over training.'),
  mixing: field(
    z.enum(['sample', 'batch', 'fixed']).default('sample'),
    "'sample': each sample's kind is drawn by the mix, anew in each epoch. 'batch': every batch has the mix's exact proportions, before captionDropout. 'fixed': each sample's kind is drawn once for the whole run. With concat only 'sample'.",
  ),
  missing: field(
    z
      .union([z.literal('renormalise'), kindListSchema], {
        error: `be renormalise or a list of ${captionKinds.join(', ')}`,
      })
      .default('renormalise'),
    "Where a sample lacks the kind drawn for it: 'renormalise' draws among those that it has, by their shares; a list takes the first that it has, and where it has none of them draws like 'renormalise'. Not with concat.",
  ),
  concat: field(
    concatSchema.optional(),
    'All captions of these kinds as one text, instead of one of the mix, which is then not used.',
  ),
  captionDropout: field(
    z.number().min(0).max(1).default(0),
    'Share of samples whose caption is replaced by an empty one, for guidance without a classifier.',
    'share',
  ),
  shuffleBuffer: field(
    z.union([count(), z.literal('auto')]).default('auto'),
    "Samples shuffled together, within shards that are shuffled too; 'auto' takes up to 65,536 and 256 MiB.",
    'samples',
  ),
  cropScale: field(
    z
      .array(z.number().gt(0).max(1))
      .length(2)
      .refine(([min, max]) => !((min as number) > (max as number)), {
        error: 'rise: the least share comes first',
      })
      .default([0.9, 1]),
    "Least and largest share of an image's area that the random crop keeps (open_clip's --aug-cfg scale).",
    'share',
  ),
  flip: field(
    z.number().min(0).max(1).default(0),
    'How often an image is mirrored, left to right, in training; 0 as in open_clip.',
    'probability',
  ),
  exif: field(
    z.boolean().default(false),
    "Whether images are turned as their EXIF orientation says, in training and evaluation. open_clip doesn't turn them.",
  ),
  scaledDecode: field(
    z.boolean().default(false),
    "Whether training decodes large JPEGs at a half, quarter or eighth of their size where the crop keeps as many pixels as the model takes: faster, with other pixels than Pillow's. Not with cacheMiB.",
  ),
  workers: field(
    z.union([z.int().min(0), z.literal('auto')]).default('auto'),
    "Threads that decode images; 0 decodes in the main thread, 'auto' goes by the machine's cores.",
    'threads',
  ),
  prefetch: field(count().default(4), 'Batches prepared ahead of the step.', 'batches'),
  cacheMiB: field(
    z.int().min(0).default(0),
    'Memory for decoded images, which later epochs then need not decode. 0 decodes anew each time.',
    'MiB',
  ),
  storage: field(storageSchema.prefault({}), 'How remote data are read and kept.'),
  maxSkipRatio: field(
    z.number().min(0).max(1).default(0.01),
    "Largest share of an epoch's rows, and of those of eval.split, rounded down, that may be unreadable; one more ends the run.",
    'share',
  ),
});

/** One data set of a run, and how it is read. */
export type DataSource = z.infer<typeof sourceSchema>;

/** The data sets of a run, be it one or several. */
export function dataSources({
  path,
  sources,
  ...reading
}: z.infer<typeof dataFields>): readonly DataSource[] {
  const { split, format, schema, columns, images } = reading;
  return sources ?? [{ path: path as string, split, format, schema, columns, images }];
}

const dataSchema = dataFields
  .refine(({ path, sources }) => (path === null) !== (sources === undefined), {
    path: ['path'],
    error: 'be given, or data.sources, and not both',
    when: isMap,
  })
  .refine(({ scaledDecode, cacheMiB }) => !(scaledDecode && cacheMiB > 0), {
    path: ['scaledDecode'],
    error: 'be false where data.cacheMiB is above 0: a cache holds whole images, whatever crop is drawn',
    when: isMap,
  })
  .refine(({ concat, mixing }) => concat === undefined || !(mixing === 'batch' || mixing === 'fixed'), {
    path: ['mixing'],
    error: "be 'sample' where data.concat is given, which takes all kinds of its order and draws none",
    when: isMap,
  })
  .refine(({ concat, missing }) => concat === undefined || !Array.isArray(missing), {
    path: ['missing'],
    error: "be 'renormalise' where data.concat is given, which leaves out the kinds that a sample lacks",
    when: isMap,
  })
  .refine(({ sources = [] }) => new Set(sources.map(({ weight }) => weight === undefined)).size < 2, {
    path: ['sources'],
    error: 'have a weight each, or none of them',
  });

const lengths = ['steps', 'epochs', 'samplesSeen'] as const;

const trainSchema = z
  .strictObject({
    batchSize: field(z.int().min(2), 'Pairs per step; each is a negative of all others.', 'samples'),
    steps: field(
      count().optional(),
      'Length of the run. Give exactly one of steps, epochs and samplesSeen.',
      'steps',
    ),
    epochs: field(count().optional(), 'Length of the run in passes over the data.', 'epochs'),
    samplesSeen: field(
      count().optional(),
      'Length of the run in samples; rounded up to whole steps.',
      'samples',
    ),
    lr: field(positive().default(5e-4), 'Highest learning rate.'),
    warmupSteps: field(
      z.int().min(0).default(0),
      'Steps over which the learning rate rises from 0.',
      'steps',
    ),
    weightDecay: field(
      z.number().min(0).default(0.2),
      'Decoupled weight decay of matrices; gains, biases and the logit scale have none.',
    ),
    beta1: field(z.number().min(0).lt(1).default(0.9), "AdamW's decay of the first moment."),
    beta2: field(z.number().min(0).lt(1).default(0.98), "AdamW's decay of the second moment."),
    eps: field(positive().default(1e-6), "AdamW's term against division by zero."),
    schedule: field(
      z.enum(['cosine', 'constant']).default('cosine'),
      'Learning rate after the warm-up: half a cosine down to 0, or constant.',
    ),
    gradClipNorm: field(
      positive().nullable().default(null),
      'Gradients are scaled down to this global norm; null leaves them as they are.',
    ),
    precision: field(
      z.enum(['fp32', 'bf16']).default('fp32'),
      'bf16 computes matrix products in bfloat16 and keeps parameters, sums and the loss in float32.',
    ),
    remat: field(
      z.boolean().default(false),
      "Keep only the blocks' inputs for the backward pass and compute the rest again: less memory, about a third more work.",
    ),
    seed: field(
      z
        .int()
        .min(0)
        .max(2 ** 31 - 1)
        .default(0),
      'Decides initial weights, order of samples, crops and choice of captions.',
    ),
    logEvery: field(count().default(1), 'Steps between rows of metrics.jsonl.', 'steps'),
  })
  .refine((train) => lengths.filter((name) => train[name] !== undefined).length === 1, {
    error: 'give exactly one of steps, epochs and samplesSeen',
    when: isMap,
  });

const checkpointSchema = z.strictObject({
  every: field(count().default(1000), 'Steps between checkpoints; the last step always makes one.', 'steps'),
  keepLast: field(count().default(3), 'Newest checkpoints kept.', 'checkpoints'),
  keepBest: field(
    z.string().min(1).nullable().default(null),
    "Figure whose best checkpoint is kept besides, such as 'val/zeroShot/label/top1'; larger is better.",
  ),
});

const zeroShotSchema = z.strictObject({
  classes: field(
    z.union([z.string().min(1), z.array(z.string().min(1)).min(2)], {
      error: 'be the name of a column or a list of two class names or more',
    }),
    "Classes: a column of the data ('label' fine, 'subgroup' coarse), or a list of class names, which must hold every value of the column 'label', the true class.",
  ),
  templates: field(z.string().min(1), "Prompt templates: 'emoji', 'openai', or a file with one per line."),
});

const evalSchema = z.strictObject({
  every: field(
    count().nullable().default(null),
    'Steps between evaluations; null evaluates after the last step only.',
    'steps',
  ),
  split: field(z.string().min(1).default('val'), 'Split to evaluate on.'),
  batchSize: field(count().default(64), 'Samples embedded at a time.', 'samples'),
  zeroShot: field(z.array(zeroShotSchema).default([]), 'Zero-shot classifications to make.'),
  retrieval: field(z.boolean().default(false), 'Whether to measure retrieval between images and captions.'),
  maxImages: field(count().optional(), 'Evaluate on this many images at most.', 'images'),
});

const engineSchema = z.strictObject({
  device: field(
    z.enum(['auto', 'cpu', 'cuda']).default('auto'),
    "Where to compute; 'auto' takes an NVIDIA GPU if there is one. 'cuda' without one is an error.",
  ),
  threads: field(
    z.union([count(), z.literal('auto')]).default('auto'),
    "Threads of the CPU; 'auto' goes by the usable cores.",
    'threads',
  ),
  libtensorflow: field(
    z.string().min(1).nullable().default(null),
    "TensorFlow's library or a directory that holds it; null takes the pinned one.",
  ),
});

const runSchema = z.strictObject({
  dir: field(z.string().min(1).default('runs'), 'Directory of runs.'),
  name: field(
    z
      .string()
      .regex(
        /^[\p{L}\p{N}_][\p{L}\p{N}._+-]*(\/[\p{L}\p{N}_][\p{L}\p{N}._+-]*)*$/u,
        'consist of letters, digits and . _ + -, in one or more parts between slashes',
      ),
    "Name of the run, which is its folder's.",
  ),
});

/** The configuration of `capstan train`. Parsing applies every default. */
export const trainConfigSchema = z
  .strictObject({
    task: field(z.literal('clip'), 'What is trained.'),
    model: field(modelSchema.prefault({}), 'The model.'),
    data: field(dataSchema, 'What it is trained on.'),
    train: field(trainSchema, 'How it is trained.'),
    checkpoint: field(checkpointSchema.prefault({}), 'When its state is saved.'),
    eval: field(evalSchema.prefault({}), 'How it is measured during training.'),
    engine: field(engineSchema.prefault({}), 'What it runs on.'),
    run: field(runSchema, 'Where the results go.'),
  })
  .superRefine((config, context) => {
    const { keepBest } = config.checkpoint;
    if (keepBest === null || config.eval.retrieval || config.eval.zeroShot.length > 0) return;
    context.addIssue({
      code: 'custom',
      path: ['checkpoint', 'keepBest'],
      message: 'be computed by an evaluation: set eval.zeroShot or eval.retrieval',
    });
  });

/** A resolved configuration: checked, every default applied. */
export type TrainConfig = z.infer<typeof trainConfigSchema>;
