import { describe, expect, it, vi } from 'vitest';
import { DType } from '../../../src/engine/dtypes.js';
import { Emitter } from '../../../src/engine/emit.js';
import { compile, createVariable, type Fusion, uint8Tensor } from '../../../src/engine/index.js';
import { session } from '../../../src/engine/session.js';
import { EngineError } from '../../../src/errors.js';
import { tf } from '../../support/engine.js';
import { alive, leaveNothing, nextLine } from '../../support/engine-scope.js';
import { expectClose, numbers } from '../../support/gradients.js';

const own = leaveNothing();

/** Compiled for TensorFlow's kernels, which is quick. */
const quick = <A extends unknown[], R>(fn: (...args: A) => R, name?: string) =>
  own(compile(fn, { fusion: 'none', ...(name === undefined ? {} : { name }) }));

const normal = (key: string, shape: number[]): tf.Tensor =>
  tf.tensor(numbers(tf.util.sizeFromShape(shape), `compile ${key}`), shape);

/** What `fn` throws; `undefined` if it does not. */
function thrown(fn: () => unknown): unknown {
  try {
    fn();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('a compiled function', () => {
  it.each<Fusion>(['none', 'clusters', 'whole'])('(%s) gives what it gives eagerly', (fusion) => {
    const layer = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) => {
      const loss = (...[v, c]: tf.Tensor[]): tf.Scalar =>
        tf.mean(tf.square(tf.softmax(tf.add(tf.matMul(x, v!), c!))));
      return tf.valueAndGrads(loss)([w, b]);
    };
    const inputs = [normal('x', [4, 3]), normal('w', [3, 5]), normal('b', [5])] as const;
    const { value, grads } = own(compile(layer, { fusion }))(...inputs);
    const eager = layer(...inputs);
    expect(value.shape).toEqual([]);
    expectClose(value.dataSync(), eager.value.dataSync(), 1e-6, 'value');
    for (const [i, grad] of grads.entries()) {
      expect(grad.shape).toEqual(eager.grads[i]!.shape);
      expectClose(grad.dataSync(), eager.grads[i]!.dataSync(), 1e-6, `gradient ${i}`);
    }
  });

  it('takes and gives nested trees', () => {
    const f = quick(({ pair: [a, b], factor }: { pair: [tf.Tensor, tf.Tensor]; factor: number }) => ({
      sum: tf.add(a, b),
      list: [tf.mul(a, factor), { deep: b, note: 'b', flag: true, nothing: null, missing: undefined }],
      count: 2,
    }));
    const result = f({ pair: [tf.scalar(1), tf.scalar(2)], factor: 3 });
    const [scaled, rest] = result.list as [tf.Tensor, { deep: tf.Tensor }];
    expect([result.sum, scaled, rest.deep].map((t) => t.dataSync()[0])).toEqual([3, 3, 2]);
    expect(rest).toMatchObject({ note: 'b', flag: true, nothing: null, missing: undefined });
    expect(result.count).toBe(2);
  });

  it('needs neither arguments nor results', () => {
    const counter = own(createVariable('counter', Int32Array.of(0), []));
    const step = quick(() => counter.assign(tf.add(counter.read(), tf.scalar(1, 'int32'))));
    expect(step()).toBeUndefined();
    step();
    expect([...counter.data()]).toEqual([2]);
    expect(quick(() => 'text')()).toBe('text');
    expect(quick(() => tf.scalar(4))().dataSync()[0]).toBe(4);
  });

  it('gives its arguments, one value twice, and tensors from outside as tensors of their own', () => {
    const [x, outside] = [tf.scalar(1), tf.scalar(2)];
    const f = quick((v: tf.Tensor) => {
      const negated = tf.neg(v);
      return [v, v, negated, negated, outside];
    });
    const results = f(x);
    expect(new Set([...results, x, outside].map((t) => t.dataId)).size).toBe(7);
    tf.dispose([x, outside, results[0]!, results[2]!]);
    expect([1, 3, 4].map((i) => results[i]!.dataSync()[0])).toEqual([1, -1, 2]);
  });

  it('is a part of the function that calls it, and so may be compiled there', () => {
    const inner = quick((x: tf.Tensor) => tf.square(x));
    const outer = quick((x: tf.Tensor) => {
      const onTheSpot = compile((y: tf.Tensor) => tf.add(y, 1));
      return tf.grad((y) => onTheSpot(inner(y)))(x);
    });
    expect(outer(tf.scalar(3)).dataSync()[0]).toBe(6);
    expect(inner.stats()).toEqual([]);
  });

  it('may have a name that TensorFlow would not take', () => {
    for (const name of ['_private', '$', '9', 'größe', 'a b/c', '']) {
      expect(quick((x: tf.Tensor) => tf.neg(x), name)(tf.scalar(1)).dataSync()[0]).toBe(-1);
    }
  });

  it('is a constant to gradients taken outside', () => {
    const f = quick((x: tf.Tensor) => tf.grad((y) => tf.square(y))(x));
    const c = tf.scalar(3);
    expect(
      tf
        .grad((x) => tf.mul(tf.square(x), f(c)))(tf.scalar(5))
        .dataSync()[0],
    ).toBe(60);
    expect(() => tf.grad((x) => f(x))(tf.scalar(3))).toThrow(/Cannot compute gradient/);
    expect(f(c).dataSync()[0]).toBe(6);
  });
});

describe('a signature', () => {
  const plain = [
    ...[
      NaN,
      Infinity,
      -Infinity,
      0,
      -0,
      1,
      1.5,
      '1',
      'NaN',
      '',
      'a,b',
      true,
      'true',
      null,
      'null',
      undefined,
    ],
    ...['undefined', [], [1], ['1'], [[1]], [1, 2], [[1], 2], {}, { a: 1 }, { b: 1 }, { a: { a: 1 } }],
  ];

  it('tells plain values apart', () => {
    const seen: unknown[] = [];
    const f = quick((value: unknown) => {
      seen.push(value);
      return value;
    });
    for (const value of [...plain, ...plain]) expect(f(value)).toStrictEqual(value);
    expect(seen).toStrictEqual(plain);
    expect(f.stats().map((s) => s.calls)).toEqual(plain.map(() => 2));
    expect(new Set(f.stats().map((s) => s.signature)).size).toBe(plain.length);
  });

  it('tells shapes, types and the number of arguments apart', () => {
    const seen: string[] = [];
    const f = quick((...args: tf.Tensor[]) => {
      seen.push(args.map((t) => `${t.dtype}[${t.shape.join()}]`).join(' '));
      return args.length;
    });
    const bytes = (): tf.Tensor => uint8Tensor(Uint8Array.of(1, 2), [2]);
    const calls = [
      () => f(tf.ones([2])),
      () => f(tf.ones([2, 1])),
      () => f(tf.ones([2], 'int32')),
      () => f(tf.ones([2], 'bool')),
      () => f(bytes()), // int32 to tfjs
      () => f(tf.ones([2]), tf.ones([2])),
      () => f(),
    ];
    for (const call of [...calls, ...calls]) call();
    expect(seen).toEqual([
      'float32[2]',
      'float32[2,1]',
      'int32[2]',
      'bool[2]',
      'int32[2]',
      'float32[2] float32[2]',
      '',
    ]);
    expect(f.stats().every((s) => s.calls === 2)).toBe(true);
  });
});

describe('a tensor from outside', () => {
  it('is an input that keeps its value until dispose()', () => {
    const outside = tf.tensor1d([1, 2]);
    const f = quick((x: tf.Tensor) => tf.add(tf.mul(x, outside), outside));
    const first = f(tf.scalar(1));
    const held = alive();
    outside.dispose();
    // The program holds the handle; only the tensor is gone.
    expect(alive()).toEqual({ tensors: held.tensors - 1, handles: held.handles });
    expect([...first.dataSync()]).toEqual([2, 4]);
    expect([...f(tf.scalar(2)).dataSync()]).toEqual([3, 6]);
    const before = alive();
    f.dispose();
    expect(alive()).toEqual({ tensors: before.tensors - 1, handles: before.handles - 1 });
  });

  it('is held by each program that was recorded with it', () => {
    let outside = tf.scalar(1);
    const f = quick((x: tf.Tensor) => tf.add(x, outside));
    const [one, two] = [tf.zeros([1]), tf.zeros([2])];
    f(one);
    outside = tf.scalar(5);
    f(two);
    expect(f(one).dataSync()[0]).toBe(1);
    expect(f(two).dataSync()[0]).toBe(5);
  });

  it('may be a tf.Variable, whose value at the recording counts', () => {
    const variable = own(tf.variable(tf.scalar(1)));
    const f = quick((x: tf.Tensor) => tf.add(x, variable));
    f(tf.scalar(0));
    variable.assign(tf.scalar(7));
    expect(f(tf.scalar(0)).dataSync()[0]).toBe(1);
  });

  it('may be of any type that a function takes', () => {
    const outside = [tf.scalar(3, 'int32'), tf.scalar(true), uint8Tensor(Uint8Array.of(200), [])];
    const f = quick(() => outside.map((t) => tf.cast(t, 'float32')));
    expect(f().map((t) => t.dataSync()[0])).toEqual([3, 1, 200]);
    const text = tf.scalar('text');
    expect(() => quick(() => tf.reshape(text, [1]))()).toThrow(EngineError);
  });

  it('may not be one that another recording made', () => {
    let kept: tf.Tensor | undefined;
    const f = quick((x: tf.Tensor) => {
      kept ??= tf.keep(tf.scalar(2));
      return tf.mul(x, kept);
    });
    expect(f(tf.scalar(3)).dataSync()[0]).toBe(6);
    expect(() => f(tf.ones([2]))).toThrow(EngineError);
    expect(() => f(tf.ones([2]))).toThrow(/recorded .* at .*compile\.test\.ts:\d+/);
    // Nor does disposing of it reach into a later recording.
    const g = quick((x: tf.Tensor) => {
      const [a, b] = [tf.neg(x), tf.exp(x)];
      kept!.dispose();
      return tf.add(a, b);
    });
    expect(g(tf.scalar(0)).dataSync()[0]).toBe(1);
  });
});

describe('reading a value', () => {
  it.each<[name: string, read: (x: tf.Tensor) => unknown]>([
    ['dataSync', (x) => x.dataSync()],
    ['arraySync', (x) => x.arraySync()],
    ['bufferSync', (x) => x.bufferSync()],
    ['toString', (x) => String(x)],
    ['tf.print', (x) => tf.print(x)],
  ])('by %s is an error that names operation, shape and line', (_, read) => {
    const f = quick((x: tf.Tensor) => read(tf.sum(x, 1)));
    const error = thrown(() => f(tf.ones([2, 3])));
    expect(error).toBeInstanceOf(EngineError);
    expect((error as EngineError).message).toMatch(
      /^The value of the result of Sum \(shape \[2\]\) is read at .*compile\.test\.ts:\d+:\d+\)?, inside a compiled/,
    );
  });

  it('names the very line', () => {
    let line = '';
    const f = quick((x: tf.Tensor) => {
      line = nextLine();
      tf.print(tf.exp(x));
    });
    expect((thrown(() => f(tf.ones([2]))) as Error).message).toContain(line);
  });

  it('finds the line under deep recursion', () => {
    let line = '';
    const nested = (x: tf.Tensor, depth: number): unknown => {
      if (depth > 0) return tf.tidy(() => nested(x, depth - 1) as tf.Tensor);
      line = nextLine();
      return x.dataSync();
    };
    const f = quick((x: tf.Tensor) => nested(tf.exp(x), 20));
    expect((thrown(() => f(tf.ones([2]))) as Error).message).toContain(line);
  });

  it.each<[name: string, read: (x: tf.Tensor) => Promise<unknown>]>([
    ['data', (x) => x.data()],
    ['array', (x) => x.array()],
    ['tf.whereAsync', (x) => tf.whereAsync(tf.greater(x, 0))],
    ['tf.booleanMaskAsync', (x) => tf.booleanMaskAsync(x, tf.greater(x, 0))],
  ])('by %s rejects with the same', async (_, read) => {
    let promise: Promise<unknown> | undefined;
    const f = quick((x: tf.Tensor) => {
      promise = read(tf.exp(x));
    });
    f(tf.ones([2]));
    await expect(promise).rejects.toThrow(EngineError);
    await expect(promise).rejects.toThrow(/\(shape \[2\]\) is read at .*compile\.test\.ts:\d+/);
  });

  it('of an argument or a variable is refused as well', () => {
    const v = own(createVariable('v', Float32Array.of(1), []));
    expect(() => quick((x: tf.Tensor) => x.dataSync())(tf.scalar(1))).toThrow(
      /value of an input \(shape \[\]\)/,
    );
    expect(() => quick(() => v.read().dataSync())()).toThrow(/value of an input/);
    expect(() => quick(() => v.data())()).toThrow(/variable v is read at .*compile\.test\.ts:\d+/);
  });
});

