// Backward operators of batch, group and weight norm from the statistics that the forward pass saved, and the pieces of a batch
// norm whose batch is spread over processes: statistics, their combination, the normalisation and its derivative.
import type { CoreBuilder, TensorLike, Value } from '@weft/ir';
import { numel } from '@weft/ir';
import { lowerings, mutatingLowerings, preparations } from './operator.ts';
import { check, fail, range, rankOf, sizesOf, wrapDim } from './broadcast.ts';
import { dtypeOf, like, over, plus, times } from './elementwise.ts';
import { computeType } from './promotion.ts';
import { stopGradient } from './gradient-flow.ts';
import { batchNorm } from './normalization.ts';
import { integersOf } from './literal.ts';

type Sizes = readonly number[];
type Mask = readonly boolean[];

/** All dimensions but the channels. */
const otherDims = (x: Value): number[] => range(rankOf(x)).filter((dim) => dim !== 1);
/** A value for each channel along a tensor. */
const along = (b: CoreBuilder, value: Value, x: Value): Value =>
  b.broadcastInDim(b.convert(value, dtypeOf(x)), sizesOf(x), [1]);
const wide = (b: CoreBuilder, x: Value): Value => b.convert(x, computeType(dtypeOf(x)));
const countOf = (x: Value): number => numel(sizesOf(x)) / Math.max(sizesOf(x)[1], 1);
const masked = (values: readonly Value[], mask: Mask): (Value | null)[] =>
  values.map((value, index) => (mask[index] ? value : null));

function batchNormBackward(
  b: CoreBuilder,
  grad: Value,
  input: Value,
  weight: Value | null,
  runningMean: Value | null,
  runningVariance: Value | null,
  savedMean: Value | null,
  savedInverse: Value | null,
  train: boolean,
  eps: number,
  mask: Mask,
): (Value | null)[] {
  const [g, x] = [wide(b, grad), wide(b, input)];
  const dims = otherDims(input);
  const given = (value: Value | null): Value => value ?? fail('batch norm backward: statistics are missing');
  const mean = train ? given(savedMean) : given(runningMean);
  const inverse = train
    ? given(savedInverse)
    : b.rsqrt(plus(b, b.convert(given(runningVariance), dtypeOf(x)), eps));
  const normal = b.multiply(b.subtract(x, along(b, mean, x)), along(b, inverse, x));
  const [gradBias, gradWeight] = [b.reduceSum(g, dims), b.reduceSum(b.multiply(g, normal), dims)];
  const count = countOf(x);
  const centred = train
    ? b.subtract(
        b.subtract(g, along(b, over(b, gradBias, count), x)),
        b.multiply(normal, along(b, over(b, gradWeight, count), x)),
      )
    : g;
  const scaled = b.multiply(centred, along(b, inverse, x));
  const gradInput = weight === null ? scaled : b.multiply(scaled, along(b, weight, x));
  const parameter = weight === null ? dtypeOf(x) : dtypeOf(weight);
  return masked(
    [b.convert(gradInput, dtypeOf(input)), b.convert(gradWeight, parameter), b.convert(gradBias, parameter)],
    mask,
  );
}

/** The statistics are those of each sample and group; N, C and HxW are the input's sizes. */
function groupNormBackward(
  b: CoreBuilder,
  grad: Value,
  input: Value,
  mean: Value,
  inverse: Value,
  weight: Value | null,
  batch: number,
  channels: number,
  positions: number,
  groups: number,
  mask: Mask,
): (Value | null)[] {
  const shape = [batch, groups, (channels / groups) * positions];
  const byChannel = [batch, channels, positions];
  const flat = (x: Value): Value => b.reshape(wide(b, x), byChannel);
  const [g, x] = [flat(grad), flat(input)];
  const spread = (value: Value): Value =>
    b.reshape(
      b.broadcastInDim(b.reshape(b.convert(value, dtypeOf(x)), [batch, groups]), shape, [0, 1]),
      byChannel,
    );
  const normal = b.multiply(b.subtract(x, spread(mean)), spread(inverse));
  const scaled = weight === null ? g : b.multiply(g, along(b, weight, g));
  const average = (value: Value): Value =>
    spread(over(b, b.reduceSum(b.reshape(value, shape), [2]), shape[2]));
  const centred = b.subtract(
    b.subtract(scaled, average(scaled)),
    b.multiply(normal, average(b.multiply(scaled, normal))),
  );
  const parameter = weight === null ? dtypeOf(x) : dtypeOf(weight);
  const sum = (value: Value): Value => b.convert(b.reduceSum(value, [0, 2]), parameter);
  return masked(
    [
      b.convert(b.reshape(b.multiply(centred, spread(inverse)), sizesOf(input)), dtypeOf(input)),
      sum(b.multiply(g, normal)),
      sum(g),
    ],
    mask,
  );
}

// ---- over processes -----------------------------------------------------------------------------------------------

