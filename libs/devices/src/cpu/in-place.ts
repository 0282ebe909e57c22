// Results written over operands: which pairs a program can take, and where a loop may write over what it reads.
import type { Graph, Node, Value } from '@weft/ir';
import { numel, specOf } from '@weft/ir';
import type { InPlace } from '../device.ts';
import { storedOutputs } from '../reference/compile.ts';
import { rootOf, sourcesOf } from '../reference/schedule.ts';
import type { Access } from './access.ts';
import { isDense, isView } from './access.ts';
import type { FusedUnit } from './chain.ts';

/** Those of the pairs that a program can keep: of one type, each value once, and no input that is a result as it is. */
export function pairsInPlace(graph: Graph, wanted: readonly InPlace[]): InPlace[] {
  const results = new Set(graph.outputs.map(rootOf));
  const inputs = new Set<number>();
  const outputs = new Set<number>();
  return wanted.filter(({ input, output }) => {
    const [from, to] = [graph.inputs[input], graph.outputs[output]];
    const [before, after] = [specOf(from), specOf(to)];
    const alike = before.dtype === after.dtype && numel(before.sizes) === numel(after.sizes);
    if (!alike || results.has(from) || inputs.has(input) || outputs.has(output)) return false;
    inputs.add(input);
    outputs.add(output);
    return true;
  });
}

/** Whether each element of an elementwise group needs no more of `input` than the same element. */
export function mayOverwrite(
  group: readonly Node[],
  input: Value,
  accessOf: (value: Value) => Access | undefined,
): boolean {
  const inside = new Set(group.map((member) => member.output));
  const count = numel(specOf(input).sizes);
  return group.every((member) =>
    member.inputs.every((value) => {
      if (inside.has(value) || !sourcesOf(value, isView).includes(input)) return true;
      const access = accessOf(value);
      return access?.offset === 0 && numel(access.sizes) === count && isDense(access);
    }),
  );
}

/**
 * The result of the elementwise group after a node that takes the place of the node's own result: no memory is needed for what only
 * the group reads. `isFree` says that nothing reads a value after its unit.
 */
export function resultInPlaceOf(
  { node, group, affine, chain }: FusedUnit,
  isFree: (value: Value) => boolean,
): Value | undefined {
  if (node === undefined || affine !== undefined || chain !== undefined) return undefined;
  if (node.outputs.length !== 1 || !isFree(node.output)) return undefined;
  const { dtype } = specOf(node.output);
  return storedOutputs(group).find(({ output }) => specOf(output).dtype === dtype)?.output;
}
