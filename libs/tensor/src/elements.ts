// Elements of host data as JavaScript values: typed arrays for each dtype, reading and writing single elements and nested
// lists. Half precision is stored as its 16 bits, complex as (real, imaginary) pairs.
import type { DType } from '@weft/ir';
import { Complex, OperatorError, dtypes, encodeElement } from '@weft/ir';

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  complex64: Float32Array,
  complex128: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const satisfies Record<DType, unknown>;

/** The bytes as entries of the dtype, without a copy where they are aligned. */
export function typedArrayOf(dtype: DType, bytes: Uint8Array): TypedArray {
  const Entries = arrays[dtype];
  const aligned = bytes.byteOffset % Entries.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return new Entries(
    aligned.buffer as ArrayBuffer,
    aligned.byteOffset,
    aligned.byteLength / Entries.BYTES_PER_ELEMENT,
  );
}

/** The dtype that a typed array holds; Uint16Array is uint16. */
export function dtypeOfArray(array: TypedArray): DType {
  const name = (Object.keys(arrays) as DType[]).find(
    (dtype) =>
      array instanceof arrays[dtype] && !['float16', 'bfloat16', 'complex64', 'complex128'].includes(dtype),
  );
  if (name === undefined)
    throw new OperatorError(`no dtype is held by a ${Object.prototype.toString.call(array)}`);
  return name;
}

/** The value of a float16 bit pattern. */
export function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1024 + mantissa) * 2 ** (exponent - 25);
}

const word = new Uint32Array(1);
const wordAsFloat = new Float32Array(word.buffer);
/** The value of a bfloat16 bit pattern. */
export function bfloat16Value(bits: number): number {
  word[0] = bits << 16;
  return wordAsFloat[0];
}

export type Element = number | bigint | boolean | Complex;

/** Reads element `index`: bigint for integers of 64 bits, number for the others, boolean, Complex. */
export function elementAt(dtype: DType, array: TypedArray, index: number): Element {
  switch (dtype) {
    case 'bool':
      return array[index] !== 0;
    case 'float16':
      return float16Value(array[index] as number);
    case 'bfloat16':
      return bfloat16Value(array[index] as number);
    case 'complex64':
    case 'complex128':
      return new Complex(array[2 * index] as number, array[2 * index + 1] as number);
    default:
      return array[index];
  }
}

/** Writes one element; values wrap or round to the dtype. */
export function writeElement(view: DataView, dtype: DType, index: number, value: Element): void {
  const at = index * dtypes[dtype].bytes;
  if (value instanceof Complex) {
    if (dtype === 'complex64') {
      view.setFloat32(at, value.re, true);
      view.setFloat32(at + 4, value.im, true);
    } else if (dtype === 'complex128') {
      view.setFloat64(at, value.re, true);
      view.setFloat64(at + 8, value.im, true);
    } else throw new OperatorError(`a complex number cannot be an element of a ${dtype} tensor`);
    return;
  }
  encodeElement(view, at, dtype, value);
}
