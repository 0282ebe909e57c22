// Joining and rearranging whole tensors: cat, stack, repeat, flip, roll, pad, tril, meshgrid, diag, pixel_shuffle.
import type { CoreBuilder, Value } from '@weft/ir';
import { zeroGradient } from './gradient-flow.ts';
import { numel } from '@weft/ir';
import { lowerings } from './operator.ts';
import type { Scalar } from './operator.ts';
import { promoteTypes } from './promotion.ts';
import { broadcastAll, check, fail, range, rankOf, sizesOf, wrapDim, wrapDims } from './broadcast.ts';
import { dtypeOf, like, scalarOf } from './elementwise.ts';
import { insertDim, padDim, sliceDim, swapDims } from './shapes.ts';
import { takeSlices } from './gathering.ts';
import type { ResultLayout } from './result-layout.ts';
import {
  geometryOf,
  layouts,
  likeArgument,
  resultStrides,
  suggestedBy,
  suggestedByEvery,
} from './result-layout.ts';
import { contiguousStrides, preservedStrides } from './strides.ts';

type Sizes = readonly number[];
const show = (sizes: Sizes): string => `[${sizes.join(', ')}]`;

export function cat(b: CoreBuilder, tensors: readonly Value[], dim: number): Value {
  check(tensors.length > 0, () => 'torch.cat(): expected a non-empty list of Tensors');
  // Tensors of shape [0] are skipped, whatever the rank of the others.
  const joined = tensors.filter((x) => !(rankOf(x) === 1 && sizesOf(x)[0] === 0));
  const dtype = tensors.map(dtypeOf).reduce(promoteTypes);
  if (joined.length === 0) return b.convert(tensors[0], dtype);
  const sizes = sizesOf(joined[0]);
  const axis = wrapDim(dim, sizes.length);
  for (const [index, tensor] of tensors.entries()) {
    check(rankOf(tensor) > 0, () => `zero-dimensional tensor (at position ${index}) cannot be concatenated`);
    if (!joined.includes(tensor)) continue;
    const other = sizesOf(tensor);
    check(
      other.length === sizes.length,
      () => `Tensors must have same number of dimensions: got ${sizes.length} and ${other.length}`,
    );
    for (const [each, size] of other.entries()) {
      if (each === axis || size === sizes[each]) continue;
      fail(
        `Sizes of tensors must match except in dimension ${axis}. Expected size ${sizes[each]} but got size ${size} for tensor number ${index} in the list.`,
      );
    }
  }
  const result = b.concatenate(
    joined.map((x) => b.convert(x, dtype)),
    axis,
  );
  const skipped = tensors.filter((x) => !joined.includes(x));
  return skipped.length === 0 ? result : zeroGradient(b, result, ...skipped);
}

export function stack(b: CoreBuilder, tensors: readonly Value[], dim: number): Value {
  check(tensors.length > 0, () => 'stack expects a non-empty TensorList');
  const sizes = sizesOf(tensors[0]);
  for (const [index, tensor] of tensors.entries()) {
    check(
      show(sizesOf(tensor)) === show(sizes),
      () =>
        `stack expects each tensor to be equal size, but got ${show(sizes)} at entry 0 and ${show(sizesOf(tensor))} at entry ${index}`,
    );
  }
  const axis = wrapDim(dim, sizes.length + 1);
  const dtype = tensors.map(dtypeOf).reduce(promoteTypes);
  return b.concatenate(
    tensors.map((x) => insertDim(b, b.convert(x, dtype), axis)),
    axis,
  );
}

const reshaped = (b: CoreBuilder, x: Value, rank: number): Value => {
  const sizes = sizesOf(x);
  if (sizes.length >= rank) return x;
  if (sizes.length === 0)
    return b.reshape(
      x,
      range(rank).map(() => 1),
    );
  if (rank === 2) return b.reshape(x, [1, ...sizes]);
  return b.reshape(x, sizes.length === 1 ? [1, sizes[0], 1] : [...sizes, 1]);
};

