// Complex arithmetic and functions, as C++'s std::complex<double> has them.
import { Complex } from '@weft/ir';

const complex = (re: number, im: number): Complex => new Complex(re, im);

export const addComplex = (a: Complex, b: Complex): Complex => complex(a.re + b.re, a.im + b.im);
export const subtractComplex = (a: Complex, b: Complex): Complex => complex(a.re - b.re, a.im - b.im);
export const multiplyComplex = (a: Complex, b: Complex): Complex =>
  complex(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);

/** Scaled by the larger part of the divisor, so that nothing overflows on the way. */
export function divideComplex(a: Complex, b: Complex): Complex {
  if (Math.abs(b.re) >= Math.abs(b.im)) {
    if (b.re === 0 && b.im === 0) return complex(a.re / 0, a.im / 0);
    const ratio = b.im / b.re;
    const scale = 1 / (b.re + b.im * ratio);
    return complex((a.re + a.im * ratio) * scale, (a.im - a.re * ratio) * scale);
  }
  const ratio = b.re / b.im;
  const scale = 1 / (b.im + b.re * ratio);
  return complex((a.re * ratio + a.im) * scale, (a.im * ratio - a.re) * scale);
}

export const absComplex = (z: Complex): number => Math.hypot(z.re, z.im);
export const angleOf = (z: Complex): number => Math.atan2(z.im, z.re);
export const polar = (radius: number, angle: number): Complex =>
  complex(radius * Math.cos(angle), radius * Math.sin(angle));

export const expComplex = (z: Complex): Complex =>
  z.im === 0 ? complex(Math.exp(z.re), z.im) : polar(Math.exp(z.re), z.im);
export const logComplex = (z: Complex): Complex => complex(Math.log(absComplex(z)), angleOf(z));

export function sqrtComplex(z: Complex): Complex {
  if (z.re === 0 && z.im === 0) return complex(0, z.im);
  const t = Math.sqrt((Math.abs(z.re) + absComplex(z)) / 2);
  if (z.re >= 0) return complex(t, z.im / (2 * t));
  return complex(Math.abs(z.im) / (2 * t), z.im < 0 || Object.is(z.im, -0) ? -t : t);
}

export function powComplex(base: Complex, exponent: Complex): Complex {
  if (base.re === 0 && base.im === 0) {
    return exponent.re === 0 && exponent.im === 0 ? complex(1, 0) : complex(0, 0);
  }
  return expComplex(multiplyComplex(exponent, logComplex(base)));
}

const timesI = (z: Complex): Complex => complex(-z.im, z.re);
const timesMinusI = (z: Complex): Complex => complex(z.im, -z.re);

export const sinhComplex = (z: Complex): Complex =>
  complex(Math.sinh(z.re) * Math.cos(z.im), Math.cosh(z.re) * Math.sin(z.im));
export const coshComplex = (z: Complex): Complex =>
  complex(Math.cosh(z.re) * Math.cos(z.im), Math.sinh(z.re) * Math.sin(z.im));
export function tanhComplex(z: Complex): Complex {
  if (Math.abs(z.re) > 20) return complex(Math.sign(z.re), 0);
  const scale = Math.cosh(2 * z.re) + Math.cos(2 * z.im);
  return complex(Math.sinh(2 * z.re) / scale, Math.sin(2 * z.im) / scale);
}
export const sinComplex = (z: Complex): Complex => timesMinusI(sinhComplex(timesI(z)));
export const cosComplex = (z: Complex): Complex => coshComplex(timesI(z));
export const tanComplex = (z: Complex): Complex => timesMinusI(tanhComplex(timesI(z)));

/** Kahan's formulas: right on both sides of every branch cut. */
export function asinComplex(z: Complex): Complex {
  const s1 = sqrtComplex(complex(1 - z.re, -z.im));
  const s2 = sqrtComplex(complex(1 + z.re, z.im));
  const product = s1.re * s2.re - s1.im * s2.im;
  return complex(Math.atan2(z.re, product), Math.asinh(s1.re * s2.im - s1.im * s2.re));
}
export const asinhComplex = (z: Complex): Complex => timesMinusI(asinComplex(timesI(z)));
export function acoshComplex(z: Complex): Complex {
  const s1 = sqrtComplex(complex(z.re - 1, z.im));
  const s2 = sqrtComplex(complex(z.re + 1, z.im));
  return complex(Math.asinh(s1.re * s2.re + s1.im * s2.im), 2 * Math.atan2(s1.im, s2.re));
}
export function acosComplex(z: Complex): Complex {
  const s1 = sqrtComplex(complex(1 - z.re, -z.im));
  const s2 = sqrtComplex(complex(1 + z.re, z.im));
  return complex(2 * Math.atan2(s1.re, s2.re), Math.asinh(s2.re * s1.im - s2.im * s1.re));
}
export function atanhComplex(z: Complex): Complex {
  const re = 0.25 * Math.log1p((4 * z.re) / ((1 - z.re) ** 2 + z.im ** 2));
  const im = 0.5 * Math.atan2(2 * z.im, (1 - z.re) * (1 + z.re) - z.im ** 2);
  return complex(re, im);
}
export const atanComplex = (z: Complex): Complex => timesMinusI(atanhComplex(timesI(z)));
