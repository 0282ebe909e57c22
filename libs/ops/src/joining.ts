// Making one tensor of several or of copies, and back: cat, stack, repeat, meshgrid, combinations, sequences.
import type { CoreBuilder, Value } from '@weft/ir';
import { zeroGradient } from './gradient-flow.ts';
import { numel } from '@weft/ir';
import { lowerings } from './operator.ts';
import { promoteTypes } from './promotion.ts';
import { broadcastAll, check, fail, range, rankOf, sizesOf, wrapDim } from './broadcast.ts';
import { dtypeOf } from './elementwise.ts';
import { insertDim, padDim, sliceDim } from './shapes.ts';
import { takeSlices } from './gathering.ts';
import type { ResultLayout } from './result-layout.ts';
import { layouts, resultStrides, suggestedByEvery } from './result-layout.ts';
import { contiguousStrides } from './strides.ts';

type Sizes = readonly number[];

const show = (sizes: Sizes): string => `[${sizes.join(', ')}]`;

export function cat(b: CoreBuilder, tensors: readonly Value[], dim: number): Value {
  check(tensors.length > 0, () => 'torch.cat(): expected a non-empty list of Tensors');
  // Tensors of shape [0] are skipped, whatever the rank of the others.
  const joined = tensors.filter((x) => !(rankOf(x) === 1 && sizesOf(x)[0] === 0));
  const dtype = tensors.map(dtypeOf).reduce(promoteTypes);
  if (joined.length === 0) return b.convert(tensors[0], dtype);
  const sizes = sizesOf(joined[0]);
  const axis = wrapDim(dim, sizes.length);
  for (const [index, tensor] of tensors.entries()) {
    check(rankOf(tensor) > 0, () => `zero-dimensional tensor (at position ${index}) cannot be concatenated`);
    if (!joined.includes(tensor)) continue;
    const other = sizesOf(tensor);
    check(
      other.length === sizes.length,
      () => `Tensors must have same number of dimensions: got ${sizes.length} and ${other.length}`,
    );
    for (const [each, size] of other.entries()) {
      if (each === axis || size === sizes[each]) continue;
      fail(
        `Sizes of tensors must match except in dimension ${axis}. Expected size ${sizes[each]} but got size ${size} for tensor number ${index} in the list.`,
      );
    }
  }
  const result = b.concatenate(
    joined.map((x) => b.convert(x, dtype)),
    axis,
  );
  const skipped = tensors.filter((x) => !joined.includes(x));
  return skipped.length === 0 ? result : zeroGradient(b, result, ...skipped);
}

export function stack(b: CoreBuilder, tensors: readonly Value[], dim: number): Value {
  check(tensors.length > 0, () => 'stack expects a non-empty TensorList');
  const sizes = sizesOf(tensors[0]);
  for (const [index, tensor] of tensors.entries()) {
    check(
      show(sizesOf(tensor)) === show(sizes),
      () =>
        `stack expects each tensor to be equal size, but got ${show(sizes)} at entry 0 and ${show(sizesOf(tensor))} at entry ${index}`,
    );
  }
  const axis = wrapDim(dim, sizes.length + 1);
  const dtype = tensors.map(dtypeOf).reduce(promoteTypes);
  return b.concatenate(
    tensors.map((x) => insertDim(b, b.convert(x, dtype), axis)),
    axis,
  );
}

/** As a tensor of at least `rank` dimensions, as atleast_1d, atleast_2d and atleast_3d place the new ones. */
export const reshaped = (b: CoreBuilder, x: Value, rank: number): Value => {
  const sizes = sizesOf(x);
  if (sizes.length >= rank) return x;
  if (sizes.length === 0)
    return b.reshape(
      x,
      range(rank).map(() => 1),
    );
  if (rank === 2) return b.reshape(x, [1, ...sizes]);
  return b.reshape(x, sizes.length === 1 ? [1, sizes[0], 1] : [...sizes, 1]);
};

function repeat(b: CoreBuilder, self: Value, repeats: Sizes): Value {
  const sizes = sizesOf(self);
  check(
    repeats.length >= sizes.length,
    () => 'Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor',
  );
  const full = [...range(repeats.length - sizes.length).map(() => 1), ...sizes];
  // Each dimension n becomes (r, n), then both are joined.
  const interleaved = full.flatMap((size, dim) => [repeats[dim], size]);
  const spread = b.broadcastInDim(
    b.reshape(self, full),
    interleaved,
    full.map((_, dim) => 2 * dim + 1),
  );
  return b.reshape(
    spread,
    full.map((size, dim) => size * repeats[dim]),
  );
}

function meshgrid(b: CoreBuilder, tensors: readonly Value[], indexing: string): Value[] {
  check(tensors.length > 0, () => 'meshgrid expects a non-empty TensorList');
  const swap = indexing === 'xy' && tensors.length >= 2;
  const order = swap ? [tensors[1], tensors[0], ...tensors.slice(2)] : tensors;
  const sizes = order.map((x) => numel(sizesOf(x)));
  const grids = order.map((x, dim) => b.broadcastInDim(b.reshape(x, [sizes[dim]]), sizes, [dim]));
  if (!swap) return grids;
  return [grids[1], grids[0], ...grids.slice(2)];
}

