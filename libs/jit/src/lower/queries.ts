// Operators that ask a tensor what is known of it while it is lowered: shape, dtype, device, layout.
import type { IValue } from '@weft/ir';
import { DeviceValue, OperatorError, dtypes, numel } from '@weft/ir';
import { isDense, isInFormat, isRowMajor, wrapDim } from '@weft/ops';
import type { SymbolicTensor } from './symbolic.ts';

type Query = (self: SymbolicTensor, ...args: IValue[]) => IValue;

const ints = (values: readonly number[]): bigint[] => values.map(BigInt);
const category = (self: SymbolicTensor): string => dtypes[self.dtype].category;
const no: Query = () => false;

function length(self: SymbolicTensor): bigint {
  if (self.sizes.length === 0) throw new OperatorError('len() of a 0-d tensor');
  return BigInt(self.sizes[0]);
}

const dimension = (self: SymbolicTensor, dim: IValue): number => wrapDim(Number(dim), self.sizes.length);

export const queries: Readonly<Record<string, Query>> = {
  'aten::size': (self) => ints(self.sizes),
  'aten::size.int': (self, dim) => BigInt(self.sizes[dimension(self, dim)]),
  'aten::stride': (self) => ints(self.strides),
  'aten::stride.int': (self, dim) => BigInt(self.strides[dimension(self, dim)]),
  'aten::storage_offset': (self) => BigInt(self.offset),
  'aten::dim': (self) => BigInt(self.sizes.length),
  'aten::numel': (self) => BigInt(numel(self.sizes)),
  'aten::len.Tensor': length,
  'aten::element_size': (self) => BigInt(dtypes[self.dtype].bytes),
  'aten::is_floating_point': (self) => category(self) === 'float',
  'aten::is_complex': (self) => category(self) === 'complex',
  'aten::is_signed': (self) => category(self) !== 'uint' && category(self) !== 'bool',
  'aten::is_contiguous': ({ sizes, strides }) => isRowMajor(sizes, strides),
  'aten::is_contiguous.memory_format': (self, format) => isInFormat(self, Number(format)),
  'aten::is_non_overlapping_and_dense': ({ sizes, strides }) => isDense(sizes, strides),
  'aten::is_same_size': (self, other) =>
    String(self.sizes) === String((other as unknown as SymbolicTensor).sizes),
  'aten::is_set_to': (self, other) => self === (other as unknown as SymbolicTensor),
  'aten::is_conj': no,
  'aten::is_neg': no,
  'aten::is_inference': no,
  'aten::get_device': () => -1n,
  'prim::dtype': (self) => BigInt(dtypes[self.dtype].scalarType),
  'prim::device': () => new DeviceValue('cpu'),
  'prim::layout': () => 0n,
  'prim::requires_grad': (self) => self.requiresGrad,
  'prim::is_cpu': () => true,
  'prim::is_cuda': no,
  'prim::is_sparse': no,
  'prim::is_sparse_csr': no,
  'prim::is_quantized': no,
  'prim::is_mkldnn': no,
  'prim::is_meta': no,
  'prim::is_nested': no,
  'prim::is_xpu': no,
  'prim::is_mps': no,
  'prim::is_vulkan': no,
  'prim::is_ipu': no,
  'prim::is_ort': no,
  'prim::name': () => null,
};
