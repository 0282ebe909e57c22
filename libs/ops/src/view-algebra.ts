// The steps that view operators are made of, in two interpretations: on strides (eager tensors that share storage) and on
// core values (copies). A view operator is written once over these steps.
import type { CoreBuilder, Value } from '@weft/ir';
import { dtypes, numel } from '@weft/ir';
import type { LoweringArgument, Strided, Viewed } from './operator.ts';
import { views } from './operator.ts';
import { check, range, sizesOf, withSize } from './broadcast.ts';
import { extentOf, isRowMajor } from './strides.ts';
import { insertDim, sliceDim } from './shapes.ts';
import { takeSlices } from './gathering.ts';

export interface ViewAlgebra<T> {
  sizes(x: T): readonly number[];
  permute(x: T, permutation: readonly number[]): T;
  slice(x: T, dim: number, start: number, end: number, step: number): T;
  /** A new dimension of size 1. */
  insert(x: T, dim: number): T;
  /** Takes away a dimension of size 1. */
  drop(x: T, dim: number): T;
  expand(x: T, sizes: readonly number[]): T;
  reshape(x: T, sizes: readonly number[]): T;
  /** The diagonal of two dimensions, as a new last one. */
  diagonal(x: T, offset: number, dim1: number, dim2: number): T;
  /** Windows of `size` every `step`, as a new last dimension. */
  unfold(x: T, dim: number, size: number, step: number): T;
  /** The same, if its elements already stand in row-major order, else a copy that does. */
  contiguous(x: T): T;
  asStrided(x: T, sizes: readonly number[], strides: readonly number[], offset: number | null): T;
}

export type ViewOperator = <T>(v: ViewAlgebra<T>, x: T, ...args: never[]) => T | readonly T[];

/** A reshape that no strides can express. */
class NeedsCopy extends Error {}

const without = <T>(list: readonly T[], ...indices: number[]): T[] =>
  list.filter((_, index) => !indices.includes(index));

/** Where the diagonal starts and how long it is. */
function diagonalExtent(
  rows: number,
  columns: number,
  offset: number,
): { row: number; column: number; length: number } {
  const length = offset >= 0 ? Math.min(rows, columns - offset) : Math.min(rows + offset, columns);
  return { row: Math.max(-offset, 0), column: Math.max(offset, 0), length: Math.max(length, 0) };
}

/** Strides for the new sizes over the same elements in row-major order, or null (at::detail::computeStride). */
export function reshapeStrides(x: Strided, sizes: readonly number[]): number[] | null {
  if (numel(x.sizes) === 0) {
    const strides = new Array<number>(sizes.length);
    for (let dim = sizes.length - 1; dim >= 0; dim--) {
      strides[dim] = dim === sizes.length - 1 ? 1 : Math.max(sizes[dim + 1], 1) * strides[dim + 1];
    }
    return strides;
  }
  const strides = new Array<number>(sizes.length).fill(1);
  let viewDim = sizes.length - 1;
  let base = x.strides.at(-1) ?? 1;
  let elements = 1;
  let viewed = 1;
  for (let dim = x.sizes.length - 1; dim >= 0; dim--) {
    elements *= x.sizes[dim];
    const ends = dim === 0 || (x.sizes[dim - 1] !== 1 && x.strides[dim - 1] !== elements * base);
    if (!ends) continue;
    while (viewDim >= 0 && (viewed < elements || sizes[viewDim] === 1)) {
      strides[viewDim] = viewed * base;
      viewed *= sizes[viewDim];
      viewDim--;
    }
    if (viewed !== elements) return null;
    if (dim > 0) {
      base = x.strides[dim - 1];
      elements = 1;
      viewed = 1;
    }
  }
  return viewDim === -1 || x.sizes.length === 0 ? strides : null;
}

