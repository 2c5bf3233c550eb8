/** What evaluations make of their data: checked before a run begins, broken images, equal keys, results by name. */
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSource } from '../../src/data/datasets/open.js';
import type { Column, Row } from '../../src/data/schema.js';
import { writeArrow } from '../../src/data/sources/writers.js';
import { buildData, capstan, type Finished, loggedRows, set, writeTinyConfig } from '../support/cli.js';

const TYPES: Readonly<Record<string, Column['type']>> = { image: 'binary', captions: 'list<string>' };
const COLUMNS = ['key', 'image', 'alt', 'ssc', 'label', 'style', 'captions'];

let root = '';
let config = '';
let trainRows: Row[] = [];
let valRows: Row[] = [];
const runDir = (name: string): string => join(root, 'runs', name);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'capstan-eval-data-'));
  await buildData(join(root, 'data'));
  config = await writeTinyConfig(join(root, 'tiny.yaml'), {
    data: join(root, 'data'),
    runs: join(root, 'runs'),
  });
  const read = async (split: string): Promise<Row[]> => {
    const source = await openSource(join(root, 'data'), { split });
    const rows = await source.readRows([...Array(16).keys()], COLUMNS);
    await source.close();
    return rows;
  };
  [trainRows, valRows] = [await read('train'), await read('test')];
  await dataSet('whole', valRows);
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A data set with these rows to evaluate on, in the directory of that name. */
async function dataSet(
  name: string,
  val: readonly Row[],
  columns: readonly string[] = COLUMNS,
): Promise<void> {
  const typed = columns.map((column): Column => ({ name: column, type: TYPES[column] ?? 'string' }));
  await mkdir(join(root, name));
  await writeArrow(join(root, name, 'train-00000.arrow'), typed, trainRows, 16);
  await writeArrow(join(root, name, 'val-00000.arrow'), typed, val, 16);
}

/** A file whose beginning is whole: only decoding can tell. */
function cut(row: Row): Row {
  const image = row.image as Uint8Array;
  return { ...row, image: image.subarray(0, Math.floor(image.length / 2)) };
}

const train = (data: string, ...args: string[]): Promise<Finished> =>
  capstan('train', config, ...set(`data.path=${join(root, data)}`, ...args));

function expectRefusal({ code, stderr }: Finished, expectedCode: number, expected: RegExp): void {
  expect(stderr).toMatch(expected);
  expect(stderr).not.toContain('bug in capstan');
  expect(code, stderr).toBe(expectedCode);
}

describe('what the configured evaluations need', () => {
  it.each([
    [
      'a split that is not there',
      ['eval.split=vla', 'eval.retrieval=true'],
      2,
      /eval\.split is 'vla', but: .*no split 'vla'|eval\.split is 'vla', but: .*files are named for train, val/,
    ],
    [
      'a column that is not there',
      ['eval.zeroShot=[{classes: lable, templates: emoji}]'],
      2,
      /eval\.zeroShot\[0\]\.classes is 'lable', but: .*no text column 'lable' .*it has key, .*label/,
    ],
    [
      'a list without a class that images have',
      ['eval.zeroShot=[{classes: [cat, dog], templates: emoji}]'],
      2,
      /eval\.zeroShot\[0\]\.classes is a list, but: its 2 classes lack '.+' and \d+ more, found in the column 'label'.*of image .*add/,
    ],
    [
      'a class that is listed twice',
      ['eval.zeroShot=[{classes: [cat, cat], templates: emoji}]'],
      2,
      /eval\.zeroShot\[0\]\.classes is a list, but: 'cat' is in it twice/,
    ],
    [
      'templates that are no file',
      ['eval.zeroShot=[{classes: label, templates: none.txt}]'],
      2,
      /eval\.zeroShot\[0\]\.templates is 'none\.txt', but: .*expected 'emoji', 'openai' or a readable text file/,
    ],
    [
      'figures with one name',
      ['eval.zeroShot=[{classes: label, templates: emoji}, {classes: label, templates: openai}]'],
      2,
      /eval\.zeroShot\[1\]\.classes and eval\.zeroShot\[0\]\.classes would both be logged as 'zeroShot\/label'/,
    ],
  ] as const)('is checked before the run begins, and by a dry run: %s', async (_, sets, code, expected) => {
    const named = set('run.name=refused');
    expectRefusal(await train('whole', ...sets), code, expected);
    const dry = await capstan(
      'train',
      config,
      ...set(`data.path=${join(root, 'whole')}`, ...sets),
      ...named,
      '--dry-run',
    );
    expectRefusal(dry, code, expected);
    expect(existsSync(join(root, 'runs'))).toBe(false);
  });

  it('is checked for retrieval, too, and said when it is there', async () => {
    await dataSet(
      'no-captions',
      valRows,
      COLUMNS.filter((column) => column !== 'captions'),
    );
    expectRefusal(
      await train('no-captions', 'eval.retrieval=true'),
      2,
      /eval\.retrieval is true, but: No image .*has a caption to retrieve: .*column 'captions'/,
    );
    const asked = ['eval.retrieval=true', 'eval.zeroShot=[{classes: label, templates: emoji}]'];
    const dry = await capstan(
      'train',
      config,
      ...set(`data.path=${join(root, 'whole')}`, ...asked),
      '--dry-run',
    );
    expect(dry.stdout).toMatch(
      /^eval on val +16 images, zero-shot by label \(16 classes\), retrieval \(80 captions\)$/m,
    );
  });

  it('is a key of its own for each row', async () => {
    const twins = valRows.map((row, at) => (at === 9 ? { ...row, key: valRows[2]?.key ?? null } : row));
    await dataSet('twins', twins);
    expectRefusal(
      await train('twins', 'eval.retrieval=true'),
      1,
      new RegExp(`must have a key of its own, but rows 2 and 9 have '${valRows[2]?.key}'.*different`),
    );
  });

  it('takes the truth of a list from the column label', async () => {
    const classes = JSON.stringify([...new Set(valRows.map(({ label }) => label)), 'unicorn']);
    const sets = [
      `eval.zeroShot=[{classes: ${classes}, templates: emoji}]`,
      'run.name=listed',
      'train.steps=1',
    ];
    const { code, stderr } = await train('whole', ...sets);
    expect(code, stderr).toBe(0);
    const [row] = await loggedRows(runDir('listed'), 'eval.jsonl');
    expect(row?.['val/zeroShot/classes/chanceTop1']).toBeCloseTo(1 / 17, 12);
  });
});

