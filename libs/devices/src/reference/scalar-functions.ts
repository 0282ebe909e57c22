// What elementwise operators compute, one element at a time, once for floating-point numbers, integers of up to 32
// bits, and 64-bit integers. Kernels (elementwise.ts) inline these into their loops. Results are exact or double;
// rounding or wrapping to the dtype is done by `narrowing`, which is why an entry may say that it needs none.
import type { DType } from '@weft/ir';
import { dtypes, isFloatingPoint } from '@weft/ir';
import { encodeBFloat16, encodeFloat16, roundBFloat16, roundFloat16 } from './half.ts';
import { digamma, erf, erfInverse, erfc, lgamma } from './special-functions.ts';
import { isBig } from './typed-array.ts';

// Taken once: looking up a global inside a hot loop costs more than the loop where globals are intercepted (vm contexts).
const {
  abs,
  acos,
  acosh,
  asin,
  asinh,
  atan,
  atan2,
  atanh,
  cbrt,
  ceil,
  clz32,
  cos,
  cosh,
  exp,
  expm1,
  floor,
  fround,
  imul,
  log,
  log1p,
  max,
  min,
  sign,
  sin,
  sinh,
  sqrt,
  tan,
  tanh,
  trunc,
} = Math;
const { asIntN, asUintN } = BigInt;

/** How the elements of a dtype are held in a computation. Complex numbers have functions of their own (complex.ts). */
export type ElementClass = 'float' | 'int' | 'big';
export const elementClass = (dtype: DType): ElementClass =>
  isBig(dtype) ? 'big' : isFloatingPoint(dtype) ? 'float' : 'int';

type FloatFunction = (...args: number[]) => number;
/** The width in bits comes as an extra last argument. */
type IntFunction = (...args: number[]) => number;
type BigFunction = (...args: bigint[]) => bigint;

const roundEven = (x: number): number => {
  const whole = floor(x);
  const rest = x - whole;
  if (rest < 0.5) return whole === 0 && (x < 0 || Object.is(x, -0)) ? -0 : whole;
  const up = rest > 0.5 || whole % 2 !== 0 ? whole + 1 : whole;
  return up === 0 && x < 0 ? -0 : up;
};
const roundAwayFromZero = (x: number): number => {
  const magnitude = abs(x);
  const whole = floor(magnitude);
  const rounded = magnitude - whole >= 0.5 ? whole + 1 : whole;
  return x < 0 || Object.is(x, -0) ? -rounded : rounded;
};
/** IEEE pow, where JavaScript differs: 1 to any power and -1 to an infinite one are 1. */
const floatPower = (x: number, y: number): number =>
  x === 1 || (x === -1 && (y === Infinity || y === -Infinity)) ? 1 : x ** y;

export const floatFunctions: Readonly<Record<string, FloatFunction>> = {
  real: (x) => x,
  imag: () => 0,
  abs: (x) => abs(x),
  negate: (x) => -x,
  sign: (x) => sign(x),
  exponential: (x) => exp(x),
  exponential_minus_one: (x) => expm1(x),
  log: (x) => log(x),
  log_plus_one: (x) => log1p(x),
  logistic: (x) => 1 / (1 + exp(-x)),
  sqrt: (x) => sqrt(x),
  rsqrt: (x) => 1 / sqrt(x),
  cbrt: (x) => cbrt(x),
  sine: (x) => sin(x),
  cosine: (x) => cos(x),
  tan: (x) => tan(x),
  tanh: (x) => tanh(x),
  ceil: (x) => ceil(x),
  floor: (x) => floor(x),
  round_nearest_even: roundEven,
  round_nearest_afz: roundAwayFromZero,
  erf,
  erfc,
  erf_inv: erfInverse,
  lgamma,
  digamma,
  acos: (x) => acos(x),
  acosh: (x) => acosh(x),
  asin: (x) => asin(x),
  asinh: (x) => asinh(x),
  atan: (x) => atan(x),
  atanh: (x) => atanh(x),
  sinh: (x) => sinh(x),
  cosh: (x) => cosh(x),
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  remainder: (a, b) => a % b,
  power: floatPower,
  maximum: (a, b) => max(a, b),
  minimum: (a, b) => min(a, b),
  atan2: (a, b) => atan2(a, b),
  select: (p, a, b) => (p !== 0 ? a : b),
  clamp: (low, x, high) => min(max(x, low), high),
};

