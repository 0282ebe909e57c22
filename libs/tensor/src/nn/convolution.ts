// Convolution layers.
import { empty } from '../functions.generated.ts';
import type { Tensor } from '../tensor.ts';
import type { int } from '../types.ts';
import * as F from './functional.ts';
import { resetAffine } from './linear.ts';
import { Module } from './module.ts';
import { Parameter } from './parameter.ts';

export interface ConvOptions {
  readonly stride?: int | int[];
  readonly padding?: int | int[];
  readonly dilation?: int | int[];
  readonly groups?: int;
  readonly bias?: boolean;
}

const spread = (value: int | int[], rank: int): int[] =>
  typeof value === 'number' ? Array.from({ length: rank }, () => value) : value;

/** Weight [out, in / groups, …window]; input [N, in, …] → [N, out, …]. */
abstract class Conv extends Module {
  readonly stride: int[];
  readonly padding: int[];
  readonly dilation: int[];
  readonly groups: int;
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(
    rank: int,
    inChannels: int,
    outChannels: int,
    kernelSize: int | int[],
    options: ConvOptions,
    transposed = false,
  ) {
    super();
    this.stride = spread(options.stride ?? 1, rank);
    this.padding = spread(options.padding ?? 0, rank);
    this.dilation = spread(options.dilation ?? 1, rank);
    this.groups = options.groups ?? 1;
    if (inChannels % this.groups !== 0) throw new RangeError('in_channels must be divisible by groups');
    if (outChannels % this.groups !== 0) throw new RangeError('out_channels must be divisible by groups');
    const [first, second] = transposed ? [inChannels, outChannels] : [outChannels, inChannels];
    this.weight = new Parameter(empty([first, second / this.groups, ...spread(kernelSize, rank)]));
    this.bias = (options.bias ?? true) ? new Parameter(empty([outChannels])) : null;
    resetAffine(this.weight, this.bias);
  }
}

export class Conv1d extends Conv {
  static readonly torchName = '__torch__.torch.nn.modules.conv.Conv1d';
  constructor(inChannels: int, outChannels: int, kernelSize: int | int[], options: ConvOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }
  forward(input: Tensor): Tensor {
    return F.conv1d(input, this.weight, this.bias, this.stride, this.padding, this.dilation, this.groups);
  }
}

export class Conv2d extends Conv {
  static readonly torchName = '__torch__.torch.nn.modules.conv.Conv2d';
  constructor(inChannels: int, outChannels: int, kernelSize: int | int[], options: ConvOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }
  forward(input: Tensor): Tensor {
    return F.conv2d(input, this.weight, this.bias, this.stride, this.padding, this.dilation, this.groups);
  }
}

export class Conv3d extends Conv {
  static readonly torchName = '__torch__.torch.nn.modules.conv.Conv3d';
  constructor(inChannels: int, outChannels: int, kernelSize: int | int[], options: ConvOptions = {}) {
    super(3, inChannels, outChannels, kernelSize, options);
  }
  forward(input: Tensor): Tensor {
    return F.conv3d(input, this.weight, this.bias, this.stride, this.padding, this.dilation, this.groups);
  }
}

export interface ConvTransposeOptions extends ConvOptions {
  readonly outputPadding?: int | int[];
}

/** Weight [in, out / groups, …window]: the transpose (gradient) of the convolution with the same options. */
export class ConvTranspose2d extends Conv {
  static readonly torchName = '__torch__.torch.nn.modules.conv.ConvTranspose2d';
  readonly output_padding: int[];
  constructor(
    inChannels: int,
    outChannels: int,
    kernelSize: int | int[],
    options: ConvTransposeOptions = {},
  ) {
    super(2, inChannels, outChannels, kernelSize, options, true);
    this.output_padding = spread(options.outputPadding ?? 0, 2);
  }
  forward(input: Tensor): Tensor {
    return F.convTranspose2d(
      input,
      this.weight,
      this.bias,
      this.stride,
      this.padding,
      this.output_padding,
      this.groups,
      this.dilation,
    );
  }
}
