// The state of the default generator as a tensor, as PyTorch exchanges it.
import { fromTypedArray } from '../creation.ts';
import type { Tensor } from '../tensor.ts';
import { defaultGenerator } from './generator.ts';

/** A uint8 tensor that `setRngState` takes back. */
export function getRngState(): Tensor {
  const state = defaultGenerator.getState();
  return fromTypedArray(state, [state.length]);
}

export function setRngState(state: Tensor): void {
  defaultGenerator.setState(state.bytes());
}
