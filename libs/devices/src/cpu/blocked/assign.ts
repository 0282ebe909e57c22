// Which nodes of a graph compute on blocked channels: the cheapest choice for all of them together, where a value that is needed in both
// forms is reordered once. Each node is on one side or the other, so the choice is a minimum cut.
import type { Node, Value } from '@weft/ir';
import type { NativeLibrary } from '../library.ts';
import type { Candidate } from './candidates.ts';
import { costOfReordering } from './candidates.ts';
import { Network } from './minimum-cut.ts';

/** The candidates that compute on blocks. */
export function chooseBlocks(candidates: readonly Candidate[], library: NativeLibrary): Set<Node> {
  const network = new Network();
  const pointOf = new Map<Node, number>();
  const candidateOf = new Map(candidates.map((candidate) => [candidate.node, candidate]));
  for (const { node, extra } of candidates) {
    const point = network.add();
    pointOf.set(node, point);
    network.connect(network.source, point, -extra);
    network.connect(point, network.sink, extra);
  }
  /** Where a value is made: what is no candidate makes it as it was. */
  const makerOf = (value: Value): number =>
    candidateOf.get(value.node)?.isBlocked === true ? pointOf.get(value.node)! : network.sink;

  const values = new Set(candidates.flatMap(({ node, operands, isBlocked }) => [...operands, ...(isBlocked ? node.outputs : [])])); // prettier-ignore
  for (const value of values) {
    const maker = makerOf(value);
    const cost = costOfReordering(value, library);
    const fromBlocks = network.add();
    const toBlocks = network.add();
    network.connect(maker, fromBlocks, cost);
    network.connect(toBlocks, maker, cost);
    for (const { user } of value.uses) {
      const reader = candidateOf.get(user);
      if (reader?.operands.includes(value) !== true) {
        network.connect(fromBlocks, network.sink, Infinity);
        continue;
      }
      const point = pointOf.get(user)!;
      network.connect(fromBlocks, point, Infinity);
      const direct = reader.either?.operand === value ? reader.either.cost : Infinity;
      if (direct < cost) network.connect(point, maker, direct);
      else network.connect(point, toBlocks, Infinity);
    }
  }
  const sides = network.divide();
  return new Set(candidates.filter(({ node }) => sides[pointOf.get(node)!]).map(({ node }) => node));
}