function repeat(b: CoreBuilder, self: Value, repeats: Sizes): Value {
  const sizes = sizesOf(self);
  check(
    repeats.length >= sizes.length,
    () => 'Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor',
  );
  const full = [...range(repeats.length - sizes.length).map(() => 1), ...sizes];
  // Each dimension n becomes (r, n), then both are joined.
  const interleaved = full.flatMap((size, dim) => [repeats[dim], size]);
  const spread = b.broadcastInDim(
    b.reshape(self, full),
    interleaved,
    full.map((_, dim) => 2 * dim + 1),
  );
  return b.reshape(
    spread,
    full.map((size, dim) => size * repeats[dim]),
  );
}

function roll(b: CoreBuilder, self: Value, shifts: Sizes | number, dims: Sizes | number): Value {
  const sizes = sizesOf(self);
  const by = [shifts].flat() as number[];
  const along = [dims].flat() as number[];
  if (along.length === 0) {
    check(
      by.length === 1,
      () => `shifts and dimensions must align. shifts: ${by.length}, dims:${along.length}`,
    );
    const flat = b.reshape(self, [numel(sizes)]);
    return b.reshape(rollDim(b, flat, 0, by[0]), sizes);
  }
  check(
    by.length === along.length,
    () => `shifts and dimensions must align. shifts: ${by.length}, dims:${along.length}`,
  );
  return along.reduce((x, dim, index) => rollDim(b, x, wrapDim(dim, sizes.length), by[index]), self);
}

function rollDim(b: CoreBuilder, x: Value, dim: number, shift: number): Value {
  const size = sizesOf(x)[dim];
  if (size === undefined || size === 0) return x;
  const start = (((size - shift) % size) + size) % size;
  if (start === 0) return x;
  return b.concatenate([sliceDim(b, x, dim, start, size), sliceDim(b, x, dim, 0, start)], dim);
}

function flip(b: CoreBuilder, self: Value, dims: Sizes): Value {
  return b.reverse(self, dims.length === 0 ? [] : wrapDims(dims, rankOf(self)));
}

function rot90(b: CoreBuilder, self: Value, k: number, dims: Sizes): Value {
  check(dims.length === 2, () => `expected total rotation dims == 2, but got dims = ${dims.length}`);
  const [first, second] = dims.map((dim) => wrapDim(dim, rankOf(self)));
  check(
    first !== second,
    () => `expected rotation dims to be different, but got dim0 = ${dims[0]} and dim1 = ${dims[1]}`,
  );
  switch (((k % 4) + 4) % 4) {
    case 1:
      return swapDims(b, b.reverse(self, [second]), first, second);
    case 2:
      return b.reverse(self, [first, second]);
    case 3:
      return swapDims(b, b.reverse(self, [first]), first, second);
    default:
      return self;
  }
}

/** Where column - row is at most (least) the diagonal's number. */
export function triangle(b: CoreBuilder, self: Value, diagonal: number, lower: boolean): Value {
  const sizes = sizesOf(self);
  check(sizes.length >= 2, () => `${lower ? 'tril' : 'triu'}: input tensor must have at least 2 dimensions`);
  const rows = b.iota('int64', sizes, sizes.length - 2);
  const columns = b.iota('int64', sizes, sizes.length - 1);
  const edge = b.add(rows, like(b, rows, BigInt(diagonal)));
  return b.select(b.compare(columns, edge, lower ? 'LE' : 'GE'), self, like(b, self, 0));
}

/** Pads the last dimensions with a constant; `pad` lists (low, high) from the last dimension backwards. */
export function constantPad(b: CoreBuilder, self: Value, pad: Sizes, value: Scalar): Value {
  const sizes = sizesOf(self);
  check(pad.length % 2 === 0, () => `Length of pad must be even but instead it equals ${pad.length}`);
  check(
    sizes.length * 2 >= pad.length,
    () =>
      `Length of pad should be no more than twice the number of dimensions of the input. Pad length is ${pad.length}while the input has ${sizes.length}dimensions.`,
  );
  const low = sizes.map(() => 0);
  const high = sizes.map(() => 0);
  // From the first dimension on, as PyTorch narrows for negative padding before it pads.
  for (let each = pad.length / 2 - 1; each >= 0; each--) {
    const dim = sizes.length - 1 - each;
    [low[dim], high[dim]] = [pad[2 * each], pad[2 * each + 1]];
    if (low[dim] < 0 && -low[dim] !== sizes[dim]) wrapDim(-low[dim], sizes[dim]);
    const kept = sizes[dim] + Math.min(low[dim], 0);
    check(
      kept + high[dim] >= 0,
      () => `start (0) + length (${kept + high[dim]}) exceeds dimension size (${kept}).`,
    );
  }
  return b.pad(self, scalarOf(b, value, dtypeOf(self)), low, high);
}