describe('training data', () => {
  it('whose keys repeat: said once, with a count at the end', async () => {
    const kept = trainRows;
    trainRows = kept.map((row, at) => (at < 3 ? { ...row, key: 'same' } : row));
    await dataSet('same-keys', valRows);
    trainRows = kept;
    const { code, stderr } = await train('same-keys', 'run.name=same-keys', 'train.steps=2');
    expect(code, stderr).toBe(0);
    expect(stderr.match(/Warning: more than one sample of .*same-keys has the key 'same'/g)).toHaveLength(1);
    expect(stderr).toContain('2 samples of an epoch had the key of another one.');
  });
});

describe('broken images', () => {
  beforeAll(async () => {
    const spoilt = valRows.map((row, at) => (at === 3 || at === 11 ? cut(row) : row));
    await dataSet('spoilt', spoilt);
  });
  const keys = (): string[] => [3, 11].map((at) => valRows[at]?.key as string);
  const both = ['eval.retrieval=true', 'eval.zeroShot=[{classes: label, templates: emoji}]', 'train.steps=1'];

  it('are counted, named and left out in the loop, up to the limit', async () => {
    const passed = await train('spoilt', ...both, 'run.name=spoilt', 'data.maxSkipRatio=0.125');
    expect(passed.code, passed.stderr).toBe(0);
    for (const key of keys()) {
      expect(passed.stderr.split(`Skipped ${key} of split 'val' of `), passed.stderr).toHaveLength(2);
    }
    const [row] = await loggedRows(runDir('spoilt'), 'eval.jsonl');
    expect(row).toMatchObject({ 'val/zeroShot/label/skipped': 2, 'val/retrieval/skipped': 2 });
    // The classes stay those of the split; a gallery has the images that are left.
    expect(row?.['val/zeroShot/label/chanceTop1']).toBeCloseTo(1 / 16, 12);
    expect(row?.['val/retrieval/chanceTextToImageR1']).toBeCloseTo(1 / 14, 12);
    expect(passed.stdout).toContain('val/retrieval/skipped  2\n');

    const strict = await train('spoilt', ...both, 'run.name=strict', 'data.maxSkipRatio=0.0625');
    expectRefusal(
      strict,
      1,
      new RegExp(
        `Broken images in split 'val' of .*: 2, more than the 1 of 16 .*${keys()[0]} .*${keys()[1]} `,
      ),
    );
  });

  it.each([['zero-shot'], ['retrieval']])('are so in capstan eval %s, too', async (task) => {
    const json = join(root, `${task}.json`);
    const args = ['eval', task, '--run', runDir('spoilt'), '--split', 'val', '--json', json];
    const { code, stdout, stderr } = await capstan(...args);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain(`2 broken images are left out of all scores: ${keys().join(', ')}.`);
    expect(stdout).toMatch(/14 images/);
    const result = JSON.parse(await readFile(json, 'utf8')) as Record<string, unknown>;
    expect(result).toMatchObject({ numSkipped: 2, skipped: keys().map((key) => ({ key })) });
    const page = await readFile(/\S+\.html/.exec(stdout)?.[0] as string, 'utf8');
    expect(page).toMatch(/14 images( \(2 broken left out\)|, 2 of the split broken)/);
    expectRefusal(await capstan(...args, '--max-skip-ratio', '0.1'), 1, /: 2, more than the 1 of 16/);
  });
});

