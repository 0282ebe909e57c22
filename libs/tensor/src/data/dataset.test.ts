// Loaders: batches, what is left over, order, collation. PyTorch's shuffled order is checked in pytorch.test.ts.
import { expect, test } from '@jest/globals';
import * as w from '../index.ts';
import { Generator, data } from '../index.ts';
import type { Tensor } from '../index.ts';

const numbers = { length: 5, get: (index: number) => index };

test('examples come in order, in batches, the rest last or not at all', () => {
  const all = new data.DataLoader<number, Tensor>(numbers, { batchSize: 2 });
  expect([...all].map((batch) => batch.tolist())).toEqual([[0, 1], [2, 3], [4]]);
  const whole = new data.DataLoader<number, Tensor>(numbers, { batchSize: 2, dropLast: true });
  expect([all.length, whole.length, [...whole].length]).toEqual([3, 2, 2]);
});

test('a generator fixes the order; every epoch has every example', () => {
  const order = (seed: number): number[][] => {
    const loader = new data.DataLoader<number, Tensor>(numbers, {
      shuffle: true,
      batchSize: 5,
      generator: new Generator(seed),
    });
    return [0, 1].flatMap(() => [...loader].map((batch) => batch.tolist() as number[]));
  };
  expect(order(1)).toEqual(order(1));
  expect(order(1).map((epoch) => epoch.toSorted())).toEqual([
    [0, 1, 2, 3, 4],
    [0, 1, 2, 3, 4],
  ]);
});

test('tensors stack, lists and objects collate by their parts', () => {
  const set = new data.TensorDataset(w.arange(6).view(3, 2), w.tensor([1.5, 2.5, 3.5]));
  const [[x, y]] = [...new data.DataLoader<Tensor[]>(set, { batchSize: 3 })];
  expect([x.tolist(), y.tolist()]).toEqual([
    [
      [0, 1],
      [2, 3],
      [4, 5],
    ],
    [1.5, 2.5, 3.5],
  ]);
  expect(
    data.collateExamples([
      { a: 'x', b: w.ones(1) },
      { a: 'y', b: w.ones(1) },
    ]),
  ).toMatchObject({ a: ['x', 'y'] });
});

test('mistakes are named', () => {
  expect(() => new data.TensorDataset(w.ones(2), w.ones(3))).toThrow('Size mismatch between tensors');
  expect(() => new data.DataLoader(numbers, { batchSize: 0 })).toThrow(
    'batchSize should be a positive integer',
  );
});
