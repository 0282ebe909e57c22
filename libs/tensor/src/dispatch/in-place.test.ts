// Operators that change a tensor: computed over it where nothing else needs what was there, with the same results elsewhere.
import { describe, expect, test } from '@jest/globals';
import { cpuDevice } from '@weft/devices';
import type { Tensor } from '../index.ts';
import { cat, manualSeed, noGrad, randn, tensor, useHostDevice, zeros } from '../index.ts';

useHostDevice(cpuDevice());

type Change = readonly [
  name: string,
  inPlace: (x: Tensor, y: Tensor) => Tensor,
  apart: (x: Tensor, y: Tensor) => Tensor,
];

const changes: readonly Change[] = [
  ['another tensor', (x, y) => x.add_(y, { alpha: 2 }), (x, y) => x.add(y, { alpha: 2 })],
  ['itself', (x) => x.mul_(x), (x) => x.mul(x)],
  ['its transpose', (x) => x.add_(x.t()), (x) => x.add(x.t())],
  ['a row of it', (x) => x.sub_(x.select(0, 1)), (x) => x.sub(x.select(0, 1))],
  ['numbers', (x) => x.zero_(), (x) => x.mul(0).abs()],
  ['two others', (x, y) => x.addcmul_(y, y.t(), { value: 0.5 }), (x, y) => x.addcmul(y, y.t(), { value: 0.5 })],
]; // prettier-ignore

describe.each(changes)('changed by %s', (_, inPlace, apart) => {
  const values = (): [Tensor, Tensor] => {
    manualSeed(3);
    return [randn([6, 6]), randn([6, 6])];
  };
  const numbers = (x: Tensor): number[] => [...(x.contiguous().data as Float32Array)];

  test('a whole tensor, which stays where it is and counts one change', () => {
    const [x, y] = values();
    const expected = numbers(apart(x, y));
    const { storage } = x;
    const { version } = storage;
    expect(inPlace(x, y)).toBe(x);
    expect(numbers(x)).toEqual(expected);
    expect(x.storage).toBe(storage);
    expect(storage.version).toBe(version + 1);
  });
  test('views: transposed, a part', () => {
    for (const view of [(x: Tensor) => x.t(), (x: Tensor) => x.narrow(0, 1, 4).narrow(1, 2, 4)]) {
      const [x, y] = values();
      const before = numbers(x);
      const expected = numbers(apart(view(x), view(y)));
      inPlace(view(x), view(y));
      expect(numbers(view(x))).toEqual(expected);
      const changed = numbers(x).filter((value, index) => value !== before[index]).length;
      expect(changed).toBeLessThanOrEqual(expected.length);
    }
  });
  test('with a history', () => {
    const [x, y] = values();
    const grads = [inPlace, apart].map((change) => {
      const leaf = noGrad(() => x.clone()).requiresGrad_();
      const own = leaf.mul(1);
      change(own, y).mul(y).sum().backward();
      return numbers(leaf.grad!);
    });
    expect(grads[0]).toEqual(grads[1]);
  });
});

test('an operand that shares the memory of the target under another name', () => {
  const x = tensor([1, 2, 3, 4, 5]);
  const tail = x.narrow(0, 1, 4);
  x.narrow(0, 0, 4).add_(tail);
  expect(x.tolist()).toEqual([3, 5, 7, 9, 5]);
});

test('a tensor without elements that begins beyond its memory', () => {
  const nothing = zeros([2, 3, 0, 5]).select(0, 1);
  expect(cat([nothing, nothing], 1).sizes).toEqual([3, 0, 5]);
});
