import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError, DataError } from '../../../src/errors.js';
import { distinctNames, renderReport, writeReport } from '../../../src/report/report.js';
import { readRun } from '../../../src/report/run-files.js';
import { writeExampleRun } from './example-run.js';

let root: string;
let dir: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'capstan-report-'));
  dir = join(root, 'first');
  await writeExampleRun(dir, 0);
});
afterAll(() => rm(root, { recursive: true }));

describe('writeReport', () => {
  it('writes one page that holds curves, scores, chance levels, pictures and the configuration', async () => {
    const out = join(root, 'report.html');
    await writeReport([dir], out, { title: 'A <run>', intro: 'Three & more' });
    const html = await readFile(out, 'utf8');
    expect(html).toContain('<title>A &lt;run&gt;</title>');
    expect(html).toContain('Three &amp; more');
    for (const title of [
      'Contrastive loss',
      'Learning rate',
      'Throughput',
      'Caption mix so far',
      'zeroShot/top1',
    ]) {
      expect(html).toContain(`<h3>${title}`);
    }
    expect(html).toContain('stroke-dasharray="5,4"'); // the configured mix and chance
    expect(html).toContain('12.5 %'); // top-1 of the example
    expect(html).toContain('250 ×'); // over chance 1 / 2000
    expect(html).toContain('10.1 % – 15.2 %');
    expect(html).toContain('nerd &lt;face&gt;');
    expect(html).toContain('data:image/png;base64,');
    expect(html).toContain('class="right"');
    expect(html).toContain('captions: { alt: 0.5, ssc: 0.5 }');
    // Nothing that the page would have to fetch.
    expect(html).not.toMatch(/(src|href)="(?!data:|#)/);
    expect(html).not.toMatch(/<script/);
    expect(html).not.toMatch(/NaN|undefined/);
    expect((await readdir(root)).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('draws several runs in the same charts, one line each', async () => {
    const second = join(root, 'second');
    await writeExampleRun(second, 1);
    const html = await renderReport([await readRun(dir), await readRun(second)]);
    expect(html.match(/<h3>Contrastive loss/g)).toHaveLength(1);
    expect(html).toContain('var(--series-1)');
    expect(html).toContain('<summary>second</summary>');
    // A chart per kind and per time: a colour is a run in each.
    for (const title of ['Share of alt captions so far', 'Share of ssc captions so far', 'Wait for data']) {
      expect(html).toContain(`<h3>${title}`);
    }
    const charts = html.split('<section class="card"><h3>').filter((part) => part.includes('</svg>'));
    for (const chart of charts) expect(chart).toMatch(/>first<.*>second</s);
  });

  it('shows tables that the caller adds', async () => {
    const tables = [{ title: 'Spread', note: 'of 3', columns: ['score', 'mean'], rows: [['top-1', '12 %']] }];
    const html = await renderReport([await readRun(dir)], { tables });
    expect(html).toContain('<h2>Spread</h2>');
    expect(html).toContain('<td class="number">12 %</td>');
  });

  it('tells runs of the same name apart by the folders above', () => {
    expect(distinctNames(['a/seed-0', 'b/seed-0/', 'c'])).toEqual(['a/seed-0', 'b/seed-0', 'c']);
    expect(distinctNames(['x/y/z', 'w/y/z', 'y'])).toEqual(['x/y/z', 'w/y/z', 'y']);
  });

  it('needs a run', async () => {
    await expect(renderReport([])).rejects.toThrow(ConfigError);
  });
});

describe('readRun', () => {
  it('leaves out a last line that a crash cut off', async () => {
    const cut = join(root, 'cut');
    await writeExampleRun(cut, 2, { metricsTail: '{"step": 401, "lo' });
    expect((await readRun(cut)).metrics).toHaveLength(400);
  });

  it('names the file, line and field of a bad row', async () => {
    const bad = join(root, 'bad');
    await writeExampleRun(bad, 3, { metricsTail: '{"step": 401, "loss": "x"}\n' });
    await expect(readRun(bad)).rejects.toThrow(DataError);
    await expect(readRun(bad)).rejects.toThrow(/metrics\.jsonl, line 401: loss/);
    const torn = join(root, 'torn');
    await writeExampleRun(torn, 3, { metricsTail: '{"step": 401,\n{"step": 402, "loss": 1}\n' });
    await expect(readRun(torn)).rejects.toThrow(/line 401: not JSON/);
  });

  it('says when a folder is no run folder', async () => {
    await expect(readRun(root)).rejects.toThrow(/expected a config\.yaml/);
    await expect(readRun(root)).rejects.toThrow(ConfigError);
  });

  it('names a missing picture', async () => {
    const bare = join(root, 'bare');
    await writeExampleRun(bare, 4);
    await rm(join(bare, 'eval', 'images', 'a.png'));
    await expect(renderReport([await readRun(bare)])).rejects.toThrow(
      /a\.png: an image of the evaluation is missing/,
    );
  });
});
