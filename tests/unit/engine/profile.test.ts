import { describe, expect, it } from 'vitest';
import {
  chromeTrace,
  compile,
  createVariable,
  type Fusion,
  type OpTiming,
  opLabel,
  tf,
  xplaneTrace,
} from '../../../src/engine/index.js';
import { type ProtoField, readProto } from '../../../src/engine/proto.js';
import { EngineError } from '../../../src/errors.js';
import { alive, leaveNothing } from '../../support/engine-scope.js';
import { expectClose, numbers } from '../../support/gradients.js';
import '../../support/engine.js';

const own = leaveNothing();

const normal = (key: string, shape: number[]): tf.Tensor =>
  tf.tensor(numbers(tf.util.sizeFromShape(shape), `profile ${key}`), shape);

describe('profile', () => {
  it.each<Fusion>(['none', 'clusters', 'whole'])('(%s) gives the result of a call', (fusion) => {
    const f = own(
      compile(
        (x: tf.Tensor, w: tf.Tensor) => ({
          grads: tf.grads((a, b) => tf.sum(tf.tanh(tf.add(tf.matMul(a, b), 1))))([x, w]),
          note: 'text',
        }),
        { fusion },
      ),
    );
    const [x, w] = [normal('x', [3, 4]), normal('w', [4, 5])];
    const called = f(x, w);
    const { result, timings } = f.profile(x, w);
    expect(result.note).toBe('text');
    for (const [i, grad] of result.grads.entries()) {
      expect(grad.shape).toEqual(called.grads[i]!.shape);
      expectClose(grad.dataSync(), called.grads[i]!.dataSync(), 1e-6, `gradient ${i}`);
    }
    expect(timings.length).toBeGreaterThan(0);
    expect(f.stats()[0]?.calls).toBe(1);
  });

  it('times each operation, one after another', () => {
    const f = own(
      compile((x: tf.Tensor, w: tf.Tensor) => {
        const y = tf.tanh(tf.add(tf.mul(tf.matMul(x, w), 2), 1));
        return [tf.matMul(y, y, true, false), tf.cast(tf.greater(y, 0), 'int32')];
      }),
    );
    const { timings } = f.profile(normal('x', [3, 4]), normal('w', [4, 5]));
    const products = timings.filter((t) => t.op === 'MatMul');
    // 2 m n k, for [3, 4] x [4, 5] and [5, 3] x [3, 5].
    expect(products.map((t) => t.flops)).toEqual([2 * 3 * 5 * 4, 2 * 5 * 5 * 3]);
    expect(products.map((t) => t.outputs)).toEqual([['float32[3, 5]'], ['float32[5, 5]']]);
    expect(products.map((t) => t.contents)).toEqual(['', '']);
    // Inputs and output; the second reads one tensor twice.
    expect(products.map((t) => t.bytes)).toEqual([4 * (12 + 20 + 15), 4 * (15 + 25)]);
    const clusters = timings.filter((t) => t.contents !== '');
    expect(clusters.length).toBeGreaterThan(0);
    expect(clusters.map((t) => t.contents).join(' ')).toMatch(/Mul.*Add.*Tanh/);
    for (const { op, flops } of clusters) {
      expect(op).toMatch(/^\w+$/);
      expect(flops).toBe(0);
    }
    expect(timings.flatMap((t) => t.outputs)).toContain('int32[3, 5]');
    let end = 0;
    for (const { startUs, durationUs } of timings) {
      expect(startUs).toBeGreaterThanOrEqual(end);
      expect(durationUs).toBeGreaterThan(0);
      end = startUs + durationUs;
    }
  });

  it('counts the operations of batched products', () => {
    const f = own(
      compile((a: tf.Tensor, b: tf.Tensor) => [tf.matMul(a, b), tf.matMul(a, b, true, true)], {
        fusion: 'none',
      }),
    );
    const { timings } = f.profile(normal('a', [2, 6, 3, 3]), normal('b', [2, 6, 3, 3]));
    expect(timings.filter((t) => t.op === 'BatchMatMulV2').map((t) => t.flops)).toEqual([648, 648]);
  });

  it('updates variables once', () => {
    const v = own(createVariable('v', Float32Array.of(1), [1]));
    const f = own(
      compile((x: tf.Tensor) => {
        const before = v.read();
        v.assign(tf.mul(tf.add(before, x), 2));
        return [before, v.read()];
      }),
    );
    const x = tf.tensor1d([3]);
    expect(f.profile(x).result.map((t) => t.dataSync()[0])).toEqual([1, 8]);
    expect([...v.data()]).toEqual([8]);
    expect(f(x).map((t) => t.dataSync()[0])).toEqual([8, 22]);
    const { timings } = f.profile(x);
    expect(timings.map((t) => t.op)).toEqual(expect.arrayContaining(['ReadVariable', 'AssignVariable']));
    expect([...v.data()]).toEqual([50]);
  });

  it('gives tensors of their own: arguments, constants, tensors from outside, one value twice', () => {
    const outside = tf.scalar(2);
    const f = own(
      compile((x: tf.Tensor) => {
        const y = tf.neg(x);
        return [x, x, y, y, outside, tf.scalar(7), tf.fill([3], 5), tf.zeros([0, 2])];
      }),
    );
    const x = tf.scalar(1);
    const results = f.profile(x).result;
    tf.dispose([x, outside, results[0]!, results[2]!]);
    expect([1, 3, 4, 5, 6].map((i) => [...results[i]!.dataSync()])).toEqual([[1], [-1], [2], [7], [5, 5, 5]]);
    expect(results[7]!.shape).toEqual([0, 2]);
  });

  it('frees everything but the result', () => {
    const f = own(
      compile((x: tf.Tensor) => {
        const [a, b] = tf.split(tf.exp(x), 2) as [tf.Tensor, tf.Tensor];
        return tf.matMul(a, b, false, true); // b is used twice, the other halves once
      }),
    );
    const x = normal('x', [4, 3]);
    tf.dispose(f.profile(x).result);
    const before = alive();
    const { result } = f.profile(x);
    expect(alive()).toEqual({ tensors: before.tensors + 1, handles: before.handles + 1 });
    result.dispose();
    expect(alive()).toEqual(before);
  });

  it('frees everything when an operation fails', () => {
    const f = own(
      compile(
        (x: tf.Tensor, at: tf.Tensor) => {
          const y = tf.exp(x);
          return [y, tf.gather(y, at as tf.Tensor1D), tf.fill([2], 1)];
        },
        { fusion: 'none' },
      ),
    );
    const [x, bad] = [tf.tensor1d([1, 2]), tf.tensor1d([5], 'int32')];
    expect(() => f.profile(x, bad)).toThrow(EngineError);
    const before = alive();
    expect(() => f.profile(x, bad)).toThrow(/indices\[0\] = 5 is not in/);
    expect(alive()).toEqual(before);
  });

  it('refuses what a call refuses', () => {
    const f = own(compile((x: tf.Tensor) => x.dataSync(), { fusion: 'none' }));
    expect(() => f.profile(tf.scalar(1))).toThrow(/is read at/);
    expect(() => f.profile(new Date() as never)).toThrow(/is a Date/);
  });
});

