/** Operations in plain float64 arithmetic, written for clarity: what the engine's results are compared with. */

/** A dense row-major array. */
export interface NdArray {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** The array whose element at each index is `valueAt(index)`. */
export function ndArray(
  shape: readonly number[],
  valueAt: (index: readonly number[], position: number) => number,
): NdArray {
  const data = new Float64Array(shape.reduce((a, b) => a * b, 1));
  const index = shape.map(() => 0);
  for (let position = 0; position < data.length; position++) {
    data[position] = valueAt(index, position);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      if (index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
  return { shape, data };
}

/** The element at an index of a shape that `x` broadcasts to. */
export function at(x: NdArray, index: readonly number[]): number {
  const ahead = index.length - x.shape.length;
  let offset = 0;
  for (const [axis, extent] of x.shape.entries()) {
    const i = extent === 1 ? 0 : index[axis + ahead]!;
    offset = offset * extent + i;
  }
  return x.data[offset]!;
}

/** The shape that shapes broadcast to, last axes aligned. */
export function broadcastShape(...shapes: (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, axis) =>
    Math.max(...shapes.map((s) => s[axis - rank + s.length] ?? 1)),
  );
}

/** f of the broadcast inputs, element by element. */
export function elementwise(f: (...values: number[]) => number, ...inputs: NdArray[]): NdArray {
  return ndArray(broadcastShape(...inputs.map((x) => x.shape)), (index) =>
    f(...inputs.map((x) => at(x, index))),
  );
}

/** f of the elements along `axes`, which may be negative. */
export function reduce(
  x: NdArray,
  axes: readonly number[],
  keepDims: boolean,
  f: (values: number[]) => number,
): NdArray {
  const rank = x.shape.length;
  const reduced = new Set(axes.map((axis) => (axis + rank) % rank));
  const kept = x.shape.map((extent, axis) => (reduced.has(axis) ? 1 : extent));
  const groups = ndArray(kept, () => 0);
  const members = Array.from(groups.data, (): number[] => []);
  ndArray(x.shape, (index, position) => {
    let group = 0;
    for (const [axis, extent] of kept.entries()) group = group * extent + (extent === 1 ? 0 : index[axis]!);
    members[group]!.push(x.data[position]!);
    return 0;
  });
  const shape = keepDims ? kept : x.shape.filter((_, axis) => !reduced.has(axis));
  return { shape, data: Float64Array.from(members, f) };
}

export const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** x[…, i, j] exchanged to x[…, j, i], or by `order` as NumPy's transpose. */
export function transpose(x: NdArray, order: readonly number[]): NdArray {
  return ndArray(
    order.map((axis) => x.shape[axis]!),
    (index) => {
      const source: number[] = [];
      for (const [to, from] of order.entries()) source[from] = index[to]!;
      return at(x, source);
    },
  );
}

function swapLast(x: NdArray): NdArray {
  const axes = x.shape.map((_, axis) => axis);
  return transpose(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]);
}

/** The matrix products of a batch; batch axes broadcast. */
export function matMul(a: NdArray, b: NdArray, transposeA = false, transposeB = false): NdArray {
  const [x, y] = [transposeA ? swapLast(a) : a, transposeB ? swapLast(b) : b];
  const inner = x.shape.at(-1)!;
  const batch = broadcastShape(x.shape.slice(0, -2), y.shape.slice(0, -2));
  return ndArray([...batch, x.shape.at(-2)!, y.shape.at(-1)!], (index) => {
    const [outer, row, column] = [index.slice(0, -2), index.at(-2)!, index.at(-1)!];
    let total = 0;
    for (let k = 0; k < inner; k++) total += at(x, [...outer, row, k]) * at(y, [...outer, k, column]);
    return total;
  });
}

/** Along the last axis. */
export function softmax(x: NdArray): NdArray {
  const largest = reduce(x, [-1], true, (v) => Math.max(...v));
  const exponentials = elementwise((v, top) => Math.exp(v - top), x, largest);
  const totals = reduce(exponentials, [-1], true, sum);
  return elementwise((v, total) => v / total, exponentials, totals);
}

/** Output extent and padding before the first element, as TensorFlow has them for one axis. */
function window(extent: number, kernel: number, stride: number, pad: 'same' | 'valid'): [number, number] {
  if (pad === 'valid') return [Math.floor((extent - kernel) / stride) + 1, 0];
  const out = Math.ceil(extent / stride);
  return [out, Math.floor(Math.max((out - 1) * stride + kernel - extent, 0) / 2)];
}

/**
 * Convolution of [B, H, W, C].
 *
 * @param kernel [kh, kw, C, O]; depthwise [kh, kw, C, M], each channel giving M of its own
 */
export function conv2d(
  x: NdArray,
  kernel: NdArray,
  stride: number,
  pad: 'same' | 'valid',
  depthwise = false,
): NdArray {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const [kh, kw, , last] = kernel.shape as [number, number, number, number];
  const [outHeight, top] = window(height, kh, stride, pad);
  const [outWidth, left] = window(width, kw, stride, pad);
  return ndArray([batch, outHeight, outWidth, depthwise ? channels * last : last], ([b, i, j, o]) => {
    let total = 0;
    for (let di = 0; di < kh; di++) {
      for (let dj = 0; dj < kw; dj++) {
        const [row, column] = [i! * stride + di - top, j! * stride + dj - left];
        if (row < 0 || row >= height || column < 0 || column >= width) continue;
        const from = depthwise ? [Math.floor(o! / last)] : Array.from({ length: channels }, (_, c) => c);
        for (const c of from) {
          total += at(x, [b!, row, column, c]) * at(kernel, [di, dj, c, depthwise ? o! % last : o!]);
        }
      }
    }
    return total;
  });
}

/** Abramowitz and Stegun 7.1.5: the Maclaurin series of erf, exact to float64 for |x| < 4. */
export function erf(x: number): number {
  let term = x;
  let total = x;
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}

/** To the nearest integer, ties to the even one. */
export function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}
