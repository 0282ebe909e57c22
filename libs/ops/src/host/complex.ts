// Complex arithmetic and functions, as PyTorch's c10::complex<double> has them: real operands count as reals (their
// imaginary part is not +0), and functions of infinities and NaN follow annex G of the C standard.
import { Complex } from '@weft/ir';

type Operand = number | Complex;

const complex = (re: number, im: number): Complex => new Complex(re, im);

export function addComplex(a: Operand, b: Operand): Complex {
  if (typeof a === 'number') return complex(a + (b as Complex).re, (b as Complex).im);
  return typeof b === 'number' ? complex(a.re + b, a.im) : complex(a.re + b.re, a.im + b.im);
}
export function subtractComplex(a: Operand, b: Operand): Complex {
  if (typeof a === 'number') return complex(a - (b as Complex).re, -(b as Complex).im);
  return typeof b === 'number' ? complex(a.re - b, a.im) : complex(a.re - b.re, a.im - b.im);
}
export function multiplyComplex(a: Operand, b: Operand): Complex {
  if (typeof a === 'number') return complex(a * (b as Complex).re, a * (b as Complex).im);
  if (typeof b === 'number') return complex(a.re * b, a.im * b);
  return complex(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);
}

export function divideComplex(a: Operand, b: Operand): Complex {
  if (typeof b === 'number') return complex((a as Complex).re / b, (a as Complex).im / b);
  const { re, im } = typeof a === 'number' ? complex(a, 0) : a;
  const size = b.re * b.re + b.im * b.im;
  return complex((re * b.re + im * b.im) / size, (im * b.re - re * b.im) / size);
}

const copySign = (size: number, sign: number): number =>
  sign < 0 || Object.is(sign, -0) ? -Math.abs(size) : Math.abs(size);
const isFinite = ({ re, im }: Complex): boolean => Number.isFinite(re) && Number.isFinite(im);
const isInfinite = (x: number): boolean => Math.abs(x) === Infinity;
const nothing = (): Complex => complex(NaN, NaN);

export const absComplex = (z: Complex): number => Math.hypot(z.re, z.im);
export const angleOf = (z: Complex): number => Math.atan2(z.im, z.re);
export const polar = (radius: number, angle: number): Complex =>
  complex(radius * Math.cos(angle), radius * Math.sin(angle));

export function expComplex(z: Complex): Complex {
  if (z.im === 0) return complex(Math.exp(z.re), z.im);
  if (!Number.isFinite(z.im) && isInfinite(z.re)) {
    // The NaN that arithmetic makes has its sign set.
    const sign = Number.isNaN(z.im) ? -1 : z.im;
    return z.re < 0 ? complex(0, copySign(0, sign)) : complex(Infinity, NaN);
  }
  return polar(Math.exp(z.re), z.im);
}
export const logComplex = (z: Complex): Complex => complex(Math.log(absComplex(z)), angleOf(z));

export function sqrtComplex(z: Complex): Complex {
  if (z.re === 0 && z.im === 0) return complex(0, z.im);
  const t = Math.sqrt((Math.abs(z.re) + absComplex(z)) / 2);
  if (z.re >= 0) return complex(t, z.im / (2 * t));
  return complex(Math.abs(z.im) / (2 * t), z.im < 0 || Object.is(z.im, -0) ? -t : t);
}

export function powComplex(base: Operand, exponent: Operand): Complex {
  if (typeof exponent === 'number') {
    const z = base as Complex;
    if (z.im === 0 && z.re > 0) return complex(z.re ** exponent, 0);
    const { re, im } = logComplex(z);
    return polar(Math.exp(exponent * re), exponent * im);
  }
  if (typeof base === 'number') {
    if (base > 0) return polar(base ** exponent.re, exponent.im * Math.log(base));
    return powComplex(complex(base, 0), exponent);
  }
  return expComplex(multiplyComplex(exponent, logComplex(base)));
}

const timesI = (z: Complex): Complex => complex(-z.im, z.re);
const timesMinusI = (z: Complex): Complex => complex(z.im, -z.re);

