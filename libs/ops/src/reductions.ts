// Reductions over dimensions: sum, mean, prod, var, std, max, min, all, any, norms, nansum, count_nonzero, with all
// their overloads.
import type { CoreBuilder, DType, Value } from '@weft/ir';
import { isComplex, isFloatingPoint, numel, realDType } from '@weft/ir';
import { lowerings } from './operator.ts';
import type { Scalar } from './operator.ts';
import { computeType, isIntegral, printName, toSum } from './promotion.ts';
import { check, fail, range, rankOf, sizesOf, wrapDim, wrapDims } from './broadcast.ts';
import { dtypeOf, is, isNaN, like, over, realOf, zeroUnless } from './elementwise.ts';
import { evenly } from './gradient-flow.ts';
import { spread } from './softmax.ts';
import { takeAlong } from './gathering.ts';

type Dims = readonly number[] | number | null;

/** Puts the reduced dimensions back with size 1 where they are to be kept. */
export function keep(
  b: CoreBuilder,
  reduced: Value,
  sizes: readonly number[],
  dims: readonly number[],
  keepdim: boolean,
): Value {
  return keepdim
    ? b.reshape(
        reduced,
        sizes.map((size, dim) => (dims.includes(dim) ? 1 : size)),
      )
    : reduced;
}

/** Reduces in float32 or wider, then rounds to the dtype. */
function accumulate(
  b: CoreBuilder,
  self: Value,
  dim: Dims,
  keepdim: boolean,
  dtype: DType,
  body: (x: Value, dims: readonly number[]) => Value,
): Value {
  const sizes = sizesOf(self);
  const dims = wrapDims(dim, sizes.length);
  const x = b.convert(self, computeType(dtype));
  return keep(b, b.convert(body(x, dims), dtype), sizes, dims, keepdim);
}

export function sum(
  b: CoreBuilder,
  self: Value,
  dim: Dims = null,
  keepdim = false,
  dtype: DType | null = null,
): Value {
  return accumulate(b, self, dim, keepdim, dtype ?? toSum(dtypeOf(self)), (x, dims) =>
    dtypeOf(x) === 'bool' ? b.reduceOr(x, dims) : b.reduceSum(x, dims),
  );
}

const countOf = (sizes: readonly number[], dims: readonly number[]): number =>
  numel(dims.map((dim) => sizes[dim]));

export function mean(
  b: CoreBuilder,
  self: Value,
  dim: Dims = null,
  keepdim = false,
  dtype: DType | null = null,
): Value {
  const result = dtype ?? dtypeOf(self);
  check(
    !isIntegral(result),
    () =>
      `mean(): could not infer output dtype. ${dtype === null ? 'Input' : 'Optional'} dtype must be either a floating point or complex dtype. Got: ${printName(result)}`,
  );
  return accumulate(b, self, dim, keepdim, result, (x, dims) =>
    over(b, b.reduceSum(x, dims), countOf(sizesOf(x), dims)),
  );
}

function nanSum(b: CoreBuilder, self: Value, dim: Dims, keepdim: boolean, dtype: DType | null): Value {
  const x = isFloatingPoint(dtypeOf(self)) ? zeroUnless(b, b.not(isNaN(b, self)), self) : self;
  return sum(b, x, dim, keepdim, dtype);
}

function nanMean(b: CoreBuilder, self: Value, dim: Dims, keepdim: boolean, dtype: DType | null): Value {
  const total = nanSum(b, self, dim, keepdim, dtype);
  const valid = b.convert(b.not(isNaN(b, self)), dtypeOf(total));
  return b.divide(total, sum(b, valid, dim, keepdim));
}

