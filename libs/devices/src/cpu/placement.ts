// When a block's values live: the last unit that reads each, and which results are computed in their place instead of being moved
// there at the end.
import type { Value } from '@weft/ir';
import { sourcesOf, valuesRead } from '../reference/schedule.ts';
import { isView } from './access.ts';
import type { FusedUnit } from './chain.ts';
import { nodesOf } from './chain.ts';
import { mayOverwrite } from './in-place.ts';
import type { NativeLibrary } from './library.ts';
import { isPointwise } from './pointwise.ts';
import type { Views } from './views.ts';

/** The index of the last unit that reads each value; Infinity for those that outlive the units. */
export function lastUses(units: readonly FusedUnit[], roots: readonly Value[]): Map<Value, number> {
  const last = new Map<Value, number>();
  units.forEach((unit, index) => {
    for (const node of nodesOf(unit)) {
      for (const value of valuesRead(node)) {
        for (const source of sourcesOf(value, isView)) last.set(source, index);
      }
    }
  });
  for (const root of roots) last.set(root, Infinity);
  return last;
}

/**
 * For each root, whether it is computed in its place: it is computed by these units, a result only once, and nothing later
 * reads the input that is overwritten there.
 * @param inputOf the input in whose memory a result is, by the result's index
 */
export function placedResults(
  units: readonly FusedUnit[],
  roots: readonly Value[],
  last: ReadonlyMap<Value, number>,
  inputOf: (index: number) => Value | undefined,
  library: NativeLibrary,
  views: Views,
): boolean[] {
  const computed = new Map<Value, number>();
  units.forEach((unit, index) => {
    for (const node of nodesOf(unit)) for (const output of node.outputs) computed.set(output, index);
  });
  const taken = new Set<Value>();
  return roots.map((root, index) => {
    const at = computed.get(root);
    if (taken.has(root) || at === undefined) return false;
    const input = inputOf(index);
    if (input !== undefined) {
      const lastRead = last.get(input) ?? -1;
      if (lastRead > at || (lastRead === at && !unitMayOverwrite(units[at], root, input, library, views)))
        return false;
    }
    taken.add(root);
    return true;
  });
}

/** Whether a unit that reads an input may write this result over it as it goes. */
function unitMayOverwrite(
  { node, group, affine }: FusedUnit,
  result: Value,
  input: Value,
  library: NativeLibrary,
  { accessOf }: Views,
): boolean {
  // A kernel that computes a formula sums in the place of the result.
  if (affine !== undefined || !group.includes(result.node)) return false;
  if (node !== undefined && valuesRead(node).some((value) => sourcesOf(value, isView).includes(input))) return false; // prettier-ignore
  return isPointwise(group[0], library) && mayOverwrite(group, input, accessOf);
}
