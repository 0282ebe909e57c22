// softmax, log_softmax, logsumexp: composites that devices may claim, with derivatives from their results.
import type { CoreBuilder, DType, Value } from '@weft/ir';
import { isFloatingPoint } from '@weft/ir';
import { lowerings } from './operator.ts';
import { computeType, printName, toFloat } from './promotion.ts';
import { check, range, rankOf, sizesOf, wrapDim, wrapDims } from './broadcast.ts';
import { dtypeOf, like } from './elementwise.ts';

/** Repeats a reduced value along the dimensions that the reduction took away. */
export function spread(
  b: CoreBuilder,
  reduced: Value,
  sizes: readonly number[],
  dims: readonly number[],
): Value {
  return b.broadcastInDim(
    reduced,
    sizes,
    range(sizes.length).filter((dim) => !dims.includes(dim)),
  );
}

/** exp(x - max) along the dimensions, and its sums; a maximum of -inf counts as zero. */
function shifted(
  b: CoreBuilder,
  x: Value,
  dims: readonly number[],
): { shift: Value; exp: Value; sum: Value } {
  const sizes = sizesOf(x);
  const max = b.reduceMax(x, dims);
  const shift = b.subtract(x, spread(b, max, sizes, dims));
  const exp = b.exponential(shift);
  return { shift, exp, sum: b.reduceSum(exp, dims) };
}

export function softmax(b: CoreBuilder, self: Value, dim: number, dtype: DType | null): Value {
  return normalised(b, 'softmax', self, dim, dtype, (b, x, axis) => {
    const { exp, sum } = shifted(b, x, [axis]);
    return b.divide(exp, spread(b, sum, sizesOf(x), [axis]));
  });
}

export function logSoftmax(b: CoreBuilder, self: Value, dim: number, dtype: DType | null): Value {
  return normalised(b, 'log_softmax', self, dim, dtype, (b, x, axis) => {
    const { shift, sum } = shifted(b, x, [axis]);
    return b.subtract(shift, spread(b, b.log(sum), sizesOf(x), [axis]));
  });
}

function normalised(
  b: CoreBuilder,
  name: string,
  self: Value,
  dim: number,
  dtype: DType | null,
  body: (b: CoreBuilder, x: Value, axis: number) => Value,
): Value {
  const x = dtype === null ? self : b.convert(self, dtype);
  const axis = wrapDim(dim, rankOf(x));
  check(isFloatingPoint(dtypeOf(x)), () => {
    const kernel = axis === rankOf(x) - 1 ? `${name}_lastdim_kernel_impl` : 'softmax_kernel_impl';
    return `"${kernel}" not implemented for '${printName(dtypeOf(x))}'`;
  });
  if (rankOf(x) === 0) return like(b, x, name === 'softmax' ? 1 : 0);
  return b.composite(name, [x], { dim: axis }, (b, input) => {
    const wide = b.convert(input, computeType(dtypeOf(input)));
    return [b.convert(body(b, wide, axis), dtypeOf(input))];
  })[0];
}

export function logSumExp(b: CoreBuilder, self: Value, dim: readonly number[], keepdim: boolean): Value {
  const sizes = sizesOf(self);
  const dims = wrapDims(dim, sizes.length);
  const x = b.convert(self, computeType(toFloat(dtypeOf(self))));
  const max = b.reduceMax(x, dims);
  // An infinite maximum is taken out as zero: inf - inf would be NaN.
  const safe = b.select(b.isFinite(max), max, like(b, max, 0));
  const sum = b.reduceSum(b.exponential(b.subtract(x, spread(b, safe, sizes, dims))), dims);
  const result = b.convert(b.add(b.log(sum), safe), toFloat(dtypeOf(self)));
  return keepdim
    ? b.reshape(
        result,
        sizes.map((size, index) => (dims.includes(index) ? 1 : size)),
      )
    : result;
}

lowerings({
  'aten::softmax.int': softmax,
  'aten::log_softmax.int': logSoftmax,
  'aten::special_softmax': softmax,
  'aten::special_log_softmax': logSoftmax,
  'aten::_softmax': (b, self: Value, dim: number, halfToFloat: boolean) =>
    softmax(b, self, dim, halfToFloat ? 'float32' : null),
  'aten::_log_softmax': (b, self: Value, dim: number, halfToFloat: boolean) =>
    logSoftmax(b, self, dim, halfToFloat ? 'float32' : null),
  'aten::logsumexp': logSumExp,
  'aten::special_logsumexp': logSumExp,
});