/** Views of storage. */
export const stridedViews: ViewAlgebra<Strided> = {
  sizes: (x) => x.sizes,
  permute: (x, permutation) => ({
    sizes: permutation.map((dim) => x.sizes[dim]),
    strides: permutation.map((dim) => x.strides[dim]),
    offset: x.offset,
  }),
  slice: (x, dim, start, end, step) => ({
    sizes: withSize(x.sizes, dim, Math.max(Math.ceil((end - start) / step), 0)),
    strides: withSize(x.strides, dim, x.strides[dim] * step),
    offset: x.offset + start * x.strides[dim],
  }),
  insert: (x, dim) => ({
    sizes: [...x.sizes.slice(0, dim), 1, ...x.sizes.slice(dim)],
    strides: [
      ...x.strides.slice(0, dim),
      dim < x.sizes.length ? x.sizes[dim] * x.strides[dim] : 1,
      ...x.strides.slice(dim),
    ],
    offset: x.offset,
  }),
  drop: (x, dim) => ({ sizes: without(x.sizes, dim), strides: without(x.strides, dim), offset: x.offset }),
  expand: (x, sizes) => {
    const strides = new Array<number>(sizes.length);
    const lead = sizes.length - x.sizes.length;
    for (let dim = sizes.length - 1; dim >= 0; dim--) {
      const old = dim >= lead ? x.sizes[dim - lead] : 1;
      const stride = dim >= lead ? x.strides[dim - lead] : (sizes[dim + 1] ?? 1) * (strides[dim + 1] ?? 1);
      strides[dim] = old === 1 && sizes[dim] !== 1 ? 0 : stride;
    }
    return { sizes, strides, offset: x.offset };
  },
  reshape: (x, sizes) => {
    const strides = reshapeStrides(x, sizes);
    if (strides === null) throw new NeedsCopy();
    return { sizes, strides, offset: x.offset };
  },
  diagonal: (x, offset, dim1, dim2) => {
    const { row, column, length } = diagonalExtent(x.sizes[dim1], x.sizes[dim2], offset);
    return {
      sizes: [...without(x.sizes, dim1, dim2), length],
      strides: [...without(x.strides, dim1, dim2), x.strides[dim1] + x.strides[dim2]],
      offset: length === 0 ? x.offset : x.offset + row * x.strides[dim1] + column * x.strides[dim2],
    };
  },
  unfold: (x, dim, size, step) => {
    if (x.sizes.length === 0) return { sizes: [size], strides: [1], offset: x.offset };
    return {
      sizes: [...withSize(x.sizes, dim, Math.floor((x.sizes[dim] - size) / step) + 1), size],
      strides: [...withSize(x.strides, dim, x.strides[dim] * step), x.strides[dim]],
      offset: x.offset,
    };
  },
  contiguous: (x) => {
    if (!isRowMajor(x.sizes, x.strides)) throw new NeedsCopy();
    return x;
  },
  asStrided: (x, sizes, strides, offset) => {
    const made = { sizes, strides, offset: offset ?? x.offset };
    checkInStorage(x as Partial<Viewed>, made);
    return made;
  },
};

/** Throws when a view of a storage of known size would leave it. */
function checkInStorage({ elements, dtype }: Partial<Viewed>, view: Strided): void {
  if (elements === undefined || dtype === undefined) return;
  const needed = view.offset + extentOf(view);
  const width = dtypes[dtype].bytes;
  check(
    numel(view.sizes) === 0 || needed <= elements,
    () =>
      `setStorage: sizes [${view.sizes.join(', ')}], strides [${view.strides.join(', ')}], storage offset ${view.offset}, and itemsize ${width} requiring a storage size of ${needed * width} are out of bounds for storage of size ${elements * width}`,
  );
}

/** Copies, as core operators. */
export const copiedViews = (b: CoreBuilder): ViewAlgebra<Value> => ({
  sizes: sizesOf,
  permute: (x, permutation) => b.transpose(x, permutation),
  slice: (x, dim, start, end, step) => sliceDim(b, x, dim, start, end, step),
  insert: (x, dim) => insertDim(b, x, dim),
  drop: (x, dim) => b.reshape(x, without(sizesOf(x), dim)),
  expand: (x, sizes) => b.broadcastTo(x, sizes),
  reshape: (x, sizes) => b.reshape(x, sizes),
  diagonal: (x, offset, dim1, dim2) => {
    const sizes = sizesOf(x);
    const [rows, columns] = [sizes[dim1], sizes[dim2]];
    const { row, column, length } = diagonalExtent(rows, columns, offset);
    const lead = range(sizes.length).filter((dim) => dim !== dim1 && dim !== dim2);
    const matrices = b.transpose(x, [...lead, dim1, dim2]);
    const flat = b.reshape(matrices, [...lead.map((dim) => sizes[dim]), rows * columns]);
    const start = row * columns + column;
    if (length === 0) return sliceDim(b, flat, lead.length, 0, 0);
    return sliceDim(b, flat, lead.length, start, start + (length - 1) * (columns + 1) + 1, columns + 1);
  },
  unfold: (x, dim, size, step) => {
    const rank = sizesOf(x).length;
    if (rank === 0) return b.broadcastTo(x, [size]);
    const count = Math.floor((sizesOf(x)[dim] - size) / step) + 1;
    const grid = [count, size];
    const starts = b.multiply(b.iota('int64', grid, 0), b.full(BigInt(step), 'int64', grid));
    const windows = takeSlices(b, x, b.add(starts, b.iota('int64', grid, 1)), dim);
    return b.transpose(windows, [...range(rank + 1).filter((each) => each !== dim + 1), dim + 1]);
  },
  contiguous: (x) => x,
  asStrided: (x, sizes, strides, offset) => {
    let index = b.full(BigInt(offset ?? 0), 'int64', sizes);
    for (const [dim, stride] of strides.entries()) {
      index = b.add(index, b.multiply(b.iota('int64', sizes, dim), b.full(BigInt(stride), 'int64', sizes)));
    }
    return takeSlices(b, b.reshape(x, [numel(sizesOf(x))]), index, 0);
  },
});

/** Registers view operators, each written over the algebra. */
export function viewOperators(table: Readonly<Record<string, ViewOperator>>): void {
  for (const [name, run] of Object.entries(table)) {
    const operator = run as <T>(v: ViewAlgebra<T>, x: T, ...args: LoweringArgument[]) => T | readonly T[];
    views({
      [name]: {
        view: (self: Strided, ...args: LoweringArgument[]) => {
          try {
            return operator(stridedViews, self, ...args);
          } catch (error) {
            if (error instanceof NeedsCopy) return null;
            throw error;
          }
        },
        lower: (b: CoreBuilder, self: Value, ...args: LoweringArgument[]) =>
          operator(copiedViews(b), self, ...args),
      },
    });
  }
}
