import type { Command } from 'commander';
import { registerDataBuild } from './data-build.js';
import { registerDataEmbed } from './data-embed.js';

/** Adds `capstan data` and its subcommands. */
export function registerData(program: Command): void {
  const data = program.command('data').description('build data sets, embed them');
  registerDataBuild(data);
  registerDataEmbed(data);
}
