// Which dtypes PyTorch's operators refuse, and in which words. Two tables, found by calling PyTorch 1.13 with every dtype:
//
//  - `kernels`: what its CPU kernels are not compiled for (`"sigmoid_cpu" not implemented for 'Half'`). That is a property of
//    the CPU and not of the operator, so it is said only when an operator is about to run there, after every other check.
//  - `operators`: dtypes that an operator has no meaning for, on any device. Checked before anything else.
//
// A row: kernel or message ({} is the dtype) | refused dtypes | operators, with or without overload. `promoted` after the
// dtypes: the dtype is that to which all operands promote; else that of the first tensor.
import type { DType, TensorLike } from '@weft/ir';
import { Complex, OperatorError, asTensorSpec, findSchema } from '@weft/ir';
import type { DataArgument, Scalar } from './operator.ts';
import { printName, promotedType, scalarDType } from './promotion.ts';
import type { OperandType } from './promotion.ts';

const groups: Readonly<Record<string, readonly DType[]>> = {
  float: ['float32', 'float64'],
  half: ['float16'],
  bfloat16: ['bfloat16'],
  low: ['float16', 'bfloat16'],
  int: ['uint8', 'int8', 'int16', 'int32', 'int64'],
  signed: ['int8', 'int16', 'int32', 'int64'],
  narrow: ['uint8', 'int8', 'int16', 'int32'],
  short: ['uint8', 'int8', 'int16'],
  int64: ['int64'],
  uint8: ['uint8'],
  bool: ['bool'],
  complex: ['complex64', 'complex128'],
};

