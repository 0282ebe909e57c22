// A callable operator: its schema, its one meaning, and how in-place (`x_`, `__ix__`) and `out=` forms derive from the
// functional form.
import type { Argument, IValue, Schema } from '@weft/ir';
import { UnsupportedError, findSchema, qualifiedName, schemasOf, typesEqual } from '@weft/ir';
import type { DataCheck, OperatorMeaning, Preparation } from '@weft/ops';
import { dataCheckOf, operatorMeaning, preparationOf } from '@weft/ops';
import type { ArgumentKind } from './arguments.ts';
import { argumentKind } from './arguments.ts';

/** Runs on tensors and values directly: queries, casts, storage operators. */
export type EagerFunction = (...args: never[]) => IValue;

const eagerFunctions = new Map<string, EagerFunction>();

/** Registers operators that belong to eager tensors themselves, by qualified name. */
export function eagerOperators(table: Readonly<Record<string, EagerFunction>>): void {
  for (const [name, run] of Object.entries(table)) eagerFunctions.set(name, run);
}

export interface Operator {
  readonly name: string;
  /** A short number for cache keys. */
  readonly id: number;
  readonly schema: Schema;
  readonly kinds: readonly ArgumentKind[];
  readonly eager?: EagerFunction;
  readonly meaning?: OperatorMeaning;
  /**
   * Arguments that get new contents, by index: those written to by the schema, then `mutates` of the meaning. The
   * functional form leaves out those of `out`.
   */
  readonly written: readonly number[];
  /** 'returns': written arguments get the returns in order; 'extra': values after the returns are their contents. */
  readonly writeMode: 'none' | 'returns' | 'extra';
  /** Arguments that the functional form does not have: those of an `out=` form. */
  readonly outArguments: readonly number[];
  /** What looks at the operands' data before lowering (see @weft/ops). */
  readonly check?: DataCheck;
  readonly prepare?: Preparation;
  /** Whether results may be the operands themselves (`to`, `contiguous`, `reshape`). */
  readonly mayAlias: boolean;
}

const operators = new Map<string, Operator>();

/** The operator of a qualified name; throws UnsupportedError when nothing gives it a meaning. */
export function findOperator(name: string): Operator {
  let operator = operators.get(name);
  if (operator === undefined) operators.set(name, (operator = resolve(name)));
  return operator;
}

/** Whether an operator can be called: it has a meaning of its own or one derived from its functional form. */
export function isCallable(name: string): boolean {
  const schema = findSchema(name);
  return schema !== undefined && (eagerFunctions.has(name) || meaningOf(schema, name) !== undefined);
}

function resolve(name: string): Operator {
  const schema = findSchema(name);
  if (schema === undefined) throw new UnsupportedError(`there is no operator ${name}`);
  const base = {
    name,
    id: operators.size,
    schema,
    kinds: schema.arguments.map((argument) => argumentKind(argument.type)),
    mayAlias: schema.returns.some(({ alias }) => alias !== undefined && !alias.isWrite),
  };
  const eager = eagerFunctions.get(name);
  if (eager !== undefined) return { ...base, eager, written: [], writeMode: 'none', outArguments: [] };
  const found = meaningOf(schema, name);
  if (found === undefined)
    throw new UnsupportedError(`operator ${name} is not supported: nothing defines its meaning`);
  return { ...base, ...found };
}

type Found = Pick<Operator, 'meaning' | 'written' | 'writeMode' | 'outArguments' | 'check' | 'prepare'>;

const isWritten = (argument: Argument): boolean =>
  argument.alias?.isWrite === true || argument.alias?.contained?.isWrite === true;

function meaningOf(schema: Schema, name: string): Found | undefined {
  const written = schema.arguments.flatMap((argument, index) => (isWritten(argument) ? [index] : []));
  const own = operatorMeaning(name);
  if (own !== undefined) {
    if (own.kind === 'lowering' && own.mutates !== undefined) {
      return { meaning: own, written: own.mutates, writeMode: 'extra', outArguments: [], ...dataOf(name) };
    }
    const mode = written.length > 0 && own.kind !== 'host' ? 'returns' : 'none';
    return { meaning: own, written, writeMode: mode, outArguments: [], ...dataOf(name) };
  }
  if (written.length === 0) return undefined;
  const outs = schema.arguments.flatMap((argument, index) =>
    isWritten(argument) && argument.kwargOnly ? [index] : [],
  );
  const functional = functionalForm(schema, outs);
  const meaning = functional && operatorMeaning(qualifiedName(functional));
  if (meaning === undefined || meaning.kind === 'host') return undefined;
  const data = dataOf(qualifiedName(functional!));
  return { meaning, written, writeMode: 'returns', outArguments: outs, ...data };
}

const dataOf = (name: string): Pick<Operator, 'check' | 'prepare'> => ({
  check: dataCheckOf(name),
  prepare: preparationOf(name),
});

/** The schema without writes that computes what `schema` writes: `add_` → `add`, `add.out` → `add.Tensor`. */
export function functionalForm(schema: Schema, outs: readonly number[]): Schema | undefined {
  const kept = schema.arguments.filter((_, index) => !outs.includes(index));
  const name =
    outs.length > 0 ? schema.name : schema.name.replace(/_$/, '').replace(/::__i(\w+)__$/, '::__$1__');
  if (name === schema.name && outs.length === 0) return undefined;
  const candidates = schemasOf(name).filter(
    (candidate) =>
      !candidate.arguments.some(isWritten) &&
      candidate.arguments.length === kept.length &&
      candidate.arguments.every((argument, index) => typesEqual(argument.type, kept[index].type)),
  );
  const supported = candidates.filter((candidate) => operatorMeaning(qualifiedName(candidate)) !== undefined);
  const choice = supported.length > 0 ? supported : candidates;
  return choice.find((candidate) => candidate.overload === schema.overload) ?? choice[0];
}