/** The source position of each padded position of one dimension. */
export function padPositions(size: number, low: number, high: number, mode: string): number[] {
  return range(size + low + high, -low).map((at) => {
    switch (mode) {
      case 'reflect': {
        const period = Math.max(2 * (size - 1), 1);
        const wrapped = ((at % period) + period) % period;
        return wrapped < size ? wrapped : period - wrapped;
      }
      case 'circular':
        return ((at % size) + size) % size;
      default:
        return Math.max(0, Math.min(at, size - 1));
    }
  });
}

/** Joins runs of neighbouring positions: padding is a few slices instead of a gather of every position. */
export function takePositions(b: CoreBuilder, x: Value, dim: number, positions: Sizes): Value {
  const runs: [start: number, length: number, step: number][] = [];
  for (const position of positions) {
    const last = runs.at(-1);
    const step = last === undefined ? 0 : position - (last[0] + last[2] * (last[1] - 1));
    if (last !== undefined && Math.abs(step) <= 1 && (last[1] === 1 || last[2] === step)) {
      last[2] = step;
      last[1]++;
    } else runs.push([position, 1, 0]);
  }
  if (runs.length === 0) return sliceDim(b, x, dim, 0, 0);
  const sizes = sizesOf(x);
  const slices = runs.map(([start, length, step]) => {
    if (step === 0) {
      const one = sliceDim(b, x, dim, start, start + 1);
      return b.broadcastInDim(
        one,
        sizes.map((size, each) => (each === dim ? length : size)),
        range(sizes.length),
      );
    }
    if (step === 1) return sliceDim(b, x, dim, start, start + length);
    return b.reverse(sliceDim(b, x, dim, start - length + 1, start + 1), [dim]);
  });
  return b.concatenate(slices, dim);
}

function modePad(b: CoreBuilder, self: Value, pad: Sizes, mode: string): Value {
  const sizes = sizesOf(self);
  const count = pad.length / 2;
  let x = self;
  for (let each = 0; each < count; each++) {
    const dim = sizes.length - 1 - each;
    const [low, high] = [pad[2 * each], pad[2 * each + 1]];
    const size = sizes[dim];
    if (mode === 'reflect') {
      check(
        low < size && high < size,
        () =>
          `Argument #4: Padding size should be less than the corresponding input dimension, but got: padding (${low}, ${high}) at dimension ${dim} of input ${show(sizes)}`,
      );
    }
    if (mode === 'circular') {
      check(low <= size && high <= size, () => 'Padding value causes wrapping around more than once.');
    }
    if (low !== 0 || high !== 0) x = takePositions(b, x, dim, padPositions(size, low, high, mode));
  }
  return x;
}

function pad(b: CoreBuilder, self: Value, padding: Sizes, mode: string, value: number | null): Value {
  check(padding.length % 2 === 0, () => 'Padding length must be divisible by 2');
  check(padding.length <= 2 * rankOf(self), () => 'Padding length too large');
  if (mode === 'constant') return constantPad(b, self, padding, value ?? 0);
  check(value === null || value === 0, () => `Padding mode "${mode}" doesn't take in value argument`);
  const rank = rankOf(self);
  const allowed =
    (padding.length === 2 && (rank === 2 || rank === 3)) ||
    (padding.length === 4 && (rank === 3 || rank === 4)) ||
    (padding.length === 6 && (rank === 4 || rank === 5));
  check(allowed, () => 'Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now');
  if (!['reflect', 'replicate', 'circular'].includes(mode)) fail(`Unrecognised padding mode ${mode}`);
  return modePad(b, self, padding, mode);
}

const nearPad =
  (mode: string, rank: number) =>
  (b: CoreBuilder, self: Value, padding: Sizes): Value => {
    check(
      rankOf(self) === rank + 1 || rankOf(self) === rank + 2,
      () =>
        `Expected ${rank + 1}D or ${rank + 2}D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: ${show(sizesOf(self))}`,
    );
    return modePad(b, self, padding, mode);
  };

