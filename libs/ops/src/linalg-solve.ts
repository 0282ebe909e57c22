// LU factorisation and what follows from it: solve, inverse, determinants; Cholesky; triangular systems.
import type { CoreBuilder, Node, Value } from '@weft/ir';
import { isComplex, numel, registerComposite } from '@weft/ir';
import { checkedForms, lowerings } from './operator.ts';
import { broadcastShapes, check, range, rankOf, sizesOf } from './broadcast.ts';
import { dtypeOf, is, like, plus } from './elementwise.ts';
import { sliceDim } from './shapes.ts';
import { takeAlong } from './gathering.ts';
import {
  adjoint,
  checkMatrix,
  diagonalOf,
  flattened,
  identityLike,
  isSquare,
  leadOf,
  lowerPart,
  precise,
  product,
  realPart,
  transposed,
  unflattened,
  upperPart,
  whereIndex,
} from './matrices.ts';
import type { Geometry } from './strides.ts';
import type { LayoutArgument, ResultLayout } from './result-layout.ts';
import { columnMajor, layouts, likeArgument, rowMajor } from './result-layout.ts';

interface Lu {
  /** L below the diagonal, U on and above it. */
  readonly lu: Value;
  /** The row that each row was exchanged with, step by step, from 0. */
  readonly pivots: Value;
  /** The row of A that stands in each row of L U. */
  readonly permutation: Value;
}

/** What LAPACK compares pivots by: |re| + |im| for complex numbers. */
const pivotSize = (b: CoreBuilder, x: Value): Value =>
  isComplex(dtypeOf(x)) ? b.add(b.abs(b.real(x)), b.abs(b.imag(x))) : b.abs(x);

/** Gaussian elimination with partial pivoting of [batch, rows, columns], one column a turn of a loop. */
function eliminate(b: CoreBuilder, a: Value): Lu {
  const [batch, rows, columns] = sizesOf(a);
  const steps = Math.min(rows, columns);
  const row = [batch, rows];
  const rowNumbers = b.iota('int64', row, 1);
  const [, lu, pivots, permutation] = b.while(
    [b.full(0n, 'int64'), a, b.slice(rowNumbers, [0, 0], [batch, steps]), rowNumbers],
    (b, k) => [is(b, k, 'LT', steps)],
    (b, k, x, swaps, order) => {
      const sizes = [batch, rows, columns];
      const kRow = b.broadcastTo(k, row);
      const numbers = b.iota('int64', row, 1);
      const atColumn = b.compare(b.iota('int64', sizes, 2), b.broadcastTo(k, sizes), 'EQ');
      const columnOf = (y: Value): Value => b.reduceSum(b.select(atColumn, y, like(b, y, 0)), [2]);
      const size = pivotSize(b, columnOf(x));
      const candidates = b.select(b.compare(numbers, kRow, 'GE'), size, like(b, size, -1));
      const best = b.broadcastInDim(b.reduceMax(candidates, [1]), row, [0]);
      const found = b.reduceMin(
        b.select(b.compare(candidates, best, 'EQ'), numbers, like(b, numbers, BigInt(rows - 1))),
        [1],
      );
      const pivot = b.broadcastInDim(found, row, [0]);
      const swap = b.select(
        b.compare(numbers, kRow, 'EQ'),
        pivot,
        b.select(b.compare(numbers, pivot, 'EQ'), kRow, numbers),
      );
      const turned = takeAlong(b, x, b.broadcastInDim(swap, sizes, [0, 1]), 1);
      const atRow = b.compare(b.iota('int64', sizes, 1), b.broadcastTo(k, sizes), 'EQ');
      const pivotRow = b.reduceSum(b.select(atRow, turned, like(b, turned, 0)), [1]);
      const column = columnOf(turned);
      const corner = b.reduceSum(b.select(b.compare(numbers, kRow, 'EQ'), column, like(b, column, 0)), [1]);
      const divisor = b.broadcastInDim(corner, row, [0]);
      const zero = is(b, divisor, 'EQ', 0);
      const below = b.compare(numbers, kRow, 'GT');
      const ratio = b.divide(column, b.select(zero, like(b, divisor, 1), divisor));
      const factors = b.select(b.and(below, b.not(zero)), ratio, like(b, ratio, 0));
      const factorsAll = b.broadcastInDim(factors, sizes, [0, 1]);
      const right = b.compare(b.iota('int64', sizes, 2), b.broadcastTo(k, sizes), 'GT');
      const update = b.multiply(factorsAll, b.broadcastInDim(pivotRow, sizes, [0, 2]));
      const reduced = b.subtract(turned, b.select(right, update, like(b, update, 0)));
      const stored = b.select(b.and(atColumn, b.broadcastInDim(below, sizes, [0, 1])), factorsAll, reduced);
      const stepNumbers = b.iota('int64', [batch, steps], 1);
      const isStep = b.compare(stepNumbers, b.broadcastTo(k, [batch, steps]), 'EQ');
      return [
        plus(b, k, 1),
        stored,
        b.select(isStep, b.broadcastInDim(found, [batch, steps], [0]), swaps),
        takeAlong(b, order, swap, 1),
      ];
    },
  );
  return { lu, pivots, permutation };
}

