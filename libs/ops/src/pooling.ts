// Pooling: max (with the indices of the maxima), average, adaptive, and max_unpool; one to three spatial dimensions.
import type { CoreBuilder, Value } from '@weft/ir';
import { isFloatingPoint, lowestOf, numel } from '@weft/ir';
import { lowerings } from './operator.ts';
import { check, expandList, range, rankOf, sizesOf } from './broadcast.ts';
import { computeType } from './promotion.ts';
import { dtypeOf, isNaN, like, over } from './elementwise.ts';
import { insertDim } from './shapes.ts';
import { putAlong, takeAlong, takeSlices } from './gathering.ts';
import { literalOf } from './literal.ts';
import type { ResultLayout } from './result-layout.ts';
import { geometryOf, imageStrides, layouts, suggestedBy } from './result-layout.ts';

type Sizes = readonly number[];

interface Window {
  readonly kernel: Sizes;
  readonly stride: Sizes;
  readonly padding: Sizes;
  readonly dilation: Sizes;
  readonly output: Sizes;
  /** Padding at the end that makes the windows fit; negative where the last elements are in no window. */
  readonly high: Sizes;
}

/** The output sizes; in ceil mode a last window must start inside the input or its low padding. */
function windowOf(
  x: Value,
  kernelSize: Sizes,
  strides: Sizes,
  paddings: Sizes,
  dilations: Sizes,
  ceil: boolean,
): Window {
  const input = spatialOf(x);
  const plane = sizesOf(x)[1];
  const count = input.length;
  const kernel = expandList(kernelSize, count, 'kernel_size');
  const stride = strides.length === 0 ? kernel : expandList(strides, count, 'stride');
  const padding = expandList(paddings, count, 'padding');
  const dilation = expandList(dilations, count, 'dilation');
  check(
    stride.every((each) => each > 0),
    () => 'stride should not be zero',
  );
  for (const dim of range(count)) {
    check(
      padding[dim] * 2 <= kernel[dim],
      () =>
        `pad should be at most half of kernel size, but got pad=${padding[dim]} and kernel_size=${kernel[dim]}`,
    );
  }
  const output = input.map((size, dim) => {
    const span =
      size + 2 * padding[dim] - dilation[dim] * (kernel[dim] - 1) - 1 + (ceil ? stride[dim] - 1 : 0);
    const windows = Math.floor(span / stride[dim]) + 1;
    return ceil && (windows - 1) * stride[dim] >= size + padding[dim] ? windows - 1 : windows;
  });
  check(
    output.every((size) => size > 0),
    () =>
      `Given input size: (${[plane, ...input].join('x')}). Calculated output size: (${[plane, ...output].join('x')}). Output size is too small`,
  );
  const high = input.map(
    (size, dim) =>
      (output[dim] - 1) * stride[dim] + dilation[dim] * (kernel[dim] - 1) + 1 - size - padding[dim],
  );
  return { kernel, stride, padding, dilation, output, high };
}

/** Runs on a batch: an unbatched input gets a first dimension of 1. */
function batched(
  b: CoreBuilder,
  self: Value,
  spatial: number,
  name: string,
  body: (x: Value) => Value[],
): Value[] {
  const rank = rankOf(self);
  check(
    rank === spatial + 1 || rank === spatial + 2,
    () =>
      `${name}: Expected ${spatial + 1}D or ${spatial + 2}D (batch mode) tensor for input, but got: [${sizesOf(self).join(', ')}]`,
  );
  if (rank === spatial + 2) return body(self);
  return body(insertDim(b, self, 0)).map((y) => b.reshape(y, sizesOf(y).slice(1)));
}

const spatialOf = (x: Value): Sizes => sizesOf(x).slice(2);

/** Every position of a grid, the last dimension fastest. */
const positionsOf = (sizes: Sizes): number[][] =>
  sizes.reduce<number[][]>(
    (rows, size) => rows.flatMap((row) => range(size).map((at) => [...row, at])),
    [[]],
  );

