import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    globalSetup: ['tests/global-setup.ts'],
    reporters: ['default', './tests/reporter.ts'],
    // A process for each file, two at a time: many wait for processes and timers, and leave a core to the other.
    pool: 'forks',
    maxWorkers: 2,
    // Limits are for what hangs. A machine that does other things besides takes ten times as long.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
  },
});
