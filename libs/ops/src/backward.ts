// The `…_backward` operators that traced and hand-written programs call: each is the derivative of its forward operator's
// lowering, so it has no formula of its own.
import type { CoreBuilder, DType, Value } from '@weft/ir';
import { CoreBuilder as Builder, InternalError, isComplex, specOf, vjpOfGraph } from '@weft/ir';
import type { LoweringArgument, LoweringResult, Scalar } from './operator.ts';
import { laidOutLowerings, lowerings, operatorMeaning } from './operator.ts';
import { check, rankOf, sizesOf } from './broadcast.ts';
import { dtypeOf, like } from './elementwise.ts';
import { zeroGradient } from './gradient-flow.ts';
import { insertDim } from './shapes.ts';
import { putAlong } from './gathering.ts';
import { spread } from './softmax.ts';
import type { ResultLayout } from './result-layout.ts';
import { iterator, iteratorOf, layouts, likeArgument, rowMajor, suggestedBy } from './result-layout.ts';

/**
 * Cotangents of `inputs` from those of the results of `forward`, which is lowered on a graph of its own; an input without
 * influence gets zeros.
 */
export function cotangentsOf(
  b: CoreBuilder,
  inputs: readonly Value[],
  forward: (b: CoreBuilder, ...inputs: Value[]) => LoweringResult,
  cotangents: readonly (Value | null)[],
): Value[] {
  const inner = new Builder();
  const parameters = inputs.map((value) => inner.input(specOf(value)));
  const results = [forward(inner, ...parameters)].flat() as Value[];
  for (const result of results.slice(0, cotangents.length)) inner.graph.addOutput(result);
  const found = vjpOfGraph(b, inner.graph, inputs, cotangents).cotangents;
  return inputs.map((value, index) => found[index] ?? like(b, value, 0));
}

/** Calls another operator's lowering by name. */
export function lowerNamed(b: CoreBuilder, name: string, args: readonly LoweringArgument[]): LoweringResult {
  const meaning = operatorMeaning(`aten::${name}`);
  if (meaning?.kind !== 'lowering' && meaning?.kind !== 'view') {
    throw new InternalError(`aten::${name} has no lowering to differentiate`);
  }
  return meaning.lower(b, ...args);
}

/** `x_backward(grad, self, …)` where the rest are the forward operator's own arguments. */
export const ofSelf =
  (forward: string) =>
  (b: CoreBuilder, grad: Value, self: Value, ...rest: LoweringArgument[]): Value =>
    cotangentsOf(b, [self], (inner, x) => lowerNamed(inner, forward, [x, ...rest]), [grad])[0];

/** Linear forms: their derivatives know of the operand its shape only, and have a derivative of zero by it. */
const isLinear = (name: string): boolean => name.includes('_pad') || name.includes('pool');

/** Gradients of images are images; others have the order of their operands. */
const layoutOfSelf = (name: string): ResultLayout => {
  if (name === 'glu') return rowMajor;
  return name.includes('_pad') || name.includes('pool') ? suggestedBy(1) : iterator;
};

for (const name of [
  'gelu',
  'silu',
  'mish',
  'hardswish',
  'hardsigmoid',
  'hardtanh',
  'softplus',
  'hardshrink',
  'softshrink',
  'glu',
  'avg_pool2d',
  'avg_pool3d',
  'reflection_pad1d',
  'reflection_pad2d',
  'reflection_pad3d',
  'replication_pad1d',
  'replication_pad2d',
  'replication_pad3d',
  'logit',
]) {
  const derivative = ofSelf(name);
  laidOutLowerings(layoutOfSelf(name), {
    [`aten::${name}_backward`]: isLinear(name)
      ? (b: CoreBuilder, grad: Value, self: Value, ...rest: LoweringArgument[]) =>
          zeroGradient(b, derivative(b, grad, self, ...rest), self)
      : derivative,
  });
}

