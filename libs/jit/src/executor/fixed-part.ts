// What a graph computes from inputs that seldom change (weights) alone, taken out of it: computed once, and again when one of these
// changed. Nodes that only say where elements are (broadcasts, slices, …) go along with what reads them and stay otherwise: a
// device reads through them for nothing where they stand.
import type { Node, Value } from '@weft/ir';
import {
  Graph,
  capturesOf,
  cloneNode,
  hasSideEffects,
  isNondeterministic,
  numel,
  removeDeadCode,
  specOf,
} from '@weft/ir';
import type { Device } from '@weft/devices';
import { CoreFunction } from '@weft/tensor';
import type { Tensor } from '@weft/tensor';

/** A graph in two. */
export interface SplitGraph {
  /** From some inputs of the graph (by index) to values that are the same while these are. */
  readonly fixed: Graph;
  readonly fixedInputs: readonly number[];
  /** What is left: its inputs are some of the graph's (by index), then the results of `fixed`. */
  readonly rest: Graph;
  readonly restInputs: readonly number[];
}

/** Nodes that do not compute. Joined weights are memory of their own all the same. */
const placing: ReadonlySet<string> = new Set(
  ['broadcast_in_dim', 'constant', 'convert', 'iota', 'pad', 'reshape', 'reverse', 'slice', 'transpose'], // prettier-ignore
);
/** Also what only marks a value, as `stop_gradient` does. */
const isPlacing = ({ operator, blocks }: Node): boolean =>
  placing.has(operator) || (operator === 'composite' && [...blocks[0].nodes()].length === 0);
/** Elements of a value that is kept, at most. */
const largest = 1 << 22;

/**
 * Takes the fixed part out of a graph, which is used up. Undefined, and nothing happened, when there is none.
 * @param inputs those that seldom change
 */
export function splitGraph(graph: Graph, inputs: readonly number[]): SplitGraph | undefined {
  const given = new Set(inputs.map((index) => graph.inputs[index]));
  const members = new Set<Node>();
  /** Follow from constants alone too; a device has its own ways with these. */
  const constant = new Set<Node>();
  const isFixed = (value: Value): boolean =>
    given.has(value) || members.has(value.node) || constant.has(value.node);
  const outputs = new Set(graph.outputs);
  const roots: Node[] = [];
  for (const node of graph.nodes()) {
    const operands = [...node.inputs, ...node.blocks.flatMap(capturesOf)];
    if (node.outputs.length === 0 || hasSideEffects(node) || isNondeterministic(node) || !operands.every(isFixed)) continue; // prettier-ignore
    if (operands.every((value) => constant.has(value.node))) {
      constant.add(node);
      continue;
    }
    members.add(node);
    // A result that is handed out must be new at every call.
    const isKept = node.outputs.every(
      (output) => !outputs.has(output) && numel(specOf(output).sizes) <= largest,
    );
    if (!isPlacing(node) && isKept) roots.push(node);
  }
  if (roots.length === 0) return undefined;

  const fixed = new Graph();
  const map = new Map<Value, Value>();
  const fixedInputs = inputs.filter((index) => graph.inputs[index].hasUses);
  for (const index of fixedInputs) map.set(graph.inputs[index], fixed.addInput(graph.inputs[index].type));
  for (const node of graph.nodes()) if (members.has(node) || constant.has(node)) fixed.insertNode(cloneNode(fixed, node, map)); // prettier-ignore
  const made: [Value, Value][] = [];
  for (const root of roots) {
    for (const output of root.outputs) {
      const input = graph.addInput(output.type);
      output.replaceAllUsesWith(input);
      made.push([input, map.get(output)!]);
    }
  }
  removeDeadCode(graph);
  const count = graph.inputs.length - made.length;
  for (const [input, value] of made) {
    if (input.hasUses) fixed.addOutput(value);
    else graph.block.removeInput(graph.inputs.indexOf(input));
  }
  removeDeadCode(fixed);
  const used = removeUnused(fixed, fixedInputs, fixedInputs.length);
  const restInputs = removeUnused(
    graph,
    Array.from({ length: count }, (_, index) => index),
    count,
  );
  return { fixed, fixedInputs: used, rest: graph, restInputs };
}

/** Takes the first `count` inputs out that nothing reads; returns what was named for those that are left. */
function removeUnused(graph: Graph, names: readonly number[], count: number): number[] {
  const left: number[] = [];
  const unused = graph.inputs.slice(0, count).filter((input, index) => {
    if (input.hasUses) left.push(names[index]);
    return !input.hasUses;
  });
  for (const input of unused) graph.block.removeInput(graph.inputs.indexOf(input));
  return left;
}

/** Recomputations without that many calls for each, after which the fixed part is no longer kept apart. */
const fewCalls = 4;

/** A graph with its fixed part apart, both optimised already. */
export class FixedPart {
  readonly rest: CoreFunction;
  private readonly fixed: CoreFunction;
  private results: readonly Tensor[] | undefined;
  private readonly seen: { storage: unknown; contents: number | undefined; offset: number }[] = [];
  private calls = 0;
  private changes = 0;

  /** Which operands of a call the inputs of both parts are. */
  private readonly fixedOperands: readonly number[];
  private readonly restOperands: readonly number[];

  /** @param operands for each input of the whole graph the operand that it is */
  constructor(
    split: SplitGraph,
    operands: readonly number[],
    private readonly device: Device,
  ) {
    this.fixedOperands = split.fixedInputs.map((input) => operands[input]);
    this.restOperands = split.restInputs.map((input) => operands[input]);
    this.fixed = new CoreFunction(split.fixed, { once: true });
    this.rest = new CoreFunction(split.rest, { once: true });
  }

  /**
   * What `rest` is run on.
   * @returns undefined when the graph has to run whole, since its inputs do change or it cannot be known
   */
  restOf(operands: readonly Tensor[]): Tensor[] | undefined {
    const { fixedOperands, restOperands, seen } = this;
    if (this.changes > fewCalls && this.changes * fewCalls > this.calls) return undefined;
    this.calls++;
    let { results } = this;
    for (let index = 0; index < fixedOperands.length; index++) {
      const { storage, offset } = operands[fixedOperands[index]];
      const { contents } = storage;
      if (contents === undefined) return undefined;
      const last = seen[index];
      if (last?.storage === storage && last.contents === contents && last.offset === offset) continue;
      seen[index] = { storage, contents, offset };
      results = undefined;
    }
    if (results === undefined) {
      this.changes++;
      const given = fixedOperands.map((operand) => operands[operand]);
      results = this.results = this.fixed.run(given, this.device);
    }
    const count = restOperands.length;
    const rest = new Array<Tensor>(count + results.length);
    for (let index = 0; index < count; index++) rest[index] = operands[restOperands[index]];
    for (let index = 0; index < results.length; index++) rest[count + index] = results[index];
    return rest;
  }
}
