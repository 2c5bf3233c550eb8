/** State that compiled functions update in place: parameters, optimizer moments, counters. */
import type * as tf from '@tensorflow/tfjs';
import { EngineError, ShapeError } from '../errors.js';
import { AttrKind } from './binding.js';
import { DType, sizeOf } from './dtypes.js';
import { callerLine } from './recorder.js';
import { type EngineSession, session } from './session.js';

let nextVariable = 0;

/**
 * A tensor with an identity, held by the device. Read and assigned inside a compiled function it is
 * updated in place; outside, each read makes an ordinary tensor.
 */
export class Variable {
  private handleId: number | undefined;

  /** Use {@link createVariable}. */
  constructor(
    private readonly owner: EngineSession,
    readonly name: string,
    readonly shape: readonly number[],
    readonly dtype: 'float32' | 'int32',
  ) {
    const { binding } = owner;
    const [handle] = binding.executeOp(
      'VarHandleOp',
      [
        { name: 'dtype', type: AttrKind.type, value: this.tfType },
        { name: 'shape', type: AttrKind.shape, value: [...shape] },
        { name: 'shared_name', type: AttrKind.string, value: `capstan/${nextVariable++}/${name}` },
      ],
      [],
      1,
    );
    this.handleId = (handle as { id: number }).id;
  }

  /** TensorFlow's number of the element type. */
  get tfType(): number {
    return this.dtype === 'float32' ? DType.float32 : DType.int32;
  }

  /** The id of the native resource handle. @throws EngineError after `dispose()`. */
  get handle(): number {
    if (this.handleId === undefined)
      throw new EngineError(`variable ${this.name} was used after it was disposed`);
    return this.handleId;
  }

  /** The value now; inside a compiled function, a recorded read. The caller disposes of the tensor. */
  read(): tf.Tensor {
    const { recording } = this.owner;
    if (recording) {
      return this.owner.recordedTensor(recording.publish(recording.readVariable(this)));
    }
    const [value] = this.owner.binding.executeOp(
      'ReadVariableOp',
      [{ name: 'dtype', type: AttrKind.type, value: this.tfType }],
      [this.handle],
      1,
    );
    return this.owner.tensor(value as never);
  }

  /** Replaces the value. @throws ShapeError if shape or dtype differ. */
  assign(value: tf.Tensor): void {
    if (value.dtype !== this.dtype || value.shape.join() !== this.shape.join()) {
      throw new ShapeError(
        `variable ${this.name} is ${this.dtype}[${this.shape.join(', ')}], but the value assigned to it is ` +
          `${value.dtype}[${value.shape.join(', ')}]`,
      );
    }
    const { recording, binding } = this.owner;
    if (recording) {
      recording.assignVariable(this, recording.value(this.owner.recordedId(value)));
      return;
    }
    const [id] = this.owner.handleIds([value]);
    this.assignHandle(binding, id as number);
  }

  private assignHandle(binding: EngineSession['binding'], id: number): void {
    binding.executeOp(
      'AssignVariableOp',
      [{ name: 'dtype', type: AttrKind.type, value: this.tfType }],
      [this.handle, id],
      0,
    );
  }

  /** Copies the value to the host, row-major. @throws EngineError inside a compiled function. */
  data(): Float32Array | Int32Array {
    this.refuseInRecording('read', 'read()');
    const { binding } = this.owner;
    const [value] = binding.executeOp(
      'ReadVariableOp',
      [{ name: 'dtype', type: AttrKind.type, value: this.tfType }],
      [this.handle],
      1,
    );
    const { id } = value as { id: number };
    const data = binding.tensorDataSync(id) as Float32Array | Int32Array;
    binding.deleteTensor(id);
    return data;
  }

  /**
   * Replaces the value by host values, row-major.
   *
   * @throws ShapeError if there are too many or too few, or of another type; EngineError inside a compiled function
   */
  load(values: Float32Array | Int32Array): void {
    this.refuseInRecording('loaded', 'assign()');
    const type = this.dtype === 'float32' ? Float32Array : Int32Array;
    if (!(values instanceof type)) {
      const found = Object.prototype.toString.call(values).slice('[object '.length, -1);
      throw new ShapeError(
        `variable ${this.name} is ${this.dtype}: its values are a ${type.name}, but it was given a ${found}`,
      );
    }
    if (values.length !== sizeOf(this.shape)) {
      throw new ShapeError(
        `variable ${this.name} has shape [${this.shape.join(', ')}], ${sizeOf(this.shape)} values, but was given ${values.length}`,
      );
    }
    const { binding } = this.owner;
    const id = binding.createTensor([...this.shape], this.tfType, values);
    try {
      this.assignHandle(binding, id);
    } finally {
      binding.deleteTensor(id);
    }
  }

  /** Values of the host are there once, while the function is recorded, and not at its calls. */
  private refuseInRecording(what: string, instead: string): void {
    if (!this.owner.recording) return;
    throw new EngineError(
      `variable ${this.name} is ${what} at ${callerLine()}, inside a compiled function, where it has no values on ` +
        `the host: use ${instead}.`,
    );
  }

  /** Frees the native memory. */
  dispose(): void {
    if (this.handleId === undefined) return;
    const { binding } = this.owner;
    binding.executeOp('DestroyResourceOp', [], [this.handleId], 0);
    binding.deleteTensor(this.handleId);
    this.handleId = undefined;
  }
}

/** Makes a variable with its first value (row-major, of `shape`). */
export function createVariable(
  name: string,
  values: Float32Array | Int32Array,
  shape: readonly number[],
): Variable {
  const variable = new Variable(
    session(),
    name,
    [...shape],
    values instanceof Int32Array ? 'int32' : 'float32',
  );
  try {
    variable.load(values);
  } catch (error) {
    variable.dispose();
    throw error;
  }
  return variable;
}
