import { describe, expect, it } from 'vitest';
import {
  chromeTrace,
  compile,
  createVariable,
  type OpTiming,
  opLabel,
  xplaneTrace,
} from '../../../src/engine/index.js';
import { type ProtoField, readProto } from '../../../src/engine/proto.js';
import { tf } from '../../support/engine.js';

describe('profile', () => {
  it('gives the results of a call and what each operation did, and updates variables', () => {
    const before = tf.memory().numTensors;
    const total = createVariable('total', Float32Array.of(1), []);
    const layer = compile((x: tf.Tensor, w: tf.Tensor) => {
      const y = tf.tanh(tf.add(tf.matMul(x, w), 1));
      total.assign(tf.add(total.read(), tf.sum(y)));
      return { y, x };
    });
    const [x, w] = [tf.ones([4, 8]), tf.fill([8, 16], 0.1)];
    const { result, timings } = layer.profile(x, w);
    for (const value of result.y.dataSync()) expect(value).toBeCloseTo(Math.tanh(1.8), 6);
    expect(result.y.shape).toEqual([4, 16]);
    expect([...result.x.dataSync()]).toEqual([...x.dataSync()]);
    expect(total.data()[0]).toBeCloseTo(1 + 64 * Math.tanh(1.8), 3);

    const product = timings.find(({ op }) => op === 'MatMul');
    expect(product).toMatchObject({ contents: '', flops: 2 * 4 * 8 * 16, outputs: ['float32[4, 16]'] });
    expect(product?.bytes).toBe(4 * (4 * 8 + 8 * 16 + 4 * 16));
    const cluster = timings.find(({ contents }) => contents !== '');
    expect(cluster?.contents.split(' ')).toEqual(expect.arrayContaining(['Tanh', 'Sum']));
    expect(cluster?.outputs[0], 'the largest first').toBe('float32[4, 16]');
    expect(timings.map(({ op }) => op)).toEqual(expect.arrayContaining(['ReadVariable', 'AssignVariable']));
    for (const [i, { startUs, durationUs }] of timings.entries()) {
      expect(durationUs).toBeGreaterThan(0);
      const last = timings[i - 1];
      if (last) expect(startUs).toBeGreaterThanOrEqual(last.startUs + last.durationUs);
    }
    tf.dispose([result, x, w]);
    layer.dispose();
    total.dispose();
    expect(tf.memory().numTensors).toBe(before);
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
