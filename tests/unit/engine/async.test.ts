import { describe, expect, it } from 'vitest';
import { type CompileOptions, compile, createVariable, type Fusion } from '../../../src/engine/index.js';
import { EngineError, ShapeError } from '../../../src/errors.js';
import { tf } from '../../support/engine.js';
import { alive, leaveNothing } from '../../support/engine-scope.js';
import { expectClose, numbers } from '../../support/gradients.js';

const own = leaveNothing();

const quick = <A extends unknown[], R>(fn: (...args: A) => R, options: CompileOptions = {}) =>
  own(compile(fn, { fusion: 'none', ...options }));

/** Turns of the event loop until `promise` settles; 0 if it never let go of the thread. */
async function turnsUntil(promise: Promise<unknown>): Promise<number> {
  let settled = false;
  const done = promise.finally(() => {
    settled = true;
  });
  let turns = 0;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (settled) break;
    turns++;
  }
  await done;
  return turns;
}

describe('an asynchronous call', () => {
  it.each<Fusion>(['none', 'clusters', 'whole'])(
    '(%s) gives what the synchronous one gives',
    async (fusion) => {
      const f = own(compile((x: tf.Tensor) => ({ y: tf.softmax(x), n: 1 }), { fusion }));
      const x = tf.tensor(numbers(12, 'async x'), [3, 4]);
      const { y, n } = await f.async(x);
      expect(n).toBe(1);
      expectClose(y.dataSync(), f(x).y.dataSync(), 1e-7, 'softmax');
      tf.dispose(y);
      expect(f.stats().map((s) => s.calls)).toEqual([2]);
    },
  );

  it('lets timers run while it computes', async () => {
    const f = quick((x: tf.Tensor2D) => {
      let y = x;
      for (let i = 0; i < 12; i++) y = tf.matMul(y, x);
      return tf.sum(y);
    });
    const x = tf.ones<tf.Rank.R2>([700, 700]);
    f.prepare(x);
    const pending = f.async(x);
    expect(await turnsUntil(pending)).toBeGreaterThan(0);
    (await pending).dispose();
  });

  it('comes after those started before it, each seeing the variables as the last left them', async () => {
    const v = own(createVariable('v', Float32Array.of(1), [1]));
    const slow = quick((x: tf.Tensor2D) => {
      const product = tf.matMul(tf.matMul(x, x), x);
      v.assign(tf.add(tf.mul(v.read(), 2), tf.mul(tf.slice(product, [0, 0], [1, 1]).reshape([1]), 0)));
      return v.read();
    });
    const fast = quick((x: tf.Tensor) => {
      v.assign(tf.add(v.read(), x));
      return v.read();
    });
    const [large, one] = [tf.ones<tf.Rank.R2>([400, 400]), tf.scalar(1)];
    slow.prepare(large);
    const order: number[] = [];
    const calls = [slow.async(large), fast.async(one), slow.async(large), fast.async(one), fast.async(one)];
    for (const [i, call] of calls.entries()) void call.then(() => order.push(i));
    const results = await Promise.all(calls);
    expect(results.map((t) => t.dataSync()[0])).toEqual([2, 3, 6, 7, 8]);
    expect(order).toEqual([0, 1, 2, 3, 4]);
    expect([...v.data()]).toEqual([8]);
    tf.dispose(results);
  });

  it('holds its inputs, which may be disposed of at once', async () => {
    const outside = tf.scalar(10);
    const f = quick((x: tf.Tensor) => tf.add(x, outside));
    const inputs = [1, 2, 3].map((n) => tf.fill([1000], n));
    const calls = inputs.map((x) => f.async(x));
    tf.dispose([inputs, outside]);
    const results = await Promise.all(calls);
    expect(results.map((t) => [t.dataSync()[0], t.dataSync()[999]])).toEqual([
      [11, 11],
      [12, 12],
      [13, 13],
    ]);
    tf.dispose(results);
  });

  it('leaves nothing over many calls', async () => {
    const v = own(createVariable('v', new Float32Array(8), [8]));
    const f = quick((x: tf.Tensor) => {
      v.assign(tf.add(v.read(), x));
      return [v.read(), x];
    });
    const x = tf.ones([8]);
    tf.dispose(await f.async(x));
    const before = alive();
    for (let i = 0; i < 50; i++) tf.dispose(await Promise.all([f.async(x), f.async(x)]));
    expect(alive()).toEqual(before);
    expect(v.data()).toEqual(new Float32Array(8).fill(101));
  });
});