const kernels = `
abs_cpu | bool | abs absolute
acos_vml_cpu | half | acos arccos
acosh_cpu | half | acosh arccosh
adaptive_avg_pool2d | half int bool complex | _adaptive_avg_pool2d adaptive_avg_pool1d adaptive_avg_pool2d
adaptive_avg_pool2d_backward | half int bool complex | _adaptive_avg_pool2d_backward
adaptive_avg_pool3d_backward_cpu | bfloat16 int bool complex | _adaptive_avg_pool3d_backward
adaptive_avg_pool3d_cpu | bfloat16 int bool complex | _adaptive_avg_pool3d adaptive_avg_pool3d
adaptive_max_pool2d | half int bool complex | adaptive_max_pool1d adaptive_max_pool2d
adaptive_max_pool2d_backward | half int bool complex | adaptive_max_pool2d_backward
adaptive_max_pool3d_backward | low int bool complex | adaptive_max_pool3d_backward
adaptive_max_pool3d_cpu | low int bool complex | adaptive_max_pool3d
addcdiv_cpu_out | half promoted | addcdiv
addcmul_cpu_out | half bool promoted | addcmul
addmm_impl_cpu_ | half bool | _addmm_activation addbmm addmm chain_matmul conv_tbc gru gru_cell inner linalg_matmul linalg_matrix_power linalg_multi_dot linear lstm lstm_cell matrix_power mm rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell tensordot corrcoef cov
addmv_impl_cpu | half bool | addmv mv
aminmax_cpu | half complex | _aminmax
aminmax_cpu | low complex | _aminmax.dim aminmax
argmax_cpu | bool complex | argmax
argmin_cpu | bool complex | argmin
asin_vml_cpu | half | arcsin asin
asinh_cpu | half | arcsinh asinh
atan2_cpu | half complex promoted | arctan2 atan2
atan_vml_cpu | half | arctan atan
atanh_cpu | half | arctanh atanh
avg_pool2d | half narrow bool complex | avg_pool1d avg_pool2d
avg_pool2d_backward | half narrow bool complex | avg_pool2d_backward
avg_pool3d_backward_out_frame | low narrow bool complex | avg_pool3d_backward
avg_pool3d_out_frame | low narrow bool complex | avg_pool3d
baddbmm | half bool | baddbmm
batch_norm | half int bool complex | batch_norm instance_norm native_batch_norm
bernoulli_scalar_cpu_ | half complex | alpha_dropout bernoulli.p dropout feature_alpha_dropout feature_dropout
bernoulli_tensor_cpu_self_ | half complex | bernoulli
binary_cross_entropy | low int bool complex | binary_cross_entropy
binary_cross_entropy_backward | low int bool complex | binary_cross_entropy_backward
bincount_cpu | float low bool complex | bincount
bitwise_and_cpu | float low complex promoted | bitwise_and __and__ __iand__
bitwise_not_cpu | float low complex | bitwise_not
bitwise_or_cpu | float low complex promoted | bitwise_or __or__ __ior__
bitwise_xor_cpu | float low complex promoted | bitwise_xor __xor__ __ixor__
bmm | half | affine_grid_generator
bmm | half bool | _trilinear bilinear bmm einsum
cauchy_cpu | int bool complex | cauchy
cdist | low | _cdist_forward cdist
cdist_backward | low int bool complex | _cdist_backward
ceil_vml_cpu | half bool | ceil
chebyshev_polynomial_t_cpu | low complex promoted | special_chebyshev_polynomial_t
chebyshev_polynomial_u_cpu | low complex promoted | special_chebyshev_polynomial_u
chebyshev_polynomial_v_cpu | low complex promoted | special_chebyshev_polynomial_v
chebyshev_polynomial_w_cpu | low complex promoted | special_chebyshev_polynomial_w
check_uniform_bounds | int bool | rand_like uniform
cholesky_cpu | low int bool | cholesky
cholesky_cpu | low | linalg_cholesky linalg_cholesky_ex
cholesky_inverse_out_cpu | low int bool | cholesky_inverse
cholesky_solve_cpu | low int bool | _cholesky_solve_helper cholesky_solve
clamp_cpu | half bool promoted | clamp.Tensor clip.Tensor
clamp_max_scalar_cpu | half | clamp_max
clamp_min_cpu | half | binary_cross_entropy_with_logits clamp_min cosine_similarity hinge_embedding_loss margin_ranking_loss relu triplet_margin_loss
clamp_scalar_cpu | half | hardtanh relu6
col2im_out_cpu | int bool | col2im
compute_columns3d | half bool | conv3d
compute_indices_weights_aa | low int bool complex | _upsample_bicubic2d_aa _upsample_bilinear2d_aa
compute_indices_weights_cubic | half int bool complex | upsample_bicubic2d
compute_indices_weights_linear | half int bool complex | __upsample_bilinear upsample_bilinear2d upsample_linear1d upsample_trilinear3d
compute_indices_weights_nearest | half signed bool complex | __interpolate __upsample __upsample_nearest upsample_nearest1d upsample_nearest2d upsample_nearest3d
compute_indices_weights_nearest | low signed bool complex | _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d
copysign_cpu | complex promoted | copysign
cos_vml_cpu | half | cos
cosh_cpu | half | cosh
cross | half bool | cross linalg_cross
ctc_loss_cpu | low int bool complex | ctc_loss
cummax_cpu | half complex | cummax
cummin_cpu | half complex | cummin
diag | half | diag diagflat
digamma | half complex | digamma special_digamma special_psi
div_floor_cpu | bool complex promoted | floor_divide
dot | half bool | dot
dot | half | linalg_vecdot
elu_backward_cpu | half int bool complex | elu_backward
elu_cpu | half int bool complex | celu elu selu
entr_cpu | half complex | special_entr
erf_vml_cpu | half complex | erf special_erf special_ndtr
erfc_vml_cpu | half complex | erfc special_erfc
erfcx_cpu | low complex | special_erfcx
erfinv_vml_cpu | half complex | erfinv special_erfinv
exp2 | complex | exp2 special_exp2
exp_vml_cpu | half | exp logsumexp special_logsumexp soft_margin_loss soft_margin_loss_backward
expm1_vml_cpu | half complex | expm1 special_expm1
exponential_cpu | int bool complex | exponential
floor_vml_cpu | half bool | floor
fmod_cpu | bool complex promoted | fmod
frac_cpu | int bool complex | frac
gcd_cpu | float low bool complex promoted | gcd
ge_cpu | complex promoted | ge greater_equal
GeluBackwardKernelImpl | half int bool complex | gelu_backward
GeluKernelImpl | half int bool complex | gelu
geometric_cpu | bool complex | geometric
geqrf_cpu | low | linalg_qr qr
glu_backward_cpu | complex | glu_backward
glu_cpu | half int bool complex | glu
GroupNormKernelImpl | half int bool complex | group_norm native_group_norm
gt_cpu | complex promoted | greater gt
hardshrink_backward_cpu | low int bool complex | hardtanh_backward
hardshrink_cpu | half int bool complex | hardshrink
hardsigmoid_backward | half int bool complex | hardsigmoid_backward
hardsigmoid_cpu | half int bool complex | hardsigmoid
hardswish_backward_cpu | half int bool complex | hardswish_backward
hardswish_cpu | half int bool complex | hardswish
hermite_polynomial_h_cpu | low complex promoted | special_hermite_polynomial_h
hermite_polynomial_he_cpu | low complex promoted | special_hermite_polynomial_he
huber_backward_cpu_out | int bool complex promoted | huber_loss_backward
huber_cpu | int bool complex promoted | huber_loss
hypot_cpu | half int bool complex promoted | hypot
i0_vml_cpu | half complex | i0 special_i0
i0e_cpu | half complex | special_i0e
i1_cpu | low complex | special_i1
i1e_cpu | low complex | special_i1e
igamma_cpu | int bool complex promoted | igamma special_gammainc
igammac_cpu | int bool complex promoted | igammac special_gammaincc
im2col_out_cpu | int bool | im2col
index_func_ | bool complex | index_reduce
isin_default_cpu | half | isin.Scalar_Tensor isin.Tensor_Tensor
kthvalue_cpu | half bool complex | kthvalue
laguerre_polynomial_l_cpu | low complex promoted | special_laguerre_polynomial_l
LayerNormBackwardKernelImpl | half int bool complex | native_layer_norm_backward
LayerNormKernelImpl | half int bool complex | layer_norm native_layer_norm
lcm_cpu | float low bool complex promoted | lcm
le_cpu | complex promoted | le less_equal
leaky_relu_backward_cpu | half int bool complex | leaky_relu_backward
leaky_relu_cpu | half int bool complex | leaky_relu
legendre_polynomial_p_cpu | low complex promoted | special_legendre_polynomial_p
lerp_kernel_scalar | half int bool | lerp.Scalar
lerp_kernel_tensor | half int bool | lerp.Tensor
lgamma_vml_cpu | half complex | lgamma special_gammaln
lgamma_vml_cpu | half | mvlgamma special_multigammaln
linalg.lu_solve_cpu | low | linalg_lu_solve lu_solve
linalg_eig_out_cpu | low | linalg_eig linalg_eigvals
linalg_eigh_cpu | low int bool | _linalg_eigh linalg_eigh linalg_eigvalsh
linalg_svd_cpu | low | _linalg_svd linalg_cond linalg_matrix_rank linalg_svd linalg_svdvals nuclear_norm svd
log10_vml_cpu | half | log10
log1p_vml_cpu | half complex | log1p special_log1p
log2_vml_cpu | half | log2 linalg_matrix_exp matrix_exp
log_ndtr_cpu | low complex | special_log_ndtr
log_normal_cpu | int bool complex | log_normal
log_sigmoid_backward_cpu | half int bool complex | log_sigmoid_backward
log_sigmoid_cpu | half int bool complex | log_sigmoid log_sigmoid_forward
log_vml_cpu | half | log
logaddexp2_cpu | half int bool complex promoted | logaddexp2
logaddexp_cpu | half int bool complex promoted | logaddexp
logit_backward_cpu | half int bool complex | logit_backward
logit_cpu | half complex | logit special_logit
lshift_cpu | float low bool complex promoted | bitwise_left_shift __lshift__ __ilshift__
lt_cpu | complex promoted | less lt
lu_cpu | low | _linalg_det _linalg_solve_ex det linalg_det linalg_solve linalg_solve_ex linalg_tensorsolve
lu_cpu | low int bool | _lu_with_info linalg_lu linalg_lu_factor linalg_lu_factor_ex
max_all | complex | max
max_pool1d_impl | half int bool complex | max_pool1d
max_pool2d | half int bool complex | max_pool1d_with_indices max_pool2d max_pool2d_with_indices
max_pool2d_backward | half int bool complex | max_pool2d_with_indices_backward
max_pool3d_with_indices_backward | low int bool complex | max_pool3d_with_indices_backward
max_pool3d_with_indices_cpu | low int bool complex | max_pool3d max_pool3d_with_indices
max_unpool2d | low int bool complex | max_unpool2d
max_unpool3d | low int bool complex | max_unpool3d
max_values_cpu | complex | amax
maximum_cpu | complex promoted | clamp_min.Tensor
median_cpu | half bool complex | median nanmedian
median_out | half bool complex | median.dim nanmedian.dim
min_all | complex | min
min_values_cpu | complex | amin
minimum_cpu | complex promoted | clamp_max.Tensor
mish_backward_cpu | low int bool complex | mish_backward
mish_cpu | low int bool complex | mish
mode_cpu | complex | mode
modified_bessel_i0_cpu | low complex | special_modified_bessel_i0
modified_bessel_i1_cpu | low complex | special_modified_bessel_i1
mse_backward_cpu_out | low bool complex promoted | mse_loss_backward
mse_cpu | bfloat16 int bool complex promoted | mse_loss
multi_margin_loss_cpu_kernel | low int bool complex | multi_margin_loss
multilabel_margin_loss_forward_out_frame | low int bool complex | multilabel_margin_loss multilabel_margin_loss_forward
nan_to_num | complex | nan_to_num
ndtri_cpu | low complex | special_ndtri
neg_cpu | bool | _neg_view_copy
nextafter_cpu | half int bool complex promoted | nextafter
nll_loss2d_forward_out_frame | half int bool complex | nll_loss2d nll_loss2d_forward
nll_loss_backward_out_frame | half int bool complex | nll_loss_backward
nll_loss_out_frame | half int bool complex | nll_loss nll_loss_forward
normal_kernel_cpu | int bool | normal.Tensor_Tensor normal.Tensor_float normal.float_Tensor normal_functional
pdist | low | pdist
pdist | low int bool complex | _pdist_forward
pdist_backward | low int bool complex | _pdist_backward
polar_cpu | half | polar
pow | bool promoted | pow.Tensor_Tensor
prelu_cpu | half int bool complex | prelu
random_kernel_cpu | complex | random
reflection_pad1d | low int bool | reflection_pad1d
reflection_pad1d_backward_cpu | low int bool | reflection_pad1d_backward
reflection_pad2d | low int bool | reflection_pad2d
reflection_pad2d_backward | low int bool | reflection_pad2d_backward
reflection_pad3d_cpu | int bool | reflection_pad3d
remainder_cpu | bool complex promoted | remainder
repeat_interleave_cpu | float low bool complex short | repeat_interleave.Tensor
replication_pad1d_backward_cpu | low int bool | replication_pad1d_backward
replication_pad1d_cpu | low int bool | replication_pad1d
replication_pad2d_backward_cpu | low int bool | replication_pad2d_backward
replication_pad2d_cpu | low int bool | replication_pad2d
replication_pad3d_cpu | low int bool | replication_pad3d
round_vml_cpu | half bool complex | round
round_vml_cpu | half int bool complex | round.decimals special_round
rrelu_with_noise_out_cpu | half int bool complex | rrelu_with_noise
rshift_cpu | float low bool complex promoted | bitwise_right_shift __rshift__ __irshift__
rsqrt_cpu | half | rsqrt
searchsorted_out_cpu | bool complex | bucketize searchsorted
_segment_reduce_cpu | int bool complex | segment_reduce
shifted_chebyshev_polynomial_t_cpu | low complex promoted | special_shifted_chebyshev_polynomial_t
shifted_chebyshev_polynomial_u_cpu | low complex promoted | special_shifted_chebyshev_polynomial_u
shifted_chebyshev_polynomial_v_cpu | low complex promoted | special_shifted_chebyshev_polynomial_v
shifted_chebyshev_polynomial_w_cpu | low complex promoted | special_shifted_chebyshev_polynomial_w
shrink_backward_cpu | half int bool complex | hardshrink_backward softshrink_backward
sigmoid_backward_cpu | int bool | sigmoid_backward
sigmoid_cpu | half | sigmoid special_expit
silu_backward_cpu | half int bool | silu_backward
silu_cpu | half int bool | silu
sin_vml_cpu | half | sin
sinc_cpu | half | sinc special_sinc
sinh_cpu | half | sinh
smooth_l1_backward_cpu_out | half bool complex promoted | smooth_l1_loss_backward
smooth_l1_cpu | int bool complex promoted | smooth_l1_loss
softplus_backward_cpu | half int bool complex | softplus_backward
softplus_cpu | half int bool complex | softplus
softshrink_cpu | half int bool complex | softshrink
sorting_kernel_method_name | complex | argsort msort sort
sqrt_vml_cpu | half | cosine_embedding_loss frobenius_norm.dim sqrt
symeig_cpu | low int bool | symeig
tan_vml_cpu | half | tan
tanh_backward_cpu | half int bool | tanh_backward
tanh_vml_cpu | half | tanh
threshold_cpu | half bool complex | threshold threshold_backward
topk_cpu | half bool complex | topk
trace | low bool | trace
triangular_solve_cpu | low int bool | linalg_solve_triangular triangular_solve
trunc_vml_cpu | half bool | fix trunc
unique | half complex | _unique _unique2
unique_dim | half complex | unique_dim unique_dim_consecutive
upsample_bicubic2d_backward | int bool complex | upsample_bicubic2d_backward
upsample_bilinear2d_backward | half int bool complex | upsample_bilinear2d_backward
upsample_linear1d_backward | half int bool complex | upsample_linear1d_backward
upsample_nearest1d_backward | half int bool complex | upsample_nearest1d_backward
upsample_nearest2d_backward | half int bool complex | upsample_nearest2d_backward
upsample_nearest3d_backward | half int bool complex | upsample_nearest3d_backward
upsample_trilinear3d_backward | half int bool complex | upsample_trilinear3d_backward
weight_norm_kernel | int bool complex | _weight_norm
xlog1py_cpu | complex promoted | special_xlog1py
xlogy_cpu | complex promoted | special_xlogy xlogy
zeta_cpu | low complex promoted | special_zeta
`;

