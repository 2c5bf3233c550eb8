/** `capstan data build`: the built-in data sets. */
import { type Command, Option } from 'commander';
import type { Manifest } from '../../data/datasets/manifest.js';
import { DrawingProgress } from '../drawing-progress.js';
import { formatTable } from '../format-table.js';
import { share, wholeNumber } from '../numbers.js';
import { untilSignal } from '../signals.js';

/** Flags that every build has. */
interface CommonFlags {
  readonly out: string;
  readonly size: number;
  readonly seed: number;
  readonly format: 'arrow' | 'parquet' | 'both';
  readonly workers?: number;
}

/** What a build function is handed besides its flags. */
interface BuildHooks {
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** Adds `capstan data build` and a subcommand for each built-in set. */
export function registerDataBuild(data: Command): void {
  const build = data.command('build').description('build a data set');
  registerEmoji(build);
  registerOpenclipart(build);
  registerScenes(build);
}

function registerEmoji(build: Command): void {
  const command = build
    .command('emoji')
    .description('draw every emoji in six styles, with captions, split by style');
  addCommonOptions(command, 'data/emoji', 96)
    .option('--limit <concepts>', 'only so many concepts, spread over all groups', wholeNumber)
    .option('--renderings <count>', 'pictures of each training drawing', wholeNumber, 3)
    .action(async (flags: CommonFlags & { limit?: number; renderings: number }) => {
      const { buildEmoji } = await import('../../data/datasets/emoji/build.js');
      await runBuild(flags.out, (hooks) => buildEmoji({ ...flags, ...hooks }));
    });
}

interface OpenclipartFlags extends CommonFlags {
  readonly from: string;
  readonly limit?: number;
  readonly maxSkipRatio: number;
  readonly timeout: number;
}

function registerOpenclipart(build: Command): void {
  const command = build
    .command('openclipart')
    .description("draw the clip art of Debian's package openclipart-svg, with what people wrote about it");
  addCommonOptions(command, 'data/openclipart', 224)
    .option('--from <directory>', 'folder of SVG files, in folders by category', '/usr/share/openclipart/svg')
    .option('--limit <files>', 'only so many files, spread over all folders', wholeNumber)
    .option('--max-skip-ratio <share>', 'share of the files that may be unusable', share, 0.05)
    .option('--timeout <seconds>', 'how long a file may take to draw', wholeNumber, 10)
    .action(async (flags: OpenclipartFlags) => {
      const { buildOpenclipart } = await import('../../data/datasets/openclipart/build.js');
      await runBuild(flags.out, (hooks) => buildOpenclipart({ ...flags, ...hooks }));
    });
}

interface ScenesFlags extends CommonFlags {
  readonly count: number;
  readonly omit: number;
  readonly invent: number;
}

function registerScenes(build: Command): void {
  const command = build
    .command('scenes')
    .description(
      'compose pictures of emoji of which everything is known, with captions of known faults and questions',
    );
  addCommonOptions(command, 'data/scenes', 224)
    .option('--count <pictures>', 'how many', wholeNumber, 10_000)
    .option('--omit <share>', 'share of the kinds of things that a synthetic caption leaves out', share, 0.15)
    .option('--invent <share>', 'share of what a synthetic caption says that is made up', share, 0.1)
    .action(async (flags: ScenesFlags) => {
      const { buildScenes } = await import('../../data/datasets/scenes/build.js');
      await runBuild(flags.out, (hooks) => buildScenes({ ...flags, ...hooks }));
    });
}

function addCommonOptions(command: Command, out: string, size: number): Command {
  return command
    .option('--out <directory>', 'where to put it; an earlier data set there is replaced', out)
    .option('--size <pixels>', 'side of the pictures', wholeNumber, size)
    .option('--seed <number>', 'seed of every random choice', wholeNumber, 0)
    .addOption(
      new Option('--format <format>', 'format of the shards')
        .choices(['arrow', 'parquet', 'both'])
        .default('both'),
    )
    .option('--workers <number>', 'pictures rendered at a time (default: the number of cores)', wholeNumber);
}

/** Builds, showing how far it is, and prints what was built; a build that a signal stops leaves nothing. */
async function runBuild(out: string, build: (hooks: BuildHooks) => Promise<Manifest>): Promise<void> {
  const drawing = new DrawingProgress(process.stderr);
  const started = performance.now();
  await untilSignal(async ({ signal }) => {
    try {
      const manifest = await build({ signal, onProgress: drawing.update });
      drawing.stop();
      process.stdout.write(describe(out, manifest, (performance.now() - started) / 1000));
    } finally {
      drawing.stop();
    }
  }, 'Interrupted; nothing was left behind.');
}

/** Reasons shown for files left out; the manifest has them all. */
const SHOWN_SKIPS = 5;

function describe(out: string, manifest: Manifest, seconds: number): string {
  const splits = Object.entries(manifest.splits).map(([split, count]) => `${split} ${count}`);
  const bytes = [...manifest.shards, ...manifest.files].reduce((sum, file) => sum + file.bytes, 0);
  const lines = [
    `${out}: ${manifest.rows} pictures in ${seconds.toFixed(1)} s (${splits.join(', ')}), ${(bytes / 1e6).toFixed(1)} MB`,
  ];
  for (const [name, art] of Object.entries(manifest.art)) {
    const missing = !art.missing ? '' : `, ${art.missing} concepts not drawn`;
    lines.push(
      `  ${name.padEnd(18)}${(art.split ?? '').padEnd(6)}${String(art.images).padStart(5)}  ${art.licence}${missing}`,
    );
  }
  const { altKinds: _, groups: __, ...counts } = manifest.counts;
  for (const [name, found] of Object.entries(counts)) {
    lines.push(
      `  ${name}: ${Object.entries(found)
        .map(([what, count]) => `${what} ${count}`)
        .join(', ')}`,
    );
  }
  if (manifest.skipped.length > 0) {
    lines.push(`  ${manifest.skipped.length} files left out; dataset.json names them all:`);
    lines.push(...manifest.skipped.slice(0, SHOWN_SKIPS).map(({ file, reason }) => `    ${file}: ${reason}`));
  }
  for (const { name, rows } of manifest.files) lines.push(`  ${name}: ${rows} lines`);
  if (manifest.captionTokens !== undefined) lines.push('', tokenTable(manifest.captionTokens));
  return `${lines.join('\n')}\n`;
}

function tokenTable(tokens: NonNullable<Manifest['captionTokens']>): string {
  const rows = Object.entries(tokens).map(([kind, { least, median, most, withinRange }]) => [
    kind,
    String(least),
    String(median),
    String(most),
    withinRange === undefined ? '' : `${(100 * withinRange).toFixed(1)} %`,
  ]);
  const numbers = ['least', 'median', 'most', 'within range'];
  return formatTable(['CLIP tokens', ...numbers], rows, numbers);
}
