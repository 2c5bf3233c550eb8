/**
 * TensorFlow's C API, called through koffi: the one file that declares native functions. Pointers are
 * opaque bigints. Sources: tensorflow/c/c_api.h, c/eager/c_api.h and c_api_experimental.h, version 2.21.
 */
import { closeSync, openSync } from 'node:fs';
import type { KoffiFunc, LibraryHandle } from 'koffi';
import { EngineError } from '../errors.js';
import { koffi } from '../koffi.js';
import { DOCTOR_HINT } from './doctor-hint.js';

/** A native address; 0n is NULL. */
export type Pointer = bigint;

/** An output of an operation in a TF_Graph (`struct TF_Output`). */
export interface GraphOutput {
  readonly oper: Pointer;
  readonly index: number;
}

/** TF_Code values that the engine tells apart. */
export const TF_OUT_OF_MEMORY = 8;

let structsDeclared = false;

function declareFunctions(cc: LibraryHandle, framework: LibraryHandle) {
  if (!structsDeclared) {
    koffi.struct('TF_Output', { oper: 'void *', index: 'int' });
    koffi.struct('TF_Buffer', { data: 'void *', length: 'size_t', deallocator: 'void *' });
    structsDeclared = true;
  }
  // The C API is split over the two libraries; a symbol is looked for in the larger one first.
  const func = <F extends (...args: never[]) => unknown>(signature: string): KoffiFunc<F> => {
    try {
      return cc.func(signature) as unknown as KoffiFunc<F>;
    } catch {
      return framework.func(signature) as unknown as KoffiFunc<F>;
    }
  };
  type P = Pointer;
  return {
    version: func<() => string>('const char *TF_Version()'),
    newStatus: func<() => P>('void *TF_NewStatus()'),
    getCode: func<(s: P) => number>('int TF_GetCode(void *s)'),
    deleteStatus: func<(s: P) => void>('void TF_DeleteStatus(void *s)'),
    message: func<(s: P) => string>('const char *TF_Message(void *s)'),
    newBufferFromString: func<(data: Uint8Array, length: number) => P>(
      'void *TF_NewBufferFromString(const void *proto, size_t length)',
    ),
    newBuffer: func<() => P>('void *TF_NewBuffer()'),
    deleteBuffer: func<(b: P) => void>('void TF_DeleteBuffer(void *b)'),
    getAllOpList: func<() => P>('void *TF_GetAllOpList()'),

    newContextOptions: func<() => P>('void *TFE_NewContextOptions()'),
    contextOptionsSetConfig: func<(o: P, proto: Uint8Array, length: number, s: P) => void>(
      'void TFE_ContextOptionsSetConfig(void *o, const void *proto, size_t length, void *s)',
    ),
    deleteContextOptions: func<(o: P) => void>('void TFE_DeleteContextOptions(void *o)'),
    newContext: func<(o: P, s: P) => P>('void *TFE_NewContext(void *o, void *s)'),
    contextListDevices: func<(c: P, s: P) => P>('void *TFE_ContextListDevices(void *c, void *s)'),
    deviceListCount: func<(l: P) => number>('int TF_DeviceListCount(void *l)'),
    deviceListName: func<(l: P, i: number, s: P) => string>(
      'const char *TF_DeviceListName(void *l, int i, void *s)',
    ),
    deviceListType: func<(l: P, i: number, s: P) => string>(
      'const char *TF_DeviceListType(void *l, int i, void *s)',
    ),
    deviceListMemoryBytes: func<(l: P, i: number, s: P) => number>(
      'int64_t TF_DeviceListMemoryBytes(void *l, int i, void *s)',
    ),
    deleteDeviceList: func<(l: P) => void>('void TF_DeleteDeviceList(void *l)'),
    contextAddFunction: func<(c: P, f: P, s: P) => void>(
      'void TFE_ContextAddFunction(void *c, void *f, void *s)',
    ),
    contextRemoveFunction: func<(c: P, name: string, s: P) => void>(
      'void TFE_ContextRemoveFunction(void *c, const char *name, void *s)',
    ),
    contextEnableRunMetadata: func<(c: P) => void>('void TFE_ContextEnableRunMetadata(void *c)'),
    contextDisableRunMetadata: func<(c: P) => void>('void TFE_ContextDisableRunMetadata(void *c)'),
    contextExportRunMetadata: func<(c: P, b: P, s: P) => void>(
      'void TFE_ContextExportRunMetadata(void *c, void *b, void *s)',
    ),

    allocateTensor: func<(dtype: number, dims: BigInt64Array, rank: number, bytes: number) => P>(
      'void *TF_AllocateTensor(int dtype, const int64_t *dims, int rank, size_t bytes)',
    ),
    tensorData: func<(t: P) => P>('void *TF_TensorData(void *t)'),
    tensorByteSize: func<(t: P) => number>('size_t TF_TensorByteSize(void *t)'),
    deleteTensor: func<(t: P) => void>('void TF_DeleteTensor(void *t)'),

    newTensorHandle: func<(t: P, s: P) => P>('void *TFE_NewTensorHandle(void *t, void *s)'),
    deleteTensorHandle: func<(h: P) => void>('void TFE_DeleteTensorHandle(void *h)'),
    handleDataType: func<(h: P) => number>('int TFE_TensorHandleDataType(void *h)'),
    handleNumDims: func<(h: P, s: P) => number>('int TFE_TensorHandleNumDims(void *h, void *s)'),
    handleDim: func<(h: P, i: number, s: P) => number>(
      'int64_t TFE_TensorHandleDim(void *h, int i, void *s)',
    ),
    handleResolve: func<(h: P, s: P) => P>('void *TFE_TensorHandleResolve(void *h, void *s)'),

    newOp: func<(c: P, name: string, s: P) => P>('void *TFE_NewOp(void *c, const char *name, void *s)'),
    deleteOp: func<(o: P) => void>('void TFE_DeleteOp(void *o)'),
    opSetDevice: func<(o: P, device: string, s: P) => void>(
      'void TFE_OpSetDevice(void *o, const char *device, void *s)',
    ),
    opAddInput: func<(o: P, h: P, s: P) => void>('void TFE_OpAddInput(void *o, void *h, void *s)'),
    opSetAttrString: func<(o: P, n: string, v: string, l: number) => void>(
      'void TFE_OpSetAttrString(void *o, const char *n, const char *v, size_t l)',
    ),
    opSetAttrInt: func<(o: P, n: string, v: number) => void>(
      'void TFE_OpSetAttrInt(void *o, const char *n, int64_t v)',
    ),
    opSetAttrIntList: func<(o: P, n: string, v: BigInt64Array, l: number) => void>(
      'void TFE_OpSetAttrIntList(void *o, const char *n, const int64_t *v, int l)',
    ),
    opSetAttrFloat: func<(o: P, n: string, v: number) => void>(
      'void TFE_OpSetAttrFloat(void *o, const char *n, float v)',
    ),
    opSetAttrFloatList: func<(o: P, n: string, v: Float32Array, l: number) => void>(
      'void TFE_OpSetAttrFloatList(void *o, const char *n, const float *v, int l)',
    ),
    opSetAttrBool: func<(o: P, n: string, v: number) => void>(
      'void TFE_OpSetAttrBool(void *o, const char *n, uint8_t v)',
    ),
    opSetAttrType: func<(o: P, n: string, v: number) => void>(
      'void TFE_OpSetAttrType(void *o, const char *n, int v)',
    ),
    opSetAttrShape: func<(o: P, n: string, d: BigInt64Array, r: number, s: P) => void>(
      'void TFE_OpSetAttrShape(void *o, const char *n, const int64_t *d, int r, void *s)',
    ),
    execute: func<(o: P, outputs: BigInt64Array, count: Int32Array, s: P) => void>(
      'void TFE_Execute(void *o, void *outputs, void *count, void *s)',
    ),

    newGraph: func<() => P>('void *TF_NewGraph()'),
    deleteGraph: func<(g: P) => void>('void TF_DeleteGraph(void *g)'),
    newOperation: func<(g: P, op: string, name: string) => P>(
      'void *TF_NewOperation(void *g, const char *op, const char *name)',
    ),
    setDevice: func<(d: P, device: string) => void>('void TF_SetDevice(void *d, const char *device)'),
    addInput: func<(d: P, o: GraphOutput) => void>('void TF_AddInput(void *d, TF_Output o)'),
    addInputList: func<(d: P, o: readonly GraphOutput[], n: number) => void>(
      'void TF_AddInputList(void *d, const TF_Output *o, int n)',
    ),
    addControlInput: func<(d: P, o: P) => void>('void TF_AddControlInput(void *d, void *o)'),
    setAttrString: func<(d: P, n: string, v: string, l: number) => void>(
      'void TF_SetAttrString(void *d, const char *n, const char *v, size_t l)',
    ),
    setAttrInt: func<(d: P, n: string, v: number) => void>(
      'void TF_SetAttrInt(void *d, const char *n, int64_t v)',
    ),
    setAttrIntList: func<(d: P, n: string, v: BigInt64Array, l: number) => void>(
      'void TF_SetAttrIntList(void *d, const char *n, const int64_t *v, int l)',
    ),
    setAttrFloat: func<(d: P, n: string, v: number) => void>(
      'void TF_SetAttrFloat(void *d, const char *n, float v)',
    ),
    setAttrFloatList: func<(d: P, n: string, v: Float32Array, l: number) => void>(
      'void TF_SetAttrFloatList(void *d, const char *n, const float *v, int l)',
    ),
    setAttrBool: func<(d: P, n: string, v: number) => void>(
      'void TF_SetAttrBool(void *d, const char *n, uint8_t v)',
    ),
    setAttrType: func<(d: P, n: string, v: number) => void>(
      'void TF_SetAttrType(void *d, const char *n, int v)',
    ),
    setAttrTypeList: func<(d: P, n: string, v: Int32Array, l: number) => void>(
      'void TF_SetAttrTypeList(void *d, const char *n, const int *v, int l)',
    ),
    setAttrShape: func<(d: P, n: string, dims: BigInt64Array, r: number) => void>(
      'void TF_SetAttrShape(void *d, const char *n, const int64_t *dims, int r)',
    ),
    setAttrTensor: func<(d: P, n: string, t: P, s: P) => void>(
      'void TF_SetAttrTensor(void *d, const char *n, void *t, void *s)',
    ),
    setAttrFuncName: func<(d: P, n: string, v: string, l: number) => void>(
      'void TF_SetAttrFuncName(void *d, const char *n, const char *v, size_t l)',
    ),
    finishOperation: func<(d: P, s: P) => P>('void *TF_FinishOperation(void *d, void *s)'),
    operationNumOutputs: func<(o: P) => number>('int TF_OperationNumOutputs(void *o)'),
    operationOutputType: func<(o: GraphOutput) => number>('int TF_OperationOutputType(TF_Output o)'),
    graphGetTensorNumDims: func<(g: P, o: GraphOutput, s: P) => number>(
      'int TF_GraphGetTensorNumDims(void *g, TF_Output o, void *s)',
    ),
    graphGetTensorShape: func<(g: P, o: GraphOutput, d: BigInt64Array, r: number, s: P) => void>(
      'void TF_GraphGetTensorShape(void *g, TF_Output o, void *d, int r, void *s)',
    ),
    graphSetTensorShape: func<(g: P, o: GraphOutput, d: BigInt64Array, r: number, s: P) => void>(
      'void TF_GraphSetTensorShape(void *g, TF_Output o, const int64_t *d, int r, void *s)',
    ),
    graphCopyFunction: func<(g: P, f: P, grad: Pointer, s: P) => void>(
      'void TF_GraphCopyFunction(void *g, void *f, void *grad, void *s)',
    ),
    graphToFunction: func<
      (
        g: P,
        name: string,
        appendHash: number,
        numOpers: number,
        opers: Pointer | null,
        numInputs: number,
        inputs: readonly GraphOutput[],
        numOutputs: number,
        outputs: readonly GraphOutput[],
        outputNames: Pointer | null,
        numControls: number,
        controls: BigInt64Array,
        controlNames: Pointer | null,
        options: Pointer | null,
        description: string | null,
        s: P,
      ) => P
    >(
      'void *TF_GraphToFunctionWithControlOutputs(void *g, const char *name, uint8_t appendHash, int numOpers, ' +
        'void *opers, int numInputs, const TF_Output *inputs, int numOutputs, const TF_Output *outputs, ' +
        'void *outputNames, int numControls, const void *controls, void *controlNames, void *options, ' +
        'const char *description, void *s)',
    ),
    functionSetAttrValueProto: func<(f: P, n: string, proto: Uint8Array, l: number, s: P) => void>(
      'void TF_FunctionSetAttrValueProto(void *f, const char *n, const void *proto, size_t l, void *s)',
    ),
    deleteFunction: func<(f: P) => void>('void TF_DeleteFunction(void *f)'),
  };
}

