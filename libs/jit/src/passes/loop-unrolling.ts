// Writes short loops out: a loop that turns a known, small number of times and has a small body becomes its body, once for each
// turn. The limits are those of PyTorch's unrolling pass. A loop with a condition of its own stays.
import type { Block, Graph, Node, Value } from '@weft/ir';
import { cloneNode } from '@weft/ir';
import { constantValue, insertConstant } from '../emit/constants.ts';
import type { Pass } from './pass.ts';

/** Turns of a loop that is written out, at most. */
const maxTurns = 8n;
/** Nodes of the body of such a loop, constants left out, at most. */
const maxNodes = 32;

/** Returns whether a loop was written out. */
export function unrollLoops(graph: Graph): boolean {
  return visit(graph.block);
}

function visit(block: Block): boolean {
  let changed = false;
  for (const node of [...block.nodes()]) {
    // From the innermost loop outwards.
    for (const inner of node.blocks) changed = visit(inner) || changed;
    if (node.kind !== 'prim::Loop') continue;
    const turns = turnsOf(node);
    if (turns === undefined || turns > maxTurns || sizeOf(node.blocks[0]) > maxNodes) continue;
    writeOut(node, turns);
    changed = true;
  }
  return changed;
}

/** How often a loop turns, when that is a constant. */
export function turnsOf(loop: Node): bigint | undefined {
  const [limit, condition] = loop.inputs.map(constantValue);
  if (condition === false) return 0n;
  if (typeof limit !== 'bigint' || condition !== true) return undefined;
  return constantValue(loop.blocks[0].outputs[0]) === true ? (limit < 0n ? 0n : limit) : undefined;
}

function sizeOf(block: Block): number {
  let size = 0;
  for (const node of block.nodes()) {
    if (node.kind === 'prim::Constant') continue;
    size += 1 + node.blocks.reduce((sum, inner) => sum + sizeOf(inner), 0);
  }
  return size;
}

function writeOut(loop: Node, turns: bigint): void {
  const { graph } = loop;
  const [body] = loop.blocks;
  let carried: readonly Value[] = loop.inputs.slice(2);
  for (let turn = 0n; turn < turns; turn++) {
    const count = graph.withInsertPoint(loop, () => insertConstant(graph, turn));
    count.node.source = loop.source;
    const map = new Map<Value, Value>([
      [body.inputs[0], count],
      ...body.inputs.slice(1).map((input, index) => [input, carried[index]] as const),
    ]);
    keepOuter(body, map);
    for (const node of body.nodes()) cloneNode(graph, node, map).insertBefore(loop);
    carried = body.outputs.slice(1).map((output) => map.get(output) ?? output);
  }
  loop.replaceWith(carried);
}

/** What the block reads of what is around it stays what it is. */
function keepOuter(body: Block, map: Map<Value, Value>): void {
  const visitBlock = (block: Block): void => {
    for (const node of block.nodes()) {
      for (const input of node.inputs) if (!body.encloses(input.node.block!)) map.set(input, input);
      node.blocks.forEach(visitBlock);
    }
    for (const output of block.outputs) if (!body.encloses(output.node.block!)) map.set(output, output);
  };
  visitBlock(body);
}

export const loopUnrollingPass: Pass = {
  name: 'loop-unrolling',
  level: 'torch',
  summary: 'Writes out loops that turn a known, small number of times.',
  run: unrollLoops,
};
