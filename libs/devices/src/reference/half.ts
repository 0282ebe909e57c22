// float16 and bfloat16 as bits: decoding by table, encoding with one rounding from float32 to nearest even. A float64
// goes through float32 first, as PyTorch converts it.
const word = new Float32Array(1);
const bits = new Uint32Array(word.buffer);

/** The value of each of the 65536 float16 bit patterns. */
export const float16Values = new Float32Array(65536);
/** The value of each of the 65536 bfloat16 bit patterns. */
export const bfloat16Values = new Float32Array(65536);

for (let pattern = 0; pattern < 65536; pattern++) {
  const sign = pattern & 0x8000 ? -1 : 1;
  const exponent = (pattern >> 10) & 31;
  const mantissa = pattern & 1023;
  if (exponent === 31) float16Values[pattern] = mantissa === 0 ? sign * Infinity : NaN;
  else if (exponent === 0) float16Values[pattern] = sign * mantissa * 2 ** -24;
  else float16Values[pattern] = sign * (1024 + mantissa) * 2 ** (exponent - 25);
}
const patterns = new Uint32Array(bfloat16Values.buffer);
for (let pattern = 0; pattern < 65536; pattern++) patterns[pattern] = pattern << 16;

/** The bits of the nearest float16. */
export function encodeFloat16(value: number): number {
  word[0] = value;
  const pattern = bits[0];
  const sign = (pattern >>> 16) & 0x8000;
  const magnitude = pattern & 0x7fffffff;
  if (magnitude >= 0x47800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
  if (magnitude < 0x38800000) {
    // Subnormal: a whole number of 2^-24, rounded by adding and taking away 2^52.
    bits[0] = magnitude;
    return sign | (word[0] * 16777216 + 4503599627370496 - 4503599627370496);
  }
  // Rebias the exponent and round off 13 bits; a carry goes into the exponent, and to infinity, as it should.
  const rounded = magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1);
  return sign | (rounded >>> 13);
}

/** The bits of the nearest bfloat16. */
export function encodeBFloat16(value: number): number {
  word[0] = value;
  const pattern = bits[0];
  if ((pattern & 0x7fffffff) > 0x7f800000) return 0x7fc0;
  return ((pattern + 0x7fff + ((pattern >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The nearest float16, as a number. */
export const roundFloat16 = (value: number): number => float16Values[encodeFloat16(value)];
/** The nearest bfloat16, as a number. */
export const roundBFloat16 = (value: number): number => bfloat16Values[encodeBFloat16(value)];

export const isHalf = (dtype: string): dtype is 'float16' | 'bfloat16' =>
  dtype === 'float16' || dtype === 'bfloat16';

/** Table of values of a half dtype. */
export const halfValues = (dtype: 'float16' | 'bfloat16'): Float32Array =>
  dtype === 'float16' ? float16Values : bfloat16Values;
/** Encoder of a half dtype. */
export const halfEncoder = (dtype: 'float16' | 'bfloat16'): ((value: number) => number) =>
  dtype === 'float16' ? encodeFloat16 : encodeBFloat16;
