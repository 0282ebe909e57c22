// Constants that are not tensors alone (lists, tuples, dicts, enums, complex numbers) as PyTorch's `IValue::repr` prints
// them. Reading is directed by the type that is expected, because the text says less than the value: `2` in a list of
// floats may be a float, and what an empty list holds stands only in `annotate(…)`.
import {
  Complex,
  DeviceValue,
  EnumValue,
  ObjectValue,
  TensorLiteral,
  TupleValue,
  containerType,
  isTensorLike,
  tagContainer,
} from '../types/ivalue.ts';
import type { IValue } from '../types/ivalue.ts';
import { UnsupportedError } from '../errors.ts';
import type { Type } from '../types/types.ts';
import { createClassType } from '../types/types.ts';
import { formatComplex, formatExactFloat, formatFloat, parseFloatText } from './number-text.ts';
import { quote } from './quoted.ts';
import type { Scanner } from './scanner.ts';
import {
  exactTensorText,
  scanExactTensor,
  scanShownTensor,
  seesShownTensor,
  tensorText,
} from './tensor-text.ts';
import type { TypeParseOptions } from './type-text.ts';
import { annotationString, scanType } from './type-text.ts';

/**
 * The value as text.
 * @param type its static type, if known: says what an empty list holds
 * @param exact prints what can be read back without loss: all tensor data, floats never like integers
 */
export function ivalueToString(value: IValue, type?: Type, exact = false): string {
  const print = (item: IValue, itemType?: Type): string => ivalueToString(item, itemType, exact);
  if (value === null) return 'None';
  switch (typeof value) {
    case 'boolean':
      return value ? 'True' : 'False';
    case 'bigint':
      return String(value);
    case 'number':
      return exact ? formatExactFloat(value) : formatFloat(value);
    case 'string':
      return quote(value);
    default:
  }
  if (Array.isArray(value)) return listText(value, listTypeOf(value, type), print, exact);
  if (value instanceof Map) return dictText(value, dictTypeOf(value, type), print);
  if (value instanceof TensorLiteral) return exact ? exactTensorText(value) : tensorText(value);
  if (value instanceof Complex) return formatComplex(value.re, value.im);
  if (value instanceof DeviceValue)
    return exact ? `device(${quote(value.toString())})` : quote(value.toString());
  if (value instanceof TupleValue) {
    const types = type?.kind === 'Tuple' ? type.elements : value.type?.elements;
    const items = value.items.map((item, index) => print(item, types?.[index]));
    return `(${items.join(', ')}${items.length === 1 ? ',' : ''})`;
  }
  if (value instanceof EnumValue) return `${value.type.name}.${value.name}`;
  if (value instanceof ObjectValue) return `object(${value.type.name})`;
  throw new UnsupportedError(
    `a ${isTensorLike(value) ? 'live tensor' : 'future or generator'} cannot stand in a graph as text: make it an input, or a literal`,
  );
}

type ItemPrinter = (item: IValue, type?: Type) => string;

const listTypeOf = (value: IValue[], type?: Type): Type | undefined =>
  (type?.kind === 'List' ? type : undefined) ?? containerType(value);
const dictTypeOf = (value: Map<IValue, IValue>, type?: Type): Type | undefined =>
  (type?.kind === 'Dict' ? type : undefined) ?? containerType(value);

function listText(value: IValue[], type: Type | undefined, print: ItemPrinter, exact: boolean): string {
  const element = type?.kind === 'List' ? type.element : undefined;
  const holdsTensors = element === undefined ? value.some(isTensorLike) : element.kind === 'Tensor';
  if (holdsTensors && !exact) return '[<Tensors>]';
  const items = `[${value.map((item) => print(item, element)).join(', ')}]`;
  const inferred = value.length > 0 && (element === undefined || isInferable(element));
  return inferred || type === undefined ? items : `annotate(${annotationString(type)}, ${items})`;
}

function dictText(value: Map<IValue, IValue>, type: Type | undefined, print: ItemPrinter): string {
  const [keyType, valueType] = type?.kind === 'Dict' ? [type.key, type.value] : [];
  const items = [...value].map(([key, item]) => `${print(key, keyType)}: ${print(item, valueType)}`);
  const text = `{${items.join(', ')}}`;
  const inferred = value.size > 0 && (valueType === undefined || isInferable(valueType));
  return inferred || type === undefined ? text : `annotate(${annotationString(type)},${text})`;
}

const isInferable = ({ kind }: Type): boolean =>
  kind !== 'Union' && kind !== 'Optional' && kind !== 'number' && kind !== 'Any';

const imaginary = /[+-](?:inf|nan|\d+\.?\d*(?:e[+-]?\d+)?)j/y;