function prod(b: CoreBuilder, self: Value, dim: Dims, keepdim: boolean, dtype: DType | null): Value {
  return accumulate(b, self, dim, keepdim, dtype ?? toSum(dtypeOf(self)), (x, dims) => {
    // One dimension: the composite whose derivative is right where elements are zero.
    const rest = range(rankOf(x)).filter((each) => !dims.includes(each));
    const lead = rest.map((each) => sizesOf(x)[each]);
    const flat = b.reshape(b.transpose(x, [...rest, ...dims]), [...lead, countOf(sizesOf(x), dims)]);
    return b.composite('prod', [flat], { dim: lead.length }, (b, y) => [b.reduceProd(y, [lead.length])])[0];
  });
}

/** Variance and mean in two passes; `correction` is taken off the count. */
export function varMean(
  b: CoreBuilder,
  self: Value,
  dim: Dims,
  correction: number,
  keepdim: boolean,
): [variance: Value, mean: Value] {
  const dtype = dtypeOf(self);
  check(
    isFloatingPoint(dtype) || isComplex(dtype),
    () => 'std and var only support floating point and complex dtypes',
  );
  const sizes = sizesOf(self);
  const dims = wrapDims(dim, sizes.length);
  const x = b.convert(self, computeType(dtype));
  const count = countOf(sizes, dims);
  const average = over(b, b.reduceSum(x, dims), count);
  const centred = b.subtract(x, spread(b, average, sizes, dims));
  const square = isComplex(dtype)
    ? b.add(b.multiply(b.real(centred), b.real(centred)), b.multiply(b.imag(centred), b.imag(centred)))
    : b.multiply(centred, centred);
  const variance = over(b, b.reduceSum(square, dims), Math.max(count - correction, 0));
  return [
    keep(b, b.convert(variance, realDType(dtype)), sizes, dims, keepdim),
    keep(b, b.convert(average, dtype), sizes, dims, keepdim),
  ];
}

const correctionOf = (unbiased: boolean): number => (unbiased ? 1 : 0);

interface Moments {
  (b: CoreBuilder, self: Value, dim: Dims, correction: number, keepdim: boolean): Value | Value[];
}
/** The four overloads of var, std, var_mean, std_mean. */
const momentOverloads = (name: string, run: Moments) => ({
  [`aten::${name}`]: (b: CoreBuilder, self: Value, unbiased: boolean) =>
    run(b, self, null, correctionOf(unbiased), false),
  [`aten::${name}.dim`]: (b: CoreBuilder, self: Value, dim: Dims, unbiased: boolean, keepdim: boolean) =>
    run(b, self, dim, correctionOf(unbiased), keepdim),
  [`aten::${name}.correction`]: (
    b: CoreBuilder,
    self: Value,
    dim: Dims,
    correction: number | null,
    keepdim: boolean,
  ) => run(b, self, dim, correction ?? 1, keepdim),
});

/** The index of the first greatest (least) element along a dimension; NaN is greatest of all. */
function extremeIndex(b: CoreBuilder, self: Value, dim: number, greatest: boolean): Value {
  const x = dtypeOf(self) === 'bool' ? b.convert(self, 'uint8') : self;
  const sizes = sizesOf(x);
  const positions = b.iota('int64', sizes, dim);
  const best = greatest ? b.reduceMax(x, [dim]) : b.reduceMin(x, [dim]);
  const target = spread(b, best, sizes, [dim]);
  const floats = isFloatingPoint(dtypeOf(x));
  const hit = floats
    ? b.or(b.compare(x, target, 'EQ'), b.and(isNaN(b, x), isNaN(b, target)))
    : b.compare(x, target, 'EQ');
  return b.reduceMin(b.select(hit, positions, like(b, positions, BigInt(sizes[dim]))), [dim]);
}

function checkOrdered(name: string, self: Value): void {
  check(!isComplex(dtypeOf(self)), () => `${name}(): does not support complex input`);
}