describe('what is refused', () => {
  it('shapes that do not fit, with the operation and the very line', () => {
    let line = '';
    const f = quick((x: tf.Tensor) => {
      line = nextLine();
      return tf.add(tf.exp(x), tf.ones([4]));
    });
    const { message } = thrown(() => f(tf.ones([2, 3]))) as EngineError;
    expect(message).toContain(line);
    expect(message).toMatch(/^At .*, inside a compiled function: recording Add\w*: /);
  });

  it('an async function, whose promise is taken care of', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    try {
      const reads = quick(async (x: tf.Tensor) => (await x.data())[0], 'reads');
      expect(() => reads(tf.scalar(1))).toThrow(EngineError);
      expect(() => reads(tf.scalar(1))).toThrow(/^reads is an async function/);
      const later = quick(async (x: tf.Tensor) => {
        await null;
        return tf.neg(x);
      });
      expect(() => later(tf.scalar(1))).toThrow(/is an async function/);
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect(unhandled).not.toHaveBeenCalled();
    } finally {
      process.off('unhandledRejection', unhandled);
    }
  });

  it.each<[path: string, args: unknown[], what: string]>([
    ['args[0]', [new Date()], 'a Date'],
    ['args[1]', [1, () => 0], 'a function'],
    ['args[0].batch[1].images', [{ batch: [1, { images: Float32Array.of(1) }] }], 'a Float32Array'],
    ['args[0][0]', [[new Map()]], 'a Map'],
    ['args[0]', [1n], 'a bigint'],
    ['args[0]', [Symbol('s')], 'a symbol'],
    ['args[0]', [Object.create(Object.create(null))], 'an object'],
  ])('an argument at %s that is no tree of tensors', (path, args, what) => {
    const f = quick((..._: unknown[]) => 0, 'step');
    const error = thrown(() => f(...args));
    expect(error).toBeInstanceOf(EngineError);
    expect((error as Error).message).toContain(`argument of step: ${path} is ${what};`);
  });

  it('such a result', () => {
    const f = quick((x: tf.Tensor) => ({ x, values: [new Set([1])] }), 'step');
    expect(() => f(tf.scalar(1))).toThrow(/^result of step\.values\[0\] is a Set;/);
  });

  it('a tensor that was disposed of', () => {
    const f = quick((x: tf.Tensor) => tf.neg(x), 'step');
    const gone = tf.scalar(1);
    f(gone);
    gone.dispose();
    const error = thrown(() => f(gone));
    expect(error).toBeInstanceOf(EngineError);
    expect((error as Error).message).toMatch(/argument of step: args\[0\] .*disposed of/);
    expect(() => quick(() => tf.neg(gone))()).toThrow(EngineError);
    expect(() =>
      quick((x: tf.Tensor) => {
        const y = tf.neg(x);
        y.dispose();
        return y;
      }, 'step')(tf.scalar(1)),
    ).toThrow(/result of step .*disposed of/);
  });

  it('the assignment of a tf.Variable, but only while recording', () => {
    const variable = own(tf.variable(tf.scalar(1), true, 'weights'));
    const { assign } = tf.Variable.prototype;
    let line = '';
    const f = quick((x: tf.Tensor) => {
      line = nextLine();
      variable.assign(x as tf.Scalar);
    });
    const error = thrown(() => f(tf.scalar(2)));
    expect(error).toBeInstanceOf(EngineError);
    expect((error as Error).message).toMatch(/^tf\.Variable weights is assigned at .*createVariable\(\)/);
    expect((error as Error).message).toContain(line);
    expect(tf.Variable.prototype.assign).toBe(assign);
    quick((x: tf.Tensor) => tf.neg(x))(tf.scalar(1));
    expect(tf.Variable.prototype.assign).toBe(assign);
    variable.assign(tf.scalar(3));
    expect(variable.dataSync()[0]).toBe(3);
  });

  it('a shape that depends on values', () => {
    let line = '';
    const f = quick((x: tf.Tensor) => {
      line = nextLine();
      return tf.unique(x);
    });
    const error = thrown(() => f(tf.ones([4])));
    expect(error).toBeInstanceOf(EngineError);
    expect((error as Error).message).toMatch(/^Unique\w* \(at .*\) has a shape that depends on values/);
    expect((error as Error).message).toContain(line);
  });

  it('whatever of a compiled function would run within another', async () => {
    const inner = quick((x: tf.Tensor) => tf.neg(x), 'inner');
    const x = tf.scalar(1);
    expect(() => quick(() => inner.prepare(x))()).toThrow(/^inner\.prepare was called inside a compiled/);
    expect(() => quick(() => inner.profile(x).result)()).toThrow(/^inner\.profile was called inside/);
    let promise: Promise<unknown> | undefined;
    quick(() => {
      promise = inner.async(x);
    })();
    await expect(promise).rejects.toThrow(/^inner\.async was called inside a compiled function; call inner/);
  });
});

