// Computes what is computed twice once: a node that equals an earlier one of its block or of an enclosing block is replaced by
// that. Nodes with effects, random ones, and those whose operands or results are written to anywhere stay; so do equal results
// that could both be told apart from outside.
import type { Block, Graph, Node } from '@weft/ir';
import { AliasAnalysis, hasSideEffects, isMutable, isNondeterministic } from '@weft/ir';
import { keyOf } from './node-key.ts';
import type { Pass } from './pass.ts';

/** Torch graphs. Returns whether something was merged. */
export function mergeCommonSubexpressions(graph: Graph): boolean {
  const alias = new AliasAnalysis(graph);
  const isMergeable = (node: Node): boolean =>
    node.kind === 'prim::GetAttr' ? !alias.hasWriters(node.inputs[0]) : isRepeatable(node);
  const isRepeatable = (node: Node): boolean =>
    node.outputs.length > 0 &&
    node.kind !== 'prim::CreateObject' &&
    node.kind !== 'prim::Uninitialized' &&
    !(node.kind === 'prim::Constant' && isMutable(node.output.type)) &&
    !hasSideEffects(node) &&
    !isNondeterministic(node) &&
    !alias.hasWritersOf(node);
  /** Nodes that took the place of one whose results can be reached from outside, so theirs can now. */
  const escaped = new Set<Node>();
  const mayReplace = (node: Node, earlier: Node): boolean => {
    // An attribute is one object however often it is read.
    if (node.kind === 'prim::GetAttr') return true;
    if (!alias.mayMerge(node.outputs, earlier.outputs)) return false;
    if (!node.outputs.some((output) => alias.mayEscape(output))) return true;
    if (escaped.has(earlier)) return false;
    escaped.add(earlier);
    return true;
  };
  return visit(graph.block, [], isMergeable, mayReplace);
}

/** Core graphs, which have neither writes nor aliases. Returns whether something was merged. */
export function mergeCoreSubexpressions(graph: Graph): boolean {
  return visit(
    graph.block,
    [],
    (node) => !hasSideEffects(node),
    () => true,
  );
}

function visit(
  block: Block,
  enclosing: readonly Map<string, Node>[],
  isMergeable: (node: Node) => boolean,
  mayReplace: (node: Node, earlier: Node) => boolean,
): boolean {
  const own = new Map<string, Node>();
  const scopes = [own, ...enclosing];
  let changed = false;
  for (const node of block.nodes()) {
    for (const inner of node.blocks) changed = visit(inner, scopes, isMergeable, mayReplace) || changed;
    const key = isMergeable(node) ? keyOf(node) : undefined;
    if (key === undefined) continue;
    const earlier = scopes.map((scope) => scope.get(key)).find((found) => found !== undefined);
    if (earlier === undefined) own.set(key, node);
    else if (mayReplace(node, earlier)) {
      node.replaceWith(earlier.outputs);
      changed = true;
    }
  }
  return changed;
}

export const commonSubexpressionsPass: Pass = {
  name: 'common-subexpressions',
  level: 'torch',
  summary: 'Computes what is computed twice once.',
  run: mergeCommonSubexpressions,
};

export const coreCommonSubexpressionsPass: Pass = {
  name: 'core-common-subexpressions',
  level: 'core',
  summary: 'Computes what is computed twice once.',
  run: mergeCoreSubexpressions,
};
