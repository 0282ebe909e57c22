import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { parseSchema } from '../schema/parse.ts';
import { createTypeScope, parseType, typeToString } from '../text/type-text.ts';
import { isSubtype, matchType, substituteVariables, typesEqual, unifyTypes } from './lattice.ts';
import type { InterfaceType, Type } from './types.ts';
import { createClassType } from './types.ts';

const scope = createTypeScope();
const type = (text: string): Type => parseType(text, scope);

describe('subtypes', () => {
  test.each([
    ['int', 'Scalar', true],
    ['float', 'Scalar', true],
    ['bool', 'Scalar', false],
    ['int', 'float', false],
    ['NoneType', 'int?', true],
    ['int', 'int?', true],
    ['int?', 'int', false],
    ['int?', 'Scalar?', true],
    ['int', 'Union(int, NoneType, str)', true],
    ['int?', 'Union(int, NoneType, str)', true],
    ['Union(int, str)', 'Union(int, NoneType, str)', true],
    ['Union(int, NoneType, str)', 'Union(int, str)', false],
    ['Union(int, str)', 'Any', true],
    ['Any', 'int', false],
    ['int[]', 'int?[]', false],
    ['int[]', 'list', true],
    ['Float(2, 3)[]', 'Tensor[]', true],
    ['(int, Tensor)', '(int?, Tensor?)', true],
    ['(int, int)', '(int)', false],
    ['(int, int)', 'tuple', true],
    ['NamedTuple(x : int)', '(int)', true],
    ['(int)', 'NamedTuple(x : int)', false],
    ['Dict(str, int)', 'Dict(str, int?)', false],
    ['Future[int]', 'Future[int?]', true],
    ['Float(2, 3)', 'Tensor', true],
    ['Tensor', 'Float(2, 3)', false],
    ['Float(2, 3)', 'Float(2, *)', true],
    ['Float(2, 3, requires_grad=1)', 'Float(2, 3)', true],
    ['Float(2, 3)', 'Double(2, 3)', false],
    ['ScalarType', 'int', true],
    ['int', 'MemoryFormat', true],
    ['__torch__.A', '__torch__.A', true],
    ['__torch__.A', '__torch__.B', false],
    ['__torch__.A', 'AnyClassType', true],
    ['Enum<__torch__.Color>', 'AnyEnumType', true],
  ])('%s <: %s is %s', (a, b, expected) => expect(isSubtype(type(a), type(b))).toBe(expected));

  test('a class is below the interfaces whose methods it has', () => {
    const cls = createClassType('__torch__.Linear', true);
    cls.methods.set('forward', {
      name: 'forward',
      schema: parseSchema('forward(Any self, Tensor? x) -> Tensor'),
    });
    const wants = (schema: string, isModule = true): InterfaceType => ({
      kind: 'Interface',
      name: '__torch__.Layer',
      isModule,
      methods: new Map([['forward', parseSchema(schema)]]),
    });
    expect(isSubtype(cls, wants('forward(Any self, Tensor x) -> Tensor'))).toBe(true);
    expect(isSubtype(cls, wants('forward(Any self, Tensor x) -> Tensor?'))).toBe(true);
    expect(isSubtype(cls, wants('forward(Any self, int x) -> Tensor'))).toBe(false);
    expect(isSubtype(cls, wants('forward(Any self, Tensor x) -> int'))).toBe(false);
    expect(isSubtype(createClassType('__torch__.Plain', false), wants('forward(Any self) -> int'))).toBe(
      false,
    );
  });
});

describe('joins', () => {
  test.each([
    ['int', 'int', 'int'],
    ['int', 'float', undefined],
    ['int', 'NoneType', 'int?'],
    ['int?', 'int', 'int?'],
    ['int?', 'NoneType', 'int?'],
    ['Tensor', 'Float(2, 3)', 'Tensor'],
    ['Float(2, 3)', 'Float(2, 4)', 'Float(2, *)'],
    ['Float(2)', 'Double(2)', 'Tensor(2)'],
    ['Float(2)', 'Float(2, 2)', 'FloatTensor'],
    ['(int, NoneType)', '(int, str)', '(int, str?)'],
    ['(int)', '(float)', undefined],
    ['int[]', 'float[]', undefined],
    ['Float(1)[]', 'Float(2)[]', 'Float(*)[]'],
    ['Future[int]', 'Future[NoneType]', 'Future[int?]'],
  ])('%s and %s give %s', (a, b, expected) => {
    const joined = unifyTypes(type(a), type(b));
    expect(joined && typeToString(joined)).toBe(expected);
  });
  test('or a union when asked for', () => {
    expect(typeToString(unifyTypes(type('str'), type('int'), true)!)).toBe('Union(int, str)');
  });

  const types = fc.constantFrom(
    ...[
      'int',
      'float',
      'NoneType',
      'int?',
      'Tensor',
      'Float(2)',
      'Float(3)',
      'Any',
      'int[]',
      '(int, Tensor)',
      'str',
      'Scalar',
    ].map(type),
  );
  test('are above both, and do not depend on the order', () => {
    fc.assert(
      fc.property(types, types, (a, b) => {
        const joined = unifyTypes(a, b, true)!;
        expect(isSubtype(a, joined) && isSubtype(b, joined)).toBe(true);
        expect(typesEqual(joined, unifyTypes(b, a, true)!)).toBe(true);
      }),
    );
  });
  test('subtyping is reflexive and transitive', () => {
    fc.assert(
      fc.property(types, types, types, (a, b, c) => {
        expect(isSubtype(a, a)).toBe(true);
        if (isSubtype(a, b) && isSubtype(b, c)) expect(isSubtype(a, c)).toBe(true);
      }),
    );
  });
});

describe('type variables', () => {
  test.each([
    ['t[]', 'int[]', 'int'],
    ['t?', 'str', 'str'],
    ['t?', 'str?', 'str'],
    ['Dict(str, t)', 'Dict(str, Tensor[])', 'Tensor[]'],
    ['(t, t)', '(int, NoneType)', 'int?'],
    ['Future(t)', 'Future[int]', 'int'],
    ['t[]', 'Dict(str, int)', undefined],
  ])('%s takes %s with t = %s', (formal, actual, expected) => {
    const bindings = new Map<string, Type>();
    const wanted = parseType(formal, { variables: true });
    expect(matchType(wanted, type(actual), bindings)).toBe(expected !== undefined);
    if (expected === undefined) return;
    expect(typeToString(bindings.get('t')!)).toBe(expected);
    expect(typeToString(substituteVariables(parseType('t[]', { variables: true }), bindings))).toBe(
      `${expected}[]`,
    );
  });
});
