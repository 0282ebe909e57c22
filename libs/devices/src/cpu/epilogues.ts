// Which elementwise groups become the epilogue of the product, convolution or window before them: its kernel computes them on each
// part of its result while that is in the cache.
import type { Node, Value } from '@weft/ir';
import { numel } from '@weft/ir';
import type { Unit } from '../reference/schedule.ts';
import { storedOutputs } from '../reference/compile.ts';
import { countOf, isAlias, rootOf, sourcesOf, valuesRead } from '../reference/schedule.ts';
import { isDense, isView, isViewNode } from './access.ts';
import type { AffineEpilogue } from './affine-epilogue.ts';
import { affineEpilogue } from './affine-epilogue.ts';
import type { FusedUnit } from './chain.ts';
import { isReadOnlyBy, nodesOf } from './chain.ts';
import { nativeFamilyOf } from './families.ts';
import type { NativeLibrary } from './library.ts';
import { isPointwise } from './pointwise.ts';
import type { Views } from './views.ts';

/**
 * Elementwise operators that a product computes as it goes, in short rows. For more of them (an optimizer's update) starting each
 * takes longer than reading the result again.
 */
const largestEpilogue = 16;

/**
 * Joins a group to a node before it whose kernel can compute it as it goes: in the node's place where the group depends on nothing
 * later, else the node moves down to the group, past what does not read its results.
 */
export function withEpilogues(units: readonly Unit[], library: NativeLibrary, views: Views): FusedUnit[] {
  const fused = new Places();
  for (const unit of units) {
    if (unit.kind === 'node') {
      fused.push({ node: unit.node, group: [] });
      continue;
    }
    const joined = isPointwise(unit.nodes[0], library)
      ? epilogueAt(fused, unit.nodes, library, views)
      : undefined;
    if (joined?.stays === true) fused.set(joined.index, joined.unit);
    else {
      if (joined !== undefined) fused.remove(joined.index);
      fused.push(joined?.unit ?? { node: undefined, group: unit.nodes });
    }
    const rest = unit.nodes.slice(joined?.unit.group.length ?? unit.nodes.length);
    if (rest.length > 0) fused.push({ node: undefined, group: rest });
  }
  return fused.all();
}

/** Units in order, and where each value is computed. */
class Places {
  private readonly units: (FusedUnit | undefined)[] = [];
  private readonly placeOf = new Map<Value, number>();

  push(unit: FusedUnit): void {
    this.set(this.units.length, unit);
  }
  set(index: number, unit: FusedUnit): void {
    this.units[index] = unit;
    for (const { outputs } of nodesOf(unit)) for (const output of outputs) this.placeOf.set(output, index);
  }
  /** Takes a unit out, which stands elsewhere from now on. */
  remove(index: number): void {
    this.units[index] = undefined;
  }
  at(index: number): FusedUnit {
    return this.units[index]!;
  }
  all(): FusedUnit[] {
    return this.units.filter((unit) => unit !== undefined);
  }
  after(index: number): FusedUnit[] {
    return this.units.slice(index + 1).filter((unit) => unit !== undefined);
  }
  /** Where the values are computed that are, the last first. */
  of(values: Iterable<Value>): number[] {
    const found = new Set<number>();
    for (const value of values) {
      const place = this.placeOf.get(value);
      if (place !== undefined) found.add(place);
    }
    return [...found].sort((a, b) => b - a);
  }
}

