// What a graph does with the attributes of a module whose values are known: which it reads, which it changes, and which parts of the
// module get away from it, so that others may change them.
import type { Block, Graph, IValue, Node, Value } from '@weft/ir';
import { AliasAnalysis, ObjectValue, TupleValue, createConstant, isMutable, isTensorLike } from '@weft/ir';
import type { Tensor } from '@weft/tensor';

/** A read (`prim::GetAttr`) or an assignment (`prim::SetAttr`) of an attribute of a known object. */
export interface Access {
  readonly node: Node;
  readonly object: ObjectValue;
  readonly name: string;
}

/** Names of attributes by the object that has them. */
export class AttributeSet {
  private readonly names = new Map<ObjectValue, Set<string>>();
  /** Returns whether it is new. */
  add(object: ObjectValue, name: string): boolean {
    const known = this.names.get(object);
    if (known === undefined) this.names.set(object, new Set([name]));
    else if (known.has(name)) return false;
    else known.add(name);
    return true;
  }
  has(object: ObjectValue, name: string): boolean {
    return this.names.get(object)?.has(name) === true;
  }
  of(object: ObjectValue): ReadonlySet<string> {
    return this.names.get(object) ?? new Set();
  }
}

/** The submodule that an attribute holds; undefined when it holds something else. */
export function submodule(object: ObjectValue, name: string): ObjectValue | undefined {
  const value = object.get(name);
  return value instanceof ObjectValue && value.type.isModule ? value : undefined;
}

/**
 * The module that a value of a graph is, where that is known: the graph's first input is `root`, and an attribute that is not
 * `fixed` may be another one by then.
 */
export function moduleOf(
  value: Value,
  root: ObjectValue,
  isFixed: (object: ObjectValue, name: string) => boolean,
): ObjectValue | undefined {
  if (value === value.graph.inputs[0]) return root;
  if (value.node.kind !== 'prim::GetAttr') return undefined;
  const owner = moduleOf(value.node.inputs[0], root, isFixed);
  const name = value.node.get('s', 'name');
  return owner === undefined || !isFixed(owner, name) ? undefined : submodule(owner, name);
}

export const always = (): boolean => true;

/** All accesses to attributes of known modules. */
export function accessesOf(
  graph: Graph,
  root: ObjectValue,
  isFixed = always as (object: ObjectValue, name: string) => boolean,
): Access[] {
  const found: Access[] = [];
  walk(graph.block, (node) => {
    if (node.kind !== 'prim::GetAttr' && node.kind !== 'prim::SetAttr') return;
    const object = moduleOf(node.inputs[0], root, isFixed);
    if (object !== undefined) found.push({ node, object, name: node.get('s', 'name') });
  });
  return found;
}

export function walk(block: Block, visit: (node: Node) => void): void {
  for (const node of [...block.nodes()]) {
    visit(node);
    for (const inner of node.blocks) walk(inner, visit);
  }
}

/** Adds what the graph changes, or may let others change, of the module. */
export function collectChanged(graph: Graph, root: ObjectValue, changed: AttributeSet): void {
  const accesses = accessesOf(graph, root);
  for (const { node, object, name } of accesses) if (node.kind === 'prim::SetAttr') changed.add(object, name);
  // A module that is handed to a call, returned, or chosen among others is out of sight.
  const escape = (value: Value): void => {
    const object = moduleOf(value, root, always);
    if (object !== undefined && value.uses.some(({ user, index }) => !isAccess(user, index)))
      addAll(object, changed);
  };
  escape(graph.inputs[0]);
  for (const { node } of accesses) if (node.kind === 'prim::GetAttr') escape(node.output);
  collectWritten(graph, accesses, changed);
}

const isAccess = ({ kind }: Node, index: number): boolean =>
  index === 0 && (kind === 'prim::GetAttr' || kind === 'prim::SetAttr');

function addAll(object: ObjectValue, changed: AttributeSet): void {
  for (const { name } of object.type.attributes) {
    if (!changed.add(object, name)) continue;
    const inner = submodule(object, name);
    if (inner !== undefined) addAll(inner, changed);
  }
}

/** Attributes whose value is written to. Two of them are one thing only when they are at the moment. */
function collectWritten(graph: Graph, accesses: readonly Access[], changed: AttributeSet): void {
  const plain = new AliasAnalysis(graph);
  // In a copy each attribute is a value of its own, so that a write to one is none to all.
  const apart = graph.clone();
  const copies: Node[] = [];
  const originals: Node[] = [];
  walk(graph.block, (node) => originals.push(node));
  walk(apart.block, (node) => copies.push(node));
  const copyOf = new Map(originals.map((node, index) => [node, copies[index]]));
  const stands = new Map<ObjectValue, Map<string, Value>>();
  for (const { node, object, name } of accesses) {
    if (node.kind !== 'prim::GetAttr' || !isMutable(node.output.type)) continue;
    const value = object.get(name);
    if (value instanceof ObjectValue) {
      if (!value.type.isModule && plain.hasDeepWriters(node.output)) changed.add(object, name);
      continue;
    }
    if (!isTensorLike(value)) {
      // What is in a container is found by type alone.
      const isContainer = typeof value === 'object' && value !== null;
      if (isContainer && plain.hasDeepWriters(node.output)) changed.add(object, name);
      continue;
    }
    const byName = stands.get(object) ?? new Map<string, Value>();
    stands.set(object, byName);
    let stand = byName.get(name);
    if (stand === undefined) {
      const constant = createConstant(apart, null, node.output.type);
      apart.block.prependNode(constant);
      byName.set(name, (stand = constant.output.setType(node.output.type)));
    }
    copyOf.get(node)!.output.replaceAllUsesWith(stand);
  }
  const alias = new AliasAnalysis(apart);
  const written: Tensor[] = [];
  const each = (visit: (object: ObjectValue, name: string, stand: Value) => void): void =>
    stands.forEach((byName, object) => byName.forEach((stand, name) => visit(object, name, stand)));
  each((object, name, stand) => {
    if (alias.hasDeepWriters(stand)) written.push(object.get(name) as unknown as Tensor);
  });
  const memory = new Set<unknown>(written.map(({ storage }) => storage));
  each((object, name) => {
    if (memory.has((object.get(name) as unknown as Tensor).storage)) changed.add(object, name);
  });
}

/** Whether a value can be a constant of a graph: no object of a class is in it. */
export function isConstantValue(value: IValue): boolean {
  if (value === null || typeof value !== 'object') return true;
  if (value instanceof ObjectValue || 'isFuture' in value || 'isGenerator' in value) return false;
  if (value instanceof TupleValue) return value.items.every(isConstantValue);
  if (Array.isArray(value)) return value.every(isConstantValue);
  return value instanceof Map ? [...value].flat().every(isConstantValue) : true;
}
