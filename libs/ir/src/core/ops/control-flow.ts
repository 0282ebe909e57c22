// Branches and loops over regions, which may use values from outside, and the optimisation barrier.
import type { Block, Node } from '../../graph/graph.ts';
import type { TensorSpec } from '../../types/types.ts';
import { asTensorSpec, tensorSpec } from '../../types/types.ts';
import { compositeVjp } from '../composite.ts';
import type { Cost, InferenceSite } from '../operator.ts';
import { coreOperator, registerCoreOperator } from '../operator.ts';
import { costOfMove, equalSpecs, expectOperands, expectRegion, trafficOf } from './inference.ts';
import { barrierVjp, branchVjp, whileVjp } from './control-flow-vjp.ts';

/** The work of one run of a region. */
export function costOfRegion(region: Block): Cost {
  let [flops, bytes] = [0, 0];
  for (const node of region.nodes()) {
    const cost = coreOperator(node.operator).cost(node);
    flops += cost.flops;
    bytes += cost.bytes;
  }
  return { flops, bytes };
}

/** All branches take nothing and return the same types. */
function inferBranches(site: InferenceSite): TensorSpec[] {
  const [first] = site.regions.map((region) => region.outputs.map((output) => asTensorSpec(output.type)));
  const results = first.map(
    (spec, index) => spec ?? site.fail(`result ${index} of region 0 has no known type`),
  );
  site.regions.forEach((region, index) => {
    if (region.outputs.length !== results.length) {
      site.fail(`region 0 returns ${results.length} values, region ${index} ${region.outputs.length}`);
    }
    expectRegion(site, index, [], results);
  });
  return results;
}

function costOfBranches(node: Node): Cost {
  const branches = node.blocks.map(costOfRegion);
  return {
    flops: Math.max(...branches.map((cost) => cost.flops)),
    bytes: Math.max(...branches.map((cost) => cost.bytes)),
  };
}

registerCoreOperator({
  name: 'if',
  attributes: {},
  regions: 2,
  infer(site) {
    expectOperands(site, 1);
    if (!equalSpecs(site.operands[0], tensorSpec('bool', [])))
      site.fail('the predicate must be a bool scalar');
    return inferBranches(site);
  },
  vjp: branchVjp,
  cost: costOfBranches,
});

registerCoreOperator({
  name: 'case',
  attributes: {},
  regions: -1,
  infer(site) {
    expectOperands(site, 1);
    if (!equalSpecs(site.operands[0], tensorSpec('int32', [])))
      site.fail('the index must be an int32 scalar');
    if (site.regions.length === 0) site.fail('at least one branch is expected');
    return inferBranches(site);
  },
  vjp: branchVjp,
  cost: costOfBranches,
});

registerCoreOperator({
  name: 'while',
  attributes: {},
  regions: 2,
  infer(site) {
    expectRegion(site, 0, site.operands, [tensorSpec('bool', [])]);
    expectRegion(site, 1, site.operands, site.operands);
    return [...site.operands];
  },
  vjp: whileVjp,
  /** One iteration: how many there will be is not known here. */
  cost(node) {
    const [condition, body] = node.blocks.map(costOfRegion);
    return { flops: condition.flops + body.flops, bytes: condition.bytes + body.bytes };
  },
});

registerCoreOperator({
  name: 'optimization_barrier',
  attributes: {},
  infer: (site) => [...site.operands],
  vjp: barrierVjp,
  cost: costOfMove,
});

registerCoreOperator({
  name: 'composite',
  attributes: { name: 's', composite_attributes: 's' },
  regions: 1,
  infer(site) {
    if (site.node.get('s', 'name') === '') site.fail(`'name' is empty`);
    const region = site.regions[0];
    const results = region.outputs.map(
      (output, index) => asTensorSpec(output.type) ?? site.fail(`result ${index} has no known type`),
    );
    expectRegion(site, 0, site.operands, results);
    return results;
  },
  vjp: compositeVjp,
  /** The body's arithmetic; only operands and results travel, as a device that claims the whole would have it. */
  cost: (node) => ({ flops: costOfRegion(node.blocks[0]).flops, bytes: trafficOf(node) }),
});
