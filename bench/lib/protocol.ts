/**
 * What a bench and its worker processes say to each other: one JSON object a line on the worker's
 * standard input, one reply a line, after `@reply `, on its standard output. Each worker is one engine.
 */
import type { ClipConfig } from '../../src/models/clip/index.js';

/** A prefix, because libraries print to standard output too. */
export const REPLY = '@reply ';

/** Batches in files without a header: step i takes batch i mod `count`. */
export interface BatchFiles {
  readonly count: number;
  readonly batchSize: number;
  /** Bytes of shape [count, batchSize, S, S, 3]. */
  readonly imagesFile: string;
  /** Little-endian int32 of shape [count, batchSize, L]. */
  readonly tokensFile: string;
}

/** A training to be set up. Both sides read the same initial weights and batches. */
export interface TrainingSetup {
  readonly config: ClipConfig;
  readonly precision: 'fp32' | 'bf16';
  /** Ours: `compiled`, operation by operation, or tfjs alone; the peer: eager PyTorch or `torch.compile`. */
  readonly mode: 'compiled' | 'eager' | 'tfjs';
  readonly threads: number;
  readonly optimizer: {
    readonly lr: number;
    readonly beta1: number;
    readonly beta2: number;
    readonly eps: number;
    readonly weightDecay: number;
    readonly warmupSteps: number;
    readonly totalSteps: number;
  };
  /** Safetensors by parameter name. */
  readonly weightsFile: string;
  readonly batches: BatchFiles;
  /** Ours: folder of compiled kernels. */
  readonly compileCache?: string;
}

/** A loader to be opened; both sides hand out batches of images of the training transform, with token ids. */
export interface LoaderSetup {
  /** What loads: capstan, open_clip's WebDataset pipeline, or Hugging Face datasets' streaming. */
  readonly side: 'capstan' | 'open_clip' | 'datasets';
  /** Holds the folders `tar`, `parquet` and `arrow`, with shards of the same samples. */
  readonly folder: string;
  /** Which of them capstan reads; the others read what is theirs. */
  readonly format: string;
  readonly numSamples: number;
  readonly imageSize: number;
  readonly batchSize: number;
  readonly workers: number;
  readonly seed: number;
}

/** Requests by name, with what they reply. */
export interface Requests {
  setup: { arguments: TrainingSetup; reply: { versions: Record<string, string> } };
  /**
   * Trains on, or takes batches; a step's time includes reading its loss, if it has one. `processorMs` is of all
   * threads together.
   */
  steps: {
    arguments: { count: number };
    reply: {
      stepMs: number[];
      losses: number[];
      processorMs: number;
      /** Ours: of the main thread alone; on Linux. */
      mainThreadMs?: number;
    };
  };
  /** Opens a loader and takes the first batch. */
  load: { arguments: LoaderSetup; reply: { versions: Record<string, string> } };
  /** Decodes JPEGs of an opened loader's data, and does nothing else, for that long. */
  decode: { arguments: { seconds: number }; reply: { images: number; processorMs: number } };
  /** The rate of a large product of square matrices in the set-up's precision. */
  matmul: { arguments: { size: number; repeats: number }; reply: { gflopsPerSecond: number } };
  memory: { arguments: Record<string, never>; reply: MemoryReply };
}

export interface MemoryReply {
  readonly residentBytes: number;
  /** The most that was resident at any time. */
  readonly peakBytes: number;
  /** Ours: tensors of tfjs and native handles alive. */
  readonly numTensors?: number;
  readonly numHandles?: number;
}

export type RequestName = keyof Requests;
