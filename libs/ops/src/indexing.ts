// Reading and writing elements by index: index with every form, index_put, gather, scatter, index_select,
// masked_fill. Boolean masks, whose results depend on data, are in data-dependent.ts.
import type { CoreBuilder, Value } from '@weft/ir';
import { numel } from '@weft/ir';
import type { Scalar } from './operator.ts';
import { lowerings } from './operator.ts';
import { printName } from './promotion.ts';
import {
  broadcastAll,
  broadcastShapes,
  check,
  fail,
  range,
  rankOf,
  sizesOf,
  wrapDim,
  withSize,
} from './broadcast.ts';
import { dtypeOf, is, like, scalarOf } from './elementwise.ts';
import { insertDim } from './shapes.ts';
import type { Combine } from './gathering.ts';
import { putAlong, putPoints, putSlices, takeAlong, takePoints, takeSlices, wrapIndex } from './gathering.ts';
import { layouts, likeArgument } from './result-layout.ts';
import { indexedLayout } from './index-layout.ts';

type Sizes = readonly number[];
const show = (sizes: Sizes): string => `[${sizes.join(', ')}]`;

/** The operand with indexed dimensions first, the indices broadcast, and how to put the result's dimensions in order. */
interface IndexPlan {
  readonly operand: Value;
  readonly permutation: readonly number[];
  readonly indices: readonly Value[];
  /** Where the index's dimensions go in the result. */
  readonly position: number;
  readonly indexRank: number;
}

function planIndex(b: CoreBuilder, self: Value, indices: readonly (Value | null)[]): IndexPlan {
  const sizes = sizesOf(self);
  check(
    indices.length <= sizes.length,
    () => `too many indices for tensor of dimension ${sizes.length} (got ${indices.length})`,
  );
  const given = indices.flatMap((index, dim) => (index === null ? [] : [{ index, dim }]));
  for (const { index } of given) {
    const kind = dtypeOf(index);
    check(
      kind === 'int64' || kind === 'bool' || kind === 'uint8',
      () => 'tensors used as indices must be long, byte or bool tensors',
    );
  }
  let shape: number[];
  try {
    shape = broadcastShapes(...given.map(({ index }) => sizesOf(index)));
  } catch {
    fail(
      `shape mismatch: indexing tensors could not be broadcast together with shapes ${given.map(({ index }) => show(sizesOf(index))).join(', ')}`,
    );
  }
  const dims = given.map(({ dim }) => dim);
  const rest = range(sizes.length).filter((dim) => !dims.includes(dim));
  const adjacent = dims.every((dim, at) => at === 0 || dim === dims[at - 1] + 1);
  return {
    operand: b.transpose(self, [...dims, ...rest]),
    permutation: [...dims, ...rest],
    indices: given.map(({ index, dim }) => wrapIndex(b, b.broadcastTo(index, shape), sizes[dim])),
    position: adjacent ? dims[0] : 0,
    indexRank: shape.length,
  };
}

/** Moves `count` leading dimensions behind the next `position` ones. */
const leadTo = (rank: number, count: number, position: number): number[] => [
  ...range(position, count),
  ...range(count),
  ...range(rank - count - position, count + position),
];
const inverse = (permutation: Sizes): number[] =>
  range(permutation.length).map((dim) => permutation.indexOf(dim));

/** `self[indices]` with integer tensors and None. */
export function index(b: CoreBuilder, self: Value, indices: readonly (Value | null)[]): Value {
  if (indices.every((each) => each === null)) return self;
  const plan = planIndex(b, self, indices);
  const taken = takePoints(b, plan.operand, plan.indices);
  return b.transpose(taken, leadTo(rankOf(taken), plan.indexRank, plan.position));
}

