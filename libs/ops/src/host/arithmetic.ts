// Arithmetic and comparison of ints, floats, complex numbers and booleans. Ints wrap at 64 bits; `//` and `%` take the
// sign of the divisor, as in Python.
import { Complex } from '@weft/ir';
import { hostFunctions } from '../operator.ts';
import {
  absComplex,
  addComplex,
  divideComplex,
  multiplyComplex,
  powComplex,
  subtractComplex,
} from './complex.ts';
import { fail } from './error.ts';
import { overloads } from './overloads.ts';
import { frexp, ieeeRemainder, ldexp, roundHalfEven } from './special.ts';
import { type NumberValue, formatFloat, toComplex, toFloat, truncate, wrap } from './values.ts';

/** Overloads of binary operators between int, float and complex; '' takes Scalars. */
const real = ['float_int', 'int_float', 'float', ''];
const mixedComplex = ['complex', 'complex_float', 'complex_int', 'float_complex', 'int_complex'];
const hasComplex = new Set(['add', 'sub', 'mul']);

const arithmetic: Record<
  string,
  {
    int: (a: bigint, b: bigint) => bigint;
    float: (a: number, b: number) => number;
    /** At least one of the operands is complex. */
    complex: (a: number | Complex, b: number | Complex) => Complex;
  }
> = {
  add: { int: (a, b) => wrap(a + b), float: (a, b) => a + b, complex: addComplex },
  sub: { int: (a, b) => wrap(a - b), float: (a, b) => a - b, complex: subtractComplex },
  mul: { int: (a, b) => wrap(a * b), float: (a, b) => a * b, complex: multiplyComplex },
  floordiv: { int: floorDivide, float: (a, b) => Math.floor(a / b), complex: noComplex },
  remainder: { int: floorModulo, float: floatModulo, complex: noComplex },
};

const part = (value: NumberValue): number | Complex => (value instanceof Complex ? value : toFloat(value));

function noComplex(): never {
  return fail('the operator is not defined for complex numbers');
}

export function floorDivide(a: bigint, b: bigint): bigint {
  if (b === 0n) fail('division by 0');
  const quotient = a / b;
  return wrap(a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient);
}

/** PyTorch's formula, whose sum wraps. */
export function floorModulo(a: bigint, b: bigint): bigint {
  if (b === 0n) fail('ZeroDivisionError: integer division or modulo by zero');
  return wrap((a % b) + b) % b;
}

/** PyTorch's formula: fmod(b + fmod(a, b), b). */
function floatModulo(a: number, b: number): number {
  return (b + (a % b)) % b;
}

const isInt = (value: NumberValue): value is bigint | boolean =>
  typeof value === 'bigint' || typeof value === 'boolean';

for (const [name, { int, float, complex }] of Object.entries(arithmetic)) {
  const generic = (a: NumberValue, b: NumberValue): NumberValue => {
    if (isInt(a) && isInt(b)) return int(BigInt(a), BigInt(b));
    if (a instanceof Complex || b instanceof Complex) return complex(part(a), part(b));
    return float(toFloat(a), toFloat(b));
  };
  overloads(`aten::${name}`, ['int'], int);
  overloads(`aten::${name}`, hasComplex.has(name) ? [...real, ...mixedComplex] : real, generic);
}

function divide(a: NumberValue, b: NumberValue): number | Complex {
  if (a instanceof Complex || b instanceof Complex) return divideComplex(toComplex(a), toComplex(b));
  return toFloat(a) / toFloat(b);
}
overloads('aten::div', ['', 'int', 'float', 'complex'], divide);

/** JavaScript's `**` differs from C's pow where the base is ±1 and the exponent infinite or NaN. */
export function power(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && !Number.isFinite(exponent) && !Number.isNaN(exponent))) return 1;
  return base ** exponent;
}

function pow(a: NumberValue, b: NumberValue): number | Complex {
  if (a instanceof Complex || b instanceof Complex) return powComplex(part(a), part(b));
  const [base, exponent] = [toFloat(a), toFloat(b)];
  return power(base, exponent);
}
function checkedPow(a: NumberValue, b: NumberValue): number | Complex {
  if (!(b instanceof Complex) && Number(b) < 0 && !(a instanceof Complex) && Number(a) === 0)
    fail('0.0 cannot be raised to a negative power');
  return pow(a, b);
}
overloads(
  'aten::pow',
  ['int', 'float', 'float_int', 'int_float', ...mixedComplex.slice(0, 2), 'float_complex'],
  checkedPow,
);
overloads('aten::pow', ['Scalar_Scalar'], pow);

