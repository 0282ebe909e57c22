// Results of a core function as tensors: what it computes, and operands (or views of them) where it returns those. Not recorded.
import type { Device } from '@weft/devices';
import type { ResultLayout } from '@weft/ops';
import type { CoreFunction, ResultStrides, Targets } from '../core-function.ts';
import { copyToDevice } from '../core-function.ts';
import type { Tensor } from '../tensor.ts';

export interface RecordedRun {
  /** Whether outputs that are operands may be those very tensors; otherwise they are copied. */
  readonly mayAlias?: boolean;
  /** Tensors that the caller overwrites with the outputs: what is saved of them is copied. */
  readonly overwritten?: readonly Tensor[];
  /** Tensors to compute the outputs in, where that can be and nothing is recorded. */
  readonly into?: Targets;
  /** Strides of the outputs; row-major by default. */
  readonly strides?: ResultStrides;
  /** How gradients lie: as TensorIterator or images would make them of the cotangents; row-major by default. */
  readonly gradients?: ResultLayout;
}

export function resultsOf(
  fn: CoreFunction,
  operands: readonly Tensor[],
  device: Device,
  { mayAlias = false, strides, into }: RecordedRun,
): Tensor[] {
  const computed = fn.run(operands, device, strides, into);
  if (fn.areOutputsComputed) return computed;
  const taken = new Set<number>();
  return fn.outputs.map((source, index) => {
    const copied = (tensor: Tensor): Tensor => copyToDevice(tensor, device, strides?.[index] ?? undefined);
    switch (source.kind) {
      case 'operand': {
        const operand = operands[source.index];
        return mayAlias ? operand : copied(operand);
      }
      case 'view': {
        const operand = operands[source.index];
        const view = operand.onStorage(source.view(operand));
        return mayAlias ? view : copied(view);
      }
      case 'computed':
        if (taken.has(source.index)) return copied(computed[source.index]);
        taken.add(source.index);
        return computed[source.index];
      default:
        return source satisfies never;
    }
  });
}
