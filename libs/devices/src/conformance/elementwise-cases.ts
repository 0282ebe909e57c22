// Elementwise operators: tables of points, run over every dtype of their kind.
import type { DType } from '@weft/ir';
import { dtypes } from '@weft/ir';
import type { ConformanceCase, Element } from './case.ts';
import {
  complexes,
  everything,
  floats,
  graphCase,
  integers,
  operatorCase,
  scalar,
  signedIntegers,
  tensor,
  unsignedIntegers,
  vector,
} from './case.ts';

const [inf, nan] = [Infinity, NaN];

/** Points (x, f(x)) of float functions, special values included. */
const unaryFloat: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  abs: [[-1.5, 1.5], [2, 2], [-inf, inf], [nan, nan]], // prettier-ignore
  negate: [[1.5, -1.5], [0, -0], [-0, 0], [inf, -inf], [nan, nan]], // prettier-ignore
  sign: [[-3, -1], [0.5, 1], [0, 0], [-0, -0], [-inf, -1], [nan, nan]], // prettier-ignore
  exponential: [[0, 1], [1, Math.E], [-1, 1 / Math.E], [-inf, 0], [inf, inf], [nan, nan]], // prettier-ignore
  exponential_minus_one: [[0, 0], [1, Math.E - 1], [-inf, -1], [inf, inf], [nan, nan]], // prettier-ignore
  log: [[1, 0], [2, Math.LN2], [0.5, -Math.LN2], [0, -inf], [inf, inf], [-1, nan]], // prettier-ignore
  log_plus_one: [[0, 0], [1, Math.LN2], [-0.5, -Math.LN2], [-1, -inf], [inf, inf], [-2, nan]], // prettier-ignore
  logistic: [[0, 0.5], [inf, 1], [-inf, 0], [1, Math.E / (1 + Math.E)], [nan, nan]], // prettier-ignore
  sqrt: [[4, 2], [2, Math.SQRT2], [0, 0], [-0, -0], [inf, inf], [-1, nan]], // prettier-ignore
  rsqrt: [[4, 0.5], [2, Math.SQRT1_2], [0, inf], [inf, 0], [-1, nan]], // prettier-ignore
  cbrt: [[8, 2], [-27, -3], [0, 0], [inf, inf], [nan, nan]], // prettier-ignore
  sine: [[0, 0], [-0, -0], [inf, nan], [1, 0.8414709848078965]], // prettier-ignore
  cosine: [[0, 1], [inf, nan], [1, 0.5403023058681398]], // prettier-ignore
  tan: [[0, 0], [1, 1.5574077246549023], [inf, nan]], // prettier-ignore
  tanh: [[0, 0], [0.5, (Math.E - 1) / (Math.E + 1)], [inf, 1], [-inf, -1], [nan, nan]], // prettier-ignore
  ceil: [[1.25, 2], [-1.25, -1], [2, 2], [-0.5, -0], [inf, inf], [nan, nan]], // prettier-ignore
  floor: [[1.25, 1], [-1.25, -2], [2, 2], [0.5, 0], [-inf, -inf], [nan, nan]], // prettier-ignore
  round_nearest_even: [[0.5, 0], [1.5, 2], [2.5, 2], [-0.5, -0], [-1.5, -2], [-2.5, -2], [1.25, 1], [1.75, 2], [inf, inf], [nan, nan]], // prettier-ignore
  round_nearest_afz: [[0.5, 1], [1.5, 2], [2.5, 3], [-0.5, -1], [-2.5, -3], [1.25, 1], [-0.25, -0], [inf, inf], [nan, nan]], // prettier-ignore
  erf: [[0, 0], [0.5, 0.5204998778130465], [1, 0.8427007929497149], [-2, -0.9953222650189527], [inf, 1], [-inf, -1], [nan, nan]], // prettier-ignore
  erfc: [[0, 1], [1, 0.15729920705028513], [-1, 1.8427007929497149], [2, 0.004677734981047266], [inf, 0], [-inf, 2]], // prettier-ignore
  erf_inv: [[0, 0], [0.5, 0.4769362762044699], [-0.5, -0.4769362762044699], [1, inf], [-1, -inf], [2, nan]], // prettier-ignore
  lgamma: [[1, 0], [2, 0], [0.5, Math.log(Math.PI) / 2], [5, Math.log(24)], [-0.5, Math.log(2 * Math.sqrt(Math.PI))], [0, inf], [-1, inf], [inf, inf]], // prettier-ignore
  digamma: [[1, -0.5772156649015329], [2, 1 - 0.5772156649015329], [0.5, -0.5772156649015329 - 2 * Math.LN2], [0, -inf], [-0, inf], [-1, nan]], // prettier-ignore
  acos: [[1, 0], [0, Math.PI / 2], [-1, Math.PI], [2, nan]], // prettier-ignore
  acosh: [[1, 0], [2, Math.log(2 + Math.sqrt(3))], [0.5, nan], [inf, inf]], // prettier-ignore
  asin: [[0, 0], [1, Math.PI / 2], [0.5, Math.PI / 6], [2, nan]], // prettier-ignore
  asinh: [[0, 0], [1, Math.log(1 + Math.SQRT2)], [-inf, -inf]], // prettier-ignore
  atan: [[0, 0], [1, Math.PI / 4], [inf, Math.PI / 2], [-inf, -Math.PI / 2]], // prettier-ignore
  atanh: [[0, 0], [0.5, Math.log(3) / 2], [1, inf], [-1, -inf], [2, nan]], // prettier-ignore
  sinh: [[0, 0], [1, (Math.E - 1 / Math.E) / 2], [-inf, -inf]], // prettier-ignore
  cosh: [[0, 1], [1, (Math.E + 1 / Math.E) / 2], [-inf, inf]], // prettier-ignore
  real: [[1.5, 1.5], [-0, -0]], // prettier-ignore
  imag: [[1.5, 0], [inf, 0]], // prettier-ignore
};
/** Their results are numbers of the dtype: compared bit for bit, except that all NaN are alike. */
const exact = new Set(['abs', 'negate', 'sign', 'ceil', 'floor', 'round_nearest_even', 'round_nearest_afz', 'sqrt', 'real']); // prettier-ignore

