// Derivatives of gamma and beta variates by their shape: how a sample moves when the shape does and its rank stays
// (Figurnov, Mohamed and Mnih, 2018), in PyTorch's approximations: series near the ends of the range, saddle points where the
// shape is large, rational functions in between. Computed in double precision.
import type { CoreBuilder, Value } from '@weft/ir';
import { lowerings } from './operator.ts';
import { noDerivative, underivable } from './gradient-flow.ts';
import { check } from './broadcast.ts';
import { dtypeOf, is, isNaN, like, plus, pointwise, times } from './elementwise.ts';
import { printName } from './promotion.ts';

const constants = (b: CoreBuilder, x: Value) => ({
  one: like(b, x, 1),
  /** a polynomial, its coefficients from the lowest */
  polynomial: (at: Value, coefficients: readonly number[]): Value =>
    coefficients
      .slice(0, -1)
      .reduceRight(
        (sum, coefficient) => plus(b, b.multiply(sum, at), coefficient),
        like(b, at, coefficients.at(-1)!),
      ),
});
const square = (b: CoreBuilder, x: Value): Value => b.multiply(x, x);
const product = (b: CoreBuilder, ...factors: Value[]): Value => factors.reduce((x, y) => b.multiply(x, y));
const sum = (b: CoreBuilder, ...terms: Value[]): Value => terms.reduce((x, y) => b.add(x, y));
const inverse = (b: CoreBuilder, x: Value): Value => b.divide(like(b, x, 1), x);
/** Each branch sees ordinary operands where it does not count. */
const where = (b: CoreBuilder, condition: Value, x: Value, otherwise: number): Value =>
  b.select(condition, x, like(b, x, otherwise));
const orZero = (b: CoreBuilder, x: Value): Value => b.select(isNaN(b, x), like(b, x, 0), x);

// ---- gamma --------------------------------------------------------------------------------------------------------

/** Below 0.8: the Taylor series of the distribution function and of its derivative by alpha. */
function gammaSeries(b: CoreBuilder, alpha: Value, x: Value): Value {
  let numerator = like(b, x, 1);
  let denominator = alpha;
  let first = inverse(b, alpha);
  let second = square(b, first);
  for (let i = 1; i <= 5; i++) {
    numerator = b.multiply(numerator, times(b, x, -1 / i));
    denominator = plus(b, denominator, 1);
    first = b.add(first, b.divide(numerator, denominator));
    second = b.add(second, b.divide(numerator, square(b, denominator)));
  }
  // x^alpha cancels between the distribution function and its density x^(alpha - 1) e^-x.
  const slope = b.subtract(b.multiply(b.subtract(b.log(x), b.digamma(alpha)), first), second);
  return orZero(b, b.negate(product(b, slope, x, b.exponential(x))));
}

/** Above alpha = 8, near the mean: Rice's expansion around it. */
function gammaNearMean(b: CoreBuilder, alpha: Value, x: Value): Value {
  const first = plus(b, times(b, b.multiply(alpha, plus(b, times(b, alpha, 12), 1)), 24), 1);
  const second = sum(
    b,
    times(b, square(b, alpha), 1440),
    times(b, b.multiply(x, plus(b, times(b, x, -120), 53)), 6),
    b.divide(times(b, square(b, x), -65), alpha),
    b.multiply(alpha, plus(b, times(b, x, 3600), 107)),
  );
  return b.divide(b.multiply(first, second), times(b, square(b, square(b, alpha)), 1244160));
}

/** Above alpha = 8, away from the mean: the saddle point. */
function gammaSaddle(b: CoreBuilder, alpha: Value, x: Value): Value {
  const scale = b.sqrt(times(b, alpha, 8));
  const gap = b.subtract(alpha, x);
  const log = b.log(b.divide(x, alpha));
  const isBelow = is(b, gap, 'GT', 0);
  const second = b.divide(scale, gap);
  const depth = b.subtract(b.negate(gap), b.multiply(alpha, log));
  const third = b.power(depth, like(b, depth, -1.5));
  const both = b.select(isBelow, b.subtract(second, third), b.add(second, third));
  const first = b.subtract(
    b.multiply(log, both),
    b.divide(b.multiply(b.sqrt(b.divide(like(b, alpha, 2), alpha)), b.add(alpha, x)), square(b, gap)),
  );
  const inv = inverse(b, alpha);
  const stirling = plus(b, times(b, b.multiply(inv, plus(b, times(b, inv, 1 / 24), 1)), 1 / 12), 1);
  return b.negate(b.divide(product(b, stirling, x, first), scale));
}

