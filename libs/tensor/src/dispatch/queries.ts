// Operators that ask about eager tensors or act on the tensor itself rather than its elements: sizes, scalars out of
// tensors, casts, detaching, gradients, storage.
import type { Device } from '@weft/devices';
import type { IValue } from '@weft/ir';
import { Complex, DeviceValue, OperatorError, containerType, dtypes, numel } from '@weft/ir';
import { attachBackward } from '../autograd/custom-node.ts';
import { backward } from '../autograd/engine.ts';
import { deviceNamed } from '../devices.ts';
import { tensor } from '../creation.ts';
import type { TensorData } from '../creation.ts';
import { copyToDevice } from '../core-function.ts';
import {
  isDense,
  isInFormat,
  likeArgument,
  memoryFormats,
  oldCasts,
  resultStrides,
  suggestsChannelsLast,
} from '@weft/ops';
import { Tensor } from '../tensor.ts';
import { dtypeArgument, scalarOf } from './arguments.ts';
import { callOperator } from './call.ts';
import type { EagerFunction } from './operator.ts';
import { eagerOperators } from './operator.ts';

const call = (name: string, ...args: IValue[]): Tensor => callOperator(name, args) as unknown as Tensor;
const ints = (values: readonly number[]): IValue => values.map(BigInt);

function wrapped(dim: bigint, rank: number): number {
  const at = Number(dim);
  const extent = Math.max(rank, 1);
  if (at < -extent || at >= extent || rank === 0) {
    throw new OperatorError(
      rank === 0
        ? `dimension specified as ${at} but tensor has no dimensions`
        : `Dimension out of range (expected to be in range of [${-extent}, ${extent - 1}], but got ${at})`,
    );
  }
  return at < 0 ? at + extent : at;
}

const category = (self: Tensor): string => dtypes[self.dtype].category;

const geometry: Record<string, EagerFunction> = {
  'aten::size': (self: Tensor) => ints(self.sizes),
  'aten::size.int': (self: Tensor, dim: bigint) => BigInt(self.sizes[wrapped(dim, self.ndim)]),
  'aten::sym_size': (self: Tensor) => ints(self.sizes),
  'aten::sym_size.int': (self: Tensor, dim: bigint) => BigInt(self.sizes[wrapped(dim, self.ndim)]),
  'aten::stride': (self: Tensor) => ints(self.strides),
  'aten::stride.int': (self: Tensor, dim: bigint) => BigInt(self.strides[wrapped(dim, self.ndim)]),
  'aten::dim': (self: Tensor) => BigInt(self.ndim),
  'aten::numel': (self: Tensor) => BigInt(numel(self.sizes)),
  'aten::sym_numel': (self: Tensor) => BigInt(numel(self.sizes)),
  'aten::len.Tensor': (self: Tensor) => {
    if (self.ndim === 0) throw new OperatorError('len() of a 0-d tensor');
    return BigInt(self.sizes[0]);
  },
  'aten::storage_offset': (self: Tensor) => BigInt(self.offset),
  'aten::element_size': (self: Tensor) => BigInt(dtypes[self.dtype].bytes),
  'aten::is_contiguous': (self: Tensor) => self.isRowMajor,
  'aten::is_contiguous.memory_format': (self: Tensor, format: bigint) => isInFormat(self, Number(format)),
  'aten::is_non_overlapping_and_dense': (self: Tensor) => isDense(self.sizes, self.strides),
  'aten::is_same_size': (self: Tensor, other: Tensor) => self.sizes.join() === other.sizes.join(),
  'aten::is_set_to': (self: Tensor, other: Tensor) =>
    self.storage === other.storage &&
    self.offset === other.offset &&
    self.sizes.join() === other.sizes.join() &&
    self.strides.join() === other.strides.join(),
  'aten::is_floating_point': (self: Tensor) => category(self) === 'float',
  'aten::is_complex': (self: Tensor) => category(self) === 'complex',
  'aten::is_signed': (self: Tensor) => ['int', 'float', 'complex'].includes(category(self)),
  'aten::is_conj': () => false,
  'aten::is_neg': () => false,
  'aten::is_inference': () => false,
  'prim::dtype': (self: Tensor) => BigInt(dtypes[self.dtype].scalarType),
  'prim::device': (self: Tensor) => {
    const [type, index] = self.device.split(':');
    return new DeviceValue(type, index === undefined ? null : Number(index));
  },
  'prim::layout': () => 0n,
  'prim::is_cpu': (self: Tensor) => self.device === 'cpu',
  'prim::is_cuda': (self: Tensor) => self.device.startsWith('cuda'),
  'prim::is_xpu': () => false,
  'prim::is_meta': () => false,
  'prim::is_sparse': () => false,
  'prim::is_sparse_csr': () => false,
  'prim::is_mkldnn': () => false,
  'prim::is_mps': () => false,
  'prim::is_vulkan': () => false,
  'prim::is_ipu': () => false,
  'prim::is_ort': () => false,
  'prim::is_nested': () => false,
  'prim::is_quantized': () => false,
  'prim::name': () => null,
};

