// Loss functions. `reduction` is PyTorch's number: 0 none, 1 mean, 2 sum.
import type { CoreBuilder, TensorLike, Value } from '@weft/ir';
import { isComplex, isFloatingPoint, numel } from '@weft/ir';
import { indexRanges, lowerings } from './operator.ts';
import type { IndexRange, Scalar } from './operator.ts';
import { computeType, printName } from './promotion.ts';
import { broadcastAll, check, fail, range, rankOf, sizesOf, wrapDim } from './broadcast.ts';
import { dtypeOf, is, isNaN, like, over, plus, pointwise, realOf, times, zeroUnless } from './elementwise.ts';
import { stopGradient, withDerivative } from './gradient-flow.ts';
import { xlogyOf } from './pointwise.ts';
import { insertDim } from './shapes.ts';
import { takeAlong, takeSlices } from './gathering.ts';
import { logSoftmax, spread } from './softmax.ts';
import { logOnePlusExp } from './activations.ts';
import { vectorNorm } from './reductions.ts';
import { iterator, layouts, stepsFrom } from './result-layout.ts';

type Sizes = readonly number[];
const show = (sizes: Sizes): string => `[${sizes.join(', ')}]`;

export function reduceLoss(b: CoreBuilder, loss: Value, reduction: number): Value {
  if (reduction === 0) return loss;
  const dtype = dtypeOf(loss);
  const total = b.reduceSum(b.convert(loss, computeType(dtype)), range(rankOf(loss)));
  return b.convert(reduction === 1 ? over(b, total, numel(sizesOf(loss))) : total, dtype);
}

/** A loss of pairs of elements. */
const pairLoss =
  (body: (b: CoreBuilder, x: Value, y: Value) => Value) =>
  (b: CoreBuilder, self: Value, target: Value, reduction: number): Value =>
    reduceLoss(
      b,
      pointwise(b, [self, target], { steps: true }, (x, y) => body(b, x, y)),
      reduction,
    );

/** Quadratic within beta of the target, linear beyond. */
function smoothL1(b: CoreBuilder, self: Value, target: Value, reduction: number, beta: number): Value {
  check(beta >= 0, () => 'smooth_l1_loss does not support negative values for beta.');
  return pairLoss((b, x, y) => {
    const distance = b.abs(b.subtract(x, y));
    if (beta === 0) return distance;
    const near = over(b, b.multiply(distance, times(b, distance, 0.5)), beta);
    return b.select(is(b, distance, 'LT', beta), near, plus(b, distance, -0.5 * beta));
  })(b, self, target, reduction);
}

function huber(b: CoreBuilder, self: Value, target: Value, reduction: number, delta: number): Value {
  check(delta > 0, () => 'huber_loss does not support non-positive values for delta.');
  return pairLoss((b, x, y) => {
    const distance = b.abs(b.subtract(x, y));
    const near = times(b, b.multiply(distance, distance), 0.5);
    return b.select(is(b, distance, 'LE', delta), near, times(b, plus(b, distance, -0.5 * delta), delta));
  })(b, self, target, reduction);
}

/** -y log x - (1 - y) log(1 - x) with logarithms cut at -100. The derivatives are not cut: by x it has a denominator of 1e-12 at least. */
const crossEntropyOf = withDerivative(
  'binary_cross_entropy',
  (b, [x, y]) => {
    const log = (z: Value): Value => {
      const zero = is(b, z, 'LE', Math.exp(-100));
      return b.select(zero, like(b, z, -100), b.log(b.select(zero, like(b, z, 1), z)));
    };
    const one = like(b, x, 1);
    const miss = b.multiply(b.subtract(y, one), log(b.subtract(one, x)));
    return b.subtract(miss, b.multiply(y, log(x)));
  },
  (b, { g, operands: [x, y] }) => {
    const rest = b.subtract(like(b, x, 1), x);
    const spread = b.multiply(rest, x);
    return [
      b.divide(b.multiply(g, b.subtract(x, y)), b.maximum(spread, like(b, spread, 1e-12))),
      b.multiply(g, b.subtract(b.log(rest), b.log(x))),
    ];
  },
);

