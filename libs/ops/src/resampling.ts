// Interpolation: nearest, linear, cubic and antialiased resizing as products with matrices of weights along each
// dimension; grid_sample and affine grids.
import type { CoreBuilder, Value } from '@weft/ir';
import { numel } from '@weft/ir';
import { lowerings } from './operator.ts';
import { computeType } from './promotion.ts';
import { check, fail, range, rankOf, sizesOf } from './broadcast.ts';
import { dtypeOf, is, like, plus, times, zeroUnless } from './elementwise.ts';
import { takeAlong, takeSlices } from './gathering.ts';
import { literalOf } from './literal.ts';
import { bmm } from './matmul.ts';
import { layouts, rowMajor, suggestedBy } from './result-layout.ts';

type Sizes = readonly number[];

/** Weights [output, input] of one dimension. */
type Weights = (input: number, output: number, alignCorners: boolean, scale: number | null) => number[][];

/** Input steps for one output step. */
function stepOf(input: number, output: number, alignCorners: boolean, scale: number | null): number {
  if (alignCorners) return output > 1 ? (input - 1) / (output - 1) : 0;
  return scale !== null && scale > 0 ? 1 / scale : input / output;
}

const sourceOf = (at: number, step: number, alignCorners: boolean): number =>
  alignCorners ? at * step : (at + 0.5) * step - 0.5;

/** A row of weights; positions beyond the edges count for the edge. */
function row(input: number, taps: readonly (readonly [position: number, weight: number])[]): number[] {
  const weights = new Array<number>(input).fill(0);
  for (const [position, weight] of taps) weights[Math.max(0, Math.min(position, input - 1))] += weight;
  return weights;
}

const linearWeights: Weights = (input, output, alignCorners, scale) => {
  const step = stepOf(input, output, alignCorners, scale);
  return range(output).map((at) => {
    const source = Math.max(sourceOf(at, step, alignCorners), 0);
    const low = Math.min(Math.floor(source), input - 1);
    const share = Math.min(source - low, 1);
    return row(input, [
      [low, 1 - share],
      [low + 1, share],
    ]);
  });
};

const cubicNear = (x: number, a: number): number => ((a + 2) * x - (a + 3)) * x * x + 1;
const cubicFar = (x: number, a: number): number => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
const cubicTaps = (t: number, a: number): number[] => [
  cubicFar(t + 1, a),
  cubicNear(t, a),
  cubicNear(1 - t, a),
  cubicFar(2 - t, a),
];

const cubicWeights: Weights = (input, output, alignCorners, scale) => {
  const step = stepOf(input, output, alignCorners, scale);
  return range(output).map((at) => {
    const source = sourceOf(at, step, alignCorners);
    const low = Math.floor(source);
    const taps = cubicTaps(source - low, -0.75);
    return row(
      input,
      taps.map((weight, index) => [low - 1 + index, weight] as const),
    );
  });
};

/** Antialiased: the kernel is widened by the step when the result is smaller, and its weights add up to one. */
const antialiased =
  (radius: number, kernel: (x: number) => number): Weights =>
  (input, output, alignCorners, scale) => {
    const step = stepOf(input, output, alignCorners, scale);
    const support = step >= 1 ? radius * step : radius;
    const inverse = step >= 1 ? 1 / step : 1;
    return range(output).map((at) => {
      const center = step * (at + 0.5);
      const low = Math.max(Math.floor(center - support + 0.5), 0);
      const high = Math.min(Math.floor(center + support + 0.5), input);
      const weights = range(high - low).map((index) => kernel((index + low - center + 0.5) * inverse));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      return row(
        input,
        weights.map((weight, index) => [low + index, total === 0 ? 0 : weight / total] as const),
      );
    });
  };
const triangleKernel = (x: number): number => Math.max(0, 1 - Math.abs(x));
const cubicKernel = (x: number): number => {
  const size = Math.abs(x);
  return size < 1 ? cubicNear(size, -0.5) : size < 2 ? cubicFar(size, -0.5) : 0;
};
const linearAntialiased = antialiased(1, triangleKernel);
const cubicAntialiased = antialiased(2, cubicKernel);

