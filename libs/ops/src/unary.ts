// Functions of one operand: exp, log, trigonometry, rounding, signs, erf and gamma functions, tests of floats.
import type { CoreBuilder, Value } from '@weft/ir';
import { isComplex, isFloatingPoint } from '@weft/ir';
import { laidOutLowerings } from './operator.ts';
import { isIntegral, printName } from './promotion.ts';
import { check } from './broadcast.ts';
import { stopGradient, withDerivative } from './gradient-flow.ts';
import { copySign, signBit } from './pointwise.ts';
import {
  dtypeOf,
  is,
  isNaN,
  like,
  over,
  plus,
  pointwise,
  times,
  truncate,
  unaryFloat,
} from './elementwise.ts';
import type { Viewed } from './operator.ts';
import type { ResultLayout } from './result-layout.ts';
import { allBut, iterator, resultStrides, rowMajor, stridesLike } from './result-layout.ts';
import { contiguousStrides } from './strides.ts';

type Unary = (b: CoreBuilder, x: Value) => Value;

const entropy = withDerivative(
  'special_entr',
  (b, [x]) => {
    const positive = is(b, x, 'GT', 0);
    const inside = b.negate(b.multiply(x, b.log(b.select(positive, x, like(b, x, 1)))));
    const edge = b.select(is(b, x, 'EQ', 0), like(b, x, 0), like(b, x, -Infinity));
    return b.select(isNaN(b, x), x, b.select(positive, inside, edge));
  },
  (b, { g, operands: [x] }) => [b.multiply(g, b.negate(plus(b, b.log(x), 1)))],
);

const erfcx = withDerivative(
  'special_erfcx',
  (b, [x]) => b.multiply(b.exponential(b.multiply(x, x)), b.erfc(x)),
  (b, { g, operands: [x], result }) => [
    b.multiply(g, plus(b, times(b, b.multiply(x, result), 2), -2 / Math.sqrt(Math.PI))),
  ],
);

const logNdtr = withDerivative(
  'special_log_ndtr',
  (b, [x]) => logNormalCdf(b, x),
  (b, { g, operands: [x], result }) => {
    const exponent = b.negate(b.add(result, times(b, b.multiply(x, x), 0.5)));
    return [b.multiply(over(b, g, Math.sqrt(2 * Math.PI)), b.exponential(exponent))];
  },
);

/** Functions computed in floats, by their names (without `aten::`); the first is the core operation. */
const floatFunctions: Record<string, Unary> = {
  exp: (b, x) => b.exponential(x),
  expm1: (b, x) => b.exponentialMinusOne(x),
  special_expm1: (b, x) => b.exponentialMinusOne(x),
  exp2: (b, x) => b.exponential(times(b, x, Math.LN2)),
  special_exp2: (b, x) => b.exponential(times(b, x, Math.LN2)),
  log: (b, x) => b.log(x),
  log2: (b, x) => over(b, b.log(x), Math.LN2),
  log10: (b, x) => over(b, b.log(x), Math.LN10),
  log1p: (b, x) => b.logPlusOne(x),
  special_log1p: (b, x) => b.logPlusOne(x),
  sqrt: (b, x) => b.sqrt(x),
  rsqrt: (b, x) => b.rsqrt(x),
  reciprocal: (b, x) => b.divide(like(b, x, 1), x),
  sigmoid: (b, x) => b.logistic(x),
  special_expit: (b, x) => b.logistic(x),
  sin: (b, x) => b.sine(x),
  cos: (b, x) => b.cosine(x),
  tan: (b, x) => b.tan(x),
  asin: (b, x) => b.asin(x),
  arcsin: (b, x) => b.asin(x),
  acos: (b, x) => b.acos(x),
  arccos: (b, x) => b.acos(x),
  atan: (b, x) => b.atan(x),
  arctan: (b, x) => b.atan(x),
  sinh: (b, x) => b.sinh(x),
  cosh: (b, x) => b.cosh(x),
  tanh: (b, x) => b.tanh(x),
  asinh: (b, x) => b.asinh(x),
  arcsinh: (b, x) => b.asinh(x),
  acosh: (b, x) => b.acosh(x),
  arccosh: (b, x) => b.acosh(x),
  atanh: (b, x) => b.atanh(x),
  arctanh: (b, x) => b.atanh(x),
  erf: (b, x) => b.erf(x),
  special_erf: (b, x) => b.erf(x),
  erfc: (b, x) => b.erfc(x),
  special_erfc: (b, x) => b.erfc(x),
  erfinv: (b, x) => b.erfInv(x),
  special_erfinv: (b, x) => b.erfInv(x),
  lgamma: (b, x) => b.lgamma(x),
  special_gammaln: (b, x) => b.lgamma(x),
  digamma: (b, x) => b.digamma(x),
  special_digamma: (b, x) => b.digamma(x),
  special_psi: (b, x) => b.digamma(x),
  deg2rad: (b, x) => times(b, x, Math.PI / 180),
  rad2deg: (b, x) => times(b, x, 180 / Math.PI),
  sinc: sinc,
  special_sinc: sinc,
  special_ndtr: (b, x) => times(b, b.erfc(times(b, x, -Math.SQRT1_2)), 0.5),
  special_ndtri: (b, x) => times(b, b.erfInv(plus(b, times(b, x, 2), -1)), Math.SQRT2),
  special_log_ndtr: (b, x) => logNdtr(b, [x], {}),
  special_entr: (b, x) => entropy(b, [x], {}),
  special_erfcx: (b, x) => erfcx(b, [x], {}),
};
for (const [name, body] of Object.entries(floatFunctions)) {
  laidOutLowerings(iterator, {
    [`aten::${name}`]: (b: CoreBuilder, self: Value) => unaryFloat(b, self, (x) => body(b, x)),
  });
}

