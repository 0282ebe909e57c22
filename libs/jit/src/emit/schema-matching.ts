// Overload choice: matches call arguments with schemas, converting where TorchScript converts implicitly (a Tensor to a
// number, a number to a list of a fixed size, a homogeneous tuple to a list, a string to a device), and emits the chosen
// operator. Overloads are tried in PyTorch's order, first without conversions, then with them.
import type {
  Argument,
  DType,
  Graph,
  IValue,
  Schema,
  SourceRange,
  TupleType,
  Type,
  TypeBindings,
  Value,
} from '@weft/ir';
import {
  FloatType,
  dtypes,
  hasVariables,
  isSubtype,
  listOf,
  matchType,
  qualifiedName,
  schemasOf,
  substituteVariables,
  tagContainer,
  typesEqual,
  unwrapOptional,
  valueType,
} from '@weft/ir';
import { constantValue, insertConstant } from './constants.ts';
import { historicOperators } from './historic-operators.ts';
import { overloadOrderText } from './overload-order.generated.ts';
import { fail } from './script-error.ts';
import { annotationString } from '@weft/ir';

/** An argument of a call. */
export interface NamedValue {
  readonly range: SourceRange;
  readonly value: Value;
  /** The keyword, if it is given by one. */
  readonly name?: string;
  /** Whether an int may become a float: TypeScript's numbers. */
  readonly widen?: boolean;
}

export interface MatchedSchema {
  readonly schema: Schema;
  readonly inputs: readonly Value[];
  readonly returns: readonly Type[];
}

const overloadOrder = new Map(
  overloadOrderText
    .trim()
    .split('\n')
    .map((line) => {
      const [name, ...overloads] = line.split(' ');
      return [name, overloads.map((overload) => (overload === '-' ? '' : overload))];
    }),
);
const ordered = new Map<string, readonly Schema[]>();

/** The overloads of an operator in the order in which they are tried. */
export function orderedSchemas(name: string): readonly Schema[] {
  let schemas = ordered.get(name);
  if (schemas === undefined) {
    const order = overloadOrder.get(name);
    const rank = (schema: Schema): number => {
      const index = order?.indexOf(schema.overload) ?? 0;
      return index < 0 ? Infinity : index;
    };
    // `view.dtype` cannot be told from `view(size)` once a dtype is an int, so it is never chosen here, as in PyTorch.
    schemas = schemasOf(name)
      .filter((schema) => qualifiedName(schema) !== 'aten::view.dtype')
      .sort((a, b) => rank(a) - rank(b) || 0);
    ordered.set(name, schemas);
  }
  return schemas;
}

/** Whether `type` is a tuple all of whose elements fit into the list `list`, or fits itself. */
export function convertibleToList(type: Type, list: Type): boolean {
  if (list.kind !== 'List') return false;
  if (isSubtype(type, list)) return true;
  return type.kind === 'Tuple' && type.elements.every((element) => isSubtype(element, list.element));
}

export function unpackTuple(graph: Graph, value: Value): readonly Value[] {
  if (value.node.kind === 'prim::TupleConstruct') return [...value.node.inputs];
  return graph.insert('prim::TupleUnpack', [value], (value.type as TupleType).elements).outputs;
}

export const insertList = (graph: Graph, element: Type, values: readonly Value[]): Value =>
  graph.insert('prim::ListConstruct', values, [listOf(element)]).output;

export const insertTuple = (graph: Graph, values: readonly Value[], type?: TupleType): Value =>
  graph.insert('prim::TupleConstruct', values, [
    type ?? { kind: 'Tuple', elements: values.map((value) => value.type) },
  ]).output;

