// Forked closures: the block of a prim::Closure becomes a graph of its own, which prim::fork runs; what the block used from
// outside becomes the fork's operands. After TorchScript's liftClosures and inlineForkedClosures.
import type { Block, Node, Value } from '@weft/ir';
import { Graph } from '@weft/ir';

/** @param clean what every graph that is made here goes through */
export function liftClosures(graph: Graph, clean: (made: Graph) => void): void {
  liftIn(graph.block, clean);
}

function liftIn(block: Block, clean: (made: Graph) => void): void {
  const closures: Node[] = [];
  for (const node of [...block.nodes()]) {
    if (node.kind === 'prim::Closure') closures.push(node);
    else {
      for (const inner of node.blocks) liftIn(inner, clean);
      if (node.kind === 'prim::forkClosure') liftFork(node, clean);
    }
  }
  for (const closure of closures.reverse()) if (!closure.output.hasUses) closure.destroy();
}

function liftFork(node: Node, clean: (made: Graph) => void): void {
  const [body] = node.inputs[0].node.blocks;
  const made = new Graph();
  const map = new Map<Value, Value>();
  const operands: Value[] = [];
  for (const value of capturedBy(body)) {
    operands.push(value);
    map.set(value, made.addInput(value.type).copyMetadata(value));
  }
  made.block.copyFrom(body, map);
  clean(made);
  const fork = node.graph.create('prim::fork', operands, [node.output.type]).insertBefore(node);
  fork.source = node.source;
  fork.set('Subgraph', { kind: 'g', value: made });
  node.output.replaceAllUsesWith(fork.output);
  node.destroy();
}

/** Values from outside that nodes of a block use, in the order of their first use. */
function capturedBy(body: Block): Set<Value> {
  const captured = new Set<Value>();
  const visit = (block: Block): void => {
    for (const node of [...block.nodes(), block.returnNode]) {
      for (const input of node.inputs)
        if (input.node.block === undefined || !body.encloses(input.node.block)) captured.add(input);
      for (const inner of node.blocks) visit(inner);
    }
  };
  visit(body);
  return captured;
}
