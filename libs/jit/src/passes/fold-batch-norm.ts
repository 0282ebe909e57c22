// A batch norm with fixed statistics after a convolution or linear layer becomes part of it, when the weights of both are
// constants, as in frozen modules: y = (conv(x) - mean) · s + shift with s = scale / √(variance + eps) is a convolution whose
// weights are multiplied by s, and its bias (bias - mean) · s + shift. The new weights are computed in float64 and rounded once;
// results differ from the graph's in their last bits.
import type { Block, DType, Graph, IValue, Node, Value } from '@weft/ir';
import { TensorLiteral, constantValue, dtypes, insertConstant, literalElements, literalOf } from '@weft/ir';
import type { Pass } from './pass.ts';

/** Returns whether a batch norm was folded. */
export function foldBatchNorm(graph: Graph): boolean {
  return visit(graph.block);
}

function visit(block: Block): boolean {
  let changed = false;
  for (const node of block.nodes()) {
    for (const inner of node.blocks) changed = visit(inner) || changed;
    if (node.kind === 'aten::batch_norm') changed = fold(node) || changed;
  }
  return changed;
}

/** Operators that ask of a tensor what the batch norm does not change. */
const queries: ReadonlySet<string> = new Set([
  'aten::dim',
  'aten::numel',
  'aten::size',
  'prim::device',
  'prim::dtype',
]);

function fold(norm: Node): boolean {
  const { node: layer } = norm.inputs[0];
  const rows = weightRows(layer);
  if (rows === undefined || constantValue(norm.inputs[5]) !== false) return false;
  const readers = layer.output.uses.filter(({ user }) => user !== norm);
  if (!readers.every(({ user }) => queries.has(user.kind))) return false;
  if (norm.inputs.filter((input) => input === layer.output).length !== 1) return false;
  const weight = constantValue(layer.inputs[1]);
  const bias = constantValue(layer.inputs[2]);
  const [scale, shift, mean, variance] = norm.inputs.slice(1, 5).map(constantValue);
  const eps = constantValue(norm.inputs[7]);
  if (!isFloats(weight) || !isFloats(mean) || !isFloats(variance) || typeof eps !== 'number') return false;
  // None where there is none; anything else that is no literal is not known.
  for (const optional of [bias, scale, shift]) if (optional !== null && !isFloats(optional)) return false;
  const vectors = [bias, scale, shift, mean, variance].map((each) => (isFloats(each) ? each : undefined));
  const channels = weight.shape[rows];
  const isFitting = ({ dtype, shape }: TensorLiteral): boolean =>
    dtype === weight.dtype && shape.length === 1 && shape[0] === channels;
  if (!vectors.every((each) => each === undefined || isFitting(each))) return false;

  const [ownBias, ownScale, ownShift, ownMean, ownVariance] = vectors.map((each) => each && numbersOf(each));
  const factors = ownVariance!.map((each, channel) => (ownScale?.[channel] ?? 1) / Math.sqrt(each + eps));
  const offsets = factors.map(
    (factor, channel) =>
      ((ownBias?.[channel] ?? 0) - ownMean![channel]) * factor + (ownShift?.[channel] ?? 0),
  );
  const perChannel = weight.shape.slice(rows + 1).reduce((product, size) => product * size, 1);
  const weights = numbersOf(weight);
  for (let index = 0; index < weights.length; index++) {
    weights[index] *= factors[Math.floor(index / perChannel) % channels];
  }
  const { graph } = norm;
  graph.withInsertPoint(layer, () => {
    const insert = (made: TensorLiteral, instead: Value, name: string): Value => {
      const constant = insertConstant(graph, made);
      constant.node.source = layer.source;
      if (instead.hasName) constant.claimName(`${instead.name}_${name}`);
      return constant;
    };
    const folded = insert(literal(weight.dtype, weight.shape, weights), layer.inputs[1], 'fused_bn');
    layer.replaceInput(1, folded);
    layer.replaceInput(2, insert(literal(weight.dtype, [channels], offsets), layer.inputs[2], 'fused_bn'));
  });
  norm.replaceWith([layer.output]);
  return true;
}

/** The dimension of the layer's weight that counts its channels; undefined for what is no such layer. */
function weightRows(layer: Node): number | undefined {
  switch (layer.kind) {
    case 'aten::conv1d':
    case 'aten::conv2d':
    case 'aten::conv3d':
      return 0;
    case 'aten::_convolution':
    case 'aten::convolution':
      return constantValue(layer.inputs[6]) === false ? 0 : undefined;
    case 'aten::linear':
      // Of more dimensions the second has the channels of a batch norm, the last those of a linear layer.
      return isMatrix(layer.inputs[0]) ? 0 : undefined;
    default:
      return undefined;
  }
}

/** Operators whose result has the dimensions of their first operand. */
const likeFirst: ReadonlySet<string> = new Set(
  ['gelu', 'hardswish', 'hardtanh', 'leaky_relu', 'neg', 'relu', 'relu6', 'sigmoid', 'silu', 'softmax', 'tanh', 'dropout', 'batch_norm', 'linear'].map((name) => `aten::${name}`), // prettier-ignore
);

/** Whether a tensor has two dimensions whatever the operands of the graph are. */
function isMatrix({ node }: Value): boolean {
  if (node.kind === 'aten::mm' || node.kind === 'aten::addmm') return true;
  if (node.kind === 'aten::flatten') {
    const [start, end] = node.inputs.slice(1).map((input) => constantValue(input));
    return start === 1n && end === -1n;
  }
  if (node.kind === 'aten::view' || node.kind === 'aten::reshape') {
    const sizes = constantValue(node.inputs[1]);
    const construct = node.inputs[1].node;
    return (Array.isArray(sizes) ? sizes : construct.kind === 'prim::ListConstruct' ? construct.inputs : []).length === 2; // prettier-ignore
  }
  return likeFirst.has(node.kind) && isMatrix(node.inputs[0]);
}

const isFloats = (value: IValue | undefined): value is TensorLiteral =>
  value instanceof TensorLiteral && dtypes[value.dtype].category === 'float';

/** The elements as float64; large weights are float32, which need not go one by one. */
function numbersOf(from: TensorLiteral): Float64Array {
  const { dtype, bytes, splat } = from;
  if (dtype !== 'float32' || splat) return Float64Array.from(literalElements(from) as number[]);
  return Float64Array.from(new Float32Array(bytes.slice().buffer));
}

function literal(dtype: DType, shape: readonly number[], numbers: Float64Array): TensorLiteral {
  if (dtype !== 'float32') return literalOf(dtype, shape, [...numbers]);
  return new TensorLiteral(dtype, shape, new Uint8Array(Float32Array.from(numbers).buffer));
}

export const foldBatchNormPass: Pass = {
  name: 'fold-batch-norm',
  level: 'torch',
  summary: 'Makes batch norms with constant statistics part of the convolution or linear layer before them.',
  run: foldBatchNorm,
};