/** Float functions whose result is already a number of the operands' dtype. */
const exactFloat = new Set([
  'abs',
  'negate',
  'sign',
  'ceil',
  'floor',
  'round_nearest_even',
  'round_nearest_afz',
  'remainder',
  'maximum',
  'minimum',
  'select',
  'clamp',
]);

const intPower = (x: number, y: number): number => {
  if (y < 0) return x === 1 ? 1 : x === -1 ? (y % 2 === 0 ? 1 : -1) : 0;
  let result = 1;
  for (let base = x, rest = y; rest > 0; rest = floor(rest / 2), base = imul(base, base)) {
    if (rest % 2 === 1) result = imul(result, base);
  }
  return result;
};
const population = (x: number): number => {
  let count = 0;
  for (let rest = x >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++;
  return count;
};
/** The low `bits` of x, as an unsigned number. */
const unsigned = (x: number, bits: number): number => (bits === 32 ? x >>> 0 : x & ((1 << bits) - 1));

export const intFunctions: Readonly<Record<string, IntFunction>> = {
  abs: (x) => (x < 0 ? -x : x),
  negate: (x) => 0 - x,
  sign: (x) => (x > 0 ? 1 : x < 0 ? -1 : 0),
  not: (x) => ~x,
  popcnt: (x, bits) => population(unsigned(x, bits)),
  count_leading_zeros: (x, bits) => clz32(unsigned(x, bits)) - (32 - bits),
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => imul(a, b),
  // As XLA: -1 (all bits set) for a division by zero, and the dividend for its remainder.
  divide: (a, b) => (b === 0 ? -1 : trunc(a / b)),
  remainder: (a, b) => (b === 0 ? a : a % b),
  power: intPower,
  maximum: (a, b) => (a > b ? a : b),
  minimum: (a, b) => (a < b ? a : b),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shift_left: (a, b, bits) => (b < 0 || b >= bits ? 0 : a << b),
  shift_right_arithmetic: (a, b, bits) => {
    // The sign is that of the bits, also for unsigned dtypes.
    const signed = (a << (32 - bits)) >> (32 - bits);
    return signed >> (b < 0 || b >= bits ? 31 : b);
  },
  shift_right_logical: (a, b, bits) => (b < 0 || b >= bits ? 0 : unsigned(a, bits) >>> b),
  select: (p, a, b) => (p !== 0 ? a : b),
  clamp: (low, x, high) => min(max(x, low), high),
};

/** On bool, arithmetic is logic. */
export const boolFunctions: Readonly<Record<string, IntFunction>> = {
  not: (x) => x ^ 1,
  add: (a, b) => a | b,
  multiply: (a, b) => a & b,
  subtract: (a, b) => a ^ b,
  maximum: (a, b) => a | b,
  minimum: (a, b) => a & b,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  select: (p, a, b) => (p !== 0 ? a : b),
  clamp: (low, x, high) => (x | low) & high,
};

const bigPower = (x: bigint, y: bigint): bigint => {
  if (y < 0n) return x === 1n ? 1n : x === -1n ? (y % 2n === 0n ? 1n : -1n) : 0n;
  let result = 1n;
  for (let base = x, rest = y; rest > 0n; rest >>= 1n, base = asUintN(64, base * base)) {
    if (rest & 1n) result = asUintN(64, result * base);
  }
  return result;
};
const bigPopulation = (x: bigint): bigint => {
  const low = Number(asUintN(32, x));
  const high = Number(asUintN(32, x >> 32n));
  return BigInt(population(low) + population(high));
};
const bigLeadingZeros = (x: bigint): bigint => {
  const high = Number(asUintN(32, x >> 32n));
  return BigInt(high !== 0 ? clz32(high) : 32 + clz32(Number(asUintN(32, x))));
};
const outOfShift = (b: bigint): boolean => b < 0n || b >= 64n;

export const bigFunctions: Readonly<Record<string, BigFunction>> = {
  abs: (x) => (x < 0n ? -x : x),
  negate: (x) => -x,
  sign: (x) => (x > 0n ? 1n : x < 0n ? -1n : 0n),
  not: (x) => ~x,
  popcnt: bigPopulation,
  count_leading_zeros: bigLeadingZeros,
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => (b === 0n ? -1n : a / b),
  remainder: (a, b) => (b === 0n ? a : a % b),
  power: bigPower,
  maximum: (a, b) => (a > b ? a : b),
  minimum: (a, b) => (a < b ? a : b),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shift_left: (a, b) => (outOfShift(b) ? 0n : a << b),
  shift_right_arithmetic: (a, b) => asIntN(64, a) >> (outOfShift(b) ? 63n : b),
  shift_right_logical: (a, b) => (outOfShift(b) ? 0n : asUintN(64, a) >> b),
  clamp: (low, x, high) => {
    const raised = x > low ? x : low;
    return raised < high ? raised : high;
  },
};
const bigSelect = (p: number, a: bigint, b: bigint): bigint => (p !== 0 ? a : b);

const numberComparisons: Readonly<Record<string, FloatFunction>> = {
  EQ: (a, b) => (a === b ? 1 : 0),
  NE: (a, b) => (a !== b ? 1 : 0),
  LT: (a, b) => (a < b ? 1 : 0),
  LE: (a, b) => (a <= b ? 1 : 0),
  GT: (a, b) => (a > b ? 1 : 0),
  GE: (a, b) => (a >= b ? 1 : 0),
};
const bigComparisons: Readonly<Record<string, (a: bigint, b: bigint) => number>> = {
  EQ: (a, b) => (a === b ? 1 : 0),
  NE: (a, b) => (a !== b ? 1 : 0),
  LT: (a, b) => (a < b ? 1 : 0),
  LE: (a, b) => (a <= b ? 1 : 0),
  GT: (a, b) => (a > b ? 1 : 0),
  GE: (a, b) => (a >= b ? 1 : 0),
};

const isFiniteNumber = (x: number): number => (Number.isFinite(x) ? 1 : 0);
const alwaysTrue = (): number => 1;

// ---- conversions ------------------------------------------------------------------------------------------------

const numberToBool = (x: number): number => (x !== 0 ? 1 : 0);
const bigToBool = (x: bigint): number => (x !== 0n ? 1 : 0);
/** As x86 converts: the least int32 for all that is out of range. */
const floatToInt = (x: number): number => (x > -2147483649 && x < 2147483648 ? trunc(x) | 0 : -2147483648);
/** uint32 takes the low bits of the 64-bit integer. */
const floatToUint32 = (x: number): number => trunc(x) >>> 0;
const floatToBig = (x: number): bigint =>
  x >= -9223372036854775808 && x < 9223372036854775808 ? BigInt(trunc(x)) : -9223372036854775808n;
const floatToUint64 = (x: number): bigint =>
  x > -9223372036854775808 && x < 18446744073709551616 ? BigInt(trunc(x)) : 9223372036854775808n;
const intToBig = (x: number): bigint => BigInt(x);
const bigToInt = (x: bigint): number => Number(asIntN(32, x));
const bigToFloat = (x: bigint): number => Number(x);
/** Rounds once: bits that a double cannot hold are folded into its lowest before the second rounding. */
const bigToFloat32 = (x: bigint): number => {
  if (x >= -9007199254740992n && x <= 9007199254740992n) return Number(x);
  const sticky = (x & 0x7ffn) !== 0n ? 0x400n : 0n;
  return Number(((x >> 11n) << 11n) | (sticky << 1n));
};

/** A function and the name under which generated kernels know it. */
export interface NamedFunction {
  readonly name: string;
  readonly call: (...args: never[]) => number | bigint;
}
const named = (name: string, call: ((...args: never[]) => number | bigint) | undefined) =>
  call === undefined ? undefined : { name, call };

/** The scalar function of an elementwise operator on operands of `dtype`; undefined when there is none. */
export function scalarFunction(
  operator: string,
  dtype: DType,
  direction?: string,
): NamedFunction | undefined {
  const kind = elementClass(dtype);
  if (operator === 'compare') {
    return kind === 'big'
      ? named(`big_${direction!}`, bigComparisons[direction!])
      : named(`number_${direction!}`, numberComparisons[direction!]);
  }
  if (operator === 'is_finite') {
    return kind === 'float' ? named('is_finite', isFiniteNumber) : named('always_true', alwaysTrue);
  }
  if (dtype === 'bool') return named(`bool_${operator}`, boolFunctions[operator]);
  if (kind === 'big') {
    if (operator === 'select') return named('big_select', bigSelect);
    return named(`big_${operator}`, bigFunctions[operator]);
  }
  if (kind === 'int') return named(`int_${operator}`, intFunctions[operator]);
  return named(`float_${operator}`, floatFunctions[operator]);
}

/** The function that takes an element of one dtype to another, before narrowing. */
export function conversionFunction(from: DType, to: DType): NamedFunction | undefined {
  const source = elementClass(from);
  const target = elementClass(to);
  if (to === 'bool') {
    return source === 'big' ? named('big_to_bool', bigToBool) : named('number_to_bool', numberToBool);
  }
  if (target === 'big') {
    if (source === 'big') return undefined;
    if (source === 'int') return named('int_to_big', intToBig);
    return to === 'uint64' ? named('float_to_uint64', floatToUint64) : named('float_to_big', floatToBig);
  }
  if (target === 'int') {
    if (source === 'big') return named('big_to_int', bigToInt);
    if (source === 'int') return undefined;
    return to === 'uint32' ? named('float_to_uint32', floatToUint32) : named('float_to_int', floatToInt);
  }
  if (source !== 'big') return undefined;
  return to === 'float64' ? named('big_to_float', bigToFloat) : named('big_to_float32', bigToFloat32);
}

const narrowings: Readonly<Record<string, NamedFunction | undefined>> = {
  int8: named('to_int8', (x: number) => (x << 24) >> 24),
  uint8: named('to_uint8', (x: number) => x & 255),
  int16: named('to_int16', (x: number) => (x << 16) >> 16),
  uint16: named('to_uint16', (x: number) => x & 65535),
  int32: named('to_int32', (x: number) => x | 0),
  uint32: named('to_uint32', (x: number) => x >>> 0),
  int64: named('to_int64', (x: bigint) => asIntN(64, x)),
  uint64: named('to_uint64', (x: bigint) => asUintN(64, x)),
  float16: named('to_float16', roundFloat16),
  bfloat16: named('to_bfloat16', roundBFloat16),
  float32: named('to_float32', (x: number) => fround(x)),
};

/** Rounds or wraps a result to `dtype`; undefined when nothing has to be done. */
export function narrowing(operator: string, dtype: DType): NamedFunction | undefined {
  if (isFloatingPoint(dtype) && exactFloat.has(operator)) return undefined;
  if (operator === 'compare' || operator === 'is_finite') return undefined;
  return narrowings[dtype];
}

/** Encoder of a half dtype, by name for generated kernels. */
export const halfEncoders = {
  float16: named('encode_float16', encodeFloat16)!,
  bfloat16: named('encode_bfloat16', encodeBFloat16)!,
};

/** Bits of an integer dtype. */
export const bitsOf = (dtype: DType): number => dtypes[dtype].bytes * 8;
