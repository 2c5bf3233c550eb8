#!/usr/bin/env node
/** The `capstan` executable. */
import { showAssetProgress } from './asset-progress.js';
import { describeFailure } from './failure.js';
import { printError } from './printer.js';
import { createProgram } from './program.js';

function fail(error: unknown): void {
  const { text, exitCode } = describeFailure(error, process.env.CAPSTAN_DEBUG === '1');
  if (text !== '') printError(text);
  process.exitCode = exitCode;
}

// The reader of a pipe may leave early, as `head` does; that is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}
process.on('uncaughtException', (error) => {
  fail(error);
  process.exit();
});

showAssetProgress();
try {
  await createProgram().parseAsync();
} catch (error) {
  fail(error);
}
