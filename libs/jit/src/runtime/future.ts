// Futures: what `fork` returns. A fork runs at once on the caller's thread, so its future is settled from the beginning;
// an error is kept for whoever waits.
import type { FutureValue, IValue } from '@weft/ir';

export class SettledFuture implements FutureValue {
  readonly isFuture = true;
  private constructor(private readonly outcome: { readonly value: IValue } | { readonly error: unknown }) {}

  /** The future of `compute`'s result or error. */
  static of(compute: () => IValue): SettledFuture {
    try {
      return new SettledFuture({ value: compute() });
    } catch (error) {
      return new SettledFuture({ error });
    }
  }

  wait(): IValue {
    if ('error' in this.outcome) throw this.outcome.error;
    return this.outcome.value;
  }
}
