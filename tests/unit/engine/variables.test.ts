import { describe, expect, it, vi } from 'vitest';
import { compile, createVariable, type Fusion, type Variable } from '../../../src/engine/index.js';
import { session } from '../../../src/engine/session.js';
import { EngineError, ShapeError } from '../../../src/errors.js';
import { tf } from '../../support/engine.js';
import { alive, leaveNothing } from '../../support/engine-scope.js';

const own = leaveNothing();

const float = (name: string, ...values: number[]): Variable =>
  own(createVariable(name, Float32Array.from(values), [values.length]));

describe('a variable', () => {
  it('keeps its own copy of its first values', () => {
    const values = Float32Array.of(1, 2, 3, 4, 5, 6);
    const shape = [2, 3];
    const v = own(createVariable('v', values, shape));
    values.fill(0);
    shape.pop();
    expect(v).toMatchObject({ name: 'v', shape: [2, 3], dtype: 'float32' });
    expect(v.data()).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
    v.data().fill(0);
    expect(v.data()).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
  });

  it('is read as a tensor that later assignments leave alone', () => {
    const v = float('v', 1, 2);
    const before = v.read();
    expect(before).toMatchObject({ shape: [2], dtype: 'float32' });
    v.assign(tf.tensor1d([3, 4]));
    v.load(Float32Array.of(5, 6));
    expect([...before.dataSync()]).toEqual([1, 2]);
    expect([...v.read().dataSync()]).toEqual([5, 6]);
  });

  it('takes a value that goes away', () => {
    const v = float('v', 1, 2);
    const value = tf.tensor1d([3, 4]);
    v.assign(value);
    value.dispose();
    expect([...v.data()]).toEqual([3, 4]);
  });

  it('holds integers, scalars and nothing at all', () => {
    const count = own(createVariable('count', Int32Array.of(-(2 ** 31)), []));
    expect(count).toMatchObject({ dtype: 'int32', shape: [] });
    expect(count.data()).toEqual(Int32Array.of(-(2 ** 31)));
    expect(count.read().dtype).toBe('int32');
    count.assign(tf.scalar(7, 'int32'));
    expect(count.data()).toEqual(Int32Array.of(7));
    const empty = own(createVariable('empty', new Float32Array(0), [0, 3]));
    expect(empty.data()).toEqual(new Float32Array(0));
    expect(empty.read().shape).toEqual([0, 3]);
  });

  it('shares nothing with another of its name', () => {
    const [a, b] = [float('v', 1), float('v', 2)];
    a.assign(tf.tensor1d([3]));
    expect([...a.data(), ...b.data()]).toEqual([3, 2]);
    a.dispose();
    expect([...b.data()]).toEqual([2]);
  });

  it('gives its memory back once', () => {
    const before = alive();
    const v = createVariable('v', new Float32Array(4), [2, 2]);
    expect(alive().handles).toBe(before.handles + 1);
    v.dispose();
    v.dispose();
    expect(alive()).toEqual(before);
  });

  it.each<[use: string, (v: Variable) => unknown]>([
    ['read', (v) => v.read()],
    ['assign', (v) => v.assign(tf.zeros([2]))],
    ['data', (v) => v.data()],
    ['load', (v) => v.load(new Float32Array(2))],
    ['a new program', (v) => own(compile(() => v.read(), { fusion: 'none' }))()],
  ])('says that it is gone: %s', (_, use) => {
    const v = float('weights', 1, 2);
    v.dispose();
    const before = alive();
    expect(() => tf.tidy(() => void use(v))).toThrow(EngineError);
    expect(() => tf.tidy(() => void use(v))).toThrow('variable weights was used after it was disposed');
    expect(alive()).toEqual(before);
  });

  it('says that it is gone to a program that used it before', () => {
    const v = float('weights', 1);
    const f = own(compile((x: tf.Tensor) => tf.add(v.read(), x), { fusion: 'none' }));
    f(tf.scalar(1));
    v.dispose();
    expect(() => f(tf.scalar(1))).toThrow('variable weights was used after it was disposed');
    expect(() => f.profile(tf.scalar(1))).toThrow('variable weights was used after it was disposed');
  });
});

describe('a value that does not fit', () => {
  it.each<[what: string, value: () => tf.Tensor, found: string]>([
    ['shape', () => tf.zeros([3]), 'float32[3]'],
    ['rank', () => tf.zeros([1, 2]), 'float32[1, 2]'],
    ['type', () => tf.zeros([2], 'int32'), 'int32[2]'],
    ['rank of a scalar', () => tf.scalar(1), 'float32[]'],
  ])('by its %s is refused, also within a compiled function', (_, value, found) => {
    const v = float('weights', 1, 2);
    const message = `variable weights is float32[2], but the value assigned to it is ${found}`;
    expect(() => v.assign(value())).toThrow(ShapeError);
    expect(() => v.assign(value())).toThrow(message);
    expect(() => own(compile(() => v.assign(value())))()).toThrow(message);
    expect([...v.data()]).toEqual([1, 2]);
  });

  it('is not loaded', () => {
    const v = float('weights', 1, 2);
    const message = 'variable weights has shape [2], 2 values, but was given 3';
    expect(() => v.load(new Float32Array(3))).toThrow(ShapeError);
    expect(() => v.load(new Float32Array(3))).toThrow(message);
    // As many bytes, but not numbers of this type.
    expect(() => v.load(Int32Array.of(1, 2))).toThrow(ShapeError);
    expect(() => v.load(Int32Array.of(1, 2))).toThrow(/variable weights is float32.* Int32Array/);
    expect([...v.data()]).toEqual([1, 2]);
    const count = own(createVariable('count', Int32Array.of(1), []));
    expect(() => count.load(Float32Array.of(1))).toThrow(/variable count is int32.* Float32Array/);
  });

  it('makes no variable', () => {
    const before = alive();
    expect(() => createVariable('weights', new Float32Array(3), [2])).toThrow(
      'variable weights has shape [2], 2 values, but was given 3',
    );
    expect(() => createVariable('weights', new Float64Array(2) as never, [2])).toThrow(/Float64Array/);
    expect(alive()).toEqual(before);
  });

  it('leaves nothing behind when TensorFlow refuses it', () => {
    const v = float('weights', 1, 2);
    const before = alive();
    const { binding } = session();
    const execute = vi.spyOn(binding, 'executeOp').mockImplementation(() => {
      throw new EngineError('refused');
    });
    try {
      expect(() => v.load(new Float32Array(2))).toThrow('refused');
    } finally {
      execute.mockRestore();
    }
    expect(alive()).toEqual(before);
  });
});

