// Where results of operators go: strides of new tensors, as the operator's layout says, and the contents of tensors that are
// written to.
import type { Device } from '@weft/devices';
import type { IValue, TensorSpec } from '@weft/ir';
import { TensorLiteral, dtypes, numel } from '@weft/ir';
import type { LayoutArgument, LoweringArgument } from '@weft/ops';
import { contiguousStrides, extentOf, isDense, resultStrides } from '@weft/ops';
import type { CoreFunction, ResultStrides } from '../core-function.ts';
import { resultsOf } from '../autograd/results.ts';
import { allRowMajor } from '../placements.ts';
import type { Tensor } from '../tensor.ts';
import { loweringArguments } from './arguments.ts';
import type { Operator } from './operator.ts';
import { functionalArguments } from './operator.ts';

/** The contents of a tensor as a literal. */
export const literalOf = (tensor: Tensor): TensorLiteral =>
  new TensorLiteral(tensor.dtype, tensor.sizes, tensor.bytes());

/** What a view is asked for, behind the tensor that it looks at: of that only the geometry matters. */
export const viewArguments = ({ schema, kinds }: Operator, args: readonly IValue[]): LoweringArgument[] =>
  loweringArguments(schema, kinds, [null, ...args.slice(1)], literalOf).slice(1);

/** A tensor, or what stands for one while a program is lowered. */
export type Placed = Pick<Tensor, 'hasRowMajorStrides' | 'sizes' | 'strides'>;

/** Whether results of a call may lie otherwise than row-major. */
export const isLaidOut = ({ layout }: Operator, operands: readonly Placed[]): boolean =>
  layout !== undefined && !(layout.followsOperands && allRowMajor(operands));

/**
 * Strides of the results of a call, `specs` being what they are; undefined when all are row-major.
 * @param operands the tensors among `args`
 */
export function stridesOfResults(
  operator: Operator,
  args: readonly IValue[],
  operands: readonly Placed[],
  specs: readonly TensorSpec[],
): ResultStrides | undefined {
  if (!isLaidOut(operator, operands)) return undefined;
  const layout = operator.layout!;
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
 * Computes the outputs of `fn` as new contents of `targets` (null: as new tensors): in their memory where the device can and no other operand
 * or target shares it, else apart and copied. Returns the targets and the new tensors.
 */
export function runInto(
  targets: readonly (Tensor | null)[],
  fn: CoreFunction,
  operands: readonly Tensor[],
  device: Device,
): Tensor[] {
  const written = targets.filter((target) => target !== null);
  const storages = new Set(written.map(({ storage }) => storage));
  const isApart =
    storages.size === written.length &&
    operands.every((operand) => !storages.has(operand.storage) || written.includes(operand)) &&
    fn.outputs.every(({ kind, index }) => kind === 'computed' || !storages.has(operands[index].storage));
  const results = resultsOf(fn, operands, device, { into: isApart ? targets : undefined });
  return results.map((value, index) => {
    const target = targets[index];
    if (target === null) return value;
    if (value === target) target.storage.version++;
    else write(target, value);
    return target;
  });
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