function binaryCrossEntropy(
  b: CoreBuilder,
  self: Value,
  target: Value,
  weight: Value | null,
  reduction: number,
): Value {
  check(
    show(sizesOf(self)) === show(sizesOf(target)),
    () =>
      `Using a target size (torch.Size(${show(sizesOf(target))})) that is different to the input size (torch.Size(${show(sizesOf(self))})) is deprecated. Please ensure they have the same size.`,
  );
  const loss = pointwise(b, [self, target], { steps: true }, (x, y) => crossEntropyOf(b, [x, y], {}));
  return reduceLoss(b, weighted(b, loss, weight), reduction);
}

const weighted = (b: CoreBuilder, loss: Value, weight: Value | null): Value =>
  weight === null ? loss : pointwise(b, [loss, weight], {}, (x, w) => b.multiply(x, w));

function bceWithLogits(
  b: CoreBuilder,
  self: Value,
  target: Value,
  weight: Value | null,
  posWeight: Value | null,
  reduction: number,
): Value {
  check(
    show(sizesOf(self)) === show(sizesOf(target)),
    () =>
      `Target size (torch.Size(${show(sizesOf(target))})) must be the same as input size (torch.Size(${show(sizesOf(self))}))`,
  );
  const operands = posWeight === null ? [self, target] : [self, target, posWeight];
  const loss = pointwise(b, operands, { steps: true }, (x, y, w) => {
    // (1 - y) x + log(1 + exp(-x)), the latter weighted by 1 + (w - 1) y.
    const tail = logOnePlusExp(b, b.negate(x));
    const one = like(b, x, 1);
    const scaled = w === undefined ? tail : b.multiply(b.add(b.multiply(b.subtract(w, one), y), one), tail);
    return b.add(b.multiply(b.subtract(one, y), x), scaled);
  });
  return reduceLoss(b, weighted(b, loss, weight), reduction);
}

function klDiv(b: CoreBuilder, self: Value, target: Value, reduction: number, logTarget: boolean): Value {
  return pairLoss((b, x, y) => {
    if (logTarget) return b.multiply(b.exponential(y), b.subtract(y, x));
    return b.subtract(xlogyOf(b, y, y), b.multiply(y, x));
  })(b, self, target, reduction);
}

// ---- negative log likelihood --------------------------------------------------------------------------------------

/** The weighted sum of weights, and the loss. Classes stand in dimension 1 (0 without a batch). */
export function nllForward(
  b: CoreBuilder,
  self: Value,
  target: Value,
  weight: Value | null,
  reduction: number,
  ignoreIndex: number,
): [loss: Value, totalWeight: Value] {
  const sizes = sizesOf(self);
  const axis = sizes.length === 1 ? 0 : 1;
  const classes = sizes[axis];
  check(
    dtypeOf(target) === 'int64' || dtypeOf(target) === 'uint8',
    () => `expected scalar type Long but found ${printName(dtypeOf(target))}`,
  );
  if (weight !== null) {
    check(
      numel(sizesOf(weight)) === classes,
      () =>
        `weight tensor should be defined either for all ${classes} classes or no classes but got weight tensor of shape: ${show(sizesOf(weight))}`,
    );
  }
  const at = b.convert(target, 'int64');
  const used = is(b, at, 'NE', ignoreIndex);
  const safe = b.select(used, at, like(b, at, 0n));
  const index = sizes.length === 1 ? b.reshape(safe, [1]) : insertDim(b, safe, axis);
  const dtype = dtypeOf(self);
  const wide = b.convert(self, computeType(dtype));
  const chosen = b.reshape(takeAlong(b, wide, index, axis), sizesOf(target));
  const weights =
    weight === null ? like(b, chosen, 1) : takeSlices(b, b.convert(weight, dtypeOf(chosen)), safe, 0);
  const counted = zeroUnless(b, used, weights);
  const losses = zeroUnless(b, used, b.negate(b.multiply(chosen, weights)));
  const all = range(rankOf(losses));
  const total = b.reduceSum(counted, all);
  if (reduction === 0) return [b.convert(losses, dtype), b.convert(like(b, total, 0), dtype)];
  const sum = b.reduceSum(losses, all);
  const loss = reduction === 1 ? b.divide(sum, total) : sum;
  return [b.convert(loss, dtype), b.convert(total, dtype)];
}

