// The optimizers by name, with PyTorch's options and defaults.
import { OperatorError } from '@weft/ir';
import type { Tensor } from '../tensor.ts';
import type { GroupOptions } from './optimizer.ts';
import { Optimizer } from './optimizer.ts';

/** Parameters to train, or groups of them with options of their own. */
export type Parameters = Iterable<Tensor> | Iterable<GroupOptions>;

export interface SGDOptions {
  readonly lr: number;
  readonly momentum?: number;
  readonly dampening?: number;
  readonly weightDecay?: number;
  readonly nesterov?: boolean;
  readonly maximize?: boolean;
}
export class SGD extends Optimizer {
  constructor(parameters: Parameters, options: SGDOptions) {
    if (options.nesterov === true && ((options.momentum ?? 0) <= 0 || (options.dampening ?? 0) !== 0)) {
      throw new OperatorError('Nesterov momentum requires a momentum and zero dampening');
    }
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
function checkBetas(betas: readonly [number, number] | undefined): void {
  betas?.forEach((beta, index) => {
    if (!(beta >= 0 && beta < 1))
      throw new OperatorError(`Invalid beta parameter at index ${index}: ${beta}`);
  });
}
export class Adam extends Optimizer {
  constructor(parameters: Parameters, options: AdamOptions = {}) {
    checkBetas(options.betas);
    super('adam', parameters, { ...options, lr: options.lr ?? 1e-3 });
  }
}

/** Adam with decoupled weight decay. */
export class AdamW extends Optimizer {
  constructor(parameters: Parameters, options: AdamOptions = {}) {
    checkBetas(options.betas);
    super('adamw', parameters, { ...options, lr: options.lr ?? 1e-3 });
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
export class RMSprop extends Optimizer {
  constructor(parameters: Parameters, options: RMSpropOptions = {}) {
    super('rmsprop', parameters, { ...options, lr: options.lr ?? 1e-2 });
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
export class Adagrad extends Optimizer {
  constructor(parameters: Parameters, options: AdagradOptions = {}) {
    super('adagrad', parameters, { ...options, lr: options.lr ?? 1e-2 });
  }
}
