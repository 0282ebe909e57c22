// Reads a core value that follows from constants alone: the arithmetic on shapes that traced programs do on tensors, a
// comparison of two constants. The nodes it follows from are run on the reference device while the graph is still made.
import type { Node, Value, TensorLiteral } from '@weft/ir';
import { Graph, cloneNode, dtypes, hasEffect, numel, specOf } from '@weft/ir';
import { executeOnHost } from '@weft/devices';
import { integersOf, numbersOf } from '@weft/ops';

/** More work than this is left to the compiled graph. */
const maxNodes = 64;
const maxElements = 4096;

/** The value as a literal, or undefined when it depends on an input. */
export function foldConstant(value: Value): TensorLiteral | undefined {
  if (value.node.kind === 'core::constant') return value.node.get('t', 'value');
  const nodes = new Set<Node>();
  if (!collect(value, nodes)) return undefined;
  const graph = new Graph();
  const map = new Map<Value, Value>();
  for (const node of nodes) graph.insertNode(cloneNode(graph, node, map));
  graph.addOutput(map.get(value)!);
  return executeOnHost(graph, [])[0];
}

/** Gathers the nodes behind a value, operands first; false when something else than constants is there, or too much. */
function collect(value: Value, into: Set<Node>): boolean {
  const { node } = value;
  if (into.has(node)) return true;
  const isPlain = node.namespace === 'core' && node.blocks.length === 0 && !hasEffect(node);
  if (!isPlain || into.size >= maxNodes || numel(specOf(value).sizes) > maxElements) return false;
  if (!node.inputs.every((input) => collect(input, into))) return false;
  into.add(node);
  return true;
}

/** A value of one element as a number, or undefined when it depends on an input. */
export function foldNumber(value: Value): bigint | number | boolean | undefined {
  const { dtype } = specOf(value);
  const { category } = dtypes[dtype];
  if (category === 'complex') return undefined;
  const literal = foldConstant(value);
  if (literal === undefined) return undefined;
  if (category === 'float') return numbersOf(literal)[0];
  const [integer] = integersOf(literal);
  return category === 'bool' ? integer !== 0n : integer;
}
