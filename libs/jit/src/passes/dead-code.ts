// Removes nodes whose results nobody reads and that do nothing else, and results of prim::If and prim::Loop that are not
// used. A mark-and-sweep from the outputs and the effects backwards.
import type { Block, Graph, Node, Value } from '@weft/ir';
import { isMutating, schemaOfNode } from '@weft/ir';

/** Kinds that are kept although nobody reads their results. */
const effects: ReadonlySet<string> = new Set([
  'prim::Print',
  'prim::RaiseException',
  'prim::SetAttr',
  'prim::CallMethod',
  'prim::CallFunction',
  'prim::Enter',
  'prim::Exit',
  'prim::fork',
  'prim::forkClosure',
  'prim::Store',
  'prim::ReturnStmt',
  'prim::BreakStmt',
  'prim::ContinueStmt',
  'prim::LoopContinuation',
  'aten::warn',
  'aten::wait',
  'aten::save',
  'aten::manual_seed',
]);

export function hasSideEffects(node: Node): boolean {
  if (effects.has(node.kind)) return true;
  if (node.blocks.length > 0) {
    return node.blocks.some((block) => [...block.nodes()].some(hasSideEffects));
  }
  const schema = schemaOfNode(node);
  return schema !== undefined && isMutating(schema);
}

export function eliminateDeadCode(graph: Graph): void {
  const live = new Set<Value>();
  const marked = new Set<Node>();
  const mark = (node: Node): boolean => {
    if (marked.has(node)) return false;
    marked.add(node);
    for (const input of node.inputs) live.add(input);
    // What contains a live node is live.
    for (let owner = node.block?.owner; owner !== undefined; owner = owner.block?.owner) {
      if (marked.has(owner)) break;
      marked.add(owner);
      for (const input of owner.inputs) live.add(input);
    }
    return true;
  };
  const markReturn = (block: Block): boolean => {
    const before = live.size;
    const { owner } = block;
    if (owner === undefined) {
      for (const output of block.outputs) live.add(output);
    } else if (owner.kind === 'prim::Loop') {
      live.add(block.outputs[0]);
      for (const [index, output] of owner.outputs.entries()) {
        if (live.has(output) || block.inputs[index + 1].hasUses) live.add(block.outputs[index + 1]);
      }
    } else if (owner.kind === 'prim::If') {
      for (const [index, output] of owner.outputs.entries())
        if (live.has(output)) live.add(block.outputs[index]);
    } else {
      for (const output of block.outputs) live.add(output);
    }
    return live.size > before;
  };
  const visit = (block: Block): boolean => {
    let changed = false;
    for (const node of block.nodes())
      if (node.blocks.length === 0 && hasSideEffects(node)) changed = mark(node) || changed;
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
  sweep(graph.block, marked);
}

function sweep(block: Block, marked: ReadonlySet<Node>): void {
  for (const node of block.reverseNodes()) {
    if (node.kind === 'prim::If') removeDeadIfOutputs(node);
    else if (node.kind === 'prim::Loop') removeDeadLoopOutputs(node);
    for (const inner of node.blocks) sweep(inner, marked);
    if (!marked.has(node) && !node.outputs.some((output) => output.hasUses)) node.destroy();
  }
}

function removeDeadIfOutputs(node: Node): void {
  for (let index = node.outputs.length - 1; index >= 0; index--) {
    if (node.outputs[index].hasUses) continue;
    node.removeOutput(index);
    for (const block of node.blocks) block.removeOutput(index);
  }
}

function removeDeadLoopOutputs(node: Node): void {
  const [body] = node.blocks;
  for (let index = node.outputs.length - 1; index >= 0; index--) {
    if (node.outputs[index].hasUses || body.inputs[index + 1].hasUses) continue;
    node.removeOutput(index);
    node.removeInput(index + 2);
    body.removeInput(index + 1);
    body.removeOutput(index + 1);
  }
}
