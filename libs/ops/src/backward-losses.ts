// Backward operators of losses and activations, and derivatives of derivatives that PyTorch names.
import type { CoreBuilder, TensorLike, Value } from '@weft/ir';
import type { Scalar } from './operator.ts';
import { lowerings, preparations } from './operator.ts';
import { check, rankOf, sizesOf, wrapDim } from './broadcast.ts';
import { dtypeOf, like, plus, realOf, times } from './elementwise.ts';
import { byFirst, cotangentsOf, lowerNamed, ofSelf } from './backward.ts';
import { halves } from './shapes.ts';
import { integersOf } from './literal.ts';

const multilabelMarginBackward = (
  b: CoreBuilder,
  grad: Value,
  self: Value,
  target: Value,
  reduction: number,
): Value =>
  byFirst(
    b,
    [self, target],
    (inner, x, y) => lowerNamed(inner, 'multilabel_margin_loss', [x, y, reduction]),
    [grad],
  );

/** σ(b) and its derivative for the second half of x. */
function gate(b: CoreBuilder, x: Value, dim: number): { first: Value; sigma: Value; slope: Value } {
  const axis = wrapDim(dim, rankOf(x));
  check(
    sizesOf(x)[axis] % 2 === 0,
    () => `Halving dimension must be even, but dimension ${axis} is size ${sizesOf(x)[axis]}`,
  );
  const [first, second] = halves(b, x, axis);
  const sigma = b.logistic(second);
  return { first, sigma, slope: b.multiply(sigma, b.subtract(like(b, sigma, 1), sigma)) };
}

lowerings({
  'aten::multi_margin_loss_backward': (
    b,
    grad: Value,
    self: Value,
    target: Value,
    p: Scalar,
    margin: Scalar,
    weight: Value | null,
    reduction: number,
  ) =>
    byFirst(
      b,
      [self, target, weight],
      (inner, x, y, w) => lowerNamed(inner, 'multi_margin_loss', [x, y, p, margin, w, reduction]),
      [grad],
    ),
  'aten::multilabel_margin_loss_backward': multilabelMarginBackward,
  'aten::prelu_backward': (b, grad: Value, self: Value, weight: Value) =>
    cotangentsOf(b, [self, weight], (inner, x, w) => lowerNamed(inner, 'prelu', [x, w]), [grad]),
  'aten::rrelu_with_noise_backward': (
    b,
    grad: Value,
    self: Value,
    noise: Value,
    lower: Scalar,
    upper: Scalar,
    training: boolean,
    _isResult: boolean,
  ) => {
    const [low, high] = [realOf(lower), realOf(upper)];
    if (training) return b.multiply(grad, noise);
    return ofSelf('leaky_relu')(b, grad, self, (low + high) / 2);
  },
  /** The exact gelu, by a formula whose own derivative is smooth everywhere. */
  'aten::infinitely_differentiable_gelu_backward': (b, grad: Value, self: Value) => {
    const cdf = times(b, plus(b, b.erf(times(b, self, Math.SQRT1_2)), 1), 0.5);
    const pdf = times(b, b.exponential(times(b, b.multiply(self, self), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return b.multiply(grad, b.add(cdf, b.multiply(self, pdf)));
  },
  /** How glu(x) moves when x moves by dx. */
  'aten::glu_jvp': (b, glu: Value, x: Value, dx: Value, dim: number) => {
    const { sigma } = gate(b, x, dim);
    const [da, db] = halves(b, dx, wrapDim(dim, rankOf(x)));
    const rest = b.subtract(like(b, sigma, 1), sigma);
    return b.add(b.multiply(da, sigma), b.multiply(db, b.multiply(rest, glu)));
  },
  /** How the gradient of glu moves when its cotangent and its input move. */
  'aten::glu_backward_jvp': (
    b,
    _gradX: Value,
    grad: Value,
    x: Value,
    dGrad: Value,
    dx: Value,
    dim: number,
  ) => {
    const axis = wrapDim(dim, rankOf(x));
    const { first: a, sigma, slope } = gate(b, x, dim);
    const [da, db] = halves(b, dx, axis);
    const bend = b.multiply(b.multiply(slope, b.subtract(like(b, sigma, 1), times(b, sigma, 2))), db);
    const one = b.add(b.multiply(dGrad, sigma), b.multiply(grad, b.multiply(slope, db)));
    const two = b.add(
      b.add(b.multiply(dGrad, b.multiply(a, slope)), b.multiply(grad, b.multiply(da, slope))),
      b.multiply(grad, b.multiply(a, bend)),
    );
    return b.concatenate([one, two], axis);
  },
  'aten::affine_grid_generator_backward': (
    b,
    grad: Value,
    size: readonly number[],
    alignCorners: boolean,
  ) => {
    const spatial = size.length - 2;
    return cotangentsOf(
      b,
      [b.full(0, dtypeOf(grad), [size[0], spatial, spatial + 1])],
      (inner, theta) => lowerNamed(inner, 'affine_grid_generator', [theta, size, alignCorners]),
      [grad],
    )[0];
  },
  'aten::_grid_sampler_2d_cpu_fallback_backward': (
    b,
    grad: Value,
    input: Value,
    grid: Value,
    interpolation: number,
    padding: number,
    alignCorners: boolean,
  ) =>
    cotangentsOf(
      b,
      [input, grid],
      (inner, x, g) => lowerNamed(inner, 'grid_sampler', [x, g, interpolation, padding, alignCorners]),
      [grad],
    ),
  'aten::adaptive_avg_pool3d_backward.grad_input': (b, grad: Value, self: Value) =>
    ofSelf('adaptive_avg_pool3d')(b, grad, self, sizesOf(grad).slice(-3)),
  'aten::matrix_exp_backward': (b, self: Value, grad: Value) =>
    cotangentsOf(b, [self], (inner, x) => lowerNamed(inner, 'linalg_matrix_exp', [x]), [grad])[0],
});

// ---- connectionist temporal classification ------------------------------------------------------------------------

type Lengths = readonly number[];

/** The losses of samples come back from their logarithms; what the forward pass saved is not needed. */
function ctcBackward(
  b: CoreBuilder,
  grad: Value,
  logProbs: Value,
  targets: Value,
  inputLengths: Lengths,
  targetLengths: Lengths,
  _loss: Value,
  _alpha: Value,
  blank: number,
  zeroInfinity: boolean,
): Value {
  return byFirst(
    b,
    [logProbs, targets],
    (inner, x, y) =>
      lowerNamed(inner, 'ctc_loss.IntList', [x, y, inputLengths, targetLengths, blank, 0, zeroInfinity]),
    [grad],
  );
}

preparations({
  'aten::_ctc_loss_backward.Tensor': (read, ...args: TensorLike[]) =>
    args.map((value, index) => (index === 3 || index === 4 ? integersOf(read(value)).map(Number) : value)),
});
lowerings({ 'aten::_ctc_loss_backward': ctcBackward, 'aten::_ctc_loss_backward.Tensor': ctcBackward });
