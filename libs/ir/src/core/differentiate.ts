// Derivatives of whole core graphs. Three forms: cotangents inside a builder (`vjpOfGraph`), a forward graph that hands on
// what a backward graph needs (`differentiate`), and one graph with results and gradients (`jointGraph`).
import type { Node, Value, Graph } from '../graph/graph.ts';
import { cloneNode } from '../graph/graph.ts';
import { OperatorError } from '../errors.ts';
import { CoreBuilder } from './builder.ts';
import { specOf } from './infer-types.ts';
import { isDifferentiable, zerosLike } from './cotangent.ts';
import { removeDeadCode } from './dead-code.ts';
import { inlineGraph } from './region.ts';
import { reverseAccumulate } from './reverse.ts';
import { specText } from './ops/inference.ts';

export interface GraphVjp {
  readonly outputs: readonly Value[];
  /** One for each operand; null where no result depends on it. */
  readonly cotangents: readonly (Value | null)[];
}

/** Emits `graph` on `operands`, and after it the cotangents of the operands from those of the outputs (null: zero). */
export function vjpOfGraph(
  b: CoreBuilder,
  graph: Graph,
  operands: readonly Value[],
  cotangents: readonly (Value | null)[],
): GraphVjp {
  const { nodes, outputs } = inlineGraph(b, graph, operands);
  const wrt = [...new Set(operands)];
  const seeds = outputs.map((output, index) => [output, cotangents[index]] as const);
  const found = reverseAccumulate(b, { nodes, seeds, wrt });
  // An operand that is given twice has one cotangent, which is counted once.
  return {
    outputs,
    cotangents: operands.map((operand, index) =>
      operands.indexOf(operand) === index ? found[wrt.indexOf(operand)] : null,
    ),
  };
}

/** Where a value that the backward graph needs comes from: an input of the forward graph, or one of its outputs. */
export interface SavedValue {
  readonly kind: 'input' | 'output';
  readonly index: number;
}

export interface DifferentiateOptions {
  /** Inputs (by index) whose gradients are wanted. */
  readonly wrt: readonly number[];
  /** Outputs (by index) that have cotangents; default: all of a floating or complex dtype. */
  readonly outputs?: readonly number[];
  /**
   * Changes the graph of results and gradients before it is cut, in place: nodes that it adds behind the last forward node become
   * part of the backward graph, so that what they compute need not be saved.
   */
  readonly rewrite?: (joint: Graph) => void;
}

export interface Differentiated {
  /** The graph's inputs → its outputs, then the values kept for backward. */
  readonly forward: Graph;
  /** Saved values, in the order of `saved`, then a cotangent for each of `cotangents` → a gradient for each of `wrt`. */
  readonly backward: Graph;
  readonly saved: readonly SavedValue[];
  /** Outputs (by index) whose cotangents the backward graph takes. */
  readonly cotangents: readonly number[];
  readonly wrt: readonly number[];
}

/**
 * Splits the derivative of a graph in two. Inputs and outputs are saved before anything else is, and what moves
 * elements or makes constants is computed again rather than saved. Gradients that do not depend on anything are zeros.
 */
export function differentiate(graph: Graph, options: DifferentiateOptions): Differentiated {
  const joint = new Joint(graph, options.wrt);
  const cotangents =
    options.outputs ?? graph.outputs.flatMap((output, index) => (isDifferentiable(output) ? [index] : []));
  const seeds = cotangents.map((index) => joint.b.input(specOf(graph.outputs[index])));
  const gradients = joint.accumulate(cotangents, seeds);
  return { ...new Cut(joint, seeds, gradients).run(options.rewrite), cotangents, wrt: options.wrt };
}

export interface JointOptions {
  /** Inputs (by index) whose gradients are wanted. */
  readonly wrt: readonly number[];
  /** The output (by index), a scalar, that is differentiated. */
  readonly loss: number;
}

export interface JointGraph {
  /** The graph's inputs → its outputs, then the gradients. */
  readonly graph: Graph;
  /** Output indices of the gradients, one for each of `wrt`. */
  readonly gradients: readonly number[];
  /** The nodes that the derivative added. */
  readonly backward: ReadonlySet<Node>;
  /** Backward node → the forward node (of `graph`) that it differentiates. */
  readonly origin: ReadonlyMap<Node, Node>;
}

/** One graph with results and gradients of a scalar result. */
export function jointGraph(graph: Graph, options: JointOptions): JointGraph {
  const loss = graph.outputs[options.loss];
  if (loss === undefined || specOf(loss).sizes.length > 0 || !isDifferentiable(loss)) {
    const given = loss === undefined ? 'missing' : specText(specOf(loss));
    throw new OperatorError(
      `the loss, output ${options.loss}, is ${given}; a floating-point scalar is expected`,
    );
  }
  const joint = new Joint(graph, options.wrt);
  const gradients = joint.accumulate(
    [options.loss],
    [joint.b.fullLike(joint.graph.outputs[options.loss], 1)],
  );
  const first = joint.graph.outputs.length;
  for (const gradient of gradients) joint.graph.addOutput(gradient);
  removeDeadCode(joint.graph);
  const backward = new Set(joint.backwardNodes());
  const origin = new Map(
    [...joint.origin].filter(([node, from]) => backward.has(node) && from.block !== undefined),
  );
  return { graph: joint.graph, gradients: options.wrt.map((_, index) => first + index), backward, origin };
}

/** A copy of a graph with the nodes of its derivative after it. */
class Joint {
  readonly b = new CoreBuilder();
  readonly graph = this.b.graph;
  readonly origin = new Map<Node, Node>();
  private readonly wrt: readonly Value[];
  private readonly forwardNodes: readonly Node[];