export function indexPut(
  b: CoreBuilder,
  self: Value,
  indices: readonly (Value | null)[],
  values: Value,
  accumulate: boolean,
): Value {
  check(
    dtypeOf(values) === dtypeOf(self),
    () =>
      `Index put requires the source and destination dtypes match, got ${printName(dtypeOf(self))} for the destination and ${printName(dtypeOf(values))} for the source.`,
  );
  if (indices.every((each) => each === null)) {
    const all = b.broadcastTo(values, sizesOf(self));
    return accumulate ? b.add(self, all) : all;
  }
  const plan = planIndex(b, self, indices);
  const count = plan.indices.length;
  const shape = sizesOf(plan.indices[0]);
  const rest = sizesOf(plan.operand).slice(count);
  const order = leadTo(shape.length + rest.length, plan.indexRank, plan.position);
  const resultSizes = order.map((dim) => [...shape, ...rest][dim]);
  const fits =
    rankOf(values) <= resultSizes.length &&
    sizesOf(values).every(
      (size, dim) => size === 1 || size === resultSizes[dim + resultSizes.length - rankOf(values)],
    );
  if (!fits) {
    fail(
      `shape mismatch: value tensor of shape ${show(sizesOf(values))} cannot be broadcast to indexing result of shape ${show(resultSizes)}`,
    );
  }
  const updates = b.transpose(b.broadcastTo(values, resultSizes), inverse(order));
  const written = putPoints(b, plan.operand, plan.indices, updates, accumulate ? 'add' : 'replace');
  return b.transpose(written, inverse(plan.permutation));
}

function checkIndexType(name: string, index: Value): void {
  check(
    dtypeOf(index) === 'int64' || dtypeOf(index) === 'int32',
    () => `${name}(): Expected dtype int32 or int64 for index`,
  );
}

export function indexSelect(b: CoreBuilder, self: Value, dim: number, index: Value): Value {
  checkIndexType('index_select', index);
  check(rankOf(index) <= 1, () => 'index_select(): Index is supposed to be a vector');
  const axis = wrapDim(dim, rankOf(self));
  if (rankOf(self) === 0) return self;
  return takeSlices(b, self, rankOf(index) === 0 ? b.reshape(index, [1]) : index, axis);
}

function gather(b: CoreBuilder, self: Value, dim: number, index: Value): Value {
  check(dtypeOf(index) === 'int64', () => 'gather(): Expected dtype int64 for index');
  const axis = wrapDim(dim, rankOf(self));
  check(
    rankOf(index) === rankOf(self) || rankOf(self) === 0 || rankOf(index) === 0,
    () => 'Index tensor must have the same number of dimensions as input tensor',
  );
  for (const [each, size] of sizesOf(index).entries()) {
    check(
      each === axis || size <= (sizesOf(self)[each] ?? 1),
      () =>
        `Size does not match at dimension ${each} expected index ${show(sizesOf(index))} to be smaller than self ${show(sizesOf(self))} apart from dimension ${axis}`,
    );
  }
  if (numel(sizesOf(index)) === 0) return b.full(0, dtypeOf(self), sizesOf(index));
  if (rankOf(self) > 0 && rankOf(index) === 0)
    return b.reshape(
      takeAlong(
        b,
        self,
        b.reshape(
          index,
          sizesOf(self).map(() => 1),
        ),
        axis,
      ),
      [],
    );
  return takeAlong(b, self, index, axis);
}

