import { expect, test } from '@jest/globals';
import { bfloat16Bits, float16Bits } from '@weft/ir';
import { bfloat16Values, encodeBFloat16, encodeFloat16, float16Values } from './half.ts';

test('every pattern survives decoding and encoding', () => {
  const changed: number[] = [];
  for (let pattern = 0; pattern < 65536; pattern++) {
    const [half, brain] = [float16Values[pattern], bfloat16Values[pattern]];
    if (!Number.isNaN(half) && encodeFloat16(half) !== pattern) changed.push(pattern);
    if (!Number.isNaN(brain) && encodeBFloat16(brain) !== pattern) changed.push(pattern);
  }
  expect(changed).toEqual([]);
});

test('halfway cases and their neighbours round as the exact encoders do', () => {
  const wrong: number[] = [];
  for (let pattern = 0; pattern < 0x7c00; pattern += 7) {
    const middle = (float16Values[pattern] + float16Values[pattern + 1]) / 2;
    for (const near of [middle, middle * (1 + 2 ** -20), middle * (1 - 2 ** -20), -middle]) {
      const x = Math.fround(near);
      if (encodeFloat16(x) !== float16Bits(x) || encodeBFloat16(x) !== bfloat16Bits(x)) wrong.push(x);
    }
  }
  expect(wrong).toEqual([]);
  expect(encodeFloat16(65520)).toBe(0x7c00);
  expect(encodeFloat16(-0)).toBe(0x8000);
  expect(encodeFloat16(NaN)).toBe(0x7e00);
});
