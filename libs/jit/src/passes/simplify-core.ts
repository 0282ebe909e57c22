// Simplifications of core graphs that keep every bit of the result: identities, chains of reshapes, transposes and
// conversions, splats that stay splats, branches on constants. A rule returns the value that can stand for the node's only
// output, or undefined; rules that emit do so in front of the node.
import type { Block, DType, Graph, Node, Value } from '@weft/ir';
import {
  CoreBuilder,
  TensorLiteral,
  constantOf,
  dtypes,
  hasSideEffects,
  inlineRegion,
  isComplex,
  isConstant,
  isFloatingPoint,
  numel,
  specOf,
  typesEqual,
} from '@weft/ir';
import type { Pass } from './pass.ts';

type Rule = (node: Node, b: CoreBuilder) => Value | undefined;

/** Returns whether something was simplified. */
export function simplifyCore(graph: Graph): boolean {
  return visit(graph.block, new CoreBuilder(graph));
}

function visit(block: Block, b: CoreBuilder): boolean {
  let changed = false;
  for (const node of block.nodes()) {
    for (const inner of node.blocks) changed = visit(inner, b) || changed;
    if (node.outputs.every((output) => !output.hasUses)) continue;
    if (node.operator === 'if' && decideBranch(node, b)) {
      changed = true;
      continue;
    }
    const rule = rules[node.operator];
    if (rule === undefined || node.outputs.length !== 1 || hasSideEffects(node)) continue;
    const replacement = b.graph.withInsertPoint(node, () => rule(node, b));
    if (replacement === undefined || !typesEqual(replacement.type, node.output.type)) continue;
    replacement.node.source ??= node.source;
    node.replaceWith([replacement]);
    changed = true;
  }
  return changed;
}

/** An `if` on a constant becomes the region that it takes. */
function decideBranch(node: Node, b: CoreBuilder): boolean {
  const predicate = constantOf(node.inputs[0]);
  if (predicate === undefined) return false;
  const region = node.blocks[predicate.bytes[0] !== 0 ? 0 : 1];
  const { outputs } = b.graph.withInsertPoint(node, () => inlineRegion(b, region, []));
  node.replaceWith(outputs);
  return true;
}

const isFloat = (value: Value): boolean => dtypes[specOf(value).dtype].category === 'float';
const isIntegral = (value: Value): boolean => ['int', 'uint'].includes(dtypes[specOf(value).dtype].category);

/** x + 0 keeps the sign of a zero x only for -0 (IEEE 754). */
const addsNothing = (zero: Value): boolean =>
  isFloat(zero) ? isConstant(zero, -0) : isIntegral(zero) && isConstant(zero, 0);

/** Infinite parts of complex numbers do not survive a product with 1 + 0i. */
const isComplexValue = (value: Value): boolean => isComplex(specOf(value).dtype);

const byOne: Rule = (node) => {
  const [x, one] = node.inputs;
  return !isComplexValue(x) && isConstant(one, 1) ? x : undefined;
};

const selfInverse: Rule = (node) => {
  const maker = node.inputs[0].node;
  return maker.kind === node.kind ? maker.inputs[0] : undefined;
};

const sameOperand: Rule = (node) => (node.inputs[0] === node.inputs[1] ? node.inputs[0] : undefined);

/** A splat with other sizes, when the operand is one. */
function resplat(node: Node, b: CoreBuilder): Value | undefined {
  const literal = constantOf(node.inputs[0]);
  const isSplat = literal !== undefined && (literal.splat || numel(literal.shape) === 1);
  if (!isSplat) return undefined;
  const { sizes, dtype } = specOf(node.output);
  return b.constant(new TensorLiteral(dtype, sizes, literal.bytes, numel(sizes) !== 1));
}

/** A product whose free dimensions a transpose exchanges: the product of its operands exchanged. */
function exchanged(product: Node, permutation: readonly number[], b: CoreBuilder): Value | undefined {
  if (product.output.uses.length !== 1) return undefined;
  const [lhs, rhs] = product.inputs;
  const [lhsBatching, rhsBatching, lhsContracting, rhsContracting] = [
    'lhs_batching',
    'rhs_batching',
    'lhs_contracting',
    'rhs_contracting',
  ].map((name) => product.ints(`${name}_dimensions`));
  const batch = lhsBatching.length;
  const left = specOf(lhs).sizes.length - batch - lhsContracting.length;
  const rank = permutation.length;
  const isExchange = permutation.every((from, to) => {
    if (to < batch) return from === to;
    const shifted = to + left;
    return from === (shifted < rank ? shifted : shifted - rank + batch);
  });
  if (!isExchange) return undefined;
  const exchange = {
    lhsBatching: rhsBatching,
    rhsBatching: lhsBatching,
    lhsContracting: rhsContracting,
    rhsContracting: lhsContracting,
  };
  return b.dotGeneral(
    rhs,
    lhs,
    exchange,
    product.attributes.has('result_dtype') ? specOf(product.output).dtype : undefined,
  );
}

