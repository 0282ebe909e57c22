// Adam (Kingma and Ba, 2015) and its kin: AdamW, Adamax, NAdam and RAdam. Formulas, their order, and defaults are torch.optim's.
import type { CoreBuilder, Value } from '@weft/ir';
import { specOf } from '@weft/ir';
import type { Numbers, Steps } from './optimizer-arithmetic.ts';
import { begin, decayed, requireBetas, requireNonNegative } from './optimizer-arithmetic.ts';
import type { Hyperparameters, OptimizerUpdate, StateSlot, UpdateResult, UpdateSite } from './optimizers.ts';

function check(hyper: Hyperparameters): void {
  requireNonNegative(hyper, 'eps', 'epsilon');
  requireBetas(hyper);
  requireNonNegative(hyper, 'weightDecay', 'weight_decay');
}

/** The running averages of the gradient and of its square. */
function averages(t: Steps, n: Numbers, site: UpdateSite, gradient: Value): [first: Value, second: Value] {
  const [beta1, beta2] = [site.number('betas', 0), site.number('betas', 1)];
  const [first, second] = site.state.map((value) => t.in(value));
  return [
    t.add(t.scale(first, beta1), gradient, n.subtract(1, beta1)),
    t.addcmul(t.scale(second, beta2), gradient, gradient, n.subtract(1, beta2)),
  ];
}

/** What an average that began at zero lacks after `step` steps: `1 - beta ** step`. */
const correction = (n: Numbers, site: UpdateSite, index: number): Value =>
  n.subtract(1, n.power(site.number('betas', index), site.step));

function adamStep(
  b: CoreBuilder,
  hyper: Hyperparameters,
  site: UpdateSite,
  { t, n, parameter, gradient }: { t: Steps; n: Numbers; parameter: Value; gradient: Value },
): UpdateResult {
  const [first, second] = averages(t, n, site, gradient);
  const state = [first, second];
  let bound = second;
  if (hyper.amsgrad === true) {
    bound = b.maximum(t.in(site.state[2]), second);
    state.push(bound);
  }
  const rate = n.divide(site.learningRate, correction(n, site, 0));
  const root = t.divide(t.sqrt(bound), t.spread(n.sqrt(correction(n, site, 1))));
  const denominator = t.addScalar(root, site.number('eps'));
  return {
    parameter: t.out(t.addcdiv(parameter, first, denominator, n.negate(rate))),
    state: state.map((value) => t.out(value)),
  };
}

const adamSlots = ({ amsgrad }: Hyperparameters): readonly StateSlot[] => [
  { name: 'exp_avg' },
  { name: 'exp_avg_sq' },
  ...(amsgrad === true ? [{ name: 'max_exp_avg_sq' }] : []),
];

export const adam: OptimizerUpdate = {
  name: 'adam',
  defaults: { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, amsgrad: false, maximize: false },
  learningRate: 1e-3,
  stepKind: 'tensor',
  check,
  slots: adamSlots,
  update(b, hyper, site) {
    const start = begin(b, hyper, site);
    return adamStep(b, hyper, site, {
      ...start,
      gradient: decayed(start.t, hyper, site, start.gradient),
    });
  },
};

/** Decoupled weight decay (Loshchilov and Hutter, 2019). */
export const adamw: OptimizerUpdate = {
  name: 'adamw',
  defaults: { ...adam.defaults, weightDecay: 0.01 },
  learningRate: 1e-3,
  stepKind: 'tensor',
  check,
  slots: adamSlots,
  update(b, hyper, site) {
    const start = begin(b, hyper, site);
    const { t, n } = start;
    const keep = n.subtract(1, n.multiply(site.learningRate, site.number('weightDecay')));
    return adamStep(b, hyper, site, { ...start, parameter: t.scale(start.parameter, keep) });
  },
};

/** Adam with the greatest gradient in the place of the average of squares. */
export const adamax: OptimizerUpdate = {
  name: 'adamax',
  defaults: { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, maximize: false },
  learningRate: 2e-3,
  stepKind: 'tensor',
  check,
  slots: () => [{ name: 'exp_avg' }, { name: 'exp_inf' }],
  update(b, hyper, site) {
    const { t, n, parameter, gradient: given } = begin(b, hyper, site);
    const gradient = decayed(t, hyper, site, given);
    const [beta1, beta2] = [site.number('betas', 0), site.number('betas', 1)];
    const first = t.add(t.scale(t.in(site.state[0]), beta1), gradient, n.subtract(1, beta1));
    const size = t.addScalar(b.abs(gradient), site.number('eps'));
    const greatest = b.maximum(t.scale(t.in(site.state[1]), beta2), size);
    const rate = n.divide(site.learningRate, correction(n, site, 0));
    return {
      parameter: t.out(t.addcdiv(parameter, first, greatest, n.negate(rate))),
      state: [t.out(first), t.out(greatest)],
    };
  },
};

