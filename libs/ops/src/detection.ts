// Operators of object detection on host data, as torchvision has them: suppression of overlapping boxes, and the largest
// elements of regions. roi-align.ts and ps-roi-pool.ts have those that are lowerings.
import type { TensorLiteral, Value } from '@weft/ir';
import { numel, registerSchema } from '@weft/ir';
import type { KernelVjp } from './operator.ts';
import { kernels } from './operator.ts';
import { check, range, sizesOf } from './broadcast.ts';
import { contiguousStrides } from './strides.ts';
import { dtypeOf, is, like, times } from './elementwise.ts';
import { putSlices } from './gathering.ts';
import { literalOf, numbersOf } from './literal.ts';
import { sliceDim } from './shapes.ts';

registerSchema('torchvision::nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor');
registerSchema(
  'torchvision::roi_pool(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width) -> (Tensor, Tensor)',
);

/** Boxes (x1, y1, x2, y2) in the order of their scores, without those that overlap a better one too much. */
function nms(boxes: TensorLiteral, scores: TensorLiteral, threshold: number): TensorLiteral {
  check(boxes.shape.length === 2, () => `boxes should be a 2d tensor, got ${boxes.shape.length}D`);
  check(boxes.shape[1] === 4, () => `boxes should have 4 elements in dimension 1, got ${boxes.shape[1]}`);
  check(scores.shape.length === 1, () => `scores should be a 1d tensor, got ${scores.shape.length}D`);
  check(
    boxes.shape[0] === scores.shape[0],
    () =>
      `boxes and scores should have same number of elements in dimension 0, got ${boxes.shape[0]} and ${scores.shape[0]}`,
  );
  check(
    boxes.dtype === scores.dtype,
    () => `dets should have the same type as scores, got ${boxes.dtype} and ${scores.dtype}`,
  );
  const box = numbersOf(boxes);
  const score = numbersOf(scores);
  // Rounded at every step as PyTorch does, since an overlap may be just the threshold.
  const round = boxes.dtype === 'float64' ? (x: number): number => x : Math.fround;
  const count = score.length;
  const areas = Float64Array.from({ length: count }, (_, at) =>
    round(round(box[4 * at + 2] - box[4 * at]) * round(box[4 * at + 3] - box[4 * at + 1])),
  );
  const order = range(count).sort((p, q) => score[q] - score[p] || p - q);
  const suppressed = new Uint8Array(count);
  const kept: number[] = [];
  for (let rank = 0; rank < count; rank++) {
    const p = order[rank];
    if (suppressed[p] === 1) continue;
    kept.push(p);
    const [x1, y1, x2, y2] = box.subarray(4 * p, 4 * p + 4);
    for (let other = rank + 1; other < count; other++) {
      const q = order[other];
      if (suppressed[q] === 1) continue;
      const width = Math.max(0, round(Math.min(x2, box[4 * q + 2]) - Math.max(x1, box[4 * q])));
      const height = Math.max(0, round(Math.min(y2, box[4 * q + 3]) - Math.max(y1, box[4 * q + 1])));
      const shared = round(width * height);
      const union = round(round(areas[p] + areas[q]) - shared);
      if (round(shared / union) > threshold) suppressed[q] = 1;
    }
  }
  return literalOf('int64', [kept.length], kept);
}

export const checkRegions = (rois: readonly number[]): void =>
  check(rois.length === 2 && rois[1] === 5, () => 'rois must have shape as Tensor[K, 5]');

/** As C rounds: halves away from zero. */
const roundHalf = (x: number): number => (x < 0 ? -Math.round(-x) : Math.round(x));
const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

/** The largest element in every bin of the regions (index, x1, y1, x2, y2), and its position in the image or -1. */
function roiPool(
  input: TensorLiteral,
  rois: TensorLiteral,
  spatialScale: number,
  pooledHeight: number,
  pooledWidth: number,
): TensorLiteral[] {
  checkRegions(rois.shape);
  const [, channels, height, width] = input.shape;
  const shape = [rois.shape[0], channels, pooledHeight, pooledWidth];
  const elements = numbersOf(input);
  const regions = numbersOf(rois);
  const round = rois.dtype === 'float64' ? (x: number): number => x : Math.fround;
  const largest = new Float64Array(numel(shape));
  const places = new Float64Array(numel(shape)).fill(-1);
  const strides = contiguousStrides(shape);
  for (let region = 0; region < shape[0]; region++) {
    const [image, x1, y1, x2, y2] = regions.subarray(5 * region, 5 * region + 5);
    const scaled = (x: number): number => roundHalf(round(x * round(spatialScale)));
    /** First element of each bin along one axis, and the one after its last. */
    const bins = (low: number, high: number, count: number, limit: number): [number, number][] => {
      const size = round(Math.max(scaled(high) - scaled(low) + 1, 1) / count);
      return range(count).map((bin) => [
        clamp(Math.floor(round(bin * size)) + scaled(low), 0, limit),
        clamp(Math.ceil(round((bin + 1) * size)) + scaled(low), 0, limit),
      ]);
    };
    const rows = bins(y1, y2, pooledHeight, height);
    const columns = bins(x1, x2, pooledWidth, width);
    for (let channel = 0; channel < channels; channel++) {
      const plane = (image * channels + channel) * height * width;
      let at = region * strides[0] + channel * strides[1];
      for (const [top, bottom] of rows) {
        for (const [left, right] of columns) {
          let best = bottom <= top || right <= left ? 0 : -3.4028234663852886e38;
          for (let y = top; y < bottom; y++) {
            for (let x = left; x < right; x++) {
              const element = elements[plane + y * width + x];
              if (!(element > best)) continue;
              best = element;
              places[at] = y * width + x;
            }
          }
          largest[at++] = best;
        }
      }
    }
  }
  return [literalOf(input.dtype, shape, largest), literalOf('int32', shape, places)];
}

/** The cotangent of every bin goes to the element that was the largest. */
const roiPoolVjp: KernelVjp = (b, { args, outputs, cotangents: [g] }) => {
  if (g === null) return [null, null];
  const [input, rois] = args as [Value, Value];
  const [, channels, height, width] = sizesOf(input);
  const places = outputs[1];
  const shape = sizesOf(places);
  const image = b.convert(b.reshape(sliceDim(b, rois, 1, 0, 1), [shape[0]]), 'int32');
  const plane = b.add(times(b, b.broadcastInDim(image, shape, [0]), channels), b.iota('int32', shape, 1));
  const index = b.add(times(b, plane, height * width), b.maximum(places, like(b, places, 0)));
  const count = numel(shape);
  const flat = b.select(is(b, places, 'LT', 0), like(b, g, 0), g);
  const zeros = b.full(0, dtypeOf(input), [numel(sizesOf(input))]);
  const spread = putSlices(b, zeros, b.reshape(index, [count]), b.reshape(flat, [count]), 0, 'add');
  return [b.reshape(spread, sizesOf(input)), null];
};

kernels({
  'torchvision::nms': { kernel: nms },
  'torchvision::roi_pool': { kernel: roiPool, vjp: roiPoolVjp },
});
