// Activation functions as modules.
import { full } from '../functions.generated.ts';
import type { Tensor } from '../tensor.ts';
import type { float, int } from '../types.ts';
import * as F from './functional.ts';
import { Module } from './module.ts';
import { Parameter } from './parameter.ts';

export class ReLU extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.ReLU';
  forward(input: Tensor): Tensor {
    return F.relu(input);
  }
}
export class ReLU6 extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.ReLU6';
  forward(input: Tensor): Tensor {
    return F.relu6(input);
  }
}
export class Tanh extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.Tanh';
  forward(input: Tensor): Tensor {
    return F.tanh(input);
  }
}
export class Sigmoid extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.Sigmoid';
  forward(input: Tensor): Tensor {
    return F.sigmoid(input);
  }
}
export class SiLU extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.SiLU';
  forward(input: Tensor): Tensor {
    return F.silu(input);
  }
}
export class Mish extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.Mish';
  forward(input: Tensor): Tensor {
    return F.mish(input);
  }
}
export class Hardswish extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.Hardswish';
  forward(input: Tensor): Tensor {
    return F.hardswish(input);
  }
}
export class Hardsigmoid extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.Hardsigmoid';
  forward(input: Tensor): Tensor {
    return F.hardsigmoid(input);
  }
}

/** `approximate`: 'none' (with erf) or 'tanh'. */
export class GELU extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.GELU';
  readonly approximate: string;
  constructor(options: { readonly approximate?: string } = {}) {
    super();
    this.approximate = options.approximate ?? 'none';
  }
  forward(input: Tensor): Tensor {
    return F.gelu(input, { approximate: this.approximate });
  }
}

export class LeakyReLU extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.LeakyReLU';
  readonly negative_slope: float;
  constructor(negativeSlope: float = 0.01) {
    super();
    this.negative_slope = negativeSlope;
  }
  forward(input: Tensor): Tensor {
    return F.leakyRelu(input, this.negative_slope);
  }
}

export class ELU extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.ELU';
  readonly alpha: float;
  constructor(alpha: float = 1.0) {
    super();
    this.alpha = alpha;
  }
  forward(input: Tensor): Tensor {
    return F.elu(input, this.alpha);
  }
}

export class Softplus extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.Softplus';
  readonly beta: float;
  readonly threshold: float;
  constructor(beta: float = 1, threshold: float = 20) {
    super();
    this.beta = beta;
    this.threshold = threshold;
  }
  forward(input: Tensor): Tensor {
    return F.softplus(input, this.beta, this.threshold);
  }
}

/** One learned slope, or one a channel. */
export class PReLU extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.PReLU';
  readonly weight: Parameter;
  constructor(numParameters: int = 1, init: float = 0.25) {
    super();
    this.weight = new Parameter(full([numParameters], init, { dtype: 'float32' }));
  }
  forward(input: Tensor): Tensor {
    return F.prelu(input, this.weight);
  }
}

export class Softmax extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.Softmax';
  readonly dim: int;
  constructor(dim: int) {
    super();
    this.dim = dim;
  }
  forward(input: Tensor): Tensor {
    return F.softmax(input, this.dim);
  }
}

export class LogSoftmax extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.LogSoftmax';
  readonly dim: int;
  constructor(dim: int) {
    super();
    this.dim = dim;
  }
  forward(input: Tensor): Tensor {
    return F.logSoftmax(input, this.dim);
  }
}
