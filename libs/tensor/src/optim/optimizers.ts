// The optimizers by name, with PyTorch's options and defaults.
import { CompiledOptimizer } from './compiled-optimizer.ts';
import type { Parameters } from './optimizer.ts';

export interface SGDOptions {
  readonly lr?: number;
  readonly momentum?: number;
  readonly dampening?: number;
  readonly weightDecay?: number;
  readonly nesterov?: boolean;
  readonly maximize?: boolean;
}
export class SGD extends CompiledOptimizer {
  /** @param options `lr` here or in every group */
  constructor(parameters: Parameters, options: SGDOptions) {
    super('sgd', parameters, { ...options });
  }
}

export interface AdamOptions {
  readonly lr?: number;
  readonly betas?: readonly [number, number];
  readonly eps?: number;
  readonly weightDecay?: number;
  readonly amsgrad?: boolean;
  readonly maximize?: boolean;
}
export class Adam extends CompiledOptimizer {
  constructor(parameters: Parameters, options: AdamOptions = {}) {
    super('adam', parameters, { ...options });
  }
}

/** Adam with decoupled weight decay. */
export class AdamW extends CompiledOptimizer {
  constructor(parameters: Parameters, options: AdamOptions = {}) {
    super('adamw', parameters, { ...options });
  }
}

export type AdamaxOptions = Omit<AdamOptions, 'amsgrad'>;
/** Adam with the greatest gradient in the place of the average of squares. */
export class Adamax extends CompiledOptimizer {
  constructor(parameters: Parameters, options: AdamaxOptions = {}) {
    super('adamax', parameters, { ...options });
  }
}

export interface NAdamOptions extends Omit<AdamOptions, 'amsgrad' | 'maximize'> {
  readonly momentumDecay?: number;
}
/** Adam with Nesterov momentum. */
export class NAdam extends CompiledOptimizer {
  constructor(parameters: Parameters, options: NAdamOptions = {}) {
    super('nadam', parameters, { ...options });
  }
}

export type RAdamOptions = Omit<AdamOptions, 'amsgrad' | 'maximize'>;
/** Adam whose early steps are rectified. */
export class RAdam extends CompiledOptimizer {
  constructor(parameters: Parameters, options: RAdamOptions = {}) {
    super('radam', parameters, { ...options });
  }
}

export interface RMSpropOptions {
  readonly lr?: number;
  readonly alpha?: number;
  readonly eps?: number;
  readonly weightDecay?: number;
  readonly momentum?: number;
  readonly centered?: boolean;
  readonly maximize?: boolean;
}
export class RMSprop extends CompiledOptimizer {
  constructor(parameters: Parameters, options: RMSpropOptions = {}) {
    super('rmsprop', parameters, { ...options });
  }
}

export interface AdagradOptions {
  readonly lr?: number;
  readonly lrDecay?: number;
  readonly weightDecay?: number;
  readonly initialAccumulatorValue?: number;
  readonly eps?: number;
  readonly maximize?: boolean;
}
export class Adagrad extends CompiledOptimizer {
  constructor(parameters: Parameters, options: AdagradOptions = {}) {
    super('adagrad', parameters, { ...options });
  }
}

export interface AdadeltaOptions {
  readonly lr?: number;
  readonly rho?: number;
  readonly eps?: number;
  readonly weightDecay?: number;
  readonly maximize?: boolean;
}
export class Adadelta extends CompiledOptimizer {
  constructor(parameters: Parameters, options: AdadeltaOptions = {}) {
    super('adadelta', parameters, { ...options });
  }
}

export interface ASGDOptions {
  readonly lr?: number;
  readonly lambd?: number;
  readonly alpha?: number;
  /** The step from which on the parameters are averaged. */
  readonly t0?: number;
  readonly weightDecay?: number;
  readonly maximize?: boolean;
}
/** Averaged SGD; the averages are `ax` in the state. */
export class ASGD extends CompiledOptimizer {
  constructor(parameters: Parameters, options: ASGDOptions = {}) {
    super('asgd', parameters, { ...options });
  }
}

export interface RpropOptions {
  readonly lr?: number;
  /** Factors of a step size when the gradient turns and when it does not. */
  readonly etas?: readonly [number, number];
  /** The least and the greatest step size. */
  readonly stepSizes?: readonly [number, number];
  readonly maximize?: boolean;
}
export class Rprop extends CompiledOptimizer {
  constructor(parameters: Parameters, options: RpropOptions = {}) {
    super('rprop', parameters, { ...options });
  }
}