function sinc(b: CoreBuilder, x: Value): Value {
  const zero = is(b, x, 'EQ', 0);
  const angle = times(b, b.select(zero, like(b, x, 1), x), Math.PI);
  return b.select(zero, like(b, x, 1), b.divide(b.sine(angle), angle));
}

/** log of the normal distribution function; far below zero by the asymptotic series of erfc. */
function logNormalCdf(b: CoreBuilder, x: Value): Value {
  const upper = b.logPlusOne(times(b, b.erfc(times(b, x, Math.SQRT1_2)), -0.5));
  const far = is(b, x, 'LT', -12);
  const middle = b.log(times(b, b.erfc(times(b, b.select(far, like(b, x, -12), x), -Math.SQRT1_2)), 0.5));
  const inverse = b.divide(like(b, x, 1), b.multiply(x, x));
  const series = plus(
    b,
    b.multiply(inverse, plus(b, b.multiply(inverse, plus(b, times(b, inverse, -15), 3)), -1)),
    1,
  );
  const tail = b.add(
    b.subtract(times(b, b.multiply(x, x), -0.5), b.log(times(b, b.negate(x), Math.sqrt(2 * Math.PI)))),
    b.log(series),
  );
  return b.select(is(b, x, 'GT', 0), upper, b.select(far, tail, middle));
}

/** Rounding leaves integers as they are. */
const rounding =
  (body: Unary) =>
  (b: CoreBuilder, self: Value): Value =>
    isIntegral(dtypeOf(self)) ? self : body(b, self);

export const abs = (b: CoreBuilder, self: Value): Value =>
  dtypeOf(self) === 'bool' || dtypeOf(self) === 'uint8' ? self : b.abs(self);

function negative(b: CoreBuilder, self: Value): Value {
  check(
    dtypeOf(self) !== 'bool',
    () =>
      'Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` or `logical_not()` operator instead.',
  );
  return b.negate(self);
}

/** x / |x| for complex, zero at zero; the sign for the rest, zero for NaN. */
function sgn(b: CoreBuilder, self: Value): Value {
  const dtype = dtypeOf(self);
  if (dtype === 'bool') return self;
  const sign = b.sign(self);
  return isFloatingPoint(dtype) ? b.select(isNaN(b, self), like(b, self, 0), sign) : sign;
}

/** The gradient at a complex zero is zero: the branch that is taken there passes none on. */
function angle(b: CoreBuilder, self: Value): Value {
  if (isComplex(dtypeOf(self))) {
    const [re, im] = [b.real(self), b.imag(self)];
    const zero = b.and(is(b, re, 'EQ', 0), is(b, im, 'EQ', 0));
    return b.select(zero, stopGradient(b, b.atan2(im, re)), b.atan2(im, b.select(zero, like(b, re, 1), re)));
  }
  return unaryFloat(b, self, (x) =>
    b.select(is(b, x, 'LT', 0), like(b, x, Math.PI), b.select(isNaN(b, x), like(b, x, NaN), like(b, x, 0))),
  );
}

