// Operators whose result's shape depends on data: nonzero, masked_select, unique, bincount; and the preparations that
// turn boolean masks, counts to be inferred and repeats into arguments that fix the shape.
import type { CoreBuilder, DType, TensorLike, TensorLiteral, Value } from '@weft/ir';
import { noDerivative, noFormula, underivableKernel } from './gradient-flow.ts';
import { isFloatingPoint, numel } from '@weft/ir';
import type { DataArgument, KernelVjp, ReadTensor } from './operator.ts';
import { indexRanges, kernels, lowerings, preparations } from './operator.ts';
import { broadcastShapes, check, fail, range, sizesOf, wrapDim } from './broadcast.ts';
import { contiguousStrides } from './strides.ts';
import { dtypeOf, like, plus, zeroUnless } from './elementwise.ts';
import { integersOf, literalOf, numbersOf, pick } from './literal.ts';
import { oneHot } from './factories.ts';
import { takeSlices } from './gathering.ts';
import { cumsum } from './scans.ts';
import { columnMajor, layouts } from './result-layout.ts';

type Sizes = readonly number[];

/** Row-major positions of the elements that are not zero. */
function truePositions(literal: TensorLiteral): number[] {
  const values = numbersOf(literal);
  const parts = values.length / Math.max(numel(literal.shape), 1);
  return range(numel(literal.shape)).filter((index) =>
    parts === 2 ? values[2 * index] !== 0 || values[2 * index + 1] !== 0 : values[index] !== 0,
  );
}

/** The coordinate of each position along each dimension. */
function coordinates(positions: Sizes, shape: Sizes): number[][] {
  const strides = contiguousStrides(shape);
  return shape.map((size, dim) => positions.map((at) => Math.floor(at / strides[dim]) % size));
}

function nonzero(self: TensorLiteral): TensorLiteral {
  const positions = truePositions(self);
  const columns = coordinates(positions, self.shape);
  const rows = positions.flatMap((_, row) => columns.map((column) => column[row]));
  return literalOf('int64', [positions.length, self.shape.length], rows);
}

/** One vector of positions for each dimension; a zero-dimensional tensor counts as a vector. */
function nonzeroVectors(self: TensorLiteral): TensorLiteral[] {
  const positions = truePositions(self);
  const shape = self.shape.length === 0 ? [1] : self.shape;
  return coordinates(positions, shape).map((column) => literalOf('int64', [positions.length], column));
}

/** For each element of a broadcast shape, the row-major position in a tensor of the given shape. */
export function broadcastPositions(shape: Sizes, from: Sizes): number[] {
  const strides = contiguousStrides(from);
  const lead = shape.length - from.length;
  const outer = contiguousStrides(shape);
  return range(numel(shape)).map((index) =>
    from.reduce((at, size, dim) => {
      const coordinate = Math.floor(index / outer[dim + lead]) % shape[dim + lead];
      return at + (size === 1 ? 0 : coordinate) * strides[dim];
    }, 0),
  );
}

function maskedSelect(self: TensorLiteral, mask: TensorLiteral): TensorLiteral {
  check(
    mask.dtype === 'bool' || mask.dtype === 'uint8',
    () => 'masked_select: expected BoolTensor or ByteTensor for mask',
  );
  const shape = broadcastShapes(self.shape, mask.shape);
  const masked = broadcastPositions(shape, mask.shape);
  const values = numbersOf(mask);
  const source = broadcastPositions(shape, self.shape).filter((_, index) => values[masked[index]] !== 0);
  return pick(self, source, [source.length]);
}

/** How many true elements stand before each: where the element of a mask's selection is. */
function ranks(b: CoreBuilder, mask: Value): Value {
  const count = numel(sizesOf(mask));
  const flat = b.reshape(b.convert(b.convert(mask, 'bool'), 'int64'), [count]);
  return b.reshape(b.maximum(plus(b, cumsum(b, flat, 0), -1), like(b, flat, 0)), sizesOf(mask));
}

const maskedSelectVjp: KernelVjp = (b, { args, outputs, cotangents: [g] }) => {
  if (g === null) return [null, null];
  const [self, mask] = args as [Value, Value];
  const shape = broadcastShapes(sizesOf(self), sizesOf(mask));
  const full = b.broadcastTo(b.convert(mask, 'bool'), shape);
  if (sizesOf(outputs[0])[0] === 0) return [like(b, self, 0), null];
  const spread = zeroUnless(b, full, takeSlices(b, g, ranks(b, full), 0));
  return [sumTo(b, spread, sizesOf(self)), null];
};

