// torch.nn.init: fills parameters in place, drawing from the default generator as PyTorch does.
import { OperatorError } from '@weft/ir';
import { noGrad } from '../autograd/grad-mode.ts';
import { tensor as makeTensor } from '../creation.ts';
import { empty, eye, linalgQr, randperm } from '../functions.generated.ts';
import type { Tensor } from '../tensor.ts';

export type Nonlinearity = 'linear' | 'conv2d' | 'sigmoid' | 'tanh' | 'relu' | 'leaky_relu' | 'selu';

export const uniform_ = (tensor: Tensor, from = 0, to = 1): Tensor => noGrad(() => tensor.uniform_(from, to));
export const normal_ = (tensor: Tensor, mean = 0, std = 1): Tensor => noGrad(() => tensor.normal_(mean, std));
export const constant_ = (tensor: Tensor, value: number): Tensor => noGrad(() => tensor.fill_(value));
export const zeros_ = (tensor: Tensor): Tensor => constant_(tensor, 0);
export const ones_ = (tensor: Tensor): Tensor => constant_(tensor, 1);

/** The recommended gain of a nonlinearity. */
export function calculateGain(nonlinearity: Nonlinearity, parameter = 0.01): number {
  switch (nonlinearity) {
    case 'linear':
    case 'conv2d':
    case 'sigmoid':
      return 1;
    case 'tanh':
      return 5 / 3;
    case 'relu':
      return Math.SQRT2;
    case 'leaky_relu':
      return Math.sqrt(2 / (1 + parameter ** 2));
    case 'selu':
      return 3 / 4;
    default:
      return nonlinearity satisfies never;
  }
}

/** Inputs and outputs of a weight [out, in, …window]. */
export function fans(tensor: Tensor): { fanIn: number; fanOut: number } {
  const { sizes } = tensor;
  if (sizes.length < 2) {
    throw new OperatorError('Fan in and fan out can not be computed for tensor with fewer than 2 dimensions');
  }
  const field = sizes.slice(2).reduce((product, size) => product * size, 1);
  return { fanIn: sizes[1] * field, fanOut: sizes[0] * field };
}

export interface KaimingOptions {
  readonly a?: number;
  readonly mode?: 'fan_in' | 'fan_out';
  readonly nonlinearity?: Nonlinearity;
}

export function kaimingUniform_(tensor: Tensor, options: KaimingOptions = {}): Tensor {
  const bound = Math.sqrt(3) * kaimingStd(tensor, options);
  return uniform_(tensor, -bound, bound);
}

export function kaimingNormal_(tensor: Tensor, options: KaimingOptions = {}): Tensor {
  return normal_(tensor, 0, kaimingStd(tensor, options));
}

function kaimingStd(
  tensor: Tensor,
  { a = 0, mode = 'fan_in', nonlinearity = 'leaky_relu' }: KaimingOptions,
): number {
  const { fanIn, fanOut } = fans(tensor);
  return calculateGain(nonlinearity, a) / Math.sqrt(mode === 'fan_in' ? fanIn : fanOut);
}

export function xavierUniform_(tensor: Tensor, gain = 1): Tensor {
  const { fanIn, fanOut } = fans(tensor);
  const bound = Math.sqrt(3) * gain * Math.sqrt(2 / (fanIn + fanOut));
  return uniform_(tensor, -bound, bound);
}

export function xavierNormal_(tensor: Tensor, gain = 1): Tensor {
  const { fanIn, fanOut } = fans(tensor);
  return normal_(tensor, 0, gain * Math.sqrt(2 / (fanIn + fanOut)));
}

/** Normal numbers within [a, b] only, by the inverse of the distribution function. */
export function truncNormal_(tensor: Tensor, mean = 0, std = 1, a = -2, b = 2): Tensor {
  const below = (x: number): number => (1 + erf((x - mean) / std / Math.SQRT2)) / 2;
  return noGrad(() => {
    tensor.uniform_(2 * below(a) - 1, 2 * below(b) - 1);
    tensor.erfinv_();
    tensor.mul_(std * Math.SQRT2).add_(mean);
    return tensor.clamp_(a, b);
  });
}

/** The error function of one number, from the operator. */
const erf = (x: number): number => makeTensor(x, { dtype: 'float64' }).erf().item();

/** The identity matrix. */
export function eye_(tensor: Tensor): Tensor {
  if (tensor.ndim !== 2) throw new OperatorError('Only tensors with 2 dimensions are supported');
  return noGrad(() => tensor.copy_(eye(tensor.sizes[0], tensor.sizes[1])));
}

/** A convolution that keeps as many channels as it can, each group by itself. */
export function dirac_(tensor: Tensor, groups = 1): Tensor {
  const { sizes } = tensor;
  if (sizes.length < 3 || sizes.length > 5) {
    throw new OperatorError('Only tensors with 3, 4, or 5 dimensions are supported');
  }
  if (sizes[0] % groups !== 0) throw new OperatorError('dim 0 must be divisible by groups');
  const own = sizes[0] / groups;
  return noGrad(() => {
    tensor.zero_();
    for (let group = 0; group < groups; group++) {
      for (let channel = 0; channel < Math.min(own, sizes[1]); channel++) {
        const centre = sizes
          .slice(2)
          .reduce(
            (each, size) => each.select(0, Math.floor(size / 2)),
            tensor.select(0, group * own + channel).select(0, channel),
          );
        centre.fill_(1);
      }
    }
    return tensor;
  });
}

/** Rows (or columns, where there are more rows) that are orthonormal, times `gain`. */
export function orthogonal_(tensor: Tensor, gain = 1): Tensor {
  if (tensor.ndim < 2) throw new OperatorError('Only tensors with 2 or more dimensions are supported');
  const rows = tensor.sizes[0];
  const columns = tensor.sizes.slice(1).reduce((product, size) => product * size, 1);
  return noGrad(() => {
    const flat = empty([rows, columns]).normal_(0, 1);
    const [q, r] = linalgQr(rows < columns ? flat.t() : flat);
    const signed = q.mul(r.diagonal().sign());
    return tensor.copy_((rows < columns ? signed.t() : signed).reshape(tensor.sizes)).mul_(gain);
  });
}

/** Normal numbers with a part `sparsity` of every column zero. */
export function sparse_(tensor: Tensor, sparsity: number, std = 0.01): Tensor {
  if (tensor.ndim !== 2) throw new OperatorError('Only tensors with 2 dimensions are supported');
  const [rows, columns] = tensor.sizes;
  const zeros = Math.ceil(sparsity * rows);
  return noGrad(() => {
    tensor.normal_(0, std);
    for (let column = 0; column < columns; column++) {
      const chosen = randperm(rows).slice(0, 0, zeros);
      tensor.select(1, column).indexFill_(0, chosen, 0);
    }
    return tensor;
  });
}
