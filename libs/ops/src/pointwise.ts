// Arithmetic of two or three operands: add, sub, mul, div, remainder, pow, maximum, atan2, lerp, addcmul, bitwise
// operators and shifts, with all their Tensor and Scalar overloads.
import type { CoreBuilder, TensorLike, Value } from '@weft/ir';
import { Complex, dtypes, isComplex, isFloatingPoint, isInteger, isTensorLike } from '@weft/ir';
import { indexRanges, laidOutLowerings } from './operator.ts';
import type { DataArgument, IndexRange, Scalar } from './operator.ts';
import type { Operand } from './promotion.ts';
import { isIntegral, isValue, printName, resultType } from './promotion.ts';
import { check, fail } from './broadcast.ts';
import { conjugate } from './matrices.ts';
import { noDerivative, noFormula, underivable, withDerivative, zeroGradient } from './gradient-flow.ts';
import type { PointwiseOptions } from './elementwise.ts';
import {
  align,
  dtypeOf,
  is,
  isNaN,
  like,
  over,
  plus,
  pointwise,
  realOf,
  scalarOf,
  times,
  truncate,
} from './elementwise.ts';
import { allBut, iterator, iteratorOf, pointwiseResults, rowMajor } from './result-layout.ts';

type Binary = (b: CoreBuilder, x: Value, y: Value) => Value;

/** add; bool adds as `or`. */
export const sumOf: Binary = (b, x, y) => (dtypeOf(x) === 'bool' ? b.or(x, y) : b.add(x, y));
/** multiply; bool multiplies as `and`. */
export const productOf: Binary = (b, x, y) => (dtypeOf(x) === 'bool' ? b.and(x, y) : b.multiply(x, y));

const isOne = (scalar: Scalar): boolean => !(scalar instanceof Complex) && Number(scalar) === 1;

function checkAlpha(operands: readonly Operand[], alpha: Scalar): void {
  const dtype = resultType(operands);
  check(
    typeof alpha !== 'boolean' || dtype === 'bool',
    () => 'Boolean alpha only supported for Boolean results.',
  );
  check(
    !isIntegral(dtype) || typeof alpha === 'bigint' || typeof alpha === 'boolean',
    () => 'For integral input tensors, argument alpha must not be a floating point number.',
  );
  check(
    !(alpha instanceof Complex) || isComplex(dtype),
    () => 'For non-complex input tensors, argument alpha must not be a complex number.',
  );
}

/** `self + alpha * other`. */
export function add(b: CoreBuilder, self: Operand, other: Operand, alpha: Scalar = 1n): Value {
  checkAlpha([self, other], alpha);
  return pointwise(b, [self, other], { steps: !isOne(alpha) }, (x, y) =>
    sumOf(b, x, isOne(alpha) ? y : productOf(b, y, like(b, y, alpha))),
  );
}

/** `self - alpha * other`. */
export function sub(b: CoreBuilder, self: Operand, other: Operand, alpha: Scalar = 1n): Value {
  const bools = [self, other].filter((operand) =>
    isValue(operand) ? dtypeOf(operand) === 'bool' : typeof operand === 'boolean',
  );
  check(
    bools.length < 2,
    () =>
      'Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator instead.',
  );
  check(
    bools.length === 0,
    () =>
      'Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use the `~` or `logical_not()` operator instead.',
  );
  checkAlpha([self, other], alpha);
  return pointwise(b, [self, other], { steps: !isOne(alpha) }, (x, y) =>
    b.subtract(x, isOne(alpha) ? y : b.multiply(y, like(b, y, alpha))),
  );
}

export const mul = (b: CoreBuilder, self: Operand, other: Operand): Value =>
  pointwise(b, [self, other], {}, (x, y) => productOf(b, x, y));

/** Rounds the quotient towards minus infinity, with CPython's care for rounding. */
function floorQuotient(b: CoreBuilder, x: Value, y: Value): Value {
  const rest = b.remainder(x, y);
  const differs = b.and(is(b, rest, 'NE', 0), b.compare(is(b, rest, 'LT', 0), is(b, y, 'LT', 0), 'NE'));
  if (isIntegral(dtypeOf(x))) {
    const quotient = b.divide(x, y);
    return dtypes[dtypeOf(x)].category === 'uint'
      ? quotient
      : b.select(differs, plus(b, quotient, -1), quotient);
  }
  const exact = b.divide(b.subtract(x, rest), y);
  const quotient = b.select(differs, plus(b, exact, -1), exact);
  const floor = b.floor(quotient);
  const near = b.select(is(b, b.subtract(quotient, floor), 'GT', 0.5), plus(b, floor, 1), floor);
  const ratio = b.divide(x, y);
  const zero = b.multiply(b.sign(ratio), like(b, ratio, 0));
  return b.select(is(b, y, 'EQ', 0), ratio, b.select(is(b, quotient, 'EQ', 0), zero, near));
}

