// Alias analysis: which values may share memory, and which nodes may write to it. After TorchScript's AliasDb, flow-insensitive:
// each value that can change points to memory locations. A location is a fresh object, or a wildcard: anything that came
// from outside (a graph input, an attribute, an item of a container, what a call returned), one wildcard a type, since
// values of different types do not share memory. Schemas say what operators do (`(a)` points to the operand, `(a!)` writes,
// `(a -> *)` joins the wildcard); an operator without schema is taken to do everything. What a list or dict holds is in
// the wildcard unless the list serves one reading operator; tuples, being immutable, remember their elements.
import { schemaOfNode } from '../schema/registry.ts';
import type { AliasInfo } from '../schema/schema.ts';
import { hasSideEffects } from '../schema/effects.ts';
import { typeToString } from '../text/type-text.ts';
import { eraseRefinements } from '../types/lattice.ts';
import { isMutable } from '../types/mutability.ts';
import type { Type } from '../types/types.ts';
import type { Block, Graph, Node, Value } from './graph.ts';

/** A place in memory, or a pointer to some. */
interface Element {
  readonly pointsTo: Set<Element>;
  /** What a container is known to hold; wildcards hold wildcards, which needs no record. */
  readonly contained: Set<Element>;
  readonly isWildcard: boolean;
}

/** What a node does to memory, nested blocks included. */
interface Accesses {
  readonly reads: Set<Value>;
  readonly writes: Set<Value>;
  /** Reads and writes whatever can be reached from outside. */
  touchesAll: boolean;
}

/** The analysis of one graph as it is; make a new one after changing the graph in ways that it cannot foresee. */
export class AliasAnalysis {
  private readonly elements = new Map<Value, Element>();
  private readonly wildcards = new Map<string, Element>();
  /** A value of type Any, Union or interface may be anything: its wildcard shares memory with all others. */
  private readonly anyWildcard: Element = createElement(true);
  /** Lists and dicts whose items are all recorded. */
  private readonly itemised = new Set<Value>();
  /** Values that a node itself writes to, or every wildcard. */
  private readonly writes = new Map<Node, Set<Value> | 'all'>();
  private writtenLocations: Set<Element> | undefined;
  /** Which values reach a location. */
  private holders: Map<Element, Value[]> | undefined;
  /** Answers of `locations` and `reachable`, kept once the elements stand. */
  private readonly locationSets = new Map<Value, Set<Element>>();
  private readonly reachableSets = new Map<Value, Set<Element>>();
  private isComplete = false;
  private writesToAll = false;

  constructor(readonly graph: Graph) {
    for (const input of graph.inputs) this.setWildcard(input);
    this.block(graph.block);
    this.spreadEscapes();
    this.isComplete = true;
  }

  // ---- queries --------------------------------------------------------------------------------------------------

  /** Whether the two values may share memory, or one may be the other. */
  mayAlias(a: Value, b: Value): boolean {
    return intersects(this.locations(a), this.locations(b), this.anyWildcard);
  }

  /** As `mayAlias`, for the values or anything that they hold. */
  mayContainAlias(a: Value, b: Value): boolean {
    return intersects(this.reachable(a), this.reachable(b), this.anyWildcard);
  }

  /** Whether the node, or one in its blocks, may write to memory of a value or of what it holds. */
  mayWriteTo(node: Node, values: Iterable<Value>): boolean {
    const access = this.accesses(node);
    const wanted = new Set<Element>();
    for (const value of values) for (const location of this.reachable(value)) wanted.add(location);
    if (access.touchesAll && [...wanted].some((location) => location.isWildcard)) return true;
    return intersects(this.locationsOf(access.writes), wanted, this.anyWildcard);
  }

