// reduce by one operator, natively: the innermost run of like dimensions is folded (rows) or kept (columns), the others are walked.
import type { Node, TensorSpec } from '@weft/ir';
import { numel, specOf } from '@weft/ir';
import { isHalf } from '../reference/half.ts';
import { simpleBody } from '../reference/region.ts';
import { stridesOf } from '../reference/typed-array.ts';
import { merged } from './access.ts';
import { canWiden, wideResult, widened } from './half.ts';
import type { NativeFamily, NativeSite, Word } from './step.ts';

/** A dimension of an operand as a reduction walks it. */
export interface ReduceAxis {
  readonly size: number;
  readonly stride: number;
  readonly isFolded: boolean;
}

function walkWords(axes: readonly ReduceAxis[]): Word[] {
  const { sizes, walks } = merged(
    axes.map(({ size }) => size),
    [axes.map(({ stride }) => stride)],
  );
  return [sizes.length, ...sizes.flatMap((size, axis) => [size, walks[0][axis]])];
}

/**
 * How a reduce step walks over its operand; results lie in the order of the kept axes. Undefined: its last axis is not dense.
 * @param apart so many axes, the outermost, are counted by themselves
 */
export function reduceWalk(axes: readonly ReduceAxis[], apart = 0): Word[] | undefined {
  const long = axes.filter(({ size }) => size !== 1);
  const isRows = long.at(-1)?.isFolded ?? axes.every(({ isFolded }) => isFolded);
  let inner = 1;
  let first = long.length;
  for (; first > apart; first--) {
    const { size, stride, isFolded } = long[first - 1];
    if (isFolded !== isRows || stride !== inner) break;
    inner *= size;
  }
  const outer = long.slice(0, first);
  if (long.length > apart && first === long.length) return undefined;
  return [
    ...walkWords(outer.filter(({ isFolded }) => !isFolded)),
    ...walkWords(outer.filter(({ isFolded }) => isFolded)),
    inner,
    isRows ? 1 : 0,
  ];
}

/** The kind of step of a reduction that the library may have. */
export const reduceKind = (node: Node): string | undefined => {
  const operator = node.outputs.length === 1 ? simpleBody(node.blocks[0]) : undefined;
  const { dtype } = specOf(node.inputs[0]);
  return operator && `reduce.${operator}.${isHalf(dtype) ? 'float32' : dtype}`;
};

function axesOf(node: Node, { sizes }: TensorSpec, strides: readonly number[]): ReduceAxis[] {
  const folded = new Set(node.ints('dimensions'));
  return sizes.map((size, dimension) => ({
    size,
    stride: strides[dimension],
    isFolded: folded.has(dimension),
  }));
}

function emitReduce(site: NativeSite): void {
  const { node } = site;
  if (numel(site.outSpecs[0].sizes) === 0) return;
  const operand = widened(site, 0);
  const init = widened(site, 1).slot;
  const result = wideResult(site);
  const kind = reduceKind(node)!;
  const walk = reduceWalk(axesOf(node, site.inSpecs[0], operand.strides));
  if (walk !== undefined) site.push(kind, operand.slot, init, result.slot, operand.offset, ...walk);
  else {
    const dense = reduceWalk(axesOf(node, site.inSpecs[0], stridesOf(operand.sizes)))!;
    site.push(kind, site.dense(0), init, result.slot, 0, ...dense);
  }
  result.narrow();
}

export const reduceFamily: NativeFamily = {
  operators: ['reduce'],
  accepts(node: Node, library) {
    const kind = reduceKind(node);
    return (
      kind !== undefined &&
      canWiden(specOf(node.inputs[0]).dtype, { library }) &&
      library.operations.has(kind)
    );
  },
  emit: emitReduce,
};
