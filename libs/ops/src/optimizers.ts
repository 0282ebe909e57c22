// The updates of optimizers as core operators: used by the eager optimizers (one compiled graph over all parameters) and by the
// planner, which puts them at the end of a worker's step. Formulas and defaults are torch.optim's.
import type { CoreBuilder, TensorSpec, Value } from '@weft/ir';
import { OperatorError, specOf } from '@weft/ir';

/** Numbers and switches of an optimizer, by camelCase of PyTorch's names. All have PyTorch's defaults. */
export type Hyperparameters = Readonly<Record<string, number | boolean | readonly number[]>>;

export interface UpdateSite {
  readonly parameter: Value;
  readonly gradient: Value;
  /** State values, in the order of `slots`. */
  readonly state: readonly Value[];
  /** float32 scalars: the rate of this step, and the number of this update from 1. */
  readonly learningRate: Value;
  readonly step: Value;
}

export interface UpdateResult {
  readonly parameter: Value;
  readonly state: readonly Value[];
}

export interface OptimizerUpdate {
  readonly name: string;
  readonly defaults: Hyperparameters;
  /** Names of the state kept for each parameter (PyTorch's), for these hyperparameters; all start at `initial`. */
  slots(hyper: Hyperparameters): readonly string[];
  /** What a state slot holds before the first step (default 0). */
  initial?(slot: string, hyper: Hyperparameters): number;
  update(b: CoreBuilder, hyper: Hyperparameters, site: UpdateSite): UpdateResult;
}

/** Scalars and products in the dtype and shape of one parameter. */
class Terms {
  private readonly spec: TensorSpec;
  constructor(
    private readonly b: CoreBuilder,
    like: Value,
  ) {
    this.spec = specOf(like);
  }
  constant(value: number): Value {
    return this.b.full(value, this.spec.dtype, this.spec.sizes);
  }
  /** A float32 scalar, spread. */
  spread(scalar: Value): Value {
    return this.b.broadcastTo(this.b.convert(scalar, this.spec.dtype), this.spec.sizes);
  }
  scale(value: Value, factor: number): Value {
    return factor === 1 ? value : this.b.multiply(value, this.constant(factor));
  }
  /** `a * decay + x * weight` */
  mix(a: Value, decay: number, x: Value, weight: number): Value {
    return this.b.add(this.scale(a, decay), this.scale(x, weight));
  }
  /** `1 - beta ** step` as a float32 scalar, without the cancellation of computing it so. */
  biasCorrection(beta: number, step: Value): Value {
    if (beta === 0) return this.b.full(1, 'float32');
    const exponent = this.b.multiply(step, this.b.full(Math.log(beta), 'float32'));
    return this.b.negate(this.b.exponentialMinusOne(exponent));
  }
}

const number = (hyper: Hyperparameters, name: string): number => hyper[name] as number;

/** The gradient, negated to maximise, with L2 weight decay added. */
function decayed(
  b: CoreBuilder,
  t: Terms,
  hyper: Hyperparameters,
  { parameter, gradient }: UpdateSite,
): Value {
  const directed = hyper.maximize === true ? b.negate(gradient) : gradient;
  const decay = number(hyper, 'weightDecay');
  return decay === 0 ? directed : b.add(directed, t.scale(parameter, decay));
}

const sgd: OptimizerUpdate = {
  name: 'sgd',
  defaults: { momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, maximize: false },
  slots: ({ momentum }) => (momentum === 0 ? [] : ['momentum_buffer']),
  update(b, hyper, site) {
    const t = new Terms(b, site.parameter);
    let direction = decayed(b, t, hyper, site);
    const momentum = number(hyper, 'momentum');
    const state: Value[] = [];
    if (momentum !== 0) {
      // The first step takes the gradient undamped.
      const isFirst = b.compare(site.step, b.full(1, 'float32'), 'LE');
      const damped = t.scale(direction, 1 - number(hyper, 'dampening'));
      const buffer = b.add(t.scale(site.state[0], momentum), b.select(isFirst, direction, damped));
      state.push(buffer);
      direction = hyper.nesterov === true ? b.add(direction, t.scale(buffer, momentum)) : buffer;
    }
    return {
      parameter: b.subtract(site.parameter, b.multiply(t.spread(site.learningRate), direction)),
      state,
    };
  },
};

function adamStep(
  b: CoreBuilder,
  t: Terms,
  hyper: Hyperparameters,
  site: UpdateSite,
  parameter: Value,
  gradient: Value,
): UpdateResult {
  const [beta1, beta2] = hyper.betas as readonly number[];
  const average = t.mix(site.state[0], beta1, gradient, 1 - beta1);
  const square = t.mix(site.state[1], beta2, b.multiply(gradient, gradient), 1 - beta2);
  const state = [average, square];
  let second = square;
  if (hyper.amsgrad === true) {
    second = b.maximum(site.state[2], square);
    state.push(second);
  }
  const rate = b.divide(site.learningRate, t.biasCorrection(beta1, site.step));
  const root = b.sqrt(t.biasCorrection(beta2, site.step));
  const denominator = b.add(b.divide(b.sqrt(second), t.spread(root)), t.constant(number(hyper, 'eps')));
  return {
    parameter: b.subtract(parameter, b.multiply(t.spread(rate), b.divide(average, denominator))),
    state,
  };
}

