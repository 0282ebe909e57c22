// What every round of a core `while` computes anew from the same operands is computed once, before the loop. Nodes that only
// say where elements are (constants, broadcasts, transposes, …) go along with what reads them and stay otherwise: a device reads
// through them for nothing where they stand.
import type { Block, Graph, Node, Value } from '@weft/ir';
import { capturesOf, hasSideEffects, isNondeterministic } from '@weft/ir';
import type { Pass } from './pass.ts';

const placing = new Set([
  'broadcast_in_dim',
  'concatenate',
  'constant',
  'convert',
  'iota',
  'pad',
  'reshape',
  'reverse',
  'slice',
  'transpose',
]);

/** Returns whether anything was taken out of a loop. */
export function hoistInvariants(graph: Graph): boolean {
  return visit(graph.block);
}

function visit(block: Block): boolean {
  let changed = false;
  for (const node of block.nodes()) {
    // From the innermost loop outwards.
    for (const inner of node.blocks) changed = visit(inner) || changed;
    if (node.operator !== 'while') continue;
    for (const region of node.blocks) changed = hoistFrom(region, node) || changed;
  }
  return changed;
}

function hoistFrom(region: Block, loop: Node): boolean {
  const invariant = new Set<Node>();
  const isOutside = (value: Value): boolean => !region.encloses(value.node.block!);
  const isFixed = (value: Value): boolean => isOutside(value) || invariant.has(value.node);
  const roots: Node[] = [];
  for (const node of region.nodes()) {
    if (hasSideEffects(node) || isNondeterministic(node)) continue;
    if (!node.inputs.every(isFixed) || !node.blocks.every((inner) => capturesOf(inner).every(isFixed)))
      continue;
    invariant.add(node);
    if (!placing.has(node.operator)) roots.push(node);
  }
  const move = (node: Node): void => {
    if (!region.encloses(node.block!)) return;
    for (const value of [...node.inputs, ...node.blocks.flatMap(capturesOf)]) move(value.node);
    node.moveBefore(loop);
  };
  roots.forEach(move);
  return roots.length > 0;
}

export const coreLoopInvariantsPass: Pass = {
  name: 'core-loop-invariants',
  level: 'core',
  summary: 'Computes before a loop what is the same in every round of it.',
  run: hoistInvariants,
};
