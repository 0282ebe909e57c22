// torch.nn.functional: the operators of layers as plain functions. Those that are one operator are that operator; the others are
// written in the static subset, so that scripts compile them from this source.
import {
  batchNorm as batchNormOperator,
  binaryCrossEntropy as binaryCrossEntropyOperator,
  binaryCrossEntropyWithLogits as binaryCrossEntropyWithLogitsOperator,
  crossEntropyLoss,
  embedding as embeddingOperator,
  emptyLike,
  groupNorm as groupNormOperator,
  huberLoss as huberLossOperator,
  instanceNorm as instanceNormOperator,
  klDiv as klDivOperator,
  l1Loss as l1LossOperator,
  layerNorm as layerNormOperator,
  mseLoss as mseLossOperator,
  nllLossNd,
  smoothL1Loss as smoothL1LossOperator,
  zerosLike,
} from '../functions.generated.ts';
import type { Tensor } from '../tensor.ts';
import type { float, int } from '../types.ts';

export {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  bilinear,
  celu,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  cosineSimilarity,
  dropout,
  elu,
  gelu,
  glu,
  hardsigmoid,
  hardswish,
  hardtanh,
  leakyRelu,
  linear,
  logSigmoid,
  logSoftmax,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  mish,
  oneHot,
  pad,
  prelu,
  relu,
  relu6,
  scaledDotProductAttention,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  tanh,
} from '../functions.generated.ts';

/** The operators' number for a reduction: none 0, mean 1, sum 2. */
function reductionNumber(reduction: string): int {
  if (reduction === 'none') return 0;
  if (reduction === 'mean') return 1;
  if (reduction === 'sum') return 2;
  throw new Error(`${reduction} is not a valid value for reduction`);
}

/** Rows of `weight` ([count, width]) by `input` (integers of any shape) → [...input, width]. */
export function embedding(input: Tensor, weight: Tensor, paddingIdx: int = -1): Tensor {
  return embeddingOperator(weight, input, paddingIdx);
}

/** Normalises over the trailing `normalizedShape` dimensions. */
export function layerNorm(
  input: Tensor,
  normalizedShape: int[],
  weight: Tensor | null = null,
  bias: Tensor | null = null,
  eps: float = 1e-5,
): Tensor {
  return layerNormOperator(input, normalizedShape, weight, bias, eps);
}

/** Normalises each channel (dimension 1); in training by the batch, and then updates the running statistics in place. */
export function batchNorm(
  input: Tensor,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  weight: Tensor | null = null,
  bias: Tensor | null = null,
  training: boolean = false,
  momentum: float = 0.1,
  eps: float = 1e-5,
): Tensor {
  return batchNormOperator(input, weight, bias, runningMean, runningVar, training, momentum, eps, true);
}

export function groupNorm(
  input: Tensor,
  groups: int,
  weight: Tensor | null = null,
  bias: Tensor | null = null,
  eps: float = 1e-5,
): Tensor {
  return groupNormOperator(input, groups, weight, bias, eps);
}

export function instanceNorm(
  input: Tensor,
  runningMean: Tensor | null = null,
  runningVar: Tensor | null = null,
  weight: Tensor | null = null,
  bias: Tensor | null = null,
  useInputStats: boolean = true,
  momentum: float = 0.1,
  eps: float = 1e-5,
): Tensor {
  return instanceNormOperator(
    input,
    weight,
    bias,
    runningMean,
    runningVar,
    useInputStats,
    momentum,
    eps,
    true,
  );
}

/** Cross entropy of logits [N, C, …] with class indices [N, …] or probabilities [N, C, …]. */
export function crossEntropy(
  input: Tensor,
  target: Tensor,
  weight: Tensor | null = null,
  ignoreIndex: int = -100,
  reduction: string = 'mean',
  labelSmoothing: float = 0.0,
): Tensor {
  return crossEntropyLoss(input, target, weight, reductionNumber(reduction), ignoreIndex, labelSmoothing);
}

/** Negative log likelihood of log-probabilities [N, C, …]. */
export function nllLoss(
  input: Tensor,
  target: Tensor,
  weight: Tensor | null = null,
  ignoreIndex: int = -100,
  reduction: string = 'mean',
): Tensor {
  return nllLossNd(input, target, weight, reductionNumber(reduction), ignoreIndex);
}

export function mseLoss(input: Tensor, target: Tensor, reduction: string = 'mean'): Tensor {
  return mseLossOperator(input, target, reductionNumber(reduction));
}

export function l1Loss(input: Tensor, target: Tensor, reduction: string = 'mean'): Tensor {
  return l1LossOperator(input, target, reductionNumber(reduction));
}

export function smoothL1Loss(
  input: Tensor,
  target: Tensor,
  reduction: string = 'mean',
  beta: float = 1.0,
): Tensor {
  return smoothL1LossOperator(input, target, reductionNumber(reduction), beta);
}

export function huberLoss(
  input: Tensor,
  target: Tensor,
  reduction: string = 'mean',
  delta: float = 1.0,
): Tensor {
  return huberLossOperator(input, target, reductionNumber(reduction), delta);
}

export function binaryCrossEntropy(
  input: Tensor,
  target: Tensor,
  weight: Tensor | null = null,
  reduction: string = 'mean',
): Tensor {
  return binaryCrossEntropyOperator(input, target, weight, reductionNumber(reduction));
}

export function binaryCrossEntropyWithLogits(
  input: Tensor,
  target: Tensor,
  weight: Tensor | null = null,
  reduction: string = 'mean',
  posWeight: Tensor | null = null,
): Tensor {
  return binaryCrossEntropyWithLogitsOperator(input, target, weight, posWeight, reductionNumber(reduction));
}

/** Kullback–Leibler divergence of log-probabilities from `target`. */
export function klDiv(
  input: Tensor,
  target: Tensor,
  reduction: string = 'mean',
  logTarget: boolean = false,
): Tensor {
  if (reduction === 'batchmean') {
    return klDivOperator(input, target, 2, { logTarget: logTarget }).div(input.size(0));
  }
  return klDivOperator(input, target, reductionNumber(reduction), { logTarget: logTarget });
}

/** Samples from the Gumbel-softmax distribution of logits; `hard` gives one-hot samples with the soft gradient. */
export function gumbelSoftmax(
  logits: Tensor,
  tau: float = 1.0,
  hard: boolean = false,
  dim: int = -1,
): Tensor {
  const gumbels = emptyLike(logits).exponential_().log().neg();
  const soft = logits.add(gumbels).div(tau).softmax(dim);
  if (!hard) return soft;
  const index = soft.argmax(dim, true);
  const chosen = zerosLike(logits).scatter_(dim, index, 1.0);
  return chosen.sub(soft.detach()).add(soft);
}
