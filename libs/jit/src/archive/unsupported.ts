// The operators of a module's code, and those among them that nothing here gives a meaning: all of them, before anything runs.
import type { Block, ClassType, FunctionRef, Node, ScriptFunction, Type } from '@weft/ir';
import { UnsupportedError, findSchema, qualifiedName, schemaOfNode } from '@weft/ir';
import { refusalOf } from '@weft/ops';
import { isRunnable } from '../runtime/index.ts';

/** Operators with a schema that the interpreter runs as instructions of its own. */
const instructions: ReadonlySet<string> = new Set([
  'prim::RaiseException',
  'prim::Uninitialized',
  'prim::unchecked_cast',
  'prim::unchecked_unwrap_optional',
  'prim::TupleUnpack',
  'prim::ListUnpack',
]);

/** Whether a program may use the operator of this qualified name, be it called or an instruction. */
export const isSupported = (name: string): boolean => instructions.has(name) || isRunnable(name);

/** An operator in a module's code. */
export interface UsedOperator {
  /** Qualified: `aten::add.Tensor`. */
  readonly name: string;
  readonly isSupported: boolean;
  /** How often it stands in the code. */
  readonly count: number;
  /** The first node of it. */
  readonly first: Node;
}

/** Every operator in the code of a class and of everything it refers to. */
export function operatorsUsed(type: ClassType): UsedOperator[] {
  const used = new Map<string, { count: number; first: Node }>();
  for (const graph of graphsOf(type)) collect(graph, used);
  return [...used].map(([name, { count, first }]) => ({
    name,
    isSupported: isSupported(name),
    count,
    first,
  }));
}

/** Throws UnsupportedError listing every operator that cannot run, with the first place of each. */
export function refuseUnsupported(type: ClassType, file: string): void {
  const missing = operatorsUsed(type).filter(({ isSupported }) => !isSupported);
  if (missing.length === 0) return;
  const lines = missing.map(({ name, first }) => {
    const schema = findSchema(name);
    const reason = schema && refusalOf(schema)?.reason;
    const place = first.source === undefined ? '' : ` (${first.source.toString()})`;
    return `  ${name}${place}${reason === undefined ? '' : `: ${reason}`}`;
  });
  throw new UnsupportedError(
    `${file} uses ${missing.length === 1 ? 'an operator that is' : `${missing.length} operators that are`} not supported:\n${lines.join('\n')}`,
  );
}

function collect(block: Block, used: Map<string, { count: number; first: Node }>): void {
  for (const node of block.nodes()) {
    const name = operatorName(node);
    if (name !== undefined) {
      const known = used.get(name);
      if (known === undefined) used.set(name, { count: 1, first: node });
      else known.count++;
    }
    for (const inner of node.blocks) collect(inner, used);
  }
}

/** The qualified name of a node that is an operator; undefined for the structure of programs. */
function operatorName(node: Node): string | undefined {
  if (instructions.has(node.kind)) return undefined;
  const schema = schemaOfNode(node);
  if (schema !== undefined) return qualifiedName(schema);
  if (node.namespace === 'prim') return undefined;
  const { overload = '' } = node;
  const name = overload === '' ? node.kind : `${node.kind}.${overload}`;
  return findSchema(name) === undefined ? name : undefined;
}

/** The bodies of all methods of a class and of everything they refer to. */
export const graphsOf = (root: ClassType): Set<Block> => reachable(root).blocks;

/** All code and all classes that a class leads to. */
export function reachable(root: ClassType): { blocks: Set<Block>; classes: Set<ClassType> } {
  const blocks = new Set<Block>();
  const classes = new Set<ClassType>();
  const functions = new Set<FunctionRef>();
  const visitFunction = (reference: FunctionRef): void => {
    if (functions.has(reference)) return;
    functions.add(reference);
    const { graph } = reference as ScriptFunction;
    blocks.add(graph.block);
    visitBlock(graph.block);
  };
  const visitBlock = (block: Block): void => {
    for (const node of block.nodes()) {
      for (const { type } of [...node.inputs, ...node.outputs]) visitType(type);
      for (const inner of node.blocks) visitBlock(inner);
      for (const attribute of node.attributes.values()) {
        if (attribute.kind === 'g') visitBlock(attribute.value.block);
      }
    }
  };
  const visitType = (type: Type): void => {
    if (type.kind === 'Function') visitFunction(type.function);
    if (type.kind !== 'Class' || classes.has(type)) return;
    classes.add(type);
    for (const attribute of type.attributes) visitType(attribute.type);
    for (const method of [...type.methods.values(), ...type.staticMethods.values()]) visitFunction(method);
  };
  visitType(root);
  return { blocks, classes };
}
