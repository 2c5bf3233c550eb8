/**
 * The native half of tfjs-node, in TypeScript: executes operations eagerly through TensorFlow's C API. It
 * implements the `TFJSBinding` that tfjs-node-gpu's kernel backend is written against, so that backend and
 * its kernels run on it unchanged.
 */
import type { TFEOpAttr, TFJSBinding } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { EngineError } from '../errors.js';
import { needsInt32 } from './byte-ops.js';
import { DType, dims, elementBytes, sizeOf } from './dtypes.js';
import type { NativeApi, Pointer } from './native.js';
import type { OpDef } from './op-defs.js';

/** An output of an executed operation. `id` names a native tensor handle until `deleteTensor(id)`. */
export interface TensorMetadata {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

/** Kinds of attribute, numbered as `TF_AttrType`. */
export const AttrKind = { string: 0, int: 1, float: 2, bool: 3, type: 4, shape: 5 } as const;

const constants = {
  TF_FLOAT: DType.float32,
  TF_INT32: DType.int32,
  TF_INT64: DType.int64,
  TF_BOOL: DType.bool,
  TF_COMPLEX64: DType.complex64,
  TF_STRING: DType.string,
  TF_RESOURCE: DType.resource,
  TF_UINT8: DType.uint8,
  TF_ATTR_STRING: AttrKind.string,
  TF_ATTR_INT: AttrKind.int,
  TF_ATTR_FLOAT: AttrKind.float,
  TF_ATTR_BOOL: AttrKind.bool,
  TF_ATTR_TYPE: AttrKind.type,
  TF_ATTR_SHAPE: AttrKind.shape,
  TF_ATTR_RESOURCE: 6,
};

class Metadata {
  id = 0;
  shape: number[] = [];
  dtype = 0;
}

class OpAttr {
  name = '';
  type = 0;
  value: TFEOpAttr['value'] = 0;
}

/** What every binding shares: the constants, and a refusal of what capstan does not use. */
export abstract class BindingBase {
  readonly TensorMetadata = Metadata;
  readonly TFEOpAttr = OpAttr;

  readonly TF_FLOAT = constants.TF_FLOAT;
  readonly TF_INT32 = constants.TF_INT32;
  readonly TF_INT64 = constants.TF_INT64;
  readonly TF_BOOL = constants.TF_BOOL;
  readonly TF_COMPLEX64 = constants.TF_COMPLEX64;
  readonly TF_STRING = constants.TF_STRING;
  readonly TF_RESOURCE = constants.TF_RESOURCE;
  readonly TF_UINT8 = constants.TF_UINT8;
  readonly TF_ATTR_STRING = constants.TF_ATTR_STRING;
  readonly TF_ATTR_INT = constants.TF_ATTR_INT;
  readonly TF_ATTR_FLOAT = constants.TF_ATTR_FLOAT;
  readonly TF_ATTR_BOOL = constants.TF_ATTR_BOOL;
  readonly TF_ATTR_TYPE = constants.TF_ATTR_TYPE;
  readonly TF_ATTR_SHAPE = constants.TF_ATTR_SHAPE;
  readonly TF_ATTR_RESOURCE = constants.TF_ATTR_RESOURCE;

  constructor(readonly TF_Version: string) {}

  loadSavedModel(): number {
    throw new EngineError('SavedModels are not supported: weights are read from safetensors.');
  }
  deleteSavedModel(): void {
    this.loadSavedModel();
  }
  runSavedModel(): never {
    throw new EngineError('SavedModels are not supported: weights are read from safetensors.');
  }
  getNumOfSavedModels(): number {
    return 0;
  }
}

/** A function call or operation made ready to run: see {@link EagerBinding.prepare}. */
export interface PreparedOp {
  readonly op: Pointer;
  readonly outputs: BigInt64Array;
  readonly count: Int32Array;
}

/** Executes operations at once. Owns every native handle that it returns an id for. */
export class EagerBinding extends BindingBase implements TFJSBinding {
  private readonly handles = new Map<number, Pointer>();
  /** Ids of the tensors of bytes, which are few. */
  private readonly byteTensors = new Set<number>();
  private nextId = 1;
  private lastAsync: Promise<unknown> = Promise.resolve();
  private readonly usesGpu: boolean;

  constructor(
    readonly native: NativeApi,
    readonly context: Pointer,
    private readonly opDefs: ReadonlyMap<string, OpDef>,
    options: { gpu: boolean },
  ) {
    super(native.version());
    this.usesGpu = options.gpu;
  }

