/** The command line: every command of `capstan`. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { registerData } from './commands/data.js';
import { registerDoctor } from './commands/doctor.js';
import { registerEval } from './commands/eval.js';
import { registerProfile } from './commands/profile.js';
import { registerQuickstart } from './commands/quickstart.js';
import { registerReport } from './commands/report.js';
import { registerTrain } from './commands/train.js';

/**
 * The program with all its commands, which has not read any arguments yet. A command imports what does its work
 * when it runs: all of it takes over a second to load, and help and usage errors need none of it.
 */
export function createProgram(): Command {
  const { version, description } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as { version: string; description: string };
  const program = new Command('capstan')
    .description(description)
    .version(version)
    .exitOverride()
    .showHelpAfterError('(--help lists what there is)');
  registerQuickstart(program);
  registerData(program);
  registerTrain(program);
  registerEval(program);
  registerProfile(program);
  registerReport(program);
  registerDoctor(program);
  return program;
}
