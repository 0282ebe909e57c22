// Cuts a graph into pipeline stages of balanced cost. Forward nodes are cut along their (topological) order; a backward
// node goes to the stage of the forward node it differentiates, so that saved activations stay where they were made.
import type { Graph, Node, Value } from '@weft/ir';
import { asTensorSpec, coreOperator, dtypes, numel, specOf } from '@weft/ir';
import { PlanError } from './mesh.ts';

export type Phase = 'forward' | 'backward';

/** Where a node runs; nodes without an entry are free: made anew wherever they are used. */
export interface StageAssignment {
  readonly stages: number;
  readonly stageOf: ReadonlyMap<Node, number>;
  readonly phaseOf: ReadonlyMap<Node, Phase>;
  /** Estimated seconds of each stage for one micro-batch, forward and backward. */
  readonly seconds: readonly number[];
}

/** Speeds that turn a node's cost into time. */
export interface DeviceSpeed {
  readonly flops: number;
  readonly bandwidth: number;
  /** Bytes a second between two devices. */
  readonly link: number;
}

export const defaultSpeed: DeviceSpeed = { flops: 1e9, bandwidth: 4e9, link: 2.5e8 };

export const bytesOf = (value: Value): number => {
  const spec = specOf(value);
  return numel(spec.sizes) * dtypes[spec.dtype].bytes;
};

/**
 * Nodes that depend on no graph input and have no effect: constants, iotas, masks made of them. They cost little to make
 * again and nothing to send.
 */
export function freeNodes(graph: Graph): Set<Node> {
  const free = new Set<Node>();
  for (const node of graph.nodes()) {
    if (node.blocks.length > 0 || coreOperator(node.operator).hasEffect) continue;
    if (node.inputs.every((input) => !input.isParameter && free.has(input.node))) free.add(node);
  }
  return free;
}

/**
 * @param origin backward node → the forward node it differentiates; nodes of `graph` that are not in it are forward
 * @param pinned stages given by the user for forward nodes (by annotation); all others are cut by cost
 */
export function assignStages(
  graph: Graph,
  stages: number,
  backward: ReadonlySet<Node>,
  origin: ReadonlyMap<Node, Node>,
  speed: DeviceSpeed = defaultSpeed,
): StageAssignment {
  const free = freeNodes(graph);
  const forward = [...graph.nodes()].filter((node) => !backward.has(node) && !free.has(node));
  if (forward.length < stages) {
    throw new PlanError(
      `${stages} pipeline stages are asked for, but the graph has only ${forward.length} operations to share out; use pipeline=${Math.max(1, forward.length)} or less`,
    );
  }
  const seconds = new Map(forward.map((node) => [node, timeOf(node, speed)]));
  for (const node of backward) {
    const from = origin.get(node);
    if (from !== undefined && seconds.has(from)) seconds.set(from, seconds.get(from)! + timeOf(node, speed));
  }
  const cuts = cutByCost(forward, seconds, stages, speed);

  const stageOf = new Map<Node, number>();
  const phaseOf = new Map<Node, Phase>();
  let stage = 0;
  forward.forEach((node, index) => {
    while (stage < cuts.length && index >= cuts[stage]) stage++;
    stageOf.set(node, stage);
    phaseOf.set(node, 'forward');
  });
  // Backward runs from the last stage to the first, so a node stands no later than anything backward that it reads.
  for (const node of graph.nodes()) {
    if (!backward.has(node) || free.has(node)) continue;
    const reads = node.inputs.flatMap((input) => {
      const at = input.isParameter ? undefined : stageOf.get(input.node);
      return at !== undefined && phaseOf.get(input.node) === 'backward' ? [at] : [];
    });
    const from = origin.get(node);
    const wanted = from === undefined ? undefined : stageOf.get(from);
    stageOf.set(node, Math.min(wanted ?? stages - 1, ...reads));
    phaseOf.set(node, 'backward');
  }
  const totals = Array.from({ length: stages }, () => 0);
  for (const [node, at] of stageOf) totals[at] += timeOf(node, speed);
  return { stages, stageOf, phaseOf, seconds: totals };
}

function timeOf(node: Node, speed: DeviceSpeed): number {
  const { flops, bytes } = coreOperator(node.operator).cost(node);
  return flops / speed.flops + bytes / speed.bandwidth;
}

/** Positions where stages 1, 2, … begin, such that the slowest stage (compute, and sending its result) is fastest. */
function cutByCost(
  nodes: readonly Node[],
  seconds: ReadonlyMap<Node, number>,
  stages: number,
  speed: DeviceSpeed,
): number[] {
  if (stages === 1) return [];
  const crossing = crossingBytes(nodes);
  const prefix = [0];
  for (const node of nodes) prefix.push(prefix[prefix.length - 1] + seconds.get(node)!);
  const places = cutPlaces(crossing, stages);

  // best[k][p]: the slowest of the first k + 1 stages when stage k ends at places[p].
  let best = places.map((place) => prefix[place] + crossing[place] / speed.link);
  const choices: number[][] = [];
  for (let stage = 1; stage < stages; stage++) {
    const last = stage === stages - 1;
    const ends = last ? [nodes.length] : places;
    const choice: number[] = [];
    best = ends.map((end) => {
      let least = Infinity;
      let from = -1;
      places.forEach((start, index) => {
        if (start >= end) return;
        const sent = end === nodes.length ? 0 : crossing[end] / speed.link;
        const slowest = Math.max(best[index], prefix[end] - prefix[start] + sent);
        if (slowest < least) [least, from] = [slowest, index];
      });
      choice.push(from);
      return least;
    });
    choices.push(choice);
  }
  const cuts: number[] = [];
  let index = 0;
  for (let stage = stages - 1; stage >= 1; stage--) {
    index = choices[stage - 1][index];
    cuts.unshift(places[index]);
  }
  return cuts;
}

/** Bytes of values made before each position and used at or after it (graph inputs are not sent). */
function crossingBytes(nodes: readonly Node[]): number[] {
  const position = new Map(nodes.map((node, index) => [node, index]));
  const change = Array.from({ length: nodes.length + 2 }, () => 0);
  nodes.forEach((node, index) => {
    for (const output of node.outputs) {
      const last = Math.max(index, ...output.uses.map((use) => position.get(use.user) ?? index));
      if (asTensorSpec(output.type) === undefined) continue;
      change[index + 1] += bytesOf(output);
      change[last + 1] -= bytesOf(output);
    }
  });
  let running = 0;
  return change.map((delta) => (running += delta));
}

/** Positions worth cutting at: all of a small graph, those that little crosses of a large one. */
function cutPlaces(crossing: readonly number[], stages: number): number[] {
  const all = Array.from({ length: crossing.length - 3 }, (_, index) => index + 1);
  const limit = Math.max(400, stages);
  if (all.length <= limit) return all;
  const width = Math.ceil(all.length / limit);
  const places: number[] = [];
  for (let start = 0; start < all.length; start += width) {
    const window = all.slice(start, start + width);
    places.push(window.reduce((a, b) => (crossing[b] < crossing[a] ? b : a)));
  }
  return places;
}
