// Running totals along a dimension: cumsum, cumprod, cummax, cummin, logcumsumexp, diff, trapezoid. Done in log2(n) steps,
// each of which combines every element with the one 1, 2, 4 … places before it.
import type { CoreBuilder, DType, Value } from '@weft/ir';
import { isComplex, isFloatingPoint } from '@weft/ir';
import { lowerings } from './operator.ts';
import type { Scalar } from './operator.ts';
import { computeType, toSum } from './promotion.ts';
import { broadcastAll, check, rankOf, sizesOf, withSize, wrapDim } from './broadcast.ts';
import { dtypeOf, is, isNaN, like, realOf, times, toFloatValue } from './elementwise.ts';
import { padDim, sliceDim } from './shapes.ts';
import { withDerivative } from './gradient-flow.ts';
import { cotangentsOf } from './backward.ts';
import { cat } from './joining.ts';
import type { ResultLayout } from './result-layout.ts';
import { geometryOf, layouts } from './result-layout.ts';
import { contiguousStrides, iteratorStrides } from './strides.ts';

/** All prefixes combined by an associative `combine(earlier, later)`. `identities` fill in before the start. */
export function scan(
  b: CoreBuilder,
  values: readonly Value[],
  identities: readonly Value[],
  dim: number,
  combine: (earlier: readonly Value[], later: readonly Value[]) => Value[],
): Value[] {
  const size = sizesOf(values[0])[dim];
  let current = [...values];
  for (let distance = 1; distance < size; distance *= 2) {
    const earlier = current.map((x, index) =>
      padDim(b, sliceDim(b, x, dim, 0, size - distance), identities[index], dim, distance, 0),
    );
    current = combine(earlier, current);
  }
  return current;
}

/** Zero-dimensional tensors are scanned as having one element. */
function along(b: CoreBuilder, self: Value, dim: number, body: (x: Value, axis: number) => Value[]): Value[] {
  const axis = wrapDim(dim, rankOf(self));
  if (rankOf(self) > 0) return body(self, axis);
  return body(b.reshape(self, [1]), 0).map((x) => b.reshape(x, []));
}

function cumulative(
  b: CoreBuilder,
  self: Value,
  dim: number,
  dtype: DType | null,
  identity: number,
  combine: (x: Value, y: Value) => Value,
): Value {
  const result = dtype ?? toSum(dtypeOf(self));
  const wide = b.convert(b.convert(self, result), computeType(result));
  const [total] = along(b, wide, dim, (x, axis) =>
    scan(b, [x], [b.full(identity, dtypeOf(x))], axis, ([p], [q]) => [combine(p, q)]),
  );
  return b.convert(total, result);
}

export const cumsum = (b: CoreBuilder, self: Value, dim: number, dtype: DType | null = null): Value =>
  cumulative(b, self, dim, dtype, 0, (x, y) => b.add(x, y));
const products = (b: CoreBuilder, self: Value, dim: number): Value =>
  cumulative(b, self, dim, dtypeOf(self), 1, (x, y) => b.multiply(x, y));

/** Sums from the end. */
const sumsFromEnd = (b: CoreBuilder, x: Value, axis: number): Value =>
  b.reverse(cumsum(b, b.reverse(x, [axis]), axis), [axis]);

/**
 * Where no element is zero, the gradient is the sum of g·y from the end over x, each step rounded to the dtype; else
 * that of the products themselves.
 */
const cumulatedProducts = withDerivative(
  'cumprod',
  (b, [x], { dim }: { readonly dim: number }) => products(b, x, dim),
  (b, { g, operands: [x], result, attributes: { dim } }) => {
    if (rankOf(x) === 0) return [g];
    const axis = wrapDim(dim, rankOf(x));
    const all = sizesOf(x).map((_, each) => each);
    return b.if(
      b.reduceOr(is(b, x, 'EQ', 0), all),
      (inner) => cotangentsOf(inner, [x], (own, y) => products(own, y, dim), [g]),
      (inner) => {
        const conj = (y: Value): Value =>
          isComplex(dtypeOf(y)) ? inner.complex(inner.real(y), inner.negate(inner.imag(y))) : y;
        return [inner.divide(sumsFromEnd(inner, inner.multiply(g, conj(result)), axis), conj(x))];
      },
    );
  },
);

function cumprod(b: CoreBuilder, self: Value, dim: number, dtype: DType | null): Value {
  const result = dtype ?? toSum(dtypeOf(self));
  const x = b.convert(self, result);
  if (!isFloatingPoint(result) && !isComplex(result)) return products(b, x, dim);
  return cumulatedProducts(b, [x], { dim });
}

