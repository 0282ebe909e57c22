// `"{}".format(…)` and `"%d" % …`. Both take a variable number of arguments.
import type { IValue } from '@weft/ir';
import { TupleValue } from '@weft/ir';
import { hostFunctions } from '../operator.ts';
import { asBytes, asText } from './bytes.ts';
import { fail } from './error.ts';
import { formatValue } from './values.ts';

/** Fills the `{}` of `pattern` in order; other braces stay as they are, further arguments are left over. */
export function format(pattern: string, ...args: IValue[]): string {
  const parts = pattern.split('{}');
  if (parts.length - 1 > args.length) fail(`Too few arguments for format string: ${pattern}`);
  return parts.map((part, index) => (index === 0 ? part : formatValue(args[index - 1]) + part)).join('');
}

/** C++ converts the argument to a single before it prints with %e and %f. */
const asSingle = (value: number | bigint): number => Math.fround(Number(value));

function scientific(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  return value.toExponential(6).replace(/e([+-])(\d)$/, 'e$10$2');
}

function fixed(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  // toFixed switches to exponents from 10^21 on; such singles are integers.
  return Math.abs(value) >= 1e21 ? `${BigInt(value)}.000000` : value.toFixed(6);
}

function formatOne(key: string, value: IValue): string {
  const number = (): number | bigint => {
    if (typeof value === 'bigint' || typeof value === 'number') return value;
    return fail(`%${key} requires a number for formatting, but got ${tagOf(value)}`);
  };
  switch (key) {
    case 'd':
    case 'i': {
      const given = number();
      if (typeof given === 'bigint') return String(given);
      // As C++ converts a double to an int of 32 bits.
      return String(given > -2147483649 && given < 2147483648 ? Math.trunc(given) + 0 : -2147483648);
    }
    case 'e':
      return scientific(asSingle(number()));
    case 'E':
      return scientific(asSingle(number())).toUpperCase();
    case 'f':
      return fixed(asSingle(number()));
    case 'F':
      return fixed(asSingle(number())).toUpperCase();
    case 'c':
      if (typeof value === 'bigint') return asText(String.fromCharCode(Number(value & 0xffn)));
      if (typeof value === 'string' && asBytes(value).length === 1) return value;
      return fail(`%c requires an int or char for formatting, but got ${tagOf(value)}`);
    case 's':
      return formatValue(value);
    default:
      return fail(`The specifier %${key} is not supported in TorchScript format strings`);
  }
}

function tagOf(value: IValue): string {
  if (value === null) return 'None';
  if (typeof value === 'string') return 'String';
  if (typeof value === 'boolean') return 'Bool';
  if (Array.isArray(value)) return 'GenericList';
  if (value instanceof Map) return 'GenericDict';
  if (value instanceof TupleValue) return 'Tuple';
  return 'Object';
}

/** Python's `pattern % args`, `args` being a tuple or the one argument. */
export function percentFormat(pattern: string, args: IValue): string {
  const values = args instanceof TupleValue ? args.items : [args];
  let used = 0;
  let result = '';
  let begin = 0;
  for (;;) {
    const percent = pattern.indexOf('%', begin);
    if (percent < 0) break;
    if (percent === pattern.length - 1) fail('Incomplete format specifier');
    result += pattern.slice(begin, percent);
    const key = pattern[percent + 1];
    begin = percent + 2;
    if (key === '%') result += '%';
    else {
      if (used >= values.length) fail('Too few arguments for format string');
      result += formatOne(key, values[used++]);
    }
  }
  if (used !== values.length) fail('Too many arguments for format string');
  return result + pattern.slice(begin);
}

hostFunctions({ 'aten::format': format, 'aten::percentFormat': percentFormat });
