import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { DrawingProgress } from '../../../src/cli/drawing-progress.js';

describe('DrawingProgress', () => {
  it('prints a line every ten seconds where there is no terminal', () => {
    const stream = new PassThrough();
    let now = 0;
    const progress = new DrawingProgress(stream, () => now);
    for (let done = 1; done <= 100; done++) {
      now = 250 * done;
      progress.update(done, 100);
    }
    progress.stop();
    expect(String(stream.read())).toBe('drawing 40/100\ndrawing 80/100\n');
  });
});
