// Turns the part of a graph that one stage runs in one phase into segments: core graphs without collectives, with the
// collectives between them. What a segment reads from elsewhere becomes its inputs, what others read its outputs; free
// nodes (constants and what follows from them) and cheap ones (broadcasts, reshapes) are made anew inside.
import type { Graph, Node, Value } from '@weft/ir';
import { Graph as IrGraph, InternalError, cloneNode } from '@weft/ir';

export interface Segment {
  readonly kind: 'segment';
  readonly graph: Graph;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

export interface Collective {
  readonly kind: 'collective';
  readonly node: Node;
}

export type Piece = Segment | Collective;

const collectives = new Set(['all_reduce', 'all_gather', 'reduce_scatter']);
export const isCollective = (node: Node): boolean =>
  node.namespace === 'core' && collectives.has(node.operator);

const cheap = new Set(['broadcast_in_dim', 'reshape']);

/** The value that has to be kept or sent so that `value` can be had elsewhere: the start of a chain of cheap nodes. */
export function rootOf(value: Value): Value {
  let root = value;
  while (!root.isParameter && cheap.has(root.node.operator)) root = root.node.inputs[0];
  return root;
}

/**
 * @param nodes the nodes of the unit, in graph order
 * @param free nodes of the whole graph that are made anew where they are used
 * @param wanted values made here that others read (free ones included when this unit has to provide them)
 */
export function makePieces(
  nodes: readonly Node[],
  free: ReadonlySet<Node>,
  wanted: readonly Value[],
): Piece[] {
  const runs: Node[][] = [[]];
  const between: Node[] = [];
  for (const node of nodes) {
    if (isCollective(node)) {
      between.push(node);
      runs.push([]);
    } else runs[runs.length - 1].push(node);
  }
  const inside = new Set(nodes);
  const pieces: Piece[] = [];
  runs.forEach((run, index) => {
    const members = new Set(run);
    const isLast = index === runs.length - 1;
    // A later collective or segment of this unit reads values by their roots; so does everything outside.
    const later = new Set<Value>();
    for (const node of nodes) {
      if (members.has(node)) continue;
      for (const input of allInputs(node)) {
        if (isCollective(node)) later.add(input);
        else if (inside.has(node)) later.add(rootOf(input));
      }
    }
    const outputs: Value[] = [];
    const provide = (value: Value) => {
      if (!outputs.includes(value)) outputs.push(value);
    };
    for (const node of run)
      for (const output of node.outputs) if (later.has(output) || wanted.includes(output)) provide(output);
    if (isLast) {
      for (const value of wanted) if (value.isParameter || free.has(value.node)) provide(value);
    }
    // A collective may read a free value or a graph input directly.
    const next = between[index];
    if (next !== undefined)
      for (const input of next.inputs) if (!input.isParameter && free.has(input.node)) provide(input);
    if (outputs.length > 0) pieces.push(makeSegment(members, free, outputs));
    if (next !== undefined) pieces.push({ kind: 'collective', node: next });
  });
  return pieces;
}

/** A graph that computes `outputs` from `members` and what they make anew; everything else it reads is an input. */
function makeSegment(
  members: ReadonlySet<Node>,
  free: ReadonlySet<Node>,
  outputs: readonly Value[],
): Segment {
  const graph = new IrGraph();
  const map = new Map<Value, Value>();
  const inputs: Value[] = [];
  const need = (value: Value): void => {
    if (map.has(value)) return;
    const { node } = value;
    const made = !value.isParameter && (members.has(node) || free.has(node) || cheap.has(node.operator));
    if (!made) {
      inputs.push(value);
      map.set(value, graph.addInput(value.type));
      return;
    }
    for (const input of allInputs(node)) need(input);
    graph.insertNode(cloneNode(graph, node, map));
  };
  for (const node of membersInOrder(members, outputs)) for (const output of node.outputs) need(output);
  for (const output of outputs) {
    need(output);
    graph.addOutput(map.get(output)!);
  }
  return { kind: 'segment', graph, inputs, outputs };
}

/** The members that `outputs` depend on, in graph order. */
function membersInOrder(members: ReadonlySet<Node>, outputs: readonly Value[]): Node[] {
  const needed = new Set<Node>();
  const stack = [...outputs];
  const seen = new Set<Value>();
  while (stack.length > 0) {
    const value = stack.pop()!;
    if (seen.has(value) || value.isParameter) continue;
    seen.add(value);
    if (members.has(value.node)) needed.add(value.node);
    stack.push(...allInputs(value.node));
  }
  return [...members].filter((node) => needed.has(node));
}

/** Operands of a node and everything its regions use from outside. */
export function allInputs(node: Node): Value[] {
  const values = [...node.inputs];
  const visit = (inner: Node, local: Set<Value>) => {
    for (const block of inner.blocks) {
      const known = new Set(local);
      for (const parameter of block.inputs) known.add(parameter);
      for (const child of block.nodes()) {
        for (const input of child.inputs) if (!known.has(input)) values.push(input);
        visit(child, known);
        for (const output of child.outputs) known.add(output);
      }
      for (const output of block.outputs) if (!known.has(output)) values.push(output);
    }
  };
  visit(node, new Set());
  return values;
}

export function requireValue<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new InternalError(what);
  return value;
}