/** The product with a matrix along one dimension. */
function applyAlong(b: CoreBuilder, x: Value, dim: number, weights: readonly number[][]): Value {
  const matrix = b.constant(literalOf(dtypeOf(x), [weights.length, sizesOf(x)[dim]], weights.flat()));
  const product = b.dotGeneral(x, matrix, { lhsContracting: [dim], rhsContracting: [1] });
  const rank = rankOf(product);
  return b.transpose(
    product,
    range(rank).map((to) => (to < dim ? to : to === dim ? rank - 1 : to - 1)),
  );
}

function checkInput(x: Value, spatial: number, output: Sizes): void {
  check(
    rankOf(x) === spatial + 2,
    () => `It is expected input_size equals to ${spatial + 2}, but got size ${rankOf(x)}`,
  );
  check(
    output.every((size) => size > 0) &&
      sizesOf(x)
        .slice(2)
        .every((size) => size > 0),
    () =>
      `Input and output sizes should be greater than 0, but got input (${['D', 'H', 'W']
        .slice(3 - spatial)
        .map((letter, dim) => `${letter}: ${sizesOf(x)[dim + 2]}`)
        .join(', ')}) output (${['D', 'H', 'W']
        .slice(3 - spatial)
        .map((letter, dim) => `${letter}: ${output[dim]}`)
        .join(', ')})`,
  );
}

function resize(
  b: CoreBuilder,
  self: Value,
  output: Sizes,
  alignCorners: boolean,
  scales: readonly (number | null)[],
  weights: Weights,
): Value {
  checkInput(self, output.length, output);
  const dtype = dtypeOf(self);
  let x = b.convert(self, computeType(dtype));
  for (const [each, size] of output.entries()) {
    const input = sizesOf(self)[each + 2];
    const table = weights(input, size, alignCorners, scales[each] ?? null);
    const isIdentity =
      input === size &&
      table.every((line, at) => line.every((weight, from) => weight === (at === from ? 1 : 0)));
    if (!isIdentity) x = applyAlong(b, x, each + 2, table);
  }
  return b.convert(x, dtype);
}

/** The nearest element: the one at or before, or (exact) the one whose middle is nearest. */
function resizeNearest(
  b: CoreBuilder,
  self: Value,
  output: Sizes,
  scales: readonly (number | null)[],
  exact: boolean,
): Value {
  checkInput(self, output.length, output);
  return output.reduce((x, size, each) => {
    const input = sizesOf(self)[each + 2];
    // PyTorch computes positions in float32.
    const step = Math.fround(stepOf(input, size, false, scales[each] ?? null));
    const positions = range(size).map((at) =>
      Math.min(Math.floor(Math.fround((exact ? at + 0.5 : at) * step)), input - 1),
    );
    if (size === input && positions.every((position, at) => position === at)) return x;
    return takeSlices(b, x, b.constant(literalOf('int64', [size], positions)), each + 2);
  }, self);
}

/** Sizes and scales of the `.vec` overloads: one of them is given. */
function vectorSizes(
  self: Value,
  output: Sizes | null,
  factors: readonly number[] | null,
): { sizes: Sizes; scales: readonly (number | null)[] } {
  const spatial = sizesOf(self).slice(2);
  if (output !== null) {
    check(
      factors === null || factors.length === 0,
      () => 'Must specify exactly one of output_size and scale_factors',
    );
    return { sizes: output, scales: spatial.map(() => null) };
  }
  if (factors === null) return fail('Must specify exactly one of output_size and scale_factors');
  return { sizes: spatial.map((size, dim) => Math.floor(size * factors[dim])), scales: factors };
}