/** Integers have no quotient by zero; a divisor that is a tensor is looked at by the data checks below. */
function checkDivisor(self: Operand, other: Operand): void {
  if (!isValue(other) && !(other instanceof Complex) && Number(other) === 0)
    check(!isIntegral(resultType([self, other])), () => 'ZeroDivisionError');
}

/** Its derivative is zero, also by zero. */
const flooredQuotient = withDerivative(
  'floor_divide',
  (b, [x, y]) => floorQuotient(b, x, y),
  (b, { operands }) => operands.map((operand) => like(b, operand, 0)),
);

export function div(b: CoreBuilder, self: Operand, other: Operand, rounding: string | null = null): Value {
  if (rounding !== null) checkDivisor(self, other);
  switch (rounding) {
    case null:
      return pointwise(b, [self, other], { float: true }, (x, y) => b.divide(x, y));
    case 'trunc':
      return pointwise(b, [self, other], { steps: true }, (x, y) =>
        isIntegral(dtypeOf(x)) ? b.divide(x, y) : truncate(b, b.divide(x, y)),
      );
    case 'floor':
      return pointwise(b, [self, other], { steps: true }, (x, y) =>
        isIntegral(dtypeOf(x)) ? floorQuotient(b, x, y) : flooredQuotient(b, [x, y], {}),
      );
    default:
      return fail(
        `div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '${rounding}'`,
      );
  }
}

/** Python's `%`: the sign of the divisor. */
function remainder(b: CoreBuilder, self: Operand, other: Operand): Value {
  checkDivisor(self, other);
  return pointwise(b, [self, other], { steps: true }, (x, y) => {
    const rest = b.remainder(x, y);
    if (dtypes[dtypeOf(x)].category === 'uint') return rest;
    const differs = b.and(is(b, rest, 'NE', 0), b.compare(is(b, rest, 'LT', 0), is(b, y, 'LT', 0), 'NE'));
    return b.select(differs, b.add(rest, y), rest);
  });
}

export function pow(b: CoreBuilder, self: Operand, exponent: Operand): Value {
  const dtype = resultType([self, exponent]);
  if (!isValue(exponent) && !(exponent instanceof Complex)) {
    const n = Number(exponent);
    check(!(isIntegral(dtype) && n < 0), () => 'Integers to negative integer powers are not allowed.');
    return pointwise(b, [self, exponent], { steps: true }, (x, y) => {
      if (n === 0) return isIntegral(dtypeOf(x)) ? like(b, x, 1) : zeroGradient(b, like(b, x, 1), x);
      if (n === 1) return x;
      if (n === 2) return productOf(b, x, x);
      if (n === 3) return productOf(b, x, productOf(b, x, x));
      if (n === 0.5) return b.sqrt(x);
      if (n === -0.5) return b.rsqrt(x);
      if (n === -1) return b.divide(like(b, x, 1), x);
      return b.power(x, y);
    });
  }
  return pointwise(b, [self, exponent], {}, (x, y) => b.power(x, y));
}

/** The exponentials of two values added, then their logarithm in the same base, without overflow. */
const logAdded = withDerivative(
  'logaddexp',
  (b, [x, y], { base2 }: { readonly base2: boolean }) => logOfSum(b, x, y, base2),
  (b, { g, operands: [x, y], attributes: { base2 } }) => {
    const share = (own: Value, other: Value): Value => {
      const difference = b.subtract(other, own);
      const power = b.exponential(base2 ? times(b, difference, Math.LN2) : difference);
      return b.divide(g, plus(b, power, 1));
    };
    return [share(x, y), share(y, x)];
  },
);
const logAddExp = (b: CoreBuilder, x: Value, y: Value, base2: boolean): Value =>
  logAdded(b, [x, y], { base2 });

