// The ways operators read and write elements by index, in terms of the core gather and scatter.
import type { CoreBuilder, Region, Value } from '@weft/ir';
import { withSize, range, rankOf, sizesOf } from './broadcast.ts';
import { is, like } from './elementwise.ts';

/** How an element and its update combine. */
export type Combine = 'replace' | 'add' | 'multiply' | 'maximum' | 'minimum';

const regions: Readonly<Record<Combine, Region>> = {
  replace: (_b, _old, update) => [update],
  add: (b, old, update) => [b.add(old, update)],
  multiply: (b, old, update) => [b.multiply(old, update)],
  maximum: (b, old, update) => [b.maximum(old, update)],
  minimum: (b, old, update) => [b.minimum(old, update)],
};

const others = (rank: number, dim: number): number[] => range(rank).filter((each) => each !== dim);

/**
 * `result[i][j][k] = x[index[i][j][k]][j][k]` for dim 0, and so on: aten::gather. In the other dimensions `index` may be
 * smaller than `x`.
 */
export function takeAlong(b: CoreBuilder, x: Value, index: Value, dim: number): Value {
  const sizes = sizesOf(x);
  const shape = sizesOf(index);
  const rank = sizes.length;
  if (rank === 0) return b.broadcastTo(x, shape);
  const limit = sizes.map((size, each) => (each === dim ? size : shape[each]));
  const operand = limit.some((size, each) => size !== sizes[each])
    ? b.slice(
        x,
        sizes.map(() => 0),
        limit,
      )
    : x;
  return b.gather(operand, index, {
    offsetDims: [],
    collapsedSliceDims: [dim],
    operandBatchingDims: others(rank, dim),
    startIndicesBatchingDims: others(rank, dim),
    startIndexMap: [dim],
    indexVectorDim: rank,
    sliceSizes: sizes.map(() => 1),
  });
}

/** The inverse: writes `updates` (of the shape of `index`) into `x` along a dimension. */
export function putAlong(
  b: CoreBuilder,
  x: Value,
  index: Value,
  updates: Value,
  dim: number,
  combine: Combine,
): Value {
  const sizes = sizesOf(x);
  const shape = sizesOf(index);
  const rank = sizes.length;
  if (rank === 0)
    return b.reshape(
      putAlong(b, b.reshape(x, [1]), b.reshape(index, [1]), b.reshape(updates, [1]), 0, combine),
      [],
    );
  // Batching dimensions are as large as the operand: the coordinates of a smaller index are spelled out instead.
  if (others(rank, dim).some((each) => sizes[each] !== shape[each])) {
    const coordinates = range(rank).map((each) =>
      b.reshape(each === dim ? b.convert(index, 'int64') : b.iota('int64', shape, each), [...shape, 1]),
    );
    return b.scatter(
      x,
      b.concatenate(coordinates, rank),
      updates,
      {
        updateWindowDims: [],
        insertedWindowDims: range(rank),
        scatterDimsToOperandDims: range(rank),
        indexVectorDim: rank,
      },
      regions[combine],
    );
  }
  return b.scatter(
    x,
    index,
    updates,
    {
      updateWindowDims: [],
      insertedWindowDims: [dim],
      inputBatchingDims: others(rank, dim),
      scatterIndicesBatchingDims: others(rank, dim),
      scatterDimsToOperandDims: [dim],
      indexVectorDim: rank,
    },
    regions[combine],
  );
}

/** Whole slices by index along a dimension: the index's shape takes the place of that dimension. */
export function takeSlices(b: CoreBuilder, x: Value, index: Value, dim: number): Value {
  const sizes = sizesOf(x);
  const indexRank = rankOf(index);
  return b.gather(x, index, {
    offsetDims: range(sizes.length - 1).map((each) => (each < dim ? each : each + indexRank)),
    collapsedSliceDims: [dim],
    startIndexMap: [dim],
    indexVectorDim: indexRank,
    sliceSizes: withSize(sizes, dim, 1),
  });
}

/** Writes slices: `updates` has the shape that takeSlices gives. */
export function putSlices(
  b: CoreBuilder,
  x: Value,
  index: Value,
  updates: Value,
  dim: number,
  combine: Combine,
): Value {
  const indexRank = rankOf(index);
  return b.scatter(
    x,
    index,
    updates,
    {
      updateWindowDims: range(rankOf(x) - 1).map((each) => (each < dim ? each : each + indexRank)),
      insertedWindowDims: [dim],
      scatterDimsToOperandDims: [dim],
      indexVectorDim: indexRank,
    },
    regions[combine],
  );
}

/**
 * `x[i0, i1, …]` on the leading dimensions: `indices` are equally shaped; the result has their shape, then the
 * remaining dimensions of `x`.
 */
export function takePoints(b: CoreBuilder, x: Value, indices: readonly Value[]): Value {
  const sizes = sizesOf(x);
  const { coordinates, rank } = stackIndices(b, indices);
  return b.gather(x, coordinates, {
    offsetDims: range(sizes.length - indices.length, rank),
    collapsedSliceDims: range(indices.length),
    startIndexMap: range(indices.length),
    indexVectorDim: rank,
    sliceSizes: sizes.map((size, dim) => (dim < indices.length ? 1 : size)),
  });
}

export function putPoints(
  b: CoreBuilder,
  x: Value,
  indices: readonly Value[],
  updates: Value,
  combine: Combine,
): Value {
  const { coordinates, rank } = stackIndices(b, indices);
  return b.scatter(
    x,
    coordinates,
    updates,
    {
      updateWindowDims: range(rankOf(x) - indices.length, rank),
      insertedWindowDims: range(indices.length),
      scatterDimsToOperandDims: range(indices.length),
      indexVectorDim: rank,
    },
    regions[combine],
  );
}

function stackIndices(b: CoreBuilder, indices: readonly Value[]): { coordinates: Value; rank: number } {
  const shape = sizesOf(indices[0]);
  const columns = indices.map((index) => b.reshape(b.convert(index, 'int64'), [...shape, 1]));
  return { coordinates: b.concatenate(columns, shape.length), rank: shape.length };
}

/** Negative indices counted from the end, as Python and aten::index have them. */
export function wrapIndex(b: CoreBuilder, index: Value, size: number): Value {
  const wide = b.convert(index, 'int64');
  return b.select(is(b, wide, 'LT', 0), b.add(wide, like(b, wide, BigInt(size))), wide);
}