/** Values and indices of the extreme elements along a dimension. */
export function extremeAlong(
  b: CoreBuilder,
  name: string,
  self: Value,
  dim: number,
  keepdim: boolean,
  greatest: boolean,
): [values: Value, indices: Value] {
  checkOrdered(name, self);
  const sizes = sizesOf(self);
  const axis = wrapDim(dim, sizes.length);
  if (sizes.length === 0) return [self, b.full(0n, 'int64')];
  check(sizes[axis] > 0, () => `${name}(): Expected reduction dim ${axis} to have non-zero size.`);
  const index = extremeIndex(b, self, axis, greatest);
  const kept = b.reshape(
    index,
    sizes.map((size, at) => (at === axis ? 1 : size)),
  );
  const values = takeAlong(b, self, kept, axis);
  return keepdim ? [values, kept] : [b.reshape(values, sizesOf(index)), index];
}

function extremeOfAll(b: CoreBuilder, name: string, self: Value, greatest: boolean): Value {
  checkOrdered(name, self);
  check(
    numel(sizesOf(self)) > 0,
    () =>
      `${name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' argument.`,
  );
  return evenly(b, name, self, (b, x) => extremes(b, name, x, [], false, greatest));
}

function extremes(
  b: CoreBuilder,
  name: string,
  self: Value,
  dim: Dims,
  keepdim: boolean,
  greatest: boolean,
): Value {
  checkOrdered(name, self);
  const sizes = sizesOf(self);
  const dims = wrapDims(dim, sizes.length);
  for (const each of dims) {
    check(sizes[each] > 0, () => `${name}(): Expected reduction dim ${each} to have non-zero size.`);
  }
  const reduce = (x: Value): Value => (greatest ? b.reduceMax(x, dims) : b.reduceMin(x, dims));
  const result =
    dtypeOf(self) === 'bool' ? b.convert(reduce(b.convert(self, 'uint8')), 'bool') : reduce(self);
  return keep(b, result, sizes, dims, keepdim);
}

function argExtreme(
  b: CoreBuilder,
  name: string,
  self: Value,
  dim: number | null,
  keepdim: boolean,
  greatest: boolean,
): Value {
  checkOrdered(name, self);
  const sizes = sizesOf(self);
  if (dim === null) {
    const count = numel(sizes);
    check(count > 0, () => `${name}(): Expected reduction dim to be specified for input.numel() == 0.`);
    const index = extremeIndex(b, b.reshape(self, [count]), 0, greatest);
    return keepdim
      ? b.reshape(
          index,
          sizes.map(() => 1),
        )
      : index;
  }
  const axis = wrapDim(dim, sizes.length);
  if (sizes.length === 0) return b.full(0n, 'int64');
  check(sizes[axis] > 0, () => `${name}(): Expected reduction dim ${axis} to have non-zero size.`);
  return keep(b, extremeIndex(b, self, axis, greatest), sizes, [axis], keepdim);
}

function truth(b: CoreBuilder, self: Value, dim: Dims, keepdim: boolean, all: boolean): Value {
  const sizes = sizesOf(self);
  const dims = wrapDims(dim, sizes.length);
  const x = b.convert(self, 'bool');
  const result = keep(b, all ? b.reduceAnd(x, dims) : b.reduceOr(x, dims), sizes, dims, keepdim);
  // As PyTorch: bytes stay bytes.
  return dtypeOf(self) === 'uint8' ? b.convert(result, 'uint8') : result;
}

