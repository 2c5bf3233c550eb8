/** Options that several benches take. */
import { availableParallelism } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import { positiveInteger, wholeNumber } from '../../src/cli/numbers.js';
import { ConfigError } from '../../src/errors.js';
import { type ClipConfig, checkClipConfig, clipPreset } from '../../src/models/clip/index.js';
import { requireReplaceable } from '../../src/replace-file.js';

/** A number over 0, for commander. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number over 0.');
  return value;
}

/** What every CLIP bench takes. */
export interface ClipBenchOptions {
  readonly json?: string;
  readonly model: string;
  readonly batch: number;
  readonly threads: number;
  readonly seed: number;
}

/** Adds the options of {@link ClipBenchOptions} with a bench's own defaults. */
export function clipOptions(command: Command, defaults: { model: string; batch: number }): Command {
  return command
    .option('--json <file>', 'write all figures there too')
    .option('--model <preset>', 'model, by its name in src/models/clip/config.ts', defaults.model)
    .option('--batch <n>', 'images of a step', positiveInteger, defaults.batch)
    .option('--threads <n>', 'threads of each side', positiveInteger, availableParallelism())
    .option('--seed <n>', 'seed of the initial weights and random inputs', wholeNumber, 1);
}

/** Finds out before the bench runs whether its figures can be written. @throws ConfigError */
export async function requireJsonPlace({ json }: { readonly json?: string }): Promise<void> {
  if (json === undefined) return;
  try {
    await requireReplaceable(json);
  } catch (error) {
    throw new ConfigError(
      `--json is ${json}, which cannot be written (${(error as Error).message}). Choose another place.`,
      { cause: error },
    );
  }
}

/** The named preset, checked. */
export function modelOf({ model }: ClipBenchOptions): ClipConfig {
  const config = clipPreset(model);
  checkClipConfig(config);
  return config;
}

/** The precisions that `--precision` names. @throws ConfigError for another word */
export function precisionsOf(word: string): ('fp32' | 'bf16')[] {
  if (word === 'both') return ['fp32', 'bf16'];
  if (word === 'fp32' || word === 'bf16') return [word];
  throw new ConfigError(`--precision is fp32, bf16 or both, found "${word}".`);
}
