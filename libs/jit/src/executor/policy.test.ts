// What is compiled pays for it, by the times that the policy is told of.
import { expect, test } from '@jest/globals';
import { tensor } from '@weft/tensor';
import type { IValue } from '@weft/ir';
import { CompilePolicy, Tally, patternKey, replaces } from './policy.ts';

const profileRuns = 2;
const noVariants = (): Tally[] => [];

/** Calls of a pattern until it is compiled, at most `most`: interpreted in 10 ms, compiled in 200 and run in `compiled` ms. */
function callsUntilCompiled(policy: CompilePolicy, key: number, compiled: number, most = 1000): number {
  const tally = policy.tallyOf(key);
  for (let calls = 1; calls <= most; calls++) {
    if (policy.isWorth(tally, profileRuns)) {
      policy.attempted(tally, 200);
      while (tally.untimed > 0) policy.ran(tally, compiled);
      return calls;
    }
    policy.count(tally, noVariants);
    tally.interpreted = 10;
  }
  return Infinity;
}

test('the first patterns are compiled after some runs, later ones once compiling is paid for', () => {
  const policy = new CompilePolicy();
  const calls = Array.from({ length: 8 }, (_, key) => callsUntilCompiled(policy, key, 2));
  // 8 ms saved a call pay for 200 ms in 25.
  expect(calls).toEqual([3, 3, 3, 3, 26, 26, 26, 26]);
});

test('what does not run faster compiled is not compiled again', () => {
  const policy = new CompilePolicy();
  const calls = Array.from({ length: 6 }, (_, key) => callsUntilCompiled(policy, key, 11));
  expect(calls).toEqual([3, 3, 3, 3, Infinity, Infinity]);
});

test('what cannot be compiled is tried ever less often', () => {
  const policy = new CompilePolicy();
  const calls = Array.from({ length: 8 }, (_, key) => {
    const tally = policy.tallyOf(key);
    for (let call = 1; ; call++) {
      if (policy.isWorth(tally, profileRuns)) {
        policy.attempted(tally, 100, 'no graph');
        expect(policy.isWorth(tally, profileRuns)).toBe(false);
        return call;
      }
      policy.count(tally, noVariants);
      tally.interpreted = 10;
    }
  });
  expect(calls).toEqual([3, 3, 3, 3, 101, 121, 141, 161]);
});

test('patterns that come too seldom are forgotten, and counts fade', () => {
  const policy = new CompilePolicy();
  const variant = new Tally();
  variant.uses = 1e6;
  for (let call = 0; call < 10_000; call++) policy.count(policy.tallyOf(call % 2000), () => [variant]);
  expect(policy.tallyOf(1).uses).toBe(0);
  expect(variant.uses).toBeLessThan(4096);
  const often = policy.tallyOf(-1);
  for (let call = 0; call < 8192; call++) policy.count(often, () => [variant]);
  expect(replaces(often, variant)).toBe(true);
});

test('keys tell apart what patterns tell apart', () => {
  const x = tensor([[1.5, 2], [3, 4]]); // prettier-ignore
  const tensorArgument = x as unknown as IValue;
  const calls: IValue[][] = [
    [tensorArgument],
    [x.t() as unknown as IValue],
    [x.reshape([4]) as unknown as IValue],
    [
      tensor([
        [1, 2],
        [3, 4],
      ]) as unknown as IValue,
    ],
    [x.clone().requiresGrad_() as unknown as IValue],
    [tensorArgument, 1n],
    [tensorArgument, 1],
    [tensorArgument, [1n, 2n]],
    [tensorArgument, [1n], 2n],
    [tensorArgument, 'a'],
    [tensorArgument, null],
  ];
  const keys = calls.flatMap((args) => [
    patternKey(args, false, null),
    patternKey(args, true, null),
    patternKey(args, true, 'bfloat16'),
  ]);
  expect(new Set(keys).size).toBe(keys.length);
  expect(patternKey([x.mul(3) as unknown as IValue], false, null)).toBe(keys[0]);
});
