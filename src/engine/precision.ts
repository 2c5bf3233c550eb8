/**
 * The bf16 policy, as PyTorch's autocast has it: matrix products and convolutions take and give bfloat16,
 * moving data about keeps it, everything else (norms, softmax, reductions, losses, optimizer) is float32.
 * tfjs, which knows no bfloat16, sees float32 throughout.
 */
import { DType } from './dtypes.js';
import { castTo, INPUT, type Node, type Program, type Value } from './ir.js';
import { Rewriter } from './simplify.js';

const products = new Set([
  'MatMul',
  'BatchMatMulV2',
  'Conv2D',
  'Conv2DBackpropInput',
  'Conv2DBackpropFilter',
  'DepthwiseConv2dNative',
]);

const movers = new Set([
  'Reshape',
  'ExpandDims',
  'Squeeze',
  'Transpose',
  'Slice',
  'ConcatV2',
  'Pack',
  'SplitV',
  'Split',
]);

/** Applies the policy. Function outputs and variables stay float32. */
export function applyBf16(program: Program): Program {
  const rewriter = new Rewriter();
  const casts = new Map<Value, Map<number, Value>>();
  const cast = (value: Value, dtype: number): Value => {
    if (value.dtype === dtype) return value;
    // A value that came from the wanted type needs no second conversion.
    if (value.node.op === 'Cast' && value.node.inputs[0]?.dtype === dtype) return value.node.inputs[0];
    let made = casts.get(value);
    if (!made) {
      made = new Map();
      casts.set(value, made);
    }
    let result = made.get(dtype);
    if (!result) {
      result = rewriter.push(castTo(value, dtype)).out;
      made.set(dtype, result);
    }
    return result;
  };
  const isFloat = (value: Value): boolean => value.dtype === DType.float32 || value.dtype === DType.bfloat16;
  const bf16 = (value: Value): Value => (value.dtype === DType.float32 ? cast(value, DType.bfloat16) : value);
  const fp32 = (value: Value): Value => (value.dtype === DType.bfloat16 ? cast(value, DType.float32) : value);
  const halved = (node: Node): number[] =>
    node.outputs.map((o) => (o.dtype === DType.float32 ? DType.bfloat16 : o.dtype));
  for (const node of program.nodes) {
    if (node.op === INPUT) {
      rewriter.push(node);
      continue;
    }
    const inputs = node.inputs.map((v) => rewriter.map(v));
    const isProduct = products.has(node.op) && node.out.dtype === DType.float32;
    const floats = inputs.filter(isFloat);
    const isMove =
      movers.has(node.op) && floats.length > 0 && floats.every((v) => v.dtype === DType.bfloat16);
    if (isProduct || isMove) rewriter.copy(node, inputs.map(bf16), halved(node));
    else rewriter.copy(node, inputs.map(fp32));
  }
  for (const [i, output] of program.outputs.entries()) {
    rewriter.replace(program.outputs[i] as Value, fp32(rewriter.map(output)));
  }
  return rewriter.finish(program);
}
