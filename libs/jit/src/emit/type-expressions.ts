// Types as they stand in the tree: `Tensor`, `List[int]`, `Optional[Point]`, `__torch__.Cell`. Both front ends write them
// in Python's spelling; names that are not built in are asked of the resolver.
import type { Type } from '@weft/ir';
import {
  AnyTensorType,
  AnyType,
  BoolType,
  ComplexType,
  DeviceType,
  FloatType,
  GeneratorType,
  IntType,
  NoneType,
  NumberType,
  StringType,
  dictOf,
  futureOf,
  listOf,
  optionalOf,
} from '@weft/ir';
import { unionOf } from '@weft/ir';
import type * as tree from '../frontend/tree.ts';
import type { Resolver } from './resolver.ts';
import { fail } from './script-error.ts';

const builtinTypes: Readonly<Record<string, Type>> = {
  Tensor: AnyTensorType,
  int: IntType,
  float: FloatType,
  complex: ComplexType,
  bool: BoolType,
  str: StringType,
  Device: DeviceType,
  device: DeviceType,
  number: NumberType,
  Any: AnyType,
  NoneType: NoneType,
  None: NoneType,
  Generator: GeneratorType,
  list: { kind: 'AnyList' },
  tuple: { kind: 'AnyTuple' },
  AnyClassType: { kind: 'AnyClass' },
  AnyEnumType: { kind: 'AnyEnum' },
  Stream: { kind: 'Stream' },
  Storage: { kind: 'Storage' },
  Capsule: { kind: 'Capsule' },
};

const records = new WeakSet<Type>();
/** Marks a dict that is a plain object in TypeScript (`Record<string, T>`), not a Map. */
export function markRecord<T extends Type>(type: T): T {
  records.add(type);
  return type;
}
export const isRecord = (type: Type): boolean => records.has(type);

/** `a.b.c` of nested names, or undefined for other expressions. */
export function dottedName(expression: tree.Expression): string | undefined {
  if (expression.kind === 'Name') return expression.name;
  if (expression.kind !== 'Select' && expression.kind !== 'Member') return undefined;
  const object = dottedName(expression.object);
  return object === undefined ? undefined : `${object}.${expression.name}`;
}

export function resolveType(
  { resolver }: { readonly resolver: Resolver },
  expression: tree.TypeExpression,
): Type {
  const resolve = (inner: tree.Expression): Type => resolveType({ resolver }, inner);
  const { range } = expression;
  if (expression.kind === 'None') return NoneType;
  if (expression.kind === 'Subscript') {
    const name = dottedName(expression.object)?.replace(/^(?:typing|torch)\./, '');
    const parameters = expression.indices.flatMap((index) =>
      index.kind === 'Tuple' && name !== 'Tuple' ? index.elements : [index],
    );
    const one = (): Type => {
      if (parameters.length !== 1) fail(range, `${name} takes one type`);
      return resolve(parameters[0]);
    };
    switch (name) {
      case 'List':
        return listOf(one());
      case 'Optional':
        return optionalOf(one());
      case 'Future':
      case 'torch.jit.Future':
      case 'Await':
        return futureOf(one());
      case 'Final':
        return one();
      case 'Dict':
        if (parameters.length !== 2) fail(range, 'Dict takes two types');
        return dictOf(resolve(parameters[0]), resolve(parameters[1]));
      case 'Record':
        if (parameters.length !== 2) fail(range, 'Record takes two types');
        return markRecord(dictOf(resolve(parameters[0]), resolve(parameters[1])));
      case 'Union':
        return unionOf(parameters.map(resolve));
      case 'Tuple': {
        const isEmpty =
          parameters.length === 1 && parameters[0].kind === 'Tuple' && parameters[0].elements.length === 0;
        const flat = parameters.flatMap((index) => (index.kind === 'Tuple' ? index.elements : [index]));
        return { kind: 'Tuple', elements: isEmpty ? [] : flat.map(resolve) };
      }
      default:
        fail(range, `'${name ?? 'this'}' is no type that takes parameters`);
    }
  }
  const name = dottedName(expression);
  if (name === undefined) fail(range, 'this is no type');
  const plain = name.replace(/^torch\./, '');
  if (Object.hasOwn(builtinTypes, plain)) {
    const own = resolver.type(name, range);
    return own ?? builtinTypes[plain];
  }
  const type = resolver.type(name, range);
  if (type === undefined) fail(range, `'${name}' is no type that can be scripted`);
  return type;
}