/** Converts `value` towards `type` where TorchScript does; the caller checks whether the result fits. */
export function tryConvert(
  graph: Graph,
  range: SourceRange,
  type: Type,
  value: Value,
  allow: { conversions: boolean; widen: boolean },
): Value {
  if (type.kind === 'Optional' && value.type.kind !== 'Optional' && value.type.kind !== 'None') {
    return tryConvert(graph, range, type.element, value, allow);
  }
  if (value.type.kind === 'Tuple') {
    const list = unwrapOptional(type);
    if (list.kind === 'List' && convertibleToList(value.type, list)) {
      value = insertList(graph, list.element, unpackTuple(graph, value));
    } else if (
      type.kind === 'Tuple' &&
      !isSubtype(value.type, type) &&
      type.elements.length === value.type.elements.length
    ) {
      const converted = unpackTuple(graph, value).map((element, index) =>
        tryConvert(graph, range, type.elements[index], element, allow),
      );
      value = insertTuple(graph, converted, type.name === undefined ? undefined : type);
    }
  }
  if (allow.widen) {
    if (type.kind === 'float' && (value.type.kind === 'int' || value.type.kind === 'number')) {
      return emitOperator(graph, range, 'aten::Float', [value]);
    }
    if (
      type.kind === 'List' &&
      value.node.kind === 'prim::ListConstruct' &&
      !value.hasUses &&
      !isSubtype(value.type, type)
    ) {
      // A list literal of ints where a list of floats is wanted.
      const converted = value.node.inputs.map((element) =>
        tryConvert(graph, range, type.element, element, allow),
      );
      if (converted.every((element) => isSubtype(element.type, type.element))) {
        return insertList(graph, type.element, converted);
      }
    }
  }
  if (allow.conversions) {
    if (value.type.kind === 'Tensor') {
      const operator = implicitFromTensor[type.kind];
      if (operator !== undefined) return emitOperator(graph, range, operator, [value]);
    } else if (value.type.kind === 'number') {
      const operator = implicitFromNumber[type.kind];
      if (operator !== undefined) return emitOperator(graph, range, operator, [value]);
    }
    if (value.type.kind === 'str' && type.kind === 'Device') {
      return emitOperator(graph, range, 'aten::device', [value]);
    }
  }
  return value;
}

const implicitFromTensor: Readonly<Record<string, string | undefined>> = {
  float: 'aten::FloatImplicit',
  complex: 'aten::ComplexImplicit',
  int: 'aten::IntImplicit',
  number: 'aten::ScalarImplicit',
};
const implicitFromNumber: Readonly<Record<string, string | undefined>> = {
  float: 'aten::Float',
  complex: 'aten::Complex',
  int: 'aten::Int',
};

/** `formal` with its variables bound so that it takes `actual`, or undefined. */
export function bindVariables(formal: Type, actual: Type, bindings: TypeBindings): Type | undefined {
  if (!hasVariables(formal)) return formal;
  if (!matchType(formal, actual, bindings)) return undefined;
  const type = substituteVariables(formal, bindings);
  return hasVariables(type) ? undefined : type;
}

interface Attempt {
  readonly graph: Graph;
  readonly range: SourceRange;
  readonly conversions: boolean;
  /** Collects why the schema does not match. */
  readonly why?: string[];
}

function matchArgument(
  attempt: Attempt,
  argument: Argument,
  actual: NamedValue,
  bindings: TypeBindings,
): Value | undefined {
  const { graph } = attempt;
  let { value } = actual;
  const formal = valueType(argument.type);
  const list = unwrapOptional(formal);
  if (argument.listSize !== undefined && list.kind === 'List') {
    if (typesEqual(value.type, list.element) && (value.type.kind === 'int' || value.type.kind === 'float')) {
      value = insertList(
        graph,
        value.type,
        Array.from({ length: argument.listSize }, () => value),
      );
    }
  }
  const scalarType = unwrapOptional(argument.type).kind === 'ScalarType' ? constantValue(value) : undefined;
  if (typeof scalarType === 'string' && Object.hasOwn(dtypes, scalarType)) {
    // TypeScript names dtypes by strings.
    value = insertConstant(graph, BigInt(dtypes[scalarType as DType].scalarType));
  }
  const type = bindVariables(formal, value.type, bindings);
  if (type !== undefined) {
    value = tryConvert(graph, attempt.range, type, value, {
      conversions: attempt.conversions,
      widen: attempt.conversions && actual.widen === true,
    });
    if (isSubtype(value.type, type)) return value;
  }
  attempt.why?.push(
    `argument '${argument.name}' is a ${annotationString(type ?? formal)}, but a ${annotationString(actual.value.type)} is given`,
  );
  return undefined;
}

