// A graph with every call of a script function or method replaced by the callee's body.
import type { Block, Graph, Node, ScriptFunction, Value } from '@weft/ir';
import { InternalError } from '@weft/ir';
import { cloneInto } from './emit/convert-to-ssa.ts';

export function inlined(graph: Graph): Graph {
  const copy = graph.clone();
  inlineBlock(copy.block);
  return copy;
}

function inlineBlock(block: Block): void {
  for (const node of [...block.nodes()]) {
    for (const inner of node.blocks) inlineBlock(inner);
    const callee = calleeOf(node);
    if (callee === undefined) continue;
    const given = node.kind === 'prim::CallFunction' ? node.inputs.slice(1) : [...node.inputs];
    const body = callee.graph.clone();
    inlineBlock(body.block);
    const holder = node.graph.create('prim::With', [], 0).insertBefore(node);
    const inner = holder.addBlock();
    cloneInto(inner, body.block);
    const map = new Map<Value, Value>(inner.inputs.map((input, index) => [input, given[index]]));
    for (const [input, value] of map) input.replaceAllUsesWith(value);
    const outputs = [...inner.outputs];
    for (const moved of [...inner.nodes()]) {
      if (moved.source !== undefined && node.source !== undefined)
        moved.source = moved.source.calledFrom(node.source);
      moved.moveBefore(node);
    }
    const function_ = node.kind === 'prim::CallFunction' ? node.inputs[0].node : undefined;
    node.replaceWith(outputs);
    holder.destroy();
    if (function_ !== undefined && !function_.output.hasUses) function_.destroy();
  }
}

function calleeOf(node: Node): ScriptFunction | undefined {
  if (node.kind === 'prim::CallFunction') {
    const { type } = node.inputs[0];
    if (type.kind !== 'Function')
      throw new InternalError('prim::CallFunction calls something that is no function');
    return type.function as ScriptFunction;
  }
  if (node.kind !== 'prim::CallMethod') return undefined;
  const { type } = node.inputs[0];
  return type.kind === 'Class'
    ? (type.methods.get(node.get('s', 'name')) as ScriptFunction | undefined)
    : undefined;
}
