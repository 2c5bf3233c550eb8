/**
 * The running engine: the loaded library, its context and the two tfjs backends, one that executes and
 * one that records.
 */
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs';
import type { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js';
import type { TFEOpAttr } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { EngineError } from '../errors.js';
import { EagerBinding } from './binding.js';
import { DType } from './dtypes.js';
import { registerExtremeGradients } from './extreme-gradients.js';
import type { NativeApi, Pointer } from './native.js';
import { type OpDef, readOpDefs } from './op-defs.js';
import { callerLine, type Recording, RecordingBinding } from './recorder.js';

const require = createRequire(import.meta.url);

export const EAGER_BACKEND = 'tensorflow';
const RECORDING_BACKEND = 'capstan-recorder';

type KernelArgs = {
  inputs: { x: tf.Tensor; indices: tf.Tensor };
  attrs: { axis: number; batchDims: number };
  backend: Backend;
};

/** What capstan needs of tfjs-node's backend beyond its published type. */
type Backend = Pick<NodeJSKernelBackend, keyof NodeJSKernelBackend> & {
  tensorMap: tf.DataStorage<{ shape: number[]; dtype: number; id: number; values: null; refCount: number }>;
  createOutputTensor(metadata: { id: number; shape: number[]; dtype: number }): tf.Tensor;
  getInputTensorIds(tensors: tf.Tensor[]): number[];
};

/** A running engine. One per process: TensorFlow keeps process-wide state. */
export class EngineSession {
  readonly binding: EagerBinding;
  readonly backend: Backend;
  readonly opDefs: ReadonlyMap<string, OpDef>;
  private readonly recordingBinding: RecordingBinding;
  private readonly recordingBackend: Backend;
  private readonly lifted = new Map<object, tf.Tensor>();

  constructor(
    readonly native: NativeApi,
    readonly context: Pointer,
    readonly device: 'cpu' | 'cuda',
  ) {
    const gpu = device === 'cuda';
    this.opDefs = readOpDefs(native);
    this.binding = new EagerBinding(native, context, this.opDefs, { gpu });
    this.recordingBinding = new RecordingBinding(native.version(), gpu);
    // tfjs-node's main entry wants its own compiled addon; its kernels and backend do not.
    const { NodeJSKernelBackend: BackendClass } =
      require('@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js') as {
        NodeJSKernelBackend: new (binding: unknown, packageName: string) => Backend;
      };
    require('@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js');
    this.backend = new BackendClass(this.binding, '@tensorflow/tfjs-node-gpu');
    this.refuseDisposed();
    this.recordingBackend = new BackendClass(this.recordingBinding, '@tensorflow/tfjs-node-gpu');
    tf.registerBackend(EAGER_BACKEND, () => this.backend as unknown as tf.KernelBackend, 3);
    tf.registerBackend(RECORDING_BACKEND, () => this.recordingBackend as unknown as tf.KernelBackend, 0);
    this.replaceGather(EAGER_BACKEND);
    registerExtremeGradients();
    tf.copyRegisteredKernels(EAGER_BACKEND, RECORDING_BACKEND);
    this.adaptRecordingBackend();
    switchTo(EAGER_BACKEND);
  }

  /** Whether a function is being recorded. */
  get recording(): Recording | undefined {
    return this.recordingBinding.active;
  }

  /** The backend that operations go to now. */
  get current(): Backend {
    return this.recording ? this.recordingBackend : this.backend;
  }

  /** Gives the use of a disposed tensor, which tfjs would trip over, an error of its own. */
  private refuseDisposed(): void {
    const engine = tf.engine();
    const moveData: tf.DataMover['moveData'] = (backend, dataId) => {
      if (!engine.state.tensorInfo.has(dataId)) {
        throw new EngineError(`a tensor is used at ${callerLine()} after it was disposed of`);
      }
      engine.moveData(backend, dataId);
    };
    this.backend.tensorMap = new tf.DataStorage(this.backend as unknown as tf.KernelBackend, { moveData });
  }

  /**
   * tfjs-node checks each index of a gather on the host, which reads the tensor back at every call.
   * TensorFlow checks them itself on the CPU, and clamps on a GPU.
   */
  private replaceGather(backendName: string): void {
    tf.unregisterKernel('GatherV2', backendName);
    tf.registerKernel({
      kernelName: 'GatherV2',
      backendName,
      kernelFunc: (args) => {
        const { inputs, attrs, backend } = args as unknown as KernelArgs;
        const axis = tf.scalar(attrs.axis, 'int32');
        const result = backend.executeSingleOutput(
          'GatherV2',
          [{ name: 'batch_dims', type: backend.binding.TF_ATTR_INT, value: attrs.batchDims }],
          [inputs.x, inputs.indices, axis],
        );
        axis.dispose();
        return result;
      },
    });
  }

  /** Makes tensors from outside inputs of the recording instead of moving them to the recording backend. */
  private adaptRecordingBackend(): void {
    const backend = this.recordingBackend;
    const eager = this.backend;
    const lift = (_: unknown, dataId: object): void => {
      const recording = this.recordingBinding.active;
      if (!recording) throw new EngineError('the recording backend was used outside of a compiled function');
      const info = eager.tensorMap.get(dataId as tf.DataId);
      const tensor = tf.engine().makeTensorFromTensorInfo({
        dataId: dataId as tf.DataId,
        shape: info.shape,
        dtype: eagerTypeName(info.dtype),
      });
      eager.incRef(dataId as tf.DataId);
      this.lifted.set(dataId, tf.keep(tensor));
      const { id } = recording.publish(recording.input(info.dtype, info.shape));
      backend.tensorMap.set(dataId as tf.DataId, {
        shape: info.shape,
        dtype: info.dtype,
        id,
        values: null,
        refCount: 1,
      });
    };
    backend.tensorMap = new tf.DataStorage(
      backend as unknown as tf.KernelBackend,
      { moveData: lift } as never,
    );
    const incRef = backend.incRef.bind(backend);
    backend.incRef = (dataId) => (eager.tensorMap.has(dataId) ? eager.incRef(dataId) : incRef(dataId));
  }

  /**
   * Records what `fn` does. Inside, tfjs's current backend is the recording one.
   *
   * @returns what `fn` returned and the outside tensors it used, in the order of the recording's inputs
   *   that follow those that `fn` made itself. The caller disposes of those tensors.
   */
  record<T>(recording: Recording, fn: () => T): { result: T; captured: tf.Tensor[] } {
    if (this.recordingBinding.active)
      throw new EngineError('a compiled function was compiled inside another');
    this.recordingBinding.active = recording;
    switchTo(RECORDING_BACKEND);
    const { assign } = tf.Variable.prototype;
    tf.Variable.prototype.assign = refuseAssign;
    try {
      const result = fn();
      return { result, captured: [...this.lifted.values()] };
    } catch (error) {
      for (const tensor of this.lifted.values()) tensor.dispose();
      throw error;
    } finally {
      tf.Variable.prototype.assign = assign;
      for (const dataId of this.lifted.keys()) this.recordingBackend.tensorMap.delete(dataId as tf.DataId);
      this.lifted.clear();
      switchTo(EAGER_BACKEND);
      this.recordingBinding.active = undefined;
    }
  }

  /** A tensor of the recording that stands for a recorded value. */
  recordedTensor(metadata: { id: number; shape: number[]; dtype: number }): tf.Tensor {
    return this.recordingBackend.createOutputTensor(metadata);
  }

  /** The recorded id behind a tensor used in the recording (lifting it if it comes from outside). */
  recordedId(tensor: tf.Tensor): number {
    return this.recordingBackend.getInputTensorIds([tensor])[0] as number;
  }

  /** An ordinary tensor around a result of the eager binding. */
  tensor(metadata: { id: number; shape: number[]; dtype: number }): tf.Tensor {
    return this.backend.createOutputTensor(metadata);
  }

  /** The eager handles' ids of ordinary tensors. */
  handleIds(tensors: readonly tf.Tensor[]): number[] {
    return this.backend.getInputTensorIds(tensors as tf.Tensor[]);
  }
}

function eagerTypeName(dtype: number): tf.DataType {
  switch (dtype) {
    case DType.float32:
      return 'float32';
    case DType.int32:
    case DType.uint8:
      return 'int32';
    case DType.bool:
      return 'bool';
    default:
      throw new EngineError(`a tensor of TensorFlow type ${dtype} cannot be used in a compiled function`);
  }
}

/** A tf.Variable would be left holding a value of the recording. */
function refuseAssign(this: tf.Variable): never {
  throw new EngineError(
    `tf.Variable ${this.name} is assigned at ${callerLine()}, inside a compiled function, which would not happen at ` +
      'later calls: use a variable of createVariable(), which compiled functions update in place.',
  );
}

/** Makes a backend tfjs's current one: at once, since both are there already, although tfjs returns a promise. */
function switchTo(backendName: string): void {
  void tf.setBackend(backendName);
  if (tf.getBackend() !== backendName) throw new EngineError(`tfjs refused the backend ${backendName}`);
}

/** Runs, or records, one TensorFlow operation of one result. */
export function executeOp(op: string, attrs: readonly TFEOpAttr[], inputs: readonly tf.Tensor[]): tf.Tensor {
  return session().current.executeSingleOutput(op, attrs as TFEOpAttr[], inputs as tf.Tensor[]);
}

let current: EngineSession | undefined;

/** The running engine. @throws EngineError before `startEngine()`. */
export function session(): EngineSession {
  if (!current) throw new EngineError('The engine is not running: await startEngine() first.');
  return current;
}

export function setSession(started: EngineSession): void {
  current = started;
}

export function hasSession(): boolean {
  return current !== undefined;
}
