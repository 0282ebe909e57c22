// Rows of a table by index: embedding, its derivative, and limits on the norm of rows.
import type { CoreBuilder, Value } from '@weft/ir';
import { numel } from '@weft/ir';
import { lowerings, mutatingLowerings } from './operator.ts';
import { printName } from './promotion.ts';
import { check, rankOf, sizesOf } from './broadcast.ts';
import { dtypeOf, is, like, zeroUnless } from './elementwise.ts';
import { putSlices, takeSlices } from './gathering.ts';
import { vectorNorm } from './reductions.ts';
import { layouts, likeArgument } from './result-layout.ts';

export function embedding(b: CoreBuilder, weight: Value, indices: Value, paddingIdx: number): Value {
  check(rankOf(weight) === 2, () => "'weight' must be 2-D");
  check(
    dtypeOf(indices) === 'int64' || dtypeOf(indices) === 'int32',
    () =>
      `Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got torch.${printName(dtypeOf(indices))}Tensor instead (while checking arguments for embedding)`,
  );
  const rows = sizesOf(weight)[0];
  const padding = paddingIdx < 0 ? -1 : paddingIdx;
  return b.composite('embedding', [weight, indices], { padding_idx: padding, rows }, (b, w, at) => [
    takeSlices(b, w, at, 0),
  ])[0];
}

lowerings({
  'aten::embedding': embedding,

  'aten::embedding_renorm': embeddingRenorm,
  'aten::embedding_renorm_': embeddingRenorm,
  'aten::embedding_dense_backward': (
    b,
    grad: Value,
    indices: Value,
    rows: number,
    paddingIdx: number,
    scaleByFrequency: boolean,
  ) => embeddingGradient(b, grad, indices, rows, paddingIdx, scaleByFrequency),
});

/** Rows that are looked up and longer than the limit are scaled down to it. */
function embeddingRenorm(b: CoreBuilder, self: Value, indices: Value, maxNorm: number, p: number): Value {
  const [rows, width] = sizesOf(self);
  const count = numel(sizesOf(indices));
  const at = b.reshape(b.convert(indices, 'int64'), [count]);
  const used = putSlices(b, b.full(0n, 'int64', [rows]), at, b.full(1n, 'int64', [count]), 0, 'replace');
  const norm = vectorNorm(b, self, p, [1], false, null);
  const tooLong = b.and(is(b, used, 'EQ', 1), b.compare(norm, like(b, norm, maxNorm), 'GT'));
  const factor = b.divide(like(b, norm, maxNorm), b.add(norm, like(b, norm, 1e-7)));
  const scale = b.select(tooLong, factor, like(b, factor, 1));
  return b.multiply(self, b.broadcastInDim(scale, [rows, width], [0]));
}

/** The rows of `grad` added up by index; the padding row gets nothing. */
export function embeddingGradient(
  b: CoreBuilder,
  grad: Value,
  indices: Value,
  rows: number,
  paddingIdx: number,
  scaleByFrequency = false,
): Value {
  const width = sizesOf(grad).at(-1)!;
  const count = numel(sizesOf(indices));
  const at = b.reshape(b.convert(indices, 'int64'), [count]);
  const flat = b.reshape(grad, [count, width]);
  const column = (x: Value): Value => b.broadcastInDim(x, [count, width], [0]);
  const kept = paddingIdx < 0 ? flat : zeroUnless(b, column(is(b, at, 'NE', paddingIdx)), flat);
  const zeros = b.full(0, dtypeOf(grad), [rows, width]);
  if (!scaleByFrequency) return putSlices(b, zeros, at, kept, 0, 'add');
  const counts = putSlices(
    b,
    b.full(0, dtypeOf(grad), [rows]),
    at,
    b.full(1, dtypeOf(grad), [count]),
    0,
    'add',
  );
  return putSlices(b, zeros, at, b.divide(kept, column(takeSlices(b, counts, at, 0))), 0, 'add');
}

mutatingLowerings({
  /** Called where an embedding limits the norm of its rows: the weight is changed. */
  'aten::_no_grad_embedding_renorm_': {
    mutates: [0],
    lower: (b, weight: Value, indices: Value, maxNorm: number, p: number) => {
      const scaled = embeddingRenorm(b, weight, indices, maxNorm, p);
      return [scaled, scaled];
    },
  },
});

layouts({
  'aten::embedding_renorm': likeArgument(0),
});
