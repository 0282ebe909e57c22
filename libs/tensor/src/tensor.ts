// The eager tensor: dtype, sizes, strides and an offset into a storage that views share, plus what autograd attaches. Its
// operators are installed from the schemas (methods.ts); here is what is not an operator.
import type { Device } from '@weft/devices';
import type { DType, TensorLike, TensorSpec } from '@weft/ir';
import { Complex, OperatorError, TensorLiteral, dtypes, numel, tensorSpec } from '@weft/ir';
import type { Strided, Viewed } from '@weft/ops';
import { contiguousStrides, hasRowMajorStrides, isRowMajor } from '@weft/ops';
import type { BackwardOptions } from './autograd/engine.ts';
import type { Edge, GradNode, TensorHook } from './autograd/node.ts';
import { AccumulateGrad } from './autograd/node.ts';
import type { ViewOf } from './autograd/views.ts';
import { regenerateViewNode } from './autograd/views.ts';
import { deviceName } from './devices.ts';
import { callOperator } from './dispatch/call.ts';
import type { Element, TypedArray } from './elements.ts';
import { elementAt, typedArrayOf } from './elements.ts';
import type { TensorMethods } from './methods.generated.ts';
import { printTensor } from './print.ts';
import { Storage } from './storage.ts';
import { gatherStrided, scatterStrided } from './strided-copy.ts';

/** Nested lists of elements, as `tolist` returns them. */
export type NestedList = Element | NestedList[];

/** What autograd knows of a tensor; absent on tensors that it never met. */
export interface GradMeta {
  /** Set on leaves by the user; results require gradients when they have a node. */
  requiresGrad: boolean;
  grad: Tensor | null;
  /** The node that made this tensor and which of its outputs it is; null for leaves. */
  edge: Edge | null;
  accumulator: AccumulateGrad | null;
  retainsGrad: boolean;
  hooks: Set<TensorHook> | null;
  /** For differentiable views: the tensor they look at and how. */
  view: ViewOf | null;
}

// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-object-type -- operators are installed on the prototype
export interface Tensor extends TensorMethods {}

// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging
export class Tensor implements TensorLike, Viewed {
  readonly isTensor = true;
  /** @internal */
  meta: GradMeta | null = null;
  private key: string | undefined;
  private rowMajor: boolean | undefined;
  private rowMajorStrides: boolean | undefined;

  /** @internal Tensors are made by `tensor`, `zeros`, `fromTypedArray` and by operators. */
  constructor(
    public storage: Storage,
    public dtype: DType,
    public sizes: readonly number[],
    public strides: readonly number[],
    public offset: number,
  ) {}

  /** A row-major tensor with undefined contents. */
  static allocate(dtype: DType, sizes: readonly number[], device: Device): Tensor {
    const storage = Storage.allocate(device, numel(sizes) * dtypes[dtype].bytes);
    return Tensor.rowMajorOn(storage, dtype, sizes, contiguousStrides(sizes));
  }

  /** @internal The whole of a storage, with the strides of row-major memory. */
  static rowMajorOn(
    storage: Storage,
    dtype: DType,
    sizes: readonly number[],
    strides: readonly number[],
  ): Tensor {
    const result = new Tensor(storage, dtype, sizes, strides, 0);
    result.rowMajor = result.rowMajorStrides = true;
    return result;
  }

  /** A tensor with the contents of a literal. */
  static fromLiteral(literal: TensorLiteral, device: Device): Tensor {
    const result = Tensor.allocate(literal.dtype, literal.shape, device);
    const count = numel(literal.shape);
    if (!literal.splat) result.storage.write(0, literal.bytes);
    else if (count > 0) {
      const bytes = new Uint8Array(count * literal.bytes.length);
      for (let at = 0; at < bytes.length; at += literal.bytes.length) bytes.set(literal.bytes, at);
      result.storage.write(0, bytes);
    }
    return result;
  }

  get shape(): readonly number[] {
    return this.sizes;
  }
  get ndim(): number {
    return this.sizes.length;
  }
  /** Whether this is a batch of tensors of different sizes (NestedTensor), which has no sizes and memory of its own. */
  get isNested(): boolean {
    return false;
  }
  get spec(): TensorSpec {
    return tensorSpec(this.dtype, this.sizes);
  }
  /** The device by its name in programs: `cpu`, `webgpu:0`. */
  get device(): string {
    return deviceName(this.storage.device);
  }