describe('within a compiled function', () => {
  it.each<Fusion>(['none', 'clusters', 'whole'])('(%s) variables live on from call to call', (fusion) => {
    const v = float('v', 1, 10);
    const count = own(createVariable('count', Int32Array.of(0), []));
    const step = own(
      compile(
        (x: tf.Tensor) => {
          count.assign(tf.add(count.read(), tf.scalar(1, 'int32')));
          v.assign(tf.tanh(tf.add(v.read(), x)));
        },
        { fusion },
      ),
    );
    const handles = alive().handles;
    let expected = [1, 10];
    for (const x of [0.5, -0.25, 1]) {
      tf.tidy(() => step(tf.scalar(x)));
      expected = expected.map((e) => Math.tanh(e + x));
    }
    expect(count.data()).toEqual(Int32Array.of(3));
    for (const [i, value] of v.data().entries()) expect(value).toBeCloseTo(expected[i]!, 5);
    expect(alive().handles).toBe(handles);
  });

  it('a read sees the assignment before it, whatever was read before', () => {
    const v = float('v', 1);
    const f = own(
      compile(
        () => {
          const first = v.read();
          v.assign(tf.mul(first, 2));
          const second = v.read();
          v.assign(tf.mul(tf.add(first, v.read()), 10));
          return [first, second, v.read()];
        },
        { fusion: 'none' },
      ),
    );
    expect(f().map((t) => t.dataSync()[0])).toEqual([1, 2, 30]);
    expect([...v.data()]).toEqual([30]);
    expect(f().map((t) => t.dataSync()[0])).toEqual([30, 60, 900]);
  });

  it('two may change places', () => {
    const [a, b] = [float('a', 1), float('b', 2)];
    const swap = own(
      compile(() => {
        const [x, y] = [a.read(), b.read()];
        a.assign(y);
        b.assign(x);
      }),
    );
    swap();
    expect([...a.data(), ...b.data()]).toEqual([2, 1]);
    swap();
    expect([...a.data(), ...b.data()]).toEqual([1, 2]);
  });

  it('an argument, a constant and a tensor from outside may be assigned as they are', () => {
    const [a, b, c] = [float('a', 0), float('b', 0), float('c', 0)];
    const outside = tf.tensor1d([3]);
    const f = own(
      compile((x: tf.Tensor) => {
        a.assign(x);
        b.assign(tf.tensor1d([2]));
        c.assign(outside);
        return c.read();
      }),
    );
    const x = tf.tensor1d([1]);
    const result = f(x);
    tf.dispose([x, outside]);
    expect([...a.data(), ...b.data(), ...c.data(), ...result.dataSync()]).toEqual([1, 2, 3, 3]);
    // The results are not the variables' memory.
    c.assign(tf.tensor1d([4]));
    expect([...result.dataSync()]).toEqual([3]);
  });

  it('a result is the value at the call, not at later ones', () => {
    const v = float('v', 1);
    const f = own(
      compile(() => {
        const before = v.read();
        v.assign(tf.add(before, 1));
        return before;
      }),
    );
    const results = [f(), f(), f()];
    expect(results.map((t) => t.dataSync()[0])).toEqual([1, 2, 3]);
  });

  it('functions share a variable with one another and with what runs outside', () => {
    const v = float('v', 1);
    const double = own(compile(() => v.assign(tf.mul(v.read(), 2))));
    const add = own(compile((x: tf.Tensor) => v.assign(tf.add(v.read(), x))));
    double();
    add(tf.scalar(3));
    v.assign(tf.add(v.read(), 10));
    double();
    expect([...v.data()]).toEqual([30]);
  });

  it('a variable is differentiated for through what was read', () => {
    const w = float('w', 2);
    const f = own(
      compile((x: tf.Tensor) => tf.grad((value) => tf.sum(tf.mul(tf.square(value), x)))(w.read())),
    );
    expect(f(tf.scalar(3)).dataSync()[0]).toBe(12);
  });

  it('values from the host are refused: they would be loaded once', () => {
    const v = float('weights', 1);
    const message =
      /variable weights is (loaded|read) at .*variables\.test\.ts:\d+.*inside a compiled function/s;
    expect(() => own(compile(() => v.load(Float32Array.of(2))))()).toThrow(message);
    expect(() => own(compile(() => v.data()[0]))()).toThrow(message);
    expect([...v.data()]).toEqual([1]);
  });
});
