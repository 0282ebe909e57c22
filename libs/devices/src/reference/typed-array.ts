// How the reference device sees tensor memory: one typed array a tensor, flat and row-major. Half-precision numbers are
// their 16 bits, complex numbers (real, imaginary) pairs, bool a byte.
import type { DType, TensorLiteral } from '@weft/ir';
import { InternalError, dtypes, isComplex, numel } from '@weft/ir';

export type NumberArray =
  Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | Float32Array | Float64Array;
export type BigArray = BigInt64Array | BigUint64Array;
export type TypedArray = NumberArray | BigArray;

const constructors = {
  bool: Uint8Array,
  uint8: Uint8Array,
  int8: Int8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  complex64: Float32Array,
  complex128: Float64Array,
} as const satisfies Record<DType, unknown>;

/** Array entries an element takes: two for complex dtypes. */
export const lanes = (dtype: DType): number => (isComplex(dtype) ? 2 : 1);

/** Whether elements are held as bigint. */
export const isBig = (dtype: DType): dtype is 'int64' | 'uint64' => dtype === 'int64' || dtype === 'uint64';

/** A view of `count` elements of `dtype` at `byteOffset`, which is a multiple of the array's entry size. */
export function viewOf(dtype: DType, memory: ArrayBufferLike, byteOffset: number, count: number): TypedArray {
  switch (dtype) {
    case 'float32':
      return new Float32Array(memory, byteOffset, count);
    case 'bool':
    case 'uint8':
      return new Uint8Array(memory, byteOffset, count);
    default:
      return new constructors[dtype](memory as ArrayBuffer, byteOffset, count * lanes(dtype));
  }
}

/** A zeroed array of `count` elements of its own. */
export const arrayOf = (dtype: DType, count: number): TypedArray =>
  new constructors[dtype](count * lanes(dtype));

/** The elements of a literal as an array of its own, splats written out. */
export function arrayOfLiteral(literal: TensorLiteral): TypedArray {
  const count = numel(literal.shape);
  const stored = literal.splat ? 1 : count;
  const bytes = dtypes[literal.dtype].bytes * stored;
  if (literal.bytes.byteLength < bytes) {
    throw new InternalError(
      `a ${literal.dtype} literal of ${stored} elements has ${literal.bytes.byteLength} bytes`,
    );
  }
  const array = arrayOf(literal.dtype, count);
  const own = new Uint8Array(array.buffer);
  if (!literal.splat || count === 0) own.set(literal.bytes.subarray(0, own.byteLength));
  else {
    own.set(literal.bytes.subarray(0, bytes));
    for (let filled = bytes; filled < own.byteLength; filled *= 2) own.copyWithin(filled, 0, filled);
  }
  return array;
}

/** Row-major strides in elements. */
export function stridesOf(sizes: readonly number[]): number[] {
  const strides = new Array<number>(sizes.length);
  let stride = 1;
  for (let dimension = sizes.length - 1; dimension >= 0; dimension--) {
    strides[dimension] = stride;
    stride *= sizes[dimension];
  }
  return strides;
}

/** Offsets of every element of a strided box, in row-major order of `sizes`. */
export function offsetsOf(sizes: readonly number[], strides: readonly number[], start = 0): Int32Array {
  const offsets = new Int32Array(numel(sizes));
  if (offsets.length === 0) return offsets;
  offsets[0] = start;
  let filled = 1;
  // Built from the innermost dimension outwards: each dimension repeats what is there, shifted.
  for (let dimension = sizes.length - 1; dimension >= 0; dimension--) {
    const block = filled;
    for (let index = 1; index < sizes[dimension]; index++) {
      const shift = index * strides[dimension];
      for (let element = 0; element < block; element++) offsets[filled++] = offsets[element] + shift;
    }
  }
  return offsets;
}
