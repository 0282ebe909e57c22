// The evaluator of constant propagation: runs one node in the interpreter. Tensors go in and come out as literals.
import type { IValue, Node } from '@weft/ir';
import type { TensorLiteral } from '@weft/ir';
import { Graph, TupleValue, cloneNode, containerType, isTensorLike, tagContainer } from '@weft/ir';
import { Code, Frame, materialize } from '../runtime/index.ts';

/** The node's results, or undefined when it has no meaning here or fails (which it must do at run time). */
export function evaluateNode(node: Node, inputs: readonly IValue[]): readonly IValue[] | undefined {
  const graph = new Graph();
  const map = new Map(node.inputs.map((input) => [input, graph.addInput(input.type)]));
  const copy = graph.insertNode(cloneNode(graph, node, map));
  for (const output of copy.outputs) graph.addOutput(output);
  try {
    const silent = { print: () => undefined, warn: () => undefined };
    return new Frame(Code.compile(graph), silent).run(inputs.map(materialize)).map(toLiterals);
  } catch {
    return undefined;
  }
}

/** Eager tensors become literals; anything else that is live makes the result unusable, which the caller sees. */
function toLiterals(value: IValue): IValue {
  if (isTensorLike(value))
    return 'toLiteral' in value ? (value as { toLiteral(): TensorLiteral }).toLiteral() : value;
  if (value instanceof TupleValue) return new TupleValue(value.items.map(toLiterals), value.type);
  if (Array.isArray(value)) return retag(value.map(toLiterals), value);
  if (value instanceof Map) {
    return retag(new Map([...value].map(([key, item]) => [toLiterals(key), toLiterals(item)])), value);
  }
  return value;
}

function retag<T extends IValue[] | Map<IValue, IValue>>(copy: T, original: T): T {
  const type = containerType(original);
  return type === undefined ? copy : tagContainer(copy, type);
}
