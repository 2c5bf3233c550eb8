/** A TensorFlow graph under construction: the typed face of the C API's graph builder. */
import { EngineError } from '../errors.js';
import { AttrKind } from './binding.js';
import { DType, dims } from './dtypes.js';
import type { Attr } from './ir.js';
import type { GraphOutput, NativeApi, Pointer } from './native.js';
import type { OpDef } from './op-defs.js';

export class Graph {
  readonly pointer: Pointer;
  private nextName = 0;

  constructor(
    private readonly native: NativeApi,
    private readonly opDefs: ReadonlyMap<string, OpDef>,
  ) {
    this.pointer = native.newGraph();
  }

  dispose(): void {
    this.native.deleteGraph(this.pointer);
  }

  /**
   * Adds an operation. Attributes that follow from the inputs are left to TensorFlow, so that a pass may
   * change an input's type.
   */
  add(
    op: string,
    attrs: readonly Attr[],
    inputs: readonly GraphOutput[],
    options: {
      controls?: readonly Pointer[];
      extra?: (description: Pointer) => void;
      name?: string;
    } = {},
  ): Pointer {
    const { native } = this;
    const def = this.opDefs.get(op);
    if (!def) throw new EngineError(`TensorFlow ${native.version()} has no operation named ${op}`);
    const description = native.newOperation(this.pointer, op, `${options.name ?? op}_${this.nextName++}`);
    let at = 0;
    for (const [i, input] of def.inputs.entries()) {
      if (input.numberAttr === '' && input.typeListAttr === '') {
        native.addInput(description, inputs[at++] as GraphOutput);
      } else {
        // A list takes all that the arguments after it leave; no operation that capstan uses has two lists.
        const length = inputs.length - at - (def.inputs.length - i - 1);
        native.addInputList(description, inputs.slice(at, at + length), length);
        at += length;
      }
    }
    for (const attr of attrs) if (!def.inferredAttrs.has(attr.name)) this.setAttr(description, attr);
    for (const control of options.controls ?? []) native.addControlInput(description, control);
    options.extra?.(description);
    return native.checked(`recording ${op}`, (s) => native.finishOperation(description, s));
  }

  placeholder(dtype: number, shape: readonly number[]): Pointer {
    return this.add('Placeholder', [{ name: 'dtype', type: AttrKind.type, value: dtype }], [], {
      extra: (d) => {
        // A resource is a scalar whatever the shape of its content.
        const known = dtype === DType.resource ? [] : shape;
        this.native.setAttrShape(d, 'shape', dims(known), known.length);
      },
    });
  }

  constant(tensor: Pointer, dtype: number): Pointer {
    return this.add('Const', [{ name: 'dtype', type: AttrKind.type, value: dtype }], [], {
      extra: (d) =>
        this.native.checked('a constant', (s) => this.native.setAttrTensor(d, 'value', tensor, s)),
    });
  }

  numOutputs(operation: Pointer): number {
    return this.native.operationNumOutputs(operation);
  }

  dtype(output: GraphOutput): number {
    return this.native.operationOutputType(output);
  }

  /** The inferred shape, with -1 for an unknown dimension; undefined if not even the rank is known. */
  shape(output: GraphOutput): number[] | undefined {
    const { native, pointer } = this;
    const rank = native.checked('shape inference', (s) => native.graphGetTensorNumDims(pointer, output, s));
    if (rank < 0) return undefined;
    const shape = new BigInt64Array(rank);
    native.checked('shape inference', (s) => native.graphGetTensorShape(pointer, output, shape, rank, s));
    return Array.from(shape, Number);
  }

  setShape(output: GraphOutput, shape: readonly number[]): void {
    const { native, pointer } = this;
    native.checked('setting a shape', (s) =>
      native.graphSetTensorShape(pointer, output, dims(shape), shape.length, s),
    );
  }

  private setAttr(description: Pointer, { name, type, value }: Attr): void {
    const { native } = this;
    switch (type) {
      case AttrKind.string:
        native.setAttrString(description, name, String(value), Buffer.byteLength(String(value)));
        break;
      case AttrKind.int:
        if (Array.isArray(value)) native.setAttrIntList(description, name, dims(value), value.length);
        else native.setAttrInt(description, name, Number(value));
        break;
      case AttrKind.float:
        if (Array.isArray(value)) {
          native.setAttrFloatList(description, name, Float32Array.from(value), value.length);
        } else native.setAttrFloat(description, name, Number(value));
        break;
      case AttrKind.bool:
        native.setAttrBool(description, name, value ? 1 : 0);
        break;
      case AttrKind.type:
        native.setAttrType(description, name, Number(value));
        break;
      case AttrKind.shape: {
        const shape = value as number[];
        native.setAttrShape(description, name, dims(shape), shape.length);
        break;
      }
      default:
        throw new EngineError(`attribute ${name} has kind ${type}, which the engine does not know`);
    }
  }
}
