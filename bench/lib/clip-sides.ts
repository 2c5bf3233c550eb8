/** The processes that take part in a CLIP bench. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OPEN_CLIP_ADAMW } from '../../src/train/optim/adamw.js';
import type { TrainingSetup } from './protocol.js';
import { repositoryRoot } from './root.js';
import { WorkerProcess } from './worker-process.js';

/** open_clip's defaults for a run that is long compared with a bench: hardly anything is learnt in it. */
export const LONG_RUN: TrainingSetup['optimizer'] = {
  ...OPEN_CLIP_ADAMW,
  lr: 5e-4,
  warmupSteps: 10_000,
  totalSteps: 1_000_000,
};

/** A new process of ours, not yet set up. */
export function ourWorker(label: string): WorkerProcess {
  return new WorkerProcess(label, [
    process.execPath,
    fileURLToPath(new URL('../clip-worker.js', import.meta.url)),
  ]);
}

/** A new process of open_clip's, not yet set up. */
export function peerWorker(label: string, python: string): WorkerProcess {
  return new WorkerProcess(label, [python, join(repositoryRoot(), 'bench', 'peer', 'open_clip_worker.py')]);
}
