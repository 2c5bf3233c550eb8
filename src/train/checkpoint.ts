/**
 * Checkpoints: `checkpoints/step-00000100/{model.safetensors,optimizer.safetensors,mix.json,state.json}`. A checkpoint
 * is written beside its place and renamed into it, so that it is there whole or not at all; `state.json` holds
 * each file's size and sha256, so that damage done later is noticed.
 */
import { createHash } from 'node:crypto';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { SavedLoaderState, SavedMix } from '../data/loader.js';
import { makeDirectories } from '../directories.js';
import { CheckpointError } from '../errors.js';
import {
  cannotWrite,
  type HostTensor,
  readSafetensors,
  serializeSafetensors,
  writeFileAtomically,
} from '../safetensors.js';

export type TensorMap = ReadonlyMap<string, HostTensor>;

/** What a run needs to go on, besides its tensors. */
export interface RunState {
  /** Optimizer steps done. */
  readonly step: number;
  readonly samplesSeen: number;
  /** Samples passed over because they are broken. */
  readonly skipped: number;
  /** Samples passed over because they have no caption of the mix. */
  readonly noCaption: number;
  readonly seed: number;
  /** Kind and shape of the model, enough to rebuild it. */
  readonly model: { readonly kind: string; readonly config: unknown };
  /** Position in the data after the last batch of this step. */
  readonly loader: SavedLoaderState;
  /** The best value of the watched metric so far. */
  readonly best?: { readonly metric: string; readonly value: number; readonly step: number } | undefined;
}

export interface Checkpoint {
  readonly directory: string;
  readonly state: RunState;
  /** What the epoch's captions were so far. */
  readonly mix: SavedMix;
  readonly model: TensorMap;
  readonly optimizer: TensorMap;
}

const stateSchema = z.object({
  format: z.literal(1),
  step: z.number().int().nonnegative(),
  samplesSeen: z.number().int().nonnegative(),
  skipped: z.number().int().nonnegative(),
  noCaption: z.number().int().nonnegative(),
  seed: z.number().int(),
  model: z.object({ kind: z.string(), config: z.unknown() }),
  loader: z.object({
    epoch: z.number().int().nonnegative(),
    position: z.number().int().nonnegative(),
    broken: z.number().int().nonnegative(),
    seed: z.number().int(),
    fingerprint: z.string(),
    // Checkpoints of earlier versions lack them; the loader says what that means.
    batches: z.number().int().nonnegative().optional(),
    carries: z.array(z.array(z.number())).optional(),
    content: z.array(z.object({ place: z.string(), tags: z.string() }).nullable()).optional(),
  }),
  best: z.object({ metric: z.string(), value: z.number(), step: z.number().int() }).optional(),
  files: z.record(z.string(), z.object({ bytes: z.number().int(), sha256: z.string() })),
});

const MODEL = 'model.safetensors';
const OPTIMIZER = 'optimizer.safetensors';
const MIX = 'mix.json';
const STATE = 'state.json';
/** Of which state.json has sizes and hashes. */
const FILES = [MODEL, OPTIMIZER, MIX];
const RESTORE = 'Put the file back from a copy, or take another checkpoint.';