/** As cotangentsOf by the first of several tensors; the others are given too, without a derivative. */
export function byFirst(
  b: CoreBuilder,
  tensors: readonly (Value | null)[],
  forward: (b: CoreBuilder, ...tensors: (Value | null)[]) => LoweringResult,
  cotangents: readonly (Value | null)[],
): Value {
  const given = tensors.filter((tensor): tensor is Value => tensor !== null);
  return cotangentsOf(
    b,
    given,
    (inner, ...values) => {
      const rest = [...values];
      return forward(inner, ...tensors.map((tensor) => (tensor === null ? null : rest.shift()!)));
    },
    cotangents,
  )[0];
}

const pairLoss =
  (forward: string) =>
  (b: CoreBuilder, grad: Value, self: Value, target: Value, ...rest: LoweringArgument[]): Value =>
    byFirst(b, [self, target], (inner, x, y) => lowerNamed(inner, forward, [x, y, ...rest]), [grad]);
for (const name of ['mse_loss', 'l1_loss', 'smooth_l1_loss', 'huber_loss', 'soft_margin_loss']) {
  lowerings({ [`aten::${name}_backward`]: pairLoss(name) });
}

/** Resizing: the input is known by its size only. */
const ofSize =
  (forward: string) =>
  (
    b: CoreBuilder,
    grad: Value,
    output: readonly number[] | null,
    input: readonly number[],
    ...rest: LoweringArgument[]
  ): Value =>
    cotangentsOf(
      b,
      [b.full(0, dtypeOf(grad), input)],
      (inner, x) => lowerNamed(inner, forward, [x, output, ...rest]),
      [grad],
    )[0];
for (const name of [
  'upsample_nearest1d',
  'upsample_nearest2d',
  'upsample_nearest3d',
  '_upsample_nearest_exact1d',
  '_upsample_nearest_exact2d',
  '_upsample_nearest_exact3d',
  'upsample_linear1d',
  'upsample_bilinear2d',
  'upsample_trilinear3d',
  'upsample_bicubic2d',
  '_upsample_bilinear2d_aa',
  '_upsample_bicubic2d_aa',
]) {
  laidOutLowerings(suggestedBy(0), {
    [`aten::${name}_backward`]: ofSize(name),
    [`aten::${name}_backward.vec`]: ofSize(`${name}.vec`),
  });
}

/** Views: where the gradient of a part goes in a tensor of the given sizes. */
const ofView =
  (forward: string) =>
  (b: CoreBuilder, grad: Value, sizes: readonly number[], ...rest: LoweringArgument[]): Value =>
    cotangentsOf(
      b,
      [b.full(0, dtypeOf(grad), sizes)],
      (inner, x) => lowerNamed(inner, forward, [x, ...rest]),
      [grad],
    )[0];

/** The derivative of a max pool goes to the elements that the indices name. */
export function scatterPooled(
  b: CoreBuilder,
  grad: Value,
  self: Value,
  indices: Value,
  spatial: number,
): Value {
  const single = rankOf(self) === spatial + 1;
  const batch = (x: Value): Value => (single ? insertDim(b, x, 0) : x);
  const [x, g, at] = [batch(self), batch(grad), batch(indices)];
  const lead = sizesOf(x).slice(0, 2);
  const count = (value: Value): number =>
    sizesOf(value)
      .slice(2)
      .reduce((product, size) => product * size, 1);
  const flat = (value: Value): Value => b.reshape(value, [...lead, count(value)]);
  const zeros = b.full(0, dtypeOf(grad), [...lead, count(x)]);
  return zeroGradient(b, b.reshape(putAlong(b, zeros, flat(at), flat(g), 2, 'add'), sizesOf(self)), self);
}

export const conj = (b: CoreBuilder, x: Value): Value =>
  isComplex(dtypeOf(x)) ? b.complex(b.real(x), b.negate(b.imag(x))) : x;

