// Names of dtypes from programs without types: what is no dtype is refused where it is given.
import type { DType } from '@weft/ir';
import { OperatorError, dtypeNames } from '@weft/ir';

export const isDTypeName = (name: unknown): name is DType => dtypeNames.includes(name as DType);

/** What is wrong with a dtype, and what there is. */
export const unknownDType = (dtype: unknown): string =>
  `${JSON.stringify(dtype)} is no dtype; those are ${dtypeNames.join(', ')}`;

/** @param what the function that the dtype was given to; throws OperatorError */
export function expectDType(what: string, dtype: unknown): void {
  if (!isDTypeName(dtype)) throw new OperatorError(`${what}: ${unknownDType(dtype)}`);
}
