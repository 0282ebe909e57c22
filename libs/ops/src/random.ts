// Random tensors and dropout. Numbers come from the builder's source (`draw`): PyTorch's mt19937 stream in one process,
// Philox where a graph is split.
import type { CoreBuilder, DType, RandomRequest, TensorLike, Value } from '@weft/ir';
import { InternalError, isFloatingPoint } from '@weft/ir';
import { dataChecks, lowerings } from './operator.ts';
import type { Scalar } from './operator.ts';
import { noDerivative, stopGradient, underivable, zeroGradient } from './gradient-flow.ts';
import { check, fail, range, rankOf, sizesOf } from './broadcast.ts';
import { dtypeOf, is, like, plus, realOf, times } from './elementwise.ts';
import { defaultDType } from './factories.ts';
import { numbersOf } from './literal.ts';
import { cumsum } from './scans.ts';
import { iterator, layouts, likeArgument } from './result-layout.ts';

type Sizes = readonly number[];

export function draw(
  b: CoreBuilder,
  distribution: RandomRequest['distribution'],
  dtype: DType,
  sizes: Sizes,
  parameters: readonly number[],
  rowMajor = false,
): Value {
  if (b.random === undefined)
    throw new InternalError('a random operator was lowered without a source of random numbers');
  for (const size of sizes) {
    check(size >= 0, () => `Trying to create tensor with negative dimension ${size}: [${sizes.join(', ')}]`);
  }
  return b.random.draw(b, { distribution, dtype, sizes, parameters, rowMajor });
}

const checkFloat = (name: string, dtype: DType): void =>
  check(isFloatingPoint(dtype), () => `"${name}" not implemented for '${dtype}'`);

const uniform = (b: CoreBuilder, sizes: Sizes, dtype: DType | null, from = 0, to = 1): Value =>
  draw(b, 'uniform', dtype ?? defaultDType, sizes, [from, to]);

const normal = (b: CoreBuilder, sizes: Sizes, dtype: DType | null, mean = 0, std = 1): Value => {
  check(std >= 0, () => `normal expects std >= 0.0, but found std ${std}`);
  return draw(b, 'normal', dtype ?? defaultDType, sizes, [mean, std]);
};

function randint(b: CoreBuilder, low: number, high: number, sizes: Sizes, dtype: DType | null): Value {
  check(low < high, () => `random_ expects 'from' to be less than 'to', but got from=${low} >= to=${high}`);
  return draw(b, 'randint', dtype ?? 'int64', sizes, [low, high]);
}

/** The range that random_() fills from: integers up to the dtype's largest, floats up to their exact integers. */
const integerLimits: Partial<Record<DType, number>> = {
  uint8: 2 ** 8,
  int8: 2 ** 7,
  int16: 2 ** 15,
  int32: 2 ** 31,
  int64: 2 ** 63,
  float16: 2 ** 11 + 1,
  bfloat16: 2 ** 8 + 1,
  float32: 2 ** 24 + 1,
  float64: 2 ** 53 + 1,
  bool: 2,
};

function randomFill(b: CoreBuilder, self: Value, from: number, to: number | null): Value {
  const dtype = dtypeOf(self);
  const high = to ?? integerLimits[dtype] ?? fail(`random_ is not implemented for '${dtype}'`);
  check(from < high, () => `random_ expects 'from' to be less than 'to', but got from=${from} >= to=${high}`);
  return draw(b, 'randint', dtype, sizesOf(self), [from, high]);
}

/** Keeps each element with probability 1 - p and scales what is kept. */
export function dropout(b: CoreBuilder, input: Value, p: number, train: boolean): Value {
  check(p >= 0 && p <= 1, () => `dropout probability has to be between 0 and 1, but got ${p}`);
  if (!train || p === 0) return input;
  return b.multiply(input, dropoutMask(b, dtypeOf(input), sizesOf(input), p));
}

