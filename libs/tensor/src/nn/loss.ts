// Losses as modules; `reduction` is 'mean', 'sum' or 'none'.
import type { Tensor } from '../tensor.ts';
import type { float, int } from '../types.ts';
import * as F from './functional.ts';
import { Module } from './module.ts';

export interface LossOptions {
  readonly reduction?: string;
}

abstract class Loss extends Module {
  readonly reduction: string;
  constructor(options: LossOptions = {}) {
    super();
    this.reduction = options.reduction ?? 'mean';
  }
}

export class MSELoss extends Loss {
  static readonly torchName = '__torch__.torch.nn.modules.loss.MSELoss';
  forward(input: Tensor, target: Tensor): Tensor {
    return F.mseLoss(input, target, this.reduction);
  }
}

export class L1Loss extends Loss {
  static readonly torchName = '__torch__.torch.nn.modules.loss.L1Loss';
  forward(input: Tensor, target: Tensor): Tensor {
    return F.l1Loss(input, target, this.reduction);
  }
}

export interface ClassLossOptions extends LossOptions {
  /** A weight for each class. */
  readonly weight?: Tensor;
  readonly ignoreIndex?: int;
}

/** Cross entropy of logits [N, C, …] with class indices [N, …] or probabilities [N, C, …]. */
export class CrossEntropyLoss extends Loss {
  static readonly torchName = '__torch__.torch.nn.modules.loss.CrossEntropyLoss';
  readonly ignore_index: int;
  readonly label_smoothing: float;
  declare readonly weight: Tensor | null;
  constructor(options: ClassLossOptions & { readonly labelSmoothing?: float } = {}) {
    super(options);
    this.registerBuffer('weight', options.weight ?? null);
    this.ignore_index = options.ignoreIndex ?? -100;
    this.label_smoothing = options.labelSmoothing ?? 0;
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.crossEntropy(
      input,
      target,
      this.weight,
      this.ignore_index,
      this.reduction,
      this.label_smoothing,
    );
  }
}

export class NLLLoss extends Loss {
  static readonly torchName = '__torch__.torch.nn.modules.loss.NLLLoss';
  readonly ignore_index: int;
  declare readonly weight: Tensor | null;
  constructor(options: ClassLossOptions = {}) {
    super(options);
    this.registerBuffer('weight', options.weight ?? null);
    this.ignore_index = options.ignoreIndex ?? -100;
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.nllLoss(input, target, this.weight, this.ignore_index, this.reduction);
  }
}

export class BCEWithLogitsLoss extends Loss {
  static readonly torchName = '__torch__.torch.nn.modules.loss.BCEWithLogitsLoss';
  forward(input: Tensor, target: Tensor): Tensor {
    return F.binaryCrossEntropyWithLogits(input, target, null, this.reduction);
  }
}

export class SmoothL1Loss extends Loss {
  static readonly torchName = '__torch__.torch.nn.modules.loss.SmoothL1Loss';
  readonly beta: float;
  constructor(options: LossOptions & { readonly beta?: float } = {}) {
    super(options);
    this.beta = options.beta ?? 1;
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.smoothL1Loss(input, target, this.reduction, this.beta);
  }
}

export class HuberLoss extends Loss {
  static readonly torchName = '__torch__.torch.nn.modules.loss.HuberLoss';
  readonly delta: float;
  constructor(options: LossOptions & { readonly delta?: float } = {}) {
    super(options);
    this.delta = options.delta ?? 1;
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.huberLoss(input, target, this.reduction, this.delta);
  }
}

/** Of probabilities. */
export class BCELoss extends Loss {
  static readonly torchName = '__torch__.torch.nn.modules.loss.BCELoss';
  declare readonly weight: Tensor | null;
  constructor(options: LossOptions & { readonly weight?: Tensor } = {}) {
    super(options);
    this.registerBuffer('weight', options.weight ?? null);
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.binaryCrossEntropy(input, target, this.weight, this.reduction);
  }
}

/** Of log-probabilities; `reduction` may also be 'batchmean'. */
export class KLDivLoss extends Loss {
  static readonly torchName = '__torch__.torch.nn.modules.loss.KLDivLoss';
  readonly log_target: boolean;
  constructor(options: LossOptions & { readonly logTarget?: boolean } = {}) {
    super(options);
    this.log_target = options.logTarget ?? false;
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.klDiv(input, target, this.reduction, this.log_target);
  }
}
