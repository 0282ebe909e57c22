// Samples of distributions that are drawn by rejection: Poisson, binomial, gamma, Dirichlet. How many numbers such a sampler
// takes depends on what it draws; a graph has a fixed number of rounds instead, enough that the chance of needing more is below
// one in 10^12, and takes the first round that is accepted. Eager calls draw as PyTorch does (tensor/random/samplers.ts).
import type { CoreBuilder, Value } from '@weft/ir';
import { registerComposite } from '@weft/ir';
import { lowerings } from './operator.ts';
import { broadcastShapes, check, range, rankOf, sizesOf } from './broadcast.ts';
import { dtypeOf, is, like, plus, times } from './elementwise.ts';
import { printName } from './promotion.ts';
import { draw } from './random.ts';
import { noDerivative, stopGradient, underivable } from './gradient-flow.ts';
import { betaGradient, gammaGradient } from './pathwise.ts';
import { selectDim } from './shapes.ts';

const checkFloat = (name: string, x: Value): void =>
  check(
    dtypeOf(x) === 'float32' || dtypeOf(x) === 'float64',
    () => `"${name}" not implemented for '${printName(dtypeOf(x))}'`,
  );

/** Uniform or normal numbers in double precision, a row for each round. */
const rounds = (b: CoreBuilder, distribution: 'uniform' | 'normal', like: Value, count: number): Value =>
  draw(b, distribution, 'float64', [count, ...sizesOf(like)], [0, 1]);

/** The first accepted candidate along the rounds; `otherwise` where there is none. */
function firstAccepted(
  b: CoreBuilder,
  otherwise: Value,
  count: number,
  round: (index: number) => { candidate: Value; isAccepted: Value },
): Value {
  return range(count).reduceRight((rest, index) => {
    const { candidate, isAccepted } = round(index);
    return b.select(isAccepted, candidate, rest);
  }, otherwise);
}

/**
 * The number of times that a uniform number exceeds the distribution function of a variate on 0, 1, …, whose
 * probabilities follow one from another. For means below 10: 80 terms leave less than 10^-40.
 */
function byInversion(b: CoreBuilder, u: Value, first: Value, next: (term: Value, k: number) => Value): Value {
  let [term, total, found] = [first, first, like(b, u, 0)];
  for (let k = 0; k < 80; k++) {
    found = b.add(found, b.convert(b.compare(u, total, 'GE'), 'float64'));
    term = next(term, k);
    total = b.add(total, term);
  }
  return found;
}

// ---- Poisson ------------------------------------------------------------------------------------------------------

const REJECTIONS = 20;

/** Transformed rejection with squeeze (Hörmann, 1993), for rates of 10 and more. */
function poissonByRejection(b: CoreBuilder, rate: Value, us: Value, vs: Value): Value {
  const scale = plus(b, times(b, b.sqrt(rate), 2.53), 0.931);
  const a = plus(b, times(b, scale, 0.02483), -0.059);
  const inverseAlpha = plus(b, b.divide(like(b, scale, 1.1328), plus(b, scale, -3.4)), 1.1239);
  const quick = b.subtract(like(b, scale, 0.9277), b.divide(like(b, scale, 3.6224), plus(b, scale, -2)));
  const logRate = b.log(rate);
  return firstAccepted(b, b.floor(rate), REJECTIONS, (index) => {
    const u = plus(b, selectDim(b, us, 0, index), -0.5);
    const v = selectDim(b, vs, 0, index);
    const edge = b.subtract(like(b, u, 0.5), b.abs(u));
    const slope = b.add(b.divide(times(b, a, 2), edge), scale);
    const k = b.floor(plus(b, b.add(b.multiply(slope, u), rate), 0.43));
    const isInside = b.and(is(b, edge, 'GE', 0.07), b.compare(v, quick, 'LE'));
    const isOutside = b.or(is(b, k, 'LT', 0), b.and(is(b, edge, 'LT', 0.013), b.compare(v, edge, 'GT')));
    const whole = b.maximum(k, like(b, k, 0));
    const left = b.log(
      b.divide(b.multiply(v, inverseAlpha), b.add(b.divide(a, b.multiply(edge, edge)), scale)),
    );
    const right = b.subtract(b.subtract(b.multiply(whole, logRate), rate), b.lgamma(plus(b, whole, 1)));
    const isAccepted = b.or(isInside, b.and(b.not(isOutside), b.compare(left, right, 'LE')));
    return { candidate: k, isAccepted };
  });
}