const operators = `
Boolean inputs not supported for relu | bool | relu
Bool inputs not supported for hardtanh | bool | hardtanh relu6
clamp is not supported for complex types | complex | clamp clamp_max clamp_min clip hardtanh relu relu6
Negation, the \`-\` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the \`~\` or \`logical_not()\` operator instead. | bool | neg negative
The \`+\` operator, on a bool tensor is not supported. | bool | positive
Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead. | complex | sign
Unsupported input type encountered for isin(): {} | bfloat16 bool complex | isin
cdist only supports floating-point dtypes, X1 got: {} | int bool complex | _cdist_forward cdist
ceil is not supported for complex inputs | complex | ceil
floor is not supported for complex inputs | complex | floor
trunc is not supported for complex inputs | complex | fix trunc
deg2rad is not supported for complex tensors. | complex | deg2rad
rad2deg is not supported for complex tensors. | complex | rad2deg
fmax not implemented for complex tensors. | complex promoted | fmax
fmin not implemented for complex tensors. | complex promoted | fmin
maximum not implemented for complex tensors. | complex | max.other maximum
minimum not implemented for complex tensors. | complex | min.other minimum
max(): does not support complex input | complex | max.dim
min(): does not support complex input | complex | min.dim
imag is not implemented for tensors with non-complex dtypes. | float low int bool | imag
isneginf does not support complex inputs. | complex | isneginf
isposinf does not support complex inputs. | complex | isposinf
signbit is not implemented for complex tensors. | complex | signbit
kl_div: Complex inputs not supported. | complex | kl_div
kl_div: Integral inputs not supported. | int bool | kl_div
linalg.cholesky: Expected a floating point or complex tensor as input. Got {} | int bool | linalg_cholesky linalg_cholesky_ex
linalg.det: Expected a floating point or complex tensor as input. Got {} | int bool | _linalg_det det linalg_det
linalg.inv: Expected a floating point or complex tensor as input. Got {} | int bool | inverse linalg_inv linalg_inv_ex linalg_tensorinv
linalg.inv: Low precision dtypes not supported. Got {} | low | inverse linalg_inv linalg_inv_ex linalg_tensorinv
linalg.matrix_norm: Expected a floating point or complex tensor as input. Got {} | int bool | linalg_matrix_norm
linalg.matrix_norm: Low precision dtypes not supported. Got {} | low | linalg_matrix_norm
linalg.qr: Expected a floating point or complex tensor as input. Got {} | int bool | linalg_qr qr
linalg.slogdet: Expected a floating point or complex tensor as input. Got {} | int bool | _linalg_slogdet linalg_slogdet slogdet
linalg.slogdet: Low precision dtypes not supported. Got {} | low | _linalg_slogdet linalg_slogdet slogdet
linalg.solve: Expected a floating point or complex tensor as input. Got {} | int bool | _linalg_solve_ex linalg_solve linalg_solve_ex linalg_tensorsolve
linalg.svd: Expected a floating point or complex tensor as input. Got {} | int bool | _linalg_svd linalg_svd linalg_svdvals svd
linalg.vander supports floating point, complex, and integer tensors, but got {} | low bool | linalg_vander
linalg.vecdot: Expected a floating point or complex tensor as input. Got {} | int bool | linalg_vecdot
linalg.vector_norm: Expected a floating point or complex tensor as input. Got {} | int bool | linalg_vector_norm renorm
logdet: Expected a floating point or complex tensor as input. Got {} | int bool | logdet
logdet: Low precision dtypes not supported. Got {} | low | logdet
logsumexp(): Expected floating point type for result tensor, but got: {} | complex | logsumexp special_logsumexp
matrix_exp: Expected a floating point or complex tensor as input. Got {} | int bool | linalg_matrix_exp matrix_exp
torch.linalg.lu_solve: Expected a floating point or complex tensor as input. Got {} | int bool | linalg_lu_solve lu_solve
This function doesn't handle types other than float and double | low int bool | linalg_lstsq
multinomial only supports floating-point dtypes for input, got: {} | int bool complex | multinomial
multinomial is not implemented for half on CPU | half | multinomial
nanmean(): expected input to have floating point dtype but got {} | int bool complex | nanmean
nansum does not support complex inputs | complex | nansum
norm(): input dtype should be either floating point or complex. Got {} instead. | int bool | frobenius_norm norm.Scalar norm_except_dim
one_hot is only applicable to index tensor. | float low narrow bool complex | one_hot
pdist only supports floating-point dtypes | int bool complex | pdist
Unknown Complex ScalarType for {} | int bool | linalg_eig linalg_eigvals
torch.frexp() only supports floating-point dtypes | int bool complex | frexp
torch.gradient does not support uint8 input. | uint8 | gradient
cov(): bool dtype is not supported for input | bool | cov corrcoef
cumulative_trapezoid: received a bool input for \`y\`, but bool is not supported | bool | cumulative_trapezoid.dx
cumulative_trapezoid: received a bool input for \`x\` or \`y\`, but bool is not supported | bool | cumulative_trapezoid.x
trapezoid: received a bool input for \`y\`, but bool is not supported | bool | trapezoid.dx trapz.dx
trapezoid: received a bool input for \`x\` or \`y\`, but bool is not supported | bool | trapezoid.x trapz.x
`;

