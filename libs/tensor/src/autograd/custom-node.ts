// Records a computation whose derivative is given as a function: transfers, and whole graphs that run outside the operators.
import { OperatorError, dtypes } from '@weft/ir';
import { noDerivative } from '@weft/ops';
import type { Tensor } from '../tensor.ts';
import { enableGrad, isGradEnabled, noGrad } from './grad-mode.ts';
import { GradNode, releasedError } from './node.ts';

/**
 * Cotangents of the inputs (null: zero) from those of the outputs (null: zero). It may use eager operators: they are
 * recorded when the backward pass is.
 */
export type BackwardFunction = (
  cotangents: readonly (Tensor | null)[],
  createGraph: boolean,
) => readonly (Tensor | null)[];

/**
 * Makes `outputs`, computed without recording, results of a node over `inputs`. Does nothing when gradients are off or no
 * input requires one. Outputs that are not floating-point are left alone.
 * @param name as PyTorch names nodes: `MyFunctionBackward`
 */
export function attachBackward(
  name: string,
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  backward: BackwardFunction,
): void {
  if (!isGradEnabled() || !inputs.some((input) => input.requiresGrad)) return;
  const node = new CustomNode(name, outputs, inputs, backward);
  outputs.forEach((output, index) => {
    if (['float', 'complex'].includes(dtypes[output.dtype].category)) output.gradMeta.edge = { node, index };
  });
}

/** Makes `outputs` depend on `inputs` by an operator whose derivative nobody has written: asking for one throws. */
export function attachUnderivable(name: string, outputs: readonly Tensor[], inputs: readonly Tensor[]): void {
  attachBackward('NotImplemented', outputs, inputs, () => {
    throw new OperatorError(noDerivative(name));
  });
}

class CustomNode extends GradNode {
  private backward: BackwardFunction | null;

  constructor(
    name: string,
    outputs: readonly Tensor[],
    inputs: readonly Tensor[],
    backward: BackwardFunction,
  ) {
    super(
      name,
      inputs.map((input) => input.gradEdge),
      outputs.map((output) => output.spec),
    );
    this.backward = backward;
  }

  override apply(cotangents: readonly (Tensor | null)[], createGraph: boolean): readonly (Tensor | null)[] {
    const { backward } = this;
    if (backward === null) throw releasedError();
    const compute = (): readonly (Tensor | null)[] => backward(cotangents, createGraph);
    return createGraph ? enableGrad(compute) : noGrad(compute);
  }

  override release(): void {
    this.backward = null;
  }
}
