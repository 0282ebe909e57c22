// Diagonals and triangles: tril, diag, diag_embed, trace, block_diag.
import type { CoreBuilder, Value } from '@weft/ir';
import { numel } from '@weft/ir';
import { lowerings } from './operator.ts';
import { promoteTypes } from './promotion.ts';
import { check, range, rankOf, sizesOf, wrapDim } from './broadcast.ts';
import { dtypeOf, like } from './elementwise.ts';
import { reshaped } from './joining.ts';
import { padDim, sliceDim } from './shapes.ts';

/** Where column - row is at most (least) the diagonal's number. */
export function triangle(b: CoreBuilder, self: Value, diagonal: number, lower: boolean): Value {
  const sizes = sizesOf(self);
  check(sizes.length >= 2, () => `${lower ? 'tril' : 'triu'}: input tensor must have at least 2 dimensions`);
  const rows = b.iota('int64', sizes, sizes.length - 2);
  const columns = b.iota('int64', sizes, sizes.length - 1);
  const edge = b.add(rows, like(b, rows, BigInt(diagonal)));
  return b.select(b.compare(columns, edge, lower ? 'LE' : 'GE'), self, like(b, self, 0));
}

/** A matrix with the last dimension on a diagonal. */
function diagEmbed(b: CoreBuilder, self: Value, offset: number, dim1: number, dim2: number): Value {
  const sizes = sizesOf(self);
  const rank = sizes.length + 1;
  const [first, second] = [wrapDim(dim1, rank), wrapDim(dim2, rank)];
  check(first !== second, () => `diagonal dimensions cannot be identical ${dim1}, ${dim2}`);
  const length = sizes[sizes.length - 1];
  const size = length + Math.abs(offset);
  // Each element followed by `size` zeros: element i then stands at i * (size + 1).
  const lead = sizes.slice(0, -1);
  const zero = b.full(0, dtypeOf(self));
  const interior = b.pad(
    self,
    zero,
    sizes.map(() => 0),
    sizes.map(() => 0),
    [...lead.map(() => 0), size],
  );
  const start = offset >= 0 ? offset : -offset * size;
  const width = sizesOf(interior)[sizes.length - 1];
  const flat = padDim(b, interior, zero, sizes.length - 1, start, size * size - start - width);
  const matrices = b.reshape(flat, [...lead, size, size]);
  const order = range(rank).filter((dim) => dim !== first && dim !== second);
  const permutation = range(rank).map((dim) =>
    dim === first ? rank - 2 : dim === second ? rank - 1 : order.indexOf(dim),
  );
  return b.transpose(matrices, permutation);
}

function diagonalOf(b: CoreBuilder, self: Value, offset: number): Value {
  const [rows, columns] = sizesOf(self);
  const length = Math.max(0, Math.min(rows + Math.min(offset, 0), columns - Math.max(offset, 0)));
  const start = Math.max(-offset, 0) * columns + Math.max(offset, 0);
  const flat = b.reshape(self, [rows * columns]);
  return length === 0
    ? sliceDim(b, flat, 0, 0, 0)
    : sliceDim(b, flat, 0, start, start + (length - 1) * (columns + 1) + 1, columns + 1);
}

function diag(b: CoreBuilder, self: Value, offset: number): Value {
  const rank = rankOf(self);
  check(rank === 1 || rank === 2, () => 'matrix or a vector expected');
  return rank === 1 ? diagEmbed(b, self, offset, -2, -1) : diagonalOf(b, self, offset);
}

function trace(b: CoreBuilder, self: Value): Value {
  check(rankOf(self) === 2, () => 'trace: expected a matrix');
  const diagonal = diagonalOf(b, self, 0);
  const integral = dtypeOf(self) === 'bool' || dtypeOf(self).startsWith('int') || dtypeOf(self) === 'uint8';
  return b.reduceSum(integral ? b.convert(diagonal, 'int64') : diagonal, [0]);
}

function blockDiag(b: CoreBuilder, tensors: readonly Value[]): Value {
  const dtype = tensors.map(dtypeOf).reduce(promoteTypes);
  const matrices = tensors.map((x) => reshaped(b, b.convert(x, dtype), 2));
  const width = matrices.reduce((total, x) => total + sizesOf(x)[1], 0);
  let left = 0;
  const rows = matrices.map((x) => {
    const row = padDim(b, x, b.full(0, dtype), 1, left, width - left - sizesOf(x)[1]);
    left += sizesOf(x)[1];
    return row;
  });
  return b.concatenate(rows, 0);
}

lowerings({
  'aten::tril': (b, self: Value, diagonal: number) => triangle(b, self, diagonal, true),
  'aten::triu': (b, self: Value, diagonal: number) => triangle(b, self, diagonal, false),
  'aten::diag': diag,
  'aten::diag_embed': diagEmbed,
  'aten::diagflat': (b, self: Value, offset: number) =>
    diagEmbed(b, b.reshape(self, [numel(sizesOf(self))]), offset, -2, -1),
  'aten::trace': trace,
  'aten::block_diag': blockDiag,
});