/** The flat position in its channel of each window's first maximum, NaN counting as greatest. */
function maxIndices(b: CoreBuilder, x: Value, w: Window): Value {
  const dtype = dtypeOf(x);
  const lowest = b.full(lowestOf(dtype), dtype);
  const padded = b.pad(x, lowest, [0, 0, ...w.padding], [0, 0, ...w.high.map((each) => Math.max(each, 0))]);
  const shape = [...sizesOf(x).slice(0, 2), ...w.output];
  const sizes = spatialOf(x);
  // Positions along each dimension in the unpadded input; a window that begins in the padding has its first element inside.
  const coordinate = (dim: number, offset: number): Value => {
    const index = b.iota('int64', shape, dim + 2);
    const scaled = b.multiply(index, like(b, index, BigInt(w.stride[dim])));
    return b.add(scaled, like(b, index, BigInt(offset * w.dilation[dim] - w.padding[dim])));
  };
  let best: Value | undefined;
  let where: Value | undefined;
  for (const offset of positionsOf(w.kernel)) {
    const start = offset.map((at, dim) => at * w.dilation[dim]);
    const limit = start.map((at, dim) => at + (w.output[dim] - 1) * w.stride[dim] + 1);
    const value = b.slice(padded, [0, 0, ...start], [...shape.slice(0, 2), ...limit], [1, 1, ...w.stride]);
    let flat: Value | undefined;
    let inside: Value | undefined;
    for (const dim of range(sizes.length)) {
      const at = coordinate(dim, offset[dim]);
      flat = flat === undefined ? at : b.add(b.multiply(flat, like(b, flat, BigInt(sizes[dim]))), at);
      const fits = b.and(
        b.compare(at, like(b, at, 0n), 'GE'),
        b.compare(at, like(b, at, BigInt(sizes[dim])), 'LT'),
      );
      inside = inside === undefined ? fits : b.and(inside, fits);
    }
    if (best === undefined || where === undefined) {
      // -1 marks that nothing inside the input was seen yet.
      best = value;
      where = b.select(inside!, flat!, like(b, flat!, -1n));
      continue;
    }
    const greater = b.compare(value, best, 'GT');
    const first = b.compare(where, like(b, where, -1n), 'EQ');
    const better = isFloatingPoint(dtype) ? b.or(greater, isNaN(b, value)) : greater;
    const take = b.and(inside!, b.or(better, first));
    best = b.select(take, value, best);
    where = b.select(take, flat!, where);
  }
  return where!;
}

/** Values and indices of the maxima; the derivative goes to the chosen elements. */
function maxPool(b: CoreBuilder, x: Value, w: Window): [values: Value, indices: Value] {
  const indices = maxIndices(b, x, w);
  const lead = sizesOf(x).slice(0, 2);
  const flat = b.reshape(x, [...lead, numel(spatialOf(x))]);
  const values = takeAlong(b, flat, b.reshape(indices, [...lead, numel(w.output)]), 2);
  return [b.reshape(values, sizesOf(indices)), indices];
}

/** Maxima alone: a reduce_window where windows are not dilated. */
function maxPoolValues(b: CoreBuilder, x: Value, w: Window): Value {
  if (w.dilation.some((each) => each !== 1)) return maxPool(b, x, w)[0];
  const dtype = dtypeOf(x);
  const cut = b.slice(
    x,
    sizesOf(x).map(() => 0),
    [...sizesOf(x).slice(0, 2), ...spatialOf(x).map((size, dim) => size + Math.min(w.high[dim], 0))],
  );
  return b.composite(
    'max_pool',
    [cut],
    { kernel: w.kernel, stride: w.stride, padding: w.padding },
    (b, input) =>
      b.reduceWindow(
        [input],
        [b.full(lowestOf(dtype), dtype)],
        {
          windowDimensions: [1, 1, ...w.kernel],
          windowStrides: [1, 1, ...w.stride],
          padding: [[0, 0], [0, 0], ...w.padding.map((low, dim) => [low, Math.max(w.high[dim], 0)])],
        },
        (b, p, q) => [b.maximum(p, q)],
      ),
  )[0];
}

/** How many elements the average of each window divides by, along one dimension. */
function divisors(input: number, w: Window, dim: number, includePad: boolean): number[] {
  return range(w.output[dim]).map((at) => {
    const start = at * w.stride[dim] - w.padding[dim];
    const end = Math.min(start + w.kernel[dim], input + w.padding[dim]);
    return includePad ? end - start : Math.min(end, input) - Math.max(start, 0);
  });
}

