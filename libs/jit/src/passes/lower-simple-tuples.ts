// Takes tuples apart that are only put together to be taken apart again.
import type { Block, Graph, Node, TupleType } from '@weft/ir';
import { constantValue } from '../emit/constants.ts';
import { eliminateDeadCode } from './dead-code.ts';
import type { Pass } from './pass.ts';

/** Returns whether the graph changed. */
export function lowerSimpleTuples(graph: Graph): boolean {
  visit(graph.block);
  return eliminateDeadCode(graph);
}

export const lowerSimpleTuplesPass: Pass = {
  name: 'lower-simple-tuples',
  level: 'torch',
  summary: 'Takes tuples apart that are only put together to be taken apart again.',
  run: lowerSimpleTuples,
};

function visit(block: Block): void {
  for (const node of block.nodes()) {
    lower(node);
    for (const inner of node.blocks) visit(inner);
  }
}

function lower(node: Node): void {
  if (node.kind !== 'prim::TupleUnpack' && node.kind !== 'prim::TupleIndex') return;
  const tuple = node.inputs[0].node;
  if (tuple.kind !== 'prim::TupleConstruct') return;
  if (node.kind === 'prim::TupleUnpack') {
    for (const [index, output] of node.outputs.entries()) output.replaceAllUsesWith(tuple.inputs[index]);
    return;
  }
  const index = constantValue(node.inputs[1]);
  if (typeof index !== 'bigint') return;
  const length = BigInt((node.inputs[0].type as TupleType).elements.length);
  const position = Number(index < 0n ? index + length : index);
  if (position >= 0 && position < tuple.inputs.length) node.output.replaceAllUsesWith(tuple.inputs[position]);
}
