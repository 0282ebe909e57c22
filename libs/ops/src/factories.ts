// Operators that make tensors from sizes and numbers: zeros, full, arange, linspace, eye, windows, their _like and new_
// forms; and conversions of a tensor as a whole: to, type_as, clone.
import type { CoreBuilder, DType, Value } from '@weft/ir';
import { isFloatingPoint, isInteger } from '@weft/ir';
import { laidOutLowerings, lowerings } from './operator.ts';
import type { Scalar } from './operator.ts';
import { scalarDType } from './promotion.ts';
import { check, rankOf, sizesOf } from './broadcast.ts';
import { zeroGradient } from './gradient-flow.ts';
import { dtypeOf, is, like, over, plus, realOf, scalarOf, times } from './elementwise.ts';
import { inFormat, layouts, likeArgument, sequence, stridesOf } from './result-layout.ts';

type Sizes = readonly number[];

/** The dtype that factories use when none is asked for. */
export const defaultDType: DType = 'float32';

function checkSizes(sizes: Sizes): void {
  for (const size of sizes) {
    check(size >= 0, () => `Trying to create tensor with negative dimension ${size}: [${sizes.join(', ')}]`);
  }
}

function filled(b: CoreBuilder, sizes: Sizes, value: Scalar, dtype: DType): Value {
  checkSizes(sizes);
  return scalarOf(b, value, dtype, sizes);
}

/** Without a dtype, `full` takes that of the value. */
const fullType = (value: Scalar, dtype: DType | null): DType => dtype ?? scalarDType(value);

/** A factory of given sizes and the same with a tensor's dtype (`new_`) or dtype and sizes (`_like`). */
for (const [name, value] of [
  ['zeros', 0],
  ['ones', 1],
  ['empty', 0],
] as const) {
  const make = (b: CoreBuilder, sizes: Sizes, dtype: DType | null): Value =>
    filled(b, sizes, value, dtype ?? defaultDType);
  lowerings({
    [name === 'empty' ? 'aten::empty.memory_format' : `aten::${name}`]: make,
    [`aten::${name}_like`]: (b: CoreBuilder, self: Value, dtype: DType | null) =>
      filled(b, sizesOf(self), value, dtype ?? dtypeOf(self)),
    [`aten::new_${name}`]: (b: CoreBuilder, self: Value, sizes: Sizes, dtype: DType | null) =>
      filled(b, sizes, value, dtype ?? dtypeOf(self)),
  });
  layouts({ [`aten::${name}_like`]: likeArgument(0) });
}

/** start, start + step, …, without `end`. */
function arange(b: CoreBuilder, start: Scalar, end: Scalar, step: Scalar, dtype: DType | null): Value {
  const integral = [start, end, step].every(
    (scalar) => typeof scalar === 'bigint' || typeof scalar === 'boolean',
  );
  const type = dtype ?? (integral ? 'int64' : defaultDType);
  const [from, to, by] = [realOf(start), realOf(end), realOf(step)];
  check(by !== 0, () => 'step must be nonzero');
  check(Number.isFinite(from) && Number.isFinite(to), () => `unsupported range: ${from} -> ${to}`);
  check(
    (by > 0 && to >= from) || (by < 0 && to <= from),
    () => 'upper bound and larger bound inconsistent with step sign',
  );
  const count = Math.ceil((to - from) / by);
  if (isInteger(type)) {
    const [first, stride] = [BigInt(Math.trunc(from)), BigInt(Math.trunc(by))];
    const steps = b.multiply(b.iota('int64', [count], 0), b.full(stride, 'int64', [count]));
    return b.convert(b.add(steps, b.full(first, 'int64', [count])), type);
  }
  const steps = times(b, b.iota('float64', [count], 0), by);
  return b.convert(plus(b, steps, from), type);
}

/** `steps` values from start to end, both included; the second half counted back from the end, as PyTorch does. */
function linspace(b: CoreBuilder, start: Scalar, end: Scalar, steps: number, dtype: DType | null): Value {
  const type = dtype ?? defaultDType;
  check(steps >= 0, () => 'number of steps must be non-negative');
  const [from, to] = [realOf(start), realOf(end)];
  if (steps === 0) return b.full(0, type, [0]);
  if (steps === 1) return scalarOf(b, start, type, [1]);
  const step = (to - from) / (steps - 1);
  const index = b.iota('float64', [steps], 0);
  const fromStart = plus(b, times(b, index, step), from);
  const fromEnd = plus(b, times(b, plus(b, index, 1 - steps), step), to);
  return b.convert(b.select(is(b, index, 'LT', Math.floor(steps / 2)), fromStart, fromEnd), type);
}

