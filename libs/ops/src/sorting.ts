// Order: sort, topk, kthvalue, median, mode, quantile, searchsorted. NaN counts as greater than all. Values are gathered
// by their indices, so that derivatives go to the elements that were chosen.
import type { CoreBuilder, Value } from '@weft/ir';
import { isComplex, isFloatingPoint, numel } from '@weft/ir';
import { lowerings } from './operator.ts';
import type { Operand } from './promotion.ts';
import { resultType } from './promotion.ts';
import { check, fail, range, rankOf, sizesOf, wrapDim, withSize } from './broadcast.ts';
import { align, dtypeOf, is, isNaN, like, plus, times, zeroUnless } from './elementwise.ts';
import { insertDim, sliceDim } from './shapes.ts';
import { takeAlong } from './gathering.ts';
import { evenly } from './gradient-flow.ts';
import { spread } from './softmax.ts';
import { layouts, likeArgument } from './result-layout.ts';
import type { ResultLayout } from './result-layout.ts';
import type { Geometry } from './strides.ts';

/** Elements of a dimension in order and where they were. */
function order(b: CoreBuilder, self: Value, dim: number, descending: boolean): Value {
  check(!isComplex(dtypeOf(self)), () => 'Sort currently does not support complex dtypes on CPU');
  const x = dtypeOf(self) === 'bool' ? b.convert(self, 'uint8') : self;
  const floats = isFloatingPoint(dtypeOf(x));
  const [, indices] = b.sort([x, b.iota('int64', sizesOf(x), dim)], dim, true, (b, p, q) => {
    const before = b.compare(p, q, descending ? 'GT' : 'LT');
    if (!floats) return [before];
    const [nan, number] = descending ? [p, q] : [q, p];
    return [b.or(before, b.and(isNaN(b, nan), b.not(isNaN(b, number))))];
  });
  return indices;
}

/** A zero-dimensional tensor is treated as having one element. */
function along(b: CoreBuilder, self: Value, dim: number, body: (x: Value, axis: number) => Value[]): Value[] {
  const axis = wrapDim(dim, rankOf(self));
  if (rankOf(self) > 0) return body(self, axis);
  return body(b.reshape(self, [1]), 0).map((x) => b.reshape(x, []));
}

const sort = (b: CoreBuilder, self: Value, dim: number, descending: boolean): Value[] =>
  along(b, self, dim, (x, axis) => {
    const indices = order(b, x, axis, descending);
    return [takeAlong(b, x, indices, axis), indices];
  });

function topK(b: CoreBuilder, self: Value, k: number, dim: number, largest: boolean): Value[] {
  const size = rankOf(self) === 0 ? 1 : sizesOf(self)[wrapDim(dim, rankOf(self))];
  check(k >= 0 && k <= size, () => 'selected index k out of range');
  return along(b, self, dim, (x, axis) => {
    const indices = sliceDim(b, order(b, x, axis, largest), axis, 0, k);
    return [takeAlong(b, x, indices, axis), indices];
  });
}

/** The element of the given rank along a dimension. */
function atRank(
  b: CoreBuilder,
  self: Value,
  dim: number,
  keepdim: boolean,
  rank: (size: number) => number,
): Value[] {
  return along(b, self, dim, (x, axis) => {
    const place = rank(sizesOf(x)[axis]);
    const indices = sliceDim(b, order(b, x, axis, false), axis, place, place + 1);
    return squeezed(b, [takeAlong(b, x, indices, axis), indices], axis, keepdim || rankOf(self) === 0);
  });
}

const squeezed = (b: CoreBuilder, values: Value[], axis: number, keepdim: boolean): Value[] =>
  keepdim
    ? values
    : values.map((x) =>
        b.reshape(
          x,
          sizesOf(x).filter((_, dim) => dim !== axis),
        ),
      );