function averagePool(
  b: CoreBuilder,
  x: Value,
  w: Window,
  includePad: boolean,
  override: number | null,
): Value {
  const dtype = dtypeOf(x);
  const wide = b.convert(x, computeType(dtype));
  const type = dtypeOf(wide);
  const cut = b.slice(
    wide,
    sizesOf(x).map(() => 0),
    [...sizesOf(x).slice(0, 2), ...spatialOf(x).map((size, dim) => size + Math.min(w.high[dim], 0))],
  );
  const [sums] = b.reduceWindow(
    [cut],
    [b.full(0, type)],
    {
      windowDimensions: [1, 1, ...w.kernel],
      windowStrides: [1, 1, ...w.stride],
      padding: [[0, 0], [0, 0], ...w.padding.map((low, dim) => [low, Math.max(w.high[dim], 0)])],
    },
    (b, p, q) => [b.add(p, q)],
  );
  if (override !== null) {
    check(override !== 0, () => 'divisor must be not zero');
    return b.convert(over(b, sums, override), dtype);
  }
  let result = sums;
  let common = 1;
  for (const [dim, size] of spatialOf(x).entries()) {
    const counts = divisors(size, w, dim, includePad);
    if (counts.every((count) => count === counts[0])) common *= counts[0];
    else {
      const column = b.constant(literalOf(type, [counts.length], counts));
      result = b.divide(result, b.broadcastInDim(column, sizesOf(result), [dim + 2]));
    }
  }
  return b.convert(over(b, result, common), dtype);
}

const startOf = (at: number, input: number, output: number): number => Math.floor((at * input) / output);
const endOf = (at: number, input: number, output: number): number => Math.ceil(((at + 1) * input) / output);

/** Averages of regions whose bounds are spread evenly: a product with a matrix of weights along each dimension. */
function adaptiveAverage(b: CoreBuilder, x: Value, output: Sizes): Value {
  const dtype = dtypeOf(x);
  let result = b.convert(x, computeType(dtype));
  for (const [each, size] of output.entries()) {
    const dim = each + 2;
    const input = sizesOf(result)[dim];
    if (size === input) continue;
    if (size > 0 && input % size === 0) {
      const sizes = sizesOf(result);
      const split = b.reshape(result, [...sizes.slice(0, dim), size, input / size, ...sizes.slice(dim + 1)]);
      result = over(b, b.reduceSum(split, [dim + 1]), input / size);
      continue;
    }
    const weights = range(size).flatMap((at) => {
      const [start, end] = [startOf(at, input, size), endOf(at, input, size)];
      return range(input).map((from) => (from >= start && from < end ? 1 / (end - start) : 0));
    });
    const matrix = b.constant(literalOf(dtypeOf(result), [size, input], weights));
    const product = b.dotGeneral(result, matrix, { lhsContracting: [dim], rhsContracting: [1] });
    // The new dimension stands last: it goes back to its place.
    const rank = rankOf(product);
    result = b.transpose(
      product,
      range(rank).map((to) => (to < dim ? to : to === dim ? rank - 1 : to - 1)),
    );
  }
  return b.convert(result, dtype);
}

/** Maxima of evenly spread regions: each region's positions are gathered, the last ones repeated to equal lengths. */
function adaptiveMax(b: CoreBuilder, x: Value, output: Sizes): [values: Value, indices: Value] {
  const lead = sizesOf(x).slice(0, 2);
  const sizes = spatialOf(x);
  const tables = output.map((size, dim) => {
    const lengths = range(size).map((at) => endOf(at, sizes[dim], size) - startOf(at, sizes[dim], size));
    const longest = Math.max(...lengths, 1);
    return range(size).map((at) =>
      range(longest).map((k) => Math.min(startOf(at, sizes[dim], size) + k, endOf(at, sizes[dim], size) - 1)),
    );
  });
  const windows = positionsOf(tables.map((table) => table[0]?.length ?? 1));
  const flatIndex = positionsOf(output).flatMap((at) =>
    windows.map((k) => at.reduce((flat, place, dim) => flat * sizes[dim] + tables[dim][place][k[dim]], 0)),
  );
  const regions = [numel(output), windows.length];
  const table = b.constant(literalOf('int64', regions, flatIndex));
  const flat = b.reshape(x, [...lead, numel(sizes)]);
  const gathered = takeSlices(b, flat, table, 2);
  const best = b.reduceMax(gathered, [3]);
  const spread = b.broadcastInDim(best, sizesOf(gathered), [0, 1, 2]);
  const hit = b.compare(gathered, spread, 'EQ');
  const nan = isFloatingPoint(dtypeOf(x)) ? b.or(hit, isNaN(b, gathered)) : hit;
  const order = b.iota('int64', sizesOf(gathered), 3);
  const first = b.reduceMin(b.select(nan, order, like(b, order, BigInt(windows.length))), [3]);
  const tableOf = b.broadcastInDim(table, sizesOf(gathered), [2, 3]);
  const indices = b.reshape(takeAlong(b, tableOf, insertDim(b, first, 3), 3), [...lead, numel(output)]);
  const values = takeAlong(b, flat, indices, 2);
  const shape = [...lead, ...output];
  return [b.reshape(values, shape), b.reshape(indices, shape)];
}