function sumTo(b: CoreBuilder, value: Value, sizes: Sizes): Value {
  const from = sizesOf(value);
  const lead = from.length - sizes.length;
  const dims = range(from.length).filter((dim) => dim < lead || (sizes[dim - lead] === 1 && from[dim] !== 1));
  return b.reshape(b.reduceSum(value, dims), sizes);
}

// ---- unique, bincount, histc --------------------------------------------------------------------------------------

interface Distinct {
  readonly values: TensorLiteral;
  readonly inverse: TensorLiteral;
  readonly counts: TensorLiteral;
}

/** Compares rows of numbers, NaN last. */
function compareRows(a: ArrayLike<number>, p: number, q: number, width: number): number {
  for (let index = 0; index < width; index++) {
    const [x, y] = [a[p * width + index], a[q * width + index]];
    if (x < y || (Number.isNaN(y) && !Number.isNaN(x))) return -1;
    if (x > y || (Number.isNaN(x) && !Number.isNaN(y))) return 1;
  }
  return 0;
}

/** Distinct slices along `dim` (of all elements for null), sorted, or only runs of equal ones. */
function distinct(self: TensorLiteral, dim: number | null, consecutive: boolean): Distinct {
  const shape = dim === null ? [numel(self.shape)] : self.shape;
  const axis = dim ?? 0;
  const size = shape[axis] ?? 0;
  const strides = contiguousStrides(shape);
  const others = shape.filter((_, each) => each !== axis);
  const width = numel(others);
  // Row r holds the positions of slice r.
  const otherStrides = strides.filter((_, each) => each !== axis);
  const inner = contiguousStrides(others);
  const offsets = range(width).map((index) =>
    others.reduce(
      (at, length, each) => at + (Math.floor(index / inner[each]) % length) * otherStrides[each],
      0,
    ),
  );
  const values = numbersOf(self);
  const rows = new Float64Array(size * width);
  for (let row = 0; row < size; row++) {
    for (let at = 0; at < width; at++) rows[row * width + at] = values[row * strides[axis] + offsets[at]];
  }
  const order = range(size);
  if (!consecutive) order.sort((p, q) => compareRows(rows, p, q, width) || p - q);
  const inverse = new Array<number>(size);
  const firsts: number[] = [];
  const counts: number[] = [];
  for (const [index, row] of order.entries()) {
    const same =
      index > 0 && range(width).every((at) => rows[row * width + at] === rows[order[index - 1] * width + at]);
    if (!same) {
      firsts.push(row);
      counts.push(0);
    }
    inverse[row] = firsts.length - 1;
    counts[counts.length - 1]++;
  }
  const resultShape = shape.map((length, each) => (each === axis ? firsts.length : length));
  const resultStrides = contiguousStrides(resultShape);
  const positions = range(numel(resultShape)).map((index) =>
    resultShape.reduce((at, length, each) => {
      const coordinate = Math.floor(index / resultStrides[each]) % length;
      return at + (each === axis ? firsts[coordinate] : coordinate) * strides[each];
    }, 0),
  );
  return {
    values: pick(self, positions, resultShape),
    inverse: literalOf('int64', dim === null ? self.shape : [size], inverse),
    counts: literalOf('int64', [counts.length], counts),
  };
}

const emptyIndex = (): TensorLiteral => literalOf('int64', [0], []);

const uniqueAll = (
  self: TensorLiteral,
  dim: number | null,
  consecutive: boolean,
  wantInverse: boolean,
  wantCounts: boolean,
): TensorLiteral[] => {
  const { values, inverse, counts } = distinct(self, dim, consecutive);
  return [values, wantInverse ? inverse : emptyIndex(), wantCounts ? counts : emptyIndex()];
};