/** The lower median; NaN where there is one, unless they are to be ignored. */
function median(b: CoreBuilder, self: Value, dim: number, keepdim: boolean, ignoreNan: boolean): Value[] {
  return along(b, self, dim, (x, axis) => {
    const size = sizesOf(x)[axis];
    check(size > 0, () => `median(): Expected reduction dim ${axis} to have non-zero size.`);
    const sorted = order(b, x, axis, false);
    const middle = sliceDim(b, sorted, axis, (size - 1) >> 1, ((size - 1) >> 1) + 1);
    if (!isFloatingPoint(dtypeOf(x))) {
      return squeezed(b, [takeAlong(b, x, middle, axis), middle], axis, keepdim || rankOf(self) === 0);
    }
    const nan = b.convert(isNaN(b, x), 'int64');
    const count = b.reshape(b.reduceSum(nan, [axis]), withSize(sizesOf(x), axis, 1));
    const valid = b.subtract(like(b, count, BigInt(size)), count);
    const rank = b.maximum(
      b.shiftRightArithmetic(plus(b, valid, -1), like(b, valid, 1n)),
      like(b, valid, 0n),
    );
    const ignored = takeAlong(b, sorted, rank, axis);
    // The first NaN in sorted order comes right after the valid elements.
    const firstNan = takeAlong(b, sorted, b.minimum(valid, like(b, valid, BigInt(size - 1))), axis);
    const chosen = ignoreNan ? ignored : b.select(is(b, count, 'GT', 0), firstNan, middle);
    return squeezed(b, [takeAlong(b, x, chosen, axis), chosen], axis, keepdim || rankOf(self) === 0);
  });
}

function medianOfAll(b: CoreBuilder, self: Value, ignoreNan: boolean): Value {
  const count = numel(sizesOf(self));
  if (count === 0) return b.full(isFloatingPoint(dtypeOf(self)) ? NaN : 0, dtypeOf(self));
  return evenly(b, ignoreNan ? 'nanmedian' : 'median', self, (b, x) =>
    b.reshape(median(b, b.reshape(x, [count]), 0, false, ignoreNan)[0], []),
  );
}

/** The least of the most frequent values and the last place where it stands. */
function mode(b: CoreBuilder, self: Value, dim: number, keepdim: boolean): Value[] {
  return along(b, self, dim, (x, axis) => {
    const sizes = sizesOf(x);
    const size = sizes[axis];
    const grid = [...sizes.slice(0, axis + 1), size, ...sizes.slice(axis + 1)];
    const outer = range(grid.length).filter((each) => each !== axis + 1);
    const inner = range(grid.length).filter((each) => each !== axis);
    const equal = b.compare(b.broadcastInDim(x, grid, outer), b.broadcastInDim(x, grid, inner), 'EQ');
    const counts = b.reduceSum(b.convert(equal, 'int64'), [axis + 1]);
    const most = b.compare(counts, spread(b, b.reduceMax(counts, [axis]), sizes, [axis]), 'EQ');
    // Places in ascending order of value: the first frequent one has the least value.
    const sorted = order(b, x, axis, false);
    const place = b.iota('int64', sizes, axis);
    const frequent = takeAlong(b, b.convert(most, 'int64'), sorted, axis);
    const first = b.reduceMin(b.select(is(b, frequent, 'EQ', 1), place, like(b, place, BigInt(size))), [
      axis,
    ]);
    const example = takeAlong(b, sorted, insertDim(b, first, axis), axis);
    const value = takeAlong(b, x, example, axis);
    const same = b.compare(x, b.broadcastTo(value, sizes), 'EQ');
    const last = insertDim(b, b.reduceMax(b.select(same, place, like(b, place, -1n)), [axis]), axis);
    return squeezed(b, [takeAlong(b, x, last, axis), last], axis, keepdim || rankOf(self) === 0);
  });
}

