// Conversions between numbers, booleans and strings: `int()`, `float()`, `bool()`, `complex()`, `bin()`, `chr()`, `hash()`…
import type { IValue } from '@weft/ir';
import { Complex, DeviceValue, TupleValue } from '@weft/ir';
import { hostFunctions } from '../operator.ts';
import { asBytes, asText } from './bytes.ts';
import { fail } from './error.ts';
import { overloads } from './overloads.ts';
import { type NumberValue, formatValue, toFloat, truncate, wrap } from './values.ts';

/** As C++'s stoll: leading space is skipped, and what follows the digits is an error of Python's. */
function parseInteger(text: string): bigint {
  const match = /^[ \t\n\v\f\r]*([+-]?)(\d+)/.exec(text);
  if (match === null) return fail('stoll');
  const value = BigInt(match[1] === '-' ? `-${match[2]}` : match[2]);
  if (value !== wrap(value)) fail('stoll');
  if (match[0].length !== text.length) fail(`invalid literal for int() with base 10: '${text}'`);
  return value;
}

const decimal =
  /^[ \t\n\v\f\r]*([+-]?)(?:0[xX]([\da-fA-F]*\.?[\da-fA-F]*)(?:[pP]([+-]?\d+))?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf(?:inity)?|nan(?:\(\w*\))?)/i;

/** As C++'s stod. */
function parseFloatText(text: string): number {
  const match = decimal.exec(text);
  if (match === null) return fail('stod');
  const body = match[0].trim().replace(/^[+-]/, '');
  const lower = body.toLowerCase();
  let value: number;
  if (match[2] !== undefined) value = parseHex(match[2], match[3]);
  else if (lower.startsWith('inf')) value = Infinity;
  else if (lower.startsWith('nan')) value = NaN;
  else {
    value = Number(body);
    // What overflows, or is too small to be a normal number, is out of range.
    const isTiny = value < 2.2250738585072014e-308 && /[1-9]/.test(body.split(/e/i)[0]);
    if (value === Infinity || isTiny) fail('stod');
  }
  if (match[0].length !== text.length) fail(`could not convert string to float: '${text}'`);
  return match[1] === '-' ? -value : value;
}

function parseHex(digits: string, exponent: string | undefined): number {
  const [whole, fraction = ''] = digits.split('.');
  const mantissa = Number(BigInt(`0x0${whole}${fraction}`));
  return mantissa * 2 ** (Number(exponent ?? 0) - 4 * fraction.length);
}

function toInt(value: NumberValue): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return truncate(value);
  return typeof value === 'boolean' ? BigInt(value) : truncate(toFloat(value));
}

/** Digits of an int in a base, with Python's prefix. */
const digits = (prefix: string, base: number) => (value: bigint) =>
  value < 0n ? `-${prefix}${(-value).toString(base)}` : prefix + value.toString(base);

const doubleBits = new DataView(new ArrayBuffer(8));

/** PyTorch's hash: identity for ints, the C++ library's Murmur hash for strings and the bytes of floats. */
export function hashValue(value: IValue): bigint {
  if (value === null) return 0n;
  switch (typeof value) {
    case 'boolean':
      return value ? 1n : 0n;
    case 'bigint':
      return value;
    case 'string':
      return murmur(Uint8Array.from(asBytes(value), (char) => char.charCodeAt(0)));
    case 'number':
      if (value === 0) return 0n;
      doubleBits.setFloat64(0, value, true);
      return murmur(new Uint8Array(doubleBits.buffer));
    default:
  }
  if (value instanceof Complex) return combine(hashValue(value.re), hashValue(value.im));
  if (value instanceof TupleValue) return value.items.map(hashValue).reduce(combine, 0n);
  if (value instanceof DeviceValue) return murmur(Uint8Array.from(value.toString(), (c) => c.charCodeAt(0)));
  return fail(`the type of '${formatValue(value)}' is not hashable`);
}

const mask = (1n << 64n) - 1n;
const combine = (seed: bigint, hash: bigint): bigint => {
  const unsigned = seed & mask;
  return wrap(unsigned ^ ((hash + 0x9e3779b9n + (unsigned << 6n) + (unsigned >> 2n)) & mask));
};

/** libstdc++'s 64-bit std::hash of bytes: MurmurHash64A with its fixed seed. */
function murmur(bytes: Uint8Array): bigint {
  const multiplier = 0xc6a4a7935bd1e995n;
  const mix = (value: bigint): bigint => value ^ (value >> 47n);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const whole = bytes.length & ~7;
  let hash = 0xc70f6907n ^ ((BigInt(bytes.length) * multiplier) & mask);
  for (let at = 0; at < whole; at += 8) {
    const word = (mix((view.getBigUint64(at, true) * multiplier) & mask) * multiplier) & mask;
    hash = ((hash ^ word) * multiplier) & mask;
  }
  if (bytes.length > whole) {
    let tail = 0n;
    for (let at = bytes.length - 1; at >= whole; at--) tail = (tail << 8n) | BigInt(bytes[at]);
    hash = ((hash ^ tail) * multiplier) & mask;
  }
  hash = (mix(hash) * multiplier) & mask;
  return wrap(mix(hash));
}

overloads('aten::Int', ['bool', 'float'], toInt);
overloads('aten::Float', ['int', 'bool'], toFloat);
const numberPairs = ['bool', 'int', 'float'].flatMap((a) => ['bool', 'int', 'float'].map((b) => `${a}_${b}`));
/** A part of a complex number: PyTorch takes an int for one of 32 bits. */
const partOf = (value: bigint | number | boolean): number =>
  Number(typeof value === 'bigint' ? BigInt.asIntN(32, value) : value);
overloads(
  'aten::Complex',
  numberPairs,
  (re: bigint | number | boolean, im: bigint | number | boolean) => new Complex(partOf(re), partOf(im)),
);

hostFunctions({
  'aten::Float.Scalar': (a: NumberValue) => (a instanceof Complex ? a.re : toFloat(a)),
  'aten::Int.Scalar': (a: NumberValue) => {
    const value = a instanceof Complex && a.im === 0 ? a.re : a;
    if (value instanceof Complex || (typeof value === 'number' && !(Math.abs(value) < 2 ** 63)))
      fail('value cannot be converted to type int without overflow');
    return toInt(value);
  },
  'aten::Int.str': parseInteger,
  'aten::Float.str': parseFloatText,
  'aten::Bool.int': (a: bigint) => a !== 0n,
  'aten::Bool.float': (a: number) => a !== 0,
  'aten::Complex.Scalar': (a: NumberValue) => (a instanceof Complex ? a : new Complex(toFloat(a), 0)),
  'aten::bin': digits('0b', 2),
  'aten::oct': digits('0o', 8),
  'aten::hex': digits('0x', 16),
  'aten::ord': (text: string) => {
    const bytes = asBytes(text);
    if (bytes.length !== 1) fail(`String for ord() must be 1 character, found ${bytes.length}`);
    return BigInt(bytes.charCodeAt(0));
  },
  'aten::chr': (code: bigint) => {
    if (code < 0n || code > 0x10ffffn) fail(`chr() arg not in range(0x110000), found ${code}`);
    return asText(String.fromCharCode(Number(code & 0xffn)));
  },
  'aten::str': formatValue,
  'aten::hash.generic': hashValue,
});
