// What devices keep of a tensor's contents has to be given up with every way to change them.
import { expect, test } from '@jest/globals';
import * as w from './index.ts';
import type { Tensor } from './index.ts';

const values = (count: number) => Array.from({ length: count }, (_, index) => Math.sin(3 * index));
const image = w.tensor(values(2 * 16 * 24 * 24)).view([2, 16, 24, 24]);
const kernel = () =>
  w
    .tensor(values(16 * 16 * 9))
    .view([16, 16, 3, 3])
    .requiresGrad_();
const convolve = (weights: Tensor) => w.conv2d(image, weights);
const sum = (result: Tensor) => result.abs().sum().item() as number;

const changes: [string, (weights: Tensor) => void][] = [
  ['an operator in place', (weights) => w.noGrad(() => weights.mul_(2))],
  ['through a view', (weights) => w.noGrad(() => weights.select(0, 1).zero_())],
  ['a copy', (weights) => w.noGrad(() => weights.copy_(w.ones([16, 16, 3, 3])))],
  ['its memory', (weights) => { weights.data[5] = 100; }],
  ['an optimizer', (weights) => {
    convolve(weights).sum().backward();
    new w.optim.SGD([weights], { lr: 0.1 }).step();
  }],
]; // prettier-ignore

test.each(changes)('a kernel that is changed by %s is not the one that was packed', (_name, change) => {
  const weights = kernel();
  const data = _name === 'its memory' ? weights.data : undefined;
  for (let run = 0; run < 4; run++) sum(convolve(weights));
  const before = sum(convolve(weights));
  if (data === undefined) change(weights);
  else data[5] = 100;
  const after = sum(convolve(weights));
  // Fresh memory, of which nothing can be kept.
  const fresh = sum(convolve(weights.detach().clone()));
  expect(Math.abs(after - fresh)).toBeLessThan(1e-4 * fresh);
  expect(Math.abs(after - before)).toBeGreaterThan(1e-3 * before);
});

test('to look at a tensor through strides is not to show its memory', () => {
  const { storage } = w.ones([3, 4]);
  const tensor = w.ones([3, 4]).t();
  tensor.view([2, 2, 3]).select(0, 1).add(1);
  tensor.unsqueeze_(0);
  expect(tensor.storage.contents).toBeDefined();
  expect(storage.contents).toBe(0);
});

test('memory that no operator writes holds zeros', () => {
  const count = 1 << 16;
  for (let round = 0; round < 10; round++) w.full([2 * count], 7).add(round);
  const grown = w.ones([4]).add(0);
  grown.resize_([count]);
  expect(Array.from(grown.data.slice(4) as Float32Array).every((each) => each === 0)).toBe(true);
  const gaps = w.emptyStrided([count, 1], [2, 1]);
  expect(
    Array.from(gaps.asStrided([2 * count - 1], [1]).data as Float32Array).every((each) => each === 0),
  ).toBe(true);
});