  /** Values that a node which does not write outside may write to, or to what they hold; each asked node costs little. */
  valuesWrittenBy(node: Node): readonly Value[] {
    if (this.holders === undefined) {
      this.holders = new Map();
      for (const value of this.elements.keys()) {
        for (const location of this.reachable(value)) {
          const list = this.holders.get(location);
          if (list === undefined) this.holders.set(location, [value]);
          else list.push(value);
        }
      }
    }
    const found = new Set<Value>();
    for (const location of this.locationsOf(this.accesses(node).writes)) {
      for (const value of this.holders.get(location) ?? []) found.add(value);
    }
    return [...found];
  }

  /** Whether any node of the graph may write to the value's own memory. */
  hasWriters(value: Value): boolean {
    const locations = this.locations(value);
    if (this.writesToAll && [...locations].some((location) => location.isWildcard)) return true;
    return intersects(this.written(), locations, this.anyWildcard);
  }

  /** Whether anything the node reads, or makes, may be written to by some node. */
  hasWritersOf(node: Node): boolean {
    return (
      node.inputs.some((input) => this.hasDeepWriters(input)) ||
      node.outputs.some((output) => this.hasDeepWriters(output))
    );
  }

  /** As `hasWriters`, for the value or anything that it holds. */
  hasDeepWriters(value: Value): boolean {
    const locations = this.reachable(value);
    if (this.writesToAll && [...locations].some((location) => location.isWildcard)) return true;
    return intersects(this.written(), locations, this.anyWildcard);
  }

  /** Whether the node, or one in its blocks, writes to anything. */
  isMutating(node: Node): boolean {
    const { writes, touchesAll } = this.accesses(node);
    return touchesAll || writes.size > 0;
  }

  /** Whether the node, or one in its blocks, may write to memory that is reached from outside. */
  writesOutside(node: Node): boolean {
    const { writes, touchesAll } = this.accesses(node);
    if (touchesAll) return true;
    return [...this.reachableOf(writes)].some((location) => location.isWildcard);
  }

  /**
   * Whether reading one of `a` where the program reads one of `b`, and the other way round, changes nothing: none is written
   * to, and not both can be told apart from outside.
   */
  mayMerge(a: readonly Value[], b: readonly Value[]): boolean {
    const values = [...a, ...b].filter((value) => isMutable(value.type));
    if (values.some((value) => this.hasDeepWriters(value))) return false;
    const escapes = (side: readonly Value[]): boolean =>
      side.some((value) => isMutable(value.type) && this.mayEscape(value));
    return !(escapes(a) && escapes(b));
  }

  /** Whether the value may be reached from outside: an input, an attribute, an item of a container, a graph output. */
  mayEscape(value: Value): boolean {
    const reachable = this.reachable(value);
    if ([...reachable].some((location) => location.isWildcard)) return true;
    return this.graph.outputs.some((output) =>
      intersects(this.reachable(output), reachable, this.anyWildcard),
    );
  }

  /** Whether running `node` directly before `point`, of the same block, gives the same results everywhere. */
  canMoveBefore(node: Node, point: Node): boolean {
    if (node.block === undefined || node.block !== point.block || node === point) return node === point;
    const isUp = point.isBefore(node);
    // The nodes that `node` would jump over.
    let other = isUp ? point : node.next!;
    const end = isUp ? node : point;
    for (; other !== end; other = other.next!) {
      if (isUp ? dependsOn(node, other) : dependsOn(other, node)) return false;
      if (this.conflicts(node, other)) return false;
    }
    return !(node.kind === 'prim::Return' || node.kind === 'prim::Param');
  }

  /** As `canMoveBefore`, directly behind `point`. */
  canMoveAfter(node: Node, point: Node): boolean {
    return node === point || (point.next !== undefined && this.canMoveBefore(node, point.next));
  }

