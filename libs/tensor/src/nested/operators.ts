// The operators of nested tensors, those of PyTorch 1.13: pointwise ones, products, softmax, normalisation, attention, and
// the ways to and from padded batches. Each does to every part what its ordinary operator does.
import type { IValue } from '@weft/ir';
import { OperatorError, dtypes, numel } from '@weft/ir';
import { dtypeArgument } from '../dispatch/arguments.ts';
import { callOperator } from '../dispatch/call.ts';
import type { NestedFunction } from '../dispatch/nested.ts';
import { nestedOperators } from '../dispatch/nested.ts';

import { eagerOperators, findOperator } from '../dispatch/operator.ts';
import { tensor } from '../creation.ts';
import type { Tensor } from '../tensor.ts';
import { NestedTensor } from './nested-tensor.ts';

const call = (name: string, ...args: IValue[]): Tensor => callOperator(name, args) as unknown as Tensor;
const fail = (message: string): never => {
  throw new OperatorError(message);
};
function check(condition: boolean, message: () => string): void {
  if (!condition) fail(message());
}
const isNested = (value: unknown): value is NestedTensor => value instanceof NestedTensor;

/** A dimension of the whole, counted from the start. */
function wrapped({ ndim }: NestedTensor, dim: IValue): number {
  const at = Number(dim);
  if (at < -ndim || at >= ndim) {
    fail(`Dimension out of range (expected to be in range of [${-ndim}, ${ndim - 1}], but got ${at})`);
  }
  return at < 0 ? at + ndim : at;
}

// ---- to and from ordinary tensors ---------------------------------------------------------------------------------

/** Checks a batch and its mask, and counts the true elements of each row. */
function maskLengths(batch: Tensor, mask: Tensor): { lengths: number[]; isLeftAligned: boolean } {
  check(
    mask.dtype === 'bool',
    () => `Expected mask to be of ScalarType Bool, but got ${dtypes[mask.dtype].printName} instead.`,
  );
  check(mask.ndim === 2, () => 'Padding mask should be 2D');
  check(batch.ndim === 3, () => 'Input should be a 3D tensor, N * L * D');
  const [rows, columns] = batch.sizes;
  check(mask.sizes[0] === rows && mask.sizes[1] === columns, () => 'Mask size should match input size');
  const elements = mask.data as Uint8Array;
  let isLeftAligned = true;
  const lengths = Array.from({ length: rows }, (_, row) => {
    const own = elements.subarray(row * columns, (row + 1) * columns);
    const length = own.reduce((count, each) => count + each, 0);
    isLeftAligned &&= own.subarray(0, length).every((each) => each === 1);
    return length;
  });
  return { lengths, isLeftAligned };
}

/** The first elements of every row of a batch, in memory of their own. */
function firstElements(batch: Tensor, lengths: readonly number[]): NestedTensor {
  const parts = lengths.map((length, row) =>
    call(
      'aten::clone',
      call('aten::narrow', call('aten::select.int', batch, 0n, BigInt(row)), 0n, 0n, BigInt(length)),
    ),
  );
  return new NestedTensor(parts, batch.dtype);
}

function fromPadded(padded: Tensor, sizes: Tensor, fuseTransform: boolean): NestedTensor {
  // Heads and positions trade places, then heads and features are joined: [batch, heads, length, width].
  const batch = fuseTransform
    ? call('aten::flatten.using_ints', call('aten::transpose.int', padded, 1n, 2n), 2n, 3n)
    : padded;
  const rank = sizes.sizes[1];
  check(batch.ndim === rank + 1, () => `dim: ${rank}target_size: ${padded.ndim - 1}`);
  const wanted = Array.from(sizes.data as BigInt64Array);
  const parts = Array.from({ length: sizes.sizes[0] }, (_, row) => {
    let part = call('aten::select.int', batch, 0n, BigInt(row));
    for (let dim = 0; dim < rank; dim++)
      part = call('aten::narrow', part, BigInt(dim), 0n, wanted[row * rank + dim]);
    return call('aten::clone', part);
  });
  return new NestedTensor(parts, padded.dtype);
}

const sizesTensor = (self: NestedTensor): Tensor =>
  self.parts.length === 0
    ? tensor(1)
    : tensor(
        self.parts.map(({ sizes }) => [...sizes]),
        { dtype: 'int64' },
      );

