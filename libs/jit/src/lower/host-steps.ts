// What a program computes with numbers, text and lists while it is lowered, written down for those who lower it for several sizes and
// want to know whether it would take the same way for others.
import type { IValue } from '@weft/ir';
import { TupleValue } from '@weft/ir';

/** A call of an operator on values that are known. */
export interface HostStep {
  /** With its overload: `aten::lt.int`. */
  readonly operator: string;
  readonly args: readonly HostValue[];
  readonly result: HostValue;
}

/** The numbers in a value, in the order of a walk, and the form that they are in: `[i,i]`. Other values are part of that form. */
export interface HostValue {
  readonly form: string;
  readonly numbers: readonly number[];
}

export function hostValue(value: IValue): HostValue {
  const numbers: number[] = [];
  const form = walk(value, numbers);
  return { form, numbers };
}

function walk(value: IValue, numbers: number[]): string {
  switch (typeof value) {
    case 'bigint':
      numbers.push(Number(value));
      return 'i';
    case 'number':
      numbers.push(value);
      return 'f';
    case 'boolean':
      return String(value);
    case 'string':
      return JSON.stringify(value);
    default:
      if (Array.isArray(value)) return `[${value.map((item) => walk(item, numbers)).join()}]`;
      if (value instanceof TupleValue) return `(${value.items.map((item) => walk(item, numbers)).join()})`;
      return value === null ? 'null' : 'o';
  }
}
