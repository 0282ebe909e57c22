// Operators on several tensors, or on one in a list, whose results PyTorch composes of views: here, too, they share the
// storage of their operands.
import type { IValue } from '@weft/ir';
import { OperatorError, numel } from '@weft/ir';
import { broadcastShapes, parseEquation } from '@weft/ops';
import type { Tensor } from '../tensor.ts';
import { callOperator } from './call.ts';
import type { EagerFunction } from './operator.ts';
import { eagerOperators } from './operator.ts';

const call = (name: string, ...args: IValue[]): Tensor => callOperator(name, args) as unknown as Tensor;
const ints = (values: readonly number[]): IValue => values.map(BigInt);
const expand = (x: Tensor, sizes: readonly number[]): Tensor => call('aten::expand', x, ints(sizes), false);

/** Vectors as the axes of a grid. */
function meshgrid(tensors: readonly Tensor[], indexing: string): Tensor[] {
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
    return expand(seen, sizes);
  });
  return swapped(grids);
}

function broadcastTensors(tensors: readonly Tensor[]): Tensor[] {
  const sizes = broadcastShapes(...tensors.map((x) => x.sizes));
  return tensors.map((x) => expand(x, sizes));
}

/** The equation's own order of one operand's dimensions, where nothing is summed. */
function permutedByEinsum(equation: string, operand: Tensor): Tensor | undefined {
  const { inputs, output } = parseEquation(equation, [operand.ndim]);
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
  (name: string) =>
  (tensors: Tensor[]): IValue =>
    tensors.map((x) => call(name, x)) as unknown as IValue;

const table: Record<string, EagerFunction> = {
  'aten::meshgrid': (tensors: Tensor[]) => meshgrid(tensors, 'ij') as unknown as IValue,
  'aten::meshgrid.indexing': (tensors: Tensor[], indexing: string) =>
    meshgrid(tensors, indexing) as unknown as IValue,
  'aten::broadcast_tensors': (tensors: Tensor[]) => broadcastTensors(tensors) as unknown as IValue,
  'aten::atleast_1d.Sequence': each('aten::atleast_1d'),
  'aten::atleast_2d.Sequence': each('aten::atleast_2d'),
  'aten::atleast_3d.Sequence': each('aten::atleast_3d'),
  'aten::unflatten_dense_tensors': (flat: Tensor, tensors: Tensor[]) => {
    let start = 0;
    return tensors.map(({ sizes }) => {
      const length = numel(sizes);
      const piece = call('aten::narrow', flat, 0n, BigInt(start), BigInt(length));
      start += length;
      return call('aten::view', piece, ints(sizes));
    }) as unknown as IValue;
  },
  'aten::einsum': (equation: string, tensors: Tensor[]) =>
    tensors.length === 1 ? permutedByEinsum(equation, tensors[0]) : undefined,
};
eagerOperators(table);
