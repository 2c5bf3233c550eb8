/** Run folders to one self-contained HTML page. */
import { basename, dirname, resolve } from 'node:path';
import { makeDirectories } from '../directories.js';
import { ConfigError } from '../errors.js';
import { replaceFile } from '../replace-file.js';
import { median } from '../statistics.js';
import { examplesSection } from './examples.js';
import { escapeHtml, page, percent, table, tile, timesChance } from './html.js';
import { describeResult, ownResults, type RunFiles, readRun } from './run-files.js';
import {
  configSection,
  confusionSection,
  progressSection,
  scoresSection,
  trainingSection,
} from './sections.js';

/** A table that the caller adds above the scores, such as the spread over seeds. */
export interface ReportTable {
  readonly title: string;
  readonly note?: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

/** What a report says beside its runs' files. */
export interface ReportOptions {
  readonly title?: string;
  readonly intro?: string;
  readonly tables?: readonly ReportTable[];
}

/** The figures to see first. */
function tiles(run: RunFiles): string {
  const shown: string[] = [];
  const own = ownResults(run);
  for (const file of own.zeroShot) {
    const { metrics, classes } = file;
    const { top1, chanceTop1, numClasses } = metrics;
    shown.push(
      tile(
        percent(top1),
        `zero-shot top-1 by ${classes}`,
        `${timesChance(top1, chanceTop1)} chance, ${numClasses} classes, ${describeResult(run, file)}`,
      ),
    );
  }
  for (const { metrics, split } of own.retrieval) {
    for (const [name, direction] of [
      ['text to image', metrics.textToImage],
      ['image to text', metrics.imageToText],
    ] as const) {
      const recall = direction.recallAt['1'] as number;
      const note = `${timesChance(recall, direction.chanceAt['1'] as number)} chance, ${split}`;
      shown.push(tile(percent(recall), `R@1 ${name}`, note));
    }
  }
  const last = run.metrics[run.metrics.length - 1];
  if (last) {
    const seen =
      last.samplesSeen === undefined ? '' : `${last.samplesSeen.toLocaleString('en')} samples seen`;
    shown.push(tile(last.step.toLocaleString('en'), 'steps', seen));
    shown.push(tile(last.loss.toFixed(3), 'last loss', `at step ${last.step}`));
    const speeds = run.metrics.flatMap(({ imgPerSec }) => imgPerSec ?? []);
    if (speeds.length > 0) {
      shown.push(tile(median(speeds).toFixed(0), 'images per second', 'median over steps'));
    }
  }
  return shown.length === 0 ? '' : `<div class="tiles">\n${shown.join('\n')}\n</div>`;
}

/**
 * Renders runs: curves of all of them together, then each one's scores, examples and configuration.
 *
 * @returns a page that refers to no other file.
 * @throws ConfigError without a run.
 */
export async function renderReport(runs: readonly RunFiles[], options: ReportOptions = {}): Promise<string> {
  if (runs.length === 0) throw new ConfigError('A report needs at least one run folder.');
  const title = options.title ?? `capstan: ${runs.map(({ name }) => name).join(', ')}`;
  const body = [`<h1>${escapeHtml(title)}</h1>`];
  if (options.intro) body.push(`<p class="muted">${escapeHtml(options.intro)}</p>`);
  const [first] = runs as readonly [RunFiles, ...RunFiles[]];
  const many = runs.length > 1;
  if (!many) body.push(tiles(first));
  for (const { title: heading, note, columns, rows } of options.tables ?? []) {
    body.push(
      `<h2>${escapeHtml(heading)}</h2>\n<div class="card">${table(columns, rows, columns.slice(1))}${note ? `<p><small>${escapeHtml(note)}</small></p>` : ''}</div>`,
    );
  }
  if (!many) body.push(scoresSection(first));
  body.push(await trainingSection(runs), await progressSection(runs));
  if (many) {
    for (const run of runs) {
      const inside = [tiles(run), scoresSection(run), await examplesSection(run), confusionSection(run)].join(
        '\n',
      );
      const open = run === first ? ' open' : '';
      body.push(
        `<details class="run"${open}><summary>${escapeHtml(run.name)}</summary>\n${inside}\n</details>`,
      );
    }
  } else {
    body.push(await examplesSection(first), confusionSection(first));
  }
  body.push('<h2>Configuration</h2>', `<div class="stack">${runs.map(configSection).join('\n')}</div>`);
  return page(title, body.filter((part) => part !== '').join('\n'));
}

/**
 * Reads run folders and writes their report, whole or not at all.
 *
 * @throws ConfigError if a folder is no run folder; DataError if a file in it is damaged.
 */
export async function writeReport(
  runDirs: readonly string[],
  outFile: string,
  options: ReportOptions = {},
): Promise<void> {
  const names = distinctNames(runDirs);
  const runs: RunFiles[] = [];
  for (const [i, dir] of runDirs.entries()) runs.push({ ...(await readRun(dir)), name: names[i] as string });
  await writePage(outFile, await renderReport(runs, options));
}

/** Names of run folders, with as many of the folders above as tell those of the same name apart. */
export function distinctNames(runDirs: readonly string[]): string[] {
  const parts = runDirs.map((dir) => resolve(dir).split('/'));
  return parts.map((own, i) => {
    for (let depth = 1; depth < own.length; depth++) {
      const name = own.slice(-depth).join('/');
      const twin = parts.some((other, j) => j !== i && other.slice(-depth).join('/') === name);
      if (!twin) return name;
    }
    return own.join('/');
  });
}

/**
 * Writes the page of one evaluation beside its JSON: its scores, examples and confusions.
 *
 * @returns the page's path.
 * @throws DataError as {@link writeReport} does.
 */
export async function writeEvalPage(runDir: string, evalJson: string): Promise<string> {
  const run = await readRun(runDir);
  const own = {
    ...run,
    zeroShot: run.zeroShot.filter(isIn(evalJson)),
    retrieval: run.retrieval.filter(isIn(evalJson)),
  };
  const title = `${run.name}: ${basename(evalJson, '.json')}`;
  const body = [
    `<h1>${escapeHtml(title)}</h1>`,
    scoresSection(own),
    await examplesSection(own),
    confusionSection(own),
  ];
  const outFile = evalJson.replace(/\.json$/, '.html');
  await writePage(outFile, page(title, body.join('\n')));
  return outFile;
}

const isIn =
  (evalJson: string) =>
  ({ file }: { readonly file: string }): boolean =>
    file === basename(evalJson);

async function writePage(outFile: string, html: string): Promise<void> {
  await makeDirectories(dirname(outFile));
  await replaceFile(outFile, html);
}
