// Derivatives of reductions. Sums, maxima and minima have rules; any other region is differentiated through an equivalent
// of elementwise operators: a tree over whole dimensions, a fold over the positions of a window.
import type { Block, Node, Value } from '../../graph/graph.ts';
import { UnsupportedError } from '../../errors.ts';
import { numel } from '../../types/types.ts';
import type { CoreBuilder } from '../builder.ts';
import { specOf } from '../infer-types.ts';
import type { CoreOperator, CotangentScope } from '../operator.ts';
import { sumToScalar } from '../cotangent.ts';
import { applyElementwise } from '../region.ts';
import { vjpThrough } from '../reverse.ts';
import { combinerOf, range } from './inference.ts';
import { dilated } from './window-shape.ts';

type Cotangents = readonly (Value | null)[];

// ---- reduce -------------------------------------------------------------------------------------------------------

export const reduceVjp: CoreOperator['vjp'] = (b, node, cotangents, scope) => {
  const combiner = node.outputs.length === 1 ? combinerOf(node.blocks[0]) : undefined;
  const [x, init] = node.inputs;
  const [g] = cotangents;
  if (combiner === 'add' && g !== null) return [spread(b, g, node), sumToScalar(b, g)];
  const isExtremum = (combiner === 'maximum' || combiner === 'minimum') && !scope.wants(init);
  if (isExtremum && g !== null) return [shareAmongTies(b, node, x, g), null];
  return vjpThrough(b, node, cotangents, scope, () => reduceAsTree(b, node));
};

/** Repeats a reduced value over the reduced dimensions. */
function spread(b: CoreBuilder, reduced: Value, node: Node): Value {
  const { sizes } = specOf(node.inputs[0]);
  const dimensions = node.ints('dimensions');
  return b.broadcastInDim(
    reduced,
    sizes,
    range(sizes.length).filter((at) => !dimensions.includes(at)),
  );
}

/** PyTorch's amax and amin: all elements equal to the result get the same part; NaN everywhere where the result is NaN. */
function shareAmongTies(b: CoreBuilder, node: Node, x: Value, g: Value): Value {
  const hits = b.convert(b.compare(x, spread(b, node.outputs[0], node), 'EQ'), specOf(x).dtype);
  const count = b.reduceSum(hits, node.ints('dimensions'));
  return b.multiply(hits, spread(b, b.divide(g, count), node));
}

/** The reduction by combining neighbours, half as many each time; the order of elements is kept. */
function reduceAsTree(b: CoreBuilder, node: Node): Value[] {
  const count = node.outputs.length;
  const [region] = node.blocks;
  const { sizes } = specOf(node.inputs[0]);
  const dimensions = node.ints('dimensions');
  const kept = range(sizes.length).filter((at) => !dimensions.includes(at));
  const shape = kept.map((at) => sizes[at]);
  let length = numel(dimensions.map((at) => sizes[at]));
  let values = node.inputs
    .slice(0, count)
    .map((x) => b.reshape(b.transpose(x, [...kept, ...dimensions]), [...shape, length]));
  const inits = node.inputs.slice(count).map((init) => b.broadcastTo(init, shape));
  if (length === 0) return inits;
  const every = (x: Value, from: number, to: number, step: number) =>
    b.slice(x, [...shape.map(() => 0), from], [...shape, to], [...shape.map(() => 1), step]);
  while (length > 1) {
    const pairs = Math.floor(length / 2);
    const left = values.map((x) => every(x, 0, 2 * pairs, 2));
    const right = values.map((x) => every(x, 1, 2 * pairs, 2));
    const combined = applyElementwise(b, region, [...left, ...right]);
    const isOdd = length % 2 === 1;
    values = combined.map((x, index) =>
      isOdd ? b.concatenate([x, every(values[index], length - 1, length, 1)], shape.length) : x,
    );
    length = pairs + (isOdd ? 1 : 0);
  }
  return applyElementwise(b, region, [...inits, ...values.map((x) => b.reshape(x, shape))]);
}

