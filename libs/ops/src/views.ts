// View operators: reshape, transpose, slice, split and their like, each written once for strides and for copies.
import type { CoreBuilder, TensorLike, TensorLiteral, Value } from '@weft/ir';
import { isComplex, isInteger, numel, specOf } from '@weft/ir';
import type { Strided, View, Viewed } from './operator.ts';
import { lowerings, preparations, views } from './operator.ts';
import type { ResultLayout } from './result-layout.ts';
import { geometryOf, layouts } from './result-layout.ts';
import { integersOf } from './literal.ts';
import { check, fail, range, sizesOf, wrapDim, withSize } from './broadcast.ts';
import { swapped } from './shapes.ts';
import type { ViewAlgebra, ViewOperator } from './view-algebra.ts';
import { copiedViews, stridedViews, viewOperators } from './view-algebra.ts';

type Sizes = readonly number[];
const show = (sizes: Sizes): string => `[${sizes.join(', ')}]`;

/** Fills in the one size that is -1. */
export function inferSizes(shape: Sizes, count: number): number[] {
  const unknown = shape.indexOf(-1);
  const invalid = (): never => fail(`shape '${show(shape)}' is invalid for input of size ${count}`);
  for (const [index, size] of shape.entries()) {
    if (size < -1) fail(`invalid shape dimension ${size}`);
    if (size === -1 && index !== unknown) fail('only one dimension can be inferred');
  }
  const known = numel(shape.filter((size) => size !== -1));
  if (unknown < 0) return known === count ? [...shape] : invalid();
  if (known === 0 && count === 0) {
    fail(
      `cannot reshape tensor of 0 elements into shape ${show(shape)} because the unspecified dimension size -1 can be any value and is ambiguous`,
    );
  }
  if (known === 0 || count % known !== 0) invalid();
  return withSize(shape, unknown, count / known);
}

const reshape: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, shape: Sizes) =>
  v.reshape(x, inferSizes(shape, numel(v.sizes(x))));

/** A reshape that must not copy. */
const view: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, shape: Sizes) => {
  const sizes = inferSizes(shape, numel(v.sizes(x)));
  try {
    return v.reshape(x, sizes);
  } catch {
    return fail(
      "view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces). Use .reshape(...) instead.",
    );
  }
};

function expandSizes(sizes: Sizes, target: Sizes): number[] {
  const lead = target.length - sizes.length;
  const where = `Target sizes: ${show(target)}.  Tensor sizes: ${show(sizes)}`;
  if (lead < 0) {
    fail(
      `expand(${show(sizes)}, size=${show(target)}): the number of sizes provided (${target.length}) must be greater or equal to the number of dimensions in the tensor (${sizes.length})`,
    );
  }
  const result = [...target];
  for (let dim = target.length - 1; dim >= 0; dim--) {
    const size = target[dim];
    if (dim < lead) {
      check(
        size >= 0,
        () =>
          `The expanded size of the tensor (${size}) isn't allowed in a leading, non-existing dimension ${dim}`,
      );
      continue;
    }
    const old = sizes[dim - lead];
    if (size === -1) result[dim] = old;
    else if (old !== 1 && old !== size) {
      fail(
        `The expanded size of the tensor (${size}) must match the existing size (${old}) at non-singleton dimension ${dim}.  ${where}`,
      );
    }
  }
  return result;
}

/** Views are made from tensors as data, lowerings from values. */
const shapeOf = (x: Value | TensorLiteral): Sizes => ('shape' in x ? x.shape : sizesOf(x));

const expand: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, size: Sizes) =>
  v.expand(x, expandSizes(v.sizes(x), size));
const expandAs: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, other: Value | TensorLiteral) =>
  v.expand(x, expandSizes(v.sizes(x), shapeOf(other)));
const viewAs: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, other: Value | TensorLiteral) =>
  v.reshape(x, inferSizes(shapeOf(other), numel(v.sizes(x))));

const transpose: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, dim0: number, dim1: number) => {
  const rank = v.sizes(x).length;
  const [first, second] = [wrapDim(dim0, rank), wrapDim(dim1, rank)];
  return rank === 0 ? x : v.permute(x, swapped(rank, first, second));
};

