// Logarithm, sine and cosine in float32 as PyTorch's vectorised normal fill computes them: Cephes' polynomials (the public
// avx_mathfun), with the fused multiply-adds that its build makes of them. Used so that a seed gives the same bits.

const round = Math.fround;
/** x * y + z; the product of float32 numbers is exact in a double. */
const fused = (x: number, y: number, z: number): number => round(x * y + z);

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

const logTerms = [
  7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
  2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
].map(round);
const [logLow, logHigh] = [round(-2.1219444e-4), round(0.693359375)];
const rootOfHalf = round(Math.SQRT1_2);
const leastNormal = 2 ** -126;

/** The natural logarithm of a positive float32. */
export function logarithm(value: number): number {
  float[0] = Math.max(value, leastNormal);
  let exponent = (bits[0] >>> 23) - 0x7f + 1;
  bits[0] = (bits[0] & 0x007fffff) | 0x3f000000;
  let x = float[0];
  if (x < rootOfHalf) {
    exponent--;
    x = round(round(x - 1) + x);
  } else x = round(x - 1);
  const square = round(x * x);
  let y = logTerms[0];
  for (let index = 1; index < logTerms.length; index++) y = fused(y, x, logTerms[index]);
  y = round(y * x);
  y = fused(y, square, round(exponent * logLow));
  y = fused(-square, 0.5, y);
  return fused(exponent, logHigh, round(x + y));
}

const quarters = round(1.27323954473516);
const [step1, step2, step3] = [-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8].map(round);
const sineTerms = [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1].map(round);
const cosineTerms = [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2].map(round);

/** Sine and cosine of a float32 that is not negative. */
export function sineAndCosine(angle: number): [sine: number, cosine: number] {
  const octant = (Math.trunc(round(angle * quarters)) + 1) & ~1;
  const x = fused(octant, step3, fused(octant, step2, fused(octant, step1, angle)));
  const square = round(x * x);
  let even = fused(cosineTerms[0], square, cosineTerms[1]);
  even = fused(even, square, cosineTerms[2]);
  even = round(even * square);
  even = round(fused(even, square, -round(square * 0.5)) + 1);
  let odd = fused(sineTerms[0], square, sineTerms[1]);
  odd = fused(odd, square, sineTerms[2]);
  odd = round(odd * square);
  odd = fused(odd, x, x);
  const swapped = (octant & 2) !== 0;
  const sine = swapped ? even : odd;
  const cosine = swapped ? odd : even;
  const negateSine = (octant & 4) !== 0;
  const negateCosine = ((octant - 2) & 4) === 0;
  return [negateSine ? -sine : sine, negateCosine ? -cosine : cosine];
}
