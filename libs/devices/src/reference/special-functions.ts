// Special functions in double precision, within a few units in the last place: erf and its kin, the logarithm of gamma
// and its derivative. Polynomials are Chebyshev interpolants of the function named beside them, computed with 60 digits and
// written in powers of the variable scaled to [-1, 1]; series are the classical ones (Abramowitz and Stegun 6.1, 6.3, 7.1).

// Taken once: looking up a global inside a hot loop costs more than the loop where globals are intercepted (vm contexts).
const { abs, exp, floor, fround, log, log1p, round, sign, sin, sqrt, tan, trunc } = Math;

/** erf(x) / x in x², on [0, 1]. */
const erfNear = [
  0.9654687386698673, -0.1405360890227171, 0.019852496688983708, -0.0022854855611440673,
  0.00021751715604160108, -1.75371694414921e-5, 1.223382738352401e-6, -7.511569160678138e-8,
  4.11580059766496e-9, -2.0352493920247854e-10, 9.167606746069445e-12, -3.7910930392717217e-13,
  1.454817075960679e-14, -5.166061616805981e-16,
];
/** exp(x²) erfc(x) on [0.5, 1], [1, 2] and [2, 4]. */
const scaledHalf = [
  0.5069376502931449, -0.09199317291394885, 0.014434883221955935, -0.0020286884686699707,
  0.0002609005567516252, -3.114966996112698e-5, 3.4885738732085394e-6, -3.693562169321858e-7,
  3.7195450918192716e-8, -3.580145204643444e-9, 3.3060433621918244e-10, -2.9402385351525456e-11,
  2.5856058450716995e-12, -2.149725594007929e-13,
];
const scaledOne = [
  0.3215854164543175, -0.08181145886628004, 0.019037759963869347, -0.0041163631624453285,
  0.0008360838095667822, -0.00016081117337456488, 2.9470857452438927e-5, -5.171328643577939e-6,
  8.723044760349276e-7, -1.4191195854849937e-7, 2.232841288007105e-8, -3.4057547442939427e-9,
  5.046602976320114e-10, -7.27683737113065e-11, 1.0198170166276311e-11, -1.3988172161915317e-12,
  2.0292151163761165e-13, -2.6641841734607675e-14,
];
const scaledTwo = [
  0.17900115118138996, -0.05437226000717287, 0.01588437115987136, -0.004479431018372594, 0.001223039052375977,
  -0.0003241255444964542, 8.355413963931287e-5, -2.0989464464224638e-5, 5.146436493577689e-6,
  -1.2333677056587265e-6, 2.8926693017436393e-7, -6.646692586156175e-8, 1.4977111542990704e-8,
  -3.312746819938391e-9, 7.206569825011898e-10, -1.5396164337943972e-10, 3.1649750343485987e-11,
  -6.540314781838702e-12, 1.6649372607256146e-12, -3.357346034257376e-13,
];
/** sqrt(pi) x exp(x²) erfc(x) in 1/x², on [0, 1/16]. */
const scaledTail = [
  0.9850557060634584, -0.014310447062397032, 0.0005912853104842323, -3.8747746359677255e-5,
  3.3937396590214263e-6, -3.6586878580308657e-7, 4.6265824170613104e-8, -6.650125155631229e-9,
  1.0628583320547495e-9, -1.8584359229210307e-10, 3.511522966593047e-11, -7.115106187680359e-12,
  1.5297582109186356e-12, -3.3150665653082737e-13, 7.75964206119517e-14, -2.788281610026237e-14,
  7.532279393622544e-15,
];
/** lgamma(x) / ((x - 1) (x - 2)) on [0.5, 1.5] and [1.5, 3]. */
const lgammaOne = [
  0.5772156649015329, -0.12262568426129018, 0.03885856646598777, -0.01439331782047892, 0.005764938029051933,
  -0.0024161927666551796, 0.0010426832537117816, -0.00045920266604210295, 0.0002052981425474539,
  -9.28576849319133e-5, 4.2393445270974266e-5, -1.950336967533814e-5, 9.030629136033922e-6,
  -4.204657470814521e-6, 1.9669968688978427e-6, -9.234133717666215e-7, 4.3521042627546147e-7,
  -2.0743405077477916e-7, 9.873131514707126e-8, -4.386731329436186e-8, 2.0420103196767944e-8,
  -1.4175403917856688e-8, 7.321736153068729e-9, 1.0292614552685913e-9, -8.980437291852179e-10,
  -2.837248375119817e-9, 1.5682913362690043e-9, 8.081372876329866e-10, -4.5001265794114026e-10,
  -2.2944244431038797e-10, 1.190337386581502e-10,
];
const lgammaTwo = [
  0.3995894876556691, -0.06441063566344575, 0.014213449664599972, -0.003570760544164429,
  0.0009622289503479193, -0.00027076146618613267, 7.842743115211668e-5, -2.3187394849318277e-5,
  6.960129001539625e-6, -2.113580749346026e-6, 6.47718613414147e-7, -1.999635626418485e-7,
  6.210897984222455e-8, -1.9393913455223753e-8, 6.081444420563219e-9, -1.9069442040379977e-9,
  6.01547848758438e-10, -1.983918951999398e-10, 6.343459168657313e-11, -1.464871513434213e-11,
  4.484196592625397e-12, -3.648232099407307e-12, 1.2018093939129012e-12,
];

