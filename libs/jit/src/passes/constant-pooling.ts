// Moves constants to the head of the graph and merges equal ones. Constants that can change (lists, dicts, tensors, objects)
// are moved, not merged.
import type { Block, Graph, Node } from '@weft/ir';
import { typeToString } from '@weft/ir';
import { constantValue } from '../emit/constants.ts';
import { isImmutable, sameConstant } from './constant-propagation.ts';
import type { Pass } from './pass.ts';

/** Returns whether constants were merged. */
export function poolConstants(graph: Graph): boolean {
  return visit(graph.block, new Map());
}

function visit(block: Block, pool: Map<string, Node[]>): boolean {
  let changed = false;
  for (const node of [...block.nodes()]) {
    for (const inner of node.blocks) changed = visit(inner, pool) || changed;
    if (node.kind !== 'prim::Constant') continue;
    const { output } = node;
    const value = constantValue(output);
    if (value !== undefined && isImmutable(output.type)) {
      const key = `${typeToString(output.type)} ${typeof value} ${value !== null && typeof value === 'object' ? '' : String(value)}`;
      const candidates = pool.get(key) ?? [];
      const same = candidates.find((candidate) => sameConstant(value, constantValue(candidate.output)));
      if (same !== undefined) {
        node.replaceWith([same.output]);
        changed = true;
        continue;
      }
      pool.set(key, [...candidates, node]);
    }
    const first = node.graph.block.paramNode.next!;
    if (first !== node) node.moveBefore(first);
  }
  return changed;
}

export const constantPoolingPass: Pass = {
  name: 'constant-pooling',
  level: 'torch',
  summary: 'Moves constants to the head of the graph and merges equal ones.',
  run: poolConstants,
};
