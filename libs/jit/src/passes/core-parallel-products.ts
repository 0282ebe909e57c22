// Products of one value with several weights, as queries, keys and values are, become one product with the weights joined end to
// end, of which they are slices. Only where the joined weights are made once (constants, inputs that seldom change), and where the
// products are so small that a call of a kernel counts: larger ones gain nothing (docs/performance.md).
import type { Block, Graph, Node, Value } from '@weft/ir';
import { CoreBuilder, TensorLiteral, constantOf, dtypes, numel, specOf } from '@weft/ir';
import type { Pass, PassFacts } from './pass.ts';

/** Multiplications of the products together, at most. */
const largest = 1 << 18;

/** Returns whether products were joined. */
export function joinParallelProducts(graph: Graph, facts: PassFacts): boolean {
  return visit(graph.block, new CoreBuilder(graph), facts);
}

function visit(block: Block, b: CoreBuilder, facts: PassFacts): boolean {
  let changed = false;
  const groups = new Map<string, Product[]>();
  const numbers = new Map<Value, number>();
  for (const node of block.nodes()) {
    for (const inner of node.blocks) changed = visit(inner, b, facts) || changed;
    for (const side of [0, 1] as const) {
      const product = productOf(node, side, facts);
      if (product === undefined) continue;
      const { shared } = product;
      if (!numbers.has(shared)) numbers.set(shared, numbers.size);
      const key = `${numbers.get(shared)};${product.key}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [product]);
      else group.push(product);
      break;
    }
  }
  for (const group of groups.values()) {
    const work = group.reduce((sum, product) => sum + product.work, 0);
    if (group.length < 2 || work > largest) continue;
    join(group, b);
    changed = true;
  }
  return changed;
}

interface Product {
  readonly node: Node;
  /** Which operand the weight is. */
  readonly side: 0 | 1;
  readonly shared: Value;
  readonly weight: Value;
  /** The dimension of the weight that is not summed over. */
  readonly free: number;
  /** Equal for products that can be one, if `shared` is. */
  readonly key: string;
  readonly work: number;
}

const sides = ['lhs', 'rhs'] as const;
const none: readonly number[] = [];

/** A product with a fixed matrix as operand `side`. */
function productOf(node: Node, side: 0 | 1, { fixed }: PassFacts): Product | undefined {
  if (node.kind !== 'core::dot_general' || !node.output.hasUses) return undefined;
  const weight = node.inputs[side];
  const shared = node.inputs[1 - side];
  if (!fixed.has(weight) && constantOf(weight) === undefined) return undefined;
  if (fixed.has(shared) || constantOf(shared) !== undefined) return undefined;
  const contracting = node.ints(`${sides[side]}_contracting_dimensions`);
  const sizes = specOf(weight).sizes;
  const isBatched = node.ints(`${sides[side]}_batching_dimensions`).length > 0;
  if (isBatched || sizes.length !== 2 || contracting.length !== 1) return undefined;
  const [own] = contracting;
  const others = node.ints(`${sides[1 - side]}_contracting_dimensions`);
  const { dtype } = specOf(node.output);
  return {
    node,
    side,
    shared,
    weight,
    free: 1 - own,
    key: [side, own, others, specOf(weight).dtype, dtype, node.attributes.has('result_dtype')].join(';'),
    work: (numel(specOf(shared).sizes) / sizes[own]) * numel(sizes),
  };
}

function join(group: readonly Product[], b: CoreBuilder): void {
  const [{ node: first, side, shared, free }] = group;
  const product = b.graph.withInsertPoint(first, () => {
    const weights = group.map(({ weight }) => weight);
    for (const { node } of weights) if (node.kind === 'core::constant' && node.block === first.block && first.isBefore(node)) node.moveBefore(first); // prettier-ignore
    const joined = joinedConstants(weights, free, b) ?? b.concatenate(weights, free);
    const operands = side === 0 ? [joined, shared] : [shared, joined];
    return b.dotGeneral(
      operands[0],
      operands[1],
      {
        lhsBatching: [...none],
        rhsBatching: [...none],
        lhsContracting: [...first.ints('lhs_contracting_dimensions')],
        rhsContracting: [...first.ints('rhs_contracting_dimensions')],
      },
      first.attributes.has('result_dtype') ? specOf(first.output).dtype : undefined,
    );
  });
  product.node.source ??= first.source;
  const { sizes } = specOf(product);
  // The weights' own dimension is the first or the last of the result.
  const dimension = side === 0 ? 0 : sizes.length - 1;
  let from = 0;
  for (const { node } of group) {
    const to = from + specOf(node.output).sizes[dimension];
    const starts = sizes.map((_, dim) => (dim === dimension ? from : 0));
    const limits = sizes.map((size, dim) => (dim === dimension ? to : size));
    const slice = b.graph.withInsertPoint(node, () => b.slice(product, starts, limits));
    slice.node.source ??= node.source;
    node.replaceWith([slice]);
    from = to;
  }
}

/** The constant that matrices, all of them constants, are when they are joined. */
function joinedConstants(values: readonly Value[], dimension: number, b: CoreBuilder): Value | undefined {
  const literals = values.map(constantOf);
  if (!literals.every((literal) => literal !== undefined)) return undefined;
  const { dtype } = literals[0];
  const rows = literals.map((literal) => (dimension === 0 ? 1 : literal.shape[0]));
  const pieces: Uint8Array[] = [];
  for (let row = 0; row < rows[0]; row++) {
    for (const literal of literals) {
      const bytes = (numel(literal.shape) / rows[0]) * dtypes[dtype].bytes;
      if (!literal.splat) pieces.push(literal.bytes.subarray(row * bytes, (row + 1) * bytes));
      else for (let at = 0; at < bytes; at += literal.bytes.length) pieces.push(literal.bytes);
    }
  }
  const shape = literals[0].shape.with(dimension, literals.reduce((sum, literal) => sum + literal.shape[dimension], 0)); // prettier-ignore
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return b.constant(new TensorLiteral(dtype, shape, bytes));
}

export const coreParallelProductsPass: Pass = {
  name: 'core-parallel-products',
  level: 'core',
  summary: 'Makes one product of small products of one value with several weights.',
  run: joinParallelProducts,
};
