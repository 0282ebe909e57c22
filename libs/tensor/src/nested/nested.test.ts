// Nested tensors: gradients, text, and what they refuse. Their operators' results are among the recorded cases.
import { describe, expect, test } from '@jest/globals';
import type { IValue } from '@weft/ir';
import type { Tensor } from '../index.ts';
import { NestedTensor, callOperator, tensor } from '../index.ts';

const call = (name: string, ...args: unknown[]): Tensor =>
  callOperator(name, args as IValue[]) as unknown as Tensor;

const rows = [
  [1, 2, 3, 4, 5, 6],
  [7, 8, 9, 10, 11, 12],
];
/** [2, 3, 2] */
const batch = (): Tensor =>
  tensor(
    rows.map((row) => [row.slice(0, 2), row.slice(2, 4), row.slice(4)]),
    { dtype: 'float32' },
  );
const mask = (): Tensor =>
  tensor([
    [true, true, false],
    [true, false, false],
  ]);

describe('a nested tensor', () => {
  test('passes gradients from its padded form to the batch it came from', () => {
    const x = batch();
    x.requiresGrad = true;
    const nested = call('aten::_nested_tensor_from_mask', x, mask());
    expect(nested.requiresGrad).toBe(true);
    const padded = call('aten::to_padded_tensor', call('aten::mul.Scalar', nested, 3), 0);
    call('aten::sum', padded).backward();
    expect(x.grad!.tolist()).toEqual([
      [
        [3, 3],
        [3, 3],
        [0, 0],
      ],
      [
        [3, 3],
        [0, 0],
        [0, 0],
      ],
    ]);
  });

  test('prints its parts', () => {
    const nested = new NestedTensor([
      tensor([
        [1, 2],
        [3, 4],
      ]),
      tensor([[5, 6]]),
    ]);
    expect(String(nested)).toBe(
      'nested_tensor([\n  tensor([[1, 2],\n          [3, 4]]),\n  tensor([[5, 6]])\n])',
    );
  });

  test.each([
    [
      'aten::exp',
      /Could not run 'aten::exp' with arguments from the 'NestedTensorCPU' backend\. .*to_padded_tensor/,
    ],
    ['aten::size', /NestedTensorImpl doesn't support sizes/],
    ['aten::stride', /NestedTensorImpl doesn't support strides/],
  ])('refuses %s', (name, message) => {
    const nested = call('aten::_nested_tensor_from_mask', batch(), mask());
    expect(() => call(name, nested)).toThrow(message);
  });

  test('in a list of tensors is refused too', () => {
    const nested = call('aten::_nested_tensor_from_mask', batch(), mask());
    expect(() => call('aten::cat', [nested, nested], 0n)).toThrow("Could not run 'aten::cat'");
  });

  test('is what only its own operators take', () => {
    expect(() => call('aten::to_padded_tensor', batch(), 0, null)).toThrow(
      "Could not run 'aten::to_padded_tensor' with arguments from the 'CPU' backend. It takes a nested tensor.",
    );
  });

  test('knows that it is nested, and its dtype', () => {
    const nested = call('aten::_nested_tensor_from_mask', batch(), mask());
    expect(callOperator('prim::is_nested', [nested])).toBe(true);
    expect(callOperator('prim::dtype', [nested])).toBe(6n);
  });
});
