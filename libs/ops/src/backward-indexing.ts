// Backward operators of lookups, selections and running totals: where gradients of chosen elements go.
import type { CoreBuilder, DType, TensorLike, TensorLiteral, Value } from '@weft/ir';
import { numel } from '@weft/ir';
import type { Kernel, KernelVjp, Scalar } from './operator.ts';
import { kernels, lowerings, preparations } from './operator.ts';
import { broadcastShapes, check, rankOf, sizesOf, wrapDim } from './broadcast.ts';
import { dtypeOf, is, like, plus, zeroUnless } from './elementwise.ts';
import { cotangentsOf, lowerNamed } from './backward.ts';
import { embeddingGradient } from './embedding.ts';
import { cumsum } from './scans.ts';
import { insertDim } from './shapes.ts';
import { putAlong, putSlices, takeSlices } from './gathering.ts';
import { elementBytes, integersOf, literalOf, numbersOf } from './literal.ts';
import { broadcastPositions } from './data-dependent.ts';

type Sizes = readonly number[];

/** Adds `grad` where `index` says, in zeros of the sizes. */
function scattered(b: CoreBuilder, grad: Value, sizes: Sizes, dim: number, index: Value): Value {
  return putAlong(b, b.full(0, dtypeOf(grad), sizes), index, grad, wrapDim(dim, sizes.length), 'add');
}

/** Zero-dimensional tensors count as having one element. */
const atLeastOne = (b: CoreBuilder, x: Value): Value => (rankOf(x) === 0 ? b.reshape(x, [1]) : x);

// ---- embeddings ---------------------------------------------------------------------------------------------------

const noSparse = (sparse: boolean, operator: string): void =>
  check(!sparse, () => `${operator}: sparse gradients are not supported: pass sparse=False`);

/** Whether an index counts, in the dtype of the gradient: the padding does not. */
const used = (b: CoreBuilder, indices: Value, padding: number, dtype: DType): Value =>
  b.convert(is(b, indices, 'NE', padding < 0 ? -1 : padding), dtype);

function bagDenseBackward(
  b: CoreBuilder,
  grad: Value,
  indices: Value,
  bags: Value,
  bagSize: Value,
  maxima: Value,
  rows: number,
  scaleByFrequency: boolean,
  mode: number,
  perSample: Value | null,
  padding = -1,
): Value {
  const [count, width] = [numel(sizesOf(indices)), sizesOf(grad)[1]];
  const dtype = dtypeOf(grad);
  const zeros = b.full(0, dtype, [rows, width]);
  if (mode === 2) {
    const filled = is(b, bagSize, 'GT', 0);
    const counted = zeroUnless(b, b.broadcastInDim(filled, sizesOf(grad), [0]), grad);
    const chosen = b.maximum(b.convert(maxima, 'int64'), like(b, b.convert(maxima, 'int64'), 0n));
    return putAlong(b, zeros, chosen, counted, 0, 'add');
  }
  const at = b.convert(indices, 'int64');
  const bag = b.convert(bags, 'int64');
  const column = (x: Value): Value => b.broadcastInDim(b.convert(x, dtype), [count, width], [0]);
  let each = takeSlices(b, grad, bag, 0);
  if (mode === 1) {
    const sizes = takeSlices(b, bagSize, bag, 0);
    each = b.divide(each, column(b.maximum(sizes, like(b, sizes, 1n))));
  }
  if (perSample !== null) each = b.multiply(each, column(perSample));
  each = b.multiply(each, column(used(b, at, padding, dtype)));
  if (scaleByFrequency) {
    const counts = putSlices(b, b.full(0, dtype, [rows]), at, b.full(1, dtype, [count]), 0, 'add');
    each = b.divide(each, column(takeSlices(b, counts, at, 0)));
  }
  return putSlices(b, zeros, at, each, 0, 'add');
}

/** The bag of each index: the number of bags that start at or before it, less one. */
function bagsOf(b: CoreBuilder, indices: Value, offsets: Value, given: Value): Value {
  const count = numel(sizesOf(indices));
  if (numel(sizesOf(given)) === count) return given;
  const grid = [count, numel(sizesOf(offsets))];
  const started = b.compare(
    b.broadcastInDim(b.convert(offsets, 'int64'), grid, [1]),
    b.iota('int64', grid, 0),
    'LE',
  );
  const bag = b.reduceSum(b.convert(started, 'int64'), [1]);
  return b.subtract(bag, like(b, bag, 1n));
}

// ---- running extremes and products --------------------------------------------------------------------------------

