// Finds what runs a node that is an operator: a host function, an operator of this folder that needs the run (printing,
// futures, methods of user classes), or the eager tensor library.
import type { IValue, Node, Schema } from '@weft/ir';
import { findSchema, qualifiedName, schemaOfNode } from '@weft/ir';
import { operatorMeaning } from '@weft/ops';
import { findOperator, invoke, isCallable } from '@weft/tensor';
import { vjpOperators } from '../autodiff/vjp-operator.ts';
import { isCustomOperator } from '../frontend/torchscript/custom-classes.ts';
import type { ContextCallee } from './instruction.ts';
import { contextOperators, nodeOperators } from './intrinsics.ts';
import './tensor-values.ts';

export type ResolvedOperator = {
  /** Values of trailing arguments of the schema that the node leaves out. */
  readonly defaults: readonly IValue[];
} & (
  | { readonly kind: 'plain'; readonly run: (...args: IValue[]) => IValue | readonly IValue[] }
  | { readonly kind: 'context'; readonly run: ContextCallee }
);

/** Undefined when nothing here gives the operator a meaning. */
export function resolveOperator(node: Node): ResolvedOperator | undefined {
  const byNode = nodeOperators[node.kind] ?? vjpOperators[node.kind];
  if (byNode !== undefined) return { kind: 'context', run: byNode(node), defaults: [] };
  const schema = schemaOfNode(node);
  const name = schema === undefined ? nameOf(node) : qualifiedName(schema);
  const defaults = schema === undefined ? [] : defaultsFor(schema, node.inputs.length);
  if (name in contextOperators) return { kind: 'context', run: contextOperators[name], defaults };
  const meaning = operatorMeaning(name);
  if (meaning?.kind === 'host') return { kind: 'plain', run: meaning.run, defaults };
  if (schema === undefined || !isCallable(name)) return undefined;
  return { kind: 'plain', run: tensorOperator(name), defaults };
}

const nameOf = (node: Node): string =>
  node.overload === undefined || node.overload === '' ? node.kind : `${node.kind}.${node.overload}`;

function tensorOperator(name: string): (...args: IValue[]) => IValue | readonly IValue[] {
  const operator = findOperator(name);
  return (...args) => invoke(operator, args);
}

function defaultsFor(schema: Schema, given: number): IValue[] {
  return schema.arguments.slice(given).map((argument) => argument.default ?? null);
}

/** Whether a program may use the operator of this qualified name. */
export function isRunnable(name: string): boolean {
  if (name in contextOperators || name in nodeOperators || name in vjpOperators) return true;
  if (isCustomOperator(name)) return true;
  if (operatorMeaning(name) !== undefined) return true;
  return findSchema(name) !== undefined && isCallable(name);
}