function padded(self: NestedTensor, padding: number, outputSize: bigint[] | null): Tensor {
  if (self.parts.length === 0) return tensor([], { dtype: self.dtype });
  const largest = self.parts[0].sizes.map((_, dim) => Math.max(...self.parts.map(({ sizes }) => sizes[dim])));
  const [count, ...sizes] = outputSize === null ? [self.parts.length, ...largest] : outputSize.map(Number);
  check(
    sizes.length === largest.length,
    () => 'Length of output_size does not match NestedTensor dims. Broadcasting is not supported.',
  );
  check(
    count >= self.parts.length && sizes.every((size, dim) => size >= largest[dim]),
    () => 'Value in output_size is less than NestedTensor padded size. Truncation is not supported.',
  );
  const rows = self.parts.map((part) => {
    const amounts = sizes.flatMap((size, dim) => [BigInt(size - part.sizes[dim]), 0n]).reverse();
    return call('aten::constant_pad_nd', part, amounts, padding);
  });
  const all = call('aten::stack', rows as unknown as IValue[], 0n);
  const more = [...sizes.flatMap(() => [0n, 0n]), 0n, BigInt(count - rows.length)];
  return count === rows.length ? all : call('aten::constant_pad_nd', all, more, padding);
}

function viewOfBuffer(buffer: Tensor, sizes: Tensor, strides: Tensor, offsets: bigint[]): NestedTensor {
  const rank = sizes.sizes[1];
  const row = (from: Tensor, at: number): bigint[] =>
    Array.from((from.data as BigInt64Array).subarray(at * rank, (at + 1) * rank));
  const parts = offsets.map((offset, at) =>
    call('aten::as_strided', buffer, row(sizes, at), row(strides, at), BigInt(buffer.offset) + offset),
  );
  return new NestedTensor(parts, buffer.dtype);
}

/** Positions from the start of the memory that the parts share; of parts apart, as if they stood one after the other. */
function offsetsOf(self: NestedTensor): bigint[] {
  const [first] = self.parts;
  if (self.parts.every(({ storage }) => storage === first.storage))
    return self.parts.map(({ offset }) => BigInt(offset));
  let next = 0;
  return self.parts.map(({ sizes }) => {
    const start = next;
    next += numel(sizes);
    return BigInt(start);
  });
}

eagerOperators({
  'aten::_nested_tensor_from_mask': (batch: Tensor, mask: Tensor, isChecked: boolean) => {
    const { lengths, isLeftAligned } = maskLengths(batch, mask);
    check(!isChecked || isLeftAligned, () => 'Mask must be left-aligned without gaps');
    return firstElements(batch, lengths);
  },
  'aten::_nested_tensor_from_mask_left_aligned': (batch: Tensor, mask: Tensor) =>
    maskLengths(batch, mask).isLeftAligned,
  'aten::_nested_tensor_from_tensor_list': (list: Tensor[], dtype: bigint | null) => {
    const wanted = dtype === null ? (list[0]?.dtype ?? 'float32') : dtypeArgument(dtype);
    const number = BigInt(dtypes[wanted].scalarType);
    return new NestedTensor(
      list.map((part) => call('aten::to.dtype', part, number, false, true, null)),
      wanted,
    );
  },
  'aten::_nested_from_padded': fromPadded,
  'aten::_nested_view_from_buffer': viewOfBuffer,
  'aten::_nested_view_from_buffer_copy': (...args: Parameters<typeof viewOfBuffer>) =>
    viewOfBuffer(...args).map((part) => call('aten::clone', part)),
});

// ---- part by part -------------------------------------------------------------------------------------------------

/** The operator on every part, the other arguments as they are. */
const each =
  (name: string): NestedFunction =>
  (self: NestedTensor, ...rest: IValue[]) =>
    self.map((part) => call(name, part, ...rest));

/** Writes to every part. */
const inPlace =
  (name: string): NestedFunction =>
  (self: NestedTensor, ...rest: IValue[]) => {
    for (const part of self.parts) call(name, part, ...rest);
    return self;
  };

