// Elements in other places: roll, flip, rot90, pixel and channel shuffles.
import type { CoreBuilder, Value } from '@weft/ir';
import { numel } from '@weft/ir';
import { lowerings } from './operator.ts';
import { check, range, rankOf, sizesOf, wrapDim, wrapDims } from './broadcast.ts';
import { sliceDim, swapDims } from './shapes.ts';
import type { ResultLayout } from './result-layout.ts';
import { geometryOf, layouts, likeArgument, suggestedBy } from './result-layout.ts';
import { contiguousStrides, preservedStrides } from './strides.ts';

type Sizes = readonly number[];
const show = (sizes: Sizes): string => `[${sizes.join(', ')}]`;

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

lowerings({
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
  'aten::pixel_shuffle': pixelShuffle,
  'aten::pixel_unshuffle': pixelUnshuffle,
  'aten::channel_shuffle': channelShuffle,
  'aten::native_channel_shuffle': channelShuffle,
});

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

layouts({
  'aten::flip': likeArgument(0),
  'aten::fliplr': likeArgument(0),
  'aten::flipud': likeArgument(0),
  'aten::pixel_shuffle': suggestedBy(0),
  'aten::pixel_unshuffle': suggestedBy(0),
  'aten::channel_shuffle': suggestedBy(0),
  'aten::native_channel_shuffle': suggestedBy(0),
  'aten::rot90': rotatedLayout,
});