/** scatter of a tensor or a number. */
function scatter(
  b: CoreBuilder,
  self: Value,
  dim: number,
  index: Value,
  source: Value | Scalar,
  combine: Combine,
): Value {
  check(dtypeOf(index) === 'int64', () => 'scatter(): Expected dtype int64 for index');
  const axis = wrapDim(dim, rankOf(self));
  const shape = sizesOf(index);
  if (numel(shape) === 0) return self;
  const isTensor = typeof source === 'object' && 'type' in source;
  if (isTensor) {
    check(dtypeOf(source) === dtypeOf(self), () => 'scatter(): Expected self.dtype to be equal to src.dtype');
  }
  for (const [each, size] of shape.entries()) {
    check(
      (each === axis || size <= (sizesOf(self)[each] ?? 1)) &&
        (!isTensor || size <= (sizesOf(source)[each] ?? 1)),
      () =>
        `Expected index ${show(shape)} to be smaller than self ${show(sizesOf(self))} apart from dimension ${axis}${isTensor ? ` and to be smaller size than src ${show(sizesOf(source))}` : ''}`,
    );
  }
  const updates = isTensor
    ? rankOf(source) === 0
      ? source
      : b.slice(
          source,
          shape.map(() => 0),
          shape,
        )
    : scalarOf(b, source, dtypeOf(self), shape);
  return putAlong(b, self, index, updates, axis, combine);
}

const reductions: Readonly<Record<string, Combine>> = { add: 'add', multiply: 'multiply' };
function reductionOf(name: string): Combine {
  return reductions[name] ?? fail('reduce argument must be either add or multiply.');
}

/** sum, prod, mean, amax, amin of the sources that fall on one element. */
function scatterReduce(
  b: CoreBuilder,
  self: Value,
  dim: number,
  index: Value,
  source: Value,
  reduce: string,
  includeSelf: boolean,
): Value {
  const combines: Readonly<Record<string, Combine>> = {
    sum: 'add',
    prod: 'multiply',
    mean: 'add',
    amax: 'maximum',
    amin: 'minimum',
  };
  const combine = combines[reduce];
  if (combine === undefined)
    fail(`reduce argument must be either sum, prod, mean, amax or amin, got ${reduce}`);
  const ones = like(b, source, 1);
  const touched = scatter(b, like(b, self, 0), dim, index, ones, 'add');
  const hit = is(b, touched, 'GT', 0);
  const start: Record<string, Scalar> = { sum: 0, prod: 1, mean: 0, amax: -Infinity, amin: Infinity };
  const initial = includeSelf ? self : b.select(hit, startOf(b, self, start[reduce], reduce), self);
  const combined = scatter(b, initial, dim, index, source, combine);
  if (reduce !== 'mean') return combined;
  const count = includeSelf ? b.add(touched, like(b, touched, 1)) : b.maximum(touched, like(b, touched, 1));
  if (dtypeOf(combined).startsWith('float') || dtypeOf(combined) === 'bfloat16')
    return b.divide(combined, count);
  return b.convert(
    b.floor(b.divide(b.convert(combined, 'float64'), b.convert(count, 'float64'))),
    dtypeOf(self),
  );
}

function startOf(b: CoreBuilder, self: Value, value: Scalar, reduce: string): Value {
  if (Number.isFinite(Number(value)) || dtypeOf(self).startsWith('float') || dtypeOf(self) === 'bfloat16')
    return like(b, self, value);
  return b.broadcastTo(
    reduce === 'amax'
      ? b.reduceMax(b.full(0, dtypeOf(self), [0]), [0])
      : b.reduceMin(b.full(0, dtypeOf(self), [0]), [0]),
    sizesOf(self),
  );
}

function indexAdd(
  b: CoreBuilder,
  self: Value,
  dim: number,
  index: Value,
  source: Value,
  alpha: Scalar,
): Value {
  checkIndexType('index_add_', index);
  check(
    dtypeOf(self) === dtypeOf(source),
    () => 'index_add_(): self and source must have the same scalar type',
  );
  const axis = wrapDim(dim, rankOf(self));
  const updates = Number(alpha) === 1 ? source : b.multiply(source, like(b, source, alpha));
  if (rankOf(self) === 0) return b.add(self, b.reshape(updates, []));
  return putSlices(
    b,
    self,
    b.reshape(index, [numel(sizesOf(index))]),
    asSlices(b, updates, rankOf(self)),
    axis,
    'add',
  );
}

/** A zero-dimensional source stands for one slice. */
const asSlices = (b: CoreBuilder, source: Value, rank: number): Value =>
  rankOf(source) === 0 && rank === 1 ? b.reshape(source, [1]) : source;

