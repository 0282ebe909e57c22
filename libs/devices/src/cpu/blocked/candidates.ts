// Which nodes of a graph can compute on blocked channels, what they would cost so and as they are, and which of their operands would have
// to be in blocks. Costs are in operations of a multiply-add at the machine's full rate, estimated from shapes alone.
import type { Block, Node, Value } from '@weft/ir';
import { convolutionPlan, dtypes, numel, specOf } from '@weft/ir';
import { simpleBody } from '../../reference/region.ts';
import type { NativeLibrary } from '../library.ts';
import { isPointwise } from '../pointwise.ts';
import { blockedGroups, blocksOf } from './layout.ts';

export interface Candidate {
  readonly node: Node;
  /** What more the node costs with blocks than without; negative where it gains. */
  readonly extra: number;
  /** Operands that have to be in blocks with it. */
  readonly operands: readonly Value[];
  /** An operand that its kernel also reads as it is, and what that costs more than reading blocks. */
  readonly either?: { readonly operand: Value; readonly cost: number };
  /** Whether its result is in blocks. */
  readonly isBlocked: boolean;
}

/** Operations in the time in which a byte is moved. */
const perByte = 6;

/** What it costs to start a step. */
const perStep = 40_000;

/** What it costs to read and write a value. */
const costOfPass = (value: Value): number => {
  const { dtype, sizes } = specOf(value);
  return perStep + 2 * perByte * numel(sizes) * dtypes[dtype].bytes;
};

/** What it costs to bring a value into blocks, or back, between what makes it and what reads it. */
export function costOfReordering(value: Value, library: NativeLibrary): number {
  const cost = costOfPass(value);
  // What is computed as a kernel goes is not any more.
  const isFollowed = value.node.kind === 'core::convolution' && value.uses.some(({ user }) => isPointwise(user, library)); // prettier-ignore
  return isFollowed ? 2 * cost : cost;
}

/** Whether a value may be in blocks. */
export function isPlanes(value: Value): boolean {
  const { sizes } = specOf(value);
  return sizes.length === 4 && numel(sizes) > 0;
}

const sameSizes = (value: Value, sizes: readonly number[]): boolean =>
  specOf(value).sizes.join() === sizes.join();

/** The candidate that a node is; undefined where it needs its operands and result as they are. */
export function candidateOf(node: Node, library: NativeLibrary, lanes: number): Candidate | undefined {
  switch (node.kind) {
    case 'core::convolution':
      return convolution(node, lanes);
    case 'core::reduce':
      return reduction(node);
    case 'core::reduce_window':
      return window(node);
    case 'core::concatenate':
      return concatenation(node, lanes);
    default:
      return elementwise(node, library, lanes);
  }
}

/** The part of the machine's rate at which a convolution in planes is computed, as measured. */
function rateInPlanes(
  rows: number,
  channels: number,
  taps: number,
  strides: readonly number[],
  width: number,
): number {
  const isStrided = strides.some((stride) => stride > 1);
  if (rows <= 2) return isStrided || width < 16 ? 0.08 : 0.16;
  if (taps === 1) return rows < 32 ? 0.4 : 0.7;
  // In Winograd's tiles, with fewer multiplications.
  if (taps === 9 && !isStrided && rows >= 16 && channels >= 16)
    return Math.min(2.6, 1.1 + Math.min(rows, channels) / 40) * (width < 14 ? 0.75 : 1);
  return channels * taps < 32 ? 0.25 : 0.65;
}

/** The same of depthwise ones in blocks: there are kernels for rows of usual windows (native/blocked-depthwise.h). */
const rateOfDepthwise = (width: number, stride: number, dilation: number): number =>
  [3, 5, 7].includes(width) && stride <= 2 && dilation === 1 ? 0.4 : 0.1;

/** The same of groups of less than a block, in planes. */
const rateOfSmallGroups = 0.1;

function convolution(node: Node, lanes: number): Candidate | undefined {
  const [input, kernel] = node.inputs;
  const [{ dtype, sizes }, { sizes: weights }, { sizes: result }] = [input, kernel, node.output].map(specOf);
  if (dtype !== 'float32' || !isPlanes(node.output) || numel(sizes) === 0 || numel(weights) === 0) return undefined; // prettier-ignore
  const plan = convolutionPlan(node);
  const isPlain = [plan.input, plan.output].every((order) =>
    order.every((dimension, index) => dimension === index),
  );
  if (!isPlain || plan.batchGroups > 1 || plan.lhsDilation.some((dilation) => dilation > 1)) return undefined;
  if (plan.reversal.some((isReversed) => isReversed)) return undefined;
  const groups = plan.featureGroups;
  const [rows, channels] = [result[1] / groups, sizes[1] / groups];
  const isDepthwise = groups > 1 && rows === 1 && channels === 1;
  const merged = blockedGroups(groups, rows, channels, lanes)?.merged;
  if (merged === undefined) return undefined;
  const taps = weights[plan.kernel[2]] * weights[plan.kernel[3]];
  const positions = result[0] * result[2] * result[3];
  const flops = 2 * positions * result[1] * channels * taps;
  // Lanes that are not there are computed too.
  const filled = isDepthwise ? groups : rows * merged;
  const whole = (flops * merged * blocksOf(filled, lanes) * lanes) / filled;
  const inBlocks = whole / (isDepthwise ? rateOfDepthwise(weights[plan.kernel[3]], plan.strides[1], plan.rhsDilation[1]) : 0.85); // prettier-ignore
  const inPlanes = flops / (merged > 1 ? rateOfSmallGroups : rateInPlanes(rows, channels, taps, plan.strides, result[3])); // prettier-ignore
  const either = groups === 1 ? { operand: input, cost: 0.1 * inBlocks } : undefined;
  return { node, extra: inBlocks - inPlanes, operands: [input], either, isBlocked: true };
}

