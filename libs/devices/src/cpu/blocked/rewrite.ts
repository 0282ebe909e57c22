// Computes the parts of a graph that gain by it on blocked channels: values there are tensors of five dimensions, convolutions are
// composites with native kernels (convolution.ts), and what is elementwise or a reduction is as everywhere. Values are reordered where
// such a part begins or ends.
import type { Attribute, Graph, Node, Value } from '@weft/ir';
import { CoreBuilder, TensorLiteral, inferTypes, specOf, toAttribute } from '@weft/ir';
import type { NativeLibrary } from '../library.ts';
import { chooseBlocks } from './assign.ts';
import type { Candidate } from './candidates.ts';
import { candidatesOf, elementwiseOperand, isTraining, windowAttributes } from './candidates.ts';
import {
  blocked,
  blockedConvolution,
  blockedSizes,
  firstChannels,
  lanesOf,
  paddedChannels,
  unblocked,
} from './layout.ts';

/** Whether values are put in blocks: where it is estimated to gain, nowhere, or wherever there are kernels for it. */
export type BlockPolicy = 'auto' | 'off' | 'all';
export const blockPolicies: readonly BlockPolicy[] = ['auto', 'off', 'all'];

/** Rewrites the graph. */
export function blockChannels(graph: Graph, library: NativeLibrary, policy: BlockPolicy): void {
  const lanes = lanesOf(library);
  if (lanes === undefined || policy === 'off' || (policy === 'auto' && isTraining(graph.block))) return;
  const candidates = candidatesOf(graph.block, library, lanes);
  const chosen =
    policy === 'all' ? new Set(candidates.map(({ node }) => node)) : chooseBlocks(candidates, library);
  if (chosen.size > 0) new Rewriter(graph, lanes).rewrite(candidates.filter(({ node }) => chosen.has(node)));
}

class Rewriter {
  private readonly b: CoreBuilder;
  /** Values in blocks, by what they are in the graph, and the other way. */
  private readonly blocksOf = new Map<Value, Value>();
  private readonly planesOf = new Map<Value, Value>();

  constructor(
    private readonly graph: Graph,
    private readonly lanes: number,
  ) {
    this.b = new CoreBuilder(graph);
  }

  rewrite(candidates: readonly Candidate[]): void {
    for (const candidate of candidates) {
      this.graph.withInsertPoint(candidate.node, () => this.rewriteNode(candidate));
      candidate.node.destroy();
    }
    for (const planes of this.planesOf.values()) removeUnread(planes.node);
  }

  private rewriteNode({ node, either, isBlocked }: Candidate): void {
    const { b, lanes } = this;
    const [output] = node.outputs;
    const { sizes } = specOf(output);
    if (!isBlocked) {
      output.replaceAllUsesWith(this.reduction(node));
      return;
    }
    let result: Value;
    if (node.kind === 'core::convolution') {
      const [input] = node.inputs;
      const isPlanes = either !== undefined && this.inBlocks(input) === undefined;
      result = blockedConvolution(b, node, isPlanes ? input : this.blocks(input), isPlanes, lanes);
    } else if (node.kind === 'core::reduce_window') {
      result = this.window(node);
    } else if (node.kind === 'core::concatenate') {
      result = b.concatenate(node.inputs.map((input) => this.blocks(input)), 1); // prettier-ignore
    } else {
      const operands = node.inputs.map((input) => this.elementwiseOperand(input, sizes));
      result = this.again(node, operands);
    }
    // Whoever reads it as it was gets it so; those that do not are left without.
    const planes = unblocked(b, result, sizes[1]);
    this.blocksOf.set(planes, result);
    this.planesOf.set(result, planes);
    output.replaceAllUsesWith(planes);
  }

  /** The value in blocks, where it is there already. */
  private inBlocks(value: Value): Value | undefined {
    return this.blocksOf.get(value);
  }
  private blocks(value: Value): Value {
    let result = this.inBlocks(value);
    if (result === undefined) this.blocksOf.set(value, (result = blocked(this.b, value, this.lanes)));
    return result;
  }

  private elementwiseOperand(value: Value, sizes: readonly number[]): Value {
    const { b, lanes } = this;
    const whole = blockedSizes(sizes, lanes);
    const kind = elementwiseOperand(value, sizes);
    if (kind === 'blocks') return this.blocks(value);
    const { node } = value;
    if (node.kind === 'core::constant') {
      const literal = node.get('t', 'value');
      return literal.shape.length === 0
        ? value
        : b.constant(new TensorLiteral(literal.dtype, whole, literal.bytes, true));
    }
    if (kind === 'number') return value;
    // Numbers of images and channels.
    const [operand] = node.inputs;
    const given = specOf(operand).sizes;
    const kept = node.ints('broadcast_dimensions').flatMap((place, index) => (given[index] === 1 ? [] : [{ place, size: given[index] }])); // prettier-ignore
    kept.sort((left, right) => left.place - right.place);
    let numbers = b.reshape(operand, kept.map(({ size }) => size)); // prettier-ignore
    const at = kept.findIndex(({ place }) => place === 1);
    const places = kept.map(({ place }) => place);
    if (at >= 0) {
      numbers = paddedChannels(b, numbers, at, lanes);
      const { sizes: padded } = specOf(numbers);
      numbers = b.reshape(numbers, [...padded.slice(0, at), padded[at] / lanes, lanes]);
      places.push(4);
    }
    return b.broadcastInDim(numbers, whole, places);
  }

  /** A reduction over the positions: of each block, then of each channel. */
  private reduction(node: Node): Value {
    const { b } = this;
    const [images, channels] = specOf(node.inputs[0]).sizes;
    const result = this.again(node, [this.blocks(node.inputs[0]), node.inputs[1]]);
    const [, blocks, lanes] = specOf(result).sizes;
    return firstChannels(b, b.reshape(result, [images, blocks * lanes]), channels);
  }

  /** A window over positions, beside each other in lanes. */
  private window(node: Node): Value {
    const more = new Map<string, Attribute>();
    for (const [name, usual] of windowAttributes) {
      const given = node.find('is', name);
      if (given !== undefined) more.set(name, toAttribute('is', [...given.map(Number), usual]));
    }
    more.set('padding', toAttribute('iss', [...node.intPairs('padding'), [0, 0]]));
    return this.again(node, [this.blocks(node.inputs[0]), node.inputs[1]], more);
  }

  /** The same operator on other operands, with some attributes for theirs. */
  private again(
    node: Node,
    operands: readonly Value[],
    more: ReadonlyMap<string, Attribute> = new Map(),
  ): Value {
    const { graph } = this;
    const again = graph.create(node.kind, operands, 0);
    for (const [name, attribute] of [...node.attributes, ...more]) again.set(name, attribute);
    again.source = node.source;
    for (const block of node.blocks) again.addBlock().copyFrom(block, new Map());
    for (const spec of inferTypes(again)) again.addOutput(spec);
    return graph.insertNode(again).outputs[0];
  }
}

/** Removes a node that nobody reads, and what only it read. */
function removeUnread(node: Node): void {
  if (node.block === undefined || node.outputs.some(({ uses }) => uses.length > 0)) return;
  if (!['core::slice', 'core::reshape', 'core::transpose'].includes(node.kind)) return;
  const operands = node.inputs.map((input) => input.node);
  node.destroy();
  for (const operand of operands) removeUnread(operand);
}
