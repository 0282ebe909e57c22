// Lists. Indexes count from the end when negative; a list is changed in place and is shared by all who hold it.
import type { IValue } from '@weft/ir';
import { Complex, containerType, formatGeneral, tagContainer } from '@weft/ir';
import { hostFunctions } from '../operator.ts';
import { addComplex } from './complex.ts';
import { fail } from './error.ts';
import { overloads } from './overloads.ts';
import { compareValues, formatValue, valuesEqual, wrap } from './values.ts';

type List = IValue[];

/** A copy that keeps the list's static type. */
export function copyList(list: List, items: List = list.slice()): List {
  const type = containerType(list);
  return type === undefined ? items : tagContainer(items, type);
}

/** The position that `index` names; throws HostError when there is none. */
export function listPosition(
  list: readonly IValue[],
  index: bigint,
  message = 'list index out of range',
): number {
  const position = Number(index) + (index < 0n ? list.length : 0);
  if (position < 0 || position >= list.length) fail(message);
  return position;
}

/** The positions that a Python slice takes, in its order. */
export function slicePositions(
  length: number,
  start: bigint | null,
  end: bigint | null,
  step: bigint,
): number[] {
  if (step === 0n) fail('List slice should have non-zero step');
  if (step === -(2n ** 63n)) fail('List slice step is out of bounds');
  const stride = Number(step);
  const [low, high] = stride > 0 ? [0, length] : [-1, length - 1];
  const clamp = (bound: bigint): number => {
    const position = Number(bound) + (bound < 0n ? length : 0);
    return Math.min(Math.max(position, low), high);
  };
  const from = start === null ? (stride > 0 ? low : high) : clamp(start);
  const to = end === null ? (stride > 0 ? high : low) : clamp(end);
  const positions: number[] = [];
  if (stride > 0) for (let at = from; at < to; at += stride) positions.push(at);
  else for (let at = from; at > to; at += stride) positions.push(at);
  return positions;
}

function repeat(list: List, times: bigint): List {
  // PyTorch reserves before it repeats, and a negative length does not fit.
  if (times < 0n && list.length > 0) fail('vector::reserve');
  const result: List = [];
  for (let n = 0n; n < times; n++) for (const item of list) result.push(item);
  return copyList(list, result);
}

function pop(list: List, index: bigint): IValue {
  if (list.length === 0) fail('pop from empty list');
  return list.splice(listPosition(list, index), 1)[0];
}

function insert(list: List, index: bigint, item: IValue): void {
  const position = Number(index) + (index < 0n ? list.length : 0);
  list.splice(Math.min(Math.max(position, 0), list.length), 0, item);
}

const positionOf = (list: List, item: IValue): number => list.findIndex((other) => valuesEqual(other, item));

/** A value as C++ streams write it. */
function streamed(item: IValue): string {
  if (typeof item === 'boolean') return item ? '1' : '0';
  return typeof item === 'number' ? formatGeneral(item, 6) : formatValue(item);
}

function indexOf(list: List, item: IValue): bigint {
  const position = positionOf(list, item);
  if (position < 0) fail(`'${streamed(item)}' is not in list`);
  return BigInt(position);
}

function remove(list: List, item: IValue): null {
  const position = positionOf(list, item);
  if (position < 0) fail('list.remove(x): x not in list');
  list.splice(position, 1);
  return null;
}

const order = (reverse: boolean) => (a: IValue, b: IValue) =>
  reverse ? compareValues(b, a) : compareValues(a, b);

function sort(list: List, reverse = false): List {
  if (!list.some((item) => Number.isNaN(item))) return list.sort(order(reverse));
  // NaN has no place in an order, so where it ends up shows how C++'s std::sort sorts: by insertion, as short lists.
  const isBefore = (a: IValue, b: IValue): boolean => a !== b && (a as number) < (b as number) !== reverse;
  for (let index = 1; index < list.length; index++) {
    const [item] = list.splice(index, 1);
    let to = index;
    if (isBefore(item, list[0])) to = 0;
    else while (isBefore(item, list[to - 1])) to--;
    list.splice(to, 0, item);
  }
  return list;
}

/** `min` and `max` of two lists: the first unequal items decide, NaN for the first list. */
const preferred =
  (isBetter: (a: IValue, b: IValue) => boolean, longer: boolean) =>
  (a: List, b: List): List => {
    const length = Math.min(a.length, b.length);
    for (let at = 0; at < length; at++) if (a[at] !== b[at]) return isBetter(b[at], a[at]) ? b : a;
    return (longer ? b.length > a.length : b.length < a.length) ? b : a;
  };

function extreme(name: string, sign: number) {
  return (list: List): IValue => {
    if (list.length === 0) fail(`${name}() arg is an empty sequence`);
    return list.reduce((best, item) => (compareValues(item, best) * sign > 0 ? item : best));
  };
}

const elements = ['int', 'float', 'bool', 'str'];

