// Moves constants to the head of the graph and merges equal ones. Constants that can change (lists, dicts, tensors, objects)
// are moved, not merged.
import type { Block, Graph, Node } from '@weft/ir';
import { typeToString } from '@weft/ir';
import { constantValue } from '../emit/constants.ts';
import { isImmutable, sameConstant } from './constant-propagation.ts';

export function poolConstants(graph: Graph): void {
  const pool = new Map<string, Node[]>();
  visit(graph.block, pool);
}

function visit(block: Block, pool: Map<string, Node[]>): void {
  for (const node of [...block.nodes()]) {
    for (const inner of node.blocks) visit(inner, pool);
    if (node.kind !== 'prim::Constant') continue;
    const { output } = node;
    const value = constantValue(output);
    if (value !== undefined && isImmutable(output.type)) {
      const key = `${typeToString(output.type)} ${typeof value} ${value !== null && typeof value === 'object' ? '' : String(value)}`;
      const candidates = pool.get(key) ?? [];
      const same = candidates.find((candidate) => sameConstant(value, constantValue(candidate.output)));
      if (same !== undefined) {
        node.replaceWith([same.output]);
        continue;
      }
      pool.set(key, [...candidates, node]);
    }
    const first = node.graph.block.paramNode.next!;
    if (first !== node) node.moveBefore(first);
  }
}
