// Memory inside of a chain: which values take one place after the other. What a part takes should stay in the cache, so that a value
// whose last reader is done gives its place on, and an elementwise group writes over an operand that it reads last.
import type { Value } from '@weft/ir';
import { dtypes, specOf } from '@weft/ir';
import { countOf, rootOf, sourcesOf, valuesRead } from '../reference/schedule.ts';
import { stridesOf } from '../reference/typed-array.ts';
import { isView } from './access.ts';
import type { Chain, Link } from './chain.ts';
import { nodesOf, resultsOf } from './chain.ts';
import { ordered, walkOfParts } from './parts.ts';
import type { Operand } from './step.ts';

export interface ChainMemory {
  /** The place of each value inside. */
  readonly placeOf: ReadonlyMap<Value, number>;
  /** Bytes a part of each place. */
  readonly bytes: readonly number[];
  /** Values that are written over an operand of the group that computes them. */
  readonly overwriting: ReadonlySet<Value>;
}

export const bytesPerPart = (value: Value, parts: number): number =>
  (countOf(value) / parts) * dtypes[specOf(value).dtype].bytes;

/** @param access how a value of the chain is read, as if it were in memory */
export function chainMemory(
  chain: Chain,
  isInside: (value: Value) => boolean,
  access: (value: Value) => Operand,
): ChainMemory {
  const { links, parts } = chain;
  const lastReader = new Map<Value, number>();
  links.forEach(({ unit }, index) => {
    for (const node of nodesOf(unit)) {
      for (const value of valuesRead(node)) {
        for (const source of sourcesOf(value, isView)) lastReader.set(source, index);
      }
    }
  });
  const placeOf = new Map<Value, number>();
  const bytes: number[] = [];
  const overwriting = new Set<Value>();
  const free: number[] = [];
  /** The values whose places are in use. */
  const alive = new Set<Value>();
  const take = (value: Value): number => {
    const size = bytesPerPart(value, parts);
    const at = free.findIndex((place) => bytes[place] === size);
    return at >= 0 ? free.splice(at, 1)[0] : bytes.push(size) - 1;
  };
  links.forEach((link, index) => {
    const { node, group } = link.unit;
    for (const value of resultsOf(link.unit)) {
      if (!isInside(value)) continue;
      const isOfGroup = value !== node?.output && group.length > 0;
      const over = !isOfGroup
        ? undefined
        : [...alive].find(
            (operand) =>
              lastReader.get(operand) === index &&
              bytesPerPart(operand, parts) === bytesPerPart(value, parts) &&
              isReadInPlace(operand, link, chain, access),
          );
      if (over === undefined) placeOf.set(value, take(value));
      else {
        placeOf.set(value, placeOf.get(over)!);
        alive.delete(over);
        overwriting.add(value);
      }
      alive.add(value);
    }
    for (const value of alive) {
      if ((lastReader.get(value) ?? index) > index) continue;
      alive.delete(value);
      free.push(placeOf.get(value)!);
    }
  });
  return { placeOf, bytes, overwriting };
}

/** Whether a link needs of a value only the element that it computes, when it computes it. */
function isReadInPlace(
  value: Value,
  { unit, pieces }: Link,
  { parts, splits }: Chain,
  access: (value: Value) => Operand,
): boolean {
  const { node, group } = unit;
  if (node !== undefined && valuesRead(node).some((each) => sourcesOf(each, isView).includes(value)))
    return false;
  const inside = new Set(group.map((member) => member.output));
  const sizes = ordered(pieces).map(({ size }) => size);
  const dense = String(stridesOf(sizes));
  return group.every((member) =>
    member.inputs.every((each) => {
      if (inside.has(each) || !sourcesOf(each, isView).includes(value)) return true;
      const operand = access(each);
      if (rootOf(operand.source) !== value) return false;
      const walk = walkOfParts(operand, pieces, parts, splits.get(value)!);
      return walk.offset === 0 && String(walk.strides) === dense;
    }),
  );
}
