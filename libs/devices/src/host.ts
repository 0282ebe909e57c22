// Tensors on the host: literals to device buffers and back, graphs run on literals, and strided copies between host-visible
// buffers, which eager tensors need (make contiguous, write into a view).
import type { DType, Graph, TensorSpec } from '@weft/ir';
import { TensorLiteral, dtypes, numel, tensorSpec } from '@weft/ir';
import type { BufferView, Device, DeviceBuffer } from './device.ts';
import { DeviceError } from './errors.ts';
import { describeSpec } from './reference/program.ts';
import { planCopy } from './reference/copy.ts';
import { referenceDevice } from './reference/device.ts';
import { arrayOfLiteral, stridesOf, viewOf } from './reference/typed-array.ts';

/** Bytes of a tensor. */
export const byteLengthOf = (spec: TensorSpec): number => numel(spec.sizes) * dtypes[spec.dtype].bytes;

/** Allocates room for a tensor. */
export const allocateTensor = (device: Device, spec: TensorSpec): BufferView => ({
  buffer: device.allocate(byteLengthOf(spec)),
  byteOffset: 0,
  spec,
});

/** Copies a literal to a new buffer of the device. */
export function uploadLiteral(device: Device, literal: TensorLiteral): BufferView {
  const view = allocateTensor(device, tensorSpec(literal.dtype, literal.shape));
  const { bytes } = view.buffer;
  const array = arrayOfLiteral(literal);
  const from = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  if (bytes !== undefined) bytes.set(from);
  else device.write(view.buffer, 0, from);
  return view;
}

/** Copies a tensor to the host. Waits for the device first. */
export async function downloadLiteral(device: Device, view: BufferView): Promise<TensorLiteral> {
  await device.synchronize();
  const bytes = new Uint8Array(byteLengthOf(view.spec));
  await device.read(view.buffer, view.byteOffset, bytes);
  return new TensorLiteral(view.spec.dtype, view.spec.sizes, bytes);
}

/** As `downloadLiteral`, at once; the buffer must be in host memory. */
export function readLiteral(view: BufferView): TensorLiteral {
  const { bytes } = view.buffer;
  if (bytes === undefined) {
    throw new DeviceError(
      'the tensor is not in host memory: use downloadLiteral, which waits for its device',
    );
  }
  const length = byteLengthOf(view.spec);
  return new TensorLiteral(
    view.spec.dtype,
    view.spec.sizes,
    bytes.slice(view.byteOffset, view.byteOffset + length),
  );
}

/**
 * Compiles a core graph, runs it once on the literals given for its inputs, and returns its outputs. The device must
 * have host memory; default: the reference device.
 */
export function executeOnHost(
  graph: Graph,
  literals: readonly TensorLiteral[],
  device: Device = referenceDevice(),
): TensorLiteral[] {
  checkInputs(graph, literals);
  const outputs = graph.outputs.map((output) => allocateTensor(device, output.type as TensorSpec));
  const inputs = literals.map((literal) => uploadLiteral(device, literal));
  device.compile(graph, {}).run(inputs, outputs);
  const results = outputs.map(readLiteral);
  for (const view of [...inputs, ...outputs]) view.buffer.free();
  return results;
}

/**
 * As `executeOnHost`, on any device.
 * @param before a byte that the memory of the results is full of beforehand; default: as it is allocated
 */
export async function executeOnDevice(
  graph: Graph,
  literals: readonly TensorLiteral[],
  device: Device,
  before?: number,
): Promise<TensorLiteral[]> {
  checkInputs(graph, literals);
  const outputs = graph.outputs.map((output) => allocateTensor(device, output.type as TensorSpec));
  if (before !== undefined) {
    for (const { buffer } of outputs) device.write(buffer, 0, new Uint8Array(buffer.byteLength).fill(before));
  }
  const inputs = literals.map((literal) => uploadLiteral(device, literal));
  device.compile(graph, {}).run(inputs, outputs);
  const results: TensorLiteral[] = [];
  for (const view of outputs) results.push(await downloadLiteral(device, view));
  for (const view of [...inputs, ...outputs]) view.buffer.free();
  return results;
}

function checkInputs(graph: Graph, literals: readonly TensorLiteral[]): void {
  if (literals.length !== graph.inputs.length) {
    throw new DeviceError(
      `the graph has ${graph.inputs.length} inputs, ${literals.length} tensors are given`,
    );
  }
  graph.inputs.forEach((input, index) => {
    const wanted = input.type as TensorSpec;
    const given = tensorSpec(literals[index].dtype, literals[index].shape);
    if (describeSpec(wanted) !== describeSpec(given)) {
      throw new DeviceError(
        `input ${index} (%${input.name}) is ${describeSpec(wanted)}, ${describeSpec(given)} is given`,
      );
    }
  });
}

/** Where a strided tensor is in a host-visible buffer; strides and offset in elements. */
export interface StridedPlace {
  readonly buffer: DeviceBuffer;
  readonly strides: readonly number[];
  readonly offset: number;
}

/**
 * Copies a tensor of `sizes` from one strided place to another. Strides may be zero or negative; on overlap of the two in
 * one buffer the result is as if all was read before anything is written.
 */
export function copyStrided(
  dtype: DType,
  sizes: readonly number[],
  from: StridedPlace,
  to: StridedPlace,
): void {
  const count = numel(sizes);
  if (count === 0) return;
  const source = elementsOf(dtype, from.buffer);
  const target = elementsOf(dtype, to.buffer);
  if (from.buffer === to.buffer) {
    const packed = viewOf(dtype, new ArrayBuffer(count * dtypes[dtype].bytes), 0, count);
    const between = { strides: stridesOf(sizes), offset: 0 };
    planCopy(dtype, sizes, from, between)(source, packed);
    planCopy(dtype, sizes, between, to)(packed, target);
  } else planCopy(dtype, sizes, from, to)(source, target);
}

function elementsOf(dtype: DType, buffer: DeviceBuffer) {
  const { bytes } = buffer;
  if (bytes === undefined) throw new DeviceError('a strided copy needs buffers in host memory');
  return viewOf(dtype, bytes.buffer, bytes.byteOffset, Math.floor(bytes.byteLength / dtypes[dtype].bytes));
}