const triangular = (
  b: CoreBuilder,
  a: Value,
  rhs: Value,
  lower: boolean,
  unitDiagonal = false,
  leftSide = true,
  transpose: 'NO_TRANSPOSE' | 'TRANSPOSE' | 'ADJOINT' = 'NO_TRANSPOSE',
): Value => b.triangularSolve(a, rhs, { leftSide, lower, unitDiagonal, transpose });

/** L U x = P b. */
function substitute(b: CoreBuilder, { lu, permutation }: Pick<Lu, 'lu' | 'permutation'>, rhs: Value): Value {
  const ordered = takeAlong(b, rhs, b.broadcastInDim(permutation, sizesOf(rhs), [0, 1]), 1);
  return triangular(b, lu, triangular(b, lu, ordered, true, true), false);
}

/** Computes a composite on [batch, …] operands in double precision. */
function batched(
  b: CoreBuilder,
  name: string,
  operands: readonly Value[],
  body: (b: CoreBuilder, ...values: Value[]) => Value[],
): Value[] {
  const dtype = dtypeOf(operands[0]);
  const lead = leadOf(operands[0]);
  return b.composite(name, operands, {}, (b, ...values) => {
    const results = body(b, ...values.map((x) => b.convert(flattened(b, x), precise(dtype))));
    return results.map((x) => b.convert(unflattened(b, x, lead), dtype));
  });
}

/** A x = B for equally batched matrices. */
export const solveMatrices = (b: CoreBuilder, a: Value, rhs: Value): Value =>
  batched(b, 'linalg_solve', [a, rhs], (b, x, y) => [substitute(b, eliminate(b, x), y)])[0];

export const inverse = (b: CoreBuilder, a: Value): Value =>
  solveMatrices(b, a, identityLike(b, a, sizesOf(a).at(-1)!));

/** The sign (a unit complex number) and the logarithm of the size of the determinant. */
function signLog(b: CoreBuilder, a: Value): [sign: Value, log: Value] {
  const { lu, pivots } = eliminate(b, a);
  const diagonal = diagonalOf(b, lu);
  const numbers = b.iota('int64', sizesOf(pivots), 1);
  const swapped = b.convert(b.convert(b.compare(pivots, numbers, 'NE'), 'float64'), dtypeOf(a));
  const signs = b.subtract(like(b, swapped, 1), b.add(swapped, swapped));
  const sign = b.multiply(b.reduceProd(signs, [1]), b.reduceProd(b.sign(diagonal), [1]));
  return [sign, b.reduceSum(b.log(b.abs(diagonal)), [1])];
}

const rule =
  (body: (b: CoreBuilder, node: Node, cotangents: readonly (Value | null)[]) => (Value | null)[]) =>
  (b: CoreBuilder, node: Node, cotangents: readonly (Value | null)[]): (Value | null)[] =>
    cotangents.every((g) => g === null) ? node.inputs.map(() => null) : body(b, node, cotangents);

registerComposite('linalg_solve', {
  vjp: rule((b, node, [g]) => {
    const rhs = solveMatrices(b, adjoint(b, node.inputs[0]), g!);
    return [b.negate(product(b, rhs, adjoint(b, node.outputs[0]))), rhs];
  }),
});

