// Host operators against what PyTorch answers when the same operators are called directly (tools/make-host-cases.py).
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IValue } from '@weft/ir';
import {
  Complex,
  DeviceValue,
  TupleValue,
  bestOverload,
  qualifiedName,
  schemasOf,
  typeOfIValue,
} from '@weft/ir';
import { operatorMeaning } from '../operator.ts';
import './index.ts';

type Encoded = Record<string, unknown> | null;
type Case = [operator: string, args: Encoded[], result: Encoded];

const cases = JSON.parse(readFileSync(join(__dirname, 'host-cases.json'), 'utf8')) as Case[];

const float = (value: unknown): number => {
  if (value === 'nan') return NaN;
  if (value === 'inf') return Infinity;
  if (value === '-inf') return -Infinity;
  return value === '-0' ? -0 : (value as number);
};

function decode(encoded: Encoded): IValue {
  if (encoded === null) return null;
  const [[kind, value]] = Object.entries(encoded);
  switch (kind) {
    case 'bool':
      return value as boolean;
    case 'int':
      return BigInt(value as string);
    case 'float':
      return float(value);
    case 'complex':
      return new Complex(float((value as unknown[])[0]), float((value as unknown[])[1]));
    case 'str':
      return value as string;
    case 'list':
      return (value as Encoded[]).map(decode);
    case 'tuple':
      return new TupleValue((value as Encoded[]).map(decode));
    case 'device': {
      const [type, index] = (value as string).split(':');
      return new DeviceValue(type, index === undefined ? null : Number(index));
    }
    default:
      throw new Error(`unknown kind ${kind}`);
  }
}

function call(operator: string, args: readonly IValue[]): IValue {
  const schemas = schemasOf(`aten::${operator}`).filter(
    (schema) => operatorMeaning(qualifiedName(schema))?.kind === 'host',
  );
  const schema = bestOverload(
    schemas.map((each) => ({ ...each, arguments: each.arguments.slice(0, args.length) })),
    args.map(typeOfIValue),
  );
  if (schema === undefined) throw new Error(`no overload of ${operator}`);
  const found = schemas.find((each) => each.overload === schema.overload)!;
  const defaults = found.arguments.slice(args.length).map((argument) => argument.default ?? null);
  const meaning = operatorMeaning(qualifiedName(found));
  if (meaning?.kind !== 'host') throw new Error('no host function');
  const result = meaning.run(...args, ...defaults);
  return found.returns.length > 1 ? new TupleValue(result as IValue[]) : (result as IValue);
}

function expectClose(actual: IValue, expected: IValue): void {
  if (typeof expected === 'number' && typeof actual === 'number') {
    if (Number.isFinite(expected) && expected !== 0) {
      expect(Math.abs(actual - expected)).toBeLessThanOrEqual(2e-13 * Math.abs(expected) + 1e-300);
    } else expect(actual).toBe(expected);
  } else if (expected instanceof Complex && actual instanceof Complex) {
    const size = Math.hypot(expected.re, expected.im);
    if (!Number.isFinite(size)) return expect(actual).toEqual(expected);
    expect(Math.hypot(actual.re - expected.re, actual.im - expected.im)).toBeLessThanOrEqual(
      1e-14 * (size + 1),
    );
  } else if (expected instanceof TupleValue && actual instanceof TupleValue) {
    expected.items.forEach((item, index) => expectClose(actual.items[index], item));
  } else expect(actual).toEqual(expected);
}

describe('host operators give what PyTorch gives', () => {
  const byOperator = new Map<string, Case[]>();
  for (const one of cases) byOperator.set(one[0], [...(byOperator.get(one[0]) ?? []), one]);
  it.each([...byOperator])('%s', (operator, list) => {
    const wrong: string[] = [];
    for (const [, args, result] of list) {
      try {
        if (result !== null && 'error' in result) {
          expect(() => call(operator, args.map(decode))).toThrow(result.error as string);
        } else expectClose(call(operator, args.map(decode)), decode(result));
      } catch (error) {
        wrong.push(
          `${operator}(${JSON.stringify(args)}): ${(error as Error).message.split('\n').slice(0, 6).join(' ')} ${JSON.stringify(result)}`,
        );
      }
    }
    expect(wrong).toEqual([]);
  });
});