/** Adam with Nesterov momentum (Dozat, 2016). */
export const nadam: OptimizerUpdate = {
  name: 'nadam',
  defaults: { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, momentumDecay: 4e-3 },
  learningRate: 2e-3,
  stepKind: 'tensor',
  check(hyper) {
    check(hyper);
    requireNonNegative(hyper, 'momentumDecay', 'momentum_decay');
  },
  slots: () => [
    { name: 'mu_product', isScalar: true, initial: 1 },
    { name: 'exp_avg' },
    { name: 'exp_avg_sq' },
  ],
  isComplex: true,
  update(b, hyper, site) {
    const { t, n, parameter, gradient: given } = begin(b, hyper, site);
    const gradient = decayed(t, hyper, site, given);
    const [product, ...moments] = site.state;
    const { dtype } = specOf(product);
    const momentumAt = (step: Value): Value => {
      const decay = n.power(0.96, n.multiply(step, site.number('momentumDecay')));
      return n.multiply(site.number('betas', 0), n.subtract(1, n.multiply(0.5, decay)));
    };
    const mu = momentumAt(site.step);
    const next = momentumAt(n.add(site.step, 1));
    // Products of a tensor: rounded to its dtype each.
    const rounded = (x: Value): Value => b.convert(x, dtype);
    const muProduct = b.multiply(product, rounded(mu));
    const nextProduct = b.multiply(b.multiply(muProduct, rounded(mu)), rounded(next));
    const [first, second] = averages(t, n, { ...site, state: moments }, gradient);
    const root = t.sqrt(t.divide(second, t.spread(correction(n, site, 1))));
    const denominator = t.addScalar(root, site.number('eps'));
    const rest = (x: Value): Value => n.subtract(1, b.convert(x, 'float64'));
    const rate = n.negate(site.learningRate);
    const along = t.addcdiv(
      parameter,
      gradient,
      denominator,
      n.divide(n.multiply(rate, n.subtract(1, mu)), rest(muProduct)),
    );
    const updated = t.addcdiv(along, first, denominator, n.divide(n.multiply(rate, next), rest(nextProduct)));
    return { parameter: t.out(updated), state: [muProduct, t.out(first), t.out(second)] };
  },
};

/** Adam whose early steps are rectified: plain momentum until the variance is known well enough (Liu et al., 2020). */
export const radam: OptimizerUpdate = {
  name: 'radam',
  defaults: { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
  learningRate: 1e-3,
  stepKind: 'tensor',
  check,
  slots: () => [{ name: 'exp_avg' }, { name: 'exp_avg_sq' }],
  isComplex: true,
  update(b, hyper, site) {
    const { t, n, parameter, gradient: given } = begin(b, hyper, site);
    const gradient = decayed(t, hyper, site, given);
    const [first, second] = averages(t, n, site, gradient);
    const beta2 = site.number('betas', 1);
    const correction2 = correction(n, site, 1);
    const corrected = t.divide(first, t.spread(correction(n, site, 0)));
    const most = n.subtract(n.divide(2, n.subtract(1, beta2)), 1);
    const decay = n.multiply(n.multiply(2, site.step), n.power(beta2, site.step));
    const length = n.subtract(most, n.divide(decay, correction2));
    const isKnown = b.compare(length, n.of(5), 'GT');
    // Where the variance is not known the ratio may be negative, and its root is not used.
    const ratio = n.divide(
      n.multiply(n.multiply(n.subtract(length, 4), n.subtract(length, 2)), most),
      n.multiply(n.multiply(n.subtract(most, 4), n.subtract(most, 2)), length),
    );
    const rectifier = n.sqrt(b.select(isKnown, ratio, n.of(1)));
    const denominator = t.addScalar(t.sqrt(second), site.number('eps'));
    const adaptive = t.divide(t.spread(n.sqrt(correction2)), denominator);
    const step = t.scale(corrected, site.learningRate);
    const rectified = t.scale(t.multiply(step, adaptive), rectifier);
    return {
      parameter: t.out(t.subtract(parameter, b.select(isKnown, rectified, step))),
      state: [t.out(first), t.out(second)],
    };
  },
};