const scalarMatrix = (b: CoreBuilder, value: Value, x: Value): Value =>
  b.broadcastInDim(value, sizesOf(x), range(rankOf(x) - 2));

registerComposite('linalg_det', {
  vjp: rule((b, node, [g]) => {
    const [a] = node.inputs;
    const det = node.outputs[0];
    const conj = isComplex(dtypeOf(det)) ? b.complex(b.real(det), b.negate(b.imag(det))) : det;
    return [b.multiply(scalarMatrix(b, b.multiply(g!, conj), a), adjoint(b, inverse(b, a)))];
  }),
});

registerComposite('linalg_slogdet', {
  vjp: rule((b, node, [gs, gl]) => {
    const [a] = node.inputs;
    const dtype = dtypeOf(a);
    let g = gl === null || gl === undefined ? null : b.convert(gl, dtype);
    if (gs !== null && gs !== undefined && isComplex(dtype)) {
      // Only the angle of the sign moves.
      const turn = b.imag(b.multiply(b.complex(b.real(gs), b.negate(b.imag(gs))), node.outputs[0]));
      const part = b.complex(like(b, turn, 0), b.negate(turn));
      g = g === null ? part : b.add(g, part);
    }
    return [g === null ? null : b.multiply(scalarMatrix(b, g, a), adjoint(b, inverse(b, a)))];
  }),
});

function det(b: CoreBuilder, a: Value): Value {
  checkMatrix('linalg.det', a, true);
  return b.composite('linalg_det', [a], {}, (b, x) => {
    const [sign, log] = signLog(b, b.convert(flattened(b, x), precise(dtypeOf(x))));
    const size = b.convert(b.exponential(log), dtypeOf(sign));
    return [b.convert(b.reshape(b.multiply(sign, size), leadOf(x)), dtypeOf(x))];
  })[0];
}

function slogdet(b: CoreBuilder, a: Value): [sign: Value, log: Value] {
  checkMatrix('linalg.slogdet', a, true);
  const real = dtypeOf(realPart(b, a));
  const [sign, log] = b.composite('linalg_slogdet', [a], {}, (b, x) => {
    const [unit, size] = signLog(b, b.convert(flattened(b, x), precise(dtypeOf(x))));
    return [b.convert(b.reshape(unit, leadOf(x)), dtypeOf(x)), b.convert(b.reshape(size, leadOf(x)), real)];
  });
  return [sign, log];
}

function logdet(b: CoreBuilder, a: Value): Value {
  const [sign, log] = slogdet(b, a);
  return b.select(is(b, realPart(b, sign), 'LT', 0), like(b, log, NaN), log);
}

// ---- solve --------------------------------------------------------------------------------------------------------

/** Both operands with their batches broadcast; a vector on the right becomes a column. */
function solve(b: CoreBuilder, a: Value, rhs: Value, left: boolean): Value {
  checkMatrix('linalg.solve', a, true);
  const isVector =
    rankOf(rhs) === 1 ||
    (rankOf(a) - 1 === rankOf(rhs) && sizesOf(rhs).join() === sizesOf(a).slice(0, -1).join());
  if (!left) {
    const turned = solve(b, transposed(b, a), isVector ? rhs : transposed(b, rhs), true);
    return isVector ? turned : transposed(b, turned);
  }
  const y = isVector ? b.reshape(rhs, [...sizesOf(rhs), 1]) : rhs;
  check(
    sizesOf(a).at(-1) === sizesOf(y).at(-2),
    () =>
      `linalg.solve: Incompatible shapes of A and B for the equation AX = B (${sizesOf(a).at(-2)}x${sizesOf(a).at(-1)} and ${sizesOf(y).at(-2)}x${sizesOf(y).at(-1)})`,
  );
  const lead = broadcastShapes(leadOf(a), leadOf(y));
  const spread = (x: Value): Value => b.broadcastTo(x, [...lead, ...sizesOf(x).slice(-2)]);
  const result = solveMatrices(b, spread(a), spread(y));
  return isVector ? b.reshape(result, sizesOf(result).slice(0, -1)) : result;
}

