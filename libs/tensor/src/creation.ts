// New tensors from JavaScript values: numbers, nested lists, typed arrays, literals.
import type { DType, IValue } from '@weft/ir';
import { Complex, OperatorError, TensorLiteral, dtypes, numel } from '@weft/ir';
import { deviceNamed, hostDevice } from './devices.ts';
import { expectDType } from './dtype-names.ts';
import type { Element, TypedArray } from './elements.ts';
import { dtypeOfArray, writeElement } from './elements.ts';
import { Tensor } from './tensor.ts';

/** Numbers, booleans, Complex, or (nested) lists of them, all of one length in each dimension. */
export type TensorData = Element | readonly TensorData[] | TypedArray | Tensor;

export interface TensorOptions {
  dtype?: DType;
  device?: string;
  requiresGrad?: boolean;
}

/**
 * A new tensor with the elements of nested lists. Without a dtype, booleans make bool, whole numbers int64, others
 * float32, as in PyTorch: JavaScript does not tell `1.0` from `1`, so ask for `dtype: 'float32'` where it matters.
 */
export function tensor(data: TensorData, options: TensorOptions = {}): Tensor {
  if (options.dtype !== undefined) expectDType('tensor()', options.dtype);
  if (data instanceof Tensor) {
    const copy = data.detach().clone() as Tensor;
    return finish(options.dtype === undefined ? copy : (copy.to(options.dtype) as Tensor), options);
  }
  if (ArrayBuffer.isView(data)) {
    const made = fromTypedArray(data, [data.length], options);
    return options.dtype === undefined || made.dtype === options.dtype
      ? made
      : finish(made.detach().to(options.dtype) as Tensor, options);
  }
  const sizes = shapeOf(data as Element);
  const elements: Element[] = [];
  flatten(data as Element, sizes, 0, elements);
  const dtype = options.dtype ?? commonDType(elements);
  const bytes = new Uint8Array(numel(sizes) * dtypes[dtype].bytes);
  const view = new DataView(bytes.buffer);
  elements.forEach((element, index) => writeElement(view, dtype, index, checked(element, dtype)));
  const device = options.device === undefined ? hostDevice() : deviceNamed(options.device);
  return finish(Tensor.fromLiteral(new TensorLiteral(dtype, sizes, bytes), device), options);
}

function finish(made: Tensor, { requiresGrad }: TensorOptions): Tensor {
  if (requiresGrad === true) made.requiresGrad = true;
  return made;
}

function checked(element: Element, dtype: DType): Element {
  const { category } = dtypes[dtype];
  if (
    typeof element === 'number' &&
    !Number.isFinite(element) &&
    (category === 'int' || category === 'uint')
  ) {
    throw new OperatorError(`cannot convert float ${element} to ${dtype}`);
  }
  return element;
}

function shapeOf(data: TensorData): number[] {
  const sizes: number[] = [];
  for (let level: TensorData = data; Array.isArray(level); level = level[0] as TensorData) {
    sizes.push(level.length);
    if (level.length === 0) break;
  }
  return sizes;
}

function flatten(data: TensorData, sizes: readonly number[], dim: number, into: Element[]): void {
  if (dim === sizes.length) {
    if (Array.isArray(data) || data instanceof Tensor) throw uneven(sizes, dim, data);
    into.push(data as Element);
    return;
  }
  if (!Array.isArray(data) || data.length !== sizes[dim]) throw uneven(sizes, dim, data);
  for (const item of data as TensorData[]) flatten(item, sizes, dim + 1, into);
}

function uneven(sizes: readonly number[], dim: number, data: TensorData): OperatorError {
  const found = Array.isArray(data) ? data.length : 'a single element';
  return new OperatorError(`Expected sequence of length ${sizes[dim] ?? 0} at dim ${dim} (got ${found})`);
}

function commonDType(elements: readonly Element[]): DType {
  let dtype: DType = elements.length === 0 ? 'float32' : 'bool';
  for (const element of elements) {
    if (element instanceof Complex) return 'complex64';
    if (
      typeof element === 'bigint' ||
      (typeof element === 'number' && Number.isInteger(element) && !Object.is(element, -0))
    ) {
      if (dtype === 'bool') dtype = 'int64';
    } else if (typeof element === 'number') dtype = 'float32';
  }
  return dtype;
}

/**
 * A tensor with a copy of a typed array's elements; its dtype follows from the array unless given (which then says how to
 * read the entries: Uint16Array as float16 or bfloat16, Float32Array as complex64 …).
 */
export function fromTypedArray(
  array: TypedArray,
  shape: readonly number[],
  options: TensorOptions = {},
): Tensor {
  const own = dtypeOfArray(array);
  const readsAs = options.dtype ?? own;
  const dtype = sameStorage(own, readsAs) ? readsAs : own;
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  if (numel(shape) * dtypes[dtype].bytes !== bytes.byteLength) {
    throw new OperatorError(
      `an array of ${array.length} entries does not fill a ${dtype} tensor of shape [${shape.join(', ')}]`,
    );
  }
  const device = options.device === undefined ? hostDevice() : deviceNamed(options.device);
  return finish(Tensor.fromLiteral(new TensorLiteral(dtype, [...shape], bytes), device), options);
}

/** Dtypes whose elements are held by the same kind of typed array. */
const readings: Partial<Record<DType, readonly DType[]>> = {
  uint16: ['float16', 'bfloat16'],
  uint8: ['bool'],
  float32: ['complex64'],
  float64: ['complex128'],
};
const sameStorage = (own: DType, other: DType): boolean =>
  own === other || (readings[own]?.includes(other) ?? false);

/** A zero-dimensional tensor of the dtype that the number has on its own. */
export function scalarTensor(value: bigint | number | boolean | Complex, dtype?: DType): Tensor {
  const own = { bigint: 'int64', number: 'float32', boolean: 'bool', object: 'complex64' } as const;
  return tensor(value, { dtype: dtype ?? own[typeof value as keyof typeof own] });
}

/** A tensor from what interpreters hold: a literal of a graph or archive becomes an eager tensor, tensors stay. */
export function toTensor(value: IValue): Tensor {
  if (value instanceof Tensor) return value;
  if (value instanceof TensorLiteral) return Tensor.fromLiteral(value, hostDevice());
  throw new OperatorError('a tensor is expected');
}