/** Two nested tensors of the same sizes, or one and a number. */
function pairs(operator: string, self: Tensor, other: Tensor): [Tensor, Tensor][] {
  if (isNested(self) && isNested(other)) {
    const isSame =
      self.parts.length === other.parts.length &&
      self.parts.every(({ sizes }, index) => sizes.join() === other.parts[index].sizes.join());
    check(isSame, () => `${operator} does not support broadcasting when given a NestedTensor`);
    return self.parts.map((part, index) => [part, other.parts[index]]);
  }
  if (isNested(self) && numel(other.sizes) === 1 && other.ndim === 0)
    return self.parts.map((part) => [part, other]);
  if (isNested(other) && numel(self.sizes) === 1 && self.ndim === 0)
    return other.parts.map((part) => [self, part]);
  const [first, second] = isNested(self) ? ['a nested', 'non-nested'] : ['a non-nested', 'nested'];
  return fail(`Expected both self and other to be nested, but got ${first} self and ${second} other`);
}

const binary: Record<string, NestedFunction> = {};
for (const name of ['add', 'mul']) {
  binary[`aten::${name}.Tensor`] = (self: Tensor, other: Tensor, ...rest: IValue[]) =>
    new NestedTensor(pairs(name, self, other).map(([x, y]) => call(`aten::${name}.Tensor`, x, y, ...rest)));
  binary[`aten::${name}_.Tensor`] = (self: Tensor, other: Tensor, ...rest: IValue[]) => {
    for (const [x, y] of pairs(name, self, other)) call(`aten::${name}_.Tensor`, x, y, ...rest);
    return self;
  };
  binary[`aten::${name}.Scalar`] = each(`aten::${name}.Scalar`);
  binary[`aten::${name}_.Scalar`] = inPlace(`aten::${name}_.Scalar`);
}

function bothNested(self: Tensor, other: Tensor): [NestedTensor, NestedTensor] {
  if (isNested(self) && isNested(other)) return [self, other];
  const [first, second] = isNested(self) ? ['a nested', 'non-nested'] : ['a non-nested', 'nested'];
  return fail(`Expected both to be nested, but got ${first} self and ${second} other`);
}

function batchedProduct(self: Tensor, other: Tensor): NestedTensor {
  const [x, y] = bothNested(self, other);
  check(x.ndim === 3, () => 'batch1 must be a 3D tensor');
  check(y.ndim === 3, () => 'batch2 must be a 3D tensor');
  check(
    x.parts.length === y.parts.length,
    () =>
      `Expected size for the 1st dimension of batch2 tensor to be: ${x.parts.length} but got: ${y.parts.length}.`,
  );
  return x.map((part, index) => {
    const [a, b] = [part.sizes, y.parts[index].sizes];
    check(
      a[1] === b[0],
      () => `${index}-th nested matrices in batch cannot be multiplied (${a.join('x')} and ${b.join('x')})`,
    );
    return call('aten::mm', part, y.parts[index]);
  });
}

function product(self: Tensor, other: Tensor): NestedTensor {
  const [x, y] = bothNested(self, other);
  check(x.ndim === y.ndim, () => 'matmul: both inputs must have the same rank');
  check(x.ndim >= 3, () => 'matmul: For nested tensors, only inputs with >= 3 dims are currently supported.');
  check(
    x.parts.length === y.parts.length,
    () =>
      `matmul: Expected size for the 1st dimension of 2nd input tensor to be: ${x.parts.length} but got: ${y.parts.length}.`,
  );
  return x.map((part, index) => {
    const [a, b] = [part.sizes, y.parts[index].sizes];
    check(
      a.slice(0, -2).join() === b.slice(0, -2).join(),
      () => 'matmul: For nested tensors, no broadcasting is currently supported in the batch dimensions.',
    );
    check(
      a.at(-1) === b.at(-2),
      () =>
        `matmul: Nested tensors cannot be matrix multiplied, last dimension of self has sizes ${a.at(-1)}`,
    );
    return call('aten::matmul', part, y.parts[index]);
  });
}