/** The p-norm over dimensions; its derivative at zero is zero. */
export function vectorNorm(
  b: CoreBuilder,
  self: Value,
  ord: number,
  dim: Dims,
  keepdim: boolean,
  dtype: DType | null,
): Value {
  const input = dtype === null ? self : b.convert(self, dtype);
  const type = dtypeOf(input);
  check(
    isFloatingPoint(type) || isComplex(type),
    () => `linalg.vector_norm: Expected a floating point or complex tensor as input. Got ${printName(type)}`,
  );
  const result = realDType(type);
  const sizes = sizesOf(self);
  const dims = wrapDims(dim, sizes.length);
  const wide = b.convert(input, computeType(type));
  const size = isComplex(type) ? b.abs(wide) : wide;
  const norm = (): Value => {
    if (ord === Infinity) return b.reduceMax(b.abs(size), dims);
    if (ord === -Infinity) return b.reduceMin(b.abs(size), dims);
    if (ord === 0) return b.reduceSum(b.convert(is(b, size, 'NE', 0), dtypeOf(size)), dims);
    if (ord === 1) return b.reduceSum(b.abs(size), dims);
    if (ord === 2) return safeRoot(b, b.reduceSum(b.multiply(size, size), dims), (y) => b.sqrt(y));
    const magnitude = b.abs(size);
    const zero = is(b, magnitude, 'EQ', 0);
    const inside = b.select(zero, like(b, magnitude, 1), magnitude);
    const powered = b.power(inside, like(b, inside, ord));
    const total = b.reduceSum(b.select(zero, like(b, powered, ord > 0 ? 0 : Infinity), powered), dims);
    return safeRoot(b, total, (y) => b.power(y, like(b, y, 1 / ord)));
  };
  return keep(b, b.convert(norm(), result), sizes, dims, keepdim);
}

/** A root whose derivative at zero is zero instead of infinite. */
function safeRoot(b: CoreBuilder, x: Value, root: (x: Value) => Value): Value {
  const zero = is(b, x, 'EQ', 0);
  return b.select(zero, like(b, x, 0), root(b.select(zero, like(b, x, 1), x)));
}

const normWith = (
  b: CoreBuilder,
  self: Value,
  p: Scalar | null,
  dim: Dims,
  keepdim: boolean,
  dtype: DType | null,
): Value => vectorNorm(b, self, p === null ? 2 : realOf(p), dim, keepdim, dtype);

function countNonzero(b: CoreBuilder, self: Value, dim: Dims): Value {
  return sum(b, b.convert(b.convert(self, 'bool'), 'int64'), dim);
}

function aminmax(b: CoreBuilder, self: Value, dim: number | null, keepdim: boolean): Value[] {
  if (dim === null) {
    check(
      numel(sizesOf(self)) > 0,
      () => 'aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity.',
    );
  }
  return [
    extremes(b, 'aminmax', self, dim, keepdim, false),
    extremes(b, 'aminmax', self, dim, keepdim, true),
  ];
}

const std = (b: CoreBuilder, variance: Value): Value => safeRoot(b, variance, (x) => b.sqrt(x));
const variance: Moments = (b, self, dim, correction, keepdim) =>
  varMean(b, self, dim, correction, keepdim)[0];