describe('opLabel', () => {
  const label = (contents: string, op = 'fused_0123'): string => opLabel({ op, contents });

  it('is the name of an operation', () => {
    expect(label('', 'MatMul')).toBe('MatMul');
  });

  it('names what is in a cluster, the rarest first, without what only changes shape or type', () => {
    expect(label('Cast Mul Mul Reshape Add Sqrt Mul Add')).toBe('fused Sqrt Add Mul (8)');
    expect(label('Cast Reshape Cast')).toBe('fused Reshape Cast (3)');
  });

  it('is short, whatever a cluster holds', () => {
    const names = Array.from({ length: 30 }, (_, i) => `Op${i}`);
    expect(label(names.join(' '))).toBe('fused Op0 Op1 Op2 Op3 Op4 Op5 Op6 … (30)');
  });
});

const timings: OpTiming[] = [
  {
    op: 'MatMul',
    contents: '',
    startUs: 0.5,
    durationUs: 20,
    bytes: 6000,
    flops: 4e6,
    outputs: ['float32[64, 512]'],
  },
  {
    op: 'fused_01',
    contents: 'Mul Tanh',
    startUs: 30,
    durationUs: 10.25,
    bytes: 500,
    flops: 0,
    outputs: ['float32[64]', 'float32[]'],
  },
  { op: 'Sum', contents: '', startUs: 50, durationUs: 1, bytes: 300, flops: 0, outputs: ['float32[]'] },
];