const isScalar = (argument: DataArgument): argument is Scalar =>
  typeof argument === 'bigint' ||
  typeof argument === 'number' ||
  typeof argument === 'boolean' ||
  argument instanceof Complex;

interface Row {
  readonly message: (dtype: DType) => string;
  readonly refused: ReadonlySet<DType>;
  readonly isPromoted: boolean;
}

/** Rows by operator name, with or without overload. */
function parse(table: string, quote: (text: string, dtype: string) => string): Record<string, Row[]> {
  const rows: Record<string, Row[]> = Object.create(null) as Record<string, Row[]>;
  for (const line of table.trim().split('\n')) {
    const [text, dtypes, names] = line.split(' | ');
    const words = dtypes.split(' ');
    const row: Row = {
      message: (dtype) => quote(text, printName(dtype)),
      refused: new Set(words.filter((word) => word !== 'promoted').flatMap((word) => groups[word])),
      isPromoted: words.includes('promoted'),
    };
    for (const name of names.split(' ')) (rows[name] ??= []).push(row);
  }
  return rows;
}

const refusedByKernels = once(() =>
  parse(kernels, (kernel, dtype) => `"${kernel}" not implemented for '${dtype}'`),
);
const refusedByOperators = once(() => parse(operators, (text, dtype) => text.replace('{}', dtype)));

