// Reductions: over whole dimensions, over windows, and select_and_scatter.
import type { Node, Value } from '../../graph/graph.ts';
import { numel, tensorSpec } from '../../types/types.ts';
import type { InferenceSite, ShardingRule } from '../operator.ts';
import { registerCoreOperator } from '../operator.ts';
import { specOf } from '../infer-types.ts';
import type { Combiner } from './inference.ts';
import {
  combinerOf,
  equalSizes,
  expectAtLeast,
  expectDimensions,
  expectLength,
  expectOperands,
  expectRegion,
  expectSameDType,
  expectScalar,
  isConstant,
  range,
  regionFlops,
  sizesText,
  trafficOf,
} from './inference.ts';
import { windowOutput } from './window-shape.ts';
import { reduceVjp, reduceWindowVjp, selectAndScatterVjp } from './window-vjp.ts';

/** N inputs of one shape, N scalar initial values of their dtypes, a region of 2N scalars to N. Returns N. */
function expectReduction(site: InferenceSite): number {
  const count = site.operands.length / 2;
  if (!Number.isInteger(count) || count === 0) {
    site.fail(`inputs and as many initial values are expected, ${site.operands.length} operands given`);
  }
  for (let index = 0; index < count; index++) {
    if (!equalSizes(site.operands[index].sizes, site.operands[0].sizes)) {
      site.fail(`inputs 0 and ${index} differ in shape; all must be reduced together`);
    }
    expectScalar(site, count + index);
    expectSameDType(site, index, count + index);
  }
  const scalars = site.operands.slice(count);
  expectRegion(site, 0, [...scalars, ...scalars], scalars);
  return count;
}

const reductionCost = (node: Node) => ({
  flops: numel(specOf(node.inputs[0]).sizes) * Math.max(1, regionFlops(node.blocks[0])),
  bytes: trafficOf(node),
});

/** How results of parts combine: those of a reduction by `combiner` from the neutral element. */
function partialReduction(combiner: Combiner | undefined, init: Value): ShardingRule['reduction'] {
  switch (combiner) {
    case 'add':
      return isConstant(init, 0) ? 'sum' : undefined;
    case 'multiply':
      return isConstant(init, 1) ? 'prod' : undefined;
    case 'maximum':
    case 'or':
      return 'max';
    case 'minimum':
    case 'and':
      return 'min';
    default:
      return undefined;
  }
}

registerCoreOperator({
  name: 'reduce',
  attributes: { dimensions: 'is' },
  regions: 1,
  infer(site) {
    const count = expectReduction(site);
    const { sizes } = site.operands[0];
    const dimensions = site.node.ints('dimensions');
    expectDimensions(site, 'dimensions', dimensions, sizes.length);
    const kept = sizes.filter((_, dimension) => !dimensions.includes(dimension));
    return site.operands.slice(0, count).map(({ dtype }) => tensorSpec(dtype, kept));
  },
  vjp: reduceVjp,
  cost: reductionCost,
  sharding(node) {
    const count = node.outputs.length;
    const dimensions = node.ints('dimensions');
    const combiner = count === 1 ? combinerOf(node.blocks[0]) : undefined;
    const bool = specOf(node.inputs[0]).dtype === 'bool';
    const bitwise = (combiner === 'and' || combiner === 'or') && !bool;
    const reduction =
      bitwise || (bool && combiner === 'add') ? undefined : partialReduction(combiner, node.inputs[count]);
    const labels = range(specOf(node.inputs[0]).sizes.length).map((dimension) =>
      dimensions.includes(dimension) && reduction === undefined ? null : dimension,
    );
    const result = range(labels.length).filter((dimension) => !dimensions.includes(dimension));
    return {
      operands: node.inputs.map((_, index) => (index < count ? labels : [])),
      results: node.outputs.map(() => result),
      reduction,
      linear: reduction === 'sum' ? [[0]] : undefined,
    };
  },
});

