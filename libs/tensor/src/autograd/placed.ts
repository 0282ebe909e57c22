// Copies of gradients that lie as another tensor does. They can be differentiated again.
import type { IValue } from '@weft/ir';
import { callOperator } from '../dispatch/call.ts';
import type { Tensor } from '../tensor.ts';

const ints = (values: readonly number[]): IValue => values.map(BigInt);

/** A copy of `gradient` with the strides given. */
export function placed(gradient: Tensor, strides: readonly number[]): Tensor {
  const target = callOperator('aten::new_empty_strided', [gradient, ints(gradient.sizes), ints(strides)]);
  return callOperator('aten::copy_', [target, gradient]) as unknown as Tensor;
}