function logspace(
  b: CoreBuilder,
  start: Scalar,
  end: Scalar,
  steps: number,
  base: number,
  dtype: DType | null,
): Value {
  const exponents = linspace(b, start, end, steps, 'float64');
  return b.convert(b.power(like(b, exponents, base), exponents), dtype ?? defaultDType);
}

function eye(b: CoreBuilder, rows: number, columns: number, dtype: DType | null): Value {
  check(rows >= 0, () => `n must be greater or equal to 0, got ${rows}`);
  check(columns >= 0, () => `m must be greater or equal to 0, got ${columns}`);
  const sizes = [rows, columns];
  const diagonal = b.compare(b.iota('int64', sizes, 0), b.iota('int64', sizes, 1), 'EQ');
  return b.convert(diagonal, dtype ?? defaultDType);
}

/** Row and column numbers of a triangle of a matrix, known from the sizes alone. */
function triangleIndices(
  b: CoreBuilder,
  rows: number,
  columns: number,
  offset: number,
  dtype: DType | null,
  lower: boolean,
): Value {
  const pairs: [number, number][] = [];
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) if (lower ? j - i <= offset : j - i >= offset) pairs.push([i, j]);
  }
  const column = (at: 0 | 1): Value[] => pairs.map((pair) => b.full(BigInt(pair[at]), 'int64', [1]));
  const type = dtype ?? 'int64';
  if (pairs.length === 0) return b.full(0, type, [2, 0]);
  const rowNumbers = b.concatenate(column(0), 0);
  const columnNumbers = b.concatenate(column(1), 0);
  return b.convert(b.reshape(b.concatenate([rowNumbers, columnNumbers], 0), [2, pairs.length]), type);
}

/** A window function of n points; a periodic one is that of n + 1 points without the last. */
const windowFunction =
  (
    body: (b: CoreBuilder, index: Value, denominator: number, options: readonly number[]) => Value,
    defaults: readonly number[] = [],
  ) =>
  (
    b: CoreBuilder,
    length: number,
    periodic: boolean,
    options: readonly number[],
    dtype: DType | null,
  ): Value => {
    const type = dtype ?? defaultDType;
    check(isFloatingPoint(type), () => 'window function: only floating point dtypes are supported');
    check(length >= 0, () => `window function: window_length must be non-negative, got ${length}`);
    if (length <= 1) return b.full(1, type, [length]);
    const points = periodic ? length + 1 : length;
    const given = [...options, ...defaults.slice(options.length)];
    return b.convert(body(b, b.iota('float64', [length], 0), points - 1, given), type);
  };

const cosineSum = (
  b: CoreBuilder,
  index: Value,
  denominator: number,
  coefficients: readonly number[],
): Value => {
  let total = like(b, index, coefficients[0]);
  for (const [order, coefficient] of coefficients.slice(1).entries()) {
    const angle = times(b, index, (2 * Math.PI * (order + 1)) / denominator);
    total = b.add(total, times(b, b.cosine(angle), (order % 2 === 0 ? -1 : 1) * coefficient));
  }
  return total;
};
const hann = windowFunction((b, index, n) => cosineSum(b, index, n, [0.5, 0.5]));
const hamming = windowFunction(
  (b, index, n, [alpha, beta]) => cosineSum(b, index, n, [alpha, beta]),
  [0.54, 0.46],
);
const blackman = windowFunction((b, index, n) => cosineSum(b, index, n, [0.42, 0.5, 0.08]));
const bartlett = windowFunction((b, index, n) => {
  const rise = times(b, index, 2 / n);
  return b.minimum(rise, b.subtract(like(b, rise, 2), rise));
});
const kaiser = windowFunction(
  (b, index, n, [beta]) => {
    const x = plus(b, times(b, index, 2 / n), -1);
    const root = b.sqrt(b.maximum(b.subtract(like(b, x, 1), b.multiply(x, x)), like(b, x, 0)));
    return over(b, besselI0(b, times(b, root, beta)), besselI0Of(beta));
  },
  [12],
);