  /** Whether the order of two nodes matters to memory or to effects. */
  conflicts(a: Node, b: Node): boolean {
    if (hasSideEffects(a) && hasSideEffects(b)) return true;
    const [first, second] = [this.accesses(a), this.accesses(b)];
    if (first.touchesAll && (second.touchesAll || this.touchesWildcard(second))) return true;
    if (second.touchesAll && this.touchesWildcard(first)) return true;
    const [firstWrites, secondWrites] = [this.locationsOf(first.writes), this.locationsOf(second.writes)];
    const any = this.anyWildcard;
    return (
      intersects(firstWrites, this.reachableOf(second.reads), any) ||
      intersects(secondWrites, this.reachableOf(first.reads), any) ||
      intersects(firstWrites, secondWrites, any)
    );
  }

  /** Tells the analysis of a constant that was inserted after it was made. */
  addConstant(constant: Value): void {
    this.fresh(constant);
    this.holders = undefined;
  }

  // ---- construction ---------------------------------------------------------------------------------------------

  private block(block: Block): void {
    for (const node of block.nodes()) this.node(node);
  }

  private node(node: Node): void {
    switch (node.kind) {
      case 'prim::If':
        for (const block of node.blocks) this.block(block);
        node.outputs.forEach((output, index) => {
          for (const block of node.blocks) this.pointTo(output, block.outputs[index]);
        });
        return;
      case 'prim::Loop':
        return this.loop(node);
      case 'prim::TupleConstruct':
        if (!isMutable(node.output.type)) return;
        this.fresh(node.output);
        for (const input of node.inputs) this.contain(node.output, input);
        return;
      case 'prim::ListConstruct':
      case 'prim::DictConstruct':
        return this.container(node);
      case 'prim::TupleUnpack':
      case 'prim::TupleIndex':
      case 'prim::TupleSlice':
        return this.takeApart(node);
      case 'prim::Constant':
        if (isMutable(node.output.type)) this.fresh(node.output);
        return;
      case 'prim::CreateObject':
      case 'prim::Uninitialized':
        for (const output of node.outputs) this.fresh(output);
        return;
      case 'prim::ListUnpack':
      case 'prim::GetAttr':
        for (const output of node.outputs) this.setWildcard(output);
        return;
      case 'prim::SetAttr':
        this.write(node, node.inputs[0]);
        this.setWildcard(node.inputs[1]);
        return;
      case 'prim::unchecked_cast':
        return this.pointTo(node.output, node.inputs[0]);
      case 'prim::isinstance':
        return;
      case 'prim::Enter':
      case 'prim::Exit':
        return this.context(node);
      default:
    }
    if (node.namespace === 'core') {
      for (const block of node.blocks) this.block(block);
      for (const output of node.outputs) this.fresh(output);
    } else if (!this.schema(node)) this.conservative(node);
  }

  private loop(node: Node): void {
    const [body] = node.blocks;
    body.inputs.slice(1).forEach((parameter, index) => this.pointTo(parameter, node.inputs[index + 2]));
    this.block(body);
    node.outputs.forEach((output, index) => {
      this.pointTo(body.inputs[index + 1], body.outputs[index + 1]);
      this.pointTo(output, body.outputs[index + 1]);
      this.pointTo(output, node.inputs[index + 2]);
    });
  }

  /** A list that one reading operator takes (`cat`, `stack`) keeps its items apart; any other lets them escape. */
  private container(node: Node): void {
    this.fresh(node.output);
    const readsOnly = node.output.uses.length === 1 && isReader(node.output.uses[0].user);
    for (const input of node.inputs) {
      if (readsOnly) this.contain(node.output, input);
      else this.setWildcard(input);
    }
    if (readsOnly) this.itemised.add(node.output);
  }

  private takeApart(node: Node): void {
    const maker = node.inputs[0].node;
    if (node.kind === 'prim::TupleUnpack' && maker.kind === 'prim::TupleConstruct') {
      node.outputs.forEach((output, index) => this.pointTo(output, maker.inputs[index]));
      return;
    }
    for (const output of node.outputs) this.setWildcard(output);
    // What comes out of the tuple is still in it: its elements escape.
    this.setWildcard(node.inputs[0]);
  }

