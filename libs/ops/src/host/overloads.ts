// Registers one function under several overloads of an operator. Python's operators work by the run-time types of their
// operands, so most overloads of a schema differ in nothing but the types that they let through.
import type { IValue } from '@weft/ir';
import { hostFunctions } from '../operator.ts';

type Host = (...args: never[]) => IValue | readonly IValue[];

/** `overloads('aten::add', ['int', 'float', ''], add)` registers `aten::add.int`, `aten::add.float` and `aten::add`. */
export function overloads(operator: string, names: readonly string[], run: Host): void {
  hostFunctions(
    Object.fromEntries(names.map((name) => [name === '' ? operator : `${operator}.${name}`, run])),
  );
}

/** Overloads of operators on dicts, which have one for each key type. */
export const keyTypes = ['str', 'int', 'bool', 'float', 'complex', 'Tensor'] as const;
