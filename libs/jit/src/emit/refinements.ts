// What a condition tells about the types of variables: in `if (x !== null)` x is not None in the first branch.
import type { Type } from '@weft/ir';
import { typesEqual } from '@weft/ir';

export interface Refinement {
  readonly name: string;
  readonly type: Type;
}
export type Refinements = readonly Refinement[];

/** What holds when the condition is true, and what when it is false. */
export interface RefinementPair {
  readonly whenTrue: Refinements;
  readonly whenFalse: Refinements;
}

export const noRefinements: RefinementPair = { whenTrue: [], whenFalse: [] };

export const negateRefinements = ({ whenTrue, whenFalse }: RefinementPair): RefinementPair => ({
  whenTrue: whenFalse,
  whenFalse: whenTrue,
});

/** Both hold when `a && b` is true; only what both say when it is false. */
export const bothRefinements = (a: RefinementPair, b: RefinementPair): RefinementPair => ({
  whenTrue: union(a.whenTrue, b.whenTrue),
  whenFalse: intersection(a.whenFalse, b.whenFalse),
});

export const eitherRefinements = (a: RefinementPair, b: RefinementPair): RefinementPair => ({
  whenTrue: intersection(a.whenTrue, b.whenTrue),
  whenFalse: union(a.whenFalse, b.whenFalse),
});

/** A variable about which the two disagree keeps its type. */
function union(a: Refinements, b: Refinements): Refinements {
  const result = [...a];
  for (const refinement of b) {
    const index = result.findIndex(({ name }) => name === refinement.name);
    if (index < 0) result.push(refinement);
    else if (!typesEqual(result[index].type, refinement.type)) result.splice(index, 1);
  }
  return result;
}

const intersection = (a: Refinements, b: Refinements): Refinements =>
  a.filter(({ name, type }) => b.some((other) => other.name === name && typesEqual(other.type, type)));