const weighted: readonly (readonly [name: string, weights: Weights])[] = [
  ['upsample_linear1d', linearWeights],
  ['upsample_bilinear2d', linearWeights],
  ['upsample_trilinear3d', linearWeights],
  ['upsample_bicubic2d', cubicWeights],
  ['_upsample_bilinear2d_aa', linearAntialiased],
  ['_upsample_bicubic2d_aa', cubicAntialiased],
];
for (const [name, weights] of weighted) {
  lowerings({
    [`aten::${name}`]: (
      b: CoreBuilder,
      self: Value,
      output: Sizes,
      alignCorners: boolean,
      ...scales: (number | null)[]
    ) => resize(b, self, output, alignCorners, scales, weights),
    [`aten::${name}.vec`]: (
      b: CoreBuilder,
      self: Value,
      output: Sizes | null,
      alignCorners: boolean,
      factors: readonly number[] | null,
    ) => {
      const { sizes, scales } = vectorSizes(self, output, factors);
      return resize(b, self, sizes, alignCorners, scales, weights);
    },
  });
  // The bicubic kernels know row-major images only.
  const layout = weights === linearWeights || weights === linearAntialiased ? suggestedBy(0) : rowMajor;
  layouts({ [`aten::${name}`]: layout, [`aten::${name}.vec`]: layout });
}
for (const spatial of [1, 2, 3]) {
  for (const exact of [false, true]) {
    const name = `${exact ? '_upsample_nearest_exact' : 'upsample_nearest'}${spatial}d`;
    lowerings({
      [`aten::${name}`]: (b: CoreBuilder, self: Value, output: Sizes, ...scales: (number | null)[]) =>
        resizeNearest(b, self, output, scales, exact),
      [`aten::${name}.vec`]: (
        b: CoreBuilder,
        self: Value,
        output: Sizes | null,
        factors: readonly number[] | null,
      ) => {
        const { sizes, scales } = vectorSizes(self, output, factors);
        return resizeNearest(b, self, sizes, scales, exact);
      },
    });
    layouts({ [`aten::${name}`]: suggestedBy(0), [`aten::${name}.vec`]: suggestedBy(0) });
  }
}

// ---- grid sampling ------------------------------------------------------------------------------------------------

const [BILINEAR, NEAREST, BICUBIC] = [0, 1, 2];
const [ZEROS, BORDER] = [0, 1];

/** Grid coordinates in [-1, 1] as positions of elements. */
const unnormalise = (b: CoreBuilder, x: Value, size: number, alignCorners: boolean): Value =>
  alignCorners ? times(b, plus(b, x, 1), (size - 1) / 2) : plus(b, times(b, plus(b, x, 1), size / 2), -0.5);

/** Reflects at both ends of [low, high] (doubled, so that halves are integers). */
function reflect(b: CoreBuilder, x: Value, low2: number, high2: number): Value {
  if (low2 === high2) return like(b, x, 0);
  const [low, span] = [low2 / 2, (high2 - low2) / 2];
  const distance = b.abs(plus(b, x, -low));
  const extra = b.remainder(distance, like(b, distance, span));
  const flips = b.floor(times(b, distance, 1 / span));
  const isEven = is(b, b.remainder(flips, like(b, flips, 2)), 'EQ', 0);
  return b.select(isEven, plus(b, extra, low), b.subtract(like(b, extra, span + low), extra));
}

const clip = (b: CoreBuilder, x: Value, size: number): Value =>
  b.clamp(like(b, x, 0), x, like(b, x, size - 1));

function padded(b: CoreBuilder, x: Value, size: number, mode: number, alignCorners: boolean): Value {
  if (mode === ZEROS) return x;
  if (mode === BORDER) return clip(b, x, size);
  const turned = alignCorners ? reflect(b, x, 0, 2 * (size - 1)) : reflect(b, x, -1, 2 * size - 1);
  return clip(b, turned, size);
}

/** Elements at integer positions (floats), zero outside; positions are [N, points], the result [N, C, points]. */
function fetch(b: CoreBuilder, input: Value, positions: readonly Value[]): Value {
  const sizes = sizesOf(input).slice(2);
  const [batch, channels] = sizesOf(input);
  const points = sizesOf(positions[0])[1];
  let flat: Value | undefined;
  let inside: Value | undefined;
  for (const [dim, position] of positions.entries()) {
    const fits = b.and(is(b, position, 'GE', 0), is(b, position, 'LE', sizes[dim] - 1));
    inside = inside === undefined ? fits : b.and(inside, fits);
    const at = b.convert(clip(b, position, sizes[dim]), 'int64');
    flat = flat === undefined ? at : b.add(b.multiply(flat, like(b, flat, BigInt(sizes[dim]))), at);
  }
  const shape = [batch, channels, points];
  const values = takeAlong(
    b,
    b.reshape(input, [batch, channels, numel(sizes)]),
    b.broadcastInDim(flat!, shape, [0, 2]),
    2,
  );
  return zeroUnless(b, b.broadcastInDim(inside!, shape, [0, 2]), values);
}