function indexCopy(b: CoreBuilder, self: Value, dim: number, index: Value, source: Value): Value {
  check(
    dtypeOf(index) === 'int64',
    () => `index_copy_(): Expected a long tensor for index, but got ${printName(dtypeOf(index))}`,
  );
  check(
    dtypeOf(self) === dtypeOf(source),
    () =>
      `index_copy_(): self and source expected to have the same dtype, but got (self) ${printName(dtypeOf(self))} and (source) ${printName(dtypeOf(source))}`,
  );
  const axis = wrapDim(dim, rankOf(self));
  if (rankOf(self) === 0) return b.reshape(source, []);
  const flat = b.reshape(index, [numel(sizesOf(index))]);
  return putSlices(b, self, flat, asSlices(b, source, rankOf(self)), axis, 'replace');
}

function indexFill(b: CoreBuilder, self: Value, dim: number, index: Value, value: Value | Scalar): Value {
  check(dtypeOf(index) === 'int64', () => 'index_fill_(): Expected dtype int64 for index.');
  const axis = wrapDim(dim, rankOf(self));
  const flat = b.reshape(index, [numel(sizesOf(index))]);
  const filler =
    typeof value === 'object' && 'type' in value
      ? b.convert(value, dtypeOf(self))
      : scalarOf(b, value, dtypeOf(self));
  if (rankOf(self) === 0) return filler;
  const wrapped = wrapIndex(b, flat, sizesOf(self)[axis]);
  const sizes = withSize(sizesOf(self), axis, sizesOf(flat)[0]);
  return putSlices(b, self, wrapped, b.broadcastTo(filler, sizes), axis, 'replace');
}

function maskedFill(b: CoreBuilder, self: Value, mask: Value, value: Value | Scalar): Value {
  check(
    dtypeOf(mask) === 'bool' || dtypeOf(mask) === 'uint8',
    () =>
      `expected self and mask to be on the same device and mask to be boolean, but got mask with dtype ${dtypeOf(mask)}`,
  );
  const isTensor = typeof value === 'object' && 'type' in value;
  if (isTensor) {
    check(
      rankOf(value) === 0,
      () =>
        `masked_fill only supports a 0-dimensional value tensor, but got tensor with ${rankOf(value)} dimension(s).`,
    );
  }
  const [x, where] = broadcastAll(b, self, b.convert(mask, 'bool'));
  const filler = isTensor ? b.convert(value, dtypeOf(self)) : scalarOf(b, value, dtypeOf(self));
  return b.select(where, b.broadcastTo(filler, sizesOf(x)), x);
}

function take(b: CoreBuilder, self: Value, index: Value): Value {
  check(
    dtypeOf(index) === 'int64',
    () => `take(): Expected a long tensor for index, but got ${printName(dtypeOf(index))}`,
  );
  const count = numel(sizesOf(self));
  return takeSlices(b, b.reshape(self, [count]), wrapIndex(b, index, count), 0);
}

function put(b: CoreBuilder, self: Value, index: Value, source: Value, accumulate: boolean): Value {
  check(
    dtypeOf(index) === 'int64',
    () => `put_(): Expected a long tensor for index, but got ${printName(dtypeOf(index))}`,
  );
  const count = numel(sizesOf(self));
  const flat = b.reshape(self, [count]);
  const positions = b.reshape(wrapIndex(b, index, count), [numel(sizesOf(index))]);
  const updates = b.reshape(source, [numel(sizesOf(source))]);
  return b.reshape(putSlices(b, flat, positions, updates, 0, accumulate ? 'add' : 'replace'), sizesOf(self));
}

