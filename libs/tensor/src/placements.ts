// Strides of results, kept for the ways in which operands were seen to lie: a loop asks for the same ones again and again.
import type { ResultStrides } from './core-function.ts';
import type { Tensor } from './tensor.ts';

type Strides = readonly number[];
/** How a tensor lies: null is row-major, in dimensions of size 1 too. */
type Lie = Strides | null;

const capacity = 64;

export class Placements {
  private readonly known = new Map<string, ResultStrides>();
  private operands: readonly Lie[] | undefined;
  private results: ResultStrides | undefined;

  /** What `compute` gives for operands that lie like these: the same array every time. */
  find(operands: readonly Tensor[], compute: () => ResultStrides): ResultStrides {
    if (this.results !== undefined && this.isLast(operands)) return this.results;
    const seen = operands.map((operand) => (operand.hasRowMajorStrides ? null : operand.strides));
    const key = seen.map((strides) => strides?.join() ?? '').join('|');
    let found = this.known.get(key);
    if (found === undefined) {
      if (this.known.size >= capacity) this.known.clear();
      this.known.set(key, (found = compute()));
    }
    this.operands = seen;
    return (this.results = found);
  }

  private isLast(operands: readonly Tensor[]): boolean {
    const last = this.operands!;
    for (let index = 0; index < operands.length; index++) {
      const strides = last[index];
      if (
        strides === null
          ? !operands[index].hasRowMajorStrides
          : !sameStrides(strides, operands[index].strides)
      )
        return false;
    }
    return last.length === operands.length;
  }
}

export function sameStrides(a: Strides, b: Strides): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let dim = 0; dim < a.length; dim++) if (a[dim] !== b[dim]) return false;
  return true;
}

/** Whether all lie row-major, in dimensions of size 1 too. */
export function allRowMajor(operands: readonly Pick<Tensor, 'hasRowMajorStrides'>[]): boolean {
  for (let index = 0; index < operands.length; index++) {
    if (!operands[index].hasRowMajorStrides) return false;
  }
  return true;
}
