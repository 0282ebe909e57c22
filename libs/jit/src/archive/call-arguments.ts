// Arguments of a call from outside: positional and named values, converted and checked against a schema as PyTorch's Python
// binding does, with its words.
import type { Argument, IValue, Schema, TensorLike, TensorLiteral, Type } from '@weft/ir';
import {
  Complex,
  DeviceValue,
  EnumValue,
  ObjectValue,
  TupleValue,
  WeftError,
  annotationString,
  isFloatingPoint,
  isTensorLike,
  literalElements,
  numel,
  schemaToString,
  tagContainer,
} from '@weft/ir';

/** A call whose arguments do not fit the function's schema. */
export class CallError extends WeftError {}

/** The values of all arguments of `schema`, in order; `given` includes `self` where there is one. */
export function bindCall(
  schema: Schema,
  given: readonly IValue[],
  keywords: Readonly<Record<string, IValue>> = {},
): IValue[] {
  const { arguments: formals, name } = schema;
  const declaration = (): string => `Declaration: ${schemaToString(schema)}`;
  if (given.length > formals.length) {
    throw new CallError(
      `${name}() expected at most ${formals.length} argument(s) but received ${given.length} argument(s). ${declaration()}`,
    );
  }
  const used = new Set<string>();
  const values = formals.map((formal, index): IValue => {
    if (index < given.length) return convert(schema, formal, given[index]);
    if (Object.hasOwn(keywords, formal.name)) {
      used.add(formal.name);
      return convert(schema, formal, keywords[formal.name]);
    }
    if (formal.hasDefault) return formal.default ?? null;
    throw new CallError(`${name}() is missing value for argument '${formal.name}'. ${declaration()}`);
  });
  for (const keyword of Object.keys(keywords)) {
    if (!used.has(keyword))
      throw new CallError(`Unknown keyword argument '${keyword}' for ${name}(). ${declaration()}`);
  }
  return values;
}

function convert({ name }: Schema, formal: Argument, value: IValue): IValue {
  const converted = tryConvert(formal.type, value);
  if (converted !== undefined) return converted;
  throw new CallError(
    `${name}() Expected a value of type '${typeName(formal.type)}' for argument '${formal.name}' but instead found type '${pythonType(value)}'.`,
  );
}

const typeName = (type: Type): string => (type.kind === 'Tensor' ? 'Tensor' : annotationString(type));

/** The value with the static type `type`, or undefined when it does not have it. */
function tryConvert(type: Type, value: IValue): IValue | undefined {
  switch (type.kind) {
    case 'Any':
      return value;
    case 'Tensor':
      return isTensorLike(value) ? value : undefined;
    case 'int':
      if (isTensorLike(value))
        return /int|bool/.test(value.dtype) ? tryConvert(type, elementOf(value)) : undefined;
      return typeof value === 'bigint' ? value : typeof value === 'boolean' ? BigInt(value) : undefined;
    case 'float':
      if (isTensorLike(value)) return tryConvert(type, elementOf(value));
      if (typeof value === 'bigint' || typeof value === 'boolean') return Number(value);
      return typeof value === 'number' ? value : undefined;
    case 'complex':
      if (typeof value === 'bigint' || typeof value === 'number') return new Complex(Number(value), 0);
      return value instanceof Complex ? value : undefined;
    case 'number':
      return ['bigint', 'number', 'boolean'].includes(typeof value) || value instanceof Complex
        ? value
        : undefined;
    case 'bool':
      return typeof value === 'boolean' ? value : undefined;
    case 'str':
      return typeof value === 'string' ? value : undefined;
    case 'None':
      return value === null ? null : undefined;
    case 'Device':
      return value instanceof DeviceValue ? value : undefined;
    case 'Optional':
      return value === null ? null : tryConvert(type.element, value);
    case 'Union':
      for (const member of [...type.members].sort(
        (a, b) => Number(isExact(b, value)) - Number(isExact(a, value)),
      )) {
        const converted = tryConvert(member, value);
        if (converted !== undefined) return converted;
      }
      return undefined;
    case 'List': {
      const items = Array.isArray(value) ? value : value instanceof TupleValue ? value.items : undefined;
      const converted = items && all(items, (item) => tryConvert(type.element, item));
      return converted && tagContainer(converted, type);
    }
    case 'Tuple': {
      if (!(value instanceof TupleValue) || value.items.length !== type.elements.length) return undefined;
      const items = all(value.items, (item, index) => tryConvert(type.elements[index], item));
      return items && new TupleValue(items, type.name === undefined ? undefined : type);
    }
    case 'Dict': {
      if (!(value instanceof Map)) return undefined;
      const dict = tagContainer(new Map<IValue, IValue>(), type);
      for (const [key, entry] of value) {
        const converted = all([key, entry], (item, index) =>
          tryConvert(index === 0 ? type.key : type.value, item),
        );
        if (converted === undefined) return undefined;
        dict.set(converted[0], converted[1]);
      }
      return dict;
    }
    case 'Class':
      return value instanceof ObjectValue && value.type === type ? value : undefined;
    case 'Interface':
      return value instanceof ObjectValue ? value : undefined;
    case 'Enum':
      return value instanceof EnumValue ? value : undefined;
    default:
      return value;
  }
}

/** Whether the value has this type without a conversion. */
const isExact = (type: Type, value: IValue): boolean =>
  ({ bigint: 'int', number: 'float', boolean: 'bool', string: 'str' })[typeof value as string] === type.kind;

/** The only element of a tensor; null when there are several. */
function elementOf(tensor: TensorLike): IValue {
  const { shape, toLiteral } = tensor as TensorLike & { toLiteral?: () => TensorLiteral };
  if (numel(shape) !== 1 || toLiteral === undefined) return null;
  const [element] = literalElements(toLiteral.call(tensor));
  return typeof element === 'number' && !isFloatingPoint(tensor.dtype) ? BigInt(element) : element;
}

function all(
  items: readonly IValue[],
  each: (item: IValue, index: number) => IValue | undefined,
): IValue[] | undefined {
  const converted: IValue[] = [];
  for (const [index, item] of items.entries()) {
    const value = each(item, index);
    if (value === undefined) return undefined;
    converted.push(value);
  }
  return converted;
}

function pythonType(value: IValue): string {
  if (value === null) return 'NoneType';
  if (isTensorLike(value)) return 'Tensor';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Map) return 'dict';
  if (value instanceof TupleValue) return 'tuple';
  if (value instanceof Complex) return 'complex';
  if (value instanceof ObjectValue) return value.type.name;
  return (
    { bigint: 'int', number: 'float', boolean: 'bool', string: 'str' }[typeof value as string] ?? 'object'
  );
}
