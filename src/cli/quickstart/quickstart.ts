/** The order of the quickstart: engine, data, then train and evaluate once per seed, then the report. */
import { join } from 'node:path';
import { makeDirectories } from '../../directories.js';
import { replaceFile } from '../../replace-file.js';
import { ownResults, type RunFiles, readRun, writeReport } from '../../report/index.js';
import { formatTable } from '../format-table.js';
import { PhaseClock, type PhaseResult } from './phases.js';
import { SCORE_COLUMNS, type ScoreSummary, type SeedScores, scoreRows, summariseSeeds } from './summary.js';

/** What the machine and its software are; printed, and kept in summary.json. */
export type MachineFacts = Readonly<Record<string, string | number>>;

/** The work of each phase. Each is repeatable: it does nothing when its result is there, and says so. */
export interface QuickstartWork {
  /** Fetches the engine if absent, starts it, and says what it runs on. */
  engine(): Promise<PhaseResult<MachineFacts>>;
  /** Builds the data set if absent. */
  data(): Promise<PhaseResult<void>>;
  /** Trains a seed in its run folder, going on from the last checkpoint. */
  train(seed: number, runDir: string): Promise<PhaseResult<void>>;
  /** Evaluates a trained run, leaving files in its eval/. */
  evaluate(runDir: string): Promise<PhaseResult<void>>;
}

export interface QuickstartOptions {
  /** Folder of the runs, the report and the summary. */
  readonly outDir: string;
  readonly seeds: readonly number[];
  /** Told what begins, a line at a time. */
  readonly say: (line: string) => void;
}

/** What summary.json holds. */
export interface QuickstartSummary {
  readonly name: 'quickstart';
  readonly machine: MachineFacts;
  readonly seeds: readonly number[];
  readonly steps: number;
  readonly samplesSeen: number;
  /** Seconds per phase; `engine` is the one with downloads. */
  readonly seconds: Readonly<Record<string, number>>;
  readonly secondsTotal: number;
  /** The total less the phase with downloads. */
  readonly secondsWithoutDownloads: number;
  readonly scores: Readonly<Record<string, ScoreSummary>>;
}

/** Runs all phases that are not done yet and returns the summary. */
export async function runQuickstart(
  work: QuickstartWork,
  { outDir, seeds, say }: QuickstartOptions,
): Promise<QuickstartSummary> {
  await makeDirectories(outDir);
  const clock = await PhaseClock.open(join(outDir, 'seconds.json'));
  say('1/4 Engine');
  const machine = await clock.time('engine', () => work.engine());
  say('2/4 Data');
  await clock.time('data', () => work.data());
  const runDirs: string[] = [];
  for (const [at, seed] of seeds.entries()) {
    say(`3/4 Seed ${seed} (${at + 1} of ${seeds.length})`);
    const runDir = join(outDir, `seed-${seed}`);
    await clock.time(`train seed ${seed}`, () => work.train(seed, runDir));
    await clock.time(`evaluate seed ${seed}`, () => work.evaluate(runDir));
    runDirs.push(runDir);
  }
  say('4/4 Report');
  const runs: RunFiles[] = [];
  for (const dir of runDirs) runs.push(await readRun(dir));
  const scores = summariseSeeds(runs.map(scoresOf));
  await clock.time('report', async () => {
    await writeReport(runDirs, join(outDir, 'report.html'), reportOptions(scores, seeds.length));
    return { value: undefined, worked: true };
  });

  // Seconds of earlier runs with more seeds do not belong to this summary.
  const mine = new Set([
    'engine',
    'data',
    'report',
    ...seeds.flatMap((s) => [`train seed ${s}`, `evaluate seed ${s}`]),
  ]);
  const seconds = Object.fromEntries(Object.entries(clock.seconds()).filter(([name]) => mine.has(name)));
  const total = Object.values(seconds).reduce((sum, s) => sum + s, 0);
  const last = runs[0]?.metrics.at(-1);
  const summary: QuickstartSummary = {
    name: 'quickstart',
    machine,
    seeds,
    steps: last?.step ?? 0,
    samplesSeen: last?.samplesSeen ?? 0,
    seconds,
    secondsTotal: round(total),
    secondsWithoutDownloads: round(total - (seconds.engine ?? 0)),
    scores,
  };
  await replaceFile(join(outDir, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`);
  return summary;
}

const round = (value: number): number => Math.round(value * 10) / 10;

function reportOptions(scores: Readonly<Record<string, ScoreSummary>>, numSeeds: number) {
  return {
    title: 'capstan quickstart',
    intro:
      'A small CLIP, trained from nothing on half AltText and half short synthetic captions, and asked about art styles that it has never seen.',
    tables: [
      {
        title: numSeeds > 1 ? `Scores over ${numSeeds} seeds` : 'Summary',
        note: 'On held-out art styles. Spread is the sample standard deviation over seeds; chance is what guessing reaches.',
        columns: SCORE_COLUMNS,
        rows: scoreRows(scores),
      },
    ],
  };
}

/** What the quickstart evaluates. Results that its user made besides are no part of its summary. */
export const EVALUATED = { split: 'test', classes: ['label', 'subgroup'], templates: 'emoji' } as const;

/** The results that the quickstart's own evaluations left. */
export function quickstartResults(run: RunFiles): Pick<RunFiles, 'zeroShot' | 'retrieval'> {
  const { zeroShot, retrieval } = ownResults(run);
  const columns: readonly string[] = EVALUATED.classes;
  return {
    zeroShot: zeroShot.filter(
      ({ split, classes, templates }) =>
        split === EVALUATED.split && templates === EVALUATED.templates && columns.includes(classes),
    ),
    retrieval: retrieval.filter(({ split }) => split === EVALUATED.split),
  };
}

/** The four kinds of score that a seed's evaluation files hold. */
export function scoresOf(run: RunFiles): SeedScores {
  const own = quickstartResults(run);
  const zeroShot = own.zeroShot.map(({ classes, metrics }) => [
    `zero-shot top-1 by ${classes}`,
    {
      value: metrics.top1,
      chance: metrics.chanceTop1,
      numQueries: metrics.numImages,
      numCandidates: metrics.numClasses,
    },
  ]);
  const retrieval = own.retrieval.flatMap(({ metrics }) =>
    (['textToImage', 'imageToText'] as const).map((direction) => {
      const { recallAt, chanceAt, numQueries, numCandidates } = metrics[direction];
      return [
        `${direction === 'textToImage' ? 'text to image' : 'image to text'} R@1`,
        { value: recallAt['1'], chance: chanceAt['1'], numQueries, numCandidates },
      ];
    }),
  );
  return Object.fromEntries([...zeroShot, ...retrieval]) as SeedScores;
}

/** The summary as lines for a terminal. */
export function formatSummary(summary: QuickstartSummary): string {
  const time = `${summary.secondsWithoutDownloads} s besides downloads (${summary.secondsTotal} s in all)`;
  return `${formatTable(SCORE_COLUMNS, scoreRows(summary.scores))}\n\n${summary.steps} steps per seed, ${time}`;
}