function logOfSum(b: CoreBuilder, x: Value, y: Value, base2: boolean): Value {
  const larger = b.maximum(x, y);
  const difference = b.negate(b.abs(b.subtract(x, y)));
  const scaled = base2 ? times(b, difference, Math.LN2) : difference;
  const log = b.logPlusOne(b.exponential(scaled));
  const result = b.add(larger, base2 ? over(b, log, Math.LN2) : log);
  // Equal infinities: their difference is NaN.
  const same = b.and(b.compare(x, y, 'EQ'), b.not(b.isFinite(x)));
  return b.select(same, x, result);
}

/** The magnitude of x with the sign of y, negative zero included. */
const copiedSign = withDerivative(
  'copysign',
  (b, [x, y]) => {
    const magnitude = b.abs(x);
    return b.select(signBit(b, y), b.negate(magnitude), magnitude);
  },
  (b, { g, operands: [x, y], result }) => {
    const zero = is(b, x, 'EQ', 0);
    const ratio = b.divide(result, b.select(zero, like(b, x, 1), x));
    return [b.multiply(g, b.select(zero, like(b, x, 0), ratio)), like(b, y, 0)];
  },
);
export const copySign: Binary = (b, x, y) => copiedSign(b, [x, y], {});

/** Whether the sign bit is set: true for negative zero too. */
export function signBit(b: CoreBuilder, x: Value): Value {
  const dtype = dtypeOf(x);
  if (dtype === 'bool' || dtypes[dtype].category === 'uint') return like(b, b.convert(x, 'bool'), false);
  if (!isFloatingPoint(dtype)) return is(b, x, 'LT', 0);
  const integers = { float16: 'int16', bfloat16: 'int16', float32: 'int32', float64: 'int64' } as const;
  return is(b, b.bitcastConvert(x, integers[dtype as keyof typeof integers]), 'LT', 0);
}

/** The next representable number from x towards y. */
function nextAfter(b: CoreBuilder, x: Value, y: Value): Value {
  const integer = dtypeOf(x) === 'float64' ? 'int64' : dtypeOf(x) === 'float32' ? 'int32' : 'int16';
  const bits = b.bitcastConvert(x, integer);
  const away = b.compare(is(b, x, 'GT', 0), b.compare(y, x, 'GT'), 'EQ');
  const stepped = b.bitcastConvert(
    b.add(bits, b.select(away, like(b, bits, 1n), like(b, bits, -1n))),
    dtypeOf(x),
  );
  const tiny = b.bitcastConvert(like(b, bits, 1n), dtypeOf(x));
  const fromZero = b.select(is(b, y, 'GT', 0), tiny, b.negate(tiny));
  const moved = b.select(is(b, x, 'EQ', 0), fromZero, stepped);
  const result = b.select(b.compare(x, y, 'EQ'), y, moved);
  return b.select(b.or(isNaN(b, x), isNaN(b, y)), b.add(x, y), result);
}

/** Euclid's algorithm on all elements at once. */
function gcd(b: CoreBuilder, x: Value, y: Value): Value {
  // Of floats the remainders may never come to an end.
  check(isInteger(dtypeOf(x)), () => `"gcd_cpu" not implemented for '${printName(dtypeOf(x))}'`);
  const all = (value: Value): number[] => Array.from({ length: rank(value) }, (_, index) => index);
  const [result] = b.while(
    [b.abs(x), b.abs(y)],
    (b, _p, q) => [b.reduceOr(is(b, q, 'NE', 0), all(q))],
    (b, p, q) => {
      const done = is(b, q, 'EQ', 0);
      const rest = b.remainder(p, b.select(done, like(b, q, 1), q));
      return [b.select(done, p, q), b.select(done, q, rest)];
    },
  );
  return result;
}
const rank = (value: Value): number => (value.type.kind === 'Tensor' ? (value.type.sizes?.length ?? 0) : 0);

/**
 * x log(y + shift), zero where x is zero unless y is NaN. So is its derivative by x where the logarithm is none; the one by y is
 * NaN where both are zero.
 */
const logProduct =
  (shift: 0 | 1): Binary =>
  (b, x, y) => {
    const zero = is(b, x, 'EQ', 0);
    const safe = b.select(zero, like(b, y, 1), y);
    const log = shift === 0 ? b.log(safe) : b.logPlusOne(safe);
    return b.select(isNaN(b, y), y, b.select(zero, like(b, x, 0), b.multiply(x, log)));
  };
const xLogY = (name: string, shift: 0 | 1) =>
  withDerivative(
    name,
    (b, [x, y]) => logProduct(shift)(b, x, y),
    (b, { g, operands: [x, y] }) => {
      const none = b.and(is(b, x, 'EQ', 0), is(b, y, 'LE', -shift));
      const by = shift === 0 ? y : plus(b, y, shift);
      return [b.select(none, like(b, g, 0), logProduct(shift)(b, g, y)), b.divide(b.multiply(g, x), by)];
    },
  );
