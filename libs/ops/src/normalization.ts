// Normalisation: batch_norm (with running statistics), layer_norm, group_norm, instance_norm, weight_norm, renorm.
import type { CoreBuilder, Value } from '@weft/ir';
import { numel } from '@weft/ir';
import { lowerings, mutatingLowerings } from './operator.ts';
import type { Scalar } from './operator.ts';
import { computeType, printName } from './promotion.ts';
import { stopGradient } from './gradient-flow.ts';
import { check, fail, range, rankOf, sizesOf, wrapDim } from './broadcast.ts';
import { dtypeOf, like, over, plus, realOf, times } from './elementwise.ts';
import { spread } from './softmax.ts';
import { vectorNorm } from './reductions.ts';
import { layouts, rowMajor, suggestedBy } from './result-layout.ts';

type Sizes = readonly number[];
const show = (sizes: Sizes): string => `[${sizes.join(', ')}]`;

interface Moments {
  readonly mean: Value;
  readonly variance: Value;
  /** One over the standard deviation. */
  readonly inverse: Value;
}

function momentsOf(
  b: CoreBuilder,
  x: Value,
  dims: Sizes,
  eps: number,
): Moments & { readonly centred: Value } {
  const count = numel(dims.map((dim) => sizesOf(x)[dim]));
  const mean = over(b, b.reduceSum(x, dims), count);
  const centred = b.subtract(x, spread(b, mean, sizesOf(x), dims));
  const variance = over(b, b.reduceSum(b.multiply(centred, centred), dims), count);
  return { mean, variance, inverse: b.rsqrt(plus(b, variance, eps)), centred };
}

/** `x * scale + shift`, both given along the listed dimensions. */
function affine(b: CoreBuilder, x: Value, weight: Value | null, bias: Value | null, dims: Sizes): Value {
  const along = (value: Value): Value => b.broadcastInDim(b.convert(value, dtypeOf(x)), sizesOf(x), dims);
  const scaled = weight === null ? x : b.multiply(x, along(weight));
  return bias === null ? scaled : b.add(scaled, along(bias));
}

const present = (...values: (Value | null)[]): Value[] =>
  values.filter((value): value is Value => value !== null);

/** A composite with optional operands: the body gets them back in their places. */
function optionalComposite(
  b: CoreBuilder,
  name: string,
  operands: readonly (Value | null)[],
  attributes: Readonly<Record<string, number | boolean | string | readonly number[]>>,
  body: (b: CoreBuilder, ...operands: (Value | null)[]) => readonly Value[],
): Value[] {
  return b.composite(
    name,
    present(...operands),
    { ...attributes, operands: operands.map((value) => (value === null ? 0 : 1)) },
    (b, ...values) => {
      const rest = [...values];
      return body(b, ...operands.map((value) => (value === null ? null : rest.shift()!)));
    },
  );
}

// ---- batch norm ---------------------------------------------------------------------------------------------------

interface BatchNorm {
  readonly result: Value;
  readonly mean: Value;
  readonly inverse: Value;
  readonly runningMean: Value | null;
  readonly runningVariance: Value | null;
}