describe('a function that fails', () => {
  const outside = (): tf.Tensor => tf.ones([2]);
  it.each<[how: string, fail: (x: tf.Tensor) => unknown, message: RegExp]>([
    [
      'by itself',
      () => {
        throw new TypeError('mine');
      },
      /^mine$/,
    ],
    ['in tfjs', (x) => tf.matMul(x as tf.Tensor2D, tf.ones([7, 7])), /./],
    ['by reading', (x) => x.dataSync(), /is read at/],
    ['in its result', (x) => [x, new Date()], /is a Date/],
    ['within a gradient', (x) => tf.grad((y) => tf.tensor(y.dataSync()))(x), /is read at/],
  ])('%s leaves no recording and no tensor', (_, fail, message) => {
    const tensor = outside();
    const x = tf.ones([2]);
    const v = own(createVariable('v', Float32Array.of(0, 0), [2]));
    const f = quick((y: tf.Tensor) => {
      const sum = tf.add(tf.add(y, tensor), v.read());
      v.assign(sum);
      return fail(tf.reshape(sum, [2]));
    });
    tf.dispose(quick((y: tf.Tensor) => tf.neg(y))(x)); // uploads x
    const before = alive();
    expect(() => f(x)).toThrow(message);
    expect(alive()).toEqual(before);
    expect(session().recording).toBeUndefined();
    expect(f.stats()).toEqual([]);
    expect([...v.data()]).toEqual([0, 0]);
    const works = quick((y: tf.Tensor) => tf.add(y, tensor));
    expect([...works(x).dataSync()]).toEqual([2, 2]);
  });

  it('because TensorFlow refuses its program lets go of what it captured', () => {
    const outside = tf.ones([2]);
    const x = tf.ones([2]);
    const f = quick((y: tf.Tensor) => tf.add(y, outside));
    const before = alive();
    const emit = vi.spyOn(Emitter.prototype, 'emit').mockImplementation(() => {
      throw new EngineError('refused');
    });
    expect(() => f.prepare(x)).toThrow('refused');
    emit.mockRestore();
    expect(alive().tensors).toBe(before.tensors);
    expect([...f(x).dataSync()]).toEqual([2, 2]);
  });

  it('when it runs leaves its program, which may succeed later', () => {
    const f = quick((x: tf.Tensor, at: tf.Tensor) => tf.gather(x, at as tf.Tensor1D), 'pick');
    const x = tf.tensor1d([1, 2]);
    const [good, bad] = [tf.tensor1d([1], 'int32'), tf.tensor1d([2], 'int32')];
    f(x, good);
    const error = () => {
      f(x, bad); // uploads bad, at the first call
    };
    expect(error).toThrow(EngineError);
    const before = alive();
    expect(error).toThrow(/indices\[0\] = 2 is not in \[0, 2\)/);
    expect(alive()).toEqual(before);
    expect([...f(x, good).dataSync()]).toEqual([2]);
    expect(f.stats().map((s) => s.calls)).toEqual([2]);
  });
});

