// Eager calls with JavaScript arguments: chooses the overload by the schemas, as PyTorch's argument parser does, and
// converts values both ways. A last plain object gives arguments by name, in camel case or PyTorch's spelling.
import type { Argument, IValue, Schema, Type } from '@weft/ir';
import {
  Complex,
  DeviceValue,
  OperatorError,
  dtypes,
  qualifiedName,
  schemaToString,
  schemasOf,
} from '@weft/ir';
import type { DType } from '@weft/ir';
import { Tensor } from '../tensor.ts';
import { scalarTensor } from '../creation.ts';
import { isDTypeName, unknownDType } from '../dtype-names.ts';
import { invoke } from './call.ts';
import type { Operator } from './operator.ts';
import { findOperator, isCallable } from './operator.ts';
import { userLine } from './user-line.ts';

/** `maskedFill` for `masked_fill`, `add_` for `add_`. */
export const camelCase = (name: string): string =>
  name.replace(/(?<=[A-Za-z0-9])_+([A-Za-z0-9])/g, (_, letter: string) => letter.toUpperCase());

const noMatch = Symbol('no match');
type Converted = IValue | typeof noMatch;
const memoryFormats = ['contiguous_format', 'preserve_format', 'channels_last', 'channels_last_3d'];

/** The value as one of the schema's type; `noMatch` when it is none. */
function convert(value: unknown, type: Type, listSize: number | undefined, loosely: boolean): Converted {
  if (value === null || value === undefined)
    return type.kind === 'Optional' || type.kind === 'None' ? null : noMatch;
  switch (type.kind) {
    case 'Optional':
      return convert(value, type.element, listSize, loosely);
    case 'Tensor':
      if (value instanceof Tensor) return value;
      return loosely && isNumber(value) ? scalarTensor(scalar(value) as bigint | number | boolean) : noMatch;
    case 'List': {
      if (!Array.isArray(value)) {
        if (listSize === undefined || value instanceof Tensor) return noMatch;
        const one = convert(value, type.element, undefined, false);
        return one === noMatch ? noMatch : new Array<IValue>(listSize).fill(one);
      }
      const items = value.map((item) => convert(item, type.element, undefined, loosely));
      return items.includes(noMatch) ? noMatch : (items as IValue[]);
    }
    case 'int':
      if (typeof value === 'bigint') return value;
      if (value instanceof Tensor) return loosely ? value : noMatch;
      return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : noMatch;
    case 'float':
      if (typeof value === 'number') return value;
      return typeof value === 'bigint' ? Number(value) : loosely && value instanceof Tensor ? value : noMatch;
    case 'number':
      if (isNumber(value)) return scalar(value);
      return loosely && value instanceof Tensor ? value : noMatch;
    case 'bool':
      return typeof value === 'boolean' ? value : noMatch;
    case 'str':
      return typeof value === 'string' ? value : noMatch;
    case 'ScalarType':
      return typeof value === 'string' && value in dtypes
        ? BigInt(dtypes[value as DType].scalarType)
        : noMatch;
    case 'Device':
      if (value instanceof DeviceValue) return value;
      return typeof value === 'string' && /^[a-z]+(:\d+)?$/.test(value) && !(value in dtypes)
        ? deviceOf(value)
        : noMatch;
    case 'MemoryFormat':
      return typeof value === 'string' && memoryFormats.includes(value)
        ? BigInt(memoryFormats.indexOf(value))
        : noMatch;
    case 'Layout':
      return value === 'strided' ? 0n : noMatch;
    case 'Generator':
      return (value as { isGenerator?: unknown }).isGenerator === true ? (value as IValue) : noMatch;
    case 'Any':
    case 'Var':
      return value as IValue;
    default:
      return noMatch;
  }
}

const isNumber = (value: unknown): boolean =>
  typeof value === 'number' ||
  typeof value === 'bigint' ||
  typeof value === 'boolean' ||
  value instanceof Complex;

/** Whole numbers are ints, as in Python's literals; -0 is a float. */
function scalar(value: unknown): IValue {
  return typeof value === 'number' && Number.isInteger(value) && !Object.is(value, -0)
    ? BigInt(value)
    : (value as IValue);
}

function deviceOf(name: string): DeviceValue {
  const [type, index] = name.split(':');
  return new DeviceValue(type, index === undefined ? null : Number(index));
}