// ---- windows ------------------------------------------------------------------------------------------------------

interface WindowPlan {
  readonly window: readonly number[];
  readonly strides: readonly number[];
  readonly padding: readonly (readonly number[])[];
  readonly baseDilations: readonly number[];
  readonly windowDilations: readonly number[];
}

function windowPlan(node: Node): WindowPlan {
  const window = node.ints('window_dimensions');
  const ones = window.map(() => 1);
  const dilation = (name: string) => (node.attributes.has(name) ? node.ints(name) : ones);
  return {
    window,
    strides: node.ints('window_strides'),
    padding: node.intPairs('padding'),
    baseDilations: dilation('base_dilations'),
    windowDilations: dilation('window_dilations'),
  };
}

export const reduceWindowVjp: CoreOperator['vjp'] = (b, node, cotangents, scope) => {
  const plan = windowPlan(node);
  const combiner = node.outputs.length === 1 ? combinerOf(node.blocks[0]) : undefined;
  const [x, init] = node.inputs;
  const [g] = cotangents;
  if (!scope.wants(init) && g !== null) {
    if (combiner === 'add') return [sumWindowVjp(b, plan, x, g), null];
    if (combiner === 'maximum' || combiner === 'minimum') {
      return extremumWindowVjp(b, node, plan, cotangents, scope, combiner === 'maximum' ? 'GT' : 'LT');
    }
  }
  return vjpThrough(b, node, cotangents, scope, () =>
    foldWindow(b, node, plan, applyRegion(b, node.blocks[0])),
  );
};

const applyRegion = (b: CoreBuilder, region: Block) => (old: readonly Value[], next: readonly Value[]) =>
  applyElementwise(b, region, [...old, ...next]);

/** Each element gets the cotangents of all windows that hold it: a sum over windows with stride and dilation swapped. */
function sumWindowVjp(b: CoreBuilder, plan: WindowPlan, x: Value, g: Value): Value {
  const [input, output] = [specOf(x).sizes, specOf(g).sizes];
  if (numel(output) === 0) return b.fullLike(x, 0);
  const padding = plan.window.map((window, at) => {
    const reach = dilated(window, plan.windowDilations[at]);
    const before = reach - plan.padding[at][0] - 1;
    const after =
      dilated(input[at], plan.baseDilations[at]) + reach - 1 - dilated(output[at], plan.strides[at]) - before;
    return [before, after];
  });
  return b.reduceWindow(
    [g],
    [b.full(0, specOf(g).dtype)],
    {
      windowDimensions: plan.window,
      windowStrides: plan.baseDilations,
      baseDilations: plan.strides,
      windowDilations: plan.windowDilations,
      padding,
    },
    (b, p, q) => [b.add(p, q)],
  )[0];
}

/** PyTorch's max pooling: the first of equal elements gets all; a NaN beats everything before it. */
function extremumWindowVjp(
  b: CoreBuilder,
  node: Node,
  plan: WindowPlan,
  cotangents: Cotangents,
  scope: CotangentScope,
  beats: 'GT' | 'LT',
): (Value | null)[] {
  const stays = (b: CoreBuilder, old: Value, next: Value) =>
    b.and(b.not(b.compare(next, old, beats)), b.compare(next, next, 'EQ'));
  const isDilated = [...plan.baseDilations, ...plan.windowDilations].some((dilation) => dilation !== 1);
  if (isDilated) {
    return vjpThrough(b, node, cotangents, scope, () =>
      foldWindow(b, node, plan, ([old], [next]) => [b.select(stays(b, old, next), old, next)]),
    );
  }
  const [x] = node.inputs;
  const scattered = b.selectAndScatter(
    x,
    cotangents[0]!,
    b.full(0, specOf(x).dtype),
    { windowDimensions: plan.window, windowStrides: plan.strides, padding: plan.padding },
    (b, old, next) => [stays(b, old, next)],
    (b, p, q) => [b.add(p, q)],
  );
  return [scattered, null];
}

const MOST_POSITIONS = 4096;

