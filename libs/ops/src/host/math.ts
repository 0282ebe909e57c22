// The functions of Python's `math` and `cmath` on numbers. As in C++, nothing is out of their domain: the result is NaN
// or infinite.
import { Complex } from '@weft/ir';
import { hostFunctions } from '../operator.ts';
import * as complex from './complex.ts';
import { overloads } from './overloads.ts';
import { erf, erfc, gamma, lgamma } from './special.ts';
import { type NumberValue, toFloat } from './values.ts';

/** Functions of a number: of a float, and of a complex number where PyTorch has that. */
const functions: Record<string, [(x: number) => number, ((z: Complex) => Complex)?]> = {
  exp: [Math.exp, complex.expComplex],
  log: [Math.log, complex.logComplex],
  log10: [Math.log10, (z) => complex.divideComplex(complex.logComplex(z), Math.LN10)],
  sqrt: [Math.sqrt, complex.sqrtComplex],
  sin: [Math.sin, complex.sinComplex],
  cos: [Math.cos, complex.cosComplex],
  tan: [Math.tan, complex.tanComplex],
  asin: [Math.asin, complex.asinComplex],
  acos: [Math.acos, complex.acosComplex],
  atan: [Math.atan, complex.atanComplex],
  sinh: [Math.sinh, complex.sinhComplex],
  cosh: [Math.cosh, complex.coshComplex],
  tanh: [Math.tanh, complex.tanhComplex],
  asinh: [Math.asinh, complex.asinhComplex],
  acosh: [Math.acosh, complex.acoshComplex],
  atanh: [Math.atanh, complex.atanhComplex],
  log1p: [Math.log1p],
  expm1: [Math.expm1],
  fabs: [Math.abs],
  erf: [erf],
  erfc: [erfc],
  gamma: [gamma],
  lgamma: [lgamma],
  degrees: [(x) => (x * 180) / Math.PI],
  radians: [(x) => (x * Math.PI) / 180],
};

for (const [name, [onFloat, onComplex]] of Object.entries(functions)) {
  overloads(`aten::${name}`, ['int', 'float'], (x: NumberValue) => onFloat(toFloat(x)));
  if (onComplex !== undefined) overloads(`aten::${name}`, ['complex'], onComplex);
  // Of a number whose type is known only when running, PyTorch keeps a single.
  overloads(`aten::${name}`, ['Scalar'], (x: NumberValue) =>
    x instanceof Complex && onComplex !== undefined ? onComplex(x) : Math.fround(onFloat(toFloat(x))),
  );
}

/** `log(a, base)`. */
const bases = ['int', 'float', 'complex'];
const pairs = bases.flatMap((a) => bases.map((b) => `${a}_${b}`)).concat('Scalar_Scalar');
overloads('aten::log', pairs, (a: NumberValue, base: NumberValue) => {
  const [x, y] = [a, base].map((each) =>
    each instanceof Complex ? complex.logComplex(each) : Math.log(toFloat(each)),
  );
  return typeof x === 'number' && typeof y === 'number' ? x / y : complex.divideComplex(x, y);
});

/** The angle of a real number: π to the left of zero (of -0 too), 0 elsewhere (of NaN too). */
const angle = (x: number): number => (x < 0 || Object.is(x, -0) ? Math.PI : 0);
overloads('aten::angle', ['int', 'float'], (x: NumberValue) => angle(toFloat(x)));
overloads('aten::angle', ['complex'], complex.angleOf);
overloads('aten::angle', ['Scalar'], (x: NumberValue) =>
  Math.fround(x instanceof Complex ? complex.angleOf(x) : angle(toFloat(x))),
);
overloads(
  'aten::polar',
  ['int', 'float', 'int_float', 'float_int', 'Scalar_Scalar'],
  (a: NumberValue, b: NumberValue) => complex.polar(toFloat(a), toFloat(b)),
);

hostFunctions({
  'aten::isnan.float': (x: number) => Number.isNaN(x),
  'aten::isinf.float': (x: number) => Math.abs(x) === Infinity,
  'aten::isfinite.float': (x: number) => Number.isFinite(x),
  'aten::isnan.complex': (z: Complex) => Number.isNaN(z.re) || Number.isNaN(z.im),
  'aten::isinf.complex': (z: Complex) => Math.abs(z.re) === Infinity || Math.abs(z.im) === Infinity,
  'aten::isfinite.complex': (z: Complex) => Number.isFinite(z.re) && Number.isFinite(z.im),
});