/** Whether every value of dtype `from` is one of dtype `to`. */
function holdsAll(from: DType, to: DType): boolean {
  const [a, b] = [dtypes[from], dtypes[to]];
  if (a.category === 'bool') return true;
  if (isFloatingPoint(from) && isFloatingPoint(to)) {
    return a.bytes < b.bytes;
  }
  if (a.category === b.category && a.category !== 'complex') return a.bytes <= b.bytes;
  return a.category === 'uint' && b.category === 'int' && a.bytes < b.bytes;
}

const rules: Readonly<Record<string, Rule>> = {
  add: (node) => {
    const [x, y] = node.inputs;
    return addsNothing(y) ? x : addsNothing(x) ? y : undefined;
  },
  subtract: (node) => {
    const [x, y] = node.inputs;
    return (isFloat(y) || isIntegral(y)) && isConstant(y, 0) ? x : undefined;
  },
  multiply: (node) => {
    const [x, y] = node.inputs;
    if (isComplexValue(x)) return undefined;
    return isConstant(y, 1) ? x : isConstant(x, 1) ? y : undefined;
  },
  divide: byOne,
  negate: selfInverse,
  not: selfInverse,
  and: sameOperand,
  or: sameOperand,
  maximum: sameOperand,
  minimum: sameOperand,
  reshape: (node, b) => {
    const [x] = node.inputs;
    const sizes = specOf(node.output).sizes;
    if (typesEqual(x.type, node.output.type)) return x;
    return x.node.operator === 'reshape' ? b.reshape(x.node.inputs[0], sizes) : resplat(node, b);
  },
  transpose: (node, b) => {
    const [x] = node.inputs;
    const permutation = node.ints('permutation');
    if (permutation.every((from, to) => from === to)) return x;
    if (x.node.operator === 'dot_general') return exchanged(x.node, permutation, b);
    if (x.node.operator !== 'transpose') return resplat(node, b);
    const inner = x.node.ints('permutation');
    return b.transpose(
      x.node.inputs[0],
      permutation.map((from) => inner[from]),
    );
  },
  broadcast_in_dim: (node, b) => {
    const [x] = node.inputs;
    const dimensions = node.ints('broadcast_dimensions');
    if (typesEqual(x.type, node.output.type) && dimensions.every((from, to) => from === to)) return x;
    if (x.node.operator !== 'broadcast_in_dim') return resplat(node, b);
    const inner = x.node.ints('broadcast_dimensions');
    return b.broadcastInDim(
      x.node.inputs[0],
      specOf(node.output).sizes,
      inner.map((dimension) => dimensions[dimension]),
    );
  },
  convert: (node, b) => {
    const [x] = node.inputs;
    if (typesEqual(x.type, node.output.type)) return x;
    if (x.node.operator !== 'convert') return undefined;
    // Through a dtype that holds every value of the first, nothing is lost.
    const source = x.node.inputs[0];
    return holdsAll(specOf(source).dtype, specOf(x).dtype)
      ? b.convert(source, specOf(node.output).dtype)
      : undefined;
  },
  select: (node) => {
    const [predicate, onTrue, onFalse] = node.inputs;
    if (onTrue === onFalse) return onTrue;
    if (isConstant(predicate, true)) return onTrue;
    return isConstant(predicate, false) ? onFalse : undefined;
  },
  slice: (node) => (typesEqual(node.inputs[0].type, node.output.type) ? node.inputs[0] : undefined),
  concatenate: (node) => (node.inputs.length === 1 ? node.inputs[0] : undefined),
  reverse: (node) => {
    const sizes = specOf(node.inputs[0]).sizes;
    return node.ints('dimensions').every((dimension) => sizes[dimension] === 1) ? node.inputs[0] : undefined;
  },
  pad: (node) => {
    const amounts = ['edge_padding_low', 'edge_padding_high', 'interior_padding'].flatMap((name) =>
      node.ints(name),
    );
    return amounts.every((amount) => amount === 0) ? node.inputs[0] : undefined;
  },
  power: byOne,
};

export const simplifyCorePass: Pass = {
  name: 'core-simplify',
  level: 'core',
  summary: 'Removes what computes nothing: identities, chains of reshapes and conversions, decided branches.',
  run: simplifyCore,
};