  isUsingGpuDevice(): boolean {
    return this.usesGpu;
  }

  /** Native handles alive now; a count that grows from step to step is a leak. */
  getNumOfTensors(): number {
    return this.handles.size;
  }

  /** The native handle behind an id. */
  handle(id: number): Pointer {
    const handle = this.handles.get(id);
    if (handle === undefined) throw new EngineError(`tensor ${id} was used after it was disposed`);
    return handle;
  }

  /** Takes over a native handle and describes it. */
  adopt(handle: Pointer): TensorMetadata {
    const { native } = this;
    const dtype = native.handleDataType(handle);
    const shape: number[] = [];
    if (dtype !== DType.resource) {
      const rank = native.checked('shape of a result', (s) => native.handleNumDims(handle, s));
      for (let i = 0; i < rank; i++) {
        shape.push(Number(native.checked('shape of a result', (s) => native.handleDim(handle, i, s))));
      }
    }
    return { id: this.keep(handle, dtype), shape, dtype };
  }

  private keep(handle: Pointer, dtype: number): number {
    const id = this.nextId++;
    this.handles.set(id, handle);
    if (dtype === DType.uint8) this.byteTensors.add(id);
    return id;
  }

  /** Makes a TF_Tensor (the caller deletes it). `values` are the raw elements in row-major order. */
  newTensor(shape: readonly number[], dtype: number, values: ArrayBufferView): Pointer {
    const { native } = this;
    const bytes = sizeOf(shape) * elementBytes(dtype);
    if (values.byteLength !== bytes) {
      throw new EngineError(
        `a tensor of shape [${shape.join(', ')}] needs ${bytes} bytes, but its values have ${values.byteLength}`,
      );
    }
    const tensor = native.allocateTensor(dtype, dims(shape), shape.length, bytes);
    if (!tensor) throw new EngineError(`out of memory: cannot allocate a tensor of ${bytes} bytes`);
    native.copyTo(native.tensorData(tensor), values);
    return tensor;
  }

  createTensor(shape: number[], dtype: number, buffer: unknown): number {
    if (!ArrayBuffer.isView(buffer)) {
      throw new EngineError('the engine takes numeric and boolean tensors only; strings stay in JavaScript');
    }
    const { native } = this;
    const tensor = this.newTensor(shape, dtype, buffer);
    const handle = native.checked('upload of a tensor', (s) => native.newTensorHandle(tensor, s));
    native.deleteTensor(tensor);
    return this.keep(handle, dtype);
  }

  deleteTensor(id: number): void {
    this.native.deleteTensorHandle(this.handle(id));
    this.handles.delete(id);
    this.byteTensors.delete(id);
  }

  tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array {
    const { native } = this;
    const handle = this.handle(id);
    const dtype = native.handleDataType(handle);
    const tensor = native.checked('reading a tensor', (s) => native.handleResolve(handle, s));
    const bytes = native.copyFrom(native.tensorData(tensor), Number(native.tensorByteSize(tensor)));
    native.deleteTensor(tensor);
    switch (dtype) {
      case DType.float32:
      case DType.complex64:
        return new Float32Array(bytes.buffer);
      case DType.int32:
        return new Int32Array(bytes.buffer);
      case DType.bool:
      case DType.uint8:
        return bytes;
      default:
        throw new EngineError(`values of dtype ${dtype} cannot be read; cast them to float32 or int32 first`);
    }
  }

  /** Makes an operation, or a call of a function of that name, with its inputs; run it, then `finish` it. */
  prepare(
    name: string,
    attrs: readonly TFEOpAttr[],
    inputIds: readonly number[],
    numOutputs: number,
  ): PreparedOp {
    const { native, context } = this;
    const op = native.checked(name, (s) => native.newOp(context, name, s));
    try {
      for (const id of inputIds) {
        const handle = this.handle(id);
        native.checked(name, (s) => native.opAddInput(op, handle, s));
      }
      // TensorFlow infers the types of single inputs, which are right also where tfjs knows no such type
      // (uint8); the length of a list it must be told.
      const def = this.opDefs.get(name);
      const inferred = def?.inputs.some((i) => i.numberAttr || i.typeListAttr)
        ? undefined
        : def?.inferredAttrs;
      for (const attr of attrs) if (!inferred?.has(attr.name)) this.setAttr(op, attr);
    } catch (error) {
      native.deleteOp(op);
      throw error;
    }
    return { op, outputs: new BigInt64Array(numOutputs), count: Int32Array.of(numOutputs) };
  }

