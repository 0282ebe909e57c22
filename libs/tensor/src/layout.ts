// How a device, whose memory is row-major, reads strided operands without a copy: as parts of it, transposed and broadcast. (What strides
// mean, and which of them results have, is said in @weft/ops.)
import type { OperandLayout } from '@weft/ir';
import type { Strided } from '@weft/ops';
import { memoryOrder } from '@weft/ops';

/** How an operand lies in the memory that a device is given. */
export interface Lie {
  readonly layout: OperandLayout;
  /** Elements by which that memory begins before the operand. */
  readonly before: number;
}

/**
 * How a strided operand, whose storage has `elements`, is a transpose and broadcast of row-major memory or of a rectangular part of it;
 * null when it is not (then it has to be copied).
 */
export function lieOf({ sizes, strides, offset }: Strided, elements: number): Lie | null {
  if (sizes.includes(0)) return null;
  const kept = memoryOrder(sizes, strides).filter((dim) => sizes[dim] !== 1 && strides[dim] !== 0);
  const layout = { sizes: kept.map((dim) => sizes[dim]), dimensions: kept };
  const steps = kept.map((dim) => strides[dim]);
  let dense = 1;
  let hasGaps = false;
  for (let at = kept.length - 1; at >= 0; at--) {
    if (steps[at] !== dense) hasGaps = true;
    dense = steps[at] * layout.sizes[at];
  }
  if (!hasGaps) return { layout, before: 0 };
  // Where elements of the innermost dimension are apart, what is between them is a dimension too.
  if (steps[steps.length - 1] > 1) steps.push(1);
  const memory = steps.map((step, at) => (at === 0 ? layout.sizes[0] : steps[at - 1] / step));
  if (memory.some((size, at) => !Number.isInteger(size) || size < (layout.sizes[at] ?? 1))) return null;
  const fits = (begin: number): boolean => begin + memory[0] * steps[0] <= elements;
  let start = steps.map(() => 0);
  let before = 0;
  if (!fits(offset)) {
    // The memory begins where the first row that the operand is in does.
    before = offset % steps[0];
    start = steps.map((step, at) => (at === 0 ? 0 : Math.floor(before / step) % memory[at]));
    if (start.some((from, at) => from + (layout.sizes[at] ?? 1) > memory[at])) return null;
    if (!fits(offset - before)) return null;
  }
  return { layout: { ...layout, part: { memory, start } }, before };
}
