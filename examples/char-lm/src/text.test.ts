import { expect, test } from '@jest/globals';
import { holdOut, unigramEntropy } from './text.ts';

test('every tenth passage is held out, the rest stays in order', () => {
  const tokens = Uint8Array.from({ length: 205 }, (_, index) => index);
  const { training, heldOut } = holdOut(tokens, 10);
  expect(heldOut.map(([first]) => first)).toEqual([90, 190]);
  expect(heldOut.every(({ length }) => length === 10)).toBe(true);
  expect([...training]).toEqual([...tokens].filter((token) => token % 100 < 90));
});

test('a text that is too short for a held-out passage is refused', () => {
  expect(() => holdOut(new Uint8Array(99), 10)).toThrow(/has 99 characters; 100 are needed/);
});

test('the entropy of tokens is that of their frequencies', () => {
  expect(unigramEntropy(Uint8Array.of(1, 2, 1, 2))).toBeCloseTo(Math.LN2, 12);
});
