// A pass written by hand: a tensor that is negated twice is the tensor. It asks alias analysis first, because a write between
// the two negations would be seen by one of them only.
import { AliasAnalysis } from '@weft/ir';
import type { Block, Graph } from '@weft/ir';
import type { jit } from 'weft';

export const doubleNegation: jit.Pass = {
  name: 'double-negation',
  level: 'torch',
  summary: 'A tensor that is negated twice is the tensor.',
  run(graph: Graph): boolean {
    return visit(graph.block, new AliasAnalysis(graph));
  },
};

function visit(block: Block, alias: AliasAnalysis): boolean {
  let changed = false;
  for (const node of block.nodes()) {
    for (const inner of node.blocks) changed = visit(inner, alias) || changed;
    if (node.kind !== 'aten::neg') continue;
    const first = node.inputs[0].node;
    if (first.kind !== 'aten::neg') continue;
    // neg makes a new tensor. Its readers may get the old one only if nobody could tell the two apart.
    const [original] = first.inputs;
    if (!alias.mayMerge([original], [first.output, node.output])) continue;
    node.replaceWith([original]);
    changed = true;
  }
  return changed;
}
