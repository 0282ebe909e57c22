// Removes core nodes whose results nobody reads, also inside regions, with the results of branches and the slots of loops
// that nobody reads. Nodes with effects stay.
import type { Block, Graph, Node, Value } from '../graph/graph.ts';
import { coreOperator } from './operator.ts';

export function removeDeadCode(graph: Graph): void {
  sweep(graph.block);
}

function sweep(block: Block): void {
  for (const node of block.reverseNodes()) {
    if (hasEffect(node)) continue;
    if (node.operator === 'if' || node.operator === 'case') dropUnusedResults(node);
    if (node.operator === 'while') dropUnusedSlots(node);
    if (node.outputs.every((output) => !output.hasUses)) node.destroy();
    else node.blocks.forEach(sweep);
  }
}

/** Whether the node, or one in its regions, acts on something besides its results. */
export function hasEffect(node: Node): boolean {
  if (coreOperator(node.operator).hasEffect) return true;
  return node.blocks.some((block) => [...block.nodes()].some(hasEffect));
}

function dropUnusedResults(node: Node): void {
  for (let index = node.outputs.length - 1; index >= 0; index--) {
    if (node.outputs[index].hasUses) continue;
    node.removeOutput(index);
    for (const block of node.blocks) block.removeOutput(index);
  }
}

/** A slot is needed when its result is read, or the condition or the next value of a needed slot depends on it. */
function dropUnusedSlots(loop: Node): void {
  const [condition, body] = loop.blocks;
  const needed = new Set<number>();
  loop.outputs.forEach((output, index) => {
    if (output.hasUses) needed.add(index);
  });
  if (needed.size === 0) return;
  for (const index of parametersBehind(condition, condition.outputs)) needed.add(index);
  for (let before = -1; before !== needed.size;) {
    before = needed.size;
    const results = [...needed].map((index) => body.outputs[index]);
    for (const index of parametersBehind(body, results)) needed.add(index);
  }
  if (needed.size === loop.outputs.length) return;
  for (let index = loop.outputs.length - 1; index >= 0; index--) {
    if (needed.has(index)) continue;
    loop.removeOutput(index);
    loop.removeInput(index);
    body.removeOutput(index);
  }
  sweep(body);
  sweep(condition);
  for (let index = body.inputs.length - 1; index >= 0; index--) {
    if (needed.has(index)) continue;
    body.removeInput(index);
    condition.removeInput(index);
  }
}

/** Indices of the parameters of `block` that `values` depend on. */
function parametersBehind(block: Block, values: readonly Value[]): Set<number> {
  const found = new Set<number>();
  const seen = new Set<Value>();
  const inside = (node: Node): boolean => {
    for (let at: Block | undefined = node.block; at !== undefined; at = at.parent)
      if (at === block) return true;
    return false;
  };
  const visit = (value: Value): void => {
    if (seen.has(value)) return;
    seen.add(value);
    const parameter = block.inputs.indexOf(value);
    if (parameter >= 0) found.add(parameter);
    else if (inside(value.node) && !value.isParameter) reads(value.node);
  };
  const reads = (node: Node): void => {
    node.inputs.forEach(visit);
    for (const inner of node.blocks) {
      for (const nested of inner.nodes()) reads(nested);
      inner.outputs.forEach(visit);
    }
  };
  values.forEach(visit);
  return found;
}