/** A null or None entry keeps that size. */
const adaptiveSizes = (output: readonly (number | null)[], x: Value): number[] =>
  output.map((size, dim) => size ?? sizesOf(x)[dim + 2]);

/** Puts values back where their indices say; the rest is zero. */
function maxUnpool(b: CoreBuilder, self: Value, indices: Value, output: Sizes, spatial: number): Value {
  return batched(b, self, spatial, `max_unpooling${spatial}d`, (x) => {
    const at = rankOf(indices) === rankOf(x) ? indices : insertDim(b, indices, 0);
    const lead = sizesOf(x).slice(0, 2);
    const count = numel(spatialOf(x));
    const zeros = b.full(0, dtypeOf(x), [...lead, numel(output)]);
    const written = putAlong(
      b,
      zeros,
      b.reshape(at, [...lead, count]),
      b.reshape(x, [...lead, count]),
      2,
      'replace',
    );
    return [b.reshape(written, [...lead, ...output])];
  })[0];
}

const pooledLayout = (spatial: number): ResultLayout => ({
  kind: 'strides',
  follows: true,
  gradients: suggestedBy(0, 1),
  strides: (site, sizes) => {
    const self = geometryOf(site, 0);
    return imageStrides(sizes, spatial, [{ ...self, isBatched: self.sizes.length === spatial + 2 }]);
  },
});

for (const spatial of [1, 2, 3]) {
  const maxName = `max_pool${spatial}d`;
  const adaptiveName = `adaptive_max_pool${spatial}d`;
  const averageName = `adaptive_avg_pool${spatial}d`;
  const adaptive = (b: CoreBuilder, self: Value, output: Sizes): Value =>
    batched(b, self, spatial, `${averageName}()`, (x) => [
      adaptiveAverage(b, x, adaptiveSizes(output, x)),
    ])[0];
  lowerings({
    [`aten::${maxName}`]: (
      b: CoreBuilder,
      self: Value,
      kernel: Sizes,
      stride: Sizes,
      padding: Sizes,
      dilation: Sizes,
      ceil: boolean,
    ) =>
      batched(b, self, spatial, `${maxName}()`, (x) => [
        maxPoolValues(b, x, windowOf(x, kernel, stride, padding, dilation, ceil)),
      ])[0],
    [`aten::${maxName}_with_indices`]: (
      b: CoreBuilder,
      self: Value,
      kernel: Sizes,
      stride: Sizes,
      padding: Sizes,
      dilation: Sizes,
      ceil: boolean,
    ) =>
      batched(b, self, spatial, `${maxName}()`, (x) =>
        maxPool(b, x, windowOf(x, kernel, stride, padding, dilation, ceil)),
      ),
    [`aten::avg_pool${spatial}d`]: (
      b: CoreBuilder,
      self: Value,
      kernel: Sizes,
      stride: Sizes,
      padding: Sizes,
      ceil: boolean,
      includePad: boolean,
      override: number | null = null,
    ) =>
      batched(b, self, spatial, `avg_pool${spatial}d()`, (x) => [
        averagePool(b, x, windowOf(x, kernel, stride, padding, [1], ceil), includePad, override),
      ])[0],
    [`aten::${averageName}`]: adaptive,
    [`aten::${adaptiveName}`]: (b: CoreBuilder, self: Value, output: Sizes) =>
      batched(b, self, spatial, `${adaptiveName}()`, (x) => adaptiveMax(b, x, adaptiveSizes(output, x))),
  });
  // Images keep channels last, and signals are images of one row; the kernels of volumes know row-major only.
  if (spatial < 3) {
    const names = [`${maxName}_with_indices`, `avg_pool${spatial}d`, averageName, adaptiveName];
    layouts(Object.fromEntries(names.map((name) => [`aten::${name}`, pooledLayout(spatial)])));
  }
  if (spatial === 2) {
    for (const name of ['max_pool2d', '_adaptive_avg_pool2d', 'max_unpool2d']) {
      layouts({ [`aten::${name}`]: pooledLayout(2) });
    }
  }
  if (spatial > 1) {
    lowerings({
      [`aten::_${averageName}`]: adaptive,
      [`aten::max_unpool${spatial}d`]: (b: CoreBuilder, self: Value, indices: Value, output: Sizes) =>
        maxUnpool(b, self, indices, output, spatial),
    });
  }
}
