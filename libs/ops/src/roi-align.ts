// Averages of bilinear samples in the bins of regions, as torchvision has them: roi_align, and ps_roi_align with a group of
// channels for each bin.
import type { CoreBuilder, TensorLike, Value } from '@weft/ir';
import { numel, registerSchema } from '@weft/ir';
import type { ReadTensor } from './operator.ts';
import { lowerings, preparations } from './operator.ts';
import { sizesOf } from './broadcast.ts';
import { stopGradient } from './gradient-flow.ts';
import { checkRegions } from './detection.ts';
import { dtypeOf, is, like, over, plus, times, zeroUnless } from './elementwise.ts';
import { takeSlices } from './gathering.ts';
import { numbersOf } from './literal.ts';
import { channelMapping, checkBinChannels } from './ps-roi-pool.ts';
import { sliceDim } from './shapes.ts';

registerSchema(
  'torchvision::roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, int sampling_ratio, bool aligned) -> Tensor',
);
registerSchema(
  'torchvision::ps_roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, int sampling_ratio) -> (Tensor, Tensor)',
);

interface Sampling {
  readonly spatialScale: number;
  readonly pooledHeight: number;
  readonly pooledWidth: number;
  /** A bin has so many samples each way; a negative number: as many as fit the region's size, and -samplingRatio at most. */
  readonly samplingRatio: number;
  readonly aligned: boolean;
  /** Whether each bin has channels of its own. */
  readonly perBin: boolean;
}

/** [regions, channels, pooledHeight, pooledWidth] of regions (index, x1, y1, x2, y2). */
function sampleRegions(b: CoreBuilder, input: Value, boxes: Value, sampling: Sampling): Value {
  // PyTorch gives no gradient of the regions.
  const rois = stopGradient(b, boxes);
  const { spatialScale, pooledHeight, pooledWidth, samplingRatio, aligned, perBin } = sampling;
  checkRegions(sizesOf(rois));
  const [batch, depth, height, width] = sizesOf(input);
  const bins = perBin ? pooledHeight * pooledWidth : 1;
  const channels = depth / bins;
  const count = sizesOf(rois)[0];
  const grid = Math.abs(samplingRatio);
  const column = (at: number): Value => b.reshape(sliceDim(b, rois, 1, at, at + 1), [count]);
  const offset = aligned ? -0.5 : 0;
  const scaled = (at: number): Value => plus(b, times(b, column(at), spatialScale), offset);
  const [x1, y1, x2, y2] = [1, 2, 3, 4].map(scaled);
  const extent = (low: Value, high: Value): Value => {
    const size = b.subtract(high, low);
    return aligned ? size : b.maximum(size, like(b, size, 1));
  };
  /** Sample positions along one axis, [rois, bins · samples], which of them count, and how many a bin has. */
  const samplesOf = (start: Value, size: Value, binCount: number) => {
    const shape = [count, binCount, grid];
    const spreadOf = (value: Value): Value => b.broadcastInDim(value, shape, [0]);
    const binSize = over(b, size, binCount);
    const amount = samplingRatio > 0 ? like(b, size, grid) : b.ceil(binSize);
    const number = b.iota(dtypeOf(rois), shape, 2);
    const step = b.divide(spreadOf(binSize), spreadOf(amount));
    const inBin = b.multiply(plus(b, number, 0.5), step);
    const at = b.add(
      b.add(spreadOf(start), b.multiply(b.iota(dtypeOf(rois), shape, 1), spreadOf(binSize))),
      inBin,
    );
    const counts = b.compare(number, spreadOf(amount), 'LT');
    const flat = [count, binCount * grid];
    return { at: b.reshape(at, flat), counts: b.reshape(counts, flat), amount };
  };
  const ys = samplesOf(y1, extent(y1, y2), pooledHeight);
  const xs = samplesOf(x1, extent(x1, x2), pooledWidth);
  const axis = ({ at, counts }: { at: Value; counts: Value }, size: number) => {
    const inside = b.and(counts, b.and(is(b, at, 'GE', -1), is(b, at, 'LE', size)));
    const clipped = b.maximum(b.select(inside, at, like(b, at, 0)), like(b, at, 0));
    const low = b.minimum(b.floor(clipped), like(b, at, size - 1));
    const position = b.select(is(b, low, 'GE', size - 1), low, clipped);
    const share = b.subtract(position, low);
    const next = b.minimum(plus(b, low, 1), like(b, low, size - 1));
    const weight = (value: Value): Value => zeroUnless(b, inside, value);
    return [
      { at: b.convert(low, 'int32'), weight: weight(b.subtract(like(b, share, 1), share)) },
      { at: b.convert(next, 'int32'), weight: weight(share) },
    ];
  };
  const [rows, columns] = [pooledHeight * grid, pooledWidth * grid];
  const shape = [count, rows, columns];
  // The channels of a pixel in the last place: [batch · bins · height · width, channels].
  const planes = b.reshape(input, [batch, channels, bins, height, width]);
  const pixels = b.reshape(b.transpose(planes, [0, 2, 3, 4, 1]), [batch * bins * height * width, channels]);
  const image = b.broadcastInDim(b.convert(column(0), 'int32'), shape, [0]);
  const along = (dim: number): Value => b.iota('int32', shape, dim);
  const bin = b.add(
    times(b, b.divide(along(1), b.full(grid, 'int32', shape)), pooledWidth),
    b.divide(along(2), b.full(grid, 'int32', shape)),
  );
  const plane = times(b, perBin ? b.add(times(b, image, bins), bin) : image, height);
  let total: Value | undefined;
  for (const row of axis(ys, height)) {
    const line = times(b, b.add(plane, b.broadcastInDim(row.at, shape, [0, 1])), width);
    for (const col of axis(xs, width)) {
      const index = b.reshape(b.add(line, b.broadcastInDim(col.at, shape, [0, 2])), [numel(shape)]);
      const values = takeSlices(b, pixels, index, 0);
      const weight = b.multiply(
        b.broadcastInDim(row.weight, shape, [0, 1]),
        b.broadcastInDim(col.weight, shape, [0, 2]),
      );
      const flat = b.convert(b.reshape(weight, [numel(shape)]), dtypeOf(input));
      const term = b.multiply(values, b.broadcastInDim(flat, sizesOf(values), [0]));
      total = total === undefined ? term : b.add(total, term);
    }
  }
  const binned = b.reshape(total!, [count, pooledHeight, grid, pooledWidth, grid, channels]);
  const sums = b.reduceSum(binned, [2, 4]);
  const samples = b.multiply(ys.amount, xs.amount);
  const divisor = b.convert(b.maximum(samples, like(b, samples, 1)), dtypeOf(input));
  const mean = b.divide(sums, b.broadcastInDim(divisor, sizesOf(sums), [0]));
  return b.transpose(mean, [0, 3, 1, 2]);
}

