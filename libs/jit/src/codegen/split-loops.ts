// Loops over the parts of a split text, as `for word in text.split(" ")` makes them: the parts are found one after the other as
// the loop goes on, and no list is made of them.
import type { Graph, Node, Value } from '@weft/ir';
import { qualifiedName, schemaOfNode } from '@weft/ir';
import { runtimeConstant } from '../runtime/constants.ts';
import type { TextCase } from './text-keys.ts';

export interface SplitLoop {
  readonly split: Node;
  /** What counts the parts, for the loop alone. */
  readonly length: Node;
  /** What reads the part of the turn. */
  readonly readers: ReadonlySet<Node>;
  readonly separator: string;
  /** The dict that the parts are keys of, when there is one. */
  readonly keys?: PartKeys;
}

export interface PartKeys {
  readonly dict: Value;
  /** The part in a case, as the keys are, wherever it is computed. */
  readonly values: ReadonlySet<Value>;
  readonly textCase: TextCase;
}

/**
 * The loops of a graph that go over the parts of a text which nothing else looks at.
 * @param dicts those that only the graph sees
 */
export function splitLoops(graph: Graph, dicts: ReadonlySet<Value>): ReadonlyMap<Node, SplitLoop> {
  const found = new Map<Node, SplitLoop>();
  const visit = (node: Node): void => {
    const loop = isCalled(node, 'aten::split.str') ? loopOver(node, dicts) : undefined;
    if (loop !== undefined) found.set(...loop);
    for (const block of node.blocks) for (const inner of block.nodes()) visit(inner);
  };
  for (const node of graph.nodes()) visit(node);
  return found;
}

function isCalled(node: Node, name: string): boolean {
  const schema = schemaOfNode(node);
  return schema !== undefined && qualifiedName(schema) === name;
}

const constantOf = (value: Value): unknown =>
  value.node.kind === 'prim::Constant' ? runtimeConstant(value.node) : undefined;

function loopOver(split: Node, dicts: ReadonlySet<Value>): [Node, SplitLoop] | undefined {
  const separator = constantOf(split.inputs[1]);
  const most = split.inputs.length < 3 ? -1n : constantOf(split.inputs[2]);
  if (typeof separator !== 'string' || separator === '' || typeof most !== 'bigint' || most >= 0n)
    return undefined;
  if (/\p{Surrogate}/u.test(separator)) return undefined;
  const lengths = split.output.uses.filter(({ user: node }) => isCalled(node, 'aten::len.t'));
  const readers = split.output.uses.filter(({ user: node }) => isCalled(node, 'aten::__getitem__.t'));
  if (lengths.length !== 1 || lengths.length + readers.length !== split.output.uses.length) return undefined;
  const [{ user: length }] = lengths;
  const [use, ...others] = length.output.uses;
  if (use?.user.kind !== 'prim::Loop' || use.index !== 0 || others.length > 0) return undefined;
  const loop = use.user;
  if (loop.block !== split.block) return undefined;
  const [index] = loop.blocks[0].inputs;
  if (!readers.every(({ user: node }) => node.inputs[1] === index)) return undefined;
  const parts = readers.map(({ user }) => user);
  const keys = separator.length === 1 ? keysOf(loop, parts, dicts) : undefined;
  return [loop, { split, length, readers: new Set(parts), separator, keys }];
}

const casing: ReadonlyMap<TextCase, string> = new Map([
  ['lower', 'aten::lower'],
  ['upper', 'aten::upper'],
]);

/** The first dict from outside the loop that parts are keys of, as they are or in a case. */
function keysOf(loop: Node, parts: readonly Node[], dicts: ReadonlySet<Value>): PartKeys | undefined {
  const candidates: [TextCase, Value[]][] = [['as it is', parts.map(({ output }) => output)]];
  for (const [textCase, kind] of casing) {
    const cased = parts.flatMap(({ output }) => output.uses.flatMap(({ user }) => (user.kind === kind ? [user.output] : []))); // prettier-ignore
    candidates.push([textCase, cased]);
  }
  for (const [textCase, values] of candidates) {
    for (const { user, index } of values.flatMap(({ uses }) => uses)) {
      const [dict] = user.inputs;
      if (index !== 1 || !dicts.has(dict) || loop.blocks[0].encloses(dict.node.block!)) continue;
      return { dict, values: new Set(values), textCase };
    }
  }
  return undefined;
}