/** 1 / (1 - p) where an element is kept, else 0. */
export function dropoutMask(b: CoreBuilder, dtype: DType, sizes: Sizes, p: number): Value {
  if (p === 1) return b.full(0, dtype, sizes);
  return times(b, dropoutNoise(b, dtype, sizes, p), 1 / (1 - p));
}

/** 1 where an element is kept, else 0: a row-major tensor of its own, whatever the strides of what it is for. */
const dropoutNoise = (b: CoreBuilder, dtype: DType, sizes: Sizes, p: number): Value =>
  draw(b, 'bernoulli', dtype, sizes, [1 - p], true);

/** Drops whole channels: one draw for each sample and channel. */
function featureDropout(b: CoreBuilder, input: Value, p: number, train: boolean): Value {
  check(p >= 0 && p <= 1, () => `dropout probability has to be between 0 and 1, but got ${p}`);
  if (!train || p === 0) return input;
  return b.multiply(
    input,
    b.broadcastTo(dropoutMask(b, dtypeOf(input), channelSizes(input), p), sizesOf(input)),
  );
}
function channelSizes(input: Value): number[] {
  check(rankOf(input) >= 2, () => 'Feature dropout requires at least 2 dimensions in the input');
  return sizesOf(input).map((size, dim) => (dim < 2 ? size : 1));
}

/** Dropout that keeps mean and variance for inputs that went through selu. */
function alphaDropout(b: CoreBuilder, input: Value, p: number, train: boolean, sizes: Sizes): Value {
  check(p >= 0 && p <= 1, () => `dropout probability has to be between 0 and 1, but got ${p}`);
  if (!train || p === 0) return input;
  if (p === 1) return times(b, input, 0);
  const alpha = 1.7580993408473766;
  const scale = 1 / Math.sqrt((alpha * alpha * p + 1) * (1 - p));
  const kept = dropoutNoise(b, dtypeOf(input), sizes, p);
  const shift = plus(b, times(b, plus(b, kept, -1), alpha * scale), alpha * scale * p);
  const whole = sizesOf(input);
  return b.add(b.multiply(input, b.broadcastTo(times(b, kept, scale), whole)), b.broadcastTo(shift, whole));
}

function nativeDropout(b: CoreBuilder, input: Value, p: number, train: boolean | null): Value[] {
  const sizes = sizesOf(input);
  if (train === false || p === 0) return [input, like(b, b.convert(input, 'bool'), true)];
  if (p === 1) return [times(b, input, 0), like(b, b.convert(input, 'bool'), false)];
  const kept = draw(b, 'bernoulli', dtypeOf(input), sizes, [1 - p]);
  return [b.multiply(b.multiply(input, kept), like(b, input, 1 / (1 - p))), b.convert(kept, 'bool')];
}

/** 1 with the probability that each element gives. */
function bernoulli(b: CoreBuilder, self: Value): Value {
  const dtype = dtypeOf(self);
  checkFloat('bernoulli_tensor_cpu_p_', dtype);
  return bernoulliOf(b, self, sizesOf(self), dtype);
}

/** A uniform number of single precision, or double where the probabilities are, below each probability. */
function bernoulliOf(b: CoreBuilder, p: Value, sizes: Sizes, dtype: DType): Value {
  const wide = dtypeOf(p) === 'float64' ? 'float64' : 'float32';
  const drawn = draw(b, 'uniform', wide, sizes, [0, 1]);
  return b.convert(b.compare(drawn, b.broadcastTo(b.convert(p, wide), sizes), 'LT'), dtype);
}

function bernoulliFill(b: CoreBuilder, self: Value, p: number): Value {
  check(p >= 0 && p <= 1, () => `bernoulli_ expects p to be in [0, 1], but got p=${p}`);
  return draw(b, 'bernoulli', dtypeOf(self), sizesOf(self), [p]);
}

