"""Records which strides PyTorch gives the results of operators, and which operands they share storage with.

    python3 tools/make-layout-cases.py [--all FILE]       (PyTorch 1.13; Debian: apt-get install python3-torch)

The calls are those of tools/make-operator-cases.py (libs/tensor/src/operators/cases/*.json) and of the table below,
each with its operands laid out in several ways: row-major, column-major, channels last, permuted, sliced, expanded.
libs/tensor/src/operators/layouts.test.ts runs them. `--all` writes more layouts of every call to another file, for a
sweep: WEFT_LAYOUTS=FILE npx jest libs/tensor/src/operators/layouts.

A record is one call, {"op", "args", "layouts"}; tensors without numbers hold zeros. A layout is {"in", "out"}: strides of
the tensors among the arguments, in order, and of the tensors among the results; `null` is row-major. "shares" has the
operand that a result shares its storage with, or null, for each result, when any does.
"""

import glob
import json
import os
import random
import sys

import torch

HERE = os.path.dirname(__file__)
OPERATORS = os.path.join(HERE, "..", "libs", "tensor", "src", "operators")

DTYPES = {str(d).replace("torch.", ""): d for d in [
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128,
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]}


def t(*sizes, dtype="float32"):
    return {"t": dtype, "s": list(sizes)}


CL, CL3, PRESERVE, CONTIGUOUS = 2, 3, 1, 0
X4, X5 = t(2, 3, 4, 5), t(2, 3, 2, 3, 2)

T3 = t3 = t(3)
ONES3 = {**t(3), "d": [1.0] * 3}
ONES23 = {**t(2, 3, dtype="int32"), "d": [1] * 6}
ONES23B = {**t(2, 3, dtype="bool"), "d": [True, False, True, True, False, True]}
HALF34 = {**t(3, 4), "d": [0.5] * 12}
IDX2 = {**t(2, dtype="int64"), "d": [1, 0]}
IDX22 = {**t(2, 2, dtype="int64"), "d": [0, 1, 1, 0]}
c34 = t(3, 4, dtype="complex64")


def matrices(*sizes, symmetric=False):
    """Batches of well-conditioned matrices, positive definite ones if asked for."""
    generator = torch.Generator().manual_seed(len(sizes))
    found = torch.rand(*sizes, generator=generator)
    if sizes[-1] == sizes[-2]:
        found = (found @ found.mT if symmetric else found) + 2 * torch.eye(sizes[-1])
    return {**t(*sizes), "d": [round(x, 3) for x in found.flatten().tolist()]}


A3, A23, A223, A233, A224 = matrices(3, 3), matrices(2, 3), matrices(2, 2, 3), matrices(2, 3, 3), {**t(2, 2, 4), "d": [round(x, 3) for x in (torch.eye(4) + 0.1).flatten().tolist()]}
S3, S233 = matrices(3, 3, symmetric=True), matrices(2, 3, 3, symmetric=True)

