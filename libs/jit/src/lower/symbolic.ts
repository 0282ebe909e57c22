// Tensors of which only dtype and shape are known while a program is lowered. They are run-time values (TensorLike), so
// they live in lists, tuples and objects as eager tensors do. Mutation is by storage: a storage holds the core value that it
// has now; a view holds its parent and how it reads and writes it, so that all aliases see a write.
import type { Block, CoreBuilder, DType, IValue, TensorLike, TensorSpec, Value } from '@weft/ir';
import { UnsupportedError, specOf, tensorSpec } from '@weft/ir';
import type { Strided } from '@weft/ops';
import { contiguousStrides, hasRowMajorStrides } from '@weft/ops';
import type { Operator } from '@weft/tensor';

/**
 * What a storage holds: a core value of the base tensor's shape, whatever the strides in which the interpreter's lies.
 * `version` is a new object after every write.
 */
export class SymbolicStorage {
  version: object = {};
  /** Storages that this one may be when the graph runs, as data decides: which of them it is the graph does not know. */
  readonly mayBe = new Set<SymbolicStorage>();
  /** Whether another one may be this one. */
  private isShared = false;
  constructor(
    public value: Value,
    /** Of the base tensor in memory; row-major when absent. */
    readonly strides?: readonly number[],
  ) {}

  replace(value: Value): void {
    this.value = value;
    this.version = {};
  }

  /** Data may choose `other` in place of this one. */
  choose(other: SymbolicStorage): void {
    if (other === this) return;
    this.mayBe.add(other);
    for (const each of other.mayBe) this.mayBe.add(each);
    other.isShared = true;
  }

  /** Throws UnsupportedError when a write would have to reach another storage in some runs and not in others. */
  checkWritable(): void {
    if (!this.isShared && this.mayBe.size === 0) return;
    throw new UnsupportedError(
      'a tensor is changed in place that, as tensor data decides, may or may not be the same as another one; a compiled graph cannot tell. Change a copy (clone) of it',
    );
  }
}

/** How a view relates to the tensor it looks at. */
export interface ViewOf {
  readonly parent: SymbolicTensor;
  /** Where the view begins depends on data: its offset says nothing. */
  readonly isDynamic?: boolean;
  /** The call that makes it of its parent, and which of the views that it makes; absent where other arguments are tensors. */
  readonly made?: { readonly call: ViewCall; readonly output: number };
  read(b: CoreBuilder, parent: Value): Value;
  /** The parent's new value once the view holds `value`. */
  write(b: CoreBuilder, parent: Value, value: Value): Value;
}

/** A call of a view operator, one object for all views that it makes at once. Its first argument is the parent. */
export interface ViewCall {
  readonly operator: Operator;
  readonly args: readonly IValue[];
}

/** What kind of number a data-dependent scalar stands for. */
export type NumberKind = 'int' | 'float' | 'bool' | 'complex';

export class SymbolicTensor implements TensorLike, Strided {
  readonly isTensor = true;
  readonly dtype: DType;
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
  requiresGrad = false;
  private cache: { readonly version: object; readonly value: Value } | undefined;

  constructor(
    readonly storage: SymbolicStorage,
    spec: TensorSpec,
    geometry?: Strided,
    readonly view?: ViewOf,
    /** Set when this stands for a number of the program: a 0-d tensor of int64, float64, bool or complex128. */
    readonly numberKind?: NumberKind,
  ) {
    this.dtype = spec.dtype;
    this.sizes = spec.sizes;
    this.strides = geometry?.strides ?? storage.strides ?? contiguousStrides(spec.sizes);
    this.offset = geometry?.offset ?? 0;
  }

  /** A tensor of its own storage, row-major. */
  static of(value: Value, numberKind?: NumberKind): SymbolicTensor {
    return new SymbolicTensor(new SymbolicStorage(value), specOf(value), undefined, undefined, numberKind);
  }

  /** A tensor of its own storage that lies in the strides given. */
  static placed(value: Value, strides: readonly number[] | undefined): SymbolicTensor {
    return new SymbolicTensor(new SymbolicStorage(value, strides), specOf(value));
  }

  /** Whether the strides are those of row-major memory, in dimensions of size 1 too. */
  get hasRowMajorStrides(): boolean {
    return hasRowMajorStrides(this.sizes, this.strides);
  }

  /** Whether sizes, strides and offset say where in the storage the elements are. */
  get isPlaced(): boolean {
    return this.view === undefined || (this.view.isDynamic !== true && this.view.parent.isPlaced);
  }

  get shape(): readonly number[] {
    return this.sizes;
  }
  get spec(): TensorSpec {
    return tensorSpec(this.dtype, this.sizes);
  }

  /** The core value that the tensor has now, in the scope of the builder's insertion point. */
  read(b: CoreBuilder): Value {
    if (this.view === undefined) return this.storage.value;
    const { version } = this.storage;
    if (this.cache?.version === version && isInScope(b, this.cache.value)) return this.cache.value;
    const value = this.view.read(b, this.view.parent.read(b));
    this.cache = { version, value };
    return value;
  }

  /** Gives the tensor new contents, of its dtype and shape; its storage and so all aliases change. */
  write(b: CoreBuilder, value: Value): void {
    if (this.view === undefined) {
      this.storage.checkWritable();
      this.storage.replace(value);
    } else this.view.parent.write(b, this.view.write(b, this.view.parent.read(b), value));
  }
}

export const numberDType = { int: 'int64', float: 'float64', bool: 'bool', complex: 'complex128' } as const;

/** Whether a value may be used where the builder inserts: its block encloses that place. */
export function isInScope(b: CoreBuilder, value: Value): boolean {
  const here: Block = b.graph.getInsertPoint().block!;
  return value.node.block!.encloses(here);
}

export const isSymbolic = (value: unknown): value is SymbolicTensor => value instanceof SymbolicTensor;
export const isSymbolicNumber = (value: unknown): value is SymbolicTensor =>
  value instanceof SymbolicTensor && value.numberKind !== undefined;

/** `float32[2, 3]`, for messages. */
export const describeSpec = (spec: TensorSpec): string => `${spec.dtype}[${spec.sizes.join(', ')}]`;
