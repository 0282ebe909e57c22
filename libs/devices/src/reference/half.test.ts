import { expect, test } from '@jest/globals';
import { bfloat16Bits, float16Bits } from '@weft/ir';
import { bfloat16Values, encodeBFloat16, encodeFloat16, float16Values } from './half.ts';

test('every pattern survives decoding and encoding', () => {
  for (let pattern = 0; pattern < 65536; pattern++) {
    const half = float16Values[pattern];
    if (!Number.isNaN(half)) expect(encodeFloat16(half)).toBe(pattern);
    const brain = bfloat16Values[pattern];
    if (!Number.isNaN(brain)) expect(encodeBFloat16(brain)).toBe(pattern);
  }
});

test('halfway cases and their neighbours round as the exact encoders do', () => {
  for (let pattern = 0; pattern < 0x7c00; pattern += 7) {
    const middle = (float16Values[pattern] + float16Values[pattern + 1]) / 2;
    for (const x of [middle, middle * (1 + 2 ** -20), middle * (1 - 2 ** -20), -middle]) {
      expect(encodeFloat16(x)).toBe(float16Bits(Math.fround(x)));
      expect(encodeBFloat16(x)).toBe(bfloat16Bits(Math.fround(x)));
    }
  }
  expect(encodeFloat16(65520)).toBe(0x7c00);
  expect(encodeFloat16(-0)).toBe(0x8000);
  expect(encodeFloat16(NaN)).toBe(0x7e00);
});
