/** What the first start in a process decides: the device, and the cache of compiled kernels. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { hasNvidiaDriver } from '../../../src/engine/cuda.js';
import { locateLibrary } from '../../../src/engine/library.js';
import { runScript, type ScriptOptions } from '../../support/engine-process.js';

const root = mkdtempSync(join(tmpdir(), 'capstan-start-'));
afterAll(() => rmSync(root, { recursive: true }));

const noGpu = process.platform === 'linux' && !(await hasNvidiaDriver());
const library = (await locateLibrary({ device: 'cpu' })).directory;

describe('the compile cache', () => {
  let cache: string;
  beforeEach(() => {
    // TensorFlow is told of it in a list of flags that blanks divide.
    cache = mkdtempSync(join(root, 'compile cache '));
  });

  /** Runs a program of four different clusters; gives its result and the engine's flags. */
  async function run(
    options: ScriptOptions = {},
    said: RegExp = /^$/,
  ): Promise<{ value: number; flags: string }> {
    const { code, signal, stdout, stderr } = await runScript(
      `
await startEngine({ device: 'cpu', threads: 1, compileCache: process.env.TEST_CACHE });
const f = compile((x) => {
  let y = x;
  for (const factor of [2, 3, 4, 5]) y = tf.tanh(tf.add(tf.mul(tf.matMul(y, x), factor), 1));
  return tf.matMul(y, x);
}, { fusion: 'clusters' });
const [value] = f(tf.eye(3)).dataSync();
console.log(JSON.stringify({ value, flags: process.env.TF_XLA_FLAGS ?? '' }));
`,
      { ...options, env: { TEST_CACHE: cache, ...options.env } },
    );
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(stderr).toMatch(said);
    return JSON.parse(stdout) as { value: number; flags: string };
  }

  /** The entries of the one folder, and when each was written. */
  function entries(): Map<string, number> {
    const [folder, ...others] = readdirSync(cache);
    expect(others).toEqual([]);
    const path = join(cache, folder!);
    const names = readdirSync(path).filter((name) => name.endsWith('.pb'));
    return new Map(names.map((name) => [join(path, name), statSync(join(path, name)).mtimeMs]));
  }

  it('is filled by one process and read by the next, which makes anew what is missing or damaged', async () => {
    const first = await run();
    const written = entries();
    expect(written.size).toBe(4);
    const [lost, cut, changed, good] = [...written.keys()] as [string, string, string, string];
    rmSync(lost);
    writeFileSync(cut, readFileSync(cut).subarray(0, 1000));
    const bytes = readFileSync(changed);
    bytes[bytes.length >> 1]! ^= 1; // in the machine code
    writeFileSync(changed, bytes);
    expect(await run({}, /CapstanWarning: Damaged files of the compile cache .* are compiled anew/)).toEqual(
      first,
    );
    const again = entries();
    expect([...again.keys()].sort()).toEqual([...written.keys()].sort());
    for (const path of [lost, cut, changed]) {
      expect(again.get(path)).not.toBe(written.get(path));
      expect(statSync(path).size).toBeGreaterThan(1000);
    }
    // Had it been compiled again, it would have been written again.
    expect(again.get(good)).toBe(written.get(good));
  });

  it("is the same for a process that one of capstan's started", async () => {
    const { code, stdout } = await runScript(
      `
import { execFileSync } from 'node:child_process';
const start = () => startEngine({ device: 'cpu', compileCache: process.env.TEST_CACHE });
if (process.argv[2] === undefined) {
  await start();
  const child = execFileSync(process.execPath, [process.argv[1], 'child'], { encoding: 'utf8' });
  console.log(process.env.XLA_FLAGS === child.trim());
} else {
  await start();
  console.log(process.env.XLA_FLAGS);
}
`,
      { env: { TEST_CACHE: cache } },
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'true\n' });
    expect(readdirSync(cache)).toHaveLength(1);
  });

  it('may be on a full disk: it is read then, and nothing is written', async () => {
    const full = { maxFileKilobytes: 1 };
    const { value, flags } = await run(full);
    expect(flags).toContain('read_only');
    expect(entries().size).toBe(0);
    expect(await run()).toMatchObject({ value });
    const written = entries();
    rmSync([...written.keys()][0]!);
    written.delete([...written.keys()][0]!);
    expect(await run(full)).toEqual({ value, flags });
    expect(entries()).toEqual(written);
  });

  it('may be a directory that cannot be made', async () => {
    const file = join(cache, 'file');
    writeFileSync(file, '');
    expect((await run({ env: { TEST_CACHE: file } })).flags).toBe('');
    expect(readdirSync(cache)).toEqual(['file']);
  });

  it("is in capstan's cache by default", async () => {
    const { code } = await runScript("await startEngine({ device: 'cpu' });", {
      env: { CAPSTAN_LIBTENSORFLOW: library, CAPSTAN_CACHE: cache },
    });
    expect(code).toBe(0);
    expect(readdirSync(cache)).toEqual(['xla']);
    expect(readdirSync(join(cache, 'xla'))).toHaveLength(1);
  });
});

