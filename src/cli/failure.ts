/** What an error that reached the command line says there, and the exit code it ends with. */
import { CommanderError } from 'commander';
import { CapstanError, ConfigError } from '../errors.js';

/** Exit codes: 2 for a wrong command line or configuration, 1 for what fails besides, 70 for bugs. */
export const EXIT = { usage: 2, failure: 1, bug: 70 } as const;

/** What the user can do about what a file system refuses, by Node's code. */
const SYSTEM_CURES: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full: make room, or choose another place.',
  EFBIG: 'The file system or a limit takes no larger file: choose another place, or raise the limit.',
  EDQUOT: 'The quota is used up: make room, or choose another place.',
  EROFS: 'The file system is read-only: choose another place.',
  EACCES: 'Give this user the right, or choose another place.',
  EPERM: 'Give this user the right, or choose another place.',
  ENOENT: 'Make the directory, or choose another place.',
  ENOTDIR: 'A part of the path is a file: choose another place.',
  EEXIST: 'A file is in the way: choose another place.',
  EISDIR: 'It is a directory: choose another place.',
};

/**
 * @returns what to print, nothing if commander has said it already, and the exit code
 * @param debug whether errors thrown on purpose show their stack and cause, too
 */
export function describeFailure(
  error: unknown,
  debug: boolean,
): { readonly text: string; readonly exitCode: number } {
  if (error instanceof CommanderError) {
    // Help and the version that were asked for come as errors, too, with 0.
    return { text: '', exitCode: error.exitCode === 0 ? 0 : EXIT.usage };
  }
  if (error instanceof CapstanError) {
    const exitCode = error instanceof ConfigError ? EXIT.usage : EXIT.failure;
    return { text: debug ? fullText(error) : `error: ${error.message}`, exitCode };
  }
  const cure = SYSTEM_CURES[(error as NodeJS.ErrnoException | undefined)?.code ?? ''];
  if (error instanceof Error && cure !== undefined && !debug) {
    return { text: `error: The system refused: ${error.message}. ${cure}`, exitCode: EXIT.failure };
  }
  return {
    text: `${fullText(error)}\nThis is a bug in capstan. Please report it with the lines above and what you ran.`,
    exitCode: EXIT.bug,
  };
}

function fullText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\nCaused by: ${fullText(error.cause)}`;
}