function varargsCanBeList(schema: Schema, index: number): boolean {
  const argument = schema.arguments[index];
  const isLast = index + 1 === schema.arguments.length || schema.arguments[index + 1].kwargOnly;
  return (
    isLast &&
    argument.type.kind === 'List' &&
    argument.type.element.kind !== 'Var' &&
    argument.listSize === undefined
  );
}

/** Matches one schema, or returns undefined with the reason in `attempt.why`. */
function tryMatch(
  attempt: Attempt,
  schema: Schema,
  positional: readonly NamedValue[],
  keywords: readonly NamedValue[],
  self: NamedValue | undefined,
): MatchedSchema | undefined {
  const { graph } = attempt;
  const bindings: TypeBindings = new Map();
  const inputs: Value[] = [];
  const usedKeywords = new Set<NamedValue>();
  let used = 0;
  for (const [index, argument] of schema.arguments.entries()) {
    let actual: NamedValue | undefined;
    if (argument.name === 'self' && self !== undefined) {
      actual = self;
      self = undefined;
    } else if (!argument.kwargOnly && used < positional.length) {
      const first = positional[used].value.type;
      if (
        attempt.conversions &&
        varargsCanBeList(schema, index) &&
        first.kind !== 'List' &&
        !convertibleToList(first, argument.type)
      ) {
        const element = valueType((argument.type as { element: Type }).element);
        const elementArgument: Argument = { ...argument, type: element, listSize: undefined };
        const values: Value[] = [];
        for (const given of positional.slice(used)) {
          const value = matchArgument(attempt, elementArgument, given, bindings);
          if (value === undefined) return undefined;
          values.push(value);
        }
        used = positional.length;
        inputs.push(insertList(graph, element, values));
        continue;
      }
      actual = positional[used++];
    } else {
      actual = keywords.find(
        ({ name }) =>
          name === argument.name ||
          (name === 'input' && argument.name === 'self' && schema.name.startsWith('aten::')),
      );
      if (actual !== undefined) usedKeywords.add(actual);
    }
    if (actual === undefined) {
      if (!argument.hasDefault) {
        attempt.why?.push(`argument '${argument.name}' is missing`);
        return undefined;
      }
      inputs.push(insertDefault(graph, argument));
      continue;
    }
    const value = matchArgument(attempt, argument, actual, bindings);
    if (value === undefined) return undefined;
    inputs.push(value);
  }
  if (self !== undefined) {
    attempt.why?.push('it is no method');
    return undefined;
  }
  if (schema.isVararg) while (used < positional.length) inputs.push(positional[used++].value);
  if (used < positional.length) {
    attempt.why?.push(`at most ${used} positional arguments are taken, but ${positional.length} are given`);
    return undefined;
  }
  const unknown = keywords.find((keyword) => !usedKeywords.has(keyword));
  if (unknown !== undefined) {
    attempt.why?.push(`there is no argument '${unknown.name}', or it is given twice`);
    return undefined;
  }
  const returns = schema.returns.map(({ type }) => substituteVariables(valueType(type), bindings));
  return { schema, inputs, returns };
}

function insertDefault(graph: Graph, argument: Argument): Value {
  const { default: value = null } = argument;
  const type = valueType(argument.type);
  if (value === null) return insertConstant(graph, null);
  const list = unwrapOptional(type);
  if (list.kind === 'List') {
    // A default such as `int[2] stride=1` is one int for every element.
    const items = Array.isArray(value)
      ? value
      : Array.from({ length: argument.listSize ?? 1 }, (): IValue => value);
    return insertConstant(graph, tagContainer([...items], list), list);
  }
  if (type.kind === 'float' && typeof value === 'bigint')
    return insertConstant(graph, Number(value), FloatType);
  return insertConstant(graph, value);
}

/**
 * Chooses among schemas. Fails with what each of them wants.
 * @param what the callee, for the error message
 */
