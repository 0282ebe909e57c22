// What a call looked like: the shapes of its tensors and the values of everything else. A variant of a function is made for
// one pattern; matching is the first half of its guard, and collects the tensors on the way.
import type { DType, IValue, Type } from '@weft/ir';
import { ObjectValue, TupleValue, containerType, tagContainer } from '@weft/ir';
import { valuesEqual } from '@weft/ops';
import { Tensor } from '@weft/tensor';
import { numberOf } from './policy.ts';

export type Pattern =
  | {
      readonly kind: 'tensor';
      readonly dtype: DType;
      readonly sizes: readonly number[];
      /** null: row-major. */
      readonly strides: readonly number[] | null;
      readonly requiresGrad: boolean;
      readonly device: object;
    }
  | { readonly kind: 'value'; readonly value: IValue }
  | { readonly kind: 'list'; readonly items: readonly Pattern[]; readonly type: Type | undefined }
  | { readonly kind: 'tuple'; readonly items: readonly Pattern[] }
  | { readonly kind: 'dict'; readonly entries: readonly (readonly [IValue, Pattern])[] };

/** The pattern of a call's arguments. */
export class CallPattern {
  readonly patterns: readonly Pattern[];
  private readonly tensors: number;

  constructor(args: readonly IValue[]) {
    this.patterns = args.map(patternOf);
    this.tensors = this.patterns.reduce((count, pattern) => count + tensorsIn(pattern), 0);
  }

  /** The tensors in arguments that are as the pattern says, in the order of the walk; undefined when they are not. */
  tensorsOf(args: readonly IValue[]): Tensor[] | undefined {
    const found = new Array<Tensor>(this.tensors);
    return placeBehindAll(this.patterns, args, found, 0) < 0 ? undefined : found;
  }
}

/** The arguments with other tensors, in the order of the walk. */
export function withTensors(args: readonly IValue[], tensors: readonly IValue[]): IValue[] {
  let at = 0;
  const replaced = (value: IValue): IValue => {
    if (value instanceof Tensor) return tensors[at++];
    if (Array.isArray(value)) {
      const items = value.map(replaced);
      const type = containerType(value);
      return type === undefined ? items : tagContainer(items, type);
    }
    if (value instanceof TupleValue) return new TupleValue(value.items.map(replaced), value.type);
    if (value instanceof Map) {
      const dict = new Map([...value].map(([key, item]) => [key, replaced(item)]));
      const type = containerType(value);
      return type === undefined ? dict : tagContainer(dict, type);
    }
    return value;
  };
  return args.map(replaced);
}

/**
 * What calls have in common that differ in the sizes of their tensors alone, as text, and their tensors in the order of the walk;
 * undefined for calls that no graph with open sizes is made for: tensors that are not row-major, require gradients or are on a device that
 * does not show its memory, or other values than numbers, text and objects.
 */
export function familyOf(
  args: readonly IValue[],
): { readonly key: string; readonly tensors: Tensor[] } | undefined {
  const tensors: Tensor[] = [];
  const keys = args.map((value) => familyKey(value, tensors));
  if (tensors.length === 0 || keys.includes(undefined)) return undefined;
  return { key: keys.join('|'), tensors };
}

function familyKey(value: IValue, tensors: Tensor[]): string | undefined {
  if (value instanceof Tensor) {
    const { storage } = value;
    if (!value.isRowMajor || value.requiresGrad || value.isNested) return undefined;
    if (storage.buffer.bytes === undefined) return undefined;
    tensors.push(value);
    return `${value.dtype} ${value.sizes.length} ${numberOf(storage.device)}`;
  }
  if (Array.isArray(value) || value instanceof TupleValue || value instanceof Map) {
    const items =
      value instanceof Map ? [...value].flat() : value instanceof TupleValue ? value.items : value;
    const keys = items.map((item) => familyKey(item, tensors));
    if (keys.includes(undefined)) return undefined;
    return `${value instanceof Map ? '{' : value instanceof TupleValue ? '(' : '['}${keys.join()}]`;
  }
  if (value instanceof ObjectValue) return `#${numberOf(value)}`;
  if (typeof value === 'string') return JSON.stringify(value);
  return typeof value === 'object' && value !== null ? undefined : `${typeof value} ${String(value)}`;
}