  /** Follows the annotations of the node's schema; false when it has none. */
  private schema(node: Node): boolean {
    const schema = schemaOfNode(node);
    if (schema === undefined || node.blocks.length > 0) return false;
    if (schema.isVarret) return false;
    const sets = new Map<string, Value[]>();
    const enter = (value: Value, alias: AliasInfo | undefined): void => {
      if (alias === undefined || !isMutable(value.type)) return;
      if (alias.isWrite) this.write(node, value);
      for (const set of alias.before) {
        if (set === '*') this.setWildcard(value);
        else sets.set(set, [...(sets.get(set) ?? []), value]);
      }
      if (alias.after.includes('*') && !alias.before.includes('*')) this.setWildcard(value);
      if (alias.contained !== undefined) enter(value, alias.contained);
    };
    schema.arguments.forEach((argument, index) => {
      if (index < node.inputs.length) enter(node.inputs[index], argument.alias);
    });
    schema.returns.forEach((result, index) => {
      const output = node.outputs[index];
      if (output === undefined || !isMutable(output.type)) return;
      const { alias } = result;
      if (alias === undefined) return this.fresh(output);
      this.fresh(output);
      for (const set of alias.before) {
        if (set === '*') this.setWildcard(output);
        for (const value of sets.get(set) ?? []) this.pointTo(output, value);
      }
      for (const set of alias.contained?.before ?? []) {
        for (const value of sets.get(set) ?? []) this.contain(output, value);
      }
      // What a fresh list holds was made by the operator; it can be reached only through the list.
      if (alias.isWrite) this.write(node, output);
    });
    return true;
  }

  /** The methods of a context reach the object alone, unless it holds something that can change (grad modes do not). */
  private context(node: Node): void {
    const { type } = node.inputs[0];
    if (type.kind !== 'Class' || type.attributes.some((attribute) => isMutable(attribute.type))) {
      return this.conservative(node);
    }
    this.write(node, node.inputs[0]);
    for (const output of node.outputs) this.setWildcard(output);
  }

  private conservative(node: Node): void {
    for (const block of node.blocks) this.block(block);
    for (const input of node.inputs) this.setWildcard(input);
    for (const output of node.outputs) this.setWildcard(output);
    if (node.inputs.some((input) => isMutable(input.type)) || hasSideEffects(node)) {
      this.writes.set(node, 'all');
      this.writesToAll = true;
    }
  }

  private write(node: Node, value: Value): void {
    const written = this.writes.get(node);
    if (written === 'all') return;
    if (written === undefined) this.writes.set(node, new Set([value]));
    else written.add(value);
  }

  // ---- elements -------------------------------------------------------------------------------------------------

  private elementOf(value: Value): Element {
    let element = this.elements.get(value);
    if (element === undefined) {
      element = createElement(false);
      this.elements.set(value, element);
    }
    return element;
  }

  private fresh(value: Value): void {
    if (isMutable(value.type)) this.elementOf(value);
  }

  private pointTo(value: Value, target: Value): void {
    if (!isMutable(value.type) || !isMutable(target.type)) return;
    const [from, to] = [this.elementOf(value), this.elementOf(target)];
    if (from !== to) from.pointsTo.add(to);
  }

  private contain(container: Value, item: Value): void {
    if (isMutable(item.type)) this.elementOf(container).contained.add(this.elementOf(item));
  }

  private setWildcard(value: Value): void {
    if (!isMutable(value.type)) return;
    const element = this.elementOf(value);
    element.pointsTo.add(this.wildcardOf(value.type));
  }

  /** Whoever reaches a container in the wildcard reaches what it holds. */
  private spreadEscapes(): void {
    for (let changed = true; changed;) {
      changed = false;
      for (const element of this.elements.values()) {
        const held = heldBy(element);
        if (held.size === 0 || ![...leaves([element], false)].some((location) => location.isWildcard))
          continue;
        for (const item of held) {
          if (item.isWildcard || item.pointsTo.has(this.anyWildcard)) continue;
          item.pointsTo.add(this.anyWildcard);
          changed = true;
        }
      }
    }
  }

