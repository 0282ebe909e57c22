// Sums of many terms, as derivatives are where a value is used many times: the weight of a loop, the pieces of a tensor that was
// split. Products of one shape become one product over what they contract, joined end to end; padded pieces become a
// concatenation. The terms are added in another order then, so results may differ in their last bits.
import type { Block, Graph, Node, Value } from '@weft/ir';
import { CoreBuilder, isConstant, numel, specOf } from '@weft/ir';
import type { Pass } from './pass.ts';

/** Returns whether a sum was changed. */
export function simplifySums(graph: Graph): boolean {
  return visit(graph.block, new CoreBuilder(graph));
}

function visit(block: Block, b: CoreBuilder): boolean {
  let changed = false;
  const roots: Node[] = [];
  for (const node of block.nodes()) {
    for (const inner of node.blocks) changed = visit(inner, b) || changed;
    if (node.operator === 'add' && !isTerm(node.output)) roots.push(node);
  }
  for (const root of roots) {
    const terms = termsOf(root);
    const joined = b.graph.withInsertPoint(root, () => {
      const padded = joinPieces(b, terms);
      return mergeProducts(b, padded ?? terms) ?? padded;
    });
    if (joined === undefined) continue;
    const sum = b.graph.withInsertPoint(root, () => joined.reduce((left, right) => b.add(left, right)));
    sum.node.source ??= root.source;
    root.replaceWith([sum]);
    changed = true;
  }
  return changed;
}

/** Whether a value is used once, by an addition of the same block. */
function isTerm(value: Value): boolean {
  const [use, ...others] = value.uses;
  return use !== undefined && others.length === 0 && use.user.operator === 'add' && use.user.block === value.node.block; // prettier-ignore
}

/** What is added in all, from left to right. */
function termsOf(root: Node): Value[] {
  const terms: Value[] = [];
  const open = [...root.inputs].reverse();
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    const { node } = value;
    if (node.operator === 'add' && node.block === root.block && isTerm(value))
      open.push(...[...node.inputs].reverse()); // prettier-ignore
    else terms.push(value);
  }
  return terms;
}

/** The items by a key; those without one are left out. */
function grouped<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

/** The terms with each group replaced by one value, in the place of its first member. */
function replaced(terms: readonly Value[], groups: ReadonlyMap<readonly Value[], Value>): Value[] {
  const standIn = new Map<Value, Value | null>();
  for (const [members, value] of groups) members.forEach((member, index) => standIn.set(member, index === 0 ? value : null)); // prettier-ignore
  return terms.flatMap((term) => {
    const value = standIn.get(term);
    return value === null ? [] : [value ?? term];
  });
}

// ---- products -----------------------------------------------------------------------------------------------------

interface Product {
  readonly term: Value;
  readonly node: Node;
  readonly permutation: readonly number[] | undefined;
}

/** A product that nothing else reads, as it is or transposed. */
function productOf(term: Value): Product | undefined {
  const permutation = term.node.operator === 'transpose' ? term.node.ints('permutation') : undefined;
  const value = permutation === undefined ? term : term.node.inputs[0];
  const { node } = value;
  if (node.kind !== 'core::dot_general' || node.block !== term.node.block) return undefined;
  if (term.uses.length !== 1 || value.uses.length !== 1) return undefined;
  // Halves are rounded after each product.
  const { dtype } = specOf(value);
  if (dtype === 'float16' || dtype === 'bfloat16') return undefined;
  return node.ints('lhs_contracting_dimensions').length === 0 ? undefined : { term, node, permutation };
}

/** Products alike in all but the size of the first dimension that they contract. */
function productKey({ node, permutation }: Product): string {
  const sides = (['lhs', 'rhs'] as const).map((side, index) => {
    const { dtype, sizes } = specOf(node.inputs[index]);
    const contracting = node.ints(`${side}_contracting_dimensions`);
    const others = sizes.map((size, dimension) => (dimension === contracting[0] ? '*' : size));
    return [dtype, others, contracting, node.ints(`${side}_batching_dimensions`)].map(String).join(':');
  });
  return [...sides, specOf(node.output).dtype, String(permutation)].join(';');
}

