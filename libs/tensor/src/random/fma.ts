// x * y + z rounded once, in double precision: PyTorch's uniform fills are compiled to fused multiply-adds.

const double = new Float64Array(1);
const halves = new BigInt64Array(double.buffer);
const splitter = 2 ** 27 + 1;

/** Sum and its rounding error. */
function twoSum(a: number, b: number): [number, number] {
  const sum = a + b;
  const other = sum - a;
  return [sum, a - (sum - other) + (b - other)];
}

/** Product and its rounding error. */
function twoProduct(a: number, b: number): [number, number] {
  const product = a * b;
  const bigA = splitter * a;
  const highA = bigA - (bigA - a);
  const lowA = a - highA;
  const bigB = splitter * b;
  const highB = bigB - (bigB - b);
  const lowB = b - highB;
  return [product, lowA * lowB - (product - highA * highB - lowA * highB - highA * lowB)];
}

/** The sum rounded to odd: inexact sums get an odd last bit, so that a second rounding does no harm. */
function addToOdd(a: number, b: number): number {
  const [sum, rest] = twoSum(a, b);
  if (rest === 0) return sum;
  double[0] = sum;
  if ((halves[0] & 1n) === 0n) halves[0] += rest > 0 === sum > 0 ? 1n : -1n;
  return double[0];
}

/** Boldo and Melquiond, Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd (2008). */
export function fma(x: number, y: number, z: number): number {
  const [high, low] = twoProduct(x, y);
  const [sumHigh, sumLow] = twoSum(z, low);
  const [top, rest] = twoSum(high, sumHigh);
  return top + addToOdd(sumLow, rest);
}
