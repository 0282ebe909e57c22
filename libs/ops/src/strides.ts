// Strides: where the elements of a strided tensor lie. Which layouts are row-major, dense or channels last, and the
// strides that PyTorch gives new tensors: in a memory format, or in the memory order of others.
import { numel } from '@weft/ir';
import { check, fail, range } from './broadcast.ts';

type Sizes = readonly number[];
/** Sizes and strides in elements. */
export interface Geometry {
  readonly sizes: Sizes;
  readonly strides: Sizes;
}

/** PyTorch's numbers of memory formats. */
export const memoryFormats = { contiguous: 0, preserve: 1, channelsLast: 2, channelsLast3d: 3 } as const;

/** Strides of dense memory in which `order` lists the dimensions from the outermost to the innermost. */
export function orderedStrides(sizes: Sizes, order: readonly number[]): number[] {
  const strides = new Array<number>(sizes.length);
  let step = 1;
  for (let at = order.length - 1; at >= 0; at--) {
    strides[order[at]] = step;
    step *= Math.max(sizes[order[at]], 1);
  }
  return strides;
}

/** Row-major strides. */
export function contiguousStrides(sizes: Sizes): number[] {
  const strides = new Array<number>(sizes.length);
  let step = 1;
  for (let dim = sizes.length - 1; dim >= 0; dim--) {
    strides[dim] = step;
    step *= Math.max(sizes[dim], 1);
  }
  return strides;
}

/** Batch, then places, then channels: the order of images and volumes in channels_last and channels_last_3d. */
const channelsLastOrder = (rank: number): number[] => [0, ...range(rank - 2, 2), 1];

export const channelsLastStrides = (sizes: Sizes): number[] =>
  orderedStrides(sizes, channelsLastOrder(sizes.length));

/** Row-major in each matrix of the last two dimensions' transposes: what LAPACK computes in. */
export function columnMajorStrides(sizes: Sizes): number[] {
  const rank = sizes.length;
  return rank < 2
    ? contiguousStrides(sizes)
    : orderedStrides(sizes, [...range(rank - 2), rank - 1, rank - 2]);
}

/** Whether the elements lie row-major without gaps (strides of dimensions of size 1 do not matter). */
export function isRowMajor(sizes: Sizes, strides: Sizes): boolean {
  let step = 1;
  let fits = true;
  for (let dim = sizes.length - 1; dim >= 0; dim--) {
    const size = sizes[dim];
    if (size === 0) return true;
    if (size !== 1) {
      fits &&= strides[dim] === step;
      step *= size;
    }
  }
  return fits;
}

/** Whether the strides are those of row-major memory, in dimensions of size 1 too. */
export function hasRowMajorStrides(sizes: Sizes, strides: Sizes): boolean {
  let step = 1;
  for (let dim = sizes.length - 1; dim >= 0; dim--) {
    if (strides[dim] !== step) return false;
    step *= Math.max(sizes[dim], 1);
  }
  return true;
}

/** Whether an image (4 dimensions) or volume (5) has its channels innermost and no gaps. */
export function isChannelsLast(sizes: Sizes, strides: Sizes, rank = sizes.length): boolean {
  if (sizes.length !== rank || (rank !== 4 && rank !== 5)) return false;
  let step = 1;
  for (const dim of channelsLastOrder(rank).reverse()) {
    if (sizes[dim] === 1) continue;
    if (strides[dim] !== step) return false;
    step *= sizes[dim];
  }
  return true;
}

/**
 * Whether the strides of an image or volume rise from the channels to the batch, gaps allowed: its `suggest_memory_format`
 * is channels last (is_channels_last_strides_2d_s4, which also says why ambiguous ones are not).
 */
export function suggestsChannelsLast(sizes: Sizes, strides: Sizes): boolean {
  const rank = sizes.length;
  if ((rank !== 4 && rank !== 5) || strides[1] === 0) return false;
  let least = 0;
  for (const dim of channelsLastOrder(rank).reverse()) {
    if (sizes[dim] === 0 || strides[dim] < least) return false;
    if (dim === 0 && least === strides[1]) return false;
    least = sizes[dim] > 1 ? strides[dim] * sizes[dim] : strides[dim];
  }
  return true;
}

/** Whether every element has its own place and there are no gaps, in any order (`is_non_overlapping_and_dense`). */
export function isDense(sizes: Sizes, strides: Sizes): boolean {
  if (isRowMajor(sizes, strides) || isChannelsLast(sizes, strides)) return true;
  const order = range(sizes.length).filter((dim) => sizes[dim] > 1);
  order.sort((a, b) => strides[a] - strides[b]);
  let step = 1;
  for (const dim of order) {
    if (strides[dim] !== step) return false;
    step *= sizes[dim];
  }
  return true;
}

/** Dimensions from the outermost in memory to the innermost (by stride, then by position). */
export function memoryOrder(sizes: Sizes, strides: Sizes): number[] {
  return range(sizes.length).sort((a, b) => strides[b] - strides[a] || a - b);
}

