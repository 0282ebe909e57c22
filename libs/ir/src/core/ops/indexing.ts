// Operators that read or write at positions which are data: gather, scatter, dynamic slices.
import type { Node, Value } from '../../graph/graph.ts';
import { numel, tensorSpec } from '../../types/types.ts';
import type { Cost, InferenceSite, ShardingRule } from '../operator.ts';
import { registerCoreOperator } from '../operator.ts';
import type { IndexingPlan } from './indexing-plan.ts';
import { gatherPlan, scatterPlan } from './indexing-plan.ts';
import { dynamicSliceVjp, dynamicUpdateSliceVjp, gatherVjp, scatterVjp } from './indexing-vjp.ts';
import { specOf } from '../infer-types.ts';
import type { Combiner } from './inference.ts';
import {
  bytesOf,
  combinerOf,
  costOfMove,
  equalSizes,
  expectAtLeast,
  expectCategory,
  expectDimensions,
  expectLength,
  expectOperands,
  expectRegion,
  expectSameDType,
  expectScalar,
  expectSorted,
  isConstant,
  range,
  regionFlops,
  sizesText,
  trafficOf,
} from './inference.ts';

function expectStartIndices(site: InferenceSite, first: number, rank: number): void {
  expectOperands(site, first + rank);
  for (let index = first; index < first + rank; index++) {
    expectCategory(site, index, ['int', 'uint']);
    expectScalar(site, index);
    expectSameDType(site, first, index);
  }
}

/** Only the slices are read, not all of the operand. */
const costOfSlices = (node: Node): Cost => {
  const [result, ...positions] = [node.outputs[0], ...node.inputs.slice(1)].map((value) =>
    bytesOf(specOf(value)),
  );
  return { flops: 0, bytes: 2 * result + positions.reduce((sum, bytes) => sum + bytes, 0) };
};

registerCoreOperator({
  name: 'dynamic_slice',
  attributes: { slice_sizes: 'is' },
  infer(site) {
    if (site.operands.length === 0) site.fail('an operand is expected');
    const [{ dtype, sizes }] = site.operands;
    const slice = site.node.ints('slice_sizes');
    expectStartIndices(site, 1, sizes.length);
    expectLength(site, 'slice_sizes', slice, sizes.length);
    expectAtLeast(site, 'slice_sizes', slice, 0);
    const bad = slice.findIndex((size, dimension) => size > sizes[dimension]);
    if (bad >= 0) site.fail(`slice size ${slice[bad]} exceeds dimension ${bad} of size ${sizes[bad]}`);
    return [tensorSpec(dtype, slice)];
  },
  vjp: dynamicSliceVjp,
  cost: costOfSlices,
  sharding(node) {
    const slice = node.ints('slice_sizes');
    const labels = specOf(node.inputs[0]).sizes.map((size, at) => (size === slice[at] ? at : null));
    return { operands: [labels, ...slice.map(() => [])], results: [labels], linear: [[0]] };
  },
});

registerCoreOperator({
  name: 'dynamic_update_slice',
  attributes: {},
  infer(site) {
    if (site.operands.length < 2) site.fail('an operand and an update are expected');
    const [operand, update] = site.operands;
    expectSameDType(site, 0, 1);
    if (update.sizes.length !== operand.sizes.length) {
      site.fail(`the update has rank ${update.sizes.length}, the operand ${operand.sizes.length}`);
    }
    expectStartIndices(site, 2, operand.sizes.length);
    const bad = update.sizes.findIndex((size, dimension) => size > operand.sizes[dimension]);
    if (bad >= 0) {
      site.fail(
        `the update's dimension ${bad} of size ${update.sizes[bad]} exceeds the operand's ${operand.sizes[bad]}`,
      );
    }
    return [operand];
  },
  vjp: dynamicUpdateSliceVjp,
  cost: costOfMove,
  sharding(node) {
    const update = specOf(node.inputs[1]).sizes;
    const labels = specOf(node.inputs[0]).sizes.map((size, at) => (size === update[at] ? at : null));
    return { operands: [labels, labels, ...update.map(() => [])], results: [labels], linear: [[0, 1]] };
  },
});

// ---- gather -------------------------------------------------------------------------------------------------------

