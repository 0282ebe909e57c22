// dot_general as native matrix products: operands of any layout are [batch, row, depth] and [batch, depth, column] through strides, and
// copied only where a group of dimensions cannot be walked with one stride.
import type { Node } from '@weft/ir';
import { dotPlan, numel, specOf } from '@weft/ir';
import { isHalf } from '../reference/half.ts';
import { stridesOf } from '../reference/typed-array.ts';
import { merged } from './access.ts';
import { copyWords } from './copy.ts';
import { canWiden, wideResult, widened } from './half.ts';
import type { NativeFamily, NativeSite, Operand, Word } from './step.ts';

/** An operand as matrices: strides of its batch dimensions and of its two groups. */
interface Matrices {
  readonly slot: number;
  readonly offset: number;
  readonly batch: readonly number[];
  readonly strides: readonly [outer: number, inner: number];
}

const pick = (dimensions: readonly number[], from: readonly number[]): number[] =>
  dimensions.map((dimension) => from[dimension]);

/** The stride that walks `dimensions`, in their order, as one; undefined when there is none. */
function commonStride(dimensions: readonly number[], { sizes, strides }: Operand): number | undefined {
  const { sizes: kept, walks } = merged(pick(dimensions, sizes), [pick(dimensions, strides)]);
  if (kept.length > 1) return undefined;
  return kept.length === 0 ? 1 : walks[0][0];
}

function matricesOf(
  site: NativeSite,
  operand: Operand,
  batch: readonly number[],
  outer: readonly number[],
  inner: readonly number[],
): Matrices {
  const [outerStride, innerStride] = [commonStride(outer, operand), commonStride(inner, operand)];
  if (outerStride !== undefined && innerStride !== undefined) {
    const { slot, offset, strides } = operand;
    return { slot, offset, batch: pick(batch, strides), strides: [outerStride, innerStride] };
  }
  const order = [...batch, ...outer, ...inner];
  const sizes = pick(order, operand.sizes);
  const dense = { strides: stridesOf(sizes), offset: 0 };
  const slot = site.scratch(operand.dtype, numel(sizes));
  const walk = { strides: pick(order, operand.strides), offset: operand.offset };
  site.push('copy', ...copyWords(operand.slot, slot, operand.dtype, sizes, walk, dense));
  return {
    slot,
    offset: 0,
    batch: dense.strides.slice(0, batch.length),
    strides: [numel(pick(inner, operand.sizes)), 1],
  };
}

function emitDot(site: NativeSite): void {
  const { node, inSpecs } = site;
  const plan = dotPlan(node, inSpecs[0].sizes.length, inSpecs[1].sizes.length);
  const [left, right] = [widened(site, 0), widened(site, 1)];
  const result = wideResult(site);
  const rows = numel(pick(plan.lhsFree, left.sizes));
  const columns = numel(pick(plan.rhsFree, right.sizes));
  const depth = numel(pick(plan.lhsContracting, left.sizes));
  const batchSizes = pick(plan.lhsBatching, left.sizes);
  if (rows * columns * numel(batchSizes) === 0) return;
  const words: Word[] = [];
  if (depth === 0) {
    words.push(left.slot, right.slot, result.slot, 0, 0, 0, numel(batchSizes) * rows, columns, 0, 1, 1, 1, 1);
  } else {
    const a = matricesOf(site, left, plan.lhsBatching, plan.lhsFree, plan.lhsContracting);
    const b = matricesOf(site, right, plan.rhsBatching, plan.rhsContracting, plan.rhsFree);
    const batch = merged(batchSizes, [a.batch, b.batch]);
    words.push(a.slot, b.slot, result.slot, a.offset, b.offset);
    words.push(batch.sizes.length);
    batch.sizes.forEach((size, axis) => words.push(size, batch.walks[0][axis], batch.walks[1][axis]));
    words.push(rows, columns, depth, ...a.strides, ...b.strides);
  }
  site.push(`dot.${left.dtype}`, ...words, ...site.epilogue());
  result.narrow();
}

export const dotFamily: NativeFamily = {
  operators: ['dot_general'],
  accepts(node: Node, library) {
    const [operand, result] = [specOf(node.inputs[0]).dtype, specOf(node.output).dtype];
    if (operand !== result) return false;
    return (
      library.operations.has(`dot.${isHalf(operand) ? 'float32' : operand}`) && canWiden(operand, { library })
    );
  },
  emit: emitDot,
  takesEpilogue: (node) => !isHalf(specOf(node.output).dtype),
};