export function matchSchemas(
  graph: Graph,
  range: SourceRange,
  what: string,
  schemas: readonly Schema[],
  positional: readonly NamedValue[],
  keywords: readonly NamedValue[] = [],
  self?: NamedValue,
): MatchedSchema {
  for (const conversions of schemas.length === 1 ? [true] : [false, true]) {
    for (const schema of schemas) {
      const matched = tryMatch({ graph, range, conversions }, schema, positional, keywords, self);
      if (matched !== undefined) return matched;
    }
  }
  const reasons = schemas.map((schema) => {
    const why: string[] = [];
    tryMatch({ graph, range, conversions: true, why }, schema, positional, keywords, self);
    return { schema, why: why.join('; ') };
  });
  if (reasons.length === 1) fail(range, `${what} cannot be called so: ${reasons[0].why}`);
  const given = [...(self === undefined ? [] : [self]), ...positional, ...keywords]
    .map(({ name, value }) => `${name === undefined ? '' : `${name}=`}${annotationString(value.type)}`)
    .join(', ');
  const list = closest(reasons)
    .map(({ schema, why }) => `  ${describeSchema(schema)}: ${why}`)
    .join('\n');
  fail(range, `${what} cannot be called with (${given}). It has these forms:\n${list}`);
}

/** The forms worth showing: not those for other kinds of objects, and not those that write to `out`. */
function closest(
  reasons: readonly { schema: Schema; why: string }[],
): readonly { schema: Schema; why: string }[] {
  const plain = reasons.filter(
    ({ schema }) => !schema.arguments.some((argument) => argument.alias?.isWrite && argument.kwargOnly),
  );
  const near = plain.filter(
    ({ schema, why }) =>
      schema.arguments.length === 0 || !why.startsWith(`argument '${schema.arguments[0].name}' is a `),
  );
  return (near.length > 0 ? near : plain.length > 0 ? plain : reasons).slice(0, 8);
}

const describeSchema = (schema: Schema): string => {
  const parameters = schema.arguments.map(
    ({ name, type, hasDefault }) =>
      `${name}: ${annotationString(valueType(type))}${hasDefault ? ' = …' : ''}`,
  );
  return `${schema.name.replace(/^\w+::/, '')}(${parameters.join(', ')})`;
};

/** Emits the operator `name` (`aten::add`) for these arguments; several results come as a tuple. */
export function emitBuiltin(
  graph: Graph,
  range: SourceRange,
  name: string,
  positional: readonly NamedValue[],
  keywords: readonly NamedValue[] = [],
  self?: NamedValue,
): Value {
  const historic = historicOperators(name, graph.operatorVersion ?? Infinity);
  const schemas = [
    ...orderedSchemas(name).filter((schema) => !historic.has(qualifiedName(schema))),
    ...[...historic.values()].map(({ schema }) => schema),
  ];
  if (schemas.length === 0) fail(range, `there is no operator '${name}'`);
  const what = name.replace(/^\w+::/, '');
  const matched = matchSchemas(graph, range, what, schemas, positional, keywords, self);
  const old = historic.get(qualifiedName(matched.schema));
  return old === undefined ? emitMatched(graph, range, matched) : old.insert(graph, range, matched.inputs);
}

export function emitMatched(graph: Graph, range: SourceRange, matched: MatchedSchema): Value {
  const { schema, inputs, returns } = matched;
  const node = graph.insert(schema.name, inputs, returns);
  node.source = range;
  node.overload = schema.overload;
  if (node.outputs.length === 1) return node.output;
  const named = returns.length > 0 && schema.returns.every((value) => value.name !== '');
  const fields = named ? { fields: schema.returns.map((value) => value.name) } : {};
  return insertTuple(graph, node.outputs, { kind: 'Tuple', elements: returns, ...fields });
}

/** Emits an operator on plain values, without keywords. */
export const emitOperator = (
  graph: Graph,
  range: SourceRange,
  name: string,
  inputs: readonly Value[],
): Value =>
  emitBuiltin(
    graph,
    range,
    name,
    inputs.map((value) => ({ range, value })),
  );