function linear(self: Tensor, weight: Tensor, bias: Tensor | null): NestedTensor {
  if (!isNested(self) || isNested(weight)) {
    return fail('Linear does not support nested weight when input is a nested tensor.');
  }
  check(
    self.ndim === 3 && weight.ndim === 2,
    () =>
      `Linear requires nested_tensor.dim == 3 and dense_matrix.dim == 2. Nested tensor dim: ${self.ndim}. Dense tensor dim: ${weight.ndim}`,
  );
  const last = self.sizeAt(2);
  check(
    last === weight.sizes[1],
    () =>
      `Shape mismatch for NestedTensor Linear: Expected input's (a nested tensor) 'last_dim' to equal 'weight.size(1), but got: last_dim = ${last}, and weight.size(1) = ${weight.sizes[1]}`,
  );
  return self.map((part) => call('aten::linear', part, weight, bias));
}

/** Along a dimension of the parts, which the batch is not. */
const alongParts =
  (name: string, refusal: string): NestedFunction =>
  (self: NestedTensor, dim: bigint, ...rest: IValue[]) => {
    const at = wrapped(self, dim);
    check(at > 0, () => refusal);
    return self.map((part) => call(name, part, BigInt(at - 1), ...rest));
  };

function transpose(self: NestedTensor, first: bigint, second: bigint): NestedTensor {
  const dims = [wrapped(self, first), wrapped(self, second)];
  if (dims[0] === dims[1]) return self;
  check(!dims.includes(0), () => 'Nested tensor dimension 0 cannot be transposed');
  return self.map((part) => call('aten::transpose.int', part, BigInt(dims[0] - 1), BigInt(dims[1] - 1)));
}

/** -1 keeps the size of an old dimension; where there was none it is inferred for every part. */
const reshaped =
  (name: string, operator: string): NestedFunction =>
  (self: NestedTensor, sizes: bigint[]) => {
    const [batch, ...rest] = sizes.map(Number);
    check(
      batch === self.parts.length,
      () => `${name}: For now nested ${name} cannot change or infer the implicit batch dimension`,
    );
    return self.map((part) => {
      const inferred = rest.filter((size) => size === -1).length;
      const wanted = rest.map((size, dim) => {
        check(size >= -1, () => `invalid shape dimension ${size}`);
        return BigInt(size === -1 && inferred > 1 ? (part.sizes[dim] ?? size) : size);
      });
      const known = wanted.reduce((total, size) => (size === -1n ? total : total * size), 1n);
      const total = BigInt(numel(part.sizes));
      const fits = wanted.includes(-1n) ? known !== 0n && total % known === 0n : known === total;
      check(fits, () => `shape '[${sizes.join(', ')}]' is invalid for input of size ${numel(part.sizes)}`);
      return call(operator, part, wanted);
    });
  };

function sumOver(
  self: NestedTensor,
  dims: bigint[] | bigint | null,
  keepdim: boolean,
  dtype: IValue,
): NestedTensor {
  check(dtype === null, () => 'NestedTensor does not support dtype argument for now.');
  const given = [dims ?? []].flat();
  check(given.length === 1, () => 'NestedTensor only allows reduction of a single dimension for now.');
  const at = wrapped(self, given[0]);
  check(
    at === self.ndim - 1,
    () => `NestedTensor can only be reduced across the last dimension for now got dimension ${at} instead.`,
  );
  check(keepdim, () => 'NestedTensor always requires keepdim=True for now.');
  return self.map((part) => call('aten::sum.dim_IntList', part, [-1n], true, null));
}

// ---- transformers -------------------------------------------------------------------------------------------------

const asBatch = (part: Tensor): Tensor => call('aten::unsqueeze', part, 0n);
const asPart = (batch: Tensor): Tensor => call('aten::squeeze.dim', batch, 0n);

function encoderLayer(self: NestedTensor, ...rest: IValue[]): NestedTensor {
  const mask = rest[17] ?? null;
  check(mask === null, () => 'NestedTensor with mask is not supported yet');
  return self.map((part) => asPart(call('aten::_transformer_encoder_layer_fwd', asBatch(part), ...rest)));
}