function mergeProducts(b: CoreBuilder, terms: readonly Value[]): Value[] | undefined {
  const products = terms.flatMap((term) => productOf(term) ?? []);
  const groups = new Map<readonly Value[], Value>();
  for (const group of grouped(products, productKey)) {
    if (group.length < 2 || !isWorthJoining(group)) continue;
    const [{ node, permutation }] = group;
    const numbers = (name: string): number[] => [...node.ints(`${name}_dimensions`)];
    const [lhsContracting, rhsContracting] = [numbers('lhs_contracting'), numbers('rhs_contracting')];
    const joined = (operand: number, dimension: number): Value =>
      b.concatenate(
        group.map((product) => product.node.inputs[operand]),
        dimension,
      );
    const product = b.dotGeneral(
      joined(0, lhsContracting[0]),
      joined(1, rhsContracting[0]),
      {
        lhsBatching: numbers('lhs_batching'),
        rhsBatching: numbers('rhs_batching'),
        lhsContracting,
        rhsContracting,
      },
      node.attributes.has('result_dtype') ? specOf(node.output).dtype : undefined,
    );
    groups.set(
      group.map(({ term }) => term),
      permutation === undefined ? product : b.transpose(product, [...permutation]),
    );
  }
  return groups.size === 0 ? undefined : replaced(terms, groups);
}

/** Whether copying the operands moves less memory than adding up the products. */
function isWorthJoining(products: readonly Product[]): boolean {
  const elements = (value: Value): number => numel(specOf(value).sizes);
  const [{ node }] = products;
  const copied = products.reduce((sum, each) => sum + elements(each.node.inputs[0]) + elements(each.node.inputs[1]), 0); // prettier-ignore
  return copied <= (products.length - 1) * elements(node.output);
}

// ---- pieces -------------------------------------------------------------------------------------------------------

interface Piece {
  readonly term: Value;
  readonly node: Node;
  /** The one dimension that is padded, and where in it the piece is. */
  readonly dimension: number;
  readonly from: number;
  readonly to: number;
}

/** A value with zeros before and behind it in one dimension. */
function pieceOf(term: Value): Piece | undefined {
  const { node } = term;
  if (node.kind !== 'core::pad' || term.uses.length !== 1 || !isConstant(node.inputs[1], 0)) return undefined;
  const [low, high, interior] = ['edge_padding_low', 'edge_padding_high', 'interior_padding'].map((name) => node.ints(name)); // prettier-ignore
  if (interior.some((amount) => amount !== 0) || [...low, ...high].some((amount) => amount < 0)) return undefined; // prettier-ignore
  const padded = low.flatMap((amount, dimension) => (amount + high[dimension] > 0 ? [dimension] : []));
  if (padded.length !== 1) return undefined;
  const [dimension] = padded;
  const from = low[dimension];
  return { term, node, dimension, from, to: from + specOf(node.inputs[0]).sizes[dimension] };
}

/** Pieces of a dimension that do not overlap, one after the other, with zeros where there is none. */
function joinPieces(b: CoreBuilder, terms: readonly Value[]): Value[] | undefined {
  const pieces = terms.flatMap((term) => pieceOf(term) ?? []);
  const groups = new Map<readonly Value[], Value>();
  for (const group of grouped(pieces, ({ dimension }) => String(dimension))) {
    const ordered = group.toSorted((a, c) => a.from - c.from);
    const apart = ordered.filter((piece, index) => index === 0 || piece.from >= ordered[index - 1].to);
    if (apart.length < 2 || apart.length < ordered.length) continue;
    const [{ node, dimension }] = ordered;
    const { dtype, sizes } = specOf(node.output);
    const parts: Value[] = [];
    const fill = (from: number, to: number): void => {
      if (to > from) parts.push(b.full(0, dtype, sizes.with(dimension, to - from)));
    };
    let at = 0;
    for (const piece of ordered) {
      fill(at, piece.from);
      parts.push(piece.node.inputs[0]);
      at = piece.to;
    }
    fill(at, sizes[dimension]);
    groups.set(
      terms.filter((term) => ordered.some((piece) => piece.term === term)),
      b.concatenate(parts, dimension),
    );
  }
  return groups.size === 0 ? undefined : replaced(terms, groups);
}

export const coreSumsPass: Pass = {
  name: 'core-sums',
  level: 'core',
  summary: 'Makes one product of a sum of products, and a concatenation of a sum of padded pieces.',
  run: simplifySums,
};
