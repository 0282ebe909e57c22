// Operators on the memory of eager tensors: other sizes and other storages, in place and as new tensors; what PyTorch asks of a
// tensor's memory and place; assertions about tensors.
import type { IValue } from '@weft/ir';
import { OperatorError, TupleValue, dtypes, findSchema } from '@weft/ir';
import { checkedForm, operatorsWithCheckedForm } from '@weft/ops';
import { attachUnderivable } from '../autograd/custom-node.ts';
import { grad } from '../autograd/engine.ts';
import { noGrad } from '../autograd/grad-mode.ts';
import { scalarTensor } from '../creation.ts';
import { Storage } from '../storage.ts';
import { Tensor } from '../tensor.ts';
import { dtypeArgument } from './arguments.ts';
import { callOperator } from './call.ts';
import { resize } from './placement.ts';
import type { EagerFunction } from './operator.ts';
import { eagerOperators } from './operator.ts';

const call = (name: string, ...args: IValue[]): Tensor => callOperator(name, args) as unknown as Tensor;
const fail = (message: string): never => {
  throw new OperatorError(message);
};

/** A copy of a tensor in memory of its own, with the sizes; the elements are those that come first. */
function resized(self: Tensor, sizes: readonly number[]): Tensor {
  const copy = noGrad(() => call('aten::clone', self.onStorage(self), 0n));
  resize(copy, sizes);
  return copy;
}

/** No elements, on storage of its own. */
function emptied(self: Tensor): Tensor {
  self.setGeometry(Storage.allocate(self.storage.device, 0), [0], [1], 0);
  return self;
}

/** A new tensor on memory of its operands: a function of them without a derivative. */
function dependent(name: string, result: Tensor, ...operands: Tensor[]): Tensor {
  attachUnderivable(name, [result], operands);
  return result;
}

const memory: Record<string, EagerFunction> = {
  'aten::resize': (self: Tensor, sizes: bigint[]) =>
    dependent('aten::resize', resized(self, sizes.map(Number)), self),
  'aten::resize_as': (self: Tensor, other: Tensor) =>
    dependent('aten::resize_as', resized(self, other.sizes), self, other),
  'aten::set': (self: Tensor) => dependent('aten::set', emptied(self.onStorage(self)), self),
  'aten::set.source_Tensor': (self: Tensor, source: Tensor) =>
    dependent('aten::set', source.onStorage(source), self, source),
  'aten::copy_.Tensor': (self: Tensor, other: Tensor) => call('aten::copy_', self, other, false),
  'aten::copy_.int': (self: Tensor, value: bigint) => call('aten::copy_', self, scalarTensor(value), false),
  'aten::copy_.float': (self: Tensor, value: number) => call('aten::copy_', self, scalarTensor(value), false),
  'aten::_copy_from': (self: Tensor, target: Tensor) => call('aten::copy_', target, self, false),
  'aten::_copy_from_and_resize': (self: Tensor, target: Tensor) => {
    if (self.specKey !== target.specKey) resize(target, self.sizes);
    return call('aten::copy_', target, self, false);
  },
  'aten::_resize_output_': (self: Tensor, sizes: bigint[]) => {
    if (self.sizes.join() !== sizes.join()) resize(self, sizes.map(Number));
    return self;
  },
  'aten::_resize_output': (self: Tensor, sizes: bigint[]) => resized(self, sizes.map(Number)),
  'aten::_mkldnn_transpose_': (self: Tensor, first: bigint, second: bigint) =>
    call('aten::transpose_', self, first, second),
};

const questions: Record<string, EagerFunction> = {
  'aten::sym_stride': (self: Tensor) => self.strides.map(BigInt),
  'aten::sym_stride.int': (self: Tensor, dim: bigint) => callOperator('aten::stride.int', [self, dim]),
  'aten::sym_storage_offset': (self: Tensor) => BigInt(self.offset),
  'aten::is_pinned': () => false,
  'aten::is_distributed': () => false,
  'aten::is_strides_like_format': (self: Tensor, format: bigint) =>
    (format === 2n || format === 3n) && callOperator('aten::is_contiguous.memory_format', [self, format]),
  'aten::_is_zerotensor': () => false,
  'aten::_has_compatible_shallow_copy_type': (self: Tensor, other: Tensor) =>
    self.isNested === other.isNested,
  'aten::_has_same_storage_numel': (self: Tensor, other: Tensor) =>
    self.storage.byteLength / dtypes[self.dtype].bytes ===
    other.storage.byteLength / dtypes[other.dtype].bytes,
  // 0: no element is met twice, 1: some are, 2: unknown.
  'aten::_debug_has_internal_overlap': (self: Tensor) => {
    if (callOperator('aten::is_non_overlapping_and_dense', [self]) === true) return 0n;
    return self.sizes.some((size, dim) => size > 1 && self.strides[dim] === 0) ? 1n : 2n;
  },
  'aten::_tensor_to_list': (self: Tensor) => {
    if (self.dtype !== 'int32') {
      return fail(`expected scalar type Int but found ${dtypes[self.dtype].printName}`);
    }
    return Array.from(self.data as Int32Array, BigInt);
  },
  'aten::cuda': () => fail('Torch not compiled with CUDA enabled: there are no CUDA devices; use to(device)'),
  'aten::cudnn_is_acceptable': () => false,
};

