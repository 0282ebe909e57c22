// Operators that give a tensor another shape or other memory in place: `t_`, `squeeze_` and their like, `resize_`, `set_`.
import { attachUnderivable } from '../autograd/custom-node.ts';
import type { IValue } from '@weft/ir';
import { OperatorError, dtypes, qualifiedName } from '@weft/ir';
import type { View, ViewFunction } from '@weft/ops';
import { contiguousStrides, extentOf, formatStrides, memoryFormats, suggestedStrides } from '@weft/ops';
import { isGradEnabled } from '../autograd/grad-mode.ts';
import { checkLeaf, trackReshaped } from '../autograd/views.ts';
import { Storage } from '../storage.ts';
import type { Tensor } from '../tensor.ts';
import type { EagerFunction, Operator } from './operator.ts';
import { eagerOperators, findOperator, functionalForm } from './operator.ts';
import { resize, viewArguments } from './placement.ts';

/** Makes a tensor look at its storage as a view operator would. */
export function viewInPlace(operator: Operator, view: ViewFunction, args: readonly IValue[]): IValue {
  const self = args[0] as unknown as Tensor;
  checkLeaf(self);
  const rest = viewArguments(operator, args);
  const found = view(self, ...rest) as View;
  const before = self.onStorage(self);
  if (self.edge !== null) before.gradMeta.edge = self.edge;
  self.setGeometry(self.storage, found.sizes, found.strides, found.offset);
  self.storage.version++;
  const functional = findOperator(qualifiedName(functionalForm(operator.schema)!.schema));
  trackReshaped(self, before, { operator: functional, args, output: 0, several: false });
  return args[0];
}

function checkSizes(sizes: readonly number[]): void {
  for (const size of sizes) {
    if (size < 0) {
      throw new OperatorError(
        `Trying to create tensor with negative dimension ${size}: [${sizes.join(', ')}]`,
      );
    }
  }
}

function resizeTo(self: Tensor, sizes: readonly number[], format: number | null): Tensor {
  if (self.requiresGrad && isGradEnabled()) {
    throw new OperatorError('cannot resize variables that require grad');
  }
  checkSizes(sizes);
  if (format === memoryFormats.preserve) throw new OperatorError('Unsupported memory format Preserve');
  resize(self, sizes, format === null ? undefined : formatStrides(sizes, format));
  return self;
}

/** Gives a tensor other memory, which grows when it is too small for what is to be seen of it. */
function setTo(
  self: Tensor,
  storage: Storage,
  sizes: readonly number[],
  strides: readonly number[],
  offset: number,
): Tensor {
  checkLeaf(self);
  checkSizes(sizes);
  if (strides.length !== sizes.length) {
    throw new OperatorError(`unequal size length (${sizes.length}) and stride length (${strides.length})`);
  }
  if (offset < 0) throw new OperatorError(`Tensor: invalid storage offset ${offset}`);
  const extent = extentOf({ sizes, strides });
  if (extent > 0) storage.grow((offset + extent) * dtypes[self.dtype].bytes);
  self.setGeometry(storage, sizes, strides, offset);
  if (self.meta !== null) self.meta.view = null;
  // What it was a function of, it is no longer.
  if (self.edge !== null) attachUnderivable('aten::set_', [self], [self]);
  return self;
}

/** In `set_`, an empty list of strides stands for row-major ones. */
const givenStrides = (sizes: readonly number[], strides: readonly bigint[]): number[] =>
  strides.length === 0 && sizes.length > 0 ? contiguousStrides(sizes) : strides.map(Number);

function checkDType(self: Tensor, source: Tensor): void {
  if (self.dtype === source.dtype) return;
  throw new OperatorError(
    `Could not set tensor of type ${dtypes[source.dtype].printName} to a tensor of type ${dtypes[self.dtype].printName}`,
  );
}

const table: Record<string, EagerFunction> = {
  'aten::set_data': (self: Tensor, other: Tensor) => {
    self.dtype = other.dtype;
    self.setGeometry(other.storage, other.sizes, other.strides, other.offset);
    return null;
  },
  'aten::set_': (self: Tensor) => setTo(self, Storage.allocate(self.storage.device, 0), [0], [1], 0),
  'aten::set_.source_Tensor': (self: Tensor, source: Tensor) => {
    checkDType(self, source);
    return setTo(self, source.storage, source.sizes, source.strides, source.offset);
  },
  'aten::set_.source_Storage': (self: Tensor, source: Storage) => {
    const count = Math.floor(source.byteLength / dtypes[self.dtype].bytes);
    return setTo(self, source, [count], [1], 0);
  },
  'aten::set_.source_Storage_storage_offset': (
    self: Tensor,
    source: Storage,
    offset: bigint,
    size: bigint[],
    stride: bigint[],
  ) => {
    const sizes = size.map(Number);
    return setTo(self, source, sizes, givenStrides(sizes, stride), Number(offset));
  },
  'aten::set_.source_Tensor_storage_offset': (
    self: Tensor,
    source: Tensor,
    offset: bigint,
    size: bigint[],
    stride: bigint[],
  ) => {
    checkDType(self, source);
    const sizes = size.map(Number);
    return setTo(self, source.storage, sizes, givenStrides(sizes, stride), Number(offset));
  },
  'aten::resize_': (self: Tensor, sizes: bigint[], format: bigint | null) =>
    resizeTo(self, sizes.map(Number), format === null ? null : Number(format)),
  'aten::resize_as_': (self: Tensor, template: Tensor, format: bigint | null) => {
    const { sizes } = template;
    if (Number(format) !== memoryFormats.preserve || format === null) {
      return resizeTo(self, sizes, format === null ? null : Number(format));
    }
    resizeTo(self, sizes, null);
    resize(self, sizes, suggestedStrides(sizes, template));
    return self;
  },
};
eagerOperators(table);