const permute: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, dims: Sizes) => {
  const rank = v.sizes(x).length;
  check(
    dims.length === rank,
    () =>
      `permute(): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = ${rank} is not equal to len(dims) = ${dims.length}`,
  );
  const order = dims.map((dim) => wrapDim(dim, rank));
  check(new Set(order).size === rank, () => 'permute(): duplicate dims are not allowed.');
  return v.permute(x, order);
};

const t: ViewOperator = <T>(v: ViewAlgebra<T>, x: T) => {
  const rank = v.sizes(x).length;
  check(rank <= 2, () => `t() expects a tensor with <= 2 dimensions, but self is ${rank}D`);
  return rank < 2 ? x : v.permute(x, [1, 0]);
};

const matrixTranspose =
  (name: string): ViewOperator =>
  <T>(v: ViewAlgebra<T>, x: T) => {
    const rank = v.sizes(x).length;
    check(
      rank >= 2 || (rank === 0 && name.endsWith('H')),
      () => `tensor.${name} is only supported on matrices or batches of matrices. Got ${rank}-D tensor.`,
    );
    return rank === 0 ? x : v.permute(x, swapped(rank, rank - 2, rank - 1));
  };

const reverseDims: ViewOperator = <T>(v: ViewAlgebra<T>, x: T) =>
  v.permute(x, range(v.sizes(x).length).reverse());

const moveDims: ViewOperator = <T>(
  v: ViewAlgebra<T>,
  x: T,
  source: Sizes | number,
  destination: Sizes | number,
) => {
  const rank = v.sizes(x).length;
  const from = [source].flat().map((dim) => wrapDim(dim as number, rank));
  const to = [destination].flat().map((dim) => wrapDim(dim as number, rank));
  check(
    from.length === to.length,
    () =>
      `movedim: Invalid source or destination dims: source (${show(from)} dims) should contain the same number of dims as destination (${show(to)} dims)`,
  );
  check(new Set(from).size === from.length, () => `movedim: repeated dim in \`source\` (${show(from)})`);
  check(new Set(to).size === to.length, () => `movedim: repeated dim in \`destination\` (${show(to)})`);
  if (rank === 0) return x;
  const order = new Array<number>(rank).fill(-1);
  for (const [index, dim] of to.entries()) order[dim] = from[index];
  const rest = range(rank).filter((dim) => !from.includes(dim));
  return v.permute(
    x,
    order.map((dim) => (dim === -1 ? rest.shift()! : dim)),
  );
};

const select: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, dim: number, index: number) => {
  const sizes = v.sizes(x);
  check(sizes.length > 0, () => 'select() cannot be applied to a 0-dim tensor.');
  const axis = wrapDim(dim, sizes.length);
  const size = sizes[axis];
  check(
    index >= -size && index < size,
    () => `select(): index ${index} out of range for tensor of size ${show(sizes)} at dimension ${axis}`,
  );
  const at = index < 0 ? index + size : index;
  return v.drop(v.slice(x, axis, at, at + 1, 1), axis);
};

/** Python's slice bounds clamped to the size. */
export function sliceBounds(
  size: number,
  start: number | null,
  end: number | null,
): [start: number, end: number] {
  const clampTo = (value: number, low: number): number =>
    Math.max(low, Math.min(value < 0 ? value + size : value, size));
  const from = clampTo(start ?? 0, 0);
  return [from, clampTo(end ?? size, from)];
}

const slice: ViewOperator = <T>(
  v: ViewAlgebra<T>,
  x: T,
  dim: number,
  start: number | null,
  end: number | null,
  step: number,
) => {
  const sizes = v.sizes(x);
  check(sizes.length > 0, () => 'slice() cannot be applied to a 0-dim tensor.');
  const axis = wrapDim(dim, sizes.length);
  check(step > 0, () => 'slice step must be positive');
  const [from, to] = sliceBounds(sizes[axis], start, end);
  return v.slice(x, axis, from, to, step);
};

