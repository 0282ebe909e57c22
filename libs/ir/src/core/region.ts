// Copies of regions: emitted again at the insertion point, turned into graphs, or applied to whole tensors.
import type { Block, Node, Value } from '../graph/graph.ts';
import { Graph, cloneNode } from '../graph/graph.ts';
import { InternalError } from '../errors.ts';
import type { CoreBuilder } from './builder.ts';
import { inferTypes, specOf } from './infer-types.ts';

/** A map in which values from outside stand for themselves. */
class CopyMap extends Map<Value, Value> {
  override get(value: Value): Value {
    return super.get(value) ?? value;
  }
}

export interface InlinedRegion {
  readonly nodes: readonly Node[];
  readonly outputs: readonly Value[];
}

/** Emits the nodes of a region of the builder's own graph again, with `operands` for its parameters. */
export function inlineRegion(b: CoreBuilder, region: Block, operands: readonly Value[]): InlinedRegion {
  const map = new CopyMap();
  region.inputs.forEach((input, index) => map.set(input, operands[index]));
  return inlineInto(b, region, map);
}

/** Emits the nodes of a graph, which may be another than the builder's, with `operands` for its inputs. */
export function inlineGraph(b: CoreBuilder, graph: Graph, operands: readonly Value[]): InlinedRegion {
  if (operands.length !== graph.inputs.length) {
    throw new InternalError(
      `a graph of ${graph.inputs.length} inputs is inlined with ${operands.length} operands`,
    );
  }
  const map = new Map<Value, Value>();
  graph.inputs.forEach((input, index) => map.set(input, operands[index]));
  return inlineInto(b, graph.block, map);
}

function inlineInto(b: CoreBuilder, region: Block, map: Map<Value, Value>): InlinedRegion {
  const nodes: Node[] = [];
  for (const node of region.nodes()) nodes.push(b.graph.insertNode(cloneNode(b.graph, node, map)));
  return { nodes, outputs: region.outputs.map((output) => map.get(output)!) };
}

/** Values from outside that a region uses, also in nested ones, each once. */
export function capturesOf(region: Block): Value[] {
  const captures = new Set<Value>();
  const inside = new Set<Value>();
  const visit = (block: Block) => {
    for (const input of block.inputs) inside.add(input);
    for (const node of block.nodes()) {
      for (const input of node.inputs) if (!inside.has(input)) captures.add(input);
      node.blocks.forEach(visit);
      for (const output of node.outputs) inside.add(output);
    }
    for (const output of block.outputs) if (!inside.has(output)) captures.add(output);
  };
  visit(region);
  return [...captures];
}

/** The region as a graph of its own: inputs are its parameters, then `captures`. */
export function graphOfRegion(region: Block, captures: readonly Value[] = capturesOf(region)): Graph {
  const graph = new Graph();
  const map = new Map<Value, Value>();
  for (const input of [...region.inputs, ...captures]) map.set(input, graph.addInput(input.type));
  for (const node of region.nodes()) graph.insertNode(cloneNode(graph, node, map));
  for (const output of region.outputs) graph.addOutput(map.get(output)!);
  return graph;
}

/**
 * Applies a region of scalar operators to tensors of one shape, element by element: each node is emitted on whole
 * tensors. The region's captures and constants are spread.
 */
export function applyElementwise(b: CoreBuilder, region: Block, operands: readonly Value[]): Value[] {
  const { sizes } = specOf(operands[0]);
  const map = new Map<Value, Value>();
  region.inputs.forEach((input, index) => map.set(input, operands[index]));
  const spread = (value: Value): Value => {
    const known = map.get(value);
    if (known !== undefined) return known;
    const made = b.broadcastTo(value, sizes);
    map.set(value, made);
    return made;
  };
  for (const node of region.nodes()) {
    if (node.blocks.length > 0)
      throw new InternalError(`${node.kind} in a region of scalars is not elementwise`);
    if (node.inputs.length === 0) {
      const copy = b.graph.insertNode(cloneNode(b.graph, node, new Map()));
      copy.outputs.forEach((output, index) => map.set(node.outputs[index], b.broadcastTo(output, sizes)));
      continue;
    }
    const copy = b.graph.create(node.kind, node.inputs.map(spread), 0);
    copy.copyAttributes(node);
    for (const spec of inferTypes(copy)) copy.addOutput(spec);
    b.graph.insertNode(copy);
    copy.outputs.forEach((output, index) => map.set(node.outputs[index], output));
  }
  return region.outputs.map(spread);
}
