// Runs nodes whose operands are constants, takes the branch of an If whose condition is one, and removes loops that never
// turn. Without `mutable`, only values that cannot change are touched (numbers, strings, None, tuples of them), which needs
// no alias analysis; that is what compiled functions go through, as in PyTorch. With it, tensors and lists are folded too
// where nothing writes to them and nothing outside could.
import type { Block, Graph, IValue, Node, Type, Value } from '@weft/ir';
import {
  AliasAnalysis,
  Complex,
  DeviceValue,
  EnumValue,
  InternalError,
  TensorLiteral,
  TupleValue,
  containedTypes,
  isNondeterministic,
  numel,
  qualifiedName,
  schemaOfNode,
} from '@weft/ir';
import { operatorMeaning } from '@weft/ops';
import { constantValue, insertConstant } from '../emit/constants.ts';
import { eliminateDeadCode, hasSideEffects } from './dead-code.ts';

/** Computes a node's results from its operands; undefined when it cannot, or when the node fails (it must at run time). */
export type NodeEvaluator = (node: Node, inputs: readonly IValue[]) => readonly IValue[] | undefined;

export interface PropagationOptions {
  /** Default: operators on numbers, strings and tuples. Tensors come and go as TensorLiteral. */
  readonly evaluate?: NodeEvaluator;
  /** Folds tensors, lists and dicts as well. */
  readonly mutable?: boolean;
  /** Results with more elements than this are left to run time; default 1024. */
  readonly largest?: number;
}

/** Returns whether the graph changed. */
export function propagateConstants(graph: Graph, options: PropagationOptions = {}): boolean {
  const state: State = {
    changed: false,
    evaluate: options.evaluate ?? runNode,
    largest: options.largest ?? 1024,
    alias: options.mutable === true ? new AliasAnalysis(graph) : undefined,
  };
  visitBlock(graph.block, state);
  if (state.changed) eliminateDeadCode(graph);
  return state.changed;
}

interface State {
  changed: boolean;
  readonly evaluate: NodeEvaluator;
  readonly largest: number;
  /** There when values that can change are folded too. */
  readonly alias: AliasAnalysis | undefined;
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
  } else if (constant && node.blocks.length === 0 && isFoldable(node, state)) {
    fold(node, state);
  } else {
    for (const block of node.blocks) visitBlock(block, state);
  }
}

function isFoldable(node: Node, { alias }: State): boolean {
  if (skipped.has(node.kind) || hasSideEffects(node) || node.outputs.length === 0) return false;
  const values = [...node.inputs, ...node.outputs];
  if (values.every((value) => isImmutable(value.type))) return true;
  if (alias === undefined || isNondeterministic(node) || alias.isMutating(node)) return false;
  // A constant is one object for all runs: nothing may write to it, here or in the hands of a caller.
  return values.every(
    (value) => isImmutable(value.type) || (!alias.hasDeepWriters(value) && !alias.mayEscape(value)),
  );
}

function fold(node: Node, state: State): void {
  const results = state.evaluate(
    node,
    node.inputs.map((input) => constantValue(input)!),
  );
  if (results === undefined || !results.every((result) => isStorable(result, state.largest))) return;
  const { graph } = node;
  graph.withInsertPoint(node, () => {
    for (const [index, output] of node.outputs.entries()) {
      const result = results[index];
      const type = result === null || output.type.kind !== 'number' ? output.type : undefined;
      const constant = insertConstant(graph, result, type);
      state.alias?.addConstant(constant);
      constant.node.source = node.source;
      output.replaceAllUsesWith(constant);
    }
  });
  state.changed = true;
}

/** Whether a value can stand in a graph: no live tensor or object, and not too large. */
function isStorable(value: IValue, largest: number): boolean {
  if (value instanceof TensorLiteral) return numel(value.shape) <= largest;
  if (value instanceof TupleValue) return value.items.every((item) => isStorable(item, largest));
  if (Array.isArray(value))
    return value.length <= largest && value.every((item) => isStorable(item, largest));
  if (value instanceof Map) return [...value].flat().every((item) => isStorable(item, largest));
  const isPlain = value === null || typeof value !== 'object';
  return isPlain || value instanceof Complex || value instanceof DeviceValue || value instanceof EnumValue;
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

/** Whether two constants are the same value. Members of enums are told apart by identity, as PyTorch does. */
export function sameConstant(a: IValue, b: IValue | undefined): boolean {
  if (Object.is(a, b)) return true;
  if (a instanceof TupleValue && b instanceof TupleValue) return sameItems(a.items, b.items);
  if (Array.isArray(a) && Array.isArray(b)) return sameItems(a, b);
  if (a instanceof Complex && b instanceof Complex) return Object.is(a.re, b.re) && Object.is(a.im, b.im);
  if (a instanceof DeviceValue && b instanceof DeviceValue) return a.toString() === b.toString();
  if (a instanceof TensorLiteral && b instanceof TensorLiteral) {
    return a.dtype === b.dtype && a.shape.join() === b.shape.join() && sameBytes(a.bytes, b.bytes);
  }
  return false;
}

const sameItems = (a: readonly IValue[], b: readonly IValue[]): boolean =>
  a.length === b.length && a.every((item, index) => sameConstant(item, b[index]));
const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index]);

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
