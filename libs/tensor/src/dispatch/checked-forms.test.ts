// Operators that fail where LAPACK's algorithm did, and their forms that give its `info` instead.
import { expect, test } from '@jest/globals';
import type { IValue } from '@weft/ir';
import type { Tensor } from '../index.ts';
import { callOperator, tensor as tensorOf } from '../index.ts';

const call = (name: string, ...args: unknown[]): unknown => callOperator(`aten::${name}`, args as IValue[]);
const tensor = (rows: Parameters<typeof tensorOf>[0]): Tensor => tensorOf(rows, { dtype: 'float32' });
const singular = tensor([
  [1, 2],
  [2, 4],
]);
const indefinite = tensor([
  [1, 2],
  [2, 1],
]);
const batch = tensor([
  [
    [2, 0],
    [0, 2],
  ],
  [
    [1, 0],
    [0, -1],
  ],
]);

test.each<[string, unknown[], string]>([
  ['linalg_inv', [singular], 'linalg.inv: The diagonal element 2 is zero'],
  ['inverse', [singular], 'linalg.inv: The diagonal element 2 is zero'],
  ['linalg_solve', [singular, tensor([1, 1]), true], 'torch.linalg.solve: The solver failed'],
  ['linalg_cholesky', [indefinite, false], 'linalg.cholesky: .*leading minor of order 2 is not'],
  ['linalg_cholesky', [indefinite, true], 'linalg.cholesky: .*leading minor of order 2 is not'],
  ['cholesky', [batch, false], 'cholesky: .Batch element 1.: .*leading minor of order 2 is not'],
])('%s, example %#, fails', (name, args, message) => {
  expect(() => call(name, ...args)).toThrow(new RegExp(message));
});

test('the forms with info tell which element failed', () => {
  const infoOf = (results: unknown): number[] => Array.from((results as Tensor[]).at(-1)!.data as Int32Array);
  expect(infoOf(call('linalg_inv_ex', singular, false))).toEqual([2]);
  expect(infoOf(call('linalg_inv_ex', batch, false))).toEqual([0, 0]);
  expect(infoOf(call('linalg_lu_factor_ex', singular, true, false))).toEqual([2]);
  expect(infoOf(call('linalg_cholesky_ex', batch, false, false))).toEqual([0, 2]);
});

test('gradients pass a checked form', () => {
  const x = tensor([
    [2, 0],
    [0, 4],
  ]);
  x.requiresGrad = true;
  (call('linalg_inv', x) as Tensor).sum().backward();
  expect(Array.from(x.grad!.data as Float32Array)).toEqual([-0.25, -0.125, -0.125, -0.0625]);
});
