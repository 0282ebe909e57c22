// Eigenvalues of general matrices: a kernel (Hessenberg form, then shifted QR steps in complex arithmetic).
import type { CoreBuilder, TensorLiteral, Value } from '@weft/ir';
import { InternalError, OperatorError, isComplex, numel } from '@weft/ir';
import type { KernelVjp } from './operator.ts';
import { kernels } from './operator.ts';
import { check, fail, range, sizesOf } from './broadcast.ts';
import { like } from './elementwise.ts';
import { literalOf, numbersOf } from './literal.ts';
import {
  adjoint,
  alongColumns,
  alongRows,
  diagonalMatrix,
  diagonalOf,
  product,
  realPart,
  whereIndex,
} from './matrices.ts';
import { solveMatrices } from './linalg-solve.ts';
import { columnMajor, layouts, rowMajor } from './result-layout.ts';

/** A complex matrix: element (i, j) at 2 (i n + j). */
type Matrix = Float64Array;

class ComplexMatrix {
  constructor(
    readonly n: number,
    readonly data: Matrix = new Float64Array(2 * n * n),
  ) {}
  re(i: number, j: number): number {
    return this.data[2 * (i * this.n + j)];
  }
  im(i: number, j: number): number {
    return this.data[2 * (i * this.n + j) + 1];
  }
  set(i: number, j: number, re: number, im: number): void {
    this.data[2 * (i * this.n + j)] = re;
    this.data[2 * (i * this.n + j) + 1] = im;
  }
  static identity(n: number): ComplexMatrix {
    const result = new ComplexMatrix(n);
    for (let i = 0; i < n; i++) result.set(i, i, 1, 0);
    return result;
  }
}

interface Rotation {
  readonly c: number;
  readonly re: number;
  readonly im: number;
}

/** The rotation [c, s; -s̄, c] that makes the second of two complex numbers zero. */
function rotationOf(ar: number, ai: number, br: number, bi: number): Rotation {
  const [a, d] = [Math.hypot(ar, ai), Math.hypot(br, bi)];
  const norm = Math.hypot(a, d);
  if (norm === 0 || d === 0) return { c: 1, re: 0, im: 0 };
  if (a === 0) return { c: 0, re: br / d, im: -bi / d };
  // s = a b̄ / (|a| r)
  return { c: a / norm, re: (ar * br + ai * bi) / (a * norm), im: (ai * br - ar * bi) / (a * norm) };
}

/** Rows p and q from the left. */
function rotateRows(
  m: ComplexMatrix,
  p: number,
  q: number,
  { c, re, im }: Rotation,
  from: number,
  to: number,
): void {
  for (let j = from; j < to; j++) {
    const [xr, xi, yr, yi] = [m.re(p, j), m.im(p, j), m.re(q, j), m.im(q, j)];
    m.set(p, j, c * xr + re * yr - im * yi, c * xi + re * yi + im * yr);
    m.set(q, j, c * yr - re * xr - im * xi, c * yi - re * xi + im * xr);
  }
}

/** Columns p and q from the right, by the adjoint. */
function rotateColumns(
  m: ComplexMatrix,
  p: number,
  q: number,
  { c, re, im }: Rotation,
  from: number,
  to: number,
): void {
  for (let i = from; i < to; i++) {
    const [xr, xi, yr, yi] = [m.re(i, p), m.im(i, p), m.re(i, q), m.im(i, q)];
    m.set(i, p, c * xr + re * yr + im * yi, c * xi + re * yi - im * yr);
    m.set(i, q, c * yr - re * xr + im * xi, c * yi - re * xi - im * xr);
  }
}

