// Complex arithmetic on (real, imaginary) pairs. Functions write their result to `result`, so that nothing is allocated.
// Formulas are the numerically safe ones (Smith's division, Kahan's branch cuts).

/** Where every function leaves its result: real part, imaginary part. */
export const result = new Float64Array(2);

export type ComplexFunction = (ar: number, ai: number, br: number, bi: number) => void;

function set(re: number, im: number): void {
  result[0] = re;
  result[1] = im;
}

function divide(ar: number, ai: number, br: number, bi: number): void {
  if (Math.abs(br) >= Math.abs(bi)) {
    if (br === 0 && bi === 0) return set(ar / Math.abs(br), ai / Math.abs(br));
    const ratio = bi / br;
    const scale = 1 / (br + bi * ratio);
    set((ar + ai * ratio) * scale, (ai - ar * ratio) * scale);
  } else {
    const ratio = br / bi;
    const scale = 1 / (br * ratio + bi);
    set((ar * ratio + ai) * scale, (ai * ratio - ar) * scale);
  }
}

function exponential(re: number, im: number): void {
  const size = Math.exp(re);
  if (im === 0) set(size, im);
  else set(size * Math.cos(im), size * Math.sin(im));
}

function sqrt(re: number, im: number): void {
  if (re === 0 && im === 0) return set(0, im);
  const root = Math.sqrt((Math.abs(re) + Math.hypot(re, im)) / 2);
  const other = Math.abs(im) / (2 * root);
  const signed = im < 0 || Object.is(im, -0) ? -1 : 1;
  if (re >= 0) set(root, signed * other);
  else set(other, signed * root);
}

function log(re: number, im: number): void {
  set(Math.log(Math.hypot(re, im)), Math.atan2(im, re));
}

function logPlusOne(re: number, im: number): void {
  // |1 + z|² - 1 = 2 re + |z|², which keeps what is small.
  const excess = re * (2 + re) + im * im;
  set(
    Math.abs(excess) < 0.5 ? Math.log1p(excess) / 2 : Math.log(Math.hypot(1 + re, im)),
    Math.atan2(im, 1 + re),
  );
}

function power(ar: number, ai: number, br: number, bi: number): void {
  if (br === 0 && bi === 0) return set(1, 0);
  if (ar === 0 && ai === 0) return br > 0 ? set(0, 0) : set(br === 0 ? NaN : Infinity, NaN);
  const size = Math.log(Math.hypot(ar, ai));
  const angle = Math.atan2(ai, ar);
  exponential(br * size - bi * angle, br * angle + bi * size);
}

function tanh(re: number, im: number): void {
  if (Math.abs(re) > 350) return set(Math.sign(re), Math.sin(2 * im) < 0 ? -0 : 0);
  const scale = Math.cosh(2 * re) + Math.cos(2 * im);
  set(Math.sinh(2 * re) / scale, Math.sin(2 * im) / scale);
}
const tan = (re: number, im: number): void => {
  tanh(-im, re);
  set(result[1], -result[0]);
};

function asinh(re: number, im: number): void {
  // log(z + sqrt(z² + 1)), by symmetry for re >= 0 only.
  if (re < 0) {
    asinh(-re, -im);
    return set(-result[0], -result[1]);
  }
  sqrt(1 - im, re);
  const [pr, pi] = result;
  sqrt(1 + im, -re);
  const [qr, qi] = result;
  set(Math.asinh(pr * qi - pi * qr) * -1, Math.atan2(im, pr * qr - pi * qi));
}
function asin(re: number, im: number): void {
  asinh(-im, re);
  set(result[1], -result[0]);
}
function acos(re: number, im: number): void {
  sqrt(1 - re, -im);
  const [pr, pi] = result;
  sqrt(1 + re, im);
  const [qr, qi] = result;
  set(2 * Math.atan2(pr, qr), Math.asinh(qr * pi - qi * pr));
}
function acosh(re: number, im: number): void {
  sqrt(re - 1, im);
  const [pr, pi] = result;
  sqrt(re + 1, im);
  const [qr, qi] = result;
  set(Math.asinh(pr * qr + pi * qi), 2 * Math.atan2(pi, qr));
}
function atanh(re: number, im: number): void {
  const size = (Math.log1p((4 * re) / ((1 - re) ** 2 + im * im)) || 0) / 4;
  set(size, Math.atan2(2 * im, (1 - re) * (1 + re) - im * im) / 2);
}
function atan(re: number, im: number): void {
  atanh(-im, re);
  set(result[1], -result[0]);
}

/** Complex operators with a complex result. The second operand of unary ones is ignored. */
export const complexFunctions: Readonly<Record<string, ComplexFunction>> = {
  negate: (re, im) => set(-re, -im),
  sign: (re, im) => {
    const size = Math.hypot(re, im);
    if (size === 0) set(re, im);
    else set(re / size, im / size);
  },
  exponential,
  exponential_minus_one: (re, im) => {
    const half = Math.sin(im / 2);
    set(Math.expm1(re) * Math.cos(im) - 2 * half * half, Math.exp(re) * Math.sin(im));
  },
  log,
  log_plus_one: logPlusOne,
  logistic: (re, im) => {
    exponential(-re, -im);
    divide(1, 0, 1 + result[0], result[1]);
  },
  sqrt,
  rsqrt: (re, im) => {
    sqrt(re, im);
    divide(1, 0, result[0], result[1]);
  },
  cbrt: (re, im) => {
    const size = Math.cbrt(Math.hypot(re, im));
    const angle = Math.atan2(im, re) / 3;
    set(size * Math.cos(angle), size * Math.sin(angle));
  },
  sine: (re, im) => set(Math.sin(re) * Math.cosh(im), Math.cos(re) * Math.sinh(im)),
  cosine: (re, im) => set(Math.cos(re) * Math.cosh(im), -Math.sin(re) * Math.sinh(im)),
  sinh: (re, im) => set(Math.sinh(re) * Math.cos(im), Math.cosh(re) * Math.sin(im)),
  cosh: (re, im) => set(Math.cosh(re) * Math.cos(im), Math.sinh(re) * Math.sin(im)),
  tan,
  tanh,
  asin,
  acos,
  atan,
  asinh,
  acosh,
  atanh,
  add: (ar, ai, br, bi) => set(ar + br, ai + bi),
  subtract: (ar, ai, br, bi) => set(ar - br, ai - bi),
  multiply: (ar, ai, br, bi) => set(ar * br - ai * bi, ar * bi + ai * br),
  divide,
  power,
  remainder: (ar, ai, br, bi) => {
    divide(ar, ai, br, bi);
    const [qr, qi] = [Math.trunc(result[0]), Math.trunc(result[1])];
    set(ar - (qr * br - qi * bi), ai - (qr * bi + qi * br));
  },
  /** The angle of b + i a, continued: -i log((b + i a) / sqrt(a² + b²)). */
  atan2: (ar, ai, br, bi) => {
    const [sr, si] = [ar * ar - ai * ai + br * br - bi * bi, 2 * (ar * ai + br * bi)];
    sqrt(sr, si);
    divide(br - ai, bi + ar, result[0], result[1]);
    log(result[0], result[1]);
    set(result[1], -result[0]);
  },
  maximum: (ar, ai, br, bi) => (ar > br || (ar === br && ai >= bi) ? set(ar, ai) : set(br, bi)),
  minimum: (ar, ai, br, bi) => (ar < br || (ar === br && ai <= bi) ? set(ar, ai) : set(br, bi)),
};
