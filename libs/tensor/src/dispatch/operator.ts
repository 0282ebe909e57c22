// A callable operator: its schema, its one meaning, and how in-place (`x_`, `__ix__`) and `out=` forms derive from the
// functional form.
import type { Argument, DType, IValue, Schema, Type } from '@weft/ir';
import { UnsupportedError, findSchema, qualifiedName, schemasOf, typesEqual } from '@weft/ir';
import type {
  DataCheck,
  IndexRanges,
  OperatorMeaning,
  Preparation,
  ResultLayout,
  ResultLayouts,
} from '@weft/ops';
import {
  dataCheckOf,
  followsOperands,
  gradientLayout,
  indexRangesOf,
  operatorMeaning,
  preparationOf,
  refusalOf,
  resultLayouts,
} from '@weft/ops';
import type { ArgumentKind } from './arguments.ts';
import { argumentKind } from './arguments.ts';

/**
 * Runs on tensors and values directly: queries, casts, storage operators, views of several tensors. undefined leaves the
 * call to the operator's meaning.
 */
export type EagerFunction = (...args: never[]) => IValue | undefined;

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
  /** The qualified name that the meaning is registered under: of the operator itself or of its functional form. */
  readonly meaningName: string;
  /**
   * Arguments that get new contents, by index: those written to by the schema, then `mutates` of the meaning. The
   * functional form leaves out those of `out`.
   */
  readonly written: readonly number[];
  /** 'returns': written arguments get the returns in order; 'extra': values after the returns are their contents. */
  readonly writeMode: 'none' | 'returns' | 'extra';
  /** Arguments that the functional form does not have: those of an `out=` form. */
  readonly outArguments: readonly number[];
  /** Where the functional form's arguments come from; absent when they are the call's own. */
  readonly sources?: readonly ArgumentSource[];
  /** What looks at the operands' data before lowering (see @weft/ops). */
  readonly check?: DataCheck;
  /** The check as ranges of indices, when it is nothing else. */
  readonly indexRanges?: IndexRanges;
  readonly prepare?: Preparation;
  /** Whether results may be the operands themselves (`to`, `contiguous`, `reshape`). */
  readonly mayAlias: boolean;
  /** How the results lie, where that is not row-major whatever the operands are. */
  readonly layout?: OperatorLayout;
}

/**
 * An argument of a functional form: that of the call at an index, the dtype of `out=`, or none (layout and device of a
 * factory, which `out=` has already).
 */
export type ArgumentSource = number | 'dtype' | 'none';

export interface OperatorLayout {
  readonly results: ResultLayouts;
  /** Whether row-major operands have row-major results. */
  readonly followsOperands: boolean;
  /** The argument that asks for a memory format, by index; -1 when there is none. */
  readonly format: number;
  /** How gradients lie, given the cotangents and what was saved; undefined when they are row-major. */
  readonly gradients?: ResultLayout;
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
  const found = meaningOf(schema, name);
  if (eager !== undefined) {
    return { ...base, meaningName: name, written: [], writeMode: 'none', outArguments: [], ...found, eager };
  }
  if (found === undefined) {
    const reason = refusalOf(schema)?.reason ?? 'nothing defines its meaning';
    throw new UnsupportedError(`operator ${name} is not supported: ${reason}`);
  }
  return { ...base, ...found };
}

type Found = Pick<
  Operator,
  | 'meaning'
  | 'meaningName'
  | 'written'
  | 'writeMode'
  | 'outArguments'
  | 'sources'
  | 'check'
  | 'indexRanges'
  | 'prepare'
  | 'layout'
>;

const isWritten = (argument: Argument): boolean =>
  argument.alias?.isWrite === true || argument.alias?.contained?.isWrite === true;

function meaningOf(schema: Schema, name: string): Found | undefined {
  const written = schema.arguments.flatMap((argument, index) => (isWritten(argument) ? [index] : []));
  const own = operatorMeaning(name);
  if (own !== undefined) {
    if (own.kind === 'lowering' && own.mutates !== undefined) {
      return {
        meaning: own,
        meaningName: name,
        written: own.mutates,
        writeMode: 'extra',
        outArguments: [],
        ...dataOf(name),
        layout: layoutOf(name, schema),
      };
    }
    const mode = written.length > 0 && own.kind !== 'host' ? 'returns' : 'none';
    const outs = mode === 'none' ? [] : outsOf(schema);
    return {
      meaning: own,
      meaningName: name,
      written,
      writeMode: mode,
      ...withoutOuts(schema, outs),
      ...dataOf(name),
      layout: layoutOf(name, schema),
    };
  }
  if (written.length === 0) return undefined;
  const functional = functionalForm(schema);
  const meaning = functional && operatorMeaning(qualifiedName(functional.schema));
  if (functional === undefined || meaning === undefined || meaning.kind === 'host') return undefined;
  const outs = outsOf(schema);
  const { sources } = outs.length === 0 ? {} : functional;
  const meaningName = qualifiedName(functional.schema);
  const data = dataOf(meaningName);
  const layout = layoutOf(meaningName, schema);
  return {
    meaning,
    meaningName,
    written,
    writeMode: 'returns',
    outArguments: outs,
    sources,
    ...data,
    layout,
  };
}

