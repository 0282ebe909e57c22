// Histograms, and reductions of segments of rows.
import type { CoreBuilder, TensorLike, TensorLiteral, Value } from '@weft/ir';
import type { Scalar } from './operator.ts';
import { noDerivative, underivableKernel } from './gradient-flow.ts';
import { kernels, lowerings, preparations } from './operator.ts';
import { check, fail, range, sizesOf } from './broadcast.ts';
import { dtypeOf, over, realOf } from './elementwise.ts';
import { sliceDim } from './shapes.ts';
import { integersOf, literalOf, numbersOf } from './literal.ts';

interface HistogramResult {
  readonly histogram: TensorLiteral;
  readonly edges: TensorLiteral;
}

/** Counts (or weights) between ascending edges; the last bin is closed. */
function histogramOf(
  self: TensorLiteral,
  edges: readonly number[],
  weight: TensorLiteral | null,
  density: boolean,
): HistogramResult {
  const values = numbersOf(self);
  const weights = weight === null ? null : numbersOf(weight);
  const counts = new Float64Array(edges.length - 1);
  for (const [index, value] of values.entries()) {
    if (!(value >= edges[0] && value <= edges[edges.length - 1])) continue;
    let [low, high] = [0, edges.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (value >= edges[middle]) low = middle;
      else high = middle;
    }
    counts[low] += weights?.[index] ?? 1;
  }
  if (density) {
    const total = counts.reduce((sum, count) => sum + count, 0);
    for (const index of counts.keys()) counts[index] /= total * (edges[index + 1] - edges[index]);
  }
  return {
    histogram: literalOf(self.dtype, [counts.length], counts),
    edges: literalOf(self.dtype, [edges.length], edges),
  };
}

function equalBins(
  self: TensorLiteral,
  bins: number,
  bounds: readonly number[] | null,
  weight: TensorLiteral | null,
  density: boolean,
): TensorLiteral[] {
  check(bins > 0, () => `torch.histogram(): bins must be > 0, but got ${bins}`);
  const values = numbersOf(self);
  let [low, high] = bounds ?? [
    values.reduce((least, value) => Math.min(least, value), Infinity),
    values.reduce((most, value) => Math.max(most, value), -Infinity),
  ];
  if (values.length === 0 && bounds === null) [low, high] = [0, 1];
  check(low <= high, () => 'torch.histogram(): min should not exceed max');
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const step = (high - low) / bins;
  const edges = range(bins + 1).map((at) =>
    at < (bins + 1) / 2 ? low + at * step : high - (bins - at) * step,
  );
  const { histogram, edges: given } = histogramOf(self, edges, weight, density);
  return [histogram, given];
}

kernels({
  'aten::histogram.bin_ct': { kernel: equalBins, vjp: underivableKernel(noDerivative('aten::histogram')) },
  'aten::histogram.bins_tensor': {
    vjp: underivableKernel(noDerivative('aten::histogram')),
    kernel: (self: TensorLiteral, bins: TensorLiteral, weight: TensorLiteral | null, density: boolean) => {
      const { histogram } = histogramOf(self, Array.from(numbersOf(bins)), weight, density);
      return [histogram, bins];
    },
  },
});

// ---- segments -----------------------------------------------------------------------------------------------------

/** Reduces runs of rows whose lengths are known. */
function segmentReduce(
  b: CoreBuilder,
  data: Value,
  reduce: string,
  lengths: readonly number[] | null,
  _indices: null,
  offsets: readonly number[] | null,
  axis: number,
  _unsafe: boolean,
  initial: Scalar | null,
): Value {
  check(axis === 0, () => 'segment_reduce(): only axis 0 is supported');
  const runs =
    lengths ??
    (offsets ?? fail('segment_reduce(): Either lengths or offsets must be defined.'))
      .slice(1)
      .map((end, at) => end - offsets![at]);
  let start = 0;
  const rows = runs.map((length) => {
    const rest = sizesOf(data).slice(1);
    const rows = sliceDim(b, data, 0, start, start + length);
    start += length;
    const begin = initial === null ? null : b.full(realOf(initial), dtypeOf(data), rest);
    const reduced = (): Value => {
      switch (reduce) {
        case 'sum':
        case 'mean': {
          const sum = b.reduceSum(rows, [0]);
          const total = begin === null ? sum : b.add(sum, begin);
          if (reduce === 'sum') return total;
          return length === 0 && begin === null
            ? b.full(NaN, dtypeOf(data), rest)
            : length === 0
              ? total
              : over(b, total, length);
        }
        case 'max': {
          const most = b.reduceMax(rows, [0]);
          return begin === null ? most : b.maximum(most, begin);
        }
        case 'min': {
          const least = b.reduceMin(rows, [0]);
          return begin === null ? least : b.minimum(least, begin);
        }
        case 'prod': {
          const product = b.reduceProd(rows, [0]);
          return begin === null ? product : b.multiply(product, begin);
        }
        default:
          return fail(`segment_reduce(): unknown reduction ${reduce}`);
      }
    };
    return b.reshape(reduced(), [1, ...rest]);
  });
  return b.concatenate(rows, 0);
}

preparations({
  'aten::segment_reduce': (
    read,
    data: TensorLike,
    reduce: string,
    lengths: TensorLike | null,
    indices: TensorLike | null,
    offsets: TensorLike | null,
    axis: number,
    unsafe: boolean,
    initial: Scalar | null,
  ) => {
    const numbers = (tensor: TensorLike | null) =>
      tensor === null ? null : integersOf(read(tensor)).map(Number);
    return [data, reduce, numbers(lengths), indices, numbers(offsets), axis, unsafe, initial];
  },
});

lowerings({ 'aten::segment_reduce': segmentReduce });
