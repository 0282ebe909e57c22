// Blocked channels: [images, channels, height, width] as [images, blocks, height, width, lanes], where a block has as many channels as a
// vector of the machine has lanes, and lanes beyond the last channel hold anything that is finite or not. In this form neighbours in
// memory are features of one position, so convolutions of any stride and window read and write whole vectors.
import type { CoreBuilder, Node, Value } from '@weft/ir';
import { compositeAttributes, compositeName, specOf } from '@weft/ir';
import type { NativeLibrary } from '../library.ts';

/** The name of composites that are convolutions with blocked results. */
const name = 'cpu.blocked_convolution';

/** Channels of a block; undefined where the library has no kernels for blocks. */
export const lanesOf = (library: NativeLibrary): number | undefined =>
  [16, 8, 4].find((lanes) => library.operations.has(kindOf(lanes)));
export const kindOf = (lanes: number): string => `blocked_convolution.${lanes}.float32`;

export const blocksOf = (channels: number, lanes: number): number => Math.ceil(channels / lanes);

/** Groups of a convolution as blocks see them. */
export interface BlockedGroups {
  /** Groups that are computed as one, each with zeros for the weights between its parts. */
  readonly merged: number;
  readonly groups: number;
  /** Features of a whole one, and of the last. */
  readonly rows: number;
  readonly channels: number;
  readonly lastRows: number;
  readonly lastChannels: number;
}

/** Groups that are merged at most: so many times as much is computed. */
const mostMerged = 4;

/**
 * Groups of so many output and input features, so that each begins with a block, or of one feature (depthwise), which are lanes; undefined
 * where they cannot be, or should not.
 */
export function blockedGroups(
  groups: number,
  rows: number,
  channels: number,
  lanes: number,
): BlockedGroups | undefined {
  const plan = (merged: number): BlockedGroups => {
    const last = groups % merged === 0 ? merged : groups % merged;
    return {
      merged,
      groups: Math.ceil(groups / merged),
      rows: rows * merged,
      channels: channels * merged,
      lastRows: rows * last,
      lastChannels: channels * last,
    };
  };
  const isDepthwise = rows === 1 && channels === 1;
  if (groups === 1 || isDepthwise) return plan(1);
  for (let merged = 1; merged <= mostMerged; merged++) {
    if ((rows * merged) % lanes !== 0 || (channels * merged) % lanes !== 0) continue;
    // The last one may be a part of a block, not have fewer blocks.
    const isOneBlock = rows * merged === lanes && channels * merged === lanes;
    if (groups % merged === 0 || isOneBlock) return plan(merged);
  }
  return undefined;
}

/** The sizes of the blocked form. */
export function blockedSizes([images, channels, height, width]: readonly number[], lanes: number): number[] {
  return [images, blocksOf(channels, lanes), height, width, lanes];
}

/** With zeros for the channels that are missing of the last block, along one dimension. */
export function paddedChannels(b: CoreBuilder, value: Value, dimension: number, lanes: number): Value {
  const { dtype, sizes } = specOf(value);
  const missing = blocksOf(sizes[dimension], lanes) * lanes - sizes[dimension];
  if (missing === 0) return value;
  const none = sizes.map(() => 0);
  const high = sizes.map((_, index) => (index === dimension ? missing : 0));
  return b.pad(value, b.full(0, dtype), none, high);
}

/** The blocked form of a value. */
export function blocked(b: CoreBuilder, value: Value, lanes: number): Value {
  const padded = paddedChannels(b, value, 1, lanes);
  const [images, channels, height, width] = specOf(padded).sizes;
  const parted = b.reshape(padded, [images, channels / lanes, lanes, height, width]);
  return b.transpose(parted, [0, 1, 3, 4, 2]);
}

/** The value of so many channels that has a blocked form. */
export function unblocked(b: CoreBuilder, value: Value, channels: number): Value {
  const [images, blocks, height, width, lanes] = specOf(value).sizes;
  const planes = b.transpose(value, [0, 1, 4, 2, 3]);
  const whole = b.reshape(planes, [images, blocks * lanes, height, width]);
  return firstChannels(b, whole, channels);
}

/** The first of the channels, in dimension 1. */
export function firstChannels(b: CoreBuilder, value: Value, channels: number): Value {
  const { sizes } = specOf(value);
  if (sizes[1] === channels) return value;
  const limit = sizes.map((size, dimension) => (dimension === 1 ? channels : size));
  return b.slice(
    value,
    sizes.map(() => 0),
    limit,
  );
}

/**
 * A convolution as it is in `node`, with a blocked result, of an input that is blocked or, with `isPlanes`, as it was: a composite that
 * the native kernels claim (convolution.ts).
 */
export function blockedConvolution(
  b: CoreBuilder,
  node: Node,
  input: Value,
  isPlanes: boolean,
  lanes: number,
): Value {
  const kernel = node.inputs[1];
  const channels = specOf(node.inputs[0]).sizes[1];
  const [result] = b.composite(name, [input, kernel], { lanes, planes: isPlanes }, (body, x, weights) => {
    const plain = isPlanes ? x : unblocked(body, x, channels);
    const again = b.graph.create(node.kind, [plain, weights], [node.output.type]);
    for (const [key, attribute] of node.attributes) again.set(key, attribute);
    again.source = node.source;
    b.graph.insertNode(again);
    return [blocked(body, again.output, lanes)];
  });
  result.node.source = node.source;
  return result;
}

/** Whether a node is such a composite. */
export const isBlockedConvolution = (node: Node): boolean =>
  node.kind === 'core::composite' && compositeName(node) === name;

/** The convolution inside of such a composite, and whether its input is in planes. */
export function convolutionIn(node: Node): { convolution: Node; isPlanes: boolean; lanes: number } {
  const convolution = [...node.blocks[0].nodes()].find(({ kind }) => kind === 'core::convolution')!;
  const { planes, lanes } = compositeAttributes(node) as { planes: boolean; lanes: number };
  return { convolution, isPlanes: planes, lanes };
}
