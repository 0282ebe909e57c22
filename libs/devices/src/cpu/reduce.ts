// reduce by one operator, natively: the innermost run of like dimensions is folded (rows) or kept (columns), the others are walked.
import type { Node } from '@weft/ir';
import { numel, specOf } from '@weft/ir';
import { isHalf } from '../reference/half.ts';
import { simpleBody } from '../reference/region.ts';
import { stridesOf } from '../reference/typed-array.ts';
import { merged } from './access.ts';
import { canWiden, wideResult, widened } from './half.ts';
import type { NativeFamily, NativeSite, Word } from './step.ts';

const axesOf = (
  sizes: readonly number[],
  strides: readonly number[],
  dimensions: readonly number[],
): Word[] => {
  const { sizes: kept, walks } = merged(
    dimensions.map((dimension) => sizes[dimension]),
    [dimensions.map((dimension) => strides[dimension])],
  );
  return [kept.length, ...kept.flatMap((size, axis) => [size, walks[0][axis]])];
};

function emitReduce(site: NativeSite): void {
  const operator = simpleBody(site.node.blocks[0])!;
  const [{ dtype, sizes }] = site.inSpecs;
  if (numel(site.outSpecs[0].sizes) === 0) return;
  const from = isHalf(dtype) ? widened(site, 0).slot : site.dense(0);
  const init = widened(site, 1).slot;
  const result = wideResult(site);
  const strides = stridesOf(sizes);
  const folded = new Set(site.node.ints('dimensions'));
  let last = sizes.length - 1;
  while (last > 0 && sizes[last] === 1) last--;
  const isRows = sizes.length > 0 && folded.has(last);
  let first = sizes.length;
  while (first > 0 && (sizes[first - 1] === 1 || folded.has(first - 1) === isRows)) first--;
  const outer = sizes.map((_, dimension) => dimension).slice(0, first);
  site.push(
    `reduce.${operator}.${isHalf(dtype) ? 'float32' : dtype}`,
    from,
    init,
    result.slot,
    ...axesOf(sizes, strides, outer.filter((dimension) => !folded.has(dimension))), // prettier-ignore
    ...axesOf(sizes, strides, outer.filter((dimension) => folded.has(dimension))), // prettier-ignore
    numel(sizes.slice(first)),
    isRows ? 1 : 0,
  );
  result.narrow();
}

export const reduceFamily: NativeFamily = {
  operators: ['reduce'],
  accepts(node: Node, library) {
    if (node.outputs.length !== 1) return false;
    const operator = simpleBody(node.blocks[0]);
    const { dtype } = specOf(node.inputs[0]);
    if (operator === undefined || !canWiden(dtype, { library })) return false;
    return library.operations.has(`reduce.${operator}.${isHalf(dtype) ? 'float32' : dtype}`);
  },
  emit: emitReduce,
};
