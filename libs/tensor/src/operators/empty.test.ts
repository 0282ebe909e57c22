// Nothing can be looked up in nothing, sorted and selected: what a detector without detections does.
import { expect, test } from '@jest/globals';
import type { IValue } from '@weft/ir';
import type { Tensor } from '../index.ts';
import { callOperator, grad, zeros } from '../index.ts';

const none = zeros([0], { dtype: 'int64' });
const calls: readonly (readonly [string, (x: Tensor) => readonly unknown[], readonly number[]])[] = [
  ['index.Tensor', (x) => [x, [none]], [0, 4]],
  ['index_select', (x) => [x, 0n, none], [0, 4]],
  ['take', (x) => [x, none], [0]],
  ['sort', (x) => [x, 0n, true], [0, 4]],
  ['topk', (x) => [x, 0n, 0n, true, true], [0, 4]],
  ['embedding', (x) => [x, none, -1n, false, false], [0, 4]],
];

test.each(calls)('%s of no rows', (name, args, sizes) => {
  const x = zeros([0, 4]).requiresGrad_();
  const [result] = [callOperator(`aten::${name}`, args(x) as IValue[])].flat() as unknown as Tensor[];
  expect(result.sizes).toEqual(sizes);
  expect(grad(result.sum(), x, null, { allowUnused: true })[0]?.sizes ?? [0, 4]).toEqual([0, 4]);
});