/** The offsets within a window in row-major order, as start positions in the padded tensor. */
function* windowOffsets(node: Node, plan: WindowPlan): Generator<readonly number[], void> {
  const total = numel(plan.window);
  if (total > MOST_POSITIONS) {
    throw new UnsupportedError(
      `the derivative of core::${node.operator} with a region of its own over a window of ${total} elements; ${MOST_POSITIONS} at most are unrolled`,
      node.source,
    );
  }
  for (let position = 0; position < total; position++) {
    const offset: number[] = [];
    let rest = position;
    for (let at = plan.window.length - 1; at >= 0; at--) {
      offset[at] = (rest % plan.window[at]) * plan.windowDilations[at];
      rest = Math.floor(rest / plan.window[at]);
    }
    yield offset;
  }
}

/** `x` padded and dilated as windows see it. */
function padForWindow(b: CoreBuilder, x: Value, padding: Value, plan: WindowPlan): Value {
  return b.pad(
    x,
    padding,
    plan.padding.map(([low]) => low),
    plan.padding.map(([, high]) => high),
    plan.baseDilations.map((dilation) => dilation - 1),
  );
}

/** The elements of a padded tensor that stand at `offset` of each window. */
function atOffset(
  b: CoreBuilder,
  padded: Value,
  offset: readonly number[],
  plan: WindowPlan,
  windows: readonly number[],
): Value {
  const limit = offset.map((start, at) => start + (windows[at] - 1) * plan.strides[at] + 1);
  return b.slice(padded, offset, limit, plan.strides);
}

/** The window reduction as a fold over its positions, each step on all windows at once. */
function foldWindow(
  b: CoreBuilder,
  node: Node,
  plan: WindowPlan,
  step: (old: readonly Value[], next: readonly Value[]) => readonly Value[],
): readonly Value[] {
  const count = node.outputs.length;
  const windows = specOf(node.outputs[0]).sizes;
  const inits = node.inputs.slice(count);
  let values: readonly Value[] = inits.map((init) => b.broadcastTo(init, windows));
  if (numel(windows) === 0) return values;
  const padded = node.inputs.slice(0, count).map((x, index) => padForWindow(b, x, inits[index], plan));
  for (const offset of windowOffsets(node, plan)) {
    values = step(
      values,
      padded.map((x) => atOffset(b, x, offset, plan, windows)),
    );
  }
  return values;
}

/** The cotangent at the element that each window selected. The selection itself has no derivative. */
export const selectAndScatterVjp: CoreOperator['vjp'] = (b, node, [g]) => {
  if (g === null) return [null, null, null];
  if (combinerOf(node.blocks[1]) !== 'add') {
    throw new UnsupportedError(
      'the derivative of core::select_and_scatter whose scatter region is no sum; scatter with add',
      node.source,
    );
  }
  const plan = windowPlan(node);
  const [x, source] = node.inputs;
  const windows = specOf(source).sizes;
  if (numel(windows) === 0) return [null, b.fullLike(source, 0), sumToScalar(b, g)];
  const zero = b.full(0, specOf(x).dtype);
  const padded = padForWindow(b, x, zero, plan);
  const paddedG = padForWindow(b, g, zero, plan);
  const inside = padForWindow(b, b.full(true, 'bool', specOf(x).sizes), b.full(false, 'bool'), plan);
  let [best, picked] = [b.fullLike(source, 0), b.fullLike(source, 0)];
  let found = b.full(false, 'bool', windows);
  for (const offset of windowOffsets(node, plan)) {
    const candidate = atOffset(b, padded, offset, plan, windows);
    const isThere = atOffset(b, inside, offset, plan, windows);
    const [stays] = applyElementwise(b, node.blocks[0], [best, candidate]);
    const keep = b.or(b.not(isThere), b.and(found, stays));
    best = b.select(keep, best, candidate);
    picked = b.select(keep, picked, atOffset(b, paddedG, offset, plan, windows));
    found = b.or(found, isThere);
  }
  return [null, picked, sumToScalar(b, g)];
};
