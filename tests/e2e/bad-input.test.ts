/** What the command line makes of configurations, data, checkpoints, numbers and disks that are wrong. */
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSource } from '../../src/data/datasets/open.js';
import type { Column, Row } from '../../src/data/schema.js';
import { writeArrow } from '../../src/data/sources/writers.js';
import {
  buildData,
  capstan,
  capstanWithin,
  checkpointDigests,
  checkpointOf,
  type Finished,
  loggedRows,
  set,
  untimed,
  writeTinyConfig,
} from '../support/cli.js';

let root = '';
let config = '';
/** Rows of real pictures with both captions. */
let rows: Row[] = [];
const runDir = (name: string): string => join(root, 'runs', name);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'capstan-bad-input-'));
  await buildData(join(root, 'data'));
  config = await writeTinyConfig(join(root, 'tiny.yaml'), {
    data: join(root, 'data'),
    runs: join(root, 'runs'),
  });
  const source = await openSource(join(root, 'data'), { split: 'train' });
  rows = await source.readRows([...Array(24).keys()], ['key', 'image', 'alt', 'ssc']);
  await source.close();
});
afterAll(() => rm(root, { recursive: true, force: true }));

const train = (...args: string[]): Promise<Finished> => capstan('train', config, ...args);

/** Writes a data set with those columns of those rows, and returns its directory. */
async function dataSet(name: string, names: readonly string[], content: readonly Row[]): Promise<string> {
  const columns = names.map(
    (column): Column => ({ name: column, type: column === 'image' ? 'binary' : 'string' }),
  );
  const directory = join(root, name);
  await mkdir(directory);
  await writeArrow(join(directory, 'train-00000.arrow'), columns, content, 16);
  return directory;
}

const ALL = ['key', 'image', 'alt', 'ssc'];

/** An error is a message and an exit code, without a stack. */
function expectRefusal(result: Finished, code: number, ...parts: (string | RegExp)[]): void {
  const { stderr } = result;
  for (const part of parts) expect(stderr).toMatch(part);
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(stderr).not.toContain('bug in capstan');
  expect(result.code, stderr).toBe(code);
}

describe('a configuration', () => {
  it('with unknown and mistyped keys: each problem with its place and the nearest key', async () => {
    const path = join(root, 'wrong.yaml');
    const text = await readFile(config, 'utf8');
    await writeFile(
      path,
      text.replace('lr: 1e-3', 'lr: fast\n  weigthDecay: 0.1').replace('steps: 3', 'steps: 2.5'),
    );
    const result = await capstan('train', path);
    const line = (part: string): number => text.split('\n').findIndex((l) => l.includes(part)) + 1;
    expectRefusal(
      result,
      2,
      new RegExp(`wrong\\.yaml:${line('lr:')}.*train\\.lr.*"fast".*number`),
      new RegExp(`wrong\\.yaml:${line('lr:') + 1}.*train\\.weigthDecay.*did you mean 'weightDecay'`),
      new RegExp(`wrong\\.yaml:${line('steps:')}.*train\\.steps.*2\\.5.*whole number`),
    );
    expect(existsSync(join(root, 'runs'))).toBe(false);
  });

  it('that is overridden wrongly', async () => {
    expectRefusal(
      await train(...set('train.precision=fp8', 'train.batchsize=4')),
      2,
      /--set.*train\.precision.*"fp8".*fp32.*bf16/,
      /--set.*train\.batchsize.*did you mean 'batchSize'/,
    );
  });

  it('that is not there, is not YAML, or extends itself', async () => {
    expectRefusal(await capstan('train', join(root, 'none.yaml')), 2, /none\.yaml.*no such configuration/);
    const path = join(root, 'circle.yaml');
    await writeFile(path, 'extends: half-circle.yaml\n');
    await writeFile(join(root, 'half-circle.yaml'), 'extends: circle.yaml\n');
    expectRefusal(await capstan('train', path), 2, /circle\.yaml → .*half-circle\.yaml → .*circle\.yaml/);
    await writeFile(path, 'train: [1,\n');
    expectRefusal(await capstan('train', path), 2, /circle\.yaml: not YAML/);
  });

  it('whose mix does not add up to 1, or names no kind of caption', async () => {
    const half = await train(...set('data.captions={alt: 0.5, ssc: 0.4}'));
    expectRefusal(half, 2, /data\.captions.*add up to 1.*0\.9/);
    const unknown = await train(...set('data.captions={alt: 0.5, scc: 0.5}'));
    expectRefusal(unknown, 2, /data\.captions\.scc.*did you mean 'ssc'/);
  });

  it('of a model that cannot be', async () => {
    expectRefusal(await train(...set('model.preset=ViT-B32')), 2, /ViT-B32.*ViT-B-32/);
    expectRefusal(
      await train(...set('model.vision.patchSize=15')),
      2,
      /imageSize.*multiple.*patchSize.*32.*15/,
    );
  });

  it('whose cache is larger than the memory', async () => {
    const large = set('run.name=large', 'data.cacheMiB=100000000');
    const expected = /data\.cacheMiB asks for 100,000,000 MiB, but this machine gives [\d,]+ MiB of memory/;
    expectRefusal(await train(...large, '--dry-run'), 2, expected);
    expectRefusal(await train(...large), 2, expected);
    expect(existsSync(join(runDir('large'), 'config.yaml'))).toBe(false);
  });

  it('that keeps the best checkpoint by a figure which nothing measures', async () => {
    expectRefusal(
      await train(
        ...set('run.name=best', 'eval.retrieval=true', 'checkpoint.keepBest=val/retrieval/textToImagR1'),
      ),
      2,
      /keepBest is 'val\/retrieval\/textToImagR1'.*did you mean 'val\/retrieval\/textToImageR1'/,
    );
    expect(existsSync(join(runDir('best'), 'config.yaml'))).toBe(false);
  });
});

