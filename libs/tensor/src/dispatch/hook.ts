// Lets one observer see every operator call of a stretch of eager code: how the tracer records.
import type { IValue, Schema } from '@weft/ir';

/** Sees a call after it ran. `args` has one value an argument of the schema; `result` is what `callOperator` returns. */
export type DispatchHook = (schema: Schema, args: readonly IValue[], result: IValue) => void;

let current: DispatchHook | null = null;

/** @internal The hook that calls report to now. */
export const dispatchHook = (): DispatchHook | null => current;

/** Runs `body` while `hook` sees every operator called from it; null lets none see them. */
export function withDispatchHook<T>(hook: DispatchHook | null, body: () => T): T {
  const outer = current;
  current = hook;
  try {
    return body();
  } finally {
    current = outer;
  }
}
