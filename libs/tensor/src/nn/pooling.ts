// Pooling layers over [N, C, …], of one, two and three spatial dimensions.
import type { Tensor } from '../tensor.ts';
import type { int } from '../types.ts';
import * as F from './functional.ts';
import { Module } from './module.ts';

export interface PoolOptions {
  /** Default: the kernel size. */
  readonly stride?: int | int[];
  readonly padding?: int | int[];
}
export interface MaxPoolOptions extends PoolOptions {
  readonly dilation?: int | int[];
  readonly ceilMode?: boolean;
}
export interface AvgPoolOptions extends PoolOptions {
  readonly ceilMode?: boolean;
  /** Whether padding counts in the mean (default: yes). */
  readonly countIncludePad?: boolean;
}

const spread = (value: int | int[], rank: int): int[] =>
  typeof value === 'number' ? Array.from({ length: rank }, () => value) : value;

abstract class Pool extends Module {
  readonly kernel_size: int[];
  readonly stride: int[];
  readonly padding: int[];

  constructor(rank: int, kernelSize: int | int[], options: PoolOptions) {
    super();
    this.kernel_size = spread(kernelSize, rank);
    this.stride = spread(options.stride ?? kernelSize, rank);
    this.padding = spread(options.padding ?? 0, rank);
  }

  override extraRepr(): string {
    return `kernel_size=${this.kernel_size.join('x')}, stride=${this.stride.join('x')}, padding=${this.padding.join('x')}`;
  }
}

abstract class MaxPool extends Pool {
  readonly dilation: int[];
  readonly ceil_mode: boolean;

  constructor(rank: int, kernelSize: int | int[], options: MaxPoolOptions) {
    super(rank, kernelSize, options);
    this.dilation = spread(options.dilation ?? 1, rank);
    this.ceil_mode = options.ceilMode ?? false;
  }
}

abstract class AvgPool extends Pool {
  readonly ceil_mode: boolean;
  readonly count_include_pad: boolean;

  constructor(rank: int, kernelSize: int | int[], options: AvgPoolOptions) {
    super(rank, kernelSize, options);
    this.ceil_mode = options.ceilMode ?? false;
    this.count_include_pad = options.countIncludePad ?? true;
  }
}

abstract class AdaptivePool extends Module {
  readonly output_size: int[];

  constructor(rank: int, outputSize: int | int[]) {
    super();
    this.output_size = spread(outputSize, rank);
  }

  override extraRepr(): string {
    return `output_size=${this.output_size.join('x')}`;
  }
}

export class MaxPool1d extends MaxPool {
  static readonly torchName = '__torch__.torch.nn.modules.pooling.MaxPool1d';
  constructor(kernelSize: int | int[], options: MaxPoolOptions = {}) {
    super(1, kernelSize, options);
  }
  forward(input: Tensor): Tensor {
    return F.maxPool1d(input, this.kernel_size, this.stride, this.padding, this.dilation, this.ceil_mode);
  }
}

export class MaxPool2d extends MaxPool {
  static readonly torchName = '__torch__.torch.nn.modules.pooling.MaxPool2d';
  constructor(kernelSize: int | int[], options: MaxPoolOptions = {}) {
    super(2, kernelSize, options);
  }
  forward(input: Tensor): Tensor {
    return F.maxPool2d(input, this.kernel_size, this.stride, this.padding, this.dilation, this.ceil_mode);
  }
}

export class MaxPool3d extends MaxPool {
  static readonly torchName = '__torch__.torch.nn.modules.pooling.MaxPool3d';
  constructor(kernelSize: int | int[], options: MaxPoolOptions = {}) {
    super(3, kernelSize, options);
  }
  forward(input: Tensor): Tensor {
    return F.maxPool3d(input, this.kernel_size, this.stride, this.padding, this.dilation, this.ceil_mode);
  }
}

export class AvgPool1d extends AvgPool {
  static readonly torchName = '__torch__.torch.nn.modules.pooling.AvgPool1d';
  constructor(kernelSize: int | int[], options: AvgPoolOptions = {}) {
    super(1, kernelSize, options);
  }
  forward(input: Tensor): Tensor {
    return F.avgPool1d(
      input,
      this.kernel_size,
      this.stride,
      this.padding,
      this.ceil_mode,
      this.count_include_pad,
    );
  }
}

export class AvgPool2d extends AvgPool {
  static readonly torchName = '__torch__.torch.nn.modules.pooling.AvgPool2d';
  constructor(kernelSize: int | int[], options: AvgPoolOptions = {}) {
    super(2, kernelSize, options);
  }
  forward(input: Tensor): Tensor {
    return F.avgPool2d(
      input,
      this.kernel_size,
      this.stride,
      this.padding,
      this.ceil_mode,
      this.count_include_pad,
    );
  }
}

export class AvgPool3d extends AvgPool {
  static readonly torchName = '__torch__.torch.nn.modules.pooling.AvgPool3d';
  constructor(kernelSize: int | int[], options: AvgPoolOptions = {}) {
    super(3, kernelSize, options);
  }
  forward(input: Tensor): Tensor {
    return F.avgPool3d(
      input,
      this.kernel_size,
      this.stride,
      this.padding,
      this.ceil_mode,
      this.count_include_pad,
    );
  }
}

export class AdaptiveAvgPool1d extends AdaptivePool {
  static readonly torchName = '__torch__.torch.nn.modules.pooling.AdaptiveAvgPool1d';
  constructor(outputSize: int | int[]) {
    super(1, outputSize);
  }
  forward(input: Tensor): Tensor {
    return F.adaptiveAvgPool1d(input, this.output_size);
  }
}

export class AdaptiveAvgPool2d extends AdaptivePool {
  static readonly torchName = '__torch__.torch.nn.modules.pooling.AdaptiveAvgPool2d';
  constructor(outputSize: int | int[]) {
    super(2, outputSize);
  }
  forward(input: Tensor): Tensor {
    return F.adaptiveAvgPool2d(input, this.output_size);
  }
}

export class AdaptiveAvgPool3d extends AdaptivePool {
  static readonly torchName = '__torch__.torch.nn.modules.pooling.AdaptiveAvgPool3d';
  constructor(outputSize: int | int[]) {
    super(3, outputSize);
  }
  forward(input: Tensor): Tensor {
    return F.adaptiveAvgPool3d(input, this.output_size);
  }
}
