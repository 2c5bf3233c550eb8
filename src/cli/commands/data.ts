import type { Command } from 'commander';
import { registerDataBuild } from './data-build.js';
import { registerDataEmbed } from './data-embed.js';
import { registerDataInspect } from './data-inspect.js';

/** Adds `capstan data` and its subcommands. */
export function registerData(program: Command): void {
  const data = program.command('data').description('build, inspect and embed data sets');
  registerDataBuild(data);
  registerDataInspect(data);
  registerDataEmbed(data);
}