const xLogYOf = xLogY('xlogy', 0);
const xLog1pYOf = xLogY('xlog1py', 1);
/** Also for losses. */
export const xlogyOf: Binary = (b, x, y) => xLogYOf(b, [x, y], {});

const shift =
  (left: boolean): Binary =>
  (b, x, y) => {
    if (left) return b.shiftLeft(x, y);
    return dtypes[dtypeOf(x)].category === 'uint' ? b.shiftRightLogical(x, y) : b.shiftRightArithmetic(x, y);
  };

const bitwise =
  (body: Binary) =>
  (b: CoreBuilder, self: Operand, other: Operand): Value =>
    pointwise(b, [self, other], {}, (x, y) => body(b, x, y));

const bitAnd = bitwise((b, x, y) => b.and(x, y));
const bitOr = bitwise((b, x, y) => b.or(x, y));
const bitXor = bitwise((b, x, y) => b.xor(x, y));

const two =
  (options: PointwiseOptions, body: Binary) =>
  (b: CoreBuilder, self: Operand, other: Operand): Value =>
    pointwise(b, [self, other], options, (x, y) => body(b, x, y));

const maximum = two({}, (b, x, y) => b.maximum(x, y));
const minimum = two({}, (b, x, y) => b.minimum(x, y));
const floatDivide = { float: true } as const;
const floatSteps = { float: true, steps: true } as const;
const arcTan2 = two(floatDivide, (b, x, y) => b.atan2(x, y));
const restOf = two({}, (b, x, y) => b.remainder(x, y));
function fmod(b: CoreBuilder, self: Operand, other: Operand): Value {
  checkDivisor(self, other);
  return restOf(b, self, other);
}
const xlogy = two(floatSteps, xlogyOf);
const xlog1py = two(floatSteps, (b, x, y) => xLog1pYOf(b, [x, y], {}));
const lcm = two({}, (b, x, y) => {
  const divisor = gcd(b, x, y);
  const zero = is(b, divisor, 'EQ', 0);
  return b.abs(
    b.select(zero, divisor, b.multiply(b.divide(x, b.select(zero, like(b, divisor, 1), divisor)), y)),
  );
});
const leftShift = two({}, shift(true));
const rightShift = two({}, shift(false));
const copysign = two(floatDivide, copySign);
const floorDivide = (b: CoreBuilder, self: Operand, other: Operand): Value => div(b, self, other, 'floor');

/** `self + value * body(first, second)`, as addcmul and addcdiv. */
const addScaled =
  (body: Binary) =>
  (b: CoreBuilder, self: Value, first: Value, second: Value, value: Scalar): Value =>
    pointwise(b, [self, first, second], { steps: true }, (x, p, q) => {
      const term = body(b, p, q);
      return b.add(x, isOne(value) ? term : b.multiply(term, like(b, term, value)));
    });

const addcdiv = addScaled((b, x, y) => b.divide(x, y));

/** PyTorch's lerp: from whichever end is nearer, so that a weight of 1 gives `end` exactly. */
const interpolated = withDerivative(
  'lerp',
  (b, [x, y, w]) => {
    const difference = b.subtract(y, x);
    const near = b.add(x, b.multiply(w, difference));
    const far = b.subtract(y, b.multiply(difference, b.subtract(like(b, w, 1), w)));
    return b.select(is(b, b.abs(w), 'LT', 0.5), near, far);
  },
  (b, { g, operands: [x, y, w] }) => [
    b.multiply(g, conjugate(b, b.subtract(like(b, w, 1), w))),
    b.multiply(g, conjugate(b, w)),
    b.multiply(g, conjugate(b, b.subtract(y, x))),
  ],
);

function lerp(b: CoreBuilder, self: Value, end: Value, weight: Operand): Value {
  const dtype = resultType([self, end]);
  return pointwise(
    b,
    [self, end, isValue(weight) ? b.convert(weight, dtype) : weight],
    { steps: true },
    (x, y, w) => interpolated(b, [x, y, w], {}),
  );
}

const quotient = (b: CoreBuilder, self: Operand, other: Operand): Value => div(b, self, other);

const overloads = (
  name: string,
  run: (b: CoreBuilder, self: Operand, other: Operand, alpha?: Scalar) => Value,
) => ({ [`aten::${name}.Tensor`]: run, [`aten::${name}.Scalar`]: run });