/** Quantiles by interpolating between neighbours in order; dimensions of `q` come first. */
function quantile(
  b: CoreBuilder,
  self: Value,
  q: Value | number,
  dim: number | null,
  keepdim: boolean,
  interpolation: string,
  ignoreNan: boolean,
): Value {
  const dtype = dtypeOf(self);
  check(
    dtype === 'float32' || dtype === 'float64',
    () => 'quantile() input tensor must be either float or double dtype',
  );
  check(numel(sizesOf(self)) > 0, () => 'quantile() input tensor must be non-empty');
  if (typeof q === 'number')
    check(q >= 0 && q <= 1, () => `quantile() q must be in the range [0, 1] but got ${q}`);
  else check(rankOf(q) <= 1, () => 'quantile() q must be a scalar or 1D tensor');
  if (typeof q !== 'number')
    check(dtypeOf(q) === dtype, () => 'quantile() q tensor must be same dtype as the input tensor');
  const places = typeof q === 'number' ? b.full(q, dtype) : q;
  const x = dim === null ? b.reshape(self, [numel(sizesOf(self))]) : self;
  const axis = wrapDim(dim ?? 0, rankOf(x));
  const rest = range(rankOf(x)).filter((each) => each !== axis);
  const moved = rankOf(x) === 0 ? b.reshape(x, [1]) : b.transpose(x, [...rest, axis]);
  const size = sizesOf(moved).at(-1)!;
  const lead = sizesOf(moved).slice(0, -1);
  const last = lead.length;
  const sorted = takeAlong(b, moved, order(b, moved, last, false), last);
  const count = numel(sizesOf(places));
  const grid = [...lead, count];
  const ranksOf = b.broadcastInDim(b.reshape(places, [count]), grid, [last]);
  const nan = b.reduceSum(b.convert(isNaN(b, moved), dtype), [last]);
  const valid = b.subtract(like(b, nan, size), nan);
  const top = ignoreNan ? plus(b, valid, -1) : like(b, valid, size - 1);
  const position = b.multiply(ranksOf, b.broadcastInDim(b.maximum(top, like(b, top, 0)), grid, range(last)));
  const value = (at: Value): Value => takeAlong(b, sorted, b.convert(at, 'int64'), last);
  const [below, above] = [b.floor(position), b.ceil(position)];
  const result = (): Value => {
    switch (interpolation) {
      case 'lower':
        return value(below);
      case 'higher':
        return value(above);
      case 'nearest':
        return value(b.roundNearestEven(position));
      case 'midpoint':
        return times(b, b.add(value(below), value(above)), 0.5);
      case 'linear': {
        const [p, w] = [value(below), b.subtract(position, below)];
        const step = b.subtract(value(above), p);
        return b.add(p, zeroUnless(b, is(b, w, 'NE', 0), b.multiply(step, w)));
      }
      default:
        return fail(
          `quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, but got ${interpolation}`,
        );
    }
  };
  const bad = ignoreNan ? is(b, valid, 'EQ', 0) : is(b, nan, 'GT', 0);
  const found = b.select(b.broadcastInDim(bad, grid, range(last)), b.full(NaN, dtype, grid), result());
  const front = b.transpose(found, [last, ...range(last)]);
  const kept = keepdim
    ? sizesOf(self).map((length, each) => (dim === null || each === axis ? 1 : length))
    : lead;
  return b.reshape(front, [...sizesOf(places), ...kept]);
}

/** How many elements of each sorted row stand before each value. */
function searchSorted(
  b: CoreBuilder,
  sorted: Value,
  values: Operand,
  int32: boolean,
  right: boolean,
  sorter: Value | null = null,
): Value {
  const dtype = resultType([sorted, values]);
  const [x] = align(b, [values], dtype);
  const rows = b.convert(sorter === null ? sorted : takeAlong(b, sorted, sorter, rankOf(sorted) - 1), dtype);
  const n = sizesOf(rows).at(-1)!;
  const sizes = sizesOf(x);
  const grid = [...sizes, n];
  if (rankOf(rows) > 1) {
    check(
      sizesOf(rows).slice(0, -1).join() === sizes.slice(0, -1).join(),
      () =>
        `torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value tensor must match, but we got boundaries tensor [${sizesOf(rows).join(', ')}] and input value tensor [${sizes.join(', ')}]`,
    );
  }
  const edges = b.broadcastInDim(
    rows,
    grid,
    rankOf(rows) === 1 ? [sizes.length] : [...range(sizes.length - 1), sizes.length],
  );
  const point = b.broadcastInDim(x, grid, range(sizes.length));
  const before = b.compare(edges, point, right ? 'LE' : 'LT');
  const counted = isFloatingPoint(dtype)
    ? b.or(before, b.and(isNaN(b, point), b.not(isNaN(b, edges))))
    : before;
  const total = b.reduceSum(b.convert(counted, 'int64'), [sizes.length]);
  return int32 ? b.convert(total, 'int32') : total;
}