function once<T>(make: () => T): () => T {
  let value: T | undefined;
  return () => (value ??= make());
}

/** Scalars that take part in promotion; others (`alpha`, `value`, bounds) are converted to what the tensors promote to. */
const promoting = new Set(['self', 'other', 'exponent', 'x', 'n', 'q']);

/** The tensors of a call, lists flattened, and the Scalars that promote with them. */
function operandTypes(name: string, args: readonly DataArgument[]): OperandType[] {
  const formals = findSchema(name)?.arguments ?? [];
  const found: OperandType[] = [];
  const add = (argument: DataArgument, isOperand: boolean): void => {
    if (argument === null) return;
    if (isScalar(argument)) {
      if (isOperand) found.push({ dtype: scalarDType(argument), dimensions: null });
    } else if (Array.isArray(argument)) {
      for (const each of argument as DataArgument[]) add(each, false);
    } else if (typeof argument === 'object') {
      const spec = 'type' in argument ? asTensorSpec(argument.type) : (argument as TensorLike);
      if (spec !== undefined) {
        found.push({ dtype: spec.dtype, dimensions: ('sizes' in spec ? spec.sizes : spec.shape).length });
      }
    }
  };
  args.forEach((argument, index) => {
    const formal = formals[index];
    add(argument, formal?.type.kind === 'number' && promoting.has(formal.name));
  });
  return found;
}

