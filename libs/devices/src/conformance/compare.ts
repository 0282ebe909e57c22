// Comparing tensors element by element: how far apart, and the first place where it is too far.
import type { DType, TensorLiteral } from '@weft/ir';
import { isComplex, numel } from '@weft/ir';
import { halfValues, isHalf } from '../reference/half.ts';
import { describeSpec } from '../reference/program.ts';
import { arrayOfLiteral } from '../reference/typed-array.ts';
import { specOfLiteral } from './case.ts';

/** What rounding alone may cost a short computation, relative to the result. */
export const defaultTolerance: Readonly<Partial<Record<DType, number>>> = {
  float16: 2 ** -9,
  bfloat16: 2 ** -6,
  float32: 2e-6,
  complex64: 4e-6,
  float64: 1e-13,
  complex128: 4e-13,
};

/** The entries of a literal as numbers or bigints; halves decoded, complex numbers two entries each. */
export function entriesOf(literal: TensorLiteral): (number | bigint)[] {
  const array = arrayOfLiteral(literal);
  if (!isHalf(literal.dtype)) return Array.from(array as ArrayLike<number | bigint>);
  const values = halfValues(literal.dtype);
  return Array.from(array as Uint16Array, (bits) => values[bits]);
}

/** A sentence on the first difference beyond the tolerance, or undefined when there is none. */
export function difference(
  actual: TensorLiteral,
  expected: TensorLiteral,
  tolerance = defaultTolerance[expected.dtype] ?? 0,
): string | undefined {
  const given = describeSpec(specOfLiteral(actual));
  const wanted = describeSpec(specOfLiteral(expected));
  if (given !== wanted) return `is ${given} where ${wanted} is expected`;
  const a = entriesOf(actual);
  const b = entriesOf(expected);
  for (let index = 0; index < b.length; index++) {
    if (isClose(a[index], b[index], tolerance)) continue;
    const element = isComplex(expected.dtype) ? Math.floor(index / 2) : index;
    const place = numel(expected.shape) === 1 ? '' : ` at element ${element}`;
    return `is ${show(a[index])}${place} where ${show(b[index])} is expected`;
  }
  return undefined;
}

function isClose(a: number | bigint, b: number | bigint, tolerance: number): boolean {
  if (typeof a === 'bigint' || typeof b === 'bigint') return a === b;
  if (tolerance === 0) return Object.is(a, b);
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b);
  return a === b || Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b));
}

const show = (x: number | bigint): string => (Object.is(x, -0) ? '-0' : String(x));
