/** The quickstart's phases on the real thing; each leaves alone what an earlier run has finished. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { isAssetCached, openClipText } from '../../assets/index.js';
import { dumpConfig, loadConfig } from '../../config/load.js';
import type { TrainConfig } from '../../config/schema.js';
import { buildEmoji } from '../../data/datasets/emoji/build.js';
import { readManifest } from '../../data/datasets/manifest.js';
import { DecodedCache } from '../../data/decoded-cache.js';
import { type DoctorReport, examine } from '../../engine/doctor.js';
import { findLibrary } from '../../engine/library.js';
import { ConfigError, EngineError } from '../../errors.js';
import { inLoopEvaluators } from '../../eval/in-loop.js';
import { readRun } from '../../report/index.js';
import { newestCheckpoint } from '../../train/checkpoint.js';
import { train } from '../../train/run.js';
import { runPaths } from '../../train/run-folder.js';
import { openTrainingData } from '../../train/training-data.js';
import { DrawingProgress } from '../drawing-progress.js';
import { RunEvaluation } from '../evaluate-run.js';
import type { SignalWatch } from '../signals.js';
import type { PhaseResult } from './phases.js';
import { EVALUATED, type MachineFacts, type QuickstartWork, quickstartResults } from './quickstart.js';

const CONFIG = fileURLToPath(new URL('../../../configs/quickstart.yaml', import.meta.url));

export interface QuickstartWorkOptions {
  readonly dataDir: string;
  readonly outDir: string;
  readonly say: (line: string) => void;
  readonly progress: NodeJS.WritableStream;
  readonly signals: Pick<SignalWatch, 'signal' | 'endBy'>;
}

const nothing: PhaseResult<void> = { value: undefined, worked: false };
const worked: PhaseResult<void> = { value: undefined, worked: true };

/** The phases' work. Errors are those of the engine, the data, training and evaluation, and the signal's reason. */
export function quickstartWork({
  dataDir,
  outDir,
  say,
  progress,
  signals: { signal, endBy },
}: QuickstartWorkOptions): QuickstartWork {
  const configOf = (seed: number): Promise<TrainConfig> =>
    loadConfig(CONFIG, [
      `data.path=${JSON.stringify(dataDir)}`,
      `train.seed=${seed}`,
      `run.dir=${JSON.stringify(outDir)}`,
      `run.name=seed-${seed}`,
    ]);
  let cache: DecodedCache | undefined;
  return {
    engine: () => startOrExplain(say, signal),
    async data() {
      if ((await readManifest(dataDir)) !== undefined) return nothing;
      const drawing = new DrawingProgress(progress);
      try {
        await buildEmoji({ out: dataDir, signal, onProgress: drawing.update });
      } finally {
        drawing.stop();
      }
      return worked;
    },
    async train(seed, runDir) {
      const config = await configOf(seed);
      if (await isTrained(config, runDir)) return nothing;
      // The seeds train on the same pictures: the first decodes them for all.
      cache ??= await allocateCache(config);
      const { finished } = await train(config, {
        resume: 'auto',
        ...(cache ? { cache } : {}),
        evaluators: () => inLoopEvaluators(config, say),
        inform: say,
        progress,
        signal,
        onSteps: () => endBy('save'),
      });
      endBy('stop');
      if (!finished) signal.throwIfAborted();
      return worked;
    },
    async evaluate(runDir) {
      if (await isEvaluated(runDir)) return nothing;
      signal.throwIfAborted();
      const evaluation = await RunEvaluation.open(runDir, { split: EVALUATED.split, warn: say, signal });
      try {
        for (const classes of EVALUATED.classes) {
          signal.throwIfAborted();
          await evaluation.zeroShot(classes, EVALUATED.templates);
        }
        signal.throwIfAborted();
        await evaluation.retrieval();
      } finally {
        evaluation.dispose();
      }
      return worked;
    },
  };
}

async function allocateCache(config: TrainConfig): Promise<DecodedCache | undefined> {
  const data = await openTrainingData(config);
  try {
    return DecodedCache.allocate(config.data.cacheMiB * 2 ** 20, data.numRows);
  } finally {
    await data.close();
  }
}

/** Fetches and starts the engine and says what it runs on. @throws EngineError with what is wrong and its cure */
async function startOrExplain(
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<PhaseResult<MachineFacts>> {
  const wasThere =
    (await findLibrary({ device: 'auto' })) !== undefined && (await isAssetCached(openClipText));
  const report = await examine({ fetch: true, signal });
  const described = report.problems.map(({ severity, what, cure }) => `${severity}: ${what} ${cure}`.trim());
  if (!report.usable) {
    throw new EngineError(`The engine cannot run here.\n${described.join('\n')}`);
  }
  for (const line of described) say(line);
  return { value: factsOf(report), worked: !wasThere };
}

function factsOf({ cpu, memory, versions, platform, devices }: DoctorReport): MachineFacts {
  return {
    processor: cpu.model,
    cores: cpu.usableCores,
    memoryGiB: Math.round((memory.totalBytes / 2 ** 30) * 10) / 10,
    platform,
    devices: devices.map(({ name }) => name).join(', '),
    node: versions.node,
    tensorflow: versions.tensorflow ?? 'unknown',
    capstan: versions.capstan,
  };
}

/**
 * Whether the run is at its last step already.
 *
 * @throws ConfigError if it was trained with another configuration: it is neither gone on with nor replaced.
 */
async function isTrained(config: TrainConfig, runDir: string): Promise<boolean> {
  const paths = runPaths(runDir);
  if (!existsSync(paths.config)) return false;
  if ((await readFile(paths.config, 'utf8')) !== dumpConfig(config)) {
    throw new ConfigError(
      `${runDir} was trained with another configuration than the quickstart's is now. Delete it, or choose another --out.`,
    );
  }
  const newest = await newestCheckpoint(paths.checkpoints, () => {});
  return newest !== undefined && newest.state.step === config.train.steps;
}

/** Whether all evaluations of the run's last step are there. */
async function isEvaluated(runDir: string): Promise<boolean> {
  const run = await readRun(runDir);
  const { zeroShot, retrieval } = quickstartResults(run);
  const last = run.metrics.at(-1)?.step;
  const current = ({ step }: { step: number }) => step === last;
  return (
    EVALUATED.classes.every((column) => zeroShot.some((file) => file.classes === column && current(file))) &&
    retrieval.some(current)
  );
}
