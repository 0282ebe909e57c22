// convolution: operands are brought into the order (batch, feature, spatial…), the elements under the kernel at every output
// position become the columns of a matrix, and each group is one matrix product with the kernel.
import type { TensorSpec } from '@weft/ir';
import { numel } from '@weft/ir';
import { planCopy } from './copy.ts';
import { productOf } from './dot.ts';
import { decodeKernel, encodeKernel } from './half-kernels.ts';
import { isHalf } from './half.ts';
import type { Emitter, Kernel, Site } from './program.ts';
import { specialize } from './specialize.ts';
import type { TypedArray } from './typed-array.ts';
import { lanes, stridesOf } from './typed-array.ts';

/** A register whose dimensions are `spec`'s in the order `order`, halves widened. */
function ordered(
  site: Site,
  kernels: Kernel[],
  register: number,
  spec: TensorSpec,
  order: readonly number[],
): { register: number; sizes: number[] } {
  let from = register;
  let { dtype } = spec;
  if (isHalf(dtype)) {
    from = site.scratch('float32', numel(spec.sizes));
    kernels.push(decodeKernel(dtype, register, from));
    dtype = 'float32';
  }
  const sizes = order.map((dimension) => spec.sizes[dimension]);
  if (order.every((dimension, index) => dimension === index)) return { register: from, sizes };
  const strides = stridesOf(spec.sizes);
  const to = site.scratch(dtype, numel(sizes));
  const copy = planCopy(
    dtype,
    sizes,
    { strides: order.map((dimension) => strides[dimension]), offset: 0 },
    { strides: stridesOf(sizes), offset: 0 },
  );
  kernels.push((registers) => copy(registers[from], registers[to]));
  return { register: to, sizes };
}

/** For each kernel position and output position: the input's spatial offset under it, or -1. */
function patchTable(
  site: Site,
  inputSpatial: readonly number[],
  kernelSpatial: readonly number[],
  outputSpatial: readonly number[],
): Int32Array {
  const { node } = site;
  const steps = node.ints('window_strides');
  const padding = node.intPairs('padding');
  const inputDilation = node.ints('lhs_dilation');
  const kernelDilation = node.ints('rhs_dilation');
  const reversal = node.get('bs', 'window_reversal');
  const inputStrides = stridesOf(inputSpatial);
  const columns = numel(outputSpatial);
  const table = new Int32Array(numel(kernelSpatial) * columns);
  let kernelRepeat = numel(kernelSpatial);
  let outputRepeat = columns;
  inputSpatial.forEach((size, axis) => {
    kernelRepeat /= kernelSpatial[axis];
    outputRepeat /= outputSpatial[axis];
    // Along one axis: where each (kernel, output) pair reads.
    const along = new Int32Array(kernelSpatial[axis] * outputSpatial[axis]);
    for (let kernel = 0; kernel < kernelSpatial[axis]; kernel++) {
      const tap = reversal[axis] ? kernelSpatial[axis] - 1 - kernel : kernel;
      for (let output = 0; output < outputSpatial[axis]; output++) {
        const dilated = output * steps[axis] - padding[axis][0] + tap * kernelDilation[axis];
        const at = dilated / inputDilation[axis];
        const inside = dilated >= 0 && at < size && at === Math.floor(at);
        along[kernel * outputSpatial[axis] + output] = inside ? at * inputStrides[axis] : -1;
      }
    }
    for (let row = 0, entry = 0; row < table.length / columns; row++) {
      const base = (Math.floor(row / kernelRepeat) % kernelSpatial[axis]) * outputSpatial[axis];
      for (let column = 0; column < columns; column++, entry++) {
        if (table[entry] < 0) continue;
        const offset = along[base + (Math.floor(column / outputRepeat) % outputSpatial[axis])];
        table[entry] = offset < 0 ? -1 : table[entry] + offset;
      }
    }
  });
  return table;
}