type Points = readonly (readonly [readonly number[], number])[];

const binaryFloat: Readonly<Record<string, Points>> = {
  add: [[[1.5, 2], 3.5], [[inf, -inf], nan], [[-0, 0], 0], [[nan, 1], nan]], // prettier-ignore
  subtract: [[[1.5, 2], -0.5], [[inf, inf], nan], [[0, 0], 0]], // prettier-ignore
  multiply: [[[1.5, -2], -3], [[0, inf], nan], [[-0, 2], -0]], // prettier-ignore
  divide: [[[3, 2], 1.5], [[1, 0], inf], [[-1, 0], -inf], [[0, 0], nan], [[1, inf], 0]], // prettier-ignore
  remainder: [[[5, 3], 2], [[-5, 3], -2], [[5, -3], 2], [[5, 0], nan], [[inf, 3], nan], [[2, inf], 2]], // prettier-ignore
  power: [[[2, 3], 8], [[4, 0.5], 2], [[2, -1], 0.5], [[0, 0], 1], [[nan, 0], 1], [[1, nan], 1], [[-1, inf], 1], [[-8, 0.5], nan], [[0, -1], inf]], // prettier-ignore
  maximum: [[[1, 2], 2], [[-1, -2], -1], [[nan, 1], nan], [[1, nan], nan], [[-0, 0], 0], [[inf, 5], inf]], // prettier-ignore
  minimum: [[[1, 2], 1], [[-1, -2], -2], [[nan, 1], nan], [[1, nan], nan], [[0, -0], -0], [[-inf, 5], -inf]], // prettier-ignore
  atan2: [[[1, 1], Math.PI / 4], [[0, -1], Math.PI], [[-0, -1], -Math.PI], [[-1, 0], -Math.PI / 2], [[0, 0], 0]], // prettier-ignore
};
const exactBinary = new Set(['add', 'subtract', 'multiply', 'divide', 'remainder', 'maximum', 'minimum']);

type IntegerPoints = (least: bigint, greatest: bigint, bits: number) => readonly (readonly bigint[])[];

