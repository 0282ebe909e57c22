// A graph with every call of a script function or method replaced by the callee's body.
import type { Graph } from '@weft/ir';
import { eliminateDeadCode } from './passes/dead-code.ts';
import { inlineCalls } from './passes/inline.ts';

/** The graph itself is left as it is. */
export function inlined(graph: Graph): Graph {
  const copy = graph.clone();
  inlineCalls(copy);
  eliminateDeadCode(copy);
  return copy;
}
