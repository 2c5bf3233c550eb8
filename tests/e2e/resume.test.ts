/** A run that is killed, interrupted and resumed leaves what an uninterrupted one leaves, to the bit. */
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/rng.js';
import {
  buildData,
  capstan,
  checkpointDigests,
  checkpointOf,
  loggedRows,
  type Running,
  set,
  start,
  untimed,
  writeTinyConfig,
} from '../support/cli.js';

const STEPS = 120;
const EVERY = 10;

let root = '';
let config = '';
const runDir = (name: string): string => join(root, 'runs', name);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'capstan-resume-'));
  await buildData(join(root, 'data'));
  config = await writeTinyConfig(join(root, 'tiny.yaml'), {
    data: join(root, 'data'),
    runs: join(root, 'runs'),
    steps: STEPS,
    checkpointEvery: EVERY,
  });
  const { code, stderr, stdout } = await capstan(...trainArgs('whole'));
  expect(code, stderr).toBe(0);
  expect(stdout).toContain(`Done: ${STEPS} steps`);
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Figures that pick a best checkpoint, which must be the same one, too. */
const EVALUATE = set(
  'eval.every=40',
  'eval.retrieval=true',
  'checkpoint.keepBest=val/retrieval/textToImageR1',
);

const trainArgs = (name: string, ...more: string[]): string[] => [
  'train',
  config,
  ...set(`run.name=${name}`),
  ...EVALUATE,
  ...more,
];

/** Waits until something is so; says what the run printed if it ends before. */
async function until(run: Running, what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  let ended = false;
  void run.finished.then(() => {
    ended = true;
  });
  while (!(await isSo())) {
    if (ended) throw new Error(`The run ended before ${what}: ${(await run.finished).stderr}`);
    await nextTurn();
  }
}

/** Waits until the run has logged a step. */
async function untilStep(run: Running, name: string, step: number): Promise<void> {
  await until(run, `step ${step}`, async () => {
    await sleep(2);
    // The last line may be under way.
    return (await loggedRows(runDir(name)).catch(() => [])).length >= step;
  });
}

const halfWritten = (name: string): string[] => {
  const checkpoints = join(runDir(name), 'checkpoints');
  return existsSync(checkpoints) ? readdirSync(checkpoints).filter((entry) => entry.endsWith('.tmp')) : [];
};

async function expectEqualRuns(found: string, expected: string): Promise<void> {
  expect(await checkpointDigests(runDir(found), STEPS)).toEqual(
    await checkpointDigests(runDir(expected), STEPS),
  );
  expect(untimed(await loggedRows(runDir(found)))).toEqual(untimed(await loggedRows(runDir(expected))));
  for (const file of ['eval.jsonl', 'data.jsonl']) {
    expect(await loggedRows(runDir(found), file)).toEqual(await loggedRows(runDir(expected), file));
  }
}

describe('a run that is cut off again and again', () => {
  const name = 'broken';
  const resume = (...more: string[]): Running => start(...trainArgs(name, '--resume', 'auto', ...more));

  it('loses no checkpoint to kill -9 at any step', async () => {
    const random = new KeyedRandom('resume test', 'kill');
    for (const from of [1, 21, 41]) {
      const at = from + random.int(15);
      const run = resume();
      await untilStep(run, name, at);
      await sleep(random.int(20));
      run.process.kill('SIGKILL');
      expect(await run.finished, `killed after step ${at}`).toMatchObject({ code: null, signal: 'SIGKILL' });
    }
  });

  it('loses none to kill -9 while one is written', async () => {
    const run = resume(...set('checkpoint.every=1'));
    await untilStep(run, name, 65);
    await until(run, 'a checkpoint was half written', () => halfWritten(name).length > 0);
    run.process.kill('SIGKILL');
    expect(await run.finished).toMatchObject({ signal: 'SIGKILL' });
  });

  it.each([
    ['SIGINT', 130, 80],
    ['SIGTERM', 143, 100],
  ] as const)('saves at %s, says how to go on, and ends with %i', async (signal, exitCode, step) => {
    const run = resume();
    await untilStep(run, name, step);
    run.process.kill(signal);
    const { code, stdout, stderr } = await run.finished;
    expect(code, stderr).toBe(exitCode);
    expect(stderr).toContain(`${signal}: finishing the step, then saving`);
    const stopped =
      /Stopped after step (\d+); saved (.+step-\d+)\. Go on with: (npx capstan train .+)\n/.exec(stdout);
    expect(stopped, stdout).not.toBeNull();
    const [, at, saved, again] = stopped as RegExpExecArray;
    expect(saved).toBe(checkpointOf(runDir(name), Number(at)));
    expect(existsSync(saved as string)).toBe(true);
    expect(again).toContain(`--set run.name=${name}`);
    expect(again).toMatch(/--resume auto$/);
    expect((await loggedRows(runDir(name))).at(-1)).toMatchObject({ step: Number(at) });
  });

  it('stopped while it starts has nothing new to save, and says so', async () => {
    const run = resume();
    await until(run, 'it said where it goes on', () => run.stderr().includes('Going on from'));
    run.process.kill('SIGTERM');
    const { code, stdout, stderr } = await run.finished;
    expect(code, stderr).toBe(143);
    // A step may have been done before the signal arrived.
    expect(stdout).toMatch(/Stopped after step \d+; (nothing new to save|saved .+step-\d+)\. Go on with: /);
  });

  it('ends as an uninterrupted run does: parameters, moments, metrics, evaluations', async () => {
    const { code, stderr } = await resume().finished;
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/Going on from step-\d+/);
    await expectEqualRuns(name, 'whole');
    expect(halfWritten(name)).toEqual([]);
    expect(existsSync(join(runDir(name), '.lock'))).toBe(false);
  });
});

