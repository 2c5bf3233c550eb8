/** `capstan profile` as a user runs it: its tables, its traces, and what it refuses. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildData, capstan, type Finished, set, writeTinyConfig } from '../support/cli.js';

let root = '';
let config = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'capstan-profile-'));
  await buildData(join(root, 'data'));
  config = await writeTinyConfig(join(root, 'tiny.yaml'), {
    data: join(root, 'data'),
    runs: join(root, 'runs'),
  });
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** The rows under a head, as [name, count, ms, share]; the name may have blanks, and a result after it. */
function rowsUnder(
  stdout: string,
  head: string,
): { name: string; count: number; ms: number; share: number }[] {
  const lines = stdout.split('\n');
  const at = lines.findIndex((line) => line.startsWith(head));
  const rows = lines.slice(at + 1, lines.indexOf('', at));
  return rows.map((row) => {
    const [, name, count, ms, share] = /^(.*?) +(\d+) +([\d.]+) +([\d.]+) %/.exec(row) as RegExpExecArray;
    return { name: (name as string).trim(), count: Number(count), ms: Number(ms), share: Number(share) };
  });
}

describe('capstan profile', () => {
  it('says where the time of a step goes, and leaves traces and no run', async () => {
    const out = join(root, 'traces');
    const { code, stdout, stderr } = await capstan(
      'profile',
      config,
      ...set('train.remat=true', 'run.name=sweep/first'),
      ...['--out', out, '--steps', '2', '--top', '5'],
    );
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(
      /^A step takes [\d.]+ ms, of which [\d.]+ ms wait for data \(medians of 2\)\. Its intermediate values take up to [\d.]+ [KM]iB\.\n/,
    );
    const kinds = rowsUnder(stdout, 'kind');
    const total = kinds.pop();
    expect(kinds.map(({ name }) => name).sort()).toEqual([
      'fused operations',
      'matrix products',
      'single operations',
      'variables',
    ]);
    const operations = rowsUnder(stdout, 'operation');
    expect(operations).toHaveLength(6);
    expect(operations[5]?.name).toMatch(/^\d+ others$/);
    for (const rows of [kinds, operations]) {
      const sum = (of: (row: (typeof rows)[number]) => number): number => rows.reduce((s, r) => s + of(r), 0);
      expect(sum(({ count }) => count)).toBe(total?.count);
      // Each row is rounded to 0.01 ms and 0.1 %.
      expect(Math.abs(sum(({ ms }) => ms) - (total?.ms as number))).toBeLessThan(0.01 * rows.length);
      expect(Math.abs(sum(({ share }) => share) - 100)).toBeLessThan(0.1 * rows.length);
    }

    const [, trace] = /^chrome:\/\/tracing or ui\.perfetto\.dev: (.+)$/m.exec(stdout) as RegExpExecArray;
    const { traceEvents } = JSON.parse(await readFile(trace as string, 'utf8')) as { traceEvents: unknown[] };
    expect(traceEvents).toHaveLength(total?.count as number);
    const sessions = await readdir(join(out, 'plugins', 'profile'));
    expect(sessions).toEqual([expect.stringMatching(/^sweep-first-\d{4}-\d\d-\d\dT/)]);
    const [file] = await readdir(join(out, 'plugins', 'profile', sessions[0] as string));
    expect(file).toMatch(/\.xplane\.pb$/);
    expect(existsSync(join(root, 'runs'))).toBe(false);
  });

  const refused = (result: Finished, code: number, message: RegExp): void => {
    expect(result.stderr).toMatch(message);
    expect(result.stderr).not.toMatch(/\n\s+at |bug in capstan/);
    expect(result.code, result.stderr).toBe(code);
  };

  it('refuses what it cannot use, before it trains', async () => {
    refused(await capstan('profile', config, '--steps', '0'), 2, /--steps <n>' .*0.* 1 or more/);
    refused(await capstan('profile', config, '--top', 'all'), 2, /--top <n>' .*all/);
    refused(
      await capstan('profile', config, ...set('train.rmat=true')),
      2,
      /train\.rmat.*did you mean 'remat'/,
    );
    refused(await capstan('profile', join(root, 'none.yaml')), 2, /none\.yaml/);
    refused(
      await capstan('profile', config, ...set('train.batchSize=4096')),
      2,
      /4096.*no batch can be filled/,
    );
    const file = join(root, 'file');
    await writeFile(file, '');
    refused(await capstan('profile', config, '--out', file), 1, /ENOTDIR.*file.*choose another place/);
  });
});