function takeAlongDim(b: CoreBuilder, self: Value, indices: Value, dim: number | null): Value {
  check(dtypeOf(indices) === 'int64', () => 'torch.take_along_dim(): dtype of indices should be Long');
  if (dim === null) {
    const flat = b.reshape(self, [numel(sizesOf(self))]);
    return takeAlong(b, flat, b.reshape(indices, [numel(sizesOf(indices))]), 0);
  }
  check(
    rankOf(self) === rankOf(indices),
    () =>
      `torch.take_along_dim(): input and indices should have the same number of dimensions, but got ${rankOf(self)} dimensions for input, and ${rankOf(indices)} dimensions for indices`,
  );
  const axis = wrapDim(dim, rankOf(self));
  const shape = broadcastShapes(withSize(sizesOf(self), axis, 1), withSize(sizesOf(indices), axis, 1));
  const x = b.broadcastTo(self, withSize(shape, axis, sizesOf(self)[axis]));
  const at = b.broadcastTo(indices, withSize(shape, axis, sizesOf(indices)[axis]));
  return takeAlong(b, x, wrapIndex(b, at, sizesOf(self)[axis]), axis);
}

/** Writes `source` over part of a dimension: select_scatter, slice_scatter, diagonal_scatter keep the rest. */
function writeMasked(b: CoreBuilder, self: Value, mask: Value, source: Value): Value {
  return b.select(mask, source, self);
}

function selectScatter(b: CoreBuilder, self: Value, source: Value, dim: number, at: number): Value {
  const axis = wrapDim(dim, rankOf(self));
  const sizes = sizesOf(self);
  check(
    at >= -sizes[axis] && at < sizes[axis],
    () => `select(): index ${at} out of range for tensor of size ${show(sizes)} at dimension ${axis}`,
  );
  const mask = is(b, b.iota('int64', sizes, axis), 'EQ', at < 0 ? at + sizes[axis] : at);
  return writeMasked(b, self, mask, b.broadcastTo(insertDim(b, source, axis), sizes));
}

function diagonalScatter(
  b: CoreBuilder,
  self: Value,
  source: Value,
  offset: number,
  dim1: number,
  dim2: number,
): Value {
  const rank = rankOf(self);
  const [first, second] = [wrapDim(dim1, rank), wrapDim(dim2, rank)];
  const sizes = sizesOf(self);
  const rows = b.iota('int64', sizes, first);
  const columns = b.iota('int64', sizes, second);
  const mask = b.compare(b.add(rows, like(b, rows, BigInt(offset))), columns, 'EQ');
  // The diagonal's last dimension runs along the rows or the columns, whichever starts at zero.
  const along = offset >= 0 ? first : second;
  const rest = range(rank).filter((dim) => dim !== first && dim !== second);
  const length = sizesOf(source)[rank - 2];
  const padded = b.pad(
    source,
    b.full(0, dtypeOf(source)),
    sizesOf(source).map(() => 0),
    sizesOf(source).map((_, dim) => (dim === rank - 2 ? sizes[along] - length : 0)),
  );
  return writeMasked(
    b,
    self,
    mask,
    b.broadcastInDim(
      padded,
      sizes,
      [...rest, along].map((dim) => dim),
    ),
  );
}

