// Runs nodes whose operands are constants, takes the branch of an If whose condition is one, and removes loops that never
// turn. Only values that cannot change are touched (numbers, strings, None, tuples of them), so no alias analysis is needed
// and a second run changes nothing.
import type { Block, Graph, IValue, Node, Type, Value } from '@weft/ir';
import { InternalError, TupleValue, containedTypes, qualifiedName, schemaOfNode } from '@weft/ir';
import { operatorMeaning } from '@weft/ops';
import { constantValue, insertConstant } from '../emit/constants.ts';
import { eliminateDeadCode, hasSideEffects } from './dead-code.ts';

export function propagateConstants(graph: Graph): void {
  const state = { changed: false };
  visitBlock(graph.block, state);
  if (state.changed) eliminateDeadCode(graph);
}

interface State {
  changed: boolean;
}

const skipped: ReadonlySet<string> = new Set([
  'prim::Constant',
  'prim::Uninitialized',
  'prim::Closure',
  'prim::CreateObject',
]);
const immutableKinds: ReadonlySet<Type['kind']> = new Set([
  'int',
  'float',
  'complex',
  'bool',
  'str',
  'None',
  'Device',
  'number',
  'Enum',
  'Tuple',
  'Optional',
]);

export const isImmutable = (type: Type): boolean =>
  immutableKinds.has(type.kind) && containedTypes(type).every(isImmutable);

function visitBlock(block: Block, state: State): void {
  for (const node of [...block.nodes()]) visitNode(node, state);
}

function visitNode(node: Node, state: State): void {
  const constant = node.inputs.every((input) => input.node.kind === 'prim::Constant');
  if (node.kind === 'prim::If') {
    if (constant) {
      state.changed = true;
      inlineBranch(node, constantValue(node.inputs[0]) === true ? 0 : 1, state);
    } else {
      for (const block of node.blocks) visitBlock(block, state);
      removeExtraIfOutputs(node, state);
    }
  } else if (node.kind === 'prim::Loop') {
    const trips = constantValue(node.inputs[0]);
    if ((typeof trips === 'bigint' && trips <= 0n) || constantValue(node.inputs[1]) === false) {
      state.changed = true;
      node.replaceWith(node.inputs.slice(2));
    } else {
      for (const block of node.blocks) visitBlock(block, state);
      removeExtraLoopOutputs(node, state);
    }
  } else if (constant && node.blocks.length === 0 && isFoldable(node)) {
    fold(node, state);
  } else {
    for (const block of node.blocks) visitBlock(block, state);
  }
}

const isFoldable = (node: Node): boolean =>
  !skipped.has(node.kind) &&
  !hasSideEffects(node) &&
  [...node.inputs, ...node.outputs].every((value) => isImmutable(value.type));

function fold(node: Node, state: State): void {
  const results = runNode(
    node,
    node.inputs.map((input) => constantValue(input)!),
  );
  if (results === undefined) return;
  const { graph } = node;
  graph.withInsertPoint(node, () => {
    for (const [index, output] of node.outputs.entries()) {
      const result = results[index];
      const type = result === null || output.type.kind !== 'number' ? output.type : undefined;
      const constant = insertConstant(graph, result, type);
      constant.node.source = node.source;
      output.replaceAllUsesWith(constant);
    }
  });
  state.changed = true;
}

/** The results, or undefined when the node cannot be run here (or fails, which it must do at run time). */
export function runNode(node: Node, inputs: readonly IValue[]): readonly IValue[] | undefined {
  switch (node.kind) {
    case 'prim::TupleConstruct': {
      const { type } = node.output;
      return [new TupleValue(inputs, type.kind === 'Tuple' && type.name !== undefined ? type : undefined)];
    }
    case 'prim::TupleUnpack':
      return (inputs[0] as TupleValue).items;
    case 'prim::TupleIndex':
      return [(inputs[0] as TupleValue).items.at(Number(inputs[1]))!];
    default:
  }
  const schema = schemaOfNode(node);
  if (schema === undefined || schema.isVararg) return undefined;
  const meaning = operatorMeaning(qualifiedName(schema));
  if (meaning?.kind !== 'host') return undefined;
  try {
    const result = meaning.run(...inputs);
    return node.outputs.length === 1 ? [result as IValue] : (result as readonly IValue[]);
  } catch (error) {
    if (error instanceof InternalError) throw error;
    return undefined;
  }
}

function inlineBranch(node: Node, branch: number, state: State): void {
  const block = node.blocks[branch];
  visitBlock(block, state);
  const outputs: readonly Value[] = [...block.outputs];
  for (const inner of [...block.nodes()]) inner.moveBefore(node);
  node.replaceWith(outputs);
}

/** Results that are the same in both branches. */
function removeExtraIfOutputs(node: Node, state: State): void {
  const [then, otherwise] = node.blocks;
  for (let index = 0; index < node.outputs.length;) {
    const [first, second] = [then.outputs[index], otherwise.outputs[index]];
    let replacement: Value | undefined;
    if (first === second) replacement = first;
    else {
      const [a, b] = [constantValue(first), constantValue(second)];
      if (a !== undefined && sameConstant(a, b) && first.type.kind === second.type.kind) {
        replacement = node.graph.withInsertPoint(node, () => insertConstant(node.graph, a, first.type));
      }
    }
    if (replacement === undefined) {
      index++;
      continue;
    }
    node.outputs[index].replaceAllUsesWith(replacement);
    node.removeOutput(index);
    then.removeOutput(index);
    otherwise.removeOutput(index);
    state.changed = true;
  }
}

export const sameConstant = (a: IValue, b: IValue | undefined): boolean =>
  Object.is(a, b) ||
  (a instanceof TupleValue &&
    b instanceof TupleValue &&
    a.items.length === b.items.length &&
    a.items.every((item, index) => sameConstant(item, b.items[index])));

/** Values that the body hands on unchanged. */
function removeExtraLoopOutputs(node: Node, state: State): void {
  const [body] = node.blocks;
  for (let index = node.outputs.length - 1; index >= 0; index--) {
    const carried = body.inputs[index + 1];
    if (carried !== body.outputs[index + 1]) continue;
    const start = node.inputs[index + 2];
    node.outputs[index].replaceAllUsesWith(start);
    body.removeOutput(index + 1);
    carried.replaceAllUsesWith(start);
    node.removeOutput(index);
    node.removeInput(index + 2);
    body.removeInput(index + 1);
    state.changed = true;
  }
}
