// dot_general and convolution: sums of products, where the time of most models goes.
import { dtypes } from '../../types/dtype.ts';
import { numel, tensorSpec } from '../../types/types.ts';
import type { InferenceSite, ShardingRule } from '../operator.ts';
import { registerCoreOperator } from '../operator.ts';
import { specOf } from '../infer-types.ts';
import {
  dtypeAttribute,
  expectAtLeast,
  expectDimensions,
  expectLength,
  expectOperands,
  expectSameDType,
  sizesText,
  trafficOf,
} from './inference.ts';
import { windowOutput } from './window-shape.ts';
import type { ConvolutionPlan } from './contraction-plan.ts';
import { convolutionPlan, dotPlan } from './contraction-plan.ts';
import { convolutionVjp, dotVjp } from './contraction-vjp.ts';

// ---- dot_general --------------------------------------------------------------------------------------------------

registerCoreOperator({
  name: 'dot_general',
  attributes: {
    lhs_batching_dimensions: 'is',
    rhs_batching_dimensions: 'is',
    lhs_contracting_dimensions: 'is',
    rhs_contracting_dimensions: 'is',
    result_dtype: 's?',
  },
  infer(site) {
    expectOperands(site, 2);
    expectSameDType(site, 0, 1);
    const [lhs, rhs] = site.operands;
    const plan = dotPlan(site.node, lhs.sizes.length, rhs.sizes.length);
    expectDimensions(site, 'lhs dimensions', [...plan.lhsBatching, ...plan.lhsContracting], lhs.sizes.length);
    expectDimensions(site, 'rhs dimensions', [...plan.rhsBatching, ...plan.rhsContracting], rhs.sizes.length);
    expectLength(site, 'rhs_batching_dimensions', plan.rhsBatching, plan.lhsBatching.length);
    expectLength(site, 'rhs_contracting_dimensions', plan.rhsContracting, plan.lhsContracting.length);
    const pair = (what: string, left: readonly number[], right: readonly number[]) => {
      left.forEach((dimension, index) => {
        const [a, b] = [lhs.sizes[dimension], rhs.sizes[right[index]]];
        if (a !== b) {
          site.fail(`${what} dimensions ${dimension} and ${right[index]} differ in size (${a}, ${b})`);
        }
      });
    };
    pair('batching', plan.lhsBatching, plan.rhsBatching);
    pair('contracting', plan.lhsContracting, plan.rhsContracting);
    const dtype = site.node.attributes.has('result_dtype') ? dtypeAttribute(site, 'result_dtype') : lhs.dtype;
    return [
      tensorSpec(dtype, [
        ...plan.lhsBatching.map((dimension) => lhs.sizes[dimension]),
        ...plan.lhsFree.map((dimension) => lhs.sizes[dimension]),
        ...plan.rhsFree.map((dimension) => rhs.sizes[dimension]),
      ]),
    ];
  },
  vjp: dotVjp,
  cost(node) {
    const { sizes, dtype } = specOf(node.inputs[0]);
    const depth = numel(node.ints('lhs_contracting_dimensions').map((dimension) => sizes[dimension]));
    const products = numel(specOf(node.outputs[0]).sizes) * depth;
    return { flops: (dtypes[dtype].category === 'complex' ? 8 : 2) * products, bytes: trafficOf(node) };
  },
  sharding(node): ShardingRule {
    const [left, right] = node.inputs.map((input) => specOf(input).sizes.length);
    const plan = dotPlan(node, left, right);
    const lhs: number[] = [];
    const rhs: number[] = [];
    const result: number[] = [];
    let factor = 0;
    plan.lhsBatching.forEach((dimension, index) => {
      lhs[dimension] = rhs[plan.rhsBatching[index]] = factor;
      result.push(factor++);
    });
    for (const dimension of plan.lhsFree) result.push((lhs[dimension] = factor++));
    for (const dimension of plan.rhsFree) result.push((rhs[dimension] = factor++));
    plan.lhsContracting.forEach((dimension, index) => {
      lhs[dimension] = rhs[plan.rhsContracting[index]] = factor++;
    });
    return { operands: [lhs, rhs], results: [result], reduction: 'sum', linear: [[0], [1]] };
  },
});

// ---- convolution --------------------------------------------------------------------------------------------------