/** In between: exp of a rational function of log(x / alpha) and log(alpha). */
function gammaRational(b: CoreBuilder, alpha: Value, x: Value): Value {
  const [u, v] = [b.log(b.divide(x, alpha)), b.log(alpha)];
  const { polynomial } = constants(b, x);
  const table = [
    [0.16009398, 0.53487893, 0.040121004],
    [-0.094634809, 0.1298071, -0.0065914022],
    [0.025146376, 0.065735949, -0.0026286047],
    [-0.0030648343, -0.0015649758, -0.0013441777],
    [1, 0.16639465, 0.017050642],
    [0.32668115, 0.020070113, -0.0021309326],
    [0.10406089, -0.0035938915, 0.00085092367],
    [0.0014179084, -0.00058392623, -1.5247877e-7],
  ];
  const byU = table.map((row) => polynomial(u, row));
  const inV = (terms: readonly Value[]): Value =>
    terms.slice(0, -1).reduceRight((total, term) => b.add(b.multiply(total, v), term), terms.at(-1)!);
  return b.exponential(b.divide(inV(byU.slice(0, 4)), inV(byU.slice(4))));
}

/** How a standard gamma variate x moves with its shape. */
export function gammaGradient(b: CoreBuilder, alpha: Value, x: Value): Value {
  const isSmall = is(b, x, 'LT', 0.8);
  const isLarge = b.and(b.not(isSmall), is(b, alpha, 'GT', 8));
  const isNear = b.and(
    isLarge,
    b.and(b.compare(times(b, alpha, 0.9), x, 'LE'), b.compare(x, times(b, alpha, 1.1), 'LE')),
  );
  const isFar = b.and(isLarge, b.not(isNear));
  const isBetween = b.and(b.not(isSmall), b.not(isLarge));
  const on = (
    condition: Value,
    [alpha0, x0]: readonly [number, number],
    body: (b: CoreBuilder, alpha: Value, x: Value) => Value,
  ): Value => body(b, where(b, condition, alpha, alpha0), where(b, condition, x, x0));
  const large = b.select(isNear, on(isNear, [10, 10], gammaNearMean), on(isFar, [10, 20], gammaSaddle));
  const rest = b.select(isBetween, on(isBetween, [1, 1], gammaRational), large);
  return b.select(isSmall, on(isSmall, [1, 0.5], gammaSeries), rest);
}

// ---- beta ---------------------------------------------------------------------------------------------------------

/** x near 0, by alpha. */
function betaAlphaSmall(b: CoreBuilder, x: Value, alpha: Value, beta: Value): Value {
  const factor = b.subtract(b.subtract(b.digamma(alpha), b.digamma(b.add(alpha, beta))), b.log(x));
  let numerator = like(b, x, 1);
  let series = b.multiply(inverse(b, alpha), b.add(factor, inverse(b, alpha)));
  for (let i = 1; i <= 10; i++) {
    numerator = product(b, numerator, b.subtract(like(b, beta, i), beta), times(b, x, 1 / i));
    const denominator = plus(b, alpha, i);
    series = b.add(
      series,
      b.multiply(b.divide(numerator, denominator), b.add(factor, inverse(b, denominator))),
    );
  }
  const rest = b.power(b.subtract(like(b, x, 1), x), b.negate(beta));
  return orZero(b, product(b, x, rest, series));
}

/** x near 0, by beta. */
function betaBetaSmall(b: CoreBuilder, x: Value, alpha: Value, beta: Value): Value {
  const factor = b.subtract(b.digamma(b.add(alpha, beta)), b.digamma(beta));
  let [numerator, betas, slopes] = [like(b, x, 1), like(b, x, 1), like(b, x, 0)];
  let series = b.divide(factor, alpha);
  for (let i = 1; i <= 8; i++) {
    numerator = b.multiply(numerator, times(b, x, -1 / i));
    slopes = b.add(b.multiply(slopes, plus(b, beta, -i)), betas);
    betas = b.multiply(betas, plus(b, beta, -i));
    const term = b.add(slopes, b.multiply(factor, betas));
    series = b.add(series, b.multiply(b.divide(numerator, plus(b, alpha, i)), term));
  }
  const rest = b.power(b.subtract(like(b, x, 1), x), b.subtract(like(b, beta, 1), beta));
  return orZero(b, b.negate(b.multiply(rest, series)));
}

