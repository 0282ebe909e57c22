// Dropout that is known not to train hands its operand on.
import { AliasAnalysis } from '@weft/ir';
import type { Block, Graph } from '@weft/ir';
import { constantValue } from '../emit/constants.ts';
import type { Pass } from './pass.ts';

const dropouts: ReadonlySet<string> = new Set([
  'aten::alpha_dropout',
  'aten::dropout',
  'aten::feature_alpha_dropout',
  'aten::feature_dropout',
]);

/** Returns whether the graph changed. */
export function removeDropout(graph: Graph): boolean {
  let analysis: AliasAnalysis | undefined;
  const alias = (): AliasAnalysis => (analysis ??= new AliasAnalysis(graph));
  const visit = (block: Block): boolean => {
    let changed = false;
    for (const node of block.nodes()) {
      for (const inner of node.blocks) changed = visit(inner) || changed;
      if (!dropouts.has(node.kind) || constantValue(node.inputs[2]) !== false) continue;
      // Its schema promises a new tensor.
      if (!alias().mayMerge([node.inputs[0]], [node.output])) continue;
      node.replaceWith([node.inputs[0]]);
      analysis = undefined;
      changed = true;
    }
    return changed;
  };
  return visit(graph.block);
}

export const removeDropoutPass: Pass = {
  name: 'remove-dropout',
  level: 'torch',
  summary: 'Leaves out dropout that is known not to train.',
  run: removeDropout,
};