lowerings({
  'aten::sigmoid_backward': (b, grad: Value, output: Value) =>
    b.multiply(grad, conj(b, b.multiply(output, b.subtract(like(b, output, 1), output)))),
  'aten::tanh_backward': (b, grad: Value, output: Value) =>
    b.multiply(grad, conj(b, b.subtract(like(b, output, 1), b.multiply(output, output)))),
  'aten::threshold_backward': (b, grad: Value, self: Value, threshold: Scalar) =>
    ofSelf('threshold')(b, grad, self, threshold, 0),
  'aten::leaky_relu_backward': (b, grad: Value, self: Value, slope: Scalar, _isResult: boolean) =>
    ofSelf('leaky_relu')(b, grad, self, slope),
  'aten::elu_backward': (
    b,
    grad: Value,
    alpha: Scalar,
    scale: Scalar,
    inputScale: Scalar,
    isResult: boolean,
    self: Value,
  ) => {
    check(!isResult, () => 'elu_backward from the result is not supported: give the input');
    return ofSelf('elu')(b, grad, self, alpha, scale, inputScale);
  },
  'aten::log_sigmoid_backward': (b, grad: Value, self: Value) => ofSelf('log_sigmoid')(b, grad, self),
  'aten::_softmax_backward_data': (b, grad: Value, output: Value, dim: number, dtype: DType) => {
    const axis = dim < 0 ? dim + rankOf(output) : dim;
    const product = b.multiply(grad, output);
    const total = spread(b, b.reduceSum(product, [axis]), sizesOf(output), [axis]);
    return b.convert(b.subtract(product, b.multiply(output, total)), dtype);
  },
  'aten::_log_softmax_backward_data': (b, grad: Value, output: Value, dim: number, dtype: DType) => {
    const axis = dim < 0 ? dim + rankOf(output) : dim;
    const total = spread(b, b.reduceSum(grad, [axis]), sizesOf(output), [axis]);
    return b.convert(b.subtract(grad, b.multiply(b.exponential(output), total)), dtype);
  },
  'aten::binary_cross_entropy_backward': (
    b,
    grad: Value,
    self: Value,
    target: Value,
    weight: Value | null,
    reduction: number,
  ) =>
    byFirst(
      b,
      [self, target, weight],
      (inner, x, y, w) => lowerNamed(inner, 'binary_cross_entropy', [x, y, w, reduction]),
      [grad],
    ),
  'aten::nll_loss_backward': nllBackward('nll_loss'),
  'aten::nll_loss2d_backward': nllBackward('nll_loss2d'),
  'aten::_adaptive_avg_pool2d_backward': (b, grad: Value, self: Value) =>
    zeroGradient(b, ofSelf('adaptive_avg_pool2d')(b, grad, self, sizesOf(grad).slice(-2)), self),
  'aten::_adaptive_avg_pool3d_backward': (b, grad: Value, self: Value) =>
    zeroGradient(b, ofSelf('adaptive_avg_pool3d')(b, grad, self, sizesOf(grad).slice(-3)), self),
  'aten::adaptive_max_pool2d_backward': (b, grad: Value, self: Value, indices: Value) =>
    scatterPooled(b, grad, self, indices, 2),
  'aten::adaptive_max_pool3d_backward': (b, grad: Value, self: Value, indices: Value) =>
    scatterPooled(b, grad, self, indices, 3),
  'aten::max_pool2d_with_indices_backward': (b, grad: Value, self: Value, ...rest: LoweringArgument[]) =>
    scatterPooled(b, grad, self, rest.at(-1) as Value, 2),
  'aten::max_pool3d_with_indices_backward': (b, grad: Value, self: Value, ...rest: LoweringArgument[]) =>
    scatterPooled(b, grad, self, rest.at(-1) as Value, 3),
  'aten::select_backward': ofView('select.int'),
  'aten::slice_backward': ofView('slice.Tensor'),
  'aten::diagonal_backward': ofView('diagonal'),
  'aten::unfold_backward': ofView('unfold'),
  'aten::trace_backward': ofView('trace'),
  'aten::index_select_backward': (b, grad: Value, sizes: readonly number[], dim: number, index: Value) =>
    byFirst(
      b,
      [b.full(0, dtypeOf(grad), sizes), index],
      (inner, x, at) => lowerNamed(inner, 'index_select', [x, dim, at]),
      [grad],
    ),
  'aten::native_dropout_backward': (b, grad: Value, mask: Value, scale: number) =>
    b.multiply(b.multiply(grad, b.convert(mask, dtypeOf(grad))), like(b, grad, scale)),
  'aten::native_layer_norm_backward': (
    b,
    grad: Value,
    input: Value,
    shape: readonly number[],
    _mean: Value,
    _rstd: Value,
    weight: Value | null,
    bias: Value | null,
  ) => {
    const dtype = dtypeOf(input);
    const [w, c] = [weight ?? b.full(1, dtype, shape), bias ?? b.full(0, dtype, shape)];
    return cotangentsOf(
      b,
      [input, w, c],
      (inner, x, scale, shift) => lowerNamed(inner, 'layer_norm', [x, shape, scale, shift, 1e-5, true]),
      [grad],
    );
  },
  'aten::_cdist_backward': (b, grad: Value, x1: Value, x2: Value, p: number) =>
    byFirst(b, [x1, x2], (inner, x, y) => lowerNamed(inner, 'cdist', [x, y, p, null]), [grad]),
  'aten::_pdist_backward': (b, grad: Value, self: Value, p: number) => ofSelf('pdist')(b, grad, self, p),
  'aten::grid_sampler_2d_backward': gridBackward,
  'aten::grid_sampler_3d_backward': gridBackward,
  'aten::convolution_backward': (
    b,
    grad: Value,
    input: Value,
    weight: Value,
    biasSizes: readonly number[] | null,
    ...rest: LoweringArgument[]
  ) => {
    const outputs = sizesOf(grad)[1];
    const bias = b.full(0, dtypeOf(grad), biasSizes ?? [outputs]);
    return cotangentsOf(
      b,
      [input, weight, bias],
      (inner, x, w, c) => lowerNamed(inner, 'convolution', [x, w, c, ...rest.slice(0, 6)]),
      [grad],
    );
  },
});

