/** The sections of a report, each from the run files it shows; a section without data is left out. */
import { type LineChart, renderLineChart, type Series } from './charts.js';
import { escapeHtml, percent, table, timesChance } from './html.js';
import { type DirectionMetrics, describeResult, type MetricsRow, type RunFiles } from './run-files.js';

/** Draws each chart that has points as a card of a grid. */
async function chartGrid(charts: readonly LineChart[]): Promise<string> {
  const drawn: string[] = [];
  for (const chart of charts) {
    const series = chart.series.filter(({ points }) => points.length > 0);
    if (!series.some(({ dashed }) => !dashed)) continue;
    const svg = await renderLineChart({ ...chart, series });
    drawn.push(`<section class="card"><h3>${escapeHtml(chart.title)}</h3>${svg}</section>`);
  }
  return drawn.length === 0 ? '' : `<div class="grid">\n${drawn.join('\n')}\n</div>`;
}

/** One line per run of a field of its metrics. */
function overRuns(runs: readonly RunFiles[], field: (row: MetricsRow) => number | undefined): Series[] {
  return runs.map((run) => ({
    name: run.name,
    points: run.metrics.flatMap((row) => {
      const value = field(row);
      return value === undefined ? [] : [[row.step, value] as const];
    }),
  }));
}

/** A field of all steps but a run's first, which compiles and would dwarf them. */
function afterCompiling(
  field: (row: MetricsRow) => number | undefined,
): (row: MetricsRow) => number | undefined {
  return (row) => (row.step === 1 ? undefined : field(row));
}