const isIntegerOperand = (operand: DataArgument): boolean =>
  isTensorLike(operand) ? isIntegral(operand.dtype) : typeof operand === 'bigint';
const divisor = (self: DataArgument, other: TensorLike): readonly IndexRange[] =>
  isIntegerOperand(self) && isIntegerOperand(other)
    ? [{ index: other, excluded: 0, message: () => 'ZeroDivisionError' }]
    : [];
indexRanges({
  'aten::div.Tensor_mode': (self: DataArgument, other: TensorLike, rounding: string | null) =>
    rounding === null ? [] : divisor(self, other),
  'aten::divide.Tensor_mode': (self: DataArgument, other: TensorLike, rounding: string | null) =>
    rounding === null ? [] : divisor(self, other),
  'aten::floor_divide': divisor,
  'aten::remainder.Tensor': divisor,
  'aten::remainder.Scalar_Tensor': divisor,
  'aten::fmod.Tensor': divisor,
});

const elementLayout = allBut(pointwiseResults, {
  'aten::pow.Tensor_Scalar': iterator,
  'aten::pow.Scalar': rowMajor,
  'aten::float_power.Scalar': rowMajor,
  'aten::float_power.Tensor_Tensor': { kind: 'iterator', settled: 'all' },
  'aten::lerp.Scalar': iterator,
  'aten::rsub.Tensor': iteratorOf(1, 0),
});