describe('dispose()', () => {
  it('may be called twice, and the function after it', () => {
    const outside = tf.scalar(1);
    const traced = vi.fn((x: tf.Tensor) => tf.add(x, outside));
    const f = quick(traced as (x: tf.Tensor) => tf.Tensor);
    const x = tf.scalar(1);
    tf.dispose(f(x));
    f.dispose();
    f.dispose();
    expect(f.stats()).toEqual([]);
    expect(f(x).dataSync()[0]).toBe(2);
    expect(traced).toHaveBeenCalledTimes(2);
  });

  it('leaves alone what other functions share', () => {
    const layer = (x: tf.Tensor): tf.Tensor => tf.tanh(tf.add(tf.mul(x, 2), 1));
    const [f, g] = [own(compile(layer)), own(compile(layer))];
    const x = tf.scalar(0);
    f(x);
    g(x);
    f.dispose();
    expect(g(x).dataSync()[0]).toBeCloseTo(Math.tanh(1), 6);
  });
});

describe('stats() and prepare()', () => {
  it('say what a program consists of', () => {
    const f = own(
      compile((x: tf.Tensor, w: tf.Tensor) => {
        const h = tf.tanh(tf.add(tf.matMul(x, w), 1));
        tf.exp(h); // not needed
        return tf.tanh(tf.add(tf.matMul(h, w), 1));
      }),
    );
    expect(f.stats()).toEqual([]);
    const inputs = [normal('x', [2, 2]), normal('w', [2, 2])] as const;
    f.prepare(...inputs);
    f.prepare(...inputs);
    const prepared = f.stats()[0]!;
    expect(f.stats()).toHaveLength(1);
    expect(prepared).toMatchObject({ clusters: 2, distinctClusters: 1, calls: 0, firstCallMs: undefined });
    expect(prepared.signature).toContain('Tfloat32[2,2]');
    // Two products, two sums, two tanh and what is not needed; two products and two clusters.
    expect(prepared.recordedOps).toBeGreaterThanOrEqual(7);
    expect(prepared.executedOps).toBe(4);
    expect(prepared.recordMs).toBeGreaterThan(0);
    expect(prepared.buildMs).toBeGreaterThan(0);
    f(...inputs);
    const { firstCallMs } = f.stats()[0]!;
    expect(firstCallMs).toBeGreaterThan(0);
    f(...inputs);
    expect(f.stats()).toHaveLength(1);
    expect(f.stats()[0]).toMatchObject({ calls: 2, firstCallMs });
  });

  it('prepare() runs nothing', () => {
    const v = own(createVariable('v', Float32Array.of(1), []));
    const f = quick(() => v.assign(tf.add(v.read(), 1)));
    f.prepare();
    expect([...v.data()]).toEqual([1]);
    f();
    expect([...v.data()]).toEqual([2]);
  });
});