/** The Schur form T and the unitary Q with A = Q T Q^H. */
function schur(a: ComplexMatrix): { t: ComplexMatrix; q: ComplexMatrix } {
  const { n } = a;
  const t = new ComplexMatrix(n, a.data.slice());
  const q = ComplexMatrix.identity(n);
  const apply = (i: number, j: number, rotation: Rotation, from: number): void => {
    rotateRows(t, i, j, rotation, from, n);
    rotateColumns(t, i, j, rotation, 0, n);
    rotateColumns(q, i, j, rotation, 0, n);
  };
  for (let column = 0; column < n - 2; column++) {
    for (let i = n - 1; i > column + 1; i--) {
      const rotation = rotationOf(t.re(i - 1, column), t.im(i - 1, column), t.re(i, column), t.im(i, column));
      apply(i - 1, i, rotation, 0);
      t.set(i, column, 0, 0);
    }
  }
  let high = n - 1;
  for (let turn = 0; high > 0; turn++) {
    if (turn > 300 * n) throw new OperatorError('linalg.eig: the algorithm did not converge');
    const small = (i: number): boolean => {
      const size =
        Math.abs(t.re(i, i)) +
        Math.abs(t.im(i, i)) +
        Math.abs(t.re(i - 1, i - 1)) +
        Math.abs(t.im(i - 1, i - 1));
      return Math.hypot(t.re(i, i - 1), t.im(i, i - 1)) <= 2 ** -53 * (size || 1);
    };
    if (small(high)) {
      t.set(high, high - 1, 0, 0);
      high--;
      continue;
    }
    let low = high;
    while (low > 0 && !small(low)) low--;
    const [sr, si] = shiftOf(t, high, turn);
    for (let i = low; i <= high; i++) t.set(i, i, t.re(i, i) - sr, t.im(i, i) - si);
    const rotations: Rotation[] = [];
    for (let i = low; i < high; i++) {
      const rotation = rotationOf(t.re(i, i), t.im(i, i), t.re(i + 1, i), t.im(i + 1, i));
      rotateRows(t, i, i + 1, rotation, i, n);
      rotations.push(rotation);
    }
    for (const [offset, rotation] of rotations.entries()) {
      const i = low + offset;
      rotateColumns(t, i, i + 1, rotation, 0, Math.min(i + 2, high + 1));
      rotateColumns(q, i, i + 1, rotation, 0, n);
    }
    for (let i = low; i <= high; i++) t.set(i, i, t.re(i, i) + sr, t.im(i, i) + si);
  }
  return { t, q };
}

/** Wilkinson's shift: the eigenvalue of the last two by two block that is nearer to its corner. */
function shiftOf(t: ComplexMatrix, high: number, turn: number): [number, number] {
  if (turn % 11 === 10) return [Math.abs(t.re(high, high - 1)) + t.re(high, high), t.im(high, high)];
  const [ar, ai] = [t.re(high - 1, high - 1), t.im(high - 1, high - 1)];
  const [dr, di] = [t.re(high, high), t.im(high, high)];
  const [br, bi] = [t.re(high - 1, high), t.im(high - 1, high)];
  const [cr, ci] = [t.re(high, high - 1), t.im(high, high - 1)];
  const [hr, hi] = [(ar - dr) / 2, (ai - di) / 2];
  const [sr, si] = complexRoot(hr * hr - hi * hi + br * cr - bi * ci, 2 * hr * hi + br * ci + bi * cr);
  const [pr, pi] = [(ar + dr) / 2, (ai + di) / 2];
  const plus = Math.hypot(pr + sr - dr, pi + si - di);
  const minus = Math.hypot(pr - sr - dr, pi - si - di);
  return plus < minus ? [pr + sr, pi + si] : [pr - sr, pi - si];
}

function complexRoot(re: number, im: number): [number, number] {
  const size = Math.hypot(re, im);
  const real = Math.sqrt((size + Math.abs(re)) / 2);
  if (real === 0) return [0, 0];
  const other = im / (2 * real);
  return re >= 0 ? [real, other] : [Math.abs(other), im < 0 ? -real : real];
}

/** Eigenvectors of unit length, in columns, whose largest element is real. */
function vectorsOf(t: ComplexMatrix, q: ComplexMatrix): ComplexMatrix {
  const { n } = t;
  const result = new ComplexMatrix(n);
  for (let k = 0; k < n; k++) {
    const [xr, xi] = [new Float64Array(n), new Float64Array(n)];
    xr[k] = 1;
    for (let i = k - 1; i >= 0; i--) {
      let [sr, si] = [0, 0];
      for (let j = i + 1; j <= k; j++) {
        sr -= t.re(i, j) * xr[j] - t.im(i, j) * xi[j];
        si -= t.re(i, j) * xi[j] + t.im(i, j) * xr[j];
      }
      let [dr, di] = [t.re(i, i) - t.re(k, k), t.im(i, i) - t.im(k, k)];
      if (dr === 0 && di === 0) [dr, di] = [2 ** -52 * (Math.abs(t.re(k, k)) || 1), 0];
      const size = dr * dr + di * di;
      xr[i] = (sr * dr + si * di) / size;
      xi[i] = (si * dr - sr * di) / size;
    }
    let norm = 0;
    let [best, bestRe, bestIm] = [0, 1, 0];
    for (let i = 0; i < n; i++) {
      let [vr, vi] = [0, 0];
      for (let j = 0; j <= k; j++) {
        vr += q.re(i, j) * xr[j] - q.im(i, j) * xi[j];
        vi += q.re(i, j) * xi[j] + q.im(i, j) * xr[j];
      }
      result.set(i, k, vr, vi);
      const size = vr * vr + vi * vi;
      norm += size;
      if (size > best * (1 + 1e-12)) [best, bestRe, bestIm] = [size, vr, vi];
    }
    const scale = Math.sqrt(norm) * Math.hypot(bestRe, bestIm);
    const [cr, ci] = [bestRe / scale, -bestIm / scale];
    for (let i = 0; i < n; i++) {
      const [vr, vi] = [result.re(i, k), result.im(i, k)];
      result.set(i, k, vr * cr - vi * ci, vr * ci + vi * cr);
    }
  }
  return result;
}

