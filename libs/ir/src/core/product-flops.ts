// The work of a graph as textbooks count it: the multiplications and additions of matrix products and convolutions, and nothing
// else. What a program reaches of the machine is told in these; `cost` counts everything, for the planner.
import type { Block, Graph, Node } from '../graph/graph.ts';
import { numel } from '../types/types.ts';
import { costOf } from './operator.ts';
import { tripCount } from './ops/trip-count.ts';

/**
 * Floating-point operations of the products and convolutions in a core graph. Of a branch the larger side counts, of a loop every
 * iteration. Undefined when it holds a loop with products whose count is not known.
 */
export const productFlops = (graph: Graph): number | undefined => flopsOfBlock(graph.block);

function flopsOfBlock(block: Block): number | undefined {
  let sum = 0;
  for (const node of block.nodes()) {
    const flops = flopsOfNode(node);
    if (flops === undefined) return undefined;
    sum += flops;
  }
  return sum;
}

function flopsOfNode(node: Node): number | undefined {
  if (node.kind === 'core::dot_general') return costOf(node).flops;
  // Zeros put between the elements of the operand (the gradient of a strided convolution has them) are no work.
  if (node.kind === 'core::convolution') return costOf(node).flops / numel(node.ints('lhs_dilation'));
  const inside = node.blocks.map(flopsOfBlock);
  if (inside.some((flops) => flops === undefined)) return undefined;
  const flops = inside as number[];
  if (node.kind === 'core::if' || node.kind === 'core::case') return Math.max(...flops);
  const once = flops.reduce((sum, each) => sum + each, 0);
  if (node.kind !== 'core::while' || once === 0) return once;
  const trips = tripCount(node);
  return typeof trips === 'number' ? trips * once : undefined;
}
