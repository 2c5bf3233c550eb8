/** What TensorFlow's registry says of an operation, as far as building graphs needs it. */
import type { NativeApi } from './native.js';
import { readProto } from './proto.js';

/** One operation of TensorFlow's registry. */
export interface OpDef {
  readonly name: string;
  /** For each input argument: the attribute that holds its length if it is a list. */
  readonly inputs: readonly {
    readonly name: string;
    readonly numberAttr: string;
    readonly typeListAttr: string;
  }[];
  /** Attributes that follow from the inputs and must not be set by hand. */
  readonly inferredAttrs: ReadonlySet<string>;
}

const text = new TextDecoder();

/** Reads the registry (about 1,700 operations, some 20 ms). */
export function readOpDefs(native: NativeApi): Map<string, OpDef> {
  const buffer = native.getAllOpList();
  const list = native.bufferBytes(buffer);
  native.deleteBuffer(buffer);
  const ops = new Map<string, OpDef>();
  for (const entry of readProto(list)) {
    if (entry.field !== 1) continue;
    let name = '';
    const inputs: { name: string; numberAttr: string; typeListAttr: string }[] = [];
    const inferredAttrs = new Set<string>();
    for (const { field, bytes } of readProto(entry.bytes)) {
      if (field === 1) name = text.decode(bytes);
      else if (field === 2) {
        const input = { name: '', numberAttr: '', typeListAttr: '' };
        for (const arg of readProto(bytes)) {
          const word = arg.bytes.length > 0 ? text.decode(arg.bytes) : '';
          if (arg.field === 1) input.name = word;
          else if (arg.field === 4) inferredAttrs.add(word);
          else if (arg.field === 5) {
            input.numberAttr = word;
            inferredAttrs.add(word);
          } else if (arg.field === 6) {
            input.typeListAttr = word;
            inferredAttrs.add(word);
          }
        }
        inputs.push(input);
      }
    }
    ops.set(name, { name, inputs, inferredAttrs });
  }
  return ops;
}