/** Each element `times` times, one beside the other. */
function repeatInterleave(b: CoreBuilder, self: Value, times: number, dim: number | null): Value {
  const x = dim === null ? b.reshape(self, [numel(sizesOf(self))]) : self;
  const axis = wrapDim(dim ?? 0, rankOf(x));
  check(times >= 0, () => 'repeats can not be negative');
  const sizes = sizesOf(x).length === 0 ? [1] : sizesOf(x);
  const wide = [...sizes.slice(0, axis + 1), times, ...sizes.slice(axis + 1)];
  const spread = b.broadcastInDim(
    b.reshape(x, sizes),
    wide,
    range(wide.length).filter((each) => each !== axis + 1),
  );
  return b.reshape(
    spread,
    sizes.map((size, each) => (each === axis ? size * times : size)),
  );
}

function cartesianProduct(b: CoreBuilder, tensors: readonly Value[]): Value {
  for (const x of tensors)
    check(rankOf(x) === 1, () => `Expect a 1D vector, but got shape ${show(sizesOf(x))}`);
  if (tensors.length === 1) return tensors[0];
  const grids = meshgrid(b, tensors, 'ij').map((x) => b.reshape(x, [numel(sizesOf(x))]));
  return stack(b, grids, 1);
}

/** Positions of each combination (in lexical order) are known from the size alone. */
function combinations(b: CoreBuilder, self: Value, r: number, replacement: boolean): Value {
  check(rankOf(self) === 1, () => `Expect a 1D vector, but got shape ${show(sizesOf(self))}`);
  check(r >= 0, () => `Expect a non-negative number, but got ${r}`);
  const rows: number[][] = [];
  const extend = (row: number[], from: number): void => {
    if (row.length === r) {
      rows.push(row);
      return;
    }
    for (let at = from; at < sizesOf(self)[0]; at++) extend([...row, at], replacement ? at : at + 1);
  };
  if (r === 0) return b.full(0, dtypeOf(self), [0]);
  extend([], 0);
  if (rows.length === 0) return b.full(0, dtypeOf(self), [0, r]);
  const index = b.concatenate(
    rows.flat().map((at) => b.full(BigInt(at), 'int64', [1])),
    0,
  );
  return b.reshape(takeSlices(b, self, index, 0), [rows.length, r]);
}

function padSequence(b: CoreBuilder, sequences: readonly Value[], batchFirst: boolean, value: number): Value {
  const longest = Math.max(...sequences.map((x) => sizesOf(x)[0]));
  const padded = sequences.map((x) => padDim(b, x, b.full(value, dtypeOf(x)), 0, 0, longest - sizesOf(x)[0]));
  return stack(b, padded, batchFirst ? 0 : 1);
}

const joinAlong =
  (rank: number, dim: (x: Value) => number) =>
  (b: CoreBuilder, tensors: readonly Value[]): Value => {
    const each = tensors.map((x) => reshaped(b, x, rank));
    return cat(b, each, dim(each[0]));
  };

lowerings({
  'aten::cat': cat,
  'aten::concat': cat,
  'aten::concatenate': cat,
  'aten::stack': stack,
  'aten::_stack': stack,
  'aten::hstack': joinAlong(1, (x) => (rankOf(x) === 1 ? 0 : 1)),
  'aten::vstack': joinAlong(2, () => 0),
  'aten::row_stack': joinAlong(2, () => 0),
  'aten::dstack': joinAlong(3, () => 2),
  'aten::column_stack': (b, tensors: readonly Value[]) =>
    cat(
      b,
      tensors.map((x) => (rankOf(x) <= 1 ? b.reshape(x, [numel(sizesOf(x)), 1]) : x)),
      1,
    ),
  'aten::repeat': repeat,
  'aten::tile': (b, self: Value, dims: Sizes) =>
    repeat(b, self, [...range(Math.max(rankOf(self) - dims.length, 0)).map(() => 1), ...dims]),
  'aten::repeat_interleave.self_int': repeatInterleave,
  'aten::meshgrid': (b, tensors: readonly Value[]) => meshgrid(b, tensors, 'ij'),
  'aten::meshgrid.indexing': meshgrid,
  'aten::broadcast_tensors': (b, tensors: readonly Value[]) => broadcastAll(b, ...tensors),
  'aten::cartesian_prod': cartesianProduct,
  'aten::combinations': combinations,
  'aten::pad_sequence': padSequence,
  'aten::unflatten_dense_tensors': (b, flat: Value, tensors: readonly Value[]) => {
    let start = 0;
    return tensors.map((x) => {
      const count = numel(sizesOf(x));
      const piece = sliceDim(b, flat, 0, start, start + count);
      start += count;
      return b.reshape(piece, sizesOf(x));
    });
  },
  'aten::flatten_dense_tensors': (b, tensors: readonly Value[]) =>
    b.concatenate(
      tensors.map((x) => b.reshape(x, [numel(sizesOf(x))])),
      0,
    ),
});

/** Tensors are joined along the new dimension, which is then split off. */
const stackLayout: ResultLayout = {
  kind: 'strides',
  follows: true,
  strides: (site, sizes) => {
    const axis = wrapDim(Number(site.args[1]), sizes.length);
    if (axis === sizes.length - 1) return contiguousStrides(sizes);
    const joined = [...sizes.slice(0, axis), sizes[axis] * sizes[axis + 1], ...sizes.slice(axis + 2)];
    const strides = resultStrides(suggestedByEvery(0), site, joined);
    return [...strides.slice(0, axis), strides[axis] * sizes[axis + 1], ...strides.slice(axis)];
  },
};

layouts({
  'aten::cat': suggestedByEvery(0),
  'aten::concat': suggestedByEvery(0),
  'aten::concatenate': suggestedByEvery(0),
  'aten::stack': stackLayout,
  'aten::_stack': stackLayout,
});