/** Sums over all positions, such as the means of planes: a vector of lanes at a time. */
function reduction(node: Node): Candidate | undefined {
  const [input] = node.inputs;
  if (node.inputs.length !== 2 || specOf(input).dtype !== 'float32' || !isPlanes(input)) return undefined;
  if (node.ints('dimensions').join() !== '2,3' || simpleBody(node.blocks[0]) === undefined) return undefined;
  return { node, extra: 0, operands: [input], isBlocked: false };
}

/** Windows over positions: a vector of lanes at a time too. */
function window(node: Node): Candidate | undefined {
  const [input] = node.inputs;
  if (node.inputs.length !== 2 || specOf(input).dtype !== 'float32' || !isPlanes(input) || !isPlanes(node.output)) return undefined; // prettier-ignore
  if (simpleBody(node.blocks[0]) === undefined) return undefined;
  const isOfPositions = windowAttributes.every(([name, usual]) => {
    const given = node.find('is', name)?.map(Number) ?? [];
    return given.slice(0, 2).every((number) => number === usual);
  });
  const padding = node.intPairs('padding');
  if (!isOfPositions || padding.slice(0, 2).some(([low, high]) => low !== 0 || high !== 0)) return undefined;
  return { node, extra: 0, operands: [input], isBlocked: true };
}
/** Attributes of windows with a number for each dimension, and what they are where there is no window. */
export const windowAttributes = [
  ['window_dimensions', 1],
  ['window_strides', 1],
  ['base_dilations', 1],
  ['window_dilations', 1],
] as const;

/** Blocks beside each other, where all are whole. */
function concatenation(node: Node, lanes: number): Candidate | undefined {
  if (node.int('dimension') !== 1 || !isPlanes(node.output)) return undefined;
  if (node.inputs.some((input) => !isPlanes(input) || specOf(input).sizes[1] % lanes !== 0)) return undefined;
  return { node, extra: 0, operands: node.inputs, isBlocked: true };
}

/** What an operand of an elementwise node of these sizes is to it. */
export type ElementwiseOperand = 'blocks' | 'number' | 'channels' | undefined;
export function elementwiseOperand(value: Value, sizes: readonly number[]): ElementwiseOperand {
  const { node } = value;
  if (specOf(value).sizes.length === 0) return 'number';
  if (!sameSizes(value, sizes)) return undefined;
  if (node.kind === 'core::constant') return node.get('t', 'value').splat ? 'number' : 'blocks';
  if (node.kind !== 'core::broadcast_in_dim') return 'blocks';
  const given = specOf(node.inputs[0]).sizes;
  const places = node.ints('broadcast_dimensions');
  const varying = places.filter((_, index) => given[index] !== 1);
  return varying.every((dimension) => dimension < 2) ? 'channels' : 'blocks';
}

function elementwise(node: Node, library: NativeLibrary, lanes: number): Candidate | undefined {
  if (!isPointwise(node, library) || !isPlanes(node.output)) return undefined;
  const { dtype, sizes } = specOf(node.output);
  const kinds = node.inputs.map((input) => elementwiseOperand(input, sizes));
  if (kinds.includes(undefined)) return undefined;
  const operands = node.inputs.filter((_, index) => kinds[index] === 'blocks');
  if (operands.length === 0) return undefined;
  const missing = blocksOf(sizes[1], lanes) * lanes - sizes[1];
  // Most of it is done as its operands are computed, but numbers of channels are put into blocks of their own.
  const padded = missing === 0 ? 0 : kinds.filter((kind) => kind === 'channels').length;
  const extra =
    2 * perStep * padded + 0.25 * perByte * dtypes[dtype].bytes * numel(sizes) * (missing / sizes[1]);
  return { node, extra, operands, isBlocked: true };
}

/** Whether a graph computes gradients of kernels, which then change from run to run and would be reordered in each. */
export function isTraining(block: Block): boolean {
  for (const node of block.nodes()) {
    if (node.kind !== 'core::convolution') continue;
    const { input, batchGroups } = convolutionPlan(node);
    if (batchGroups > 1 || input.some((dimension, index) => dimension !== index)) return true;
  }
  return false;
}

/** The candidates of a block, in its order. */
export function candidatesOf(block: Block, library: NativeLibrary, lanes: number): Candidate[] {
  return [...block.nodes()].flatMap((node) => candidateOf(node, library, lanes) ?? []);
}
