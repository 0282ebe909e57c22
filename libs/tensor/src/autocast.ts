// Mixed precision for the length of a call, as `torch.autocast`.
import type { DType } from '@weft/ir';
import { checkAutocast, withAutocast } from '@weft/ops';

export interface AutocastOptions {
  /** The dtype of products and convolutions: `bfloat16`, the default, is the one there is on the CPU. */
  readonly dtype?: DType;
  /** `false` turns autocast off inside of it. Default true. */
  readonly enabled?: boolean;
}

/**
 * Runs `body` as `with torch.autocast(device_type, dtype):` would: products and convolutions of float32 tensors are computed in
 * bfloat16, losses and what else needs it in float32. Parameters stay float32, and so do their gradients; call `backward` outside.
 * Calls of scripted modules, and steps of `jit.trainStep`, are compiled for it. Throws OperatorError for another device or dtype.
 */
export function autocast<T>(deviceType: 'cpu', body: () => T): T;
export function autocast<T>(deviceType: 'cpu', options: AutocastOptions, body: () => T): T;
export function autocast<T>(deviceType: 'cpu', ...rest: [() => T] | [AutocastOptions, () => T]): T {
  const [{ dtype = 'bfloat16', enabled = true }, body] = rest.length === 1 ? [{}, rest[0]] : rest;
  const checked = checkAutocast(deviceType, dtype);
  return withAutocast(enabled ? checked : null, body);
}