/** A base name's overloads that eager calls choose from. */
interface Family {
  readonly name: string;
  readonly overloads: readonly Overload[];
  /** Chosen before for arguments of these kinds. */
  readonly chosen: Map<string, { readonly overload: Overload; readonly bind: Bind }>;
}
interface Overload {
  readonly operator: Operator;
  readonly schema: Schema;
  /** Positions of arguments by the names they may be given by. */
  readonly positions: ReadonlyMap<string, number>;
  /** Whether numbers given one by one make up the only list (`view(2, 3)`). */
  readonly variadic: boolean;
}

const families = new Map<string, Family>();

function familyOf(name: string): Family {
  let family = families.get(name);
  if (family === undefined) {
    const overloads = schemasOf(name)
      .filter((schema) => isPlain(schema) && isCallable(qualifiedName(schema)))
      .map(makeOverload);
    families.set(name, (family = { name, overloads: overloads.sort(byPreference), chosen: new Map() }));
  }
  return family;
}

/** Whether a schema can be called with plain values: it is about tensors, and about none with named dimensions. */
export const isPlain = (schema: Schema): boolean =>
  !schema.isVararg &&
  !/names|dimname/i.test(schema.overload) &&
  [...schema.arguments, ...schema.returns].some(({ type }) => isTensorType(type));

const isTensorType = (type: Type): boolean =>
  type.kind === 'Tensor' ||
  ((type.kind === 'List' || type.kind === 'Optional') && isTensorType(type.element));

function makeOverload(schema: Schema): Overload {
  const positions = new Map<string, number>();
  schema.arguments.forEach(({ name }, index) => positions.set(name, index).set(camelCase(name), index));
  return { operator: findOperator(qualifiedName(schema)), schema, positions, variadic: isVariadic(schema) };
}

/** Whether the schema's first argument after `self` is a list of ints and the only one that must be given. */
export function isVariadic(schema: Schema): boolean {
  const first = schema.arguments.findIndex((argument) => argument.name !== 'self');
  const argument = schema.arguments[first];
  const list = argument?.type;
  return (
    list?.kind === 'List' &&
    list.element.kind === 'int' &&
    schema.arguments.every((each, index) => index <= first || each.hasDefault || each.kwargOnly)
  );
}

/** Overloads with more tensors first, as PyTorch tries them; `out=` forms last. */
function byPreference(a: Overload, b: Overload): number {
  return weight(a.schema) - weight(b.schema);
}
function weight(schema: Schema): number {
  const out = schema.arguments.some((argument) => argument.kwargOnly && argument.alias?.isWrite);
  const tensors = schema.arguments.filter((argument) => argument.type.kind === 'Tensor').length;
  return (out ? 100 : 0) - tensors;
}

type Keywords = Readonly<Record<string, unknown>>;

function isKeywords(value: unknown): value is Keywords {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value) as unknown;
  return prototype === Object.prototype || prototype === null;
}

/** Calls the best overload of `aten::name`. Throws OperatorError listing the overloads when none takes the arguments. */
export function callEager(name: string, given: readonly unknown[]): unknown {
  const family = familyOf(name);
  const last = given[given.length - 1];
  const keywords = isKeywords(last) ? last : null;
  const args = keywords === null ? given : given.slice(0, -1);
  const key = kindsOf(args) + (keywords === null ? '' : keywordKinds(keywords));
  const known = family.chosen.get(key);
  if (known !== undefined) {
    const bound = known.bind(known.overload, args, keywords, true);
    if (bound !== null) return result(known.overload.operator, bound);
  }
  // Values as they are come before numbers that make up a list, and both before conversions between numbers and tensors.
  for (const [how, loosely] of attempts) {
    for (const overload of family.overloads) {
      const bound = how(overload, args, keywords, loosely);
      if (bound === null) continue;
      family.chosen.set(key, { overload, bind: how });
      return result(overload.operator, bound);
    }
  }
  throw noOverload(family, args, keywords);
}

function result(operator: Operator, args: readonly IValue[]): unknown {
  const value = invoke(operator, args);
  const { schema } = operator;
  if (schema.returns.length === 1) return toJs(value);
  return schema.returns.length === 0 ? undefined : (value as IValue[]).map(toJs);
}