/** Running extremes and where they were last met. */
function extremes(b: CoreBuilder, self: Value, dim: number, greatest: boolean): Value[] {
  return along(b, self, dim, (x, axis) => {
    const index = b.iota('int64', sizesOf(x), axis);
    const order = dtypeOf(x) === 'bool' ? b.convert(x, 'uint8') : x;
    const first = b.full(-1n, 'int64');
    const [values, indices] = scan(
      b,
      [order, index],
      [b.full(0, dtypeOf(order)), first],
      axis,
      ([p, i], [q, j]) => {
        const better = b.compare(q, p, greatest ? 'GE' : 'LE');
        const nan = isFloatingPoint(dtypeOf(q)) ? b.or(better, isNaN(b, q)) : better;
        const later = b.or(is(b, i, 'LT', 0), nan);
        return [b.select(later, q, p), b.select(later, j, i)];
      },
    );
    return [b.convert(values, dtypeOf(x)), indices];
  });
}

const logCumulated = withDerivative(
  'logcumsumexp',
  (b, [x], { dim }: { readonly dim: number }) => logCumSumExp(b, x, dim),
  (b, { g, operands: [x], result, attributes: { dim } }) => {
    const axis = wrapDim(dim, rankOf(x));
    if (rankOf(x) === 0) return [g];
    // Sums from the end, of the positive and of the negative cotangents by themselves, as logarithms.
    const part = (cotangent: Value): Value => {
      const positive = is(b, cotangent, 'GT', 0);
      const log = b.select(
        positive,
        b.log(b.select(positive, cotangent, like(b, cotangent, 1))),
        like(b, cotangent, dtypeOf(x) === 'float64' ? -Number.MAX_VALUE : -3.4028234663852886e38),
      );
      const turned = b.reverse(b.subtract(log, result), [axis]);
      const summed = b.reverse(logCumSumExp(b, turned, axis), [axis]);
      return b.exponential(b.add(summed, x));
    };
    return [b.subtract(part(g), part(b.negate(g)))];
  },
);

const logCumulatedOf = (b: CoreBuilder, self: Value, dim: number): Value => {
  const wide = b.convert(self, computeType(dtypeOf(self)));
  return b.convert(logCumulated(b, [wide], { dim }), dtypeOf(self));
};

function logCumSumExp(b: CoreBuilder, self: Value, dim: number): Value {
  const wide = b.convert(self, computeType(dtypeOf(self)));
  const [result] = along(b, wide, dim, (x, axis) =>
    scan(b, [x], [b.full(-Infinity, dtypeOf(x))], axis, ([p], [q]) => {
      const larger = b.maximum(p, q);
      const finite = b.isFinite(larger);
      const safe = b.select(finite, larger, like(b, larger, 0));
      const sum = b.add(b.exponential(b.subtract(p, safe)), b.exponential(b.subtract(q, safe)));
      const positive = is(b, sum, 'GT', 0);
      const log = b.add(b.log(b.select(positive, sum, like(b, sum, 1))), safe);
      return [b.select(isNaN(b, larger), larger, b.select(positive, log, like(b, sum, -Infinity)))];
    }),
  );
  return b.convert(result, dtypeOf(self));
}

function diff(
  b: CoreBuilder,
  self: Value,
  n: number,
  dim: number,
  prepend: Value | null,
  append: Value | null,
): Value {
  check(rankOf(self) > 0, () => 'diff expects input to be at least one-dimensional');
  const axis = wrapDim(dim, rankOf(self));
  const parts = [prepend, self, append].filter((part): part is Value => part !== null);
  let x = parts.length === 1 ? self : cat(b, parts, axis);
  for (let order = 0; order < n && sizesOf(x)[axis] > 0; order++) {
    const size = sizesOf(x)[axis];
    const later = sliceDim(b, x, axis, 1, size);
    const earlier = sliceDim(b, x, axis, 0, size - 1);
    x = dtypeOf(x) === 'bool' ? b.xor(later, earlier) : b.subtract(later, earlier);
  }
  return x;
}