/** LAPACK's `info`: the number, from 1, of the first element of a factor's diagonal that is `failed`; 0 where none is. */
function infoOf(b: CoreBuilder, factorOf: Value, failed: (diagonal: Value) => Value): Value {
  const sizes = sizesOf(factorOf);
  const n = Math.min(sizes.at(-1)!, sizes.at(-2)!);
  if (numel(sizes) === 0) return b.full(0, 'int32', leadOf(factorOf));
  const square = sliceDim(b, sliceDim(b, factorOf, sizes.length - 2, 0, n), sizes.length - 1, 0, n);
  const diagonal = diagonalOf(b, square);
  const shape = sizesOf(diagonal);
  const numbers = plus(b, b.iota('int32', shape, shape.length - 1), 1);
  const first = b.reduceMin(b.select(failed(diagonal), numbers, like(b, numbers, n + 1)), [shape.length - 1]);
  return b.select(is(b, first, 'GT', n), like(b, first, 0), first);
}

/** Of an LU factorisation: where U has a zero on its diagonal. */
const luInfo = (b: CoreBuilder, lu: Value): Value => infoOf(b, lu, (diagonal) => is(b, diagonal, 'EQ', 0));

/** Of Cholesky's: where the pivot was no positive number, of which no real root is left. */
const choleskyInfo = (b: CoreBuilder, factorOf: Value): Value =>
  infoOf(b, realPart(b, factorOf), (diagonal) => b.compare(diagonal, diagonal, 'NE'));

function factor(b: CoreBuilder, a: Value): { lu: Value; pivots: Value; permutation: Value } {
  const lead = leadOf(a);
  const dtype = dtypeOf(a);
  const found = eliminate(b, b.convert(flattened(b, a), precise(dtype)));
  const vector = (x: Value): Value => b.reshape(x, [...lead, sizesOf(x)[1]]);
  return {
    lu: b.convert(unflattened(b, found.lu, lead), dtype),
    pivots: b.convert(plus(b, vector(found.pivots), 1), 'int32'),
    permutation: vector(found.permutation),
  };
}

const luFactor = (b: CoreBuilder, a: Value): Value[] => {
  checkMatrix('linalg.lu_factor', a);
  const { lu, pivots } = factor(b, a);
  return [lu, pivots];
};

/** The exchanges of rows (from 1) as a permutation. */
function permutationOf(b: CoreBuilder, pivots: Value, rows: number): Value {
  const lead = sizesOf(pivots).slice(0, -1);
  const steps = sizesOf(pivots).at(-1)!;
  const batch = numel(lead);
  const flat = plus(b, b.convert(b.reshape(pivots, [batch, steps]), 'int64'), -1);
  let order = b.iota('int64', [batch, rows], 1);
  for (let k = 0; k < steps; k++) {
    const target = b.broadcastInDim(b.reshape(sliceDim(b, flat, 1, k, k + 1), [batch]), [batch, rows], [0]);
    const numbers = b.iota('int64', [batch, rows], 1);
    const here = like(b, numbers, BigInt(k));
    const swap = b.select(
      b.compare(numbers, here, 'EQ'),
      target,
      b.select(b.compare(numbers, target, 'EQ'), here, numbers),
    );
    order = takeAlong(b, order, swap, 1);
  }
  return b.reshape(order, [...lead, rows]);
}

/** P with A = P L U: column j of row i is one where row i of A stands in row j of L U. */
function permutationMatrix(b: CoreBuilder, permutation: Value, like_: Value): Value {
  const n = sizesOf(permutation).at(-1)!;
  const sizes = [...sizesOf(permutation), n];
  const rank = sizes.length;
  const from = b.broadcastInDim(permutation, sizes, [...range(rank - 2), rank - 1]);
  return b.convert(b.compare(b.iota('int64', sizes, rank - 2), from, 'EQ'), dtypeOf(like_));
}

function splitLu(b: CoreBuilder, lu: Value): [l: Value, u: Value] {
  const sizes = sizesOf(lu);
  const k = Math.min(sizes.at(-1)!, sizes.at(-2)!);
  const rank = sizes.length;
  const left = lowerPart(b, sliceDim(b, lu, rank - 1, 0, k), true);
  const unit = b.convert(whereIndex(b, left, 'EQ'), dtypeOf(lu));
  return [b.add(left, unit), upperPart(b, sliceDim(b, lu, rank - 2, 0, k))];
}

