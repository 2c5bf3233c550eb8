import type { Command } from 'commander';
import { registerDataBuild } from './data-build.js';
import { registerDataDownload } from './data-download.js';
import { registerDataEmbed } from './data-embed.js';
import { registerDataInspect } from './data-inspect.js';

/** Adds `capstan data` and its subcommands. */
export function registerData(program: Command): void {
  const data = program.command('data').description('build, download, inspect and embed data sets');
  registerDataBuild(data);
  registerDataDownload(data);
  registerDataInspect(data);
  registerDataEmbed(data);
}