/** The mix a run was configured with: the `captions` record of its data section. */
export function configuredMix(run: RunFiles): Record<string, number> {
  const data = run.config.data as { captions?: unknown } | undefined;
  const captions = data?.captions ?? run.config.captions;
  if (typeof captions !== 'object' || captions === null) return {};
  return Object.fromEntries(
    Object.entries(captions).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}

/** The kinds of captions that a run has or was configured with. */
function kindsOf(run: RunFiles): string[] {
  const realised = run.metrics.flatMap((row) => Object.keys(row.mix ?? {}));
  return [...new Set([...Object.keys(configuredMix(run)), ...realised])];
}

/** The realised share of a caption kind, running over all samples so far, beside the configured one. */
function shareSeries(run: RunFiles, kind: string, name: string): Series[] {
  const rows = run.metrics.filter((row) => row.mix !== undefined);
  const last = rows[rows.length - 1]?.step;
  if (last === undefined || !kindsOf(run).includes(kind)) return [];
  let sum = 0;
  const measured: Series = {
    name,
    points: rows.map((row, at) => {
      sum += row.mix?.[kind] ?? 0;
      return [row.step, sum / (at + 1)];
    }),
  };
  const share = configuredMix(run)[kind];
  if (share === undefined) return [measured];
  const points = [
    [rows[0]?.step as number, share],
    [last, share],
  ] as const;
  return [measured, { name: `${name}, configured`, group: name, dashed: true, points }];
}

/** The mix: of one run a line per kind, of several a chart per kind with a line per run. */
function mixCharts(runs: readonly RunFiles[]): LineChart[] {
  const look = { xTitle: 'step', yTitle: 'share of captions', yFormat: '.0%' };
  const [first] = runs as readonly [RunFiles, ...RunFiles[]];
  if (runs.length === 1) {
    const series = kindsOf(first).flatMap((kind) => shareSeries(first, kind, kind));
    return [{ ...look, title: 'Caption mix so far (dashed: configured)', series }];
  }
  return [...new Set(runs.flatMap(kindsOf))].map((kind) => ({
    ...look,
    title: `Share of ${kind} captions so far (dashed: configured)`,
    series: runs.flatMap((run) => shareSeries(run, kind, run.name)),
  }));
}

/** What a step takes: of one run both times in a chart, of several a chart for each with a line per run. */
function timeCharts(runs: readonly RunFiles[]): LineChart[] {
  const look = { xTitle: 'step', yTitle: 'milliseconds', smooth: true };
  const step = overRuns(
    runs,
    afterCompiling((row) => row.stepMs),
  );
  const wait = overRuns(
    runs,
    afterCompiling((row) => row.dataWaitMs),
  );
  if (runs.length > 1) {
    return [
      { ...look, title: 'Time per step, from the second step', series: step },
      { ...look, title: 'Wait for data, from the second step', series: wait },
    ];
  }
  const named = (series: Series[], name: string): Series[] => series.map(({ points }) => ({ name, points }));
  return [
    {
      ...look,
      title: 'Time per step and wait for data, from the second step',
      series: [...named(step, 'step'), ...named(wait, 'wait for data')],
    },
  ];
}

/** Curves of training. */
export async function trainingSection(runs: readonly RunFiles[]): Promise<string> {
  const step = 'step';
  const charts = await chartGrid([
    {
      title: 'Contrastive loss',
      xTitle: step,
      yTitle: 'loss',
      smooth: true,
      series: overRuns(runs, (row) => row.loss),
    },
    {
      title: 'Learning rate',
      xTitle: step,
      yTitle: 'learning rate',
      series: overRuns(runs, (row) => row.lr),
    },
    {
      title: 'Throughput',
      xTitle: step,
      yTitle: 'images per second',
      smooth: true,
      series: overRuns(runs, (row) => row.imgPerSec),
    },
    ...timeCharts(runs),
    ...mixCharts(runs),
    {
      title: 'Caption length, untruncated',
      xTitle: step,
      yTitle: 'mean tokens per caption',
      smooth: true,
      series: overRuns(runs, (row) => row.tokensMean),
    },
    {
      title: 'Captions cut at the context length',
      xTitle: step,
      yTitle: 'share of captions',
      yFormat: '.1%',
      smooth: true,
      series: runs.some((run) => run.metrics.some((row) => (row.truncatedShare ?? 0) > 0))
        ? overRuns(runs, (row) => row.truncatedShare)
        : [],
    },
    {
      title: 'Logit scale (exponential of the learned value)',
      xTitle: step,
      yTitle: 'logit scale',
      zoomY: true,
      series: overRuns(runs, (row) => row.logitScale),
    },
    {
      title: 'Gradient norm',
      xTitle: step,
      yTitle: 'global L2 norm',
      smooth: true,
      series: overRuns(runs, (row) => row.gradNorm),
    },
  ]);
  return charts === '' ? '' : `<h2>Training</h2>\n${charts}`;
}

// Scores that are shares of something, by the names evaluators give them.
const PROPORTION = /(top\d+|R\d+|recall\w*)$/i;

/** Scores during training: one chart per metric, a line per run. */
export async function progressSection(runs: readonly RunFiles[]): Promise<string> {
  const names = [...new Set(runs.flatMap((run) => run.evals.flatMap((row) => Object.keys(row))))].filter(
    (name) => name.includes('/') && !/chance|\/skipped$/i.test(name),
  );
  const charts = await chartGrid(
    names.map((name) => ({
      title: name,
      xTitle: 'step',
      yTitle: name.split('/').at(-1) as string,
      ...(PROPORTION.test(name) ? { yFormat: '.1%' } : {}),
      series: runs.flatMap((run): Series[] => {
        const at = (key: string) =>
          run.evals.flatMap((row) =>
            row[key] === undefined ? [] : [[row.step as number, row[key]] as const],
          );
        const chanceKey = name.replace(
          /\/(\w)(\w*)$/,
          (_, first: string, rest: string) => `/chance${first.toUpperCase()}${rest}`,
        );
        return [
          { name: run.name, points: at(name) },
          { name: `${run.name}, chance`, group: run.name, dashed: true, points: at(chanceKey) },
        ];
      }),
    })),
  );
  return charts === '' ? '' : `<h2>Validation while training</h2>\n${charts}`;
}

const intervalText = ({ low, high }: { low: number; high: number }): string =>
  `${percent(low)} – ${percent(high)}`;

function scoreRow(what: string, on: string, value: number, chance: number, range: string): string[] {
  return [what, on, percent(value), range, percent(chance), timesChance(value, chance)];
}

function recallRows(what: string, on: string, direction: DirectionMetrics): string[][] {
  return Object.keys(direction.recallAt).map((k) =>
    scoreRow(
      `${what} R@${k}`,
      on,
      direction.recallAt[k] as number,
      direction.chanceAt[k] as number,
      k === '1' && direction.recallAt1Interval ? intervalText(direction.recallAt1Interval) : '',
    ),
  );
}

function imagesText(numImages: number, numSkipped: number): string {
  return `${numImages} images${numSkipped === 0 ? '' : ` (${numSkipped} broken left out)`}`;
}

/** All scores of the eval files, each with its chance level. */
export function scoresSection(run: RunFiles): string {
  const rows: string[][] = [];
  for (const file of run.zeroShot) {
    const { metrics, classes, step } = file;
    const images = imagesText(metrics.numImages, file.numSkipped);
    const on = `${describeResult(run, file)}, ${metrics.numClasses} classes (${classes}), ${images}, step ${step}`;
    rows.push(
      scoreRow('zero-shot top-1', on, metrics.top1, metrics.chanceTop1, intervalText(metrics.top1Interval)),
    );
    rows.push(scoreRow('zero-shot top-5', on, metrics.top5, metrics.chanceTop5, ''));
    rows.push(
      scoreRow('zero-shot mean per-class recall', on, metrics.meanPerClassRecall, metrics.chanceTop1, ''),
    );
  }
  for (const file of run.retrieval) {
    const { galleries, step, numSkipped } = file;
    // How many of them would have been in which gallery is not known.
    const skipped = numSkipped === 0 ? '' : `, ${numSkipped} of the split broken`;
    for (const { name, numImages, numTexts, textToImage, imageToText } of galleries) {
      const on = `${describeResult(run, file)} ${name}, ${numImages} images${skipped}, ${numTexts} captions, step ${step}`;
      rows.push(
        ...recallRows('text to image', on, textToImage),
        ...recallRows('image to text', on, imageToText),
      );
    }
  }
  if (rows.length === 0) return '';
  const columns = ['score', 'on', 'value', '95 % interval', 'chance', 'times chance'];
  return `<h2>Scores</h2>\n<div class="card">${table(columns, rows, columns.slice(2))}</div>`;
}

/** The classes most often taken for one another. */
export function confusionSection(run: RunFiles): string {
  const columns = ['true class', 'taken for', 'images', 'share of the class'];
  const cards = run.zeroShot
    .filter(({ confusions }) => confusions.length > 0)
    .map((file) => {
      const { classes, confusions, step } = file;
      const rows = confusions.map(({ actual, predicted, count, share }) => [
        actual,
        predicted,
        count,
        percent(share),
      ]);
      const title = escapeHtml(`${classes}, ${describeResult(run, file)}, step ${step}`);
      return `<section class="card"><h3>${title}</h3>${table(columns, rows, columns.slice(2))}</section>`;
    });
  return cards.length === 0 ? '' : `<h2>Top confusions</h2>\n<div class="grid">\n${cards.join('\n')}\n</div>`;
}

/** The resolved configuration and the versions, folded. */
export function configSection(run: RunFiles): string {
  const versions =
    Object.keys(run.versions).length === 0 ? '' : `\n\n# versions\n${JSON.stringify(run.versions, null, 2)}`;
  return `<details class="card"><summary>Configuration of ${escapeHtml(run.name)}</summary><pre>${escapeHtml(run.configText.trimEnd() + versions)}</pre></details>`;
}