const narrow: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, dim: number, start: number, length: number) => {
  const sizes = v.sizes(x);
  check(sizes.length > 0, () => 'narrow() cannot be applied to a 0-dim tensor.');
  check(length >= 0, () => 'narrow(): length must be non-negative.');
  const axis = wrapDim(dim, sizes.length);
  const size = sizes[axis];
  check(
    start >= -size && start <= size,
    () => `Dimension out of range (expected to be in range of [${-size}, ${size - 1}], but got ${start})`,
  );
  const from = start < 0 ? start + size : start;
  check(
    from + length <= size,
    () => `start (${from}) + length (${length}) exceeds dimension size (${size}).`,
  );
  return v.slice(x, axis, from, from + length, 1);
};

const unsqueeze: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, dim: number) =>
  v.insert(x, wrapDim(dim, v.sizes(x).length + 1));

const squeeze: ViewOperator = <T>(v: ViewAlgebra<T>, x: T) => {
  let result = x;
  for (const dim of range(v.sizes(x).length).reverse()) {
    if (v.sizes(x)[dim] === 1) result = v.drop(result, dim);
  }
  return result;
};
const squeezeDim: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, dim: number) => {
  const axis = wrapDim(dim, v.sizes(x).length);
  return v.sizes(x)[axis] === 1 ? v.drop(x, axis) : x;
};

const flatten: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, startDim: number, endDim: number) => {
  const sizes = v.sizes(x);
  const start = wrapDim(startDim, sizes.length);
  const end = wrapDim(endDim, sizes.length);
  check(start <= end, () => 'flatten() has invalid args: start_dim cannot come after end_dim');
  if (sizes.length === 0) return v.reshape(x, [1]);
  if (start === end) return x;
  return v.reshape(x, [
    ...sizes.slice(0, start),
    numel(sizes.slice(start, end + 1)),
    ...sizes.slice(end + 1),
  ]);
};

const unflatten: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, dim: number, parts: Sizes) => {
  const sizes = v.sizes(x);
  const axis = wrapDim(dim, sizes.length);
  check(parts.length > 0, () => 'unflatten: sizes must be non-empty');
  const known = numel(parts.filter((size) => size !== -1));
  const fits = parts.includes(-1) ? known > 0 && sizes[axis] % known === 0 : known === sizes[axis];
  check(
    fits,
    () =>
      `unflatten: Provided sizes ${show(parts)} don't multiply up to the size of dim ${axis} (${sizes[axis]}) in the input tensor`,
  );
  return v.reshape(x, [...sizes.slice(0, axis), ...inferSizes(parts, sizes[axis]), ...sizes.slice(axis + 1)]);
};

const diagonal: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, offset: number, dim1: number, dim2: number) => {
  const rank = v.sizes(x).length;
  const [first, second] = [wrapDim(dim1, rank), wrapDim(dim2, rank)];
  check(first !== second, () => `diagonal dimensions cannot be identical ${dim1}, ${dim2}`);
  return v.diagonal(x, offset, first, second);
};

const unfold: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, dim: number, size: number, step: number) => {
  const sizes = v.sizes(x);
  const axis = wrapDim(dim, sizes.length);
  const extent = sizes[axis] ?? 1;
  check(
    size <= extent,
    () => `maximum size for tensor at dimension ${axis} is ${extent} but size is ${size}`,
  );
  check(step > 0, () => `step is ${step} but must be > 0`);
  return v.unfold(x, axis, size, step);
};

const asStrided: ViewOperator = <T>(
  v: ViewAlgebra<T>,
  x: T,
  size: Sizes,
  stride: Sizes,
  offset: number | null,
) => {
  check(size.length === stride.length, () => 'mismatch in length of strides and shape');
  check(
    stride.every((each) => each >= 0),
    () => `as_strided: Negative strides are not supported at the moment, got strides: ${show(stride)}`,
  );
  check((offset ?? 0) >= 0, () => `Tensor: invalid storage offset ${offset}`);
  return v.asStrided(x, size, stride, offset);
};

const parts = <T>(
  v: ViewAlgebra<T>,
  x: T,
  dim: number,
  bounds: readonly (readonly [number, number])[],
): T[] => bounds.map(([start, end]) => v.slice(x, dim, start, Math.max(start, end), 1));

const unbind: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, dim: number) => {
  const axis = wrapDim(dim, v.sizes(x).length);
  check(v.sizes(x).length > 0, () => 'Dimension specified as 0 but tensor has no dimensions');
  return range(v.sizes(x)[axis]).map((at) => v.drop(v.slice(x, axis, at, at + 1, 1), axis));
};