describe('a run that is refused', () => {
  it.each([
    ['its device', set('engine.device=cuda'), 1, /device: cuda was asked for, but/],
    ['its library', set('engine.libtensorflow=/nowhere'), 2, /engine\.libtensorflow is \/nowhere, where/],
    ['where it is to go on', ['--resume', '/nowhere'], 2, /--resume \/nowhere: there is no such checkpoint/],
  ])('for %s leaves no folder', async (_, args, code, expected) => {
    const beside = join(root, 'refused');
    expectRefusal(await train(...set(`run.dir=${beside}`, 'run.name=sweep/one'), ...args), code, expected);
    expect(existsSync(beside)).toBe(false);
  });
});

describe('a data set', () => {
  it('without the column of a caption kind, after which the mended run may take the same name', async () => {
    const path = await dataSet('no-ssc', ['key', 'image', 'alt'], rows);
    const named = set('run.name=mended', `data.path=${path}`);
    const expected = [/captions\.ssc/, /no column 'ssc'/, /key, image, alt/] as const;
    expectRefusal(await train(...named, '--dry-run'), 2, ...expected);
    expectRefusal(await train(...named), 2, ...expected);
    const mended = await train(...named, ...set('data.captions={alt: 1}', 'train.steps=1'));
    expect(mended.code, mended.stderr).toBe(0);
  });

  it('without pictures', async () => {
    const path = await dataSet('no-image', ['key', 'alt', 'ssc'], rows);
    expectRefusal(await train(...set(`data.path=${path}`)), 2, /no-image.*no column 'image'/);
  });

  it('that is empty, not there, or has no such split', async () => {
    const empty = await dataSet('empty', ALL, []);
    expectRefusal(await train(...set(`data.path=${empty}`)), 1, /empty.*no rows/);
    const bare = join(root, 'bare');
    await mkdir(bare);
    expectRefusal(await train(...set(`data.path=${bare}`)), 2, /bare.*no shards/);
    expectRefusal(
      await train(...set(`data.path=${root}/absent`)),
      2,
      /absent.*no such data set.*capstan data build/,
    );
    expectRefusal(await train(...set('data.split=training')), 2, /no split 'training'.*train/);
  });

  it('too small for one batch', async () => {
    for (const dryRun of [[], ['--dry-run']]) {
      expectRefusal(
        await train(...set('train.batchSize=4096'), ...dryRun),
        2,
        /train\.batchSize is 4096.*only \d+ samples/,
      );
    }
  });

  it('whose shard was cut off', async () => {
    const path = await dataSet('cut', ALL, rows);
    const shard = join(path, 'train-00000.arrow');
    await truncate(shard, Math.floor((await readFile(shard)).length / 2));
    expectRefusal(await train(...set(`data.path=${path}`)), 1, /cut.train-00000\.arrow/);
  });

  it('with truncated pictures: counted, logged and passed over, up to the allowed share', async () => {
    const cut = (row: Row): Row => {
      const image = row.image as Uint8Array;
      return { ...row, image: image.subarray(0, Math.floor(image.length / 3)) };
    };
    const path = await dataSet(
      'truncated',
      ALL,
      rows.map((row, at) => (at < 2 ? cut(row) : row)),
    );
    // Four steps go through the 24 rows at least once: only two batches of 8 can be filled from the 22 that are whole.
    const twoEpochs = set(`data.path=${path}`, 'train.steps=4');
    const passed = await train(...twoEpochs, ...set('run.name=truncated', 'data.maxSkipRatio=0.2'));
    expect(passed.code, passed.stderr).toBe(0);
    const skips = passed.stderr.split('\n').filter((line) => line.startsWith('Skipped '));
    const broken = rows.slice(0, 2).map(({ key }) => key as string);
    expect(skips.length).toBeGreaterThanOrEqual(2);
    const said = /^Skipped (\S+): The image is a jpeg file that cannot be decoded: ./;
    for (const line of skips) expect(broken).toContain(said.exec(line)?.[1]);
    const counts = (await loggedRows(runDir('truncated'))).map(({ skipped }) => skipped as number);
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
    expect(counts.at(-1)).toBe(skips.length);
    expect(passed.stdout).toContain(`${skips.length} broken samples were passed over`);

    const strict = await train(...twoEpochs, ...set('run.name=strict', 'data.maxSkipRatio=0.01'));
    expectRefusal(strict, 1, / of \d+ .*data\.maxSkipRatio/);
    expect(broken.some((key) => strict.stderr.includes(key))).toBe(true);
  });
});

