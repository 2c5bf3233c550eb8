/** What an error that reached the command line says there, and the exit code it ends with. */
import { CapstanError, ConfigError } from '../errors.js';

/** Exit codes: 2 for a wrong configuration, 1 for other errors thrown on purpose, 70 for bugs. */
export const EXIT = { config: 2, expected: 1, bug: 70 } as const;

/**
 * @param debug whether errors thrown on purpose show their stack and cause, too
 */
export function describeFailure(
  error: unknown,
  debug: boolean,
): { readonly text: string; readonly exitCode: number } {
  if (error instanceof CapstanError) {
    const exitCode = error instanceof ConfigError ? EXIT.config : EXIT.expected;
    return { text: debug ? fullText(error) : `error: ${error.message}`, exitCode };
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
