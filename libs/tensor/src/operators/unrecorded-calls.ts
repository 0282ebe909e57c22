// Calls of operators that PyTorch 1.13 does not run on a CPU (of CUDA, of MKL-DNN, of later versions), or whose results are one
// choice of many (signs of singular vectors): finite differences judge their gradients. What else they are equal to stands
// in relations.test.ts.
import { isComplex } from '@weft/ir';
import type { DType } from '@weft/ir';
import type { OperatorCase, Recorded, TensorData } from './run-case.ts';

/** Numbers spread over (low, high), the same in every run. */
function tensor(sizes: readonly number[], low = -1, high = 1, t: DType = 'float64'): TensorData {
  const count = sizes.reduce((product, size) => product * size, isComplex(t) ? 2 : 1);
  const spread = (at: number): number => (((at + count) * 0.6180339887) % 1) * (high - low) + low;
  return { t, s: sizes, d: Array.from({ length: count }, (_, at) => Number(spread(at).toFixed(4))) };
}
const integers = (sizes: readonly number[], d: readonly number[]): TensorData => ({
  t: 'int64',
  s: sizes,
  d,
});
const f = (value: number): Recorded => ({ f: value });
const call = (op: string, ...args: Recorded[]): OperatorCase => ({
  op: op.includes('::') ? op : `aten::${op}`,
  args,
});

const image = tensor([1, 2, 4, 4]);
const kernel = tensor([3, 2, 3, 3]);
const bias = tensor([3]);
const ones2 = [1, 1];
const volume = tensor([1, 2, 3, 3, 3]);
/** Its eigenvalues are far apart. */
const symmetric: TensorData = { t: 'float64', s: [3, 3], d: [4, 0.5, -0.3, 0.5, 2, 0.2, -0.3, 0.2, 1] };
const tall = tensor([3, 2]);
const square = tensor([3, 3]);
const mask: TensorData = { t: 'bool', s: [2, 3], d: [false, true, false, false, false, true] };

export const unrecordedCalls: readonly OperatorCase[] = [
  call('native_norm', tensor([2, 3]), 2),
  call('native_norm.ScalarOpt_dim_dtype', tensor([2, 3]), 3, [1], false, null),
  call('_unsafe_index.Tensor', tensor([4, 3]), [integers([3], [0, 2, 2])]),
  call('_unsafe_index_put', tensor([4, 3]), [integers([2], [0, 2])], tensor([2, 3]), true),
  call('_masked_scale', tensor([4]), tensor([4], 0.2, 0.9), f(2)),
  call('convolution_overrideable', image, kernel, bias, ones2, ones2, ones2, false, [0, 0], 1),
  call(
    'conv_depthwise3d',
    volume,
    tensor([2, 1, 2, 2, 2]),
    [2, 2, 2],
    tensor([2]),
    [1, 1, 1],
    [0, 0, 0],
    [1, 1, 1],
  ),
  call('_conv_depthwise2d', image, tensor([2, 1, 3, 3]), [3, 3], tensor([2]), ones2, ones2, ones2),
  call('_nnpack_spatial_convolution', image, kernel, bias, ones2, ones2),
  call('_fused_dropout', tensor([4]), f(0.4), null),
  call(
    'scaled_dot_product_attention',
    tensor([2, 3, 4]),
    tensor([2, 3, 4], -2),
    tensor([2, 3, 4], 0),
    null,
    f(0),
    false,
    null,
    false,
  ),
  call('_safe_softmax', tensor([2, 3]), 1, null),
  call('rms_norm', tensor([2, 4]), [4], tensor([4], 0.2, 2), f(1e-5)),
  call(
    'batch_norm_elemt',
    tensor([4, 3]),
    tensor([3]),
    tensor([3], 0),
    tensor([3], -2),
    tensor([3], 0.5, 2),
    f(1e-5),
  ),
  call('mkldnn_max_pool2d', image, [2, 2], [2, 2], [0, 0], ones2, false),
  call('mkldnn_max_pool3d', volume, [2, 2, 2], [1, 1, 1], [0, 0, 0], [1, 1, 1], false),
  call('mkldnn_reorder_conv2d_weight', kernel, [0, 0], ones2, ones2, 1),
  call('mkldnn_reorder_conv3d_weight', tensor([2, 2, 2, 2, 2]), [0, 0, 0], [1, 1, 1], [1, 1, 1], 1),
  call('prim::mkldnn_convolution', image, kernel, bias, ones2, ones2, ones2, 1),
  call('mkldnn_linear', tensor([2, 4]), tensor([3, 4]), bias),
  call('mkldnn_adaptive_avg_pool2d', image, [2, 3]),
  call('_mkldnn_reshape', tensor([2, 3]), [3, 2]),
  call('_mkldnn_transpose', tensor([2, 3]), 0, 1),
  call('_to_dense', tensor([2]), null),
  call('to_mkldnn', tensor([2]), null),
  call('to.device', tensor([2]), 'cpu', { dtype: 'float64' }, false, false, null),
  call('split', tensor([5, 2]), [2, 3], 0),
  call('pin_memory', tensor([2]), null),
  call('_pin_memory', tensor([2]), null),
  call('_ncf_view', tensor([2]), [2, 3], 1),
  call('_to_cpu', [tensor([2]), tensor([3])]),
  call('embedding_renorm_', tensor([4, 3], -3, 3), integers([2], [0, 2]), f(0.5), f(2)),
  call('linear_backward', tensor([2, 4]), tensor([2, 3]), tensor([3, 4]), [true, true, true]),
  call('matmul_backward', tensor([2, 2]), tensor([2, 3]), tensor([3, 2]), [true, true]),
  call('_masked_softmax_backward', tensor([2, 3]), tensor([2, 3], 0.1, 0.9), mask, 1),
  call('_linalg_solve_ex', square, tensor([3, 2]), true, false),
  call('_linalg_det', square),
  call('_linalg_slogdet', square),
  call('linalg_eigh', symmetric, 'L'),
  call('_linalg_eigh', symmetric, 'L', true),
  call('symeig', symmetric, true, true),
  call('linalg_svd', tall, false, null),
  call('_linalg_svd', tall, false, true, null),
  call('svd', tall, true, true),
  call('linalg_eigvals', symmetric),
  call('linalg_eig', symmetric),
  call('embedding_dense_backward', tensor([3, 2]), integers([3], [0, 3, 3]), 5, -1, true),
];
