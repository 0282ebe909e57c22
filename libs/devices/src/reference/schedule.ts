// The order in which a block runs: its nodes as units, each a single node or a group of elementwise nodes of one shape
// that become one loop. A group stays open until anything outside of it reads a value of it, and stands in front of that reader; so
// two open groups never depend on each other and may be merged. A group that nothing reads (results of the block) stands where its
// last member did, so that what it reads is free from there on.
import type { Block, Node, Value } from '@weft/ir';
import { coreOperator, numel } from '@weft/ir';
import { elementwiseStep } from './elementwise.ts';

export type Unit =
  | { readonly kind: 'node'; readonly node: Node }
  | { readonly kind: 'group'; readonly nodes: readonly Node[] };

/** What a device fuses, and what it reads where it is. */
export interface FusionRules {
  /** The kind of loop that computes an elementwise node: nodes of one kind and shape share one. Undefined: no loop does. */
  kindOf(node: Node): string | undefined;
  /** Whether a value is its first operand read differently, which readers that can take from there. */
  isView(value: Value): boolean;
  /** Whether a reader of a view needs it in memory. */
  needsMemory(view: Value): boolean;
  /** Most operators in one loop. */
  readonly largestGroup: number;
}

/** Those of the reference device. More operators in one loop gain nothing, and V8 stops inlining. */
const referenceRules: FusionRules = {
  kindOf: (node) => (elementwiseStep(node) === undefined ? undefined : 'loop'),
  isView: (value) => isBroadcast(value),
  needsMemory: (view) => needsMemory(view, (node) => elementwiseStep(node) !== undefined),
  largestGroup: 24,
};

/** Nodes whose result is their operand's memory under another shape. */
export const isAlias = (node: Node): boolean =>
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

/** The roots that a value is read from: its own, and those that the views in between stand for. */
export function sourcesOf(value: Value, isView: (value: Value) => boolean): Value[] {
  const sources = [rootOf(value)];
  for (let root = sources[0]; isView(root);) sources.push((root = rootOf(root.node.inputs[0])));
  return sources;
}

/** Whether any reader needs the broadcast in memory. */
function needsMemory(broadcast: Value, isElementwise: (node: Node) => boolean): boolean {
  return broadcast.uses.some(({ user }) => user.block !== broadcast.node.block || !isElementwise(user));
}

interface OpenGroup {
  nodes: Node[];
  readonly shape: string;
  open: boolean;
}

const shapeOf = (value: Value): string => ((value.type as { sizes: readonly number[] }).sizes ?? []).join();

/** The units of a block in running order. Nodes that nothing needs are left out. */
export function schedule(block: Block, rules: FusionRules = referenceRules): Unit[] {
  const nodes = neededNodes(block);
  const order = new Map(nodes.map((node, index) => [node, index]));
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
    const kind = rules.kindOf(node);
    if (kind === undefined) {
      if (rules.isView(node.outputs[0]) && !rules.needsMemory(node.outputs[0])) continue;
      for (const value of valuesRead(node)) {
        for (const source of sourcesOf(value, rules.isView)) close(groupOf.get(source));
      }
      units.push({ kind: 'node', node });
      continue;
    }
    const shape = `${kind}:${shapeOf(node.output)}`;
    const joined = new Set<OpenGroup>();
    for (const value of node.inputs) {
      const own = groupOf.get(value);
      if (own?.open && own.shape === shape) joined.add(own);
    }
    for (const value of node.inputs) {
      for (const read of sourcesOf(value, rules.isView)) {
        const group = groupOf.get(read);
        if (group === undefined || (joined.has(group) && read === value)) continue;
        joined.delete(group);
        close(group);
      }
    }
    const members = [...joined].reduce((sum, group) => sum + group.nodes.length, 0);
    if (members >= rules.largestGroup) {
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
  const unread = groups.filter(({ open }) => open);
  if (unread.length === 0) return units;
  for (const group of unread) close(group);
  return atLastMembers(units, unread, order, rules);
}

/**
 * The units with the groups that nothing reads, now the last, moved up to where their last members stand: behind what they read, and
 * behind earlier nodes that no loop computes, which may be the last to read memory that such a group writes over.
 */
function atLastMembers(
  units: readonly Unit[],
  unread: readonly OpenGroup[],
  order: ReadonlyMap<Node, number>,
  { isView }: FusionRules,
): Unit[] {
  const others = units.slice(0, units.length - unread.length);
  const lastOf = (nodes: readonly Node[]): number => order.get(nodes.at(-1)!)!;
  const placeOf = new Map<Value, number>();
  others.forEach((unit, place) => {
    for (const node of unit.kind === 'node' ? [unit.node] : unit.nodes)
      for (const output of node.outputs) placeOf.set(output, place);
  });
  // Places behind which all single nodes before a point of the order stand; these are in the order.
  const singles = others.flatMap((unit, place) =>
    unit.kind === 'node' ? [{ at: order.get(unit.node)!, place }] : [],
  );
  const byPlace = others.map((): Unit[] => []);
  const first: Unit[] = [];
  for (const { nodes } of [...unread].sort((a, b) => lastOf(a.nodes) - lastOf(b.nodes))) {
    let place = singles.findLast(({ at }) => at < lastOf(nodes))?.place ?? -1;
    for (const node of nodes)
      for (const value of node.inputs)
        for (const source of sourcesOf(value, isView)) place = Math.max(place, placeOf.get(source) ?? -1);
    (place < 0 ? first : byPlace[place]).push({ kind: 'group', nodes });
  }
  return [...first, ...others.flatMap((unit, place) => [unit, ...byPlace[place]])];
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
