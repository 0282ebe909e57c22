// The graph that is run in place of a function's own. PyTorch's executor optimises a graph before it runs it, and two of its
// passes can be seen in results, so that they are part of what a program means: numbers in the place of constant tensors, and
// equal computations merged across a switch of grad mode (the result made first is used, whatever the mode was).
import type { Block, Graph, Node } from '@weft/ir';
import { mergeCommonSubexpressions } from './common-subexpressions.ts';
import { inlineCalls } from './inline.ts';
import { numbersForScalarTensors, scalarOperand } from './scalar-operands.ts';

const executables = new WeakMap<Graph, Graph>();

/** The graph itself where the passes would change nothing; it must not change afterwards. */
export function executable(graph: Graph): Graph {
  let made = executables.get(graph);
  if (made === undefined) executables.set(graph, (made = prepare(graph)));
  return made;
}

function prepare(graph: Graph): Graph {
  const switches = some(graph.block, (node) => node.kind === 'prim::Enter');
  if (!switches && !some(graph.block, (node) => scalarOperand(node) !== undefined)) return graph;
  const copy = graph.clone();
  if (switches) {
    inlineCalls(copy);
    mergeCommonSubexpressions(copy);
  }
  numbersForScalarTensors(copy);
  return copy;
}

function some(block: Block, holds: (node: Node) => boolean): boolean {
  for (const node of block.nodes()) {
    if (holds(node) || node.blocks.some((inner) => some(inner, holds))) return true;
  }
  return false;
}