/** The layout that is declared under `name`, for calls of `schema`. */
function layoutOf(name: string, schema: Schema): OperatorLayout | undefined {
  const results = resultLayouts(name);
  if (results === undefined) return undefined;
  const format = schema.arguments.findIndex(({ type }) => isMemoryFormat(type));
  return {
    results,
    followsOperands: followsOperands(results),
    format,
    gradients: gradientLayout(results),
  };
}

const isMemoryFormat = (type: Type): boolean =>
  type.kind === 'MemoryFormat' || (type.kind === 'Optional' && isMemoryFormat(type.element));

/** Keyword arguments that receive the result. */
const outsOf = (schema: Schema): number[] =>
  schema.arguments.flatMap((argument, index) => (isWritten(argument) && argument.kwargOnly ? [index] : []));

/** An operator that has only an `out=` form: its meaning takes the other arguments. */
function withoutOuts(schema: Schema, outs: readonly number[]): Pick<Found, 'outArguments' | 'sources'> {
  if (outs.length === 0) return { outArguments: outs };
  const kept = schema.arguments.flatMap((_, index) => (outs.includes(index) ? [] : [index]));
  return { outArguments: outs, sources: kept };
}

const dataOf = (name: string): Pick<Operator, 'check' | 'indexRanges' | 'prepare'> => ({
  check: dataCheckOf(name),
  indexRanges: indexRangesOf(name),
  prepare: preparationOf(name),
});

interface FunctionalForm {
  readonly schema: Schema;
  readonly sources: readonly ArgumentSource[];
}

/**
 * The schema without writes that computes what `schema` writes: `add_` → `add`, `add.out` → `add.Tensor`. That of a factory
 * has the options of the result besides, which `out=` stands for.
 */
export function functionalForm(schema: Schema): FunctionalForm | undefined {
  const outs = outsOf(schema);
  const kept = schema.arguments.flatMap((_, index) => (outs.includes(index) ? [] : [index]));
  const name =
    outs.length > 0 ? schema.name : schema.name.replace(/_$/, '').replace(/::__i(\w+)__$/, '::__$1__');
  if (name === schema.name && outs.length === 0) return undefined;
  const candidates = schemasOf(name).flatMap((candidate): FunctionalForm[] => {
    if (candidate.arguments.some(isWritten)) return [];
    const sources = sourcesOf(candidate, schema, kept, outs.length > 0);
    return sources === undefined ? [] : [{ schema: candidate, sources }];
  });
  const exact = candidates.filter(({ sources }) => sources.length === kept.length);
  const fitting = exact.length > 0 ? exact : candidates;
  const supported = fitting.filter(
    (candidate) => operatorMeaning(qualifiedName(candidate.schema)) !== undefined,
  );
  const choice = supported.length > 0 ? supported : fitting;
  return choice.find((candidate) => candidate.schema.overload === schema.overload) ?? choice[0];
}

const resultOptions: ReadonlySet<string> = new Set(['dtype', 'layout', 'device', 'pin_memory']);

/** Where each argument of `candidate` comes from when `schema` is called; undefined when it has other arguments. */
function sourcesOf(
  candidate: Schema,
  schema: Schema,
  kept: readonly number[],
  hasOut: boolean,
): ArgumentSource[] | undefined {
  const sources: ArgumentSource[] = [];
  let at = 0;
  for (const { name, type, kwargOnly } of candidate.arguments) {
    if (at < kept.length && typesEqual(type, schema.arguments[kept[at]].type)) sources.push(kept[at++]);
    else if (!hasOut || !kwargOnly || !resultOptions.has(name)) return undefined;
    else sources.push(name === 'dtype' ? 'dtype' : 'none');
  }
  return at === kept.length ? sources : undefined;
}

/** The arguments of the functional form, given those of the call and the dtype of its `out=`. */
export function functionalArguments<T>(
  { sources }: Pick<Operator, 'sources'>,
  args: readonly T[],
  outDType: () => DType,
): readonly (T | DType | null)[] {
  if (sources === undefined) return args;
  return sources.map((source) => (source === 'dtype' ? outDType() : source === 'none' ? null : args[source]));
}