laidOutLowerings(elementLayout, {
  ...overloads('add', add),
  ...overloads('sub', sub),
  ...overloads('subtract', sub),
  ...overloads('mul', mul),
  ...overloads('multiply', mul),
  ...overloads('div', quotient),
  ...overloads('divide', quotient),
  ...overloads('true_divide', quotient),
  ...overloads('remainder', remainder),
  ...overloads('fmod', fmod),
  ...overloads('bitwise_and', bitAnd),
  ...overloads('bitwise_or', bitOr),
  ...overloads('bitwise_xor', bitXor),
  ...overloads('__and__', bitAnd),
  ...overloads('__or__', bitOr),
  ...overloads('__xor__', bitXor),
  ...overloads('__iand__', bitAnd),
  ...overloads('__ior__', bitOr),
  ...overloads('__ixor__', bitXor),
  ...overloads('__ilshift__', leftShift),
  ...overloads('__irshift__', rightShift),
  ...overloads('__lshift__', leftShift),
  ...overloads('__rshift__', rightShift),
  'aten::bitwise_left_shift.Tensor': leftShift,
  'aten::bitwise_left_shift.Tensor_Scalar': leftShift,
  'aten::bitwise_left_shift.Scalar_Tensor': leftShift,
  'aten::bitwise_right_shift.Tensor': rightShift,
  'aten::bitwise_right_shift.Tensor_Scalar': rightShift,
  'aten::bitwise_right_shift.Scalar_Tensor': rightShift,
  'aten::bitwise_and.Scalar_Tensor': bitAnd,
  'aten::bitwise_or.Scalar_Tensor': bitOr,
  'aten::bitwise_xor.Scalar_Tensor': bitXor,
  'aten::remainder.Scalar_Tensor': remainder,
  'aten::div.Tensor_mode': div,
  'aten::div.Scalar_mode': div,
  'aten::divide.Tensor_mode': div,
  'aten::divide.Scalar_mode': div,
  'aten::floor_divide': floorDivide,
  'aten::floor_divide.Scalar': floorDivide,
  'aten::rsub.Tensor': (b, self: Value, other: Value, alpha: Scalar) => sub(b, other, self, alpha),
  'aten::rsub.Scalar': (b, self: Value, other: Scalar, alpha: Scalar) => sub(b, other, self, alpha),
  // PyTorch's test of operators that changed their meaning (it was `other - alpha * self` once).
  'aten::_test_serialization_subcmul': sub,
  'aten::_add_relu.Tensor': (b, self: Value, other: Value, alpha: Scalar) =>
    positive(b, add(b, self, other, alpha)),
  'aten::_add_relu.Scalar': (b, self: Value, other: Scalar, alpha: Scalar) =>
    positive(b, add(b, self, other, alpha)),
  'aten::pow.Tensor_Tensor': pow,
  'aten::pow.Tensor_Scalar': pow,
  'aten::pow.Scalar': pow,
  'aten::float_power.Tensor_Tensor': floatPower,
  'aten::float_power.Tensor_Scalar': floatPower,
  'aten::float_power.Scalar': floatPower,
  'aten::square': (b, self: Value) => pow(b, self, 2n),
  'aten::maximum': maximum,
  'aten::minimum': minimum,
  'aten::max.other': maximum,
  'aten::min.other': minimum,
  'aten::fmax': two({}, (b, x, y) => b.select(b.or(b.compare(x, y, 'GE'), isNaN(b, y)), x, y)),
  'aten::fmin': two({}, (b, x, y) => b.select(b.or(b.compare(x, y, 'LE'), isNaN(b, y)), x, y)),
  'aten::atan2': arcTan2,
  'aten::arctan2': arcTan2,
  'aten::hypot': two({ steps: true }, (b, x, y) => {
    const large = b.maximum(b.abs(x), b.abs(y));
    const scale = b.select(b.or(is(b, large, 'EQ', 0), b.not(b.isFinite(large))), like(b, large, 1), large);
    const p = b.divide(x, scale);
    const q = b.divide(y, scale);
    return b.multiply(scale, b.sqrt(b.add(b.multiply(p, p), b.multiply(q, q))));
  }),
  'aten::logaddexp': two(floatSteps, (b, x, y) => logAddExp(b, x, y, false)),
  'aten::logaddexp2': two(floatSteps, (b, x, y) => logAddExp(b, x, y, true)),
  'aten::nextafter': two({}, (b, x, y) => underivable(b, noFormula('nextafter'), nextAfter(b, x, y), x, y)),
  'aten::copysign.Tensor': copysign,
  'aten::copysign.Scalar': copysign,
  'aten::heaviside': two({}, (b, x, y) =>
    underivable(
      b,
      noDerivative('aten::heaviside'),
      b.select(is(b, x, 'EQ', 0), y, b.convert(is(b, x, 'GT', 0), dtypeOf(x))),
      x,
      y,
    ),
  ),
  'aten::gcd': two({}, gcd),
  'aten::lcm': lcm,
  'aten::xlogy.Tensor': xlogy,
  'aten::xlogy.Scalar_Self': xlogy,
  'aten::xlogy.Scalar_Other': xlogy,
  'aten::special_xlogy': xlogy,
  'aten::special_xlogy.self_scalar': xlogy,
  'aten::special_xlogy.other_scalar': xlogy,
  'aten::special_xlog1py': xlog1py,
  'aten::special_xlog1py.self_scalar': xlog1py,
  'aten::special_xlog1py.other_scalar': xlog1py,
  'aten::ldexp.Tensor': (b, self: Value, other: Value) => mul(b, self, pow(b, 2, other)),
  'aten::addcmul': addScaled(productOf),
  'aten::addcdiv': (b, self: Value, first: Value, second: Value, value: Scalar) => {
    check(
      !(isIntegral(dtypeOf(first)) && isIntegral(dtypeOf(second))),
      () =>
        'Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a true division of tensor1 and tensor2. The historic addcdiv behavior can be implemented as (input + value * torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as (input + value * tensor1 / tensor2) for float inputs. The future addcdiv behavior is just the latter implementation: (input + value * tensor1 / tensor2), for all dtypes.',
    );
    return addcdiv(b, self, first, second, value);
  },
  'aten::lerp.Tensor': lerp,
  'aten::lerp.Scalar': lerp,
  'aten::dist': (b, self: Value, other: Value, p: Scalar) => {
    const difference = b.abs(sub(b, self, other));
    const all = Array.from({ length: rank(difference) }, (_, index) => index);
    const n = realOf(p);
    if (n === 0) return b.reduceSum(b.convert(is(b, difference, 'NE', 0), dtypeOf(difference)), all);
    if (n === Infinity) return b.reduceMax(difference, all);
    if (n === -Infinity) return b.reduceMin(difference, all);
    return pow(b, b.reduceSum(pow(b, difference, p), all), 1 / n);
  },
});

function floatPower(b: CoreBuilder, self: Operand, exponent: Operand): Value {
  const dtype = isComplex(resultType([self, exponent])) ? 'complex128' : 'float64';
  const wide = (operand: Operand): Value =>
    isValue(operand) ? b.convert(operand, dtype) : scalarOf(b, operand, dtype);
  const [x, y] = align(b, [wide(self), wide(exponent)], dtype);
  return pow(b, x, y);
}

const positive = (b: CoreBuilder, x: Value): Value => b.select(is(b, x, 'LE', 0), like(b, x, 0), x);
