// Gradients added to where leaves keep them: as many times as there are backward passes, and only where nothing else has a say.
import { describe, expect, test } from '@jest/globals';
import { cpuDevice } from '@weft/devices';
import type { Tensor } from '../index.ts';
import { grad, manualSeed, noGrad, randn, useHostDevice } from '../index.ts';

useHostDevice(cpuDevice());

const numbers = (x: Tensor | null): number[] =>
  x === null ? [] : [...(x.contiguous().data as Float32Array)];
const operands = (): [Tensor, Tensor] => {
  manualSeed(5);
  return [randn([4, 3]), noGrad(() => randn([3, 5])).requiresGrad_()];
};
const loss = (x: Tensor, w: Tensor): Tensor => x.matmul(w).tanh().sum();
/** Without leaves: `grad` gives what `backward` would add. */
const expected = (x: Tensor, w: Tensor, times: number): number[] =>
  numbers(grad(loss(x, w), [w])[0]!.mul(times));

describe('the gradient of a leaf', () => {
  test('is new at first, then added to where it is', () => {
    const [x, w] = operands();
    loss(x, w).backward();
    expect(numbers(w.grad)).toEqual(expected(x, w, 1));
    const kept = w.grad!;
    const { version } = kept.storage;
    loss(x, w).backward();
    expect(w.grad).toBe(kept);
    expect(kept.storage.version).toBeGreaterThan(version);
    expect(numbers(kept)).toEqual(expected(x, w, 2));
  });
  test('is its own: changing it changes no other', () => {
    const [x, w] = operands();
    const v = w.detach().clone().requiresGrad_();
    w.add(v).sum().backward();
    w.grad!.zero_();
    expect(numbers(v.grad)).toEqual(numbers(v.mul(0).add(1)));
    expect(numbers(x)).toHaveLength(12);
  });
  test('from several uses is added up', () => {
    const [x, w] = operands();
    for (let pass = 1; pass <= 2; pass++) {
      loss(x, w).add(w.mul(w).sum()).backward();
      const both = grad(loss(x, w).add(w.mul(w).sum()), [w])[0]!.mul(pass);
      numbers(w.grad).forEach((value, index) => expect(value).toBeCloseTo(numbers(both)[index], 5));
    }
  });
  test('goes through its hooks', () => {
    const [x, w] = operands();
    const sixfold = expected(x, w, 6);
    w.registerHook((gradient) => gradient.mul(3));
    loss(x, w).backward();
    loss(x, w).backward();
    numbers(w.grad).forEach((value, index) => expect(value).toBeCloseTo(sixfold[index], 5));
  });
  test('may lie otherwise, be a part of something, or be an operand of the pass', () => {
    const [x, w] = operands();
    const first = expected(x, w, 1);
    w.grad = noGrad(() => randn([5, 3]).zero_().t());
    loss(x, w).backward();
    expect(numbers(w.grad)).toEqual(first);
    const row = noGrad(() => randn([2, 3, 5]).zero_());
    w.grad = row.select(0, 1);
    loss(x, w).backward();
    expect(numbers(row.select(0, 1))).toEqual(first);
    expect(numbers(row.select(0, 0)).every((value) => value === 0)).toBe(true);
    const own = noGrad(() => randn([3, 5]).zero_().add(1));
    w.grad = own;
    w.mul(own).sum().backward();
    expect(numbers(w.grad)).toEqual(numbers(w.mul(0).add(2)));
  });
  test('of a strided leaf lies as the leaf does', () => {
    const [x] = operands();
    const w = noGrad(() => randn([5, 3]).t()).requiresGrad_();
    loss(x, w).backward();
    expect(w.grad!.strides).toEqual(w.strides);
    expect(numbers(w.grad)).toEqual(expected(x, w, 1));
  });
});
