// Philox 4×32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): ten rounds of multiplications turn
// a 128-bit counter and a 64-bit key into 128 random bits, so any part of a stream can be made on its own. State, order of words
// and successor are those of XLA's rng_bit_generator with uint64[2]: the key is also the counter's upper half.
import type { Emitter } from './program.ts';
import type { TypedArray } from './typed-array.ts';

const block = new Uint32Array(4);

/** The high 32 bits of a product of two 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const other = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(other / 65536)) >>> 0;
}

/** Ten rounds on a counter of four words; the result is valid until the next call. */
export function philox(
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
): Readonly<Uint32Array> {
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0) >>> 0;
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  block[0] = c0;
  block[1] = c1;
  block[2] = c2;
  block[3] = c3;
  return block;
}

const word = (value: bigint, index: number): number => Number((value >> BigInt(32 * index)) & 0xffffffffn);

/** Fills `bits` from a state; returns the counter that follows. Elements narrower than 32 bits take the low bits of a word each. */
function fillBits(key: bigint, counter: bigint, bits: TypedArray): bigint {
  const words = bits instanceof BigUint64Array ? bits.length * 2 : bits.length;
  const halves =
    bits instanceof BigUint64Array ? new Uint32Array(bits.buffer, bits.byteOffset, words) : undefined;
  const target = halves ?? (bits as Uint32Array);
  const blocks = Math.ceil(words / 4);
  let at = (key << 64n) | counter;
  for (let index = 0; index < blocks; index++, at++) {
    const made = philox(word(at, 0), word(at, 1), word(at, 2), word(at, 3), word(key, 0), word(key, 1));
    const end = Math.min(4, words - 4 * index);
    for (let lane = 0; lane < end; lane++) target[4 * index + lane] = made[lane];
  }
  return BigInt.asUintN(64, counter + BigInt(blocks));
}

const rngBitGenerator: Emitter = (site) => {
  const [state] = site.operands;
  const [next, bits] = site.results;
  return (registers) => {
    const [key, counter] = registers[state] as BigUint64Array;
    const after = fillBits(key, counter, registers[bits]);
    (registers[next] as BigUint64Array).set([key, after]);
  };
};

export const randomEmitters: Readonly<Record<string, Emitter>> = { rng_bit_generator: rngBitGenerator };
