// Copies of a loop, one a kind of array. V8 keeps type feedback a function: a loop that has met several kinds of typed
// arrays is slow for all of them, one that has met a single kind is as fast as it gets.

import { generationIsAllowed } from './code-generation.ts';

const copies = new WeakMap<object, Map<string, unknown>>();

/**
 * A copy of `loop` for arrays of the kind `key`, made from its text, so it must use nothing but its parameters and
 * globals. Where code generation is forbidden it is `loop` itself.
 */
export function specialize<F extends (...args: never[]) => unknown>(loop: F, key: string): F {
  if (!generationIsAllowed()) return loop;
  let known = copies.get(loop);
  if (known === undefined) copies.set(loop, (known = new Map()));
  let copy = known.get(key) as F | undefined;
  if (copy === undefined) {
    copy = new Function(`// ${key}\nreturn ${loop.toString()}`)() as F;
    known.set(key, copy);
  }
  return copy;
}
