// What the linear algebra families share: matrices as [batch, rows, columns] in double precision, adjoints, masks.
import type { CoreBuilder, DType, Value } from '@weft/ir';
import { isComplex, isFloatingPoint, numel, realDType } from '@weft/ir';
import { printName } from './promotion.ts';
import { check, range, rankOf, sizesOf } from './broadcast.ts';
import { dtypeOf, like } from './elementwise.ts';
import { swapDims } from './shapes.ts';

export const isSquare = (x: Value): boolean => sizesOf(x).at(-1) === sizesOf(x).at(-2);

/** PyTorch's checks of an operand of `linalg.<name>`. */
export function checkMatrix(name: string, x: Value, square = false): void {
  check(rankOf(x) >= 2, () => `${name}: The input tensor A must have at least 2 dimensions.`);
  check(
    !square || isSquare(x),
    () =>
      `${name}: A must be batches of square matrices, but they are ${sizesOf(x).at(-2)} by ${sizesOf(x).at(-1)} matrices`,
  );
  check(
    isFloatingPoint(dtypeOf(x)) || isComplex(dtypeOf(x)),
    () => `${name}: Expected a floating point or complex tensor as input. Got ${printName(dtypeOf(x))}`,
  );
}

/** The dtype in which factorisations are computed. */
export const precise = (dtype: DType): DType => (isComplex(dtype) ? 'complex128' : 'float64');

/** Leading dimensions as one. */
export function flattened(b: CoreBuilder, x: Value): Value {
  const sizes = sizesOf(x);
  return b.reshape(x, [numel(sizes.slice(0, -2)), ...sizes.slice(-2)]);
}
/** Undoes `flattened`: `lead` in place of the batch. */
export const unflattened = (b: CoreBuilder, x: Value, lead: readonly number[]): Value =>
  b.reshape(x, [...lead, ...sizesOf(x).slice(1)]);

export const leadOf = (x: Value): readonly number[] => sizesOf(x).slice(0, -2);

export const conjugate = (b: CoreBuilder, x: Value): Value =>
  isComplex(dtypeOf(x)) ? b.complex(b.real(x), b.negate(b.imag(x))) : x;
export const transposed = (b: CoreBuilder, x: Value): Value => swapDims(b, x, rankOf(x) - 2, rankOf(x) - 1);
export const adjoint = (b: CoreBuilder, x: Value): Value => conjugate(b, transposed(b, x));

/** The product of equally batched matrices. */
export function times(b: CoreBuilder, x: Value, y: Value): Value {
  const rank = rankOf(x);
  const batch = range(rank - 2);
  return b.dotGeneral(x, y, {
    lhsBatching: batch,
    rhsBatching: batch,
    lhsContracting: [rank - 1],
    rhsContracting: [rank - 2],
  });
}
export const product = (b: CoreBuilder, ...factors: Value[]): Value =>
  factors.reduce((x, y) => times(b, x, y));

/** The identity, as large and of the dtype of a batch of matrices with `n` rows. */
export function identityLike(b: CoreBuilder, x: Value, n: number): Value {
  const sizes = [...leadOf(x), n, n];
  const diagonal = b.compare(
    b.iota('int64', sizes, sizes.length - 2),
    b.iota('int64', sizes, sizes.length - 1),
    'EQ',
  );
  return b.convert(diagonal, dtypeOf(x));
}

/** A mask by row and column numbers of matrices of the shape of `x`. */
export function whereIndex(
  b: CoreBuilder,
  x: Value,
  direction: 'EQ' | 'NE' | 'LT' | 'LE' | 'GT' | 'GE',
): Value {
  const sizes = sizesOf(x);
  return b.compare(
    b.iota('int64', sizes, sizes.length - 2),
    b.iota('int64', sizes, sizes.length - 1),
    direction,
  );
}

/** The lower (upper) triangle, the rest zero; `strict` leaves out the diagonal. */
export const lowerPart = (b: CoreBuilder, x: Value, strict = false): Value =>
  b.select(whereIndex(b, x, strict ? 'GT' : 'GE'), x, like(b, x, 0));
export const upperPart = (b: CoreBuilder, x: Value, strict = false): Value =>
  b.select(whereIndex(b, x, strict ? 'LT' : 'LE'), x, like(b, x, 0));

/** The elements on the diagonal, [..., min(rows, columns)]. */
export function diagonalOf(b: CoreBuilder, x: Value): Value {
  const sizes = sizesOf(x);
  const n = Math.min(sizes.at(-1)!, sizes.at(-2)!);
  const lead = leadOf(x);
  const square = b.slice(
    x,
    sizes.map(() => 0),
    [...lead, n, n],
  );
  const mask = whereIndex(b, square, 'EQ');
  return b.reduceSum(b.select(mask, square, like(b, square, 0)), [lead.length + 1]);
}

/** Square matrices with the vector on the diagonal. */
export function diagonalMatrix(b: CoreBuilder, d: Value): Value {
  const n = sizesOf(d).at(-1)!;
  const sizes = [...sizesOf(d), n];
  const spread = b.broadcastInDim(d, sizes, range(rankOf(d)));
  return b.select(whereIndex(b, spread, 'EQ'), spread, like(b, spread, 0));
}

/** A vector along the columns (each column scaled by its entry) or the rows of matrices of the shape of `x`. */
export const alongColumns = (b: CoreBuilder, v: Value, x: Value): Value =>
  b.broadcastInDim(v, sizesOf(x), [...range(rankOf(x) - 2), rankOf(x) - 1]);
export const alongRows = (b: CoreBuilder, v: Value, x: Value): Value =>
  b.broadcastInDim(v, sizesOf(x), range(rankOf(x) - 1));

export const realPart = (b: CoreBuilder, x: Value): Value => (isComplex(dtypeOf(x)) ? b.real(x) : x);
export const fromReal = (b: CoreBuilder, x: Value, dtype: DType): Value =>
  isComplex(dtype) ? b.convert(b.convert(x, realDType(dtype)), dtype) : b.convert(x, dtype);