lowerings({
  'aten::sum': (b, self: Value, dtype: DType | null) => sum(b, self, null, false, dtype),
  'aten::sum.dim_IntList': sum,
  'aten::mean': (b, self: Value, dtype: DType | null) => mean(b, self, null, false, dtype),
  'aten::mean.dim': mean,
  'aten::nansum': nanSum,
  'aten::nanmean': nanMean,
  'aten::prod': (b, self: Value, dtype: DType | null) => prod(b, self, null, false, dtype),
  'aten::prod.dim_int': (b, self: Value, dim: number, keepdim: boolean, dtype: DType | null) =>
    prod(b, self, [dim], keepdim, dtype),
  ...momentOverloads('var', variance),
  ...momentOverloads('std', (b, ...rest) => std(b, varMean(b, ...rest)[0])),
  ...momentOverloads('var_mean', varMean),
  ...momentOverloads('std_mean', (b, ...rest) => {
    const [spreadOf, average] = varMean(b, ...rest);
    return [std(b, spreadOf), average];
  }),
  'aten::max': (b, self: Value) => extremeOfAll(b, 'max', self, true),
  'aten::min': (b, self: Value) => extremeOfAll(b, 'min', self, false),
  'aten::max.dim': (b, self: Value, dim: number, keepdim: boolean) =>
    extremeAlong(b, 'max', self, dim, keepdim, true),
  'aten::min.dim': (b, self: Value, dim: number, keepdim: boolean) =>
    extremeAlong(b, 'min', self, dim, keepdim, false),
  'aten::amax': (b, self: Value, dim: Dims, keepdim: boolean) =>
    extremes(b, 'amax', self, dim, keepdim, true),
  'aten::amin': (b, self: Value, dim: Dims, keepdim: boolean) =>
    extremes(b, 'amin', self, dim, keepdim, false),
  'aten::aminmax': aminmax,
  'aten::_aminmax': (b, self: Value) => aminmax(b, self, null, false),
  'aten::_aminmax.dim': aminmax,
  'aten::argmax': (b, self: Value, dim: number | null, keepdim: boolean) =>
    argExtreme(b, 'argmax', self, dim, keepdim, true),
  'aten::argmin': (b, self: Value, dim: number | null, keepdim: boolean) =>
    argExtreme(b, 'argmin', self, dim, keepdim, false),
  'aten::all': (b, self: Value) => truth(b, self, null, false, true),
  'aten::all.dim': (b, self: Value, dim: number, keepdim: boolean) => truth(b, self, dim, keepdim, true),
  'aten::any': (b, self: Value) => truth(b, self, null, false, false),
  'aten::any.dim': (b, self: Value, dim: number, keepdim: boolean) => truth(b, self, dim, keepdim, false),
  'aten::all.dims': (b, self: Value, dim: Dims, keepdim: boolean) => truth(b, self, dim, keepdim, true),
  'aten::any.dims': (b, self: Value, dim: Dims, keepdim: boolean) => truth(b, self, dim, keepdim, false),
  'aten::count_nonzero': (b, self: Value, dim: number | null) => countNonzero(b, self, dim),
  'aten::count_nonzero.dim_IntList': countNonzero,
  'aten::norm.Scalar': (b, self: Value, p: Scalar) => normWith(b, self, p, null, false, null),
  'aten::norm.ScalarOpt_dtype': (b, self: Value, p: Scalar | null, dtype: DType) =>
    normWith(b, self, p, null, false, dtype),
  'aten::norm.ScalarOpt_dim': (b, self: Value, p: Scalar | null, dim: Dims, keepdim: boolean) =>
    normWith(b, self, p, dim, keepdim, null),
  'aten::norm.ScalarOpt_dim_dtype': normWith,
  'aten::frobenius_norm': (b, self: Value) => vectorNorm(b, self, 2, null, false, null),
  'aten::frobenius_norm.dim': (b, self: Value, dim: Dims, keepdim: boolean) =>
    vectorNorm(b, self, 2, dim, keepdim, null),
  'aten::native_norm': (b, self: Value, p: Scalar) => normWith(b, self, p, null, false, null),
  'aten::native_norm.ScalarOpt_dim_dtype': normWith,
  'aten::linalg_vector_norm': (
    b,
    self: Value,
    ord: Scalar,
    dim: Dims,
    keepdim: boolean,
    dtype: DType | null,
  ) => vectorNorm(b, self, realOf(ord), dim, keepdim, dtype),
  'aten::sum_to_size': sumToSize,
});

/** Undoes broadcasting: sums until the shape is `size`. */
export function sumToSize(b: CoreBuilder, self: Value, size: readonly number[]): Value {
  const sizes = sizesOf(self);
  const lead = sizes.length - size.length;
  const fits = lead >= 0 && size.every((n, dim) => n === 1 || n === sizes[lead + dim]);
  if (!fits) fail(`size {[${size.join(', ')}]} is not expandable to size {[${sizes.join(', ')}]}.`);
  const dims = range(sizes.length).filter(
    (dim) => dim < lead || (size[dim - lead] === 1 && sizes[dim] !== 1),
  );
  return b.reshape(b.reduceSum(self, dims), size);
}
