/** The quickstart's figures: scores per seed, their mean and spread, each against chance. */
import { mean, sampleDeviation } from '../../eval/statistics.js';
import { percent } from '../numbers.js';

/** A score of one seed. */
export interface Score {
  readonly value: number;
  readonly chance: number;
  /** How many images or captions were asked about. */
  readonly numQueries: number;
  /** How many answers each was chosen from. */
  readonly numCandidates: number;
}

/** The scores of one seed's run, by name. */
export type SeedScores = Readonly<Record<string, Score>>;

/** A score over seeds. */
export interface ScoreSummary {
  /** One value per seed, in the seeds' order. */
  readonly values: readonly number[];
  readonly mean: number;
  /** Sample standard deviation over seeds; null for one seed. */
  readonly deviation: number | null;
  readonly min: number;
  readonly max: number;
  readonly chance: number;
  /** mean / chance. */
  readonly timesChance: number;
  readonly numQueries: number;
  readonly numCandidates: number;
}

/** Joins the seeds' scores. Every seed has the same scores, on the same images. */
export function summariseSeeds(seeds: readonly SeedScores[]): Record<string, ScoreSummary> {
  const [first] = seeds;
  if (first === undefined) return {};
  return Object.fromEntries(
    Object.entries(first).map(([name, { chance, numQueries, numCandidates }]) => {
      const values = seeds.flatMap((scores) => scores[name]?.value ?? []);
      const average = mean(values);
      return [
        name,
        {
          values,
          mean: average,
          deviation: sampleDeviation(values),
          min: Math.min(...values),
          max: Math.max(...values),
          chance,
          timesChance: average / chance,
          numQueries,
          numCandidates,
        },
      ];
    }),
  );
}

/** Column heads of {@link scoreRows}. */
export const SCORE_COLUMNS = [
  'score',
  'mean over seeds',
  'spread (s.d.)',
  'range',
  'chance',
  'times chance',
  'asked',
  'choices',
];

/** The summary as the rows of a table. */
export function scoreRows(scores: Readonly<Record<string, ScoreSummary>>): string[][] {
  return Object.entries(scores).map(([name, score]) => [
    name,
    percent(score.mean),
    score.deviation === null ? '' : percent(score.deviation),
    `${percent(score.min)} to ${percent(score.max)}`,
    percent(score.chance),
    `${score.timesChance.toFixed(1)} x`,
    String(score.numQueries),
    String(score.numCandidates),
  ]);
}