function nllLoss(
  b: CoreBuilder,
  self: Value,
  target: Value,
  weight: Value | null,
  reduction: number,
  ignoreIndex: number,
): Value {
  const sizes = sizesOf(self);
  check(sizes.length > 0 && sizes.length <= 2, () => 'input tensor should be 1D or 2D');
  check(rankOf(target) <= 1, () => '0D or 1D target tensor expected, multi-target not supported');
  check(
    sizes.length === 1 ? numel(sizesOf(target)) === 1 : sizes[0] === sizesOf(target)[0],
    () => `size mismatch (got input: ${show(sizes)}, target: ${show(sizesOf(target))})`,
  );
  return nllForward(
    b,
    self,
    sizes.length === 1 ? b.reshape(target, []) : target,
    weight,
    reduction,
    ignoreIndex,
  )[0];
}

/** Any number of dimensions: classes stand in dimension 1. */
function nllLossNd(
  b: CoreBuilder,
  self: Value,
  target: Value,
  weight: Value | null,
  reduction: number,
  ignoreIndex: number,
): Value {
  const sizes = sizesOf(self);
  check(sizes.length >= 1, () => `Expected 1 or more dimensions (got ${sizes.length})`);
  check(
    sizes.length === 1 || sizes[0] === (sizesOf(target)[0] ?? 0),
    () => `Expected input batch_size (${sizes[0]}) to match target batch_size (${sizesOf(target)[0] ?? 0}).`,
  );
  if (sizes.length === 1 || sizes.length === 2)
    return nllLoss(b, self, target, weight, reduction, ignoreIndex);
  const expected = [sizes[0], ...sizes.slice(2)];
  check(
    show(expected) === show(sizesOf(target)),
    () => `Expected target size ${show(expected)}, got ${show(sizesOf(target))}`,
  );
  return nllForward(b, self, target, weight, reduction, ignoreIndex)[0];
}

function crossEntropy(
  b: CoreBuilder,
  self: Value,
  target: Value,
  weight: Value | null,
  reduction: number,
  ignoreIndex: number,
  labelSmoothing: number,
): Value {
  const sizes = sizesOf(self);
  const axis = sizes.length === 1 ? 0 : 1;
  check(
    labelSmoothing >= 0 && labelSmoothing <= 1,
    () => `label_smoothing must be between 0.0 and 1.0. Got: ${labelSmoothing}`,
  );
  const log = logSoftmax(b, self, axis, isFloatingPoint(dtypeOf(self)) ? null : 'float32');
  if (show(sizesOf(target)) === show(sizes) && isFloatingPoint(dtypeOf(target))) {
    return probabilityLoss(b, log, target, weight, reduction, labelSmoothing, axis);
  }
  if (isFloatingPoint(dtypeOf(target)) && rankOf(target) === sizes.length) {
    fail(`size mismatch (got input: ${show(sizes)}, target: ${show(sizesOf(target))})`);
  }
  if (labelSmoothing === 0) return nllLossNd(b, log, target, weight, reduction, ignoreIndex);
  return smoothedLoss(b, log, target, weight, reduction, ignoreIndex, labelSmoothing, axis);
}

function probabilityLoss(
  b: CoreBuilder,
  log: Value,
  target: Value,
  weight: Value | null,
  reduction: number,
  smoothing: number,
  axis: number,
): Value {
  const sizes = sizesOf(log);
  const classes = sizes[axis];
  const smooth = smoothing > 0 ? plus(b, times(b, target, 1 - smoothing), smoothing / classes) : target;
  const scale = weight === null ? null : b.broadcastInDim(b.reshape(weight, [classes]), sizes, [axis]);
  const product = b.multiply(log, b.convert(smooth, dtypeOf(log)));
  const losses = b.negate(b.reduceSum(scale === null ? product : b.multiply(product, scale), [axis]));
  if (reduction !== 1) return reduceLoss(b, losses, reduction);
  return over(b, b.reduceSum(losses, range(rankOf(losses))), Math.max(numel(sizes) / classes, 0));
}

