// cholesky and triangular_solve, in complex double precision whatever the dtype: matrices are read into (real, imaginary)
// pairs, worked on, and written back.
import type { DType } from '@weft/ir';
import { numel } from '@weft/ir';
import type { Emitter } from './program.ts';
import type { Scalar } from './region.ts';
import { scalarReader, scalarWriter } from './region.ts';
import type { TypedArray } from './typed-array.ts';

/** A matrix of complex numbers, row-major. */
interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}

function readMatrix(dtype: DType, array: TypedArray, start: number, rows: number, columns: number): Matrix {
  const read = scalarReader(dtype);
  const pair: Scalar[] = [0, 0];
  const data = new Float64Array(2 * rows * columns);
  for (let index = 0; index < rows * columns; index++) {
    read(array, start + index, pair, 0);
    data[2 * index] = pair[0] as number;
    data[2 * index + 1] = pair[1] as number;
  }
  return { rows, columns, data };
}

function writeMatrix(dtype: DType, array: TypedArray, start: number, matrix: Matrix): void {
  const write = scalarWriter(dtype);
  for (let index = 0; index < matrix.rows * matrix.columns; index++) {
    const pair = [matrix.data[2 * index], matrix.data[2 * index + 1]];
    write(array, start + index, pair, 0);
  }
}

/** The transpose, conjugated when asked for. */
function transposed({ rows, columns, data }: Matrix, conjugate: boolean): Matrix {
  const turned = new Float64Array(data.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const [from, to] = [2 * (row * columns + column), 2 * (column * rows + row)];
      turned[to] = data[from];
      turned[to + 1] = conjugate ? -data[from + 1] : data[from + 1];
    }
  }
  return { rows: columns, columns: rows, data: turned };
}

/** L with L L^H = A, from A's lower triangle; NaN where A is not positive definite. */
function lowerFactor({ rows: n, data: a }: Matrix): Matrix {
  const l = new Float64Array(a.length);
  for (let column = 0; column < n; column++) {
    for (let row = column; row < n; row++) {
      let re = a[2 * (row * n + column)];
      let im = a[2 * (row * n + column) + 1];
      for (let k = 0; k < column; k++) {
        const [p, q] = [2 * (row * n + k), 2 * (column * n + k)];
        re -= l[p] * l[q] + l[p + 1] * l[q + 1];
        im -= l[p + 1] * l[q] - l[p] * l[q + 1];
      }
      const at = 2 * (row * n + column);
      if (row === column) l[at] = re > 0 ? Math.sqrt(re) : NaN;
      else {
        const pivot = l[2 * (column * n + column)];
        l[at] = re / pivot;
        l[at + 1] = im / pivot;
      }
    }
  }
  return { rows: n, columns: n, data: l };
}

const cholesky: Emitter = (site) => {
  const { dtype, sizes } = site.inSpecs[0];
  const n = sizes.at(-1)!;
  const batches = numel(sizes.slice(0, -2));
  const lower = site.node.get('b', 'lower');
  const [from] = site.operands;
  const [to] = site.results;
  return (registers) => {
    for (let batch = 0; batch < batches; batch++) {
      const a = readMatrix(dtype, registers[from], batch * n * n, n, n);
      const factor = lowerFactor(lower ? a : transposed(a, true));
      writeMatrix(dtype, registers[to], batch * n * n, lower ? factor : transposed(factor, true));
    }
  };
};

/** Solves T X = B in place of B by substitution; T triangular, its other triangle not read. */
function substitute(t: Matrix, lower: boolean, unitDiagonal: boolean, b: Matrix): void {
  const n = t.rows;
  for (let step = 0; step < n; step++) {
    const row = lower ? step : n - 1 - step;
    for (let column = 0; column < b.columns; column++) {
      const at = 2 * (row * b.columns + column);
      let re = b.data[at];
      let im = b.data[at + 1];
      for (let k = lower ? 0 : row + 1; k < (lower ? row : n); k++) {
        const [p, q] = [2 * (row * n + k), 2 * (k * b.columns + column)];
        re -= t.data[p] * b.data[q] - t.data[p + 1] * b.data[q + 1];
        im -= t.data[p] * b.data[q + 1] + t.data[p + 1] * b.data[q];
      }
      if (!unitDiagonal) {
        const [dr, di] = [t.data[2 * (row * n + row)], t.data[2 * (row * n + row) + 1]];
        if (di === 0) [re, im] = [re / dr, im / dr];
        else {
          const size = dr * dr + di * di;
          [re, im] = [(re * dr + im * di) / size, (im * dr - re * di) / size];
        }
      }
      b.data[at] = re;
      b.data[at + 1] = im;
    }
  }
}

const triangularSolve: Emitter = (site) => {
  const { dtype, sizes } = site.inSpecs[0];
  const [rows, columns] = site.inSpecs[1].sizes.slice(-2);
  const n = sizes.at(-1)!;
  const batches = numel(sizes.slice(0, -2));
  const { node } = site;
  const leftSide = node.get('b', 'left_side');
  const lower = node.get('b', 'lower');
  const unitDiagonal = node.get('b', 'unit_diagonal');
  const transpose = node.get('s', 'transpose_a');
  const [a, b] = site.operands;
  const [to] = site.results;
  return (registers) => {
    for (let batch = 0; batch < batches; batch++) {
      let t = readMatrix(dtype, registers[a], batch * n * n, n, n);
      let right = readMatrix(dtype, registers[b], batch * rows * columns, rows, columns);
      let isLower = lower;
      if (transpose !== 'NO_TRANSPOSE') {
        t = transposed(t, transpose === 'ADJOINT');
        isLower = !isLower;
      }
      // X op(A) = B is op(A)^T X^T = B^T.
      if (!leftSide) {
        t = transposed(t, false);
        isLower = !isLower;
        right = transposed(right, false);
      }
      substitute(t, isLower, unitDiagonal, right);
      writeMatrix(dtype, registers[to], batch * rows * columns, leftSide ? right : transposed(right, false));
    }
  };
};

export const linearAlgebraEmitters: Readonly<Record<string, Emitter>> = {
  cholesky,
  triangular_solve: triangularSolve,
};
