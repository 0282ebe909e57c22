// Borders around tensors: constants, reflections, replicas, wrapped around.
import type { CoreBuilder, Value } from '@weft/ir';
import { lowerings } from './operator.ts';
import type { Scalar } from './operator.ts';
import { check, fail, range, rankOf, sizesOf, wrapDim } from './broadcast.ts';
import { dtypeOf, scalarOf } from './elementwise.ts';
import { sliceDim } from './shapes.ts';
import type { ResultLayout } from './result-layout.ts';
import { layouts, resultStrides, suggestedBy } from './result-layout.ts';
import { contiguousStrides } from './strides.ts';

type Sizes = readonly number[];
const show = (sizes: Sizes): string => `[${sizes.join(', ')}]`;

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

lowerings({
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
});

const paddedLayout: ResultLayout = {
  kind: 'strides',
  follows: true,
  strides: (site, sizes) =>
    site.args[2] === 'constant' ? resultStrides(suggestedBy(0), site, sizes) : contiguousStrides(sizes),
};

layouts({
  'aten::constant_pad_nd': suggestedBy(0),
  'aten::pad': paddedLayout,
});