/** The kernel that an operator's other arguments choose, what it is not compiled for, and in which dtype it would run. */
type Choice = readonly [kernel: string, refused: string, dtype: DType];
const rankOf = (tensor: DataArgument): number => operandTypes('', [tensor])[0]?.dimensions ?? 0;
const dtypeOf = (tensor: DataArgument): DType => operandTypes('', [tensor])[0].dtype;
const wide = 'half int bool complex';

const normalised =
  (lastDim: string) =>
  (self: DataArgument, dim: number, dtype: DType | boolean | null): Choice => {
    const last = Math.max(rankOf(self), 1) - 1;
    const kernel = dim === last || dim === -1 ? lastDim : 'softmax_kernel_impl';
    return [kernel, wide, typeof dtype === 'string' ? dtype : dtypeOf(self)];
  };
const softmax = normalised('softmax_lastdim_kernel_impl');
const logSoftmax = normalised('log_softmax_lastdim_kernel_impl');
const summed =
  (kernel: string, refused: string) =>
  (self: DataArgument, _dim: DataArgument, dtype: DType | null): Choice => [
    kernel,
    refused,
    dtype ?? dtypeOf(self),
  ];

function divided(self: DataArgument, other: DataArgument, rounding: string): Choice | null {
  const dtype = promotedType(operandTypes('aten::div.Scalar', [self, other]));
  return rounding === null ? null : [`div_${rounding}_cpu`, 'bool complex', dtype];
}