# Calls that say a memory format, make strided tensors or change a tensor's geometry.
CALLS = [
    *[("aten::clone", [x, f]) for x, formats in [(X4, [None, CL, PRESERVE, CONTIGUOUS]), (X5, [None, CL3]), (t(3, 4), [None, CONTIGUOUS])] for f in formats],
    *[("aten::contiguous", [x, f]) for x, formats in [(X4, [CONTIGUOUS, CL]), (X5, [CL3]), (t(3, 4), [CONTIGUOUS])] for f in formats],
    *[(f"aten::{name}", [x, None, None, None, None, f])
      for name in ["empty_like", "zeros_like", "ones_like", "rand_like", "randn_like"]
      for x, formats in [(X4, [None, CL, CONTIGUOUS]), (t(3, 4), [None])] for f in formats],
    ("aten::full_like", [X4, {"f": 1.5}, None, None, None, None, CL]),
    ("aten::full_like", [t(3, 4), {"f": 1.5}, None, None, None, None, None]),
    ("aten::randint_like", [t(3, 4), 5, None, None, None, None, None]),
    ("aten::randint_like", [X4, 5, None, None, None, None, CL]),
    ("aten::randint_like.low_dtype", [X4, 1, 5, None, None, None, None, None]),
    *[("aten::to.dtype", [x, 7, False, copy, f]) for x in [X4, t(3, 4)] for copy in [False, True] for f in [None, CONTIGUOUS] + ([CL] if x is X4 else [])],
    *[("aten::to.dtype", [X4, 6, False, copy, f]) for copy in [False, True] for f in [None, CL, CONTIGUOUS]],
    ("aten::to.dtype_layout", [X4, 7, None, None, None, False, False, CL]),
    ("aten::to.dtype_layout", [X4, 6, None, None, None, False, False, None]),
    ("aten::to.device", [X4, {"device": "cpu"}, 6, False, False, CL]),
    ("aten::to.other", [X4, t(1, dtype="float64"), False, False, CL]),
    ("aten::to.other", [t(3, 4), t(1, dtype="float64"), False, False, None]),
    ("aten::_to_copy", [X4, 7, None, None, None, False, CL]),
    ("aten::_to_copy", [X4, 7, None, None, None, False, None]),
    ("aten::_to_copy", [t(3, 4), None, None, None, None, False, None]),
    ("aten::empty.memory_format", [[2, 3, 4, 5], None, None, None, None, CL]),
    ("aten::empty.memory_format", [[2, 3, 4, 5, 6], None, None, None, None, CL3]),
    ("aten::empty.memory_format", [[2, 3, 4, 5], None, None, None, None, None]),
    ("aten::empty_strided", [[2, 3], [1, 2], None, None, None, None]),
    ("aten::empty_strided", [[2, 3], [7, 2], None, None, None, None]),
    ("aten::new_empty_strided", [t(2), [2, 3], [1, 2], None, None, None, None]),
    ("aten::new_empty", [X4, [3, 2], None, None, None, None]),
    ("aten::as_strided", [t(24), [2, 3], [1, 2], 3]),
    ("aten::as_strided", [t(24), [2, 3], [0, 1], None]),
    ("aten::resize_", [t(3, 4), [2, 5], None]),
    ("aten::resize_", [t(3, 4), [3, 4], None]),
    ("aten::resize_", [t(3, 4), [4, 5], None]),
    ("aten::resize_", [t(24), [1, 2, 3, 4], CL]),
    ("aten::resize_", [X4, [2, 3, 2, 2], CL]),
    ("aten::resize_as_", [t(3, 4), t(2, 2), None]),
    ("aten::resize_as_", [t(3, 2, 2, 2), X4, PRESERVE]),
    ("aten::set_", [t(3, 4)]),
    ("aten::set_.source_Tensor", [t(3), t(3, 4)]),
    ("aten::set_.source_Tensor_storage_offset", [t(3), t(12), 2, [2, 3], [3, 1]]),
    ("aten::t_", [t(3, 4)]),
    ("aten::transpose_", [t(2, 3, 4), 0, 2]),
    ("aten::swapaxes_", [t(2, 3, 4), 0, 1]),
    ("aten::swapdims_", [t(2, 3, 4), 1, 2]),
    ("aten::squeeze_", [t(2, 1, 3)]),
    ("aten::squeeze_.dim", [t(2, 1, 3), 1]),
    ("aten::unsqueeze_", [t(2, 3), 1]),
    ("aten::unsqueeze_", [t(2, 3), -1]),
    ("aten::as_strided_", [t(24), [2, 3], [1, 2], 3]),
    *[(f"aten::{name}", args) for name, args in [
        ("linalg_svd", [A3, True, None]), ("linalg_svd", [A23, False, None]), ("linalg_svd", [A223, True, None]), ("svd", [A23, True, True]), ("svd", [A223, False, True]),
        ("linalg_svdvals", [A223, None]), ("linalg_qr", [A223, "reduced"]), ("linalg_qr", [A223, "complete"]), ("linalg_qr", [A23, "r"]),
        ("linalg_eigh", [S3, "L"]), ("linalg_eigh", [S233, "U"]), ("linalg_eigvalsh", [S233, "L"]), ("symeig", [S3, True, True]), ("symeig", [S233, False, True]),
        ("linalg_eig", [A3]), ("linalg_eig", [A233]), ("linalg_eigvals", [A233]),
        ("linalg_cholesky", [S233, False]), ("linalg_cholesky", [S233, True]), ("linalg_cholesky_ex", [S233, False, False]), ("cholesky", [S3, False]), ("cholesky", [S3, True]), ("cholesky", [S233, True]),
        ("linalg_inv", [A233]), ("linalg_inv_ex", [A233, False]), ("inverse", [A233]), ("linalg_pinv", [A23, 1e-15, False]), ("linalg_pinv", [A223, 1e-15, False]),
        ("linalg_solve", [A3, A3, True]), ("linalg_solve", [A3, t3, True]), ("linalg_solve", [A233, A233, True]), ("linalg_solve", [A3, A3, False]), ("linalg_solve", [A233, A233, False]), ("linalg_solve_ex", [A233, A233]),
        ("linalg_det", [A233]), ("linalg_lu_factor", [A233]), ("linalg_lu_factor_ex", [A233]), ("linalg_lu", [A233]), ("linalg_lu", [A3]), ("_lu_with_info", [A233]),
        ("lu_unpack", [A233, t(2, 3, dtype="int32")]), ("linalg_lu_solve", [A233, ONES23, A233]), ("linalg_lu_solve", [A233, ONES23, A233, False]), ("lu_solve", [A233, A233, ONES23]),
        ("cholesky_solve", [A233, S233, False]), ("cholesky_inverse", [S233, False]), ("cholesky_inverse", [S3, True]),
        ("linalg_solve_triangular", [A3, A3, True, True, False]), ("linalg_solve_triangular", [A233, A233, True, False, False]), ("triangular_solve", [A233, A233]),
        ("linalg_matrix_exp", [A233]), ("matrix_exp", [A3]), ("linalg_matrix_power", [A233, -2]), ("linalg_matrix_power", [A3, 3]), ("matrix_power", [A3, 0]), ("matrix_power", [A3, 1]), ("matrix_power", [A3, -1]),
        ("linalg_lstsq", [A223, A223]), ("linalg_lstsq", [A3, A3]), ("linalg_tensorsolve", [A224, t(2, 2)]), ("linalg_tensorinv", [A224, 2]), ("linalg_householder_product", [A3, t3]), ("geqrf", [A3]), ("ormqr", [A3, t3, A3]),
        ("linalg_multi_dot", [[A3, A3, A3]]), ("linalg_cross", [A233, A233]),
        ("batch_norm", [X4, t3, t3, t3, ONES3, False, 0.1, 1e-5, True]), ("batch_norm", [X4, None, None, t3, ONES3, True, 0.1, 1e-5, True]), ("native_batch_norm", [X4, None, None, t3, ONES3, True, 0.1, 1e-5]),
        ("native_batch_norm", [X4, None, None, t3, ONES3, False, 0.1, 1e-5]) if False else ("batch_norm", [X5, None, None, t3, ONES3, True, 0.1, 1e-5, True]),
        ("instance_norm", [X4, None, None, t3, t3, True, 0.1, 1e-5, True]), ("group_norm", [X4, 3, t3, t3, 1e-5, True]), ("layer_norm", [X4, [5], None, None, 1e-5, True]), ("native_layer_norm", [X4, [4, 5], None, None, 1e-5]),
        ("native_group_norm", [X4, t3, t3, 2, 3, 20, 3, 1e-5]), ("local_response_norm", [X4, 2]) if False else ("softmax.int", [X4, 1, None]), ("log_softmax.int", [X4, 1, None]),
        ("conv2d", [X4, t(4, 3, 2, 2), None, [1, 1], [0, 0], [1, 1], 1]), ("conv2d", [X4, t(3, 1, 2, 2), t3, [1, 1], [0, 0], [1, 1], 3]), ("conv2d", [t(3, 4, 5), t(4, 3, 2, 2), None, [1, 1], [0, 0], [1, 1], 1]),
        ("conv2d", [X4, t(4, 3, 1, 1), None, [1, 1], [0, 0], [1, 1], 1]), ("conv2d", [X4, t(4, 3, 2, 2), None, [1, 1], [0, 0], [2, 2], 1]), ("conv_transpose2d.input", [X4, t(3, 2, 2, 2), None, [1, 1], [0, 0], [0, 0], 1, [1, 1]]),
        ("conv1d", [t(2, 3, 5), t(4, 3, 2), None, [1], [0], [1], 1]), ("conv1d", [t(3, 5), t(4, 3, 2), None, [1], [0], [1], 1]), ("conv3d", [X5, t(4, 3, 1, 2, 1), None, [1, 1, 1], [0, 0, 0], [1, 1, 1], 1]), ("conv_transpose1d", [t(2, 3, 5), t(3, 4, 2), None]),
        ("_convolution", [X4, t(4, 3, 2, 2), None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, False, False, False, False]), ("slow_conv_dilated2d", [X4, t(4, 3, 2, 2), [2, 2]]), ("thnn_conv2d", [X4, t(4, 3, 2, 2), [2, 2]]),
        ("conv_depthwise3d", [X5, t(3, 1, 1, 1, 1), [1, 1, 1], None, [1, 1, 1], [0, 0, 0], [1, 1, 1]]),
        ("max_pool2d", [X4, [2, 2], [1, 1], [0, 0], [1, 1], False]), ("max_pool2d", [t(3, 4, 5), [2, 2], [1, 1], [0, 0], [1, 1], False]), ("max_pool2d_with_indices", [X4, [2, 2]]), ("avg_pool2d", [X4, [2, 2]]), ("avg_pool3d", [X5, [1, 2, 1]]), ("max_pool3d", [X5, [1, 2, 1]]),
        ("max_pool1d", [t(2, 3, 5), [2]]), ("max_pool1d_with_indices", [t(2, 3, 5), [2]]), ("avg_pool1d", [t(2, 3, 5), [2]]), ("adaptive_avg_pool1d", [t(2, 3, 5), [2]]), ("adaptive_max_pool1d", [t(2, 3, 5), [2]]),
        ("adaptive_avg_pool2d", [X4, [2, 2]]), ("adaptive_avg_pool2d", [X4, [1, 1]]), ("adaptive_avg_pool3d", [X5, [1, 1, 1]]), ("adaptive_avg_pool3d", [X5, [2, 2, 1]]), ("adaptive_max_pool2d", [X4, [2, 2]]), ("adaptive_max_pool3d", [X5, [2, 2, 1]]),
        ("fractional_max_pool2d", [X4, [2, 2], [2, 2], t(2, 3, 2)]), ("lp_pool2d", [X4]) if False else ("prelu", [X4, t3]), ("rrelu", [X4, 0.1, 0.3, False, None]), ("rrelu", [X4, 0.1, 0.3, True, None]), ("glu", [t(2, 4, 3, 2), 1]),
        ("upsample_bicubic2d", [X4, [6, 7], False]), ("upsample_bicubic2d.vec", [X4, [6, 7], False, None]), ("_upsample_bicubic2d_aa", [X4, [6, 7], False]), ("upsample_bilinear2d", [X4, [6, 7], False]), ("_upsample_bilinear2d_aa", [X4, [6, 7], False]), ("upsample_trilinear3d", [X5, [2, 4, 4], False]), ("upsample_linear1d", [t(2, 3, 4), [6], False]),
        ("upsample_nearest1d", [t(2, 3, 4), [6]]), ("upsample_nearest2d", [X4, [6, 7]]), ("upsample_nearest3d", [X5, [2, 4, 4]]),
        ("grid_sampler", [X4, t(2, 3, 3, 2), 0, 0, False]), ("constant_pad_nd", [X4, [1, 1], 0]), ("reflection_pad2d", [X4, [1, 1, 1, 1]]), ("replication_pad2d", [X4, [1, 1, 1, 1]]), ("replication_pad3d", [X5, [1, 1, 1, 1, 0, 0]]), ("reflection_pad1d", [t(2, 3, 4), [1, 1]]), ("pad", [X4, [1, 1], "circular", None]),
        ("pixel_shuffle", [t(2, 4, 3, 2), 2]), ("pixel_unshuffle", [t(2, 3, 4, 2), 2]), ("channel_shuffle", [t(2, 4, 3, 2), 2]),
        ("cat", [[X4, X4], 1]), ("cat", [[X4, X4], 0]), ("cat", [[t(2, 3), t(2, 3)], 0]), ("cat", [[t(2, 3), t(4, 3)], 0]), ("stack", [[X4, X4], 0]), ("stack", [[t(2, 3), t(2, 3)], 1]), ("hstack", [[t(2, 3), t(2, 3)]]), ("concat", [[X4, X4], 1]),
        ("dropout", [X4, 0.5, True]), ("dropout", [t(3, 4), 0.5, True]), ("feature_dropout", [X4, 0.5, True]), ("alpha_dropout", [t(3, 4), 0.5, True]), ("native_dropout", [t(3, 4), 0.5, True]), ("bernoulli", [HALF34, None]), ("bernoulli.p", [HALF34, 0.5, None]), ("multinomial", [HALF34, 2, False, None]),
        ("normal.Tensor_float", [t(3, 4), 1.0, None]), ("normal.float_Tensor", [0.0, t(3, 4), None]), ("normal.Tensor_Tensor", [t(3, 4), t(3, 4), None]), ("poisson", [t(3, 4), None]), ("_standard_gamma", [HALF34, None]), ("rand_like", [X4, None, None, None, None, None]),
        ("where", [t(2, 3, dtype="bool")]), ("nonzero", [ONES23]), ("nonzero_numpy", [ONES23]), ("masked_select", [t(2, 3), ONES23B]),
        ("index.Tensor", [t(3, 4), [IDX2]]), ("index.Tensor", [t(3, 4), [None, IDX2]]), ("index.Tensor", [t(3, 4, 5), [IDX2, None, IDX2]]), ("index.Tensor", [t(3, 4, 5), [None, IDX2, IDX2]]), ("index.Tensor", [t(3, 4, 5), [None, IDX22, None]]), ("index.Tensor", [t(3, 4, 5), [IDX22, IDX2]]), ("index.Tensor", [t(2, 3), [ONES23B]]), ("index.Tensor", [t(2, 3, 4), [ONES23B]]), ("index.Tensor", [X4, [None, None, IDX2]]),
        ("index_put", [t(3, 4), [IDX2], t(2, 4), False]), ("index_select", [t(3, 4), 0, IDX2]), ("gather", [t(3, 4), 0, IDX22, False]), ("take", [t(3, 4), IDX22]), ("take_along_dim", [t(3, 4), IDX22, 1]), ("scatter.src", [t(3, 4), 0, IDX22, t(2, 2)]), ("scatter_add", [t(3, 4), 0, IDX22, t(2, 2)]), ("index_add", [t(3, 4), 0, IDX2, t(2, 4), 1]), ("index_copy", [t(3, 4), 0, IDX2, t(2, 4)]),
        ("masked_fill.Scalar", [t(3, 4), t(3, 4, dtype="bool"), 1]), ("masked_fill.Scalar", [t(4), t(3, 4, dtype="bool"), 1]), ("masked_scatter", [t(3, 4), t(3, 4, dtype="bool"), t(3, 4)]), ("slice_scatter", [t(3, 4), t(2, 4), 0, 1, 3, 1]), ("select_scatter", [t(3, 4), t(4), 0, 1]), ("as_strided_scatter", [t(3, 4), t(2, 2), [2, 2], [1, 2], 0]),
        ("einsum", ["ij,jk->ik", [t(2, 3), t(3, 4)]]), ("einsum", ["ij->ji", [t(2, 3)]]), ("einsum", ["bij,bjk->bik", [t(2, 3, 4), t(2, 4, 5)]]), ("einsum", ["bij,bjk->kbi", [t(2, 3, 4), t(2, 4, 5)]]), ("einsum", ["i,j->ij", [t(2), t(3)]]), ("einsum", ["ii->i", [t(3, 3)]]), ("einsum", ["ij,ij->ij", [t(2, 3), t(2, 3)]]), ("einsum", ["ij,kj->ki", [t(2, 3), t(4, 3)]]), ("einsum", ["ijk,kl->lij", [t(2, 3, 4), t(4, 5)]]), ("einsum", ["ij,jk,kl->il", [t(2, 3), t(3, 4), t(4, 5)]]), ("einsum", ["...ij,...jk->...ik", [t(2, 3, 4), t(2, 4, 5)]]), ("einsum", ["bi,bj->bij", [t(2, 3), t(2, 4)]]), ("einsum", ["ij->", [t(2, 3)]]), ("einsum", ["ij->j", [t(2, 3)]]), ("einsum", ["bhid,bhjd->bhij", [X4, X4]]), ("einsum", ["ij,j->i", [t(2, 3), t(3)]]), ("einsum", ["ij,j->ji", [t(2, 3), t(3)]]),
        ("tensordot", [t(2, 3, 4), t(4, 3, 5), [1, 2], [1, 0]]), ("matmul", [t(2, 3, 4), t(4, 5)]), ("matmul", [t(3), t(2, 3, 4)]), ("matmul", [t(2, 3, 4), t(4)]), ("matmul", [t(3, 4), t(2, 4, 5)]), ("linear", [t(2, 3, 4), t(5, 4), t(5)]), ("linear", [t(2, 3, 4), t(5, 4), None]), ("addmm", [t(5), t(2, 3), t(3, 5), 1, 1]), ("bilinear", [t(2, 3), t(2, 4), t(5, 3, 4), None]), ("outer", [t(2), t(3)]), ("kron", [t(2, 3), t(2, 2)]), ("mm", [t(2, 3), t(3, 4)]), ("bmm", [t(2, 3, 4), t(2, 4, 5)]), ("baddbmm", [t(2, 3, 5), t(2, 3, 4), t(2, 4, 5), 1, 1]), ("cdist", [t(2, 3), t(4, 3), 2.0, None]), ("addr", [t(2, 3), t(2), t(3), 1, 1]),
        ("diff", [t(3, 4), 1, -1, None, None]), ("diff", [t(3, 4), 1, 0, None, None]), ("diff", [t(3, 4), 2, 0, None, None]), ("diff", [t(3, 4), 1, 0, t(1, 4), None]), ("rot90", [t(2, 3), 1, [0, 1]]), ("rot90", [t(2, 3), 2, [0, 1]]), ("rot90", [t(2, 3), -1, [0, 1]]), ("rot90", [t(2, 3, 4), 1, [0, 2]]), ("roll", [t(2, 3), [1], [0]]), ("roll", [t(2, 3), [1], []]), ("roll", [t(2, 3), [1, 1], [0, 1]]), ("repeat", [t(2, 3), [2, 2]]), ("repeat_interleave.self_int", [t(2, 3), 2, 1, None]), ("tile", [t(2, 3), [2]]), ("cov", [t(3, 4), 1, None, None]), ("corrcoef", [t(3, 4)]), ("trapezoid.dx", [t(3, 4), 1, -1]), ("cumulative_trapezoid.dx", [t(3, 4), 1, -1]), ("cumsum", [t(3, 4), 0, None]), ("logcumsumexp", [t(3, 4), 0]), ("cummax", [t(3, 4), 0]), ("topk", [t(3, 4), 2, 0, True, True]), ("kthvalue", [t(3, 4), 2, 0, False]), ("mode", [t(3, 4), 0, False]), ("unique_consecutive", [t(3, 4)]), ("searchsorted.Tensor", [t(3, 4), t(3, 2)]), ("bucketize.Tensor", [t(3, 4), t(2)]), ("renorm", [t(3, 4), 2, 0, 1.0]), ("quantile", [t(3, 4), t(2), 0, False]), ("quantile", [t(3, 4), t(2), 1, False]), ("quantile", [t(3, 4), t(2), 1, True]), ("quantile.scalar", [t(3, 4), 0.5, 0, False]), ("quantile", [t(2, 3, 4), t(2), 1, False]), ("quantile", [t(3, 4), t(2), None, False]), ("nanquantile", [t(3, 4), t(2), 0, False]),
        ("fft_fft", [t(3, 4), None, -1, None]), ("fft_fft", [t(3, 4), None, 0, None]), ("fft_ifft", [c34, None, 0, None]), ("fft_rfft", [t(3, 4), None, 0, None]), ("fft_irfft", [c34, None, 0, None]), ("fft_fft2", [t(2, 3, 4), None, [-2, -1], None]), ("fft_fftn", [t(2, 3, 4), None, None, None]), ("fft_fftn", [c34, None, [0], None]), ("fft_rfft2", [t(2, 3, 4), None, [-2, -1], None]), ("fft_rfftn", [t(2, 3, 4), None, [0, 1], None]), ("fft_irfft2", [c34, None, [-2, -1], None]), ("fft_irfftn", [c34, None, [0], None]), ("fft_hfft", [c34, None, 0, None]), ("fft_ihfft", [t(3, 4), None, 0, None]), ("fft_ifft2", [c34, None, [-2, -1], None]), ("fft_ifftn", [c34, None, None, None]), ("fft_fftshift", [t(3, 4), None]), ("fft_ifftshift", [t(3, 4), [0]]), ("fft_fft", [t(3, 4), 6, 0, None]), ("fft_fft", [t(3, 4), 2, 1, None]),
        ("stft", [t(2, 20), 4, None, None, None, False, True, True]), ("stft", [t(20), 4, 2, None, None, False, True, True]), ("istft", [{"t": "complex64", "s": [3, 8]}, 4, None, None, None, True, False, None, None, False]),
        ("lstm.input", [t(3, 2, 4), [t(1, 2, 3), t(1, 2, 3)], [t(12, 4), t(12, 3), t(12), t(12)], True, 1, 0.0, False, False, False]), ("lstm.input", [t(2, 3, 4), [t(1, 2, 3), t(1, 2, 3)], [t(12, 4), t(12, 3), t(12), t(12)], True, 1, 0.0, False, False, True]), ("lstm.input", [t(2, 3, 4), [t(2, 2, 3), t(2, 2, 3)], [t(12, 4), t(12, 3), t(12), t(12)] * 2, True, 1, 0.0, False, True, True]), ("gru.input", [t(2, 3, 4), t(1, 2, 3), [t(9, 4), t(9, 3), t(9), t(9)], True, 1, 0.0, False, False, True]),
        ("rnn_tanh.input", [t(2, 3, 4), t(1, 2, 3), [t(3, 4), t(3, 3), t(3), t(3)], True, 1, 0.0, False, False, True]), ("gru_cell", [t(2, 4), t(2, 3), t(9, 4), t(9, 3), t(9), t(9)]), ("lstm_cell", [t(2, 4), [t(2, 3), t(2, 3)], t(12, 4), t(12, 3), t(12), t(12)]), ("rnn_tanh_cell", [t(2, 4), t(2, 3), t(3, 4), t(3, 3), t(3), t(3)]),
        ("embedding", [t(5, 3), IDX22, -1, False, False]), ("one_hot", [IDX22, 3]), ("tril", [t(3, 4), 0]), ("triu", [X4, 0]), ("diag", [t(3, 4), 0]), ("diag", [t(3), 0]), ("diag_embed", [t(2, 3), 0, -2, -1]), ("diag_embed", [t(2, 3), 0, 0, 2]), ("trace", [t(3, 4)]), ("vander", [t3, None, False]), ("block_diag", [[t(2, 3), t(1, 2)]]), ("im2col", [X4, [2, 2], [1, 1], [0, 0], [1, 1]]), ("unfold", [t(3, 4), 1, 2, 1]), ("cosine_similarity", [t(3, 4), t(3, 4), 1, 1e-8]), ("cross", [t(2, 3), t(2, 3), 1]), ("polar", [t(2, 3), t(2, 3)]), ("complex", [t(2, 3), t(2, 3)]), ("angle", [t(2, 3)]), ("angle", [{"t": "complex64", "s": [2, 3]}]), ("abs", [{"t": "complex64", "s": [2, 3]}]), ("conj_physical", [{"t": "complex64", "s": [2, 3]}]),
        ("scaled_dot_product_attention", [X4, X4, X4]) if False else ("fill_diagonal_", [t(3, 3), 1.0, False]),
        ("_fused_moving", []) if False else ("add.Tensor", [X4, X4, 1]), ("add.Tensor", [X5, X5, 1]), ("add.Tensor", [t(2, 1, 4), t(3, 1), 1]), ("add.Scalar", [t(2, 1, 4), 1, 1]), ("mul.Tensor", [t(2, 3, 4), t(3, 1), ]), ("where.self", [t(3, 1, dtype="bool"), t(2, 3, 4), t(4)]), ("clamp.Tensor", [t(2, 3), t(3), t(2, 1)]), ("lerp.Tensor", [t(2, 3), t(2, 3), t(3)]), ("addcmul", [t(2, 3), t(3), t(2, 1), 1]), ("add.Tensor", [t(0, 3), t(3), 1]), ("add.Tensor", [t(2, 3), t(dtype="float64"), 1]), ("add.Tensor", [t(1, 3), t(3, 1), 1]),
        ("add.out", [t(2, 3), t(2, 3), 1, t(2, 3)]), ("add.out", [t(2, 3), t(2, 3), 1, t(4)]),
        ("exp.out", [t(2, 3), t(2, 3)]), ("exp.out", [t(2, 3), t(0)]),
        ("matmul.out", [t(2, 3), t(3, 2), t(2, 2)]), ("matmul.out", [t(2, 3), t(3, 2), t(3)]),
        ("sum.IntList_out", [t(2, 3, 4), [0], False, None, t(3, 4)]), ("sum.IntList_out", [t(2, 3, 4), [0], False, None, t(2)]),
        ("cat.out", [[t(2, 3), t(2, 3)], 0, t(4, 3)]), ("cat.out", [[t(2, 3), t(2, 3)], 0, t(3)]),
        ("zeros.out", [[2, 3], t(2, 3)]), ("zeros.out", [[2, 3], t(4)]),
        ("ones.out", [[2, 3], t(2, 3)]), ("full.out", [[2, 3], {"f": 2.0}, t(2, 3)]), ("full.out", [[2, 3], {"f": 2.0}, t(1)]),
        ("empty.out", [[2, 3], None, t(2, 3)]), ("empty.out", [[2, 3, 4, 5], CL, t(1)]),
        ("arange.out", [6, t(6)]), ("arange.out", [6, t(2, 3)]), ("arange.start_out", [1, 7, 2, t(3)]), ("arange.start_out", [1, 7, 2, t(2, 2)]),
        ("range.out", [1, 3, 1, t(3)]), ("linspace.out", [0, 1, 6, t(6)]), ("linspace.out", [0, 1, 6, t(2, 3)]),
        ("logspace.out", [0, 1, 6, {"f": 10.0}, t(6)]),
        ("eye.out", [3, t(3, 3)]), ("eye.m_out", [2, 3, t(3, 3)]),
        ("rand.out", [[2, 3], t(2, 3)]), ("rand.out", [[2, 3], t(2)]), ("randn.out", [[2, 3], t(2, 3)]),
        ("randint.out", [5, [2, 3], t(2, 3)]), ("randint.low_out", [1, 5, [2, 3], t(2, 3)]), ("randperm.out", [4, t(4, dtype="int64")]),
        ("cumsum.out", [t(2, 3), 0, None, t(2, 3)]), ("sort.values", [t(2, 3), 0, False, t(2, 3), t(2, 3, dtype="int64")]),
        ("topk.values", [t(2, 3), 2, 1, True, True, t(2, 2), t(2, 2, dtype="int64")]),
        ("index_select.out", [t(2, 3), 0, t(2, dtype="int64"), t(2, 3)]), ("gather.out", [t(2, 3), 0, t(2, 3, dtype="int64"), False, t(2, 3)]),
        ("clamp.out", [t(2, 3), 0, 1, t(2, 3)]), ("where.self_out", [t(2, 3, dtype="bool"), t(2, 3), t(2, 3), t(2, 3)]),
    ]],
]


