// torchvision::ps_roi_pool (Dai et al., R-FCN): averages of the bins of regions, each bin from a group of channels of its own.
// Channel (c · height + row) · width + column is for the bin (row, column) of output channel c. A mask over the image's rows
// and one over its columns say what is in a bin, so the sums are a contraction with their product.
import type { CoreBuilder, Value } from '@weft/ir';
import { compositeAttributes, registerComposite, registerSchema } from '@weft/ir';
import { lowerings } from './operator.ts';
import { check, sizesOf } from './broadcast.ts';
import { checkRegions } from './detection.ts';
import { dtypeOf, like, over, plus, times } from './elementwise.ts';
import { sliceDim } from './shapes.ts';

registerSchema(
  'torchvision::ps_roi_pool(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width) -> (Tensor, Tensor)',
);

interface Pooling {
  readonly spatialScale: number;
  readonly pooledHeight: number;
  readonly pooledWidth: number;
  /** Sizes of the input. */
  readonly sizes: readonly number[];
}

/**
 * Which pixels a bin has, [regions, rows of bins, columns of bins, batch, height, width], and how many, [regions, rows, columns].
 * @param end where bins are cut off, from the image's end: PyTorch leaves the last row and column out of the averages, but lets
 * their gradients reach them
 */
function binsOf(b: CoreBuilder, rois: Value, pooling: Pooling, end: number): { pixels: Value; area: Value } {
  const { spatialScale, pooledHeight, pooledWidth, sizes } = pooling;
  const [batch, , height, width] = sizes;
  const [count] = sizesOf(rois);
  const dtype = dtypeOf(rois);
  const column = (at: number): Value => b.reshape(sliceDim(b, rois, 1, at, at + 1), [count]);
  const rounded = (at: number): Value => b.roundNearestAfz(times(b, column(at), spatialScale));
  const along = (low: Value, high: Value, bins: number, limit: number) => {
    const size = over(b, b.maximum(b.subtract(high, low), like(b, low, 1)), bins);
    const shape = [count, bins];
    const spread = (value: Value): Value => b.broadcastInDim(value, shape, [0]);
    const number = b.iota(dtype, shape, 1);
    const within = (x: Value): Value => b.minimum(b.maximum(x, like(b, x, 0)), like(b, x, limit - end));
    const first = within(b.add(b.floor(b.multiply(number, spread(size))), spread(low)));
    const last = within(b.add(b.ceil(b.multiply(plus(b, number, 1), spread(size))), spread(low)));
    const whole = [count, bins, limit];
    const at = b.iota(dtype, whole, 2);
    const isInside = b.and(
      b.compare(at, b.broadcastInDim(first, whole, [0, 1]), 'GE'),
      b.compare(at, b.broadcastInDim(last, whole, [0, 1]), 'LT'),
    );
    return { mask: b.convert(isInside, dtype), amount: b.subtract(last, first) };
  };
  const rows = along(rounded(2), rounded(4), pooledHeight, height);
  const columns = along(rounded(1), rounded(3), pooledWidth, width);
  const images = [count, batch];
  const isImage = b.compare(b.broadcastInDim(column(0), images, [0]), b.iota(dtype, images, 1), 'EQ');
  const whole = [count, pooledHeight, pooledWidth, batch, height, width];
  const pixels = b.multiply(
    b.multiply(
      b.broadcastInDim(rows.mask, whole, [0, 1, 4]),
      b.broadcastInDim(columns.mask, whole, [0, 2, 5]),
    ),
    b.broadcastInDim(b.convert(isImage, dtype), whole, [0, 3]),
  );
  const bins = [count, pooledHeight, pooledWidth];
  const area = b.multiply(
    b.broadcastInDim(rows.amount, bins, [0, 1]),
    b.broadcastInDim(columns.amount, bins, [0, 2]),
  );
  return { pixels, area: b.maximum(area, like(b, area, 1)) };
}

const groupedSizes = ({ sizes: [batch, channels, height, width], pooledHeight, pooledWidth }: Pooling) => [
  batch,
  channels / (pooledHeight * pooledWidth),
  pooledHeight,
  pooledWidth,
  height,
  width,
];

function averages(b: CoreBuilder, input: Value, rois: Value, pooling: Pooling): Value {
  const { pixels, area } = binsOf(b, rois, pooling, 1);
  const sums = b.dotGeneral(b.convert(pixels, dtypeOf(input)), b.reshape(input, groupedSizes(pooling)), {
    lhsBatching: [1, 2],
    rhsBatching: [2, 3],
    lhsContracting: [3, 4, 5],
    rhsContracting: [0, 4, 5],
  });
  const ordered = b.transpose(sums, [2, 3, 0, 1]);
  const divisor = b.broadcastInDim(b.convert(area, dtypeOf(input)), sizesOf(ordered), [0, 2, 3]);
  return b.divide(ordered, divisor);
}

function averagesVjp(b: CoreBuilder, g: Value, rois: Value, pooling: Pooling): Value {
  const { pixels, area } = binsOf(b, rois, pooling, 0);
  const share = b.divide(g, b.broadcastInDim(b.convert(area, dtypeOf(g)), sizesOf(g), [0, 2, 3]));
  // [rows of bins, columns of bins, channels, batch, height, width]
  const spread = b.dotGeneral(share, b.convert(pixels, dtypeOf(g)), {
    lhsBatching: [2, 3],
    rhsBatching: [1, 2],
    lhsContracting: [0],
    rhsContracting: [0],
  });
  return b.reshape(b.transpose(spread, [3, 2, 0, 1, 4, 5]), pooling.sizes);
}

registerComposite('ps_roi_pool', {
  vjp: (b, node, [g]) => {
    if (g === null) return [null, null];
    const attributes = compositeAttributes(node) as unknown as Omit<Pooling, 'sizes'>;
    return [averagesVjp(b, g, node.inputs[1], { ...attributes, sizes: sizesOf(node.inputs[0]) }), null];
  },
});

/** The input channel that each element of a position-sensitive pooling comes from. */
export function channelMapping(b: CoreBuilder, shape: readonly number[]): Value {
  const [, , height, width] = shape;
  const along = (dim: number): Value => b.iota('int32', shape, dim);
  return b.add(times(b, b.add(times(b, along(1), height), along(2)), width), along(3));
}

export const checkBinChannels = (channels: number, pooledHeight: number, pooledWidth: number): void =>
  check(
    channels % (pooledHeight * pooledWidth) === 0,
    () => 'input channels must be a multiple of pooling height * pooling width',
  );

lowerings({
  'torchvision::ps_roi_pool': (
    b: CoreBuilder,
    input: Value,
    rois: Value,
    spatialScale: number,
    pooledHeight: number,
    pooledWidth: number,
  ) => {
    checkRegions(sizesOf(rois));
    checkBinChannels(sizesOf(input)[1], pooledHeight, pooledWidth);
    const pooling = { spatialScale, pooledHeight, pooledWidth };
    const [result] = b.composite('ps_roi_pool', [input, rois], pooling, (inner, x, regions) => [
      averages(inner, x, regions, { ...pooling, sizes: sizesOf(x) }),
    ]);
    return [result, channelMapping(b, sizesOf(result))];
  },
});
