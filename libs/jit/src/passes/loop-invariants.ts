// What every turn of a loop computes anew from the same operands is computed once, before the loop. A node leaves only when
// nobody can tell: it has no effect and draws no random numbers, nothing writes to what it reads or makes, its result cannot be
// reached from outside (each turn made an object of its own), and it cannot fail where the loop would not have run it.
import type { Block, Graph, Node, Value } from '@weft/ir';
import { AliasAnalysis, hasSideEffects, isMutable, isNondeterministic } from '@weft/ir';
import { turnsOf } from './loop-unrolling.ts';
import type { Pass } from './pass.ts';

/** Returns whether anything was taken out of a loop. */
export function hoistLoopInvariants(graph: Graph): boolean {
  return visit(graph.block, new AliasAnalysis(graph));
}

function visit(block: Block, alias: AliasAnalysis): boolean {
  let changed = false;
  for (const node of [...block.nodes()]) {
    // From the innermost loop outwards.
    for (const inner of node.blocks) changed = visit(inner, alias) || changed;
    if (node.kind === 'prim::Loop') changed = hoistFrom(node, alias) || changed;
  }
  return changed;
}

function hoistFrom(loop: Node, alias: AliasAnalysis): boolean {
  const [body] = loop.blocks;
  const isOutside = (value: Value): boolean => !body.encloses(value.node.block!);
  // A loop that turns at least once runs the nodes of its body up to the first that does something to the world.
  let isReached = (turnsOf(loop) ?? 0n) > 0n;
  let changed = false;
  for (const node of [...body.nodes()]) {
    if (isInvariant(node, isOutside, alias) && (isReached || cannotFail(node))) {
      node.moveBefore(loop);
      changed = true;
    } else if (hasSideEffects(node) || isNondeterministic(node) || alias.isMutating(node)) isReached = false;
  }
  return changed;
}

function isInvariant(node: Node, isOutside: (value: Value) => boolean, alias: AliasAnalysis): boolean {
  // Constants stand where they are read until they are pooled.
  if (node.blocks.length > 0 || node.outputs.length === 0 || unmovable.has(node.kind)) return false;
  if (!node.inputs.every(isOutside) || hasSideEffects(node) || isNondeterministic(node)) return false;
  if (node.kind === 'prim::GetAttr') return !alias.hasWriters(node.inputs[0]);
  if (alias.hasWritersOf(node)) return false;
  return node.outputs.every((output) => !isMutable(output.type) || !alias.mayEscape(output));
}

const unmovable: ReadonlySet<string> = new Set([
  'prim::Constant',
  'prim::CreateObject',
  'prim::Uninitialized',
]);

/** Operators that have a result for whatever operands of these types; on numbers, strings and tuples only. */
const total: ReadonlySet<string> = new Set(
  ['add', 'sub', 'mul', 'neg', 'eq', 'ne', 'lt', 'le', 'gt', 'ge', 'len', '__and__', '__or__', '__not__'].map(
    (name) => `aten::${name}`,
  ),
);
const simple: ReadonlySet<string> = new Set(['int', 'float', 'bool', 'str']);
/** Questions about a tensor that every tensor answers. */
const queries: ReadonlySet<string> = new Set(['aten::dim', 'aten::numel', 'prim::dtype', 'prim::device']);

function cannotFail(node: Node): boolean {
  if (node.kind === 'prim::GetAttr' || node.kind === 'prim::TupleConstruct') return true;
  if (queries.has(node.kind)) return true;
  if (node.kind === 'aten::size') return node.inputs.length === 1;
  return total.has(node.kind) && [...node.inputs, ...node.outputs].every(({ type }) => simple.has(type.kind));
}

export const loopInvariantsPass: Pass = {
  name: 'loop-invariants',
  level: 'torch',
  summary: 'Computes before a loop what is the same in every turn of it.',
  run: hoistLoopInvariants,
};