/** Rows of operands and result, for any width; results are taken modulo it. */
const signedPoints: Readonly<Record<string, IntegerPoints>> = {
  abs: (least) => [[5n, 5n], [-5n, 5n], [0n, 0n], [least, least]], // prettier-ignore
  negate: (least) => [[5n, -5n], [least, least]], // prettier-ignore
  sign: (least, greatest) => [[least, -1n], [0n, 0n], [greatest, 1n]], // prettier-ignore
  not: (least, greatest) => [[0n, -1n], [least, greatest]], // prettier-ignore
  popcnt: (least, _, bits) => [[7n, 3n], [-1n, BigInt(bits)], [least, 1n], [0n, 0n]], // prettier-ignore
  count_leading_zeros: (least, _, bits) => [[0n, BigInt(bits)], [1n, BigInt(bits - 1)], [least, 0n]], // prettier-ignore
  add: (least, greatest) => [[3n, 4n, 7n], [greatest, 1n, least], [-3n, 3n, 0n]], // prettier-ignore
  subtract: (least, greatest) => [[3n, 4n, -1n], [least, 1n, greatest]], // prettier-ignore
  multiply: (least) => [[3n, -4n, -12n], [least, 2n, 0n], [least, -1n, least]], // prettier-ignore
  divide: () => [[7n, 2n, 3n], [-7n, 2n, -3n], [7n, -2n, -3n], [-7n, -2n, 3n]], // prettier-ignore
  remainder: () => [[7n, 3n, 1n], [-7n, 3n, -1n], [7n, -3n, 1n]], // prettier-ignore
  power: () => [[3n, 4n, 81n], [2n, 0n, 1n], [-1n, 3n, -1n], [2n, -1n, 0n], [1n, -5n, 1n], [-1n, -3n, -1n]], // prettier-ignore
  maximum: (least, greatest) => [[least, greatest, greatest], [-1n, -2n, -1n]], // prettier-ignore
  minimum: (least, greatest) => [[least, greatest, least], [-1n, -2n, -2n]], // prettier-ignore
  and: () => [[6n, 3n, 2n], [-1n, 5n, 5n]], // prettier-ignore
  or: () => [[6n, 3n, 7n], [-1n, 5n, -1n]], // prettier-ignore
  xor: () => [[6n, 3n, 5n], [-1n, 5n, -6n]], // prettier-ignore
  shift_left: (least, _, bits) => [[3n, 2n, 12n], [1n, BigInt(bits - 1), least], [1n, BigInt(bits), 0n]], // prettier-ignore
  shift_right_arithmetic: (least, _, bits) => [[12n, 2n, 3n], [-8n, 1n, -4n], [least, BigInt(bits), -1n]], // prettier-ignore
  shift_right_logical: (least, greatest, bits) => [[12n, 2n, 3n], [-1n, 1n, greatest], [least, BigInt(bits), 0n]], // prettier-ignore
};
const unsignedPoints: Readonly<Record<string, IntegerPoints>> = {
  not: (_, greatest) => [[0n, greatest], [greatest, 0n]], // prettier-ignore
  popcnt: (_, greatest, bits) => [[greatest, BigInt(bits)], [5n, 2n]], // prettier-ignore
  count_leading_zeros: (_, greatest, bits) => [[greatest, 0n], [0n, BigInt(bits)]], // prettier-ignore
  add: (_, greatest) => [[3n, 4n, 7n], [greatest, 1n, 0n]], // prettier-ignore
  subtract: (_, greatest) => [[4n, 3n, 1n], [0n, 1n, greatest]], // prettier-ignore
  multiply: (_, greatest) => [[3n, 4n, 12n], [greatest, greatest, 1n]], // prettier-ignore
  divide: (_, greatest) => [[7n, 2n, 3n], [greatest, 2n, greatest / 2n]], // prettier-ignore
  remainder: (_, greatest) => [[7n, 3n, 1n], [greatest, 2n, 1n]], // prettier-ignore
  power: () => [[3n, 4n, 81n], [0n, 0n, 1n]], // prettier-ignore
  maximum: (_, greatest) => [[greatest, 1n, greatest]], // prettier-ignore
  minimum: (_, greatest) => [[greatest, 1n, 1n]], // prettier-ignore
  and: () => [[6n, 3n, 2n]], // prettier-ignore
  or: () => [[6n, 3n, 7n]], // prettier-ignore
  xor: () => [[6n, 3n, 5n]], // prettier-ignore
  shift_left: (_, greatest) => [[3n, 2n, 12n], [greatest, 1n, greatest - 1n]], // prettier-ignore
  shift_right_arithmetic: (_, greatest) => [[12n, 2n, 3n], [greatest, 1n, greatest]], // prettier-ignore
  shift_right_logical: (_, greatest) => [[12n, 2n, 3n], [greatest, 1n, greatest / 2n]], // prettier-ignore
};

