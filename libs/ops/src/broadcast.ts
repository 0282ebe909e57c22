// Shapes: PyTorch's broadcasting of sizes, its numbering of dimensions, and its wording when either does not fit.
import type { CoreBuilder, Value } from '@weft/ir';
import { OperatorError, specOf } from '@weft/ir';

/** Stops the lowering; the registry adds the operator's name and operands to the message. */
export function fail(message: string): never {
  throw new OperatorError(message);
}

/** Checks a condition on the operands of an operator. */
export function check(condition: boolean, message: () => string): void {
  if (!condition) fail(message());
}

export const sizesOf = (value: Value): readonly number[] => specOf(value).sizes;
export const rankOf = (value: Value): number => specOf(value).sizes.length;

/** The common shape of several, aligned at the end; sizes of 1 repeat. */
export function broadcastShapes(...shapes: readonly (readonly number[])[]): number[] {
  return shapes.reduce<number[]>((a, b) => broadcastTwo(a, b), []);
}

function broadcastTwo(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  const result = new Array<number>(rank);
  for (let dimension = rank - 1; dimension >= 0; dimension--) {
    const sizeA = a[dimension - rank + a.length] ?? 1;
    const sizeB = b[dimension - rank + b.length] ?? 1;
    if (sizeA !== sizeB && sizeA !== 1 && sizeB !== 1) {
      fail(
        `The size of tensor a (${sizeA}) must match the size of tensor b (${sizeB}) at non-singleton dimension ${dimension}`,
      );
    }
    result[dimension] = sizeA === 1 ? sizeB : sizeA;
  }
  return result;
}

/** Broadcasts all to their common shape. */
export function broadcastAll(b: CoreBuilder, ...values: readonly Value[]): Value[] {
  const shape = broadcastShapes(...values.map(sizesOf));
  return values.map((value) => b.broadcastTo(value, shape));
}

/** A dimension counted from the end when negative; a zero-dimensional tensor counts as having one. */
export function wrapDim(dim: number, rank: number): number {
  const extent = Math.max(rank, 1);
  if (dim < -extent || dim >= extent) {
    throw new OperatorError(
      `Dimension out of range (expected to be in range of [${-extent}, ${extent - 1}], but got ${dim})`,
    );
  }
  return dim < 0 ? dim + extent : dim;
}

/** Wrapped, distinct dimensions; null or none means all of them. */
export function wrapDims(dims: readonly number[] | number | null, rank: number): number[] {
  const all = Array.from({ length: rank }, (_, index) => index);
  if (dims === null) return all;
  const wrapped = (typeof dims === 'number' ? [dims] : dims).map((dim) => wrapDim(dim, rank));
  for (const [index, dim] of wrapped.entries()) {
    check(wrapped.indexOf(dim) === index, () => `dim ${dim} appears multiple times in the list of dims`);
  }
  if (rank === 0) return [];
  return wrapped.length === 0 ? all : wrapped;
}

/** 0, 1, …, length - 1. */
export const range = (length: number, start = 0): number[] =>
  Array.from({ length }, (_, index) => start + index);

/** A list in which a single number was given for all `length` entries. */
export function expandList(
  list: readonly number[] | number,
  length: number,
  name: string,
): readonly number[] {
  const given = typeof list === 'number' ? [list] : list;
  if (given.length === 1) return range(length).map(() => given[0]);
  check(
    given.length === length,
    () =>
      `expected ${name} to be a single integer value or a list of ${length} values to match the ` +
      `convolution dimensions, but got ${name}=[${given.join(', ')}]`,
  );
  return given;
}

/** `sizes` with one entry replaced. */
export const withSize = (sizes: readonly number[], dim: number, size: number): number[] =>
  sizes.map((old, index) => (index === dim ? size : old));
