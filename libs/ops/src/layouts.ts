// Operators that in PyTorch move a tensor between layouts, backends and precisions of autocast, where here it is dense and stays
// as it is; and small ones about shapes that traced graphs hold.
import type { CoreBuilder, DType, TensorLike, Value } from '@weft/ir';
import { lowerings, preparations } from './operator.ts';
import { check, range, rankOf, sizesOf } from './broadcast.ts';
import { printName } from './promotion.ts';
import { dtypeOf, like, plus } from './elementwise.ts';
import { lowerNamed } from './backward.ts';
import { integersOf, literalOf } from './literal.ts';

type Sizes = readonly number[];

const same = (_b: CoreBuilder, self: Value): Value => self;
const converted = (b: CoreBuilder, self: Value, dtype: DType | null): Value =>
  dtype === null ? self : b.convert(self, dtype);
const sameList = (_b: CoreBuilder, list: readonly Value[]): readonly Value[] => list;

/** Transforms of Fourier over some dimensions; `normalization` is 0 for none, 1 for the root of n, 2 for n. */
const forwardNorms = ['backward', 'ortho', 'forward'];
const inverseNorms = ['forward', 'ortho', 'backward'];

lowerings({
  'aten::to_dense': converted,
  'aten::_to_dense': converted,
  'aten::to_dense_backward': same,
  'aten::to_mkldnn': converted,
  'aten::to_mkldnn_backward': same,
  'aten::_to_cpu': sameList,
  'aten::_grad_sum_to_size': (b, self: Value, size: Sizes | null) =>
    size === null ? self : lowerNamed(b, 'sum_to_size', [self, size]),
  /** Weights as half precision can hold them. */
  'aten::_saturate_weight_to_fp16': (b, weight: Value) =>
    b.maximum(b.minimum(weight, like(b, weight, 65504)), like(b, weight, -65504)),
  'aten::_shape_as_tensor': (b, self: Value) => b.constant(literalOf('int64', [rankOf(self)], sizesOf(self))),
  'aten::_list_to_tensor': (b, list: Sizes) => b.constant(literalOf('int32', [list.length], list)),
  'aten::_reshape_from_tensor': (b, self: Value, shape: Sizes) => lowerNamed(b, 'reshape', [self, shape]),
  /** Dimensions of one at the end, to the given rank, of a vector of channels. */
  'aten::_ncf_unsqueeze': (b, self: Value, rank: number) => {
    check(
      rankOf(self) === 1,
      () => `_ncf_unsqueeze: a vector of channels is expected, got ${rankOf(self)} dimensions`,
    );
    return b.reshape(self, [1, sizesOf(self)[0], ...range(rank - 2).map(() => 1)]);
  },
  'aten::_ncf_view': (b, self: Value, shape: Sizes, normalized: number) =>
    lowerNamed(b, 'reshape', [
      self,
      [...shape.slice(0, shape.length - normalized), ...range(normalized).map(() => 1)],
    ]),
  /** Each row of coefficients times the slices of the input, added up. */
  'aten::_compute_linear_combination': (b, input: Value, coefficients: Value) =>
    b.dotGeneral(coefficients, input, { lhsContracting: [1], rhsContracting: [0] }),
  'aten::_symeig_helper': (b, self: Value, vectors: boolean, upper: boolean) =>
    lowerNamed(b, 'symeig', [self, vectors, upper]),
  'aten::_fft_r2c': (b, self: Value, dims: Sizes, normalization: number, onesided: boolean) =>
    lowerNamed(b, onesided ? 'fft_rfftn' : 'fft_fftn', [self, null, dims, forwardNorms[normalization]]),
  'aten::_fft_c2c': (b, self: Value, dims: Sizes, normalization: number, forward: boolean) =>
    dims.length === 0
      ? self
      : forward
        ? lowerNamed(b, 'fft_fftn', [self, null, dims, forwardNorms[normalization]])
        : lowerNamed(b, 'fft_ifftn', [self, null, dims, inverseNorms[normalization]]),
  'aten::_fft_c2r': (b, self: Value, dims: Sizes, normalization: number, last: number) => {
    const sizes = dims.map((dim, at) => (at === dims.length - 1 ? last : sizesOf(self).at(dim)!));
    return lowerNamed(b, 'fft_irfftn', [self, sizes, dims, inverseNorms[normalization]]);
  },
  /** Where each row starts among the sorted row numbers of elements. */
  'aten::_convert_indices_from_coo_to_csr': (b, self: Value, size: number, int32: boolean) => {
    const grid = [size + 1, sizesOf(self)[0]];
    const rows = b.broadcastInDim(b.convert(self, 'int64'), grid, [1]);
    const before = b.compare(rows, b.iota('int64', grid, 0), 'LT');
    return b.convert(b.reduceSum(b.convert(before, 'int64'), [1]), int32 ? 'int32' : 'int64');
  },
  'aten::_convert_indices_from_csr_to_coo': (
    b,
    starts: Value,
    columns: Value,
    int32: boolean,
    isTransposed: boolean,
  ) => {
    const count = sizesOf(columns)[0];
    const grid = [count, sizesOf(starts)[0]];
    const started = b.compare(
      b.broadcastInDim(b.convert(starts, 'int64'), grid, [1]),
      b.iota('int64', grid, 0),
      'LE',
    );
    const rows = plus(b, b.reduceSum(b.convert(started, 'int64'), [1]), -1);
    const both = [rows, b.convert(columns, 'int64')].map((x) => b.reshape(x, [1, count]));
    return b.convert(b.concatenate(isTransposed ? both.reverse() : both, 0), int32 ? 'int32' : 'int64');
  },
});

preparations({
  'aten::_reshape_from_tensor': (read, self: TensorLike, shape: TensorLike) => {
    check(shape.shape.length === 1, () => 'shape.dim() == 1 INTERNAL ASSERT FAILED: the shape is a vector');
    check(
      shape.dtype === 'int64' || shape.dtype === 'int32',
      () => `expected scalar type Int but found ${printName(shape.dtype)}`,
    );
    return [self, integersOf(read(shape)).map(Number)];
  },
});

// ---- autocast -----------------------------------------------------------------------------------------------------

lowerings({
  'aten::_autocast_to_full_precision': (b, self: Value, _cuda: boolean, cpu: boolean) =>
    cpu && (dtypeOf(self) === 'float16' || dtypeOf(self) === 'bfloat16') ? b.convert(self, 'float32') : self,
  'aten::_autocast_to_reduced_precision': (
    b,
    self: Value,
    _cuda: boolean,
    cpu: boolean,
    _cudaType: DType,
    cpuType: DType,
  ) => (cpu && dtypeOf(self) === 'float32' ? b.convert(self, cpuType) : self),
});
