/** `capstan data build openclipart` and `scenes` as a user runs them: the compiled command line, on small sets. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readManifest } from '../../src/data/datasets/manifest.js';
import { openSource } from '../../src/data/datasets/open.js';

const root = mkdtempSync(join(tmpdir(), 'capstan-build-'));
const clips = join(root, 'svg');
afterAll(() => rmSync(root, { recursive: true, force: true }));

const start = (...args: string[]) => spawn(process.execPath, ['dist/cli/main.js', 'data', 'build', ...args]);

async function finish(
  child: ReturnType<typeof start>,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: Buffer) => {
    stdout += text.toString();
  });
  child.stderr.on('data', (text: Buffer) => {
    stderr += text.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

const build = (...args: string[]) => finish(start(...args));

beforeAll(() => {
  mkdirSync(join(clips, 'shapes'), { recursive: true });
  for (let i = 0; i < 40; i++) {
    const shape = `<svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"><ellipse cx="50" cy="50" rx="${5 + i}" ry="45" fill="hsl(${9 * i},90%,50%)"/></svg>`;
    writeFileSync(join(clips, 'shapes', `disc_${i}.svg`), shape);
  }
  writeFileSync(join(clips, 'shapes', 'torn.svg'), '<svg');
});

describe('capstan data build openclipart', () => {
  it('says what it built, what it left out and how long captions are', async () => {
    const out = join(root, 'clips');
    const { code, stdout } = await build('openclipart', '--from', clips, '--out', out, '--size', '32');
    expect(code).toBe(0);
    expect(stdout).toMatch(/: 40 pictures in/);
    expect(stdout).toContain('public domain');
    expect(stdout).toContain('shapes/torn.svg: has no <svg> element');
    expect(stdout).toMatch(/CLIP tokens +least +median +most/);
    expect((await readManifest(out))?.skipped).toHaveLength(1);
    const source = await openSource(out);
    expect(source.numRows).toBe(40);
    expect(readdirSync(out)).not.toContain('pictures.tmp');
    await source.close();
  });

  it('refuses a folder without drawings, and says where to get some', async () => {
    const { code, stderr } = await build(
      'openclipart',
      '--from',
      join(root, 'nothing'),
      '--out',
      join(root, 'never'),
    );
    expect(code).toBe(2);
    expect(stderr).toContain('apt-get install openclipart-svg');
    expect(stderr).not.toContain('    at ');
    expect(existsSync(join(root, 'never'))).toBe(false);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('stops at %s with code %i, ends its processes and leaves nothing', async (signal, exitCode) => {
    const home = mkdtempSync(join(root, 'stopped-'));
    const child = start(
      'openclipart',
      '--from',
      clips,
      '--out',
      join(home, 'set'),
      '--size',
      '1024',
      '--workers',
      '1',
    );
    const ended = finish(child);
    for (let i = 0; i < 600 && readdirSync(home).length === 0; i++) await sleep(20);
    child.kill(signal);
    expect((await ended).code).toBe(exitCode);
    expect(readdirSync(home)).toEqual([]);
  });
});

describe('capstan data build scenes', () => {
  it('says what it built: styles and licences, faults, files and lengths', async () => {
    const out = join(root, 'scenes');
    const { code, stdout } = await build(
      'scenes',
      '--count',
      '20',
      '--size',
      '48',
      '--invent',
      '0.5',
      '--out',
      out,
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/: 20 pictures in .*train 16, val 2, test 2/);
    expect(stdout).toContain('CC-BY-SA-4.0');
    expect(stdout).toMatch(/dsc: assertions \d+, falseAssertions [1-9]/);
    expect(stdout).toContain('pope-popular-test.jsonl');
    expect((await readManifest(out))?.settings).toEqual({ omit: 0.15, invent: 0.5 });
    for (const split of ['train', 'val', 'test']) {
      const source = await openSource(out, { split });
      expect(source.numRows).toBe(split === 'train' ? 16 : 2);
      await source.close();
    }
  });

  it.each([
    ['--invent', '1.5'],
    ['--omit', 'much'],
    ['--omit', '0.95'],
    ['--count', '3'],
  ])('names the option for %s %s', async (flag, value) => {
    const { code, stderr } = await build('scenes', flag, value, '--out', join(root, 'never'));
    expect(code).toBe(2);
    expect(stderr).toContain(flag);
    expect(stderr).not.toContain('    at ');
    expect(existsSync(join(root, 'never'))).toBe(false);
  });
});
