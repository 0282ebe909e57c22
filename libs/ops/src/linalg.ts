// Linear algebra operators built on the factorisations: qr, svd, eigh, pinv, lstsq, norms, condition, rank.
import type { CoreBuilder, DType, Value } from '@weft/ir';
import { lowerings } from './operator.ts';
import type { Scalar } from './operator.ts';
import { broadcastShapes, check, fail, range, rankOf, sizesOf, wrapDim } from './broadcast.ts';
import { dtypeOf, is, like, realOf } from './elementwise.ts';
import { insertDim } from './shapes.ts';
import { adjoint, checkMatrix, leadOf, product } from './matrices.ts';
import { eigh, epsilonOf, pseudoInverse, qr, svd } from './linalg-factor.ts';
import { inverse } from './linalg-solve.ts';
import { vectorNorm } from './reductions.ts';
import type { ResultLayout } from './result-layout.ts';
import { columnMajor, geometryOf, layouts, rowMajor } from './result-layout.ts';
import { columnMajorStrides, contiguousStrides } from './strides.ts';

type Dims = readonly number[];
const NO_TENSOR = [0];

function qrMode(b: CoreBuilder, a: Value, mode: string): Value[] {
  checkMatrix('linalg.qr', a);
  if (mode === 'r') return [b.full(0, dtypeOf(a), NO_TENSOR), qr(b, a, false)[1]];
  if (mode !== 'reduced' && mode !== 'complete')
    fail(
      `qr received unrecognized mode '${mode}' but expected one of 'reduced' (default), 'r', or 'complete'`,
    );
  return qr(b, a, mode === 'complete');
}

function singularValues(b: CoreBuilder, a: Value): Value {
  checkMatrix('linalg.svd', a);
  return svd(b, a, false)[1];
}

function hermitian(b: CoreBuilder, a: Value, uplo: string): [Value, Value] {
  checkMatrix('linalg.eigh', a, true);
  const letter = uplo.toUpperCase();
  check(letter === 'L' || letter === 'U', () => `Expected UPLO argument to be 'L' or 'U', but got ${uplo}`);
  return eigh(b, a, letter === 'L');
}

/** Moves two dimensions to the end. */
function matricesOf(b: CoreBuilder, a: Value, dim: Dims): { x: Value; dims: number[] } {
  check(dim.length === 2, () => `linalg.matrix_norm: dim must be a 2-tuple. Got ${dim.join(' ')}`);
  const dims = dim.map((each) => wrapDim(each, rankOf(a)));
  check(dims[0] !== dims[1], () => `linalg.matrix_norm: dims must be different. Got (${dim.join(', ')})`);
  const rest = range(rankOf(a)).filter((each) => !dims.includes(each));
  return { x: b.transpose(a, [...rest, ...dims]), dims };
}

function matrixNorm(
  b: CoreBuilder,
  self: Value,
  ord: number | string,
  dim: Dims,
  keepdim: boolean,
  dtype: DType | null,
): Value {
  const a = dtype === null ? self : b.convert(self, dtype);
  checkMatrix('linalg.matrix_norm', a);
  if (ord === 'fro') return vectorNorm(b, a, 2, dim, keepdim, null);
  const { x, dims } = matricesOf(b, a, dim);
  const last = rankOf(x) - 1;
  const norm = (): Value => {
    if (ord === 'nuc') return b.reduceSum(singularValues(b, x), [last - 1]);
    if (ord === 2) return b.reduceMax(singularValues(b, x), [last - 1]);
    if (ord === -2) return b.reduceMin(singularValues(b, x), [last - 1]);
    const size = b.abs(x);
    if (ord === 1 || ord === -1) {
      const sums = b.reduceSum(size, [last - 1]);
      return ord === 1 ? b.reduceMax(sums, [last - 1]) : b.reduceMin(sums, [last - 1]);
    }
    if (ord === Infinity || ord === -Infinity) {
      const sums = b.reduceSum(size, [last]);
      return ord === Infinity ? b.reduceMax(sums, [last - 1]) : b.reduceMin(sums, [last - 1]);
    }
    return fail(`linalg.matrix_norm: Order ${ord} not supported.`);
  };
  const result = norm();
  return keepdim
    ? b.reshape(
        result,
        sizesOf(a).map((size, each) => (dims.includes(each) ? 1 : size)),
      )
    : result;
}