/** Normalises each channel (dimension 1) over the batch and all positions. */
export function batchNorm(
  b: CoreBuilder,
  input: Value,
  weight: Value | null,
  bias: Value | null,
  runningMean: Value | null,
  runningVariance: Value | null,
  training: boolean,
  momentum: number,
  eps: number,
): BatchNorm {
  const sizes = sizesOf(input);
  check(sizes.length >= 2, () => `batch_norm: expected at least 2D input (got ${sizes.length}D input)`);
  const channels = sizes[1];
  for (const [name, value] of Object.entries({
    running_mean: runningMean,
    running_var: runningVariance,
    weight,
    bias,
  })) {
    if (value === null) continue;
    check(
      numel(sizesOf(value)) === channels,
      () => `${name} should contain ${channels} elements not ${numel(sizesOf(value))}`,
    );
  }
  const dims = range(sizes.length).filter((dim) => dim !== 1);
  const dtype = dtypeOf(input);
  const wide = computeType(dtype);
  if (!training) {
    if (runningMean === null || runningVariance === null) {
      return fail('Expected running_mean and running_var to be defined when training=False');
    }
    const operands = [input, weight, bias, runningMean, runningVariance];
    const [result] = optionalComposite(
      b,
      'batch_norm_inference',
      operands,
      { eps },
      (b, x, w, c, mean, variance) => {
        const inverse = b.rsqrt(plus(b, b.convert(variance!, wide), eps));
        const centred = b.subtract(b.convert(x!, wide), spread(b, b.convert(mean!, wide), sizes, dims));
        return [b.convert(affine(b, b.multiply(centred, spread(b, inverse, sizes, dims)), w, c, [1]), dtype)];
      },
    );
    const empty = b.full(0, wide, [0]);
    return { result, mean: empty, inverse: empty, runningMean, runningVariance };
  }
  const count = numel(sizes) / Math.max(channels, 1);
  const [result, mean, variance, inverse] = optionalComposite(
    b,
    'batch_norm_training',
    [input, weight, bias],
    { eps },
    (b, x, w, c) => {
      const moments = momentsOf(b, b.convert(x!, wide), dims, eps);
      const normal = b.multiply(moments.centred, spread(b, moments.inverse, sizes, dims));
      return [
        b.convert(affine(b, normal, w, c, [1]), dtype),
        moments.mean,
        moments.variance,
        moments.inverse,
      ];
    },
  );
  /** (1 - momentum) * old + momentum * new. */
  const follow = (old: Value | null, value: Value): Value | null => {
    if (old === null) return null;
    const next = b.add(times(b, b.convert(old, wide), 1 - momentum), times(b, value, momentum));
    return b.convert(next, dtypeOf(old));
  };
  return {
    result,
    mean,
    inverse,
    runningMean: follow(runningMean, mean),
    runningVariance: follow(runningVariance, times(b, variance, count / Math.max(count - 1, 1))),
  };
}

type BatchNormArguments = Parameters<typeof batchNorm> extends [CoreBuilder, ...infer Rest] ? Rest : never;

mutatingLowerings({
  'aten::batch_norm': {
    mutates: [3, 4],
    lower: (b, ...args: BatchNormArguments) => {
      const [input, weight, bias, mean, variance, training, momentum, eps] = args;
      const norm = batchNorm(b, input, weight, bias, mean, variance, training, momentum, eps);
      return [norm.result, ...present(norm.runningMean, norm.runningVariance)];
    },
  },
  'aten::native_batch_norm': {
    mutates: [3, 4],
    lower: (b, ...args: BatchNormArguments) => {
      const [input, weight, bias, mean, variance, training, momentum, eps] = args;
      const norm = batchNorm(b, input, weight, bias, mean, variance, training, momentum, eps);
      const saved = [norm.mean, norm.inverse].map((each) => stopGradient(b, each));
      return [norm.result, ...saved, ...present(norm.runningMean, norm.runningVariance)];
    },
  },
  'aten::instance_norm': { mutates: [3, 4], lower: instanceNorm },
});