/** Checks common to gather and scatter; returns the dimensions of the operand that slices lack. */
function expectIndexing(
  site: InferenceSite,
  names: { removed: string; operandBatching: string; indicesBatching: string; map: string },
): readonly number[] {
  const [operand, indices] = site.operands;
  const rank = operand.sizes.length;
  const removed = site.node.ints(names.removed);
  const operandBatching = site.node.ints(names.operandBatching);
  const indicesBatching = site.node.ints(names.indicesBatching);
  const map = site.node.ints(names.map);
  const vector = site.node.int('index_vector_dim');
  expectCategory(site, 1, ['int', 'uint']);
  if (vector < 0 || vector > indices.sizes.length) {
    site.fail(`'index_vector_dim' is ${vector}; 0 to ${indices.sizes.length} is expected`);
  }
  const width = vector < indices.sizes.length ? indices.sizes[vector] : 1;
  expectLength(site, names.map, map, width);
  expectDimensions(site, `${names.map} and ${names.operandBatching}`, [...map, ...operandBatching], rank);
  expectDimensions(
    site,
    `${names.removed} and ${names.operandBatching}`,
    [...removed, ...operandBatching],
    rank,
  );
  expectSorted(site, names.removed, removed);
  expectSorted(site, names.operandBatching, operandBatching);
  expectDimensions(site, names.indicesBatching, indicesBatching, indices.sizes.length);
  expectLength(site, names.indicesBatching, indicesBatching, operandBatching.length);
  indicesBatching.forEach((dimension, index) => {
    if (dimension === vector)
      site.fail(`'${names.indicesBatching}' names the index vector dimension ${vector}`);
    if (indices.sizes[dimension] !== operand.sizes[operandBatching[index]]) {
      site.fail(
        `batching dimension ${dimension} of the indices has size ${indices.sizes[dimension]}, dimension ${operandBatching[index]} of the operand ${operand.sizes[operandBatching[index]]}`,
      );
    }
  });
  return [...removed, ...operandBatching];
}

registerCoreOperator({
  name: 'gather',
  attributes: {
    offset_dims: 'is',
    collapsed_slice_dims: 'is',
    operand_batching_dims: 'is',
    start_indices_batching_dims: 'is',
    start_index_map: 'is',
    index_vector_dim: 'i',
    slice_sizes: 'is',
    indices_are_sorted: 'b',
  },
  infer(site) {
    expectOperands(site, 2);
    const [operand, indices] = site.operands;
    const removed = expectIndexing(site, {
      removed: 'collapsed_slice_dims',
      operandBatching: 'operand_batching_dims',
      indicesBatching: 'start_indices_batching_dims',
      map: 'start_index_map',
    });
    const slice = site.node.ints('slice_sizes');
    expectLength(site, 'slice_sizes', slice, operand.sizes.length);
    const vector = site.node.int('index_vector_dim');
    const batch = indices.sizes.filter((_, dimension) => dimension !== vector);
    slice.forEach((size, dimension) => {
      // Where nothing is asked for, nothing has to be there.
      const least = batch.includes(0) ? 1 : 0;
      const most = removed.includes(dimension)
        ? Math.max(least, Math.min(1, operand.sizes[dimension]))
        : operand.sizes[dimension];
      if (size < 0 || size > most) {
        site.fail(`slice size ${size} of dimension ${dimension} is not in 0 … ${most}`);
      }
    });
    const offset = site.node.ints('offset_dims');
    const rank = batch.length + offset.length;
    expectLength(site, 'offset_dims', offset, operand.sizes.length - removed.length);
    expectDimensions(site, 'offset_dims', offset, rank);
    expectSorted(site, 'offset_dims', offset);
    const window = slice.filter((_, dimension) => !removed.includes(dimension));
    const sizes = range(rank).map((dimension) =>
      offset.includes(dimension) ? window[offset.indexOf(dimension)] : batch.shift()!,
    );
    return [tensorSpec(operand.dtype, sizes)];
  },
  vjp: gatherVjp,
  cost: costOfSlices,
  sharding: (node) => {
    const plan = gatherPlan(node, specOf(node.outputs[0]).sizes.length);
    const slice = node.ints('slice_sizes');
    const rule = indexingSharding(node, plan, (dimension) => slice[dimension], node.ints('start_index_map'), {
      operand: node.ints('operand_batching_dims'),
      indices: node.ints('start_indices_batching_dims'),
    });
    return { operands: [rule.operand, rule.indices], results: [rule.slices], linear: [[0]] };
  },
});

