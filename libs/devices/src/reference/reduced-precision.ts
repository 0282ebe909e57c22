// reduce_precision: rounding to a float format of fewer exponent and mantissa bits, held in the wider dtype.
import type { NamedFunction } from './scalar-functions.ts';

const known = new Map<string, NamedFunction>();

/** The function that rounds to nearest even in the format; too large becomes infinity, subnormals become zero. */
export function reducedPrecision(exponentBits: number, mantissaBits: number): NamedFunction {
  const name = `reduce_precision_${exponentBits}_${mantissaBits}`;
  let fn = known.get(name);
  if (fn === undefined) {
    const bias = 2 ** (exponentBits - 1) - 1;
    const largest = 2 ** Math.min(bias, 1023) * (2 - 2 ** -mantissaBits);
    const leastNormal = 2 ** Math.max(1 - bias, -1022);
    const call = (x: number): number => {
      if (!Number.isFinite(x) || x === 0) return x;
      const magnitude = Math.abs(x);
      const unit = 2 ** (exponentOf(magnitude) - mantissaBits);
      const scaled = magnitude / unit;
      const floor = Math.floor(scaled);
      const rest = scaled - floor;
      const rounded = (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor) * unit;
      const result = rounded > largest ? Infinity : rounded < leastNormal ? 0 : rounded;
      return x < 0 ? -result : result;
    };
    known.set(name, (fn = { name, call }));
  }
  return fn;
}

const word = new Float64Array(1);
const halves = new Uint32Array(word.buffer);
/** The exponent of a positive number: 2^e <= x < 2^(e+1), at least that of the smallest normal. */
function exponentOf(x: number): number {
  word[0] = x;
  return Math.max((halves[1] >>> 20) - 1023, -1022);
}