/** The C API of one loaded library, with errors as exceptions. */
export type NativeApi = ReturnType<typeof declareFunctions> & {
  /** Calls `fn` with a status and throws an EngineError, prefixed by `what`, unless it comes back OK. */
  checked<T>(what: string, fn: (status: Pointer) => T): T;
  /** Throws an EngineError if `status` (after an async call) is not OK. */
  throwIfFailed(what: string, status: Pointer): void;
  /** Copies `bytes` out of native memory. */
  copyFrom(address: Pointer, bytes: number): Uint8Array;
  /** Copies an array into native memory. */
  copyTo(address: Pointer, source: ArrayBufferView): void;
  /** Reads a TF_Buffer's bytes. */
  bufferBytes(buffer: Pointer): Uint8Array;
};

const RTLD_NOW = 2;
const RTLD_GLOBAL = 0x100;
const RTLD_NODELETE = 0x1000;
const M_TRIM_THRESHOLD = -1;
const M_MMAP_MAX = -4;

const libcNames = process.platform === 'darwin' ? ['libSystem.B.dylib'] : ['libc.so.6'];

/**
 * Loads a shared library for good. koffi would unload it at exit and TensorFlow's own exit handlers would
 * then run in unmapped code, so it is pinned by RTLD_NODELETE first.
 *
 * @throws EngineError with the loader's reason.
 */
