// Puts the bodies of called functions and methods in the place of the calls. Calls through interfaces stay: what they
// reach is known only when running. So does a call that would expand itself.
import type { Block, Graph, Node, ScriptFunction, Value } from '@weft/ir';
import { cloneNode } from '@weft/ir';
import type { Pass } from './pass.ts';

/** Every call in the graph, also in blocks and in the bodies put in; returns whether there was one. */
export function inlineCalls(graph: Graph): boolean {
  return inlineBlock(graph.block, []);
}

function inlineBlock(block: Block, callers: readonly ScriptFunction[]): boolean {
  let changed = false;
  for (const node of [...block.nodes()]) {
    for (const inner of node.blocks) changed = inlineBlock(inner, callers) || changed;
    const callee = calleeOf(node);
    if (callee === undefined || callers.includes(callee)) continue;
    inlineCall(node, callee, callers);
    changed = true;
  }
  return changed;
}

/** The function that a node calls, if it is known. */
export function calleeOf(node: Node): ScriptFunction | undefined {
  const callee = node.inputs[0]?.type;
  if (node.kind === 'prim::CallFunction' && callee.kind === 'Function') return asCompiled(callee.function);
  if (node.kind !== 'prim::CallMethod' || callee.kind !== 'Class') return undefined;
  return asCompiled(callee.methods.get(node.get('s', 'name')));
}

/** What text only names has no graph. */
const asCompiled = (callee: object | undefined): ScriptFunction | undefined =>
  callee !== undefined && 'graph' in callee ? (callee as ScriptFunction) : undefined;

function inlineCall(call: Node, callee: ScriptFunction, callers: readonly ScriptFunction[]): void {
  const { graph } = call;
  const body = callee.graph.block;
  const given = call.kind === 'prim::CallFunction' ? call.inputs.slice(1) : call.inputs;
  const map = new Map<Value, Value>(body.inputs.map((input, index) => [input, given[index]]));
  for (const node of body.nodes()) {
    const copy = cloneNode(graph, node, map).insertBefore(call);
    addCaller(copy, call);
    // Copies of blocks hold calls as well.
    for (const inner of copy.blocks) inlineBlock(inner, [...callers, callee]);
    const next = calleeOf(copy);
    if (next !== undefined && next !== callee && !callers.includes(next)) {
      const outputs = node.outputs;
      inlineInto(copy, next, [...callers, callee], outputs, map);
    }
  }
  call.replaceWith(body.outputs.map((output) => map.get(output)!));
}

/** Inlines a call that was just copied, and maps the original's outputs to what takes the copy's place. */
function inlineInto(
  copy: Node,
  callee: ScriptFunction,
  callers: readonly ScriptFunction[],
  originals: readonly Value[],
  map: Map<Value, Value>,
): void {
  // A reader that is replaced with the copy's outputs shows what they became.
  const probe = copy.graph.create('prim::Return', [...copy.outputs], 0).insertAfter(copy);
  inlineCall(copy, callee, callers);
  originals.forEach((original, index) => map.set(original, probe.inputs[index]));
  probe.destroy();
}

function addCaller(node: Node, call: Node): void {
  if (call.source !== undefined && node.source !== undefined)
    node.source = node.source.calledFrom(call.source);
  for (const block of node.blocks) for (const inner of block.nodes()) addCaller(inner, call);
}

export const inlinePass: Pass = {
  name: 'inline',
  level: 'torch',
  summary: 'Puts the bodies of called functions and methods in the place of the calls.',
  run: inlineCalls,
};