function integerPower(base: bigint, exponent: bigint): bigint {
  if (exponent < 0n) fail('Integers to negative integer powers are not allowed.');
  let result = 1n;
  let square = base;
  for (let left = exponent; left > 0n; left >>= 1n) {
    if ((left & 1n) === 1n) result = wrap(result * square);
    square = wrap(square * square);
  }
  return result;
}

function divmod(x: bigint, y: bigint): bigint[] {
  if (y === 0n) fail('ZeroDivisionError: integer division or modulo by zero');
  const rest = x % y;
  return [floorDivide(x, y), rest !== 0n && rest < 0n !== y < 0n ? rest + y : rest];
}
function floatDivmod(a: number, b: number): number[] {
  if (b === 0) fail('ZeroDivisionError: float divmod()');
  const rest = a % b;
  const adjusted = rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
  return [Math.round((a - adjusted) / b), adjusted];
}
/** An int and a float: PyTorch takes them as 32 bits and divides singles. */
function mixedDivmod(x: bigint | number, y: bigint | number): number[] {
  const [a, b] = [x, y].map((each) =>
    typeof each === 'bigint' ? Number(BigInt.asIntN(32, each)) : Math.fround(each),
  );
  if (b === 0) fail('ZeroDivisionError: float divmod()');
  const quotient = Number(toInteger(Math.floor(Math.fround(Math.fround(a) / Math.fround(b)))));
  return [quotient, a - quotient * b];
}
hostFunctions({ 'aten::divmod.int': divmod, 'aten::divmod.float': floatDivmod });
overloads('aten::divmod', ['float_int', 'int_float'], mixedDivmod);

const compared = ['int', 'float', 'float_int', 'int_float', ''];
type Ordered = bigint | number | boolean;
/** Ints meet floats as doubles, as in C++. */
const asPair = (a: Ordered, b: Ordered): [Ordered, Ordered] =>
  typeof a === typeof b ? [a, b] : [Number(a), Number(b)];
const comparisons: Record<string, (a: Ordered, b: Ordered) => boolean> = {
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
};
for (const [name, compare] of Object.entries(comparisons)) {
  overloads(`aten::${name}`, ['int', 'float'], compare);
  overloads(`aten::${name}`, ['float_int', 'int_float', ''], (a: NumberValue, b: NumberValue) => {
    if (a instanceof Complex || b instanceof Complex) return noComplex();
    return compare(...asPair(a, b));
  });
}

function equal(a: NumberValue, b: NumberValue): boolean {
  if (a instanceof Complex || b instanceof Complex) {
    const [x, y] = [toComplex(a), toComplex(b)];
    return x.re === y.re && x.im === y.im;
  }
  return typeof a === typeof b ? a === b : Number(a) === Number(b);
}
const equated = [...compared, 'bool', 'complex', 'complex_float', 'float_complex'];
overloads('aten::eq', equated, equal);
overloads('aten::ne', equated, (a: NumberValue, b: NumberValue) => !equal(a, b));

for (const [name, pick] of Object.entries({ min: comparisons.lt, max: comparisons.gt })) {
  overloads(`prim::${name}`, ['int', 'float'], (a: Ordered, b: Ordered) => (pick(a, b) ? a : b));
  overloads(`prim::${name}`, ['float_int', 'int_float', ''], (a: Ordered, b: Ordered) => {
    const [x, y] = asPair(a, b);
    return pick(x, y) ? x : y;
  });
}

const shift = (count: bigint): bigint => count & 63n;

function negate(a: NumberValue): NumberValue {
  if (a instanceof Complex) return new Complex(-a.re, -a.im);
  return typeof a === 'number' ? -a : wrap(-BigInt(a));
}
function absolute(a: NumberValue): NumberValue {
  if (a instanceof Complex) return absComplex(a);
  if (typeof a === 'number') return Math.abs(a);
  const int = BigInt(a);
  return int < 0n ? wrap(-int) : int;
}
/** Of a number whose type is known only when running, PyTorch keeps a single. */
const single = (value: NumberValue): NumberValue => (typeof value === 'number' ? Math.fround(value) : value);
overloads('aten::neg', ['int', 'float', 'complex'], negate);
overloads('aten::neg', ['Scalar'], (a: NumberValue) => single(negate(a)));
overloads('prim::abs', ['int', 'float', 'complex'], absolute);
overloads('prim::abs', ['Scalar'], (a: NumberValue) => single(absolute(a)));

