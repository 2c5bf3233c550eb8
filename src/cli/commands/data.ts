import type { Command } from 'commander';
import { registerDataBench } from './data-bench.js';
import { registerDataBuild } from './data-build.js';
import { registerDataConvert } from './data-convert.js';
import { registerDataMix } from './data-mix.js';

/** Adds `capstan data` and its subcommands. */
export function registerData(program: Command): void {
  const data = program.command('data').description('build, convert and look at data sets');
  registerDataBuild(data);
  registerDataConvert(data);
  registerDataMix(data);
  registerDataBench(data);
}
