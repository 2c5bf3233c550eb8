import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatSummary, type QuickstartWork, runQuickstart } from '../../../src/cli/quickstart/quickstart.js';
import { writeExampleRun } from '../report/example-run.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'capstan-quickstart-'));
});
afterAll(() => rm(root, { recursive: true }));

/** Work that records its calls, finds a seed done when it was done before, and can be cut off. */
function exampleWork(calls: string[], done: Set<string>, failAt?: string): QuickstartWork {
  const phase = async (name: string, act: () => Promise<void>) => {
    calls.push(name);
    if (name === failAt) throw new Error(`cut off at ${name}`);
    const worked = !done.has(name);
    if (worked) await act();
    done.add(name);
    return { value: undefined, worked };
  };
  const nothing = () => Promise.resolve();
  return {
    engine: async () => ({
      value: { processor: 'example', cores: 2 },
      worked: (await phase('engine', nothing)).worked,
    }),
    data: () => phase('data', nothing),
    train: (seed, runDir) => phase(`train ${basename(runDir)}`, () => writeExampleRun(runDir, seed)),
    evaluate: (runDir) => phase(`evaluate ${basename(runDir)}`, nothing),
  };
}

describe('runQuickstart', () => {
  it('goes on where it was cut off, and sums up all seeds', async () => {
    const outDir = join(root, 'quickstart');
    const done = new Set<string>();
    const said: string[] = [];
    const options = { outDir, seeds: [0, 1], say: (line: string) => said.push(line) };
    await expect(runQuickstart(exampleWork([], done, 'train seed-1'), options)).rejects.toThrow(/cut off/);
    const calls: string[] = [];
    const summary = await runQuickstart(exampleWork(calls, done), options);
    expect(calls).toEqual([
      'engine',
      'data',
      'train seed-0',
      'evaluate seed-0',
      'train seed-1',
      'evaluate seed-1',
    ]);
    expect(said.slice(-4)).toEqual(['2/4 Data', '3/4 Seed 0 (1 of 2)', '3/4 Seed 1 (2 of 2)', '4/4 Report']);
    expect(summary).toMatchObject({ steps: 400, samplesSeen: 51_200, seeds: [0, 1], machine: { cores: 2 } });
    expect(Object.keys(summary.seconds)).toEqual([
      'engine',
      'data',
      'train seed 0',
      'evaluate seed 0',
      'train seed 1',
      'evaluate seed 1',
      'report',
    ]);
    expect(summary.scores['zero-shot top-1 by label']).toMatchObject({
      values: [0.125, 0.125],
      deviation: 0,
      timesChance: 250,
      numQueries: 800,
    });
    expect(summary.scores['text to image R@1']?.timesChance).toBeCloseTo(88, 9);
    expect(summary.scores['image to text R@1']?.numCandidates).toBe(4000);

    expect(JSON.parse(await readFile(join(outDir, 'summary.json'), 'utf8'))).toEqual(summary);
    const html = await readFile(join(outDir, 'report.html'), 'utf8');
    expect(html).toContain('Scores over 2 seeds');
    expect(html).toContain('250.0 x');
    const text = formatSummary(summary);
    expect(text).toMatch(/zero-shot top-1 by label {2,}12\.50 % {2,}0\.00 %/);
    expect(text).toMatch(/400 steps per seed, [\d.]+ s besides downloads/);
  });

  it('leaves seeds out of the summary that were not asked for', async () => {
    const outDir = join(root, 'quickstart');
    const done = new Set(['engine', 'data', 'train seed-0', 'evaluate seed-0']);
    const summary = await runQuickstart(exampleWork([], done), { outDir, seeds: [0], say: () => {} });
    expect(Object.keys(summary.seconds)).not.toContain('train seed 1');
    expect(summary.scores['text to image R@1']?.values).toHaveLength(1);
    expect(summary.scores['text to image R@1']?.deviation).toBeNull();
    expect(formatSummary(summary)).toMatch(/zero-shot top-1 by label {2,}12\.50 % {2,}12\.50 % to/);
  });
});