describe('the device', () => {
  it.runIf(noGpu)(
    'cuda without a GPU is refused with what is missing; cpu may be asked for instead',
    async () => {
      const { code, signal, stdout, stderr } = await runScript(
        `
const failure = await startEngine({ device: 'cuda' }).catch((error) => error);
const { device } = await startEngine({ device: 'cpu' });
const late = await startEngine({ device: 'cuda' }).catch((error) => error);
const [sum] = compile((x) => tf.sum(x))(tf.ones([3])).dataSync();
console.log(JSON.stringify([failure, late].map(({ name, message }) => ({ name, message })).concat({ device, sum })));
`,
        // A library that is named is loaded, driver or not.
        { env: { CAPSTAN_LIBTENSORFLOW: library } },
      );
      expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
      const [failure, late, works] = JSON.parse(stdout) as [
        Record<string, string>,
        Record<string, string>,
        unknown,
      ];
      expect(failure.name).toBe('EngineError');
      expect(failure.message).toMatch(/^device: cuda was asked for, but TensorFlow registered no GPU\./);
      expect(failure.message).toMatch(/^ {2}libcuda\.so\.1: .*cannot open shared object file/m);
      expect(failure.message).toMatch(/Or use device: cpu\. Run `npx capstan doctor`/);
      expect(late).toEqual({
        name: 'EngineError',
        message: 'the engine runs on cpu already; a process has one device. Asked for: cuda.',
      });
      expect(works).toEqual({ device: 'cpu', sum: 3 });
    },
  );

  it('is running once: later starts give the same engine, use before the first is refused', async () => {
    const { code, stdout } = await runScript(`
const { engineInfo } = capstan;
const uses = [() => engineInfo(), () => compile((x) => x)(tf.scalar(1)), () => createVariable('v', new Float32Array(1), [1])];
for (const use of uses) try { use(); } catch (error) { console.log(error.name, error.message); }
const failed = await startEngine({ libtensorflow: '/none' }).catch((error) => error.name);
const early = tf.tensor1d([1, 2]); // on a backend of tfjs
const [a, b] = await Promise.all([
  startEngine({ device: 'cpu', threads: 1, compileCache: 'none' }),
  startEngine({ threads: 2 }),
]);
console.log(failed, a === b, a === engineInfo(), a.threads, a.device, tf.getBackend(), process.env.TF_XLA_FLAGS);
console.log([...compile((x) => tf.add(x, early))(early).dataSync()]);
`);
    expect(code).toBe(0);
    const refused = 'EngineError The engine is not running: await startEngine() first.\n';
    expect(stdout).toBe(`${refused.repeat(3)}ConfigError true true 1 cpu tensorflow undefined\n[ 2, 4 ]\n`);
  });
});