function luSolve(b: CoreBuilder, lu: Value, pivots: Value, rhs: Value): Value {
  const lead = broadcastShapes(leadOf(lu), leadOf(rhs));
  const spread = (x: Value): Value => b.broadcastTo(x, [...lead, ...sizesOf(x).slice(-2)]);
  const n = sizesOf(lu).at(-1)!;
  const permutation = b.broadcastTo(permutationOf(b, pivots, n), [...lead, n]);
  const x = substitute(
    b,
    { lu: flattened(b, spread(lu)), permutation: b.reshape(permutation, [numel(lead), n]) },
    flattened(b, spread(rhs)),
  );
  return unflattened(b, x, lead);
}

// ---- Cholesky, triangles ------------------------------------------------------------------------------------------

export function cholesky(b: CoreBuilder, a: Value, upper: boolean): Value {
  checkMatrix('linalg.cholesky', a, true);
  const lower = b.cholesky(a, true);
  return upper ? adjoint(b, lower) : lower;
}

/** B with A X = B, A being the product of a triangle and its adjoint. */
function choleskySolve(b: CoreBuilder, rhs: Value, factorOf: Value, upper: boolean): Value {
  const lead = broadcastShapes(leadOf(rhs), leadOf(factorOf));
  const spread = (x: Value): Value => b.broadcastTo(x, [...lead, ...sizesOf(x).slice(-2)]);
  const lower = spread(upper ? adjoint(b, factorOf) : factorOf);
  const half = triangular(b, lower, spread(rhs), true);
  return triangular(b, lower, half, true, false, true, 'ADJOINT');
}

function solveTriangular(
  b: CoreBuilder,
  a: Value,
  rhs: Value,
  upper: boolean,
  left: boolean,
  unit: boolean,
): Value {
  const lead = broadcastShapes(leadOf(a), leadOf(rhs));
  const spread = (x: Value): Value => b.broadcastTo(x, [...lead, ...sizesOf(x).slice(-2)]);
  return triangular(b, spread(a), spread(rhs), !upper, unit, left);
}

function matrixPower(b: CoreBuilder, a: Value, n: number): Value {
  check(
    rankOf(a) >= 2 && isSquare(a),
    () =>
      'linalg.matrix_power: A must be batches of square matrices, but they are ' +
      `${sizesOf(a).at(-2)} by ${sizesOf(a).at(-1)} matrices`,
  );
  if (n === 0) return identityLike(b, a, sizesOf(a).at(-1)!);
  let base = n < 0 ? inverse(b, a) : a;
  let result: Value | undefined;
  for (let left = Math.abs(n); left > 0; left >>= 1) {
    if (left & 1) result = result === undefined ? base : product(b, result, base);
    if (left > 1) base = product(b, base, base);
  }
  return result!;
}

/** Scaling and squaring: a Taylor polynomial of A / 2¹², squared twelve times, in double precision. */
function matrixExp(b: CoreBuilder, a: Value): Value {
  checkMatrix('linalg.matrix_exp', a, true);
  const squarings = 12;
  const wide = b.convert(a, precise(dtypeOf(a)));
  const small = b.multiply(wide, like(b, wide, 2 ** -squarings));
  const identity = identityLike(b, small, sizesOf(a).at(-1)!);
  let total = b.add(identity, small);
  let term = small;
  for (let k = 2; k <= 12; k++) {
    const power = product(b, term, small);
    term = b.multiply(power, like(b, power, 1 / k));
    total = b.add(total, term);
  }
  for (let k = 0; k < squarings; k++) total = product(b, total, total);
  return b.convert(total, dtypeOf(a));
}

const solveEx = (b: CoreBuilder, a: Value, rhs: Value, left: boolean): Value[] => {
  const x = solve(b, a, rhs, left);
  const { lu, pivots } = factor(b, a);
  return [x, lu, pivots, luInfo(b, lu)];
};
const luFactorEx = (b: CoreBuilder, a: Value): Value[] => {
  const [lu, pivots] = luFactor(b, a);
  return [lu, pivots, luInfo(b, lu)];
};
const inverseOf = (b: CoreBuilder, a: Value): Value => {
  checkMatrix('linalg.inv', a, true);
  return inverse(b, a);
};