function meshgrid(b: CoreBuilder, tensors: readonly Value[], indexing: string): Value[] {
  check(tensors.length > 0, () => 'meshgrid expects a non-empty TensorList');
  const swap = indexing === 'xy' && tensors.length >= 2;
  const order = swap ? [tensors[1], tensors[0], ...tensors.slice(2)] : tensors;
  const sizes = order.map((x) => numel(sizesOf(x)));
  const grids = order.map((x, dim) => b.broadcastInDim(b.reshape(x, [sizes[dim]]), sizes, [dim]));
  if (!swap) return grids;
  return [grids[1], grids[0], ...grids.slice(2)];
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

function pixelShuffle(b: CoreBuilder, self: Value, factor: number): Value {
  const sizes = sizesOf(self);
  check(
    sizes.length >= 3,
    () =>
      `pixel_shuffle expects input to have at least 3 dimensions, but got input with ${sizes.length} dimension(s)`,
  );
  check(factor > 0, () => `pixel_shuffle expects a positive upscale_factor, but got ${factor}`);
  const lead = sizes.slice(0, -3);
  const [channels, height, width] = sizes.slice(-3);
  check(
    channels % (factor * factor) === 0,
    () =>
      `pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but input.size(-3)=${channels} is not divisible by ${factor * factor}`,
  );
  const n = lead.length;
  const split = b.reshape(self, [...lead, channels / (factor * factor), factor, factor, height, width]);
  const moved = b.transpose(split, [...range(n), n, n + 3, n + 1, n + 4, n + 2]);
  return b.reshape(moved, [...lead, channels / (factor * factor), height * factor, width * factor]);
}

function pixelUnshuffle(b: CoreBuilder, self: Value, factor: number): Value {
  const sizes = sizesOf(self);
  check(
    sizes.length >= 3,
    () =>
      `pixel_unshuffle expects input to have at least 3 dimensions, but got input with ${sizes.length} dimension(s)`,
  );
  check(factor > 0, () => `pixel_unshuffle expects a positive downscale_factor, but got ${factor}`);
  const lead = sizes.slice(0, -3);
  const [channels, height, width] = sizes.slice(-3);
  for (const [size, name, at] of [
    [height, 'height', -2],
    [width, 'width', -1],
  ] as const) {
    check(
      size % factor === 0,
      () =>
        `pixel_unshuffle expects ${name} to be divisible by downscale_factor, but input.size(${at})=${size} is not divisible by ${factor}`,
    );
  }
  const n = lead.length;
  const split = b.reshape(self, [...lead, channels, height / factor, factor, width / factor, factor]);
  const moved = b.transpose(split, [...range(n), n, n + 2, n + 4, n + 1, n + 3]);
  return b.reshape(moved, [...lead, channels * factor * factor, height / factor, width / factor]);
}

function channelShuffle(b: CoreBuilder, self: Value, groups: number): Value {
  const sizes = sizesOf(self);
  check(
    sizes.length > 2,
    () => `channel_shuffle expects input with > 2 dims, but got input with sizes ${show(sizes)}`,
  );
  const channels = sizes[1];
  check(
    channels % groups === 0,
    () => `Number of channels must be divisible by groups. Got ${channels} channels and ${groups} groups.`,
  );
  const split = b.reshape(self, [sizes[0], groups, channels / groups, ...sizes.slice(2)]);
  return b.reshape(swapDims(b, split, 1, 2), sizes);
}

/** Each element `times` times, one beside the other. */
function repeatInterleave(b: CoreBuilder, self: Value, times: number, dim: number | null): Value {
  const x = dim === null ? b.reshape(self, [numel(sizesOf(self))]) : self;
  const axis = wrapDim(dim ?? 0, rankOf(x));
  check(times >= 0, () => 'repeats can not be negative');
  const sizes = sizesOf(x).length === 0 ? [1] : sizesOf(x);
  const wide = [...sizes.slice(0, axis + 1), times, ...sizes.slice(axis + 1)];
  const spread = b.broadcastInDim(
    b.reshape(x, sizes),
    wide,
    range(wide.length).filter((each) => each !== axis + 1),
  );
  return b.reshape(
    spread,
    sizes.map((size, each) => (each === axis ? size * times : size)),
  );
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

function cartesianProduct(b: CoreBuilder, tensors: readonly Value[]): Value {
  for (const x of tensors)
    check(rankOf(x) === 1, () => `Expect a 1D vector, but got shape ${show(sizesOf(x))}`);
  if (tensors.length === 1) return tensors[0];
  const grids = meshgrid(b, tensors, 'ij').map((x) => b.reshape(x, [numel(sizesOf(x))]));
  return stack(b, grids, 1);
}

/** Positions of each combination (in lexical order) are known from the size alone. */
function combinations(b: CoreBuilder, self: Value, r: number, replacement: boolean): Value {
  check(rankOf(self) === 1, () => `Expect a 1D vector, but got shape ${show(sizesOf(self))}`);
  check(r >= 0, () => `Expect a non-negative number, but got ${r}`);
  const rows: number[][] = [];
  const extend = (row: number[], from: number): void => {
    if (row.length === r) {
      rows.push(row);
      return;
    }
    for (let at = from; at < sizesOf(self)[0]; at++) extend([...row, at], replacement ? at : at + 1);
  };
  if (r === 0) return b.full(0, dtypeOf(self), [0]);
  extend([], 0);
  if (rows.length === 0) return b.full(0, dtypeOf(self), [0, r]);
  const index = b.concatenate(
    rows.flat().map((at) => b.full(BigInt(at), 'int64', [1])),
    0,
  );
  return b.reshape(takeSlices(b, self, index, 0), [rows.length, r]);
}

function padSequence(b: CoreBuilder, sequences: readonly Value[], batchFirst: boolean, value: number): Value {
  const longest = Math.max(...sequences.map((x) => sizesOf(x)[0]));
  const padded = sequences.map((x) => padDim(b, x, b.full(value, dtypeOf(x)), 0, 0, longest - sizesOf(x)[0]));
  return stack(b, padded, batchFirst ? 0 : 1);
}

const joinAlong =
  (rank: number, dim: (x: Value) => number) =>
  (b: CoreBuilder, tensors: readonly Value[]): Value => {
    const each = tensors.map((x) => reshaped(b, x, rank));
    return cat(b, each, dim(each[0]));
  };

lowerings({
  'aten::cat': cat,
  'aten::concat': cat,
  'aten::concatenate': cat,
  'aten::stack': stack,
  'aten::_stack': stack,
  'aten::hstack': joinAlong(1, (x) => (rankOf(x) === 1 ? 0 : 1)),
  'aten::vstack': joinAlong(2, () => 0),
  'aten::row_stack': joinAlong(2, () => 0),
  'aten::dstack': joinAlong(3, () => 2),
  'aten::column_stack': (b, tensors: readonly Value[]) =>
    cat(
      b,
      tensors.map((x) => (rankOf(x) <= 1 ? b.reshape(x, [numel(sizesOf(x)), 1]) : x)),
      1,
    ),
  'aten::repeat': repeat,
  'aten::tile': (b, self: Value, dims: Sizes) =>
    repeat(b, self, [...range(Math.max(rankOf(self) - dims.length, 0)).map(() => 1), ...dims]),
  'aten::repeat_interleave.self_int': repeatInterleave,
  'aten::roll': roll,
  'aten::flip': flip,
  'aten::fliplr': (b, self: Value) => {
    check(rankOf(self) >= 2, () => 'Input must be >= 2-d.');
    return b.reverse(self, [1]);
  },
  'aten::flipud': (b, self: Value) => {
    check(rankOf(self) >= 1, () => 'Input must be >= 1-d.');
    return b.reverse(self, [0]);
  },
  'aten::rot90': rot90,
  'aten::tril': (b, self: Value, diagonal: number) => triangle(b, self, diagonal, true),
  'aten::triu': (b, self: Value, diagonal: number) => triangle(b, self, diagonal, false),
  'aten::constant_pad_nd': constantPad,
  'aten::pad': pad,
  'aten::_pad_circular': (b, self: Value, padding: Sizes) => modePad(b, self, padding, 'circular'),
  'aten::_pad_enum': (b, self: Value, padding: Sizes, mode: number, value: number | null) =>
    pad(b, self, padding, ['reflect', 'replicate', 'circular', 'constant'][mode], value),
  'aten::reflection_pad1d': nearPad('reflect', 1),
  'aten::reflection_pad2d': nearPad('reflect', 2),
  'aten::reflection_pad3d': nearPad('reflect', 3),
  'aten::replication_pad1d': nearPad('replicate', 1),
  'aten::replication_pad2d': nearPad('replicate', 2),
  'aten::replication_pad3d': nearPad('replicate', 3),
  'aten::meshgrid': (b, tensors: readonly Value[]) => meshgrid(b, tensors, 'ij'),
  'aten::meshgrid.indexing': meshgrid,
  'aten::broadcast_tensors': (b, tensors: readonly Value[]) => broadcastAll(b, ...tensors),
  'aten::diag': diag,
  'aten::diag_embed': diagEmbed,
  'aten::diagflat': (b, self: Value, offset: number) =>
    diagEmbed(b, b.reshape(self, [numel(sizesOf(self))]), offset, -2, -1),
  'aten::trace': trace,
  'aten::pixel_shuffle': pixelShuffle,
  'aten::pixel_unshuffle': pixelUnshuffle,
  'aten::channel_shuffle': channelShuffle,
  'aten::native_channel_shuffle': channelShuffle,
  'aten::block_diag': blockDiag,
  'aten::cartesian_prod': cartesianProduct,
  'aten::combinations': combinations,
  'aten::pad_sequence': padSequence,
  'aten::unflatten_dense_tensors': (b, flat: Value, tensors: readonly Value[]) => {
    let start = 0;
    return tensors.map((x) => {
      const count = numel(sizesOf(x));
      const piece = sliceDim(b, flat, 0, start, start + count);
      start += count;
      return b.reshape(piece, sizesOf(x));
    });
  },
  'aten::flatten_dense_tensors': (b, tensors: readonly Value[]) =>
    b.concatenate(
      tensors.map((x) => b.reshape(x, [numel(sizesOf(x))])),
      0,
    ),
});

/** Tensors are joined along the new dimension, which is then split off. */
const stackLayout: ResultLayout = {
  kind: 'strides',
  follows: true,
  strides: (site, sizes) => {
    const axis = wrapDim(Number(site.args[1]), sizes.length);
    if (axis === sizes.length - 1) return contiguousStrides(sizes);
    const joined = [...sizes.slice(0, axis), sizes[axis] * sizes[axis + 1], ...sizes.slice(axis + 2)];
    const strides = resultStrides(suggestedByEvery(0), site, joined);
    return [...strides.slice(0, axis), strides[axis] * sizes[axis + 1], ...strides.slice(axis)];
  },
};

/** Flipped, and transposed for odd quarters. */
const rotatedLayout: ResultLayout = {
  kind: 'strides',
  strides: (site, sizes) => {
    const [, turns, dims] = site.args;
    const quarters = ((Number(turns) % 4) + 4) % 4;
    if (quarters === 0) return contiguousStrides(sizes);
    const strides = [...preservedStrides(geometryOf(site, 0))];
    const [first, second] = (dims as Sizes).map((dim) => wrapDim(dim, sizes.length));
    if (quarters % 2 === 1) [strides[first], strides[second]] = [strides[second], strides[first]];
    return strides;
  },
};

const paddedLayout: ResultLayout = {
  kind: 'strides',
  follows: true,
  strides: (site, sizes) =>
    site.args[2] === 'constant' ? resultStrides(suggestedBy(0), site, sizes) : contiguousStrides(sizes),
};

layouts({
  'aten::flip': likeArgument(0),
  'aten::fliplr': likeArgument(0),
  'aten::flipud': likeArgument(0),
  'aten::pixel_shuffle': suggestedBy(0),
  'aten::pixel_unshuffle': suggestedBy(0),
  'aten::channel_shuffle': suggestedBy(0),
  'aten::native_channel_shuffle': suggestedBy(0),
  'aten::cat': suggestedByEvery(0),
  'aten::concat': suggestedByEvery(0),
  'aten::concatenate': suggestedByEvery(0),
  'aten::stack': stackLayout,
  'aten::_stack': stackLayout,
  'aten::rot90': rotatedLayout,
  'aten::constant_pad_nd': suggestedBy(0),
  'aten::pad': paddedLayout,
});