const boolPoints: Readonly<Record<string, readonly (readonly number[])[]>> = {
  not: [[0, 1], [1, 0]], // prettier-ignore
  and: [[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 1]], // prettier-ignore
  or: [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]], // prettier-ignore
  xor: [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], // prettier-ignore
  add: [[0, 0, 0], [0, 1, 1], [1, 1, 1]], // prettier-ignore
  multiply: [[0, 1, 0], [1, 1, 1]], // prettier-ignore
  maximum: [[0, 1, 1], [0, 0, 0]], // prettier-ignore
  minimum: [[0, 1, 0], [1, 1, 1]], // prettier-ignore
};

type Pair = readonly [number, number];
const half = Math.SQRT1_2;
const complexPoints: Readonly<Record<string, readonly (readonly Pair[])[]>> = {
  add: [[[1, 2], [3, -1], [4, 1]]], // prettier-ignore
  subtract: [[[1, 2], [3, -1], [-2, 3]]], // prettier-ignore
  multiply: [[[1, 2], [3, -1], [5, 5]], [[0, 1], [0, 1], [-1, 0]]], // prettier-ignore
  divide: [[[5, 5], [1, 2], [3, -1]], [[1, 0], [0, 2], [0, -0.5]]], // prettier-ignore
  power: [[[0, 1], [2, 0], [-1, 0]], [[2, 0], [3, 0], [8, 0]]], // prettier-ignore
  negate: [[[1, -2], [-1, 2]]], // prettier-ignore
  sign: [[[3, 4], [0.6, 0.8]], [[0, 0], [0, 0]]], // prettier-ignore
  exponential: [[[0, 0], [1, 0]], [[0, Math.PI / 2], [0, 1]], [[1, Math.PI], [-Math.E, 0]]], // prettier-ignore
  exponential_minus_one: [[[0, 0], [0, 0]], [[0, Math.PI], [-2, 0]]], // prettier-ignore
  log: [[[1, 0], [0, 0]], [[0, 1], [0, Math.PI / 2]], [[-1, 0], [0, Math.PI]]], // prettier-ignore
  log_plus_one: [[[0, 0], [0, 0]], [[-1, 1], [0, Math.PI / 2]]], // prettier-ignore
  logistic: [[[0, 0], [0.5, 0]], [[0, Math.PI / 2], [0.5, 0.5]]], // prettier-ignore
  sqrt: [[[-4, 0], [0, 2]], [[0, 2], [1, 1]], [[3, 4], [2, 1]]], // prettier-ignore
  rsqrt: [[[4, 0], [0.5, 0]], [[0, 2], [0.5, -0.5]]], // prettier-ignore
  cbrt: [[[8, 0], [2, 0]], [[0, 1], [Math.sqrt(3) / 2, 0.5]]], // prettier-ignore
  sine: [[[0, 0], [0, 0]], [[0, 1], [0, Math.sinh(1)]]], // prettier-ignore
  cosine: [[[0, 0], [1, 0]], [[0, 1], [Math.cosh(1), 0]]], // prettier-ignore
  tan: [[[0, 0], [0, 0]], [[0, 1], [0, Math.tanh(1)]]], // prettier-ignore
  tanh: [[[0, Math.PI / 4], [0, 1]], [[1, 0], [Math.tanh(1), 0]]], // prettier-ignore
  sinh: [[[0, Math.PI / 2], [0, 1]]], // prettier-ignore
  cosh: [[[0, Math.PI], [-1, 0]]], // prettier-ignore
  asin: [[[0.5, 0], [Math.PI / 6, 0]], [[0, 1], [0, Math.log(1 + Math.SQRT2)]]], // prettier-ignore
  acos: [[[0.5, 0], [Math.PI / 3, 0]], [[0, 1], [Math.PI / 2, -Math.log(1 + Math.SQRT2)]]], // prettier-ignore
  atan: [[[1, 0], [Math.PI / 4, 0]], [[0, 0.5], [0, Math.log(3) / 2]]], // prettier-ignore
  asinh: [[[1, 0], [Math.log(1 + Math.SQRT2), 0]], [[0, 0.5], [0, Math.PI / 6]], [[-1, 0], [-Math.log(1 + Math.SQRT2), 0]]], // prettier-ignore
  acosh: [[[2, 0], [Math.log(2 + Math.sqrt(3)), 0]], [[0, 1], [Math.log(1 + Math.SQRT2), Math.PI / 2]]], // prettier-ignore
  atanh: [[[0.5, 0], [Math.log(3) / 2, 0]], [[0, 1], [0, Math.PI / 4]]], // prettier-ignore
  atan2: [[[half, 0], [half, 0], [Math.PI / 4, 0]]], // prettier-ignore
};

