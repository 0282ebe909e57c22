// Orders the results of prim::If and prim::Loop by their first use, so that equal programs give equal graphs.
import type { Block, Graph, Node, Use, Value } from '@weft/ir';

export function canonicalizeOutputs(graph: Graph): void {
  visit(graph.block);
}

function visit(block: Block): void {
  for (const node of block.reverseNodes()) {
    if (node.kind === 'prim::If' || node.kind === 'prim::Loop') permute(node, orderByFirstUse(node.outputs));
    for (const inner of node.blocks) visit(inner);
  }
}

function orderByFirstUse(values: readonly Value[]): number[] {
  const firsts = values.map((value) =>
    value.uses.reduce<Use | undefined>(
      (first, use) => (first === undefined || isBefore(use, first) ? use : first),
      undefined,
    ),
  );
  return values
    .map((_, index) => index)
    .sort((a, b) => {
      const [first, second] = [firsts[a], firsts[b]];
      if (first === undefined || second === undefined) {
        return Number(first === undefined) - Number(second === undefined) || a - b;
      }
      return isBefore(first, second) ? -1 : 1;
    });
}

const isBefore = (a: Use, b: Use): boolean =>
  a.user === b.user ? a.index < b.index : nodeIsBefore(a.user, b.user);

function depth(node: Node): number {
  let count = 0;
  for (let owner = node.block?.owner; owner !== undefined; owner = owner.block?.owner) count++;
  return count;
}

/** In the order of the printed graph; a node is before what it contains. */
function nodeIsBefore(a: Node, b: Node): boolean {
  let [depthA, depthB] = [depth(a), depth(b)];
  for (; depthA > depthB; depthA--) {
    a = a.block!.owner!;
    if (a === b) return false;
  }
  for (; depthB > depthA; depthB--) {
    b = b.block!.owner!;
    if (a === b) return true;
  }
  for (;;) {
    if (a.block === b.block) return a.isBefore(b);
    const [ownerA, ownerB] = [a.block!.owner!, b.block!.owner!];
    if (ownerA === ownerB) return ownerA.blocks.indexOf(a.block!) < ownerA.blocks.indexOf(b.block!);
    a = ownerA;
    b = ownerB;
  }
}

function permute(node: Node, order: readonly number[]): void {
  if (order.every((from, to) => from === to)) return;
  const isLoop = node.kind === 'prim::Loop';
  const reorder = (list: readonly Value[], offset: number): void => {
    const old = list.slice(offset);
    order.forEach((from, to) => ((list as Value[])[offset + to] = old[from]));
  };
  reorder(node.outputs, 0);
  for (const block of node.blocks) {
    const offset = isLoop ? 1 : 0;
    const outputs = [...block.outputs];
    reorder(outputs, offset);
    outputs.forEach((output, index) => block.replaceOutput(index, output));
    if (isLoop) reorder(block.paramNode.outputs, 1);
  }
  if (isLoop) {
    const inputs = [...node.inputs];
    reorder(inputs, 2);
    inputs.forEach((input, index) => node.replaceInput(index, input));
  }
}