class Builder:
    """Makes the arguments of a call with chosen strides of its tensors."""

    def __init__(self, layout):
        self.layout = layout  # sizes -> strides or None
        self.tensors = []

    def tensor(self, data):
        sizes, dtype = data["s"], DTYPES[data["t"]]
        if "d" in data:
            numbers = [float(x) if isinstance(x, str) else x for x in data["d"]]
            if dtype.is_complex:
                numbers = [complex(a, b) for a, b in zip(numbers[::2], numbers[1::2])]
            source = torch.tensor(numbers, dtype=dtype).reshape(sizes)
        else:
            source = torch.zeros(sizes, dtype=dtype)
        # PyTorch reads vectors of indices as if they were dense, without looking.
        vector = len(sizes) == 1 and not dtype.is_floating_point
        strides = None if vector else self.layout(sizes)
        if strides is None:
            result = source
        else:
            length = 0 if 0 in sizes else 1 + sum((n - 1) * k for n, k in zip(sizes, strides))
            result = torch.zeros(length, dtype=dtype).as_strided(sizes, strides)
            kept = source
            for dim, stride in enumerate(strides):
                if stride == 0 and sizes[dim] > 1:
                    kept = kept.narrow(dim, 0, 1)
                    result = result.narrow(dim, 0, 1)
            result.copy_(kept)
            result = torch.as_strided(result, sizes, strides)
        self.tensors.append(result)
        return result

    def value(self, encoded, kind):
        if isinstance(encoded, list):
            return [self.value(x, kind) for x in encoded]
        if isinstance(encoded, dict):
            if "t" in encoded:
                return self.tensor(encoded)
            if "f" in encoded:
                return float(encoded["f"])
            if "c" in encoded:
                return complex(*encoded["c"])
            if "device" in encoded:
                return torch.device(encoded["device"])
            return DTYPES[encoded["dtype"]]
        return encoded


