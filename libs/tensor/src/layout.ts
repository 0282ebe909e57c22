// Strides: where the elements of a strided tensor lie, which layouts are dense, and how a device can read a strided
// operand without a copy (transpose and broadcast of row-major memory).
import type { Strided } from '@weft/ops';

/** Row-major strides, in elements. */
export function contiguousStrides(sizes: readonly number[]): number[] {
  const strides = new Array<number>(sizes.length);
  let step = 1;
  for (let dim = sizes.length - 1; dim >= 0; dim--) {
    strides[dim] = step;
    step *= Math.max(sizes[dim], 1);
  }
  return strides;
}

/** Whether the elements lie row-major without gaps (strides of dimensions of size 1 do not matter). */
export function isRowMajor(sizes: readonly number[], strides: readonly number[]): boolean {
  let step = 1;
  for (let dim = sizes.length - 1; dim >= 0; dim--) {
    const size = sizes[dim];
    if (size === 0) return true;
    if (size !== 1) {
      if (strides[dim] !== step) return false;
      step *= size;
    }
  }
  return true;
}

/** Dimensions from the outermost in memory to the innermost (by stride, then by position). */
export function memoryOrder(sizes: readonly number[], strides: readonly number[]): number[] {
  const order = sizes.map((_, dim) => dim);
  return order.sort((a, b) => strides[b] - strides[a] || a - b);
}

/** Whether every element has its own place and there are no gaps between them, in any order of dimensions. */
export function isDense(sizes: readonly number[], strides: readonly number[]): boolean {
  if (sizes.includes(0)) return true;
  let step = 1;
  for (const dim of memoryOrder(sizes, strides).reverse()) {
    if (sizes[dim] === 1) continue;
    if (strides[dim] !== step) return false;
    step *= sizes[dim];
  }
  return true;
}

/** Whether two index tuples may fall on the same place (expanded dimensions). */
export function hasOverlap(sizes: readonly number[], strides: readonly number[]): boolean {
  if (sizes.includes(0)) return false;
  let reach = 0;
  for (const dim of memoryOrder(sizes, strides).reverse()) {
    if (sizes[dim] === 1) continue;
    if (strides[dim] <= reach) return true;
    reach += (sizes[dim] - 1) * strides[dim];
  }
  return false;
}

/** Strides of a new tensor that keeps the memory order of a dense one; row-major when it is not dense. */
export function preservedStrides(sizes: readonly number[], strides: readonly number[]): number[] {
  if (isRowMajor(sizes, strides) || !isDense(sizes, strides)) return contiguousStrides(sizes);
  const result = new Array<number>(sizes.length);
  let step = 1;
  for (const dim of memoryOrder(sizes, strides).reverse()) {
    result[dim] = step;
    step *= Math.max(sizes[dim], 1);
  }
  return result;
}

/** How row-major memory becomes a strided operand: dense sizes, then the place of each dense dimension in the operand. */
export interface OperandLayout {
  readonly sizes: readonly number[];
  readonly dimensions: readonly number[];
}

/**
 * The layout of a strided operand that is a transpose and broadcast of row-major memory starting at its offset; null
 * when it is not (then it has to be copied).
 */
export function operandLayout(sizes: readonly number[], strides: readonly number[]): OperandLayout | null {
  if (sizes.includes(0)) return null;
  const kept = memoryOrder(sizes, strides).filter((dim) => sizes[dim] !== 1 && strides[dim] !== 0);
  let step = 1;
  for (let position = kept.length - 1; position >= 0; position--) {
    const dim = kept[position];
    if (strides[dim] !== step) return null;
    step *= sizes[dim];
  }
  return { sizes: kept.map((dim) => sizes[dim]), dimensions: kept };
}

/** Elements of storage between the first and one past the last element of the tensor. */
export function extent({ sizes, strides }: Strided): number {
  if (sizes.includes(0)) return 0;
  return sizes.reduce((total, size, dim) => total + (size - 1) * strides[dim], 1);
}
