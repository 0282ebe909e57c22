// How pointwise operators treat their operands: the result dtype by PyTorch's promotion, operands converted and broadcast
// to it, several steps on half-precision data carried out in float32 and rounded once.
import type { CoreBuilder, DType, Value } from '@weft/ir';
import { Complex, isComplex, realDType, specOf } from '@weft/ir';
import type { Scalar } from './operator.ts';
import type { Operand } from './promotion.ts';
import { computeType, isValue, resultType, toFloat } from './promotion.ts';
import { broadcastShapes } from './broadcast.ts';

export const dtypeOf = (value: Value): DType => specOf(value).dtype;

/** A Scalar as a tensor of the dtype, of any shape. */
export function scalarOf(b: CoreBuilder, scalar: Scalar, dtype: DType, sizes: readonly number[] = []): Value {
  if (scalar instanceof Complex) {
    if (!isComplex(dtype)) return b.full(scalar.re, dtype, sizes);
    const part = realDType(dtype);
    return b.complex(b.full(scalar.re, part, sizes), b.full(scalar.im, part, sizes));
  }
  return b.full(scalar, dtype, sizes);
}

/** A Scalar's real value as a JavaScript number. */
export const realOf = (scalar: Scalar): number => (scalar instanceof Complex ? scalar.re : Number(scalar));

/** The constant `value` with dtype and shape of `x`. */
export const like = (b: CoreBuilder, x: Value, value: Scalar): Value => {
  const { dtype, sizes } = specOf(x);
  return scalarOf(b, value, dtype, sizes);
};

/** Converts and broadcasts tensor and Scalar operands to one dtype and one shape. */
export function align(b: CoreBuilder, operands: readonly Operand[], dtype: DType): Value[] {
  const sizes = broadcastShapes(...operands.filter(isValue).map((value) => specOf(value).sizes));
  return operands.map((operand) =>
    isValue(operand) ? b.broadcastTo(b.convert(operand, dtype), sizes) : scalarOf(b, operand, dtype, sizes),
  );
}

export interface PointwiseOptions {
  /** Integers and bool are computed in float32. */
  readonly float?: boolean;
  /** Takes several steps: half precision is computed in float32 and rounded once. */
  readonly steps?: boolean;
}

/** Computes `body` on the operands in their common dtype. */
export function pointwise(
  b: CoreBuilder,
  operands: readonly Operand[],
  options: PointwiseOptions,
  body: (...operands: Value[]) => Value,
): Value {
  const common = resultType(operands);
  const dtype = options.float ? toFloat(common) : common;
  const compute = options.steps ? computeType(dtype) : dtype;
  const result = body(...align(b, operands, compute));
  // A body may leave the dtype (a comparison gives bool, abs of complex is real): then it stays as it is.
  return dtypeOf(result) === compute ? b.convert(result, dtype) : result;
}

/** Computes on floats: integers become float32, halves are widened; the result is rounded to the operand's float dtype. */
export const unaryFloat = (b: CoreBuilder, x: Value, body: (x: Value) => Value): Value =>
  pointwise(b, [x], { float: true, steps: true }, body);

/** Truncates towards zero. */
export function truncate(b: CoreBuilder, x: Value): Value {
  return b.select(b.compare(x, like(b, x, 0), 'LT'), b.ceil(x), b.floor(x));
}

/** `x` where the condition holds, else zero. */
export const zeroUnless = (b: CoreBuilder, condition: Value, x: Value): Value =>
  b.select(condition, x, like(b, x, 0));

/** Whether an element is NaN. */
export const isNaN = (b: CoreBuilder, x: Value): Value => b.compare(x, x, 'NE');

/** Adds, subtracts… a plain number. */
export const plus = (b: CoreBuilder, x: Value, value: number): Value => b.add(x, like(b, x, value));
export const times = (b: CoreBuilder, x: Value, value: number): Value => b.multiply(x, like(b, x, value));
export const over = (b: CoreBuilder, x: Value, value: number): Value => b.divide(x, like(b, x, value));

/** Compares with a plain number. */
export const is = (
  b: CoreBuilder,
  x: Value,
  direction: 'EQ' | 'NE' | 'GE' | 'GT' | 'LE' | 'LT',
  value: number,
) => b.compare(x, like(b, x, value), direction);

/** Integers and bool as float32, floats as they are. */
export const toFloatValue = (b: CoreBuilder, x: Value): Value => b.convert(x, toFloat(dtypeOf(x)));
