// The tape: nodes that take cotangents of an operator's outputs to cotangents of its operands, joined by edges. How an
// operator's node computes them is in function-node.ts; the order of execution in engine.ts.
import type { TensorSpec } from '@weft/ir';
import { OperatorError, dtypes } from '@weft/ir';
import type { Tensor } from '../tensor.ts';

/** Output `index` of `node`, seen from the operand that it became. */
export interface Edge {
  readonly node: GradNode;
  readonly index: number;
}

/** Sees a gradient on its way; what it returns, if anything, replaces the gradient. */
export type TensorHook = (grad: Tensor) => Tensor | void | null;

let sequences = 0;

export abstract class GradNode {
  /** Nodes run in falling order: a later operator's gradient is complete first. */
  readonly sequence: number = sequences++;
  /** Hooks on an output's gradient, and tensors that want to keep it. */
  hooks: Map<number, Set<TensorHook>> | null = null;
  retainers: Map<number, Tensor> | null = null;

  /**
   * @param name as PyTorch names it: `AddBackward0`
   * @param next where the cotangent of each operand goes; null where none is wanted
   * @param outputs dtype and shape of each output, for cotangents that never arrive
   */
  constructor(
    readonly name: string,
    readonly next: readonly (Edge | null)[],
    readonly outputs: readonly TensorSpec[],
  ) {}

  /**
   * Cotangents of the operands from those of the outputs (null: zero); at least one is there.
   * @param createGraph records the computation, so that it can be differentiated again
   * @param leaves for each operand the leaf that it is, if nothing else has a say in the leaf's `grad`: then the node may add to it by
   * itself, and gives null
   */
  abstract apply(
    cotangents: readonly (Tensor | null)[],
    createGraph: boolean,
    leaves?: readonly (Tensor | null)[],
  ): readonly (Tensor | null)[];

  /** Lets go of what was saved for `apply`, which fails from now on. */
  release(): void {}
}

/** Adds what arrives to a leaf's `grad`. */
export class AccumulateGrad extends GradNode {
  readonly edge: Edge = { node: this, index: 0 };

  constructor(readonly variable: Tensor) {
    super('AccumulateGrad', [], [variable.spec]);
  }

  override apply(): never {
    throw new OperatorError('gradients are accumulated by the engine');
  }
}

const freed =
  'Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors after calling backward.';

export function releasedError(): OperatorError {
  return new OperatorError(freed);
}

/** A tensor kept for the backward pass, with the version it had and the node it came from then. */
export class SavedTensor {
  /**
   * @param maker for messages: the operator and output that the tensor is, when it is one
   * @param version the version that it must still have then: one more than now when it is about to be overwritten
   */
  constructor(
    private readonly tensor: Tensor,
    private readonly edge: Edge | null,
    private readonly maker?: { readonly name: string; readonly index: number },
    private readonly version: number = tensor.storage.version,
  ) {}

  /** The tensor; throws OperatorError when it was changed in place since. */
  unpack(): Tensor {
    const { tensor, maker } = this;
    if (tensor.storage.version !== this.version) {
      const where = maker === undefined ? '' : `, which is output ${maker.index} of ${maker.name},`;
      const type = `torch.${dtypes[tensor.dtype].printName}Tensor [${tensor.sizes.join(', ')}]`;
      throw new OperatorError(
        `one of the variables needed for gradient computation has been modified by an inplace operation: [${type}]${where} is at version ${tensor.storage.version}; expected version ${this.version} instead. Hint: enable anomaly detection to find the operation that failed to compute its gradient, with torch.autograd.set_detect_anomaly(True).`,
      );
    }
    return tensor;
  }

  /** The tensor joined to the graph where it was when it was saved, for derivatives of derivatives. */
  unpackDifferentiable(): Tensor {
    const tensor = this.unpack();
    if (this.edge === null) return tensor.meta === null ? tensor : tensor.onStorage(tensor);
    const alias = tensor.onStorage(tensor);
    alias.gradMeta.edge = this.edge;
    return alias;
  }
}
