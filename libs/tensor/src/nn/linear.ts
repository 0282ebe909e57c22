// Fully connected layers and the identity.
import { empty } from '../functions.generated.ts';
import type { Tensor } from '../tensor.ts';
import type { int } from '../types.ts';
import * as F from './functional.ts';
import * as init from './init.ts';
import { Module } from './module.ts';
import { Parameter } from './parameter.ts';

/** PyTorch's default for weights of `fanIn` inputs: uniform in ±1/√fanIn, the bias too. */
export function resetAffine(weight: Parameter, bias: Parameter | null): void {
  init.kaimingUniform_(weight, { a: Math.sqrt(5) });
  if (bias === null) return;
  const { fanIn } = init.fans(weight);
  const bound = fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0;
  init.uniform_(bias, -bound, bound);
}

/** `input @ weight.T + bias`: [..., inFeatures] → [..., outFeatures]. */
export class Linear extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.linear.Linear';
  readonly in_features: int;
  readonly out_features: int;
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(inFeatures: int, outFeatures: int, options: { readonly bias?: boolean } = {}) {
    super();
    this.in_features = inFeatures;
    this.out_features = outFeatures;
    this.weight = new Parameter(empty([outFeatures, inFeatures]));
    this.bias = (options.bias ?? true) ? new Parameter(empty([outFeatures])) : null;
    resetAffine(this.weight, this.bias);
  }

  forward(input: Tensor): Tensor {
    return F.linear(input, this.weight, this.bias);
  }

  override extraRepr(): string {
    return `in_features=${this.in_features}, out_features=${this.out_features}, bias=${this.bias === null ? 'False' : 'True'}`;
  }
}

export class Identity extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.linear.Identity';
  forward(input: Tensor): Tensor {
    return input;
  }
}

/** Flattens the dimensions from `startDim` to `endDim` into one. */
export class Flatten extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.flatten.Flatten';
  readonly start_dim: int;
  readonly end_dim: int;

  constructor(startDim: int = 1, endDim: int = -1) {
    super();
    this.start_dim = startDim;
    this.end_dim = endDim;
  }

  forward(input: Tensor): Tensor {
    return input.flatten(this.start_dim, this.end_dim);
  }
}

/** `y_k = x1 A_k x2 + b_k`: [..., in1], [..., in2] → [..., out]. */
export class Bilinear extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.linear.Bilinear';
  readonly in1_features: int;
  readonly in2_features: int;
  readonly out_features: int;
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(
    in1Features: int,
    in2Features: int,
    outFeatures: int,
    options: { readonly bias?: boolean } = {},
  ) {
    super();
    this.in1_features = in1Features;
    this.in2_features = in2Features;
    this.out_features = outFeatures;
    this.weight = new Parameter(empty([outFeatures, in1Features, in2Features]));
    this.bias = (options.bias ?? true) ? new Parameter(empty([outFeatures])) : null;
    const bound = 1 / Math.sqrt(in1Features);
    init.uniform_(this.weight, -bound, bound);
    if (this.bias !== null) init.uniform_(this.bias, -bound, bound);
  }

  forward(input1: Tensor, input2: Tensor): Tensor {
    return F.bilinear(input1, input2, this.weight, this.bias);
  }
}