/** The only element, for conversions of scripted programs. */
function elementOf(self: Tensor): ReturnType<Tensor['element']> {
  if (numel(self.sizes) !== 1) {
    throw new OperatorError(`a Tensor with ${numel(self.sizes)} elements cannot be converted to Scalar`);
  }
  return self.element();
}

function integerOf(self: Tensor): bigint {
  const value = elementOf(self);
  if (value instanceof Complex) {
    throw new OperatorError('value cannot be converted to type int64_t without overflow');
  }
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new OperatorError('value cannot be converted to type int64_t without overflow');
  }
  return typeof value === 'bigint' ? value : BigInt(Math.trunc(Number(value)));
}

function floatOf(self: Tensor): number {
  const value = elementOf(self);
  if (value instanceof Complex) {
    if (value.im === 0) return value.re;
    throw new OperatorError('value cannot be converted to type double without overflow');
  }
  return Number(value);
}

function complexOf(self: Tensor): Complex {
  const value = elementOf(self);
  return value instanceof Complex ? value : new Complex(Number(value), 0);
}

function truthOf(self: Tensor): boolean {
  if (numel(self.sizes) === 0) throw new OperatorError('Boolean value of Tensor with no values is ambiguous');
  if (numel(self.sizes) > 1) {
    throw new OperatorError('Boolean value of Tensor with more than one value is ambiguous');
  }
  const value = self.element();
  return value instanceof Complex ? value.re !== 0 || value.im !== 0 : Boolean(value);
}

/** TorchScript converts a tensor implicitly only when no gradient gets lost and it has no dimensions. */
function implicitly<T>(convert: (self: Tensor) => T): (self: Tensor) => T {
  return (self) => {
    if (self.requiresGrad) {
      throw new OperatorError('Cannot input a tensor that requires grad as a scalar argument');
    }
    if (self.ndim > 0)
      throw new OperatorError('Cannot input a tensor of dimension other than 0 as a scalar argument');
    return convert(self);
  };
}

function item(self: Tensor): IValue {
  if (numel(self.sizes) !== 1) {
    throw new OperatorError(`a Tensor with ${numel(self.sizes)} elements cannot be converted to Scalar`);
  }
  return scalarOf(self);
}

const scalars: Record<string, EagerFunction> = {
  'aten::item': item,
  'aten::_local_scalar_dense': item,
  'aten::is_nonzero': truthOf,
  'aten::Bool.Tensor': truthOf,
  'aten::Int.Tensor': integerOf,
  'aten::Float.Tensor': floatOf,
  'aten::Complex.Tensor': complexOf,
  'aten::IntImplicit': implicitly(integerOf),
  'aten::FloatImplicit': implicitly(floatOf),
  'aten::ComplexImplicit': implicitly(complexOf),
  'aten::ScalarImplicit': implicitly(scalarOf),
};

