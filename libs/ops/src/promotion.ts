// PyTorch's rules for the dtype of a result (c10::promoteTypes, at::result_type): dimensioned tensors outrank
// zero-dimensional ones, which outrank Scalars, unless the lower one is of a higher category (bool < int < float < complex).
import type { DType, Value } from '@weft/ir';
import { Complex, OperatorError, dtypes, isComplex, isFloatingPoint, isInteger, specOf } from '@weft/ir';
import type { Scalar } from './operator.ts';

/** An operand of a pointwise operator. */
export type Operand = Value | Scalar;

export const isValue = (operand: Operand | null): operand is Value =>
  typeof operand === 'object' && operand !== null && !(operand instanceof Complex);

const ranks: readonly DType[] = [
  'bool',
  'uint8',
  'int8',
  'int16',
  'int32',
  'int64',
  'float16',
  'bfloat16',
  'float32',
  'float64',
  'complex64',
  'complex128',
];

/** The least dtype to which both convert; commutative and idempotent. */
export function promoteTypes(a: DType, b: DType): DType {
  if (a === b) return a;
  const [low, high] = ranks.indexOf(a) < ranks.indexOf(b) ? [a, b] : [b, a];
  if (!ranks.includes(a) || !ranks.includes(b)) {
    throw new OperatorError(`Promotion for ${a} and ${b} is not supported: convert one of them first`);
  }
  if (low === 'uint8' && high === 'int8') return 'int16';
  if (low === 'float16' && high === 'bfloat16') return 'float32';
  if (low === 'float64' && high === 'complex64') return 'complex128';
  return high;
}

/** The dtype that a Scalar has on its own: int64, float32, bool, complex64. */
export function scalarDType(scalar: Scalar): DType {
  switch (typeof scalar) {
    case 'bigint':
      return 'int64';
    case 'number':
      return 'float32';
    case 'boolean':
      return 'bool';
    default:
      return 'complex64';
  }
}

const toComplex = (dtype: DType): DType => (dtype === 'float64' ? 'complex128' : 'complex64');

function combine(higher: DType | undefined, lower: DType | undefined): DType | undefined {
  if (higher === undefined || lower === undefined) return higher ?? lower;
  if (isComplex(higher)) return higher;
  if (isFloatingPoint(higher)) return isComplex(lower) ? toComplex(higher) : higher;
  if (higher === 'bool' || isFloatingPoint(lower) || isComplex(lower)) return promoteTypes(higher, lower);
  return higher;
}

/** What promotion needs to know of an operand: its dtype, and its number of dimensions; null for a Scalar. */
export interface OperandType {
  readonly dtype: DType;
  readonly dimensions: number | null;
}

/** The dtype to which operands of these types promote. */
export function promotedType(operands: readonly OperandType[]): DType {
  let dimensioned: DType | undefined;
  let zero: DType | undefined;
  let scalar: DType | undefined;
  for (const { dtype, dimensions } of operands) {
    if (dimensions === null) scalar = scalar === undefined ? dtype : promoteTypes(scalar, dtype);
    else if (dimensions > 0)
      dimensioned = dimensioned === undefined ? dtype : promoteTypes(dimensioned, dtype);
    else zero = zero === undefined ? dtype : promoteTypes(zero, dtype);
  }
  return combine(combine(dimensioned, zero), scalar)!;
}

/** The dtype in which PyTorch computes an operator on these operands. */
export const resultType = (operands: readonly Operand[]): DType =>
  promotedType(
    operands.map((operand) => {
      if (!isValue(operand)) return { dtype: scalarDType(operand), dimensions: null };
      const { dtype, sizes } = specOf(operand);
      return { dtype, dimensions: sizes.length };
    }),
  );

/** float32 for bool and integers, else unchanged: what functions such as `sin` and true division compute in. */
export const toFloat = (dtype: DType): DType =>
  isFloatingPoint(dtype) || isComplex(dtype) ? dtype : 'float32';

/** The dtype in which several steps are computed before rounding once: float32 for the half types (PyTorch's opmath). */
export const computeType = (dtype: DType): DType =>
  dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype;

/** int64 for bool and integers, else unchanged: what sums and products of elements are accumulated in. */
export const toSum = (dtype: DType): DType => (dtype === 'bool' || isInteger(dtype) ? 'int64' : dtype);

export const isIntegral = (dtype: DType): boolean => dtype === 'bool' || isInteger(dtype);

/** PyTorch's name of a dtype in messages: `Float`, `Long`. */
export const printName = (dtype: DType): string => dtypes[dtype].printName;

const cppNames: Partial<Record<DType, string>> = {
  int64: 'long int',
  int32: 'int',
  int16: 'short int',
  int8: 'signed char',
  uint8: 'unsigned char',
  float32: 'float',
  float64: 'double',
  float16: 'c10::Half',
  bfloat16: 'c10::BFloat16',
  bool: 'bool',
};
/** The C++ name of a dtype, which some of PyTorch's messages have: `float`, `long int`. */
export const cppName = (dtype: DType): string => cppNames[dtype] ?? printName(dtype);

/** Whether values of `from` may be written to a tensor of `to` (`c10::canCast`). */
export function canCast(from: DType, to: DType): boolean {
  const order = { bool: 0, uint: 1, int: 1, float: 2, complex: 3 };
  return order[dtypes[from].category] <= order[dtypes[to].category];
}