/** The polynomial at `x`, by Horner's rule. */
function polynomial(coefficients: readonly number[], x: number): number {
  let result = 0;
  for (let index = coefficients.length - 1; index >= 0; index--) result = result * x + coefficients[index];
  return result;
}

/** exp(-x²), the rounding of x² made good. */
function gaussian(x: number): number {
  const high = fround(x);
  return exp(-high * high) * exp((high - x) * (high + x));
}

/** erfc for x >= 0.5. */
function upperTail(x: number): number {
  if (x > 27.3) return 0;
  if (x < 1) return gaussian(x) * polynomial(scaledHalf, 4 * x - 3);
  if (x < 2) return gaussian(x) * polynomial(scaledOne, 2 * x - 3);
  if (x < 4) return gaussian(x) * polynomial(scaledTwo, x - 3);
  return (gaussian(x) * polynomial(scaledTail, 32 / (x * x) - 1)) / (x * 1.772453850905516);
}

export function erf(x: number): number {
  const magnitude = abs(x);
  if (magnitude <= 1) return x * polynomial(erfNear, 2 * (x * x) - 1);
  if (magnitude > 6) return sign(x);
  return x > 0 ? 1 - upperTail(x) : x < 0 ? upperTail(-x) - 1 : x;
}

export function erfc(x: number): number {
  if (x >= 0.5) return upperTail(x);
  return x >= -1 ? 1 - erf(x) : x < -1 ? 2 - upperTail(-x) : x;
}

/** The x whose erf is y: a first guess (Winitzki), then Halley's iteration on erf, or on erfc where y is near one. */
export function erfInverse(y: number): number {
  const magnitude = abs(y);
  if (!(magnitude <= 1)) return NaN;
  if (magnitude === 1) return y * Infinity;
  if (magnitude < 1e-8) return y * 0.886226925452758;
  const logarithm = log1p(-magnitude * magnitude);
  const half = 4.330746750799873 + logarithm / 2;
  let x = sqrt(sqrt(half * half - logarithm / 0.147) - half);
  for (let step = 0; step < 3; step++) {
    const error = magnitude < 0.5 ? erf(x) - magnitude : 1 - magnitude - erfc(x);
    const newton = error / (1.1283791670955126 * gaussian(x));
    x -= newton / (1 + x * newton);
  }
  return y < 0 ? -x : x;
}

/** log |gamma(x)|. */
export function lgamma(x: number): number {
  if (!Number.isFinite(x)) return x * x;
  if (x < 0.5) {
    if (x === floor(x)) return x <= 0 ? Infinity : 0;
    if (x > 0) return lgamma(x + 1) - log(x);
    // Reflection; the sine of the fractional part, whose period is exact.
    const sine = abs(sin(Math.PI * (x - round(x))));
    if (x > -1e-10) return -log(-x);
    return log(Math.PI / (sine * -x)) - lgamma(1 - x) + log(-x);
  }
  if (x < 1.5) return (x - 1) * (x - 2) * polynomial(lgammaOne, 2 * x - 2);
  if (x < 3) return (x - 1) * (x - 2) * polynomial(lgammaTwo, (4 * x - 9) / 3);
  if (x < 10) {
    let product = 1;
    let shifted = x;
    while (shifted >= 3) product *= --shifted;
    return lgamma(shifted) + log(product);
  }
  if (x > 1e17) return x * (log(x) - 1);
  const z = 1 / (x * x);
  const series =
    1 / 12 -
    z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z * (1 / 1188 - z * (691 / 360360 - z * (1 / 156))))));
  return (x - 0.5) * (log(x) - 1) + 0.4189385332046727 + series / x;
}

/** The derivative of lgamma: minus infinity at +0, infinity at -0, NaN at the negative integers, as PyTorch has it. */
export function digamma(x: number): number {
  if (x === 0) return Object.is(x, -0) ? Infinity : -Infinity;
  if (x < 0) {
    if (x === floor(x)) return NaN;
    return digamma(1 - x) - Math.PI / tan(Math.PI * (x - trunc(x)));
  }
  let shift = 0;
  let shifted = x;
  for (; shifted < 10; shifted++) shift += 1 / shifted;
  const z = 1 / (shifted * shifted);
  const series =
    z *
    (1 / 12 -
      z * (1 / 120 - z * (1 / 252 - z * (1 / 240 - z * (1 / 132 - z * (691 / 32760 - z * (1 / 12)))))));
  return log(shifted) - 0.5 / shifted - series - shift;
}