def permuted(sizes, order, step=None, pad=None):
    """Strides in which `order` lists the dimensions from the outermost; `step` spaces one out, `pad` lengthens one."""
    strides, at = [0] * len(sizes), 1
    for dim in reversed(order):
        if dim == step:
            at *= 2
        strides[dim] = at
        at *= max(sizes[dim], 1) + (1 if dim == pad else 0)
    return strides


def layouts(count, rng):
    """The ways to lay out operands, each a function of sizes."""
    def rank2(make):
        return lambda sizes: make(sizes) if len(sizes) >= 2 else None

    def channels_last(sizes):
        return permuted(sizes, [0, *range(2, len(sizes)), 1]) if len(sizes) in (4, 5) else None

    def random_order(sizes):
        return rng.sample(range(len(sizes)), len(sizes))

    def mixed(sizes):
        if not sizes:
            return None
        kind = rng.choice(["row", "perm", "perm", "step", "pad", "expand"])
        if kind == "row":
            return None
        dim = rng.randrange(len(sizes))
        order = random_order(sizes) if rng.random() < 0.6 else list(range(len(sizes)))
        strides = permuted(sizes, order, dim if kind == "step" else None, dim if kind == "pad" else None)
        if kind == "expand":
            return [0 if at == dim else s for at, s in enumerate(strides)]
        return strides

    yield lambda sizes: None
    yield rank2(lambda sizes: permuted(sizes, list(range(len(sizes)))[::-1]))
    yield channels_last
    for _ in range(count):
        yield mixed


