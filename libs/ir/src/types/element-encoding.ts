// Elements of tensors as bytes: how a number of JavaScript is written in each dtype, and the least and greatest of each.
import type { DType } from './dtype.ts';
import { dtypes } from './dtype.ts';
import { TensorLiteral } from './ivalue.ts';
import { numel } from './types.ts';

/** A literal with `value` everywhere. Values wrap or round to the dtype. */
export function splatLiteral(
  value: number | bigint | boolean,
  dtype: DType,
  sizes: readonly number[],
): TensorLiteral {
  const bytes = new Uint8Array(dtypes[dtype].bytes);
  encodeElement(new DataView(bytes.buffer), 0, dtype, value);
  return new TensorLiteral(dtype, sizes, bytes, numel(sizes) !== 1);
}

/** Writes one element at byte `offset`; the imaginary part of complex numbers is zero. */
export function encodeElement(
  view: DataView,
  offset: number,
  dtype: DType,
  value: number | bigint | boolean,
): void {
  const integer = () => (typeof value === 'bigint' ? value : BigInt(Math.trunc(Number(value))));
  switch (dtype) {
    case 'bool':
      return view.setUint8(offset, value ? 1 : 0);
    case 'uint8':
    case 'int8':
      return view.setUint8(offset, Number(BigInt.asUintN(8, integer())));
    case 'int16':
    case 'uint16':
      return view.setUint16(offset, Number(BigInt.asUintN(16, integer())), true);
    case 'int32':
    case 'uint32':
      return view.setUint32(offset, Number(BigInt.asUintN(32, integer())), true);
    case 'int64':
    case 'uint64':
      return view.setBigUint64(offset, BigInt.asUintN(64, integer()), true);
    case 'float16':
      return view.setUint16(offset, float16Bits(Number(value)), true);
    case 'bfloat16':
      return view.setUint16(offset, bfloat16Bits(Number(value)), true);
    case 'float32':
    case 'complex64':
      return view.setFloat32(offset, Number(value), true);
    case 'float64':
    case 'complex128':
      return view.setFloat64(offset, Number(value), true);
    default:
      dtype satisfies never;
  }
}

const scratch = new DataView(new ArrayBuffer(8));

/** Rounds to nearest even; too large becomes infinity. */
export function bfloat16Bits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Rounds a double once, to nearest even, to IEEE half precision. */
export function float16Bits(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  const exponent = magnitude < 2 ** -14 ? -14 : Math.floor(Math.log2(magnitude));
  // Math.log2 may be one off beside powers of two.
  const fixed =
    magnitude >= 2 ** (exponent + 1)
      ? exponent + 1
      : magnitude < 2 ** exponent && exponent > -14
        ? exponent - 1
        : exponent;
  const scaled = magnitude / 2 ** (fixed - 10);
  let mantissa = Math.floor(scaled);
  const rest = scaled - mantissa;
  if (rest > 0.5 || (rest === 0.5 && (mantissa & 1) === 1)) mantissa++;
  return sign | (magnitude < 2 ** -14 ? mantissa : ((fixed + 15) << 10) + (mantissa - 1024));
}

/** The least value of the dtype: minus infinity for floats. */
export function lowestOf(dtype: DType): number | bigint | boolean {
  const { category, bytes } = dtypes[dtype];
  if (category === 'float' || category === 'complex') return -Infinity;
  if (category === 'bool') return false;
  return category === 'uint' ? 0n : -(1n << BigInt(bytes * 8 - 1));
}

/** The greatest value of the dtype: infinity for floats. */
export function highestOf(dtype: DType): number | bigint | boolean {
  const { category, bytes } = dtypes[dtype];
  if (category === 'float' || category === 'complex') return Infinity;
  if (category === 'bool') return true;
  return category === 'uint' ? (1n << BigInt(bytes * 8)) - 1n : (1n << BigInt(bytes * 8 - 1)) - 1n;
}
