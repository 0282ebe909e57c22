// Special functions of doubles that JavaScript lacks, to within a few units in the last place.

/** The error function: its Taylor series near zero, the continued fraction of erfc beyond. */
export function erf(x: number): number {
  if (Number.isNaN(x)) return NaN;
  const magnitude = Math.abs(x);
  if (magnitude > 2.5) return Math.sign(x) * (1 - erfcTail(magnitude));
  // erf(x) = 2/sqrt(pi) e^(-x²) Σ 2^n x^(2n+1) / (2n+1)!!, whose terms are all of one sign.
  let term = x;
  let sum = x;
  for (let n = 1; n < 200 && Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

export function erfc(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (x < 0) return 2 - erfc(-x);
  return x < 1.5 ? 1 - erf(x) : erfcTail(x);
}

/** erfc for x ≥ 1.5 by its continued fraction (Abramowitz and Stegun 7.1.14), evaluated from the far end. */
function erfcTail(x: number): number {
  if (x > 27.3) return 0;
  let fraction = x;
  for (let n = 150; n >= 1; n--) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / fraction;
}

const lanczos = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

function lanczosSum(x: number): number {
  let sum = lanczos[0];
  for (let i = 1; i < lanczos.length; i++) sum += lanczos[i] / (x + i);
  return sum;
}

/** Logarithm of the absolute value of the gamma function (Lanczos, g = 7). */
export function lgamma(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (!Number.isFinite(x)) return Infinity;
  if (x <= 0 && Number.isInteger(x)) return Infinity;
  if (x === 1 || x === 2) return 0;
  // Γ(x) is about 1/x near 0.
  if (Math.abs(x) < 1e-20) return -Math.log(Math.abs(x));
  if (x < 0.5) return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * x))) - lgamma(1 - x);
  const t = x - 1 + 7.5;
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(lanczosSum(x - 1));
}

export function gamma(x: number): number {
  if (Number.isNaN(x) || x === -Infinity) return NaN;
  if (x === Infinity) return Infinity;
  if (x === 0) return 1 / x;
  if (Number.isInteger(x)) {
    if (x < 0) return NaN;
    if (x < 171.5) {
      let product = 1;
      for (let n = 2; n < x; n++) product *= n;
      return product;
    }
    return Infinity;
  }
  if (x < 0.5) return Math.PI / (Math.sin(Math.PI * x) * gamma(1 - x));
  if (x > 171.7) return Infinity;
  const t = x - 1 + 7.5;
  // The power is taken in two halves, since the whole overflows before the result does.
  const half = Math.pow(t, (x - 0.5) / 2);
  return Math.sqrt(2 * Math.PI) * half * Math.exp(-t) * half * lanczosSum(x - 1);
}

/** Rounds half to even. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (!(rest === 0.5)) return rest === 0 ? x : Math.round(x);
  const even = floor % 2 === 0 ? floor : floor + 1;
  return even === 0 && x < 0 ? -0 : even;
}

/** IEEE remainder: x − n·y, n being x/y rounded half to even. */
export function ieeeRemainder(x: number, y: number): number {
  if (!Number.isFinite(x) || y === 0 || Number.isNaN(y)) return NaN;
  if (!Number.isFinite(y)) return x;
  const divisor = Math.abs(y);
  // Reduced first, so that what follows is exact.
  const rest = Math.abs(x) % divisor;
  const twice = rest * 2;
  const quotientIsOdd = Math.abs(x) % (2 * divisor) >= divisor;
  const reduced = twice > divisor || (twice === divisor && quotientIsOdd) ? rest - divisor : rest;
  return Object.is(x, -0) || x < 0 ? -reduced : reduced;
}

/** Mantissa in [0.5, 1) and exponent with x = mantissa · 2^exponent. */
export function frexp(x: number): [number, number] {
  if (x === 0 || !Number.isFinite(x)) return [x, 0];
  let exponent = Math.max(-1023, Math.floor(Math.log2(Math.abs(x))) + 1);
  let mantissa = x * 2 ** -exponent;
  while (Math.abs(mantissa) < 0.5) {
    mantissa *= 2;
    exponent--;
  }
  while (Math.abs(mantissa) >= 1) {
    mantissa /= 2;
    exponent++;
  }
  return [mantissa, exponent];
}

/** x · 2^exponent without overflow on the way. */
export function ldexp(x: number, exponent: number): number {
  let result = x;
  let left = Math.max(-2200, Math.min(2200, exponent));
  while (left !== 0) {
    const step = Math.max(-1000, Math.min(1000, left));
    result *= 2 ** step;
    left -= step;
  }
  return result;
}