function poisson(b: CoreBuilder, self: Value): Value {
  checkFloat('poisson_cpu', self);
  const us = rounds(b, 'uniform', self, REJECTIONS);
  const vs = rounds(b, 'uniform', self, REJECTIONS);
  const rate = b.convert(self, 'float64');
  const isLarge = is(b, rate, 'GE', 10);
  const large = poissonByRejection(b, b.select(isLarge, rate, like(b, rate, 10)), us, vs);
  const low = b.select(isLarge, like(b, rate, 1), rate);
  const small = byInversion(b, selectDim(b, us, 0, 0), b.exponential(b.negate(low)), (term, k) =>
    b.multiply(term, times(b, low, 1 / (k + 1))),
  );
  return stopGradient(b, b.convert(b.select(isLarge, large, small), dtypeOf(self)));
}

// ---- binomial -----------------------------------------------------------------------------------------------------

/** log k! - the first terms of Stirling's formula. */
function stirlingTail(b: CoreBuilder, k: Value): Value {
  const next = plus(b, k, 1);
  const formula = b.subtract(
    b.multiply(plus(b, k, 0.5), b.log(next)),
    plus(b, next, -0.5 * Math.log(2 * Math.PI)),
  );
  const exact = b.subtract(b.lgamma(next), formula);
  const square = b.multiply(next, next);
  const inner = b.subtract(like(b, square, 1 / 360), b.divide(like(b, square, 1 / 1260), square));
  const series = b.divide(b.subtract(like(b, square, 1 / 12), b.divide(inner, square)), next);
  return b.select(is(b, k, 'LE', 9), exact, series);
}

const BINOMIAL_REJECTIONS = 60;

/** Transformed rejection (Hörmann, 1993), for means of 10 and more and probabilities of at most one half. */
function binomialByRejection(b: CoreBuilder, count: Value, p: Value, us: Value, vs: Value): Value {
  const q = b.subtract(like(b, p, 1), p);
  const deviation = b.sqrt(b.multiply(b.multiply(count, p), q));
  const scale = plus(b, times(b, deviation, 2.53), 1.15);
  const a = b.add(plus(b, times(b, scale, 0.0248), -0.0873), times(b, p, 0.01));
  const c = plus(b, b.multiply(count, p), 0.5);
  const quick = b.subtract(like(b, scale, 0.92), b.divide(like(b, scale, 4.2), scale));
  const odds = b.divide(p, q);
  const alpha = b.multiply(plus(b, b.divide(like(b, scale, 5.1), scale), 2.83), deviation);
  const mode = b.floor(b.multiply(plus(b, count, 1), p));
  return firstAccepted(b, mode, BINOMIAL_REJECTIONS, (index) => {
    const u = plus(b, selectDim(b, us, 0, index), -0.5);
    const v = selectDim(b, vs, 0, index);
    const edge = b.subtract(like(b, u, 0.5), b.abs(u));
    const k = b.floor(b.add(b.multiply(b.add(b.divide(times(b, a, 2), edge), scale), u), c));
    const isPossible = b.and(is(b, k, 'GE', 0), b.compare(k, count, 'LE'));
    const isInside = b.and(is(b, edge, 'GE', 0.07), b.compare(v, quick, 'LE'));
    const safe = b.select(isPossible, k, mode);
    const left = b.log(b.divide(b.multiply(v, alpha), b.add(b.divide(a, b.multiply(edge, edge)), scale)));
    const [restOfMode, rest] = [b.subtract(count, mode), b.subtract(count, safe)];
    const one = (x: Value): Value => plus(b, x, 1);
    const bound = [
      b.multiply(plus(b, mode, 0.5), b.log(b.divide(one(mode), b.multiply(odds, one(restOfMode))))),
      b.multiply(one(count), b.log(b.divide(one(restOfMode), one(rest)))),
      b.multiply(plus(b, safe, 0.5), b.log(b.divide(b.multiply(odds, one(rest)), one(safe)))),
      stirlingTail(b, mode),
      stirlingTail(b, restOfMode),
      b.negate(stirlingTail(b, safe)),
      b.negate(stirlingTail(b, rest)),
    ].reduce((x, y) => b.add(x, y));
    return { candidate: k, isAccepted: b.and(isPossible, b.or(isInside, b.compare(left, bound, 'LE'))) };
  });
}