/** A float64 uniform for each element: what the rarer distributions are made of. */
const uniform64 = (b: CoreBuilder, self: Value): Value =>
  draw(b, 'uniform', 'float64', sizesOf(self), [0, 1]);

function exponential(b: CoreBuilder, self: Value, lambda: number): Value {
  check(lambda >= 0, () => `exponential_ expects lambda >= 0.0, but found lambda=${lambda}`);
  return draw(b, 'exponential', dtypeOf(self), sizesOf(self), [lambda]);
}

function cauchy(b: CoreBuilder, self: Value, median: number, sigma: number): Value {
  const angle = times(b, plus(b, uniform64(b, self), -0.5), Math.PI);
  return b.convert(plus(b, times(b, b.tan(angle), sigma), median), dtypeOf(self));
}

function geometric(b: CoreBuilder, self: Value, p: number): Value {
  check(p > 0 && p < 1, () => `geometric_ expects p to be in (0, 1), but got p=${p}`);
  const u = uniform64(b, self);
  const steps = b.divide(b.log(u), like(b, u, Math.log1p(-p)));
  return b.convert(b.ceil(steps), dtypeOf(self));
}

function logNormal(b: CoreBuilder, self: Value, mean: number, std: number): Value {
  check(std > 0, () => `log_normal_ expects std > 0.0, but found std=${std}`);
  return draw(b, 'log_normal', dtypeOf(self), sizesOf(self), [mean, std]);
}

/** mean + std * standard normal numbers. */
function normalOf(b: CoreBuilder, mean: Value | number, std: Value | number): Value {
  const shaped = typeof mean === 'number' ? (std as Value) : mean;
  const sizes = broadcastSizes(mean, std);
  const drawn = draw(b, 'normal', dtypeOf(shaped), sizes, [0, 1]);
  const expanded = (value: Value | number): Value =>
    typeof value === 'number'
      ? like(b, drawn, value)
      : b.broadcastTo(b.convert(value, dtypeOf(drawn)), sizes);
  const result = b.add(b.multiply(drawn, expanded(std)), expanded(mean));
  // PyTorch's draws have a derivative of zero, by what they are scaled and moved by too.
  const operands = [mean, std].filter((each): each is Value => typeof each !== 'number');
  return zeroGradient(b, stopGradient(b, result), ...operands);
}
function broadcastSizes(mean: Value | number, std: Value | number): Sizes {
  const [x, y] = [typeof mean === 'number' ? [] : sizesOf(mean), typeof std === 'number' ? [] : sizesOf(std)];
  const rank = Math.max(x.length, y.length);
  return Array.from({ length: rank }, (_, dim) =>
    Math.max(x[dim - rank + x.length] ?? 1, y[dim - rank + y.length] ?? 1),
  );
}

function randperm(b: CoreBuilder, n: number, dtype: DType | null): Value {
  return b.convert(draw(b, 'randperm', 'int64', [n], []), dtype ?? 'int64');
}

/** Indices of the last dimension drawn with the probabilities (up to a factor) that `self` gives. */
function multinomial(b: CoreBuilder, self: Value, count: number, replacement: boolean): Value {
  const [dtype, sizes] = [dtypeOf(self), sizesOf(self)];
  const width = sizes[sizes.length - 1];
  check(sizes.length === 1 || sizes.length === 2, () => 'prob_dist must be 1 or 2 dim');
  check(
    isFloatingPoint(dtype),
    () => `multinomial only supports floating-point dtypes for input, got: ${dtype}`,
  );
  check(count > 0, () => 'cannot sample n_sample <= 0 samples');
  check(
    replacement || count <= width,
    () => 'cannot sample n_sample > prob_dist.size(-1) samples without replacement',
  );
  if (!replacement) {
    // The order of p / e, with exponential e, is that of drawing without replacement.
    const scores = b.divide(self, draw(b, 'exponential', dtype, sizes, [1]));
    return b.convert(b.topK(scores, count)[1], 'int64');
  }
  const last = sizes.length - 1;
  const sums = cumsum(b, self, last);
  const total = b.broadcastInDim(b.reduceMax(sums, [last]), sizes, range(last));
  const cumulated = b.convert(b.divide(sums, total), 'float64');
  const drawn = draw(b, 'uniform', 'float64', [...sizes.slice(0, -1), count], [0, 1]);
  const whole = [...sizes.slice(0, -1), count, width];
  const below = b.compare(
    b.broadcastInDim(cumulated, whole, [...range(last), last + 1]),
    b.broadcastInDim(drawn, whole, range(last + 1)),
    'LT',
  );
  return b.reduceSum(b.convert(below, 'int64'), [last + 1]);
}

