// Samples drawn by rejection, one number after the other, as PyTorch's CPU kernels draw them: the same numbers from the same
// generator. Steps that PyTorch takes in the dtype of the parameters are rounded to it (`round`).
import { lgamma } from '@weft/ops';
import type { Generator } from './generator.ts';

export type Round = (value: number) => number;

/** Hörmann's transformed rejection (1993) for rates of 10 and more, else a product of uniform numbers. */
export function samplePoisson(g: Generator, rate: number): number {
  if (rate === 0) return 0;
  if (rate < 10) {
    const limit = Math.exp(-rate);
    for (let count = 0, product = 1; ; count++) {
      product *= g.uniform64();
      if (!(product > limit)) return count;
    }
  }
  const b = 0.931 + 2.53 * Math.sqrt(rate);
  const a = -0.059 + 0.02483 * b;
  const inverseAlpha = 1.1239 + 1.1328 / (b - 3.4);
  const quick = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const u = g.uniform64() - 0.5;
    const v = g.uniform64();
    const edge = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / edge + b) * u + rate + 0.43);
    if (edge >= 0.07 && v <= quick) return k;
    if (k < 0 || (edge < 0.013 && v > edge)) continue;
    const left = Math.log(v) + Math.log(inverseAlpha) - Math.log(a / (edge * edge) + b);
    if (left <= -rate + k * Math.log(rate) - lgamma(k + 1)) return k;
  }
}

/** Marsaglia and Tsang (2000). */
export function sampleGamma(g: Generator, shape: number, round: Round): number {
  if (shape === 0) return 0;
  const isLow = shape < 1;
  const scale = isLow ? Math.pow(1 - g.uniform64(), round(1 / shape)) : 1;
  const d = round((isLow ? round(shape + 1) : shape) - round(1 / 3));
  const c = 1 / Math.sqrt(round(9 * d));
  for (;;) {
    let [x, y] = [0, 0];
    do {
      x = g.normal64();
      y = 1 + c * x;
    } while (y <= 0);
    const v = y * y * y;
    const u = 1 - g.uniform64();
    const square = x * x;
    if (u < 1 - Math.fround(0.0331) * square * square) return scale * d * v;
    if (Math.log(u) < 0.5 * square + d * (1 - v + Math.log(v))) return scale * d * v;
  }
}

/** Steps of geometric length until the trials are used up. */
function byWaiting(g: Generator, count: number, p: number, round: Round): number {
  const log = round(Math.log1p(-p));
  for (let successes = 0, trials = 0; ; successes++) {
    trials += Math.ceil(Math.log(g.uniform64()) / log);
    if (trials > count) return successes;
  }
}

const tails = [
  0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
  0.0138761288230707, 0.0118967099458917, 0.010411265261972, 0.00925546218271273, 0.00833056343336287,
];
/** The rest of Stirling's formula for log k!. */
function stirlingTail(k: number): number {
  if (k <= 9) return tails[k];
  const square = (k + 1) ** 2;
  return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1);
}

/** Hörmann's transformed rejection (1993). */
function byRejection(g: Generator, count: number, p: number, round: Round): number {
  const deviation = round(Math.sqrt(round(round(count * p) * round(1 - p))));
  const b = 1.15 + 2.53 * deviation;
  const a = -0.0873 + 0.0248 * b + 0.01 * p;
  const c = round(count * p) + 0.5;
  const quick = 0.92 - 4.2 / b;
  const odds = round(p / round(1 - p));
  const alpha = (2.83 + 5.1 / b) * deviation;
  const mode = Math.floor(round(round(count + 1) * p));
  for (;;) {
    const u = g.uniform64() - 0.5;
    const v = g.uniform64();
    const edge = 0.5 - Math.abs(u);
    const k = round(Math.floor(((2 * a) / edge + b) * u + c));
    if (k < 0 || k > count) continue;
    if (edge >= 0.07 && v <= quick) return k;
    const left = Math.log((v * alpha) / (a / (edge * edge) + b));
    const bound =
      (mode + 0.5) * Math.log((mode + 1) / (odds * (count - mode + 1))) +
      (count + 1) * Math.log((count - mode + 1) / (count - k + 1)) +
      (k + 0.5) * Math.log((odds * (count - k + 1)) / (k + 1)) +
      stirlingTail(mode) +
      stirlingTail(count - mode) -
      stirlingTail(k) -
      stirlingTail(count - k);
    if (left <= bound) return k;
  }
}

/** How many of `count` trials succeed. NaN for parameters that are none (where PyTorch does not return for a count). */
export function sampleBinomial(g: Generator, count: number, p: number, round: Round): number {
  if (Number.isNaN(count) || Number.isNaN(p)) return NaN;
  if (count <= 0 || p <= 0) return 0;
  if (p >= 1) return count;
  const isTurned = p > 0.5;
  const rarer = isTurned ? round(1 - p) : p;
  const draw = round(count * rarer) >= 10 ? byRejection : byWaiting;
  const found = draw(g, count, rarer, round);
  return isTurned ? count - found : found;
}
