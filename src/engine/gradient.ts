/** What a backward pass may recompute. */
import { hasSession, session } from './session.js';

/**
 * Marks what `fn` records as part of a backward pass. Without the mark, an operation that the forward pass
 * has done as well would be done once and its result kept until here; with it, the operation is done again
 * from the values that are kept anyway. Outside of a compiled function it just calls `fn`.
 */
export function backward<T>(fn: () => T): T {
  const recording = hasSession() ? session().recording : undefined;
  if (!recording) return fn();
  const before = recording.scope;
  recording.scope = 1;
  try {
    return fn();
  } finally {
    recording.scope = before;
  }
}
