// Copies between tensors that share memory. PyTorch copies element after element, so that what was written is read again
// where source and target overlap; where it can tell that they do, it refuses.
import type { IValue } from '@weft/ir';
import { OperatorError, dtypes, numel } from '@weft/ir';
import { extentOf, isDense } from '@weft/ops';
import type { Tensor } from '../tensor.ts';
import { callOperator } from './call.ts';
import { eagerOperators } from './operator.ts';

const sameGeometry = (a: Tensor, b: Tensor): boolean =>
  a.offset === b.offset && String(a.sizes) === String(b.sizes) && String(a.strides) === String(b.strides);

/** Whether the memory between the first and the last elements of two tensors has a common part. */
function rangesMeet(a: Tensor, b: Tensor): boolean {
  if (a.storage !== b.storage || a.dtype !== b.dtype || numel(a.sizes) === 0 || numel(b.sizes) === 0)
    return false;
  return a.offset < b.offset + extentOf(b) && b.offset < a.offset + extentOf(a);
}

/** Dimensions from the one whose elements lie nearest in the target, as PyTorch's loops run. */
const loopOrder = ({ strides }: Tensor): number[] =>
  strides.map((_, dim) => dim).sort((a, b) => strides[a] - strides[b] || b - a);

/** The bytes from the target's first element to its last after a copy, one element after the other. */
function copiedInOrder(
  target: Tensor,
  source: Tensor,
): { readonly from: number; readonly bytes: Uint8Array } {
  const width = dtypes[target.dtype].bytes;
  const from = Math.min(target.offset, source.offset);
  const end = Math.max(target.offset + extentOf(target), source.offset + extentOf(source));
  const bytes = target.storage.read(from * width, (end - from) * width).slice();
  const missing = target.sizes.length - source.sizes.length;
  const order = loopOrder(target);
  const index = target.sizes.map(() => 0);
  for (let count = numel(target.sizes); count > 0; count--) {
    let [to, at] = [target.offset - from, source.offset - from];
    index.forEach((each, dim) => {
      to += each * target.strides[dim];
      const own = dim - missing;
      if (own >= 0 && source.sizes[own] > 1) at += each * source.strides[own];
    });
    bytes.copyWithin(to * width, at * width, (at + 1) * width);
    for (const dim of order) {
      if (++index[dim] < target.sizes[dim]) break;
      index[dim] = 0;
    }
  }
  return { from: from * width, bytes };
}

/** Copies where source and target meet; leaves the other copies to the operator's meaning. */
function copy(target: Tensor, source: Tensor): IValue | undefined {
  if (target === source || !rangesMeet(target, source) || sameGeometry(target, source)) return undefined;
  if (isDense(target.sizes, target.strides) && isDense(source.sizes, source.strides)) {
    throw new OperatorError(
      'unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. Please clone() the tensor before performing the operation.',
    );
  }
  const { from, bytes } = copiedInOrder(target, source);
  // The gradients are those of a copy of what the source held.
  const held = callOperator('aten::clone', [source as unknown as IValue, null]);
  callOperator('aten::copy_', [target as unknown as IValue, held, false]);
  target.storage.write(from, bytes);
  return target as unknown as IValue;
}

eagerOperators({ 'aten::copy_': copy });
