// Half-precision operands of kernels that compute in float32: decoded to a scratch tensor before, rounded and encoded after.
import type { DType } from '@weft/ir';
import { isHalf } from '../reference/half.ts';
import type { NativeSite, Operand, Word } from './step.ts';
import { doubleWord } from './step.ts';
import { numel } from '@weft/ir';
import { stridesOf } from '../reference/typed-array.ts';

/** Whether the library can take halves to float32 and back. */
export const canWiden = (dtype: DType, site: Pick<NativeSite, 'library'>): boolean =>
  !isHalf(dtype) || site.library.instructions.has(`decode.${dtype}`);

/** A pointwise step of one instruction on a dense tensor. */
function oneInstruction(
  site: NativeSite,
  name: string,
  from: number,
  fromBytes: number,
  to: number,
  toBytes: number,
  count: number,
): void {
  const words: Word[] = [1, count, 1, from, fromBytes, 0, 1, 0, 1, to, toBytes, 1, 0];
  site.push('pointwise', ...words, 1, site.library.instructions.get(name)!, 1, 0, -1, -1, -1, doubleWord(1));
}

/** The operand itself, or, of halves, a dense float32 tensor with its values. */
export function widened(site: NativeSite, index: number): Operand {
  const operand = site.operand(index);
  const { dtype, sizes } = operand;
  if (!isHalf(dtype)) return operand;
  const count = numel(sizes);
  const slot = site.scratch('float32', count);
  if (count > 0) oneInstruction(site, `decode.${dtype}`, site.dense(index), 2, slot, 4, count);
  return { ...operand, slot, dtype: 'float32', strides: stridesOf(sizes), offset: 0 };
}

/** Where a kernel that computes in float32 puts result 0: `narrow` then writes it as what it is. */
export function wideResult(site: NativeSite): { readonly slot: number; narrow(): void } {
  const [{ dtype, sizes }] = site.outSpecs;
  const [to] = site.results;
  if (!isHalf(dtype)) return { slot: to, narrow: () => {} };
  const count = numel(sizes);
  const slot = site.scratch('float32', count);
  return { slot, narrow: () => oneInstruction(site, `encode.${dtype}`, slot, 4, to, 2, count) };
}