  private wildcardOf(type: Type): Element {
    const key = wildcardKey(type);
    if (key === undefined) return this.anyWildcard;
    let wildcard = this.wildcards.get(key);
    if (wildcard === undefined) {
      wildcard = createElement(true);
      this.wildcards.set(key, wildcard);
    }
    return wildcard;
  }

  private locations(value: Value): Set<Element> {
    let found = this.locationSets.get(value);
    if (found === undefined) {
      const element = this.elements.get(value);
      found = element === undefined ? new Set() : leaves([element], false);
      if (this.isComplete) this.locationSets.set(value, found);
    }
    return found;
  }

  private reachable(value: Value): Set<Element> {
    let found = this.reachableSets.get(value);
    if (found === undefined) {
      const element = this.elements.get(value);
      found = element === undefined ? new Set() : leaves([element], true);
      // A container whose items were not kept apart holds wildcards of what its type contains.
      if (element !== undefined && !this.itemised.has(value)) {
        for (const type of heldTypes(value.type)) found.add(this.wildcardOf(type));
      }
      if (this.isComplete) this.reachableSets.set(value, found);
    }
    return found;
  }

  private locationsOf(values: Iterable<Value>): Set<Element> {
    const all = new Set<Element>();
    for (const value of values) for (const location of this.locations(value)) all.add(location);
    return all;
  }

  private reachableOf(values: Iterable<Value>): Set<Element> {
    const all = new Set<Element>();
    for (const value of values) for (const location of this.reachable(value)) all.add(location);
    return all;
  }

  private written(): Set<Element> {
    if (this.writtenLocations === undefined) {
      this.writtenLocations = new Set();
      for (const [node, values] of this.writes) {
        if (values === 'all') continue;
        for (const location of this.writeTargets(node, values)) this.writtenLocations.add(location);
      }
    }
    return this.writtenLocations;
  }

  /** A write to a list argument annotated on its elements (`Tensor(a!)[]`) reaches what the list holds. */
  private writeTargets(node: Node, values: Set<Value>): Set<Element> {
    const targets = this.locationsOf(values);
    const schema = schemaOfNode(node);
    schema?.arguments.forEach((argument, index) => {
      if (argument.alias?.contained?.isWrite === true && index < node.inputs.length) {
        for (const location of this.reachable(node.inputs[index])) targets.add(location);
      }
    });
    return targets;
  }

  private touchesWildcard({ reads, writes }: Accesses): boolean {
    const touched = [...this.reachableOf(reads), ...this.locationsOf(writes)];
    return touched.some((location) => location.isWildcard);
  }

  private accesses(node: Node): Accesses {
    const access: Accesses = { reads: new Set(), writes: new Set(), touchesAll: false };
    this.collectAccesses(node, access);
    return access;
  }

  private collectAccesses(node: Node, access: Accesses): void {
    for (const input of node.inputs) if (isMutable(input.type)) access.reads.add(input);
    const written = this.writes.get(node);
    if (written === 'all') access.touchesAll = true;
    else for (const value of written ?? []) access.writes.add(value);
    const schema = written === undefined || written === 'all' ? undefined : schemaOfNode(node);
    schema?.arguments.forEach((argument, index) => {
      if (argument.alias?.contained?.isWrite !== true) return;
      // The items are written through the list: those kept apart by name, all others as wildcards.
      const maker = node.inputs[index].node;
      if (maker.kind === 'prim::ListConstruct') for (const item of maker.inputs) access.writes.add(item);
      else access.touchesAll = true;
    });
    for (const block of node.blocks) {
      for (const nested of block.nodes()) this.collectAccesses(nested, access);
      for (const output of block.outputs) if (isMutable(output.type)) access.reads.add(output);
    }
  }
}

const createElement = (isWildcard: boolean): Element => ({
  pointsTo: new Set(),
  contained: new Set(),
  isWildcard,
});

