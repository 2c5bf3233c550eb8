import { SingleBar } from 'cli-progress';
import { type Command, InvalidArgumentError, Option } from 'commander';

interface EmojiFlags {
  readonly out: string;
  readonly size: number;
  readonly seed: number;
  readonly limit?: number;
  readonly renderings: number;
  readonly format: 'arrow' | 'parquet' | 'both';
  readonly workers?: number;
}

/** Adds `capstan data build emoji`. */
export function registerData(program: Command): void {
  const data = program.command('data').description('build data sets');
  const build = data.command('build').description('build a data set');
  build
    .command('emoji')
    .description('draw every emoji in six styles, with captions, split by style')
    .option('--out <directory>', 'where to put it; an earlier data set there is replaced', 'data/emoji')
    .option('--size <pixels>', 'side of the pictures', integer, 96)
    .option('--seed <number>', 'seed of every random choice', integer, 0)
    .option('--limit <concepts>', 'only so many concepts, spread over all groups', integer)
    .option('--renderings <count>', 'pictures of each training drawing', integer, 3)
    .addOption(
      new Option('--format <format>', 'format of the shards')
        .choices(['arrow', 'parquet', 'both'])
        .default('both'),
    )
    .option('--workers <number>', 'pictures rendered at a time (default: the number of cores)', integer)
    .action(async (flags: EmojiFlags) => {
      const { buildEmoji } = await import('../../data/datasets/emoji/build.js');
      const stop = new AbortController();
      const interrupt = (): void => stop.abort(new Error('interrupted'));
      process.once('SIGINT', interrupt);
      const bar = new SingleBar({
        format: 'drawing {bar} {value}/{total}, {eta_formatted} left',
        stream: process.stderr,
        clearOnComplete: true,
      });
      const started = performance.now();
      try {
        const manifest = await buildEmoji({
          ...flags,
          signal: stop.signal,
          onProgress: (done, total) => {
            if (done === 1) bar.start(total, 0);
            bar.update(done);
          },
        });
        bar.stop();
        const seconds = ((performance.now() - started) / 1000).toFixed(1);
        const counts = Object.entries(manifest.splits).map(([split, count]) => `${split} ${count}`);
        const lines = [`${flags.out}: ${manifest.rows} pictures in ${seconds} s (${counts.join(', ')})`];
        for (const [name, style] of Object.entries(manifest.art)) {
          const missing = !style.missing ? '' : `, ${style.missing} concepts not drawn`;
          lines.push(
            `  ${name.padEnd(18)}${(style.split ?? '').padEnd(6)}${String(style.images).padStart(5)}  ${style.licence}${missing}`,
          );
        }
        process.stdout.write(`${lines.join('\n')}\n`);
      } catch (error) {
        if (!stop.signal.aborted) throw error;
        process.stderr.write('Interrupted; nothing was left behind.\n');
        process.exitCode = 130;
      } finally {
        bar.stop();
        process.off('SIGINT', interrupt);
      }
    });
}

function integer(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('expected a whole number, not negative.');
  return Number(text);
}
