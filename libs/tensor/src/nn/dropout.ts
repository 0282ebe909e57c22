// Random zeros in training.
import { featureDropout } from '../functions.generated.ts';
import type { Tensor } from '../tensor.ts';
import type { float } from '../types.ts';
import * as F from './functional.ts';
import { Module } from './module.ts';

/** Zeroes each element with probability `p` and scales the rest by 1/(1-p), in training only. */
export class Dropout extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.dropout.Dropout';
  readonly p: float;

  constructor(p: float = 0.5) {
    super();
    if (!(p >= 0 && p <= 1))
      throw new RangeError(`dropout probability has to be between 0 and 1, but got ${p}`);
    this.p = p;
  }

  forward(input: Tensor): Tensor {
    return F.dropout(input, this.p, this.training);
  }

  override extraRepr(): string {
    return `p=${this.p}`;
  }
}

/** Zeroes whole channels: [N, C, …]. */
abstract class FeatureDropout extends Module {
  readonly p: float;

  constructor(p: float = 0.5) {
    super();
    if (!(p >= 0 && p <= 1))
      throw new RangeError(`dropout probability has to be between 0 and 1, but got ${p}`);
    this.p = p;
  }

  forward(input: Tensor): Tensor {
    return featureDropout(input, this.p, this.training);
  }

  override extraRepr(): string {
    return `p=${this.p}`;
  }
}
export class Dropout1d extends FeatureDropout {
  static readonly torchName = '__torch__.torch.nn.modules.dropout.Dropout1d';
}
export class Dropout2d extends FeatureDropout {
  static readonly torchName = '__torch__.torch.nn.modules.dropout.Dropout2d';
}
export class Dropout3d extends FeatureDropout {
  static readonly torchName = '__torch__.torch.nn.modules.dropout.Dropout3d';
}
