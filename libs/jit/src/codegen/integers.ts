// 64-bit integers in generated code: a JavaScript number where it is exact, a bigint beyond (never both for one value). The
// interpreter's bigints are exact everywhere and slow; these give the same results.
import { wrap } from '@weft/ops';
import { floorDivide, floorModulo } from '@weft/ops';

/** An integer: a safe number, or a bigint outside of the safe range. */
export type Integer = number | bigint;

const largest = Number.MAX_SAFE_INTEGER;

/** The value as the interpreter holds it. */
export const widen = (value: Integer): bigint => (typeof value === 'number' ? BigInt(value) : value);

export function narrow(value: bigint): Integer {
  const number = Number(value);
  return number <= largest && number >= -largest ? number : value;
}

const slow = (a: Integer, b: Integer, compute: (a: bigint, b: bigint) => bigint): Integer =>
  narrow(wrap(compute(widen(a), widen(b))));

export function addIntegers(a: Integer, b: Integer): Integer {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (sum <= largest && sum >= -largest) return sum;
  }
  return slow(a, b, (x, y) => x + y);
}

export function subtractIntegers(a: Integer, b: Integer): Integer {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b;
    if (difference <= largest && difference >= -largest) return difference;
  }
  return slow(a, b, (x, y) => x - y);
}

export function multiplyIntegers(a: Integer, b: Integer): Integer {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b;
    // Adding zero turns -0, which no integer is, into 0.
    if (product <= largest && product >= -largest) return product + 0;
  }
  return slow(a, b, (x, y) => x * y);
}

/** The remainder of a floor division; the sign is the divisor's. */
export function moduloIntegers(a: Integer, b: Integer): Integer {
  if (typeof a === 'number' && typeof b === 'number' && b !== 0) {
    const rest = a % b;
    return (rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest) + 0;
  }
  return slow(a, b, floorModulo);
}

export function divideIntegers(a: Integer, b: Integer): Integer {
  if (typeof a === 'number' && typeof b === 'number' && b !== 0) {
    const rest = a % b;
    // What is left after the remainder divides without rounding, and stays in the exact range.
    const quotient = (a - rest) / b;
    return (rest !== 0 && rest < 0 !== b < 0 ? quotient - 1 : quotient) + 0;
  }
  return slow(a, b, floorDivide);
}

export const negateInteger = (a: Integer): Integer => (typeof a === 'number' ? 0 - a : narrow(wrap(-a)));