/** Reads a value. `type` is what is expected, if known. */
export function scanIValue(scanner: Scanner, type: Type | undefined, options: TypeParseOptions): IValue {
  return scanner.nest(() => scanAny(scanner, type, options));
}

function scanAny(scanner: Scanner, type: Type | undefined, options: TypeParseOptions): IValue {
  const expected = type?.kind === 'Optional' && !scanner.sees('None') ? type.element : type;
  const exactTensor = scanExactTensor(scanner);
  if (exactTensor !== undefined) return exactTensor;
  if (expected?.kind === 'Tensor' && !scanner.sees('None')) return scanShownTensor(scanner, expected);
  if (scanner.sees('"')) {
    const text = scanner.quoted();
    return expected?.kind === 'Device' ? deviceOf(text) : text;
  }
  if (scanner.accept('[')) return scanList(scanner, expected, options);
  if (scanner.accept('(')) return scanTuple(scanner, expected, options);
  if (expected?.kind !== 'Dict' && seesShownTensor(scanner) && !scanner.sees('{"') && !scanner.sees('{}')) {
    return scanShownTensor(scanner, undefined);
  }
  if (scanner.accept('{')) return scanDict(scanner, expected, options);
  const number = scanner.acceptNumber();
  if (number !== undefined) {
    const im = scanner.match(imaginary);
    if (im !== undefined) return new Complex(parseFloatText(number), parseFloatText(im.slice(0, -1)));
    const isFloat = expected?.kind === 'float' || !/^[+-]?\d+$/.test(number);
    return isFloat ? parseFloatText(number) : BigInt(number);
  }
  return scanWord(scanner, expected, options);
}

function scanWord(scanner: Scanner, expected: Type | undefined, options: TypeParseOptions): IValue {
  const word = scanner.qualifiedName();
  switch (word) {
    case 'None':
      return null;
    case 'True':
      return true;
    case 'False':
      return false;
    case 'annotate': {
      scanner.expect('(');
      const type = scanType(scanner, options);
      scanner.expect(',');
      const value = scanIValue(scanner, type, options);
      scanner.expect(')');
      return value;
    }
    case 'device': {
      scanner.expect('(');
      const value = deviceOf(scanner.quoted());
      scanner.expect(')');
      return value;
    }
    case 'object': {
      scanner.expect('(');
      const type = scanType(scanner, options);
      scanner.expect(')');
      return new ObjectValue(type.kind === 'Class' ? type : createClassType('object', false));
    }
    default:
  }
  const dot = word.lastIndexOf('.');
  if (dot < 0) scanner.fail(`'${word}' is no constant`);
  const name = word.slice(0, dot);
  const resolved = expected?.kind === 'Enum' && expected.name === name ? expected : options.enumNamed?.(name);
  const type = resolved?.kind === 'Enum' ? resolved : undefined;
  const member = type?.members.find((candidate) => candidate.name === word.slice(dot + 1));
  return new EnumValue(
    type ?? { kind: 'Enum', name, valueType: { kind: 'Any' }, members: [] },
    word.slice(dot + 1),
    member?.value ?? null,
  );
}

function scanList(scanner: Scanner, expected: Type | undefined, options: TypeParseOptions): IValue {
  const element = expected?.kind === 'List' ? expected.element : undefined;
  // Tensors of a list are not shown, so none can be read.
  const items: IValue[] = [];
  if (scanner.accept('<Tensors>')) scanner.expect(']');
  else items.push(...scanner.list(']', () => scanIValue(scanner, element, options)));
  return expected?.kind === 'List' ? tagContainer(items, expected) : items;
}

function scanTuple(scanner: Scanner, expected: Type | undefined, options: TypeParseOptions): IValue {
  const types = expected?.kind === 'Tuple' ? expected.elements : [];
  const items: IValue[] = [];
  while (!scanner.accept(')')) {
    items.push(scanIValue(scanner, types[items.length], options));
    if (!scanner.accept(',')) {
      scanner.expect(')');
      break;
    }
  }
  return new TupleValue(
    items,
    expected?.kind === 'Tuple' && expected.fields !== undefined ? expected : undefined,
  );
}

function scanDict(scanner: Scanner, expected: Type | undefined, options: TypeParseOptions): IValue {
  const [keyType, valueType] = expected?.kind === 'Dict' ? [expected.key, expected.value] : [];
  const dict = new Map<IValue, IValue>();
  scanner.list('}', () => {
    const key = scanIValue(scanner, keyType, options);
    scanner.expect(':');
    dict.set(key, scanIValue(scanner, valueType, options));
  });
  return expected?.kind === 'Dict' ? tagContainer(dict, expected) : dict;
}

/** `cpu`, `cuda:1`. */
export function deviceOf(text: string): DeviceValue {
  const [type, index] = text.split(':');
  return new DeviceValue(type, index === undefined ? null : Number(index));
}
