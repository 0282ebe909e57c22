// Which operators nested tensors have. A call with a nested tensor among its operands goes here before anything looks at
// strides or memory, which such a tensor lacks.
import type { IValue } from '@weft/ir';
import { OperatorError } from '@weft/ir';
import { Tensor } from '../tensor.ts';
import type { Operator } from './operator.ts';

export type NestedFunction = (...args: never[]) => IValue;
const functions = new Map<string, NestedFunction>();

/** Registers operators on nested tensors, by qualified name. */
export function nestedOperators(table: Readonly<Record<string, NestedFunction>>): void {
  for (const [name, run] of Object.entries(table)) functions.set(name, run);
}

const isNested = (value: IValue): boolean =>
  (value as unknown) instanceof Tensor && (value as unknown as Tensor).isNested;

export const hasNested = (args: readonly IValue[]): boolean =>
  args.some((value) => (Array.isArray(value) ? value.some(isNested) : isNested(value)));

/** Runs an operator on nested tensors; throws OperatorError when they do not have it. */
export function callNested({ name }: Operator, args: readonly IValue[]): IValue {
  const run = functions.get(name);
  if (run === undefined) {
    throw new OperatorError(
      `Could not run '${name}' with arguments from the 'NestedTensorCPU' backend. Nested tensors have few operators: convert with to_padded_tensor, or unbind and work on the parts.`,
    );
  }
  return run(...(args as never[]));
}