overloads('aten::count', ['int', 'float', 'bool', 'str'], (list: List, item: IValue) =>
  BigInt(list.filter((other) => valuesEqual(other, item)).length),
);
overloads(
  'aten::index',
  elements.map((name) => `list_${name}`),
  indexOf,
);
overloads('aten::remove', elements, remove);
overloads(
  'aten::__contains__',
  ['int_list', 'float_list', 'str_list'],
  (list: List, item: IValue) => positionOf(list, item) >= 0,
);
overloads('aten::sort', elements, (list: List, reverse: boolean) => {
  sort(list, reverse);
  return null;
});
overloads('aten::sorted', elements, (list: List) => sort(copyList(list)));
const comparedLists = ['int_list', 'float_list', 'bool_list', 'str_list'];
overloads('aten::eq', comparedLists, (a: List, b: List) => valuesEqual(a, b));
overloads('aten::ne', comparedLists, (a: List, b: List) => !valuesEqual(a, b));
const ordered = ['int_list', 'float_list', 'bool_list'];
overloads('aten::lt', ordered, (a: List, b: List) => compareValues(a, b) < 0);
overloads('aten::le', ordered, (a: List, b: List) => compareValues(a, b) <= 0);
overloads('aten::gt', ordered, (a: List, b: List) => compareValues(a, b) > 0);
overloads('aten::ge', ordered, (a: List, b: List) => compareValues(a, b) >= 0);
overloads('prim::min', ['self_int', 'self_float', 'self_bool'], extreme('min', -1));
overloads('prim::max', ['self_int', 'self_float', 'self_bool'], extreme('max', 1));
overloads(
  'prim::min',
  ordered,
  preferred((a, b) => a! < b!, false),
);
overloads(
  'prim::max',
  ordered,
  preferred((a, b) => a! > b!, true),
);
const isTrue = (item: IValue): boolean => Boolean(item) || Number.isNaN(item);
overloads('aten::any', elements, (list: List) => list.some(isTrue));
overloads('aten::all', ['int', 'float', 'bool'], (list: List) => list.every(isTrue));
overloads('aten::len', ['t', 'any'], (list: List) => BigInt(list.length));
overloads('aten::__getitem__', ['t'], (list: List, index: bigint) => list[listPosition(list, index)]);
overloads('aten::select', ['t'], (list: List, index: bigint) => list[listPosition(list, index)]);
overloads('aten::list', ['t'], (list: List) => copyList(list));
overloads('aten::copy', ['t'], (list: List) => copyList(list));
overloads('aten::mul', ['left_t'], repeat);
overloads('aten::mul', ['right_'], (times: bigint, list: List) => repeat(list, times));

hostFunctions({
  'aten::append.t': (list: List, item: IValue) => {
    list.push(item);
    return list;
  },
  'aten::extend.t': (list: List, other: List) => {
    for (let at = 0, length = other.length; at < length; at++) list.push(other[at]);
    return null;
  },
  'aten::insert.t': (list: List, index: bigint, item: IValue) => {
    insert(list, index, item);
    return null;
  },
  'aten::pop.t': pop,
  'aten::Delete.t': (list: List, index: bigint) => {
    if (list.length === 0) fail('pop index out of range');
    list.splice(listPosition(list, index), 1);
    return null;
  },
  'aten::clear.t': (list: List) => {
    list.length = 0;
    return null;
  },
  'aten::reverse.t': (list: List) => {
    list.reverse();
    return null;
  },
  'aten::_set_item.t': (list: List, index: bigint, item: IValue) => {
    list[listPosition(list, index)] = item;
    return list;
  },
  'aten::slice.t': (list: List, start: bigint | null, end: bigint | null, step: bigint) =>
    copyList(
      list,
      slicePositions(list.length, start, end, step).map((position) => list[position]),
    ),
  'aten::add.t': (a: List, b: List) => copyList(a, [...a, ...b]),
  'aten::add_.t': (list: List, other: List) => {
    for (let at = 0, length = other.length; at < length; at++) list.push(other[at]);
    return list;
  },
  'aten::mul_.t': (list: List, times: bigint) => {
    const repeated = repeat(list, times);
    list.length = 0;
    for (const item of repeated) list.push(item);
    return list;
  },
  // PyTorch adds up ints in an int of 32 bits.
  'aten::sum.int': (list: bigint[]) =>
    BigInt.asIntN(
      32,
      list.reduce((a, b) => a + b, 0n),
    ),
  'aten::sum.float': (list: number[]) => list.reduce((a, b) => a + b, 0),
  'aten::sum.bool': (list: boolean[]) => BigInt(list.filter(Boolean).length),
  'aten::sum.complex': (list: Complex[]) => list.reduce(addComplex, new Complex(0, 0)),
  'aten::Size': (sizes: List) => sizes,
  'prim::rangelist': (n: bigint) =>
    n < 0n ? fail('vector::reserve') : Array.from({ length: Number(n) }, (_, index) => BigInt(index)),
  'aten::__range_length': (low: bigint, high: bigint, step: bigint) => {
    if (step === 0n) fail('range() arg 3 must not be zero');
    if (step > 0n) return low < high ? wrap(1n + wrap(high - 1n - low) / step) : 0n;
    return low > high ? wrap(1n + wrap(low - 1n - high) / wrap(-step)) : 0n;
  },
  'aten::__derive_index': (index: bigint, start: bigint, step: bigint) => wrap(start + index * step),
});