function evenBounds(size: number, length: number): [number, number][] {
  const count = Math.max(1, Math.ceil(size / length));
  return range(count).map((at) => [at * length, Math.min((at + 1) * length, size)]);
}

const split: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, length: number, dim: number) => {
  const sizes = v.sizes(x);
  check(sizes.length > 0, () => 'split expects at least a 1-dimensional tensor');
  check(length >= 0, () => `split expects split_size be non-negative, but got split_size=${length}`);
  const axis = wrapDim(dim, sizes.length);
  check(
    length > 0 || sizes[axis] === 0,
    () => `split_size can only be 0 if dimension size is 0, but got dimension size of ${sizes[axis]}`,
  );
  return parts(v, x, axis, length === 0 ? [[0, 0]] : evenBounds(sizes[axis], length));
};

const splitSizes: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, lengths: Sizes, dim: number) => {
  const sizes = v.sizes(x);
  check(sizes.length > 0, () => 'split expects at least a 1-dimensional tensor');
  const axis = wrapDim(dim, sizes.length);
  check(
    lengths.reduce((total, length) => total + length, 0) === sizes[axis] &&
      lengths.every((length) => length >= 0),
    () =>
      `split_with_sizes expects split_sizes to sum exactly to ${sizes[axis]} (input tensor's size at dimension ${axis}), but got split_sizes=${show(lengths)}`,
  );
  let start = 0;
  return parts(
    v,
    x,
    axis,
    lengths.map((length) => [start, (start += length)] as const),
  );
};

const chunk: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, chunks: number, dim: number) => {
  const sizes = v.sizes(x);
  check(sizes.length > 0, () => 'chunk expects at least a 1-dimensional tensor');
  check(chunks > 0, () => `chunk expects \`chunks\` to be greater than 0, got: ${chunks}`);
  const axis = wrapDim(dim, sizes.length);
  const length = Math.ceil(sizes[axis] / chunks);
  const bounds: [number, number][] =
    length === 0 ? range(chunks).map(() => [0, 0]) : evenBounds(sizes[axis], length);
  return parts(v, x, axis, bounds);
};

/** Sections as equal as can be, the first ones longer. */
function sectionBounds(size: number, sections: number): [number, number][] {
  const [least, extra] = [Math.floor(size / sections), size % sections];
  let start = 0;
  return range(sections).map((at) => [start, (start += least + (at < extra ? 1 : 0))]);
}

function indexBounds(size: number, indices: Sizes): [number, number][] {
  const edges = [
    0,
    ...indices.map((index) => Math.max(0, Math.min(index < 0 ? index + size : index, size))),
    size,
  ];
  return range(indices.length + 1).map((at) => [edges[at], edges[at + 1]]);
}

const tensorSplit: ViewOperator = <T>(v: ViewAlgebra<T>, x: T, how: Sizes | number, dim: number) => {
  const sizes = v.sizes(x);
  check(
    sizes.length > 0,
    () => 'tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims',
  );
  const axis = wrapDim(dim, sizes.length);
  if (typeof how === 'number') {
    check(how > 0, () => `number of sections must be larger than 0, got ${how}`);
    return parts(v, x, axis, sectionBounds(sizes[axis], how));
  }
  return parts(v, x, axis, indexBounds(sizes[axis], how));
};

/** hsplit, vsplit, dsplit: tensor_split along a fixed dimension, into equal sections. */
const fixedSplit =
  (name: string, least: number, dimOf: (rank: number) => number): ViewOperator =>
  <T>(v: ViewAlgebra<T>, x: T, how: Sizes | number) => {
    const sizes = v.sizes(x);
    check(
      sizes.length >= least,
      () =>
        `torch.${name} requires a tensor with at least ${least} dimension${least > 1 ? 's' : ''}, but got a tensor with ${sizes.length} dimensions!`,
    );
    const axis = dimOf(sizes.length);
    if (typeof how === 'number') {
      check(
        how > 0 && sizes[axis] % how === 0,
        () =>
          `torch.${name} attempted to split along dimension ${axis}, but the size of the dimension ${sizes[axis]} is not divisible by the split_size ${how}!`,
      );
      return parts(v, x, axis, sectionBounds(sizes[axis], how));
    }
    return parts(v, x, axis, indexBounds(sizes[axis], how));
  };

