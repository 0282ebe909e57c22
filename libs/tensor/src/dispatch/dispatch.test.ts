// Calling operators: overloads from JavaScript values, keywords, errors with the user's line, the observer, the cache.
import { describe, expect, test } from '@jest/globals';
import { dtypes, qualifiedName } from '@weft/ir';
import * as w from '../index.ts';
import { Tensor, callOperator, isCallable, operatorOf, tensor, withDispatchHook } from '../index.ts';
import { methodNames } from '../methods.generated.ts';
import { operatorCacheSize, setOperatorCacheSize } from './cache.ts';

/** Names of the operators that `body` calls. */
function operatorsOf(body: () => unknown): string[] {
  const names: string[] = [];
  withDispatchHook((schema) => names.push(qualifiedName(schema)), body);
  return names;
}

describe('the overload that JavaScript values choose', () => {
  const x = w.zeros(2, 3);
  const table: [name: string, call: () => unknown, operator: string][] = [
    ['a tensor', () => x.add(x), 'aten::add.Tensor'],
    ['a number', () => x.add(1), 'aten::add.Scalar'],
    ['a keyword', () => x.add(x, { alpha: 2 }), 'aten::add.Tensor'],
    ['no argument', () => x.sum(), 'aten::sum'],
    ['a dimension', () => x.sum(1), 'aten::sum.dim_IntList'],
    ['dimensions', () => x.sum([0, 1], true), 'aten::sum.dim_IntList'],
    ['everything by name', () => x.sum({ dim: 1, keepdim: true, dtype: 'float64' }), 'aten::sum.dim_IntList'],
    ['a reduced dimension', () => x.max(1), 'aten::max.dim'],
    ['another tensor', () => x.max(x), 'aten::max.other'],
    ['an exponent', () => x.pow(2), 'aten::pow.Tensor_Scalar'],
    ['sizes one by one', () => x.view(3, 2), 'aten::view'],
    ['sizes as a list', () => x.view([3, 2]), 'aten::view'],
    ['sizes and options', () => w.zeros(2, 2, { dtype: 'int64' }), 'aten::zeros'],
    ['one size', () => x.split(2), 'aten::split.Tensor'],
    ['several sizes', () => x.split([1, 1]), 'aten::split'],
    ['a dtype', () => x.to('float64'), 'aten::to.dtype'],
    ['another tensor’s dtype', () => x.to(w.zeros(1, { dtype: 'int64' })), 'aten::to.other'],
    ['a generator', () => w.rand([2], { generator: new w.Generator(1) }), 'aten::rand.generator'],
    ['tensors by name', () => x.clamp({ min: w.ones(3) }), 'aten::clamp.Tensor'],
    ['numbers by name', () => x.clamp({ min: 0 }), 'aten::clamp'],
    ['a function', () => w.F.dropout(x, 0.5, false), 'aten::dropout'],
    ['an end', () => w.arange(3), 'aten::arange'],
    ['a start and an end', () => w.arange(1, 3), 'aten::arange.start'],
    ['in place', () => x.detach().mul_(2), 'aten::mul_.Scalar'],
  ];
  test.each(table)('%s', (_, call, operator) => expect(operatorsOf(call).at(-1)).toBe(operator));
});

test('whole numbers are ints, others floats', () => {
  const x = w.arange(3);
  expect([x.add(1).dtype, x.add(1.5).dtype, x.mul(true).dtype]).toEqual(['int64', 'float32', 'int64']);
  expect([tensor([1, 2]).dtype, tensor([1, 2.5]).dtype, tensor([true]).dtype]).toEqual([
    'int64',
    'float32',
    'bool',
  ]);
});

test('numbers stand in for tensors where there is no overload for them', () => {
  expect(w.where(tensor([true, false]), 1.5, tensor([2.5, 3.5])).tolist()).toEqual([1.5, 3.5]);
});

test('returns: numbers, lists, several values', () => {
  const x = w.arange(6, { dtype: 'float32' }).view(2, 3);
  expect([x.size(), x.size(-1), x.dim(), x.isFloatingPoint(), x.numel()]).toEqual([[2, 3], 3, 2, true, 6]);
  const [values, indices] = x.max(1);
  expect([values.tolist(), indices.tolist(), indices.dtype]).toEqual([[2, 5], [2, 2], 'int64']);
  expect(x.equal(x.clone())).toBe(true);
});