describe('a run that is finished', () => {
  it('is neither trained further nor overwritten', async () => {
    const before = await checkpointDigests(runDir('whole'), STEPS);
    // What does not decide what it learns may be otherwise by then.
    const free = set('train.remat=true', 'train.logEvery=5', 'checkpoint.keepLast=9', 'data.prefetch=2');
    const again = await capstan(...trainArgs('whole', ...free, '--resume', 'auto'));
    expect(again.code, again.stderr).toBe(0);
    const { code, stderr } = await capstan(...trainArgs('whole'));
    expect(code).toBe(2);
    expect(stderr).toMatch(/runs.whole holds a run already.*--resume auto.*run\.name/);
    expect(await checkpointDigests(runDir('whole'), STEPS)).toEqual(before);
    expect(await loggedRows(runDir('whole'))).toHaveLength(STEPS);
  });
});

describe('a configuration that changed', () => {
  it('is refused, key by key, and the run stays as it was', async () => {
    const before = await checkpointDigests(runDir('whole'), STEPS);
    const changed = set('train.lr=0.5', 'data.captions={alt: 1}', 'train.steps=200', 'model.text.width=32');
    const { code, stderr } = await capstan(...trainArgs('whole', ...changed, '--resume', 'auto'));
    expect(code).toBe(2);
    expect(stderr).toContain('runs/whole was trained with another configuration');
    for (const line of [
      'train.lr: was 0.001, is 0.5',
      'train.steps: was 120, is 200',
      'data.captions.alt: was 0.5, is 1',
      'data.captions.ssc: was 0.5, is not set',
      'model.text.width: was 16, is 32',
    ]) {
      expect(stderr).toContain(line);
    }
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(await checkpointDigests(runDir('whole'), STEPS)).toEqual(before);
  });

  it('begins a run of its own from the same checkpoint under another name', async () => {
    const from = checkpointOf(runDir('whole'), STEPS);
    const branch = (name: string) =>
      capstan(
        'train',
        config,
        ...set(`run.name=${name}`, 'train.steps=122', 'train.lr=1e-4'),
        '--resume',
        from,
      );
    const { code, stderr } = await branch('branch');
    expect(code, stderr).toBe(0);
    expect((await loggedRows(runDir('branch'))).map(({ step }) => step)).toEqual([121, 122]);
    const refused = await branch('whole');
    expect(refused.code, refused.stderr).toBe(2);
    expect(refused.stderr).toContain('train.steps: was 120, is 122');
    const other = await branch('broken');
    expect(other.code, other.stderr).toBe(2);
    expect(other.stderr).toMatch(/runs.broken holds checkpoints of its own: .*step-00000120/);
  });

  it('goes back in its own run only when nothing later would be lost', async () => {
    const [older] = (await readdir(join(runDir('whole'), 'checkpoints'))).sort();
    const from = join(runDir('whole'), 'checkpoints', older as string);
    const { code, stderr } = await capstan(...trainArgs('whole', '--resume', from));
    expect(code, stderr).toBe(2);
    expect(stderr).toMatch(/runs.whole holds later checkpoints: .*step-00000120/);
  });
});

describe('a folder in which a process trains', () => {
  it('is closed to a second one, until the first is told to leave at once', async () => {
    const name = 'shared';
    // A model that takes a while to save.
    const args = ['train', config, ...set(`run.name=${name}`, 'model.text.width=128')];
    const endless = set('train.steps=1000000', 'checkpoint.every=1000000');
    const first = start(...args, ...endless);
    await untilStep(first, name, 1);
    const second = await capstan(...args, ...endless, '--resume', 'auto');
    expect(second.code).toBe(2);
    expect(second.stderr).toMatch(
      new RegExp(`Process ${first.process.pid} on .* trains in .*runs.shared\\. Wait for it`),
    );

    // Both signals are there when it goes on, in whatever order, so that it cannot have saved in between.
    first.process.kill('SIGSTOP');
    first.process.kill('SIGINT');
    first.process.kill('SIGTERM');
    first.process.kill('SIGCONT');
    const { code, stderr, stdout } = await first.finished;
    expect([130, 143], stderr).toContain(code);
    expect(stderr).toContain('Once more to leave at once, without saving');
    expect(stdout).toBe('');
    expect(existsSync(join(runDir(name), 'checkpoints'))).toBe(false);

    const third = await capstan(...args, ...set('train.steps=2'), '--resume', 'auto');
    expect(third.code, third.stderr).toBe(0);
    expect(third.stderr).toContain('starting at step 0');
    expect((await loggedRows(runDir(name))).map(({ step }) => step)).toEqual([1, 2]);
  });
});
