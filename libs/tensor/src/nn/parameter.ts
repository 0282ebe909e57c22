// A tensor that a module trains.
import { Tensor } from '../tensor.ts';

/** Shares the storage of `data`; requires gradients unless told otherwise. */
export class Parameter extends Tensor {
  constructor(data: Tensor, requiresGrad = true) {
    super(data.storage, data.dtype, data.sizes, data.strides, data.offset);
    this.requiresGrad = requiresGrad;
  }
}