const always = (b: CoreBuilder, x: Value, value: boolean): Value => like(b, b.convert(x, 'bool'), value);
const isInfinite = (b: CoreBuilder, x: Value): Value => {
  if (isComplex(dtypeOf(x))) return b.or(isInfinite(b, b.real(x)), isInfinite(b, b.imag(x)));
  return isFloatingPoint(dtypeOf(x)) ? is(b, b.abs(x), 'EQ', Infinity) : always(b, x, false);
};
const isFinite = (b: CoreBuilder, x: Value): Value => {
  if (isComplex(dtypeOf(x))) return b.and(b.isFinite(b.real(x)), b.isFinite(b.imag(x)));
  return isFloatingPoint(dtypeOf(x)) ? b.isFinite(x) : always(b, x, true);
};

/** NaN and infinities replaced; null: zero, the largest and the least finite value. */
function nanToNum(
  b: CoreBuilder,
  x: Value,
  nan: number | null,
  posinf: number | null,
  neginf: number | null,
): Value {
  const dtype = dtypeOf(x);
  if (isIntegral(dtype)) return x;
  const largest = {
    float16: 65504,
    bfloat16: 3.3895313892515355e38,
    float32: 3.4028234663852886e38,
  } as Record<string, number>;
  const limit = largest[dtype] ?? Number.MAX_VALUE;
  const finite = b.select(isNaN(b, x), like(b, x, nan ?? 0), x);
  const below = b.select(is(b, x, 'EQ', Infinity), like(b, x, posinf ?? limit), finite);
  return b.select(is(b, x, 'EQ', -Infinity), like(b, x, neginf ?? -limit), below);
}

/** The derivative is infinite at 0 and 1, zero where `eps` cuts (-1: nowhere), NaN outside of [0, 1]. */
const logOdds = withDerivative(
  'logit',
  (b, [x], { eps }: { readonly eps: number }) => {
    const inside = eps < 0 ? x : b.clamp(like(b, x, eps), x, like(b, x, 1 - eps));
    return b.log(b.divide(inside, b.subtract(like(b, x, 1), inside)));
  },
  (b, { g, operands: [x], attributes: { eps } }) => {
    // The cases are chosen among slopes, so that what is not chosen makes no NaN in the derivative of this.
    const product = b.multiply(x, b.subtract(like(b, x, 1), x));
    const inside = b.divide(like(b, x, 1), product);
    if (eps >= 0) {
      const outside = b.or(is(b, x, 'LT', eps), is(b, x, 'GT', 1 - eps));
      return [b.multiply(g, b.select(outside, like(b, x, 0), inside))];
    }
    const outside = b.or(is(b, x, 'LT', 0), is(b, x, 'GT', 1));
    return [b.multiply(g, b.select(outside, like(b, x, NaN), inside))];
  },
);

const logit = (b: CoreBuilder, self: Value, eps: number | null): Value =>
  unaryFloat(b, self, (x) => logOdds(b, [x], { eps: eps ?? -1 }));

function round(b: CoreBuilder, self: Value, decimals: number): Value {
  if (isIntegral(dtypeOf(self))) return self;
  const scale = 10 ** Math.abs(decimals);
  return unaryFloat(b, self, (x) => {
    if (decimals === 0) return b.roundNearestEven(x);
    return decimals > 0
      ? over(b, b.roundNearestEven(times(b, x, scale)), scale)
      : times(b, b.roundNearestEven(over(b, x, scale)), scale);
  });
}

const floor = rounding((b, x) => b.floor(x));
const ceil = rounding((b, x) => b.ceil(x));
const trunc = rounding((b, x) => unaryFloat(b, x, (y) => truncate(b, y)));
const conj = (b: CoreBuilder, x: Value): Value =>
  isComplex(dtypeOf(x)) ? b.complex(b.real(x), b.negate(b.imag(x))) : x;

/** Of complex numbers row-major. */
const angleLayout: ResultLayout = {
  kind: 'strides',
  follows: true,
  strides: (site, sizes) =>
    isComplex((site.args[0] as unknown as Viewed).dtype)
      ? contiguousStrides(sizes)
      : resultStrides(iterator, site, sizes),
};
const elementLayout = allBut(iterator, {
  'aten::angle': angleLayout,
  // Views in PyTorch, which remembers that they are conjugated.
  'aten::conj': stridesLike(0),
  'aten::_conj': stridesLike(0),
  'aten::mvlgamma': rowMajor,
  'aten::special_multigammaln': rowMajor,
});