function expectConvolution(site: InferenceSite, plan: ConvolutionPlan): void {
  const [lhs, rhs] = site.operands;
  const rank = lhs.sizes.length;
  if (rank < 2 || rhs.sizes.length !== rank) {
    site.fail(
      `input and kernel of one rank, 2 or more, are expected; theirs are ${rank} and ${rhs.sizes.length}`,
    );
  }
  const spatial = rank - 2;
  expectLength(site, 'window_strides', plan.strides, spatial);
  expectLength(site, 'padding', plan.padding, spatial);
  plan.padding.forEach((pair) => expectLength(site, 'padding (a pair)', pair, 2));
  expectLength(site, 'lhs_dilation', plan.lhsDilation, spatial);
  expectLength(site, 'rhs_dilation', plan.rhsDilation, spatial);
  expectLength(site, 'window_reversal', plan.reversal, spatial);
  expectAtLeast(site, 'window_strides', plan.strides, 1);
  expectAtLeast(site, 'lhs_dilation', plan.lhsDilation, 1);
  expectAtLeast(site, 'rhs_dilation', plan.rhsDilation, 1);
  for (const [name, order] of [
    ['input_dimensions', plan.input],
    ['kernel_dimensions', plan.kernel],
    ['output_dimensions', plan.output],
  ] as const) {
    expectLength(site, name, order, rank);
    expectDimensions(site, name, order, rank);
  }
  expectGroups(site, plan);
}

function expectGroups(
  site: InferenceSite,
  { featureGroups, batchGroups, input, kernel }: ConvolutionPlan,
): void {
  const [lhs, rhs] = site.operands;
  const [batch, features] = [lhs.sizes[input[0]], lhs.sizes[input[1]]];
  const [outputs, depth] = [rhs.sizes[kernel[0]], rhs.sizes[kernel[1]]];
  expectAtLeast(site, 'feature_group_count', [featureGroups], 1);
  expectAtLeast(site, 'batch_group_count', [batchGroups], 1);
  if (featureGroups > 1 && batchGroups > 1) site.fail('only one of the two group counts may exceed 1');
  if (batch % batchGroups !== 0) site.fail(`batch ${batch} does not divide into ${batchGroups} groups`);
  if (depth * featureGroups !== features) {
    site.fail(
      `the input has ${features} features, the kernel takes ${depth} in ${featureGroups} group(s), that is ${depth * featureGroups}`,
    );
  }
  if (outputs % featureGroups !== 0 || outputs % batchGroups !== 0) {
    site.fail(`${outputs} output features do not divide into ${Math.max(featureGroups, batchGroups)} groups`);
  }
}

registerCoreOperator({
  name: 'convolution',
  attributes: {
    window_strides: 'is',
    padding: 'iss',
    lhs_dilation: 'is',
    rhs_dilation: 'is',
    window_reversal: 'bs',
    input_dimensions: 'is',
    kernel_dimensions: 'is',
    output_dimensions: 'is',
    feature_group_count: 'i',
    batch_group_count: 'i',
  },
  infer(site) {
    expectOperands(site, 2);
    expectSameDType(site, 0, 1);
    const plan = convolutionPlan(site.node);
    expectConvolution(site, plan);
    const [lhs, rhs] = site.operands;
    const sizes: number[] = [];
    sizes[plan.output[0]] = lhs.sizes[plan.input[0]] / plan.batchGroups;
    sizes[plan.output[1]] = rhs.sizes[plan.kernel[0]];
    plan.strides.forEach((stride, index) => {
      const size = windowOutput(
        lhs.sizes[plan.input[index + 2]],
        rhs.sizes[plan.kernel[index + 2]],
        stride,
        plan.padding[index],
        plan.lhsDilation[index],
        plan.rhsDilation[index],
      );
      sizes[plan.output[index + 2]] =
        size ??
        site.fail(
          `padding ${sizesText(plan.padding[index])} leaves spatial dimension ${index} with a negative size`,
        );
    });
    return [tensorSpec(lhs.dtype, sizes)];
  },
  vjp: convolutionVjp,
  cost(node) {
    const { sizes } = specOf(node.inputs[1]);
    const kernel = convolutionPlan(node).kernel;
    const window = numel(kernel.slice(1).map((dimension) => sizes[dimension]));
    return { flops: 2 * window * numel(specOf(node.outputs[0]).sizes), bytes: trafficOf(node) };
  },
  sharding(node): ShardingRule {
    const plan = convolutionPlan(node);
    const blank = (): (number | null)[] => plan.input.map(() => null);
    const [lhs, rhs, result] = [blank(), blank(), blank()];
    const whole = plan.featureGroups === 1 && plan.batchGroups === 1;
    if (plan.batchGroups === 1) lhs[plan.input[0]] = result[plan.output[0]] = 0;
    // Within groups a block of output features needs only some of the input features, so they stay whole.
    if (whole) {
      rhs[plan.kernel[0]] = result[plan.output[1]] = 1;
      lhs[plan.input[1]] = rhs[plan.kernel[1]] = 2;
    }
    return { operands: [lhs, rhs], results: [result], reduction: 'sum', linear: [[0], [1]] };
  },
});
