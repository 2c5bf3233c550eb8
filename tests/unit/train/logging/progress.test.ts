import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  formatDuration,
  type ProgressStream,
  TrainProgress,
} from '../../../../src/train/logging/progress.js';

/** A stream that keeps what is written to it. */
function recorder(isTTY: boolean): { stream: ProgressStream; written: () => string } {
  const stream = new PassThrough();
  const chunks: string[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  const terminal = {
    isTTY,
    columns: 120,
    cursorTo: () => true,
    clearLine: () => true,
    moveCursor: () => true,
  };
  return { stream: Object.assign(stream, terminal), written: () => chunks.join('') };
}

const step = (n: number, values = {}) => ({
  step: n,
  loss: 2.5,
  stepMs: 100,
  dataWaitMs: 25,
  imgPerSec: 640,
  ...values,
});

describe('formatDuration', () => {
  it.each([
    [0, '0s'],
    [59.4, '59s'],
    [59.6, '1m00s'],
    [725, '12m05s'],
    [3600 * 3 + 7 * 60 + 59, '3h07m'],
    [-1, '0s'],
  ])('%d s is %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));
});

describe('TrainProgress', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('writes a line at first, each ten seconds, and at the end when it is no terminal', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { stream, written } = recorder(false);
    const progress = new TrainProgress(stream, 1000, 0);
    for (let n = 1; n <= 300; n++) {
      progress.update(step(n));
      vi.advanceTimersByTime(100);
    }
    progress.update(step(1000));
    progress.stop();
    expect(written()).toBe(
      [
        'step 1/1000  640 img/s  data wait 25%  loss 2.5000  ETA 1m40s\n',
        'step 101/1000  640 img/s  data wait 25%  loss 2.5000  ETA 1m30s\n',
        'step 201/1000  640 img/s  data wait 25%  loss 2.5000  ETA 1m20s\n',
        'step 1000/1000  640 img/s  data wait 25%  loss 2.5000  ETA 0s\n',
      ].join(''),
    );
  });

  it('smooths the speed but not the loss', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { stream, written } = recorder(false);
    const progress = new TrainProgress(stream, 2, 0);
    progress.update(step(1));
    // 64 images again, in ten times the time: the mean step is 100 + 0.1 * 900 = 190 ms.
    progress.update(step(2, { stepMs: 1000, imgPerSec: 64, loss: 1 }));
    expect(written().split('\n')[1]).toBe('step 2/2  337 img/s  data wait 13%  loss 1.0000  ETA 0s');
  });

  it('draws a bar on a terminal, from where the run goes on', () => {
    const { stream, written } = recorder(true);
    const progress = new TrainProgress(stream, 10, 4);
    progress.update(step(10));
    progress.stop();
    expect(written()).toContain('4/10  compiling the first step');
    expect(written()).toContain('10/10  640 img/s  data wait 25%  loss 2.5000  ETA 0s');
  });
});