lowerings({
  'aten::index.Tensor': (b, self: Value, indices: readonly (Value | null)[]) => index(b, self, indices),
  'aten::index.Tensor_hacked_twin': index,
  'aten::_unsafe_index.Tensor': index,
  'aten::index_put': indexPut,
  'aten::index_put.hacked_twin': indexPut,
  'aten::_index_put_impl': indexPut,
  'aten::_unsafe_index_put': indexPut,
  'aten::index_select': indexSelect,
  'aten::gather': gather,
  'aten::scatter.src': (b, self: Value, dim: number, at: Value, source: Value) =>
    scatter(b, self, dim, at, source, 'replace'),
  'aten::scatter.value': (b, self: Value, dim: number, at: Value, value: Scalar) =>
    scatter(b, self, dim, at, value, 'replace'),
  'aten::scatter.reduce': (b, self: Value, dim: number, at: Value, source: Value, reduce: string) =>
    scatter(b, self, dim, at, source, reductionOf(reduce)),
  'aten::scatter.value_reduce': (b, self: Value, dim: number, at: Value, value: Scalar, reduce: string) =>
    scatter(b, self, dim, at, value, reductionOf(reduce)),
  'aten::scatter_add': (b, self: Value, dim: number, at: Value, source: Value) =>
    scatter(b, self, dim, at, source, 'add'),
  'aten::scatter_reduce.two': scatterReduce,
  'aten::index_add': indexAdd,
  'aten::index_copy': indexCopy,
  'aten::index_fill.int_Scalar': indexFill,
  'aten::index_fill.int_Tensor': indexFill,
  'aten::index_reduce': (
    b,
    self: Value,
    dim: number,
    at: Value,
    source: Value,
    reduce: string,
    includeSelf: boolean,
  ) => {
    const axis = wrapDim(dim, rankOf(self));
    const spread = b.broadcastInDim(b.convert(at, 'int64'), sizesOf(source), [axis]);
    return scatterReduce(b, self, axis, spread, source, reduce, includeSelf);
  },
  'aten::masked_fill.Scalar': maskedFill,
  'aten::masked_fill.Tensor': maskedFill,
  'aten::take': take,
  'aten::put': put,
  'aten::take_along_dim': takeAlongDim,
  'aten::select_scatter': selectScatter,
  'aten::slice_scatter': (
    b,
    self: Value,
    source: Value,
    dim: number,
    start: number | null,
    _end: number | null,
    step: number,
  ) => {
    const axis = wrapDim(dim, rankOf(self));
    const sizes = sizesOf(self);
    const size = sizes[axis];
    const clampTo = (value: number): number => Math.max(0, Math.min(value < 0 ? value + size : value, size));
    const from = clampTo(start ?? 0);
    const count = sizesOf(source)[axis];
    const positions = b.add(
      b.multiply(b.iota('int64', [count], 0), b.full(BigInt(step), 'int64', [count])),
      b.full(BigInt(from), 'int64', [count]),
    );
    return putSlices(b, self, positions, source, axis, 'replace');
  },
  'aten::diagonal_scatter': diagonalScatter,
  'aten::as_strided_scatter': (
    b,
    self: Value,
    source: Value,
    size: Sizes,
    stride: Sizes,
    offset: number | null,
  ) => {
    let at = b.full(BigInt(offset ?? 0), 'int64', size);
    for (const [dim, step] of stride.entries()) {
      at = b.add(at, b.multiply(b.iota('int64', size, dim), b.full(BigInt(step), 'int64', size)));
    }
    const count = numel(size);
    const flat = b.reshape(self, [numel(sizesOf(self))]);
    const written = putSlices(b, flat, b.reshape(at, [count]), b.reshape(source, [count]), 0, 'replace');
    return b.reshape(written, sizesOf(self));
  },
  'aten::_masked_scale': (b, self: Value, mask: Value, scale: number) =>
    b.multiply(self, b.multiply(b.convert(mask, dtypeOf(self)), like(b, self, scale))),
});

layouts({
  'aten::index_fill.int_Scalar': likeArgument(0),
  'aten::index_fill.int_Tensor': likeArgument(0),
  'aten::put': likeArgument(0),
  'aten::select_scatter': likeArgument(0),
  'aten::diagonal_scatter': likeArgument(0),
  'aten::index_put': likeArgument(0),
  'aten::index_put.hacked_twin': likeArgument(0),
  'aten::_index_put_impl': likeArgument(0),
  'aten::_unsafe_index_put': likeArgument(0),
  'aten::index.Tensor': indexedLayout,
  'aten::index.Tensor_hacked_twin': indexedLayout,
  'aten::_unsafe_index.Tensor': indexedLayout,
  'aten::slice_scatter': likeArgument(0),
  'aten::as_strided_scatter': likeArgument(0),
});
