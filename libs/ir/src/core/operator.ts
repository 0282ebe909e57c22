// What there is to know of a core operator, in one place: attributes, type inference, derivative, cost, sharding rule.
// Families of operators stand in ops/, one file each; `registerCoreOperator` is called there for each operator.
// Names and meanings are StableHLO's (https://openxla.org/stablehlo/spec), with CHLO's for the few that are not in it.
import type { Block, Node, Value } from '../graph/graph.ts';
import type { AttributeKind } from '../graph/attribute.ts';
import type { TensorSpec } from '../types/types.ts';
import { OperatorError } from '../errors.ts';
import type { CoreBuilder } from './builder.ts';

/** Given to type inference: what is known before the node's outputs exist. */
export interface InferenceSite {
  readonly operator: string;
  readonly operands: readonly TensorSpec[];
  /** The node with its attributes and blocks (regions) set and no outputs yet. */
  readonly node: Node;
  readonly regions: readonly Block[];
  /** Throws OperatorError naming the operator, the operand types and the source line. */
  fail(reason: string): never;
}

/** Work a node does, for planning. Bytes are those of operands and results, each counted once. */
export interface Cost {
  readonly flops: number;
  readonly bytes: number;
}

/**
 * How dimensions of operands and results correspond, in Shardy's factor notation: each dimension is labelled with a
 * factor (a number), null where it may not be split. A factor that is in operands but in no result is reduced over, so
 * splitting it leaves results `partial`; `reduction` says how partial results combine. Factors in `replicated` (and any
 * dimension labelled null) must be whole on every device.
 */
export interface ShardingRule {
  readonly operands: readonly (readonly (number | null)[])[];
  readonly results: readonly (readonly (number | null)[])[];
  readonly reduction?: 'sum' | 'max' | 'min' | 'prod';
  /** Results are linear in operand i when it alone is `partial(sum)` (or all of those listed are together). */
  readonly linear?: readonly (readonly number[])[];
}

/** What a derivative rule knows of the accumulation that it is part of. */
export interface CotangentScope {
  /** Whether the cotangent of `value` is asked for at all. */
  wants(value: Value): boolean;
  /** Adds to the cotangent of a value from outside that a region of the node uses. */
  add(captured: Value, cotangent: Value): void;
}

export interface CoreOperator {
  /** StableHLO's name: `dot_general`. The node's kind is `core::dot_general`. */
  readonly name: string;
  /** Attribute names and kinds; a trailing `?` on the kind marks an optional one. */
  readonly attributes: Readonly<Record<string, AttributeKind | `${AttributeKind}?`>>;
  /** Number of nested blocks; -1 for any (`case`). */
  readonly regions?: number;
  /** Element i of the result depends on element i of each operand, whatever the shape; scalars may stand beside. */
  readonly isElementwise?: boolean;
  /** Not pure: may not be removed, merged or reordered with its like (collectives, send, recv). */
  readonly hasEffect?: boolean;
  infer(site: InferenceSite): TensorSpec[];
  /**
   * Emits the vector–Jacobian product: given a cotangent for each output (null: zero), returns one for each operand
   * (null: zero or not differentiable). Operands and outputs of `node` may be used as they are. Absent for operators
   * whose result never depends differentiably on an operand (compare, floor, iota, …). Rules follow PyTorch's convention
   * for complex numbers: a cotangent is the conjugate of the derivative. Call it through `reverseAccumulate`.
   */
  vjp?(
    b: CoreBuilder,
    node: Node,
    cotangents: readonly (Value | null)[],
    scope: CotangentScope,
  ): (Value | null)[];
  cost(node: Node): Cost;
  sharding?(node: Node): ShardingRule;
}

/** An attribute as an operator declares it. */
export interface DeclaredAttribute {
  readonly name: string;
  readonly kind: AttributeKind;
  readonly isOptional: boolean;
}

const operators = new Map<string, CoreOperator>();
const kinds = new Map<string, string>();
const declared = new Map<CoreOperator, readonly DeclaredAttribute[]>();

export function registerCoreOperator(operator: CoreOperator): void {
  operators.set(operator.name, operator);
  kinds.set(operator.name, `core::${operator.name}`);
  const attributes = Object.entries(operator.attributes).map(([name, kind]) => ({
    name,
    kind: kind.replace('?', '') as AttributeKind,
    isOptional: kind.endsWith('?'),
  }));
  declared.set(operator, attributes);
}

/** The attributes that a registered operator declares. */
export const declaredAttributes = (operator: CoreOperator): readonly DeclaredAttribute[] =>
  declared.get(operator)!;

/** The operator of that name (without `core::`); throws OperatorError naming it when there is none. */
export function coreOperator(name: string): CoreOperator {
  const operator = operators.get(name);
  if (operator === undefined) throw new OperatorError(`there is no core operator '${name}'`);
  return operator;
}

/** The kind of the nodes of a registered operator. */
export const coreKind = (name: string): string => kinds.get(name)!;

export const coreOperators = (): readonly CoreOperator[] => [...operators.values()];

/** The work that a core node does; throws OperatorError when there is no such operator. */
export const costOf = (node: Node): Cost => coreOperator(node.operator).cost(node);

/** The sharding rule of a core node, or undefined when its operands and results must be whole. */
export const shardingOf = (node: Node): ShardingRule | undefined =>
  coreOperator(node.operator).sharding?.(node);