const adamSlots = ({ amsgrad }: Hyperparameters): readonly string[] =>
  amsgrad === true ? ['exp_avg', 'exp_avg_sq', 'max_exp_avg_sq'] : ['exp_avg', 'exp_avg_sq'];

const adam: OptimizerUpdate = {
  name: 'adam',
  defaults: { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, amsgrad: false, maximize: false },
  slots: adamSlots,
  update(b, hyper, site) {
    const t = new Terms(b, site.parameter);
    return adamStep(b, t, hyper, site, site.parameter, decayed(b, t, hyper, site));
  },
};

/** Decoupled weight decay (Loshchilov and Hutter, 2019). */
const adamw: OptimizerUpdate = {
  name: 'adamw',
  defaults: { ...adam.defaults, weightDecay: 0.01 },
  slots: adamSlots,
  update(b, hyper, site) {
    const t = new Terms(b, site.parameter);
    const keep = b.subtract(
      b.full(1, 'float32'),
      b.multiply(site.learningRate, b.full(number(hyper, 'weightDecay'), 'float32')),
    );
    const gradient = hyper.maximize === true ? b.negate(site.gradient) : site.gradient;
    return adamStep(b, t, hyper, site, b.multiply(site.parameter, t.spread(keep)), gradient);
  },
};

const rmsprop: OptimizerUpdate = {
  name: 'rmsprop',
  defaults: { alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0, centered: false, maximize: false },
  slots: ({ momentum, centered }) => [
    'square_avg',
    ...(number({ momentum }, 'momentum') > 0 ? ['momentum_buffer'] : []),
    ...(centered === true ? ['grad_avg'] : []),
  ],
  update(b, hyper, site) {
    const t = new Terms(b, site.parameter);
    const gradient = decayed(b, t, hyper, site);
    const alpha = number(hyper, 'alpha');
    const momentum = number(hyper, 'momentum');
    const square = t.mix(site.state[0], alpha, b.multiply(gradient, gradient), 1 - alpha);
    let variance = square;
    let average: Value | undefined;
    if (hyper.centered === true) {
      average = t.mix(site.state[momentum > 0 ? 2 : 1], alpha, gradient, 1 - alpha);
      variance = b.subtract(square, b.multiply(average, average));
    }
    let step = b.divide(gradient, b.add(b.sqrt(variance), t.constant(number(hyper, 'eps'))));
    const state = [square];
    if (momentum > 0) {
      step = b.add(t.scale(site.state[1], momentum), step);
      state.push(step);
    }
    if (average !== undefined) state.push(average);
    return { parameter: b.subtract(site.parameter, b.multiply(t.spread(site.learningRate), step)), state };
  },
};

const adagrad: OptimizerUpdate = {
  name: 'adagrad',
  defaults: { lrDecay: 0, weightDecay: 0, initialAccumulatorValue: 0, eps: 1e-10, maximize: false },
  slots: () => ['sum'],
  initial: (_slot, hyper) => number(hyper, 'initialAccumulatorValue'),
  update(b, hyper, site) {
    const t = new Terms(b, site.parameter);
    const gradient = decayed(b, t, hyper, site);
    const one = b.full(1, 'float32');
    const slowing = b.add(
      one,
      b.multiply(b.subtract(site.step, one), b.full(number(hyper, 'lrDecay'), 'float32')),
    );
    const rate = b.divide(site.learningRate, slowing);
    const sum = b.add(site.state[0], b.multiply(gradient, gradient));
    const step = b.divide(gradient, b.add(b.sqrt(sum), t.constant(number(hyper, 'eps'))));
    return { parameter: b.subtract(site.parameter, b.multiply(t.spread(rate), step)), state: [sum] };
  },
};

const updates: ReadonlyMap<string, OptimizerUpdate> = new Map(
  [sgd, adam, adamw, rmsprop, adagrad].map((update) => [update.name, update]),
);

/** The update rule of that name. Throws OperatorError naming the known ones. */
export function optimizerUpdate(name: string): OptimizerUpdate {
  const update = updates.get(name);
  if (update === undefined)
    throw new OperatorError(`there is no optimizer '${name}'; known: ${[...updates.keys()].join(', ')}`);
  return update;
}

/** `given` over the defaults; throws OperatorError naming a hyperparameter that the optimizer does not have. */
export function hyperparameters(
  update: OptimizerUpdate,
  given: Readonly<Record<string, unknown>>,
): Hyperparameters {
  const merged: Record<string, number | boolean | readonly number[]> = { ...update.defaults };
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(update.defaults, name)) {
      throw new OperatorError(
        `${update.name} has no hyperparameter '${name}'; it has lr, ${Object.keys(update.defaults).join(', ')}`,
      );
    }
    if (value !== undefined) merged[name] = value as number | boolean | readonly number[];
  }
  return merged;
}
