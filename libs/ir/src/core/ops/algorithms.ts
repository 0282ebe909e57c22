// Operators that are algorithms of their own: sorting, Fourier transforms, factorisations.
import type { Node } from '../../graph/graph.ts';
import { isComplex, realDType } from '../../types/dtype.ts';
import type { TensorSpec } from '../../types/types.ts';
import { numel, tensorSpec } from '../../types/types.ts';
import type { InferenceSite, ShardingRule } from '../operator.ts';
import { registerCoreOperator } from '../operator.ts';
import { specOf } from '../infer-types.ts';
import {
  equalSizes,
  expectCategory,
  expectChoice,
  expectDimensions,
  expectOperands,
  expectRegion,
  expectSameDType,
  range,
  regionFlops,
  sizesText,
  trafficOf,
} from './inference.ts';
import { choleskyVjp, fftVjp, sortVjp, topKVjp, triangularSolveVjp } from './algorithms-vjp.ts';

/** Every operand and result keeps dimension i where `splits(i)`; the other dimensions stay whole. */
function batchSharding(node: Node, splits: (dimension: number) => boolean): ShardingRule {
  const labels = (sizes: readonly number[]) => range(sizes.length).map((at) => (splits(at) ? at : null));
  return {
    operands: node.inputs.map((value) => labels(specOf(value).sizes)),
    results: node.outputs.map((value) => labels(specOf(value).sizes)),
  };
}

registerCoreOperator({
  name: 'sort',
  attributes: { dimension: 'i', is_stable: 'b' },
  regions: 1,
  infer(site) {
    if (site.operands.length === 0) site.fail('at least one operand is expected');
    const { sizes } = site.operands[0];
    site.operands.forEach((operand, index) => {
      if (!equalSizes(operand.sizes, sizes)) site.fail(`operands 0 and ${index} differ in shape`);
    });
    expectDimensions(site, 'dimension', [site.node.int('dimension')], sizes.length);
    const scalars = site.operands.flatMap(({ dtype }) => [tensorSpec(dtype, []), tensorSpec(dtype, [])]);
    expectRegion(site, 0, scalars, [tensorSpec('bool', [])]);
    return [...site.operands];
  },
  vjp: sortVjp,
  cost(node) {
    const { sizes } = specOf(node.inputs[0]);
    const length = sizes[node.int('dimension')];
    const comparisons = numel(sizes) * Math.max(1, Math.log2(Math.max(length, 1)));
    return { flops: comparisons * Math.max(1, regionFlops(node.blocks[0])), bytes: trafficOf(node) };
  },
  sharding(node) {
    const dimension = node.int('dimension');
    return batchSharding(node, (at) => at !== dimension);
  },
});

registerCoreOperator({
  name: 'top_k',
  attributes: { k: 'i' },
  infer(site) {
    expectOperands(site, 1);
    const { dtype, sizes } = expectCategory(site, 0, ['int', 'uint', 'float']);
    const k = site.node.int('k');
    if (sizes.length === 0) site.fail('a tensor with at least one dimension is expected');
    if (k < 0 || k > sizes.at(-1)!) {
      site.fail(`k is ${k}; 0 to ${sizes.at(-1)}, the size of the last dimension, is expected`);
    }
    const result = [...sizes.slice(0, -1), k];
    return [tensorSpec(dtype, result), tensorSpec('int32', result)];
  },
  vjp: topKVjp,
  cost(node) {
    const elements = numel(specOf(node.inputs[0]).sizes);
    return { flops: elements * Math.max(1, Math.log2(node.int('k') + 1)), bytes: trafficOf(node) };
  },
  sharding(node) {
    const last = specOf(node.inputs[0]).sizes.length - 1;
    return batchSharding(node, (at) => at !== last);
  },
});

