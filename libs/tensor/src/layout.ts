// How a device, whose memory is row-major, reads strided operands without a copy: transposed and broadcast. (What strides
// mean, and which of them results have, is said in @weft/ops.)
import type { OperandLayout } from '@weft/ir';
import { memoryOrder } from '@weft/ops';

/**
 * The layout of a strided operand that is a transpose and broadcast of row-major memory starting at its offset; null
 * when it is not (then it has to be copied).
 */
export function operandLayout(sizes: readonly number[], strides: readonly number[]): OperandLayout | null {
  if (sizes.includes(0)) return null;
  const kept = memoryOrder(sizes, strides).filter((dim) => sizes[dim] !== 1 && strides[dim] !== 0);
  let step = 1;
  for (let position = kept.length - 1; position >= 0; position--) {
    const dim = kept[position];
    if (strides[dim] !== step) return null;
    step *= sizes[dim];
  }
  return { sizes: kept.map((dim) => sizes[dim]), dimensions: kept };
}