const gcd = (a: bigint, b: bigint): bigint => {
  let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b];
  while (y !== 0n) [x, y] = [y, x % y];
  return wrap(x);
};

const realBinary = ['int', 'float', 'float_int', 'int_float', ''];
/** Operators that take two real numbers as doubles. */
function onFloats(operator: string, names: readonly string[], f: (a: number, b: number) => number): void {
  overloads(operator, names, (a: NumberValue, b: NumberValue) => f(toFloat(a), toFloat(b)));
}
onFloats('aten::fmod', realBinary, (a, b) => a % b);
onFloats('aten::mathremainder', realBinary, ieeeRemainder);
onFloats('aten::copysign', realBinary, (a, b) => {
  const negative = b < 0 || Object.is(b, -0);
  return negative ? -Math.abs(a) : Math.abs(a);
});
onFloats('aten::atan2', [...realBinary.slice(0, 4), 'Scalar_Scalar'], Math.atan2);

hostFunctions({
  'aten::pow.int_to_int': integerPower,
  'aten::__round_to_zero_floordiv.int': (a: bigint, b: bigint) =>
    b === 0n ? fail('division by 0') : wrap(a / b),
  'aten::__and__.int': (a: bigint, b: bigint) => a & b,
  'aten::__or__.int': (a: bigint, b: bigint) => a | b,
  'aten::__xor__.int': (a: bigint, b: bigint) => a ^ b,
  'aten::__and__.bool': (a: boolean, b: boolean) => a && b,
  'aten::__or__.bool': (a: boolean, b: boolean) => a || b,
  'aten::__xor__.bool': (a: boolean, b: boolean) => a !== b,
  'aten::__lshift__.int': (a: bigint, b: bigint) => wrap(a << shift(b)),
  'aten::__rshift__.int': (a: bigint, b: bigint) => a >> shift(b),
  'aten::__not__': (a: boolean) => !a,
  'aten::gcd.int': gcd,
  'aten::factorial.int': (n: bigint) => {
    if (n < 0n) fail('factorial() not defined for negative values');
    let product = 1n;
    // Beyond 65 the product is a multiple of 2^64.
    for (let factor = 2n; factor <= n && product !== 0n; factor++) product = wrap(product * factor);
    return product;
  },
  // The exponent is an int of 32 bits in C.
  'aten::ldexp': (x: number, exponent: bigint) => ldexp(x, Number(BigInt.asIntN(32, exponent))),
  'aten::frexp': (x: number) => {
    const [mantissa, exponent] = frexp(x);
    return [mantissa, BigInt(exponent)];
  },
  'aten::modf': (x: number) => {
    const whole = Math.trunc(x);
    const part = Number.isFinite(x) ? x - whole : Number.isNaN(x) ? NaN : 0;
    return [part === 0 && (x < 0 || Object.is(x, -0)) ? -0 : part, whole];
  },
});

function toInteger(value: number): bigint {
  if (!(Math.abs(value) < 2 ** 63)) {
    const shown = Number.isFinite(value) ? `${BigInt(value)}.000000` : formatFloat(value);
    fail(`Cannot convert float ${shown} to integer`);
  }
  return BigInt(value);
}

/** `ceil`, `floor`: ints for ints and floats; of a Scalar PyTorch keeps 32 bits. */
for (const [name, f] of Object.entries({ ceil: Math.ceil, floor: Math.floor })) {
  overloads(`aten::${name}`, ['float'], (a: number) => toInteger(f(a)));
  overloads(`aten::${name}`, ['Scalar'], (a: NumberValue) =>
    a instanceof Complex
      ? noComplex()
      : BigInt.asIntN(32, typeof a === 'number' ? toInteger(f(a)) : truncate(Number(a))),
  );
}
hostFunctions({
  'aten::ceil.int': (a: bigint) => a,
  // Through a double, as in C.
  'aten::floor.int': (a: bigint) => truncate(Number(a)),
});
overloads('aten::round', ['float', 'int', 'Scalar'], (a: NumberValue) => roundHalfEven(toFloat(a)));
