// Sorting, Fourier transforms, factorisations, random bits, control flow, composites.
import type { ConformanceCase } from './case.ts';
import { complexes, graphCase, numbers, operatorCase, scalar, tensor, vector } from './case.ts';

function sortCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  for (const dtype of numbers) {
    cases.push(
      graphCase('sort', `${dtype} ascending`, [tensor(dtype, [2, 3], [3, 1, 2, 0, 5, 4])], (b, x) => b.sort([x], 1, true, (r, p, q) => [r.compare(p, q, 'LT')]), [tensor(dtype, [2, 3], [1, 2, 3, 0, 4, 5])]), // prettier-ignore
      operatorCase('top_k', dtype, [tensor(dtype, [2, 3], [3, 1, 3, 0, 5, 4])], [tensor(dtype, [2, 2], [3, 3, 5, 4]), tensor('int32', [2, 2], [0, 2, 1, 2])], { k: 2 }), // prettier-ignore
    );
  }
  cases.push(
    graphCase('sort', 'columns, descending, with a second operand', [tensor('float32', [3, 2], [1, 6, 3, 4, 2, 5]), tensor('int32', [3, 2], [0, 1, 2, 3, 4, 5])], (b, x, y) => b.sort([x, y], 0, true, (r, p, q) => [r.compare(p, q, 'GT')]), [tensor('float32', [3, 2], [3, 6, 2, 5, 1, 4]), tensor('int32', [3, 2], [2, 1, 4, 5, 0, 3])]), // prettier-ignore
    graphCase('sort', 'is stable', [vector('int32', [1, 0, 1, 0]), vector('int32', [0, 1, 2, 3])], (b, x, y) => b.sort([x, y], 0, true, (r, p, q) => [r.compare(p, q, 'LT')]), [vector('int32', [0, 0, 1, 1]), vector('int32', [1, 3, 0, 2])]), // prettier-ignore
    graphCase('sort', 'by the second operand', [vector('float32', [1, 2, 3]), vector('float32', [3, 1, 2])], (b, x, y) => b.sort([x, y], 0, true, (r, _, __, p, q) => [r.compare(p, q, 'LT')]), [vector('float32', [2, 3, 1]), vector('float32', [1, 2, 3])]), // prettier-ignore
    graphCase('sort', 'of nothing', [tensor('float32', [2, 0], [])], (b, x) => b.sort([x], 1, false, (r, p, q) => [r.compare(p, q, 'LT')]), [tensor('float32', [2, 0], [])]), // prettier-ignore
    operatorCase('top_k', 'none', [vector('float32', [1, 2])], [tensor('float32', [0], []), tensor('int32', [0], [])], { k: 0 }), // prettier-ignore
  );
  return cases;
}

function fftCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  const fft = (what: string, type: string, length: number[], x: ReturnType<typeof tensor>, y: typeof x) =>
    operatorCase('fft', what, [x], [y], { fft_type: type, fft_length: length });
  for (const dtype of complexes) {
    const part = dtype === 'complex64' ? 'float32' : 'float64';
    const spectrum = vector(dtype, [[10, 0], [-2, 2], [-2, 0], [-2, -2]]); // prettier-ignore
    const half = vector(dtype, [[10, 0], [-2, 2], [-2, 0]]); // prettier-ignore
    cases.push(
      fft(`FFT ${dtype}`, 'FFT', [4], vector(dtype, [1, 2, 3, 4]), spectrum),
      fft(`IFFT ${dtype}`, 'IFFT', [4], spectrum, vector(dtype, [1, 2, 3, 4])),
      fft(`RFFT ${dtype}`, 'RFFT', [4], vector(part, [1, 2, 3, 4]), half),
      fft(`IRFFT ${dtype}`, 'IRFFT', [4], half, vector(part, [1, 2, 3, 4])),
    );
  }
  const third = Math.sqrt(3) / 2;
  cases.push(
    fft('of length 3', 'FFT', [3], vector('complex128', [0, 1, 0]), vector('complex128', [[1, 0], [-0.5, -third], [-0.5, third]])), // prettier-ignore
    fft('RFFT of length 3', 'RFFT', [3], vector('float64', [0, 1, 0]), vector('complex128', [[1, 0], [-0.5, -third]])), // prettier-ignore
    fft('IRFFT of length 3', 'IRFFT', [3], vector('complex128', [[1, 0], [-0.5, -third]]), vector('float64', [0, 1, 0])), // prettier-ignore
    fft('of two dimensions', 'FFT', [2, 2], tensor('complex64', [2, 2], [1, 2, 3, 4]), tensor('complex64', [2, 2], [10, -2, -4, 0])), // prettier-ignore
    fft('RFFT of two dimensions', 'RFFT', [2, 2], tensor('float32', [2, 2], [1, 2, 3, 4]), tensor('complex64', [2, 2], [10, -2, -4, 0])), // prettier-ignore
    fft('in batches', 'FFT', [2], tensor('complex64', [2, 2], [1, 2, 3, 4]), tensor('complex64', [2, 2], [3, -1, 7, -1])), // prettier-ignore
    fft('of an impulse, prime length', 'FFT', [7], vector('complex128', [1, 0, 0, 0, 0, 0, 0]), vector('complex128', [1])), // prettier-ignore
  );
  const impulse = cases.pop()!;
  cases.push({ ...impulse, expected: [tensor('complex128', [7], [1])] });
  return cases;
}

function linearAlgebraCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  for (const dtype of ['float32', 'float64', 'complex64', 'complex128'] as const) {
    const l = tensor(dtype, [2, 2], [2, 0, 1, 3]);
    const solve = (what: string, b: number[], x: number[], leftSide: boolean, lower: boolean, unit: boolean, transpose: string, shape: number[], a = l) => // prettier-ignore
      operatorCase('triangular_solve', `${dtype} ${what}`, [a, tensor(dtype, shape, b)], [tensor(dtype, shape, x)], { left_side: leftSide, lower, unit_diagonal: unit, transpose_a: transpose }); // prettier-ignore
    const u = tensor(dtype, [2, 2], [2, 1, 0, 3]);
    cases.push(
      operatorCase('cholesky', `${dtype} lower`, [tensor(dtype, [2, 2], [4, 2, 2, 10])], [l], { lower: true }), // prettier-ignore
      operatorCase('cholesky', `${dtype} upper`, [tensor(dtype, [2, 2], [4, 2, 2, 10])], [u], { lower: false }), // prettier-ignore
      operatorCase('cholesky', `${dtype} batch`, [tensor(dtype, [2, 1, 1], [9, 16])], [tensor(dtype, [2, 1, 1], [3, 4])], { lower: true }), // prettier-ignore
      solve('lower', [2, 7], [1, 2], true, true, false, 'NO_TRANSPOSE', [2, 1]),
      solve('transposed', [4, 6], [1, 2], true, true, false, 'TRANSPOSE', [2, 1]),
      solve('upper', [4, 6], [1, 2], true, false, false, 'NO_TRANSPOSE', [2, 1], u),
      solve('from the right', [4, 6], [1, 2], false, true, false, 'NO_TRANSPOSE', [1, 2]),
      solve('unit diagonal', [1, 3], [1, 2], true, true, true, 'NO_TRANSPOSE', [2, 1]),
    );
  }
  const hermitian = tensor('complex128', [2, 2], [[4, 0], [2, -2], [2, 2], [11, 0]]); // prettier-ignore
  cases.push(
    operatorCase('cholesky', 'of a Hermitian matrix', [hermitian], [tensor('complex128', [2, 2], [[2, 0], [0, 0], [1, 1], [3, 0]])], { lower: true }), // prettier-ignore
    operatorCase('triangular_solve', 'adjoint', [tensor('complex128', [1, 1], [[0, 2]]), tensor('complex128', [1, 1], [[2, 0]])], [tensor('complex128', [1, 1], [[0, 1]])], { left_side: true, lower: true, unit_diagonal: false, transpose_a: 'ADJOINT' }), // prettier-ignore
  );
  return cases;
}