laidOutLowerings(elementLayout, {
  'aten::abs': abs,
  'aten::absolute': abs,
  'aten::neg': negative,
  'aten::negative': negative,
  'aten::positive': (b, self: Value) => self,
  'aten::sign': sgn,
  'aten::sgn': sgn,
  'aten::signbit': signBit,
  'aten::floor': floor,
  'aten::ceil': ceil,
  'aten::trunc': trunc,
  'aten::fix': trunc,
  'aten::round': (b, self: Value) => round(b, self, 0),
  'aten::round.decimals': round,
  'aten::special_round': round,
  'aten::frac': (b, self: Value) => unaryFloat(b, self, (x) => b.subtract(x, truncate(b, x))),
  'aten::frexp.Tensor': (b, self: Value) => {
    // The mantissa is in [0.5, 1): the exponent from log2, then corrected where rounding put it beside a power of two.
    const safe = b.select(
      b.or(is(b, self, 'EQ', 0), b.not(b.isFinite(self))),
      like(b, self, 0.5),
      b.abs(self),
    );
    const guess = plus(b, b.floor(over(b, b.log(safe), Math.LN2)), 1);
    const scaled = b.divide(safe, b.power(like(b, guess, 2), guess));
    const up = is(b, scaled, 'GE', 1);
    const down = is(b, scaled, 'LT', 0.5);
    const exponent = b.select(up, plus(b, guess, 1), b.select(down, plus(b, guess, -1), guess));
    const magnitude = b.divide(safe, b.power(like(b, exponent, 2), exponent));
    const special = b.or(is(b, self, 'EQ', 0), b.not(b.isFinite(self)));
    return [b.select(special, self, copySign(b, magnitude, self)), b.convert(exponent, 'int32')];
  },
  'aten::bitwise_not': (b, self: Value) => b.not(self),
  'aten::isnan': (b, self: Value) => (isIntegral(dtypeOf(self)) ? always(b, self, false) : isNaN(b, self)),
  'aten::isinf': isInfinite,
  'aten::isfinite': isFinite,
  'aten::isposinf': (b, self: Value) =>
    isIntegral(dtypeOf(self)) ? always(b, self, false) : is(b, self, 'EQ', Infinity),
  'aten::isneginf': (b, self: Value) =>
    isIntegral(dtypeOf(self)) ? always(b, self, false) : is(b, self, 'EQ', -Infinity),
  'aten::nan_to_num': nanToNum,
  'aten::logit': logit,
  'aten::special_logit': logit,
  'aten::angle': angle,
  'aten::conj': conj,
  'aten::_conj': conj,
  'aten::conj_physical': conj,
  'aten::_conj_physical': conj,
  'aten::resolve_conj': (b, self: Value) => self,
  'aten::resolve_neg': (b, self: Value) => self,
  'aten::_conj_copy': conj,
  'aten::_neg_view_copy': (b, self: Value) => b.negate(self),
  'aten::_neg_view': (b, self: Value) => b.negate(self),
  'aten::complex': (b, real: Value, imag: Value) => {
    const part = dtypeOf(real);
    check(
      part === dtypeOf(imag),
      () =>
        `Expected object of scalar type ${printName(part)} but got scalar type ${printName(dtypeOf(imag))} for second argument`,
    );
    return pointwise(b, [real, imag], {}, (x, y) => b.complex(x, y));
  },
  'aten::polar': (b, magnitude: Value, phase: Value) =>
    pointwise(b, [magnitude, phase], {}, (r, a) =>
      b.complex(b.multiply(r, b.cosine(a)), b.multiply(r, b.sine(a))),
    ),
  'aten::mvlgamma': (b, self: Value, p: number) => multivariateLogGamma(b, self, p),
  'aten::special_multigammaln': (b, self: Value, p: number) => multivariateLogGamma(b, self, p),
});

function multivariateLogGamma(b: CoreBuilder, self: Value, p: number): Value {
  return unaryFloat(b, self, (x) => {
    let total = like(b, x, ((p * (p - 1)) / 4) * Math.log(Math.PI));
    for (let j = 0; j < p; j++) total = b.add(total, b.lgamma(plus(b, x, -j / 2)));
    return total;
  });
}
