// A nested tensor: a batch of tensors whose sizes differ, as the fast path of transformers makes them from padded batches.
// It holds its parts as ordinary tensors, so that what it does, gradients included, is done part by part (operators.ts).
import type { DType } from '@weft/ir';
import { OperatorError, numel } from '@weft/ir';
import { hostDevice } from '../devices.ts';
import { Storage } from '../storage.ts';
import { Tensor } from '../tensor.ts';

export class NestedTensor extends Tensor {
  constructor(
    readonly parts: readonly Tensor[],
    dtype: DType = parts[0]?.dtype ?? 'float32',
  ) {
    super(Storage.allocate(parts[0]?.storage.device ?? hostDevice(), 0), dtype, [0], [1], 0);
    const rank = parts[0]?.ndim;
    parts.forEach((part, index) => {
      if (part.ndim === rank) return;
      throw new OperatorError(
        `All Tensors given to nested_tensor must have the same dimension. Found dimension ${part.ndim} for Tensor at index ${index} and dimension ${rank} for Tensor at index 0.`,
      );
    });
  }

  override get isNested(): boolean {
    return true;
  }
  /** The batch and the dimensions of the parts. */
  override get ndim(): number {
    return 1 + (this.parts[0]?.ndim ?? 0);
  }
  get count(): number {
    return this.parts.reduce((total, part) => total + numel(part.sizes), 0);
  }
  /** The size that all parts have in a dimension of the whole; undefined when they differ. */
  sizeAt(dim: number): number | undefined {
    if (dim === 0) return this.parts.length;
    const size = this.parts[0].sizes[dim - 1];
    return this.parts.every((part) => part.sizes[dim - 1] === size) ? size : undefined;
  }
  override get requiresGrad(): boolean {
    return this.parts.some((part) => part.requiresGrad);
  }
  override set requiresGrad(on: boolean) {
    for (const part of this.parts) part.requiresGrad = on;
  }
  /** The same function on every part. */
  map(body: (part: Tensor, index: number) => Tensor): NestedTensor {
    return this.parts.length === 0 ? this : new NestedTensor(this.parts.map(body));
  }
  /** As PyTorch prints it. */
  override toString(): string {
    const parts = this.parts.map((part) => part.toString().replaceAll('\n', '\n  '));
    return `nested_tensor([\n  ${parts.join(',\n  ')}\n])`;
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}