function bincount(self: TensorLiteral, weights: TensorLiteral | null, minlength: number): TensorLiteral {
  check(
    self.shape.length === 1 && !isFloatingPoint(self.dtype),
    () => 'bincount only supports 1-d non-negative integral inputs.',
  );
  const values = numbersOf(self);
  if (values.length === 0 && minlength >= 0) {
    // Of nothing PyTorch counts in int64, whatever the weights are.
    return literalOf('int64', [minlength], new Float64Array(minlength));
  }
  check(
    values.every((value) => value >= 0),
    () => 'bincount only supports 1-d non-negative integral inputs.',
  );
  check(minlength >= 0, () => 'minlength should be >= 0');
  check(
    weights === null || numel(weights.shape) === values.length,
    () => 'weights should be 1-d and have the same length as input',
  );
  const length = values.reduce((most, value) => Math.max(most, value + 1), minlength);
  const counts = new Float64Array(length);
  const amounts = weights === null ? null : numbersOf(weights);
  for (const [index, value] of values.entries()) counts[value] += amounts?.[index] ?? 1;
  const dtype: DType = weights === null ? 'int64' : weights.dtype === 'float32' ? 'float32' : 'float64';
  return literalOf(dtype, [length], counts);
}

/** Counts in equal bins between min and max (of the data, when both are equal); the last bin is closed. */
function histc(self: TensorLiteral, bins: number, min: number, max: number): TensorLiteral {
  check(isFloatingPoint(self.dtype), () => `"histogram_cpu" not implemented for '${self.dtype}'`);
  check(bins > 0, () => 'torch.histc(): bins must be > 0');
  const values = numbersOf(self);
  let [low, high] = [Number(min), Number(max)];
  if (low === high && values.length > 0) {
    low = values.reduce((least, value) => Math.min(least, value), Infinity);
    high = values.reduce((most, value) => Math.max(most, value), -Infinity);
  }
  if (low === high) [low, high] = [low - 1, high + 1];
  check(
    Number.isFinite(low) && Number.isFinite(high),
    () => `torch.histc(): range of [${low}, ${high}] is not finite`,
  );
  check(low < high, () => 'torch.histc(): max must be larger than min');
  const counts = new Float64Array(bins);
  for (const value of values) {
    if (!(value >= low && value <= high)) continue;
    counts[Math.min(Math.floor(((value - low) * bins) / (high - low)), bins - 1)]++;
  }
  return literalOf(self.dtype, [bins], counts);
}

kernels({
  'aten::nonzero': { kernel: nonzero },
  'aten::argwhere': { kernel: nonzero },
  'aten::nonzero_numpy': { kernel: nonzeroVectors },
  'aten::where': { kernel: nonzeroVectors },
  'aten::masked_select': { kernel: maskedSelect, vjp: maskedSelectVjp },
  'aten::_unique': {
    vjp: underivableKernel(noFormula('_unique')),
    kernel: (self: TensorLiteral, _sorted: boolean, inverse: boolean) =>
      uniqueAll(self, null, false, inverse, false).slice(0, 2),
  },
  'aten::_unique2': {
    vjp: underivableKernel(noFormula('_unique2')),
    kernel: (self: TensorLiteral, _sorted: boolean, inverse: boolean, counts: boolean) =>
      // Counting needs the positions: they come along.
      uniqueAll(self, null, false, inverse || counts, counts),
  },
  'aten::unique_dim': {
    vjp: underivableKernel(noFormula('unique_dim')),
    kernel: (self: TensorLiteral, dim: number) =>
      uniqueAll(self, wrapDim(dim, self.shape.length), false, true, true),
  },
  'aten::unique_consecutive': {
    vjp: underivableKernel(noFormula('unique_consecutive')),
    kernel: (self: TensorLiteral, inverse: boolean, counts: boolean, dim: number | null) => {
      const along = dim === null ? null : wrapDim(dim, self.shape.length);
      return uniqueAll(self, along, true, inverse || along !== null, counts || along !== null);
    },
  },
  'aten::unique_dim_consecutive': {
    vjp: underivableKernel(noFormula('unique_dim_consecutive')),
    kernel: (self: TensorLiteral, dim: number) =>
      uniqueAll(self, wrapDim(dim, self.shape.length), true, true, true),
  },
  'aten::bincount': { kernel: bincount, vjp: underivableKernel(noDerivative('aten::bincount')) },
  'aten::histc': { kernel: histc },
  /** Each number n repeated as often as its element says. */
  'aten::repeat_interleave.Tensor': { kernel: (repeats: TensorLiteral) => interleaved(repeats) },
});

function interleaved(repeats: TensorLiteral): TensorLiteral {
  const counts = numbersOf(repeats);
  check(
    counts.every((count) => count >= 0),
    () => 'repeats can not be negative',
  );
  const index = Array.from(counts).flatMap((count, at) => new Array<number>(count).fill(at));
  return literalOf('int64', [index.length], index);
}