function epilogueAt(
  units: Places,
  group: readonly Node[],
  library: NativeLibrary,
  views: Views,
): { index: number; unit: FusedUnit; stays: boolean } | undefined {
  const places = units.of(group.flatMap((member) => member.inputs.flatMap((value) => sourcesOf(value, isView)))); // prettier-ignore
  for (const index of places) {
    const { node, group: own } = units.at(index);
    if (node === undefined || own.length > 0) continue;
    const stays = index === places[0];
    if (
      !isEpilogue(node, group, views) ||
      isForChains(node, group, library) ||
      (!stays && isReadIn(units.after(index), node))
    )
      continue;
    const affine = affineOf(node, group, views);
    if (affine !== undefined) return { index, unit: { node, group, affine }, stays };
    // A gradient that comes back through relu is whole: what follows is another layer's, and better joins what that one needs of it.
    for (let count = group.length - 1; count > 0; count--) {
      const head = affineOf(node, group.slice(0, count), views);
      if (head?.formula.gate !== undefined)
        return { index, unit: { node, group: group.slice(0, count), affine: head }, stays };
    }
    if (nativeFamilyOf(node)!.takesEpilogue?.(node) === true) return { index, unit: { node, group }, stays };
  }
  return undefined;
}

function affineOf(node: Node, group: readonly Node[], { accessOf }: Views): AffineEpilogue | undefined {
  const features = nativeFamilyOf(node)!.affineFeatures?.(node);
  if (features === undefined) return undefined;
  const affine = affineEpilogue(node, features, group, accessOf);
  return affine !== undefined && mayUpdate(affine) ? undefined : affine;
}

/**
 * Whether the result of a product may take the place of a tensor that the program is given, as a parameter's update does: a pointwise
 * step computes it there, a formula needs other memory for the sums.
 */
const mayUpdate = ({ node, formula }: AffineEpilogue): boolean =>
  node.kind === 'core::dot_general' &&
  [...formula.terms.keys()].some((term) => rootOf(term).node.kind === 'prim::Param');

function isReadIn(units: readonly FusedUnit[], { outputs }: Node): boolean {
  const isResult = (source: Value): boolean => outputs.includes(source);
  return units.some((unit) =>
    nodesOf(unit).some((member) =>
      valuesRead(member).some((value) => sourcesOf(value, isView).some(isResult)),
    ),
  );
}

/**
 * Whether a group's results need no memory without it: a chain with reductions of them makes them of the node's own result, which is
 * in memory for others, and of small tensors.
 */
function isForChains(node: Node, group: readonly Node[], library: NativeLibrary): boolean {
  const members = new Set(group);
  if (isReadOnlyBy(members, node.output)) return false;
  const isSmall = (value: Value): boolean =>
    sourcesOf(value, isView).some((source) => 2 * countOf(source) <= countOf(node.output));
  const inputs = group.flatMap((member) => member.inputs);
  if (!inputs.every((value) => members.has(value.node) || rootOf(value) === node.output || isSmall(value))) return false; // prettier-ignore
  const readers = storedOutputs(group).flatMap(({ output }) => readersOf(output).filter((user) => !members.has(user))); // prettier-ignore
  const isReduction = (user: Node): boolean => user.kind === 'core::reduce';
  return (
    readers.some(isReduction) && readers.every((user) => isReduction(user) || isPointwise(user, library))
  );
}

/** The nodes that read a value, as it is or as a view. */
const readersOf = (value: Value): Node[] =>
  value.uses.flatMap(({ user, index }) =>
    isAlias(user) ? readersOf(user.outputs[index]) : isViewNode(user) ? readersOf(user.output) : [user],
  );

/** Whether each element of a group needs no more of the node's result than the same element. */
function isEpilogue(node: Node, group: readonly Node[], { isNative, accessOf }: Views): boolean {
  if (!isNative(node) || group.length > largestEpilogue) return false;
  const count = countOf(node.output);
  if (count === 0 || countOf(group[0].output) !== count) return false;
  const inside = new Set(group.map((member) => member.output));
  let reads = false;
  for (const member of group) {
    for (const value of member.inputs) {
      if (inside.has(value)) continue;
      const access = accessOf(value);
      if (access === undefined) return false;
      if (rootOf(access.source) !== node.output) continue;
      if (access.offset !== 0 || numel(access.sizes) !== count || !isDense(access)) return false;
      reads = true;
    }
  }
  return reads;
}
