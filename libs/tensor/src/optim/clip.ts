// Bounds gradients before a step, as torch.nn.utils does.
import { OperatorError } from '@weft/ir';
import { noGrad } from '../autograd/grad-mode.ts';
import { tensor } from '../creation.ts';
import { linalgVectorNorm, stack } from '../functions.generated.ts';
import type { Tensor } from '../tensor.ts';

export interface ClipOptions {
  /** p of the norm; Infinity for the largest magnitude. */
  readonly normType?: number;
  /** Throws when the norm is NaN or infinite. */
  readonly errorIfNonfinite?: boolean;
}

/** Scales the gradients in place so that their norm, taken together, is at most `maxNorm`. Returns the norm before. */
export function clipGradNorm_(
  parameters: Iterable<Tensor> | Tensor,
  maxNorm: number,
  { normType = 2, errorIfNonfinite = false }: ClipOptions = {},
): Tensor {
  return noGrad(() => {
    const gradients = gradientsOf(parameters);
    if (gradients.length === 0) return tensor(0, { dtype: 'float32' });
    const norms = stack(gradients.map((gradient) => linalgVectorNorm(gradient, normType)));
    const total = linalgVectorNorm(norms, normType);
    if (errorIfNonfinite && !Number.isFinite(total.item())) {
      throw new OperatorError(
        `The total norm of order ${normType} for gradients from \`parameters\` is non-finite, so it cannot be clipped.`,
      );
    }
    const factor = total.add(1e-6).reciprocal().mul(maxNorm).clamp({ max: 1 });
    for (const gradient of gradients) gradient.mul_(factor);
    return total;
  });
}

/** Clamps every gradient in place to [-clipValue, clipValue]. */
export function clipGradValue_(parameters: Iterable<Tensor> | Tensor, clipValue: number): void {
  noGrad(() => {
    for (const gradient of gradientsOf(parameters)) gradient.clamp_({ min: -clipValue, max: clipValue });
  });
}

function gradientsOf(parameters: Iterable<Tensor> | Tensor): Tensor[] {
  const list = Symbol.iterator in parameters ? [...parameters] : [parameters];
  return list.flatMap(({ grad }) => (grad === null ? [] : [grad]));
}
