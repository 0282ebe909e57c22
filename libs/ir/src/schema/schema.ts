// What an operator or function takes and returns, with alias annotations: the only source of truth about an operator
// that passes may ask. parse.ts reads the text form, registry.ts holds all of them.
import type { Type } from '../types/types.ts';
import type { IValue } from '../types/ivalue.ts';

/**
 * An alias annotation: `(a)` is in set a, `(a!)` is also written to, `(a -> *)` enters the wildcard set, `(a|b)` is in
 * either. `contained` annotates the elements of a list, as in `Tensor(a)[]`.
 */
export interface AliasInfo {
  readonly before: readonly string[];
  readonly after: readonly string[];
  readonly isWrite: boolean;
  readonly contained?: AliasInfo;
}

export interface Argument {
  readonly name: string;
  readonly type: Type;
  /** `N` of `int[N]`: a single int is accepted and repeated. */
  readonly listSize?: number;
  readonly default?: IValue;
  readonly hasDefault: boolean;
  readonly kwargOnly: boolean;
  readonly alias?: AliasInfo;
}

export interface Schema {
  /** Namespaced, without overload: `aten::add`. */
  readonly name: string;
  /** The overload, possibly empty: `Tensor`. */
  readonly overload: string;
  readonly arguments: readonly Argument[];
  readonly returns: readonly Argument[];
  readonly isVararg: boolean;
  readonly isVarret: boolean;
}

/** `aten::add.Tensor`, or `aten::relu` when the overload is empty. */
export const qualifiedName = (schema: Pick<Schema, 'name' | 'overload'>): string =>
  schema.overload === '' ? schema.name : `${schema.name}.${schema.overload}`;

/** Whether any argument, or what a list argument holds, is written to. */
export const isMutating = (schema: Schema): boolean =>
  schema.arguments.some(({ alias }) => alias?.isWrite || alias?.contained?.isWrite);