function patternOf(value: IValue): Pattern {
  if (value instanceof Tensor) {
    const { dtype, sizes, requiresGrad, hasRowMajorStrides } = value;
    const strides = hasRowMajorStrides ? null : value.strides;
    return { kind: 'tensor', dtype, sizes, strides, requiresGrad, device: value.storage.device };
  }
  if (Array.isArray(value)) return { kind: 'list', items: value.map(patternOf), type: containerType(value) };
  if (value instanceof TupleValue) return { kind: 'tuple', items: value.items.map(patternOf) };
  if (value instanceof Map)
    return { kind: 'dict', entries: [...value].map(([key, item]) => [key, patternOf(item)]) };
  return { kind: 'value', value };
}

function tensorsIn(pattern: Pattern): number {
  switch (pattern.kind) {
    case 'tensor':
      return 1;
    case 'value':
      return 0;
    case 'list':
    case 'tuple':
      return pattern.items.reduce((count, item) => count + tensorsIn(item), 0);
    case 'dict':
      return pattern.entries.reduce((count, [, item]) => count + tensorsIn(item), 0);
    default:
      return pattern satisfies never;
  }
}

/** Puts the tensors of a value that is as the pattern says at `place` and behind; the place behind them, or -1 when it is not. */
function placeBehind(pattern: Pattern, value: IValue, tensors: Tensor[], place: number): number {
  switch (pattern.kind) {
    case 'tensor':
      if (
        !(value instanceof Tensor) ||
        value.dtype !== pattern.dtype ||
        !areSame(value.sizes, pattern.sizes) ||
        !(pattern.strides === null ? value.hasRowMajorStrides : areSame(value.strides, pattern.strides)) ||
        value.requiresGrad !== pattern.requiresGrad ||
        value.storage.device !== pattern.device
      )
        return -1;
      tensors[place] = value;
      return place + 1;
    case 'value':
      return isEqualValue(value, pattern.value) ? place : -1;
    case 'list':
      return Array.isArray(value) &&
        value.length === pattern.items.length &&
        containerType(value) === pattern.type
        ? placeBehindAll(pattern.items, value, tensors, place)
        : -1;
    case 'tuple':
      return value instanceof TupleValue && value.items.length === pattern.items.length
        ? placeBehindAll(pattern.items, value.items, tensors, place)
        : -1;
    case 'dict': {
      if (!(value instanceof Map) || value.size !== pattern.entries.length) return -1;
      let [at, behind] = [0, place];
      for (const [key, item] of value) {
        const [expected, inner] = pattern.entries[at++];
        behind = Object.is(key, expected) ? placeBehind(inner, item, tensors, behind) : -1;
        if (behind < 0) return -1;
      }
      return behind;
    }
    default:
      return pattern satisfies never;
  }
}

function placeBehindAll(
  patterns: readonly Pattern[],
  values: readonly IValue[],
  tensors: Tensor[],
  place: number,
): number {
  let behind = place;
  for (let index = 0; index < patterns.length && behind >= 0; index++) {
    behind = placeBehind(patterns[index], values[index], tensors, behind);
  }
  return behind;
}

function areSame(numbers: readonly number[], others: readonly number[]): boolean {
  if (numbers === others) return true;
  if (numbers.length !== others.length) return false;
  for (let index = 0; index < numbers.length; index++) {
    if (numbers[index] !== others[index]) return false;
  }
  return true;
}

/** Values without identity (devices, enum values, complex numbers); objects are compared by identity only. */
const isEqualValue = (value: IValue, expected: IValue): boolean =>
  Object.is(value, expected) ||
  (typeof value === 'object' &&
    value !== null &&
    typeof expected === 'object' &&
    expected !== null &&
    !(value instanceof ObjectValue) &&
    !(expected instanceof ObjectValue) &&
    !Array.isArray(value) &&
    !(value instanceof Tensor) &&
    valuesEqual(value, expected));
