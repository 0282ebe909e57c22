// Loops over the parts of a split text, as `for word in text.split(" ")` makes them: the parts are found one after the other as
// the loop goes on, and no list is made of them.
import type { Graph, Node, Value } from '@weft/ir';
import { qualifiedName, schemaOfNode } from '@weft/ir';
import { runtimeConstant } from '../runtime/constants.ts';

export interface SplitLoop {
  readonly split: Node;
  /** What counts the parts, for the loop alone. */
  readonly length: Node;
  /** What reads the part of the turn. */
  readonly readers: ReadonlySet<Node>;
  readonly separator: string;
}

/** The loops of a graph that go over the parts of a text which nothing else looks at. */
export function splitLoops(graph: Graph): ReadonlyMap<Node, SplitLoop> {
  const found = new Map<Node, SplitLoop>();
  const visit = (node: Node): void => {
    const loop = isCalled(node, 'aten::split.str') ? loopOver(node) : undefined;
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

function loopOver(split: Node): [Node, SplitLoop] | undefined {
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
  return [loop, { split, length, readers: new Set(readers.map(({ user: node }) => node)), separator }];
}
