// Derivatives of the elementwise operators, as PyTorch's derivatives.yaml has them (subgradients and ties included).
import type { Node, Value } from '../../graph/graph.ts';
import { isComplex } from '../../types/dtype.ts';
import type { CoreBuilder } from '../builder.ts';
import { specOf } from '../infer-types.ts';
import type { CoreOperator } from '../operator.ts';
import {
  compareWith,
  conj,
  dropWhere,
  isDifferentiable,
  keepWhere,
  onesLike,
  reciprocal,
  scale,
  shift,
  square,
  sumToScalar,
  zerosLike,
} from '../cotangent.ts';

/** The cotangent of x from that of y = f(x). */
type UnaryRule = (b: CoreBuilder, g: Value, x: Value, y: Value) => Value;
/** The derivative f'(x), for holomorphic f: the cotangent is g · conj(f'). */
type Derivative = (b: CoreBuilder, x: Value, y: Value) => Value;

const derivatives: Readonly<Record<string, Derivative>> = {
  exponential: (_b, _x, y) => y,
  exponential_minus_one: (b, _x, y) => shift(b, y, 1),
  logistic: (b, _x, y) => b.multiply(y, b.subtract(onesLike(b, y), y)),
  rsqrt: (b, _x, y) => scale(b, b.multiply(y, square(b, y)), -0.5),
  sine: (b, x) => b.cosine(x),
  cosine: (b, x) => b.negate(b.sine(x)),
  tan: (b, _x, y) => shift(b, square(b, y), 1),
  tanh: (b, _x, y) => b.subtract(onesLike(b, y), square(b, y)),
  acos: (b, x) => b.negate(b.rsqrt(oneMinusSquare(b, x))),
  asin: (b, x) => b.rsqrt(oneMinusSquare(b, x)),
  // Two roots, so that the branch cut is right for complex x.
  acosh: (b, x) =>
    isComplex(specOf(x).dtype)
      ? b.multiply(b.rsqrt(shift(b, x, -1)), b.rsqrt(shift(b, x, 1)))
      : b.rsqrt(shift(b, square(b, x), -1)),
  asinh: (b, x) => b.rsqrt(shift(b, square(b, x), 1)),
  atan: (b, x) => reciprocal(b, shift(b, square(b, x), 1)),
  atanh: (b, x) => reciprocal(b, oneMinusSquare(b, x)),
  sinh: (b, x) => b.cosh(x),
  cosh: (b, x) => b.sinh(x),
  erf: (b, x) => scale(b, gaussian(b, x), 2 / Math.sqrt(Math.PI)),
  erfc: (b, x) => scale(b, gaussian(b, x), -2 / Math.sqrt(Math.PI)),
  erf_inv: (b, _x, y) => scale(b, b.exponential(square(b, y)), Math.sqrt(Math.PI) / 2),
  lgamma: (b, x) => b.digamma(x),
  digamma: (b, x) => trigamma(b, x),
};

const oneMinusSquare = (b: CoreBuilder, x: Value): Value => b.subtract(onesLike(b, x), square(b, x));
const gaussian = (b: CoreBuilder, x: Value): Value => b.exponential(b.negate(square(b, x)));

/** ψ′(x): reflection for x < ½, then six steps of the recurrence up, then the asymptotic series (Cephes). */
function trigamma(b: CoreBuilder, x: Value): Value {
  const reflect = compareWith(b, x, 'LT', 0.5);
  const sine = b.sine(scale(b, x, Math.PI));
  const mirrored = b.divide(b.fullLike(x, Math.PI ** 2), square(b, sine));
  let z = b.select(reflect, b.subtract(onesLike(b, x), x), x);
  let sum = zerosLike(b, x);
  for (let step = 0; step < 6; step++) {
    sum = b.add(sum, reciprocal(b, square(b, z)));
    z = shift(b, z, 1);
  }
  const inverse = reciprocal(b, z);
  const w = square(b, inverse);
  // 1/z + 1/2z² + 1/6z³ − 1/30z⁵ + 1/42z⁷
  const series = shift(b, b.multiply(w, shift(b, scale(b, w, 1 / 42), -1 / 30)), 1 / 6);
  const tail = b.multiply(inverse, shift(b, b.add(scale(b, inverse, 0.5), b.multiply(w, series)), 1));
  const total = b.add(sum, tail);
  return b.select(reflect, b.subtract(mirrored, total), total);
}