describe('results', () => {
  const evaluate = (...args: string[]): Promise<Finished> =>
    capstan('eval', 'zero-shot', '--run', runDir('named'), '--split', 'val', ...args);
  const results = async (): Promise<string[]> =>
    (await readdir(join(runDir('named'), 'eval'))).filter((name) => name.endsWith('.json')).sort();

  beforeAll(async () => {
    const { code, stderr } = await train('whole', 'run.name=named');
    expect(code, stderr).toBe(0);
  });

  it('of other data, another checkpoint or other templates lie beside the run’s own', async () => {
    await writeFile(join(root, 'mine.txt'), 'a {}\n');
    await dataSet('fewer', valRows.slice(0, 12));
    for (const args of [
      [],
      ['--data', join(root, 'fewer')],
      ['--checkpoint', '2'],
      ['--checkpoint', '3', '--data', `${root}/./whole`],
      ['--templates', join(root, 'mine.txt')],
    ]) {
      const { code, stderr } = await evaluate(...args);
      expect(code, stderr).toBe(0);
    }
    const own = 'zero-shot-label-val';
    expect(await results()).toEqual([
      expect.stringMatching(new RegExp(`^${own}-mine-[0-9a-f]{8}\\.json$`)) as string,
      expect.stringMatching(new RegExp(`^${own}-on-fewer-[0-9a-f]{8}\\.json$`)) as string,
      `${own}-step-00000002.json`,
      `${own}.json`,
    ]);
    const jsons = await Promise.all(
      (await results()).map(
        async (name) =>
          JSON.parse(await readFile(join(runDir('named'), 'eval', name), 'utf8')) as Record<string, unknown>,
      ),
    );
    expect(jsons.map(({ step }) => step)).toEqual([3, 3, 2, 3]);
    expect(jsons[1]?.data).toBe(join(root, 'fewer'));
    expect(jsons[2]?.checkpoint).toMatch(/step-00000002$/);
    expect(jsons[3]?.data).toBe(join(root, 'whole'));
    expect(jsons[1]?.dataFingerprint).not.toBe(jsons[3]?.dataFingerprint);

    const report = join(root, 'report.html');
    expect(await capstan('report', runDir('named'), '--out', report)).toMatchObject({ code: 0 });
    const html = await readFile(report, 'utf8');
    const tiles = html.slice(html.indexOf('class="tiles"'), html.indexOf('<h2>'));
    // Its own, and that with other templates.
    expect(tiles.match(/zero-shot top-1 by label/g)).toHaveLength(2);
    expect(tiles.match(/16 classes/g)).toHaveLength(2);
    expect(html).toContain(`val of ${join(root, 'fewer')}, 12 classes`);
    expect(html).toContain('16 images, step 2');
  });

  it('of an earlier step are not replaced without a word', async () => {
    const copy = runDir('going-on');
    await cp(runDir('named'), copy, { recursive: true });
    await rm(join(copy, 'checkpoints', 'step-00000003'), { recursive: true });
    const { code, stdout, stderr } = await capstan('eval', 'zero-shot', '--run', copy, '--split', 'val');
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/zero-shot-label-val\.json held a result of step 3, which is replaced/);
  });

  it('that --json has no place for are refused before anything is computed', async () => {
    const before = await results();
    const started = await evaluate('--classes', 'style', '--json', join(root, 'absent', 'a.json'));
    expectRefusal(started, 1, /ENOENT.*absent.a\.json.*Make the directory/);
    expectRefusal(await evaluate('--json', root), 1, /EISDIR.*choose another place/);
    expect(started.stdout).toBe('');
    expect(await results()).toEqual(before);
    const json = join(root, 'not-yet.json');
    expectRefusal(await evaluate('--classes', 'colour', '--json', json), 2, /no text column 'colour'/);
    expect(existsSync(json)).toBe(false);
  });
});