def record(op, args, count, rng):
    base, _, overload = op.partition("::")[2].partition(".")
    operator = getattr(getattr(getattr(torch.ops, op.partition("::")[0]), base), overload or "default")
    formals = operator._schema.arguments
    found, seen = [], set()
    for layout in layouts(count, rng):
        builder = Builder(layout)
        full = [builder.value(x, f.type) for x, f in zip(args, formals)]
        full += [f.default_value for f in formals[len(args):]]
        key = str([x.stride() for x in builder.tensors])
        if key in seen:
            continue
        seen.add(key)
        given = [None if x.is_contiguous() and list(x.stride()) == row_major(x.shape) else list(x.stride()) for x in builder.tensors]
        positional = [x for x, f in zip(full, formals) if not f.kwarg_only]
        keywords = {f.name: x for x, f in zip(full, formals) if f.kwarg_only}
        try:
            torch.manual_seed(0)
            out = operator(*positional, **keywords)
        except (RuntimeError, IndexError, NotImplementedError, ValueError):
            continue
        outs = tensors_in(out)
        if not outs:
            continue
        storages = [x.storage().data_ptr() for x in builder.tensors]
        entry = {"in": given, "out": [None if list(x.stride()) == row_major(x.shape) else list(x.stride()) for x in outs]}
        shares = [next((i for i, p in enumerate(storages) if p != 0 and p == x.storage().data_ptr()), None) for x in outs]
        if any(s is not None for s in shares):
            entry["shares"] = shares
        found.append(entry)
    return found