const sizesOf = (values: bigint[] | null): string | undefined => values?.join();

const assertions: Record<string, EagerFunction> = {
  'aten::_assert_async': (self: Tensor) => {
    if (callOperator('aten::is_nonzero', [self]) === true) return null;
    return fail('Expected Tensor with single nonzero value, but got zero');
  },
  'aten::_assert_tensor_metadata': (
    self: Tensor,
    sizes: bigint[] | null,
    strides: bigint[] | null,
    dtype: IValue,
  ) => {
    const wrong = (what: string): never => fail(`Tensor ${what} mismatch!`);
    if (sizes !== null && sizesOf(sizes) !== self.sizes.join()) wrong('sizes');
    if (strides !== null && sizesOf(strides) !== self.strides.join()) wrong('strides');
    if (dtype !== null && dtypeArgument(dtype) !== self.dtype) wrong('dtype');
    return null;
  },
  /** The numbers that LAPACK's routines leave: not zero where one failed. */
  'aten::_linalg_check_errors': (info: Tensor, name: string, isMatrix: boolean) => {
    const failed = Array.from(info.data as ArrayLike<number>).findIndex((each) => each !== 0);
    if (failed < 0) return null;
    const at = Number((info.data as ArrayLike<number>)[failed]);
    return fail(
      `${isMatrix ? `${name}: ` : `${name}: (Batch element ${failed}): `}${linalgFailure(name, at)}`,
    );
  },
  'aten::_backward': (
    self: Tensor,
    inputs: Tensor[],
    gradient: Tensor | null,
    retainGraph: boolean | null,
    createGraph: boolean,
  ) => {
    const found = grad([self], inputs, [gradient], { retainGraph, createGraph, allowUnused: true });
    inputs.forEach((input, index) => {
      const own = found[index];
      if (own !== null)
        input.grad = input.grad === null ? own : call('aten::add.Tensor', input.grad, own, 1n);
    });
    return null;
  },
};

/** What the number of a failed factorisation means. */
function linalgFailure(name: string, info: number): string {
  if (info < 0)
    return `Argument ${-info} has illegal value. Most certainly there is a bug in the implementation calling the backend library.`;
  if (/inv$|inv_ex$/.test(name))
    return (
      'The diagonal element ' +
      info +
      ' is zero, the inversion could not be completed because the input matrix is singular.'
    );
  if (/solve/.test(name)) return 'The solver failed because the input matrix is singular.';
  if (/cholesky/.test(name)) {
    return `The factorization could not be completed because the input is not positive-definite (the leading minor of order ${info} is not positive-definite).`;
  }
  if (/eig|svd/.test(name))
    return `The algorithm failed to converge because the input matrix is ill-conditioned or has too many repeated ${/svd/.test(name) ? 'singular values' : 'eigenvalues'} (error code: ${info}).`;
  return `Unknown error code: ${info}.`;
}

/** The operator as its form with `info`, and an error where that is not zero. */
function withCheck(name: string): EagerFunction {
  const { form, api } = checkedForm(name)!;
  const extra = findSchema(form)!.arguments.length - findSchema(name)!.arguments.length;
  return (...args: IValue[]) => {
    const results = callOperator(form, [...args, ...Array<IValue>(extra).fill(false)]) as unknown as Tensor[];
    const info = results.at(-1)!;
    callOperator('aten::_linalg_check_errors', [info, api, info.ndim === 0]);
    return results[0];
  };
}

const dense = (self: Tensor): Tensor => call('aten::to.dtype', self, 6n, false, false, null);
const denseAny = (value: IValue): IValue => {
  if ((value as unknown) instanceof Tensor) return dense(value as unknown as Tensor) as unknown as IValue;
  if (Array.isArray(value)) return value.map(denseAny);
  return value instanceof TupleValue ? new TupleValue(value.items.map(denseAny), value.type) : value;
};

eagerOperators({
  ...memory,
  ...questions,
  ...assertions,
  ...Object.fromEntries(operatorsWithCheckedForm().map((name) => [name, withCheck(name)])),
  // No tensor is quantized: what is there becomes float32.
  'aten::dequantize.self': dense,
  'aten::dequantize.tensor': dense,
  'aten::dequantize.tensors': (list: Tensor[]) => list.map(dense) as unknown as IValue,
  'aten::dequantize.list': (list: Tensor[]) => list.map(dense) as unknown as IValue,
  'aten::dequantize.any': denseAny,
});