const boundsOf = (dtype: DType): [bigint, bigint, number] => {
  const bits = dtypes[dtype].bytes * 8;
  return dtypes[dtype].category === 'uint'
    ? [0n, 2n ** BigInt(bits) - 1n, bits]
    : [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n, bits];
};

/** A case from rows of operands and result: column by column. */
function tableCase<E extends Element>(
  operator: string,
  dtype: DType,
  rows: readonly (readonly E[])[],
  tolerance?: number,
): ConformanceCase {
  const columns = rows[0].map((_, column) => vector(dtype, rows.map((row) => row[column]))); // prettier-ignore
  return operatorCase(operator, dtype, columns.slice(0, -1), columns.slice(-1), {}, [], tolerance);
}

/** Points whose operands and exact result the dtype holds, so that rounding of operands is not what is tested. */
function floatCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  for (const dtype of floats) {
    for (const [operator, points] of Object.entries(unaryFloat)) {
      cases.push(tableCase(operator, dtype, points, exact.has(operator) && operator !== 'sqrt' ? 0 : undefined)); // prettier-ignore
    }
    for (const [operator, points] of Object.entries(binaryFloat)) {
      const rows = points.map(([operands, result]) => [...operands, result]);
      cases.push(tableCase(operator, dtype, rows, exactBinary.has(operator) ? 0 : undefined));
    }
  }
  return cases;
}

function comparisonCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  const table: Readonly<Record<string, readonly number[]>> = {
    // of (1, 2), (2, 1), (2, 2)
    EQ: [0, 0, 1],
    NE: [1, 1, 0],
    LT: [1, 0, 0],
    LE: [1, 0, 1],
    GT: [0, 1, 0],
    GE: [0, 1, 1],
  };
  for (const [direction, results] of Object.entries(table)) {
    for (const dtype of [...floats, ...integers]) {
      const isFloat = floats.includes(dtype);
      // Nothing is ordered with NaN, and nothing equals it; the zeros are equal.
      const [x, y] = isFloat ? [[1, 2, 2, nan, 0], [2, 1, 2, nan, -0]] : [[1, 2, 2], [2, 1, 2]]; // prettier-ignore
      const expected = isFloat ? [...results, direction === 'NE' ? 1 : 0, results[2]] : results;
      cases.push(
        operatorCase('compare', `${direction} ${dtype}`, [vector(dtype, x), vector(dtype, y)], [vector('bool', expected.map(Boolean))], { comparison_direction: direction }), // prettier-ignore
      );
    }
  }
  for (const dtype of complexes) {
    const operands = [vector(dtype, [[1, 2], [1, 2]]), vector(dtype, [[1, 2], [1, 3]])]; // prettier-ignore
    cases.push(operatorCase('compare', `EQ ${dtype}`, operands, [vector('bool', [true, false])], { comparison_direction: 'EQ' })); // prettier-ignore
    cases.push(operatorCase('compare', `NE ${dtype}`, operands, [vector('bool', [false, true])], { comparison_direction: 'NE' })); // prettier-ignore
  }
  // The sign bit of unsigned numbers is no sign; 64-bit integers that a double cannot tell apart differ.
  cases.push(
    operatorCase('compare', 'LT uint64 large', [vector('uint64', [2n ** 63n, 1n]), vector('uint64', [1n, 2n ** 63n])], [vector('bool', [false, true])], { comparison_direction: 'LT' }), // prettier-ignore
    operatorCase('compare', 'EQ int64 beyond 2^53', [vector('int64', [2n ** 53n])], [vector('bool', [false])], { comparison_direction: 'EQ' }), // prettier-ignore
  );
  const last = cases.pop()!;
  cases.push({ ...last, inputs: [vector('int64', [2n ** 53n]), vector('int64', [2n ** 53n + 1n])] });
  return cases;
}

function choiceCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  for (const dtype of everything) {
    const [a, b, c] = [1, 0, 1].map((value): Element => (dtype === 'bool' ? value === 1 : value));
    const yes = vector(dtype, [a, b, c]);
    const no = vector(dtype, [b, a, b]);
    const picked = vector(dtype, [a, a, c]);
    cases.push(
      operatorCase('select', `${dtype}`, [vector('bool', [true, false, true]), yes, no], [picked]),
      operatorCase('select', `${dtype} by a scalar`, [scalar('bool', false), yes, no], [no]),
    );
  }
  for (const dtype of [...floats, ...integers]) {
    const x = vector(dtype, [0, 3, 9]);
    cases.push(
      operatorCase('clamp', `${dtype} between scalars`, [scalar(dtype, 1), x, scalar(dtype, 5)], [vector(dtype, [1, 3, 5])]), // prettier-ignore
      operatorCase('clamp', `${dtype} elementwise`, [vector(dtype, [1, 4, 0]), x, vector(dtype, [2, 5, 8])], [vector(dtype, [1, 4, 8])]), // prettier-ignore
    );
  }
  for (const dtype of floats) {
    cases.push(
      operatorCase('clamp', `${dtype} NaN`, [scalar(dtype, 0), vector(dtype, [nan, -inf, inf]), scalar(dtype, 1)], [vector(dtype, [nan, 0, 1])]), // prettier-ignore
      operatorCase('is_finite', dtype, [vector(dtype, [1, inf, -inf, nan, 0])], [vector('bool', [true, false, false, false, true])]), // prettier-ignore
    );
  }
  return cases;
}

function convert(from: DType, to: DType, elements: readonly Element[], expected: readonly Element[]) {
  return operatorCase('convert', `${from} to ${to}`, [vector(from, elements)], [vector(to, expected)], { dtype: to }); // prettier-ignore
}

function conversionCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  const plain = everything.filter((dtype) => dtype !== 'bool');
  for (const from of plain) {
    for (const to of plain) if (from !== to) cases.push(convert(from, to, [0, 1, 100], [0, 1, 100]));
    cases.push(convert(from, 'bool', [0, 1, 100], [false, true, true]));
    cases.push(convert('bool', from, [false, true], [0, 1]));
  }
  for (const from of floats) {
    for (const to of signedIntegers) cases.push(convert(from, to, [1.75, -1.75, -0.5], [1, -1, 0]));
    cases.push(convert(from, 'bool', [0.25, -0, nan], [true, false, true]));
  }
  cases.push(
    convert('int32', 'int8', [300, -129, 128], [44, 127, -128]),
    convert('int64', 'uint8', [-1n, 256n, 2n ** 40n + 7n], [255, 0, 7]),
    convert('int32', 'uint64', [-1], [2n ** 64n - 1n]),
    convert('uint32', 'int32', [2 ** 32 - 1], [-1]),
    convert('int64', 'float64', [2n ** 53n + 1n], [2 ** 53]),
    // One rounding, to nearest even: 2^60 + 2^36 is half way between two float32, and the last bit decides.
    convert('int64', 'float32', [2n ** 60n + 2n ** 36n, 2n ** 60n + 2n ** 36n + 1n], [2 ** 60, 2 ** 60 + 2 ** 37]), // prettier-ignore
    convert('float64', 'int64', [2 ** 62, -(2 ** 62)], [2n ** 62n, -(2n ** 62n)]),
    convert('float32', 'float16', [65504, 65520, 2 ** -24, 2 ** -25, 1 + 2 ** -11], [65504, inf, 2 ** -24, 0, 1]), // prettier-ignore
    convert('float32', 'bfloat16', [1 + 2 ** -8, 1 + 2 ** -8 + 2 ** -10, nan], [1, 1 + 2 ** -7, nan]),
    convert('float64', 'float32', [1e300, 0.1], [inf, Math.fround(0.1)]),
    convert('complex64', 'float32', [[1.5, 2]], [1.5]),
    convert('complex64', 'bool', [[0, 2], [0, 0]], [true, false]), // prettier-ignore
    convert('float16', 'complex128', [1.5], [[1.5, 0]]),
  );
  return cases;
}

