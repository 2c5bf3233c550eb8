import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DataReport } from '../../src/index.js';
import { buildData, capstan, start } from '../support/cli.js';

let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'capstan-inspect-'));
  await buildData(at('data'));
});

afterAll(() => rm(folder, { recursive: true }));

describe('capstan data inspect', () => {
  it('prints a table and writes JSON, a page and a picture', async () => {
    const files = ['--json', at('report.json'), '--html', at('report.html'), '--png', at('report.png')];
    const { code, stdout, stderr } = await capstan('data', 'inspect', at('data'), '--workers', '1', ...files);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const report = JSON.parse(await readFile(at('report.json'), 'utf8')) as DataReport;
    expect(report.captions['dsc+']?.present).toBe(report.rows);
    expect(report.images).toMatchObject({ looked: report.rows, decoded: report.rows, broken: [] });
    expect(stdout).toContain(`${report.rows} rows, schema capstan`);
    expect(stdout).toMatch(/^entities \(nouns\) +only these +shared +only AltText +AltText covered$/m);
    const page = await readFile(at('report.html'), 'utf8');
    expect(page.match(/<svg role="img"/g)).toHaveLength(3);
    expect(page.match(/src="data:image\/jpeg;base64,/g)).toHaveLength(24);
    expect(page).not.toMatch(/(?:src|href)="(?!data:)/);
    const { width, format } = await sharp(await readFile(at('report.png'))).metadata();
    expect([format, width]).toEqual(['png', 1860]);
  });

  it('ends on SIGINT and writes nothing', async () => {
    const { process, finished } = start('data', 'inspect', at('data'), '--json', at('none.json'));
    // Early: before the work is done, whenever the handler is there.
    setTimeout(() => process.kill('SIGINT'), 600);
    const { code, signal, stderr } = await finished;
    expect(signal === 'SIGINT' || code === 130).toBe(true);
    if (signal === null) expect(stderr).toContain('Interrupted; nothing was written.');
    expect(await readdir(folder)).not.toContain('none.json');
  });

  it('refuses what makes no sense', async () => {
    const wrong = await capstan('data', 'inspect', at('data'), '--decode', 'some');
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain("Expected a whole number, or 'all'.");
    const missing = await capstan('data', 'inspect', at('nowhere'));
    expect(missing.code).toBe(2);
    expect(missing.stderr).toContain('there is no such data set');
  });
});
