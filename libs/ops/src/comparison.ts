// Comparisons, logical operators, and choices by a condition: eq … ge, logical_and …, where, clamp, isclose, equal.
import type { ComparisonDirection, CoreBuilder, DType, Value } from '@weft/ir';
import { dtypes, highestOf, isComplex, isFloatingPoint, lowestOf } from '@weft/ir';
import { laidOutLowerings } from './operator.ts';
import type { Scalar } from './operator.ts';
import type { Operand } from './promotion.ts';
import { isValue, resultType } from './promotion.ts';
import { broadcastShapes, check, rankOf, range, sizesOf } from './broadcast.ts';
import { align, dtypeOf, is, isNaN, like, pointwise, times } from './elementwise.ts';
import { allBut, pointwiseResults, rowMajor } from './result-layout.ts';

export const compare =
  (direction: ComparisonDirection) =>
  (b: CoreBuilder, self: Operand, other: Operand): Value =>
    pointwise(b, [self, other], {}, (x, y) => {
      const ordered = direction !== 'EQ' && direction !== 'NE';
      check(
        !ordered || !isComplex(dtypeOf(x)),
        () => `"${direction.toLowerCase()}_cpu" not implemented for '${dtypes[dtypeOf(x)].printName}'`,
      );
      return ordered && dtypeOf(x) === 'bool'
        ? b.compare(b.convert(x, 'uint8'), b.convert(y, 'uint8'), direction)
        : b.compare(x, y, direction);
    });

const comparisons: [name: string, direction: ComparisonDirection, alias: string][] = [
  ['eq', 'EQ', 'eq'],
  ['ne', 'NE', 'not_equal'],
  ['lt', 'LT', 'less'],
  ['le', 'LE', 'less_equal'],
  ['gt', 'GT', 'greater'],
  ['ge', 'GE', 'greater_equal'],
];
for (const [name, direction, alias] of comparisons) {
  for (const each of new Set([name, alias])) {
    const run = compare(direction);
    laidOutLowerings(pointwiseResults, { [`aten::${each}.Tensor`]: run, [`aten::${each}.Scalar`]: run });
  }
}

const logical =
  (body: (b: CoreBuilder, x: Value, y: Value) => Value) =>
  (b: CoreBuilder, self: Value, other: Value): Value => {
    const [x, y] = align(b, [b.convert(self, 'bool'), b.convert(other, 'bool')], 'bool');
    return body(b, x, y);
  };

export function where(b: CoreBuilder, condition: Value, self: Operand, other: Operand): Value {
  const kind = dtypeOf(condition);
  check(
    kind === 'bool' || kind === 'uint8',
    () => `expected condition to be a boolean tensor, but got a tensor with dtype ${kind}`,
  );
  const dtype = resultType([self, other]);
  const shapes = [condition, self, other].filter(isValue).map(sizesOf);
  const sizes = broadcastShapes(...shapes);
  const [x, y] = align(b, [self, other], dtype).map((value) => b.broadcastTo(value, sizes));
  return b.select(b.broadcastTo(b.convert(condition, 'bool'), sizes), x, y);
}

/** Bounds that are absent leave that side open; NaN stays NaN. */
export function clamp(b: CoreBuilder, self: Value, min: Operand | null, max: Operand | null): Value {
  check(min !== null || max !== null, () => "torch.clamp: At least one of 'min' or 'max' must not be None");
  const given = [self, min, max].filter((operand): operand is Operand => operand !== null);
  const dtype = resultType(given);
  check(!isComplex(dtype), () => 'clamp is not supported for complex types');
  const [x, ...bounds] = align(b, given, dtype);
  const low = min === null ? like(b, x, openBound(lowestOf, dtype)) : bounds[0];
  const high = max === null ? like(b, x, openBound(highestOf, dtype)) : bounds[bounds.length - 1];
  return b.clamp(low, x, high);
}
const openBound = (bound: (dtype: DType) => number | bigint | boolean, dtype: DType): Scalar => bound(dtype);