const hsplit = fixedSplit('hsplit', 1, (rank) => (rank === 1 ? 0 : 1));
const vsplit = fixedSplit('vsplit', 2, () => 0);
const dsplit = fixedSplit('dsplit', 3, () => 2);

const itself: ViewOperator = <T>(_v: ViewAlgebra<T>, x: T) => x;

const atLeast =
  (rank: number): ViewOperator =>
  <T>(v: ViewAlgebra<T>, x: T) => {
    const sizes = v.sizes(x);
    if (sizes.length >= rank) return x;
    if (sizes.length === 0)
      return v.reshape(
        x,
        range(rank).map(() => 1),
      );
    if (rank === 2) return v.insert(x, 0);
    return sizes.length === 1 ? v.insert(v.insert(x, 0), 2) : v.insert(x, 2);
  };

viewOperators({
  'aten::view': view,
  'aten::_unsafe_view': view,
  'aten::reshape': reshape,
  'aten::_reshape_alias': reshape,
  'aten::view_as': viewAs,
  'aten::reshape_as': viewAs,
  'aten::expand': expand,
  'aten::broadcast_to': expand,
  'aten::expand_as': expandAs,
  'aten::transpose.int': transpose,
  'aten::swapaxes': transpose,
  'aten::swapdims': transpose,
  'aten::permute': permute,
  'aten::t': t,
  'aten::numpy_T': reverseDims,
  'aten::numpy_T.a': reverseDims,
  'aten::mT': matrixTranspose('mT'),
  'aten::mT.a': matrixTranspose('mT'),
  'aten::pin_memory': itself,
  'aten::_pin_memory': itself,
  'aten::movedim.int': moveDims,
  'aten::movedim.intlist': moveDims,
  'aten::moveaxis.int': moveDims,
  'aten::moveaxis.intlist': moveDims,
  'aten::select.int': select,
  'aten::slice.Tensor': slice,
  'aten::narrow': narrow,
  'aten::narrow.Tensor': narrow,
  'aten::tensor_split.tensor_indices_or_sections': tensorSplit,
  'aten::unsqueeze': unsqueeze,
  'aten::squeeze': squeeze,
  'aten::squeeze.dim': squeezeDim,
  'aten::flatten.using_ints': flatten,
  'aten::ravel': <T>(v: ViewAlgebra<T>, x: T) => v.reshape(x, [numel(v.sizes(x))]),
  'aten::unflatten.int': unflatten,
  'aten::diagonal': diagonal,
  'aten::linalg_diagonal': <T>(v: ViewAlgebra<T>, x: T, offset: number, dim1: number, dim2: number) =>
    diagonal(v, x, ...([offset, dim1, dim2] as never[])),
  'aten::unfold': unfold,
  'aten::as_strided': asStrided,
  'aten::unbind.int': unbind,
  'aten::split.Tensor': split,
  'aten::split': splitSizes,
  'aten::split.sizes': splitSizes,
  'aten::split_with_sizes': splitSizes,
  'aten::chunk': chunk,
  // Their parts may be written to, which autograd does not let those of the others.
  'aten::unsafe_split.Tensor': split,
  'aten::unsafe_split_with_sizes': splitSizes,
  'aten::unsafe_chunk': chunk,
  'aten::tensor_split.sections': tensorSplit,
  'aten::tensor_split.indices': tensorSplit,
  'aten::hsplit.int': hsplit,
  'aten::hsplit.array': hsplit,
  'aten::vsplit.int': vsplit,
  'aten::vsplit.array': vsplit,
  'aten::dsplit.int': dsplit,
  'aten::dsplit.array': dsplit,
  'aten::detach': itself,
  'aten::alias': itself,
  'aten::lift_fresh': itself,
  'aten::atleast_1d': atLeast(1),
  'aten::atleast_2d': atLeast(2),
  'aten::atleast_3d': atLeast(3),
  /** Shares storage when the elements already stand in row-major order. */
  'aten::contiguous': <T>(v: ViewAlgebra<T>, x: T) => v.contiguous(x),
});