/** torch.linalg.norm: of vectors, of matrices, or of all elements. */
function norm(
  b: CoreBuilder,
  self: Value,
  ord: Scalar | string | null,
  dim: Dims | number | null,
  keepdim: boolean,
  dtype: DType | null,
): Value {
  const dims = dim === null ? null : ([dim].flat() as number[]);
  if (typeof ord === 'string') return matrixNorm(b, self, ord, dims ?? [-2, -1], keepdim, dtype);
  if (ord === null) return vectorNorm(b, self, 2, dims, keepdim, dtype);
  const order = realOf(ord);
  if (dims !== null) {
    check(
      dims.length === 1 || dims.length === 2,
      () => `linalg.norm: If dim is specified, it must be of length 1 or 2. Got [${dims.join(', ')}]`,
    );
    return dims.length === 2
      ? matrixNorm(b, self, order, dims, keepdim, dtype)
      : vectorNorm(b, self, order, dims, keepdim, dtype);
  }
  check(
    rankOf(self) === 1 || rankOf(self) === 2,
    () =>
      `linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got ${rankOf(self)}D.`,
  );
  return rankOf(self) === 2
    ? matrixNorm(b, self, order, [-2, -1], keepdim, dtype)
    : vectorNorm(b, self, order, null, keepdim, dtype);
}

function condition(b: CoreBuilder, a: Value, p: Scalar | string | null): Value {
  checkMatrix('linalg.cond', a);
  const order = p === null ? 2 : typeof p === 'string' ? p : realOf(p);
  if (order === 2 || order === -2) {
    const s = singularValues(b, a);
    const last = rankOf(s) - 1;
    const [most, least] = [b.reduceMax(s, [last]), b.reduceMin(s, [last])];
    return order === 2 ? b.divide(most, least) : b.divide(least, most);
  }
  checkMatrix('linalg.cond', a, true);
  const size = (x: Value): Value => matrixNorm(b, x, order, [-2, -1], false, null);
  return b.multiply(size(a), size(inverse(b, a)));
}

/** How many singular values (sizes of eigenvalues) are above max(atol, rtol · the greatest). */
function rank(
  b: CoreBuilder,
  a: Value,
  atol: Value | number | null,
  rtol: Value | number | null,
  isHermitian: boolean,
): Value {
  checkMatrix('linalg.matrix_rank', a);
  const s = isHermitian ? b.abs(eigh(b, a, true)[0]) : singularValues(b, a);
  const last = rankOf(s) - 1;
  const [m, n] = sizesOf(a).slice(-2);
  const most = b.broadcastInDim(b.reduceMax(s, [last]), sizesOf(s), range(last));
  const spread = (value: Value | number): Value =>
    typeof value === 'number'
      ? like(b, s, value)
      : b.broadcastInDim(b.broadcastTo(b.convert(value, dtypeOf(s)), leadOf(a)), sizesOf(s), range(last));
  const usual = epsilonOf(dtypeOf(a)) * Math.max(m, n);
  const none = atol === null || (typeof atol === 'number' && atol === 0);
  const relative =
    rtol === null
      ? none
        ? like(b, s, usual)
        : typeof atol === 'number'
          ? like(b, s, 0)
          : b.select(is(b, spread(atol!), 'GT', 0), like(b, s, 0), like(b, s, usual))
      : spread(rtol);
  const limit = b.maximum(spread(atol ?? 0), b.multiply(relative, most));
  return b.reduceSum(b.convert(b.compare(s, limit, 'GT'), 'int64'), [last]);
}

/** Least squares of least norm; residuals where there are more equations than unknowns, all independent. */
function leastSquares(
  b: CoreBuilder,
  a: Value,
  rhs: Value,
  rcond: number | null,
  driver: string | null,
): Value[] {
  checkMatrix('torch.linalg.lstsq', a);
  const isVector = rankOf(rhs) === rankOf(a) - 1;
  const y = isVector ? insertDim(b, rhs, rankOf(rhs)) : rhs;
  const lead = broadcastShapes(leadOf(a), leadOf(y));
  const spread = (x: Value): Value => b.broadcastTo(x, [...lead, ...sizesOf(x).slice(-2)]);
  const [x, z] = [spread(a), spread(y)];
  const [m, n] = sizesOf(a).slice(-2);
  const tolerance = rcond ?? epsilonOf(dtypeOf(a)) * Math.max(m, n);
  const solution = product(b, pseudoInverse(b, x, null, tolerance), z);
  const usual = driver ?? 'gelsy';
  const error = b.abs(b.subtract(product(b, x, solution), z));
  const residuals =
    m > n && usual !== 'gelsy'
      ? b.reduceSum(b.multiply(error, error), [lead.length])
      : b.full(0, dtypeOf(error), NO_TENSOR);
  const ranks = usual === 'gels' ? b.full(0n, 'int64', NO_TENSOR) : rank(b, a, null, tolerance, false);
  const values =
    usual === 'gelss' || usual === 'gelsd' ? singularValues(b, a) : b.full(0, dtypeOf(error), NO_TENSOR);
  return [
    isVector ? b.reshape(solution, sizesOf(solution).slice(0, -1)) : solution,
    residuals,
    ranks,
    values,
  ];
}

