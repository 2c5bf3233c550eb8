import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { registerReport } from '../../../src/cli/commands/report.js';
import { writeExampleRun } from '../report/example-run.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'capstan-report-cli-'));
  await writeExampleRun(join(root, 'a'), 0);
  await writeExampleRun(join(root, 'b'), 1);
});
afterAll(() => rm(root, { recursive: true }));

function program(): Command {
  const command = new Command().exitOverride();
  registerReport(command);
  return command;
}

describe('capstan report', () => {
  it('writes a page of several runs, making its folder', async () => {
    const out = join(root, 'pages', 'both.html');
    await program().parseAsync(
      ['report', join(root, 'a'), join(root, 'b'), '--out', out, '--title', 'Both'],
      {
        from: 'user',
      },
    );
    const html = await readFile(out, 'utf8');
    expect(html).toContain('<title>Both</title>');
    expect(html).toContain('<summary>b</summary>');
  });

  it('says which folder is no run', async () => {
    await expect(program().parseAsync(['report', join(root, 'none')], { from: 'user' })).rejects.toThrow(
      /none: no run folder/,
    );
  });
});