/** Ints become numbers (bigint beyond 2^53), in lists too. */
export function toJs(value: IValue): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  return Array.isArray(value) && !(value[0] instanceof Tensor) ? value.map(toJs) : value;
}

/** The arguments in the schema's order, or null when they do not fit. */
type Bind = (
  overload: Overload,
  args: readonly unknown[],
  keywords: Keywords | null,
  loosely: boolean,
) => IValue[] | null;

/** Numbers given one by one as the first argument, a list: `view(2, 3)`. */
const bindVariadic: Bind = (overload, args, keywords, loosely) => {
  if (!overload.variadic) return null;
  const first = overload.schema.arguments[0].name === 'self' ? 1 : 0;
  const numbers = args.slice(first);
  if (
    numbers.length === 0 ||
    !numbers.every((each) => typeof each === 'number' || typeof each === 'bigint')
  ) {
    return null;
  }
  return bindExactly(overload, [...args.slice(0, first), numbers], keywords, loosely);
};

function bindExactly(
  { schema, positions }: Overload,
  args: readonly unknown[],
  keywords: Keywords | null,
  loosely: boolean,
): IValue[] | null {
  const formals = schema.arguments;
  if (args.length > formals.length) return null;
  const named = new Map<number, unknown>();
  for (const key in keywords) {
    const position = positions.get(key);
    if (position === undefined || position < args.length) return null;
    named.set(position, keywords[key]);
  }
  const bound = new Array<IValue>(formals.length);
  for (let index = 0; index < formals.length; index++) {
    const formal: Argument = formals[index];
    if (index < args.length && formal.kwargOnly) return null;
    const value = index < args.length ? args[index] : named.get(index);
    if (value === undefined) {
      if (!formal.hasDefault) return null;
      bound[index] = formal.default ?? null;
      continue;
    }
    const converted = convert(value, formal.type, formal.listSize, loosely);
    if (converted === noMatch) return null;
    bound[index] = converted;
  }
  return bound;
}

const attempts: readonly (readonly [Bind, boolean])[] = [
  [bindExactly, false],
  [bindVariadic, false],
  [bindExactly, true],
];

function kindsOf(values: readonly unknown[]): string {
  let key = '';
  for (const value of values) key += kindOf(value);
  return key;
}

function keywordKinds(keywords: Keywords): string {
  let key = '';
  for (const name in keywords) key += `;${name}:${kindOf(keywords[name])}`;
  return key;
}

function kindOf(value: unknown): string {
  switch (typeof value) {
    case 'number':
      return Number.isInteger(value) ? 'i' : 'f';
    case 'bigint':
      return 'i';
    case 'boolean':
      return 'b';
    case 'string':
      return isDTypeName(value) ? 'd' : 's';
    default:
      if (value === null || value === undefined) return '_';
      if (value instanceof Tensor) return 'T';
      if (Array.isArray(value)) return `[${[...new Set(value.map(kindOf))].join('')}]`;
      if (value instanceof Complex) return 'c';
      return (value as { isGenerator?: unknown }).isGenerator === true ? 'g' : 'o';
  }
}

function noOverload(family: Family, args: readonly unknown[], keywords: Keywords | null): OperatorError {
  const shown = [
    ...args.map(describe),
    ...Object.entries(keywords ?? {}).map(([key, value]) => `${key}=${describe(value)}`),
  ];
  const expected = family.overloads.map(({ schema }) => ` * ${schemaToString(schema)}`).join('\n');
  const name = family.name.slice(family.name.indexOf('::') + 2);
  const message =
    family.overloads.length === 0
      ? `${name}() is not supported: no overload of ${family.name} has a meaning`
      : `${name}() received an invalid combination of arguments - got (${shown.join(', ')}), but expected one of:\n${expected}`;
  const dtype = keywords?.dtype;
  const isUnknown = typeof dtype === 'string' && !isDTypeName(dtype);
  return new OperatorError(
    isUnknown ? `${message}\n${unknownDType(dtype)}` : message,
    userLine(new Error().stack),
  );
}

function describe(value: unknown): string {
  if (value instanceof Tensor) return 'Tensor';
  if (Array.isArray(value)) return `list of [${value.map(describe).join(', ')}]`;
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float';
  return typeof value === 'string' ? 'str' : typeof value === 'boolean' ? 'bool' : typeof value;
}
