// Attention: scaled_dot_product_attention, multi-head attention and the transformer encoder layer as one operator.
import type { CoreBuilder, Value } from '@weft/ir';
import { lowerings } from './operator.ts';
import { computeType } from './promotion.ts';
import { broadcastShapes, check, range, rankOf, sizesOf } from './broadcast.ts';
import { dtypeOf, like, times, zeroUnless } from './elementwise.ts';
import { pieces, swapDims } from './shapes.ts';
import { matmul, linear } from './matmul.ts';
import { softmax } from './softmax.ts';
import { dropout } from './random.ts';
import { layerNorm } from './normalization.ts';
import { gelu, relu } from './activations.ts';

/** True on and below the diagonal of the last two dimensions. */
function causal(b: CoreBuilder, rows: number, columns: number): Value {
  const sizes = [rows, columns];
  return b.compare(b.iota('int64', sizes, 1), b.iota('int64', sizes, 0), 'LE');
}

/** A boolean mask allows where it is true; any other is added. */
function masked(b: CoreBuilder, scores: Value, mask: Value | null): Value {
  if (mask === null) return scores;
  const sizes = broadcastShapes(sizesOf(scores), sizesOf(mask));
  const [x, m] = [b.broadcastTo(scores, sizes), b.broadcastTo(mask, sizes)];
  return dtypeOf(mask) === 'bool'
    ? b.select(m, x, like(b, x, -Infinity))
    : b.add(x, b.convert(m, dtypeOf(x)));
}

/** softmax(q kᵀ / √d + mask) v; with the weights. */
export function attention(
  b: CoreBuilder,
  query: Value,
  key: Value,
  value: Value,
  mask: Value | null,
  p: number,
  isCausal: boolean,
  scale: number | null = null,
): [result: Value, weights: Value] {
  check(
    rankOf(query) >= 2 && rankOf(key) >= 2 && rankOf(value) >= 2,
    () => 'scaled_dot_product_attention: Expected query, key, and value to all be at least 2 dimensional',
  );
  check(
    dtypeOf(query) === dtypeOf(key) && dtypeOf(query) === dtypeOf(value),
    () => 'Expected query, key, and value to have the same dtype',
  );
  check(
    mask === null || !isCausal,
    () => '_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True',
  );
  const [rows, columns, depth] = [sizesOf(query).at(-2)!, sizesOf(key).at(-2)!, sizesOf(query).at(-1)!];
  const compute = (b: CoreBuilder, q: Value, k: Value, v: Value, m: Value | null): [Value, Value] => {
    const wide = computeType(dtypeOf(q));
    const factor = scale ?? 1 / Math.sqrt(depth);
    const turned = swapDims(b, b.convert(k, wide), rankOf(k) - 2, rankOf(k) - 1);
    const scores = matmul(b, times(b, b.convert(q, wide), factor), turned);
    const allowed = isCausal ? causal(b, rows, columns) : m;
    const weights = softmax(b, masked(b, scores, allowed), -1, null);
    const kept = dropout(b, weights, p, p > 0);
    return [b.convert(matmul(b, kept, b.convert(v, wide)), dtypeOf(q)), b.convert(kept, dtypeOf(q))];
  };
  // Random numbers come from outside, so that only attention without dropout is a composite.
  if (p > 0) return compute(b, query, key, value, mask);
  const operands = mask === null ? [query, key, value] : [query, key, value, mask];
  const attributes = { causal: isCausal, scale: scale ?? 1 / Math.sqrt(depth), masked: mask !== null };
  const [result, weights] = b.composite(
    'scaled_dot_product_attention',
    operands,
    attributes,
    (b, q, k, v, m) => compute(b, q, k, v, m ?? null),
  );
  return [result, weights];
}

const withWeights = (
  b: CoreBuilder,
  query: Value,
  key: Value,
  value: Value,
  mask: Value | null,
  p: number,
  _need: boolean,
  isCausal: boolean,
): Value[] => attention(b, query, key, value, mask, p, isCausal);

/** [batch, length, heads · width] → [batch, heads, length, width]. */
function splitHeads(b: CoreBuilder, x: Value, heads: number): Value {
  const [batch, length, width] = sizesOf(x);
  return swapDims(b, b.reshape(x, [batch, length, heads, width / heads]), 1, 2);
}
function joinHeads(b: CoreBuilder, x: Value): Value {
  const [batch, heads, length, width] = sizesOf(x);
  return b.reshape(swapDims(b, x, 1, 2), [batch, length, heads * width]);
}

/** A mask of the fast paths is true where attention is not allowed: of queries and keys (0) or of keys to leave out (1). */
function maskScores(b: CoreBuilder, scores: Value, mask: Value | null, maskType: number | null): Value {
  if (mask === null) return scores;
  const [batch, heads, rows, columns] = sizesOf(scores);
  const hidden = b.convert(mask, 'bool');
  const sizes = [batch, heads, rows, columns];
  const rank = rankOf(hidden);
  const dims =
    rank === 4 ? [0, 1, 2, 3] : rank === 2 && maskType === 1 ? [0, 3] : rank === 3 ? [0, 2, 3] : [2, 3];
  return b.select(b.broadcastInDim(hidden, sizes, dims), like(b, scores, -Infinity), scores);
}

