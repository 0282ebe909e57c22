// The graph that is run in place of a function's own. PyTorch's executor optimises a graph before it runs it, and some of its
// passes can be seen in results, so that they are part of what a program means: numbers in the place of constant tensors, equal
// computations merged across a switch of grad mode (the result made first is used, whatever the mode was), and numbers compared
// with themselves, which are equal even where they are NaN. Operators that are functions written in TorchScript become calls of
// these.
import type { Block, Graph, Node } from '@weft/ir';
import { customOperator, isCustomOperator } from '../frontend/torchscript/custom-classes.ts';
import { mergeCommonSubexpressions } from './common-subexpressions.ts';
import { inlineCalls } from './inline.ts';
import { selfComparisons, simplifyPeepholes } from './peephole.ts';
import { numbersForScalarTensors, scalarOperand } from './scalar-operands.ts';

const executables = new WeakMap<Graph, Graph>();

/** The graph itself where the passes would change nothing; it must not change afterwards. */
export function executable(graph: Graph): Graph {
  let made = executables.get(graph);
  if (made === undefined) executables.set(graph, (made = prepare(graph)));
  return made;
}

function prepare(graph: Graph): Graph {
  const custom = some(graph.block, (node) => isCustomOperator(node.kind));
  const switches = some(graph.block, (node) => node.kind === 'prim::Enter');
  const compares = some(graph.block, mayCompareItself);
  const scalars = some(graph.block, (node) => scalarOperand(node) !== undefined);
  if (!custom && !switches && !compares && !scalars) return graph;
  const copy = graph.clone();
  if (custom) callCustomOperators(copy.block);
  if (switches) {
    inlineCalls(copy);
    mergeCommonSubexpressions(copy);
  }
  if (compares) {
    if (!switches) mergeCommonSubexpressions(copy);
    simplifyPeepholes(copy, selfComparisons);
  }
  numbersForScalarTensors(copy);
  return copy;
}

/** Whether the node compares a number with itself, or with the result of an equal computation. */
function mayCompareItself({ kind, inputs }: Node): boolean {
  if (kind !== 'aten::eq' && kind !== 'aten::ne') return false;
  const [a, b] = inputs;
  if (a.type.kind !== 'float' && a.type.kind !== 'List') return false;
  return a === b || (a.node !== b.node && a.node.kind === b.node.kind && a.node.kind !== 'prim::Constant');
}

function callCustomOperators(block: Block): void {
  for (const node of [...block.nodes()]) {
    for (const inner of node.blocks) callCustomOperators(inner);
    const callee = customOperator(node.kind);
    if (callee === undefined) continue;
    const { graph, output } = node;
    graph.withInsertPoint(node, () => {
      const called = graph.insert('prim::Constant', [], [{ kind: 'Function', function: callee }]);
      const call = graph.insert('prim::CallFunction', [called.output, ...node.inputs], [output.type]);
      call.source = node.source;
      node.replaceWith([call.output]);
    });
  }
}

function some(block: Block, holds: (node: Node) => boolean): boolean {
  for (const node of block.nodes()) {
    if (holds(node) || node.blocks.some((inner) => some(inner, holds))) return true;
  }
  return false;
}