/** The directory's name for a step. */
export function checkpointName(step: number): string {
  return `step-${String(step).padStart(8, '0')}`;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/**
 * Writes a checkpoint under `root` and returns its directory.
 *
 * @throws CheckpointError, for a full disk among others; what was there before stays
 */
export async function saveCheckpoint(
  root: string,
  state: RunState,
  tensors: { model: TensorMap; optimizer: TensorMap },
  mix: SavedMix,
): Promise<string> {
  const target = join(root, checkpointName(state.step));
  const temporary = `${target}.${process.pid}.tmp`;
  const files: Record<string, { bytes: number; sha256: string }> = {};
  try {
    await rm(temporary, { recursive: true, force: true });
    await makeDirectories(temporary);
    for (const [name, serialize] of [
      [MODEL, () => serializeSafetensors(tensors.model)],
      [OPTIMIZER, () => serializeSafetensors(tensors.optimizer)],
      [MIX, () => Buffer.from(JSON.stringify(mix))],
    ] as const) {
      const bytes = serialize(); // one after the other: a large model is in memory once
      files[name] = { bytes: bytes.length, sha256: sha256(bytes) };
      await writeFileAtomically(join(temporary, name), bytes);
    }
    await writeFileAtomically(
      join(temporary, STATE),
      `${JSON.stringify({ format: 1, ...state, files }, null, 2)}\n`,
    );
    await rm(target, { recursive: true, force: true });
    await rename(temporary, target);
    await syncDirectory(root);
  } catch (error) {
    // What is wrong with the disk may keep this from working, too, and is to be reported first.
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    if (error instanceof CheckpointError) throw error;
    throw cannotWrite(target, error);
  }
  return target;
}

/** A rename outlives a power cut only once its directory is on the disk. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Directories of the checkpoints under `root`, oldest first. */
export async function listCheckpoints(root: string): Promise<string[]> {
  const names = await readdir(root).catch(() => []);
  return names
    .filter((n) => /^step-\d{8,}$/.test(n))
    .sort()
    .map((n) => join(root, n));
}

/** The state of a checkpoint, and its files checked against it. @throws CheckpointError naming the file */
export async function readState(directory: string): Promise<RunState> {
  const path = join(directory, STATE);
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new CheckpointError(
      `Checkpoint ${directory} has no readable ${STATE}: ${(error as Error).message}. ${RESTORE}`,
      { cause: error },
    );
  }
  const parsed = stateSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new CheckpointError(
      `${path} is damaged: ${issue?.path.join('.') || 'all of it'}: ` +
        `${issue?.message.replace(/^Invalid input: /, '')}. ${RESTORE}`,
      { cause: parsed.error },
    );
  }
  const { files, format: _, ...state } = parsed.data;
  for (const name of FILES) {
    const expected = files[name];
    const bytes = await readFile(join(directory, name)).catch(() => undefined);
    if (!expected || !bytes) throw new CheckpointError(`Checkpoint ${directory} lacks ${name}.`);
    if (bytes.length !== expected.bytes) {
      throw new CheckpointError(
        `${join(directory, name)} is cut off: expected ${expected.bytes} bytes, found ${bytes.length}.`,
      );
    }
    if (sha256(bytes) !== expected.sha256) {
      throw new CheckpointError(
        `${join(directory, name)} is damaged: its sha256 is not the one in ${STATE}.`,
      );
    }
  }
  return state;
}

/** Reads a checkpoint whole. @throws CheckpointError if it is incomplete or damaged */
export async function loadCheckpoint(directory: string): Promise<Checkpoint> {
  const state = await readState(directory);
  const [model, optimizer] = await Promise.all([
    readSafetensors(join(directory, MODEL)),
    readSafetensors(join(directory, OPTIMIZER)),
  ]);
  const mix = JSON.parse(await readFile(join(directory, MIX), 'utf8')) as SavedMix; // its hash was checked
  return { directory, state, mix, model: model.tensors, optimizer: optimizer.tensors };
}

/**
 * The newest checkpoint that is whole. Damaged ones are passed over and reported through `warn`.
 *
 * @throws CheckpointError if there are checkpoints but none is whole
 */
export async function newestCheckpoint(
  root: string,
  warn: (message: string) => void,
): Promise<Checkpoint | undefined> {
  const directories = await listCheckpoints(root);
  for (const directory of directories.reverse()) {
    try {
      return await loadCheckpoint(directory);
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      warn(`${error.message} Trying the checkpoint before it.`);
    }
  }
  if (directories.length === 0) return undefined;
  const count =
    directories.length === 1 ? 'The only checkpoint' : `None of the ${directories.length} checkpoints`;
  throw new CheckpointError(
    `${count} under ${root} is ${directories.length === 1 ? 'not ' : ''}whole. Put the files of one back from a copy, or ` +
      'begin anew: with another run.name, or once they are deleted.',
  );
}

/** Deletes all but the newest `keepLast` checkpoints and those of the steps to keep. */
export async function pruneCheckpoints(
  root: string,
  keepLast: number,
  keepSteps: readonly number[],
): Promise<void> {
  const keep = new Set(keepSteps.map((step) => join(root, checkpointName(step))));
  const old = (await listCheckpoints(root)).slice(0, -keepLast);
  for (const directory of old)
    if (!keep.has(directory)) await rm(directory, { recursive: true, force: true });
  for (const name of await readdir(root)) {
    if (name.endsWith('.tmp')) await rm(join(root, name), { recursive: true, force: true });
  }
}