function smoothedLoss(
  b: CoreBuilder,
  log: Value,
  target: Value,
  weight: Value | null,
  reduction: number,
  ignoreIndex: number,
  smoothing: number,
  axis: number,
): Value {
  const sizes = sizesOf(log);
  const classes = sizes[axis];
  const nll = nllLossNd(b, log, target, weight, reduction, ignoreIndex);
  const scaled = weight === null ? log : b.multiply(log, b.broadcastInDim(weight, sizes, [axis]));
  const used = is(b, b.convert(target, 'int64'), 'NE', ignoreIndex);
  const uniform = zeroUnless(
    b,
    b.reshape(
      used,
      sizes.filter((_, dim) => dim !== axis),
    ),
    b.negate(b.reduceSum(scaled, [axis])),
  );
  const all = range(rankOf(uniform));
  const smooth = (): Value => {
    if (reduction === 0) return uniform;
    const total = b.reduceSum(uniform, all);
    if (reduction === 2) return total;
    // Divided by what nll_loss divides by.
    const index = b.select(used, b.convert(target, 'int64'), like(b, b.convert(target, 'int64'), 0n));
    const counted =
      weight === null ? b.convert(used, dtypeOf(log)) : zeroUnless(b, used, takeSlices(b, weight, index, 0));
    return b.divide(total, b.reduceSum(counted, range(rankOf(counted))));
  };
  return b.add(times(b, nll, 1 - smoothing), times(b, smooth(), smoothing / classes));
}

// ---- margins ------------------------------------------------------------------------------------------------------

const positivePart = (b: CoreBuilder, x: Value): Value =>
  b.select(is(b, x, 'GT', 0), x, b.select(isNaN(b, x), x, like(b, x, 0)));

function hingeEmbedding(
  b: CoreBuilder,
  self: Value,
  target: Value,
  margin: number,
  reduction: number,
): Value {
  const loss = pointwise(b, [self, stopGradient(b, target)], {}, (x, y) => {
    const negative = zeroUnless(b, is(b, y, 'NE', 1), positivePart(b, b.subtract(like(b, x, margin), x)));
    return b.add(negative, zeroUnless(b, is(b, y, 'NE', -1), x));
  });
  return reduceLoss(b, loss, reduction);
}

function marginRanking(
  b: CoreBuilder,
  input1: Value,
  input2: Value,
  target: Value,
  margin: number,
  reduction: number,
): Value {
  check(
    rankOf(input1) === rankOf(input2) && rankOf(input1) === rankOf(target),
    () =>
      `margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: ${show(sizesOf(input1))}, input2: ${show(sizesOf(input2))}, target: ${show(sizesOf(target))} `,
  );
  const loss = pointwise(b, [input1, input2, target], {}, (x, y, t) =>
    positivePart(b, plus(b, b.multiply(b.negate(t), b.subtract(x, y)), margin)),
  );
  return reduceLoss(b, loss, reduction);
}

export function pairwiseDistance(
  b: CoreBuilder,
  x1: Value,
  x2: Value,
  p: number,
  eps: number,
  keepdim: boolean,
): Value {
  const difference = pointwise(b, [x1, x2], {}, (x, y) => plus(b, b.subtract(x, y), eps));
  return vectorNorm(b, difference, p, [rankOf(difference) - 1], keepdim, null);
}

function tripletMargin(
  b: CoreBuilder,
  anchor: Value,
  positive: Value,
  negative: Value,
  margin: number,
  p: number,
  eps: number,
  swap: boolean,
  reduction: number,
): Value {
  const near = pairwiseDistance(b, anchor, positive, p, eps, false);
  const far = pairwiseDistance(b, anchor, negative, p, eps, false);
  const least = swap ? b.minimum(far, pairwiseDistance(b, positive, negative, p, eps, false)) : far;
  return reduceLoss(b, positivePart(b, plus(b, b.subtract(near, least), margin)), reduction);
}

function cosineSimilarity(b: CoreBuilder, x1: Value, x2: Value, dim: number, eps: number): Value {
  const [x, y] = broadcastAll(b, x1, x2);
  const axis = wrapDim(dim, rankOf(x));
  const norm = (value: Value): Value => {
    const size = vectorNorm(b, value, 2, [axis], false, null);
    return spread(b, b.maximum(size, like(b, size, eps)), sizesOf(value), [axis]);
  };
  return b.reduceSum(b.multiply(b.divide(x, norm(x)), b.divide(y, norm(y))), [axis]);
}