const search = (
  b: CoreBuilder,
  sorted: Value,
  values: Operand,
  int32: boolean,
  right: boolean,
  side: string | null,
  sorter: Value | null,
): Value => {
  check(
    side === null || side === 'left' || side === 'right',
    () => `torch.searchsorted(): side can only be 'left' or 'right' but got ${side}`,
  );
  return searchSorted(b, sorted, values, int32, side === null ? right : side === 'right', sorter);
};
const bucketize = (
  b: CoreBuilder,
  values: Operand,
  boundaries: Value,
  int32: boolean,
  right: boolean,
): Value => searchSorted(b, boundaries, values, int32, right);

lowerings({
  'aten::sort': sort,
  'aten::sort.stable': (b, self: Value, _stable: boolean | null, dim: number, descending: boolean) =>
    sort(b, self, dim, descending),
  'aten::argsort': (b, self: Value, dim: number, descending: boolean) => sort(b, self, dim, descending)[1],
  'aten::argsort.stable': (b, self: Value, _stable: boolean, dim: number, descending: boolean) =>
    sort(b, self, dim, descending)[1],
  'aten::msort': (b, self: Value) => sort(b, self, 0, false)[0],
  'aten::topk': topK,
  'aten::kthvalue': (b, self: Value, k: number, dim: number, keepdim: boolean) =>
    atRank(b, self, dim, keepdim, (size) => {
      check(
        k >= 1 && k <= size,
        () =>
          'kthvalue(): selected number k out of range for dimension ' + String(wrapDim(dim, rankOf(self))),
      );
      return k - 1;
    }),
  'aten::median': (b, self: Value) => medianOfAll(b, self, false),
  'aten::nanmedian': (b, self: Value) => medianOfAll(b, self, true),
  'aten::median.dim': (b, self: Value, dim: number, keepdim: boolean) => median(b, self, dim, keepdim, false),
  'aten::nanmedian.dim': (b, self: Value, dim: number, keepdim: boolean) =>
    median(b, self, dim, keepdim, true),
  'aten::mode': mode,
  'aten::quantile': (b, self: Value, q: Value, dim: number | null, keepdim: boolean, how: string) =>
    quantile(b, self, q, dim, keepdim, how, false),
  'aten::quantile.scalar': (b, self: Value, q: number, dim: number | null, keepdim: boolean, how: string) =>
    quantile(b, self, q, dim, keepdim, how, false),
  'aten::nanquantile': (b, self: Value, q: Value, dim: number | null, keepdim: boolean, how: string) =>
    quantile(b, self, q, dim, keepdim, how, true),
  'aten::nanquantile.scalar': (
    b,
    self: Value,
    q: number,
    dim: number | null,
    keepdim: boolean,
    how: string,
  ) => quantile(b, self, q, dim, keepdim, how, true),
  'aten::searchsorted.Tensor': search,
  'aten::searchsorted.Scalar': search,
  'aten::bucketize.Tensor': bucketize,
  'aten::bucketize.Scalar': bucketize,
});

/** Several quantiles are computed side by side and seen as a first dimension. */
const quantilesLast: ResultLayout = {
  kind: 'order',
  order: ({ args: [, q] }, { length }) =>
    (q as Geometry).sizes.length === 0 ? range(length) : [...range(length - 1, 1), 0],
};

layouts({
  'aten::sort': likeArgument(0),
  'aten::sort.stable': likeArgument(0),
  'aten::argsort': likeArgument(0),
  'aten::argsort.stable': likeArgument(0),
  'aten::msort': likeArgument(0),
  'aten::quantile': quantilesLast,
  'aten::nanquantile': quantilesLast,
});