  /** Collects the results of an executed operation and frees it. */
  finish(prepared: PreparedOp): TensorMetadata[] {
    this.native.deleteOp(prepared.op);
    const results: TensorMetadata[] = [];
    const count = prepared.count[0] as number;
    for (let i = 0; i < count; i++) results.push(this.adopt(prepared.outputs[i] as bigint));
    return results;
  }

  executeOp(name: string, attrs: TFEOpAttr[], inputIds: number[], numOutputs: number): TensorMetadata[] {
    // A compiled function takes bytes as they are: what it does with them was recorded.
    const isBytes = (id: number, i: number): boolean =>
      this.byteTensors.has(id) && needsInt32(name, i, DType.uint8);
    if (this.byteTensors.size === 0 || !this.opDefs.has(name) || !inputIds.some(isBytes)) {
      return this.execute(name, attrs, inputIds, numOutputs);
    }
    const ints: number[] = [];
    try {
      const ids = inputIds.map((id, i) => {
        if (!isBytes(id, i)) return id;
        const int = this.toInt32(id);
        ints.push(int);
        return int;
      });
      return this.execute(name, attrs, ids, numOutputs);
    } finally {
      for (const id of ints) this.deleteTensor(id);
    }
  }

  private toInt32(bytes: number): number {
    const to = { name: 'DstT', type: AttrKind.type, value: DType.int32 };
    return (this.execute('Cast', [to], [bytes], 1)[0] as TensorMetadata).id;
  }

  private execute(
    name: string,
    attrs: readonly TFEOpAttr[],
    inputIds: readonly number[],
    numOutputs: number,
  ): TensorMetadata[] {
    const { native } = this;
    const prepared = this.prepare(name, attrs, inputIds, numOutputs);
    try {
      native.checked(name, (s) => native.execute(prepared.op, prepared.outputs, prepared.count, s));
    } catch (error) {
      native.deleteOp(prepared.op);
      throw error;
    }
    return this.finish(prepared);
  }

  /**
   * As `executeOp`, on another thread: JavaScript goes on meanwhile. Asynchronous executions run one after
   * another in the order of their calls, so that each sees the variables as the one before left them. The
   * inputs are held by the operation: they may be disposed of at once.
   */
  async executeAsync(
    name: string,
    attrs: readonly TFEOpAttr[],
    inputIds: readonly number[],
    numOutputs: number,
  ): Promise<TensorMetadata[]> {
    const prepared = this.prepare(name, attrs, inputIds, numOutputs);
    const turn = this.lastAsync.then(() => this.runAsync(name, prepared));
    this.lastAsync = turn.catch(() => {});
    return turn;
  }

  private async runAsync(name: string, prepared: PreparedOp): Promise<TensorMetadata[]> {
    const { native } = this;
    const status = native.newStatus();
    try {
      await new Promise<void>((resolve, reject) => {
        native.execute.async(prepared.op, prepared.outputs, prepared.count, status, (error: unknown) =>
          error ? reject(new EngineError(`${name}: ${String(error)}`)) : resolve(),
        );
      });
      native.throwIfFailed(name, status);
    } catch (error) {
      native.deleteOp(prepared.op);
      throw error;
    } finally {
      native.deleteStatus(status);
    }
    return this.finish(prepared);
  }

  private setAttr(op: Pointer, { name, type, value }: TFEOpAttr): void {
    const { native } = this;
    switch (type) {
      case AttrKind.string:
        native.opSetAttrString(op, name, String(value), Buffer.byteLength(String(value)));
        break;
      case AttrKind.int:
        if (Array.isArray(value)) native.opSetAttrIntList(op, name, dims(value), value.length);
        else native.opSetAttrInt(op, name, Number(value));
        break;
      case AttrKind.float:
        if (Array.isArray(value)) native.opSetAttrFloatList(op, name, Float32Array.from(value), value.length);
        else native.opSetAttrFloat(op, name, Number(value));
        break;
      case AttrKind.bool:
        native.opSetAttrBool(op, name, value ? 1 : 0);
        break;
      case AttrKind.type:
        native.opSetAttrType(op, name, Number(value));
        break;
      case AttrKind.shape: {
        const shape = value as number[];
        native.checked(name, (s) => native.opSetAttrShape(op, name, dims(shape), shape.length, s));
        break;
      }
      default:
        throw new EngineError(`attribute ${name} has kind ${type}, which the engine does not know`);
    }
  }
}