/** Batch norm of each sample by itself: batch and channels become channels. */
function instanceNorm(
  b: CoreBuilder,
  input: Value,
  weight: Value | null,
  bias: Value | null,
  runningMean: Value | null,
  runningVariance: Value | null,
  useInputStats: boolean,
  momentum: number,
  eps: number,
): Value[] {
  const sizes = sizesOf(input);
  check(
    useInputStats || (runningMean !== null && runningVariance !== null),
    () => 'Expected running_mean and running_var to be defined when use_input_stats is false',
  );
  const [batch, channels, ...spatial] = sizes;
  const tiled = (value: Value | null): Value | null =>
    value === null ? null : b.reshape(b.broadcastTo(value, [batch, channels]), [batch * channels]);
  const norm = batchNorm(
    b,
    b.reshape(input, [1, batch * channels, ...spatial]),
    tiled(weight),
    tiled(bias),
    tiled(runningMean),
    tiled(runningVariance),
    useInputStats,
    momentum,
    eps,
  );
  const averaged = (value: Value | null, old: Value | null): Value | null =>
    value === null || old === null
      ? null
      : b.convert(over(b, b.reduceSum(b.reshape(value, [batch, channels]), [0]), batch), dtypeOf(old));
  return [
    b.reshape(norm.result, sizes),
    ...present(averaged(norm.runningMean, runningMean), averaged(norm.runningVariance, runningVariance)),
  ];
}

// ---- layer norm, group norm ---------------------------------------------------------------------------------------

/** Result, mean and inverse standard deviation (both with the normalised dimensions of size 1). */
export function layerNorm(
  b: CoreBuilder,
  input: Value,
  shape: Sizes,
  weight: Value | null,
  bias: Value | null,
  eps: number,
): [result: Value, mean: Value, inverse: Value] {
  const sizes = sizesOf(input);
  check(
    shape.length > 0,
    () =>
      'Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got normalized_shape = []',
  );
  for (const [name, value] of Object.entries({ weight, bias })) {
    if (value === null) continue;
    check(
      show(sizesOf(value)) === show(shape),
      () =>
        `Expected ${name} to be of same shape as normalized_shape, but got ${name} of shape ${show(sizesOf(value))} and normalized_shape = ${show(shape)}`,
    );
  }
  const lead = sizes.length - shape.length;
  check(
    lead >= 0 && show(sizes.slice(lead)) === show(shape),
    () =>
      `Given normalized_shape=${show(shape)}, expected input with shape [*, ${shape.join(', ')}], but got input of size${show(sizes)}`,
  );
  if (
    weight !== null &&
    dtypeOf(weight) !== dtypeOf(input) &&
    computeType(dtypeOf(input)) === dtypeOf(input)
  ) {
    fail(`expected scalar type ${printName(dtypeOf(input))} but found ${printName(dtypeOf(weight))}`);
  }
  const dims = range(shape.length, lead);
  const dtype = dtypeOf(input);
  const [result, mean, inverse] = optionalComposite(
    b,
    'layer_norm',
    [input, weight, bias],
    { normalized_shape: shape, eps },
    (b, x, w, c) => {
      const moments = momentsOf(b, b.convert(x!, computeType(dtype)), dims, eps);
      const normal = b.multiply(moments.centred, spread(b, moments.inverse, sizes, dims));
      return [b.convert(affine(b, normal, w, c, dims), dtype), moments.mean, moments.inverse];
    },
  );
  const kept = sizes.map((size, dim) => (dim < lead ? size : 1));
  return [result, b.convert(b.reshape(mean, kept), dtype), b.convert(b.reshape(inverse, kept), dtype)];
}

/** Result, mean and inverse standard deviation of each sample and group. */
function groupNorm(
  b: CoreBuilder,
  input: Value,
  groups: number,
  weight: Value | null,
  bias: Value | null,
  eps: number,
): [result: Value, mean: Value, inverse: Value] {
  const sizes = sizesOf(input);
  const [batch, channels] = sizes;
  check(
    channels % groups === 0,
    () =>
      `Expected number of channels in input to be divisible by num_groups, but got input of shape ${show(sizes)} and num_groups=${groups}`,
  );
  for (const [name, value] of Object.entries({ weight, bias })) {
    if (value === null) continue;
    check(
      rankOf(value) === 1 && sizesOf(value)[0] === channels,
      () =>
        `Expected ${name} to be a vector of size equal to the number of channels in input, but got ${name} of shape ${show(sizesOf(value))} and input of shape ${show(sizes)}`,
    );
  }
  const dtype = dtypeOf(input);
  const [result, mean, inverse] = optionalComposite(
    b,
    'group_norm',
    [input, weight, bias],
    { groups, eps },
    (b, x, w, c) => {
      const grouped = b.reshape(b.convert(x!, computeType(dtype)), [
        batch,
        groups,
        numel(sizes.slice(1)) / groups,
      ]);
      const moments = momentsOf(b, grouped, [2], eps);
      const normal = b.multiply(moments.centred, spread(b, moments.inverse, sizesOf(grouped), [2]));
      const scaled = affine(b, b.reshape(normal, sizes), w, c, [1]);
      return [b.convert(scaled, dtype), moments.mean, moments.inverse];
    },
  );
  return [result, b.convert(mean, dtype), b.convert(inverse, dtype)];
}

