// Samples by rejection in compiled graphs: their means and variances, and the derivatives of gamma and Dirichlet samples. That
// eager samples are PyTorch's is among the recorded operator cases.
import { describe, expect, test } from '@jest/globals';
import type { Graph, RandomRequest, TensorLiteral, Value } from '@weft/ir';
import { CoreBuilder, tensorSpec, vjpOfGraph } from '@weft/ir';
import { executeOnHost } from '@weft/devices';
import { literalOf, numbersOf, operatorMeaning } from '@weft/ops';
import { Generator, sum, tensor } from '../index.ts';
import { callOperator } from '../dispatch/call.ts';
import type { Tensor } from '../tensor.ts';
import { fillRequest } from './requests.ts';

const COUNT = 4000;

/** The operator's lowering on COUNT equal parameters, with what it drew. */
function drawn(name: string, parameters: readonly number[]): { graph: Graph; literals: TensorLiteral[] } {
  const requests: RandomRequest[] = [];
  const b: CoreBuilder = new CoreBuilder(undefined, {
    draw(builder, request): Value {
      requests.push(request);
      return builder.input(tensorSpec(request.dtype, request.sizes));
    },
  });
  const meaning = operatorMeaning(name);
  if (meaning?.kind !== 'lowering') throw new Error(`${name} has no lowering`);
  const inputs = parameters.map(() => b.input(tensorSpec('float64', [COUNT])));
  b.graph.addOutput(meaning.lower(b, ...inputs, null) as Value);
  const generator = new Generator(7);
  const literals: TensorLiteral[] = parameters.map((value) =>
    literalOf('float64', [COUNT], new Array<number>(COUNT).fill(value)),
  );
  for (const request of requests) literals.push(fillRequest(generator, request, null));
  return { graph: b.graph, literals };
}

function sample(name: string, parameters: readonly number[]): Float64Array {
  const { graph, literals } = drawn(name, parameters);
  return numbersOf(executeOnHost(graph, literals)[0]);
}

/** The gradient of the sum of the samples by the first parameter of each. */
function slopesOf(name: string, parameters: readonly number[]): Float64Array {
  const { graph, literals } = drawn(name, parameters);
  const joint = new CoreBuilder();
  const operands = literals.map(({ dtype, shape }) => joint.input(tensorSpec(dtype, shape)));
  const { cotangents } = vjpOfGraph(joint, graph, operands, [joint.full(1, 'float64', [COUNT])]);
  joint.graph.addOutput(cotangents[0] ?? joint.full(0, 'float64', [COUNT]));
  return numbersOf(executeOnHost(joint.graph, literals)[0]);
}

const mean = (values: Float64Array): number =>
  values.reduce((total, each) => total + each, 0) / values.length;
const variance = (values: Float64Array): number => {
  const middle = mean(values);
  return mean(values.map((each) => (each - middle) ** 2));
};

describe('samples in graphs have the mean and variance of their distribution', () => {
  test.each<[string, number[], number, number]>([
    ['aten::poisson', [0], 0, 0],
    ['aten::poisson', [0.4], 0.4, 0.4],
    ['aten::poisson', [9.5], 9.5, 9.5],
    ['aten::poisson', [40], 40, 40],
    ['aten::binomial', [12, 0.3], 3.6, 2.52],
    ['aten::binomial', [12, 0.9], 10.8, 1.08],
    ['aten::binomial', [200, 0.3], 60, 42],
    ['aten::binomial', [200, 0.8], 160, 32],
    ['aten::binomial', [5, 0], 0, 0],
    ['aten::binomial', [5, 1], 5, 0],
    ['aten::_standard_gamma', [0.3], 0.3, 0.3],
    ['aten::_standard_gamma', [1], 1, 1],
    ['aten::_standard_gamma', [7.5], 7.5, 7.5],
  ])('%s%j', (name, parameters, expectedMean, expectedVariance) => {
    const values = sample(name, parameters);
    const error = Math.sqrt(expectedVariance / COUNT);
    expect(Math.abs(mean(values) - expectedMean)).toBeLessThanOrEqual(5 * error);
    expect(Math.abs(variance(values) - expectedVariance)).toBeLessThanOrEqual(0.12 * expectedVariance);
  });
});

describe('derivatives', () => {
  test('a gamma sample moves with its shape, by one on average', () => {
    expect(mean(slopesOf('aten::_standard_gamma', [2.5]))).toBeCloseTo(1, 1);
  });
  test('a Poisson sample does not move', () => {
    expect(mean(slopesOf('aten::poisson', [2.5]))).toBe(0);
  });
  test('nobody has written that of binomial samples', () => {
    expect(() => slopesOf('aten::binomial', [12, 0.3])).toThrow(
      'derivative for aten::binomial is not implemented',
    );
  });
  test('eager samples have them too', () => {
    const shape = tensor([0.5, 3, 20]);
    shape.requiresGrad = true;
    const drawn = callOperator('aten::_standard_gamma', [shape, null]) as unknown as Tensor;
    sum(drawn).backward();
    const expected = callOperator('aten::_standard_gamma_grad', [
      shape.detach(),
      drawn.detach(),
    ]) as unknown as Tensor;
    expect(shape.grad!.tolist()).toEqual(expected.tolist());
  });
  test('components of a Dirichlet sample add up to one, and their movements to zero', () => {
    const shape = tensor([0.5, 3, 2]);
    shape.requiresGrad = true;
    const drawn = callOperator('aten::_sample_dirichlet', [shape, null]) as unknown as Tensor;
    expect(sum(drawn).item()).toBeCloseTo(1, 6);
    sum(drawn).backward();
    for (const slope of shape.grad!.tolist() as number[]) expect(slope).toBeCloseTo(0, 5);
  });
});
