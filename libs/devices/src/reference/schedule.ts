// The order in which a block runs: its nodes as units, each a single node or a group of elementwise nodes of one shape
// that become one loop. A group stays open, and moves to the place of its last member, until anything outside of it reads a
// value of it; so two open groups never depend on each other and may be merged.
import type { Block, Node, Value } from '@weft/ir';
import { coreOperator, numel } from '@weft/ir';
import { elementwiseStep } from './elementwise.ts';

export type Unit =
  | { readonly kind: 'node'; readonly node: Node }
  | { readonly kind: 'group'; readonly nodes: readonly Node[] };

/** More operators than this in one loop gain nothing, and V8 stops inlining. */
const largestGroup = 24;

/** Nodes whose result is their operand's memory under another shape. */
const isAlias = (node: Node): boolean =>
  node.kind === 'core::reshape' || node.kind === 'core::optimization_barrier';

/** The value in whose memory `value` lives. */
export function rootOf(value: Value): Value {
  let root = value;
  while (isAlias(root.node)) root = root.node.inputs[root.index];
  return root;
}

/** Operands of a node and the values that its nested blocks take from outside of the node. */
export function valuesRead(node: Node): Value[] {
  const values = [...node.inputs];
  for (const block of node.blocks) collectCaptured(block, block, values);
  return values;
}
function collectCaptured(outermost: Block, block: Block, values: Value[]): void {
  const visit = (value: Value) => {
    if (!outermost.encloses(value.node.block!)) values.push(value);
  };
  for (const node of block.nodes()) {
    node.inputs.forEach(visit);
    for (const nested of node.blocks) collectCaptured(outermost, nested, values);
  }
  block.outputs.forEach(visit);
}

/**
 * Whether a value is a broadcast that elementwise readers take from its operand with strides of zero. It is written
 * to memory only for readers of other kinds.
 */
export const isBroadcast = (value: Value): boolean => value.node.kind === 'core::broadcast_in_dim';

/** Whether any reader needs the broadcast in memory. */
export function needsMemory(broadcast: Value, isElementwise: (node: Node) => boolean): boolean {
  return broadcast.uses.some(({ user }) => user.block !== broadcast.node.block || !isElementwise(user));
}

interface OpenGroup {
  nodes: Node[];
  readonly shape: string;
  open: boolean;
}

const shapeOf = (value: Value): string => ((value.type as { sizes: readonly number[] }).sizes ?? []).join();

/** The units of a block in running order. Nodes that nothing needs are left out. */
export function schedule(block: Block): Unit[] {
  const nodes = neededNodes(block);
  const order = new Map(nodes.map((node, index) => [node, index]));
  const elementwise = new Set(nodes.filter((node) => elementwiseStep(node) !== undefined));
  const isElementwise = (node: Node) => elementwise.has(node);
  const units: Unit[] = [];
  const groupOf = new Map<Value, OpenGroup>();
  const groups: OpenGroup[] = [];
  const close = (group: OpenGroup | undefined): void => {
    if (group === undefined || !group.open) return;
    group.open = false;
    group.nodes.sort((a, b) => order.get(a)! - order.get(b)!);
    units.push({ kind: 'group', nodes: group.nodes });
  };

  for (const node of nodes) {
    if (isAlias(node) || node.kind === 'core::constant') continue;
    if (!isElementwise(node)) {
      if (isBroadcast(node.outputs[0]) && !needsMemory(node.outputs[0], isElementwise)) continue;
      for (const value of valuesRead(node)) {
        const root = rootOf(value);
        close(groupOf.get(root));
        if (isBroadcast(root)) close(groupOf.get(rootOf(root.node.inputs[0])));
      }
      units.push({ kind: 'node', node });
      continue;
    }
    const shape = shapeOf(node.output);
    const joined = new Set<OpenGroup>();
    for (const value of node.inputs) {
      const own = groupOf.get(value);
      if (own?.open && own.shape === shape) joined.add(own);
    }
    for (const value of node.inputs) {
      const root = rootOf(value);
      const read = isBroadcast(root) ? rootOf(root.node.inputs[0]) : root;
      const group = groupOf.get(read);
      if (group !== undefined && !(joined.has(group) && read === value)) {
        joined.delete(group);
        close(group);
      }
    }
    const members = [...joined].reduce((sum, group) => sum + group.nodes.length, 0);
    if (members >= largestGroup) {
      for (const group of joined) close(group);
      joined.clear();
    }
    let target: OpenGroup;
    if (joined.size === 0) groups.push((target = { nodes: [], shape, open: true }));
    else {
      const [first, ...others] = joined;
      target = first;
      for (const other of others) {
        other.open = false;
        target.nodes.push(...other.nodes);
        for (const member of other.nodes) groupOf.set(member.output, target);
      }
    }
    target.nodes.push(node);
    groupOf.set(node.output, target);
  }
  for (const group of groups) close(group);
  return units;
}

/** The nodes on which the block's outputs, or effects, depend. */
function neededNodes(block: Block): Node[] {
  const needed = new Set<Node>();
  const nodes: Node[] = [];
  for (const value of block.outputs) needed.add(value.node);
  for (const node of block.reverseNodes()) {
    if (!needed.has(node) && !coreOperator(node.operator).hasEffect) continue;
    nodes.push(node);
    for (const value of valuesRead(node)) needed.add(value.node);
  }
  return nodes.reverse();
}

/** Elements of a value. */
export const countOf = (value: Value): number => numel((value.type as { sizes: readonly number[] }).sizes);