  /** @internal dtype and sizes as a string, for caches. */
  get specKey(): string {
    return (this.key ??= `${this.dtype}[${this.sizes.join()}]`);
  }
  /** @internal */
  get isRowMajor(): boolean {
    return (this.rowMajor ??= isRowMajor(this.sizes, this.strides));
  }
  /** @internal Whether the strides are those of row-major memory, in dimensions of size 1 too. */
  get hasRowMajorStrides(): boolean {
    return (this.rowMajorStrides ??= hasRowMajorStrides(this.sizes, this.strides));
  }
  /** @internal How many elements the whole storage has. */
  get elements(): number {
    return Math.floor(this.storage.byteLength / dtypes[this.dtype].bytes);
  }
  /** @internal Replaces storage and geometry in place, as `resize_` and `set_` do. */
  setGeometry(storage: Storage, sizes: readonly number[], strides: readonly number[], offset: number): void {
    this.storage = storage;
    this.sizes = sizes;
    this.strides = strides;
    this.offset = offset;
    this.key = this.rowMajor = this.rowMajorStrides = undefined;
  }

  /** @internal A tensor on the same storage that autograd does not know. */
  onStorage({ sizes, strides, offset }: Strided, dtype: DType = this.dtype): Tensor {
    return new Tensor(this.storage, dtype, sizes, strides, offset);
  }

  // ---- contents -------------------------------------------------------------------------------------------------

  /** Row-major bytes: the memory itself when it is row-major on a host device, else a copy. */
  bytes(): Uint8Array {
    const width = dtypes[this.dtype].bytes;
    const length = numel(this.sizes) * width;
    this.storage.shown();
    if (this.isRowMajor) return this.storage.read(this.offset * width, length);
    const copy = new Uint8Array(length);
    gatherStrided(this.storage.read(0, this.storage.byteLength), this, width, copy);
    return copy;
  }

  /** @internal Overwrites the elements with row-major bytes. */
  writeBytes(bytes: Uint8Array): void {
    const width = dtypes[this.dtype].bytes;
    if (this.isRowMajor) return this.storage.write(this.offset * width, bytes);
    const own = this.storage.hostBytes;
    const whole = own ?? this.storage.read(0, this.storage.byteLength);
    scatterStrided(bytes, whole, this, width);
    if (own === undefined) this.storage.write(0, whole);
    else this.storage.changed();
  }

  /**
   * The elements, row-major, as a typed array: half-precision numbers as their bits, complex ones as pairs. Writing to it
   * writes to the tensor only when the tensor is contiguous and on a host device.
   */
  get data(): TypedArray {
    return typedArrayOf(this.dtype, this.bytes());
  }

  /** The contents as a literal, for graphs and archives. It views the memory where it can; copy it to keep it. */
  toLiteral(): TensorLiteral {
    return new TensorLiteral(this.dtype, this.sizes, this.bytes());
  }

  /** The contents from a device that can only be read asynchronously. */
  async toHost(): Promise<TensorLiteral> {
    const width = dtypes[this.dtype].bytes;
    const whole = await this.storage.readAsync(0, this.storage.byteLength);
    const bytes = new Uint8Array(numel(this.sizes) * width);
    gatherStrided(whole, this, width, bytes);
    return new TensorLiteral(this.dtype, this.sizes, bytes);
  }

  /** The only element; bigint for int64, boolean for bool. Throws OperatorError when there is not exactly one. */
  element(): Element {
    if (numel(this.sizes) !== 1) {
      throw new OperatorError('only one element tensors can be converted to Python scalars');
    }
    const width = dtypes[this.dtype].bytes;
    return elementAt(this.dtype, typedArrayOf(this.dtype, this.storage.read(this.offset * width, width)), 0);
  }

  /** The only element as a number (bool as 0 or 1, complex not at all). Throws OperatorError when there are several. */
  item(): number {
    const value = callOperator('aten::item', [this]) as Element;
    if (value instanceof Complex) {
      throw new OperatorError(`item() of a ${this.dtype} tensor is no number: use element()`);
    }
    return Number(value);
  }

