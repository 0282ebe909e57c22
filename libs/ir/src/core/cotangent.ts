// Small arithmetic that derivative rules share.
import type { Value } from '../graph/graph.ts';
import { dtypes, isComplex } from '../types/dtype.ts';
import type { CoreBuilder } from './builder.ts';
import { specOf } from './infer-types.ts';

/** Whether derivatives pass through values of this type: floats and complex numbers. */
export function isDifferentiable(value: Value): boolean {
  const { category } = dtypes[specOf(value).dtype];
  return category === 'float' || category === 'complex';
}

export function conj(b: CoreBuilder, x: Value): Value {
  return isComplex(specOf(x).dtype) ? b.complex(b.real(x), b.negate(b.imag(x))) : x;
}

export const zerosLike = (b: CoreBuilder, x: Value): Value => b.fullLike(x, 0);
export const onesLike = (b: CoreBuilder, x: Value): Value => b.fullLike(x, 1);
export const scale = (b: CoreBuilder, x: Value, by: number): Value => b.multiply(x, b.fullLike(x, by));
/** `x` plus a number. */
export const shift = (b: CoreBuilder, x: Value, by: number): Value => b.add(x, b.fullLike(x, by));
export const square = (b: CoreBuilder, x: Value): Value => b.multiply(x, x);
export const reciprocal = (b: CoreBuilder, x: Value): Value => b.divide(onesLike(b, x), x);

/** Compares with a number. */
export function compareWith(
  b: CoreBuilder,
  x: Value,
  direction: 'EQ' | 'NE' | 'GE' | 'GT' | 'LE' | 'LT',
  number: number,
): Value {
  return b.compare(x, b.fullLike(x, number), direction);
}

/** `g` where the predicate holds, else zero. */
export const keepWhere = (b: CoreBuilder, predicate: Value, g: Value): Value =>
  b.select(predicate, g, zerosLike(b, g));
export const dropWhere = (b: CoreBuilder, predicate: Value, g: Value): Value =>
  b.select(predicate, zerosLike(b, g), g);

/** Sums a cotangent down to a scalar operand's shape. */
export function sumToScalar(b: CoreBuilder, g: Value): Value {
  return b.reduceSum(
    g,
    specOf(g).sizes.map((_, dimension) => dimension),
  );
}
