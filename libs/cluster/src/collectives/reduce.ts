// Combining two buffers of one dtype element by element, in place. Sums of 16-bit floats are made in float32 and rounded
// once; integers wrap; bool sums are "or" and products "and"; NaN wins in max and min, as PyTorch's all_reduce has it.
import type { DType } from '@weft/ir';
import { UnsupportedError, bfloat16Bits, float16Bits } from '@weft/ir';

export type Reduction = 'sum' | 'max' | 'min' | 'prod';

type Numbers =
  Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | Float32Array | Float64Array;
type Bigints = BigInt64Array | BigUint64Array;

/** `accumulator[i] = accumulator[i] (reduction) other[i]`. Both hold whole elements of `dtype`, aligned to them. */
export function reduceInto(
  dtype: DType,
  reduction: Reduction,
  accumulator: Uint8Array,
  other: Uint8Array,
): void {
  switch (dtype) {
    case 'bool':
      return reduceBool(reduction, accumulator, other);
    case 'uint8':
      return reduceNumbers(reduction, accumulator, other, true);
    case 'int8':
      return reduceNumbers(reduction, view(Int8Array, accumulator), view(Int8Array, other), true);
    case 'int16':
      return reduceNumbers(reduction, view(Int16Array, accumulator), view(Int16Array, other), true);
    case 'uint16':
      return reduceNumbers(reduction, view(Uint16Array, accumulator), view(Uint16Array, other), true);
    case 'int32':
      return reduceNumbers(reduction, view(Int32Array, accumulator), view(Int32Array, other), true);
    case 'uint32':
      return reduceNumbers(reduction, view(Uint32Array, accumulator), view(Uint32Array, other), true);
    case 'int64':
      return reduceBigints(reduction, view(BigInt64Array, accumulator), view(BigInt64Array, other));
    case 'uint64':
      return reduceBigints(reduction, view(BigUint64Array, accumulator), view(BigUint64Array, other));
    case 'float32':
      return reduceNumbers(reduction, view(Float32Array, accumulator), view(Float32Array, other), false);
    case 'float64':
      return reduceNumbers(reduction, view(Float64Array, accumulator), view(Float64Array, other), false);
    case 'float16':
      return reduceHalves(reduction, accumulator, other, float16Value, float16Bits);
    case 'bfloat16':
      return reduceHalves(reduction, accumulator, other, bfloat16Value, bfloat16Bits);
    case 'complex64':
      return reduceComplex(reduction, view(Float32Array, accumulator), view(Float32Array, other));
    case 'complex128':
      return reduceComplex(reduction, view(Float64Array, accumulator), view(Float64Array, other));
    default:
      dtype satisfies never;
  }
}

function view<T>(
  make: {
    new (buffer: ArrayBufferLike, offset: number, length: number): T;
    readonly BYTES_PER_ELEMENT: number;
  },
  bytes: Uint8Array,
): T {
  return new make(bytes.buffer, bytes.byteOffset, bytes.byteLength / make.BYTES_PER_ELEMENT);
}

/** Integer products go through Math.imul, which wraps where a double would round. */
function reduceNumbers(reduction: Reduction, a: Numbers, b: Numbers, integer: boolean): void {
  const length = a.length;
  switch (reduction) {
    case 'sum':
      for (let i = 0; i < length; i++) a[i] += b[i];
      return;
    case 'prod':
      if (integer) for (let i = 0; i < length; i++) a[i] = Math.imul(a[i], b[i]);
      else for (let i = 0; i < length; i++) a[i] *= b[i];
      return;
    case 'max':
      for (let i = 0; i < length; i++) a[i] = Math.max(a[i], b[i]);
      return;
    case 'min':
      for (let i = 0; i < length; i++) a[i] = Math.min(a[i], b[i]);
      return;
    default:
      reduction satisfies never;
  }
}

function reduceBigints(reduction: Reduction, a: Bigints, b: Bigints): void {
  for (let i = 0; i < a.length; i++) {
    const x = a[i];
    const y = b[i];
    a[i] =
      reduction === 'sum' ? x + y : reduction === 'prod' ? x * y : (reduction === 'max') === x > y ? x : y;
  }
}

function reduceBool(reduction: Reduction, a: Uint8Array, b: Uint8Array): void {
  const any = reduction === 'sum' || reduction === 'max';
  for (let i = 0; i < a.length; i++) a[i] = any ? a[i] | b[i] : a[i] & b[i];
}

function reduceHalves(
  reduction: Reduction,
  a: Uint8Array,
  b: Uint8Array,
  decode: (bits: number) => number,
  encode: (value: number) => number,
): void {
  const left = view(Uint16Array, a);
  const right = view(Uint16Array, b);
  const pair = new Float32Array(2);
  for (let i = 0; i < left.length; i++) {
    pair[0] = decode(left[i]);
    pair[1] = decode(right[i]);
    reduceNumbers(reduction, pair.subarray(0, 1), pair.subarray(1), false);
    left[i] = encode(pair[0]);
  }
}

function reduceComplex(
  reduction: Reduction,
  a: Float32Array | Float64Array,
  b: Float32Array | Float64Array,
): void {
  if (reduction === 'sum') return reduceNumbers('sum', a, b, false);
  if (reduction !== 'prod')
    throw new UnsupportedError(
      `complex numbers have no order: an all_reduce of them takes sum or prod, not ${reduction}`,
    );
  for (let i = 0; i < a.length; i += 2) {
    const re = a[i] * b[i] - a[i + 1] * b[i + 1];
    a[i + 1] = a[i] * b[i + 1] + a[i + 1] * b[i];
    a[i] = re;
  }
}

const scratch = new DataView(new ArrayBuffer(4));

export function bfloat16Value(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

export function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}