/** Labels of operand, indices and slices (gather's result, scatter's updates). */
function indexingSharding(
  node: Node,
  plan: IndexingPlan,
  sliceSize: (dimension: number) => number,
  indexed: readonly number[],
  batching: { readonly operand: readonly number[]; readonly indices: readonly number[] },
): { operand: (number | null)[]; indices: (number | null)[]; slices: (number | null)[] } {
  const sizes = specOf(node.inputs[0]).sizes;
  const operand = sizes.map((): number | null => null);
  const indices = specOf(node.inputs[1]).sizes.map((): number | null => null);
  const slices: (number | null)[] = range(plan.windowDims.length + plan.batchDims.length).map(() => null);
  let factor = 0;
  plan.windowDims.forEach((dimension, at) => {
    const over = plan.operandWindowDims[at];
    // A dimension that indices move along cannot be split unless the slice is the whole of it, where they have no effect.
    if (sliceSize(over) === sizes[over] && !indexed.includes(over))
      operand[over] = slices[dimension] = factor++;
  });
  plan.batchDims.forEach((dimension, at) => {
    const over = plan.indicesBatchDims[at];
    indices[over] = slices[dimension] = factor;
    const batch = batching.indices.indexOf(over);
    if (batch >= 0) operand[batching.operand[batch]] = factor;
    factor++;
  });
  return { operand, indices, slices };
}

// ---- scatter ------------------------------------------------------------------------------------------------------

registerCoreOperator({
  name: 'scatter',
  attributes: {
    update_window_dims: 'is',
    inserted_window_dims: 'is',
    input_batching_dims: 'is',
    scatter_indices_batching_dims: 'is',
    scatter_dims_to_operand_dims: 'is',
    index_vector_dim: 'i',
    indices_are_sorted: 'b',
    unique_indices: 'b',
  },
  regions: 1,
  infer(site) {
    expectOperands(site, 3);
    expectSameDType(site, 0, 2);
    const [operand, indices, updates] = site.operands;
    const removed = expectIndexing(site, {
      removed: 'inserted_window_dims',
      operandBatching: 'input_batching_dims',
      indicesBatching: 'scatter_indices_batching_dims',
      map: 'scatter_dims_to_operand_dims',
    });
    const window = site.node.ints('update_window_dims');
    expectLength(site, 'update_window_dims', window, operand.sizes.length - removed.length);
    expectDimensions(site, 'update_window_dims', window, updates.sizes.length);
    expectSorted(site, 'update_window_dims', window);
    const vector = site.node.int('index_vector_dim');
    const batch = indices.sizes.filter((_, dimension) => dimension !== vector);
    const given = updates.sizes.filter((_, dimension) => !window.includes(dimension));
    if (!equalSizes(batch, given)) {
      site.fail(`the updates go over ${sizesText(given)} where the indices give ${sizesText(batch)}`);
    }
    const bounds = operand.sizes.filter((_, dimension) => !removed.includes(dimension));
    window.forEach((dimension, at) => {
      if (updates.sizes[dimension] > bounds[at]) {
        site.fail(
          `window dimension ${dimension} of the updates has size ${updates.sizes[dimension]}, more than the operand's ${bounds[at]}`,
        );
      }
    });
    const scalar = tensorSpec(operand.dtype, []);
    expectRegion(site, 0, [scalar, scalar], [scalar]);
    return [operand];
  },
  vjp: scatterVjp,
  cost(node) {
    const flops = numel(specOf(node.inputs[2]).sizes) * regionFlops(node.blocks[0]);
    return { flops, bytes: trafficOf(node) };
  },
  sharding(node): ShardingRule {
    const plan = scatterPlan(node);
    const updates = specOf(node.inputs[2]).sizes;
    const sliceSize = (dimension: number) =>
      updates[plan.windowDims[plan.operandWindowDims.indexOf(dimension)]];
    const batching = {
      operand: node.ints('input_batching_dims'),
      indices: node.ints('scatter_indices_batching_dims'),
    };
    const rule = indexingSharding(node, plan, sliceSize, node.ints('scatter_dims_to_operand_dims'), batching);
    // Splitting updates that meet in one element leaves partial results, if the operand itself adds nothing to each.
    const combiner = combinerOf(node.blocks[0]);
    const reduction = combiner === undefined ? undefined : partialScatter(combiner, node.inputs[0]);
    const split = (label: number | null) =>
      label !== null && (reduction !== undefined || rule.operand.includes(label)) ? label : null;
    return {
      operands: [rule.operand, rule.indices.map(split), rule.slices.map(split)],
      results: [rule.operand],
      reduction,
      linear: combiner === 'add' ? [[0, 2]] : undefined,
    };
  },
});

function partialScatter(combiner: Combiner, operand: Value): ShardingRule['reduction'] {
  if (combiner === 'add' && isConstant(operand, 0)) return 'sum';
  if (combiner === 'multiply' && isConstant(operand, 1)) return 'prod';
  if (combiner === 'maximum') return 'max';
  if (combiner === 'minimum') return 'min';
  return undefined;
}
