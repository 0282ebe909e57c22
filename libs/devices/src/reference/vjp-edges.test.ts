// Derivatives where the function has a kink, a tie, a pole or a NaN: the values are PyTorch's (1.13, CPU, float64).
import { expect, test } from '@jest/globals';
import type { CoreBuilder, Value } from '@weft/ir';
import { CoreBuilder as Builder, TensorLiteral, differentiate, specOf, tensorSpec } from '@weft/ir';
import { executeOnHost } from '../host.ts';

const literal = (sizes: readonly number[], values: readonly number[]) =>
  new TensorLiteral('float64', sizes, new Uint8Array(Float64Array.from(values).buffer));

/** Gradients of the sum of f. */
function gradients(
  f: (b: CoreBuilder, ...x: Value[]) => Value,
  sizes: readonly number[],
  operands: readonly (readonly number[])[],
): number[][] {
  const b = new Builder();
  const y = f(b, ...operands.map(() => b.input(tensorSpec('float64', sizes))));
  const all = specOf(y).sizes.map((_, at) => at);
  b.graph.addOutput(b.reduceSum(y, all));
  const { forward, backward, saved } = differentiate(b.graph, { wrt: operands.map((_, at) => at) });
  const inputs = operands.map((values) => literal(sizes, values));
  const outputs = executeOnHost(forward, inputs);
  const kept = saved.map(({ kind, index }) => (kind === 'input' ? inputs[index] : outputs[index]));
  const found = executeOnHost(backward, [...kept, literal([], [1])]);
  return found.map(({ bytes }) => Array.from(new Float64Array(bytes.slice().buffer), (value) => value + 0));
}

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const third = 1 / 3;
const unit = (b: CoreBuilder, sign: number) => b.full(sign, 'float64');

test.each<[string, (b: CoreBuilder, ...x: Value[]) => Value, number[], number[][], number[][]]>([
  [
    'power',
    (b, x, y) => b.power(x, y),
    [7],
    [
      [0, 0, 0, -2, 2, 0, nan],
      [0, 1, 2, 3, nan, -1, 0],
    ],
    [
      [0, 1, 0, 12, nan, -inf, 0],
      [0, 0, 0, nan, nan, -inf, nan],
    ],
  ],
  [
    'maximum',
    (b, x, y) => b.maximum(x, y),
    [4],
    [
      [1, 2, nan, 1],
      [1, 1, 1, nan],
    ],
    [
      [0.5, 1, 1, 1],
      [0.5, 0, 1, 1],
    ],
  ],
  [
    'minimum',
    (b, x, y) => b.minimum(x, y),
    [4],
    [
      [1, 2, nan, 1],
      [1, 1, 1, nan],
    ],
    [
      [0.5, 0, 1, 1],
      [0.5, 1, 1, 1],
    ],
  ],
  [
    'amax',
    (b, x) => b.reduceMax(x, [1]),
    [3, 3],
    [[1, 3, 3, 2, nan, 1, -inf, -inf, -inf]],
    [[0, 0.5, 0.5, nan, nan, nan, third, third, third]],
  ],
  ['prod', (b, x) => b.reduceProd(x, [1]), [2, 3], [[0, 2, 3, 0, 0, 1]], [[6, 0, 0, 0, 0, 0]]],
  ['abs', (b, x) => b.abs(x), [3], [[0, nan, -3]], [[0, 0, -1]]],
  ['sqrt', (b, x) => b.sqrt(x), [2], [[0, 4]], [[inf, 0.25]]],
  ['clamp', (b, x) => b.clamp(unit(b, -1), x, unit(b, 1)), [4], [[-1, 1, -2, nan]], [[1, 1, 0, 0]]],
  [
    'atan2',
    (b, y, x) => b.atan2(y, x),
    [3],
    [
      [0, 1, 0],
      [0, 0, -1],
    ],
    [
      [nan, 0, -1],
      [nan, -1, 0],
    ],
  ],
  [
    'max_pool1d',
    (b, x) =>
      b.reduceWindow([x], [unit(b, -inf)], { windowDimensions: [3], windowStrides: [2] }, (b, p, q) => [
        b.maximum(p, q),
      ])[0],
    [9],
    [[1, 1, 1, nan, 0, nan, 2, 5, 5]],
    [[1, 0, 0, 1, 0, 1, 0, 1, 0]],
  ],
  [
    'fmod',
    (b, x, y) => b.remainder(x, y),
    [2],
    [
      [5, -5],
      [3, 3],
    ],
    [
      [1, 1],
      [-1, 1],
    ],
  ],
  ['lgamma', (b, x) => b.lgamma(x), [3], [[-0.5, 0, 1]], [[0.03648997397857639, -inf, -0.5772156649015328]]],
  ['digamma', (b, x) => b.digamma(x), [3], [[-0.5, 0, 1]], [[8.934802200117687, inf, 1.6449340676383375]]],
  ['erfinv', (b, x) => b.erfInv(x), [2], [[1, 0]], [[inf, 0.8862269254527579]]],
  ['rsqrt', (b, x) => b.rsqrt(x), [2], [[0, 4]], [[-inf, -0.0625]]],
])('%s', (_name, f, sizes, operands, expected) => {
  gradients(f, sizes, operands).forEach((found, index) => {
    found.forEach((value, at) => {
      const wanted = expected[index][at];
      if (Number.isFinite(wanted)) expect(value).toBeCloseTo(wanted, 12);
      else expect(value).toBe(wanted);
    });
  });
});