/** The modified Bessel function by its power series, which converges for the arguments that windows use. */
function besselI0(b: CoreBuilder, x: Value): Value {
  const quarter = times(b, b.multiply(x, x), 0.25);
  let term = like(b, x, 1);
  let total = term;
  for (let k = 1; k <= 60; k++) {
    term = b.multiply(term, over(b, quarter, k * k));
    total = b.add(total, term);
  }
  return total;
}
function besselI0Of(x: number): number {
  let [term, total] = [1, 1];
  for (let k = 1; k <= 60; k++) total += term *= (x * x) / 4 / (k * k);
  return total;
}

const windows = {
  hann_window: hann,
  hamming_window: hamming,
  blackman_window: blackman,
  bartlett_window: bartlett,
};
for (const [name, make] of Object.entries(windows)) {
  lowerings({
    [`aten::${name}`]: (b: CoreBuilder, length: number, dtype: DType | null) =>
      make(b, length, true, [], dtype),
    [`aten::${name}.periodic`]: (b: CoreBuilder, length: number, periodic: boolean, dtype: DType | null) =>
      make(b, length, periodic, [], dtype),
  });
}

/** A copy of another dtype; of the same dtype the tensor itself. */
const to = (b: CoreBuilder, self: Value, dtype: DType | null): Value =>
  dtype === null ? self : b.convert(self, dtype);

/** `_cast_Float` and its like, which old archives call; of the same dtype the tensor itself. */
export const oldCasts = [
  ['Byte', 'uint8'],
  ['Char', 'int8'],
  ['Double', 'float64'],
  ['Float', 'float32'],
  ['Half', 'float16'],
  ['Int', 'int32'],
  ['Long', 'int64'],
  ['Short', 'int16'],
] as const;
for (const [name, dtype] of oldCasts) {
  const cast = (b: CoreBuilder, self: Value): Value => b.convert(self, dtype);
  laidOutLowerings(likeArgument(0), { [`aten::_cast_${name}`]: cast });
}

/** As PyTorch's one_hot on the CPU; without `classes` the number of classes depends on the data (see kernels). */
export function oneHot(b: CoreBuilder, self: Value, classes: number): Value {
  check(dtypeOf(self) === 'int64', () => 'one_hot is only applicable to index tensor.');
  const sizes = [...sizesOf(self), classes];
  const index = b.broadcastInDim(
    self,
    sizes,
    sizesOf(self).map((_, dim) => dim),
  );
  return b.convert(b.compare(index, b.iota('int64', sizes, sizes.length - 1), 'EQ'), 'int64');
}