// ---- norms of weights ---------------------------------------------------------------------------------------------

/** The 2-norm over all dimensions but one, which stays; over all of them for -1. */
function normExcept(b: CoreBuilder, v: Value, pow: number, dim: number): Value {
  if (dim === -1) return vectorNorm(b, v, pow, null, false, null);
  const axis = wrapDim(dim, rankOf(v));
  return vectorNorm(
    b,
    v,
    pow,
    range(rankOf(v)).filter((each) => each !== axis),
    true,
    null,
  );
}

function weightNorm(b: CoreBuilder, v: Value, g: Value, dim: number): Value {
  const ratio = b.divide(g, b.reshape(normExcept(b, v, 2, dim), sizesOf(g)));
  return b.multiply(v, b.broadcastTo(ratio, sizesOf(v)));
}

/** Scales each slice along `dim` whose p-norm is above the limit down to it. */
function renorm(b: CoreBuilder, self: Value, p: Scalar, dim: number, maxnorm: Scalar): Value {
  const axis = wrapDim(dim, rankOf(self));
  check(rankOf(self) > 1, () => `renorm: input needs at least 2 dimensions, got ${rankOf(self)} dimensions`);
  const dims = range(rankOf(self)).filter((each) => each !== axis);
  const norm = vectorNorm(b, self, realOf(p), dims, true, null);
  const limit = like(b, norm, realOf(maxnorm));
  const factor = b.select(
    b.compare(norm, limit, 'GT'),
    b.divide(limit, plus(b, norm, 1e-7)),
    like(b, norm, 1),
  );
  return b.multiply(self, b.broadcastTo(factor, sizesOf(self)));
}

lowerings({
  'aten::layer_norm': (
    b,
    input: Value,
    shape: Sizes,
    weight: Value | null,
    bias: Value | null,
    eps: number,
  ) => layerNorm(b, input, shape, weight, bias, eps)[0],
  'aten::native_layer_norm': (
    b,
    input: Value,
    shape: Sizes,
    weight: Value | null,
    bias: Value | null,
    eps: number,
  ) => {
    const [result, mean, inverse] = layerNorm(b, input, shape, weight, bias, eps);
    return [result, stopGradient(b, mean), stopGradient(b, inverse)];
  },
  'aten::group_norm': (
    b,
    input: Value,
    groups: number,
    weight: Value | null,
    bias: Value | null,
    eps: number,
  ) => groupNorm(b, input, groups, weight, bias, eps)[0],
  'aten::native_group_norm': (
    b,
    input: Value,
    weight: Value | null,
    bias: Value | null,
    _n: number,
    _c: number,
    _hw: number,
    groups: number,
    eps: number,
  ) => groupNorm(b, input, groups, weight, bias, eps),
  'aten::_weight_norm': weightNorm,
  'aten::norm_except_dim': normExcept,
  'aten::renorm': renorm,
});

layouts({
  'aten::batch_norm': suggestedBy(0),
  'aten::native_batch_norm': [suggestedBy(0), rowMajor, rowMajor],
  'aten::group_norm': suggestedBy(0),
  'aten::native_group_norm': [suggestedBy(0), rowMajor, rowMajor],
});