describe('a run', () => {
  const good = (): string => runDir('good');
  /** A copy of the good run under another name; what `capstan train` is to be given to go on with it. */
  async function copyOf(name: string): Promise<string[]> {
    await cp(good(), runDir(name), { recursive: true });
    return [...set(`run.name=${name}`, 'train.steps=6'), '--resume', 'auto'];
  }
  async function flipLastBit(path: string): Promise<void> {
    const bytes = await readFile(path);
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    await writeFile(path, bytes);
  }
  async function expectGood(name: string): Promise<void> {
    expect(await checkpointDigests(runDir(name), 6)).toEqual(await checkpointDigests(good(), 6));
    expect(untimed(await loggedRows(runDir(name)))).toEqual(untimed(await loggedRows(good())));
  }

  beforeAll(async () => {
    const { code, stderr } = await train(...set('run.name=good', 'train.steps=6'));
    expect(code, stderr).toBe(0);
    expect(await readdir(join(good(), 'checkpoints'))).toHaveLength(3);
  });

  describe('from a checkpoint', () => {
    it('of another model: its tensor, with the shape found and the shape expected', async () => {
      const from = ['--resume', checkpointOf(good(), 6)];
      const wider = await train(...set('run.name=wider', 'model.embedDim=32'), ...from);
      expectRefusal(
        wider,
        1,
        /step-00000006.* (visual\.proj|text_projection) has shape \[16, 16\].*expected \[16, 32\]/,
      );
      const deeper = await train(...set('run.name=deeper', 'model.vision.depth=2'), ...from);
      expectRefusal(deeper, 1, /step-00000006.*lacks .*visual\.transformer\.resblocks\.1\./);
    });

    it('of another course of training: another seed, another mix', async () => {
      const from = ['--resume', checkpointOf(good(), 6)];
      expectRefusal(await train(...set('run.name=seed', 'train.seed=5'), ...from), 2, /seed 0.*5/);
      const mix = await train(...set('run.name=mix', 'data.captions={alt: 1}'), ...from);
      expectRefusal(mix, 2, /caption mix: was .*0\.5.*, is .*1/);
    });

    it('of a shorter run: it goes on if its schedule is constant, and says why not if it is not', async () => {
      const longer = set('train.steps=6');
      const constant = set('run.name=lengthened', 'train.schedule=constant');
      expect(await train(...constant, ...set('train.steps=4'))).toMatchObject({ code: 0 });
      const lengthened = await train(...constant, ...longer, '--resume', 'auto');
      expect(lengthened.code, lengthened.stderr).toBe(0);
      expect(await readFile(join(runDir('lengthened'), 'config.yaml'), 'utf8')).toContain('steps: 6');
      await train(...set('run.name=long', 'train.schedule=constant'), ...longer);
      expect(await checkpointDigests(runDir('lengthened'), 6)).toEqual(
        await checkpointDigests(runDir('long'), 6),
      );
      const cosine = await train(...set('run.name=good', 'train.steps=8'), '--resume', 'auto');
      expectRefusal(
        cosine,
        2,
        /train\.steps: was 6, is 8/,
        /With train\.schedule: cosine the learning rate depends on/,
      );
    });

    it('of a step or a best one that is not there', async () => {
      const evaluate = (which: string, run = good()): Promise<Finished> =>
        capstan('eval', 'retrieval', '--run', run, '--checkpoint', which);
      expectRefusal(await evaluate('999'), 2, /holds no checkpoint of step 999, only of 2, 4, 6\. Choose/);
      expectRefusal(
        await evaluate('best'),
        2,
        /has no best checkpoint: its configuration sets no checkpoint\.keepBest\./,
      );
      await cp(good(), runDir('unmeasured'), { recursive: true });
      const path = join(runDir('unmeasured'), 'config.yaml');
      const text = await readFile(path, 'utf8');
      const measured = text.replace('retrieval: false', 'retrieval: true');
      await writeFile(path, measured.replace('keepBest: null', 'keepBest: val/retrieval/textToImageR1'));
      expectRefusal(
        await evaluate('best', runDir('unmeasured')),
        2,
        /no best checkpoint up to step 6: no evaluation has measured val\/retrieval\/textToImageR1/,
      );
      await rm(path);
      expectRefusal(await evaluate('6', runDir('unmeasured')), 2, /unmeasured: no run folder/);
    });

    it('that is not there', async () => {
      const result = await train('--resume', join(root, 'nowhere'));
      expectRefusal(result, 2, /--resume .*nowhere: there is no such checkpoint.*auto, none/);
    });

    it('that was cut off: a warning, and the one before it is used, to the same end', async () => {
      const again = await copyOf('cut-off');
      await truncate(join(checkpointOf(runDir('cut-off'), 6), 'optimizer.safetensors'), 1000);
      const result = await train(...again);
      expect(result.code, result.stderr).toBe(0);
      expect(result.stderr).toMatch(
        /step-00000006.optimizer\.safetensors is cut off: expected \d+ bytes, found 1000/,
      );
      expect(result.stderr).toContain('Going on from step-00000004');
      await expectGood('cut-off');
    });

    it('that was changed, when it is asked for by name: to train, to evaluate', async () => {
      await copyOf('changed');
      const changed = checkpointOf(runDir('changed'), 6);
      await flipLastBit(join(changed, 'model.safetensors'));
      const damaged = /step-00000006.model\.safetensors is damaged: its sha256/;
      expectRefusal(await train(...set('run.name=other'), '--resume', changed), 1, damaged);
      const evaluated = await capstan('eval', 'retrieval', '--run', runDir('changed'), '--checkpoint', '6');
      expectRefusal(evaluated, 1, damaged);
    });

    it('when none is whole', async () => {
      const again = await copyOf('all-cut');
      for (const step of [2, 4, 6]) {
        await truncate(join(checkpointOf(runDir('all-cut'), step), 'model.safetensors'), 8);
      }
      expectRefusal(await train(...again), 1, /None of the 3 checkpoints .*all-cut.* is whole/);
      const evaluated = await capstan('eval', 'retrieval', '--run', runDir('all-cut'));
      expectRefusal(evaluated, 1, /None of the 3 checkpoints/);
      expect(await loggedRows(runDir('all-cut'))).toEqual(await loggedRows(good()));
    });

    it('whose state was edited: one line with the file, the field and what to do', async () => {
      const again = await copyOf('edited');
      const path = join(checkpointOf(runDir('edited'), 6), 'state.json');
      const state = JSON.parse(await readFile(path, 'utf8')) as { model: object };
      await writeFile(path, JSON.stringify({ ...state, step: 'six', seed: null }));
      const result = await train(...again);
      expect(result.code, result.stderr).toBe(0);
      expect(result.stderr).toMatch(
        /step-00000006.state\.json is damaged: step: expected number, received string\. Put .* Trying the checkpoint before/,
      );
      await expectGood('edited');
      await writeFile(path, JSON.stringify({ ...state, model: { ...state.model, config: {} } }));
      const evaluated = await capstan('eval', 'retrieval', '--run', runDir('edited'));
      expectRefusal(evaluated, 1, /step-00000006.state\.json is damaged: model\.config: /);
    });

    it('of a finished run whose configuration and logs are gone, which it says', async () => {
      const again = await copyOf('bare-run');
      for (const name of ['config.yaml', 'metrics.jsonl']) await rm(join(runDir('bare-run'), name));
      const result = await train(...again);
      expect(result.code, result.stderr).toBe(0);
      expect(result.stderr).toMatch(/Warning: .*bare-run.config\.yaml is gone.*--resume .*step-00000006/);
      expect(result.stderr).toMatch(
        /Warning: metrics\.jsonl is gone from .*bare-run: .*up to step 6 is lost/,
      );
      expect(result.stderr).not.toContain('eval.jsonl');
      const quiet = await train(...again);
      expect(quiet.stderr).not.toContain('Warning');
    });

    it('beside damaged metrics', async () => {
      const again = await copyOf('metrics');
      await writeFile(join(runDir('metrics'), 'metrics.jsonl'), 'no row\n{"step":2}\n');
      expectRefusal(await train(...again), 1, /metrics\.jsonl, line 1: expected a row with a step/);
    });
  });

  describe('whose numbers go wrong', () => {
    it('stops with the step, the parameters and the batch, and keeps the last good checkpoint', async () => {
      const result = await train(...set('run.name=nan', 'train.lr=1e30', 'checkpoint.every=1'));
      expectRefusal(
        result,
        1,
        /Step 2: the loss is (NaN|-?Infinity) and the gradient norm/,
        /Not finite after it: visual\.\S+, /,
        /Batch: \S+\/\S+, .*All 8 samples, with their captions, are in \S+nan.nan-step-2\.json\./,
        /last good checkpoint is .*nan.checkpoints.step-00000001, which is kept/,
        /Lower train\.lr/,
      );
      expect(await readdir(join(runDir('nan'), 'checkpoints'))).toEqual(['step-00000001']);
      expect((await loggedRows(runDir('nan'))).map(({ step }) => step)).toEqual([1]);
      const { samples } = JSON.parse(await readFile(join(runDir('nan'), 'nan-step-2.json'), 'utf8')) as {
        samples: { key: string; kind: string; caption: string }[];
      };
      expect(samples).toHaveLength(8);
      for (const { kind, caption } of samples) expect(`${kind} ${caption}`).toMatch(/^(alt|ssc) ./);
    });

    it('saves no parameter that is not finite, whatever the loss before it was', async () => {
      // Over the largest float32, so that the first step already writes infinities.
      const result = await train(...set('run.name=infinite', 'train.lr=1e39', 'checkpoint.every=1'));
      expectRefusal(result, 1, /Step 1: the loss is \d\.\d+ .*Not finite after it: visual\./);
      expect(existsSync(join(runDir('infinite'), 'checkpoints'))).toBe(false);
    });
  });

  describe('whose disk', () => {
    it('cannot be written', async () => {
      const result = await train(...set(`run.dir=${config}`));
      expectRefusal(result, 1, /Cannot write into the run's folder .*tiny\.yaml.tiny: .*run\.dir/);
    });

    it('fills up while a checkpoint is written: the one before stays, and the run goes on from it', async () => {
      const again = await copyOf('full');
      await rm(checkpointOf(runDir('full'), 6), { recursive: true });
      const before = await checkpointDigests(runDir('full'), 4);
      // The model has 3 MB, the optimizer 6 MB.
      const result = await capstanWithin(4000, 'train', config, ...again);
      expectRefusal(result, 1, /Cannot write .*step-00000006.*optimizer\.safetensors: .*make room/);
      const kept = ['step-00000002', 'step-00000004'];
      expect((await readdir(join(runDir('full'), 'checkpoints'))).sort()).toEqual(kept);
      expect(await checkpointDigests(runDir('full'), 4)).toEqual(before);
      const resumed = await train(...again);
      expect(resumed.code, resumed.stderr).toBe(0);
      await expectGood('full');
    });

    it('fills up while metrics are logged: the rows before stay, and the run can be had again', async () => {
      const args = [...set('run.name=log', 'train.steps=6', 'checkpoint.every=100'), '--resume', 'auto'];
      const result = await capstanWithin(2, 'train', config, ...args);
      expectRefusal(result, 1, /Cannot write .*runs.log.(metrics\.jsonl|events\.out\.\S+): .*make room/);
      const lines = (await readFile(join(runDir('log'), 'metrics.jsonl'), 'utf8')).split('\n');
      expect(JSON.parse(lines[0] as string)).toMatchObject({ step: 1 });
      const resumed = await train(...args);
      expect(resumed.code, resumed.stderr).toBe(0);
      await expectGood('log');
    });
  });
});
