// Copies within one memory, as PyTorch does them.
import { expect, test } from '@jest/globals';
import type { Tensor } from '../index.ts';
import { arange } from '../index.ts';

const grid = (rows: number, columns: number): Tensor => arange(rows * columns).view([rows, columns]);

test('elements are copied one after the other, in the order of the target', () => {
  const x = grid(3, 3);
  x.slice(0, 1)
    .slice(1, 1)
    .copy_(x.slice(0, 0, 2).slice(1, 0, 2));
  expect(x.tolist()).toEqual([
    [0, 1, 2],
    [3, 0, 1],
    [6, 3, 0],
  ]);
  const y = grid(3, 3);
  y.t()
    .slice(0, 0, 2)
    .slice(1, 1)
    .copy_(y.t().slice(0, 1).slice(1, 0, 2));
  expect(y.tolist()).toEqual([
    [0, 1, 2],
    [1, 2, 5],
    [2, 5, 8],
  ]);
});

test('a source is spread over the target that it is in', () => {
  const x = grid(3, 2);
  x.slice(1, 0, 1).copy_(x.select(0, 1).slice(0, 1));
  expect(x.tolist()).toEqual([
    [3, 1],
    [3, 3],
    [3, 5],
  ]);
});

test('dense tensors that overlap are refused; the same and separate ones are not', () => {
  const x = arange(6);
  expect(() => x.slice(0, 1).copy_(x.slice(0, 0, 5))).toThrow('refer to a single memory location');
  x.copy_(x.slice(0, 0, 6));
  x.slice(0, 0, 3).copy_(x.slice(0, 3));
  expect(x.tolist()).toEqual([3, 4, 5, 3, 4, 5]);
});

test('gradients are those of a copy', () => {
  const x = grid(3, 3).to('float32');
  x.requiresGrad = true;
  const y = x.clone();
  y.slice(0, 1)
    .slice(1, 1)
    .copy_(y.slice(0, 0, 2).slice(1, 0, 2));
  y.sum().backward();
  expect(x.grad!.tolist()).toEqual([
    [2, 2, 1],
    [2, 1, 0],
    [1, 0, 0],
  ]);
});