/** The projected result, and the weights padded with zeros to the longest sequence where they are asked for. */
function multiHeadAttention(query: NestedTensor, key: Tensor, value: Tensor, ...rest: IValue[]): IValue {
  check(
    isNested(key) && isNested(value),
    () => 'Expected query, key and value of a nested attention to be nested',
  );
  const [mask, needWeights] = [rest[6], rest[7] === true];
  check(mask === null, () => 'NestedTensor with mask is not supported yet');
  const weights: Tensor[] = [];
  const result = query.map((part, index) => {
    const [y, z] = [(key as NestedTensor).parts[index], (value as NestedTensor).parts[index]];
    const found = callOperator('aten::_native_multi_head_attention', [
      asBatch(part),
      asBatch(y),
      asBatch(z),
      ...rest,
    ]);
    const [projected, weight] = found as unknown as [Tensor, Tensor];
    if (needWeights) weights.push(asPart(weight));
    return asPart(projected);
  });
  const all = needWeights ? padded(new NestedTensor(weights), 0, null) : null;
  return [result, all] as unknown as IValue;
}

/** A softmax of scores [batch, heads, length, length] of which row i counts only as far as sequence i is long. */
function softmaxWithShape(self: Tensor, query: NestedTensor): Tensor {
  const rows = query.parts.map(({ sizes: [length] }, row) => {
    let scores = call('aten::select.int', self, 0n, BigInt(row));
    for (const dim of [-1n, -2n]) scores = call('aten::narrow', scores, dim, 0n, BigInt(length));
    return call('aten::softmax.int', scores, -1n, null);
  });
  return padded(new NestedTensor(rows), 0, self.sizes.map(BigInt));
}

// ---- queries ------------------------------------------------------------------------------------------------------

/** Queries that ask nothing about sizes. */
const plainQueries = [
  'prim::dtype',
  'prim::device',
  'prim::layout',
  'prim::is_cpu',
  'prim::is_cuda',
  'prim::is_xpu',
  'prim::is_meta',
  'prim::is_sparse',
  'prim::is_sparse_csr',
  'prim::is_mkldnn',
  'prim::is_mps',
  'prim::is_vulkan',
  'prim::is_ipu',
  'prim::is_ort',
  'prim::is_quantized',
  'prim::name',
  'prim::requires_grad',
  'aten::is_floating_point',
  'aten::is_complex',
  'aten::is_signed',
  'aten::is_conj',
  'aten::is_neg',
  'aten::is_inference',
  'aten::element_size',
  'aten::get_device',
];

const lacks =
  (what: string): NestedFunction =>
  () =>
    fail(
      `Internal error: NestedTensorImpl doesn't support ${what}. Please file an issue on https://github.com/pytorch/nestedtensor`,
    );

function select(self: NestedTensor, dim: bigint, index: bigint): Tensor {
  const at = wrapped(self, dim);
  check(at === 0, () => `NestedTensor can only be selected along dimension 0 got dimension ${at} instead.`);
  const count = self.parts.length;
  check(
    index >= -count && index < count,
    () => `index ${index} is out of bounds for dimension 0 with size ${count}`,
  );
  return self.parts.at(Number(index))!;
}

const only = {
  'aten::_nested_tensor_size': sizesTensor,
  'aten::_nested_tensor_strides': (self: NestedTensor) =>
    tensor(
      self.parts.map(({ strides }) => [...strides]),
      { dtype: 'int64' },
    ),
  'aten::_nested_tensor_offsets': offsetsOf,
  'aten::to_padded_tensor': padded,
  'aten::nested_to_padded_tensor': padded,
  'aten::_nested_from_padded_and_nested_example': (batch: Tensor, example: NestedTensor) =>
    fromPadded(batch, sizesTensor(example), false),
  'aten::_nested_tensor_softmax_with_shape': softmaxWithShape,
  'aten::_nested_tensor_layer_norm': (
    self: NestedTensor,
    weight: Tensor | null,
    bias: Tensor | null,
    eps: number,
  ) => {
    if (weight === null || bias === null) return fail('NestedTensor layer_norm requires weight and bias');
    return self.map((part) =>
      call('aten::layer_norm', part, [BigInt(numel(weight.sizes))], weight, bias, eps, true),
    );
  },
  'aten::_nested_sum_backward': (grad: NestedTensor, self: NestedTensor) =>
    self.map((part, index) => call('aten::clone', call('aten::expand_as', grad.parts[index], part))),
  'aten::_nested_select_backward': (grad: Tensor, self: NestedTensor, _dim: bigint, index: bigint) => {
    const chosen = self.parts.at(Number(index));
    return self.map((part) => (part === chosen ? grad : call('aten::zeros_like', part)));
  },
} satisfies Record<string, NestedFunction>;

