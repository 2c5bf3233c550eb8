import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PhaseClock } from '../../../src/cli/quickstart/phases.js';

let dir: string;
let path: string;
let at = 0;
const clock = () => PhaseClock.open(path, () => at);
const phase =
  (ms: number, worked = true) =>
  () => {
    at += ms;
    return Promise.resolve({ value: ms, worked });
  };

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'capstan-phases-'));
  path = join(dir, 'sub', 'seconds.json');
});
afterEach(() => rm(dir, { recursive: true }));

describe('PhaseClock', () => {
  it('times phases in seconds and hands their values on', async () => {
    const phases = await clock();
    expect(await phases.time('data', phase(2500))).toBe(2500);
    await phases.time('train', phase(61_030));
    expect(phases.seconds()).toEqual({ data: 2.5, train: 61 });
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({ data: 2.5, train: 61.03 });
  });

  it('keeps the earlier duration of work that was there already', async () => {
    await (await clock()).time('data', phase(2500));
    const again = await clock();
    await again.time('data', phase(10, false));
    await again.time('train', phase(20, false));
    expect(again.seconds()).toEqual({ data: 2.5, train: 0 });
    await again.time('data', phase(4000));
    expect(again.seconds()).toMatchObject({ data: 4 });
  });

  it('records nothing of a phase that fails, and starts anew from a damaged file', async () => {
    const phases = await clock();
    await expect(phases.time('data', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(phases.seconds()).toEqual({});
    await phases.time('data', phase(1000));
    await writeFile(path, '{"data": "x"');
    expect((await clock()).seconds()).toEqual({});
  });
});
