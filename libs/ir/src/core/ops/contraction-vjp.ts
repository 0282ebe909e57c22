// Derivatives of dot_general and convolution, which are again a dot_general and a convolution.
import type { Node, Value } from '../../graph/graph.ts';
import { numel } from '../../types/types.ts';
import type { CoreBuilder } from '../builder.ts';
import { specOf } from '../infer-types.ts';
import type { CoreOperator } from '../operator.ts';
import { conj, zerosLike } from '../cotangent.ts';
import { convolutionPlan, dotPlan } from './contraction-plan.ts';
import type { ConvolutionPlan, DotPlan } from './contraction-plan.ts';
import { inverse } from './shape-vjp.ts';
import { range } from './inference.ts';
import { dilated } from './window-shape.ts';

export const dotVjp: CoreOperator['vjp'] = (b, node, [g]) => {
  if (g === null) return [null, null];
  const [lhs, rhs] = node.inputs;
  const plan = dotPlan(node, specOf(lhs).sizes.length, specOf(rhs).sizes.length);
  const flipped: DotPlan = {
    lhsBatching: plan.rhsBatching,
    rhsBatching: plan.lhsBatching,
    lhsContracting: plan.rhsContracting,
    rhsContracting: plan.lhsContracting,
    lhsFree: plan.rhsFree,
    rhsFree: plan.lhsFree,
  };
  const batch = plan.lhsBatching.length;
  const left = range(plan.lhsFree.length).map((at) => batch + at);
  const right = range(plan.rhsFree.length).map((at) => batch + left.length + at);
  return [dotOperand(b, g, lhs, rhs, plan, right), dotOperand(b, g, rhs, lhs, flipped, left)];
};

/**
 * The cotangent of `operand`: g times `other` over the free dimensions of `other`, which are `contracting` in g.
 * `plan` is seen from `operand` as the left one.
 */
function dotOperand(
  b: CoreBuilder,
  g: Value,
  operand: Value,
  other: Value,
  plan: DotPlan,
  contracting: readonly number[],
): Value {
  const { dtype } = specOf(g);
  const product = b.dotGeneral(g, conj(b, b.convert(other, dtype)), {
    lhsBatching: range(plan.lhsBatching.length),
    rhsBatching: plan.rhsBatching,
    lhsContracting: contracting,
    rhsContracting: plan.rhsFree,
  });
  // The product's dimensions, named by the operand's: batching, its free ones, then the contracted as `other` has them.
  const contracted = range(plan.rhsContracting.length)
    .toSorted((i, j) => plan.rhsContracting[i] - plan.rhsContracting[j])
    .map((at) => plan.lhsContracting[at]);
  const order = [...plan.lhsBatching, ...plan.lhsFree, ...contracted];
  return b.convert(b.transpose(product, inverse(order)), specOf(operand).dtype);
}

export const convolutionVjp: CoreOperator['vjp'] = (b, node, [g]) => {
  if (g === null) return [null, null];
  const [lhs, rhs] = node.inputs;
  if ([g, lhs, rhs].some((value) => numel(specOf(value).sizes) === 0)) {
    return [zerosLike(b, lhs), zerosLike(b, rhs)];
  }
  const plan = convolutionPlan(node);
  return [convolutionInput(b, node, g, plan), convolutionKernel(b, node, g, plan)];
};

/** Sizes along the spatial dimensions, with the holes of the dilations. */
function dilatedSizes(
  node: Node,
  plan: ConvolutionPlan,
): { input: number; kernel: number; output: number }[] {
  const sizes = (value: Value, order: readonly number[]) =>
    order.slice(2).map((at) => specOf(value).sizes[at]);
  const input = sizes(node.inputs[0], plan.input);
  const kernel = sizes(node.inputs[1], plan.kernel);
  const output = sizes(node.outputs[0], plan.output);
  return plan.strides.map((stride, at) => ({
    input: dilated(input[at], plan.lhsDilation[at]),
    kernel: dilated(kernel[at], plan.rhsDilation[at]),
    output: dilated(output[at], stride),
  }));
}

const swapped = ([first, second, ...spatial]: readonly number[]): number[] => [second, first, ...spatial];

/** Splits dimension `from` into `groups` and merges the groups, as the major part, into dimension `to`. */
function moveGroups(b: CoreBuilder, x: Value, from: number, to: number, groups: number): Value {
  const { sizes } = specOf(x);
  const split = [...sizes.slice(0, from), groups, sizes[from] / groups, ...sizes.slice(from + 1)];
  const parts = b.reshape(x, split);
  const order = range(split.length).filter((at) => at !== from);
  const place = order.indexOf(to < from ? to : to + 1);
  order.splice(place, 0, from);
  const merged = sizes.map((size, at) => (at === from ? size / groups : at === to ? size * groups : size));
  return b.reshape(b.transpose(parts, order), merged);
}

/** The output's cotangent, strides as holes, convolved with the turned kernel, its features swapped within groups. */
function convolutionInput(b: CoreBuilder, node: Node, g: Value, plan: ConvolutionPlan): Value {
  const groups = plan.featureGroups * plan.batchGroups;
  const kernel = conj(b, node.inputs[1]);
  const [outputs, inputs] = plan.kernel;
  const turned = groups > 1 ? moveGroups(b, kernel, outputs, inputs, groups) : kernel;
  const padding = dilatedSizes(node, plan).map(({ input, kernel, output }, at) => {
    const before = kernel - plan.padding[at][0] - 1;
    return [before, input + kernel - 1 - output - before];
  });
  const result = b.convolution(g, turned, {
    windowStrides: plan.lhsDilation,
    padding,
    lhsDilation: plan.strides,
    rhsDilation: plan.rhsDilation,
    windowReversal: plan.reversal.map((reversed) => !reversed),
    inputDimensions: plan.output,
    kernelDimensions: swapped(plan.kernel),
    outputDimensions: plan.input,
    featureGroupCount: groups,
  });
  return plan.batchGroups > 1
    ? moveGroups(b, result, plan.input[1], plan.input[0], plan.batchGroups)
    : result;
}

/** The input convolved with the output's cotangent, whose window steps by the kernel's dilation; batch is summed over. */
function convolutionKernel(b: CoreBuilder, node: Node, g: Value, plan: ConvolutionPlan): Value {
  const padding = dilatedSizes(node, plan).map(({ input, kernel, output }, at) => {
    const [low] = plan.padding[at];
    return [low, output - input + kernel - low - 1];
  });
  const result = b.convolution(conj(b, node.inputs[0]), g, {
    windowStrides: plan.rhsDilation,
    padding,
    lhsDilation: plan.lhsDilation,
    rhsDilation: plan.strides,
    inputDimensions: swapped(plan.input),
    kernelDimensions: swapped(plan.output),
    outputDimensions: swapped(plan.kernel),
    featureGroupCount: plan.batchGroups,
    batchGroupCount: plan.featureGroups,
  });
  return b.reverse(
    result,
    plan.kernel.slice(2).filter((_, at) => plan.reversal[at]),
  );
}