/**
 * Nested lists of a scripted program as a tensor; ints stay ints whatever their values. As in TorchScript, floats and complex numbers are
 * rounded to float32 first, whatever dtype is asked for.
 */
function fromValue(data: IValue, dtype: IValue, device: IValue, requiresGrad: boolean): Tensor {
  const made = tensor(rounded(data) as TensorData, {
    dtype: dtype === null ? ownDType(data) : dtypeArgument(dtype),
    ...(device !== null && { device: String(device) }),
  });
  if (requiresGrad) made.requiresGrad = true;
  return made;
}

function rounded(data: IValue): IValue {
  if (Array.isArray(data)) return data.map(rounded);
  if (data instanceof Complex) return new Complex(Math.fround(data.re), Math.fround(data.im));
  return typeof data === 'number' ? Math.fround(data) : data;
}

/** float32 for any float (a whole one too), int64, bool, complex64. */
function ownDType(data: IValue): 'float32' | 'int64' | 'bool' | 'complex64' {
  if (Array.isArray(data)) return data.length === 0 ? emptyDType(data) : ownDType(data[0]);
  if (data instanceof Complex) return 'complex64';
  return typeof data === 'bigint' ? 'int64' : typeof data === 'boolean' ? 'bool' : 'float32';
}

/** An empty list has the dtype of its static type. */
function emptyDType(list: IValue[]): 'float32' | 'int64' | 'bool' {
  let type = containerType(list);
  while (type?.kind === 'List') type = type.element;
  return type?.kind === 'int' ? 'int64' : type?.kind === 'bool' ? 'bool' : 'float32';
}

const asTensor = (data: IValue, dtype: IValue, device: IValue): IValue =>
  data instanceof Tensor ? convert(data, dtype, device, false) : fromValue(data, dtype, device, false);

const making: Record<string, EagerFunction> = Object.fromEntries([
  ...['', '.bool', '.complex', '.float', '.int'].map((overload) => [`aten::tensor${overload}`, fromValue]),
  ...['.list', '.bool', '.complex', '.float', '.int', ''].map((overload) => [
    `aten::as_tensor${overload}`,
    asTensor,
  ]),
]) as Record<string, EagerFunction>;

/** `self` with another dtype, device and memory format; itself when nothing changes and no copy is asked for. */
function convert(
  self: Tensor,
  dtype: IValue,
  device: IValue,
  copy: boolean,
  format: bigint | null = null,
): Tensor {
  const to = device === null ? self.storage.device : deviceNamed(device as DeviceValue);
  const wanted = dtype === null ? self.dtype : dtypeArgument(dtype);
  const stays = format === null || Number(format) === memoryFormats.preserve || suggests(self, format);
  if (to === self.storage.device) {
    if (wanted === self.dtype && stays && !copy) return self;
    const number = BigInt(dtypes[wanted].scalarType);
    return call('aten::_to_copy', self, number, null, null, null, false, format);
  }
  const result = moved(self, to, format);
  return wanted === self.dtype ? result : convert(result, dtype, null, false);
}

/** Whether the tensor lies as tensors of the format do, gaps aside. */
function suggests({ sizes, strides }: Tensor, format: bigint): boolean {
  const isLast = suggestsChannelsLast(sizes, strides);
  if (Number(format) === memoryFormats.contiguous) return !isLast;
  return isLast && sizes.length === (Number(format) === memoryFormats.channelsLast ? 4 : 5);
}

/** A copy on another device; its gradient comes back to the tensor's own. */
function moved(self: Tensor, to: Device, format: bigint | null): Tensor {
  const site = { args: [self], format: format === null ? null : Number(format) };
  const copy = copyToDevice(self, to, resultStrides(likeArgument(0), site, self.sizes));
  const home = self.storage.device;
  attachBackward('ToCopyBackward0', [copy], [self], ([cotangent]) => [
    cotangent && moved(cotangent, home, null),
  ]);
  return copy;
}