dataChecks({
  'aten::multinomial': (read, self: TensorLike) => {
    const values = numbersOf(read(self));
    check(
      values.every((value) => value >= 0 && value < Infinity),
      () => 'probability tensor contains either `inf`, `nan` or element < 0',
    );
    const width = self.shape[self.shape.length - 1];
    for (let row = 0; row < values.length; row += width) {
      const total = Array.from(values.slice(row, row + width)).reduce((sum, value) => sum + value, 0);
      check(total > 0, () => 'invalid multinomial distribution (sum of probabilities <= 0)');
    }
  },
});

/** Functional form and in-place form have the same meaning. */
const fills = {
  uniform: (b: CoreBuilder, self: Value, from: number, to: number) => {
    check(
      from <= to,
      () => `uniform_ expects to return a [from, to) range, but found from=${from} > to=${to}`,
    );
    return uniform(b, sizesOf(self), dtypeOf(self), from, to);
  },
  exponential: exponential,
  cauchy: cauchy,
  geometric: geometric,
  log_normal: logNormal,
  random: (b: CoreBuilder, self: Value) => randomFill(b, self, 0, null),
  'random.from': randomFill,
  'random.to': (b: CoreBuilder, self: Value, to: number) => randomFill(b, self, 0, to),
};
for (const [name, run] of Object.entries(fills)) {
  const fill = run as (b: CoreBuilder, self: Value, ...rest: never[]) => Value;
  lowerings({
    [`aten::${name}`]: (b: CoreBuilder, self: Value, ...rest: never[]) =>
      zeroGradient(b, fill(b, self, ...rest), self),
  });
}

const normalFill = (b: CoreBuilder, self: Value, mean: number, std: number): Value =>
  normal(b, sizesOf(self), dtypeOf(self), mean, std);