/** Mean and variance of each channel. */
function statistics(b: CoreBuilder, input: Value): { mean: Value; variance: Value } {
  const x = wide(b, input);
  const dims = otherDims(input);
  const mean = over(b, b.reduceSum(x, dims), countOf(x));
  const centred = b.subtract(x, along(b, mean, x));
  return { mean, variance: over(b, b.reduceSum(b.multiply(centred, centred), dims), countOf(x)) };
}

/** (1 - momentum) old + momentum new. */
function follow(b: CoreBuilder, old: Value | null, value: Value, momentum: number): Value[] {
  if (old === null) return [];
  const type = dtypeOf(value);
  const next = b.add(times(b, b.convert(old, type), 1 - momentum), times(b, value, momentum));
  return [b.convert(next, dtypeOf(old))];
}

/** Statistics of parts, a row each, as those of the whole; `counts` says how many elements each part has. */
function gatherStatistics(
  b: CoreBuilder,
  _input: Value,
  means: Value,
  inverses: Value,
  runningMean: Value | null,
  runningVariance: Value | null,
  momentum: number,
  eps: number,
  counts: Sizes,
): Value[] {
  const [parts, channels] = sizesOf(means);
  check(
    counts.length === parts,
    () => `batch_norm_gather_stats: ${parts} counts are expected, not ${counts.length}`,
  );
  const total = counts.reduce((sum, count) => sum + count, 0);
  const type = dtypeOf(means);
  const weights = b.concatenate(
    counts.map((count) => b.full(count, type, [1])),
    0,
  );
  const weigh = (x: Value): Value => b.multiply(x, b.broadcastInDim(weights, sizesOf(x), [0]));
  const mean = over(b, b.reduceSum(weigh(means), [0]), total);
  const one = like(b, inverses, 1);
  const variances = plus(b, b.divide(one, b.multiply(inverses, inverses)), -eps);
  const away = b.subtract(means, b.broadcastInDim(mean, [parts, channels], [1]));
  const squares = b.reduceSum(weigh(b.add(variances, b.multiply(away, away))), [0]);
  return [
    mean,
    b.rsqrt(plus(b, over(b, squares, total), eps)),
    ...follow(b, runningMean, mean, momentum),
    ...follow(b, runningVariance, over(b, squares, Math.max(total - 1, 1)), momentum),
  ];
}

/** Sums over each channel of the cotangent, and of it times the centred input. */
function backwardReduce(
  b: CoreBuilder,
  grad: Value,
  input: Value,
  mean: Value,
  inverse: Value,
  weight: Value | null,
  inputGrad: boolean,
  weightGrad: boolean,
  biasGrad: boolean,
): (Value | null)[] {
  const [g, x] = [wide(b, grad), wide(b, input)];
  const dims = otherDims(input);
  const sum = b.reduceSum(g, dims);
  const product = b.reduceSum(b.multiply(g, b.subtract(x, along(b, mean, x))), dims);
  const parameter = weight === null ? dtypeOf(x) : dtypeOf(weight);
  return [
    inputGrad ? sum : null,
    inputGrad ? product : null,
    weightGrad ? b.convert(b.multiply(product, b.convert(inverse, dtypeOf(product))), parameter) : null,
    biasGrad ? b.convert(sum, parameter) : null,
  ];
}

/** The cotangent of the input from the sums over all processes and the number of elements of each. */
function backwardElements(
  b: CoreBuilder,
  grad: Value,
  input: Value,
  mean: Value,
  inverse: Value,
  weight: Value | null,
  sum: Value,
  product: Value,
  counts: Value,
): Value {
  const [g, x] = [wide(b, grad), wide(b, input)];
  const total = b.convert(b.reduceSum(counts, range(rankOf(counts))), dtypeOf(sum));
  const average = (value: Value): Value => b.divide(value, b.broadcastInDim(total, sizesOf(value), []));
  const slope = b.multiply(b.multiply(inverse, inverse), average(product));
  const centred = b.subtract(
    b.subtract(g, along(b, average(sum), x)),
    b.multiply(b.subtract(x, along(b, mean, x)), along(b, slope, x)),
  );
  const scale = weight === null ? inverse : b.multiply(inverse, b.convert(weight, dtypeOf(inverse)));
  return b.convert(b.multiply(centred, along(b, scale, x)), dtypeOf(input));
}

// ---- weight norm ----------------------------------------------------------------------------------------------------

/** All dimensions but the one that keeps its norm. */
function normDims(v: Value, dim: number): number[] {
  const axis = wrapDim(dim, rankOf(v));
  check(
    axis === 0 || axis === rankOf(v) - 1,
    () => 'fused kernels can only be applied for first or last dim',
  );
  return range(rankOf(v)).filter((each) => each !== axis);
}