export function sinhComplex({ re, im }: Complex): Complex {
  if (im === 0) return complex(Math.sinh(re), im);
  if (re === 0 && !Number.isFinite(im)) return complex(re, NaN);
  return complex(Math.sinh(re) * Math.cos(im), Math.cosh(re) * Math.sin(im));
}
export function coshComplex({ re, im }: Complex): Complex {
  if (im === 0) return complex(Math.cosh(re), Number.isNaN(re) ? im : im * copySign(1, re));
  if (re === 0 && !Number.isFinite(im)) return complex(NaN, 0);
  return complex(Math.cosh(re) * Math.cos(im), Math.sinh(re) * Math.sin(im));
}
export function tanhComplex({ re, im }: Complex): Complex {
  if (im === 0) return complex(Math.tanh(re), im);
  if (re === 0) return complex(re, Math.tan(im));
  if (Math.abs(re) > 20) return complex(Math.sign(re), copySign(0, Math.sin(2 * im)));
  const scale = Math.cosh(2 * re) + Math.cos(2 * im);
  return complex(Math.sinh(2 * re) / scale, Math.sin(2 * im) / scale);
}
export const sinComplex = (z: Complex): Complex => timesMinusI(sinhComplex(timesI(z)));
export const cosComplex = (z: Complex): Complex => coshComplex(timesI(z));
export const tanComplex = (z: Complex): Complex => timesMinusI(tanhComplex(timesI(z)));

/** Kahan's formulas: right on both sides of every branch cut. */
export function asinComplex(z: Complex): Complex {
  if (!isFinite(z)) {
    const { re, im } = z;
    if (!Number.isNaN(re) && !Number.isNaN(im)) return timesMinusI(asinhComplex(timesI(z)));
    if (re === 0) return z;
    return isInfinite(re) || isInfinite(im) ? complex(NaN, copySign(Infinity, im)) : nothing();
  }
  const s1 = sqrtComplex(complex(1 - z.re, -z.im));
  const s2 = sqrtComplex(complex(1 + z.re, z.im));
  const product = s1.re * s2.re - s1.im * s2.im;
  return complex(Math.atan2(z.re, product), Math.asinh(s1.re * s2.im - s1.im * s2.re));
}
export function asinhComplex(z: Complex): Complex {
  if (isFinite(z)) return timesMinusI(asinComplex(timesI(z)));
  const { re, im } = z;
  if (isInfinite(im)) {
    const angle = Number.isFinite(re) ? Math.PI / 2 : Math.PI / 4;
    return complex(copySign(Infinity, re), Number.isNaN(re) ? NaN : copySign(angle, im));
  }
  const isKnown = (isInfinite(re) && Number.isFinite(im)) || im === 0;
  return complex(re, isKnown ? copySign(0, im) : NaN);
}
export function acoshComplex(z: Complex): Complex {
  if (!isFinite(z)) {
    const { re, im } = z;
    if (isInfinite(im)) {
      const angle = !isInfinite(re) ? Math.PI / 2 : re < 0 ? Math.PI * 0.75 : Math.PI / 4;
      return complex(Infinity, Number.isNaN(re) ? NaN : copySign(angle, im));
    }
    if (!isInfinite(re)) return nothing();
    return complex(Infinity, Number.isNaN(im) ? NaN : copySign(re < 0 ? Math.PI : 0, im));
  }
  const s1 = sqrtComplex(complex(z.re - 1, z.im));
  const s2 = sqrtComplex(complex(z.re + 1, z.im));
  return complex(Math.asinh(s1.re * s2.re + s1.im * s2.im), 2 * Math.atan2(s1.im, s2.re));
}
export function acosComplex(z: Complex): Complex {
  if (!isFinite(z)) {
    const { re, im } = asinComplex(z);
    return complex(Math.PI / 2 - re, -im);
  }
  const s1 = sqrtComplex(complex(1 - z.re, -z.im));
  const s2 = sqrtComplex(complex(1 + z.re, z.im));
  return complex(2 * Math.atan2(s1.re, s2.re), Math.asinh(s2.re * s1.im - s2.im * s1.re));
}
export function atanhComplex(z: Complex): Complex {
  const { re, im } = z;
  if (isInfinite(im)) return complex(copySign(0, re), copySign(Math.PI / 2, im));
  if (!isFinite(z)) {
    if (!isInfinite(re) && re !== 0) return nothing();
    return complex(copySign(0, re), Number.isNaN(im) ? NaN : copySign(Math.PI / 2, im));
  }
  const size = Math.hypot(re, im);
  // The squares of what is large overflow.
  if (size > 1e100) return complex(re / size / size, copySign(Math.PI / 2, im));
  return complex(
    0.25 * Math.log1p((4 * re) / ((1 - re) ** 2 + im ** 2)),
    0.5 * Math.atan2(2 * im, (1 - re) * (1 + re) - im ** 2),
  );
}
export function atanComplex(z: Complex): Complex {
  if (Number.isNaN(z.re) && z.im === 0) return complex(NaN, z.im);
  return timesMinusI(atanhComplex(timesI(z)));
}