function otherCases(): ConformanceCase[] {
  const bitcast = (from: DType, to: DType, input: ReturnType<typeof tensor>, expected: typeof input) =>
    operatorCase('bitcast_convert', `${from} to ${to}`, [input], [expected], { dtype: to });
  const precision = (exponent: number, mantissa: number, x: number[], y: number[]) =>
    operatorCase('reduce_precision', `to e${exponent}m${mantissa}`, [vector('float32', x)], [vector('float32', y)], { exponent_bits: exponent, mantissa_bits: mantissa }, [], 0); // prettier-ignore
  const cases = [
    bitcast('float32', 'int32', vector('float32', [1, -2]), vector('int32', [0x3f800000, -0x40000000])),
    bitcast('int64', 'float64', vector('int64', [0x3ff0000000000000n]), vector('float64', [1])),
    bitcast('uint32', 'uint8', vector('uint32', [0x04030201]), tensor('uint8', [1, 4], [1, 2, 3, 4])),
    bitcast('uint8', 'uint16', tensor('uint8', [2, 2], [1, 2, 255, 0]), vector('uint16', [0x0201, 255])),
    bitcast('float16', 'uint16', vector('float16', [1]), vector('uint16', [0x3c00])),
    precision(5, 10, [1 + 2 ** -11, 1 + 3 * 2 ** -11, 65520, nan, -inf], [1, 1 + 2 ** -9, inf, nan, -inf]),
    precision(8, 7, [1 + 2 ** -8, 1 + 3 * 2 ** -8], [1, 1 + 2 ** -6]),
  ];
  for (const dtype of complexes) {
    const part = dtype === 'complex64' ? 'float32' : 'float64';
    const z = vector(dtype, [[3, 4], [-1, 0]]); // prettier-ignore
    cases.push(
      operatorCase('real', dtype, [z], [vector(part, [3, -1])]),
      operatorCase('imag', dtype, [z], [vector(part, [4, 0])]),
      operatorCase('abs', dtype, [z], [vector(part, [5, 1])]),
      operatorCase('complex', dtype, [vector(part, [3, -1]), vector(part, [4, 0])], [z]),
    );
  }
  return cases;
}

/** Shapes: scalars, nothing at all, many dimensions, several operators in a row on broadcasts. */
function shapeCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  for (const shape of [[], [0], [2, 0, 3], [1, 1], [2, 3, 2], [70000]]) {
    cases.push(
      operatorCase('add', `float32 [${shape.join(', ')}]`, [tensor('float32', shape, [1.5]), tensor('float32', shape, [2])], [tensor('float32', shape, [3.5])]), // prettier-ignore
    );
  }
  cases.push(
    graphCase(
      'add',
      'of rows, columns and scalars broadcast',
      [vector('float32', [1, 2, 3]), vector('float32', [10, 20]), scalar('float32', 100)],
      (b, row, column, one) => {
        const sum = b.add(b.broadcastInDim(row, [2, 3], [1]), b.broadcastInDim(column, [2, 3], [0]));
        return [b.multiply(b.add(sum, b.broadcastTo(one, [2, 3])), b.full(2, 'float32', [2, 3])), sum];
      },
      [
        tensor('float32', [2, 3], [222, 224, 226, 242, 244, 246]),
        tensor('float32', [2, 3], [11, 12, 13, 21, 22, 23]),
      ],
    ),
    graphCase(
      'multiply',
      'float16 rounds after every operator',
      [scalar('float16', 2049), scalar('float16', 1)],
      (b, x, one) => [b.subtract(b.add(x, one), x)],
      // 2049 is not a float16 (2048 is); 2048 + 1 rounds to 2048 again.
      [scalar('float16', 0)],
    ),
  );
  return cases;
}

export function elementwiseCases(): ConformanceCase[] {
  const cases = floatCases();
  for (const [dtypeList, table] of [
    [signedIntegers, signedPoints],
    [unsignedIntegers, unsignedPoints],
  ] as const) {
    for (const dtype of dtypeList) {
      for (const [operator, points] of Object.entries(table)) {
        cases.push(tableCase(operator, dtype, points(...boundsOf(dtype))));
      }
    }
  }
  for (const [operator, rows] of Object.entries(boolPoints)) {
    cases.push(tableCase(operator, 'bool', rows.map((row) => row.map(Boolean)))); // prettier-ignore
  }
  for (const dtype of complexes) {
    for (const [operator, rows] of Object.entries(complexPoints))
      cases.push(tableCase(operator, dtype, rows));
  }
  cases.push(...comparisonCases(), ...choiceCases(), ...conversionCases(), ...otherCases(), ...shapeCases());
  return cases;
}
