// What only the data of an index can tell: whether it is out of range.
import type { TensorLike } from '@weft/ir';
import { isInteger, numel } from '@weft/ir';
import type { IndexRange } from './operator.ts';
import { indexRanges } from './operator.ts';
import { wrapDim } from './broadcast.ts';

/** One range, of an index whose dtype is an integer; others are refused by the lowering, in PyTorch's words. */
const range = (
  index: TensorLike,
  low: number,
  high: number,
  message: (at: bigint) => string,
): readonly IndexRange[] => (isInteger(index.dtype) ? [{ index, low, high, message }] : []);

const outOfBounds =
  (dim: number, size: number) =>
  (at: bigint): string =>
    `index ${at} is out of bounds for dimension ${dim} with size ${size}`;
const outOfRange = (): string => 'index out of range in self';

const along = (self: TensorLike, dim: number, at: TensorLike): readonly IndexRange[] => {
  const axis = wrapDim(dim, self.shape.length);
  const size = self.shape[axis] ?? 1;
  return range(at, 0, size, outOfBounds(axis, size));
};
const tensors = (self: TensorLike, indices: readonly (TensorLike | null)[]): readonly IndexRange[] =>
  indices.flatMap((at, dim) => {
    if (at?.dtype !== 'int64') return [];
    const size = self.shape[dim];
    return range(at, -size, size, outOfBounds(dim, size));
  });
const rows = (self: TensorLike, dim: number, at: TensorLike): readonly IndexRange[] =>
  range(at, 0, self.shape[wrapDim(dim, self.shape.length)] ?? 1, outOfRange);

indexRanges({
  'aten::index.Tensor': tensors,
  'aten::index.Tensor_hacked_twin': tensors,
  'aten::index_put': tensors,
  'aten::index_put.hacked_twin': tensors,
  'aten::gather': along,
  'aten::scatter.src': along,
  'aten::scatter.value': along,
  'aten::scatter.reduce': along,
  'aten::scatter.value_reduce': along,
  'aten::scatter_add': along,
  'aten::scatter_reduce.two': along,
  'aten::index_select': rows,
  'aten::index_add': rows,
  'aten::index_copy': along,
  'aten::embedding': (weight: TensorLike, at: TensorLike) => range(at, 0, weight.shape[0], outOfRange),
  'aten::take': (self: TensorLike, at: TensorLike) => {
    const size = numel(self.shape);
    return range(
      at,
      -size,
      size,
      (each) => `out of range: tried to access index ${each} on a tensor of ${size} elements.`,
    );
  },
});
