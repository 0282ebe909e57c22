// Special functions: Bessel functions of order 0 and 1, zeta, polygamma, incomplete gamma functions.
import type { CoreBuilder, TensorLiteral, Value } from '@weft/ir';
import type { KernelVjp } from './operator.ts';
import { kernels, laidOutLowerings } from './operator.ts';
import type { Operand } from './promotion.ts';
import { noFormula, stopGradient } from './gradient-flow.ts';
import { broadcastShapes, check, fail, range, sizesOf } from './broadcast.ts';
import { dtypeOf, is, like, over, plus, pointwise, times, unaryFloat } from './elementwise.ts';
import { broadcastPositions } from './data-dependent.ts';
import { literalOf, numbersOf } from './literal.ts';
import { declareLayouts, iterator, pointwiseResults } from './result-layout.ts';

// ---- modified Bessel functions of the first kind --------------------------------------------------------------------

/**
 * exp(-|x|) I_n(x): the power series (all of one sign, so without cancellation) up to 20, beyond it the asymptotic series
 * in 1/x (Abramowitz and Stegun 9.6.10, 9.7.1).
 */
function besselScaled(b: CoreBuilder, x: Value, order: 0 | 1): Value {
  const size = b.abs(x);
  const far = is(b, size, 'GT', 20);
  const near = b.select(far, like(b, x, 1), x);
  const quarter = times(b, b.multiply(near, near), 0.25);
  let term = order === 0 ? like(b, near, 1) : times(b, near, 0.5);
  let series = term;
  for (let k = 1; k <= 60; k++) {
    term = b.multiply(term, over(b, quarter, k * (k + order)));
    series = b.add(series, term);
  }
  const inside = b.multiply(series, b.exponential(b.negate(b.abs(near))));
  const large = b.select(far, size, like(b, size, 30));
  const inverse = b.divide(like(b, large, 1), times(b, large, 8));
  const mu = 4 * order * order;
  let factor = like(b, large, 1);
  let tail = factor;
  for (let k = 1; k <= 20; k++) {
    factor = b.multiply(factor, times(b, inverse, -(mu - (2 * k - 1) ** 2) / k));
    tail = b.add(tail, factor);
  }
  const outside = b.multiply(tail, b.rsqrt(times(b, large, 2 * Math.PI)));
  const signed = order === 1 ? b.select(is(b, x, 'LT', 0), b.negate(outside), outside) : outside;
  return b.select(far, signed, inside);
}

/** In double precision: the terms of the series differ much in size. */
const precise = (b: CoreBuilder, x: Value, body: (x: Value) => Value): Value =>
  unaryFloat(b, x, (y) => b.convert(body(b.convert(y, 'float64')), dtypeOf(y)));
const bessel =
  (order: 0 | 1, scaled: boolean) =>
  (b: CoreBuilder, self: Value): Value =>
    precise(b, self, (x) => {
      const small = besselScaled(b, x, order);
      return scaled ? small : b.multiply(small, b.exponential(b.abs(x)));
    });

// ---- zeta, polygamma ------------------------------------------------------------------------------------------------

/** Hurwitz' zeta by Euler and Maclaurin: ten terms of the sum, then the integral and corrections. */
function zeta(b: CoreBuilder, s: Value, q: Value): Value {
  const minus = b.negate(s);
  let total = like(b, s, 0);
  let at = q;
  for (let k = 0; k < 10; k++) {
    total = b.add(total, b.power(at, minus));
    at = plus(b, at, 1);
  }
  const power = b.power(at, minus);
  total = b.add(total, b.divide(b.multiply(power, at), plus(b, s, -1)));
  total = b.add(total, times(b, power, 0.5));
  // B_2j / (2j)! s (s + 1) … (s + 2j - 2) at^(-s - 2j + 1)
  const bernoulli = [
    1 / 12,
    -1 / 720,
    1 / 30240,
    -1 / 1209600,
    1 / 47900160,
    -691 / 1307674368000,
    1 / 74724249600,
  ];
  let factor = b.multiply(s, b.divide(power, at));
  for (const [index, coefficient] of bernoulli.entries()) {
    total = b.add(total, times(b, factor, coefficient));
    const j = 2 * index + 1;
    factor = b.divide(b.multiply(factor, b.multiply(plus(b, s, j), plus(b, s, j + 1))), b.multiply(at, at));
  }
  const outside = b.select(is(b, s, 'EQ', 1), like(b, s, Infinity), like(b, s, NaN));
  const pole = b.and(is(b, q, 'LE', 0), b.compare(q, b.floor(q), 'EQ'));
  const inside = b.select(pole, like(b, s, Infinity), total);
  return b.select(is(b, s, 'GT', 1), inside, outside);
}

const zetaOf = (b: CoreBuilder, self: Operand, other: Operand): Value =>
  pointwise(b, [self, other], { float: true, steps: true }, (x, q) =>
    b.convert(zeta(b, b.convert(x, 'float64'), b.convert(q, 'float64')), dtypeOf(x)),
  );

