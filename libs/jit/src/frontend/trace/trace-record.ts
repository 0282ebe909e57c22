// What a traced run did: operators and calls in order, inside the module calls they happened in. Values are numbered; a tensor
// that was changed in place stands for another value from then on.
import type { IValue, Schema, ScriptFunction, SourceRange, TensorType, ObjectValue } from '@weft/ir';
import type { Tensor, nn } from '@weft/tensor';

/** A tensor (or another result of a compiled call) in the recording. */
export interface TraceValue {
  readonly id: number;
  /** What was seen; absent for results that are no tensors. */
  readonly type: TensorType | undefined;
  /** Where it was made; undefined for inputs of the trace, parameters and constants. */
  readonly scope: Scope | undefined;
}

/** An argument as it was given: tensors are looked up, everything else is a constant. */
export type TraceArgument =
  | { readonly kind: 'value'; readonly value: TraceValue }
  | { readonly kind: 'attribute'; readonly path: readonly string[] }
  | { readonly kind: 'literal'; readonly tensor: Tensor }
  | { readonly kind: 'list'; readonly items: readonly TraceArgument[] }
  | { readonly kind: 'constant'; readonly value: IValue };

/** The shape of a result: where its tensors are. */
export type TraceResult =
  | { readonly kind: 'value'; readonly value: TraceValue }
  | { readonly kind: 'list'; readonly items: readonly TraceValue[] }
  | { readonly kind: 'none' };

export interface OperatorEvent {
  readonly kind: 'operator';
  readonly schema: Schema;
  readonly args: readonly TraceArgument[];
  /** One a return of the schema. */
  readonly results: readonly TraceResult[];
  readonly source: SourceRange | undefined;
}

/** A call of something compiled: it stays a call. */
export interface CompiledEvent {
  readonly kind: 'compiled';
  readonly callee: ScriptFunction;
  /** The object whose method is called, and where it is; absent for functions. */
  readonly self?: { readonly object: ObjectValue; readonly path: readonly string[] };
  readonly args: readonly TraceArgument[];
  readonly result: TraceValue;
  /** Tensors inside the result, with how to reach them. */
  readonly parts: readonly { readonly path: readonly number[]; readonly value: TraceValue }[];
  readonly source: SourceRange | undefined;
}

/** One call of a module's forward. */
export interface Scope {
  readonly kind: 'scope';
  readonly module: nn.Module | undefined;
  /** The module's place below the traced one. */
  readonly path: readonly string[];
  readonly parent: Scope | undefined;
  readonly events: TraceEvent[];
}

export type TraceEvent = OperatorEvent | CompiledEvent | Scope;

/** Whether `inner` is `outer` or happened inside it. */
export function isWithin(inner: Scope | undefined, outer: Scope): boolean {
  for (let scope = inner; scope !== undefined; scope = scope.parent) if (scope === outer) return true;
  return false;
}
