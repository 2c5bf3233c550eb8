/** Ending by SIGINT or SIGTERM: the work stops where it can, or saves first; a second signal ends at once. */
import { printError } from './printer.js';

/** Exit codes as shells give them for a process ended by the signal. */
const SIGNAL_EXIT = { SIGINT: 130, SIGTERM: 143 } as const;

/** What the first signal leads to, as it is told. */
const ENDINGS = {
  stop: 'stopping. Once more to leave at once.',
  save: 'finishing the step, then saving. Once more to leave at once, without saving.',
} as const;

export interface SignalWatch {
  /** Aborts on the first signal. */
  readonly signal: AbortSignal;
  /** The exit code of the signal that came, if one did. */
  exitCode(): number | undefined;
  /** What the first signal leads to from now on, which is what it says. */
  endBy(ending: keyof typeof ENDINGS): void;
  /** Stops watching. */
  stop(): void;
}

/**
 * Aborts on the first signal; a second one ends the process at once.
 *
 * @param notice what the first one is answered with
 */
export function abortOnSignals(notice: string = ENDINGS.stop): SignalWatch {
  const controller = new AbortController();
  let exitCode: number | undefined;
  let said = notice;
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
    endBy: (next) => {
      said = ENDINGS[next];
    },
    stop: () => {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    },
  };
}

/**
 * Does work that a signal stops. Then the farewell is printed, and the process ends with the signal's exit code
 * when it has nothing left to do.
 *
 * @returns what the work gives; undefined if it was stopped
 * @throws what the work throws, unless that is the signal's doing
 */
export async function untilSignal<T>(
  work: (watch: SignalWatch) => Promise<T>,
  farewell = 'Stopped. What was downloaded so far is kept for the next time.',
): Promise<T | undefined> {
  const watch = abortOnSignals();
  try {
    return await work(watch);
  } catch (error) {
    if (!isDoingOf(watch.signal, error)) throw error;
    printError(farewell);
    process.exitCode = watch.exitCode();
    return undefined;
  } finally {
    watch.stop();
  }
}

/** Whether an error only says that the signal aborted something. */
function isDoingOf(signal: AbortSignal, error: unknown): boolean {
  return signal.aborted && (error === signal.reason || (error as Error | undefined)?.name === 'AbortError');
}