/** Rules that are no product with a derivative. */
const unaryRules: Readonly<Record<string, UnaryRule>> = {
  negate: (b, g) => b.negate(g),
  log: (b, g, x) => b.divide(g, conj(b, x)),
  log_plus_one: (b, g, x) => b.divide(g, conj(b, shift(b, x, 1))),
  sqrt: (b, g, _x, y) => b.divide(g, scale(b, conj(b, y), 2)),
  cbrt: (b, g, _x, y) => b.divide(g, scale(b, square(b, conj(b, y)), 3)),
  abs: absVjp,
  real: (b, g, x) => (isComplex(specOf(x).dtype) ? b.complex(g, zerosLike(b, g)) : g),
  imag: (b, g, x) => (isComplex(specOf(x).dtype) ? b.complex(zerosLike(b, g), g) : zerosLike(b, g)),
  sign: complexSign,
  reduce_precision: (_b, g) => g,
  convert: (b, g, x) => b.convert(g, specOf(x).dtype),
};

/** g·sgn(x), where PyTorch's sgn(NaN) of a real number is 0. */
function absVjp(b: CoreBuilder, g: Value, x: Value): Value {
  if (isComplex(specOf(x).dtype)) return b.multiply(widen(b, g, x), b.sign(x));
  const negative = keepWhere(b, compareWith(b, x, 'LT', 0), b.negate(g));
  return b.select(compareWith(b, x, 'GT', 0), g, negative);
}

/** A real cotangent as a complex one where the operand is complex. */
function widen(b: CoreBuilder, g: Value, x: Value): Value {
  const isWide = isComplex(specOf(x).dtype) && !isComplex(specOf(g).dtype);
  return isWide ? b.complex(g, zerosLike(b, g)) : g;
}

/** y = x / |x|: the part of g along y is lost; zero at zero and for real numbers. */
function complexSign(b: CoreBuilder, g: Value, x: Value, y: Value): Value {
  if (!isComplex(specOf(x).dtype)) return zerosLike(b, g);
  const radius = b.abs(x);
  const divided = b.divide(g, widen(b, radius, x));
  const along = b.real(b.multiply(divided, conj(b, y)));
  const across = b.subtract(divided, b.multiply(widen(b, along, x), y));
  return dropWhere(b, compareWith(b, radius, 'EQ', 0), across);
}

/** Cotangents of both operands of z = f(x, y). */
type BinaryRule = (b: CoreBuilder, g: Value, x: Value, y: Value, z: Value) => [Value, Value];

const binaryRules: Readonly<Record<string, BinaryRule>> = {
  add: (_b, g) => [g, g],
  subtract: (b, g) => [g, b.negate(g)],
  multiply: (b, g, x, y) => [b.multiply(g, conj(b, y)), b.multiply(g, conj(b, x))],
  divide: (b, g, x, y) => {
    const quotient = b.divide(g, conj(b, y));
    return [quotient, b.negate(b.multiply(g, conj(b, b.divide(b.divide(x, y), y))))];
  },
  remainder: (b, g, x, y) => [g, b.negate(b.multiply(g, truncate(b, b.divide(x, y))))],
  power: (b, g, x, y, z) => [powerBase(b, g, x, y), powerExponent(b, g, x, y, z)],
  maximum: (b, g, x, y) =>
    splitByOrder(b, g, b.compare(x, y, 'LT'), b.compare(x, y, 'GT'), b.compare(x, y, 'EQ')),
  minimum: (b, g, x, y) =>
    splitByOrder(b, g, b.compare(x, y, 'GT'), b.compare(x, y, 'LT'), b.compare(x, y, 'EQ')),
  atan2: (b, g, y, x) => {
    const over = b.divide(g, b.add(square(b, x), square(b, y)));
    return [b.multiply(over, x), b.negate(b.multiply(over, y))];
  },
  complex: (b, g) => [b.real(g), b.imag(g)],
};