function gridSample(
  b: CoreBuilder,
  input: Value,
  grid: Value,
  interpolation: number,
  padding: number,
  alignCorners: boolean,
): Value {
  const spatial = rankOf(input) - 2;
  check(
    rankOf(input) === rankOf(grid) && (spatial === 2 || spatial === 3),
    () =>
      `grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but got input with sizes [${sizesOf(input).join(', ')}] and grid with sizes [${sizesOf(grid).join(', ')}]`,
  );
  check(
    sizesOf(input)[0] === sizesOf(grid)[0],
    () =>
      `grid_sampler(): expected grid and input to have same batch size, but got input with sizes [${sizesOf(input).join(', ')}] and grid with sizes [${sizesOf(grid).join(', ')}]`,
  );
  check(
    sizesOf(grid).at(-1) === spatial,
    () =>
      `grid_sampler(): expected grid to have size ${spatial} in last dimension, but got grid with sizes [${sizesOf(grid).join(', ')}]`,
  );
  const sizes = sizesOf(input).slice(2);
  const output = sizesOf(grid).slice(1, -1);
  const [batch, channels] = sizesOf(input);
  const points = numel(output);
  const shape = [batch, channels, points];
  const flatGrid = b.reshape(grid, [batch, points, spatial]);
  // The grid lists x first: its last coordinate belongs to the first spatial dimension.
  const raw = range(spatial).map((dim) => {
    const at = spatial - 1 - dim;
    const column = b.reshape(b.slice(flatGrid, [0, 0, at], [batch, points, at + 1]), [batch, points]);
    return unnormalise(b, column, sizes[dim], alignCorners);
  });
  const spreadOf = (x: Value): Value => b.broadcastInDim(x, shape, [0, 2]);
  const sum = (terms: Value[]): Value => terms.reduce((x, y) => b.add(x, y));
  const result = (): Value => {
    if (interpolation === BICUBIC) {
      check(spatial === 2, () => 'grid_sampler(): bicubic interpolation only supports 4D input');
      const lows = raw.map((x) => b.floor(x));
      const taps = raw.map((x, dim) => cubicShares(b, b.subtract(x, lows[dim])));
      const terms = range(4).flatMap((i) =>
        range(4).map((j) => {
          const places = [i, j].map((offset, dim) =>
            padded(b, plus(b, lows[dim], offset - 1), sizes[dim], padding, alignCorners),
          );
          const weight = b.multiply(taps[0][i], taps[1][j]);
          // A border position may lie between elements after reflection: it is rounded down, as PyTorch does.
          return b.multiply(
            fetch(
              b,
              input,
              places.map((x) => b.floor(x)),
            ),
            spreadOf(weight),
          );
        }),
      );
      return sum(terms);
    }
    const places = raw.map((x, dim) => padded(b, x, sizes[dim], padding, alignCorners));
    if (interpolation === NEAREST)
      return fetch(
        b,
        input,
        places.map((x) => b.roundNearestEven(x)),
      );
    check(interpolation === BILINEAR, () => `grid_sampler(): unknown interpolation mode ${interpolation}`);
    const lows = places.map((x) => b.floor(x));
    const shares = places.map((x, dim) => b.subtract(x, lows[dim]));
    const corners = range(2 ** spatial).map((corner) => {
      const high = range(spatial).map((dim) => ((corner >> dim) & 1) === 1);
      const weight = high
        .map((isHigh, dim) => (isHigh ? shares[dim] : b.subtract(like(b, shares[dim], 1), shares[dim])))
        .reduce((x, y) => b.multiply(x, y));
      const at = lows.map((x, dim) => (high[dim] ? plus(b, x, 1) : x));
      return b.multiply(fetch(b, input, at), spreadOf(weight));
    });
    return sum(corners);
  };
  return b.reshape(result(), [batch, channels, ...output]);
}

/** The four cubic weights at a fraction t. */
function cubicShares(b: CoreBuilder, t: Value): Value[] {
  const a = -0.75;
  const near = (x: Value): Value =>
    plus(b, b.multiply(plus(b, times(b, x, a + 2), -(a + 3)), b.multiply(x, x)), 1);
  const far = (x: Value): Value =>
    plus(b, b.multiply(plus(b, b.multiply(plus(b, times(b, x, a), -5 * a), x), 8 * a), x), -4 * a);
  const rest = b.subtract(like(b, t, 1), t);
  return [far(plus(b, t, 1)), near(t), near(rest), far(plus(b, rest, 1))];
}

