// Operators on several tensors, or on one in a list, whose results PyTorch composes of views: here, too, they share the
// storage of their operands. Written for whatever stands for tensors, so that a lowering composes them of the same views.
import type { IValue } from '@weft/ir';
import { OperatorError, numel } from '@weft/ir';
import { broadcastShapes, parseEquation } from '@weft/ops';
import { isGradEnabled } from '../autograd/grad-mode.ts';
import type { Tensor } from '../tensor.ts';
import { callOperator } from './call.ts';
import type { EagerFunction } from './operator.ts';
import { eagerOperators } from './operator.ts';

/** A tensor as far as a composition looks at it. */
type Sized = IValue & { readonly sizes: readonly number[] };
/** Calls an operator that returns one tensor. */
type Call = (name: string, ...args: IValue[]) => Sized;
/** The results; undefined leaves the call to the operator's lowering. */
type Composition = (call: Call, ...args: never[]) => IValue | undefined;

const ints = (values: readonly number[]): IValue => values.map(BigInt);
const expand = (call: Call, x: Sized, sizes: readonly number[]): Sized =>
  call('aten::expand', x, ints(sizes), false);

/** Vectors as the axes of a grid. */
function meshgrid(call: Call, tensors: readonly Sized[], indexing: string): Sized[] {
  if (tensors.length === 0) throw new OperatorError('meshgrid expects a non-empty TensorList');
  if (indexing !== 'ij' && indexing !== 'xy') {
    throw new OperatorError(
      `torch.meshgrid: indexing must be one of "xy" or "ij", but received: ${indexing}`,
    );
  }
  const swaps = indexing === 'xy' && tensors.length >= 2;
  const swapped = <T>(list: readonly T[]): T[] => (swaps ? [list[1], list[0], ...list.slice(2)] : [...list]);
  const order = swapped(tensors);
  const sizes = order.map((x) => numel(x.sizes));
  const grids = order.map((x, dim) => {
    const seen = call('aten::view', x, ints(order.map((_, at) => (at === dim ? -1 : 1))));
    return expand(call, seen, sizes);
  });
  return swapped(grids);
}

function broadcastTensors(call: Call, tensors: readonly Sized[]): Sized[] {
  const sizes = broadcastShapes(...tensors.map((x) => x.sizes));
  return tensors.map((x) => expand(call, x, sizes));
}

/** The equation's own order of one operand's dimensions, where nothing is summed. */
function permutedByEinsum(call: Call, equation: string, operand: Sized): Sized | undefined {
  const { inputs, output } = parseEquation(equation, [operand.sizes.length]);
  const labels = [...inputs[0]];
  if (labels.some((label) => !output.includes(label)) || output.some((label) => !labels.includes(label)))
    return undefined;
  let seen = operand;
  for (let dim = 0; dim < labels.length; dim++) {
    const again = labels.indexOf(labels[dim], dim + 1);
    if (again < 0) continue;
    if (seen.sizes[dim] !== seen.sizes[again]) return undefined;
    seen = call('aten::diagonal', seen, 0n, BigInt(dim), BigInt(again));
    const [label] = labels.splice(again, 1);
    labels.splice(dim--, 1);
    labels.push(label);
  }
  return call('aten::permute', seen, ints(output.map((label) => labels.indexOf(label))));
}

const each =
  (name: string): Composition =>
  (call, tensors: Sized[]) =>
    tensors.map((x) => call(name, x));

/** By qualified name. */
export const compositions: Readonly<Record<string, Composition>> = {
  'aten::meshgrid': (call, tensors: Sized[]) => meshgrid(call, tensors, 'ij'),
  'aten::meshgrid.indexing': (call, tensors: Sized[], indexing: string) => meshgrid(call, tensors, indexing),
  'aten::broadcast_tensors': (call, tensors: Sized[]) => broadcastTensors(call, tensors),
  'aten::atleast_1d.Sequence': each('aten::atleast_1d'),
  'aten::atleast_2d.Sequence': each('aten::atleast_2d'),
  'aten::atleast_3d.Sequence': each('aten::atleast_3d'),
  'aten::unflatten_dense_tensors': (call, flat: Sized, tensors: Sized[]) => {
    let start = 0;
    return tensors.map(({ sizes }) => {
      const length = numel(sizes);
      const piece = call('aten::narrow', flat, 0n, BigInt(start), BigInt(length));
      start += length;
      return call('aten::view', piece, ints(sizes));
    });
  },
  'aten::einsum': (call, equation: string, tensors: Sized[]) =>
    tensors.length === 1 ? permutedByEinsum(call, equation, tensors[0]) : undefined,
};

const eagerly: Call = (name, ...args) => callOperator(name, args) as Sized;
eagerOperators(
  Object.fromEntries(
    Object.entries(compositions).map(([name, compose]): [string, EagerFunction] => [
      name,
      (...args: never[]) => compose(eagerly, ...args),
    ]),
  ),
);

eagerOperators({
  // The derivative of eigenvalues needs the vectors.
  'aten::linalg_eigvals': (matrix: Tensor) =>
    isGradEnabled() && matrix.requiresGrad
      ? (callOperator('aten::linalg_eig', [matrix as unknown as IValue]) as IValue[])[0]
      : undefined,
});