/** Both shapes large, near the mean. */
function betaNearMean(b: CoreBuilder, x: Value, alpha: Value, beta: Value): Value {
  const total = b.add(alpha, beta);
  const one = like(b, x, 1);
  const other = b.subtract(one, x);
  const b2 = square(b, beta);
  const b3 = b.multiply(b2, beta);
  const terms = [
    times(b, product(b, x, b2, b2), 47),
    b.multiply(plus(b, times(b, b.multiply(plus(b, times(b, beta, 27), 16), x), 20), 43), b3),
    times(b, b.multiply(plus(b, b.subtract(times(b, beta, 180), times(b, x, 90)), 59), b2), 3),
    b.multiply(b.add(plus(b, times(b, b.multiply(beta, other), 1620), 453), times(b, x, -455)), beta),
    times(b, b.multiply(other, plus(b, times(b, beta, 135), -11)), 8),
  ];
  const poly = terms
    .slice(0, -1)
    .reduceRight((found, term) => b.add(b.multiply(found, alpha), term), terms.at(-1)!);
  const twelve = (y: Value): Value => plus(b, times(b, y, 12), 1);
  const numerator = b.divide(b.multiply(twelve(alpha), twelve(beta)), square(b, total));
  const denominator = times(b, product(b, alpha, alpha, alpha, b2, twelve(total)), 12960);
  return b.divide(b.multiply(b.divide(numerator, other), poly), denominator);
}

/** Both shapes large, away from the mean: the saddle point. */
function betaSaddle(b: CoreBuilder, x: Value, alpha: Value, beta: Value): Value {
  const total = b.add(alpha, beta);
  const one = like(b, x, 1);
  const other = b.subtract(one, x);
  const mean = b.divide(alpha, total);
  const both = b.multiply(alpha, beta);
  const prefactor = b.divide(b.negate(x), b.sqrt(b.divide(times(b, both, 2), total)));
  const series = (y: Value): Value => {
    const inv = inverse(b, y);
    return plus(b, b.add(times(b, inv, 1 / 12), times(b, square(b, inv), 1 / 288)), 1);
  };
  const stirling = b.divide(b.multiply(series(alpha), series(beta)), series(total));
  const gap = b.subtract(b.multiply(beta, x), b.multiply(alpha, other));
  const firstTop = b.negate(
    sum(
      b,
      times(b, b.multiply(square(b, alpha), other), 2),
      b.multiply(both, other),
      b.multiply(x, square(b, beta)),
    ),
  );
  const firstBottom = product(
    b,
    b.sqrt(b.divide(times(b, alpha, 2), beta)),
    b.power(total, like(b, total, 1.5)),
    square(b, gap),
  );
  const second = times(b, b.log(b.divide(mean, x)), 0.5);
  const third = b.divide(b.sqrt(b.divide(times(b, both, 8), total)), gap);
  const base = b.add(
    b.multiply(beta, b.log(b.divide(beta, b.multiply(total, other)))),
    b.multiply(alpha, b.log(b.divide(mean, x))),
  );
  const fourth = b.power(base, like(b, base, -1.5));
  const signed = b.select(b.compare(x, mean, 'LT'), fourth, b.negate(fourth));
  const all = b.add(b.divide(firstTop, firstBottom), b.multiply(second, b.add(third, signed)));
  return product(b, stirling, prefactor, all);
}

/** In between: a rational correction, by log x, log(alpha / x) and log(total x / alpha), of an analytic approximation. */
function betaRational(b: CoreBuilder, x: Value, alpha: Value, total: Value): Value {
  const u = b.log(x);
  const a = b.subtract(b.log(alpha), u);
  const c = b.subtract(b.log(total), a);
  const { polynomial } = constants(b, x);
  const powers = (y: Value): Value[] => [like(b, y, 1), y, square(b, y)];
  const [us, as] = [powers(u), powers(a)];
  const apply = (table: readonly (readonly (readonly number[])[])[]): Value =>
    sum(b, ...table.flatMap((rows, i) => rows.map((row, j) => product(b, us[i], as[j], polynomial(c, row)))));
  const beta = b.subtract(total, alpha);
  const approximation = b.divide(b.multiply(x, b.subtract(b.digamma(total), b.digamma(alpha))), beta);
  return b.multiply(b.divide(apply(rationalTop), apply(rationalBottom)), approximation);
}

