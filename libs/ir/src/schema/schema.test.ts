import { describe, expect, test } from '@jest/globals';
import { ParseError } from '../errors.ts';
import { Graph } from '../graph/graph.ts';
import { AnyTensorType, FloatType, IntType, NumberType, listOf } from '../types/types.ts';
import { parseSchema, schemaToString } from './parse.ts';
import { findSchema, operatorNames, registerSchema, schemaOfNode, schemasOf } from './registry.ts';
import { isMutating } from './schema.ts';
import { schemaText } from './schemas.generated.ts';

const lines = schemaText.split('\n').filter((line) => line !== '');

/** What printing does not keep: SymInt is int, `(a -> *)` has one spelling, NoneType is None's only name. */
const normalise = (line: string): string => line.replaceAll('SymInt', 'int');

test('every schema of PyTorch parses and prints as it was', () => {
  const different = lines.filter((line) => schemaToString(parseSchema(line)) !== normalise(line));
  expect(different).toEqual([]);
});

test('all schemas are found by name and overload', () => {
  expect(operatorNames().length).toBeGreaterThan(1500);
  expect(schemasOf('aten::add').map((schema) => schema.overload)).toContain('Tensor');
  expect(findSchema('aten::relu')?.overload).toBe('');
  expect(findSchema('aten::no_such_operator')).toBeUndefined();
  expect(schemasOf('aten::scaled_dot_product_attention')).toHaveLength(1);
});

describe('parts of a schema', () => {
  test('alias annotations', () => {
    const append = parseSchema('aten::append.t(t[](a!) self, t(c -> *) el) -> t[](a!)');
    expect(append.arguments[0].alias).toEqual({ before: ['a'], after: ['a'], isWrite: true });
    expect(append.arguments[1].alias).toEqual({ before: ['c'], after: ['*'], isWrite: false });
    const foreach = parseSchema('aten::_foreach_abs_(Tensor(a!)[] self) -> ()');
    expect(foreach.arguments[0].alias?.contained).toEqual({ before: ['a'], after: ['a'], isWrite: true });
    expect(isMutating(foreach)).toBe(true);
    expect(parseSchema('aten::cpu(Tensor(a) self) -> Tensor(b|a)').returns[0].alias?.before).toEqual([
      'b',
      'a',
    ]);
  });

  test('defaults have the type of their argument', () => {
    const schema = parseSchema(
      'f(float a=1, int? b=None, int[2] c=0, str d="\\"\\n", bool e=True, int f=Mean, MemoryFormat g=contiguous_format, float[] h=[1, 2.5], Scalar i=1, Scalar j=1.) -> ()',
    );
    expect(schema.arguments.map((argument) => argument.default)).toEqual([
      1,
      null,
      0n,
      '"\n',
      true,
      1n,
      0n,
      [1, 2.5],
      1n,
      1,
    ]);
    expect(schema.arguments[2].listSize).toBe(2);
  });

  test('keyword-only arguments, varargs and variable returns', () => {
    const schema = parseSchema('f(Tensor self, *, int dim, ...) -> ...');
    expect(schema.arguments.map((argument) => argument.kwargOnly)).toEqual([false, true]);
    expect([schema.isVararg, schema.isVarret]).toEqual([true, true]);
  });

  test.each([
    'aten::f(Tensor) -> ()',
    'aten::f(Tensor a',
    'aten::f(int a=zzz) -> ()',
    'aten::f() -> () x',
    '',
  ])('refuses %s', (text) => {
    expect(() => parseSchema(text)).toThrow(ParseError);
  });
});

describe('the overload of a node', () => {
  const overloadFor = (kind: string, ...types: Parameters<Graph['addInput']>[0][]): string | undefined => {
    const graph = new Graph();
    return schemaOfNode(
      graph.insert(
        kind,
        types.map((type) => graph.addInput(type)),
      ),
    )?.overload;
  };
  test('is the one that fits best', () => {
    expect(overloadFor('aten::add', AnyTensorType, AnyTensorType, IntType)).toBe('Tensor');
    expect(overloadFor('aten::add', AnyTensorType, IntType, IntType)).toBe('Scalar');
    expect(overloadFor('aten::add', IntType, IntType)).toBe('int');
    expect(overloadFor('aten::add', FloatType, IntType)).toBe('float_int');
    expect(overloadFor('aten::add', NumberType, NumberType)).toBe('');
    expect(overloadFor('aten::append', listOf(IntType), IntType)).toBe('t');
    expect(overloadFor('aten::__getitem__', listOf(listOf(IntType)), IntType)).toBe('t');
    expect(overloadFor('aten::relu', AnyTensorType)).toBe('');
    expect(overloadFor('aten::relu', IntType)).toBeUndefined();
  });
});

test('registering a schema makes it known once', () => {
  registerSchema('test::twice(Tensor x) -> Tensor');
  expect(findSchema('test::twice')?.arguments).toHaveLength(1);
  expect(() => registerSchema('test::twice(Tensor y) -> Tensor')).toThrow(/registered already/);
  registerSchema('test::twice.int(int x) -> int');
  expect(schemasOf('test::twice')).toHaveLength(2);
});
