// Eager calls by plain name and JavaScript values: `x.sum(1, { keepdim: true })`. The first schema, in order, whose arguments
// accept the values is called. An integral number is an int, and where a Scalar is expected it stays one.
import type { Argument, IValue, Schema, Type } from '@weft/ir';
import {
  Complex,
  DeviceValue,
  OperatorError,
  TupleValue,
  dtypes,
  qualifiedName,
  schemaToString,
  schemasOf,
} from '@weft/ir';
import { Tensor } from '../tensor.ts';
import { invoke } from './call.ts';
import type { Operator } from './operator.ts';
import { findOperator, isCallable } from './operator.ts';

/** What eager calls pass. */
export type Given = unknown;

const candidates = new Map<string, readonly Schema[]>();

/** The callable overloads of a name that plain calls may choose: no `out=`, no named dimensions. */
function overloadsOf(name: string): readonly Schema[] {
  let found = candidates.get(name);
  if (found === undefined) {
    found = schemasOf(name).filter((schema) => isPlain(schema) && isCallable(qualifiedName(schema)));
    candidates.set(name, found);
  }
  return found;
}

/** Whether a schema can be called with plain values. */
export const isPlain = (schema: Schema): boolean =>
  !schema.isVararg &&
  !/dimname|names/i.test(schema.overload) &&
  !schema.arguments.some(({ kwargOnly, alias }) => kwargOnly && alias?.isWrite === true);

/** Calls `aten::name` with JavaScript values; a trailing plain object holds arguments by (camelCase or PyTorch) name. */
export function callEager(name: string, given: readonly Given[]): unknown {
  const operator = operatorFor(name, given);
  return toJs(invoke(operator.operator, operator.args));
}

function operatorFor(name: string, given: readonly Given[]): { operator: Operator; args: readonly IValue[] } {
  const last = given[given.length - 1];
  const keywords = isKeywords(last) ? last : undefined;
  const positional = keywords === undefined ? given : given.slice(0, -1);
  for (const schema of overloadsOf(name)) {
    const args = bind(schema, positional, keywords);
    if (args !== undefined) return { operator: findOperator(qualifiedName(schema)), args };
  }
  throw noMatch(name, given);
}

const isKeywords = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** `maskedFill` → `masked_fill`; names that are PyTorch's already stay. */
export const snakeCase = (name: string): string =>
  name.replace(/[A-Z]/g, (letter, at: number) => `${at === 0 ? '' : '_'}${letter.toLowerCase()}`);

function bind(
  schema: Schema,
  positional: readonly Given[],
  keywords: Readonly<Record<string, unknown>> | undefined,
): IValue[] | undefined {
  const formals = schema.arguments;
  if (positional.length > formals.length) return undefined;
  const byName = new Map<string, unknown>();
  for (const [key, value] of Object.entries(keywords ?? {})) {
    if (value !== undefined) byName.set(snakeCase(key), value);
  }
  const args: IValue[] = [];
  for (let index = 0; index < formals.length; index++) {
    const formal = formals[index];
    let value: unknown;
    if (index < positional.length && !formal.kwargOnly) value = positional[index];
    else if (index < positional.length) return undefined;
    if (byName.has(formal.name)) {
      if (value !== undefined) return undefined;
      value = byName.get(formal.name);
      byName.delete(formal.name);
    }
    if (value === undefined) {
      if (!formal.hasDefault) return undefined;
      args.push(formal.default ?? null);
      continue;
    }
    const converted = accept(formal.type, value, formal);
    if (converted === undefined) return undefined;
    args.push(converted);
  }
  return byName.size > 0 ? undefined : args;
}

/** The value as a run-time value of the type, or undefined when the type does not accept it. */
function accept(type: Type, value: unknown, formal?: Argument): IValue | undefined {
  switch (type.kind) {
    case 'Tensor':
      return value instanceof Tensor ? value : undefined;
    case 'Optional':
      return value === null ? null : accept(type.element, value, formal);
    case 'int':
    case 'ScalarType':
    case 'Layout':
    case 'MemoryFormat':
      return acceptInt(type, value, formal);
    case 'float':
      return typeof value === 'number' ? value : undefined;
    case 'number':
      return acceptScalar(value);
    case 'bool':
      return typeof value === 'boolean' ? value : undefined;
    case 'str':
      return typeof value === 'string' ? value : undefined;
    case 'complex':
      return value instanceof Complex ? value : undefined;
    case 'Device':
      return acceptDevice(value);
    case 'List':
      return acceptList(type.element, value, formal);
    case 'Generator':
      return typeof value === 'object' && value !== null && 'isGenerator' in value
        ? (value as IValue)
        : undefined;
    default:
      return undefined;
  }
}

const isDType = (value: unknown): value is keyof typeof dtypes =>
  typeof value === 'string' && Object.hasOwn(dtypes, value);

function acceptInt(type: Type, value: unknown, formal: Argument | undefined): IValue | undefined {
  if (type.kind === 'ScalarType' || formal?.name === 'dtype') {
    if (isDType(value)) return BigInt(dtypes[value].scalarType);
  }
  if (typeof value === 'bigint') return value;
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : undefined;
}

function acceptScalar(value: unknown): IValue | undefined {
  if (typeof value === 'number')
    return Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value;
  return typeof value === 'bigint' || typeof value === 'boolean' || value instanceof Complex
    ? (value as IValue)
    : undefined;
}

function acceptDevice(value: unknown): IValue | undefined {
  if (value instanceof DeviceValue) return value;
  if (typeof value !== 'string' || isDType(value)) return undefined;
  const [type, index] = value.split(':');
  return new DeviceValue(type, index === undefined ? null : Number(index));
}

function acceptList(element: Type, value: unknown, formal: Argument | undefined): IValue | undefined {
  if (!Array.isArray(value)) {
    if (formal?.listSize === undefined) return undefined;
    const one = accept(element, value);
    return one === undefined ? undefined : Array.from({ length: formal.listSize }, () => one);
  }
  const items: IValue[] = [];
  for (const item of value as readonly unknown[]) {
    const converted = accept(element, item);
    if (converted === undefined) return undefined;
    items.push(converted);
  }
  return items;
}

/** Ints become numbers (bigint beyond 2^53), tuples arrays. */
export function toJs(value: IValue): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (value instanceof TupleValue) return value.items.map(toJs);
  if (Array.isArray(value)) return value.map(toJs);
  return value;
}

function noMatch(name: string, given: readonly Given[]): OperatorError {
  const known = schemasOf(name);
  const shown = given.map(describe).join(', ');
  if (known.length === 0) return new OperatorError(`there is no operator ${name}`);
  const lines = known.filter(isPlain).map((schema) => {
    const note = isCallable(qualifiedName(schema)) ? '' : '   (not supported)';
    return `  ${schemaToString(schema)}${note}`;
  });
  return new OperatorError(`${name}(${shown}) matches none of its forms:\n${lines.join('\n')}`);
}

function describe(value: unknown): string {
  if (value instanceof Tensor) return `Tensor ${value.dtype}[${value.sizes.join(', ')}]`;
  if (Array.isArray(value)) return `[${value.map(describe).join(', ')}]`;
  if (isKeywords(value))
    return `{ ${Object.entries(value)
      .map(([key, inner]) => `${key}: ${describe(inner)}`)
      .join(', ')} }`;
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
