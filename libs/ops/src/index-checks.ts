// What only the data of an index can tell: whether it is out of range.
import type { TensorLike, TensorLiteral } from '@weft/ir';
import { isInteger, numel } from '@weft/ir';
import type { ReadTensor } from './operator.ts';
import { dataChecks } from './operator.ts';
import { fail, wrapDim } from './broadcast.ts';
import { integersOf } from './literal.ts';

/** Throws PyTorch's error when an index does not fit a dimension. */
const within =
  (message: (index: bigint, dim: number, size: number) => string, negative: boolean) =>
  (index: TensorLiteral, dim: number, size: number): void => {
    // Other dtypes are refused by the lowering, in PyTorch's words.
    if (!isInteger(index.dtype)) return;
    for (const at of integersOf(index)) {
      if (at >= BigInt(size) || at < (negative ? BigInt(-size) : 0n)) fail(message(at, dim, size));
    }
  };
const outOfBounds = (at: bigint, dim: number, size: number): string =>
  `index ${at} is out of bounds for dimension ${dim} with size ${size}`;
const signedIndex = within(outOfBounds, true);
const unsignedIndex = within(outOfBounds, false);
const rowIndex = within(() => 'index out of range in self', false);

const checkAlong = (read: ReadTensor, self: TensorLike, dim: number, at: TensorLike): void => {
  const axis = wrapDim(dim, self.shape.length);
  unsignedIndex(read(at), axis, self.shape[axis] ?? 1);
};
const checkTensors = (read: ReadTensor, self: TensorLike, indices: readonly (TensorLike | null)[]): void => {
  for (const [dim, at] of indices.entries()) {
    if (at?.dtype === 'int64') signedIndex(read(at), dim, self.shape[dim]);
  }
};
const checkRows = (read: ReadTensor, self: TensorLike, dim: number, at: TensorLike): void =>
  rowIndex(read(at), 0, self.shape[wrapDim(dim, self.shape.length)] ?? 1);

dataChecks({
  'aten::index.Tensor': checkTensors,
  'aten::index.Tensor_hacked_twin': checkTensors,
  'aten::index_put': checkTensors,
  'aten::index_put.hacked_twin': checkTensors,
  'aten::gather': checkAlong,
  'aten::scatter.src': checkAlong,
  'aten::scatter.value': checkAlong,
  'aten::scatter.reduce': checkAlong,
  'aten::scatter.value_reduce': checkAlong,
  'aten::scatter_add': checkAlong,
  'aten::scatter_reduce.two': checkAlong,
  'aten::index_select': checkRows,
  'aten::index_add': checkRows,
  'aten::index_copy': checkAlong,
  'aten::embedding': (read, weight: TensorLike, at: TensorLike) => rowIndex(read(at), 0, weight.shape[0]),
  'aten::take': (read, self: TensorLike, at: TensorLike) => {
    const size = numel(self.shape);
    for (const each of integersOf(read(at))) {
      if (each >= BigInt(size) || each < BigInt(-size)) {
        fail(`out of range: tried to access index ${each} on a tensor of ${size} elements.`);
      }
    }
  },
});