/** The n-th derivative of digamma. */
function polygamma(b: CoreBuilder, n: number, self: Value): Value {
  check(n >= 0, () => 'polygamma(n, x) does not support negative n.');
  if (n === 0) return unaryFloat(b, self, (x) => b.digamma(x));
  let factorial = 1;
  for (let k = 2; k <= n; k++) factorial *= k;
  const sign = n % 2 === 0 ? -1 : 1;
  return precise(b, self, (x) => times(b, zeta(b, like(b, x, n + 1), x), sign * factorial));
}

// ---- incomplete gamma functions -------------------------------------------------------------------------------------

/** ln Γ(x) for x > 0 (Lanczos, g = 7). */
function logGamma(x: number): number {
  const coefficients = [
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ];
  if (x < 0.5) return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * x))) - logGamma(1 - x);
  const t = x + 6.5;
  let sum = coefficients[0];
  for (let k = 1; k < coefficients.length; k++) sum += coefficients[k] / (x - 1 + k);
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}

/** The regularised lower incomplete gamma function: series below a + 1, continued fraction above (Numerical Recipes 6.2). */
function lowerGamma(a: number, x: number): number {
  if (Number.isNaN(a) || Number.isNaN(x) || a < 0 || x < 0) return NaN;
  if (a === 0) return x > 0 ? 1 : NaN;
  if (x === 0) return 0;
  if (x === Infinity) return a === Infinity ? NaN : 1;
  if (a === Infinity) return 0;
  return x < a + 1 ? lowerSeries(a, x) : 1 - upperFraction(a, x);
}
function upperGamma(a: number, x: number): number {
  if (Number.isNaN(a) || Number.isNaN(x) || a < 0 || x < 0) return NaN;
  if (a === 0) return x > 0 ? 0 : NaN;
  if (x === 0) return 1;
  if (x === Infinity) return a === Infinity ? NaN : 0;
  if (a === Infinity) return 1;
  return x < a + 1 ? 1 - lowerSeries(a, x) : upperFraction(a, x);
}
function lowerSeries(a: number, x: number): number {
  let term = 1 / a;
  let sum = term;
  for (let n = 1; n < 2000 && Math.abs(term) > Math.abs(sum) * 2 ** -53; n++) sum += term *= x / (a + n);
  return sum * Math.exp(-x + a * Math.log(x) - logGamma(a));
}
function upperFraction(a: number, x: number): number {
  const tiny = 1e-300;
  let denominator = x + 1 - a;
  let c = 1 / tiny;
  let d = 1 / (denominator || tiny);
  let h = d;
  for (let n = 1; n < 2000; n++) {
    const numerator = -n * (n - a);
    denominator += 2;
    d = 1 / (numerator * d + denominator || tiny);
    c = denominator + numerator / c || tiny;
    const delta = c * d;
    h *= delta;
    if (Math.abs(delta - 1) < 2 ** -53) break;
  }
  return Math.exp(-x + a * Math.log(x) - logGamma(a)) * h;
}

/** A function of two numbers over broadcast literals. */
const binaryKernel =
  (body: (x: number, y: number) => number) =>
  (self: TensorLiteral, other: TensorLiteral): TensorLiteral => {
    const shape = broadcastShapes(self.shape, other.shape);
    const [x, y] = [numbersOf(self), numbersOf(other)];
    const [p, q] = [broadcastPositions(shape, self.shape), broadcastPositions(shape, other.shape)];
    const isFloat = self.dtype.includes('float')
      ? self.dtype
      : other.dtype.includes('float')
        ? other.dtype
        : 'float32';
    const dtype = self.dtype === 'float64' || other.dtype === 'float64' ? 'float64' : isFloat;
    return literalOf(
      dtype,
      shape,
      p.map((at, index) => body(x[at], y[q[index]])),
    );
  };

/** Derivative by x: ± x^(a - 1) e^-x / Γ(a); there is none by a. */
const gammaVjp =
  (name: string, sign: number): KernelVjp =>
  (b, { args, outputs, cotangents: [g], wanted }) => {
    if (wanted[0]) fail(noFormula(`${name}: input`));
    if (g === null) return [null, null];
    const [self, other] = args as [Value, Value];
    const shape = sizesOf(outputs[0]);
    const [a, x] = [self, other].map((value) => b.broadcastTo(b.convert(value, dtypeOf(outputs[0])), shape));
    const log = b.subtract(b.subtract(b.multiply(plus(b, a, -1), b.log(x)), x), b.lgamma(a));
    const whole = b.multiply(g, times(b, b.exponential(log), sign));
    const sizes = sizesOf(other);
    const lead = shape.length - sizes.length;
    const dims = range(shape.length).filter(
      (dim) => dim < lead || (sizes[dim - lead] === 1 && shape[dim] !== 1),
    );
    return [null, b.convert(b.reshape(b.reduceSum(whole, dims), sizes), dtypeOf(other))];
  };