const rationalTop = [
  [
    [1.003668233, -0.01061107488, -0.0657888334, 0.01201642863],
    [0.6336835991, -0.3557432599, 0.05486251648, -0.001465281033],
    [-0.03276231906, 0.004474107445, 0.002429354597, -0.0001557569013],
  ],
  [
    [0.221950385, -0.3187676331, 0.01799915743, 0.01074823814],
    [-0.2951249643, 0.06219954479, 0.01535556598, 0.001550077057],
    [0.02155310298, 0.004170831599, 0.001292462449, 6.976601077e-5],
  ],
  [
    [-0.05980841433, 0.008441916499, 0.01085618172, 0.002319392565],
    [0.02911413504, 0.01400243777, -0.002721828457, 0.000751041181],
    [0.005900514878, -0.001936558688, -9.495446725e-6, 5.385558597e-5],
  ],
];
const rationalBottom = [
  [
    [1, -0.02924021934, -0.04438342661, 0.007285809825],
    [0.6357567472, -0.3473456711, 0.05454656494, -0.002407477521],
    [-0.03301322327, 0.004845219414, 0.00231480583, -0.0002307248149],
  ],
  [
    [0.5925320577, -0.1757678135, 0.01505928619, 0.000564515273],
    [0.1014815858, -0.06589186703, 0.01272886114, -0.0007316646956],
    [-0.007258481865, 0.001096195486, 0.0003934994223, -4.12701925e-5],
  ],
  [
    [0.06469649321, -0.0236701437, 0.002902096474, -5.896963079e-5],
    [0.001925008108, -0.002869809258, 0.0008000589141, -6.063713228e-5],
    [-0.0003477407336, 6.959756487e-5, 1.097287507e-5, -1.650964693e-6],
  ],
];

/** How a beta variate x moves with alpha (total = alpha + beta), over 1 - x. */
export function betaGradient(b: CoreBuilder, x: Value, alpha: Value, total: Value): Value {
  const beta = b.subtract(total, alpha);
  const boundary = product(b, total, x, b.subtract(like(b, x, 1), x));
  const isLow = b.and(is(b, x, 'LE', 0.5), is(b, boundary, 'LT', 2.5));
  const isHigh = b.and(b.not(isLow), b.and(is(b, x, 'GE', 0.5), is(b, boundary, 'LT', 0.75)));
  const atEdge = b.or(isLow, isHigh);
  const isLarge = b.and(b.not(atEdge), b.and(is(b, alpha, 'GT', 6), is(b, beta, 'GT', 6)));
  const mean = b.divide(alpha, total);
  const deviation = b.divide(b.sqrt(b.divide(b.multiply(alpha, beta), plus(b, total, 1))), total);
  const isNear = b.and(isLarge, b.compare(b.abs(b.subtract(x, mean)), times(b, deviation, 0.1), 'LE'));
  const isFar = b.and(isLarge, b.not(isNear));
  const isBetween = b.and(b.not(atEdge), b.not(isLarge));
  const on = (
    condition: Value,
    [x0, alpha0, beta0]: readonly [number, number, number],
    body: (x: Value, alpha: Value, beta: Value) => Value,
  ): Value =>
    body(where(b, condition, x, x0), where(b, condition, alpha, alpha0), where(b, condition, beta, beta0));
  const large = b.select(
    isNear,
    on(isNear, [0.5, 8, 8], (...args) => betaNearMean(b, ...args)),
    on(isFar, [0.4, 8, 8], (...args) => betaSaddle(b, ...args)),
  );
  const between = on(isBetween, [0.5, 2, 2], (y, p, q) => betaRational(b, y, p, b.add(p, q)));
  const low = on(isLow, [0.25, 1, 1], (...args) => betaAlphaSmall(b, ...args));
  const high = on(isHigh, [0.75, 1, 1], (y, p, q) =>
    b.negate(betaBetaSmall(b, b.subtract(like(b, y, 1), y), q, p)),
  );
  return b.select(isLow, low, b.select(isHigh, high, b.select(isBetween, between, large)));
}

/** Computes in double precision on operands of one floating-point dtype. */
function inDouble(
  b: CoreBuilder,
  name: string,
  operands: readonly Value[],
  body: (...operands: Value[]) => Value,
): Value {
  const dtype = dtypeOf(operands[0]);
  check(
    dtype === 'float32' || dtype === 'float64',
    () => `"${name}" not implemented for '${printName(dtype)}'`,
  );
  return pointwise(b, operands, {}, (...values) =>
    b.convert(body(...values.map((value) => b.convert(value, 'float64'))), dtypeOf(values[0])),
  );
}

export const standardGammaGradient = (b: CoreBuilder, self: Value, output: Value): Value =>
  inDouble(b, '_standard_gamma_grad_cpu', [self, output], (alpha, x) => gammaGradient(b, alpha, x));

lowerings({
  'aten::_standard_gamma_grad': standardGammaGradient,
  'aten::_dirichlet_grad': (b, x: Value, alpha: Value, total: Value) =>
    underivable(
      b,
      noDerivative('aten::_dirichlet_grad'),
      inDouble(b, '_dirichlet_grad_cpu', [x, alpha, total], (y, p, t) => betaGradient(b, y, p, t)),
      x,
      alpha,
      total,
    ),
});
