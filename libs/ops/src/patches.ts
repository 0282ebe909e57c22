// Windows of images as columns and back (im2col, col2im), and pairwise distances and statistics of rows.
import type { CoreBuilder, Value } from '@weft/ir';
import { numel } from '@weft/ir';
import { lowerings } from './operator.ts';
import type { Scalar } from './operator.ts';
import { broadcastShapes, check, range, rankOf, sizesOf, wrapDim, withSize } from './broadcast.ts';
import { dtypeOf, is, like, realOf, times, toFloatValue } from './elementwise.ts';
import { insertDim, selectDim, sliceDim } from './shapes.ts';
import { takeSlices } from './gathering.ts';
import { matmul } from './matmul.ts';
import { vectorNorm } from './reductions.ts';
import { literalOf } from './literal.ts';
import { clamp } from './comparison.ts';

type Sizes = readonly number[];

const blocksOf = (sizes: Sizes, kernel: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes): number[] =>
  sizes.map(
    (size, dim) =>
      Math.floor((size + 2 * padding[dim] - dilation[dim] * (kernel[dim] - 1) - 1) / stride[dim]) + 1,
  );

function im2col(
  b: CoreBuilder,
  self: Value,
  kernel: Sizes,
  dilation: Sizes,
  padding: Sizes,
  stride: Sizes,
): Value {
  const single = rankOf(self) === 3;
  const x = single ? insertDim(b, self, 0) : self;
  check(
    rankOf(x) === 4,
    () =>
      `Expected 3D or 4D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but got: [${sizesOf(self).join(', ')}]`,
  );
  const [batch, channels, ...spatial] = sizesOf(x);
  const blocks = blocksOf(spatial, kernel, dilation, padding, stride);
  const padded = b.pad(x, b.full(0, dtypeOf(x)), [0, 0, ...padding], [0, 0, ...padding]);
  const columns = range(kernel[0]).flatMap((i) =>
    range(kernel[1]).map((j) => {
      const start = [i * dilation[0], j * dilation[1]];
      const limit = start.map((at, dim) => at + (blocks[dim] - 1) * stride[dim] + 1);
      const piece = b.slice(padded, [0, 0, ...start], [batch, channels, ...limit], [1, 1, ...stride]);
      return b.reshape(piece, [batch, channels, 1, numel(blocks)]);
    }),
  );
  const result = b.reshape(b.concatenate(columns, 2), [batch, channels * numel(kernel), numel(blocks)]);
  return single ? b.reshape(result, sizesOf(result).slice(1)) : result;
}

/** The adjoint: columns are added where their windows lie. */
function col2im(
  b: CoreBuilder,
  self: Value,
  output: Sizes,
  kernel: Sizes,
  dilation: Sizes,
  padding: Sizes,
  stride: Sizes,
): Value {
  const single = rankOf(self) === 2;
  const x = single ? insertDim(b, self, 0) : self;
  const [batch, rows, count] = sizesOf(x);
  const channels = rows / numel(kernel);
  const blocks = blocksOf(output, kernel, dilation, padding, stride);
  check(
    Number.isInteger(channels),
    () =>
      `Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)=${rows} and kernel_size=(${kernel.join(', ')}).`,
  );
  check(
    count === numel(blocks),
    () =>
      `Given output_size=(${output.join(', ')}), kernel_size=(${kernel.join(', ')}), dilation=(${dilation.join(', ')}), padding=(${padding.join(', ')}), stride=(${stride.join(', ')}), expected size of input's dimension 2 to match the calculated number of sliding blocks ${blocks.join(' * ')} = ${numel(blocks)}, but got input.size(2)=${count}.`,
  );
  const whole = output.map((size, dim) => size + 2 * padding[dim]);
  const columns = b.reshape(x, [batch, channels, numel(kernel), ...blocks]);
  let total: Value | undefined;
  for (const i of range(kernel[0])) {
    for (const j of range(kernel[1])) {
      const piece = selectDim(b, columns, 2, i * kernel[1] + j);
      const low = [i * dilation[0], j * dilation[1]];
      const high = whole.map((size, dim) => size - low[dim] - ((blocks[dim] - 1) * stride[dim] + 1));
      const spread = b.pad(
        piece,
        b.full(0, dtypeOf(x)),
        [0, 0, ...low],
        [0, 0, ...high],
        [0, 0, ...stride.map((step) => step - 1)],
      );
      total = total === undefined ? spread : b.add(total, spread);
    }
  }
  const result = b.slice(
    total!,
    [0, 0, ...padding],
    [batch, channels, ...output.map((size, dim) => size + padding[dim])],
  );
  return single ? b.reshape(result, sizesOf(result).slice(1)) : result;
}

// ---- distances ----------------------------------------------------------------------------------------------------