function isClose(
  b: CoreBuilder,
  self: Value,
  other: Value,
  rtol: number,
  atol: number,
  equalNan: boolean,
): Value {
  check(dtypeOf(self) === dtypeOf(other), () => `${dtypeOf(self)} did not match ${dtypeOf(other)}`);
  return pointwise(b, [self, other], {}, (x, y) => {
    const equal = b.compare(x, y, 'EQ');
    const same = equalNan ? b.or(equal, b.and(isNaN(b, x), isNaN(b, y))) : equal;
    if (rtol === 0 && atol === 0) return same;
    const [p, q] =
      isFloatingPoint(dtypeOf(x)) || isComplex(dtypeOf(x))
        ? [x, y]
        : [b.convert(x, 'float32'), b.convert(y, 'float32')];
    const allowed = times(b, b.abs(q), rtol);
    const error = b.abs(b.subtract(p, q));
    const near = b.compare(error, b.add(like(b, allowed, atol), allowed), 'LE');
    return b.or(same, b.and(b.isFinite(error), near));
  });
}

const isNonzero = (b: CoreBuilder, x: Value): Value => b.convert(x, 'bool');

const elementLayout = allBut(pointwiseResults, {
  'aten::isin.Tensor_Tensor': rowMajor,
  'aten::isin.Tensor_Scalar': rowMajor,
  'aten::isin.Scalar_Tensor': rowMajor,
});

laidOutLowerings(elementLayout, {
  'aten::logical_and': logical((b, x, y) => b.and(x, y)),
  'aten::logical_or': logical((b, x, y) => b.or(x, y)),
  'aten::logical_xor': logical((b, x, y) => b.xor(x, y)),
  'aten::logical_not': (b, self: Value) => b.not(isNonzero(b, self)),
  'aten::where.self': where,
  'aten::where.ScalarSelf': where,
  'aten::where.ScalarOther': where,
  'aten::where.Scalar': where,
  'aten::_s_where': where,
  'aten::clamp': clamp,
  'aten::clamp.Tensor': clamp,
  'aten::clip': clamp,
  'aten::clip.Tensor': clamp,
  'aten::clamp_min': (b, self: Value, min: Scalar) => clamp(b, self, min, null),
  'aten::clamp_min.Tensor': (b, self: Value, min: Value) => clamp(b, self, min, null),
  'aten::clamp_max': (b, self: Value, max: Scalar) => clamp(b, self, null, max),
  'aten::clamp_max.Tensor': (b, self: Value, max: Value) => clamp(b, self, null, max),
  'aten::isclose': isClose,
  'aten::allclose': (b, self: Value, other: Value, rtol: number, atol: number, equalNan: boolean) => {
    const close = isClose(b, self, other, rtol, atol, equalNan);
    return b.reduceAnd(close, range(rankOf(close)));
  },
  'aten::equal': (b, self: Value, other: Value) => {
    check(
      dtypeOf(self) === dtypeOf(other),
      () =>
        `Expected object of scalar type ${dtypeOf(self)} but got scalar type ${dtypeOf(other)} for argument 'other'`,
    );
    if (sizesOf(self).join() !== sizesOf(other).join()) return b.full(false, 'bool');
    return b.reduceAnd(b.compare(self, other, 'EQ'), range(rankOf(self)));
  },
  'aten::isreal': (b, self: Value) =>
    isComplex(dtypeOf(self)) ? is(b, b.imag(self), 'EQ', 0) : like(b, b.convert(self, 'bool'), true),
  'aten::isin.Tensor_Tensor': isIn,
  'aten::isin.Tensor_Scalar': isIn,
  'aten::isin.Scalar_Tensor': isIn,
});

/** Whether each element is among the tested ones. */
function isIn(b: CoreBuilder, elements: Operand, tested: Operand, _unique: boolean, invert: boolean): Value {
  const dtype = resultType([elements, tested]);
  const [x] = align(b, [elements], dtype);
  const [y] = align(b, [tested], dtype);
  const count = sizesOf(y).reduce((product, size) => product * size, 1);
  const grid = [...sizesOf(x), count];
  const left = b.broadcastInDim(x, grid, range(rankOf(x)));
  const right = b.broadcastTo(b.reshape(y, [count]), grid);
  const found = b.reduceOr(b.compare(left, right, 'EQ'), [grid.length - 1]);
  return invert ? b.not(found) : found;
}
