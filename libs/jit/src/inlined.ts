// A graph with every call of a script function or method replaced by the callee's body.
import type { Graph } from '@weft/ir';
import { inlineCalls } from './passes/inline.ts';

export function inlined(graph: Graph): Graph {
  const copy = graph.clone();
  inlineCalls(copy);
  return copy;
}
