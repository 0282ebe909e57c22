// Reverse accumulation: walks a list of nodes backwards and adds up cotangents by the operators' rules. What is emitted are
// ordinary core operators, so a derivative can be differentiated again.
import type { Block, Node, Value } from '../graph/graph.ts';
import { InternalError } from '../errors.ts';
import type { CoreBuilder } from './builder.ts';
import { isDifferentiable } from './cotangent.ts';
import { coreOperator } from './operator.ts';
import type { CotangentScope } from './operator.ts';
import { capturesOf } from './region.ts';

export interface ReverseOptions {
  /** In order of execution; their values are visible at the builder's insertion point. */
  readonly nodes: readonly Node[];
  /** Results and their cotangents (null: zero). */
  readonly seeds: readonly (readonly [result: Value, cotangent: Value | null])[];
  /** The values whose cotangents are wanted. */
  readonly wrt: readonly Value[];
  /** Told of each stretch of nodes that is emitted for a forward node: those after `from`, up to the insertion point. */
  readonly onEmit?: (forward: Node, from: Node) => void;
}

/** The cotangents of `wrt`; null where no result depends on one. */
export function reverseAccumulate(b: CoreBuilder, options: ReverseOptions): (Value | null)[] {
  const { nodes, seeds, wrt, onEmit } = options;
  const active = activeValues(nodes, wrt);
  const cotangents = new Map<Value, Value>();
  const add = (value: Value, cotangent: Value) => {
    if (!active.has(value)) return;
    const sum = cotangents.get(value);
    cotangents.set(value, sum === undefined ? cotangent : b.add(sum, cotangent));
  };
  const scope: CotangentScope = { wants: (value) => active.has(value), add };
  for (const [result, cotangent] of seeds) if (cotangent !== null) add(result, cotangent);

  const savedSource = b.graph.currentSource;
  for (const node of nodes.toReversed()) {
    const given = node.outputs.map((output) => cotangents.get(output) ?? null);
    if (given.every((cotangent) => cotangent === null)) continue;
    const rule = coreOperator(node.operator).vjp;
    if (rule === undefined) continue;
    b.graph.currentSource = node.source;
    const before = b.graph.getInsertPoint().prev!;
    const operands = [...node.inputs];
    const results = rule(b, node, given, scope);
    if (results.length !== operands.length) {
      throw new InternalError(
        `the derivative of ${node.kind} gives ${results.length} cotangents for ${operands.length} operands`,
      );
    }
    results.forEach((cotangent, index) => {
      if (cotangent !== null && isDifferentiable(operands[index])) add(operands[index], cotangent);
    });
    onEmit?.(node, before);
  }
  b.graph.currentSource = savedSource;
  return wrt.map((value) => cotangents.get(value) ?? null);
}

/** The values that depend on `wrt` through floating-point values. */
function activeValues(nodes: readonly Node[], wrt: readonly Value[]): Set<Value> {
  const active = new Set(wrt.filter(isDifferentiable));
  const reads = (node: Node) =>
    node.inputs.some((input) => active.has(input)) ||
    node.blocks.some((block: Block) => capturesOf(block).some((value) => active.has(value)));
  for (const node of nodes) {
    if (!reads(node)) continue;
    for (const output of node.outputs) if (isDifferentiable(output)) active.add(output);
  }
  return active;
}

/**
 * The cotangents of a node's operands by way of an equivalent: `expand` emits operators that compute the node's outputs from
 * its operands, and those are differentiated. For operators whose general form has no shorter derivative.
 */
export function vjpThrough(
  b: CoreBuilder,
  node: Node,
  cotangents: readonly (Value | null)[],
  scope: CotangentScope,
  expand: () => readonly Value[],
): (Value | null)[] {
  const before = b.graph.getInsertPoint().prev!;
  const outputs = expand();
  const nodes: Node[] = [];
  for (let at = before.next!; at !== b.graph.getInsertPoint(); at = at.next!) nodes.push(at);
  const operands = [...new Set(node.inputs)];
  const captures = [...new Set(node.blocks.flatMap(capturesOf))].filter((value) => !operands.includes(value));
  const wrt = [...operands, ...captures].filter((value) => scope.wants(value));
  const seeds = outputs.map((output, index) => [output, cotangents[index]] as const);
  const found = new Map(reverseAccumulate(b, { nodes, seeds, wrt }).map((value, at) => [wrt[at], value]));
  for (const capture of captures) {
    const cotangent = found.get(capture) ?? null;
    if (cotangent !== null) scope.add(capture, cotangent);
  }
  // An operand that is given twice has one cotangent, which is counted once.
  return node.inputs.map((input, index) =>
    node.inputs.indexOf(input) === index ? (found.get(input) ?? null) : null,
  );
}
