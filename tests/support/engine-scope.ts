/** Tests that leave nothing behind. */
import { afterEach, beforeEach, expect } from 'vitest';
import { session } from '../../src/engine/session.js';
import { tf } from './engine.js';

/** tfjs's tensors and native handles alive now. */
export function alive(): { tensors: number; handles: number } {
  return { tensors: tf.memory().numTensors, handles: session().binding.getNumOfTensors() };
}

/**
 * Frees after each test of this file the test's tensors and what it handed to the returned function, and
 * expects that nothing else is left, neither tensors nor native handles nor an open recording.
 */
export function leaveNothing(): <T extends { dispose(): void }>(owned: T) => T {
  const owned: { dispose(): void }[] = [];
  let before = { tensors: 0, handles: 0 };
  beforeEach(() => {
    before = alive();
    tf.engine().startScope('test');
  });
  afterEach(() => {
    for (const thing of owned.splice(0)) thing.dispose();
    tf.engine().endScope();
    expect(alive()).toEqual(before);
    expect(session().recording).toBeUndefined();
    expect(tf.getBackend()).toBe('tensorflow');
  });
  return (thing) => {
    owned.push(thing);
    return thing;
  };
}

/** The file and line, for instance `compile.test.ts:12:`, that follow the call of this. */
export function nextLine(): string {
  const frame = (new Error().stack ?? '').split('\n')[2] ?? '';
  const [, file, line] = /([\w-]+\.test\.ts):(\d+)/.exec(frame) ?? [];
  return `${file}:${Number(line) + 1}:`;
}
