/** What tells a run's model from every other, for features that are made with it. */
import { createHash } from 'node:crypto';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { TrainConfig } from '../config/schema.js';
import { describeFile } from '../data/datasets/publish.js';
import type { MadeOf } from '../data/features/spec.js';
import { engineInfo } from '../engine/index.js';
import type { LoadedClip } from '../train/load-clip.js';
import { capstanVersion } from '../train/run-folder.js';

/** The model: its weights, its preset, its shape, and the precision that it computes in. */
export async function modelIdentity({ directory, config }: LoadedClip, run: TrainConfig): Promise<MadeOf> {
  const { sha256 } = await describeFile(join(directory, 'model.safetensors'));
  return {
    model: sha256,
    preset: run.model.preset,
    architecture: createHash('sha256').update(JSON.stringify(config)).digest('hex'),
    precision: run.train.precision,
  };
}

/** What else the last bits of an embedding may depend on. */
export async function machineIdentity(run: TrainConfig): Promise<MadeOf> {
  const { tensorflow, devices, threads } = engineInfo();
  return {
    capstan: await capstanVersion(),
    tensorflow,
    devices: devices.map(({ name, type }) => `${type} ${name}`).join(', '),
    threads,
    processor: cpus()[0]?.model ?? 'unknown',
    batchSize: run.eval.batchSize,
  };
}