lowerings({
  'aten::linalg_solve': solve,
  'aten::linalg_solve_ex': (b, a: Value, rhs: Value, left: boolean) => {
    const x = solve(b, a, rhs, left);
    return [x, luInfo(b, factor(b, a).lu)];
  },
  'aten::_linalg_solve_ex': solveEx,
  'aten::inverse': inverseOf,
  'aten::linalg_inv': inverseOf,
  'aten::linalg_inv_ex': (b, a: Value) => {
    const x = inverseOf(b, a);
    return [x, luInfo(b, factor(b, a).lu)];
  },
  'aten::det': det,
  'aten::linalg_det': det,
  'aten::_linalg_det': (b, a: Value) => [det(b, a), ...luFactor(b, a)],
  'aten::slogdet': slogdet,
  'aten::linalg_slogdet': slogdet,
  'aten::_linalg_slogdet': (b, a: Value) => [...slogdet(b, a), ...luFactor(b, a)],
  'aten::logdet': logdet,
  'aten::linalg_lu_factor': luFactor,
  'aten::linalg_lu_factor_ex': luFactorEx,
  'aten::_lu_with_info': luFactorEx,
  'aten::linalg_lu': (b, a: Value) => {
    checkMatrix('linalg.lu', a);
    const { lu, permutation } = factor(b, a);
    return [permutationMatrix(b, permutation, lu), ...splitLu(b, lu)];
  },
  'aten::lu_unpack': (b, lu: Value, pivots: Value, unpackData: boolean, unpackPivots: boolean) => {
    const empty = b.full(0, dtypeOf(lu), [0]);
    const order = unpackPivots
      ? permutationMatrix(b, permutationOf(b, pivots, sizesOf(lu).at(-2)!), lu)
      : empty;
    return [order, ...(unpackData ? splitLu(b, lu) : [empty, empty])];
  },
  'aten::lu_solve': (b, rhs: Value, lu: Value, pivots: Value) => luSolve(b, lu, pivots, rhs),
  'aten::linalg_lu_solve': (b, lu: Value, pivots: Value, rhs: Value, left: boolean, isAdjoint: boolean) => {
    if (left && !isAdjoint) return luSolve(b, lu, pivots, rhs);
    const [l, u] = splitLu(b, lu);
    const a = product(b, permutationMatrix(b, permutationOf(b, pivots, sizesOf(lu).at(-2)!), lu), l, u);
    return solve(b, isAdjoint ? adjoint(b, a) : a, rhs, left);
  },
  'aten::cholesky': cholesky,
  'aten::linalg_cholesky': cholesky,
  'aten::linalg_cholesky_ex': (b, a: Value, upper: boolean) => {
    const found = cholesky(b, a, upper);
    return [found, choleskyInfo(b, found)];
  },
  'aten::cholesky_solve': choleskySolve,
  'aten::_cholesky_solve_helper': choleskySolve,
  'aten::cholesky_inverse': (b, a: Value, upper: boolean) =>
    choleskySolve(
      b,
      identityLike(b, a, sizesOf(a).at(-1)!),
      upper ? upperPart(b, a) : lowerPart(b, a),
      upper,
    ),
  'aten::linalg_solve_triangular': solveTriangular,
  'aten::triangular_solve': (b, rhs: Value, a: Value, upper: boolean, transpose: boolean, unit: boolean) => {
    const lead = broadcastShapes(leadOf(a), leadOf(rhs));
    const spread = (x: Value): Value => b.broadcastTo(x, [...lead, ...sizesOf(x).slice(-2)]);
    const how = transpose ? 'TRANSPOSE' : 'NO_TRANSPOSE';
    return [triangular(b, spread(a), spread(rhs), !upper, unit, true, how), spread(a)];
  },
  'aten::matrix_power': matrixPower,
  'aten::linalg_matrix_power': matrixPower,
  'aten::matrix_exp': matrixExp,
  'aten::linalg_matrix_exp': matrixExp,
  'aten::linalg_tensorinv': (b, self: Value, ind: number) => {
    const sizes = sizesOf(self);
    const [front, back] = [sizes.slice(0, ind), sizes.slice(ind)];
    check(ind > 0, () => "Expected a strictly positive integer for 'ind'");
    check(
      numel(front) === numel(back),
      () =>
        `Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got ${numel(back)} != ${numel(front)}`,
    );
    return b.reshape(inverse(b, b.reshape(self, [numel(back), numel(front)])), [...back, ...front]);
  },
  'aten::linalg_tensorsolve': (b, self: Value, other: Value, dims: readonly number[] | null) => {
    const rank = rankOf(self);
    const moved = dims === null ? [] : dims.map((dim) => (dim < 0 ? dim + rank : dim));
    const x = b.transpose(self, [...range(rank).filter((dim) => !moved.includes(dim)), ...moved]);
    const rest = sizesOf(x).slice(rankOf(other));
    const n = numel(rest);
    const column = b.reshape(other, [n, 1]);
    return b.reshape(solveMatrices(b, b.reshape(x, [n, n]), column), rest);
  },
});