function cdist(b: CoreBuilder, x1: Value, x2: Value, p: number): Value {
  check(rankOf(x1) >= 2, () => `cdist only supports at least 2D tensors, X1 got: ${rankOf(x1)}D`);
  check(rankOf(x2) >= 2, () => `cdist only supports at least 2D tensors, X2 got: ${rankOf(x2)}D`);
  const [n, width] = sizesOf(x1).slice(-2);
  const [m, width2] = sizesOf(x2).slice(-2);
  check(width === width2, () => `X1 and X2 must have the same number of columns. X1: ${width} X2: ${width2}`);
  check(p >= 0, () => 'cdist only supports non-negative p values');
  const lead = broadcastShapes(sizesOf(x1).slice(0, -2), sizesOf(x2).slice(0, -2));
  const grid = [...lead, n, m, width];
  const left = b.broadcastTo(insertDim(b, x1, rankOf(x1) - 1), grid);
  const right = b.broadcastTo(insertDim(b, x2, rankOf(x2) - 2), grid);
  return vectorNorm(b, b.subtract(left, right), p, [grid.length - 1], false, null);
}

/** Distances of all pairs of rows, i before j. */
function pdist(b: CoreBuilder, self: Value, p: number): Value {
  check(rankOf(self) === 2, () => `pdist only supports 2D tensors, got: ${rankOf(self)}D`);
  const n = sizesOf(self)[0];
  const pairs = range(n).flatMap((i) => range(n - i - 1).map((k) => [i, i + 1 + k] as const));
  if (pairs.length === 0) return b.full(0, dtypeOf(self), [0]);
  const rows = (at: 0 | 1): Value =>
    takeSlices(
      b,
      self,
      b.constant(
        literalOf(
          'int64',
          [pairs.length],
          pairs.map((pair) => pair[at]),
        ),
      ),
      0,
    );
  return vectorNorm(b, b.subtract(rows(0), rows(1)), p, [1], false, null);
}

// ---- statistics of rows -------------------------------------------------------------------------------------------

function cov(
  b: CoreBuilder,
  self: Value,
  correction: number,
  frequencies: Value | null,
  weights: Value | null,
): Value {
  check(
    rankOf(self) <= 2,
    () =>
      `cov(): expected input to have two or fewer dimensions but got an input with ${rankOf(self)} dimensions`,
  );
  const x = toFloatValue(b, rankOf(self) === 2 ? self : b.reshape(self, [1, numel(sizesOf(self))]));
  const [rows, count] = sizesOf(x);
  const dtype = dtypeOf(x);
  const given = [frequencies, weights]
    .filter((each): each is Value => each !== null)
    .map((each) => b.convert(each, dtype));
  const w = given.length === 0 ? b.full(1, dtype, [count]) : given.reduce((p, q) => b.multiply(p, q));
  const total = b.reduceSum(w, [0]);
  const spreadOf = (value: Value): Value => b.broadcastInDim(value, [rows, count], [1]);
  const mean = b.divide(b.reduceSum(b.multiply(x, spreadOf(w)), [1]), b.broadcastInDim(total, [rows], []));
  const centred = b.subtract(x, b.broadcastInDim(mean, [rows, count], [0]));
  const product = matmul(b, b.multiply(centred, spreadOf(w)), b.transpose(centred, [1, 0]));
  const factor = (): Value => {
    if (weights === null || correction === 0) return b.subtract(total, like(b, total, correction));
    const square = b.reduceSum(b.multiply(w, b.convert(weights, dtype)), [0]);
    return b.subtract(total, times(b, b.divide(square, total), correction));
  };
  const divisor = b.maximum(factor(), like(b, total, 0));
  const result = b.divide(product, b.broadcastInDim(divisor, sizesOf(product), []));
  return rankOf(self) < 2 ? b.reshape(result, []) : result;
}

function corrcoef(b: CoreBuilder, self: Value): Value {
  const c = cov(b, self, 1, null, null);
  if (rankOf(c) === 0) return b.divide(c, c);
  const n = sizesOf(c)[0];
  const diagonal = b.slice(b.reshape(c, [n * n]), [0], [n * n], [n + 1]);
  const deviation = b.sqrt(diagonal);
  const outer = b.multiply(
    b.broadcastInDim(deviation, [n, n], [0]),
    b.broadcastInDim(deviation, [n, n], [1]),
  );
  return clamp(b, b.divide(c, outer), -1, 1);
}

// ---- numerical gradients ------------------------------------------------------------------------------------------