  constructor(source: Graph, wrt: readonly number[]) {
    this.graph.block.copyFrom(source.block, new Map());
    for (const index of wrt) this.requireInput(index);
    this.wrt = wrt.map((index) => this.graph.inputs[index]);
    this.forwardNodes = [...this.graph.nodes()];
  }

  private requireInput(index: number): void {
    const input = this.graph.inputs[index];
    if (input === undefined) {
      throw new OperatorError(
        `gradient of input ${index} is asked for; the graph has ${this.graph.inputs.length}`,
      );
    }
    if (!isDifferentiable(input)) {
      throw new OperatorError(
        `input ${index} (%${input.name}) is ${specText(specOf(input))}; only floating-point and complex tensors have gradients`,
      );
    }
  }

  /** Appends the derivative: a gradient for each of `wrt`. */
  accumulate(outputs: readonly number[], cotangents: readonly Value[]): Value[] {
    const seeds = outputs.map((output, at) => [this.graph.outputs[output], cotangents[at]] as const);
    const found = reverseAccumulate(this.b, {
      nodes: this.forwardNodes,
      seeds,
      wrt: this.wrt,
      onEmit: (forward, from) => {
        // A loop is replaced by one that keeps its states, right in front of it.
        const isReplaced = forward.outputs.every((output) => !output.hasUses);
        const origin = isReplaced ? forward.prev! : forward;
        for (let node = from.next!; node !== this.graph.returnNode; node = node.next!) {
          this.origin.set(node, origin);
        }
      },
    });
    return found.map((gradient, index) => gradient ?? zerosLike(this.b, this.wrt[index]));
  }

  /** The nodes after the last forward one. A rule may put more work in front of its node (a loop that keeps its states). */
  *backwardNodes(): Generator<Node, void> {
    const forward = new Set(this.forwardNodes);
    const nodes = [...this.graph.nodes()];
    yield* nodes.slice(nodes.findLastIndex((node) => forward.has(node)) + 1);
  }
}

/** Operators cheap enough to run again in the backward graph instead of keeping their results. */
const CHEAP: ReadonlySet<string> = new Set([
  'constant',
  'iota',
  'broadcast_in_dim',
  'reshape',
  'transpose',
  'reverse',
]);

/** Cuts a joint graph between forward and backward nodes. */
class Cut {
  private readonly saved: Value[] = [];
  private readonly map = new Map<Value, Value>();
  private readonly b = new CoreBuilder();
  private backwardNodes: ReadonlySet<Node> = new Set();
  private readonly outputs: ReadonlySet<Value>;

  constructor(
    private readonly joint: Joint,
    private readonly seeds: readonly Value[],
    private readonly gradients: readonly Value[],
  ) {
    this.outputs = new Set(joint.graph.outputs);
  }

  run(rewrite: DifferentiateOptions['rewrite']): Pick<Differentiated, 'forward' | 'backward' | 'saved'> {
    const { graph } = this.joint;
    // What backward reads, once its dead nodes are gone.
    const count = graph.outputs.length;
    for (const gradient of this.gradients) graph.addOutput(gradient);
    removeDeadCode(graph);
    rewrite?.(graph);
    this.backwardNodes = new Set(this.joint.backwardNodes());
    const backward = [...graph.nodes()].filter((node) => this.backwardNodes.has(node));
    this.collect(backward);
    this.emitBackward(backward);

    while (graph.outputs.length > count) graph.block.removeOutput(graph.outputs.length - 1);
    for (const node of backward.toReversed()) node.destroy();
    const saved = this.saved.map((value): SavedValue => this.place(value));
    for (let index = graph.inputs.length - 1; index >= 0; index--) {
      if (this.seeds.includes(graph.inputs[index])) graph.block.removeInput(index);
    }
    removeDeadCode(graph);
    return { forward: graph, backward: this.b.graph, saved };
  }

  /** Saves the forward values that backward nodes and gradients read. */
  private collect(backward: readonly Node[]): void {
    const own = new Set(backward);
    const isForward = (value: Value) =>
      !this.seeds.includes(value) && !own.has(value.node) && this.joint.graph.block === value.node.block;
    const need = (value: Value) => {
      if (isForward(value)) this.save(value);
    };
    const visit = (node: Node) => {
      node.inputs.forEach(need);
      for (const block of node.blocks) {
        for (const inner of block.nodes()) visit(inner);
        block.outputs.forEach(need);
      }
    };
    backward.forEach(visit);
    this.gradients.forEach(need);
  }

  /** Saves the value, or what it is cheaply made from. */
  private save(value: Value): void {
    if (this.map.has(value)) return;
    if (!value.isParameter && !this.outputs.has(value) && CHEAP.has(value.node.operator)) {
      value.node.inputs.forEach((input) => this.save(input));
      this.b.graph.insertNode(cloneNode(this.b.graph, value.node, this.map));
      return;
    }
    this.saved.push(value);
    this.map.set(value, this.b.input(specOf(value), value.hasName ? value.name : undefined));
  }

  private emitBackward(backward: readonly Node[]): void {
    for (const seed of this.seeds) this.map.set(seed, this.b.input(specOf(seed)));
    for (const node of backward) this.b.graph.insertNode(cloneNode(this.b.graph, node, this.map));
    for (const gradient of this.gradients) this.b.graph.addOutput(this.map.get(gradient)!);
  }

  private place(value: Value): SavedValue {
    const { graph } = this.joint;
    const input = graph.inputs.indexOf(value);
    if (input >= 0) return { kind: 'input', index: input };
    const output = graph.outputs.indexOf(value);
    if (output >= 0) return { kind: 'output', index: output };
    graph.addOutput(value);
    return { kind: 'output', index: graph.outputs.length - 1 };
  }
}