describe('chromeTrace', () => {
  it('has an event for each operation, in microseconds', () => {
    const { traceEvents } = JSON.parse(chromeTrace(timings)) as { traceEvents: unknown[] };
    expect(traceEvents).toHaveLength(3);
    expect(traceEvents[0]).toMatchObject({
      name: 'MatMul',
      ph: 'X',
      ts: 0.5,
      dur: 20,
      args: { outputs: 'float32[64, 512]', gigabytesPerSecond: 0.3, gigaflopsPerSecond: 200 },
    });
    expect(traceEvents[1]).toMatchObject({ name: 'fused Mul Tanh (2)', args: { contents: 'Mul Tanh' } });
  });
});

describe('xplaneTrace', () => {
  // Field numbers: tsl/profiler/protobuf/xplane.proto. Read by TensorBoard's plugin when this was written.
  const all = (message: Uint8Array, field: number): ProtoField[] =>
    [...readProto(message)].filter((f) => f.field === field);
  const one = (message: Uint8Array, field: number): ProtoField => {
    const [found] = all(message, field);
    if (!found) throw new Error(`no field ${field}`);
    return found;
  };
  const text = ({ bytes }: ProtoField): string => new TextDecoder().decode(bytes);
  const [plane] = all(xplaneTrace(timings), 1).map(({ bytes }) => bytes) as [Uint8Array];
  /** A map's entries, by key. */
  const table = (field: number, name: number): Map<number, string> =>
    new Map(
      all(plane, field).map(({ bytes }) => [one(bytes, 1).value, text(one(one(bytes, 2).bytes, name))]),
    );
  const names = table(4, 2);
  const statNames = table(5, 2);
  const line = one(plane, 3).bytes;
  const events = all(line, 4).map(({ bytes }) => ({
    name: names.get(one(bytes, 1).value),
    startPs: one(bytes, 2).value,
    durationPs: one(bytes, 3).value,
    stats: Object.fromEntries(
      all(bytes, 4).map(({ bytes: stat }) => {
        const [, value] = [...readProto(stat)] as [ProtoField, ProtoField];
        return [statNames.get(one(stat, 1).value), value.field === 5 ? text(value) : value.value];
      }),
    ),
  }));

  it("is a plane of the host's, with one line", () => {
    expect(text(one(plane, 2))).toBe('/host:CPU');
    expect(text(one(line, 2))).toBe('operations');
  });

  it('has the operations, named as the plugin counts them, in picoseconds', () => {
    expect(events.slice(1)).toEqual([
      {
        name: 'MatMul_float32_64_512:MatMul',
        startPs: 500_000,
        durationPs: 20_000_000,
        stats: { outputs: 'float32[64, 512]', bytes_accessed: 6000, flops: 4e6 },
      },
      {
        name: 'fused_Mul_Tanh_2_float32_64:Fused',
        startPs: 30_000_000,
        durationPs: 10_250_000,
        stats: { outputs: 'float32[64] float32[]', bytes_accessed: 500, contents: 'Mul Tanh' },
      },
      {
        name: 'Sum_float32:Sum',
        startPs: 50_000_000,
        durationPs: 1_000_000,
        stats: { outputs: 'float32[]', bytes_accessed: 300 },
      },
    ]);
    expect([...table(4, 4).values()]).toEqual(['step', 'MatMul', 'fused Mul Tanh (2)', 'Sum']);
  });

  it('puts them into one step, the root of all', () => {
    expect(events[0]).toEqual({
      name: 'step',
      startPs: 0,
      durationPs: 51_000_000,
      stats: { step_num: 1, _r: 1 },
    });
  });
});
