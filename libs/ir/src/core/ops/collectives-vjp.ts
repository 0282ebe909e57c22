// Derivatives of collectives, for programs where every device computes the same loss: cotangents of values that all devices
// hold are the same on all; those of parts are the parts of the whole's.
import type { Node, Value } from '../../graph/graph.ts';
import { UnsupportedError } from '../../errors.ts';
import { TensorLiteral } from '../../types/ivalue.ts';
import type { CoreBuilder } from '../builder.ts';
import { specOf } from '../infer-types.ts';
import type { CoreOperator } from '../operator.ts';

type CollectiveRule = (b: CoreBuilder, node: Node, g: Value) => Value;

function onlySums(node: Node): void {
  const reduction = node.get('s', 'reduction');
  if (reduction !== 'sum') {
    throw new UnsupportedError(
      `the derivative of core::${node.operator} with reduction '${reduction}'; that of 'sum' is known`,
      node.source,
    );
  }
}

const rules: Readonly<Record<string, CollectiveRule>> = {
  /** Each device's term has the cotangent of the sum. */
  all_reduce(_b, node, g) {
    onlySums(node);
    return g;
  },
  all_gather(b, node, g) {
    const dimension = node.int('all_gather_dim');
    const { sizes } = specOf(node.inputs[0]);
    const position = positionInGroup(b, node.intPairs('replica_groups'));
    const start = b.multiply(position, b.full(sizes[dimension], 'int32'));
    const zero = b.full(0, 'int32');
    return b.dynamicSlice(
      g,
      sizes.map((_, at) => (at === dimension ? start : zero)),
      sizes,
    );
  },
  reduce_scatter(b, node, g) {
    onlySums(node);
    return b.allGather(g, node.int('scatter_dimension'), node.intPairs('replica_groups'));
  },
  all_to_all: (b, node, g) =>
    b.allToAll(g, node.int('concat_dimension'), node.int('split_dimension'), node.intPairs('replica_groups')),
  collective_permute: (b, node, g) =>
    b.collectivePermute(
      g,
      node.intPairs('source_target_pairs').map(([source, target]) => [target, source]),
    ),
};

/** The place of this device in its group, from a table of all devices. */
function positionInGroup(b: CoreBuilder, groups: readonly (readonly number[])[]): Value {
  const table = new Int32Array(Math.max(...groups.flat()) + 1);
  for (const group of groups) group.forEach((device, position) => (table[device] = position));
  const literal = new TensorLiteral('int32', [table.length], new Uint8Array(table.buffer));
  const device = b.convert(b.partitionId(), 'int32');
  return b.reshape(b.dynamicSlice(b.constant(literal), [device], [1]), []);
}

export const collectiveVjps: Readonly<Record<string, CoreOperator['vjp']>> = {
  ...Object.fromEntries(
    Object.entries(rules).map(([name, rule]): [string, CoreOperator['vjp']] => [
      name,
      (b, node, [g]) => [g === null ? null : rule(b, node, g)],
    ]),
  ),
  collective_broadcast: unsupported,
  send: unsupported,
  recv: unsupported,
};

function unsupported(_b: CoreBuilder, node: Node): never {
  throw new UnsupportedError(
    `core::${node.operator} has no derivative; differentiate the program before it is split over devices`,
    node.source,
  );
}
