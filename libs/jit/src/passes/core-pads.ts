// Padding that what reads it does by itself: zeros around the operand of a convolution and the initial value around that of a window
// reduction become padding of theirs, a slice of the middle is one of the value itself, pads of pads are one. A convolution
// takes its own padding for nothing, so that a weight that is infinite or NaN no longer meets the zeros.
import type { Block, Graph, Node, Value } from '@weft/ir';
import { CoreBuilder, constantOf, isConstant, specOf, typesEqual } from '@weft/ir';
import type { Pass } from './pass.ts';

/** Returns whether anything changed. */
export function mergePads(graph: Graph): boolean {
  return visit(graph.block, new CoreBuilder(graph));
}

function visit(block: Block, b: CoreBuilder): boolean {
  let changed = false;
  for (const node of block.nodes()) {
    for (const inner of node.blocks) changed = visit(inner, b) || changed;
    if (node.kind === 'core::convolution') changed = padConvolution(node) || changed;
    else if (node.kind === 'core::reduce_window') changed = padWindow(node) || changed;
    else if (node.kind === 'core::slice' || node.kind === 'core::pad') {
      const rule = node.kind === 'core::slice' ? sliceOfPad : padOfPad;
      const replacement = node.output.hasUses && b.graph.withInsertPoint(node, () => rule(node, b));
      if (!replacement) continue;
      replacement.node.source ??= node.source;
      node.replaceWith([replacement]);
      changed = true;
    }
  }
  return changed;
}

interface Pad {
  readonly x: Value;
  readonly value: Value;
  readonly low: readonly number[];
  readonly high: readonly number[];
}

/** A value with others around it, none between and none taken away. */
function padOf({ node }: Value): Pad | undefined {
  if (node.kind !== 'core::pad') return undefined;
  const [low, high, interior] = ['edge_padding_low', 'edge_padding_high', 'interior_padding'].map((name) =>
    node.ints(name),
  );
  if (interior.some((amount) => amount !== 0) || [...low, ...high].some((amount) => amount < 0))
    return undefined;
  const [x, value] = node.inputs;
  return { x, value, low, high };
}

const isPadded = ({ low, high }: Pad, dimension: number): boolean =>
  low[dimension] > 0 || high[dimension] > 0;

function padConvolution(node: Node): boolean {
  const pad = padOf(node.inputs[0]);
  if (pad === undefined || !isConstant(pad.value, 0)) return false;
  const [batch, feature, ...spatial] = node.ints('input_dimensions');
  const dilation = node.ints('lhs_dilation');
  if (isPadded(pad, batch) || isPadded(pad, feature)) return false;
  if (spatial.some((dimension, at) => isPadded(pad, dimension) && dilation[at] !== 1)) return false;
  takeOver(node, pad, spatial);
  return true;
}

function padWindow(node: Node): boolean {
  if (node.inputs.length !== 2) return false;
  const pad = padOf(node.inputs[0]);
  if (pad === undefined || !isSame(pad.value, node.inputs[1])) return false;
  const dilation = node.ints('base_dilations');
  if (dilation.some((each, dimension) => each !== 1 && isPadded(pad, dimension))) return false;
  takeOver(
    node,
    pad,
    dilation.map((_, dimension) => dimension),
  );
  return true;
}

/** The node reads the value itself, and pads the dimensions named more. */
function takeOver(node: Node, { x, low, high }: Pad, dimensions: readonly number[]): void {
  const padding = node
    .intPairs('padding')
    .map(([before, after], at) => [before + low[dimensions[at]], after + high[dimensions[at]]]);
  node.set('padding', { kind: 'iss', value: padding.map((pair) => pair.map(BigInt)) });
  node.replaceInput(0, x);
}

function isSame(a: Value, c: Value): boolean {
  if (a === c) return true;
  const [first, second] = [constantOf(a), constantOf(c)];
  if (first === undefined || second === undefined || !typesEqual(a.type, c.type)) return false;
  return Buffer.compare(first.bytes, second.bytes) === 0;
}

function sliceOfPad(node: Node, b: CoreBuilder): Value | undefined {
  const pad = padOf(node.inputs[0]);
  if (pad === undefined) return undefined;
  const { sizes } = specOf(pad.x);
  const starts = node.ints('start_indices').map((start, dim) => start - pad.low[dim]);
  const limits = node.ints('limit_indices').map((limit, dim) => limit - pad.low[dim]);
  const isInside = starts.every(
    (start, dim) => start >= 0 && start <= limits[dim] && limits[dim] <= sizes[dim],
  );
  return isInside ? b.slice(pad.x, starts, limits, node.ints('strides')) : undefined;
}

function padOfPad(node: Node, b: CoreBuilder): Value | undefined {
  const [outer, inner] = [padOf(node.output), padOf(node.inputs[0])];
  if (outer === undefined || inner === undefined || !isSame(outer.value, inner.value)) return undefined;
  const sum = (first: readonly number[], second: readonly number[]): number[] =>
    first.map((amount, dim) => amount + second[dim]);
  return b.pad(inner.x, inner.value, sum(outer.low, inner.low), sum(outer.high, inner.high));
}

export const corePadsPass: Pass = {
  name: 'core-pads',
  level: 'core',
  summary:
    'Makes pads part of the convolutions and window reductions that read them, and takes slices and pads through them.',
  run: mergePads,
};