/** The grid of an affine map: theta [N, d, d + 1] applied to normalised positions. */
function affineGrid(b: CoreBuilder, theta: Value, size: Sizes, alignCorners: boolean): Value {
  const spatial = size.length - 2;
  check(
    spatial === 2 || spatial === 3,
    () => 'affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively.',
  );
  const [batch] = size;
  const output = size.slice(2);
  const dtype = dtypeOf(theta);
  const shape = [...output, 1];
  const axes = range(spatial).map((coordinate) => {
    // x runs along the last dimension.
    const dim = spatial - 1 - coordinate;
    const n = output[dim];
    const values = range(n).map((at) => {
      if (n <= 1) return 0;
      const unit = -1 + (2 * at) / (n - 1);
      return alignCorners ? unit : (unit * (n - 1)) / n;
    });
    return b.broadcastInDim(b.constant(literalOf(dtype, [n], values)), shape, [dim]);
  });
  const base = b.concatenate([...axes, b.full(1, dtype, shape)], spatial);
  const rows = b.broadcastInDim(
    b.reshape(base, [numel(output), spatial + 1]),
    [batch, numel(output), spatial + 1],
    [1, 2],
  );
  const mapped = bmm(b, rows, b.transpose(theta, [0, 2, 1]));
  return b.reshape(mapped, [batch, ...output, spatial]);
}

lowerings({
  'aten::grid_sampler': gridSample,
  'aten::grid_sampler_2d': gridSample,
  'aten::grid_sampler_3d': gridSample,
  'aten::_grid_sampler_2d_cpu_fallback': gridSample,
  'aten::affine_grid_generator': affineGrid,
});

// ---- the functional forms that scripts call by name ---------------------------------------------------------------

type Many = Sizes | number | null;

/**
 * torch.nn.functional.interpolate, as the operators `__interpolate` and `__upsample` have it: scales follow from the rounded sizes
 * unless `recompute` is false, where the function in Python takes `None` for that.
 */
function interpolate(
  b: CoreBuilder,
  input: Value,
  size: Many,
  factor: readonly number[] | number | null,
  mode: string,
  alignCorners: boolean | null,
  antialias: boolean,
  recompute: boolean | null = null,
): Value {
  const spatial = rankOf(input) - 2;
  const listOf = (value: readonly number[] | number | null): number[] | null =>
    value === null ? null : typeof value === 'number' ? range(spatial).map(() => value) : [...value];
  const wanted = vectorSizes(input, listOf(size), listOf(factor));
  const { sizes } = wanted;
  const scales = recompute === false ? wanted.scales : sizes.map(() => null);
  const isAligned = alignCorners ?? false;
  switch (mode) {
    case 'nearest':
      return resizeNearest(b, input, sizes, scales, false);
    case 'nearest-exact':
      return resizeNearest(b, input, sizes, scales, true);
    case 'linear':
    case 'bilinear':
    case 'trilinear':
      return resize(b, input, sizes, isAligned, scales, antialias ? linearAntialiased : linearWeights);
    case 'bicubic':
      return resize(b, input, sizes, isAligned, scales, antialias ? cubicAntialiased : cubicWeights);
    default:
      return fail(
        `Input Error: Only 3D, 4D and 5D input Tensors supported (got ${rankOf(input)}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | area | nearest-exact (got ${mode})`,
      );
  }
}

for (const overload of ['', '.scale_list', '.size_list', '.size_list_scale_list']) {
  lowerings({
    [`aten::__interpolate${overload}`]: (
      b: CoreBuilder,
      input: Value,
      size: Many,
      factor: readonly number[] | number | null,
      mode: string,
      alignCorners: boolean | null,
      recompute: boolean | null,
      antialias: boolean,
    ) => interpolate(b, input, size, factor, mode, alignCorners, antialias, recompute),
    [`aten::__upsample_bilinear${overload}`]: (
      b: CoreBuilder,
      input: Value,
      size: Many,
      factor: readonly number[] | number | null,
    ) => interpolate(b, input, size, factor, 'bilinear', true, false),
  });
}
for (const overload of ['', '.size_list']) {
  lowerings({
    [`aten::__upsample${overload}`]: (
      b: CoreBuilder,
      input: Value,
      size: Many,
      factor: number | null,
      mode: string,
      alignCorners: boolean | null,
    ) => interpolate(b, input, size, factor, mode, alignCorners, false),
    [`aten::__upsample_nearest${overload}`]: (
      b: CoreBuilder,
      input: Value,
      size: Many,
      factor: number | null,
    ) => interpolate(b, input, size, factor, 'nearest', null, false),
  });
}
