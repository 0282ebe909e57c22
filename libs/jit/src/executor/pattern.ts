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
      /** null: row-major. */
      readonly strides: readonly number[] | null;
      readonly requiresGrad: boolean;
      readonly device: object;
    }
  | { readonly kind: 'value'; readonly value: IValue }
  | { readonly kind: 'list'; readonly items: readonly Pattern[]; readonly type: Type | undefined }
  | { readonly kind: 'tuple'; readonly items: readonly Pattern[] }
  | { readonly kind: 'dict'; readonly entries: readonly (readonly [IValue, Pattern])[] };

export function patternOf(value: IValue): Pattern {
  if (value instanceof Tensor) {
    const { specKey, requiresGrad, hasRowMajorStrides } = value;
    const strides = hasRowMajorStrides ? null : value.strides;
    return { kind: 'tensor', specKey, strides, requiresGrad, device: value.storage.device };
  }
  if (Array.isArray(value)) return { kind: 'list', items: value.map(patternOf), type: containerType(value) };
  if (value instanceof TupleValue) return { kind: 'tuple', items: value.items.map(patternOf) };
  if (value instanceof Map)
    return { kind: 'dict', entries: [...value].map(([key, item]) => [key, patternOf(item)]) };
  return { kind: 'value', value };
}

/** Whether a value is as the pattern says; its tensors are added to `tensors` in the order of the walk. */
export function matches(pattern: Pattern, value: IValue, tensors: Tensor[]): boolean {
  switch (pattern.kind) {
    case 'tensor':
      if (
        !(value instanceof Tensor) ||
        value.specKey !== pattern.specKey ||
        !(pattern.strides === null
          ? value.hasRowMajorStrides
          : String(value.strides) === String(pattern.strides)) ||
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
