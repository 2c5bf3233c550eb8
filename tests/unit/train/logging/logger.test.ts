import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DataError } from '../../../../src/errors.js';
import { truncateAfterStep } from '../../../../src/train/logging/jsonl.js';
import { type MetricsRow, TrainLogger } from '../../../../src/train/logging/logger.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'capstan-log-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const row = (step: number): MetricsRow => ({
  step,
  epoch: 0,
  samplesSeen: 4 * step,
  loss: 1 / step,
  lr: 0.1,
  gradNorm: 2,
  logitScale: 14.3,
  stepMs: 10,
  dataWaitMs: 1,
  imgPerSec: 400,
  mix: { alt: 0.25, ssc: 0.75 },
  fallbacks: 1,
  tokensMean: 9.5,
  tokensP95: 14,
  truncatedShare: 0,
  truncatedByKind: { alt: 0, ssc: 0 },
  vocabulary: { alt: 120 },
  distinct1: { alt: 0.5 },
  distinct2: { alt: 0.75 },
  duplicateCaptions: 0,
  skipped: 0,
  noCaption: 0,
});

const text = (name: string): string => readFileSync(join(dir, name), 'utf8');

/** Logs steps, with an evaluation at every second one. */
function logSteps(from: number, to: number, options: { resumeStep?: number; logEvery?: number } = {}): void {
  const logger = new TrainLogger(dir, { totalSteps: 6, ...options });
  for (let step = from; step <= to; step++) {
    logger.log(row(step));
    if (step % 2 === 0) logger.logEval(step, { 'val/top1': step / 10 });
  }
  logger.close();
}

describe('TrainLogger', () => {
  it('writes a row per step and per evaluation, and events', () => {
    logSteps(1, 2);
    expect(text('metrics.jsonl')).toBe(`${JSON.stringify(row(1))}\n${JSON.stringify(row(2))}\n`);
    expect(text('eval.jsonl')).toBe('{"step":2,"val/top1":0.2}\n');
    const events = readdirSync(dir).filter((name) => name.startsWith('events.out.tfevents.'));
    expect(events).toHaveLength(1);
    const bytes = text(events[0]!);
    for (const tag of [
      'train/loss',
      'train/mix/alt',
      'train/mix/ssc',
      'train/distinct2/alt',
      'eval/val/top1',
    ]) {
      expect(bytes).toContain(tag);
    }
    expect(bytes).not.toContain('train/step\u0015');
  });

  it('leaves after a resumption what an uninterrupted run leaves, also from a torn last line', () => {
    logSteps(1, 6);
    const whole = [text('metrics.jsonl'), text('eval.jsonl')];
    rmSync(dir, { recursive: true });
    dir = mkdtempSync(join(tmpdir(), 'capstan-log-'));
    logSteps(1, 5);
    appendFileSync(join(dir, 'metrics.jsonl'), '{"step":6,"lo');
    logSteps(4, 6, { resumeStep: 3 });
    expect([text('metrics.jsonl'), text('eval.jsonl')]).toEqual(whole);
  });

  it('starts anew without a checkpoint', () => {
    logSteps(1, 3);
    logSteps(1, 1);
    expect(text('metrics.jsonl')).toBe(`${JSON.stringify(row(1))}\n`);
  });

  it('writes every nth row and the last', () => {
    logSteps(1, 6, { logEvery: 4 });
    expect(text('metrics.jsonl').match(/"step":\d/g)).toEqual(['"step":4', '"step":6']);
  });
});

describe('truncateAfterStep', () => {
  const cut = (content: string, step: number): string => {
    const path = join(dir, 'x.jsonl');
    writeFileSync(path, content);
    truncateAfterStep(path, step);
    return readFileSync(path, 'utf8');
  };

  it('keeps rows up to the step', () => {
    expect(cut('{"step":1}\n{"step":2}\n{"step":3}\n', 2)).toBe('{"step":1}\n{"step":2}\n');
    expect(cut('{"step":1,"é":"…"}\n{"step":2}\n', 5)).toBe('{"step":1,"é":"…"}\n{"step":2}\n');
    expect(cut('{"step":1}\n{"step":2}\n', 0)).toBe('');
  });

  it('drops a last line that is cut off, even if it could be read', () => {
    expect(cut('{"step":1}\n{"step":2}', 5)).toBe('{"step":1}\n');
    expect(cut('{"st', 5)).toBe('');
  });

  it('does nothing without a file, and refuses a damaged one', () => {
    truncateAfterStep(join(dir, 'none.jsonl'), 1);
    expect(readdirSync(dir)).toEqual([]);
    expect(() => cut('{"step":1}\nnonsense\n{"step":2}\n', 5)).toThrow(DataError);
    expect(() => cut('{"loss":1}\n', 5)).toThrow(/line 1: expected a row with a step/);
  });
});