/** Without a sampling ratio the largest region says how many samples a bin has at most. */
function mostSamples(
  read: ReadTensor,
  rois: TensorLike,
  spatialScale: number,
  pooledHeight: number,
  pooledWidth: number,
  aligned: boolean,
): number {
  const boxes = numbersOf(read(rois));
  const least = aligned ? 0 : 1;
  let most = 1;
  for (let at = 0; at + 5 <= boxes.length; at += 5) {
    const size = (low: number, high: number): number =>
      Math.max((boxes[at + high] - boxes[at + low]) * spatialScale, least);
    // One more than computed here: the lowering divides in the dtype of the boxes.
    most = Math.max(most, Math.ceil(size(1, 3) / pooledWidth) + 1, Math.ceil(size(2, 4) / pooledHeight) + 1);
  }
  return most;
}

preparations({
  'torchvision::roi_align': (
    read,
    input: TensorLike,
    rois: TensorLike,
    spatialScale: number,
    pooledHeight: number,
    pooledWidth: number,
    samplingRatio: number,
    aligned: boolean,
  ) => {
    if (samplingRatio > 0) return null;
    const most = mostSamples(read, rois, spatialScale, pooledHeight, pooledWidth, aligned);
    return [input, rois, spatialScale, pooledHeight, pooledWidth, -most, aligned];
  },
  'torchvision::ps_roi_align': (
    read,
    input: TensorLike,
    rois: TensorLike,
    spatialScale: number,
    pooledHeight: number,
    pooledWidth: number,
    samplingRatio: number,
  ) => {
    if (samplingRatio > 0) return null;
    const most = mostSamples(read, rois, spatialScale, pooledHeight, pooledWidth, true);
    return [input, rois, spatialScale, pooledHeight, pooledWidth, -most];
  },
});

lowerings({
  'torchvision::roi_align': (
    b: CoreBuilder,
    input: Value,
    rois: Value,
    spatialScale: number,
    pooledHeight: number,
    pooledWidth: number,
    samplingRatio: number,
    aligned: boolean,
  ) =>
    sampleRegions(b, input, rois, {
      spatialScale,
      pooledHeight,
      pooledWidth,
      samplingRatio,
      aligned,
      perBin: false,
    }),
  'torchvision::ps_roi_align': (
    b: CoreBuilder,
    input: Value,
    rois: Value,
    spatialScale: number,
    pooledHeight: number,
    pooledWidth: number,
    samplingRatio: number,
  ) => {
    checkBinChannels(sizesOf(input)[1], pooledHeight, pooledWidth);
    const sampling = { spatialScale, pooledHeight, pooledWidth, samplingRatio, aligned: true, perBin: true };
    const result = sampleRegions(b, input, rois, sampling);
    return [result, channelMapping(b, sizesOf(result))];
  },
});
