// Where results of operators go: strides of new tensors, as the operator's layout says, and the contents of tensors that are
// written to.
import type { IValue, TensorSpec } from '@weft/ir';
import { TensorLiteral, dtypes, numel } from '@weft/ir';
import type { LayoutArgument } from '@weft/ops';
import { contiguousStrides, extentOf, isDense, resultStrides } from '@weft/ops';
import type { ResultStrides } from '../core-function.ts';
import type { Tensor } from '../tensor.ts';
import { loweringArguments } from './arguments.ts';
import type { Operator, OperatorLayout } from './operator.ts';
import { functionalArguments } from './operator.ts';

/** The contents of a tensor as a literal. */
export const literalOf = (tensor: Tensor): TensorLiteral =>
  new TensorLiteral(tensor.dtype, tensor.sizes, tensor.bytes());

/** Strides of the results of one compiled call, kept for the ways in which its operands lie. */
export class Placements {
  private readonly known = new Map<string, ResultStrides>();
  /** Of the last call: strides of the operands (null where they are row-major), and of the results. */
  private operands: readonly (readonly number[] | null)[] | undefined;
  private results: ResultStrides | undefined;

  /** As `stridesOfResults`. The same array comes back for operands that lie alike. */
  find(
    operator: Operator,
    args: readonly IValue[],
    operands: readonly Tensor[],
    specs: readonly TensorSpec[],
  ): ResultStrides | undefined {
    const { layout } = operator;
    if (layout === undefined || isPlain(layout, operands)) return undefined;
    if (this.isLast(operands)) return this.results;
    const seen = operands.map((operand) => (operand.hasRowMajorStrides ? null : operand.strides));
    const key = seen.map((strides) => strides?.join() ?? '').join('|');
    let found = this.known.get(key);
    if (found === undefined) {
      if (this.known.size >= 64) this.known.clear();
      this.known.set(key, (found = stridesOfResults(operator, args, operands, specs)!));
    }
    this.operands = seen;
    this.results = found;
    return found;
  }

  private isLast(operands: readonly Tensor[]): boolean {
    const last = this.operands;
    if (last === undefined || last.length !== operands.length) return false;
    for (let index = 0; index < operands.length; index++) {
      const strides = last[index];
      if (strides === null ? !operands[index].hasRowMajorStrides : strides !== operands[index].strides) {
        return false;
      }
    }
    return true;
  }
}

/** Whether the results are row-major because the operands are. */
function isPlain({ followsOperands }: OperatorLayout, operands: readonly Tensor[]): boolean {
  if (!followsOperands) return false;
  for (let index = 0; index < operands.length; index++) {
    if (!operands[index].hasRowMajorStrides) return false;
  }
  return true;
}

/**
 * Strides of the results of a call, `specs` being what they are; undefined when all are row-major.
 * @param operands the tensors among `args`
 */
export function stridesOfResults(
  operator: Operator,
  args: readonly IValue[],
  operands: readonly Tensor[],
  specs: readonly TensorSpec[],
): ResultStrides | undefined {
  const { layout } = operator;
  if (layout === undefined || isPlain(layout, operands)) return undefined;
  const own = loweringArguments(operator.schema, operator.kinds, args, (tensor) => tensor);
  // Tensors stand for their geometry.
  const given = functionalArguments(operator, own as LayoutArgument[], () => null as never);
  const asked = layout.format < 0 ? null : args[layout.format];
  const site = { args: given, format: asked === null ? null : Number(asked) };
  const { results } = layout;
  return specs.map(({ sizes }, index) =>
    resultStrides(
      Array.isArray(results) ? results[Math.min(index, results.length - 1)] : results,
      site,
      sizes,
      index,
    ),
  );
}

/** The strides in which new contents of tensors are best computed: their own, where these are dense. */
export function stridesOfTargets(targets: readonly Tensor[]): ResultStrides | undefined {
  if (targets.every((target) => target.isRowMajor)) return undefined;
  return targets.map(({ isRowMajor, sizes, strides }) =>
    !isRowMajor && isDense(sizes, strides) ? strides : null,
  );
}

/** Copies the elements of `value` into `target`, of the same dtype and shape, and counts the change. */
export function write(target: Tensor, value: Tensor): void {
  const { sizes, strides } = target;
  const alike = !target.isRowMajor && String(strides) === String(value.strides) && isDense(sizes, strides);
  if (alike) {
    const width = dtypes[target.dtype].bytes;
    target.storage.write(
      target.offset * width,
      value.storage.read(value.offset * width, numel(sizes) * width),
    );
  } else target.writeBytes(value.bytes());
  target.storage.version++;
}

/**
 * Gives `target` another shape, row-major or with the strides given; its storage grows when it is too small. A tensor that
 * has the shape already keeps its strides, unless others are given.
 */
export function resize(target: Tensor, sizes: readonly number[], strides?: readonly number[]): void {
  const same = target.sizes.length === sizes.length && sizes.every((size, dim) => size === target.sizes[dim]);
  if (same && (strides === undefined || String(strides) === String(target.strides))) return;
  const given = strides ?? contiguousStrides(sizes);
  const extent = extentOf({ sizes, strides: given });
  if (extent > 0) target.storage.grow((target.offset + extent) * dtypes[target.dtype].bytes);
  target.setGeometry(target.storage, sizes, given, target.offset);
}