registerCoreOperator({
  name: 'reduce_window',
  attributes: {
    window_dimensions: 'is',
    window_strides: 'is',
    base_dilations: 'is',
    window_dilations: 'is',
    padding: 'iss',
  },
  regions: 1,
  infer(site) {
    const count = expectReduction(site);
    const sizes = windowSizes(site, site.operands[0].sizes, {
      base: site.node.ints('base_dilations'),
      window: site.node.ints('window_dilations'),
    });
    return site.operands.slice(0, count).map(({ dtype }) => tensorSpec(dtype, sizes));
  },
  vjp: reduceWindowVjp,
  cost: (node) => ({
    flops:
      numel(specOf(node.outputs[0]).sizes) *
      numel(node.ints('window_dimensions')) *
      Math.max(1, regionFlops(node.blocks[0])),
    bytes: trafficOf(node),
  }),
  sharding(node) {
    const count = node.outputs.length;
    const labels = windowLabels(node);
    const sum = count === 1 && combinerOf(node.blocks[0]) === 'add' && isConstant(node.inputs[1], 0);
    return {
      operands: node.inputs.map((_, index) => (index < count ? labels : [])),
      results: node.outputs.map(() => labels),
      linear: sum ? [[0]] : undefined,
    };
  },
});

/** Dimensions where the window holds one element and steps by one go through; others mix neighbours. */
function windowLabels(node: Node): (number | null)[] {
  const lists = ['window_dimensions', 'window_strides', 'base_dilations'].map((name) =>
    node.attributes.has(name) ? node.ints(name) : undefined,
  );
  const padding = node.intPairs('padding');
  return padding.map(([low, high], dimension) =>
    low === 0 && high === 0 && lists.every((list) => list === undefined || list[dimension] === 1)
      ? dimension
      : null,
  );
}

function windowSizes(
  site: InferenceSite,
  sizes: readonly number[],
  dilations?: { readonly base: readonly number[]; readonly window: readonly number[] },
): number[] {
  const window = site.node.ints('window_dimensions');
  const strides = site.node.ints('window_strides');
  const padding = site.node.intPairs('padding');
  const ones = sizes.map(() => 1);
  const { base, window: windowDilation } = dilations ?? { base: ones, window: ones };
  for (const [name, list] of [
    ['window_dimensions', window],
    ['window_strides', strides],
    ['base_dilations', base],
    ['window_dilations', windowDilation],
  ] as const) {
    expectLength(site, name, list, sizes.length);
    expectAtLeast(site, name, list, 1);
  }
  expectLength(site, 'padding', padding, sizes.length);
  padding.forEach((pair) => expectLength(site, 'padding (a pair)', pair, 2));
  return sizes.map((size, at) => {
    const output = windowOutput(size, window[at], strides[at], padding[at], base[at], windowDilation[at]);
    return (
      output ?? site.fail(`padding ${sizesText(padding[at])} leaves dimension ${at} with a negative size`)
    );
  });
}

registerCoreOperator({
  name: 'select_and_scatter',
  attributes: { window_dimensions: 'is', window_strides: 'is', padding: 'iss' },
  regions: 2,
  infer(site) {
    expectOperands(site, 3);
    expectSameDType(site, 0, 1);
    expectSameDType(site, 0, 2);
    expectScalar(site, 2);
    const [operand, source, scalar] = site.operands;
    const sizes = windowSizes(site, operand.sizes);
    if (!equalSizes(sizes, source.sizes)) {
      site.fail(`the source has shape ${sizesText(source.sizes)} where the windows give ${sizesText(sizes)}`);
    }
    expectRegion(site, 0, [scalar, scalar], [tensorSpec('bool', [])]);
    expectRegion(site, 1, [scalar, scalar], [scalar]);
    return [operand];
  },
  vjp: selectAndScatterVjp,
  cost: (node) => ({
    flops: numel(specOf(node.inputs[1]).sizes) * (numel(node.ints('window_dimensions')) + 1),
    bytes: trafficOf(node),
  }),
  sharding(node) {
    const labels = windowLabels(node);
    const sum = combinerOf(node.blocks[1]) === 'add' && isConstant(node.inputs[2], 0);
    return { operands: [labels, labels, []], results: [labels], linear: sum ? [[1]] : undefined };
  },
});