function product(self: DataArgument, other: DataArgument): Choice {
  const [m, n] = [rankOf(self), rankOf(other)];
  const flat = n <= 2 && (n === 2 || m < 3);
  const kernel = m === 1 && n === 1 ? 'dot' : n === 1 ? 'addmv_impl_cpu' : flat ? 'addmm_impl_cpu_' : 'bmm';
  return [kernel, 'half bool', dtypeOf(self)];
}

/** A convolution of two dimensions unless it has three; one of them is computed as two. */
function convolved(
  self: DataArgument,
  weight: DataArgument,
  dilation: number | readonly number[],
  transposed: boolean,
): Choice {
  const dtype = dtypeOf(self);
  const isDilated = [dilation].flat().some((each) => each > 1);
  if (transposed) {
    return [`slow_conv_transpose${rankOf(weight) === 5 ? 3 : 2}d_out_cpu`, 'half narrow bool', dtype];
  }
  if (isDilated) return ['slow_conv_dilated<>', 'half narrow bool', dtype];
  return rankOf(weight) === 5
    ? ['compute_columns3d', 'half bool', dtype]
    : ['slow_conv2d_cpu', 'half bool', dtype];
}
const plainConvolution = (
  self: DataArgument,
  weight: DataArgument,
  _bias: DataArgument,
  _stride: DataArgument,
  _padding: DataArgument,
  dilation: number | readonly number[],
): Choice => convolved(self, weight, dilation, false);
const transposedConvolution = (self: DataArgument, weight: DataArgument): Choice =>
  convolved(self, weight, 1, true);

