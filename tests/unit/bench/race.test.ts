import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { race } from '../../../bench/lib/race.js';
import { WorkerProcess } from '../../../bench/lib/worker-process.js';

const folder = mkdtempSync(join(tmpdir(), 'capstan-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A worker that notes each turn in a file, and ticks in another all the time that it may run. */
const script = join(folder, 'worker.cjs');
writeFileSync(
  script,
  `const fs = require('node:fs');
const [, , name, log] = process.argv;
console.log('a library says hello');
setInterval(() => fs.appendFileSync(log + '.ticks', name), 5);
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { arguments: { count } } = JSON.parse(line);
  if (count > 90) return console.log('@reply ' + JSON.stringify({ error: 'too many steps' }));
  if (count > 80) { console.error('last words'); process.exit(3); }
  fs.appendFileSync(log, name + count + ' ');
  const stepMs = Array.from({ length: count }, (_, i) => (i === 0 ? 1000 : 10 * i));
  console.log('@reply ' + JSON.stringify({ reply: { stepMs, losses: stepMs.map(() => 1), processorMs: 1 } }));
});
`,
);
const worker = (name: string, log: string): WorkerProcess =>
  new WorkerProcess(name, [process.execPath, script, name, log]);

describe('a race', () => {
  it('alternates the order, drops each turn’s first step, and lets nobody run out of turn', async () => {
    vi.spyOn(console, 'log').mockImplementation(() => undefined);
    const log = join(folder, 'turns');
    const sides = [worker('a', log), worker('b', log)];
    const [a, b] = await race(sides, { rounds: 3, steps: 3, warmup: 2 });
    expect(readFileSync(log, 'utf8')).toBe('a2 b2 a4 b4 b4 a4 a4 b4 ');
    expect(a).toMatchObject({ roundMs: [20, 20, 20], stepMs: [10, 20, 30, 10, 20, 30, 10, 20, 30] });
    expect(b?.losses).toHaveLength(2 + 3 * 4);
    const before = readFileSync(`${log}.ticks`, 'utf8');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(readFileSync(`${log}.ticks`, 'utf8')).toBe(before);
    for (const side of sides) await side.close();
  });

  it('ends with the worker’s own error, or its last words', async () => {
    const failing = worker('a', join(folder, 'failing'));
    await expect(failing.request('steps', { count: 99 })).rejects.toThrow('a: too many steps');
    await failing.close();
    const dying = worker('b', join(folder, 'dying'));
    await expect(dying.request('steps', { count: 85 })).rejects.toThrow(/b: ended with code 3.*\nlast words/);
    await expect(dying.request('steps', { count: 1 })).rejects.toThrow('b has ended');
    const absent = new WorkerProcess('c', [join(folder, 'absent')]);
    await expect(absent.request('steps', { count: 1 })).rejects.toThrow(/c: could not start .*ENOENT/);
  });
});
