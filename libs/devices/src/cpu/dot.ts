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

/** An operand as matrices where it is; undefined when strides do not give them. */
function matricesOf(
  operand: Operand,
  batch: readonly number[],
  outer: readonly number[],
  inner: readonly number[],
): Matrices | undefined {
  const [outerStride, innerStride] = [commonStride(outer, operand), commonStride(inner, operand)];
  if (outerStride === undefined || innerStride === undefined) return undefined;
  const { slot, offset, strides } = operand;
  return { slot, offset, batch: pick(batch, strides), strides: [outerStride, innerStride] };
}

/** As `matricesOf`, of a copy. */
function copiedMatrices(
  site: NativeSite,
  operand: Operand,
  batch: readonly number[],
  outer: readonly number[],
  inner: readonly number[],
): Matrices {
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

type Side = readonly [batch: readonly number[], outer: readonly number[], inner: readonly number[]];

/** The words of a product up to its epilogue; undefined when one of the operands has to be copied first. */
export function dotWords(
  node: Node,
  left: Operand,
  right: Operand,
  result: number,
  copied?: (operand: Operand, side: Side) => Matrices,
): Word[] | undefined {
  const plan = dotPlan(node, left.sizes.length, right.sizes.length);
  const rows = numel(pick(plan.lhsFree, left.sizes));
  const columns = numel(pick(plan.rhsFree, right.sizes));
  const depth = numel(pick(plan.lhsContracting, left.sizes));
  const batchSizes = pick(plan.lhsBatching, left.sizes);
  if (depth === 0) {
    return [left.slot, right.slot, result, 0, 0, 0, numel(batchSizes) * rows, columns, 0, 1, 1, 1, 1];
  }
  const sideOf = (operand: Operand, side: Side) => matricesOf(operand, ...side) ?? copied?.(operand, side);
  const a = sideOf(left, [plan.lhsBatching, plan.lhsFree, plan.lhsContracting]);
  const b = sideOf(right, [plan.rhsBatching, plan.rhsContracting, plan.rhsFree]);
  if (a === undefined || b === undefined) return undefined;
  const batch = merged(batchSizes, [a.batch, b.batch]);
  return [
    ...[a.slot, b.slot, result, a.offset, b.offset, batch.sizes.length],
    ...batch.sizes.flatMap((size, axis) => [size, batch.walks[0][axis], batch.walks[1][axis]]),
    ...[rows, columns, depth, ...a.strides, ...b.strides],
  ];
}

/** The kernel of a product whose operands are as narrow as memory has them: bfloat16, int8. */
const narrowKernel = (node: Node): string =>
  `dot.${specOf(node.inputs[0]).dtype}.${specOf(node.output).dtype}`;

/** Whether the kernel is one that computes in what memory holds, with an epilogue and as a link of chains. */
export const isPlainDot = (node: Node): boolean =>
  [node.inputs[0], node.output].every((value) => ['float32', 'float64'].includes(specOf(value).dtype));

function emitDot(site: NativeSite): void {
  const { node, library } = site;
  const narrow = narrowKernel(node);
  const isNarrow = library.operations.has(narrow);
  const [left, right] = [0, 1].map((index) => (isNarrow ? site.operand(index) : widened(site, index)));
  const result = isNarrow ? { slot: site.results[0], narrow: () => {} } : wideResult(site);
  if (numel(site.outSpecs[0].sizes) === 0) return;
  const words = dotWords(node, left, right, result.slot, (operand, side) => copiedMatrices(site, operand, ...side))!; // prettier-ignore
  if (isNarrow) site.push(narrow, ...words);
  else site.push(`dot.${left.dtype}`, ...words, ...site.epilogue());
  result.narrow();
}

export const dotFamily: NativeFamily = {
  operators: ['dot_general'],
  accepts(node: Node, library) {
    const [operand, result] = [specOf(node.inputs[0]).dtype, specOf(node.output).dtype];
    if (library.operations.has(narrowKernel(node))) return true;
    if (operand !== result) return false;
    return (
      library.operations.has(`dot.${isHalf(operand) ? 'float32' : operand}`) && canWiden(operand, { library })
    );
  },
  emit: emitDot,
  takesEpilogue: isPlainDot,
  affineFeatures(node) {
    if (!isPlainDot(node)) return undefined;
    const [left, right] = node.inputs.map((input) => specOf(input).sizes);
    const plan = dotPlan(node, left.length, right.length);
    // Products of batches are links of chains, whose parts know no formulas. Features are the columns.
    if (plan.lhsBatching.length > 0) return undefined;
    return plan.rhsFree.map((_, index) => plan.lhsFree.length + index);
  },
};
