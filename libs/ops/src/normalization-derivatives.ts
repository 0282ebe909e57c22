// Derivatives of normalisations from their own figures, mean and inverse standard deviation: two sums an operand, where the
// derivative of the formulas takes a sum for each of its steps. Also those that reach the figures themselves.
import type { CoreBuilder, Node, Value } from '@weft/ir';
import { compositeAttributes, numel, registerComposite } from '@weft/ir';
import { range, rankOf, sizesOf } from './broadcast.ts';
import { dtypeOf, over, times } from './elementwise.ts';
import { computeType } from './promotion.ts';
import { spread } from './softmax.ts';

/** What is normalised, and cotangents, all in the dtype that it is computed in. */
interface Normalised {
  readonly x: Value;
  /** Those that the mean and the deviation are taken over. */
  readonly dims: readonly number[];
  readonly mean: Value;
  readonly inverse: Value;
}
interface Cotangents {
  /** Of (x - mean) / deviation. */
  readonly normal: Value | null;
  readonly mean: Value | null;
  readonly variance: Value | null;
  readonly inverse: Value | null;
}

const sum = (b: CoreBuilder, ...values: (Value | null)[]): Value | null =>
  values.reduce(
    (total, value) => (total === null ? value : value === null ? total : b.add(total, value)),
    null,
  );

const normalOf = (b: CoreBuilder, { x, dims, mean, inverse }: Normalised): Value => {
  const centred = b.subtract(x, spread(b, mean, sizesOf(x), dims));
  return b.multiply(centred, spread(b, inverse, sizesOf(x), dims));
};

/** The cotangent of x. */
function cotangentOfInput(b: CoreBuilder, given: Normalised, normal: Value, g: Cotangents): Value | null {
  const { dims, inverse } = given;
  const sizes = sizesOf(given.x);
  const along = (value: Value): Value => spread(b, value, sizes, dims);
  const count = numel(dims.map((dim) => sizes[dim]));
  const average = (value: Value): Value => over(b, b.reduceSum(value, dims), count);
  let slope: Value | null = null;
  if (g.normal !== null) {
    const level = b.subtract(g.normal, along(average(g.normal)));
    slope = b.subtract(level, b.multiply(normal, along(average(b.multiply(g.normal, normal)))));
    slope = b.multiply(slope, along(inverse));
  }
  // The variance grows by 2 (x - mean) / count with x, the inverse deviation by -½ inverse³ times that.
  const ofInverse =
    g.inverse === null ? null : b.negate(over(b, b.multiply(g.inverse, b.multiply(inverse, inverse)), count));
  const ofVariance = g.variance === null ? null : times(b, b.divide(g.variance, inverse), 2 / count);
  const bend = sum(b, ofInverse, ofVariance);
  return sum(
    b,
    slope,
    bend === null ? null : b.multiply(normal, along(bend)),
    g.mean === null ? null : along(over(b, g.mean, count)),
  );
}

/** The layout of a composite's operands: x, weight, bias, of which the last two may be missing. */
function operandsOf(node: Node): { x: Value; weight: Value | null; bias: Value | null } {
  const present = compositeAttributes(node).operands as readonly number[];
  const given = [...node.inputs];
  const [x, weight, bias] = present.map((is) => (is === 0 ? null : given.shift()!));
  return { x: x!, weight: weight ?? null, bias: bias ?? null };
}

/** How a normalisation's operands are arranged. */
interface Layout {
  /** Dimensions of x that weight and bias have. */
  readonly parameters: readonly number[];
  readonly dims: readonly number[];
  /** Another shape in which the statistics are taken. */
  readonly sizes?: readonly number[];
}

/** Cotangents of a composite's operands. `g`: of the result, then of the figures. */
function cotangents(
  b: CoreBuilder,
  node: Node,
  { parameters, dims, sizes }: Layout,
  g: { result: Value | null | undefined } & Omit<Cotangents, 'normal'>,
  figures: { mean: Value; inverse: Value },
): (Value | null)[] {
  const operands = operandsOf(node);
  const shape = sizesOf(operands.x);
  const wide = computeType(dtypeOf(operands.x));
  const shaped = (value: Value): Value => (sizes === undefined ? value : b.reshape(value, sizes));
  const x = shaped(b.convert(operands.x, wide));
  const given: Normalised = { x, dims, mean: figures.mean, inverse: figures.inverse };
  const normal = normalOf(b, given);
  const result = g.result === null || g.result === undefined ? null : b.convert(g.result, wide);
  const { weight, bias } = operands;
  const scaled =
    result === null || weight === null
      ? result
      : b.multiply(result, b.broadcastInDim(b.convert(weight, wide), shape, parameters));
  const dx = cotangentOfInput(b, given, normal, { ...g, normal: scaled === null ? null : shaped(scaled) });
  const others = range(rankOf(operands.x)).filter((dim) => !parameters.includes(dim));
  const folded = (value: Value, parameter: Value): Value =>
    b.convert(b.reduceSum(value, others), dtypeOf(parameter));
  const all: (Value | null)[] = [dx === null ? null : b.convert(b.reshape(dx, shape), dtypeOf(operands.x))];
  if (weight !== null) {
    all.push(result === null ? null : folded(b.multiply(result, b.reshape(normal, shape)), weight));
  }
  if (bias !== null) all.push(result === null ? null : folded(result, bias));
  return all;
}

registerComposite('layer_norm', {
  vjp: (b, node, [result, mean, inverse]) => {
    const rank = rankOf(node.inputs[0]);
    const lead = rank - (compositeAttributes(node).normalized_shape as readonly number[]).length;
    const dims = range(rank - lead, lead);
    const figures = { mean: node.outputs[1], inverse: node.outputs[2] };
    return cotangents(
      b,
      node,
      { parameters: dims, dims },
      { result, mean, inverse, variance: null },
      figures,
    );
  },
});

registerComposite('batch_norm_training', {
  vjp: (b, node, [result, mean, variance, inverse]) => {
    const dims = range(rankOf(node.inputs[0])).filter((dim) => dim !== 1);
    const figures = { mean: node.outputs[1], inverse: node.outputs[3] };
    return cotangents(b, node, { parameters: [1], dims }, { result, mean, variance, inverse }, figures);
  },
});

registerComposite('group_norm', {
  vjp: (b, node, [result, mean, inverse]) => {
    const sizes = sizesOf(node.inputs[0]);
    const groups = Number(compositeAttributes(node).groups);
    const figures = { mean: node.outputs[1], inverse: node.outputs[2] };
    const grouped = [sizes[0], groups, numel(sizes.slice(1)) / groups];
    return cotangents(b, node, { parameters: [1], dims: [2], sizes: grouped }, { result, mean, inverse, variance: null }, figures); // prettier-ignore
  },
});
