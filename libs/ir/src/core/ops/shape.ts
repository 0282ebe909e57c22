// Operators that make constants and move elements without looking at them: shapes, slices, padding, concatenation.
import type { Node } from '../../graph/graph.ts';
import { dtypes } from '../../types/dtype.ts';
import { numel, tensorSpec } from '../../types/types.ts';
import type { ShardingRule } from '../operator.ts';
import { registerCoreOperator } from '../operator.ts';
import { specOf } from '../infer-types.ts';
import {
  costOfMove,
  costPerElement,
  dtypeAttribute,
  equalSizes,
  expectAtLeast,
  expectDimensions,
  expectLength,
  expectOperands,
  expectSameDType,
  expectScalar,
  isConstant,
  range,
  sizesText,
} from './inference.ts';
import { shapeVjps } from './shape-vjp.ts';

registerCoreOperator({
  name: 'constant',
  attributes: { value: 't' },
  infer(site) {
    expectOperands(site, 0);
    const { dtype, shape, bytes, splat } = site.node.get('t', 'value');
    const expected = (splat ? 1 : numel(shape)) * dtypes[dtype].bytes;
    if (bytes.length !== expected) {
      site.fail(
        `the literal ${dtype}${sizesText(shape)} has ${bytes.length} bytes where ${expected} are expected`,
      );
    }
    return [tensorSpec(dtype, shape)];
  },
  cost: costOfMove,
});

registerCoreOperator({
  name: 'iota',
  attributes: { dtype: 's', shape: 'is', iota_dimension: 'i' },
  infer(site) {
    expectOperands(site, 0);
    const shape = site.node.ints('shape');
    const dtype = dtypeAttribute(site, 'dtype');
    expectAtLeast(site, 'shape', shape, 0);
    expectDimensions(site, 'iota_dimension', [site.node.int('iota_dimension')], shape.length);
    if (dtypes[dtype].category === 'bool') site.fail('bool cannot count; make integers and compare them');
    return [tensorSpec(dtype, shape)];
  },
  cost: costPerElement(1),
});

registerCoreOperator({
  name: 'reshape',
  attributes: { shape: 'is' },
  infer(site) {
    expectOperands(site, 1);
    const shape = site.node.ints('shape');
    const [{ dtype, sizes }] = site.operands;
    expectAtLeast(site, 'shape', shape, 0);
    if (numel(shape) !== numel(sizes)) {
      site.fail(`shape ${sizesText(shape)} holds ${numel(shape)} elements, the operand ${numel(sizes)}`);
    }
    return [tensorSpec(dtype, shape)];
  },
  vjp: shapeVjps.reshape,
  cost: costOfMove,
  sharding: reshapeSharding,
});

/**
 * Dimensions are matched in runs that hold the same elements. Splitting the first dimension of a run splits the first
 * of the other side in the same places, as both are contiguous blocks; the others must stay whole.
 */
function reshapeSharding(node: Node): ShardingRule {
  const from = specOf(node.inputs[0]).sizes;
  const to = specOf(node.outputs[0]).sizes;
  const operand = from.map((): number | null => null);
  const result = to.map((): number | null => null);
  if (numel(from) > 0) {
    let [i, j, factor] = [0, 0, 0];
    while (i < from.length && j < to.length) {
      while (from[i] === 1) i++;
      while (to[j] === 1) j++;
      if (i >= from.length || j >= to.length) break;
      operand[i] = result[j] = factor++;
      let [a, b] = [from[i++], to[j++]];
      while (a !== b) {
        if (a < b) a *= from[i++];
        else b *= to[j++];
      }
    }
  }
  return { operands: [operand], results: [result], linear: [[0]] };
}

registerCoreOperator({
  name: 'broadcast_in_dim',
  attributes: { shape: 'is', broadcast_dimensions: 'is' },
  infer(site) {
    expectOperands(site, 1);
    const shape = site.node.ints('shape');
    const dimensions = site.node.ints('broadcast_dimensions');
    const [{ dtype, sizes }] = site.operands;
    expectAtLeast(site, 'shape', shape, 0);
    expectLength(site, 'broadcast_dimensions', dimensions, sizes.length);
    expectDimensions(site, 'broadcast_dimensions', dimensions, shape.length);
    dimensions.forEach((dimension, index) => {
      if (sizes[index] !== 1 && sizes[index] !== shape[dimension]) {
        site.fail(
          `dimension ${index} of size ${sizes[index]} does not broadcast to dimension ${dimension} of ${sizesText(shape)}`,
        );
      }
    });
    return [tensorSpec(dtype, shape)];
  },
  vjp: shapeVjps.broadcast_in_dim,
  cost: costOfMove,
  sharding(node) {
    const { sizes } = specOf(node.inputs[0]);
    const shape = node.ints('shape');
    const dimensions = node.ints('broadcast_dimensions');
    const operand = dimensions.map((dimension, index) =>
      sizes[index] === shape[dimension] ? dimension : null,
    );
    return { operands: [operand], results: [range(shape.length)], linear: [[0]] };
  },
});

registerCoreOperator({
  name: 'transpose',
  attributes: { permutation: 'is' },
  infer(site) {
    expectOperands(site, 1);
    const permutation = site.node.ints('permutation');
    const [{ dtype, sizes }] = site.operands;
    expectLength(site, 'permutation', permutation, sizes.length);
    expectDimensions(site, 'permutation', permutation, sizes.length);
    return [
      tensorSpec(
        dtype,
        permutation.map((dimension) => sizes[dimension]),
      ),
    ];
  },
  vjp: shapeVjps.transpose,
  cost: costOfMove,
  sharding(node) {
    const permutation = node.ints('permutation');
    return { operands: [range(permutation.length)], results: [permutation], linear: [[0]] };
  },
});

