// Activation functions. At kinks the branches are chosen so that the derivative is PyTorch's (relu at 0 has slope 0).
import type { CoreBuilder, Value } from '@weft/ir';
import { isFloatingPoint } from '@weft/ir';
import { laidOutLowerings } from './operator.ts';
import type { Scalar } from './operator.ts';
import { printName } from './promotion.ts';
import { stopGradient } from './gradient-flow.ts';
import { check, fail, rankOf, sizesOf, wrapDim } from './broadcast.ts';
import { dtypeOf, is, like, over, plus, pointwise, realOf, times, unaryFloat } from './elementwise.ts';
import { halves } from './shapes.ts';
import { allBut, iterator, rowMajor, suggestedBy } from './result-layout.ts';

/** Activations are for floats: PyTorch names the kernel that is missing for others. */
function activation(
  b: CoreBuilder,
  kernel: string,
  self: Value,
  body: (b: CoreBuilder, x: Value) => Value,
): Value {
  check(
    isFloatingPoint(dtypeOf(self)),
    () => `"${kernel}" not implemented for '${printName(dtypeOf(self))}'`,
  );
  return unaryFloat(b, self, (x) => body(b, x));
}

/** One composite of one operand, computed in float32 or wider. */
function composite(
  b: CoreBuilder,
  name: string,
  kernel: string,
  self: Value,
  attributes: Readonly<Record<string, number | boolean | string>>,
  body: (b: CoreBuilder, x: Value) => Value,
): Value {
  check(
    isFloatingPoint(dtypeOf(self)),
    () => `"${kernel}" not implemented for '${printName(dtypeOf(self))}'`,
  );
  return b.composite(name, [self], attributes, (b, x) => [unaryFloat(b, x, (y) => body(b, y))])[0];
}

export function relu(b: CoreBuilder, self: Value): Value {
  check(dtypeOf(self) !== 'bool', () => 'Boolean inputs not supported for relu');
  return b.composite('relu', [self], {}, (b, x) => [b.select(is(b, x, 'LE', 0), like(b, x, 0), x)])[0];
}

function hardtanh(b: CoreBuilder, self: Value, min: Scalar, max: Scalar): Value {
  check(dtypeOf(self) !== 'bool', () => 'Bool inputs not supported for hardtanh');
  const low = like(b, self, min);
  const high = like(b, self, max);
  return b.select(b.compare(self, low, 'LE'), low, b.select(b.compare(self, high, 'GE'), high, self));
}
const relu6 = (b: CoreBuilder, self: Value): Value => hardtanh(b, self, 0, 6);

export const gelu = (b: CoreBuilder, self: Value, approximate: string): Value =>
  composite(b, 'gelu', 'GeluKernelImpl', self, { approximate }, (b, x) => {
    if (approximate === 'none') {
      return b.multiply(times(b, x, 0.5), plus(b, b.erf(times(b, x, Math.SQRT1_2)), 1));
    }
    if (approximate !== 'tanh') fail('approximate argument must be either none or tanh.');
    const cube = b.multiply(b.multiply(x, x), x);
    const inner = times(b, b.add(x, times(b, cube, 0.044715)), Math.sqrt(2 / Math.PI));
    return b.multiply(times(b, x, 0.5), plus(b, b.tanh(inner), 1));
  });

export const silu = (b: CoreBuilder, self: Value): Value =>
  composite(b, 'silu', 'silu_cpu', self, {}, (b, x) => b.multiply(x, b.logistic(x)));

/** log(1 + exp(x)), without overflow, with the derivative sigmoid(x) everywhere. */
export function logOnePlusExp(b: CoreBuilder, x: Value): Value {
  const positive = is(b, x, 'GT', 0);
  const below = b.select(positive, b.negate(x), x);
  const tail = b.logPlusOne(b.exponential(below));
  return b.select(positive, b.add(x, tail), tail);
}

function softplus(b: CoreBuilder, self: Value, beta: Scalar, threshold: Scalar): Value {
  const scale = realOf(beta);
  return activation(b, 'softplus_cpu', self, (b, x) => {
    const scaled = times(b, x, scale);
    return b.select(is(b, scaled, 'GT', realOf(threshold)), x, over(b, logOnePlusExp(b, scaled), scale));
  });
}

const mish = (b: CoreBuilder, self: Value): Value =>
  activation(b, 'mish_cpu', self, (b, x) => b.multiply(x, b.tanh(logOnePlusExp(b, x))));

export const logSigmoid = (b: CoreBuilder, self: Value): Value =>
  activation(b, 'log_sigmoid_cpu', self, (b, x) => b.negate(logOnePlusExp(b, b.negate(x))));

function elu(b: CoreBuilder, self: Value, alpha: Scalar, scale: Scalar, inputScale: Scalar): Value {
  return activation(b, 'elu_cpu', self, (b, x) => {
    const below = is(b, x, 'LE', 0);
    const safe = b.select(below, x, like(b, x, 0));
    const negative = times(
      b,
      b.exponentialMinusOne(times(b, safe, realOf(inputScale))),
      realOf(alpha) * realOf(scale),
    );
    return b.select(below, negative, times(b, x, realOf(scale)));
  });
}

function leakyRelu(b: CoreBuilder, self: Value, slope: Scalar): Value {
  return activation(b, 'leaky_relu_cpu', self, (b, x) =>
    b.select(is(b, x, 'GT', 0), x, times(b, x, realOf(slope))),
  );
}

