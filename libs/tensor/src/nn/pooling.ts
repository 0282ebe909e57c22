// Pooling layers over [N, C, H, W].
import type { Tensor } from '../tensor.ts';
import type { int } from '../types.ts';
import * as F from './functional.ts';
import { Module } from './module.ts';

export interface PoolOptions {
  /** Default: the kernel size. */
  readonly stride?: int | int[];
  readonly padding?: int | int[];
}

const pair = (value: int | int[]): int[] => (typeof value === 'number' ? [value, value] : value);

export class MaxPool2d extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.pooling.MaxPool2d';
  readonly kernel_size: int[];
  readonly stride: int[];
  readonly padding: int[];
  constructor(kernelSize: int | int[], options: PoolOptions = {}) {
    super();
    this.kernel_size = pair(kernelSize);
    this.stride = pair(options.stride ?? kernelSize);
    this.padding = pair(options.padding ?? 0);
  }
  forward(input: Tensor): Tensor {
    return F.maxPool2d(input, this.kernel_size, this.stride, this.padding);
  }
}

export class AvgPool2d extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.pooling.AvgPool2d';
  readonly kernel_size: int[];
  readonly stride: int[];
  readonly padding: int[];
  constructor(kernelSize: int | int[], options: PoolOptions = {}) {
    super();
    this.kernel_size = pair(kernelSize);
    this.stride = pair(options.stride ?? kernelSize);
    this.padding = pair(options.padding ?? 0);
  }
  forward(input: Tensor): Tensor {
    return F.avgPool2d(input, this.kernel_size, this.stride, this.padding);
  }
}

export class AdaptiveAvgPool2d extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.pooling.AdaptiveAvgPool2d';
  readonly output_size: int[];
  constructor(outputSize: int | int[]) {
    super();
    this.output_size = pair(outputSize);
  }
  forward(input: Tensor): Tensor {
    return F.adaptiveAvgPool2d(input, this.output_size);
  }
}
