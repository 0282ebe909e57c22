// Slices and concatenations that undo one another: a slice of joined pieces is a piece, neighbouring slices that are joined are one
// slice, chains of either shorten, pieces without elements go. Every element stays what it was.
import type { Block, Graph, Node, Value } from '@weft/ir';
import { CoreBuilder, specOf } from '@weft/ir';
import type { Pass } from './pass.ts';

/** Returns whether anything changed. */
export function simplifySlices(graph: Graph): boolean {
  return visit(graph.block, new CoreBuilder(graph));
}

function visit(block: Block, b: CoreBuilder): boolean {
  let changed = false;
  for (const node of block.nodes()) {
    for (const inner of node.blocks) changed = visit(inner, b) || changed;
    const rule = rules[node.operator];
    if (rule === undefined || !node.output.hasUses) continue;
    const replacement = b.graph.withInsertPoint(node, () => rule(node, b));
    if (replacement === undefined) continue;
    replacement.node.source ??= node.source;
    node.replaceWith([replacement]);
    changed = true;
  }
  return changed;
}

/** Where a slice looks, a number for each dimension. */
interface Window {
  readonly starts: readonly number[];
  readonly limits: readonly number[];
  readonly strides: readonly number[];
}

const windowOf = (node: Node): Window => ({
  starts: node.ints('start_indices'),
  limits: node.ints('limit_indices'),
  strides: node.ints('strides'),
});

function simplifySlice(node: Node, b: CoreBuilder): Value | undefined {
  const [x] = node.inputs;
  if (x.node.operator === 'slice') return sliceOfSlice(node, x.node, b);
  return x.node.operator === 'concatenate' ? sliceOfPieces(node, x.node, b) : undefined;
}

function sliceOfSlice(outer: Node, inner: Node, b: CoreBuilder): Value {
  const [own, before] = [windowOf(outer), windowOf(inner)];
  const starts = own.starts.map((start, dim) => before.starts[dim] + start * before.strides[dim]);
  const strides = own.strides.map((stride, dim) => stride * before.strides[dim]);
  const { sizes } = specOf(outer.output);
  // The last element that is taken, and one.
  const limits = sizes.map((size, dim) =>
    size === 0 ? starts[dim] : starts[dim] + (size - 1) * strides[dim] + 1,
  );
  return b.slice(inner.inputs[0], starts, limits, strides);
}

/** A slice that lies within one of the joined pieces. */
function sliceOfPieces(node: Node, joined: Node, b: CoreBuilder): Value | undefined {
  const dimension = joined.int('dimension');
  const { starts, limits, strides } = windowOf(node);
  const size = specOf(node.output).sizes[dimension];
  if (size === 0) return undefined;
  const first = starts[dimension];
  const last = first + (size - 1) * strides[dimension];
  let from = 0;
  for (const piece of joined.inputs) {
    const to = from + specOf(piece).sizes[dimension];
    if (first >= from && last < to) {
      return b.slice(piece, starts.with(dimension, first - from), limits.with(dimension, last + 1 - from), [
        ...strides,
      ]);
    }
    from = to;
  }
  return undefined;
}

function simplifyConcatenation(node: Node, b: CoreBuilder): Value | undefined {
  const dimension = node.int('dimension');
  // Pieces that were joined only to be joined again.
  const flat = node.inputs.flatMap((piece) => {
    const isJoined =
      piece.node.operator === 'concatenate' &&
      piece.node.int('dimension') === dimension &&
      piece.uses.length === 1;
    return isJoined ? [...piece.node.inputs] : [piece];
  });
  const pieces: Value[] = [];
  for (const piece of flat) {
    if (specOf(piece).sizes[dimension] === 0) continue;
    const last = pieces.at(-1);
    const merged = last && neighbours(last, piece, dimension, b);
    if (merged) pieces.splice(-1, 1, merged);
    else pieces.push(piece);
  }
  if (pieces.length === node.inputs.length) return undefined;
  if (pieces.length === 0) return node.inputs.length > 1 ? flat[0] : undefined;
  return pieces.length === 1 ? pieces[0] : b.concatenate(pieces, dimension);
}

/** One slice in place of two of the same value, the second of which begins where the first ends. */
function neighbours(a: Value, c: Value, dimension: number, b: CoreBuilder): Value | undefined {
  if (a.node.operator !== 'slice' || c.node.operator !== 'slice') return undefined;
  if (a.node.inputs[0] !== c.node.inputs[0]) return undefined;
  const [first, second] = [windowOf(a.node), windowOf(c.node)];
  if (first.strides[dimension] !== 1 || second.strides[dimension] !== 1) return undefined;
  const fits = first.starts.every((start, dim) =>
    dim === dimension
      ? first.limits[dim] === second.starts[dim]
      : start === second.starts[dim] &&
        first.limits[dim] === second.limits[dim] &&
        first.strides[dim] === second.strides[dim],
  );
  if (!fits) return undefined;
  const limits = first.limits.with(dimension, second.limits[dimension]);
  return b.slice(a.node.inputs[0], first.starts, limits, first.strides);
}

const rules: Readonly<Record<string, (node: Node, b: CoreBuilder) => Value | undefined>> = {
  slice: simplifySlice,
  concatenate: simplifyConcatenation,
};

export const coreSlicesPass: Pass = {
  name: 'core-slices',
  level: 'core',
  summary:
    'Takes slices from the pieces of a concatenation, joins neighbouring slices and chains of either, and leaves out empty pieces.',
  run: simplifySlices,
};