function randomCases(): ConformanceCase[] {
  const rng = (what: string, state: bigint[], next: bigint[], bits: ReturnType<typeof tensor>) =>
    operatorCase('rng_bit_generator', what, [vector('uint64', state)], [vector('uint64', next), bits], { rng_algorithm: 'PHILOX', dtype: bits.dtype, shape: bits.shape }); // prettier-ignore
  // Known answers published with the algorithm (Random123, kat_vectors): counter and key all zero, and all ones.
  const zero = [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8];
  const ones = [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd];
  const all = 2n ** 64n - 1n;
  return [
    rng('key 0', [0n, 0n], [0n, 1n], vector('uint32', zero)),
    rng('key of ones', [all, all], [all, 0n], vector('uint32', ones)),
    rng('takes whole blocks', [0n, 0n], [0n, 1n], tensor('uint32', [3, 1], zero.slice(0, 3))),
    rng('64 bits, low word first', [0n, 0n], [0n, 1n], vector('uint64', [0xe169c58d6627e8d5n, 0x9b00dbd8bc57ac4cn])), // prettier-ignore
    rng('of nothing', [7n, 3n], [7n, 3n], tensor('uint32', [0], [])),
  ];
}

function controlCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  for (const predicate of [true, false]) {
    cases.push(
      graphCase('if', String(predicate), [scalar('bool', predicate), scalar('float32', 3)], (b, p, x) => b.if(p, () => [b.add(x, x), x], () => [b.negate(x), b.full(0, 'float32')]), [scalar('float32', predicate ? 6 : -3), scalar('float32', predicate ? 3 : 0)]), // prettier-ignore
    );
  }
  // Out of range, below or above, is the last branch.
  for (const [index, expected] of [
    [0, 10],
    [1, 20],
    [2, 30],
    [-1, 30],
    [99, 30],
  ]) {
    // prettier-ignore
    cases.push(graphCase('case', `branch ${index}`, [scalar('int32', index)], (b, i) => b.case(i, [10, 20, 30].map((value) => () => [b.full(value, 'int32')])), [scalar('int32', expected)])); // prettier-ignore
  }
  cases.push(
    graphCase(
      'while',
      'Fibonacci, values swapped',
      [scalar('int64', 10), scalar('int64', 0), scalar('int64', 1)],
      (b, n, p, q) =>
        b.while(
          [n, p, q],
          (r, i) => [r.compare(i, r.full(0, 'int64'), 'GT')],
          (r, i, x, y) => [r.subtract(i, r.full(1, 'int64')), y, r.add(x, y)],
        ),
      [scalar('int64', 0), scalar('int64', 55), scalar('int64', 89)],
    ),
    graphCase('while', 'never entered', [vector('float32', [1, 2])], (b, x) => b.while([x], (r) => [r.full(false, 'bool')], (r, y) => [r.add(y, y)]), [vector('float32', [1, 2])]), // prettier-ignore
    graphCase(
      'while',
      'with values from outside, a branch and a loop inside',
      [scalar('int32', 0), scalar('int32', 2)],
      (b, zero, step) => {
        const doubled = b.multiply(step, step);
        return b.while(
          [zero],
          (r, i) => [r.compare(i, r.full(9, 'int32'), 'LT')],
          (r, i) => {
            const [next] = r.if(
              r.compare(i, doubled, 'LT'),
              () => [r.add(i, step)],
              () => r.while([i], (s, j) => [s.compare(j, s.full(100, 'int32'), 'LT')], (s, j) => [s.multiply(j, doubled)]), // prettier-ignore
            );
            return [next];
          },
        );
      },
      [scalar('int32', 256)],
    ),
    graphCase('composite', 'runs its body', [vector('float32', [1, 2])], (b, x) => b.composite('example.twice_plus_one', [x], {}, (r, y) => [r.add(r.composite('example.twice', [y], {}, (s, z) => [s.add(z, z)])[0], r.fullLike(y, 1))]), [vector('float32', [3, 5])]), // prettier-ignore
  );
  return cases;
}

export function algorithmCases(): ConformanceCase[] {
  return [...sortCases(), ...fftCases(), ...linearAlgebraCases(), ...randomCases(), ...controlCases()];
}