function cosineEmbedding(
  b: CoreBuilder,
  input1: Value,
  input2: Value,
  target: Value,
  margin: number,
  reduction: number,
): Value {
  const axis = rankOf(target) === 0 ? 0 : 1;
  const [x, y] = broadcastAll(b, input1, input2);
  const product = b.reduceSum(b.multiply(x, y), [axis]);
  const square = (value: Value): Value => plus(b, b.reduceSum(b.multiply(value, value), [axis]), 1e-12);
  const cosine = b.divide(product, b.sqrt(b.multiply(square(x), square(y))));
  const t = b.broadcastTo(target, sizesOf(cosine));
  const near = zeroUnless(b, is(b, t, 'EQ', 1), b.subtract(like(b, cosine, 1), cosine));
  const far = zeroUnless(b, is(b, t, 'EQ', -1), positivePart(b, plus(b, cosine, -margin)));
  return reduceLoss(b, b.add(near, far), reduction);
}

function multiMargin(
  b: CoreBuilder,
  self: Value,
  target: Value,
  p: Scalar,
  margin: Scalar,
  weight: Value | null,
  reduction: number,
): Value {
  check(realOf(p) === 1 || realOf(p) === 2, () => 'only p == 1 and p == 2 supported');
  const single = rankOf(self) <= 1;
  const x = single ? b.reshape(self, [1, numel(sizesOf(self))]) : self;
  const [batch, classes] = sizesOf(x);
  const at = b.reshape(target, [batch, 1]);
  const chosen = takeAlong(b, x, at, 1);
  const z = positivePart(b, plus(b, b.subtract(x, b.broadcastTo(chosen, [batch, classes])), realOf(margin)));
  const powered = realOf(p) === 2 ? b.multiply(z, z) : z;
  const scaled =
    weight === null
      ? powered
      : b.multiply(powered, b.broadcastTo(takeSlices(b, weight, at, 0), [batch, classes]));
  const other = b.compare(b.iota('int64', [batch, classes], 1), b.broadcastTo(at, [batch, classes]), 'NE');
  const losses = over(b, b.reduceSum(zeroUnless(b, other, scaled), [1]), classes);
  return reduceLoss(b, single ? b.reshape(losses, []) : losses, reduction);
}

/** Targets of a row are class numbers up to the first -1. Returns the loss and which classes are targets. */
function multilabelMargin(b: CoreBuilder, self: Value, target: Value, reduction: number): [Value, Value] {
  const single = rankOf(self) <= 1;
  const x = single ? b.reshape(self, [1, numel(sizesOf(self))]) : self;
  const [batch, classes] = sizesOf(x);
  const at = b.reshape(target, [batch, classes]);
  const grid = [batch, classes, classes];
  // A label counts when no label before it (or itself) is negative.
  const earlier = b.compare(b.iota('int64', grid, 2), b.iota('int64', grid, 1), 'LE');
  const negative = b.broadcastInDim(is(b, at, 'LT', 0), grid, [0, 2]);
  const valid = b.not(b.reduceOr(b.and(earlier, negative), [2]));
  const named = b.compare(b.broadcastInDim(at, grid, [0, 1]), b.iota('int64', grid, 2), 'EQ');
  const hits = b.and(named, b.broadcastInDim(valid, grid, [0, 1]));
  const isTarget = b.reduceOr(hits, [1]);
  const safe = b.select(valid, at, like(b, at, 0n));
  const chosen = takeAlong(b, x, safe, 1);
  const difference = b.subtract(b.broadcastInDim(x, grid, [0, 2]), b.broadcastInDim(chosen, grid, [0, 1]));
  const z = positivePart(b, plus(b, difference, 1));
  const counted = b.and(
    b.broadcastInDim(valid, grid, [0, 1]),
    b.not(b.broadcastInDim(isTarget, grid, [0, 2])),
  );
  const losses = over(b, b.reduceSum(zeroUnless(b, counted, z), [1, 2]), classes);
  const mask = b.convert(isTarget, dtypeOf(self));
  return [
    reduceLoss(b, single ? b.reshape(losses, []) : losses, reduction),
    single ? b.reshape(mask, sizesOf(self)) : mask,
  ];
}