function maskedSelectBackward(grad: TensorLiteral, input: TensorLiteral, mask: TensorLiteral): TensorLiteral {
  const shape = broadcastShapes(input.shape, mask.shape);
  const flags = numbersOf(mask);
  const width = elementBytes(grad).length / Math.max(numel(grad.shape), 1);
  const from = elementBytes(grad);
  const zeros = literalOf(
    grad.dtype,
    shape,
    new Array<number>(numel(shape) * (grad.dtype.startsWith('complex') ? 2 : 1)).fill(0),
  );
  let next = 0;
  broadcastPositions(shape, mask.shape).forEach((at, index) => {
    if (flags[at] === 0) return;
    zeros.bytes.set(from.subarray(next * width, (next + 1) * width), index * width);
    next++;
  });
  return zeros;
}

lowerings({
  'aten::embedding_backward': (
    b,
    grad: Value,
    indices: Value,
    rows: number,
    padding: number,
    scaleByFrequency: boolean,
    sparse: boolean,
  ) => {
    noSparse(sparse, 'embedding_backward');
    return embeddingGradient(b, grad, indices, rows, padding, scaleByFrequency);
  },
  'aten::_embedding_bag_backward': (
    b,
    grad: Value,
    indices: Value,
    offsets: Value,
    offsetToBag: Value,
    bagSize: Value,
    maxima: Value,
    rows: number,
    scaleByFrequency: boolean,
    mode: number,
    sparse: boolean,
    perSample: Value | null,
    padding: number,
  ) => {
    noSparse(sparse, '_embedding_bag_backward');
    const bags = bagsOf(b, indices, offsets, offsetToBag);
    return bagDenseBackward(
      b,
      grad,
      indices,
      bags,
      bagSize,
      maxima,
      rows,
      scaleByFrequency,
      mode,
      perSample,
      padding,
    );
  },
  'aten::_embedding_bag_dense_backward': bagDenseBackward,
  'aten::_embedding_bag_per_sample_weights_backward': (
    b,
    grad: Value,
    weight: Value,
    indices: Value,
    offsets: Value,
    offsetToBag: Value,
    mode: number,
    padding: number,
  ) => {
    check(mode === 0, () => "embedding_bag_backward: per_sample_weights only supported for mode='sum'");
    const at = b.convert(indices, 'int64');
    const bag = b.convert(bagsOf(b, indices, offsets, offsetToBag), 'int64');
    const product = b.multiply(takeSlices(b, grad, bag, 0), takeSlices(b, weight, at, 0));
    return b.multiply(b.reduceSum(product, [1]), used(b, at, padding, dtypeOf(grad)));
  },
  'aten::gather_backward': (b, grad: Value, self: Value, dim: number, index: Value) =>
    b.reshape(
      scattered(b, atLeastOne(b, grad), sizesOf(atLeastOne(b, self)), dim, atLeastOne(b, index)),
      sizesOf(self),
    ),
  'aten::value_selecting_reduction_backward': (
    b,
    grad: Value,
    dim: number,
    indices: Value,
    sizes: Sizes,
    keepdim: boolean,
  ) => {
    if (sizes.length === 0) return grad;
    const axis = wrapDim(dim, sizes.length);
    const whole = (x: Value): Value => (keepdim ? x : insertDim(b, x, axis));
    return scattered(b, whole(grad), sizes, axis, whole(indices));
  },
  'aten::cummaxmin_backward': (b, grad: Value, input: Value, indices: Value, dim: number) => {
    if (numel(sizesOf(input)) === 0) return input;
    const sizes = sizesOf(atLeastOne(b, input));
    return b.reshape(scattered(b, atLeastOne(b, grad), sizes, dim, atLeastOne(b, indices)), sizesOf(input));
  },
  'aten::cumprod_backward': (b, grad: Value, input: Value, dim: number, _output: Value) =>
    cotangentsOf(b, [input], (inner, x) => lowerNamed(inner, 'cumprod', [x, dim, null]), [grad])[0],
  'aten::diag_backward': (b, grad: Value, sizes: Sizes, diagonal: number) =>
    cotangentsOf(
      b,
      [b.full(0, dtypeOf(grad), sizes)],
      (inner, x) => lowerNamed(inner, 'diag', [x, diagonal]),
      [grad],
    )[0],
  'aten::_masked_softmax_backward': (b, grad: Value, output: Value, mask: Value, dim: number | null) => {
    const rank = rankOf(output);
    const axis = wrapDim(dim ?? rank - 1, rank);
    const isMasked = b.broadcastTo(b.convert(mask, 'bool'), sizesOf(output));
    const product = zeroUnless(b, b.not(isMasked), b.multiply(grad, output));
    const rest = sizesOf(output).flatMap((_, each) => (each === axis ? [] : [each]));
    const total = b.broadcastInDim(b.reduceSum(product, [axis]), sizesOf(output), rest);
    return zeroUnless(b, b.not(isMasked), b.multiply(output, b.subtract(grad, total)));
  },
});

