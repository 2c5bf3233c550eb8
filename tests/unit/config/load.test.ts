import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dumpConfig, loadConfig } from '../../../src/config/load.js';
import { dataSources } from '../../../src/config/schema.js';
import { ConfigError } from '../../../src/errors.js';
import { resolveClipConfig } from '../../../src/train/tasks/clip-config.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'capstan-config-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function write(name: string, text: string): string {
  const path = join(dir, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const minimal = `task: clip
data: { path: data/emoji, captions: { alt: 0.5, ssc: 0.5 } }
train: { batchSize: 8, steps: 10 }
run: { name: small }
`;

/** The lines of the error, with the folder taken out. */
async function problems(path: string, sets: string[] = []): Promise<string[]> {
  const error = await loadConfig(path, sets).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConfigError);
  return (error as Error).message.replaceAll(`${dir}/`, '').split('\n');
}

describe('loadConfig', () => {
  it('applies every default', async () => {
    expect(await loadConfig(write('a.yaml', minimal))).toEqual({
      task: 'clip',
      model: { preset: 'emoji-tiny' },
      data: {
        path: 'data/emoji',
        split: 'train',
        format: 'auto',
        schema: 'auto',
        images: null,
        captions: { alt: 0.5, ssc: 0.5 },
        cropScale: [0.9, 1],
        flip: 0,
        exif: false,
        scaledDecode: false,
        workers: 'auto',
        prefetch: 4,
        cacheMiB: 0,
        storage: {
          cacheDir: null,
          cacheMiB: 10_240,
          unpackedMiB: 102_400,
          readAheadMiB: 8,
          tries: 6,
          retryDelaySeconds: 0.5,
          timeoutSeconds: 30,
          s3: { endpoint: null, region: null, pathStyle: null, anonymous: false },
        },
        maxSkipRatio: 0.01,
        mixing: 'sample',
        missing: 'renormalise',
        captionDropout: 0,
        shuffleBuffer: 'auto',
      },
      train: {
        batchSize: 8,
        steps: 10,
        lr: 5e-4,
        warmupSteps: 0,
        weightDecay: 0.2,
        beta1: 0.9,
        beta2: 0.98,
        eps: 1e-6,
        schedule: 'cosine',
        gradClipNorm: null,
        precision: 'fp32',
        remat: false,
        seed: 0,
        logEvery: 1,
      },
      checkpoint: { every: 1000, keepLast: 3, keepBest: null },
      eval: { every: null, split: 'val', batchSize: 64, zeroShot: [], retrieval: false },
      engine: { device: 'auto', threads: 'auto', libtensorflow: null },
      run: { dir: 'runs', name: 'small' },
    });
  });

  it('lays a file over what it extends, which is relative to it, and overrides over both', async () => {
    write('base.yaml', minimal);
    write('sub/lr.yaml', 'train: { lr: 0.1, beta1: 0.5 }\n');
    const path = write(
      'sub/c.yaml',
      'extends: [../base.yaml, lr.yaml]\ntrain: { beta1: 0.6 }\ndata: { captions: { dsc+: 1 } }\n',
    );
    const config = await loadConfig(path, ['train.steps=20', 'run.name=other', 'model.vision={depth: 2}']);
    expect(config.train).toMatchObject({ batchSize: 8, steps: 20, lr: 0.1, beta1: 0.6 });
    expect(config.data).toMatchObject({ path: 'data/emoji', captions: { 'dsc+': 1 } });
    expect(config.run.name).toBe('other');
    expect(config.model).toEqual({ preset: 'emoji-tiny', vision: { depth: 2 } });
  });

  it('reads the value of an override as YAML', async () => {
    const path = write('a.yaml', minimal);
    const config = await loadConfig(path, [
      'train.lr=1e-3',
      'data.captions={alt: 0.3, afc: 0.7}',
      'checkpoint.keepBest=null',
      'eval.zeroShot=[{classes: [cat, dog], templates: emoji}]',
    ]);
    expect(config.train.lr).toBe(1e-3);
    expect(config.data.captions).toEqual({ alt: 0.3, afc: 0.7 });
    expect(config.checkpoint.keepBest).toBeNull();
    expect(config.eval.zeroShot).toEqual([{ classes: ['cat', 'dog'], templates: 'emoji' }]);
  });

  it('replaces the length of the run by another measure only if the first is taken out', async () => {
    const path = write('a.yaml', minimal);
    expect(await problems(path, ['train.epochs=2'])).toEqual([
      'a.yaml: a problem in the configuration.',
      expect.stringMatching(
        /^ {2}a\.yaml:3: train is .*; it must give exactly one of steps, epochs and samplesSeen$/,
      ),
    ]);
  });

  it('names every problem with file, line, path, value, rule and nearest key', async () => {
    write('base.yaml', minimal.replace('batchSize: 8', 'batchSize: 1.5'));
    const path = write(
      'b.yaml',
      `extends: base.yaml
modle:
  preset: x
data:
  captions:
    alt: 0.5
    sssc: 0.5
  workers: many
train:
  lr: fast
  bta1: 0.5
eval:
  zeroShot:
    - { classes: label, templates: emoji }
    - classes: 3
`,
    );
    expect((await problems(path, ['engine.device=cudda', 'train.seed=-1'])).sort()).toEqual(
      [
        'b.yaml: 10 problems in the configuration.',
        `  b.yaml:2: modle is not a known key (its value: {"preset":"x"}); did you mean 'model'?`,
        `  b.yaml:7: data.captions.sssc is not a known key (its value: 0.5); did you mean 'ssc'?`,
        '  b.yaml:8: data.workers is "many"; it must be a number or "auto"',
        '  base.yaml:3: train.batchSize is 1.5; it must be a whole number',
        '  b.yaml:10: train.lr is "fast"; it must be a number',
        `  b.yaml:11: train.bta1 is not a known key (its value: 0.5); did you mean 'beta1'?`,
        '  b.yaml:15: eval.zeroShot[1].classes is 3; it must be the name of a column or a list of two class names or more',
        "  b.yaml:15: eval.zeroShot[1].templates is missing: prompt templates: 'emoji', 'openai', or a file with one per line",
        `  --set: engine.device is "cudda"; it must be "auto" or "cpu" or "cuda"; did you mean 'cuda'?`,
        '  --set: train.seed is -1; it must be at least 0',
      ].sort(),
    );
  });

  it('names required keys that are missing with their meaning', async () => {
    expect(await problems(write('a.yaml', 'task: clip\ntrain: {}\n'))).toEqual([
      'a.yaml: 4 problems in the configuration.',
      '  a.yaml: data is missing: what it is trained on',
      '  a.yaml:2: train.batchSize is missing: pairs per step; each is a negative of all others',
      '  a.yaml:2: train is {}; it must give exactly one of steps, epochs and samplesSeen',
      '  a.yaml: run is missing: where the results go',
    ]);
  });

  it('refuses a mix that does not add up to 1, and shares out of bounds', async () => {
    const path = write('a.yaml', minimal);
    expect(await problems(path, ['data.captions={alt: 0.5, ssc: 0.4}'])).toContain(
      '  --set: data.captions is {"alt":0.5,"ssc":0.4}; it must add up to 1, and adds up to 0.9',
    );
    expect(await problems(path, ['data.captions={alt: 1.5, ssc: -0.5}'])).toEqual(
      expect.arrayContaining([
        '  --set: data.captions.alt is 1.5; it must be at most 1',
        '  --set: data.captions.ssc is -0.5; it must be at least 0',
      ]),
    );
    expect((await loadConfig(path, ['data.captions={alt: 0.1, ssc: 0.2, dsc: 0.7}'])).data.captions.dsc).toBe(
      0.7,
    );
  });

  it('takes one data set or several, which are weighted all or not at all', async () => {
    const path = write('a.yaml', minimal);
    const read = { format: 'auto', schema: 'auto', images: null };
    const sets = ['data.path=null', 'data.sources=[{path: a}, {path: b, split: val, captions: {dsc: 1}}]'];
    expect(dataSources((await loadConfig(path, sets)).data)).toEqual([
      { path: 'a', split: 'train', ...read },
      { path: 'b', split: 'val', ...read, captions: { dsc: 1 } },
    ]);
    expect(dataSources((await loadConfig(path)).data)).toEqual([
      { path: 'data/emoji', split: 'train', ...read },
    ]);
    const both = await problems(path, ['data.sources=[{path: a}]']);
    expect(both).toContain(
      '  a.yaml:2: data.path is "data/emoji"; it must be given, or data.sources, and not both',
    );
    expect(await problems(path, ['data.path=null'])).toContain(
      '  --set: data.path is null; it must be given, or data.sources, and not both',
    );
    expect(
      await problems(path, ['data.path=null', 'data.sources=[{path: a, weight: 1}, {path: b}]']),
    ).toContain(
      '  --set: data.sources is [{"path":"a","weight":1},{"path":"b"}]; it must have a weight each, or none of them',
    );
  });

  it.each([
    ['mixing=each', /data\.mixing is "each"; it must be "sample" or "batch" or "fixed"/],
    ['missing=[alt, alt]', /data\.missing is \["alt","alt"\]; it must name no kind twice$/],
    ['concat={order: [ssc, ssc]}', /data\.concat\.order is \["ssc","ssc"\]; it must name no kind twice$/],
    ['captionDropout=1.5', /data\.captionDropout is 1\.5; it must be at most 1$/],
    ['shuffleBuffer=0', /data\.shuffleBuffer is 0; it must/],
    [
      'mixSchedule={points: [{step: 5, captions: {alt: 1}}, {step: 5, captions: {ssc: 1}}]}',
      /data\.mixSchedule\.points is .*; it must rise in their steps$/,
    ],
    [
      'mixSchedule={points: [{step: 5, captions: {alt: 0.5}}]}',
      /data\.mixSchedule\.points\[0\]\.captions is .*; it must add up to 1, and adds up to 0\.5$/,
    ],
  ])('refuses data.%s', async (value, problem) => {
    const found = await problems(write('a.yaml', minimal), [`data.${value}`]);
    expect(found).toContainEqual(expect.stringMatching(problem));
  });

  it('refuses what data.concat would ignore, unless it is the default', async () => {
    const path = write('a.yaml', minimal);
    const concat = 'data.concat={order: [ssc, alt]}';
    expect(await problems(path, [concat, 'data.mixing=batch', 'data.missing=[dsc]'])).toEqual([
      expect.stringMatching(/2 problems/),
      expect.stringMatching(/data\.mixing is "batch"; it must be 'sample' where data\.concat is given/),
      expect.stringMatching(
        /data\.missing is \["dsc"\]; it must be 'renormalise' where data\.concat is given/,
      ),
    ]);
    const config = await loadConfig(path, [concat, 'data.mixing=sample', 'data.missing=renormalise']);
    expect(config.data.concat?.order).toEqual(['ssc', 'alt']);
    expect((await problems(path, [concat, 'data.mixing=each'])).slice(1)).toHaveLength(1);
  });

  it('takes a schema by name and a map of columns onto those that are known', async () => {
    const path = write('a.yaml', minimal);
    const columns = '{key: id, alt: "turns[1].value", ssc: [a, b], dsc: null}';
    expect((await loadConfig(path, ['data.schema=coyo-hd', `data.columns=${columns}`])).data).toMatchObject({
      schema: 'coyo-hd',
      columns: { key: 'id', alt: 'turns[1].value', ssc: ['a', 'b'], dsc: null },
    });
    expect((await problems(path, ['data.schema=coyo-hq']))[1]).toMatch(
      / or "custom"; did you mean 'coyo-hd'\?/,
    );
    expect(await problems(path, ['data.columns={caption: a}'])).toContain(
      '  --set: data.columns.caption is not a known key (its value: "a"); did you mean \'captions\'?',
    );
    expect(await problems(path, ['data.columns={alt: 3}'])).toContain(
      '  --set: data.columns.alt is 3; it must be a column, a list of columns, or null for none',
    );
  });

  it.each([
    ['[1, 0.5]', '  --set: data.cropScale is [1,0.5]; it must rise: the least share comes first'],
    ['[0, 1]', '  --set: data.cropScale[0] is 0; it must be over 0'],
    ['[0.5]', '  --set: data.cropScale is [0.5]; it must be a list whose length is at least 2'],
    ['0.5', '  --set: data.cropScale is 0.5; it must be a list'],
  ])('refuses %s as the share of a crop', async (value, problem) => {
    expect(await problems(write('a.yaml', minimal), [`data.cropScale=${value}`])).toContain(problem);
  });

  it.each(['train=', 'train= ', 'train=# nothing', 'run.name='])(
    'says of --set %s that it has no value',
    async (set) => {
      expect(await problems(write('a.yaml', minimal), [set])).toEqual([
        `--set ${set}: there is no value after the '='. Write path=value, such as train.lr=1e-3; an empty text is ''.`,
      ]);
    },
  );

  it('refuses a best checkpoint by a figure that nothing computes', async () => {
    const path = write('a.yaml', minimal);
    expect(await problems(path, ['checkpoint.keepBest=val/retrieval/meanRecall'])).toContain(
      '  --set: checkpoint.keepBest is "val/retrieval/meanRecall"; it must be computed by an evaluation: set eval.zeroShot or eval.retrieval',
    );
    const config = await loadConfig(path, ['checkpoint.keepBest=x', 'eval.retrieval=true']);
    expect(config.checkpoint.keepBest).toBe('x');
  });

  it('says which file is missing, is not YAML, or extends itself', async () => {
    expect(await problems(join(dir, 'none.yaml'))).toEqual(['none.yaml: there is no such configuration.']);
    expect(await problems(write('a.yaml', 'extends: gone.yaml\n'))).toEqual([
      'gone.yaml: there is no such configuration, which a.yaml extends.',
    ]);
    expect((await problems(write('b.yaml', 'a: [1, 2\nb: 3\n')))[0]).toMatch(/^b\.yaml: not YAML: .*line 2/);
    expect(await problems(write('c.yaml', '- 1\n'))).toEqual([
      'c.yaml: expected a map of keys to values, found something else.',
    ]);
    expect(await problems(write('d.yaml', ''))).toEqual([
      'd.yaml: expected a map of keys to values, found nothing.',
    ]);
    write('e.yaml', 'extends: f.yaml\n');
    expect(await problems(write('f.yaml', 'extends: e.yaml\n'))).toEqual([
      'Configurations extend each other in a circle: f.yaml → e.yaml → f.yaml.',
    ]);
    expect(await problems(write('g.yaml', 'task: clip\nextends: 3\n'))).toEqual([
      'g.yaml:2: extends must be the path of a configuration, or a list of them, found 3.',
    ]);
  });

  it('says what is wrong with an override', async () => {
    const path = write('a.yaml', minimal);
    expect(await problems(path, ['train.lr'])).toEqual([
      '--set train.lr: expected path=value, such as train.lr=1e-3.',
    ]);
    expect(await problems(path, ['=3'])).toEqual(['--set =3: expected path=value, such as train.lr=1e-3.']);
    expect((await problems(path, ['a=[1']))[0]).toMatch(/^--set a=\[1: the value is not YAML/);
    expect(await problems(path, ['__proto__.x=1'])).toContainEqual(
      expect.stringMatching(/^ {2}--set: __proto__ is not a known key/),
    );
  });
});

describe('dumpConfig', () => {
  it('writes what reads back to the same', async () => {
    const config = await loadConfig(write('a.yaml', minimal), [
      'train.lr=1e-7',
      'run.name="007"',
      'eval.zeroShot=[{classes: label, templates: "no: yes"}]',
    ]);
    expect(config.run.name).toBe('007');
    expect(await loadConfig(write('b.yaml', dumpConfig(config)))).toEqual(config);
  });
});

describe('configs/', () => {
  const files = readdirSync('configs', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

  it('holds the quickstart', () => expect(files).toContain('configs/quickstart.yaml'));

  it.each(files)('%s is valid, and so is its model', async (path) => {
    const config = await loadConfig(path);
    expect(resolveClipConfig(config.model).embedDim).toBeGreaterThan(0);
    expect(path).toContain(config.run.name);
  });
});