function gatherPatches(
  input: TypedArray,
  start: number,
  channelSize: number,
  channels: number,
  table: Int32Array,
  patches: TypedArray,
  width: number,
): void {
  const source = input as Float64Array;
  const target = patches as Float64Array;
  let write = 0;
  for (let channel = 0; channel < channels; channel++) {
    const base = start + channel * channelSize;
    for (let entry = 0; entry < table.length; entry++) {
      const offset = table[entry];
      for (let lane = 0; lane < width; lane++) {
        target[write++] = offset < 0 ? 0 : source[(base + offset) * width + lane];
      }
    }
  }
}

function gatherBigPatches(
  input: TypedArray,
  start: number,
  channelSize: number,
  channels: number,
  table: Int32Array,
  patches: TypedArray,
): void {
  const source = input as BigInt64Array;
  const target = patches as BigInt64Array;
  let write = 0;
  for (let channel = 0; channel < channels; channel++) {
    const base = start + channel * channelSize;
    for (let entry = 0; entry < table.length; entry++) {
      target[write++] = table[entry] < 0 ? 0n : source[base + table[entry]];
    }
  }
}

const convolution: Emitter = (site) => {
  const { node } = site;
  const kernels: Kernel[] = [];
  const input = ordered(site, kernels, site.operands[0], site.inSpecs[0], node.ints('input_dimensions'));
  const weight = ordered(site, kernels, site.operands[1], site.inSpecs[1], node.ints('kernel_dimensions'));
  const outputOrder = node.ints('output_dimensions');
  const output = outputOrder.map((dimension) => site.outSpecs[0].sizes[dimension]);
  const half = site.outSpecs[0].dtype;
  const dtype = isHalf(half) ? 'float32' : half;
  const [, features, ...inputSpatial] = input.sizes;
  const [outputFeatures, depth, ...kernelSpatial] = weight.sizes;
  const [batches, , ...outputSpatial] = output;
  const featureGroups = node.int('feature_group_count');
  const batchGroups = node.int('batch_group_count');
  const groups = Math.max(featureGroups, batchGroups);
  const table = patchTable(site, inputSpatial, kernelSpatial, outputSpatial);
  const columns = numel(outputSpatial);
  const rows = outputFeatures / groups;
  const inner = depth * numel(kernelSpatial);
  const inputSize = numel(inputSpatial);
  const patches = site.scratch(dtype, inner * columns);
  const inPlace = !isHalf(half) && outputOrder.every((dimension, index) => dimension === index);
  const target = inPlace ? site.results[0] : site.scratch(dtype, numel(output));
  const width = lanes(dtype);
  const product = productOf(dtype, dtype);
  const fill = dtype === 'int64' || dtype === 'uint64' ? gatherBigPatches : specialize(gatherPatches, dtype);
  kernels.push((registers) => {
    const source = registers[input.register];
    const matrix = registers[patches];
    for (let batch = 0; batch < batches; batch++) {
      for (let group = 0; group < groups; group++) {
        const row = batchGroups > 1 ? group * batches + batch : batch;
        const channel = featureGroups > 1 ? group * depth : 0;
        fill(source, (row * features + channel) * inputSize, inputSize, depth, table, matrix, width);
        const out = (batch * outputFeatures + group * rows) * columns;
        product(
          registers[weight.register],
          group * rows * inner,
          inner,
          1,
          matrix,
          0,
          columns,
          1,
          registers[target],
          out,
          rows,
          columns,
          inner,
        );
      }
    }
  });
  if (inPlace) return kernels;
  // Back to the result's own order and dtype.
  const [to] = site.results;
  const strides = stridesOf(site.outSpecs[0].sizes);
  const straight = outputOrder.every((dimension, index) => dimension === index);
  const narrowed = isHalf(half) && !straight ? site.scratch(half, numel(output)) : target;
  if (isHalf(half)) kernels.push(encodeKernel(half, target, straight ? to : narrowed));
  if (!straight) {
    const copy = planCopy(
      half,
      output,
      { strides: stridesOf(output), offset: 0 },
      { strides: outputOrder.map((dimension) => strides[dimension]), offset: 0 },
    );
    kernels.push((registers) => copy(registers[narrowed], registers[to]));
  }
  return kernels;
};

export const convolutionEmitters: Readonly<Record<string, Emitter>> = { convolution };