/** What the containers that an element points to are known to hold. */
function heldBy(element: Element): Set<Element> {
  const held = new Set<Element>();
  const seen = new Set<Element>();
  const visit = (pointer: Element): void => {
    if (seen.has(pointer)) return;
    seen.add(pointer);
    for (const item of pointer.contained) held.add(item);
    for (const target of pointer.pointsTo) visit(target);
  };
  visit(element);
  return held;
}

/** Locations that the elements point to; `deep` adds those of what they contain. A pointer to nothing is a location itself. */
function leaves(elements: Iterable<Element>, deep: boolean): Set<Element> {
  const found = new Set<Element>();
  const seen = new Set<Element>();
  const visit = (element: Element): void => {
    if (seen.has(element)) return;
    seen.add(element);
    if (element.pointsTo.size === 0) found.add(element);
    for (const target of element.pointsTo) visit(target);
    if (deep) for (const item of element.contained) visit(item);
  };
  for (const element of elements) visit(element);
  return found;
}

function intersects(a: Set<Element>, b: Set<Element>, any: Element): boolean {
  const [small, large] = a.size < b.size ? [a, b] : [b, a];
  for (const element of small) if (large.has(element)) return true;
  const hasWildcard = (set: Set<Element>): boolean => [...set].some((element) => element.isWildcard);
  return (a.has(any) && hasWildcard(b)) || (b.has(any) && hasWildcard(a));
}

/** Values of different keys do not share memory; undefined when the type does not say what the value is. */
function wildcardKey(type: Type): string | undefined {
  switch (type.kind) {
    case 'Tensor':
      return 'Tensor';
    case 'Optional':
      return wildcardKey(type.element);
    case 'List':
    case 'Dict':
    case 'Tuple':
    case 'Future':
      return typeToString(eraseRefinements(type));
    case 'Class':
      return `class ${type.name}`;
    case 'Generator':
    case 'Stream':
    case 'Storage':
      return type.kind;
    default:
      return undefined;
  }
}

/** Mutable types of what a list, dict or object of the type may hold that is not recorded item by item. */
function heldTypes(type: Type): readonly Type[] {
  switch (type.kind) {
    case 'Optional':
      return heldTypes(type.element);
    case 'List':
      return deepTypes(type.element);
    case 'Dict':
      return deepTypes(type.value);
    case 'Future':
      return deepTypes(type.element);
    case 'Class':
      return deepTypes(type);
    case 'Interface':
    case 'Any':
    case 'Union':
      return [{ kind: 'Any' }];
    default:
      return [];
  }
}

/** Mutable types that are reached from a value of the type, itself included. */
function deepTypes(type: Type): Type[] {
  const found: Type[] = [];
  const seen = new Set<Type>();
  const visit = (inner: Type): void => {
    if (seen.has(inner) || !isMutable(inner)) return;
    seen.add(inner);
    found.push(inner);
    if (inner.kind === 'Class') for (const attribute of inner.attributes) visit(attribute.type);
    else if (inner.kind === 'List' || inner.kind === 'Optional' || inner.kind === 'Future')
      visit(inner.element);
    else if (inner.kind === 'Dict') visit(inner.value);
    else if (inner.kind === 'Tuple') for (const element of inner.elements) visit(element);
  };
  visit(type);
  return found;
}

/** Whether an operator only reads its operands and returns nothing that shares memory with them. */
function isReader(node: Node): boolean {
  const schema = node.namespace === 'aten' ? schemaOfNode(node) : undefined;
  return (
    schema !== undefined &&
    node.block !== undefined &&
    [...schema.arguments, ...schema.returns].every((argument) => argument.alias === undefined)
  );
}

const dependsOn = (node: Node, other: Node): boolean =>
  node.inputs.some((input) => input.node === other) ||
  node.blocks.some(
    (block) =>
      block.outputs.some((output) => output.node === other) ||
      [...block.nodes()].some((nested) => dependsOn(nested, other)),
  );
