import type { Command } from 'commander';
import { registerDataBuild } from './data-build.js';
import { registerDataDownload } from './data-download.js';

/** Adds `capstan data` and its subcommands. */
export function registerData(program: Command): void {
  const data = program
    .command('data')
    .description('build data sets, and download those that are lists of URLs');
  registerDataBuild(data);
  registerDataDownload(data);
}
