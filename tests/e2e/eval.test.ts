/** `capstan eval` and `capstan report` as a user runs them, on a model trained for a few steps. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = mkdtempSync(join(tmpdir(), 'capstan-eval-e2e-'));
const data = join(root, 'emoji');
const run = join(root, 'runs', 'tiny');
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

function capstan(...args: string[]): Promise<Result> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['dist/cli/main.js', ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

const sets = [
  `data.path=${data}`,
  `run.dir=${join(root, 'runs')}`,
  'run.name=tiny',
  'model.embedDim=16',
  'model.vision.imageSize=16',
  'model.vision.patchSize=8',
  'model.vision.width=64',
  'model.vision.depth=1',
  'model.text.width=64',
  'model.text.depth=1',
  'model.text.numHeads=1',
  'model.text.contextLength=16',
  'train.batchSize=8',
  'train.steps=4',
  'train.warmupSteps=1',
  'eval.every=2',
  'checkpoint.every=2',
  'checkpoint.keepLast=2',
];

beforeAll(async () => {
  const built = await capstan('data', 'build', 'emoji', '--out', data, '--limit', '16', '--size', '32');
  expect(built).toMatchObject({ code: 0 });
  const trained = await capstan('train', 'configs/quickstart.yaml', ...sets.flatMap((set) => ['--set', set]));
  expect(trained.stderr).not.toContain('error:');
  expect(trained).toMatchObject({ code: 0 });
});

describe('evaluation while training', () => {
  it('leaves figures with their chance levels at each step that was asked for', () => {
    const rows = readFileSync(join(run, 'eval.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, number>);
    expect(rows.map(({ step }) => step)).toEqual([2, 4]);
    for (const row of rows) {
      for (const name of ['zeroShot/label/top1', 'zeroShot/subgroup/top1', 'retrieval/textToImageR1']) {
        const score = row[`val/${name}`] as number;
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(1);
      }
      expect(row['val/zeroShot/label/chanceTop1']).toBeGreaterThan(1 / 17);
    }
  });
});

describe('capstan eval zero-shot', () => {
  it('prints scores beside chance, and writes JSON, pictures and a page', async () => {
    const json = join(root, 'zero-shot.json');
    const { code, stdout } = await capstan('eval', 'zero-shot', '--run', run, '--json', json);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^score +on +value +95 % interval +chance +times chance\n/);
    expect(stdout).toMatch(/top-1 +\d+ classes, \d+ images +\d+\.\d\d %/);
    expect(stdout).toContain('Top confusions');
    const written = readFileSync(join(run, 'eval', 'zero-shot-label-test.json'), 'utf8');
    expect(readFileSync(json, 'utf8')).toBe(written);
    const { metrics, step, examples } = JSON.parse(written) as {
      metrics: { numImages: number; numClasses: number; top1: number; chanceTop1: number };
      step: number;
      examples: { image: string }[];
    };
    expect(step).toBe(4);
    expect(metrics.numClasses).toBe(16);
    expect(metrics.chanceTop1).toBeCloseTo(1 / 16, 12);
    for (const { image } of examples) expect(existsSync(join(run, 'eval', image))).toBe(true);
    expect(readFileSync(join(run, 'eval', 'zero-shot-label-test.html'), 'utf8')).toContain('data:image/webp');
  });

  it('takes an earlier checkpoint, coarse classes and another split', async () => {
    const args = ['--run', run, '--checkpoint', '2', '--classes', 'subgroup', '--split', 'val'];
    expect(await capstan('eval', 'zero-shot', ...args)).toMatchObject({ code: 0 });
    const file = join(run, 'eval', 'zero-shot-subgroup-val-step-00000002.json');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      step: 2,
      classes: 'subgroup',
      split: 'val',
    });
  });

  it('says what is wrong: column, templates, split, checkpoint, run', async () => {
    const wrong = async (...args: string[]) => {
      const { code, stderr } = await capstan('eval', 'zero-shot', '--run', run, ...args);
      expect(code).toBe(2);
      expect(stderr).not.toContain('bug in capstan');
      return stderr;
    };
    expect(await wrong('--classes', 'colour')).toMatch(
      /no text column 'colour' .* it has key, style, hexcode, group/,
    );
    expect(await wrong('--templates', 'none.txt')).toContain(
      "expected 'emoji', 'openai' or a readable text file",
    );
    expect(await wrong('--split', 'tset')).toContain("there is no split 'tset'");
    expect(await wrong('--checkpoint', '3')).toContain('no checkpoint of step 3, only of 2, 4');
    expect(await wrong('--checkpoint', 'newest')).toContain("Expected 'latest', 'best' or a step.");
    expect(await wrong('--run', join(root, 'nowhere'))).toContain('nowhere');
  });
});

describe('capstan eval retrieval', () => {
  it('has a gallery for each held-out style', async () => {
    const { code, stdout } = await capstan('eval', 'retrieval', '--run', run);
    expect(code).toBe(0);
    const { galleries } = JSON.parse(readFileSync(join(run, 'eval', 'retrieval-test.json'), 'utf8')) as {
      galleries: { name: string; numImages: number; numTexts: number }[];
    };
    expect(galleries.length).toBeGreaterThan(1);
    for (const { name, numImages, numTexts } of galleries) {
      expect(numTexts).toBe(5 * numImages);
      expect(stdout).toContain(`text to image R@1   ${name}, ${numImages} images, ${numTexts} captions`);
    }
  });

  it('passes over a checkpoint that was cut off, and says so', async () => {
    const copy = join(root, 'cut');
    cpSync(run, copy, { recursive: true });
    const checkpoints = join(copy, 'checkpoints');
    const newest = readdirSync(checkpoints).sort().at(-1) as string;
    truncateSync(join(checkpoints, newest, 'model.safetensors'), 1000);
    const { code, stderr } = await capstan('eval', 'retrieval', '--run', copy);
    expect(code).toBe(0);
    expect(stderr).toContain(newest);
    expect(JSON.parse(readFileSync(join(copy, 'eval', 'retrieval-test.json'), 'utf8'))).toMatchObject({
      step: 2,
    });
  });
});

describe('capstan report', () => {
  it('makes a page of what training and evaluation left', async () => {
    const out = join(root, 'report.html');
    expect(await capstan('report', run, '--out', out)).toMatchObject({ code: 0, stdout: `${out}\n` });
    const html = readFileSync(out, 'utf8');
    for (const part of [
      'Contrastive loss',
      'val/zeroShot/label/top1',
      'Text queries',
      'Image queries',
      'Top confusions',
    ]) {
      expect(html).toContain(part);
    }
    expect(html).not.toMatch(/(src|href)="(?!data:|#)/);
  });
});
