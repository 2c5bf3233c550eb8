/** How a process that used the engine ends, and what it holds on to. */
import { describe, expect, it } from 'vitest';
import { PRELUDE_LINES, runScript } from '../../support/engine-process.js';

/** A round of everything the engine does; `round()` leaves no tensor behind. */
const EVERYTHING = `
await startEngine({ device: 'cpu' });
const outside = tf.tensor1d([1, 2]);
const { foldIn, randomKey, randomNormal, remat, uint8Tensor, chromeTrace, xplaneTrace } = capstan;
const weights = createVariable('weights', Float32Array.of(1, 2), [2]);
const count = createVariable('count', Int32Array.of(0), []);
const block = remat((x, w) => tf.tanh(tf.mul(x, w)));
const makeStep = (options) => compile((pixels, key, factor) => {
  const x = tf.add(tf.div(tf.cast(pixels, 'float32'), 255), tf.mul(randomNormal(foldIn(key, count.read()), [2]), outside));
  count.assign(tf.add(count.read(), tf.scalar(1, 'int32')));
  const { value, grad } = tf.valueAndGrad((w) => tf.sum(tf.mul(block(x, w), factor)))(weights.read());
  weights.assign(tf.sub(weights.read(), tf.mul(grad, 0.1)));
  return { value, again: [value, x] };
}, options);
const steps = [makeStep({ fusion: 'clusters' }), makeStep({ fusion: 'none', precision: 'bf16' }), makeStep({ fusion: 'whole' })];
const pixels = uint8Tensor(Uint8Array.of(3, 4), [2]);
const key = randomKey(1);
const refused = (fn) => { try { fn(); } catch { return; } throw new Error('not refused'); };
const round = async (i) => {
  const step = steps[i % 3];
  tf.dispose(step(pixels, key, 2));
  tf.dispose(await Promise.all([step.async(pixels, key, 2), step.async(pixels, key, 2)]));
  if (i % 5 === 0) {
    const { result, timings } = step.profile(pixels, key, 2);
    chromeTrace(timings);
    xplaneTrace(timings);
    tf.dispose(result);
  }
  if (i % 10 === 0) {
    refused(() => step(pixels, key, new Date()));
    const fails = compile((x) => { tf.add(x, outside); return tf.sum(x).dataSync(); });
    refused(() => fails(pixels));
    await fails.async(pixels).then(() => { throw new Error('not refused'); }, () => {});
    const short = compile((x) => tf.add(x, outside), { fusion: 'none' });
    tf.dispose(short(outside));
    short.dispose();
    const local = createVariable('local', Float32Array.of(1), []);
    local.load(Float32Array.of(2));
    tf.dispose(local.read());
    local.dispose();
  }
  weights.load(Float32Array.of(1, 2));
  weights.data();
  tf.tidy(() => tf.grad((x) => tf.sum(tf.square(x)))(outside).dataSync());
};
`;

describe('a process', () => {
  it('ends with 0 and in silence, whatever it used and left, and keeps nothing of 200 rounds', async () => {
    const { code, signal, stdout, stderr } = await runScript(`${EVERYTHING}
const alive = () => [tf.memory().numTensors, tf.memory().numDataBuffers, session().binding.getNumOfTensors()];
for (let i = 0; i < 30; i++) await round(i);
const before = alive();
for (let i = 0; i < 200; i++) await round(i);
console.log(JSON.stringify({ before, after: alive(), count: [...count.data()] }));
steps[0](pixels, key, 2); // left undisposed
`);
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
    const { before, after, count } = JSON.parse(stdout) as Record<string, number[]>;
    expect(after).toEqual(before);
    // Three calls a round, and a profile in every fifth.
    expect(count).toEqual([230 * 3 + 230 / 5]);
  });

  it('ends with 1 after an error that nobody catches, and names the line', async () => {
    const script = [
      "await startEngine({ device: 'cpu' });",
      'const f = compile((x) => tf.sum(x).dataSync());',
      'tf.neg(tf.scalar(1));',
      'f(tf.ones([2]));',
    ].join('\n');
    const { code, signal, stdout, stderr } = await runScript(`${script}\nconsole.log('not reached');`);
    expect({ code, signal, stdout }).toEqual({ code: 1, signal: null, stdout: '' });
    expect(stderr).toMatch(/EngineError: The value of the result of Sum \(shape \[\]\) is read at/);
    expect(stderr).toContain(`script.mjs:${PRELUDE_LINES + 2}:`);
  });

  it('ends with 1 after a rejected call that nobody awaits', async () => {
    const { code, signal, stderr } = await runScript(`
await startEngine({ device: 'cpu' });
const pick = compile((x, at) => tf.gather(x, at), { fusion: 'none' });
void pick.async(tf.ones([2]), tf.tensor1d([5], 'int32'));
`);
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(stderr).toMatch(/EngineError: .*indices\[0\] = 5 is not in \[0, 2\)/);
  });

  const SLOW = `
await startEngine({ device: 'cpu' });
const slow = compile((x) => { let y = x; for (let i = 0; i < 20; i++) y = tf.matMul(y, x); return tf.sum(y); }, { fusion: 'none' });
const x = tf.zeros([900, 900]);
slow.prepare(x);
const started = slow.async(x).then(async (y) => console.log(\`done \${(await y.data())[0]}\`));
`;

  it('waits for the calls under way', async () => {
    const { code, signal, stdout, stderr } = await runScript(`${SLOW}
void slow.async(x);
console.log('end of script');
`);
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
    expect(stdout).toBe('end of script\ndone 0\n');
  });

  it('may leave in the midst of one', async () => {
    const { code, signal, stderr } = await runScript(`${SLOW}
setTimeout(() => process.exit(3), 5);
await started;
await slow.async(x);
await new Promise((resolve) => setTimeout(resolve, 100));
`);
    expect({ code, signal, stderr }).toEqual({ code: 3, signal: null, stderr: '' });
  });
});