const casts: Record<string, EagerFunction> = {
  'aten::to.device': (
    self: Tensor,
    device: IValue,
    dtype: IValue,
    _nonBlocking: boolean,
    copy: boolean,
    format: bigint | null,
  ) => convert(self, dtype, device, copy, format),
  'aten::to.dtype': (
    self: Tensor,
    dtype: IValue,
    _nonBlocking: boolean,
    copy: boolean,
    format: bigint | null,
  ) => convert(self, dtype, null, copy, format),
  'aten::to.dtype_layout': (
    self: Tensor,
    dtype: IValue,
    _layout: IValue,
    device: IValue,
    _pin: IValue,
    _nonBlocking: boolean,
    copy: boolean,
    format: bigint | null,
  ) => convert(self, dtype, device, copy, format),
  'aten::to.other': (
    self: Tensor,
    other: Tensor,
    _nonBlocking: boolean,
    copy: boolean,
    format: bigint | null,
  ) => convert(self, BigInt(dtypes[other.dtype].scalarType), new DeviceValue(other.device), copy, format),
  'aten::to.prim_Device': (
    self: Tensor,
    device: IValue,
    dtype: IValue,
    _nonBlocking: boolean,
    copy: boolean,
  ) => convert(self, dtype, device, copy),
  'aten::to.prim_dtype': (self: Tensor, dtype: IValue, _nonBlocking: boolean, copy: boolean) =>
    convert(self, dtype, null, copy),
  'aten::to.prim_other': (self: Tensor, _nonBlocking: boolean, copy: boolean) =>
    convert(self, null, null, copy),
  'aten::contiguous': (self: Tensor, format: bigint) => {
    if (Number(format) === memoryFormats.preserve) {
      throw new OperatorError('preserve memory format is unsupported by the contiguous operator');
    }
    return isInFormat(self, Number(format)) ? self : call('aten::clone', self, format);
  },
};
for (const [name, dtype] of oldCasts) {
  casts[`aten::_cast_${name}`] = (self: Tensor) =>
    convert(self, BigInt(dtypes[dtype].scalarType), null, false);
}

function detach(self: Tensor): Tensor {
  return self.onStorage(self);
}

const gradients: Record<string, EagerFunction> = {
  'aten::detach': detach,
  'aten::data': detach,
  'prim::data': detach,
  'aten::detach_': (self: Tensor) => {
    if (self.meta !== null) {
      if (self.meta.view !== null) {
        throw new OperatorError("Can't detach views in-place. Use detach() instead.");
      }
      self.meta.edge = null;
      self.meta.requiresGrad = false;
    }
    return self;
  },
  'aten::requires_grad_': (self: Tensor, on: boolean) => {
    if (on && category(self) !== 'float' && category(self) !== 'complex') {
      throw new OperatorError('only Tensors of floating point dtype can require gradients');
    }
    self.requiresGrad = on;
    return self;
  },
  'prim::requires_grad': (self: Tensor) => self.requiresGrad,
  'aten::is_leaf': (self: Tensor) => self.isLeaf,
  'aten::output_nr': (self: Tensor) => BigInt(self.edge?.index ?? 0),
  'aten::_version': (self: Tensor) => BigInt(self.version),
  'prim::grad': (self: Tensor) => self.grad,
  'aten::retain_grad': (self: Tensor) => {
    self.retainGrad();
    return null;
  },
  'aten::retains_grad': (self: Tensor) => self.meta?.retainsGrad ?? false,
  'aten::backward': (
    self: Tensor,
    gradient: Tensor | null,
    retainGraph: boolean | null,
    createGraph: boolean,
  ) => {
    backward([self], gradient, { retainGraph, createGraph });
    return null;
  },
  'aten::backward.TensorList': (
    tensors: Tensor[],
    given: (Tensor | null)[] | null,
    retainGraph: boolean | null,
    createGraph: boolean,
  ) => {
    backward(tensors, given, { retainGraph, createGraph });
    return null;
  },
};

for (const table of [geometry, scalars, making, casts, gradients]) eagerOperators(table);