const truncate = (b: CoreBuilder, x: Value): Value =>
  b.select(compareWith(b, x, 'LT', 0), b.ceil(x), b.floor(x));

/** y·x^(y−1), and 0 where the exponent is 0, also at x = 0. */
function powerBase(b: CoreBuilder, g: Value, x: Value, y: Value): Value {
  const derivative = b.multiply(y, b.power(x, shift(b, y, -1)));
  return dropWhere(b, compareWith(b, y, 'EQ', 0), b.multiply(g, conj(b, derivative)));
}

/** x^y·log x, and 0 at x = 0 with y ≥ 0, where the logarithm is infinite. NaN for negative real bases. */
function powerExponent(b: CoreBuilder, g: Value, x: Value, y: Value, z: Value): Value {
  const real = isComplex(specOf(y).dtype) ? b.real(y) : y;
  const flat = b.and(compareWith(b, x, 'EQ', 0), compareWith(b, real, 'GE', 0));
  return dropWhere(b, flat, b.multiply(g, conj(b, b.multiply(z, b.log(x)))));
}

/** The winner takes the cotangent, equal operands half each, and both all of it where one is NaN. */
function splitByOrder(b: CoreBuilder, g: Value, xLoses: Value, yLoses: Value, tie: Value): [Value, Value] {
  const shared = b.select(tie, scale(b, g, 0.5), g);
  return [dropWhere(b, xLoses, shared), dropWhere(b, yLoses, shared)];
}

/** Sums a cotangent where the operand is a scalar beside a tensor. */
const like = (b: CoreBuilder, operand: Value, g: Value): Value =>
  specOf(operand).sizes.length < specOf(g).sizes.length ? sumToScalar(b, g) : g;

function clampVjp(b: CoreBuilder, node: Node, g: Value): (Value | null)[] {
  const [low, x, high] = node.inputs;
  const { sizes } = specOf(x);
  const spread = (bound: Value) => (specOf(bound).sizes.length === 0 ? b.broadcastTo(bound, sizes) : bound);
  const [min, max] = [spread(low), spread(high)];
  const inside = b.and(b.compare(x, min, 'GE'), b.compare(x, max, 'LE'));
  const below = b.and(b.compare(min, max, 'LT'), b.compare(x, min, 'LT'));
  const above = b.or(b.compare(x, max, 'GT'), b.compare(max, min, 'LT'));
  return [
    like(b, low, keepWhere(b, below, g)),
    keepWhere(b, inside, g),
    like(b, high, keepWhere(b, above, g)),
  ];
}

/** A select by a scalar predicate spreads it, as the branches' zeros have their shape. */
function selectVjp(b: CoreBuilder, node: Node, g: Value): (Value | null)[] {
  return [null, keepWhere(b, node.inputs[0], g), dropWhere(b, node.inputs[0], g)];
}

const withCotangent =
  (rule: (b: CoreBuilder, node: Node, g: Value) => (Value | null)[]): CoreOperator['vjp'] =>
  (b, node, [g]) =>
    g === null || !isDifferentiable(node.outputs[0]) ? node.inputs.map(() => null) : rule(b, node, g);

const unaryVjp = (rule: UnaryRule): CoreOperator['vjp'] =>
  withCotangent((b, node, g) => [
    isDifferentiable(node.inputs[0]) ? rule(b, g, node.inputs[0], node.outputs[0]) : null,
  ]);

export const elementwiseVjps: Readonly<Record<string, CoreOperator['vjp']>> = {
  ...mapValues(derivatives, (derivative) =>
    unaryVjp((b, g, x, y) => b.multiply(g, conj(b, derivative(b, x, y)))),
  ),
  ...mapValues(unaryRules, unaryVjp),
  ...mapValues(binaryRules, (rule) =>
    withCotangent((b, node, g) => rule(b, g, node.inputs[0], node.inputs[1], node.outputs[0])),
  ),
  select: withCotangent(selectVjp),
  clamp: withCotangent(clampVjp),
};

function mapValues<T, R>(table: Readonly<Record<string, T>>, map: (entry: T) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(table).map(([name, entry]) => [name, map(entry)]));
}