lowerings({
  'aten::full': (b, sizes: Sizes, value: Scalar, dtype: DType | null) =>
    filled(b, sizes, value, fullType(value, dtype)),
  'aten::full_like': (b, self: Value, value: Scalar, dtype: DType | null) =>
    filled(b, sizesOf(self), value, dtype ?? dtypeOf(self)),
  'aten::new_full': (b, self: Value, sizes: Sizes, value: Scalar, dtype: DType | null) =>
    filled(b, sizes, value, dtype ?? dtypeOf(self)),
  'aten::empty_strided': (b, sizes: Sizes, _strides: Sizes, dtype: DType | null) =>
    filled(b, sizes, 0, dtype ?? defaultDType),
  'aten::new_empty_strided': (b, self: Value, sizes: Sizes, _strides: Sizes, dtype: DType | null) =>
    filled(b, sizes, 0, dtype ?? dtypeOf(self)),
  'aten::_efficientzerotensor': (b, sizes: Sizes, dtype: DType | null) =>
    filled(b, sizes, 0, dtype ?? defaultDType),
  'aten::scalar_tensor': (b, value: Scalar, dtype: DType | null) => scalarOf(b, value, dtype ?? defaultDType),
  'aten::arange': (b, end: Scalar, dtype: DType | null) => arange(b, 0n, end, 1n, dtype),
  'aten::arange.start': (b, start: Scalar, end: Scalar, dtype: DType | null) =>
    arange(b, start, end, 1n, dtype),
  'aten::arange.start_step': arange,
  'aten::range': (b, start: Scalar, end: Scalar, dtype: DType | null) =>
    arange(b, start, realOf(end) + 0.5, 1n, dtype ?? defaultDType),
  'aten::range.step': (b, start: Scalar, end: Scalar, step: Scalar, dtype: DType | null) =>
    arange(b, start, realOf(end) + realOf(step) / 2, step, dtype ?? defaultDType),
  'aten::_dim_arange': (b, self: Value, dim: number) => b.iota('int64', [sizesOf(self)[dim]], 0),
  'aten::linspace': linspace,
  'aten::logspace': logspace,
  'aten::eye': (b, n: number, dtype: DType | null) => eye(b, n, n, dtype),
  'aten::eye.m': eye,
  'aten::tril_indices': (b, rows: number, columns: number, offset: number, dtype: DType | null) =>
    triangleIndices(b, rows, columns, offset, dtype, true),
  'aten::triu_indices': (b, rows: number, columns: number, offset: number, dtype: DType | null) =>
    triangleIndices(b, rows, columns, offset, dtype, false),
  'aten::hamming_window.periodic_alpha': (
    b,
    n: number,
    periodic: boolean,
    alpha: number,
    dtype: DType | null,
  ) => hamming(b, n, periodic, [alpha], dtype),
  'aten::hamming_window.periodic_alpha_beta': (
    b,
    n: number,
    periodic: boolean,
    alpha: number,
    beta: number,
    dtype: DType | null,
  ) => hamming(b, n, periodic, [alpha, beta], dtype),
  'aten::kaiser_window': (b, n: number, dtype: DType | null) => kaiser(b, n, true, [], dtype),
  'aten::kaiser_window.periodic': (b, n: number, periodic: boolean, dtype: DType | null) =>
    kaiser(b, n, periodic, [], dtype),
  'aten::kaiser_window.beta': (b, n: number, periodic: boolean, beta: number, dtype: DType | null) =>
    kaiser(b, n, periodic, [beta], dtype),
  'aten::fft_fftfreq': (b, n: number, d: number, dtype: DType | null) => {
    const index = b.iota('float64', [n], 0);
    const half = Math.floor((n + 1) / 2);
    const wrapped = b.select(is(b, index, 'LT', half), index, plus(b, index, -n));
    return b.convert(over(b, wrapped, n * d), dtype ?? defaultDType);
  },
  'aten::fft_rfftfreq': (b, n: number, d: number, dtype: DType | null) =>
    b.convert(over(b, b.iota('float64', [Math.floor(n / 2) + 1], 0), n * d), dtype ?? defaultDType),

  'aten::to.dtype': to,
  'aten::to.dtype_layout': to,
  'aten::to.device': (b, self: Value, _device: string, dtype: DType) => b.convert(self, dtype),
  'aten::to.other': (b, self: Value, other: Value) => b.convert(self, dtypeOf(other)),
  'aten::_to_copy': to,
  'aten::type_as': (b, self: Value, other: Value) => b.convert(self, dtypeOf(other)),
  'aten::clone': (_b, self: Value) => self,
  'aten::cpu': (_b, self: Value) => self,
  'aten::copy': (b, self: Value, source: Value) =>
    b.broadcastTo(b.convert(source, dtypeOf(self)), sizesOf(self)),
  'aten::fill.Scalar': (b, self: Value, value: Scalar) => zeroGradient(b, like(b, self, value), self),
  'aten::fill.Tensor': (b, self: Value, value: Value) => {
    check(
      rankOf(value) === 0,
      () => `fill_ only supports 0-dimension value tensor but got tensor with ${rankOf(value)} dimensions.`,
    );
    return zeroGradient(b, b.broadcastTo(b.convert(value, dtypeOf(self)), sizesOf(self)), self);
  },
  'aten::zero': (b, self: Value) => zeroGradient(b, like(b, self, 0), self),
});

layouts({
  'aten::arange': sequence,
  'aten::arange.start': sequence,
  'aten::arange.start_step': sequence,
  'aten::range': sequence,
  'aten::range.step': sequence,
  'aten::linspace': sequence,
  'aten::logspace': sequence,
  'aten::full_like': likeArgument(0),
  'aten::empty.memory_format': inFormat,
  'aten::empty_strided': stridesOf(1),
  'aten::new_empty_strided': stridesOf(2),
  'aten::to.dtype': likeArgument(0),
  'aten::to.dtype_layout': likeArgument(0),
  'aten::to.device': likeArgument(0),
  'aten::to.other': likeArgument(0),
  'aten::_to_copy': likeArgument(0),
  'aten::type_as': likeArgument(0),
  'aten::clone': likeArgument(0),
  'aten::copy': likeArgument(0),
  'aten::fill.Scalar': likeArgument(0),
  'aten::fill.Tensor': likeArgument(0),
  'aten::zero': likeArgument(0),
});
