// Dicts: insertion-ordered, as in Python. One function serves all key types; complex keys, which JavaScript's Map
// would tell apart by identity, are looked for.
import type { IValue } from '@weft/ir';
import { Complex, TupleValue, containerType, tagContainer } from '@weft/ir';
import { hostFunctions } from '../operator.ts';
import { fail } from './error.ts';
import { keyTypes, overloads } from './overloads.ts';
import { formatValue, valuesEqual } from './values.ts';

type Dict = Map<IValue, IValue>;

/** The key that `dict` holds for an equal `key`, or `key` itself. */
function keyIn(dict: Dict, key: IValue): IValue {
  if (!(key instanceof Complex)) return key;
  for (const other of dict.keys()) if (valuesEqual(other, key)) return other;
  return key;
}

export function copyDict(dict: Dict): Dict {
  const type = containerType(dict);
  const copy = new Map(dict);
  return type === undefined ? copy : tagContainer(copy, type);
}

const missing = (key: IValue): never => fail(`KeyError: ${formatValue(key)}`);

function getItem(dict: Dict, key: IValue): IValue {
  const value = dict.get(keyIn(dict, key));
  return value === undefined ? missing(key) : value;
}

/** PyTorch takes the first pair, not the last. */
function popItem(dict: Dict): TupleValue {
  const [first] = dict.keys();
  if (first === undefined) return fail('popitem(): dictionary is empty');
  const value = dict.get(first)!;
  dict.delete(first);
  return new TupleValue([first, value]);
}

function popKey(dict: Dict, key: IValue): IValue {
  const found = keyIn(dict, key);
  const value = dict.get(found);
  if (value === undefined) return missing(key);
  dict.delete(found);
  return value;
}

export function setItem(dict: Dict, key: IValue, value: IValue): void {
  dict.set(keyIn(dict, key), value);
}

/** A dict from a list of pairs. */
function fromPairs(pairs: TupleValue[]): Dict {
  const dict: Dict = new Map();
  for (const pair of pairs) setItem(dict, pair.items[0], pair.items[1]);
  return dict;
}

const named = (prefix: string): string[] => keyTypes.map((name) => prefix + name);

overloads('aten::__getitem__', named('Dict_'), getItem);
overloads('aten::__contains__', named(''), (dict: Dict, key: IValue) => dict.has(keyIn(dict, key)));
overloads('aten::_set_item', named(''), (dict: Dict, key: IValue, value: IValue) => {
  setItem(dict, key, value);
  return null;
});
overloads('aten::Delete', named('Dict_'), (dict: Dict, key: IValue) => {
  popKey(dict, key);
  return null;
});
overloads('aten::get', named(''), (dict: Dict, key: IValue) => dict.get(keyIn(dict, key)) ?? null);
overloads('aten::get', named('default_'), (dict: Dict, key: IValue, other: IValue) => {
  const value = dict.get(keyIn(dict, key));
  return value === undefined ? other : value;
});
overloads('aten::setdefault', named(''), (dict: Dict, key: IValue, other: IValue) => {
  const found = keyIn(dict, key);
  if (!dict.has(found)) dict.set(found, other);
  return dict.get(found)!;
});
overloads('aten::pop', named('Dict_'), popKey);
overloads('aten::pop', named('Dict_default_'), (dict: Dict, key: IValue, other: IValue) =>
  dict.has(keyIn(dict, key)) ? popKey(dict, key) : other,
);
overloads('aten::popitem', named(''), popItem);
overloads('aten::keys', named(''), (dict: Dict) => [...dict.keys()]);
overloads('aten::values', named(''), (dict: Dict) => [...dict.values()]);
overloads('aten::items', named(''), (dict: Dict) => [...dict].map((pair) => new TupleValue(pair)));
overloads('aten::len', named('Dict_'), (dict: Dict) => BigInt(dict.size));
overloads('aten::clear', named(''), (dict: Dict) => {
  dict.clear();
  return null;
});
overloads('aten::update', named(''), (dict: Dict, other: Dict) => {
  for (const [key, value] of other) setItem(dict, key, value);
  return null;
});
overloads('aten::copy', named('Dict_'), copyDict);
overloads('aten::dict', named('Dict_'), copyDict);
overloads('aten::dict', named(''), fromPairs);

hostFunctions({ 'aten::dict': () => new Map() });
