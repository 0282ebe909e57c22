// Pieces of tensors that several families need: slices, joins, windows along one dimension.
import type { CoreBuilder, Value } from '@weft/ir';
import { withSize, sizesOf } from './broadcast.ts';

/** Positions start … end - 1 (by step) of one dimension. */
export function sliceDim(b: CoreBuilder, x: Value, dim: number, start: number, end: number, step = 1): Value {
  const sizes = sizesOf(x);
  if (start === 0 && end === sizes[dim] && step === 1) return x;
  return b.slice(
    x,
    sizes.map((_, each) => (each === dim ? start : 0)),
    withSize(sizes, dim, Math.max(start, end)),
    sizes.map((_, each) => (each === dim ? step : 1)),
  );
}

/** One position of a dimension, which disappears. */
export function selectDim(b: CoreBuilder, x: Value, dim: number, index: number): Value {
  const sizes = sizesOf(x);
  return b.reshape(
    sliceDim(b, x, dim, index, index + 1),
    sizes.filter((_, each) => each !== dim),
  );
}

/** Two equal halves of a dimension. */
export function halves(b: CoreBuilder, x: Value, dim: number): [Value, Value] {
  const size = sizesOf(x)[dim];
  return [sliceDim(b, x, dim, 0, size / 2), sliceDim(b, x, dim, size / 2, size)];
}

/** Pieces of the given sizes, one after the other. */
export function pieces(b: CoreBuilder, x: Value, dim: number, sizes: readonly number[]): Value[] {
  let start = 0;
  return sizes.map((size) => {
    const piece = sliceDim(b, x, dim, start, start + size);
    start += size;
    return piece;
  });
}

/** Adds `low` and `high` elements of `value` at the ends of one dimension; negative numbers cut. */
export function padDim(
  b: CoreBuilder,
  x: Value,
  value: Value,
  dim: number,
  low: number,
  high: number,
): Value {
  if (low === 0 && high === 0) return x;
  const at = (amount: number): number[] => sizesOf(x).map((_, each) => (each === dim ? amount : 0));
  return b.pad(x, value, at(low), at(high));
}

/** A new dimension of size 1. */
export function insertDim(b: CoreBuilder, x: Value, dim: number): Value {
  const sizes = sizesOf(x);
  return b.reshape(x, [...sizes.slice(0, dim), 1, ...sizes.slice(dim)]);
}

/** The permutation that exchanges two dimensions. */
export function swapped(rank: number, first: number, second: number): number[] {
  return Array.from({ length: rank }, (_, dim) => (dim === first ? second : dim === second ? first : dim));
}

/** Exchanges two dimensions. */
export const swapDims = (b: CoreBuilder, x: Value, first: number, second: number): Value =>
  b.transpose(x, swapped(sizesOf(x).length, first, second));
