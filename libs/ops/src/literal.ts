// Reading and writing the data of tensor literals: what kernels and data checks work on.
import type { DType } from '@weft/ir';
import { TensorLiteral, dtypes, encodeElement, isComplex, isFloatingPoint, numel, realDType } from '@weft/ir';

/** One element of a literal's bytes as a number; complex numbers give their real part. */
function reader(literal: TensorLiteral): (index: number) => number | bigint {
  const { bytes, dtype } = literal;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = dtypes[dtype].bytes;
  const at = (index: number): number => (literal.splat ? 0 : index * width);
  switch (dtype) {
    case 'bool':
    case 'uint8':
      return (index) => view.getUint8(at(index));
    case 'int8':
      return (index) => view.getInt8(at(index));
    case 'int16':
      return (index) => view.getInt16(at(index), true);
    case 'uint16':
      return (index) => view.getUint16(at(index), true);
    case 'int32':
      return (index) => view.getInt32(at(index), true);
    case 'uint32':
      return (index) => view.getUint32(at(index), true);
    case 'int64':
      return (index) => view.getBigInt64(at(index), true);
    case 'uint64':
      return (index) => view.getBigUint64(at(index), true);
    case 'float16':
      return (index) => halfValue(view.getUint16(at(index), true));
    case 'bfloat16':
      return (index) => bfloatValue(view.getUint16(at(index), true));
    case 'float32':
    case 'complex64':
      return (index) => view.getFloat32(at(index), true);
    case 'float64':
    case 'complex128':
      return (index) => view.getFloat64(at(index), true);
    default:
      return dtype satisfies never;
  }
}

function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

const word = new DataView(new ArrayBuffer(4));
function bfloatValue(bits: number): number {
  word.setUint32(0, bits << 16);
  return word.getFloat32(0);
}

/** All elements as numbers (64-bit integers lose what a double cannot hold). Complex: real and imaginary in turn. */
export function numbersOf(literal: TensorLiteral): Float64Array {
  const parts = isComplex(literal.dtype) ? 2 : 1;
  const count = numel(literal.shape) * parts;
  const result = new Float64Array(count);
  const flat =
    parts === 1
      ? literal
      : new TensorLiteral(realDType(literal.dtype), [literal.splat ? 2 : count], literal.bytes);
  const read = reader(flat);
  for (let index = 0; index < count; index++) {
    result[index] = Number(read(parts === 2 && literal.splat ? index % 2 : index));
  }
  return result;
}

/** All elements as exact integers. */
export function integersOf(literal: TensorLiteral): bigint[] {
  const read = reader(literal);
  return Array.from({ length: numel(literal.shape) }, (_, index) => BigInt(read(index)));
}

/** A literal of the dtype; values wrap or round to it. Complex dtypes take real and imaginary in turn. */
export function literalOf(
  dtype: DType,
  shape: readonly number[],
  values: ArrayLike<number> | readonly bigint[],
): TensorLiteral {
  const element = isComplex(dtype) ? realDType(dtype) : dtype;
  const width = dtypes[element].bytes;
  const bytes = new Uint8Array(values.length * width);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    encodeElement(view, index * width, element, isFloatingPoint(element) ? Number(value) : value);
  }
  return new TensorLiteral(dtype, shape, bytes);
}

/** Bytes of each element of a literal, in row-major order, without a splat. */
export function elementBytes(literal: TensorLiteral): Uint8Array {
  if (!literal.splat) return literal.bytes;
  const width = dtypes[literal.dtype].bytes;
  const result = new Uint8Array(numel(literal.shape) * width);
  for (let offset = 0; offset < result.length; offset += width)
    result.set(literal.bytes.subarray(0, width), offset);
  return result;
}

/** The elements at the given row-major positions, in that order, with a new shape. */
export function pick(
  literal: TensorLiteral,
  positions: ArrayLike<number>,
  shape: readonly number[],
): TensorLiteral {
  const width = dtypes[literal.dtype].bytes;
  const from = elementBytes(literal);
  const bytes = new Uint8Array(positions.length * width);
  for (let index = 0; index < positions.length; index++) {
    const start = positions[index] * width;
    bytes.set(from.subarray(start, start + width), index * width);
  }
  return new TensorLiteral(literal.dtype, shape, bytes);
}