checkedForms({
  'aten::linalg_solve': { form: 'aten::linalg_solve_ex', api: 'torch.linalg.solve' },
  'aten::inverse': { form: 'aten::linalg_inv_ex', api: 'linalg.inv' },
  'aten::linalg_inv': { form: 'aten::linalg_inv_ex', api: 'linalg.inv' },
  'aten::cholesky': { form: 'aten::linalg_cholesky_ex', api: 'cholesky' },
  'aten::linalg_cholesky': { form: 'aten::linalg_cholesky_ex', api: 'linalg.cholesky' },
});

/** LAPACK's matrices are column-major; X of XA = B is the transpose of one. */
const solution = (leftArgument: number): ResultLayout => ({
  kind: 'order',
  order: ({ args }, sizes) => {
    const rank = sizes.length;
    const isVector = rank < geometryRank(args[0]);
    return isVector || args[leftArgument] === false ? range(rank) : columnOrder(rank);
  },
});
const geometryRank = (argument: LayoutArgument): number => (argument as Geometry).sizes.length;
const columnOrder = (rank: number): number[] =>
  rank < 2 ? range(rank) : [...range(rank - 2), rank - 1, rank - 2];
/** A power that is the inverse itself lies as that does. */
const power: ResultLayout = {
  kind: 'order',
  order: ({ args }, sizes) => (args[1] === -1 ? columnOrder(sizes.length) : range(sizes.length)),
};

layouts({
  'aten::linalg_solve': solution(2),
  'aten::linalg_solve_ex': [solution(2), rowMajor],
  'aten::_linalg_solve_ex': [solution(2), columnMajor, rowMajor, rowMajor],
  'aten::inverse': columnMajor,
  'aten::linalg_inv': columnMajor,
  'aten::linalg_inv_ex': [columnMajor, rowMajor],
  'aten::linalg_lu_factor': [columnMajor, rowMajor],
  'aten::linalg_lu_factor_ex': [columnMajor, rowMajor, rowMajor],
  'aten::_lu_with_info': [columnMajor, rowMajor, rowMajor],
  'aten::lu_solve': columnMajor,
  'aten::linalg_lu_solve': solution(3),
  'aten::cholesky': columnMajor,
  'aten::linalg_cholesky': columnMajor,
  'aten::linalg_cholesky_ex': [columnMajor, rowMajor],
  'aten::cholesky_solve': columnMajor,
  'aten::_cholesky_solve_helper': columnMajor,
  'aten::cholesky_inverse': columnMajor,
  'aten::linalg_solve_triangular': columnMajor,
  'aten::triangular_solve': columnMajor,
  'aten::linalg_matrix_exp': likeArgument(0),
  'aten::matrix_exp': likeArgument(0),
  'aten::linalg_matrix_power': power,
  'aten::matrix_power': power,
  // The inverse of a square matrix, its dimensions split again.
  'aten::linalg_tensorinv': {
    kind: 'order',
    order: ({ args }, { length }) => {
      const columns = length - Number(args[1]);
      return [...range(length - columns, columns), ...range(columns)];
    },
  },
});
