// Removes nodes whose results nobody reads and that do nothing else, and results of prim::If and prim::Loop that are not
// used. A mark-and-sweep from the outputs and the effects backwards. A write counts when what it writes to is read, or can
// be reached from outside; alias analysis tells.
import type { Block, Graph, Node, Value } from '@weft/ir';
import { AliasAnalysis, hasSideEffects, isMutating, schemaOfNode } from '@weft/ir';
import type { Pass } from './pass.ts';

export { hasSideEffects };

/** Returns whether something was removed. */
export function eliminateDeadCode(graph: Graph): boolean {
  const writers = collectWriters(graph.block);
  const written = writers.length === 0 ? undefined : affectedBy(graph, writers);
  const live = new Set<Value>();
  const marked = new Set<Node>();
  const isNeeded = (node: Node): boolean => {
    if (node.blocks.length > 0) return false;
    if (hasSideEffects(node)) return true;
    const affected = written?.get(node);
    if (affected === undefined) return false;
    return affected === 'outside' || affected.some((value) => live.has(value));
  };
  const mark = (node: Node): boolean => {
    if (marked.has(node)) return false;
    marked.add(node);
    for (const input of readBy(node)) live.add(input);
    // What contains a live node is live.
    for (let owner = node.block?.owner; owner !== undefined; owner = owner.block?.owner) {
      if (marked.has(owner)) break;
      marked.add(owner);
      for (const input of readBy(owner)) live.add(input);
    }
    return true;
  };
  const markReturn = (block: Block): boolean => {
    const before = live.size;
    const { owner } = block;
    if (owner?.kind === 'prim::Loop') {
      live.add(block.outputs[0]);
      for (const [index, output] of owner.outputs.entries()) {
        if (!live.has(output) && !live.has(block.inputs[index + 1])) continue;
        live.add(block.outputs[index + 1]).add(owner.inputs[index + 2]);
      }
    } else if (owner?.kind === 'prim::If') {
      for (const [index, output] of owner.outputs.entries())
        if (live.has(output)) live.add(block.outputs[index]);
    } else {
      for (const output of block.outputs) live.add(output);
    }
    return live.size > before;
  };
  const visit = (block: Block): boolean => {
    let changed = false;
    for (const node of block.nodes()) if (isNeeded(node)) changed = mark(node) || changed;
    changed = markReturn(block) || changed;
    for (const node of block.reverseNodes()) {
      for (let again = true; again;) {
        again = false;
        for (const inner of node.blocks) again = visit(inner) || again;
        changed ||= again;
        if (node.kind !== 'prim::Loop') break;
      }
      if (node.outputs.some((output) => live.has(output))) changed = mark(node) || changed;
    }
    return changed;
  };
  while (visit(graph.block));
  return sweep(graph.block, marked, live);
}

/** What a live node reads in any case: of a loop, not what only a dead slot starts with. */
const readBy = (node: Node): readonly Value[] =>
  node.kind === 'prim::Loop' ? node.inputs.slice(0, 2) : node.inputs;

function collectWriters(block: Block): Node[] {
  const found: Node[] = [];
  for (const node of block.nodes()) {
    for (const inner of node.blocks) found.push(...collectWriters(inner));
    const schema = schemaOfNode(node);
    if (schema !== undefined && isMutating(schema)) found.push(node);
  }
  return found;
}

/** For each writing node the values whose memory it may write to, or that it writes to what others can reach. */
function affectedBy(graph: Graph, writers: readonly Node[]): Map<Node, readonly Value[] | 'outside'> {
  const alias = new AliasAnalysis(graph);
  return new Map(
    writers.map((node) => [node, alias.writesOutside(node) ? 'outside' : alias.valuesWrittenBy(node)]),
  );
}

function sweep(block: Block, marked: ReadonlySet<Node>, live: ReadonlySet<Value>): boolean {
  let changed = false;
  for (const node of block.reverseNodes()) {
    const deadSlots = node.kind === 'prim::Loop' ? cutDeadSlots(node, live) : [];
    if (node.kind === 'prim::If') changed = removeDeadIfOutputs(node, live) || changed;
    for (const inner of node.blocks) changed = sweep(inner, marked, live) || changed;
    // Only dead nodes read what a dead slot carries, and they are gone now.
    for (const index of deadSlots) node.blocks[0].removeInput(index + 1);
    changed ||= deadSlots.length > 0;
    if (marked.has(node) || node.outputs.some((output) => output.hasUses)) continue;
    node.destroy();
    changed = true;
  }
  return changed;
}

function removeDeadIfOutputs(node: Node, live: ReadonlySet<Value>): boolean {
  let changed = false;
  for (let index = node.outputs.length - 1; index >= 0; index--) {
    if (node.outputs[index].hasUses || live.has(node.outputs[index])) continue;
    node.removeOutput(index);
    for (const block of node.blocks) block.removeOutput(index);
    changed = true;
  }
  return changed;
}

/** Takes dead slots out of a loop, all but the parameters of its block; returns their indices from last to first. */
function cutDeadSlots(node: Node, live: ReadonlySet<Value>): number[] {
  const [body] = node.blocks;
  const cut: number[] = [];
  for (let index = node.outputs.length - 1; index >= 0; index--) {
    if (node.outputs[index].hasUses || live.has(node.outputs[index]) || live.has(body.inputs[index + 1]))
      continue;
    node.removeOutput(index);
    node.removeInput(index + 2);
    body.removeOutput(index + 1);
    cut.push(index);
  }
  return cut;
}

export const deadCodePass: Pass = {
  name: 'dead-code',
  level: 'torch',
  summary: 'Removes nodes whose results nobody reads and that have no effect.',
  run: eliminateDeadCode,
};