function nativeMultiHead(
  b: CoreBuilder,
  query: Value,
  key: Value,
  value: Value,
  embedding: number,
  heads: number,
  qkvWeight: Value,
  qkvBias: Value,
  projectionWeight: Value,
  projectionBias: Value,
  mask: Value | null,
  needWeights: boolean,
  average: boolean,
  maskType: number | null,
): Value[] {
  check(rankOf(query) === 3, () => `expected 3-D \`query\`, got ${rankOf(query)}-D tensor`);
  check(
    sizesOf(query)[2] === embedding,
    () => `passed-in embed_dim ${embedding} didn't match last dim of query ${sizesOf(query)[2]}`,
  );
  const weights = pieces(b, qkvWeight, 0, [embedding, embedding, embedding]);
  const biases = pieces(b, qkvBias, 0, [embedding, embedding, embedding]);
  const [q, k, v] = [query, key, value].map((x, at) =>
    splitHeads(b, linear(b, x, weights[at], biases[at]), heads),
  );
  const width = embedding / heads;
  const scores = matmul(b, times(b, q, 1 / Math.sqrt(width)), swapDims(b, k, 2, 3));
  const shares = softmax(b, maskScores(b, scores, mask, maskType), -1, null);
  const result = linear(b, joinHeads(b, matmul(b, shares, v)), projectionWeight, projectionBias);
  if (!needWeights) return [result, b.full(0, dtypeOf(query), [0])];
  return [result, average ? times(b, b.reduceSum(shares, [1]), 1 / heads) : shares];
}

function encoderLayer(
  b: CoreBuilder,
  source: Value,
  embedding: number,
  heads: number,
  qkvWeight: Value,
  qkvBias: Value,
  projectionWeight: Value,
  projectionBias: Value,
  useGelu: boolean,
  normFirst: boolean,
  eps: number,
  normWeight1: Value,
  normBias1: Value,
  normWeight2: Value,
  normBias2: Value,
  ffnWeight1: Value,
  ffnBias1: Value,
  ffnWeight2: Value,
  ffnBias2: Value,
  mask: Value | null,
  maskType: number | null,
): Value {
  const norm = (x: Value, weight: Value, bias: Value): Value =>
    layerNorm(b, x, [embedding], weight, bias, eps)[0];
  const attend = (x: Value): Value =>
    nativeMultiHead(
      b,
      x,
      x,
      x,
      embedding,
      heads,
      qkvWeight,
      qkvBias,
      projectionWeight,
      projectionBias,
      mask,
      false,
      true,
      maskType,
    )[0];
  const feedForward = (x: Value): Value => {
    const hidden = linear(b, x, ffnWeight1, ffnBias1);
    return linear(b, useGelu ? gelu(b, hidden, 'none') : relu(b, hidden), ffnWeight2, ffnBias2);
  };
  if (normFirst) {
    const x = b.add(source, attend(norm(source, normWeight1, normBias1)));
    return b.add(x, feedForward(norm(x, normWeight2, normBias2)));
  }
  const x = norm(b.add(source, attend(source)), normWeight1, normBias1);
  return norm(b.add(x, feedForward(x)), normWeight2, normBias2);
}

/** softmax where the mask is false, zero where it is true. */
function maskedSoftmax(
  b: CoreBuilder,
  self: Value,
  mask: Value,
  dim: number | null,
  maskType: number | null,
): Value {
  const hidden = b.convert(mask, 'bool');
  const spreadMask = (): Value => {
    if (rankOf(hidden) === rankOf(self)) return b.broadcastTo(hidden, sizesOf(self));
    return b.broadcastInDim(
      hidden,
      sizesOf(self),
      maskType === 1 ? [0, rankOf(self) - 1] : range(2, rankOf(self) - 2),
    );
  };
  const where = spreadMask();
  const shares = softmax(b, b.select(where, like(b, self, -Infinity), self), dim ?? -1, null);
  return b.select(where, like(b, shares, 0), shares);
}

lowerings({
  'aten::scaled_dot_product_attention': (
    b,
    query: Value,
    key: Value,
    value: Value,
    mask: Value | null,
    p: number,
    isCausal: boolean,
    scale: number | null,
  ) => attention(b, query, key, value, mask, p, isCausal, scale)[0],
  'aten::_scaled_dot_product_attention': withWeights,
  'aten::_scaled_dot_product_attention_forward': withWeights,
  'aten::_scaled_dot_product_attention_math': withWeights,
  'aten::_native_multi_head_attention': nativeMultiHead,
  'aten::_transformer_encoder_layer_fwd': encoderLayer,
  'aten::_masked_softmax': maskedSoftmax,
  'aten::_transform_bias_rescale_qkv': (b, qkv: Value, bias: Value, heads: number) => {
    const [batch, length, width] = sizesOf(qkv);
    const shifted = b.add(qkv, b.broadcastTo(bias, [batch, length, width]));
    const [q, k, v] = pieces(
      b,
      shifted,
      2,
      range(3).map(() => width / 3),
    ).map((x) => splitHeads(b, x, heads));
    return [times(b, q, 1 / Math.sqrt(width / 3 / heads)), k, v];
  },
  'aten::_safe_softmax': (b, self: Value, dim: number) => {
    const shares = softmax(b, self, dim, null);
    return zeroUnless(b, b.compare(shares, shares, 'EQ'), shares);
  },
  'aten::rms_norm': (b, input: Value, shape: readonly number[], weight: Value | null, eps: number | null) => {
    const dtype = dtypeOf(input);
    const x = b.convert(input, computeType(dtype));
    const lead = rankOf(x) - shape.length;
    const dims = range(shape.length, lead);
    const count = shape.reduce((product, size) => product * size, 1);
    const mean = times(b, b.reduceSum(b.multiply(x, x), dims), 1 / count);
    const inverse = b.rsqrt(b.add(mean, like(b, mean, eps ?? (dtype === 'float64' ? 2 ** -52 : 2 ** -23))));
    const normal = b.multiply(x, b.broadcastInDim(inverse, sizesOf(x), range(lead)));
    const scaled =
      weight === null ? normal : b.multiply(normal, b.broadcastTo(b.convert(weight, dtypeOf(x)), sizesOf(x)));
    return b.convert(scaled, dtype);
  },
});