/** The mean of neighbours times their distance (a number or differences of x). */
function trapezoids(
  b: CoreBuilder,
  y: Value,
  dx: Value | number,
  dim: number,
): { pieces: Value; axis: number } {
  const axis = wrapDim(dim, rankOf(y));
  const size = sizesOf(y)[axis];
  const values = toFloatValue(b, y);
  const pairs = times(
    b,
    b.add(sliceDim(b, values, axis, 1, size), sliceDim(b, values, axis, 0, size - 1)),
    0.5,
  );
  if (typeof dx === 'number') return { pieces: times(b, pairs, dx), axis };
  const [p, q] = broadcastAll(b, pairs, b.convert(dx, dtypeOf(pairs)));
  return { pieces: b.multiply(p, q), axis };
}

/** Differences of the sample points, along the last dimension or that of y. */
function gaps(b: CoreBuilder, x: Value, y: Value, dim: number): Value {
  const axis = wrapDim(dim, rankOf(y));
  if (rankOf(x) === 1) {
    const steps = diff(b, x, 1, 0, null, null);
    const shape = sizesOf(y).map((_, each) => (each === axis ? sizesOf(steps)[0] : 1));
    return b.reshape(steps, shape);
  }
  return diff(b, x, 1, dim, null, null);
}

const trapezoid = (b: CoreBuilder, y: Value, dx: Value | number, dim: number): Value => {
  const { pieces, axis } = trapezoids(b, y, dx, dim);
  return b.reduceSum(pieces, [axis]);
};
const cumulativeTrapezoid = (b: CoreBuilder, y: Value, dx: Value | number, dim: number): Value => {
  const { pieces, axis } = trapezoids(b, y, dx, dim);
  return cumsum(b, pieces, axis);
};

const fromDx =
  (run: typeof trapezoid) =>
  (b: CoreBuilder, y: Value, dx: Scalar, dim: number): Value =>
    run(b, y, realOf(dx), dim);
const fromX =
  (run: typeof trapezoid) =>
  (b: CoreBuilder, y: Value, x: Value, dim: number): Value =>
    run(b, y, gaps(b, x, y, dim), dim);

lowerings({
  'aten::cumsum': cumsum,
  'aten::cumprod': cumprod,
  'aten::cummax': (b, self: Value, dim: number) => extremes(b, self, dim, true),
  'aten::cummin': (b, self: Value, dim: number) => extremes(b, self, dim, false),
  'aten::logcumsumexp': logCumulatedOf,
  'aten::_logcumsumexp': logCumulatedOf,
  'aten::diff': diff,
  'aten::trapezoid.dx': fromDx(trapezoid),
  'aten::trapezoid.x': fromX(trapezoid),
  'aten::trapz.dx': fromDx(trapezoid),
  'aten::trapz.x': fromX(trapezoid),
  'aten::cumulative_trapezoid.dx': fromDx(cumulativeTrapezoid),
  'aten::cumulative_trapezoid.x': fromX(cumulativeTrapezoid),
  /** Powers of each element as columns, highest first unless increasing. */
  'aten::vander': (b, x: Value, n: number | null, increasing: boolean) => {
    check(rankOf(x) === 1, () => 'x must be a one-dimensional tensor.');
    return powers(b, x, n ?? sizesOf(x)[0], increasing);
  },
  'aten::linalg_vander': (b, x: Value, n: number | null) => powers(b, x, n ?? sizesOf(x).at(-1)!, true),
});

function powers(b: CoreBuilder, x: Value, count: number, increasing: boolean): Value {
  const integral = dtypeOf(x) === 'bool' || dtypeOf(x).includes('int');
  const base = integral ? b.convert(x, 'int64') : x;
  const rank = rankOf(x);
  let column = like(b, base, 1);
  const columns: Value[] = [];
  for (let at = 0; at < count; at++) {
    columns.push(b.reshape(column, [...sizesOf(x), 1]));
    column = b.multiply(column, base);
  }
  if (count === 0) return b.full(0, dtypeOf(base), [...sizesOf(x), 0]);
  return b.concatenate(increasing ? columns : columns.reverse(), rank);
}

/** Differences of neighbours lie as the tensor does; what is put before or after makes it a new one. */
const diffLayout: ResultLayout = {
  kind: 'strides',
  follows: true,
  strides: (site, sizes) => {
    const [, n, dim, before, after] = site.args;
    if (before !== null || after !== null) return contiguousStrides(sizes);
    let { sizes: seen, strides } = geometryOf(site, 0);
    const axis = wrapDim(Number(dim), seen.length);
    for (let step = 0; step < Number(n); step++) {
      seen = withSize(seen, axis, Math.max(seen[axis] - 1, 0));
      strides = iteratorStrides(seen, [{ sizes: seen, strides }]);
    }
    return strides;
  },
};

layouts({ 'aten::diff': diffLayout });
