// What generated code calls besides operators.
import type { IValue, Type } from '@weft/ir';
import { InternalError, ObjectValue, TupleValue, tagContainer } from '@weft/ir';
import { HostError, formatValue, operatorMeaning } from '@weft/ops';
import { RaisedException } from '../runtime/errors.ts';
import { isInstance } from '../runtime/is-instance.ts';
import { methodOf } from '../runtime/methods.ts';
import type { Integer } from './integers.ts';
import * as integers from './integers.ts';
import type { TextCase } from './text-keys.ts';
import { TextKeys } from './text-keys.ts';

function hostOperator(name: string): (...args: IValue[]) => IValue {
  const meaning = operatorMeaning(name);
  if (meaning?.kind !== 'host') throw new InternalError(`${name} is no host operator`);
  return meaning.run as (...args: IValue[]) => IValue;
}

/** Changes the case of letters, of which the 26 that change begin at `first`; text beyond ASCII is left to the operator. */
function cased(name: string, first: number, change: (text: string) => string): (text: string) => IValue {
  const any = hostOperator(name);
  return (text) => {
    let isChanged = false;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code >= 0x80) return any(text);
      if (code >= first && code < first + 26) isChanged = true;
    }
    return isChanged ? change(text) : text;
  };
}

const split = hostOperator('aten::split.str');
const inCase: Readonly<Record<TextCase, (text: string) => IValue>> = {
  'as it is': (text) => text,
  lower: cased('aten::lower', 0x41, (text) => text.toLowerCase()),
  upper: cased('aten::upper', 0x61, (text) => text.toUpperCase()),
};

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

  noKey(key: IValue): never {
    throw new HostError(`KeyError: ${formatValue(key)}`);
  },
  /** The dict that the cells of a local one stand for. */
  dictOfCells(
    cells: ReadonlyMap<Integer | string, { readonly value: Integer | IValue }>,
    type: Type,
  ): IValue {
    if (type.kind !== 'Dict') throw new InternalError('a dict of no dict type');
    const boxed = ({ kind }: Type) =>
      kind === 'int'
        ? (held: Integer | IValue) => integers.widen(held as Integer)
        : (held: unknown) => held as IValue;
    const [key, value] = [boxed(type.key), boxed(type.value)];
    const dict = new Map<IValue, IValue>();
    for (const [held, cell] of cells) dict.set(key(held), value(cell.value));
    return tagContainer(dict, type);
  },
  split,
  /** The parts of a text as keys. `isWhole` tells that it has no parts of characters. */
  textKeys: (text: string, separator: string, textCase: TextCase, isWhole: boolean): TextKeys<object> =>
    new TextKeys(
      text,
      separator,
      textCase,
      inCase[textCase],
      isWhole ? null : (split(text, separator, -1n) as string[]),
    ),
  lower: inCase.lower,
  upper: inCase.upper,

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
