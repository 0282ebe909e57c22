// The gradient of running products: by division where no element is zero, each step in the operand's dtype; else exact.
import { expect, test } from '@jest/globals';
import type { DType } from '@weft/ir';
import type { Tensor } from '../index.ts';
import { cumprod, grad, tensor } from '../index.ts';

const leaf = (data: number[], dtype: DType): Tensor => {
  const x = tensor(data, { dtype });
  x.requiresGrad = true;
  return x;
};
const of = (x: Tensor, cotangent: number[]): unknown =>
  grad([cumprod(x, 0)], [x], [tensor(cotangent, { dtype: x.dtype })])[0]!.tolist();

test('bfloat16 rounds the products with the cotangent, their sums and the quotients', () => {
  const x = leaf([1.0703125, 0.984375, 0.63671875, 0.72265625], 'bfloat16');
  expect((of(x, [0, 0, 0, -0.69921875]) as number[])[3]).toBe(-0.466796875);
});

test('zeros', () => {
  expect(of(leaf([2, 3, 4], 'float64'), [1, 1, 1])).toEqual([16, 10, 6]);
  expect(of(leaf([2, 0, 4], 'float64'), [1, 1, 1])).toEqual([1, 10, 0]);
  expect(of(leaf([0, 0, 4], 'float64'), [1, 1, 1])).toEqual([1, 0, 0]);
});

test('the gradient has a gradient', () => {
  const second = (data: number[]): unknown => {
    const x = leaf(data, 'float64');
    const [first] = grad([cumprod(x, 0).sum()], [x], [null], { createGraph: true });
    return grad([first!.sum()], [x], [null])[0]!.tolist();
  };
  // y = a + ab + abc
  expect(second([2, 3, 4])).toEqual([8, 7, 5]);
});

test('integers keep the dtype asked for', () => {
  expect(cumprod(tensor([1, 2, 3], { dtype: 'int8' }), 0).dtype).toBe('int64');
  expect(cumprod(tensor([1, 2, 3]), 0, { dtype: 'int32' }).dtype).toBe('int32');
});
