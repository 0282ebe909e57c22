// Optimizers that go along the gradient, scaled by what was seen of it: SGD, ASGD, Rprop, RMSprop, Adagrad and Adadelta.
// Formulas, their order, and defaults are torch.optim's.
import { OperatorError, specOf } from '@weft/ir';
import { begin, decayed, requireNonNegative } from './optimizer-arithmetic.ts';
import type { Hyperparameters, OptimizerUpdate, StateSlot } from './optimizers.ts';

const number = (hyper: Hyperparameters, name: string): number => hyper[name] as number;

export const sgd: OptimizerUpdate = {
  name: 'sgd',
  defaults: { momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, maximize: false },
  learningRate: undefined,
  stepKind: 'none',
  check(hyper) {
    requireNonNegative(hyper, 'momentum', 'momentum');
    requireNonNegative(hyper, 'weightDecay', 'weight_decay');
    if (hyper.nesterov === true && (number(hyper, 'momentum') <= 0 || hyper.dampening !== 0)) {
      throw new OperatorError('Nesterov momentum requires a momentum and zero dampening');
    }
  },
  slots: ({ momentum }) => (momentum === 0 ? [] : [{ name: 'momentum_buffer' }]),
  update(b, hyper, site) {
    const { t, n, parameter, gradient } = begin(b, hyper, site);
    const rate = n.negate(site.learningRate);
    const direction = decayed(t, hyper, site, gradient);
    if (hyper.momentum === 0) return { parameter: t.out(t.add(parameter, direction, rate)), state: [] };
    // The first step takes the gradient as it is.
    const momentum = site.number('momentum');
    const damped = t.add(
      t.scale(t.in(site.state[0]), momentum),
      direction,
      n.subtract(1, site.number('dampening')),
    );
    const buffer = b.select(b.compare(site.step, n.of(1), 'LE'), direction, damped);
    const step = hyper.nesterov === true ? t.add(direction, buffer, momentum) : buffer;
    return { parameter: t.out(t.add(parameter, step, rate)), state: [t.out(buffer)] };
  },
};

/** Averaged stochastic gradient descent (Polyak and Juditsky, 1992); `ax` is the average. */
export const asgd: OptimizerUpdate = {
  name: 'asgd',
  defaults: { lambd: 1e-4, alpha: 0.75, t0: 1e6, weightDecay: 0, maximize: false },
  learningRate: 1e-2,
  stepKind: 'tensor',
  check: (hyper) => requireNonNegative(hyper, 'weightDecay', 'weight_decay'),
  slots: () => [{ name: 'eta', isScalar: true }, { name: 'mu', isScalar: true, initial: 1 }, { name: 'ax' }],
  update(b, hyper, site) {
    const { t, n, parameter, gradient } = begin(b, hyper, site);
    const direction = decayed(t, hyper, site, gradient);
    const [eta, mu, average] = site.state;
    const { dtype } = specOf(eta);
    const lambd = site.number('lambd');
    const first = b.compare(site.step, n.of(1), 'LE');
    const rate = b.convert(b.select(first, b.convert(site.learningRate, dtype), eta), 'float64');
    const shrunk = t.scale(parameter, n.subtract(1, n.multiply(lambd, rate)));
    const moved = t.add(shrunk, direction, n.negate(rate));
    const ax = t.in(average);
    const weight = b.convert(mu, 'float64');
    const averaged = t.add(ax, t.scale(t.subtract(moved, ax), weight));
    const slowing = n.add(1, n.multiply(n.multiply(lambd, site.learningRate), site.step));
    const nextEta = n.divide(site.learningRate, n.power(slowing, site.number('alpha')));
    const nextMu = n.divide(1, b.maximum(n.of(1), n.subtract(site.step, site.number('t0'))));
    return {
      parameter: t.out(moved),
      state: [
        // torch.tensor makes float32 of a number, whatever it is copied to.
        b.convert(b.convert(nextEta, 'float32'), dtype),
        b.convert(b.convert(nextMu, 'float32'), dtype),
        t.out(b.select(b.compare(weight, n.of(1), 'NE'), averaged, moved)),
      ],
    };
  },
};

/** Resilient propagation (Riedmiller and Braun, 1993): the sign of the gradient with a step size for each element. */
export const rprop: OptimizerUpdate = {
  name: 'rprop',
  defaults: { etas: [0.5, 1.2], stepSizes: [1e-6, 50], maximize: false },
  learningRate: 1e-2,
  stepKind: 'int',
  check({ etas }) {
    const [minus, plus] = etas as readonly number[];
    if (!(minus > 0 && minus < 1 && plus > 1))
      throw new OperatorError(`Invalid eta values: ${minus}, ${plus}`);
  },
  slots: () => [{ name: 'prev' }, { name: 'step_size' }],
  update(b, hyper, site) {
    const { t, n, parameter, gradient } = begin(b, hyper, site);
    const [previous, sizes] = site.state.map((value) => t.in(value));
    const first = b.compare(site.step, n.of(1), 'LE');
    const size = b.select(first, t.spread(site.learningRate), sizes);
    const [minus, plus] = [0, 1].map((index) => t.spread(site.number('etas', index)));
    const agreement = t.multiply(gradient, previous);
    const [zero, one] = [t.constant(0), t.constant(1)];
    const turned = b.compare(agreement, zero, 'LT');
    // NaN is neither: it stays.
    const factor = b.select(
      b.compare(agreement, zero, 'GT'),
      plus,
      b.select(turned, minus, b.select(b.compare(agreement, zero, 'EQ'), one, agreement)),
    );
    const [least, most] = [0, 1].map((index) => t.spread(site.number('stepSizes', index)));
    const step = t.round(b.clamp(least, t.multiply(size, factor), most));
    const taken = b.select(turned, zero, gradient);
    return {
      parameter: t.out(t.addcmul(parameter, b.sign(taken), step, n.of(-1))),
      state: [t.out(taken), t.out(step)],
    };
  },
};

