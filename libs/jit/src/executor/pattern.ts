// What a call looked like: the shapes of its tensors and the values of everything else. A variant of a function is made for
// one pattern; matching is the first half of its guard, and collects the tensors on the way.
import type { IValue, Type } from '@weft/ir';
import { ObjectValue, TupleValue, containerType } from '@weft/ir';
import { valuesEqual } from '@weft/ops';
import { Tensor } from '@weft/tensor';

export type Pattern =
  | {
      readonly kind: 'tensor';
      readonly specKey: string;
      readonly requiresGrad: boolean;
      readonly device: object;
    }
  | { readonly kind: 'value'; readonly value: IValue }
  | { readonly kind: 'list'; readonly items: readonly Pattern[]; readonly type: Type | undefined }
  | { readonly kind: 'tuple'; readonly items: readonly Pattern[] }
  | { readonly kind: 'dict'; readonly entries: readonly (readonly [IValue, Pattern])[] };

/** The pattern of a value; undefined when no compiled graph can stand for calls with it (strided tensors). */
export function patternOf(value: IValue): Pattern | undefined {
  if (value instanceof Tensor) {
    if (!value.isRowMajor) return undefined;
    const { specKey, requiresGrad } = value;
    return { kind: 'tensor', specKey, requiresGrad, device: value.storage.device };
  }
  if (Array.isArray(value)) {
    const items = patternsOf(value);
    return items && { kind: 'list', items, type: containerType(value) };
  }
  if (value instanceof TupleValue) {
    const items = patternsOf(value.items);
    return items && { kind: 'tuple', items };
  }
  if (value instanceof Map) {
    const items = patternsOf([...value.values()]);
    return items && { kind: 'dict', entries: [...value.keys()].map((key, index) => [key, items[index]]) };
  }
  return { kind: 'value', value };
}

export function patternsOf(values: readonly IValue[]): Pattern[] | undefined {
  const patterns: Pattern[] = [];
  for (const value of values) {
    const pattern = patternOf(value);
    if (pattern === undefined) return undefined;
    patterns.push(pattern);
  }
  return patterns;
}

/** Whether a value is as the pattern says; its tensors are added to `tensors` in the order of the walk. */
export function matches(pattern: Pattern, value: IValue, tensors: Tensor[]): boolean {
  switch (pattern.kind) {
    case 'tensor':
      if (
        !(value instanceof Tensor) ||
        value.specKey !== pattern.specKey ||
        !value.isRowMajor ||
        value.requiresGrad !== pattern.requiresGrad ||
        value.storage.device !== pattern.device
      )
        return false;
      tensors.push(value);
      return true;
    case 'value':
      return Object.is(value, pattern.value) || isEqualValue(value, pattern.value);
    case 'list':
      return (
        Array.isArray(value) &&
        value.length === pattern.items.length &&
        containerType(value) === pattern.type &&
        allMatch(pattern.items, value, tensors)
      );
    case 'tuple':
      return (
        value instanceof TupleValue &&
        value.items.length === pattern.items.length &&
        allMatch(pattern.items, value.items, tensors)
      );
    case 'dict': {
      if (!(value instanceof Map) || value.size !== pattern.entries.length) return false;
      let at = 0;
      for (const [key, item] of value) {
        const [expected, inner] = pattern.entries[at++];
        if (!Object.is(key, expected) || !matches(inner, item, tensors)) return false;
      }
      return true;
    }
    default:
      return pattern satisfies never;
  }
}

export function allMatch(
  patterns: readonly Pattern[],
  values: readonly IValue[],
  tensors: Tensor[],
): boolean {
  for (let index = 0; index < patterns.length; index++) {
    if (!matches(patterns[index], values[index], tensors)) return false;
  }
  return true;
}

/** Values without identity (devices, enum values, complex numbers); objects are compared by identity only. */
const isEqualValue = (value: IValue, expected: IValue): boolean =>
  typeof value === 'object' &&
  value !== null &&
  typeof expected === 'object' &&
  expected !== null &&
  !(value instanceof ObjectValue) &&
  !(expected instanceof ObjectValue) &&
  !Array.isArray(value) &&
  !(value instanceof Tensor) &&
  valuesEqual(value, expected);
