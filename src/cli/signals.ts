/** Ending by SIGINT or SIGTERM: the work finishes its step and saves; a second signal ends at once. */
import { printError } from './printer.js';

/** Exit codes as shells give them for a process ended by the signal. */
const SIGNAL_EXIT = { SIGINT: 130, SIGTERM: 143 } as const;

export interface SignalWatch {
  /** Aborts on the first signal. */
  readonly signal: AbortSignal;
  /** The exit code of the signal that came, if one did. */
  exitCode(): number | undefined;
  /** Stops watching. */
  stop(): void;
}

/**
 * Aborts on the first signal; a second one ends the process at once.
 *
 * @param said what is said of the first, behind its name
 */
export function abortOnSignals(
  said = 'finishing the step, then saving. Once more to leave at once, without saving.',
): SignalWatch {
  const controller = new AbortController();
  let exitCode: number | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    const code = SIGNAL_EXIT[name as keyof typeof SIGNAL_EXIT];
    if (exitCode !== undefined) process.exit(code);
    exitCode = code;
    printError(`\n${name}: ${said}`);
    controller.abort(new Error(`ended by ${name}`));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    exitCode: () => exitCode,
    stop: () => {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    },
  };
}
