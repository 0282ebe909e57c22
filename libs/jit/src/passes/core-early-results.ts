// What only makes results of the graph out of values that nothing else needs is computed as soon as these are there, so that they need
// not be kept: updates of parameters, which a training step has at its end, each behind its own gradient. Only elementwise nodes move.
// They stay behind every other reader of the inputs that they may be written over (a parameter is read by the backward pass too).
import type { Graph, Node, Value } from '@weft/ir';
import { coreOperator, numel, specOf } from '@weft/ir';
import type { Pass } from './pass.ts';

const placing = new Set(['broadcast_in_dim', 'constant', 'iota', 'reshape', 'transpose']);
const mayMove = (node: Node): boolean =>
  node.blocks.length === 0 &&
  (coreOperator(node.operator).isElementwise === true || placing.has(node.operator));

/** Returns whether anything was moved. */
export function computeResultsEarly(graph: Graph): boolean {
  const before = [...graph.nodes()];
  const parts = partsOf(graph, before);
  const placed = new Set<Node>();
  // Single numbers (bias corrections) first: the others read them.
  for (const part of parts.filter(isSmall)) placePart(graph, part, placed);
  for (const part of parts.filter((each) => !isSmall(each))) placePart(graph, part, placed);
  let at = 0;
  for (const node of graph.nodes()) if (node !== before[at++]) return true;
  return false;
}

/** The nodes whose values lead to results only, in parts: those that are joined by more than single numbers. All in order. */
function partsOf(graph: Graph, nodes: readonly Node[]): Node[][] {
  const movable = new Set<Node>();
  for (const node of nodes.toReversed()) {
    if (!mayMove(node)) continue;
    const leads = node.outputs.every(({ uses }) =>
      uses.every(({ user }) => user === graph.returnNode || movable.has(user)),
    );
    if (leads) movable.add(node);
  }
  const partOf = new Map<Node, Node[]>();
  for (const node of nodes) {
    if (!movable.has(node)) continue;
    let own = [node];
    for (const value of node.inputs) {
      const other = isLarge(value) ? partOf.get(value.node) : undefined;
      if (other === undefined || other === own) continue;
      const [into, from] = other.length >= own.length ? [other, own] : [own, other];
      into.push(...from);
      for (const each of from) partOf.set(each, into);
      own = into;
    }
    partOf.set(node, own);
  }
  const order = new Map(nodes.map((node, index) => [node, index]));
  const parts = [...new Set(partOf.values())];
  for (const part of parts) part.sort((a, b) => order.get(a)! - order.get(b)!);
  return parts;
}

/** Moves a part to behind what it reads, and behind parts that are there already. */
function placePart(graph: Graph, part: readonly Node[], placed: Set<Node>): void {
  const own = new Set(part);
  let last: Node | undefined;
  const behind = (node: Node): void => {
    if (own.has(node) || node === graph.returnNode || node === graph.block.paramNode) return;
    if (last === undefined || last.isBefore(node)) last = node;
  };
  for (const node of part) {
    for (const value of node.inputs) {
      behind(value.node);
      if (!value.isParameter || !isLarge(value)) continue;
      for (const { user } of value.uses) behind(outermost(graph, user));
    }
  }
  for (const node of part) placed.add(node);
  // What is large and made of inputs alone would only be kept for longer.
  if (last === undefined && !isSmall(part)) return;
  let anchor = last ?? graph.block.paramNode;
  while (placed.has(anchor.next!) && !own.has(anchor.next!)) anchor = anchor.next!;
  for (const node of part) {
    if (anchor.next !== node) node.moveAfter(anchor);
    anchor = node;
  }
}

/** The node of the graph's own block in which a node stands. */
function outermost(graph: Graph, node: Node): Node {
  let at = node;
  while (at.block !== graph.block && at.block?.owner !== undefined) at = at.block.owner;
  return at;
}

const isSmall = (part: readonly Node[]): boolean => part.every((node) => !node.outputs.some(isLarge));
/** Whether a value takes memory that is worth anything: more than a number, and no number in all places. */
const isLarge = (value: Value): boolean => {
  if (numel(specOf(value).sizes) <= 1) return false;
  return value.isParameter || !placing.has(value.node.operator) || value.node.inputs.some(isLarge);
};

export const coreEarlyResultsPass: Pass = {
  name: 'core-early-results',
  level: 'core',
  summary: 'Computes results as soon as what they are made of is there, so that it need not be kept.',
  run: computeResultsEarly,
};
