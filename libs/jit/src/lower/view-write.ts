// Writing through a view: the value that the base has once the view holds new elements. Where the view is a box of the base
// (with steps, permuted, with dimensions of size 1 added or dropped) that is a dynamic_update_slice or a padded select;
// where it is the whole base in another shape, a reshape; anything else scatters by position.
import type { CoreBuilder, DType, Value } from '@weft/ir';
import { OperatorError, numel, specOf } from '@weft/ir';
import type { Strided } from '@weft/ops';
import { contiguousStrides } from '@weft/ops';

/**
 * @param view sizes, strides and offset of the view in a row-major base
 * @returns the base's value with the view's elements replaced by `value`
 */
export function writeThroughView(b: CoreBuilder, base: Value, view: Strided, value: Value): Value {
  const { sizes, dtype } = specOf(base);
  const count = numel(view.sizes);
  if (count === 0) return base;
  if (view.strides.some((stride, dim) => stride === 0 && view.sizes[dim] > 1)) {
    throw new OperatorError(
      'unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone() the tensor before performing the operation.',
    );
  }
  if (count === numel(sizes) && view.offset === 0 && isRowMajor(view)) return b.reshape(value, sizes);
  const box = boxOf(sizes, view);
  if (box === undefined) return scatterPositions(b, base, view, value);
  // The view's dimensions in the order of the base's, those that it lacks as size 1.
  const order = box.flatMap(({ from }) => (from === undefined ? [] : [from]));
  const rest = view.sizes.flatMap((size, dim) => (order.includes(dim) ? [] : [dim]));
  const sorted = b.transpose(value, [...rest, ...order]);
  const update = b.reshape(
    sorted,
    box.map(({ size }) => size),
  );
  if (box.every(({ step, size }) => step === 1 || size === 1)) {
    const isWhole = box.every(({ size }, dim) => size === sizes[dim]);
    if (isWhole) return update;
    const start = box.map(({ start: at }) => b.full(at, 'int64'));
    return b.dynamicUpdateSlice(base, update, start);
  }
  const low = box.map(({ start: at }) => at);
  const interior = box.map(({ step, size }) => (size === 1 ? 0 : step - 1));
  const high = box.map(({ start: at, size }, dim) => sizes[dim] - at - size - (size - 1) * interior[dim]);
  const spread = b.pad(update, zero(b, dtype), low, high, interior);
  const mask = b.pad(b.full(true, 'bool', specOf(update).sizes), b.full(false, 'bool'), low, high, interior);
  return b.select(mask, spread, base);
}

const zero = (b: CoreBuilder, dtype: DType): Value => b.full(dtype === 'bool' ? false : 0, dtype);

function isRowMajor(view: Strided): boolean {
  const strides = contiguousStrides(view.sizes);
  return view.strides.every((stride, dim) => view.sizes[dim] === 1 || stride === strides[dim]);
}

interface Side {
  /** The dimension of the view that runs along this one of the base; undefined where the view has one position. */
  readonly from: number | undefined;
  readonly start: number;
  readonly size: number;
  readonly step: number;
}

/** The view as a box of the base, one side a base dimension; undefined when it is none. */
function boxOf(sizes: readonly number[], view: Strided): Side[] | undefined {
  const strides = contiguousStrides(sizes);
  const starts = strides.map((stride, dim) =>
    sizes[dim] === 0 ? 0 : Math.floor(view.offset / stride) % sizes[dim],
  );
  const sides: Side[] = starts.map((start) => ({ from: undefined, start, size: 1, step: 1 }));
  for (let dim = 0; dim < view.sizes.length; dim++) {
    const size = view.sizes[dim];
    if (size === 1) continue;
    const along = strides.findIndex((stride, at) => {
      const step = view.strides[dim] / stride;
      return (
        sizes[at] > 1 &&
        sides[at].from === undefined &&
        Number.isInteger(step) &&
        step >= 1 &&
        starts[at] + (size - 1) * step < sizes[at]
      );
    });
    if (along < 0) return undefined;
    sides[along] = { from: dim, start: starts[along], size, step: view.strides[dim] / strides[along] };
  }
  return sides;
}

/** Replaces elements of the flattened base at literal positions. */
function scatterPositions(b: CoreBuilder, base: Value, view: Strided, value: Value): Value {
  const { sizes } = specOf(base);
  const count = numel(view.sizes);
  let positions: Value = b.full(view.offset, 'int64', view.sizes);
  view.strides.forEach((stride, dim) => {
    const steps = b.iota('int64', view.sizes, dim);
    positions = b.add(positions, b.multiply(steps, b.full(stride, 'int64', view.sizes)));
  });
  const flat = b.reshape(base, [numel(sizes)]);
  const written = b.scatter(
    flat,
    b.reshape(positions, [count, 1]),
    b.reshape(value, [count]),
    {
      updateWindowDims: [],
      insertedWindowDims: [0],
      scatterDimsToOperandDims: [0],
      indexVectorDim: 1,
      uniqueIndices: true,
    },
    (_, __, update) => [update],
  );
  return b.reshape(written, sizes);
}
