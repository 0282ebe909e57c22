// Gradients where something is zero, tied or overwritten: values that PyTorch 1.13 gives.
import { expect, test } from '@jest/globals';
import * as w from '../index.ts';
import type { Tensor } from '../index.ts';
import { F, grad } from '../index.ts';

const of = (values: number[]): Tensor => w.tensor(values, { dtype: 'float64' }).requiresGrad_();
const gradients = (result: Tensor, ...inputs: Tensor[]): unknown[] =>
  grad(result.sum(), inputs).map((each) => each!.tolist());

test.each<[string, number[], (x: Tensor) => Tensor, unknown]>([
  ['max', [1, 3, 3], (x) => x.max(), [0, 0.5, 0.5]],
  ['median', [2, 2, 1, 3], (x) => x.median(), [0.5, 0.5, 0, 0]],
  ['max of NaN', [NaN, 1, NaN], (x) => x.max(), [0.5, 0, 0.5]],
  ['pow 0', [0, 2], (x) => x.pow(0), [0, 0]],
  ['fill_', [1, 2], (x) => x.clone().fill_(3), [0, 0]],
  ['zero_', [1, 2], (x) => x.clone().zero_(), [0, 0]],
  ['logit', [0, 1], (x) => x.logit(), [Infinity, Infinity]],
  ['floor division', [1, 2], (x) => x.div(0, { roundingMode: 'floor' }), [0, 0]],
  ['logcumsumexp', [-Infinity, 0], (x) => x.logcumsumexp(0), [NaN, 1]],
])('the gradient of %s', (_, values, run, expected) => {
  const x = of(values);
  expect(gradients(run(x), x)).toEqual([expected]);
});

test('the target of a divergence and of an entropy has the gradient of the logarithm', () => {
  const [x, y] = [of([0.5, 0.5]), of([0, 1])];
  expect(gradients(F.klDiv(x, y, 'sum'), y)).toEqual([[NaN, 0.5]]);
  const [p, t] = [of([0, 0.5]), of([1, 1])];
  expect(gradients(F.binaryCrossEntropy(p, t, null, 'sum'), p, t)).toEqual([
    [-1e12, -2],
    [Infinity, 0],
  ]);
});
