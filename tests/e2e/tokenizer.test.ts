/** A run with a tokenizer.json, mirrored and turned images: trained, resumed and evaluated by the command line. */
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildData, capstan, checkpointDigests, loggedRows, set, writeTinyConfig } from '../support/cli.js';
import { unpackTokenizer } from '../support/tokenizers.js';

let root = '';
let config = '';
let run = '';
let tokenizer = '';
let moved = '';
let sets: string[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'capstan-tokenizer-'));
  await buildData(join(root, 'data'));
  await mkdir(join(root, 'elsewhere'));
  tokenizer = unpackTokenizer('minilm', root);
  moved = join(root, 'elsewhere', 'moved.json');
  config = await writeTinyConfig(join(root, 'tiny.yaml'), {
    data: join(root, 'data'),
    runs: join(root, 'runs'),
    steps: 4,
  });
  run = join(root, 'runs', 'tiny');
  sets = set(
    `model.text.tokenizer=${tokenizer}`,
    'model.text.contextLength=160',
    'data.captions={dsc+: 1}',
    'data.flip=0.5',
    'data.exif=true',
    'data.scaledDecode=true',
    'eval.retrieval=true',
  );
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('a run with a tokenizer.json', () => {
  it('trains with its vocabulary and keeps a copy of it', async () => {
    const dry = await capstan('train', config, ...sets, '--dry-run');
    expect(dry.code, dry.stderr).toBe(0);
    expect(dry.stdout).toMatch(/^text tower +\[8, 160\] → 160 tokens/m);
    const trained = await capstan('train', config, ...sets);
    expect(trained.code, trained.stderr).toBe(0);
    expect(readFileSync(join(run, 'tokenizer.json'))).toEqual(readFileSync(tokenizer));
    const state = JSON.parse(await readFile(join(run, 'checkpoints/step-00000004/state.json'), 'utf8'));
    expect(state.model.config.text).toMatchObject({ vocabSize: 30_522, endToken: 102 });
    const [row] = await loggedRows(run);
    expect(row).toMatchObject({ mix: { 'dsc+': 1 }, truncatedShare: 0 });
  });

  it('ends as an uninterrupted one when it is resumed, wherever the file is then', async () => {
    const whole = await checkpointDigests(run, 4);
    await rm(join(run, 'checkpoints/step-00000004'), { recursive: true });
    await rename(tokenizer, moved);
    const lost = await capstan('train', config, ...sets, '--resume', 'auto');
    expect(lost.stderr).toMatch(/minilm.json', which cannot be read/);
    const found = set(`model.text.tokenizer=${moved}`);
    const resumed = await capstan('train', config, ...sets, ...found, '--resume', 'auto');
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(await checkpointDigests(run, 4)).toEqual(whole);
  });

  it('is evaluated with its own copy, and not without', async () => {
    const evaluate = () => capstan('eval', 'retrieval', '--run', run, '--split', 'test');
    const evaluated = await evaluate();
    expect(evaluated.code, evaluated.stderr).toBe(0);
    await writeFile(join(run, 'tokenizer.json'), '{}');
    expect((await evaluate()).stderr).toMatch(
      /was trained with a tokenizer.json of SHA-256 .* Put the run's own copy/,
    );
    await rm(join(run, 'tokenizer.json'));
    expect((await evaluate()).stderr).toMatch(/tokenizer.json cannot be read/);
  });

  it.each([
    [['model.text.vocabSize=100'], /vocabSize is 100, but the ids of .* go up to 30521/],
    [['data.cacheMiB=10'], /data.scaledDecode.*a cache holds whole images/],
    [['data.flip=2'], /data.flip/],
  ])('refuses %s', async (more, message) => {
    const found = set(`model.text.tokenizer=${moved}`);
    const { code, stderr } = await capstan('train', config, ...sets, ...found, ...set(...more), '--dry-run');
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
  });
});
