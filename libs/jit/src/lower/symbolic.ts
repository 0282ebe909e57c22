// Tensors of which only dtype and shape are known while a program is lowered. They are run-time values (TensorLike), so
// they live in lists, tuples and objects as eager tensors do. Mutation is by storage: a storage holds the core value that it
// has now; a view holds its parent and how it reads and writes it, so that all aliases see a write.
import type { Block, CoreBuilder, DType, TensorLike, TensorSpec, Value } from '@weft/ir';
import { specOf, tensorSpec } from '@weft/ir';
import type { Strided } from '@weft/ops';
import { contiguousStrides } from '@weft/ops';

/** What a storage holds: a core value of the base tensor's shape. `version` is a new object after every write. */
export class SymbolicStorage {
  version: object = {};
  constructor(public value: Value) {}

  replace(value: Value): void {
    this.value = value;
    this.version = {};
  }
}

/** How a view relates to the tensor it looks at. */
export interface ViewOf {
  readonly parent: SymbolicTensor;
  /** Where the view begins depends on data: its offset says nothing. */
  readonly isDynamic?: boolean;
  read(b: CoreBuilder, parent: Value): Value;
  /** The parent's new value once the view holds `value`. */
  write(b: CoreBuilder, parent: Value, value: Value): Value;
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
    this.strides = geometry?.strides ?? contiguousStrides(spec.sizes);
    this.offset = geometry?.offset ?? 0;
  }

  /** A tensor of its own storage. */
  static of(value: Value, numberKind?: NumberKind): SymbolicTensor {
    return new SymbolicTensor(new SymbolicStorage(value), specOf(value), undefined, undefined, numberKind);
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
    if (this.view === undefined) this.storage.replace(value);
    else this.view.parent.write(b, this.view.write(b, this.view.parent.read(b), value));
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