nestedOperators(only as Record<string, NestedFunction>);
// An ordinary tensor is refused as PyTorch refuses it.
eagerOperators(
  Object.fromEntries(
    Object.keys(only).map((name) => [
      name,
      () => fail(`Could not run '${name}' with arguments from the 'CPU' backend. It takes a nested tensor.`),
    ]),
  ),
);

nestedOperators(
  Object.fromEntries(
    plainQueries.map((name) => [
      name,
      (...args: IValue[]) => {
        const { eager, meaning } = findOperator(name);
        if (eager !== undefined) return eager(...(args as never[])) ?? null;
        return meaning?.kind === 'host' ? (meaning.run(...args) as IValue) : null;
      },
    ]),
  ),
);
nestedOperators(binary);
nestedOperators({
  'prim::is_nested': () => true,
  'aten::dim': (self: NestedTensor) => BigInt(self.ndim),
  'aten::numel': (self: NestedTensor) => BigInt(self.count),
  'aten::size': lacks('sizes'),
  'aten::len.Tensor': lacks('sizes'),
  'aten::stride': lacks('strides'),
  'aten::size.int': (self: NestedTensor, dim: bigint) => {
    const at = wrapped(self, dim);
    return BigInt(self.sizeAt(at) ?? fail(`Given dimension ${at} is irregular and does not have a size.`));
  },
  'aten::is_contiguous': (self: NestedTensor) => self.parts.every((part) => part.isRowMajor),
  'aten::is_same_size': (self: Tensor, other: Tensor) =>
    isNested(self) &&
    isNested(other) &&
    String(self.parts.map(({ sizes }) => sizes.join('x'))) ===
      String(other.parts.map(({ sizes }) => sizes.join('x'))),
  'aten::select.int': select,
  'aten::unbind.int': (self: NestedTensor, dim: bigint) => {
    const at = wrapped(self, dim);
    check(at === 0, () => `NestedTensor can only be unbound along dimension 0 got dimension ${at} instead.`);
    return [...self.parts] as unknown as IValue;
  },
  'aten::clone': each('aten::clone'),
  'aten::contiguous': each('aten::contiguous'),
  'aten::detach': each('aten::detach'),
  'aten::requires_grad_': (self: NestedTensor, on: boolean) => {
    self.requiresGrad = on;
    return self;
  },
  'aten::relu': each('aten::relu'),
  'aten::relu_': inPlace('aten::relu_'),
  'aten::gelu': each('aten::gelu'),
  'aten::gelu_': inPlace('aten::gelu_'),
  'aten::dropout': each('aten::dropout'),
  'aten::dropout_': inPlace('aten::dropout_'),
  'aten::native_dropout': (self: NestedTensor, ...rest: IValue[]) => {
    const found = self.parts.map(
      (part) => callOperator('aten::native_dropout', [part, ...rest]) as unknown as Tensor[],
    );
    return [0, 1].map((at) => new NestedTensor(found.map((pair) => pair[at]))) as unknown as IValue;
  },
  'aten::bmm': batchedProduct,
  'aten::matmul': product,
  'aten::linear': linear,
  'aten::softmax.int': alongParts('aten::softmax.int', 'Cannot apply softmax across nested dimension 0'),
  'aten::_softmax': alongParts('aten::_softmax', 'Cannot apply softmax across nested dimension 0'),
  'aten::transpose.int': transpose,
  'aten::view': reshaped('view', 'aten::view'),
  'aten::reshape': reshaped('reshape', 'aten::reshape'),
  'aten::sum.dim_IntList': sumOver,
  'aten::embedding': (weight: Tensor, indices: Tensor, ...rest: IValue[]) =>
    isNested(indices) && !isNested(weight)
      ? indices.map((part) => call('aten::embedding', weight, part, ...rest))
      : fail('embedding of a nested tensor takes nested indices and an ordinary weight'),
  'aten::_transformer_encoder_layer_fwd': encoderLayer,
  'aten::_native_multi_head_attention': multiHeadAttention,
});