/** Second-order central differences inside, one-sided (of the given order) at the ends; `spacing` a number or points. */
function gradientAlong(
  b: CoreBuilder,
  self: Value,
  dim: number,
  spacing: number | Value,
  edgeOrder: number,
): Value {
  const x = toFloatValue(b, self);
  const size = sizesOf(x)[dim];
  check(
    size >= edgeOrder + 1,
    () => `torch.gradient expected each dimension size to be at least edge_order+1`,
  );
  const part = (value: Value, start: number, end: number, axis = dim): Value =>
    sliceDim(b, value, axis, start, end);
  const steps = (): Value => {
    if (typeof spacing === 'number') return b.full(spacing, dtypeOf(x), [size - 1]);
    const points = b.convert(spacing, dtypeOf(x));
    return b.subtract(part(points, 1, size, 0), part(points, 0, size - 1, 0));
  };
  const h = steps();
  const along = (value: Value): Value =>
    b.broadcastInDim(value, withSize(sizesOf(x), dim, sizesOf(value)[0]), [dim]);
  const slopes = b.divide(b.subtract(part(x, 1, size), part(x, 0, size - 1)), along(h));
  const [before, after] = [part(h, 0, size - 2, 0), part(h, 1, size - 1, 0)];
  const whole = b.add(before, after);
  // The slope at a point is that of both sides, each weighted by the other's step.
  const middle = b.add(
    b.multiply(part(slopes, 0, size - 2), along(b.divide(after, whole))),
    b.multiply(part(slopes, 1, size - 1), along(b.divide(before, whole))),
  );
  if (edgeOrder === 1)
    return b.concatenate([part(slopes, 0, 1), middle, part(slopes, size - 2, size - 1)], dim);
  const edge = (near: number, far: number): Value => {
    const [h1, h2] = [part(h, near, near + 1, 0), part(h, far, far + 1, 0)];
    const ratio = along(b.divide(h1, b.add(h1, h2)));
    const [s1, s2] = [part(slopes, near, near + 1), part(slopes, far, far + 1)];
    return b.add(s1, b.multiply(b.subtract(s1, s2), ratio));
  };
  return b.concatenate([edge(0, 1), middle, edge(size - 2, size - 3)], dim);
}

function gradient(
  b: CoreBuilder,
  self: Value,
  spacing: readonly (number | Value)[],
  dim: Sizes | number | null,
  edgeOrder: number,
): Value[] {
  check(
    edgeOrder === 1 || edgeOrder === 2,
    () => 'torch.gradient only supports edge_order=1 and edge_order=2.',
  );
  const dims =
    dim === null ? range(rankOf(self)) : [dim].flat().map((each) => wrapDim(each as number, rankOf(self)));
  return dims.map((each, at) =>
    gradientAlong(b, self, each, spacing[spacing.length === 1 ? 0 : at], edgeOrder),
  );
}
const numbers = (spacing: readonly Scalar[]): number[] => spacing.map(realOf);

lowerings({
  'aten::im2col': im2col,
  'aten::col2im': col2im,
  'aten::cdist': (b, x1: Value, x2: Value, p: number) => cdist(b, x1, x2, p),
  'aten::_cdist_forward': (b, x1: Value, x2: Value, p: number) => cdist(b, x1, x2, p),
  'aten::_euclidean_dist': (b, x1: Value, x2: Value) => cdist(b, x1, x2, 2),
  'aten::pdist': pdist,
  'aten::_pdist_forward': pdist,
  'aten::cov': cov,
  'aten::corrcoef': corrcoef,
  'aten::gradient.scalarint': (b, self: Value, spacing: Scalar | null, dim: number | null, edge: number) =>
    gradient(b, self, [spacing === null ? 1 : realOf(spacing)], dim, edge),
  'aten::gradient.scalararray': (b, self: Value, spacing: Scalar, dim: Sizes, edge: number) =>
    gradient(b, self, [realOf(spacing)], dim, edge),
  'aten::gradient.array': (b, self: Value, dim: Sizes, edge: number) => gradient(b, self, [1], dim, edge),
  'aten::gradient.scalarrayint': (
    b,
    self: Value,
    spacing: readonly Scalar[],
    dim: number | null,
    edge: number,
  ) => gradient(b, self, numbers(spacing), dim, edge),
  'aten::gradient.scalarrayarray': (b, self: Value, spacing: readonly Scalar[], dim: Sizes, edge: number) =>
    gradient(b, self, numbers(spacing), dim, edge),
  'aten::gradient.tensorarrayint': (
    b,
    self: Value,
    spacing: readonly Value[],
    dim: number | null,
    edge: number,
  ) => gradient(b, self, spacing, dim, edge),
  'aten::gradient.tensorarray': (b, self: Value, spacing: readonly Value[], dim: Sizes, edge: number) =>
    gradient(b, self, spacing, dim, edge),
  'aten::fill_diagonal_': (b, self: Value, value: Scalar, wrap: boolean) => {
    const sizes = sizesOf(self);
    check(sizes.length >= 2, () => 'dimensions must larger than 1');
    const limit = Math.min(...sizes);
    const index = range(sizes.length).map((dim) => b.iota('int64', sizes, dim));
    const tall = sizes.length === 2 && wrap && sizes[0] > sizes[1];
    const row = tall ? b.remainder(index[0], like(b, index[0], BigInt(sizes[1] + 1))) : index[0];
    const same = index
      .slice(1)
      .map((each) => b.compare(row, each, 'EQ'))
      .reduce((p, q) => b.and(p, q));
    const inside = tall ? same : b.and(same, is(b, index[0], 'LT', limit));
    return b.select(inside, like(b, self, value), self);
  },
});