registerCoreOperator({
  name: 'fft',
  attributes: { fft_type: 's', fft_length: 'is' },
  infer(site) {
    expectOperands(site, 1);
    const [{ dtype, sizes }] = site.operands;
    const type = expectChoice(site, 'fft_type', ['FFT', 'IFFT', 'RFFT', 'IRFFT']);
    const length = site.node.ints('fft_length');
    const rank = length.length;
    if (rank < 1 || rank > 3 || rank > sizes.length) {
      site.fail(`'fft_length' has ${rank} entries; 1 to ${Math.min(3, sizes.length)} are expected`);
    }
    const half = Math.floor(length[rank - 1] / 2) + 1;
    const spectrum = [...length.slice(0, -1), half];
    const expected = type === 'IRFFT' ? spectrum : length;
    if (!equalSizes(sizes.slice(-rank), expected)) {
      site.fail(
        `${type} of length ${sizesText(length)} takes dimensions ${sizesText(expected)}, the operand ends in ${sizesText(sizes.slice(-rank))}`,
      );
    }
    const batch = sizes.slice(0, -rank);
    if (type === 'RFFT') {
      if (dtype !== 'float32' && dtype !== 'float64') site.fail('RFFT takes float32 or float64');
      return [tensorSpec(dtype === 'float64' ? 'complex128' : 'complex64', [...batch, ...spectrum])];
    }
    if (!isComplex(dtype)) site.fail(`${type} takes complex elements`);
    return [type === 'IRFFT' ? tensorSpec(realDType(dtype), [...batch, ...length]) : site.operands[0]];
  },
  vjp: fftVjp,
  cost(node) {
    const elements = numel(specOf(node.outputs[0]).sizes);
    const length = numel(node.ints('fft_length'));
    return { flops: 5 * elements * Math.max(1, Math.log2(Math.max(length, 1))), bytes: trafficOf(node) };
  },
  sharding(node) {
    const batch = specOf(node.inputs[0]).sizes.length - node.ints('fft_length').length;
    return { ...batchSharding(node, (at) => at < batch), linear: [[0]] };
  },
});

function expectSquare(site: InferenceSite, index: number): TensorSpec {
  const spec = expectCategory(site, index, ['float', 'complex']);
  const [rows, columns] = spec.sizes.slice(-2);
  if (spec.sizes.length < 2 || rows !== columns) {
    site.fail(`operand ${index} has shape ${sizesText(spec.sizes)}; square matrices are expected`);
  }
  return spec;
}

registerCoreOperator({
  name: 'cholesky',
  attributes: { lower: 'b' },
  infer(site) {
    expectOperands(site, 1);
    return [expectSquare(site, 0)];
  },
  vjp: choleskyVjp,
  cost(node) {
    const { sizes } = specOf(node.inputs[0]);
    return { flops: (numel(sizes) * sizes.at(-1)!) / 3, bytes: trafficOf(node) };
  },
  sharding(node) {
    const batch = specOf(node.inputs[0]).sizes.length - 2;
    return batchSharding(node, (at) => at < batch);
  },
});

registerCoreOperator({
  name: 'triangular_solve',
  attributes: { left_side: 'b', lower: 'b', unit_diagonal: 'b', transpose_a: 's' },
  infer(site) {
    expectOperands(site, 2);
    const a = expectSquare(site, 0);
    expectSameDType(site, 0, 1);
    const b = site.operands[1];
    expectChoice(site, 'transpose_a', ['NO_TRANSPOSE', 'TRANSPOSE', 'ADJOINT']);
    if (a.sizes.length !== b.sizes.length || !equalSizes(a.sizes.slice(0, -2), b.sizes.slice(0, -2))) {
      site.fail('the operands must agree in rank and in all dimensions but the last two');
    }
    const side = site.node.get('b', 'left_side') ? -2 : -1;
    if (b.sizes.at(side) !== a.sizes.at(-1)) {
      site.fail(
        `dimension ${side} of operand 1 has size ${b.sizes.at(side)} where ${a.sizes.at(-1)} is expected`,
      );
    }
    return [b];
  },
  vjp: triangularSolveVjp,
  cost(node) {
    const size = specOf(node.inputs[0]).sizes.at(-1)!;
    return { flops: size * numel(specOf(node.inputs[1]).sizes), bytes: trafficOf(node) };
  },
  sharding(node) {
    const [a, b] = node.inputs.map((input) => specOf(input).sizes.length);
    // The columns of b (its rows, when solving from the right) are solved for one by one.
    const free = node.get('b', 'left_side') ? b - 1 : b - 2;
    return {
      operands: [
        range(a).map((at) => (at < a - 2 ? at : null)),
        range(b).map((at) => (at < b - 2 || at === free ? at : null)),
      ],
      results: [range(b).map((at) => (at < b - 2 || at === free ? at : null))],
      linear: [[1]],
    };
  },
});
