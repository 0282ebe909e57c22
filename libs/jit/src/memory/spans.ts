// When the values of a graph are in memory, as a device that fuses runs it: elementwise nodes in loops whose inner values take no
// memory, views read where they are. An estimate to plan by; what a device really takes, it says itself once it has compiled the graph.
import { schedule, sourcesOf, valuesRead } from '@weft/devices';
import type { FusionRules, Unit } from '@weft/devices';
import type { Graph, Node, Value } from '@weft/ir';
import { coreOperator, dtypes, numel, specOf } from '@weft/ir';

/** A value in memory, from the unit that computes it to the last that reads it. */
export interface Span {
  readonly value: Value;
  readonly bytes: number;
  readonly first: number;
  last: number;
  /** Units that read it, in order. */
  readonly reads: number[];
}

export interface MemorySpans {
  /** By the value itself; views of it have none. */
  readonly spans: ReadonlyMap<Value, Span>;
  /** The number of the unit in which a node of the graph's own block runs; views are in none. */
  readonly unitOf: ReadonlyMap<Node, number>;
  /** The unit at which most is in memory, and how much that is. Operands and results of the graph are not counted. */
  readonly peak: { readonly unit: number; readonly bytes: number };
}

const views = new Set(['broadcast_in_dim', 'transpose', 'slice', 'reverse']);
const placing = new Set([...views, 'reshape', 'constant', 'iota']);

/** Whether a value is a walk over another one's memory. */
export const isView = (value: Value): boolean => !value.isParameter && views.has(value.node.operator);

/** Whether one loop computes the node with its neighbours. */
export const isPointwise = (node: Node): boolean => {
  if (node.operator !== 'composite') return coreOperator(node.operator).isElementwise === true;
  const inner = [...node.blocks[0].nodes()];
  return inner.every((each) => placing.has(each.operator) || isPointwise(each));
};

const rules: FusionRules = {
  kindOf: (node) => (node.outputs.length === 1 && isPointwise(node) ? 'loop' : undefined),
  isView,
  needsMemory: () => false,
  largestGroup: 48,
};

/** The values that `value` is read from: its own memory, or views and at last that which they are views of. */
export const memoryOf = (value: Value): Value => sourcesOf(value, isView).at(-1)!;

export function memorySpans(graph: Graph): MemorySpans {
  const units = schedule(graph.block, rules);
  const unitOf = new Map<Node, number>();
  const spans = new Map<Value, Span>();
  units.forEach((unit, first) => {
    for (const node of nodesOf(unit)) {
      unitOf.set(node, first);
      for (const value of node.outputs)
        spans.set(value, { value, bytes: bytesOf(value), first, last: first, reads: [] });
    }
  });
  units.forEach((unit, at) => {
    for (const node of nodesOf(unit)) {
      for (const value of valuesRead(node)) {
        const span = spans.get(memoryOf(value));
        if (span === undefined || (span.first === at && unit.kind === 'group')) continue;
        if (span.reads.at(-1) !== at) span.reads.push(at);
        span.last = at;
      }
    }
  });
  // Results have the memory of the caller; what only its own loop reads has none.
  for (const output of graph.outputs) spans.delete(memoryOf(output));
  for (const [value, span] of spans)
    if (span.reads.length === 0 && units[span.first].kind === 'group') spans.delete(value);
  return { spans, unitOf, peak: peakOf(spans.values(), units.length) };
}

function peakOf(spans: Iterable<Span>, count: number): MemorySpans['peak'] {
  const changes = new Float64Array(count + 1);
  for (const { first, last, bytes } of spans) {
    changes[first] += bytes;
    changes[last + 1] -= bytes;
  }
  let [unit, bytes, now] = [0, 0, 0];
  for (let at = 0; at < count; at++) {
    now += changes[at];
    if (now > bytes) [unit, bytes] = [at, now];
  }
  return { unit, bytes };
}

const nodesOf = (unit: Unit): readonly Node[] => (unit.kind === 'node' ? [unit.node] : unit.nodes);

const bytesOf = (value: Value): number => {
  if (value.type.kind !== 'Tensor') return 0;
  const { dtype, sizes } = specOf(value);
  return numel(sizes) * dtypes[dtype].bytes;
};