function eig(a: TensorLiteral): [values: TensorLiteral, vectors: TensorLiteral] {
  const n = a.shape.at(-1) ?? 0;
  check(a.shape.length >= 2, () => 'linalg.eig: The input tensor A must have at least 2 dimensions.');
  check(
    n === a.shape.at(-2),
    () => `linalg.eig: A must be batches of square matrices, but they are ${a.shape.at(-2)} by ${n} matrices`,
  );
  const numbers = numbersOf(a);
  if (numbers.some((value) => !Number.isFinite(value))) {
    fail('torch.linalg.eig: input tensor should not contain infs or NaNs.');
  }
  const lead = a.shape.slice(0, -2);
  const parts = isComplex(a.dtype) ? 2 : 1;
  const values: number[] = [];
  const vectors: number[] = [];
  for (let batch = 0; batch < numel(lead); batch++) {
    const matrix = new ComplexMatrix(n);
    for (const index of range(n * n)) {
      const at = parts * (batch * n * n + index);
      matrix.data[2 * index] = numbers[at];
      if (parts === 2) matrix.data[2 * index + 1] = numbers[at + 1];
    }
    const { t, q } = schur(matrix);
    for (let i = 0; i < n; i++) values.push(t.re(i, i), t.im(i, i));
    vectors.push(...vectorsOf(t, q).data);
  }
  const dtype = a.dtype === 'float64' || a.dtype === 'complex128' ? 'complex128' : 'complex64';
  return [literalOf(dtype, [...lead, n], values), literalOf(dtype, a.shape, vectors)];
}

/** V^-H (diag(gL) + (V^H gV - V^H V diag(Re(V^H gV))) / E) V^H. */
function eigCotangent(b: CoreBuilder, l: Value, v: Value, gl: Value | null, gv: Value | null): Value | null {
  const vh = adjoint(b, v);
  let middle = gl === null ? null : diagonalMatrix(b, gl);
  if (gv !== null) {
    const inner = product(b, vh, gv);
    const real = realPart(b, diagonalOf(b, inner));
    const gauge = b.complex(real, like(b, real, 0));
    const gram = product(b, vh, v);
    const free = b.subtract(inner, b.multiply(gram, alongColumns(b, gauge, gram)));
    const conj = b.complex(b.real(l), b.negate(b.imag(l)));
    const difference = b.subtract(alongColumns(b, conj, free), alongRows(b, conj, free));
    const diagonal = whereIndex(b, free, 'EQ');
    const ratio = b.divide(free, b.select(diagonal, like(b, free, 1), difference));
    const outside = b.select(diagonal, like(b, free, 0), ratio);
    middle = middle === null ? outside : b.add(middle, outside);
  }
  return middle === null ? null : solveMatrices(b, vh, product(b, middle, vh));
}

const eigVjp: KernelVjp = (b, { args, outputs, cotangents }) => {
  const [a] = args as [Value];
  const g = eigCotangent(b, outputs[0], outputs[1], cotangents[0] ?? null, cotangents[1] ?? null);
  if (g === null) return [null];
  if (sizesOf(a).length !== sizesOf(g).length) throw new InternalError('eig keeps the shape of its operand');
  return [a.type.kind === 'Tensor' && a.type.dtype !== undefined && isComplex(a.type.dtype) ? g : b.real(g)];
};

kernels({
  'aten::linalg_eig': { kernel: eig, vjp: eigVjp },
  'aten::linalg_eigvals': { kernel: (a: TensorLiteral) => eig(a)[0] },
});

layouts({ 'aten::linalg_eig': [rowMajor, columnMajor] });