describe('an asynchronous call that fails', () => {
  it('while it is recorded rejects, and does not throw', async () => {
    const f = quick((x: tf.Tensor, y: tf.Tensor) => tf.matMul(x as tf.Tensor2D, y as tf.Tensor2D));
    const [x, y] = [tf.ones([2, 3]), tf.ones([3, 2])];
    (await f.async(x, y)).dispose(); // uploads them
    const before = alive();
    const refused = f.async(x, x);
    await expect(refused).rejects.toThrow(/MatMul.*Dimensions must be equal/);
    await expect(f.async(x, new Date() as never)).rejects.toThrow(EngineError);
    expect(alive()).toEqual(before);
    const product = await f.async(x, y);
    expect(product.dataSync()[0]).toBe(3);
    product.dispose();
  });

  it('while it runs rejects; calls before and after it are right, and variables as it found them', async () => {
    const v = own(createVariable('v', Float32Array.of(0), [1]));
    const take = quick((x: tf.Tensor, at: tf.Tensor) => {
      const taken = tf.gather(x, at as tf.Tensor1D);
      v.assign(tf.add(v.read(), taken));
      return taken;
    });
    const x = tf.tensor1d([5, 7]);
    const [first, none, second] = [0, 9, 1].map((i) => tf.tensor1d([i], 'int32')) as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
    ];
    tf.dispose([take(x, first), x.clone(), none.clone(), second.clone()]);
    const before = alive();
    const results = await Promise.allSettled([
      take.async(x, first),
      take.async(x, none),
      take.async(x, second),
    ]);
    expect(results.map((r) => r.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const [a, failure, b] = results as [
      PromiseFulfilledResult<tf.Tensor>,
      PromiseRejectedResult,
      PromiseFulfilledResult<tf.Tensor>,
    ];
    expect(failure.reason).toBeInstanceOf(EngineError);
    expect(String(failure.reason)).toMatch(/indices\[0\] = 9 is not in \[0, 2\)/);
    expect([a.value.dataSync()[0], b.value.dataSync()[0]]).toEqual([5, 7]);
    expect(v.data()[0]).toBe(5 + 5 + 7);
    tf.dispose([a.value, b.value]);
    expect(alive().tensors).toBe(before.tensors);
  });

  it('for a variable or a tensor that is gone, or a shape that does not fit', async () => {
    const v = own(createVariable('weights', Float32Array.of(0), [1]));
    const f = quick((x: tf.Tensor) => {
      v.assign(tf.add(v.read(), x));
    });
    const x = tf.ones([1]);
    await f.async(x);
    await expect(f.async(tf.ones([2]))).rejects.toThrow(ShapeError);
    const gone = tf.ones([1]);
    gone.dispose();
    await expect(f.async(gone)).rejects.toThrow(EngineError);
    v.dispose();
    await expect(f.async(x)).rejects.toThrow('variable weights was used after it was disposed');
    const works = await quick((y: tf.Tensor) => tf.neg(y)).async(x);
    expect(works.dataSync()[0]).toBe(-1);
    works.dispose();
  });

  it('because its function was disposed of meanwhile either gives its result or rejects', async () => {
    const before = quick((x: tf.Tensor2D) => tf.sum(tf.matMul(tf.matMul(x, x), x)));
    const f = quick((x: tf.Tensor) => tf.neg(x));
    const [large, one] = [tf.ones<tf.Rank.R2>([400, 400]), tf.scalar(1)];
    tf.dispose([before(large), f(one)]);
    const counts = alive();
    const [sum, call] = [before.async(large), f.async(one)];
    f.dispose();
    before.dispose();
    const results = await Promise.allSettled([sum, call]);
    for (const result of results) {
      if (result.status === 'fulfilled') result.value.dispose();
      else expect(result.reason).toBeInstanceOf(EngineError);
    }
    expect(alive()).toEqual(counts);
    const again = await f.async(one);
    expect(again.dataSync()[0]).toBe(-1);
    again.dispose();
  });
});
