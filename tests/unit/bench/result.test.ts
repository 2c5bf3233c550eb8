import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { describeMachine } from '../../../bench/lib/machine.js';
import { requireJsonPlace } from '../../../bench/lib/options.js';
import {
  type Case,
  casesTable,
  formatNumber,
  formatTable,
  isMet,
  type Outcome,
  report,
  summarize,
} from '../../../bench/lib/result.js';
import { spreadOf } from '../../../bench/lib/statistics.js';
import { registerStepsMemory } from '../../../bench/steps-memory.js';

const at = (name: string, ratio: number, target?: number): Case => ({
  name,
  unit: 'img/s',
  ours: 10 * ratio,
  peer: 10,
  ratio,
  ...(target === undefined ? {} : { target }),
});

describe('statistics', () => {
  it('keep the extremes and the count', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3, repeats: 3 });
  });
});

describe('a bench’s result', () => {
  it('has the case of the lowest ratio on top', () => {
    const cases = [at('a', 1.5), at('b', 0.8), at('c', 2)];
    expect(summarize('race', cases)).toEqual({
      name: 'race',
      unit: 'img/s',
      ours: 8,
      peer: 10,
      ratio: 0.8,
      cases,
    });
    expect(() => summarize('race', [])).toThrow('race has no case');
  });

  it('says which targets are met', () => {
    expect([at('a', 1.1, 1.1), at('b', 1.09, 1.1), at('c', 5)].map(isMet)).toEqual([true, false, undefined]);
    const lines = casesTable([at('a', 1.2, 1.1), at('b', 1, 1.1), at('c', 1)]).split('\n');
    expect(lines[2]).toMatch(/^a .* 1\.200 +1\.10 +met$/);
    expect(lines[3]).toMatch(/MISSED$/);
    expect(lines[4]).toMatch(/ 1\.000$/);
  });

  it('aligns columns', () => {
    expect(
      formatTable(
        ['x', 'n'],
        [
          ['long', '1'],
          ['y', '100'],
        ],
      ),
    ).toBe('x       n\n----  ---\nlong    1\ny     100');
  });

  it('keeps four digits, and all before the point', () => {
    expect([12.34567, 0.00123456, 123456.7, 0].map(formatNumber)).toEqual([
      '12.35',
      '0.001235',
      '123457',
      '0',
    ]);
  });
});

describe('report', () => {
  const outcome: Outcome = {
    name: 'race',
    cases: [at('a', 2)],
    machine: describeMachine(),
    versions: {},
    options: {},
    warnings: [],
    details: { extra: 1 },
  };
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  afterEach(() => log.mockClear());
  const lastLine = (): unknown => JSON.parse(String(log.mock.calls.at(-1)));

  it('prints one line of JSON last, and writes all of it to the file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'capstan-test-'));
    const file = join(folder, 'race.json');
    await report(outcome, file);
    expect(lastLine()).toEqual(summarize('race', outcome.cases));
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ ratio: 2, details: { extra: 1 } });
    expect(readdirSync(folder)).toEqual(['race.json']);
    rmSync(folder, { recursive: true });
  });

  it('prints the line where the file cannot be written', async () => {
    await expect(report(outcome, '/nowhere/race.json')).rejects.toThrow('ENOENT');
    expect(lastLine()).toEqual(summarize('race', outcome.cases));
  });
});

describe('the options of a bench', () => {
  const program = (...args: string[]): Promise<unknown> => {
    const command = new Command().exitOverride().configureOutput({ writeErr: () => {} });
    registerStepsMemory(command);
    return command.parseAsync(['steps-memory', ...args], { from: 'user' });
  };

  it('refuse a seed that is no number, and steps that give one reading', async () => {
    await expect(program('--seed', 'abc')).rejects.toThrow('Expected a whole number, 0 or more.');
    await expect(program('--steps', '100', '--every', '100')).rejects.toThrow(
      '--steps is 100 and --every 100: that is one reading',
    );
  });

  it('refuse a file that cannot be written before anything is measured', async () => {
    await expect(requireJsonPlace({ json: '/nowhere/race.json' })).rejects.toThrow(
      /^--json is \/nowhere\/race\.json, which cannot be written \(ENOENT/,
    );
    await requireJsonPlace({});
  });
});
