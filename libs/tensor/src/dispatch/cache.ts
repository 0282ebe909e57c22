// Compiled operators by operator, operand specs and attributes; the least recently used go first.
import type { CoreFunction } from '../core-function.ts';
import type { Placements } from '../placements.ts';

/** How the outputs of a compiled operator's graph make up its returns: an output, a list of that many, or none (null). */
export type ReturnShape =
  { readonly kind: 'one' } | { readonly kind: 'list'; readonly length: number } | { readonly kind: 'none' };

export interface CompiledOperator {
  readonly fn: CoreFunction;
  /** Strides of the results for the strides of operands seen. */
  readonly placements: Placements;
  /** PyTorch's words when its CPU has no kernel for these dtypes. */
  readonly refusal: string | null;
  readonly returns: readonly ReturnShape[];
  /** For each written argument that is given: its index, and which output holds its new contents. */
  readonly writes: readonly { readonly argument: number; readonly outputs: readonly number[] }[];
}

let capacity = 4096;
const entries = new Map<string, CompiledOperator>();

/** Limits how many compiled operators are kept. */
export function setOperatorCacheSize(size: number): void {
  capacity = size;
  trim();
}
export const operatorCacheSize = (): number => entries.size;

export function cached(key: string, compile: () => CompiledOperator): CompiledOperator {
  const found = entries.get(key);
  if (found !== undefined) {
    // Moved to the end of the insertion order, but only where the cache may have to drop something soon.
    if (entries.size > capacity >> 1) {
      entries.delete(key);
      entries.set(key, found);
    }
    return found;
  }
  const made = compile();
  entries.set(key, made);
  trim();
  return made;
}

function trim(): void {
  for (const key of entries.keys()) {
    if (entries.size <= capacity) return;
    entries.delete(key);
  }
}