function weightNormInterface(b: CoreBuilder, v: Value, g: Value, dim: number): Value[] {
  const dims = normDims(v, dim);
  const kept = sizesOf(v).map((size, each) => (dims.includes(each) ? 1 : size));
  const norm = b.reshape(b.sqrt(b.reduceSum(b.multiply(v, v), dims)), kept);
  const scale = b.divide(b.reshape(g, kept), norm);
  return [b.multiply(v, b.broadcastTo(scale, sizesOf(v))), stopGradient(b, norm)];
}

function weightNormBackward(
  b: CoreBuilder,
  grad: Value,
  v: Value,
  g: Value,
  norms: Value,
  dim: number,
): Value[] {
  const dims = normDims(v, dim);
  const kept = sizesOf(v).map((size, each) => (dims.includes(each) ? 1 : size));
  const spread = (value: Value): Value => b.broadcastTo(b.reshape(value, kept), sizesOf(v));
  const inner = b.reduceSum(b.multiply(grad, v), dims);
  const norm = b.reshape(norms, sizesOf(inner));
  const gradG = b.divide(inner, norm);
  const direction = b.divide(gradG, b.multiply(norm, norm));
  const gradV = b.multiply(
    spread(g),
    b.subtract(b.divide(grad, spread(norm)), b.multiply(v, spread(direction))),
  );
  return [gradV, b.reshape(gradG, sizesOf(g))];
}

const present = (...values: (Value | null)[]): Value[] =>
  values.filter((value): value is Value => value !== null);

mutatingLowerings({
  'aten::_batch_norm_impl_index': {
    mutates: [3, 4],
    lower: (
      b,
      input: Value,
      weight: Value | null,
      bias: Value | null,
      mean: Value | null,
      variance: Value | null,
      training: boolean,
      momentum: number,
      eps: number,
    ) => {
      const norm = batchNorm(b, input, weight, bias, mean, variance, training, momentum, eps);
      return [
        norm.result,
        norm.mean,
        norm.inverse,
        b.full(0, 'uint8', [0]),
        b.full(0n, 'int64'),
        ...present(norm.runningMean, norm.runningVariance),
      ];
    },
  },
  'aten::batch_norm_update_stats': {
    mutates: [1, 2],
    lower: (b, input: Value, mean: Value | null, variance: Value | null, momentum: number) => {
      const found = statistics(b, input);
      const count = countOf(input);
      const unbiased = times(b, found.variance, count / Math.max(count - 1, 1));
      return [
        found.mean,
        found.variance,
        ...follow(b, mean, found.mean, momentum),
        ...follow(b, variance, unbiased, momentum),
      ];
    },
  },
  'aten::batch_norm_gather_stats': {
    mutates: [3, 4],
    lower: (
      b,
      input: Value,
      means: Value,
      inverses: Value,
      runningMean: Value | null,
      runningVariance: Value | null,
      momentum: number,
      eps: number,
      count: number,
    ) =>
      gatherStatistics(
        b,
        input,
        means,
        inverses,
        runningMean,
        runningVariance,
        momentum,
        eps,
        range(sizesOf(means)[0]).map(() => count),
      ),
  },
  'aten::batch_norm_gather_stats_with_counts': { mutates: [3, 4], lower: gatherStatistics },
});

preparations({
  'aten::batch_norm_gather_stats_with_counts': (read, ...args: TensorLike[]) => [
    ...args.slice(0, 7),
    integersOf(read(args[7])).map(Number),
  ],
});

lowerings({
  'aten::native_batch_norm_backward': batchNormBackward,
  'aten::_batch_norm_impl_index_backward': (
    b,
    _index: number,
    input: Value,
    grad: Value,
    weight: Value | null,
    runningMean: Value | null,
    runningVariance: Value | null,
    savedMean: Value | null,
    savedInverse: Value | null,
    train: boolean,
    eps: number,
    mask: Mask,
  ) =>
    batchNormBackward(
      b,
      grad,
      input,
      weight,
      runningMean,
      runningVariance,
      savedMean,
      savedInverse,
      train,
      eps,
      mask,
    ),
  'aten::native_group_norm_backward': groupNormBackward,
  'aten::batch_norm_stats': (b, input: Value, eps: number) => {
    const { mean, variance } = statistics(b, input);
    return [mean, b.rsqrt(plus(b, variance, eps))];
  },
  'aten::batch_norm_elemt': (
    b,
    input: Value,
    weight: Value | null,
    bias: Value | null,
    mean: Value,
    inverse: Value,
  ) => {
    const x = wide(b, input);
    const normal = b.multiply(b.subtract(x, along(b, mean, x)), along(b, inverse, x));
    const scaled = weight === null ? normal : b.multiply(normal, along(b, weight, x));
    return b.convert(bias === null ? scaled : b.add(scaled, along(b, bias, x)), dtypeOf(input));
  },
  'aten::batch_norm_backward_reduce': backwardReduce,
  'aten::batch_norm_backward_elemt': backwardElements,
  'aten::_weight_norm_interface': weightNormInterface,
  'aten::_weight_norm_interface_backward': weightNormBackward,
  'aten::_weight_norm_differentiable_backward': weightNormBackward,
});
