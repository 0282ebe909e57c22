// A graph with every call of a script function or method replaced by the callee's body, as PyTorch shows it: bodies come
// simplified, as they run, while the graph itself stays as it was written.
import type { Graph } from '@weft/ir';
import { poolConstants } from './passes/constant-pooling.ts';
import { propagateConstants } from './passes/constant-propagation.ts';
import { eliminateDeadCode } from './passes/dead-code.ts';
import { inlineCalls } from './passes/inline.ts';
import { simplifyPeepholes, torchRules } from './passes/peephole.ts';

/** The graph itself is left as it is. */
export function inlined(graph: Graph): Graph {
  const copy = graph.clone();
  inlineCalls(copy, simplify);
  return copy;
}

function simplify(body: Graph): void {
  if (simplifyPeepholes(body, torchRules)) eliminateDeadCode(body);
  propagateConstants(body);
  poolConstants(body);
}