function poissonNll(
  b: CoreBuilder,
  input: Value,
  target: Value,
  logInput: boolean,
  full: boolean,
  eps: number,
  reduction: number,
): Value {
  const loss = pointwise(b, [input, target], { steps: true }, (x, y) => {
    const base = logInput
      ? b.subtract(b.exponential(x), b.multiply(y, x))
      : b.subtract(x, b.multiply(y, b.log(plus(b, x, eps))));
    if (!full) return base;
    const large = is(b, y, 'GT', 1);
    const safe = b.select(large, y, like(b, y, 2));
    const stirling = b.add(
      b.subtract(b.multiply(safe, b.log(safe)), safe),
      times(b, b.log(times(b, safe, 2 * Math.PI)), 0.5),
    );
    return b.add(base, zeroUnless(b, large, stirling));
  });
  return reduceLoss(b, loss, reduction);
}

lowerings({
  'aten::mse_loss': pairLoss((b, x, y) => {
    const difference = b.subtract(x, y);
    return b.multiply(difference, difference);
  }),
  'aten::l1_loss': pairLoss((b, x, y) => b.abs(b.subtract(x, y))),
  'aten::smooth_l1_loss': smoothL1,
  'aten::huber_loss': huber,
  'aten::soft_margin_loss': pairLoss((b, x, y) => logOnePlusExp(b, b.negate(b.multiply(y, x)))),
  'aten::binary_cross_entropy': binaryCrossEntropy,
  'aten::binary_cross_entropy_with_logits': (
    b,
    self: Value,
    target: Value,
    weight: Value | null,
    posWeight: Value | null,
    reduction: number,
  ) => bceWithLogits(b, self, target, weight, posWeight, reduction),
  'aten::kl_div': klDiv,
  'aten::nll_loss': nllLoss,
  'aten::nll_loss_nd': nllLossNd,
  'aten::nll_loss2d': nllLossNd,
  'aten::nll_loss_forward': nllForward,
  'aten::nll_loss2d_forward': nllForward,
  'aten::cross_entropy_loss': crossEntropy,
  'aten::hinge_embedding_loss': hingeEmbedding,
  'aten::margin_ranking_loss': marginRanking,
  'aten::pairwise_distance': pairwiseDistance,
  'aten::triplet_margin_loss': tripletMargin,
  'aten::cosine_similarity': cosineSimilarity,
  'aten::cosine_embedding_loss': cosineEmbedding,
  'aten::multi_margin_loss': multiMargin,
  'aten::multilabel_margin_loss': (b, self: Value, target: Value, reduction: number) =>
    multilabelMargin(b, self, target, reduction)[0],
  'aten::multilabel_margin_loss_forward': multilabelMargin,
  'aten::poisson_nll_loss': poissonNll,
});

/** Losses that are not reduced are pointwise. */
layouts({
  'aten::mse_loss': iterator,
  'aten::l1_loss': iterator,
  'aten::smooth_l1_loss': iterator,
  'aten::huber_loss': iterator,
  'aten::soft_margin_loss': iterator,
  'aten::binary_cross_entropy': iterator,
  'aten::binary_cross_entropy_with_logits': stepsFrom(1, 0),
  'aten::kl_div': stepsFrom(1, 0),
  'aten::hinge_embedding_loss': stepsFrom(1, 0),
  'aten::margin_ranking_loss': stepsFrom(2, 0, 1),
  'aten::poisson_nll_loss': iterator,
});

/** Targets are class numbers, or the one that is ignored. */
const targets = (
  self: TensorLike,
  target: TensorLike,
  _weight: unknown,
  _reduction: number,
  ignored: number,
): readonly IndexRange[] => {
  if (isFloatingPoint(target.dtype) || isComplex(target.dtype)) return [];
  const high = self.shape[self.shape.length === 1 ? 0 : 1] ?? 1;
  return [{ index: target, low: 0, high, ignored, message: (at) => `Target ${at} is out of bounds.` }];
};

indexRanges({
  'aten::nll_loss': targets,
  'aten::nll_loss_nd': targets,
  'aten::nll_loss2d': targets,
  'aten::nll_loss_forward': targets,
  'aten::cross_entropy_loss': targets,
});