export function pinLibrary(path: string): void {
  const libc = koffi.load(libcNames[0] as string);
  const mac = process.platform === 'darwin';
  const dlopen = libc.func('void *dlopen(const char *path, int flags)') as (
    p: string,
    f: number,
  ) => Pointer | null;
  const dlerror = libc.func('const char *dlerror()') as () => string | null;
  const flags = mac ? RTLD_NOW | 0x8 | 0x80 : RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE;
  if (!dlopen(path, flags)) {
    throw new EngineError(`Cannot load ${path}: ${dlerror() ?? 'unknown reason'}.${DOCTOR_HINT}`);
  }
}

/**
 * Keeps freed memory in the process. A training step allocates and frees the same large buffers each time;
 * with glibc's defaults each of them is mapped, zeroed page by page and unmapped again.
 */
function keepFreedMemory(): void {
  if (process.platform !== 'linux') return;
  const mallopt = koffi.load('libc.so.6').func('int mallopt(int parameter, int value)') as (
    p: number,
    v: number,
  ) => number;
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 0x7fffffff);
}

/**
 * Keeps TensorFlow's log to itself, unless the user asks for it by TF_CPP_MIN_LOG_LEVEL: failures reach capstan
 * as statuses, and what is left are notes, some of them marked as errors (one per kernel read from the compile
 * cache). That variable is read too late for what TensorFlow says while it is loaded. The functions are C++, so
 * their names change with the library's version; if they are missing the log is printed.
 */
