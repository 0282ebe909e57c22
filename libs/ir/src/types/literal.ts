// Elements of tensor literals: making literals from numbers and reading them back.
import { encodeElement } from './element-encoding.ts';
import type { DType } from './dtype.ts';
import { dtypes, isComplex } from './dtype.ts';
import { Complex, TensorLiteral } from './ivalue.ts';
import { numel } from './types.ts';

/** 64-bit integers are bigints, other integers and floats numbers. */
export type Element = number | bigint | boolean | Complex;

/** A literal with these elements in row-major order. Values wrap or round to the dtype. */
export function literalOf(
  dtype: DType,
  shape: readonly number[],
  elements: readonly Element[],
): TensorLiteral {
  const size = dtypes[dtype].bytes;
  const bytes = new Uint8Array(elements.length * size);
  const view = new DataView(bytes.buffer);
  elements.forEach((element, index) => {
    if (!(element instanceof Complex)) return encodeElement(view, index * size, dtype, element);
    const part = dtype === 'complex128' ? 'float64' : 'float32';
    encodeElement(view, index * size, part, element.re);
    if (isComplex(dtype)) encodeElement(view, index * size + size / 2, part, element.im);
  });
  return new TensorLiteral(dtype, shape, bytes);
}

/** All elements, those of a splat repeated. */
export function literalElements(literal: TensorLiteral): Element[] {
  const { bytes, dtype, shape, splat } = literal;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = dtypes[dtype].bytes;
  return Array.from({ length: numel(shape) }, (_, index) =>
    readElement(view, splat ? 0 : index * size, dtype),
  );
}

/** The element at a byte offset. */
export function readElement(view: DataView, offset: number, dtype: DType): Element {
  switch (dtype) {
    case 'bool':
      return view.getUint8(offset) !== 0;
    case 'uint8':
      return view.getUint8(offset);
    case 'int8':
      return view.getInt8(offset);
    case 'int16':
      return view.getInt16(offset, true);
    case 'uint16':
      return view.getUint16(offset, true);
    case 'int32':
      return view.getInt32(offset, true);
    case 'uint32':
      return view.getUint32(offset, true);
    case 'int64':
      return view.getBigInt64(offset, true);
    case 'uint64':
      return view.getBigUint64(offset, true);
    case 'float16':
      return halfToNumber(view.getUint16(offset, true));
    case 'bfloat16': {
      const wide = new DataView(new ArrayBuffer(4));
      wide.setUint16(0, view.getUint16(offset, true));
      return wide.getFloat32(0);
    }
    case 'float32':
      return view.getFloat32(offset, true);
    case 'float64':
      return view.getFloat64(offset, true);
    case 'complex64':
      return new Complex(view.getFloat32(offset, true), view.getFloat32(offset + 4, true));
    case 'complex128':
      return new Complex(view.getFloat64(offset, true), view.getFloat64(offset + 8, true));
    default:
      return dtype satisfies never;
  }
}

function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