function binomial(b: CoreBuilder, count: Value, prob: Value): Value {
  checkFloat('binomial_cpu', count);
  check(
    dtypeOf(count) === dtypeOf(prob),
    () => `Found dtype ${printName(dtypeOf(prob))} but expected ${printName(dtypeOf(count))}`,
  );
  const sizes = broadcastShapes(sizesOf(count), sizesOf(prob));
  const [n, p] = [count, prob].map((x) => b.broadcastTo(b.convert(x, 'float64'), sizes));
  const us = rounds(b, 'uniform', n, BINOMIAL_REJECTIONS);
  const vs = rounds(b, 'uniform', n, BINOMIAL_REJECTIONS);
  const isNone = b.or(is(b, n, 'LE', 0), is(b, p, 'LE', 0));
  const isAll = b.and(b.not(isNone), is(b, p, 'GE', 1));
  const isPlain = b.or(isNone, isAll);
  // Failures are counted where they are the rarer.
  const isTurned = is(b, p, 'GT', 0.5);
  const turned = b.select(isTurned, b.subtract(like(b, p, 1), p), p);
  const mean = b.multiply(n, turned);
  const isLarge = b.and(b.not(isPlain), is(b, mean, 'GE', 10));
  const isSmall = b.and(b.not(isPlain), b.not(isLarge));
  const on = (condition: Value, value: Value, other: number): Value =>
    b.select(condition, value, like(b, value, other));
  const large = binomialByRejection(b, on(isLarge, n, 100), on(isLarge, turned, 0.25), us, vs);
  const [few, rare] = [on(isSmall, n, 1), on(isSmall, turned, 0.5)];
  const start = b.exponential(b.multiply(few, b.logPlusOne(b.negate(rare))));
  const odds = b.divide(rare, b.subtract(like(b, rare, 1), rare));
  const small = byInversion(b, selectDim(b, us, 0, 0), start, (term, k) => {
    const rest = b.maximum(plus(b, few, -k), like(b, few, 0));
    return b.multiply(term, b.multiply(odds, times(b, rest, 1 / (k + 1))));
  });
  const found = b.select(isLarge, large, small);
  const counted = b.select(isTurned, b.subtract(n, found), found);
  const result = b.select(isNone, like(b, n, 0), b.select(isAll, n, counted));
  const isNumber = b.and(b.compare(n, n, 'EQ'), b.compare(p, p, 'EQ'));
  return stopGradient(b, b.convert(b.select(isNumber, result, like(b, n, NaN)), dtypeOf(count)));
}

// ---- gamma and Dirichlet --------------------------------------------------------------------------------------------

const GAMMA_REJECTIONS = 12;
/** The least positive normal numbers: samples are never zero. */
const least = { float32: 2 ** -126, float64: 2 ** -1022 };

