// Normalisation layers with their learned scale and shift. Properties that are state have PyTorch's names, since they are the
// keys of state dicts and archives.
import { tensor } from '../creation.ts';
import { empty, ones, zeros } from '../functions.generated.ts';
import type { Tensor } from '../tensor.ts';
import type { float, int } from '../types.ts';
import * as F from './functional.ts';
import * as init from './init.ts';
import { Module } from './module.ts';
import { Parameter } from './parameter.ts';

export class LayerNorm extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.normalization.LayerNorm';
  readonly normalized_shape: int[];
  readonly eps: float;
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;

  constructor(
    normalizedShape: int | int[],
    options: { readonly eps?: float; readonly elementwiseAffine?: boolean } = {},
  ) {
    super();
    this.normalized_shape = typeof normalizedShape === 'number' ? [normalizedShape] : normalizedShape;
    this.eps = options.eps ?? 1e-5;
    const affine = options.elementwiseAffine ?? true;
    this.weight = affine ? new Parameter(ones(this.normalized_shape)) : null;
    this.bias = affine ? new Parameter(zeros(this.normalized_shape)) : null;
  }

  forward(input: Tensor): Tensor {
    return F.layerNorm(input, this.normalized_shape, this.weight, this.bias, this.eps);
  }

  override extraRepr(): string {
    return `(${this.normalized_shape.join(', ')}${this.normalized_shape.length === 1 ? ',' : ''}), eps=${this.eps}`;
  }
}

export class GroupNorm extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.normalization.GroupNorm';
  readonly num_groups: int;
  readonly eps: float;
  readonly weight: Parameter;
  readonly bias: Parameter;

  constructor(numGroups: int, numChannels: int, options: { readonly eps?: float } = {}) {
    super();
    if (numChannels % numGroups !== 0) throw new RangeError('num_channels must be divisible by num_groups');
    this.num_groups = numGroups;
    this.eps = options.eps ?? 1e-5;
    this.weight = new Parameter(ones([numChannels]));
    this.bias = new Parameter(zeros([numChannels]));
  }

  forward(input: Tensor): Tensor {
    return F.groupNorm(input, this.num_groups, this.weight, this.bias, this.eps);
  }
}

export interface BatchNormOptions {
  readonly eps?: float;
  readonly momentum?: float;
}

/** Shared by the ranks of input: [N, C, …], one mean and variance a channel. */
abstract class BatchNorm extends Module {
  readonly num_features: int;
  readonly eps: float;
  readonly momentum: float;
  readonly weight: Parameter;
  readonly bias: Parameter;
  declare readonly running_mean: Tensor;
  declare readonly running_var: Tensor;
  declare readonly num_batches_tracked: Tensor;

  constructor(numFeatures: int, options: BatchNormOptions = {}) {
    super();
    this.num_features = numFeatures;
    this.eps = options.eps ?? 1e-5;
    this.momentum = options.momentum ?? 0.1;
    this.weight = new Parameter(empty([numFeatures]));
    this.bias = new Parameter(empty([numFeatures]));
    init.ones_(this.weight);
    init.zeros_(this.bias);
    this.registerBuffer('running_mean', zeros([numFeatures]));
    this.registerBuffer('running_var', ones([numFeatures]));
    this.registerBuffer('num_batches_tracked', tensor(0, { dtype: 'int64' }));
  }

  forward(input: Tensor): Tensor {
    if (this.training) this.num_batches_tracked.add_(1);
    return F.batchNorm(
      input,
      this.running_mean,
      this.running_var,
      this.weight,
      this.bias,
      this.training,
      this.momentum,
      this.eps,
    );
  }

  override extraRepr(): string {
    return `${this.num_features}, eps=${this.eps}, momentum=${this.momentum}`;
  }
}

export class BatchNorm1d extends BatchNorm {
  static readonly torchName = '__torch__.torch.nn.modules.batchnorm.BatchNorm1d';
}
export class BatchNorm2d extends BatchNorm {
  static readonly torchName = '__torch__.torch.nn.modules.batchnorm.BatchNorm2d';
}
export class BatchNorm3d extends BatchNorm {
  static readonly torchName = '__torch__.torch.nn.modules.batchnorm.BatchNorm3d';
}