/**
 * The order of dimensions, innermost first, in which TensorIterator walks over operands: insertion sort from row-major by
 * `compare`, whose zero says that it cannot tell (TensorIteratorBase::reorder_dimensions).
 */
function sortedDimensions(rank: number, compare: (a: number, b: number) => number): number[] {
  const order = range(rank).reverse();
  for (let i = 1; i < rank; i++) {
    let moving = i;
    for (let at = i - 1; at >= 0; at--) {
      const comparison = compare(order[at], order[moving]);
      if (comparison < 0) break;
      if (comparison > 0) {
        [order[at], order[moving]] = [order[moving], order[at]];
        moving = at;
      }
    }
  }
  return order;
}

/** Dense strides in the memory order of others, which may have gaps or repeat (at::infer_dense_strides). */
function inferDenseStrides(sizes: Sizes, strides: Sizes): number[] {
  const order = sortedDimensions(sizes.length, (a, b) => {
    if (strides[a] === 0 || strides[b] === 0) return 0;
    return strides[a] - strides[b] || Number(sizes[a] > sizes[b]);
  });
  return orderedStrides(sizes, order.reverse());
}

/** Strides of a new tensor like one, in `preserve_format`: its own when it is dense, else in its memory order. */
export const preservedStrides = ({ sizes, strides }: Geometry): Sizes =>
  isDense(sizes, strides) ? strides : inferDenseStrides(sizes, strides);

/** Strides of `sizes` in the memory format that a tensor suggests: channels last, or row-major. */
export const suggestedStrides = (sizes: Sizes, like: Geometry): number[] =>
  sizes.length === like.sizes.length && suggestsChannelsLast(like.sizes, like.strides)
    ? channelsLastStrides(sizes)
    : contiguousStrides(sizes);

/**
 * Strides that TensorIterator gives a result of `sizes`, which its operands broadcast to: those of the operands when they
 * agree, else dense in the order in which the strides rise, the first operand that can tell deciding.
 */
export function iteratorStrides(sizes: Sizes, operands: readonly Geometry[]): Sizes {
  const rank = sizes.length;
  if (rank === 0) return [];
  const sameShape = operands.every(
    (each) => each.sizes.length === rank && each.sizes.every((size, dim) => size === sizes[dim]),
  );
  if (sameShape) {
    if (operands.every((each) => isRowMajor(each.sizes, each.strides))) return contiguousStrides(sizes);
    if (operands.every((each) => isChannelsLast(each.sizes, each.strides, 4)))
      return channelsLastStrides(sizes);
    const [first, ...others] = operands;
    const agree = others.every((each) => each.strides.every((stride, dim) => stride === first.strides[dim]));
    if (agree && isDense(first.sizes, first.strides)) return first.strides;
  }
  const aligned = operands.map((each) => {
    const lead = rank - each.sizes.length;
    return sizes.map((size, dim) =>
      dim < lead || (each.sizes[dim - lead] === 1 && size !== 1) ? 0 : each.strides[dim - lead],
    );
  });
  const order = sortedDimensions(rank, (a, b) => {
    for (const strides of aligned) {
      if (strides[a] === 0 || strides[b] === 0) continue;
      if (strides[a] !== strides[b]) return strides[a] - strides[b];
      if (sizes[a] > sizes[b]) return 1;
    }
    return 0;
  });
  if (order.every((dim, at) => dim === rank - 1 - at)) return contiguousStrides(sizes);
  // Unlike elsewhere a size of 0 makes strides of 0.
  const strides = new Array<number>(rank);
  let step = 1;
  for (const dim of order) {
    strides[dim] = step;
    step *= sizes[dim];
  }
  return strides;
}

/** Strides of `sizes` in a memory format; null is row-major. */
export function formatStrides(sizes: Sizes, format: number | null): number[] {
  switch (format) {
    case null:
    case memoryFormats.contiguous:
      return contiguousStrides(sizes);
    case memoryFormats.channelsLast:
      check(sizes.length === 4, () => 'required rank 4 tensor to use channels_last format');
      return channelsLastStrides(sizes);
    case memoryFormats.channelsLast3d:
      check(sizes.length === 5, () => 'required rank 5 tensor to use channels_last_3d format');
      return channelsLastStrides(sizes);
    default:
      return fail('unsupported memory format Preserve');
  }
}

/** Whether a tensor lies in a memory format; without elements it lies in the row-major one. */
export function isInFormat({ sizes, strides }: Geometry, format: number): boolean {
  if (format === memoryFormats.channelsLast) return isChannelsLast(sizes, strides, 4);
  if (format === memoryFormats.channelsLast3d) return isChannelsLast(sizes, strides, 5);
  return isRowMajor(sizes, strides);
}

/** Elements of storage between the first and one past the last element of a tensor. */
export function extentOf({ sizes, strides }: Geometry): number {
  if (numel(sizes) === 0) return 0;
  return sizes.reduce((total, size, dim) => total + (size - 1) * strides[dim], 1);
}
