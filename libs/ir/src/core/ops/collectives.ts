// Collectives and transfers between logical devices. They never reach a device: plans cut graphs at them.
import type { Node } from '../../graph/graph.ts';
import type { TensorSpec } from '../../types/types.ts';
import { tensorSpec } from '../../types/types.ts';
import type { Cost, CoreOperator, InferenceSite } from '../operator.ts';
import { registerCoreOperator } from '../operator.ts';
import {
  costOfMove,
  dtypeAttribute,
  expectAtLeast,
  expectChoice,
  expectDimensions,
  expectLength,
  expectOperands,
  sizesText,
  trafficOf,
} from './inference.ts';
import { collectiveVjps } from './collectives-vjp.ts';

/** Groups of one size, none empty, no device twice. Returns the size. */
function expectGroups(site: InferenceSite): number {
  const groups = site.node.intPairs('replica_groups');
  if (groups.length === 0 || groups[0].length === 0) site.fail(`'replica_groups' is empty`);
  for (const group of groups) expectLength(site, 'replica_groups (a group)', group, groups[0].length);
  const devices = groups.flat();
  expectAtLeast(site, 'replica_groups', devices, 0);
  const twice = devices.find((device, index) => devices.indexOf(device) !== index);
  if (twice !== undefined) site.fail(`'replica_groups' names device ${twice} twice`);
  return groups[0].length;
}

/** The operand with `dimension` scaled by `factor`; `by` divides it. */
function scaled(site: InferenceSite, attribute: string, by: number, how: 'multiply' | 'divide'): TensorSpec {
  const [{ dtype, sizes }] = site.operands;
  const dimension = site.node.int(attribute);
  expectDimensions(site, attribute, [dimension], sizes.length);
  if (how === 'divide' && sizes[dimension] % by !== 0) {
    site.fail(`dimension ${dimension} of size ${sizes[dimension]} does not divide into ${by} parts`);
  }
  const size = how === 'divide' ? sizes[dimension] / by : sizes[dimension] * by;
  return tensorSpec(
    dtype,
    sizes.map((old, at) => (at === dimension ? size : old)),
  );
}

const reductions = ['sum', 'max', 'min', 'prod'] as const;

const operators: readonly (Omit<CoreOperator, 'cost'> & { cost?: (node: Node) => Cost })[] = [
  {
    name: 'all_reduce',
    attributes: { replica_groups: 'iss', reduction: 's' },
    infer(site) {
      expectOperands(site, 1);
      expectGroups(site);
      expectChoice(site, 'reduction', reductions);
      return [site.operands[0]];
    },
  },
  {
    name: 'all_gather',
    attributes: { all_gather_dim: 'i', replica_groups: 'iss' },
    infer(site) {
      expectOperands(site, 1);
      return [scaled(site, 'all_gather_dim', expectGroups(site), 'multiply')];
    },
  },
  {
    name: 'reduce_scatter',
    attributes: { scatter_dimension: 'i', replica_groups: 'iss', reduction: 's' },
    infer(site) {
      expectOperands(site, 1);
      expectChoice(site, 'reduction', reductions);
      return [scaled(site, 'scatter_dimension', expectGroups(site), 'divide')];
    },
  },
  {
    name: 'all_to_all',
    attributes: { split_dimension: 'i', concat_dimension: 'i', split_count: 'i', replica_groups: 'iss' },
    infer(site) {
      expectOperands(site, 1);
      const count = site.node.int('split_count');
      const size = expectGroups(site);
      if (count !== size) site.fail(`'split_count' is ${count}, the groups have ${size} devices`);
      const split = scaled(site, 'split_dimension', count, 'divide');
      const concat = site.node.int('concat_dimension');
      expectDimensions(site, 'concat_dimension', [concat], split.sizes.length);
      return [
        tensorSpec(
          split.dtype,
          split.sizes.map((old, at) => (at === concat ? old * count : old)),
        ),
      ];
    },
  },
  {
    name: 'collective_permute',
    attributes: { source_target_pairs: 'iss' },
    infer(site) {
      expectOperands(site, 1);
      const pairs = site.node.intPairs('source_target_pairs');
      for (const pair of pairs) {
        expectLength(site, 'source_target_pairs (a pair)', pair, 2);
        expectAtLeast(site, 'source_target_pairs', pair, 0);
      }
      for (const [side, what] of ['source', 'target'].entries()) {
        const devices = pairs.map((pair) => pair[side]);
        if (new Set(devices).size !== devices.length) {
          site.fail(`'source_target_pairs' has a ${what} twice: ${sizesText(devices)}`);
        }
      }
      return [site.operands[0]];
    },
  },
  {
    name: 'collective_broadcast',
    attributes: { replica_groups: 'iss' },
    infer(site) {
      expectOperands(site, 1);
      expectGroups(site);
      return [site.operands[0]];
    },
  },
  {
    name: 'send',
    attributes: { peer: 'i', channel: 's' },
    infer(site) {
      expectOperands(site, 1);
      expectAtLeast(site, 'peer', [site.node.int('peer')], 0);
      return [];
    },
    cost: (node) => ({ flops: 0, bytes: trafficOf(node) }),
  },
  {
    name: 'recv',
    attributes: { peer: 'i', channel: 's', dtype: 's', shape: 'is' },
    infer(site) {
      expectOperands(site, 0);
      expectAtLeast(site, 'peer', [site.node.int('peer')], 0);
      const shape = site.node.ints('shape');
      expectAtLeast(site, 'shape', shape, 0);
      return [tensorSpec(dtypeAttribute(site, 'dtype'), shape)];
    },
  },
];
for (const operator of operators) {
  registerCoreOperator({
    cost: costOfMove,
    ...operator,
    vjp: collectiveVjps[operator.name],
    hasEffect: true,
  });
}

for (const name of ['partition_id', 'replica_id']) {
  registerCoreOperator({
    name,
    attributes: {},
    infer(site) {
      expectOperands(site, 0);
      return [tensorSpec('uint32', [])];
    },
    cost: costOfMove,
  });
}