test('callOperator takes and gives run-time values', () => {
  const x = w.ones(2);
  expect(callOperator('aten::size', [x])).toEqual([2n]);
  expect(callOperator('aten::item', [w.tensor(3)])).toBe(3n);
  expect(callOperator('prim::dtype', [x])).toBe(BigInt(dtypes.float32.scalarType));
  expect((callOperator('aten::add.Tensor', [x, x]) as Tensor).tolist()).toEqual([2, 2]);
  expect(() => callOperator('aten::add.Tensor', [x])).toThrow(
    "aten::add.Tensor is missing its argument 'other'",
  );
  expect(() => callOperator('aten::nonsense', [])).toThrow('there is no operator aten::nonsense');
});

test('out= forms resize and fill their argument', () => {
  const out = w.zeros(0);
  const result = callOperator('aten::add.out', [w.ones(2), w.ones(2), 1n, out]);
  expect(result).toBe(out);
  expect(out.tolist()).toEqual([2, 2]);
});

test('an error names the operator, its operands and the line that called it', () => {
  const x = w.zeros(2, 3);
  let message = '';
  try {
    x.matmul(w.zeros(2, 3)); // the offending line
  } catch (error) {
    message = (error as Error).message;
  }
  const lines = message.split('\n');
  expect(lines[0]).toBe('mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)');
  expect(lines[1]).toBe('  in aten::matmul(float32[2, 3], float32[2, 3])');
  expect(message).toMatch(/dispatch\.test\.ts:\d+:\d+/);
  expect(message).toContain('x.matmul(w.zeros(2, 3)); // the offending line');
});

test('arguments that fit no overload are answered with all of them', () => {
  const x = w.zeros(2) as unknown as { sum(dim: string): Tensor };
  expect(() => x.sum('rows')).toThrow(
    /sum\(\) received an invalid combination of arguments - got \(Tensor, str\), but expected one of:\n \* aten::sum/,
  );
});

test('dtypes that there are not are named, with those that there are', () => {
  for (const make of [
    () => w.zeros([2], { dtype: 'double' as never }),
    () => w.tensor([1], { dtype: 'double' as never }),
  ])
    // prettier-ignore
    expect(make).toThrow(/"double" is no dtype; those are uint8, int8, .*float64/);
});

test('the observer sees the user’s calls, not those that operators make', () => {
  const x = w.randn(3, 3).requiresGrad_();
  expect(
    operatorsOf(() => {
      x.exp().sum().backward();
      return x.add(1).item;
    }),
  ).toEqual(['aten::exp', 'aten::sum', 'aten::backward', 'aten::add.Scalar']);
  expect(operatorsOf(() => w.tensor([2]).item())).toContain('aten::item');
});

test('builtin functions say which operator they are', () => {
  expect([operatorOf(w.cat), operatorOf(w.variance), operatorOf(tensor), operatorOf(() => 1)]).toEqual([
    'aten::cat',
    'aten::var',
    'aten::tensor',
    undefined,
  ]);
});

test('derived forms are callable, unknown ones are not', () => {
  expect(
    ['aten::add_.Tensor', 'aten::add.out', 'aten::__iand__.Tensor', 'aten::add.Tensor'].map(isCallable),
  ).toEqual([true, true, true, true]);
  expect(isCallable('aten::no_such_thing')).toBe(false);
});

test('the cache of compiled operators is bounded', () => {
  setOperatorCacheSize(10);
  for (let size = 1; size < 40; size++) w.ones(size).mul(2);
  expect(operatorCacheSize()).toBeLessThanOrEqual(10);
  setOperatorCacheSize(4096);
});

test('every method of the schemas is there, and none is hidden by a member of the class', () => {
  for (const [method, name] of Object.entries(methodNames)) {
    const own = Object.getOwnPropertyDescriptor(Tensor.prototype, method)?.value as unknown;
    expect(`${method} ${operatorOf(own)}`).toBe(`${method} aten::${name}`);
  }
});
