// Automatic mixed precision as torch.autocast of the CPU has it: products and convolutions run in a narrow dtype, what needs range or
// precision in float32, what joins tensors in the widest of theirs, everything else in the dtypes that come. Operands are cast in front
// of an operator, by ordinary casts, so that gradients go back through them to parameters of float32; which operators, is the table
// of PyTorch 1.13 (aten/src/ATen/autocast_mode.cpp). The mode is one for the process, for the length of a call.
import type { DType, IValue } from '@weft/ir';
import { OperatorError, dtypes } from '@weft/ir';

type Policy = 'narrow' | 'float32' | 'widest';

const table: Readonly<Record<Policy, string>> = {
  narrow: `
    conv1d conv1d.padding conv2d conv2d.padding conv3d conv3d.padding conv_tbc _convolution _convolution.deprecated convolution
    mm bmm addmm addbmm baddbmm matmul linear einsum tensordot chain_matmul linalg_multi_dot linalg_vecdot
    scaled_dot_product_attention _native_multi_head_attention`,
  float32: `
    conv_transpose1d conv_transpose2d.input conv_transpose3d.input
    avg_pool3d adaptive_avg_pool3d max_pool3d max_unpool2d max_unpool3d
    reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d replication_pad3d
    grid_sampler grid_sampler_2d grid_sampler_3d
    binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy_loss ctc_loss.IntList ctc_loss.Tensor
    hinge_embedding_loss huber_loss kl_div l1_loss margin_ranking_loss mse_loss multi_margin_loss multilabel_margin_loss
    nll_loss nll_loss2d nll_loss_nd poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss
    polar prod prod.dim_int quantile quantile.scalar nanquantile nanquantile.scalar cdist trace view_as_complex
    stft stft.center fft_fft fft_ifft fft_fft2 fft_ifft2 fft_fftn fft_ifftn fft_rfft fft_irfft fft_rfft2 fft_irfft2 fft_rfftn
    fft_irfftn fft_hfft fft_ihfft
    cholesky cholesky_inverse cholesky_solve inverse lu_solve orgqr ormqr pinverse geqrf _lu_with_info qr svd triangular_solve
    linalg_cond linalg_cond.p_str linalg_matrix_rank linalg_matrix_rank.tol_tensor linalg_matrix_rank.atol_rtol_tensor
    linalg_matrix_rank.atol_rtol_float linalg_solve linalg_cholesky linalg_svdvals linalg_eigvals linalg_eigvalsh linalg_inv
    linalg_householder_product linalg_tensorinv linalg_tensorsolve linalg_qr linalg_cholesky_ex linalg_svd linalg_eig linalg_eigh
    linalg_lstsq linalg_inv_ex fake_quantize_per_tensor_affine`,
  widest: 'cat stack index_copy',
};

const policies = new Map<string, Policy>(
  (Object.keys(table) as Policy[]).flatMap((policy) =>
    table[policy]
      .trim()
      .split(/\s+/)
      .map((name) => [`aten::${name}`, policy] as const),
  ),
);

let current: DType | null = null;

/** The dtype that products run in now; null where autocast is off. */
export const autocastDType = (): DType | null => current;

/** Runs `body` with autocast to a dtype, or without (null). */
export function withAutocast<T>(dtype: DType | null, body: () => T): T {
  const before = current;
  current = dtype;
  try {
    return body();
  } finally {
    current = before;
  }
}

/** The dtype for autocast on a type of device; throws OperatorError where there is none. */
export function checkAutocast(deviceType: string, dtype: DType): DType {
  if (deviceType !== 'cpu')
    throw new OperatorError(`autocast on '${deviceType}': it is there for 'cpu' alone`);
  if (dtype !== 'bfloat16') throw new OperatorError(`autocast to ${dtype}: on the CPU it is to bfloat16`);
  return dtype;
}

/** How the values of a caller are looked at and cast. */
export interface AutocastTensors {
  /** The dtype of a tensor on the CPU; undefined for anything else. */
  dtypeOf(value: IValue): DType | undefined;
  cast(value: IValue, dtype: DType): IValue;
}

/** The arguments of an operator as autocast would have them; the same array where nothing is cast. */
export function autocastArguments(
  name: string,
  args: readonly IValue[],
  tensors: AutocastTensors,
): readonly IValue[] {
  if (current === null) return args;
  const policy = policies.get(name);
  if (policy === undefined) return args;
  const floating = (value: IValue): DType | undefined => {
    const dtype = tensors.dtypeOf(value);
    // As in PyTorch, float64 stays what it is.
    return dtype !== undefined && dtypes[dtype].category === 'float' && dtype !== 'float64'
      ? dtype
      : undefined;
  };
  const isWide = args.flat().some((value) => floating(value) === 'float32');
  const to = policy === 'narrow' || (policy === 'widest' && !isWide) ? current : 'float32';
  const cast = (value: IValue): IValue => {
    const dtype = floating(value);
    return dtype === undefined || dtype === to ? value : tensors.cast(value, to);
  };
  return args.map((value) => (Array.isArray(value) && value.some(floating) ? value.map(cast) : cast(value)));
}
