// Puts the bodies of called functions and methods in the place of the calls. Calls through interfaces stay: what they
// reach is known only when running. So does a call that would expand itself.
import type { Block, Graph, Node, ScriptFunction, Value } from '@weft/ir';
import { cloneNode } from '@weft/ir';
import type { Pass } from './pass.ts';

/**
 * Every call in the graph, also in blocks and in the bodies put in; returns whether there was one.
 * @param prepare what the body of a function goes through, once, before it is put in
 */
export function inlineCalls(graph: Graph, prepare?: (body: Graph) => void): boolean {
  return new Inliner(prepare).inline(graph.block);
}

class Inliner {
  private readonly bodies = new Map<ScriptFunction, Graph>();
  /** Functions whose bodies are being made: a call of one of them would expand itself. */
  private readonly open = new Set<ScriptFunction>();

  constructor(private readonly prepare: (body: Graph) => void = () => {}) {}

  inline(block: Block): boolean {
    let changed = false;
    for (const node of [...block.nodes()]) {
      for (const inner of node.blocks) changed = this.inline(inner) || changed;
      const callee = calleeOf(node);
      if (callee === undefined || this.open.has(callee)) continue;
      putBody(node, this.bodyOf(callee));
      changed = true;
    }
    return changed;
  }

  private bodyOf(callee: ScriptFunction): Graph {
    let body = this.bodies.get(callee);
    if (body === undefined) {
      body = callee.graph.clone();
      this.open.add(callee);
      this.inline(body.block);
      this.open.delete(callee);
      this.prepare(body);
      this.bodies.set(callee, body);
    }
    return body;
  }
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

/** A copy of the body takes the place of the call. */
function putBody(call: Node, body: Graph): void {
  const { graph } = call;
  const given = call.kind === 'prim::CallFunction' ? call.inputs.slice(1) : call.inputs;
  const map = new Map<Value, Value>(body.inputs.map((input, index) => [input, given[index]]));
  for (const node of body.nodes()) addCaller(cloneNode(graph, node, map).insertBefore(call), call);
  call.replaceWith(body.outputs.map((output) => map.get(output)!));
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
  run: (graph) => inlineCalls(graph),
};
