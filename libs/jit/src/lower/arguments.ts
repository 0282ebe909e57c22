// The arguments of a method that is lowered: tensors become inputs of the core graph wherever they stand in lists, tuples and
// dicts; everything else is known and stays as it is.
import type { CoreBuilder, IValue, TensorSpec } from '@weft/ir';
import { TupleValue, containerType, isTensorLike, tagContainer, tensorSpec } from '@weft/ir';
import { Tensor } from '@weft/tensor';
import { SymbolicTensor } from './symbolic.ts';

/**
 * An argument: a TensorSpec is an input of the graph, a tensor too (by its dtype and shape), anything else is known. Lists,
 * tuples and dicts of them are walked.
 */
export type LoweringInput = TensorSpec | IValue | readonly LoweringInput[];

/**
 * The argument as the evaluation sees it.
 * @param path its name, and the way into it: `x`, `pair.0`, `batch.ids`
 * @param add receives each tensor that became an input, in order
 */
export function symbolicArgument(
  b: CoreBuilder,
  given: LoweringInput,
  path: string,
  add: (path: string, tensor: SymbolicTensor, given: LoweringInput) => void,
): IValue {
  const spec = specOfInput(given);
  if (spec !== undefined) {
    const strides = given instanceof Tensor ? given.strides : undefined;
    const tensor = SymbolicTensor.placed(b.input(spec, path.replaceAll('.', '_')), strides);
    tensor.requiresGrad = given instanceof Tensor && given.requiresGrad;
    add(path, tensor, given);
    return tensor;
  }
  const value = given as IValue;
  if (Array.isArray(value)) {
    const list = value.map((item, index) => symbolicArgument(b, item, `${path}.${index}`, add));
    const type = containerType(value);
    return type === undefined ? list : tagContainer(list, type);
  }
  if (value instanceof TupleValue) {
    return new TupleValue(
      value.items.map((item, index) => symbolicArgument(b, item, `${path}.${index}`, add)),
      value.type,
    );
  }
  if (value instanceof Map) {
    return new Map(
      [...value].map(([key, item]) => [key, symbolicArgument(b, item, `${path}.${String(key)}`, add)]),
    );
  }
  return value;
}

function specOfInput(given: LoweringInput): TensorSpec | undefined {
  if (typeof given !== 'object' || given === null) return undefined;
  if ('kind' in given && (given as { kind: unknown }).kind === 'Tensor') {
    const { dtype, sizes } = given as TensorSpec;
    return tensorSpec(dtype, sizes);
  }
  if (!isTensorLike(given)) return undefined;
  return tensorSpec(given.dtype, [...given.shape]);
}
