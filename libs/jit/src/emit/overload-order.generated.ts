// Generated from PyTorch 1.13 (`torch._C._jit_get_schemas_for_operator`): the order in which the overloads of an operator
// are tried, for operators whose order is not the alphabetical one. The first overload that accepts the arguments is chosen,
// so the order is part of the language. `-` is the overload without a name.
export const overloadOrderText = String.raw`
aten::Bool Tensor int float
aten::Complex Scalar Tensor_Tensor int_bool bool_int float_bool bool_float float_int int_float int_int bool_bool float_float Tensor_float float_Tensor Tensor_int int_Tensor Tensor_bool bool_Tensor
aten::Delete t Dict_str Dict_int Dict_bool Dict_float Dict_complex Dict_Tensor
aten::Float Tensor Scalar int bool str
aten::Int Tensor bool float Scalar str
aten::__contains__ int_list str_list str int bool float complex Tensor float_list
aten::__getitem__ t str Dict_str Dict_int Dict_bool Dict_float Dict_complex Dict_Tensor
aten::__iand__ Tensor Scalar
aten::__ilshift__ Tensor Scalar
aten::__interpolate scale_list size_list_scale_list - size_list
aten::__ior__ Tensor Scalar
aten::__irshift__ Tensor Scalar
aten::__ixor__ Tensor Scalar
aten::__lshift__ Tensor Scalar Scalar_out Tensor_out int
aten::__or__ Tensor Scalar bool int
aten::__rshift__ Tensor Scalar Scalar_out Tensor_out int
aten::__upsample_bilinear - size_list scale_list size_list_scale_list
aten::__xor__ Tensor Scalar bool int
aten::_add_relu Tensor out Scalar Scalar_out
aten::_add_relu_ Tensor Scalar
aten::_aminmax - dim out dim_out
aten::_coalesce out -
aten::_conj_copy out -
aten::_conv_depthwise2d out -
aten::_convolution deprecated - out
aten::_copy_from out -
aten::_copy_from_and_resize out -
aten::_cudnn_ctc_loss out - Tensor
aten::_cudnn_rnn out -
aten::_cudnn_rnn_backward out -
aten::_cudnn_rnn_flatten_weight out -
aten::_foreach_add Scalar List ScalarList Scalar_out List_out ScalarList_out
aten::_foreach_add_ Scalar List ScalarList
aten::_foreach_addcdiv Scalar ScalarList Scalar_out ScalarList_out
aten::_foreach_addcmul Scalar ScalarList Scalar_out ScalarList_out
aten::_foreach_div Scalar List ScalarList Scalar_out List_out ScalarList_out
aten::_foreach_div_ Scalar List ScalarList
aten::_foreach_mul Scalar List ScalarList Scalar_out List_out ScalarList_out
aten::_foreach_mul_ Scalar List ScalarList
aten::_foreach_sub Scalar List ScalarList Scalar_out List_out ScalarList_out
aten::_foreach_sub_ Scalar List ScalarList
aten::_fw_primal_copy out -
aten::_indices_copy out -
aten::_lstm_mps out -
aten::_make_dual_copy out -
aten::_masked_scale out -
aten::_mkldnn_reshape out -
aten::_mkldnn_transpose out -
aten::_mps_convolution out -
aten::_mps_convolution_transpose out -
aten::_mps_max_pool2d out -
aten::_neg_view_copy out -
aten::_nested_from_padded_and_nested_example out -
aten::_nested_tensor_layer_norm out -
aten::_nested_tensor_size out -
aten::_nested_tensor_strides out -
aten::_nested_view_from_buffer_copy out -
aten::_reshape_alias_copy out -
aten::_set_item t str int bool float complex Tensor
aten::_sparse_broadcast_to_copy out -
aten::_sparse_csr_prod dim_dtype_out dim_dtype
aten::_sparse_csr_sum dim_dtype_out dim_dtype
aten::_sparse_log_softmax Dimname int out -
aten::_sparse_log_softmax_backward_data out -
aten::_sparse_mask_helper out -
aten::_sparse_softmax Dimname int out -
aten::_sparse_softmax_backward_data out -
aten::_sparse_sparse_matmul out -
aten::_sparse_sum dim dim_out - dtype dim_dtype
aten::_sparse_sum_backward out -
aten::_test_autograd_multiple_dispatch_view_copy out -
aten::_thnn_fused_gru_cell_backward out -
aten::_thnn_fused_lstm_cell_backward_impl out -
aten::_to_dense out -
aten::_torch_cuda_cu_linker_symbol_op out -
aten::_trilinear out -
aten::_triton_multi_head_attention out -
aten::_triton_scaled_dot_attention out -
aten::_upsample_nearest_exact3d vec - out vec_out
aten::_upsample_nearest_exact3d_backward vec - grad_input vec_out
aten::_values_copy out -
aten::acos - out int float complex Scalar
aten::acosh - out int float complex Scalar
aten::add Tensor Scalar out Scalar_out t str int complex float int_complex complex_int float_complex complex_float int_float float_int -
aten::add_ Tensor Scalar t
aten::alias_copy out -
aten::all - dim out all_out dimname dimname_out int float bool
aten::angle - out int float complex Scalar
aten::any dim - out all_out dimname dimname_out str int float bool
aten::arange - start start_step start_out out
aten::argsort - stable stable_out dimname
aten::as_strided_copy out -
aten::as_tensor float int bool complex - list
aten::asin - out int float complex Scalar
aten::asinh - out int float complex Scalar
aten::atan - out int float complex Scalar
aten::atan2 - out int float int_float float_int Scalar_Scalar
aten::atanh - out int float complex Scalar
aten::bartlett_window - periodic out periodic_out
aten::batch_norm_backward_elemt out -
aten::batch_norm_backward_reduce out -
aten::batch_norm_elemt out -
aten::batch_norm_gather_stats out -
aten::batch_norm_gather_stats_with_counts out -
aten::batch_norm_stats out -
aten::bernoulli - out p Tensor Tensor_out float_out
aten::bitwise_and Tensor Scalar Tensor_out Scalar_out Scalar_Tensor Scalar_Tensor_out
aten::bitwise_and_ Tensor Scalar
aten::bitwise_left_shift Tensor Tensor_Scalar Scalar_Tensor Tensor_out Tensor_Scalar_out Scalar_Tensor_out
aten::bitwise_or Tensor Scalar Tensor_out Scalar_out Scalar_Tensor Scalar_Tensor_out
aten::bitwise_or_ Tensor Scalar
aten::bitwise_right_shift Tensor Tensor_Scalar Scalar_Tensor Tensor_out Tensor_Scalar_out Scalar_Tensor_out
aten::bitwise_xor Tensor Scalar Tensor_out Scalar_out Scalar_Tensor Scalar_Tensor_out
aten::bitwise_xor_ Tensor Scalar
aten::blackman_window - periodic out periodic_out
aten::bucketize Tensor Tensor_out Scalar Scalar_out
aten::ceil - out int float Scalar
aten::clamp - Tensor out Tensor_out
aten::clamp_max - Tensor out Tensor_out
aten::clamp_min - Tensor out Tensor_out
aten::clear t str int bool float complex Tensor
aten::clip - Tensor out Tensor_out
aten::col_indices_copy out -
aten::complex out -
aten::concat - out names names_out
aten::concatenate - out names names_out
aten::conv_depthwise3d out -
aten::copy out - t Dict_str Dict_int Dict_bool Dict_float Dict_complex Dict_Tensor
aten::copy_ - Tensor int float
aten::copysign Tensor out Scalar Scalar_out int float int_float float_int -
aten::copysign_ Tensor Scalar
aten::cos - out int float complex Scalar
aten::cosh - out int float complex Scalar
aten::count - int float bool Tensor str
aten::count_nonzero dim_IntList dim_IntList_out - out
aten::crow_indices_copy out -
aten::cudnn_affine_grid_generator out -
aten::cudnn_affine_grid_generator_backward out -
aten::cudnn_convolution_add_relu out -
aten::cudnn_convolution_relu out -
aten::cumulative_trapezoid x dx
aten::degrees int float Scalar
aten::dequantize self self_out tensors_out tensors tensor list any
aten::detach_copy out -
aten::diagonal_copy out -
aten::dict - str Dict_str int Dict_int bool Dict_bool float Dict_float complex Dict_complex Tensor Dict_Tensor
aten::div Tensor Scalar Tensor_mode Scalar_mode out out_mode Scalar_out Scalar_mode_out int complex float -
aten::div_ Tensor Scalar Tensor_mode Scalar_mode
aten::divide Tensor Scalar Tensor_mode Scalar_mode out out_mode
aten::divide_ Tensor Tensor_mode Scalar_mode Scalar
aten::divmod int float int_float float_int
aten::dsplit int array
aten::empty memory_format out names names_out
aten::eq Tensor Scalar Scalar_out Tensor_out int_list device bool enum int complex float int_float float_int float_complex complex_float - str float_list Tensor_list bool_list str_list
aten::erf - out int float Scalar
aten::erfc - out int float Scalar
aten::exp - out int float complex Scalar
aten::expm1 - out int float Scalar
aten::eye - m out m_out
aten::fabs int float Scalar
aten::flatten using_ints DimnameList named_out_dim using_names
aten::float_power Tensor_Tensor Tensor_Scalar Tensor_Tensor_out Scalar Scalar_out Tensor_Scalar_out
aten::float_power_ Tensor Scalar
aten::floor - out int float Scalar
aten::floordiv int float int_float float_int -
aten::fmod Tensor Scalar Tensor_out Scalar_out int float int_float float_int -
aten::fmod_ Tensor Scalar
aten::frexp Tensor Tensor_out -
aten::full names - names_out out
aten::gamma int float Scalar
aten::gather - out dimname dimname_out
aten::gcd - out int
aten::ge Tensor Scalar Scalar_out Tensor_out int float int_float float_int - str
aten::get str default_str int default_int bool default_bool float default_float complex default_complex Tensor default_Tensor
aten::gradient scalarint scalararray array scalarrayint scalarrayarray tensorarrayint tensorarray
aten::greater Tensor Scalar Scalar_out Tensor_out
aten::greater_equal Tensor Scalar Scalar_out Tensor_out
aten::gru input data
aten::gt Tensor Scalar Scalar_out Tensor_out int float int_float float_int - str
aten::hamming_window - periodic periodic_alpha periodic_alpha_beta out periodic_out periodic_alpha_out periodic_alpha_beta_out
aten::hann_window - periodic out periodic_out
aten::histogram bins_tensor bins_tensor_out bin_ct bin_ct_out
aten::histogramdd - int_bins TensorList_bins
aten::hsplit int array
aten::hspmm out -
aten::huber_loss_backward out -
aten::index Tensor Tensor_out Tensor_hacked_twin str list_int list_float list_bool list_Tensor list_str
aten::index_add - out dimname
aten::index_fill Dimname_Scalar Dimname_Tensor int_Scalar int_Tensor int_Scalar_out int_Tensor_out
aten::index_put - out hacked_twin
aten::index_select - out dimname dimname_out
aten::indices_copy out -
aten::int_repr out -
aten::isfinite - float complex
aten::isin Tensor_Tensor Tensor_Tensor_out Tensor_Scalar Tensor_Scalar_out Scalar_Tensor Scalar_Tensor_out
aten::isinf - out float complex
aten::isnan - out float complex
aten::items str int bool float complex Tensor
aten::kaiser_window - periodic beta out periodic_out beta_out
aten::keys str int bool float complex Tensor
aten::ldexp Tensor out -
aten::le Tensor Scalar Scalar_out Tensor_out int float int_float float_int - str
aten::len t Tensor str Dict_str Dict_int Dict_bool Dict_float Dict_complex Dict_Tensor any
aten::lerp Scalar Tensor Scalar_out Tensor_out
aten::less Tensor Scalar Scalar_out Tensor_out
aten::less_equal Tensor Scalar Scalar_out Tensor_out
aten::lgamma - out int float Scalar
aten::linalg_cond - p_str out p_str_out
aten::linalg_matrix_norm - str_ord out str_ord_out
aten::linalg_matrix_rank - tol_tensor atol_rtol_tensor atol_rtol_float atol_rtol_tensor_out atol_rtol_float_out out out_tol_tensor
aten::linalg_norm - ord_str out ord_str_out
aten::linalg_pinv - atol_rtol_float atol_rtol_tensor atol_rtol_tensor_out atol_rtol_float_out out rcond_tensor out_rcond_tensor
aten::linear_backward out -
aten::log - out int float complex Scalar int_int float_float complex_complex int_float float_int int_complex complex_int float_complex complex_float Scalar_Scalar
aten::log10 - out int float complex Scalar
aten::log1p - out int float Scalar
aten::log_softmax int Dimname int_out
aten::lstm input data
aten::lstm_mps_backward out -
aten::lt Tensor Scalar Scalar_out Tensor_out int float int_float float_int - str
aten::masked_fill Scalar Tensor Scalar_out Tensor_out
aten::mathremainder int float int_float float_int -
aten::matmul_backward out -
aten::max other - dim dim_max names_dim names_dim_max out
aten::min other - dim dim_min names_dim names_dim_min out
aten::miopen_convolution out -
aten::miopen_convolution_transpose out -
aten::miopen_depthwise_convolution out -
aten::miopen_rnn out -
aten::miopen_rnn_backward out -
aten::mkldnn_adaptive_avg_pool2d out -
aten::mkldnn_adaptive_avg_pool2d_backward out -
aten::mkldnn_linear out -
aten::mkldnn_linear_backward out -
aten::mkldnn_linear_backward_input out -
aten::mkldnn_linear_backward_weights out -
aten::mkldnn_max_pool2d out -
aten::mkldnn_max_pool2d_backward out -
aten::mkldnn_max_pool3d out -
aten::mkldnn_max_pool3d_backward out -
aten::mkldnn_reorder_conv2d_weight out -
aten::mkldnn_reorder_conv3d_weight out -
aten::moveaxis intlist int
aten::movedim intlist int
aten::mps_convolution_backward out -
aten::mps_convolution_transpose_backward out -
aten::mps_max_pool2d_backward out -
aten::mul Tensor Scalar out Scalar_out left_t right_ int complex float int_complex complex_int float_complex complex_float int_float float_int -
aten::mul_ Tensor Scalar t
aten::multiply Tensor Scalar out
aten::multiply_ Tensor Scalar
aten::nanquantile - scalar out scalar_out
aten::native_norm out ScalarOpt_dim_dtype_out - ScalarOpt_dim_dtype
aten::ne Tensor Scalar Scalar_out Tensor_out int_list device bool enum int complex float int_float float_int float_complex complex_float - str float_list Tensor_list bool_list str_list
aten::neg - out int float complex Scalar
aten::norm Scalar ScalarOpt_dim names_ScalarOpt_dim ScalarOpt_dim_dtype dtype_out out ScalarOpt_dtype ScalarOpt_dtype_out Scalar_out names_ScalarOpt_dim_dtype names_dtype_out names_out
aten::normal Tensor_float Tensor_float_out float_Tensor_out float_Tensor Tensor_Tensor Tensor_Tensor_out float_float float_float_out out
aten::not_equal Tensor Scalar Scalar_out Tensor_out
aten::nuclear_norm - dim out dim_out
aten::ones names - names_out out
aten::permute_copy out -
aten::polar - out int float int_float float_int Scalar_Scalar
aten::pop t Dict_str Dict_default_str Dict_int Dict_default_int Dict_bool Dict_default_bool Dict_float Dict_default_float Dict_complex Dict_default_complex Dict_Tensor Dict_default_Tensor
aten::popitem str int bool float complex Tensor
aten::pow Tensor_Tensor Tensor_Scalar Scalar Scalar_out Tensor_Scalar_out Tensor_Tensor_out int complex float int_float float_int float_complex complex_float Scalar_Scalar int_to_int
aten::prod - dim_int dim_Dimname Dimname_out int_out out
aten::q_per_channel_scales out -
aten::q_per_channel_zero_points out -
aten::quantile - scalar out scalar_out
aten::quantize_per_tensor - tensor_qparams tensors out tensor_qparams_out tensors_out
aten::quantized_batch_norm out -
aten::quantized_gru input data input_legacy data_legacy
aten::quantized_lstm input data input_legacy data_legacy
aten::quantized_max_pool1d out -
aten::quantized_max_pool2d out -
aten::radians int float Scalar
aten::rand - generator names generator_with_names out generator_out names_out generator_with_names_out
aten::randint - generator low low_generator out generator_out low_out low_generator_out
aten::randint_like - low_dtype out low_dtype_out
aten::randn - generator names generator_with_names out generator_out names_out generator_with_names_out
aten::random from from_out to to_out - out
aten::random_ from to -
aten::randperm - generator out generator_out
aten::range step - out out_
aten::remainder Tensor Scalar Scalar_Tensor Tensor_out Scalar_out Scalar_Tensor_out int float int_float float_int -
aten::remainder_ Tensor Scalar
aten::remove int float bool Tensor str
aten::repeat_interleave Tensor self_Tensor self_int Tensor_out
aten::result_type Tensor Scalar Scalar_Tensor Scalar_Scalar
aten::rnn_relu input data
aten::rnn_tanh input data
aten::round - decimals out decimals_out int float Scalar
aten::rsub Tensor Scalar Tensor_out Scalar_out
aten::scatter value src reduce value_reduce src_out value_out reduce_out value_reduce_out dimname_src dimname_value
aten::scatter_ src value reduce value_reduce
aten::scatter_add - out dimname
aten::searchsorted Tensor Tensor_out Scalar Scalar_out
aten::select int Dimname t
aten::select_copy int_out int
aten::set source_Storage source_Storage_out source_Storage_storage_offset source_Storage_storage_offset_out source_Tensor source_Tensor_out - out
aten::set_ source_Storage_storage_offset source_Tensor - source_Storage source_Tensor_storage_offset
aten::setdefault str int bool float complex Tensor
aten::sin - out int float complex Scalar
aten::sinh - out int float complex Scalar
aten::size int Dimname -
aten::slice Tensor t str
aten::slice_copy Tensor_out Tensor
aten::smooth_l1_loss_backward grad_input -
aten::softmax int Dimname int_out
aten::sort - stable values_stable values dimname dimname_values dimname_stable dimname_values_stable int float Tensor bool str any
aten::sorted int float Tensor bool str any
aten::sparse_bsc_tensor ccol_row_value_size ccol_row_value
aten::sparse_bsr_tensor crow_col_value_size crow_col_value
aten::sparse_compressed_tensor comp_plain_value_size comp_plain_value
aten::sparse_coo_tensor size indices indices_size size_out
aten::sparse_csc_tensor ccol_row_value_size ccol_row_value
aten::sparse_csr_tensor crow_col_value_size crow_col_value
aten::sparse_mask out -
aten::sparse_sampled_addmm out -
aten::special_chebyshev_polynomial_t - out n_scalar_out x_scalar x_scalar_out n_scalar
aten::special_chebyshev_polynomial_u - out n_scalar_out x_scalar x_scalar_out n_scalar
aten::special_chebyshev_polynomial_v - out n_scalar_out x_scalar x_scalar_out n_scalar
aten::special_chebyshev_polynomial_w - out n_scalar_out x_scalar x_scalar_out n_scalar
aten::special_hermite_polynomial_h - out n_scalar_out x_scalar x_scalar_out n_scalar
aten::special_hermite_polynomial_he - out n_scalar_out x_scalar x_scalar_out n_scalar
aten::special_laguerre_polynomial_l - out n_scalar_out x_scalar x_scalar_out n_scalar
aten::special_legendre_polynomial_p - out n_scalar_out x_scalar x_scalar_out n_scalar
aten::special_shifted_chebyshev_polynomial_t - out n_scalar_out x_scalar x_scalar_out n_scalar
aten::special_shifted_chebyshev_polynomial_u - out n_scalar_out x_scalar x_scalar_out n_scalar
aten::special_shifted_chebyshev_polynomial_v - out n_scalar_out x_scalar x_scalar_out n_scalar
aten::special_shifted_chebyshev_polynomial_w - out n_scalar_out x_scalar x_scalar_out n_scalar
aten::special_xlog1py - other_scalar self_scalar out self_scalar_out other_scalar_out
aten::special_xlogy - other_scalar self_scalar out self_scalar_out other_scalar_out
aten::special_zeta - other_scalar self_scalar out self_scalar_out other_scalar_out
aten::split Tensor sizes str -
aten::split_copy Tensor_out Tensor
aten::split_with_sizes_copy out -
aten::sqrt - out int float complex Scalar
aten::squeeze_copy out dim_out - dim
aten::sspaddmm out -
aten::std - dim correction names_dim names_out out correction_out correction_names correction_names_out
aten::std_mean - dim correction names_dim correction_names correction_out
aten::stride int Dimname -
aten::sub Tensor Scalar out Scalar_out int complex float int_complex complex_int float_complex complex_float int_float float_int -
aten::sub_ Tensor Scalar
aten::subtract Tensor out Scalar
aten::subtract_ Tensor Scalar
aten::sum dim_IntList - dim_DimnameList DimnameList_out IntList_out out int float complex bool
aten::sym_stride int -
aten::t_copy out -
aten::tan - out int float complex Scalar
aten::tanh - out int float complex Scalar
aten::tensor float int bool complex -
aten::tensor_split sections indices tensor_indices_or_sections
aten::to device dtype other dtype_layout prim_Device prim_dtype prim_other
aten::to_padded_tensor out -
aten::to_sparse sparse_dim - sparse_dim_out out
aten::transpose int Dimname
aten::transpose_copy int_out int
aten::trapezoid x dx
aten::trapz x dx
aten::true_divide Tensor Scalar out
aten::true_divide_ Tensor Scalar
aten::unbind int Dimname
aten::unbind_copy int_out int
aten::unflatten int Dimname
aten::unfold_copy out -
aten::unsqueeze_copy out -
aten::update str int bool float complex Tensor
aten::upsample_bicubic2d vec - out vec_out
aten::upsample_bicubic2d_backward vec - grad_input vec_out
aten::upsample_bilinear2d vec - out vec_out
aten::upsample_bilinear2d_backward vec - grad_input vec_out
aten::upsample_linear1d vec - out vec_out
aten::upsample_linear1d_backward vec - grad_input vec_out
aten::upsample_nearest1d vec - out vec_out
aten::upsample_nearest1d_backward vec - grad_input vec_out
aten::upsample_nearest2d vec - out vec_out
aten::upsample_nearest2d_backward vec - grad_input vec_out
aten::upsample_nearest3d vec - out vec_out
aten::upsample_nearest3d_backward vec - grad_input vec_out
aten::upsample_trilinear3d vec - out vec_out
aten::upsample_trilinear3d_backward vec - grad_input vec_out
aten::values - str int bool float complex Tensor
aten::values_copy out -
aten::var - dim correction names_dim names_out out correction_out correction_names correction_names_out
aten::var_mean - dim correction names_dim correction_names correction_out
aten::view_as_complex_copy out -
aten::view_as_real_copy out -
aten::view_copy out dtype_out - dtype
aten::vsplit int array
aten::where self ScalarOther ScalarSelf - self_out Scalar
aten::xlogy Tensor Scalar_Other Scalar_Self OutTensor OutScalar_Self OutScalar_Other
aten::xlogy_ Tensor Scalar_Other
aten::zeros names - names_out out
prim::EnumValue int float str
prim::ModuleContainerIndex list dict
prim::abs int float complex Scalar -
prim::infer_squeeze_size dim -
prim::max int float int_float float_int - int_list self_int float_list self_float bool_list self_bool
prim::min int float int_float float_int - int_list self_int float_list self_float bool_list self_bool
`;