registerCoreOperator({
  name: 'reverse',
  attributes: { dimensions: 'is' },
  infer(site) {
    expectOperands(site, 1);
    expectDimensions(site, 'dimensions', site.node.ints('dimensions'), site.operands[0].sizes.length);
    return [site.operands[0]];
  },
  vjp: shapeVjps.reverse,
  cost: costOfMove,
  sharding(node) {
    const reversed = node.ints('dimensions');
    const labels = untouched(
      specOf(node.inputs[0]).sizes.length,
      (dimension) => !reversed.includes(dimension),
    );
    return { operands: [labels], results: [labels], linear: [[0]] };
  },
});

registerCoreOperator({
  name: 'slice',
  attributes: { start_indices: 'is', limit_indices: 'is', strides: 'is' },
  infer(site) {
    expectOperands(site, 1);
    const [{ dtype, sizes }] = site.operands;
    const start = site.node.ints('start_indices');
    const limit = site.node.ints('limit_indices');
    const strides = site.node.ints('strides');
    expectLength(site, 'start_indices', start, sizes.length);
    expectLength(site, 'limit_indices', limit, sizes.length);
    expectLength(site, 'strides', strides, sizes.length);
    expectAtLeast(site, 'strides', strides, 1);
    sizes.forEach((size, dimension) => {
      if (start[dimension] < 0 || start[dimension] > limit[dimension] || limit[dimension] > size) {
        site.fail(
          `slice ${start[dimension]}:${limit[dimension]} does not lie in dimension ${dimension} of size ${size}`,
        );
      }
    });
    return [
      tensorSpec(
        dtype,
        sizes.map((_, at) => Math.ceil((limit[at] - start[at]) / strides[at])),
      ),
    ];
  },
  vjp: shapeVjps.slice,
  cost: costOfMove,
  sharding(node) {
    const [from, to] = [specOf(node.inputs[0]).sizes, specOf(node.outputs[0]).sizes];
    const labels = untouched(from.length, (dimension) => from[dimension] === to[dimension]);
    return { operands: [labels], results: [labels], linear: [[0]] };
  },
});

registerCoreOperator({
  name: 'pad',
  attributes: { edge_padding_low: 'is', edge_padding_high: 'is', interior_padding: 'is' },
  infer(site) {
    expectOperands(site, 2);
    expectSameDType(site, 0, 1);
    expectScalar(site, 1);
    const [{ dtype, sizes }] = site.operands;
    const low = site.node.ints('edge_padding_low');
    const high = site.node.ints('edge_padding_high');
    const interior = site.node.ints('interior_padding');
    expectLength(site, 'edge_padding_low', low, sizes.length);
    expectLength(site, 'edge_padding_high', high, sizes.length);
    expectLength(site, 'interior_padding', interior, sizes.length);
    expectAtLeast(site, 'interior_padding', interior, 0);
    const shape = sizes.map((size, at) => low[at] + size + Math.max(size - 1, 0) * interior[at] + high[at]);
    const bad = shape.findIndex((size) => size < 0);
    if (bad >= 0)
      site.fail(`padding ${low[bad]}, ${high[bad]} leaves dimension ${bad} with size ${shape[bad]}`);
    return [tensorSpec(dtype, shape)];
  },
  vjp: shapeVjps.pad,
  cost: costOfMove,
  sharding(node) {
    const amounts = ['edge_padding_low', 'edge_padding_high', 'interior_padding'].map((name) =>
      node.ints(name),
    );
    const labels = untouched(specOf(node.inputs[0]).sizes.length, (dimension) =>
      amounts.every((amount) => amount[dimension] === 0),
    );
    const linear = isConstant(node.inputs[1], 0) ? [[0], [0, 1]] : [[0, 1]];
    return { operands: [labels, []], results: [labels], linear };
  },
});

registerCoreOperator({
  name: 'concatenate',
  attributes: { dimension: 'i' },
  infer(site) {
    if (site.operands.length === 0) site.fail('at least one operand is expected');
    const dimension = site.node.int('dimension');
    const [{ dtype, sizes }] = site.operands;
    expectDimensions(site, 'dimension', [dimension], sizes.length);
    let total = 0;
    site.operands.forEach((operand, index) => {
      expectSameDType(site, 0, index);
      const rest = (list: readonly number[]) => list.filter((_, at) => at !== dimension);
      if (operand.sizes.length !== sizes.length || !equalSizes(rest(operand.sizes), rest(sizes))) {
        site.fail(
          `operands 0 and ${index} must agree in all dimensions but ${dimension}: ${sizesText(sizes)}, ${sizesText(operand.sizes)}`,
        );
      }
      total += operand.sizes[dimension];
    });
    return [
      tensorSpec(
        dtype,
        sizes.map((size, at) => (at === dimension ? total : size)),
      ),
    ];
  },
  vjp: shapeVjps.concatenate,
  cost: costOfMove,
  sharding(node) {
    const dimension = node.int('dimension');
    const labels = untouched(specOf(node.outputs[0]).sizes.length, (at) => at !== dimension);
    return {
      operands: node.inputs.map(() => labels),
      results: [labels],
      linear: [range(node.inputs.length)],
    };
  },
});

/** Labels of a tensor whose dimensions go through unchanged where `isWhole` says so and may not be split elsewhere. */
function untouched(rank: number, isWhole: (dimension: number) => boolean): (number | null)[] {
  return range(rank).map((dimension) => (isWhole(dimension) ? dimension : null));
}
