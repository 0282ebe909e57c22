// Sums, means and maxima of rows of an embedding, bag by bag.
import type { CoreBuilder, Value } from '@weft/ir';
import { lowerings } from './operator.ts';
import { check, rankOf, sizesOf } from './broadcast.ts';
import { dtypeOf, is, like, plus, zeroUnless } from './elementwise.ts';
import { putSlices, takeAlong, takeSlices } from './gathering.ts';

/** Result, the bag of each index, the number of counted indices of each bag, the chosen index of each maximum. */
function embeddingBag(
  b: CoreBuilder,
  weight: Value,
  indices: Value,
  offsets: Value,
  mode: number,
  perSample: Value | null,
  includeLast: boolean,
  paddingIdx: number,
): Value[] {
  check(rankOf(indices) === 1, () => `input has to be 1D tensor, but got ${rankOf(indices)}D`);
  check(
    rankOf(offsets) === 1,
    () => `offsets has to be a 1D Tensor, but got Tensor of dimension ${rankOf(offsets)}`,
  );
  check(
    perSample === null || mode === 0,
    () =>
      "embedding_bag: per_sample_weights was not None, per_sample_weights is only supported for mode='sum'",
  );
  const count = sizesOf(indices)[0];
  const bags = sizesOf(offsets)[0] - (includeLast ? 1 : 0);
  const width = sizesOf(weight)[1];
  const at = b.convert(indices, 'int64');
  const starts = b.slice(b.convert(offsets, 'int64'), [0], [bags]);
  // The bag of an index is the number of bags that start at or before it, less one.
  const grid = [count, bags];
  const started = b.compare(b.broadcastInDim(starts, grid, [1]), b.iota('int64', grid, 0), 'LE');
  const bag = plus(b, b.reduceSum(b.convert(started, 'int64'), [1]), -1);
  const dtype = dtypeOf(weight);
  const used = is(b, at, 'NE', paddingIdx < 0 ? -1 : paddingIdx);
  const rows = takeSlices(b, weight, at, 0);
  const shape = [count, width];
  const sizes = putSlices(b, b.full(0n, 'int64', [bags]), bag, b.convert(used, 'int64'), 0, 'add');
  if (mode === 2) {
    const member = b.and(
      b.compare(b.broadcastInDim(bag, grid, [0]), b.iota('int64', grid, 1), 'EQ'),
      b.broadcastInDim(used, grid, [0]),
    );
    const cube = [count, bags, width];
    const values = b.broadcastInDim(rows, cube, [0, 2]);
    const inside = b.broadcastInDim(member, cube, [0, 1]);
    const candidates = b.select(inside, values, like(b, values, -Infinity));
    const best = b.reduceMax(candidates, [0]);
    const place = b.iota('int64', cube, 0);
    const hit = b.and(inside, b.compare(candidates, b.broadcastInDim(best, cube, [1, 2]), 'EQ'));
    const first = b.reduceMin(b.select(hit, place, like(b, place, BigInt(count))), [0]);
    const empty = is(b, first, 'EQ', count);
    const safe = b.select(empty, like(b, first, 0n), first);
    const chosen = takeAlong(b, rows, safe, 0);
    const result = zeroUnless(b, b.not(empty), chosen);
    const maxima = zeroUnless(b, b.not(empty), takeSlices(b, at, safe, 0));
    return [result, bag, sizes, maxima];
  }
  const counted = zeroUnless(b, b.broadcastInDim(used, shape, [0]), rows);
  const scaled =
    perSample === null
      ? counted
      : b.multiply(counted, b.broadcastInDim(b.convert(perSample, dtype), shape, [0]));
  const sums = putSlices(b, b.full(0, dtype, [bags, width]), bag, scaled, 0, 'add');
  if (mode === 0) {
    // As PyTorch: sums need no counts, and on its fast path no list of bags.
    const isFast = paddingIdx < 0 && (dtype === 'float32' || dtype === 'float16');
    return [sums, isFast ? b.full(0n, 'int64', [0]) : bag, like(b, sizes, 0n), like(b, sizes, 0n)];
  }
  const divisor = b.convert(b.maximum(sizes, like(b, sizes, 1n)), dtype);
  return [b.divide(sums, b.broadcastInDim(divisor, [bags, width], [0])), bag, sizes, sizes];
}

type Arguments = [Value, Value, Value, boolean, number, boolean, Value | null, boolean, number | null];

/** The public forms count a negative padding index from the end; the private ones mean none by it. */
const lower =
  (fromEnd: boolean) =>
  (b: CoreBuilder, ...args: Arguments): Value[] => {
    const [weight, indices, offsets, , mode, , perSample, includeLast] = args;
    const padding = args[8] ?? null;
    const rows = sizesOf(weight)[0];
    const index = padding === null ? -1 : padding < 0 && fromEnd ? padding + rows : padding;
    return embeddingBag(b, weight, indices, offsets, mode, perSample, includeLast, index);
  };

lowerings({
  'aten::embedding_bag': lower(true),
  'aten::embedding_bag.padding_idx': lower(true),
  'aten::_embedding_bag': lower(false),
  'aten::_embedding_bag_forward_only': lower(false),
});