def row_major(sizes):
    return permuted(list(sizes), list(range(len(sizes))))


def tensors_in(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [x for each in value for x in tensors_in(each)]
    return []


def without_data(value):
    if isinstance(value, list):
        return [without_data(x) for x in value]
    if isinstance(value, dict) and "t" in value:
        return {"t": value["t"], "s": value["s"]}
    return value


def ranks(value):
    if isinstance(value, list):
        return [r for x in value for r in ranks(x)]
    return [len(value["s"])] if isinstance(value, dict) and "t" in value else []


def lifted(value):
    """The same with vectors repeated to matrices of them: operators on single elements take those as well."""
    if isinstance(value, list):
        return [lifted(x) for x in value]
    if isinstance(value, dict) and "t" in value and len(value["s"]) == 1:
        return {"t": value["t"], "s": [2, 3, *value["s"]], "d": value["d"] * 6}
    return value


def calls():
    for file in sorted(glob.glob(os.path.join(OPERATORS, "cases", "*.json"))):
        with open(file) as source:
            for each in json.load(source):
                if "error" not in each:
                    yield each["op"], each["args"]
                    if max(ranks(each["args"]), default=0) == 1:
                        yield each["op"], lifted(each["args"])
    yield from CALLS


def main():
    everything = sys.argv[2] if sys.argv[1:2] == ["--all"] else None
    rng = random.Random(20)
    records, signatures, counts = [], set(), {}
    table = {json.dumps([op, args]) for op, args in CALLS}
    for op, args in calls():
        signature = json.dumps([op, without_data(args)])
        mine = json.dumps([op, args]) in table
        high = max(ranks(args), default=0) > 1
        if signature in signatures or (everything is None and counts.get((op, high), 0) >= (2 if high else 1) and not mine):
            continue
        signatures.add(signature)
        try:
            found = record(op, args, 12 if everything else 1, rng)
        except AttributeError:
            continue  # an operator that this PyTorch does not have
        if not found:
            continue
        counts[op, high] = counts.get((op, high), 0) + 1
        records.append({"op": op, "args": args, "layouts": found})
    path = everything or os.path.join(OPERATORS, "layouts.json")
    with open(path, "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in records) + "\n]\n")
    print(len(records), "calls,", sum(len(r["layouts"]) for r in records), "layouts")


if __name__ == "__main__":
    main()