lowerings({
  'aten::rand': (b, sizes: Sizes, dtype: DType | null) => uniform(b, sizes, dtype),
  'aten::rand.generator': (b, sizes: Sizes, _g: null, dtype: DType | null) => uniform(b, sizes, dtype),
  'aten::rand_like': (b, self: Value, dtype: DType | null) =>
    uniform(b, sizesOf(self), dtype ?? dtypeOf(self)),
  'aten::randn': (b, sizes: Sizes, dtype: DType | null) => normal(b, sizes, dtype),
  'aten::randn.generator': (b, sizes: Sizes, _g: null, dtype: DType | null) => normal(b, sizes, dtype),
  'aten::randn_like': (b, self: Value, dtype: DType | null) =>
    normal(b, sizesOf(self), dtype ?? dtypeOf(self)),
  'aten::randint': (b, high: number, sizes: Sizes, dtype: DType | null) => randint(b, 0, high, sizes, dtype),
  'aten::randint.generator': (b, high: number, sizes: Sizes, _g: null, dtype: DType | null) =>
    randint(b, 0, high, sizes, dtype),
  'aten::randint.low': randint,
  'aten::randint.low_generator': (
    b,
    low: number,
    high: number,
    sizes: Sizes,
    _g: null,
    dtype: DType | null,
  ) => randint(b, low, high, sizes, dtype),
  'aten::randint_like': (b, self: Value, high: number, dtype: DType | null) =>
    randint(b, 0, high, sizesOf(self), dtype ?? dtypeOf(self)),
  'aten::randint_like.low_dtype': (b, self: Value, low: number, high: number, dtype: DType | null) =>
    randint(b, low, high, sizesOf(self), dtype ?? dtypeOf(self)),
  'aten::randperm': randperm,
  'aten::randperm.generator': (b, n: number, _g: null, dtype: DType | null) => randperm(b, n, dtype),
  'aten::normal_': normalFill,
  'aten::normal_functional': (b, self: Value, mean: number, std: number) =>
    underivable(b, noDerivative('aten::normal_functional'), normalFill(b, self, mean, std), self),
  'aten::normal.out': normalFill,
  'aten::_no_grad_uniform_': fills.uniform,
  'aten::_no_grad_normal_': normalFill,
  'aten::_no_grad_fill_': (b, self: Value, value: number) => like(b, self, value),
  'aten::_no_grad_zero_': (b, self: Value) => like(b, self, 0),
  'aten::normal.Tensor_Tensor': normalOf,
  'aten::normal.Tensor_float': normalOf,
  'aten::normal.float_Tensor': normalOf,
  'aten::normal.float_float': (b, mean: number, std: number, sizes: Sizes, _g: null, dtype: DType | null) =>
    normal(b, sizes, dtype, mean, std),
  'aten::bernoulli': bernoulli,
  'aten::multinomial': multinomial,
  'aten::bernoulli.p': bernoulliFill,
  'aten::bernoulli.Tensor': (b, self: Value, p: Value) =>
    zeroGradient(b, bernoulliOf(b, p, sizesOf(self), dtypeOf(self)), self, p),
  'aten::dropout': dropout,
  'aten::feature_dropout': featureDropout,
  'aten::alpha_dropout': (b, input: Value, p: number, train: boolean) =>
    alphaDropout(b, input, p, train, sizesOf(input)),
  'aten::feature_alpha_dropout': (b, input: Value, p: number, train: boolean) =>
    alphaDropout(b, input, p, train, train && p > 0 ? channelSizes(input) : []),
  'aten::native_dropout': nativeDropout,
  'aten::_fused_dropout': (b, self: Value, keep: number) => {
    const kept = draw(b, 'bernoulli', dtypeOf(self), sizesOf(self), [keep]);
    return [b.multiply(b.multiply(self, kept), like(b, self, 1 / keep)), b.convert(kept, 'uint8')];
  },
  /** Leaky relu with random slopes below zero in training. */
  'aten::rrelu_with_noise': (
    b,
    self: Value,
    _noise: Value,
    lower: Scalar,
    upper: Scalar,
    training: boolean,
  ) => {
    const below = is(b, self, 'LE', 0);
    if (!training) {
      return b.select(below, times(b, self, (realOf(lower) + realOf(upper)) / 2), self);
    }
    const slope = uniform(b, sizesOf(self), dtypeOf(self), realOf(lower), realOf(upper));
    return b.select(below, b.multiply(self, slope), self);
  },
});

layouts({
  'aten::rand_like': likeArgument(0),
  'aten::randn_like': likeArgument(0),
  'aten::randint_like': likeArgument(0),
  'aten::randint_like.low_dtype': likeArgument(0),
  'aten::uniform': likeArgument(0),
  'aten::exponential': likeArgument(0),
  'aten::cauchy': likeArgument(0),
  'aten::geometric': likeArgument(0),
  'aten::log_normal': likeArgument(0),
  'aten::random': likeArgument(0),
  'aten::random.from': likeArgument(0),
  'aten::random.to': likeArgument(0),
  'aten::normal_functional': likeArgument(0),
  'aten::dropout': iterator,
  'aten::feature_dropout': iterator,
  'aten::alpha_dropout': iterator,
  'aten::feature_alpha_dropout': iterator,
  'aten::native_dropout': iterator,
  'aten::_fused_dropout': iterator,
});
