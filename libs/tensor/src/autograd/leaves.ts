// Gradients of leaves, computed where they are kept: a backward graph that adds to the `grad` that is there as it goes, or whose
// new result becomes it. Otherwise each would be computed apart first, and then added or copied.
import type { Device } from '@weft/devices';
import { CoreBuilder, specOf } from '@weft/ir';
import { CoreFunction } from '../core-function.ts';
import { write } from '../dispatch/placement.ts';
import type { Tensor } from '../tensor.ts';
import { resultsOf } from './results.ts';

/**
 * Runs a backward graph and adds its results to `grad` of the leaves given for them.
 * @param known what was made of `backward` before
 * @param leaves for each result a leaf that nothing else is added to, or null
 * @returns the results that are left to the caller, null for the others
 */
export function addToLeaves(
  backward: CoreFunction,
  known: Map<string, CoreFunction>,
  operands: readonly Tensor[],
  device: Device,
  leaves: readonly (Tensor | null)[],
): (Tensor | null)[] {
  const taken = new Set(operands.map(({ storage }) => storage));
  const present: Tensor[] = [];
  const into = backward.outputSpecs.map(({ dtype }, index) => {
    const grad = leaves[index]?.gradMeta.grad ?? null;
    const fits =
      grad?.isRowMajor && grad.dtype === dtype && !grad.requiresGrad && grad.storage.device === device;
    if (grad === null || !fits || taken.has(grad.storage)) return null;
    taken.add(grad.storage);
    present.push(grad);
    return grad;
  });
  const fn = present.length === 0 ? backward : accumulating(backward, known, into);
  const found = resultsOf(fn, [...operands, ...present], device, { mayAlias: true, into });
  return found.map((value, index) => {
    const leaf = leaves[index] ?? null;
    const grad = into[index];
    if (leaf === null) return value;
    if (grad !== null) {
      if (value === grad) grad.storage.version++;
      else write(grad, value);
      return null;
    }
    const isOwn = fn.outputs[index].kind === 'computed' && value.isRowMajor && leaf.isRowMajor;
    if (leaf.gradMeta.grad !== null || !isOwn) return value;
    leaf.gradMeta.grad = value;
    return null;
  });
}

/** The backward graph with the results for which a tensor is given added to that tensor, an operand after the others. */
function accumulating(
  backward: CoreFunction,
  known: Map<string, CoreFunction>,
  into: readonly (Tensor | null)[],
): CoreFunction {
  const key = into.map((grad) => (grad === null ? '0' : '1')).join('');
  let fn = known.get(key);
  if (fn !== undefined) return fn;
  const graph = backward.graph.clone();
  const b = new CoreBuilder(graph);
  const results = [...graph.outputs];
  while (graph.outputs.length > 0) graph.block.removeOutput(graph.outputs.length - 1);
  const inPlace = into.flatMap(
    (grad, output) =>
    grad === null ? [] : [{ input: backward.inputs.length + [...key.slice(0, output)].filter((bit) => bit === '1').length, output }], // prettier-ignore
  );
  results.forEach((result, index) => {
    graph.addOutput(into[index] === null ? result : b.add(b.input(specOf(result)), result));
  });
  fn = new CoreFunction(graph, { ...backward.options, inPlace });
  known.set(key, fn);
  return fn;
}