/** Marsaglia and Tsang (2000); shapes below one by a power of a uniform number. */
registerComposite('standard_gamma', {
  vjp: (b, node, [g]) => {
    if (g === null) return node.inputs.map(() => null);
    const [alpha, x] = [node.inputs[0], node.outputs[0]];
    return [b.multiply(g, gammaGradient(b, alpha, x)), ...node.inputs.slice(1).map(() => null)];
  },
});
/** Of a shape in double precision. */
function gamma(b: CoreBuilder, shape: Value): Value {
  const normals = rounds(b, 'normal', shape, GAMMA_REJECTIONS);
  const us = rounds(b, 'uniform', shape, GAMMA_REJECTIONS);
  const boost = rounds(b, 'uniform', shape, 1);
  return b.composite('standard_gamma', [shape, normals, us, boost], {}, (b, alpha, normals, us, boost) => {
    const isLow = is(b, alpha, 'LT', 1);
    const one = like(b, alpha, 1);
    const power = b.power(b.subtract(one, selectDim(b, boost, 0, 0)), b.divide(one, alpha));
    const scale = b.select(isLow, power, one);
    const d = plus(b, b.select(isLow, plus(b, alpha, 1), alpha), -1 / 3);
    const c = b.rsqrt(times(b, d, 9));
    const sample = firstAccepted(b, d, GAMMA_REJECTIONS, (index) => {
      const x = selectDim(b, normals, 0, index);
      const u = b.subtract(one, selectDim(b, us, 0, index));
      const y = plus(b, b.multiply(c, x), 1);
      const isPositive = is(b, y, 'GT', 0);
      const safe = b.select(isPositive, y, one);
      const v = b.multiply(b.multiply(safe, safe), safe);
      const bound = b.add(
        times(b, b.multiply(x, x), 0.5),
        b.multiply(d, b.add(b.subtract(one, v), b.log(v))),
      );
      return { candidate: b.multiply(d, v), isAccepted: b.and(isPositive, b.compare(b.log(u), bound, 'LT')) };
    });
    return [b.select(is(b, alpha, 'EQ', 0), like(b, alpha, 0), b.multiply(scale, sample))];
  })[0];
}

function standardGamma(b: CoreBuilder, self: Value): Value {
  checkFloat('gamma_cpu', self);
  const dtype = dtypeOf(self) as keyof typeof least;
  const sample = b.convert(gamma(b, b.convert(self, 'float64')), dtype);
  return b.maximum(sample, like(b, sample, least[dtype]));
}

/** Gamma variates over their sum; the derivative by the beta variate that each is against the rest. */
registerComposite('normalise_gamma', {
  vjp: (b, node, [g]) => {
    if (g === null) return node.inputs.map(() => null);
    const [alpha, x] = [node.inputs[0], node.outputs[0]];
    const last = Math.max(rankOf(x) - 1, 0);
    const spread = (y: Value): Value =>
      rankOf(y) === 0 ? y : b.broadcastInDim(b.reduceSum(y, [last]), sizesOf(y), range(last));
    const weighted = spread(b.multiply(g, x));
    const slope = betaGradient(b, x, alpha, spread(alpha));
    return [b.multiply(slope, b.subtract(g, weighted)), null];
  },
});

function sampleDirichlet(b: CoreBuilder, self: Value): Value {
  checkFloat('dirichlet', self);
  const dtype = dtypeOf(self) as keyof typeof least;
  const shape = b.convert(self, 'float64');
  const sample = gamma(b, shape);
  const last = rankOf(self) - 1;
  const result = b.composite('normalise_gamma', [shape, sample], {}, (b, _alpha, x) => {
    if (last < 0) return [b.divide(x, x)];
    const total = b.broadcastInDim(b.reduceSum(x, [last]), sizesOf(x), range(last));
    return [b.divide(x, total)];
  })[0];
  const below = dtype === 'float32' ? 1 - 2 ** -24 : 1 - 2 ** -53;
  const narrow = b.convert(result, dtype);
  return b.minimum(b.maximum(narrow, like(b, narrow, least[dtype])), like(b, narrow, below));
}

lowerings({
  'aten::poisson': poisson,
  'aten::binomial': (b, count: Value, prob: Value) =>
    underivable(b, noDerivative('aten::binomial'), binomial(b, count, prob), count, prob),
  'aten::_standard_gamma': standardGamma,
  'aten::_sample_dirichlet': sampleDirichlet,
});
