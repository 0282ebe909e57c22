// Run-time values of the torch level, as the interpreter's registers, constants, attributes and archives hold them.
// The JavaScript type tells the TorchScript type: a bigint is an int (64 bits, wrapping), a number is a float, an array
// is a list, a Map is a dict (insertion-ordered, as in Python). Tensors are opaque here: eager tensors while running,
// `TensorLiteral` inside graphs and archives.
import type { ClassType, EnumType, TupleType, Type } from './types.ts';
import type { DType } from './dtype.ts';

export type IValue =
  | null
  | boolean
  | bigint
  | number
  | string
  | Complex
  | DeviceValue
  | TupleValue
  | ObjectValue
  | EnumValue
  | TensorLike
  | FutureValue
  | GeneratorLike
  | IValue[]
  | Map<IValue, IValue>;

/** Marks tensors of any library (eager tensors implement it), so that `isTensor` works across packages. */
export interface TensorLike {
  readonly isTensor: true;
  readonly dtype: DType;
  readonly shape: readonly number[];
}
export interface GeneratorLike {
  readonly isGenerator: true;
}
export interface FutureValue {
  readonly isFuture: true;
  wait(): IValue;
}

export class Complex {
  constructor(
    readonly re: number,
    readonly im: number,
  ) {}
}

export class DeviceValue {
  /** `index` is null for a device named without one ("cpu"). */
  constructor(
    readonly type: string,
    readonly index: number | null = null,
  ) {}
  toString(): string {
    return this.index === null ? this.type : `${this.type}:${this.index}`;
  }
}

/** A tuple; `type` is there for named tuples. */
export class TupleValue {
  constructor(
    readonly items: readonly IValue[],
    readonly type?: TupleType,
  ) {}
}

/** An instance of a script class or module: slots in the order of the class's attributes, which `put` and `set` alone change. */
export class ObjectValue {
  /** Counts changes of slots. */
  version = 0;

  constructor(
    readonly type: ClassType,
    readonly slots: readonly IValue[] = [],
  ) {}

  /** Gives a slot another value; the slot behind the last one is a new one. */
  put(slot: number, value: IValue): void {
    (this.slots as IValue[])[slot] = value;
    this.version++;
  }

  get(name: string): IValue {
    return this.slots[this.slotOf(name)];
  }
  set(name: string, value: IValue): void {
    this.put(this.slotOf(name), value);
  }
  private slotOf(name: string): number {
    const index = this.type.attributes.findIndex((attribute) => attribute.name === name);
    if (index < 0) throw new RangeError(`'${this.type.name}' has no attribute '${name}'`);
    return index;
  }
}

export class EnumValue {
  constructor(
    readonly type: EnumType,
    readonly name: string,
    readonly value: IValue,
  ) {}
}

/**
 * Tensor data inside a graph or archive: row-major, little-endian bytes, viewed rather than copied. A `splat` literal
 * holds one element which every position has.
 */
export class TensorLiteral implements TensorLike {
  readonly isTensor = true;
  constructor(
    readonly dtype: DType,
    readonly shape: readonly number[],
    readonly bytes: Uint8Array,
    readonly splat: boolean = false,
  ) {}
}

export const isTensorLike = (value: unknown): value is TensorLike =>
  typeof value === 'object' && value !== null && (value as { isTensor?: unknown }).isTensor === true;

const elementTypes = new WeakMap<readonly IValue[] | Map<IValue, IValue>, Type>();
/** Remembers the static type of a list or dict, which `isinstance` on `Any` and pickling of empty ones need. */
export function tagContainer<T extends IValue[] | Map<IValue, IValue>>(value: T, type: Type): T {
  elementTypes.set(value, type);
  return value;
}
export const containerType = (value: IValue[] | Map<IValue, IValue>): Type | undefined =>
  elementTypes.get(value);