/** One slope for all, or one a channel (dimension 1). */
function prelu(b: CoreBuilder, self: Value, weight: Value): Value {
  const sizes = sizesOf(self);
  const slopes = sizesOf(weight).reduce((product, size) => product * size, 1);
  if (slopes !== 1) {
    check(sizes.length > 0, () => 'Not allow zero-dim input tensor.');
    const channels = sizes.length > 1 ? sizes[1] : 1;
    check(
      channels === slopes,
      () =>
        `Mismatch of parameter numbers and input channel size. Found parameter numbers = ${slopes} and channel size = ${channels}.`,
    );
  }
  const flat = b.reshape(weight, slopes === 1 ? [] : [slopes]);
  const slope = b.broadcastInDim(flat, sizes, slopes === 1 ? [] : [Math.min(1, sizes.length - 1)]);
  return pointwise(b, [self, slope], {}, (x, w) => b.select(is(b, x, 'GT', 0), x, b.multiply(x, w)));
}

/** In training the slopes are drawn from [lower, upper], else their mean is used. Returns the slopes as well. */
function rreluWithNoise(
  b: CoreBuilder,
  self: Value,
  lower: Scalar,
  upper: Scalar,
  training: boolean,
): [result: Value, noise: Value] {
  const low = realOf(lower);
  const high = realOf(upper);
  check(low <= high, () => `Lower bound should be less than or equal to the upper bound`);
  if (!training) {
    const slope = like(b, self, (low + high) / 2);
    return [leakyRelu(b, self, (low + high) / 2), slope];
  }
  const drawn = b.random!.draw(b, {
    distribution: 'uniform',
    dtype: dtypeOf(self),
    sizes: sizesOf(self),
    parameters: [low, high],
  });
  const below = is(b, self, 'LE', 0);
  const noise = b.select(below, drawn, like(b, self, 1));
  return [b.multiply(self, noise), noise];
}

function hardswish(b: CoreBuilder, self: Value): Value {
  return activation(b, 'hardswish_cpu', self, (b, x) => {
    const middle = over(b, b.multiply(x, plus(b, x, 3)), 6);
    return b.select(is(b, x, 'LT', -3), like(b, x, 0), b.select(is(b, x, 'LE', 3), middle, x));
  });
}

function hardsigmoid(b: CoreBuilder, self: Value): Value {
  return activation(b, 'hardsigmoid_cpu', self, (b, x) =>
    b.select(
      is(b, x, 'LE', -3),
      like(b, x, 0),
      b.select(is(b, x, 'GE', 3), like(b, x, 1), over(b, plus(b, x, 3), 6)),
    ),
  );
}

function threshold(b: CoreBuilder, self: Value, limit: Scalar, value: Scalar): Value {
  return b.select(b.compare(self, like(b, self, limit), 'LE'), like(b, self, value), self);
}

function softshrink(b: CoreBuilder, self: Value, lambda: Scalar): Value {
  const l = realOf(lambda);
  check(l >= 0, () => `lambda must be greater or equal to 0, but found to be ${l}.`);
  return activation(b, 'softshrink_cpu', self, (b, x) =>
    b.select(is(b, x, 'GT', l), plus(b, x, -l), b.select(is(b, x, 'LT', -l), plus(b, x, l), times(b, x, 0))),
  );
}

function hardshrink(b: CoreBuilder, self: Value, lambda: Scalar): Value {
  const l = realOf(lambda);
  return activation(b, 'hardshrink_cpu', self, (b, x) =>
    b.select(b.and(is(b, x, 'GE', -l), is(b, x, 'LE', l)), like(b, x, 0), x),
  );
}

function glu(b: CoreBuilder, self: Value, dim: number): Value {
  check(rankOf(self) > 0, () => 'glu does not support 0-dimensional tensors');
  const axis = wrapDim(dim, rankOf(self));
  const size = sizesOf(self)[axis];
  check(size % 2 === 0, () => `Halving dimension must be even, but dimension ${axis} is size ${size}`);
  const [value, gate] = halves(b, self, axis);
  return pointwise(b, [value, gate], { steps: true }, (x, y) => b.multiply(x, b.logistic(y)));
}

const activationLayout = allBut(iterator, {
  'aten::log_sigmoid': rowMajor,
  'aten::log_sigmoid_forward': rowMajor,
  'aten::prelu': suggestedBy(0),
  'aten::rrelu': rowMajor,
});

laidOutLowerings(activationLayout, {
  'aten::relu': relu,
  'aten::relu6': relu6,
  'aten::hardtanh': hardtanh,
  'aten::gelu': gelu,
  'aten::silu': silu,
  'aten::mish': mish,
  'aten::softplus': softplus,
  'aten::log_sigmoid': logSigmoid,
  'aten::log_sigmoid_forward': (b, self: Value) => [
    logSigmoid(b, self),
    stopGradient(
      b,
      unaryFloat(b, self, (x) => b.exponential(b.negate(b.abs(x)))),
    ),
  ],
  'aten::elu': elu,
  'aten::selu': (b, self: Value) =>
    elu(b, self, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1),
  'aten::celu': (b, self: Value, alpha: Scalar) => {
    check(realOf(alpha) !== 0, () => 'ZeroDivisionError: alpha cannot be 0 for CELU');
    return elu(b, self, alpha, 1, 1 / realOf(alpha));
  },
  'aten::leaky_relu': leakyRelu,
  'aten::prelu': prelu,
  'aten::rrelu': (b, self: Value, lower: Scalar, upper: Scalar, training: boolean) =>
    rreluWithNoise(b, self, lower, upper, training)[0],
  'aten::hardswish': hardswish,
  'aten::hardsigmoid': hardsigmoid,
  'aten::threshold': threshold,
  'aten::softshrink': softshrink,
  'aten::hardshrink': hardshrink,
  'aten::glu': glu,
});