describe('uint8Tensor', () => {
  it.each<Fusion>(['none', 'clusters', 'whole'])('(%s) is cast on the device', (fusion) => {
    const scaled = own(compile((x: tf.Tensor) => tf.div(tf.cast(x, 'float32'), 255), { fusion }));
    const bytes = uint8Tensor(Uint8Array.of(0, 51, 102, 255), [2, 2]);
    expect(bytes).toMatchObject({ dtype: 'int32', shape: [2, 2] });
    expectClose(scaled(bytes).dataSync(), [0, 0.2, 0.4, 1], 1e-7, 'scaled');
    expect([...bytes.dataSync()]).toEqual([0, 51, 102, 255]);
  });

  it.each<Fusion | 'eager'>(['eager', 'none', 'clusters', 'whole'])('(%s) counts as int32', (fusion) => {
    const u = uint8Tensor(Uint8Array.of(200, 200, 100), [3]);
    const int = tf.tensor1d([1000, -1, 2], 'int32');
    const compute = (x: tf.Tensor): tf.Tensor[] => [
      tf.sum(x),
      tf.add(x, x),
      tf.sub(int, x),
      tf.mul(tf.neg(x), x),
      tf.mean(x),
      tf.concat([x as tf.Tensor1D, int]),
      tf.stack([x, x]),
      tf.where(tf.greater(x, 150), x, int),
      tf.pad(x as tf.Tensor1D, [[1, 0]], -1),
      tf.gather(tf.range(0, 300, 1, 'int32'), x),
      tf.maximum(tf.reshape(tf.slice(x, 1, 2), [2, 1]), 150),
      tf.cumsum(tf.reverse(x)),
      tf.oneHot(tf.sub(x, tf.scalar(100, 'int32')), 2),
      tf.matMul(tf.reshape(x, [1, 3]), tf.reshape(tf.cast(int, 'float32'), [3, 1])),
    ];
    const run = fusion === 'eager' ? compute : own(compile(compute, { fusion }));
    run(u); // keeps the tensor that it captures
    const before = tf.memory().numTensors;
    const results = run(u);
    expect(results.map((t) => [...t.dataSync()])).toEqual([
      [500],
      [400, 400, 200],
      [800, -201, -98],
      [-40_000, -40_000, -10_000],
      [expect.closeTo(500 / 3, 4)],
      [200, 200, 100, 1000, -1, 2],
      [200, 200, 100, 200, 200, 100],
      [200, 200, 2],
      [-1, 200, 200, 100],
      [200, 200, 100],
      [200, 150],
      [100, 300, 500],
      [0, 0, 0, 0, 1, 0],
      [200_000],
    ]);
    if (fusion !== 'eager') expect(tf.memory().numTensors - before).toBe(results.length);
  });

  it('may be assigned to an int32 variable', () => {
    const v = own(createVariable('v', Int32Array.of(0, 0), [2]));
    const u = uint8Tensor(Uint8Array.of(200, 7), [2]);
    v.assign(u);
    expect([...v.data()]).toEqual([200, 7]);
    quick((x: tf.Tensor) => v.assign(tf.reverse(x)))(u);
    expect([...v.data()]).toEqual([7, 200]);
  });

  it('stays a byte an element up to its cast', () => {
    const { native, binding } = session();
    const moved = (x: tf.Tensor): tf.Tensor => tf.transpose(tf.reshape(x, [2, 2]));
    const u = uint8Tensor(Uint8Array.of(1, 2, 3, 4), [4]);
    for (const f of [moved, quick(moved)]) {
      const [id] = session().handleIds([f(u)]);
      expect(native.handleDataType(binding.handle(id as number))).toBe(DType.uint8);
    }
  });

  it('is a constant within a compiled function', () => {
    const f = quick(() => tf.cast(uint8Tensor(Uint8Array.of(3, 200), [2]), 'float32'));
    expect([...f().dataSync()]).toEqual([3, 200]);
  });

  it('refuses a shape of another size', () => {
    expect(() => uint8Tensor(Uint8Array.of(1, 2, 3), [2])).toThrow(/shape \[2\] needs 2 bytes, .* have 3/);
  });
});
