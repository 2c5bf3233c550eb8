import type { Command } from 'commander';
import { registerDataBench } from './data-bench.js';
import { registerDataBuild } from './data-build.js';
import { registerDataConvert } from './data-convert.js';
import { registerDataDownload } from './data-download.js';
import { registerDataEmbed } from './data-embed.js';
import { registerDataInspect } from './data-inspect.js';
import { registerDataMix } from './data-mix.js';

/** Adds `capstan data` and its subcommands. */
export function registerData(program: Command): void {
  const data = program
    .command('data')
    .description('build, download, convert, look into and measure data sets');
  registerDataBuild(data);
  registerDataDownload(data);
  registerDataConvert(data);
  registerDataInspect(data);
  registerDataMix(data);
  registerDataBench(data);
  registerDataEmbed(data);
}