  /** The elements as nested lists: numbers (int64 too, which must be below 2^53), booleans, Complex. */
  tolist(): NestedList {
    const data = this.data;
    let at = 0;
    const next = (): Element => {
      const value = elementAt(this.dtype, data, at++);
      return typeof value === 'bigint' ? Number(value) : value;
    };
    const list = (dim: number): NestedList =>
      dim === this.sizes.length ? next() : Array.from({ length: this.sizes[dim] }, () => list(dim + 1));
    return list(0);
  }

  /** As PyTorch prints it: `tensor([1., 2.], requires_grad=True)`. */
  toString(): string {
    return printTensor(this);
  }

  /** What `console.log` shows. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return printTensor(this);
  }

  // ---- autograd -------------------------------------------------------------------------------------------------

  /** @internal */
  get gradMeta(): GradMeta {
    return (this.meta ??= {
      requiresGrad: false,
      grad: null,
      edge: null,
      accumulator: null,
      retainsGrad: false,
      hooks: null,
      view: null,
    });
  }

  /** @internal The node this tensor comes from; that of a view is made again after its base changed in place. */
  get edge(): Edge | null {
    const meta = this.meta;
    if (meta === null) return null;
    if (meta.view !== null) regenerateViewNode(this, meta, meta.view);
    return meta.edge;
  }

  /** @internal Where a gradient for this tensor goes; null when it requires none. */
  get gradEdge(): Edge | null {
    const edge = this.edge;
    if (edge !== null) return edge;
    const meta = this.meta;
    if (meta === null || !meta.requiresGrad) return null;
    return (meta.accumulator ??= new AccumulateGrad(this)).edge;
  }

  get requiresGrad(): boolean {
    return this.meta !== null && (this.meta.requiresGrad || this.edge !== null);
  }
  set requiresGrad(on: boolean) {
    if (this.edge !== null) {
      if (on) return;
      throw new OperatorError(
        "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach().",
      );
    }
    if (on && !['float', 'complex'].includes(dtypes[this.dtype].category)) {
      throw new OperatorError('only Tensors of floating point and complex dtype can require gradients');
    }
    if (on || this.meta !== null) this.gradMeta.requiresGrad = on;
  }

  /** Whether no recorded operator made this tensor. */
  get isLeaf(): boolean {
    return this.edge === null;
  }
  get gradFn(): GradNode | null {
    return this.edge?.node ?? null;
  }
  /** The gradient accumulated by `backward`, on leaves and on tensors that called `retainGrad`. */
  get grad(): Tensor | null {
    return this.meta?.grad ?? null;
  }
  set grad(value: Tensor | null) {
    if (value !== null && (value.dtype !== this.dtype || value.specKey !== this.specKey)) {
      throw new OperatorError(
        `assigned grad has data of a different size or type: ${value.specKey} for ${this.specKey}`,
      );
    }
    this.gradMeta.grad = value;
  }

  /**
   * Adds the gradients of this tensor, weighted by `gradient` (which may be left out when it has one element), to the
   * `grad` of the leaves that it depends on.
   */
  backward(gradient: Tensor | null = null, options: BackwardOptions = {}): void {
    const { retainGraph = null, createGraph = false } = options;
    callOperator('aten::backward', [this, gradient, retainGraph, createGraph]);
  }

  /** Keeps the gradient of a tensor that is no leaf in `grad` when a backward pass comes by. */
  retainGrad(): void {
    const edge = this.edge;
    if (edge === null) {
      if (this.requiresGrad) return;
      throw new OperatorError("can't retain_grad on Tensor that has requires_grad=False");
    }
    this.gradMeta.retainsGrad = true;
    (edge.node.retainers ??= new Map()).set(edge.index, this);
  }

  /**
   * Calls `hook` with every gradient computed for this tensor; a tensor that it returns replaces the gradient. Returns
   * a function that removes the hook.
   */
  registerHook(hook: TensorHook): () => void {
    const edge = this.edge;
    let hooks: Set<TensorHook>;
    if (edge === null) {
      if (!this.requiresGrad) {
        throw new OperatorError("cannot register a hook on a tensor that doesn't require gradient");
      }
      hooks = this.gradMeta.hooks ??= new Set();
    } else {
      const byOutput = (edge.node.hooks ??= new Map<number, Set<TensorHook>>());
      hooks = byOutput.get(edge.index) ?? new Set();
      byOutput.set(edge.index, hooks);
    }
    hooks.add(hook);
    return () => hooks.delete(hook);
  }

  /** Counts in-place changes of the storage. */
  get version(): number {
    return this.storage.version;
  }
}
