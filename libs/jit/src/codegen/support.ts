// What generated code calls besides operators.
import type { IValue, Type } from '@weft/ir';
import { InternalError, ObjectValue, TupleValue, tagContainer } from '@weft/ir';
import { HostError, formatValue } from '@weft/ops';
import { RaisedException } from '../runtime/errors.ts';
import { isInstance } from '../runtime/is-instance.ts';
import { methodOf } from '../runtime/methods.ts';
import type { Integer } from './integers.ts';
import * as integers from './integers.ts';

export const support = {
  ...integers,
  methodOf,

  listItem(list: readonly IValue[], index: Integer): IValue {
    const at = typeof index === 'number' && index < 0 ? index + list.length : index;
    const item = typeof at === 'number' ? list[at] : undefined;
    if (item === undefined) throw new HostError('list index out of range');
    return item;
  },
  append(list: IValue[], item: IValue): IValue {
    list.push(item);
    return list;
  },
  dictItem(dict: ReadonlyMap<IValue, IValue>, key: IValue): IValue {
    const value = dict.get(key);
    if (value === undefined) throw new HostError(`KeyError: ${formatValue(key)}`);
    return value;
  },

  list: (items: IValue[], type: Type | undefined): IValue =>
    type === undefined ? items : tagContainer(items, type),
  dict(items: readonly IValue[], type: Type): IValue {
    const dict = new Map<IValue, IValue>();
    for (let index = 0; index < items.length; index += 2) dict.set(items[index], items[index + 1]);
    return tagContainer(dict, type);
  },
  tuple: (items: IValue[], type: TupleValue['type']): TupleValue => new TupleValue(items, type),
  tupleSlice: (tuple: TupleValue, begin: number, end: number): TupleValue =>
    new TupleValue(tuple.items.slice(begin, end)),
  unpackList(list: readonly IValue[], count: number): readonly IValue[] {
    if (list.length !== count)
      throw new HostError(`Expected ${count} elements in a list but found ${list.length}`);
    return list;
  },
  create(type: Type): ObjectValue {
    if (type.kind !== 'Class') throw new InternalError(`an object of type ${type.kind} is created`);
    return new ObjectValue(
      type,
      type.attributes.map(() => null),
    );
  },
  isInstance: (value: IValue, types: readonly Type[]): boolean =>
    types.some((type) => isInstance(value, type)),
  raise(message: IValue, exceptionClass: IValue): never {
    throw new RaisedException(message as string, exceptionClass as string | null);
  },
};
