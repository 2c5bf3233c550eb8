import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import packageJson from '../../../package.json' with { type: 'json' };
import { cliMarkdown } from '../../../src/cli/docs.js';
import { createProgram } from '../../../src/cli/program.js';

const dir = mkdtempSync(join(tmpdir(), 'capstan-cli-'));
afterAll(() => rmSync(dir, { recursive: true }));

function capstan(args: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['dist/cli/main.js', ...args], {
    encoding: 'utf8',
    timeout: 30_000,
    env: { ...process.env, ...env },
  });
  return { status, stdout, stderr };
}

describe('capstan', () => {
  it('has the commands, and the version of the package', () => {
    const names = createProgram().commands.map((command) => command.name());
    expect(names).toEqual(['quickstart', 'data', 'train', 'eval', 'profile', 'report', 'doctor']);
    expect(createProgram().version()).toBe(packageJson.version);
  });

  it('ends with 2 and the message alone when the configuration is wrong', () => {
    const path = join(dir, 'bad.yaml');
    writeFileSync(
      path,
      'task: clip\ndata: { path: x, captions: { alt: 0.5, ssc: 0.6 } }\ntrain: { batchSize: 8, steps: many, lrr: 1 }\nrun: { name: a }\n',
    );
    const { status, stdout, stderr } = capstan(['train', path]);
    expect(stdout).toBe('');
    expect(stderr).toBe(
      `error: ${path}: 3 problems in the configuration.
  ${path}:2: data.captions is {"alt":0.5,"ssc":0.6}; it must add up to 1, and adds up to 1.1
  ${path}:3: train.steps is "many"; it must be a number
  ${path}:3: train.lrr is not a known key (its value: 1); did you mean 'lr'?
`,
    );
    expect(status).toBe(2);
  });

  it('shows the stack when asked to', () => {
    const { status, stderr } = capstan(['train', join(dir, 'none.yaml')], { CAPSTAN_DEBUG: '1' });
    expect(stderr).toMatch(/^ConfigError: .*none\.yaml: there is no such configuration\.\n {4}at /);
    expect(stderr).toContain('Caused by: Error: ENOENT');
    expect(status).toBe(2);
  });

  it.each([
    [['report', dir], 'no run folder; expected a config.yaml'],
    [['eval', 'retrieval', '--run', dir], 'no run folder; expected a config.yaml'],
    [
      ['data', 'embed', dir, '--run', dir, '--out', join(dir, 'out')],
      'no run folder; expected a config.yaml',
    ],
    [['train', dir], 'it is a directory, expected a YAML file (that of a run is config.yaml in its folder).'],
  ])('ends with 2 for a path that is none of what is asked for: %s', (args, expected) => {
    const { status, stderr } = capstan(args);
    expect(stderr).toContain(expected);
    expect(stderr).not.toContain('    at ');
    expect(status).toBe(2);
  });

  it('ends with 1 for what is wrong elsewhere', () => {
    const run = join(dir, 'run');
    mkdirSync(run);
    writeFileSync(join(run, 'config.yaml'), 'task: clip\n');
    writeFileSync(join(run, 'metrics.jsonl'), '{"step": 1}\n');
    const { status, stderr } = capstan(['report', run]);
    expect(stderr).toMatch(/metrics\.jsonl, line 1: loss/);
    expect(stderr).not.toContain('    at ');
    expect(status).toBe(1);
  });

  it('knows a misspelt command', () => {
    const { status, stderr } = capstan(['trian']);
    expect(stderr).toContain('Did you mean train?');
    expect(status).toBe(2);
  });

  it.each([
    ['an unknown option', ['report', '--frobnicate'], "unknown option '--frobnicate'"],
    ['an option without its value', ['train', 'x.yaml', '--set'], "'--set <path=value>' argument missing"],
    ['a missing argument', ['train'], "missing required argument 'config'"],
    ['too many arguments', ['doctor', 'now'], 'too many arguments'],
    ['a missing option', ['eval', 'retrieval'], "required option '--run <dir>' not specified"],
    ['a value that is no number', ['data', 'build', 'emoji', '--limit', 'x'], "'--limit <concepts>'"],
    ['a value out of range', ['data', 'build', 'emoji', '--limit', '0'], '--limit is 0'],
    ['a value that is no choice', ['doctor', '--device', 'tpu'], 'Allowed choices are auto, cpu, cuda'],
    ['no subcommand', ['data'], 'Usage: capstan data'],
    [
      'an empty value',
      ['train', 'configs/quickstart.yaml', '--set', 'train='],
      '--set train=: there is no value',
    ],
  ])('ends with 2 for %s, and says so once', (_what, args, said) => {
    const { status, stdout, stderr } = capstan(args);
    expect(stderr.split(said)).toHaveLength(2);
    expect(stdout).toBe('');
    expect(status).toBe(2);
  });

  it.each([[['--help']], [['--version']], [['data', 'build', '--help']], [['help', 'eval']]])(
    'ends with 0 after %s',
    (args) => {
      const { status, stdout, stderr } = capstan(args);
      expect(stdout).toMatch(/^(Usage: capstan|\d+\.\d+\.\d+)/);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    },
  );

  it('names the option that gave a folder which is no data set', () => {
    const taken = join(dir, 'taken');
    mkdirSync(taken);
    writeFileSync(join(taken, 'thesis.txt'), '');
    const quickstart = capstan(['quickstart', '--data', taken, '--out', join(dir, 'runs')]);
    expect(quickstart.stderr).toMatch(/taken: exists and is not a data set .* Choose another --data\.$/m);
    expect(quickstart.status).toBe(2);
    expect(existsSync(join(dir, 'runs'))).toBe(false);
    const build = capstan(['data', 'build', 'emoji', '--limit', '1', '--out', taken]);
    expect(build.stderr).toMatch(/taken: exists and is not a data set .* Choose another --out\.$/m);
    expect(build.status).toBe(2);
  });

  it.runIf(process.platform === 'linux')('refuses a place where nothing can be made, and ends', () => {
    for (const args of [
      ['data', 'build', 'emoji', '--limit', '1', '--out', '/proc/capstan/data'],
      ['quickstart', '--data', join(dir, 'none'), '--out', '/proc/capstan/runs'],
    ]) {
      const { status, stderr } = capstan(args);
      expect(stderr).toContain(
        "no directory can be made in /proc, mkdir '/proc/capstan'. Make the directory, or",
      );
      expect(status).toBe(1);
    }
  });
});

describe('cliMarkdown', () => {
  it('holds the help of every command and of those below it', () => {
    const text = cliMarkdown(createProgram());
    expect(text).toContain('## capstan\n');
    expect(text).toContain('### capstan train\n');
    expect(text).toContain('#### capstan eval zero-shot\n');
    expect(text).toContain('--set <path=value>');
  });
});
