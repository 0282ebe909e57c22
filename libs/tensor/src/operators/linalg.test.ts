// Laws of factorisations whose factors are unique only up to signs.
import { describe, expect, test } from '@jest/globals';
import type { TensorLiteral, Value } from '@weft/ir';
import { CoreBuilder } from '@weft/ir';
import { executeOnHost } from '@weft/devices';
import { literalOf, numbersOf, operatorMeaning } from '@weft/ops';

/** Deterministic numbers in [-1, 1). */
function matrix(m: number, n: number, seed = 1): number[] {
  let state = seed;
  return Array.from({ length: m * n }, () => {
    state = (state * 16807) % 2147483647;
    return (2 * state) / 2147483647 - 1;
  });
}

function run(name: string, a: TensorLiteral, ...rest: (string | boolean | null)[]): TensorLiteral[] {
  const meaning = operatorMeaning(name);
  if (meaning?.kind === 'kernel') return [meaning.kernel(a, ...rest)].flat() as TensorLiteral[];
  if (meaning?.kind !== 'lowering') throw new Error(`${name} has no lowering`);
  const b = new CoreBuilder();
  const x = b.input({ kind: 'Tensor', dtype: a.dtype, sizes: a.shape });
  for (const value of [meaning.lower(b, x, ...rest)].flat() as Value[]) b.graph.addOutput(value);
  return executeOnHost(b.graph, [a]);
}

/** Rows of x times columns of y, for real matrices given in row-major order. */
function multiply(x: ArrayLike<number>, y: ArrayLike<number>, m: number, k: number, n: number): number[] {
  return Array.from({ length: m * n }, (_, index) => {
    const [i, j] = [Math.floor(index / n), index % n];
    let sum = 0;
    for (let p = 0; p < k; p++) sum += x[i * k + p] * y[p * n + j];
    return sum;
  });
}
const transpose = (x: ArrayLike<number>, m: number, n: number): number[] =>
  Array.from({ length: m * n }, (_, index) => x[(index % m) * n + Math.floor(index / m)]);
const identity = (n: number): number[] =>
  Array.from({ length: n * n }, (_, index) => (index % (n + 1) === 0 ? 1 : 0));

function close(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length).toBe(expected.length);
  for (let index = 0; index < actual.length; index++)
    expect(Math.abs(actual[index] - expected[index])).toBeLessThan(1e-9);
}

const sizes: [number, number][] = [
  [1, 1],
  [2, 2],
  [3, 3],
  [5, 3],
  [3, 5],
  [8, 8],
];

describe('svd', () => {
  test.each(sizes)('U S V^H is A, U and V are orthonormal: %d x %d', (m, n) => {
    const a = matrix(m, n);
    const [u, s, vh] = run('aten::linalg_svd', literalOf('float64', [m, n], a), true, null).map(numbersOf);
    const k = Math.min(m, n);
    const scaled = Array.from({ length: m * n }, (_, index) => {
      const [i, j] = [Math.floor(index / n), index % n];
      let sum = 0;
      for (let p = 0; p < k; p++) sum += u[i * m + p] * s[p] * vh[p * n + j];
      return sum;
    });
    close(scaled, a);
    close(multiply(transpose(u, m, m), u, m, m, m), identity(m));
    close(multiply(vh, transpose(vh, n, n), n, n, n), identity(n));
    for (let p = 1; p < k; p++) expect(s[p]).toBeLessThanOrEqual(s[p - 1]);
  });

  test('a matrix of rank one has orthonormal factors too', () => {
    const a = [1, 2, 3, 2, 4, 6, 3, 6, 9];
    const [u, s] = run('aten::linalg_svd', literalOf('float64', [3, 3], a), true, null).map(numbersOf);
    close(multiply(transpose(u, 3, 3), u, 3, 3, 3), identity(3));
    close(s, [14, 0, 0]);
  });
});

describe('eigh', () => {
  test.each([1, 2, 3, 6, 7])('A V is V diag(L), V is orthonormal: %d', (n) => {
    const half = matrix(n, n, 7);
    const a = half.map((x, index) => x + half[(index % n) * n + Math.floor(index / n)]);
    const [l, v] = run('aten::linalg_eigh', literalOf('float64', [n, n], a), 'L').map(numbersOf);
    close(
      multiply(a, v, n, n, n),
      Array.from(v).map((x, index) => x * l[index % n]),
    );
    close(multiply(transpose(v, n, n), v, n, n, n), identity(n));
    for (let p = 1; p < n; p++) expect(l[p]).toBeGreaterThanOrEqual(l[p - 1]);
  });
});

describe('eig', () => {
  test.each([1, 2, 3, 6])('A V is V diag(L): %d', (n) => {
    const a = matrix(n, n, 3);
    const [l, v] = run('aten::linalg_eig', literalOf('float64', [n, n], a)).map(numbersOf);
    const at = (i: number, j: number): [number, number] => [v[2 * (i * n + j)], v[2 * (i * n + j) + 1]];
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let [re, im] = [0, 0];
        for (let p = 0; p < n; p++) {
          re += a[i * n + p] * at(p, j)[0];
          im += a[i * n + p] * at(p, j)[1];
        }
        const [vr, vi] = at(i, j);
        expect(Math.abs(re - (vr * l[2 * j] - vi * l[2 * j + 1]))).toBeLessThan(1e-9);
        expect(Math.abs(im - (vr * l[2 * j + 1] + vi * l[2 * j]))).toBeLessThan(1e-9);
      }
    }
  });
});