const lower = { kernel: binaryKernel(lowerGamma), vjp: gammaVjp('igamma', 1) };
const upper = { kernel: binaryKernel(upperGamma), vjp: gammaVjp('igammac', -1) };
kernels({
  'aten::igamma': lower,
  'aten::special_gammainc': lower,
  'aten::igammac': upper,
  'aten::special_gammaincc': upper,
});
declareLayouts(iterator, [
  'aten::igamma',
  'aten::special_gammainc',
  'aten::igammac',
  'aten::special_gammaincc',
]);

laidOutLowerings(iterator, {
  'aten::i0': bessel(0, false),
  'aten::special_i0': bessel(0, false),
  'aten::special_i0e': bessel(0, true),
  'aten::special_i1': bessel(1, false),
  'aten::special_i1e': bessel(1, true),
  'aten::special_modified_bessel_i0': (b, x: Value) => stopGradient(b, bessel(0, false)(b, x)),
  'aten::special_modified_bessel_i1': (b, x: Value) => stopGradient(b, bessel(1, false)(b, x)),
  'aten::special_zeta': zetaOf,
  'aten::special_zeta.self_scalar': zetaOf,
  'aten::special_zeta.other_scalar': zetaOf,
  'aten::polygamma': polygamma,
  'aten::polygamma_': (b, self: Value, n: number) => polygamma(b, n, self),
  'aten::special_polygamma': polygamma,
});

/** Orthogonal polynomials by their recurrence p_(k+1) = next(k, x, p_k, p_(k-1)); `n` is a constant or a tensor. */
interface Polynomials {
  readonly first: (b: CoreBuilder, x: Value) => Value;
  readonly next: (b: CoreBuilder, k: number, x: Value, current: Value, previous: Value) => Value;
}
const twice = (b: CoreBuilder, x: Value, p: Value, q: Value): Value =>
  b.subtract(times(b, b.multiply(x, p), 2), q);
const chebyshev = (first: Polynomials['first']): Polynomials => ({
  first,
  next: (b, _k, x, p, q) => twice(b, x, p, q),
});
const shiftedX = (b: CoreBuilder, x: Value): Value => plus(b, times(b, x, 2), -1);
const shiftedChebyshev = (first: Polynomials['first']): Polynomials => ({
  first: (b, x) => first(b, shiftedX(b, x)),
  next: (b, _k, x, p, q) => twice(b, shiftedX(b, x), p, q),
});
const kinds: Readonly<Record<string, Polynomials['first']>> = {
  t: (_b, x) => x,
  u: (b, x) => times(b, x, 2),
  v: (b, x) => plus(b, times(b, x, 2), -1),
  w: (b, x) => plus(b, times(b, x, 2), 1),
};
const families: Record<string, Polynomials> = {
  hermite_polynomial_h: {
    first: (b, x) => times(b, x, 2),
    next: (b, k, x, p, q) => b.subtract(times(b, b.multiply(x, p), 2), times(b, q, 2 * k)),
  },
  hermite_polynomial_he: {
    first: (_b, x) => x,
    next: (b, k, x, p, q) => b.subtract(b.multiply(x, p), times(b, q, k)),
  },
  laguerre_polynomial_l: {
    first: (b, x) => b.subtract(like(b, x, 1), x),
    next: (b, k, x, p, q) =>
      over(b, b.subtract(b.multiply(b.subtract(like(b, x, 2 * k + 1), x), p), times(b, q, k)), k + 1),
  },
  legendre_polynomial_p: {
    first: (_b, x) => x,
    next: (b, k, x, p, q) =>
      over(b, b.subtract(times(b, b.multiply(x, p), 2 * k + 1), times(b, q, k)), k + 1),
  },
};
for (const [kind, first] of Object.entries(kinds)) {
  families[`chebyshev_polynomial_${kind}`] = chebyshev(first);
  families[`shifted_chebyshev_polynomial_${kind}`] = shiftedChebyshev(first);
}

/** The highest degree that a tensor of degrees may ask for. */
const DEGREES = 32;

function polynomial(b: CoreBuilder, { first, next }: Polynomials, x: Value, n: Value): Value {
  let [previous, current] = [like(b, x, 1), first(b, x)];
  let result = b.select(is(b, n, 'LT', 0), like(b, x, 0), previous);
  for (let k = 1; k <= DEGREES; k++) {
    result = b.select(is(b, b.floor(n), 'EQ', k), current, result);
    [previous, current] = [current, next(b, k, x, current, previous)];
  }
  return b.select(is(b, n, 'GT', DEGREES), like(b, x, NaN), result);
}

for (const [name, family] of Object.entries(families)) {
  const run = (b: CoreBuilder, x: Operand, n: Operand): Value =>
    // PyTorch takes none of them for differentiable.
    stopGradient(
      b,
      pointwise(b, [x, n], { float: true, steps: true }, (p, q) => polynomial(b, family, p, q)),
    );
  laidOutLowerings(pointwiseResults, {
    [`aten::special_${name}`]: run,
    [`aten::special_${name}.x_scalar`]: run,
    [`aten::special_${name}.n_scalar`]: run,
  });
}