function silence(framework: LibraryHandle): void {
  const fatalOnly = 3;
  for (const name of ['SetMinLogLevel', 'SetStderrThreshold']) {
    try {
      const symbol = `_ZN4absl12lts_20250814${name.length}${name}ENS0_18LogSeverityAtLeastE`;
      framework.func(symbol, 'void', ['int'])(fatalOnly);
    } catch {
      return;
    }
  }
}

/** Runs `fn` with the process's standard error closed off; a library's static initialisers write to it. */
function withoutStderr(fn: () => void): void {
  const libc = koffi.load(libcNames[0] as string);
  const dup = libc.func('int dup(int fd)') as (fd: number) => number;
  const dup2 = libc.func('int dup2(int from, int to)') as (from: number, to: number) => number;
  const saved = dup(2);
  const nowhere = openSync('/dev/null', 'w');
  dup2(nowhere, 2);
  try {
    fn();
  } finally {
    dup2(saved, 2);
    closeSync(saved);
    closeSync(nowhere);
  }
}

/** Loads the two TensorFlow libraries and declares their C API. Call once per process. */
export function loadNative(paths: { framework: string; cc: string; preload?: readonly string[] }): NativeApi {
  keepFreedMemory();
  for (const path of paths.preload ?? []) pinLibrary(path);
  const quiet = process.env.TF_CPP_MIN_LOG_LEVEL === undefined;
  if (quiet) withoutStderr(() => pinLibrary(paths.framework));
  else pinLibrary(paths.framework);
  const framework = koffi.load(paths.framework);
  if (quiet) silence(framework);
  pinLibrary(paths.cc);
  const functions = declareFunctions(koffi.load(paths.cc), framework);
  const memcpyOut = koffi
    .load(libcNames[0] as string)
    .func('void *memcpy(void *target, const void *source, size_t bytes)') as (
    target: unknown,
    source: unknown,
    bytes: number,
  ) => void;
  const status = functions.newStatus();
  const throwIfFailed = (what: string, s: Pointer): void => {
    const code = functions.getCode(s);
    if (code === 0) return;
    const advice = code === TF_OUT_OF_MEMORY ? ' (out of memory: use a smaller batch, bf16 or remat)' : '';
    throw new EngineError(`${what}: ${functions.message(s)}${advice}`);
  };
  return {
    ...functions,
    throwIfFailed,
    checked(what, fn) {
      const result = fn(status);
      if (functions.getCode(status) !== 0) throwIfFailed(what, status);
      return result;
    },
    copyFrom(address, bytes) {
      const target = new Uint8Array(bytes);
      if (bytes > 0) memcpyOut(target, address, bytes);
      return target;
    },
    copyTo(address, source) {
      if (source.byteLength > 0) memcpyOut(address, source, source.byteLength);
    },
    bufferBytes(buffer) {
      const { data, length } = koffi.decode(buffer, 'TF_Buffer') as { data: Pointer; length: number };
      return this.copyFrom(data, Number(length));
    },
  };
}