/** Operators with the meaning of a view that always copy. */
const copies: Readonly<Record<string, ViewOperator>> = {
  'aten::view_copy': view,
  'aten::_reshape_alias_copy': reshape,
  'aten::expand_copy': expand,
  'aten::transpose_copy.int': transpose,
  'aten::permute_copy': permute,
  'aten::t_copy': t,
  'aten::select_copy.int': select,
  'aten::slice_copy.Tensor': slice,
  'aten::narrow_copy': narrow,
  'aten::unsqueeze_copy': unsqueeze,
  'aten::squeeze_copy': squeeze,
  'aten::squeeze_copy.dim': squeezeDim,
  'aten::diagonal_copy': diagonal,
  'aten::unfold_copy': unfold,
  'aten::as_strided_copy': asStrided,
  'aten::unbind_copy.int': unbind,
  'aten::split_copy.Tensor': split,
  'aten::split_with_sizes_copy': splitSizes,
  'aten::detach_copy': itself,
  'aten::alias_copy': itself,
  'aten::lift_fresh_copy': itself,
  'aten::lift': itself,
};
for (const [name, operator] of Object.entries(copies)) {
  lowerings({
    [name]: (b, self: Value, ...args: never[]) => operator(copiedViews(b), self, ...args),
  });
}

/** Transposes of complex matrices are conjugated, which makes a copy that lies as the transpose would. */
const adjoint = (transposed: ViewOperator) => ({
  view: (self: Viewed): View | null =>
    isComplex(self.dtype) ? null : (transposed(stridedViews, self as Strided) as Strided),
  lower: (b: CoreBuilder, self: Value): Value => {
    const x = transposed(copiedViews(b), self) as Value;
    return isComplex(specOf(self).dtype) ? b.complex(b.real(x), b.negate(b.imag(x))) : x;
  },
});
const matrixH: ViewOperator = <T>(v: ViewAlgebra<T>, x: T) => {
  const rank = v.sizes(x).length;
  check(rank === 2, () => `tensor.H is only supported on matrices (2-D tensors). Got ${rank}-D tensor.`);
  return v.permute(x, [1, 0]);
};

views({
  'aten::mH': adjoint(matrixTranspose('mH')),
  'aten::mH.a': adjoint(matrixTranspose('mH')),
  'aten::adjoint': adjoint(matrixTranspose('adjoint')),
  'aten::matrix_H': adjoint(matrixH),
  'aten::matrix_H.a': adjoint(matrixH),
});
const lyingTransposed: ResultLayout = {
  kind: 'strides',
  strides: (site) => swappedLast(geometryOf(site, 0).strides),
};
const swappedLast = (strides: Sizes): Sizes =>
  strides.length < 2 ? strides : [...strides.slice(0, -2), strides.at(-1)!, strides.at(-2)!];
for (const name of ['mH', 'mH.a', 'adjoint', 'matrix_H', 'matrix_H.a']) {
  layouts({ [`aten::${name}`]: lyingTransposed });
}

lowerings({
  'aten::atleast_1d.Sequence': (b, tensors: readonly Value[]) =>
    tensors.map((x) => atLeast(1)(copiedViews(b), x) as Value),
  'aten::atleast_2d.Sequence': (b, tensors: readonly Value[]) =>
    tensors.map((x) => atLeast(2)(copiedViews(b), x) as Value),
  'aten::atleast_3d.Sequence': (b, tensors: readonly Value[]) =>
    tensors.map((x) => atLeast(3)(copiedViews(b), x) as Value),
});

/** A start or split points that stand in a tensor become numbers. */
preparations({
  'aten::narrow.Tensor': (read, self: TensorLike, dim: number, start: TensorLike, length: number) => {
    check(
      start.shape.length === 0 && isInteger(start.dtype),
      () => 'start must be an 0-dim integral Tensor.',
    );
    return [self, dim, Number(integersOf(read(start))[0]), length];
  },
  'aten::tensor_split.tensor_indices_or_sections': (read, self: TensorLike, how: TensorLike, dim: number) => {
    check(
      how.shape.length < 2 && how.dtype === 'int64',
      () =>
        'tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor of dtype int64',
    );
    const numbers = integersOf(read(how)).map(Number);
    return [self, how.shape.length === 0 ? numbers[0] : numbers, dim];
  },
});
