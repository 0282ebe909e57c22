// torchvision::deform_conv2d (Dai et al., Deformable Convolutional Networks; with a mask, its second version): a convolution
// whose kernel reads the image at positions that are moved by offsets, between pixels by bilinear interpolation.
import type { CoreBuilder, Value } from '@weft/ir';
import { numel, registerSchema } from '@weft/ir';
import { lowerings } from './operator.ts';
import { check, sizesOf } from './broadcast.ts';
import { dtypeOf, is, like, plus, times, zeroUnless } from './elementwise.ts';
import { takeSlices } from './gathering.ts';
import { selectDim } from './shapes.ts';

registerSchema(
  'torchvision::deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, int stride_h, int stride_w, int pad_h, int pad_w, int dilation_h, int dilation_w, int groups, int offset_groups, bool use_mask) -> Tensor',
);

/** Along one axis: the two pixels around a position and what each counts, zero outside of the image. */
function neighbours(b: CoreBuilder, position: Value, size: number): { at: Value; weight: Value }[] {
  const inside = b.and(is(b, position, 'GT', -1), is(b, position, 'LT', size));
  const from = b.select(inside, position, like(b, position, 0));
  const low = b.floor(from);
  const share = b.subtract(from, low);
  const pixel = (at: Value, weight: Value) => ({
    at: b.convert(b.minimum(b.maximum(at, like(b, at, 0)), like(b, at, size - 1)), 'int32'),
    weight: zeroUnless(b, b.and(inside, b.and(is(b, at, 'GE', 0), is(b, at, 'LE', size - 1))), weight),
  });
  return [pixel(low, b.subtract(like(b, share, 1), share)), pixel(plus(b, low, 1), share)];
}

function deformableConvolution(
  b: CoreBuilder,
  input: Value,
  weight: Value,
  offset: Value,
  mask: Value,
  bias: Value,
  strideHeight: number,
  strideWidth: number,
  padHeight: number,
  padWidth: number,
  dilationHeight: number,
  dilationWidth: number,
  groups: number,
  offsetGroups: number,
  useMask: boolean,
): Value {
  check(sizesOf(input).length === 4, () => `Expected 4D tensor for input, but got ${sizesOf(input).length}D`);
  const [batch, channels, height, width] = sizesOf(input);
  const [outputs, depth, kernelHeight, kernelWidth] = sizesOf(weight);
  const taps = kernelHeight * kernelWidth;
  const span = (size: number, pad: number, dilation: number, kernel: number, stride: number): number =>
    Math.floor((size + 2 * pad - (dilation * (kernel - 1) + 1)) / stride) + 1;
  const rows = span(height, padHeight, dilationHeight, kernelHeight, strideHeight);
  const columns = span(width, padWidth, dilationWidth, kernelWidth, strideWidth);
  check(
    depth * groups === channels,
    () => `Input channels must be divisible by the number of groups: ${depth} * ${groups} is not ${channels}`,
  );
  check(
    sizesOf(offset)[1] === offsetGroups * 2 * taps,
    () => `offset.shape[1] is not valid: got: ${sizesOf(offset)[1]} expected: ${offsetGroups * 2 * taps}`,
  );
  check(
    !useMask || sizesOf(mask)[1] === offsetGroups * taps,
    () => `mask.shape[1] is not valid: got: ${sizesOf(mask)[1]} expected: ${offsetGroups * taps}`,
  );
  check(
    sizesOf(offset)[2] === rows && sizesOf(offset)[3] === columns,
    () =>
      `offset output dims: (${sizesOf(offset).slice(2).join(', ')}) - computed output dims: (${rows}, ${columns})`,
  );
  const each = channels / offsetGroups;
  // Samples: [batch, offset group, kernel row, kernel column, output row, output column].
  const shape = [batch, offsetGroups, kernelHeight, kernelWidth, rows, columns];
  const moved = b.reshape(offset, [batch, offsetGroups, kernelHeight, kernelWidth, 2, rows, columns]);
  const dtype = dtypeOf(offset);
  const base = (output: number, kernel: number, stride: number, dilation: number, pad: number): Value =>
    b.add(
      plus(b, times(b, b.iota(dtype, shape, output), stride), -pad),
      times(b, b.iota(dtype, shape, kernel), dilation),
    );
  const y = b.add(base(4, 2, strideHeight, dilationHeight, padHeight), selectDim(b, moved, 4, 0));
  const x = b.add(base(5, 3, strideWidth, dilationWidth, padWidth), selectDim(b, moved, 4, 1));
  const planes = b.reshape(input, [batch, offsetGroups, each, height, width]);
  const pixels = b.reshape(b.transpose(planes, [0, 1, 3, 4, 2]), [
    batch * offsetGroups * height * width,
    each,
  ]);
  const plane = b.add(times(b, b.iota('int32', shape, 0), offsetGroups), b.iota('int32', shape, 1));
  const count = numel(shape);
  let samples: Value | undefined;
  for (const row of neighbours(b, y, height)) {
    for (const column of neighbours(b, x, width)) {
      const index = b.add(times(b, b.add(times(b, plane, height), row.at), width), column.at);
      const values = takeSlices(b, pixels, b.reshape(index, [count]), 0);
      const share = b.convert(b.reshape(b.multiply(row.weight, column.weight), [count]), dtypeOf(input));
      const term = b.multiply(values, b.broadcastInDim(share, [count, each], [0]));
      samples = samples === undefined ? term : b.add(samples, term);
    }
  }
  if (useMask) samples = b.multiply(samples!, b.broadcastInDim(b.reshape(mask, [count]), [count, each], [0]));
  const ordered = b.transpose(
    b.reshape(samples!, [batch, offsetGroups, taps, rows * columns, each]),
    [0, 1, 4, 2, 3],
  );
  const patches = b.reshape(ordered, [batch, groups, depth * taps, rows * columns]);
  const kernels = b.reshape(weight, [groups, outputs / groups, depth * taps]);
  // [groups, batch, positions, outputs of a group]
  const products = b.dotGeneral(patches, kernels, {
    lhsBatching: [1],
    rhsBatching: [0],
    lhsContracting: [2],
    rhsContracting: [2],
  });
  const result = b.reshape(b.transpose(products, [1, 0, 3, 2]), [batch, outputs, rows, columns]);
  return b.add(result, b.broadcastInDim(bias, sizesOf(result), [1]));
}

lowerings({ 'torchvision::deform_conv2d': deformableConvolution });
