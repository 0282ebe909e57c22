// Operators of object detection, as torchvision has them: nms and roi_align.
import type { CoreBuilder, TensorLike, TensorLiteral, Value } from '@weft/ir';
import { numel, registerSchema } from '@weft/ir';
import { kernels, lowerings, preparations } from './operator.ts';
import { check, range, sizesOf } from './broadcast.ts';
import { dtypeOf, is, like, over, plus, times, zeroUnless } from './elementwise.ts';
import { sliceDim } from './shapes.ts';
import { takeAlong } from './gathering.ts';
import { literalOf, numbersOf } from './literal.ts';

/** Boxes (x1, y1, x2, y2) in the order of their scores, without those that overlap a better one too much. */
function nms(boxes: TensorLiteral, scores: TensorLiteral, threshold: number): TensorLiteral {
  check(boxes.shape.length === 2, () => `boxes should be a 2d tensor, got ${boxes.shape.length}D`);
  check(boxes.shape[1] === 4, () => `boxes should have 4 elements in dimension 1, got ${boxes.shape[1]}`);
  check(
    boxes.shape[0] === numel(scores.shape),
    () =>
      `boxes and scores should have same number of elements in dimension 0, got ${boxes.shape[0]} and ${numel(scores.shape)}`,
  );
  const box = numbersOf(boxes);
  const score = numbersOf(scores);
  const area = (at: number): number => (box[4 * at + 2] - box[4 * at]) * (box[4 * at + 3] - box[4 * at + 1]);
  const order = range(score.length).sort((p, q) => score[q] - score[p] || p - q);
  const suppressed = new Set<number>();
  const kept: number[] = [];
  for (const [rank, p] of order.entries()) {
    if (suppressed.has(p)) continue;
    kept.push(p);
    for (const q of order.slice(rank + 1)) {
      const width = Math.max(0, Math.min(box[4 * p + 2], box[4 * q + 2]) - Math.max(box[4 * p], box[4 * q]));
      const height = Math.max(
        0,
        Math.min(box[4 * p + 3], box[4 * q + 3]) - Math.max(box[4 * p + 1], box[4 * q + 1]),
      );
      const overlap = width * height;
      if (overlap / (area(p) + area(q) - overlap) > threshold) suppressed.add(q);
    }
  }
  return literalOf('int64', [kept.length], kept);
}
kernels({ 'torchvision::nms': { kernel: nms } });

/**
 * Averages of bilinear samples in the bins of regions (index, x1, y1, x2, y2). A bin has `samplingRatio` samples each way;
 * a negative one means as many as fit the region's size, of which -samplingRatio is the most (see the preparation).
 */
function roiAlign(
  b: CoreBuilder,
  input: Value,
  rois: Value,
  spatialScale: number,
  pooledHeight: number,
  pooledWidth: number,
  samplingRatio: number,
  aligned: boolean,
): Value {
  const [batch, channels, height, width] = sizesOf(input);
  const count = sizesOf(rois)[0];
  check(sizesOf(rois)[1] === 5, () => 'rois must have shape as Tensor[K, 5]');
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
  const samplesOf = (start: Value, size: Value, bins: number) => {
    const shape = [count, bins, grid];
    const spreadOf = (value: Value): Value => b.broadcastInDim(value, shape, [0]);
    const binSize = over(b, size, bins);
    const amount = samplingRatio > 0 ? like(b, size, grid) : b.ceil(binSize);
    const number = b.iota(dtypeOf(rois), shape, 2);
    const step = b.divide(spreadOf(binSize), spreadOf(amount));
    const inBin = b.multiply(plus(b, number, 0.5), step);
    const at = b.add(
      b.add(spreadOf(start), b.multiply(b.iota(dtypeOf(rois), shape, 1), spreadOf(binSize))),
      inBin,
    );
    const counts = b.compare(number, spreadOf(amount), 'LT');
    const flat = [count, bins * grid];
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
      { at: b.convert(low, 'int64'), weight: weight(b.subtract(like(b, share, 1), share)) },
      { at: b.convert(next, 'int64'), weight: weight(share) },
    ];
  };
  const [rows, columns] = [pooledHeight * grid, pooledWidth * grid];
  const shape = [count, rows, columns];
  const image = b.convert(column(0), 'int64');
  // Pixels of each image in the last place: [batch, height · width, channels].
  const pixels = b.reshape(b.transpose(input, [0, 2, 3, 1]), [batch * height * width, channels]);
  let total: Value | undefined;
  for (const row of axis(ys, height)) {
    for (const col of axis(xs, width)) {
      const spreadRow = (value: Value): Value => b.broadcastInDim(value, shape, [0, 1]);
      const spreadColumn = (value: Value): Value => b.broadcastInDim(value, shape, [0, 2]);
      const first = b.multiply(
        b.broadcastInDim(image, shape, [0]),
        b.full(BigInt(height * width), 'int64', shape),
      );
      const line = b.multiply(spreadRow(row.at), b.full(BigInt(width), 'int64', shape));
      const index = b.reshape(b.add(b.add(first, line), spreadColumn(col.at)), [numel(shape), 1]);
      const values = takeAlong(b, pixels, b.broadcastInDim(index, [numel(shape), channels], [0, 1]), 0);
      const weight = b.reshape(b.multiply(spreadRow(row.weight), spreadColumn(col.weight)), [numel(shape)]);
      const term = b.multiply(
        values,
        b.broadcastInDim(b.convert(weight, dtypeOf(input)), [numel(shape), channels], [0]),
      );
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

registerSchema('torchvision::nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor');
registerSchema(
  'torchvision::roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, int sampling_ratio, bool aligned) -> Tensor',
);

/** Without a sampling ratio the largest region says how many samples a bin has at most. */
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
    const boxes = numbersOf(read(rois));
    let most = 1;
    for (let at = 0; at < boxes.length; at += 5) {
      const size = (low: number, high: number): number => {
        const length = (boxes[at + high] - boxes[at + low]) * spatialScale;
        return aligned ? length : Math.max(length, 1);
      };
      // One more than computed here: the lowering divides in the dtype of the boxes.
      most = Math.max(
        most,
        Math.ceil(size(1, 3) / pooledWidth) + 1,
        Math.ceil(size(2, 4) / pooledHeight) + 1,
      );
    }
    return [input, rois, spatialScale, pooledHeight, pooledWidth, -most, aligned];
  },
});

lowerings({
  'torchvision::roi_align': roiAlign,
});