/** The gradient of the selected is what lies where they came from. */
const maskedSelectBackwardVjp: KernelVjp = (b, { args, cotangents: [g] }) => {
  const [grad, , mask] = args as [Value, Value, Value];
  if (g === null) return [null, null, null];
  const flags = b.broadcastTo(b.convert(mask, 'bool'), sizesOf(g));
  const count = numel(sizesOf(g));
  const chosen = b.reshape(flags, [count]);
  // The k-th selected stands where the running total of the mask is k + 1 and the mask is set.
  const rank = b.select(
    chosen,
    plus(b, cumsum(b, b.convert(chosen, 'int64'), 0), -1),
    like(b, b.convert(chosen, 'int64'), numel(sizesOf(grad))),
  );
  const room = b.full(0, dtypeOf(g), [numel(sizesOf(grad)) + 1]);
  const gathered = putAlong(b, room, rank, b.reshape(g, [count]), 0, 'add');
  return [b.slice(gathered, [0], [numel(sizesOf(grad))]), null, null];
};

kernels({
  'aten::masked_select_backward': {
    kernel: maskedSelectBackward as Kernel,
    vjp: maskedSelectBackwardVjp,
  },
});

// ---- segments and packed sequences ----------------------------------------------------------------------------------

preparations({
  'aten::_segment_reduce_backward': (
    read,
    grad: TensorLike,
    output: TensorLike,
    data: TensorLike,
    reduce: string,
    lengths: TensorLike | null,
    offsets: TensorLike | null,
    ...rest: (number | null)[]
  ) => {
    const numbers = (tensor: TensorLike | null) =>
      tensor === null ? null : integersOf(read(tensor)).map(Number);
    return [grad, output, data, reduce, numbers(lengths), numbers(offsets), ...rest];
  },
  'aten::_pack_padded_sequence_backward': (
    read,
    grad: TensorLike,
    sizes: Sizes,
    batchSizes: TensorLike,
    batchFirst: boolean,
  ) => [grad, sizes, integersOf(read(batchSizes)).map(Number), batchFirst],
});

lowerings({
  'aten::_segment_reduce_backward': (
    b,
    grad: Value,
    output: Value,
    data: Value,
    reduce: string,
    lengths: Sizes | null,
    offsets: Sizes | null,
    axis: number,
    initial: Scalar | null,
  ) => {
    const forward = (inner: CoreBuilder, x: Value): Value =>
      lowerNamed(inner, 'segment_reduce', [x, reduce, lengths, null, offsets, axis, true, initial]) as Value;
    if (reduce !== 'max' && reduce !== 'min') return cotangentsOf(b, [data], forward, [grad])[0];
    // All elements that are the extreme share its gradient equally; PyTorch divides only what is positive.
    const sums = (inner: CoreBuilder, x: Value): Value =>
      lowerNamed(inner, 'segment_reduce', [x, 'sum', lengths, null, offsets, axis, true, null]) as Value;
    const spread = (value: Value): Value => cotangentsOf(b, [data], sums, [value])[0];
    const hit = b.convert(b.compare(data, spread(output), 'EQ'), dtypeOf(data));
    const counts = sums(b, hit);
    const share = b.divide(grad, b.maximum(counts, like(b, counts, 1)));
    return b.multiply(hit, spread(b.select(is(b, grad, 'GT', 0), share, grad)));
  },
  /** Rows of each step go back to their places: sequences are sorted by falling length. */
  'aten::_pack_padded_sequence_backward': (
    b,
    grad: Value,
    sizes: Sizes,
    batchSizes: Sizes,
    batchFirst: boolean,
  ) => {
    const [time, batch, ...rest] = batchFirst ? [sizes[1], sizes[0], ...sizes.slice(2)] : sizes;
    let start = 0;
    const steps = Array.from({ length: time }, (_, at) => {
      const count = batchSizes[at] ?? 0;
      const rows = b.slice(grad, [start, ...rest.map(() => 0)], [start + count, ...rest]);
      start += count;
      const zero = b.full(0, dtypeOf(grad));
      const full = b.pad(rows, zero, [0, ...rest.map(() => 0)], [batch - count, ...rest.map(() => 0)]);
      return insertDim(b, full, 0);
    });
    const result = b.concatenate(steps, 0);
    const order = [1, 0, ...rest.map((_, dim) => dim + 2)];
    return batchFirst ? b.transpose(result, order) : result;
  },
});