export const rmsprop: OptimizerUpdate = {
  name: 'rmsprop',
  defaults: { alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0, centered: false, maximize: false },
  learningRate: 1e-2,
  stepKind: 'int',
  check(hyper) {
    requireNonNegative(hyper, 'eps', 'epsilon');
    requireNonNegative(hyper, 'momentum', 'momentum');
    requireNonNegative(hyper, 'weightDecay', 'weight_decay');
    requireNonNegative(hyper, 'alpha', 'alpha');
  },
  slots: ({ momentum, centered }) => [
    { name: 'square_avg' },
    ...(momentum === 0 ? [] : [{ name: 'momentum_buffer' }]),
    ...(centered === true ? [{ name: 'grad_avg' }] : []),
  ],
  update(b, hyper, site) {
    const { t, n, parameter, gradient: given } = begin(b, hyper, site);
    const gradient = decayed(t, hyper, site, given);
    const state = site.state.map((value) => t.in(value));
    const alpha = site.number('alpha');
    const rest = n.subtract(1, alpha);
    const square = t.addcmul(t.scale(state[0], alpha), gradient, gradient, rest);
    const next = [square];
    let average: typeof square | undefined;
    let variance = square;
    if (hyper.centered === true) {
      average = t.add(t.scale(state[state.length - 1], alpha), gradient, rest);
      variance = t.addcmul(square, average, average, n.of(-1));
    }
    const root = t.addScalar(t.sqrt(variance), site.number('eps'));
    const rate = n.negate(site.learningRate);
    let updated: typeof square;
    if (hyper.momentum === 0) updated = t.addcdiv(parameter, gradient, root, rate);
    else {
      const buffer = t.addcdiv(t.scale(state[1], site.number('momentum')), gradient, root, n.of(1));
      updated = t.add(parameter, buffer, rate);
      next.push(buffer);
    }
    if (average !== undefined) next.push(average);
    return { parameter: t.out(updated), state: next.map((value) => t.out(value)) };
  },
};

export const adagrad: OptimizerUpdate = {
  name: 'adagrad',
  defaults: { lrDecay: 0, weightDecay: 0, initialAccumulatorValue: 0, eps: 1e-10, maximize: false },
  learningRate: 1e-2,
  stepKind: 'tensor',
  beginsWithState: true,
  check(hyper) {
    requireNonNegative(hyper, 'lrDecay', 'lr_decay');
    requireNonNegative(hyper, 'weightDecay', 'weight_decay');
    requireNonNegative(hyper, 'initialAccumulatorValue', 'initial_accumulator_value');
    requireNonNegative(hyper, 'eps', 'epsilon');
  },
  slots: (hyper): readonly StateSlot[] => [
    { name: 'sum', initial: number(hyper, 'initialAccumulatorValue') },
  ],
  update(b, hyper, site) {
    const { t, n, parameter, gradient: given } = begin(b, hyper, site);
    const gradient = decayed(t, hyper, site, given);
    const slowing = n.add(1, n.multiply(n.subtract(site.step, 1), site.number('lrDecay')));
    const rate = n.divide(site.learningRate, slowing);
    const sum = t.addcmul(t.in(site.state[0]), gradient, gradient, n.of(1));
    const root = t.addScalar(t.sqrt(sum), site.number('eps'));
    return {
      parameter: t.out(t.addcdiv(parameter, gradient, root, n.negate(rate))),
      state: [t.out(sum)],
    };
  },
};

/** Adadelta (Zeiler, 2012): steps in the units of the parameters. */
export const adadelta: OptimizerUpdate = {
  name: 'adadelta',
  defaults: { rho: 0.9, eps: 1e-6, weightDecay: 0, maximize: false },
  learningRate: 1,
  stepKind: 'int',
  check(hyper) {
    const rho = number(hyper, 'rho');
    if (!(rho >= 0 && rho <= 1)) throw new OperatorError(`Invalid rho value: ${rho}`);
    requireNonNegative(hyper, 'eps', 'epsilon');
    requireNonNegative(hyper, 'weightDecay', 'weight_decay');
  },
  slots: () => [{ name: 'square_avg' }, { name: 'acc_delta' }],
  update(b, hyper, site) {
    const { t, n, parameter, gradient: given } = begin(b, hyper, site);
    const gradient = decayed(t, hyper, site, given);
    const [square, deltas] = site.state.map((value) => t.in(value));
    const [rho, eps] = [site.number('rho'), site.number('eps')];
    const rest = n.subtract(1, rho);
    const average = t.addcmul(t.scale(square, rho), gradient, gradient, rest);
    const deviation = t.sqrt(t.addScalar(average, eps));
    const ratio = t.divide(t.sqrt(t.addScalar(deltas, eps)), deviation);
    const delta = t.multiply(ratio, gradient);
    return {
      parameter: t.out(t.add(parameter, delta, n.negate(site.learningRate))),
      state: [t.out(average), t.out(t.addcmul(t.scale(deltas, rho), delta, delta, rest))],
    };
  },
};