const clamped = (self: DataArgument, low: DataArgument, high: DataArgument): Choice => [
  low === null ? 'clamp_max_scalar_cpu' : high === null ? 'clamp_min_scalar_cpu' : 'clamp_scalar_cpu',
  'half',
  dtypeOf(self),
];

const choices: Readonly<Record<string, (...args: never[]) => Choice | null>> = {
  softmax,
  _softmax: softmax,
  special_softmax: softmax,
  log_softmax: logSoftmax,
  _log_softmax: logSoftmax,
  special_log_softmax: logSoftmax,
  cross_entropy_loss: (self: DataArgument) => logSoftmax(self, rankOf(self) === 1 ? 0 : 1, null),
  nll_loss_nd: (self: DataArgument) =>
    rankOf(self) <= 2
      ? ['nll_loss_out_frame', wide, dtypeOf(self)]
      : ['nll_loss2d_forward_out_frame', wide, dtypeOf(self)],
  cumsum: summed('cumsum_out_cpu', 'half'),
  cumprod: summed('cumprod_out_cpu', 'half'),
  prod: (self: DataArgument, dtype: DType | null) => ['prod_cpu', 'half', dtype ?? dtypeOf(self)],
  'prod.dim_int': (self: DataArgument, _dim: number, _keepdim: boolean, dtype: DType | null) => [
    'prod_cpu',
    'low',
    dtype ?? dtypeOf(self),
  ],
  'div.Tensor_mode': divided,
  'div.Scalar_mode': divided,
  'divide.Tensor_mode': divided,
  'divide.Scalar_mode': divided,
  clamp: clamped,
  clip: clamped,
  polygamma: (n: number, self: DataArgument) => [
    ['digamma', 'trigamma'][n] ?? 'polygamma',
    'half complex',
    dtypeOf(self),
  ],
  matmul: product,
  conv1d: plainConvolution,
  conv2d: plainConvolution,
  conv3d: plainConvolution,
  conv_transpose1d: transposedConvolution,
  conv_transpose2d: transposedConvolution,
  conv_transpose3d: transposedConvolution,
};

function chosenRefusal(name: string, args: readonly DataArgument[]): string | null {
  const choose = rowOf(choices, name);
  const choice = choose?.(...(args as never[])) ?? null;
  if (choice === null) return null;
  const [kernel, refused, dtype] = choice;
  const isRefused = refused.split(' ').some((word) => groups[word].includes(dtype));
  return isRefused ? `"${kernel}" not implemented for '${printName(dtype)}'` : null;
}

/** What a table has for `aten::name.overload`, else for `aten::name`. */
function rowOf<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  const short = name.slice(name.indexOf('::') + 2);
  const dot = short.indexOf('.');
  const found = Object.hasOwn(table, short) ? short : dot < 0 ? short : short.slice(0, dot);
  return Object.hasOwn(table, found) ? table[found] : undefined;
}

function refusal(
  rows: Readonly<Record<string, readonly Row[]>>,
  name: string,
  args: readonly DataArgument[],
): string | null {
  const found = rowOf(rows, name);
  if (found === undefined) return null;
  const operands = operandTypes(name, args);
  if (!operands.some(({ dimensions }) => dimensions !== null)) return null;
  for (const { message, refused, isPromoted } of found) {
    const dtype = isPromoted
      ? promotedType(operands)
      : operands.find((each) => each.dimensions !== null)?.dtype;
    if (dtype !== undefined && refused.has(dtype)) return message(dtype);
  }
  return null;
}

/** PyTorch's words when its CPU kernel for the operator is not compiled for the operands' dtype, or null. */
export const kernelRefusal = (name: string, args: readonly DataArgument[]): string | null =>
  chosenRefusal(name, args) ?? refusal(refusedByKernels(), name, args);

/** Throws PyTorch's error when the operator has no meaning for the operands' dtype. */
export function checkDType(name: string, args: readonly DataArgument[]): void {
  const message = refusal(refusedByOperators(), name, args);
  if (message !== null) throw new OperatorError(message);
}
