// What all families of host operators share: 64-bit wrapping, equality and order of run-time values, and their text as
// `str()`, `print` and `format` give it.
import type { IValue, TensorLike } from '@weft/ir';
import {
  Complex,
  DeviceValue,
  EnumValue,
  ObjectValue,
  TensorLiteral,
  TupleValue,
  isTensorLike,
  formatGeneral,
} from '@weft/ir';
import { fail } from './error.ts';
import { formatTensor } from './tensor-text.ts';

/** Tensors of any library can be read as a literal. */
interface Readable extends TensorLike {
  toLiteral(): TensorLiteral;
}

/** A TorchScript number. Booleans count as ints where a Scalar is taken. */
export type NumberValue = bigint | number | boolean | Complex;

export const wrap = (value: bigint): bigint => BigInt.asIntN(64, value);

const least = -(1n << 63n);

/** A double as C++ converts it to int64: towards zero; what does not fit becomes the least integer. */
export function truncate(value: number): bigint {
  if (!(value >= -9223372036854775808 && value < 9223372036854775808)) return least;
  return BigInt(Math.trunc(value));
}

/** A real Scalar as a double. Throws HostError for a complex number. */
export function toFloat(value: NumberValue): number {
  if (typeof value === 'number') return value;
  if (value instanceof Complex)
    return fail('value cannot be converted to type double without overflow: it is complex');
  return Number(value);
}

export const toComplex = (value: NumberValue): Complex =>
  value instanceof Complex ? value : new Complex(toFloat(value), 0);

/** Python's `==` for all values but tensors, which are equal when they are the same. */
export function valuesEqual(a: IValue, b: IValue): boolean {
  if (a === b) return true;
  if (a === null || b === null) return false;
  if (typeof a === 'bigint' || typeof a === 'number' || typeof a === 'boolean') {
    if (typeof b === 'bigint' || typeof b === 'number' || typeof b === 'boolean') {
      return typeof a === typeof b ? false : Number(a) === Number(b);
    }
    return b instanceof Complex && b.im === 0 && b.re === Number(a);
  }
  if (a instanceof Complex) {
    if (b instanceof Complex) return a.re === b.re && a.im === b.im;
    return (typeof b === 'bigint' || typeof b === 'number' || typeof b === 'boolean') && valuesEqual(b, a);
  }
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => valuesEqual(item, b[index]));
  }
  if (a instanceof TupleValue) {
    return (
      b instanceof TupleValue &&
      a.items.length === b.items.length &&
      a.items.every((item, index) => valuesEqual(item, b.items[index]))
    );
  }
  if (a instanceof Map) {
    if (!(b instanceof Map) || a.size !== b.size) return false;
    for (const [key, value] of a) if (!b.has(key) || !valuesEqual(value, b.get(key)!)) return false;
    return true;
  }
  if (a instanceof DeviceValue) return b instanceof DeviceValue && a.type === b.type && a.index === b.index;
  if (a instanceof EnumValue)
    return b instanceof EnumValue && a.type.name === b.type.name && a.name === b.name;
  return false;
}

/** Python's `is`: scalars and strings by value, everything else (members of enums too) by identity. */
export function sameObject(a: IValue, b: IValue): boolean {
  if (
    Array.isArray(a) ||
    a instanceof Map ||
    a instanceof TupleValue ||
    a instanceof ObjectValue ||
    a instanceof EnumValue
  )
    return a === b;
  return valuesEqual(a, b);
}

/** Order of numbers, strings, lists and tuples: negative when `a` comes first. Strings compare by their UTF-8 bytes. */
export function compareValues(a: IValue, b: IValue): number {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  const first = a instanceof TupleValue ? a.items : a;
  const second = b instanceof TupleValue ? b.items : b;
  if (Array.isArray(first) && Array.isArray(second)) {
    for (let index = 0; index < first.length && index < second.length; index++) {
      const order = compareValues(first[index] as IValue, second[index] as IValue);
      if (order !== 0) return order;
    }
    return first.length - second.length;
  }
  const x = a as number | bigint | boolean;
  const y = b as number | bigint | boolean;
  return x < y ? -1 : x > y ? 1 : 0;
}

function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    if (a.charCodeAt(index) !== b.charCodeAt(index)) return a.codePointAt(index)! - b.codePointAt(index)!;
  }
  return a.length - b.length;
}

/** A double as TorchScript prints it: `2.`, `0.10000000000000001`, `1e+20`. */
export function formatFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 63) return `${BigInt(value)}.`;
  return formatGeneral(value, 17);
}

/** The text of a value in `str()`, `print` and `format`. */
export function formatValue(value: IValue): string {
  if (value === null) return 'None';
  switch (typeof value) {
    case 'boolean':
      return value ? 'True' : 'False';
    case 'bigint':
      return value.toString();
    case 'number':
      return formatFloat(value);
    case 'string':
      return value;
    default:
  }
  if (Array.isArray(value)) return `[${value.map(formatValue).join(', ')}]`;
  if (value instanceof TupleValue) {
    const items = value.items.map(formatValue).join(', ');
    return value.items.length === 1 ? `(${items},)` : `(${items})`;
  }
  if (value instanceof Map) {
    return `{${[...value].map(([key, item]) => `${formatValue(key)}: ${formatValue(item)}`).join(', ')}}`;
  }
  if (value instanceof Complex) {
    const imaginary = formatFloat(value.im);
    return `${formatFloat(value.re)}${imaginary.startsWith('-') ? '' : '+'}${imaginary}j`;
  }
  if (value instanceof DeviceValue) return value.toString();
  if (value instanceof EnumValue) return `Enum<${value.type.name}.${value.name}>`;
  if (value instanceof ObjectValue) return `<${value.type.name} object>`;
  if (isTensorLike(value))
    return formatTensor(value instanceof TensorLiteral ? value : (value as Readable).toLiteral());
  return '<Future>';
}