// ---- preparations -------------------------------------------------------------------------------------------------

const isMask = (tensor: TensorLike | null): boolean => tensor?.dtype === 'bool' || tensor?.dtype === 'uint8';

/** Masks among indices become the positions where they are true, one index for each dimension that they cover. */
function withoutMasks(
  read: ReadTensor,
  self: TensorLike,
  indices: readonly (TensorLike | null)[],
  ...rest: DataArgument[]
): readonly DataArgument[] | null {
  if (!indices.some(isMask)) return null;
  let dim = 0;
  const expanded = indices.flatMap((index) => {
    if (index === null || !isMask(index)) {
      dim++;
      return [index];
    }
    for (const [each, size] of index.shape.entries()) {
      check(
        size === self.shape[dim + each],
        () =>
          `The shape of the mask [${index.shape.join(', ')}] at index ${each} does not match the shape of the indexed tensor [${self.shape.join(', ')}] at index ${dim + each}`,
      );
    }
    dim += index.shape.length;
    return index.shape.length === 0 ? scalarMask(read(index)) : nonzeroVectors(read(index));
  });
  return [self, expanded, ...rest];
}

const scalarMask = (mask: TensorLiteral): TensorLiteral[] =>
  truePositions(mask).length > 0 ? [literalOf('int64', [1], [0])] : [literalOf('int64', [0], [])];

preparations({
  'aten::index.Tensor': withoutMasks,
  'aten::index.Tensor_hacked_twin': withoutMasks,
  'aten::index_put': withoutMasks,
  'aten::index_put.hacked_twin': withoutMasks,
  'aten::_index_put_impl': withoutMasks,
  'aten::one_hot': (read, self: TensorLike, classes: number) => {
    if (classes !== -1) return null;
    const values = integersOf(read(self));
    if (values.length === 0) fail('Can not infer total number of classes from empty tensor.');
    return [self, Number(values.reduce((most, value) => (value > most ? value : most), -1n)) + 1];
  },
  /** Repeats become the index of the element that stands at each place. */
  'aten::repeat_interleave.self_Tensor': (
    read,
    self: TensorLike,
    repeats: TensorLike,
    dim: number | null,
    outputSize: number | null,
  ) => {
    const size = dim === null ? numel(self.shape) : self.shape[wrapDim(dim, self.shape.length)];
    const counts = read(repeats);
    const whole =
      numel(counts.shape) === 1
        ? literalOf(
            'int64',
            [size],
            range(size).map(() => integersOf(counts)[0]),
          )
        : counts;
    check(numel(whole.shape) === size, () => 'repeats must have the same size as input along dim');
    return [self, interleaved(whole), dim, outputSize];
  },
});

indexRanges({
  'aten::one_hot': (index: TensorLike, classes: number) => [
    {
      index,
      low: 0,
      high: classes >= 0 ? classes : undefined,
      message: (at) =>
        at < 0n ? 'Class values must be non-negative.' : 'Class values must be smaller than num_classes.',
    },
  ],
});

lowerings({
  'aten::one_hot': oneHot,
  /** After its preparation: `index` says which element stands at each place. */
  'aten::repeat_interleave.self_Tensor': (b, self: Value, index: Value, dim: number | null) => {
    const x = dim === null ? b.reshape(self, [numel(sizesOf(self))]) : self;
    return takeSlices(b, x, index, wrapDim(dim ?? 0, sizesOf(x).length));
  },
  /** Elements of `source`, in order, where the mask is true. */
  'aten::masked_scatter': (b, self: Value, mask: Value, source: Value) => {
    check(
      dtypeOf(self) === dtypeOf(source),
      () =>
        `masked_scatter: expected self and source to have same dtypes but got ${dtypeOf(self)} and ${dtypeOf(source)}`,
    );
    const shape = broadcastShapes(sizesOf(self), sizesOf(mask));
    const [x, where] = [b.broadcastTo(self, shape), b.broadcastTo(b.convert(mask, 'bool'), shape)];
    const flat = b.reshape(source, [numel(sizesOf(source))]);
    return b.select(where, takeSlices(b, flat, ranks(b, where), 0), x);
  },
});

layouts({
  'aten::nonzero': columnMajor,
  'aten::argwhere': columnMajor,
});