const numberOf = (value: Scalar | null): number | null => (value === null ? null : realOf(value));
const nuclear = (b: CoreBuilder, self: Value, dim: Dims, keepdim: boolean): Value =>
  matrixNorm(b, self, 'nuc', dim, keepdim, null);

lowerings({
  'aten::linalg_qr': qrMode,
  'aten::qr': (b, a: Value, some: boolean) => qrMode(b, a, some ? 'reduced' : 'complete'),
  'aten::linalg_svd': (b, a: Value, full: boolean) => {
    checkMatrix('linalg.svd', a);
    return svd(b, a, full);
  },
  'aten::_linalg_svd': (b, a: Value, full: boolean, compute: boolean) =>
    compute
      ? svd(b, a, full)
      : [b.full(0, dtypeOf(a), NO_TENSOR), singularValues(b, a), b.full(0, dtypeOf(a), NO_TENSOR)],
  'aten::linalg_svdvals': singularValues,
  'aten::svd': (b, a: Value, some: boolean) => {
    const [u, s, vh] = svd(b, a, !some);
    return [u, s, adjoint(b, vh)];
  },
  'aten::linalg_eigh': hermitian,
  'aten::_linalg_eigh': (b, a: Value, uplo: string) => hermitian(b, a, uplo),
  'aten::linalg_eigvalsh': (b, a: Value, uplo: string) => hermitian(b, a, uplo)[0],
  'aten::symeig': (b, a: Value, vectors: boolean, upper: boolean) => {
    const [values, v] = hermitian(b, a, upper ? 'U' : 'L');
    return [values, vectors ? v : b.full(0, dtypeOf(a), NO_TENSOR)];
  },
  'aten::linalg_pinv': (b, a: Value, rcond: number) => pseudoInverse(b, a, 0, rcond),
  'aten::linalg_pinv.atol_rtol_float': (b, a: Value, atol: number | null, rtol: number | null) => {
    checkMatrix('linalg.pinv', a);
    return pseudoInverse(b, a, atol, rtol);
  },
  'aten::pinverse': (b, a: Value, rcond: number) => pseudoInverse(b, a, 0, rcond),
  'aten::linalg_lstsq': leastSquares,
  'aten::linalg_matrix_norm': (
    b,
    self: Value,
    ord: Scalar,
    dim: Dims,
    keepdim: boolean,
    dtype: DType | null,
  ) => matrixNorm(b, self, realOf(ord), dim, keepdim, dtype),
  'aten::linalg_matrix_norm.str_ord': matrixNorm,
  'aten::linalg_norm': norm,
  'aten::linalg_norm.ord_str': norm,
  'aten::nuclear_norm': (b, self: Value, keepdim: boolean) => nuclear(b, self, [-2, -1], keepdim),
  'aten::nuclear_norm.dim': nuclear,
  'aten::linalg_cond': condition,
  'aten::linalg_cond.p_str': condition,
  'aten::linalg_matrix_rank': (b, a: Value, tol: Scalar, isHermitian: boolean) =>
    rank(b, a, numberOf(tol), 0, isHermitian),
  'aten::linalg_matrix_rank.atol_rtol_tensor': rank,
  'aten::linalg_matrix_rank.atol_rtol_float': rank,
  'aten::linalg_matrix_rank.tol_tensor': (b, a: Value, tol: Value, isHermitian: boolean) =>
    rank(b, a, tol, 0, isHermitian),
  'aten::matrix_rank': (b, a: Value, symmetric: boolean) => rank(b, a, null, null, symmetric),
  'aten::matrix_rank.tol': (b, a: Value, tol: number, symmetric: boolean) => rank(b, a, tol, 0, symmetric),
});

/** The solution of least squares: the first rows of the column-major matrix that held the right-hand side. */
const leadingRows: ResultLayout = {
  kind: 'strides',
  strides: (site, sizes) => {
    const [rows, columns] = geometryOf(site, 0).sizes.slice(-2);
    if (sizes.length < geometryOf(site, 0).sizes.length) return contiguousStrides(sizes);
    return columnMajorStrides([...sizes.slice(0, -2), Math.max(rows, columns), sizes[sizes.length - 1]]);
  },
};

layouts({
  'aten::linalg_qr': columnMajor,
  'aten::qr': columnMajor,
  'aten::linalg_svd': [columnMajor, rowMajor, columnMajor],
  'aten::_linalg_svd': [columnMajor, rowMajor, columnMajor],
  'aten::svd': [columnMajor, rowMajor, rowMajor],
  'aten::linalg_eigh': [rowMajor, columnMajor],
  'aten::_linalg_eigh': [rowMajor, columnMajor],
  'aten::symeig': [rowMajor, columnMajor],
  'aten::linalg_lstsq': [leadingRows, rowMajor, rowMajor, rowMajor],
});
