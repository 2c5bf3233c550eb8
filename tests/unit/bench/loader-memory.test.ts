import { describe, expect, it } from 'vitest';
import { checkWatched, loaderMemory } from '../../../bench/lib/loader-memory.js';
import { ConfigError } from '../../../src/errors.js';

describe('loaderMemory', () => {
  it('is full after two windows of 256 MiB', () => {
    const held = loaderMemory(14_000, 14_000 * 2 ** 17);
    expect(held.fillSamples).toBe(2 * 2048);
    expect(held.windowBytes).toBe(2 ** 28);
  });

  it('is full after an epoch of a set that is smaller than that', () => {
    expect(loaderMemory(1000, 1000 * 2 ** 17).fillSamples).toBe(1000);
  });
});

describe('checkWatched', () => {
  const held = loaderMemory(14_000, 14_000 * 2 ** 17);

  it('takes a run of which a quarter fills the memory', () => {
    expect(() => checkWatched(4 * held.fillSamples, held)).not.toThrow();
  });

  it('refuses a shorter one, and says how long it has to be', () => {
    const watch = (): void => checkWatched(4 * held.fillSamples - 1, held);
    expect(watch).toThrow(ConfigError);
    expect(watch).toThrow('--samples 16383: ');
    expect(watch).toThrow('expected at least 16384');
  });
});