function nllBackward(forward: string) {
  return (
    b: CoreBuilder,
    grad: Value,
    self: Value,
    target: Value,
    weight: Value | null,
    reduction: number,
    ignoreIndex: number,
    totalWeight: Value,
  ): Value => {
    // The mean is the sum over a weight that the forward half has found.
    const isMean = reduction === 1;
    const share = isMean ? b.divide(grad, totalWeight) : grad;
    const found = byFirst(
      b,
      [self, target, weight],
      (inner, x, y, w) => lowerNamed(inner, forward, [x, y, w, isMean ? 2 : reduction, ignoreIndex]),
      [share],
    );
    return zeroGradient(b, found, self);
  };
}

function gridBackward(
  b: CoreBuilder,
  grad: Value,
  input: Value,
  grid: Value,
  interpolation: number,
  padding: number,
  alignCorners: boolean,
): Value[] {
  return cotangentsOf(
    b,
    [input, grid],
    (inner, x, g) => lowerNamed(inner, 'grid_sampler', [x, g, interpolation, padding, alignCorners]),
    [grad],
  );
}

layouts({
  'aten::sigmoid_backward': iterator,
  'aten::tanh_backward': iterator,
  'aten::threshold_backward': iteratorOf(1, 0),
  'aten::leaky_relu_backward': iteratorOf(1, 0),
  'aten::elu_backward': iterator,
  'aten::log_sigmoid_backward': iterator,
  'aten::binary_cross_entropy_backward': likeArgument(1),
  'aten::native_dropout_backward': iterator,
  'aten::_adaptive_avg_pool2d_backward': suggestedBy(1),
  'aten::max_pool2d_with_indices_backward': suggestedBy(1),
  'aten::adaptive_max_pool2d_backward': suggestedBy(1),
  'aten::convolution_backward': [suggestedBy(1, 2), suggestedBy(1, 2), rowMajor],
});
