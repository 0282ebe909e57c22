// Operators that only move elements: broadcasts, transposes, slices, pads, concatenations, and iota.
import type { DType } from '@weft/ir';
import { isComplex, numel } from '@weft/ir';
import type { Copy } from './copy.ts';
import { copyKernel, planCopy } from './copy.ts';
import { halfEncoder, isHalf } from './half.ts';
import type { Emitter, Kernel, Registers, Site } from './program.ts';
import type { BigArray, NumberArray, TypedArray } from './typed-array.ts';
import { isBig, lanes, stridesOf } from './typed-array.ts';

/** The kernel that copies `sizes` elements, from operand to result, in row-major order of the result. */
function gatherBox(site: Site, strides: readonly number[], offset: number): Kernel {
  const { sizes, dtype } = site.outSpecs[0];
  const copy = planCopy(dtype, sizes, { strides, offset }, { strides: stridesOf(sizes), offset: 0 });
  const [from] = site.operands;
  const [to] = site.results;
  return (registers) => copy(registers[from], registers[to]);
}

const broadcastInDim: Emitter = (site) => {
  const operandSizes = site.inSpecs[0].sizes;
  const operandStrides = stridesOf(operandSizes);
  const strides = site.outSpecs[0].sizes.map(() => 0);
  site.node.ints('broadcast_dimensions').forEach((dimension, index) => {
    if (operandSizes[index] !== 1) strides[dimension] = operandStrides[index];
  });
  return gatherBox(site, strides, 0);
};

const transpose: Emitter = (site) => {
  const strides = stridesOf(site.inSpecs[0].sizes);
  return gatherBox(
    site,
    site.node.ints('permutation').map((dimension) => strides[dimension]),
    0,
  );
};

const slice: Emitter = (site) => {
  const strides = stridesOf(site.inSpecs[0].sizes);
  const start = site.node.ints('start_indices');
  const steps = site.node.ints('strides');
  const offset = start.reduce((sum, index, dimension) => sum + index * strides[dimension], 0);
  return gatherBox(
    site,
    strides.map((stride, dimension) => stride * steps[dimension]),
    offset,
  );
};

const reverse: Emitter = (site) => {
  const { sizes } = site.inSpecs[0];
  const strides = stridesOf(sizes);
  let offset = 0;
  for (const dimension of site.node.ints('dimensions')) {
    offset += (sizes[dimension] - 1) * strides[dimension];
    strides[dimension] = -strides[dimension];
  }
  return gatherBox(site, strides, offset);
};

const concatenate: Emitter = (site) => {
  const dimension = site.node.int('dimension');
  const { dtype, sizes } = site.outSpecs[0];
  const strides = stridesOf(sizes);
  const [to] = site.results;
  let start = 0;
  return site.inSpecs.map((spec, index): Kernel => {
    const copy = planCopy(
      dtype,
      spec.sizes,
      { strides: stridesOf(spec.sizes), offset: 0 },
      { strides, offset: start * strides[dimension] },
    );
    start += spec.sizes[dimension];
    const from = site.operands[index];
    return (registers) => copy(registers[from], registers[to]);
  });
};

/** Writes one element (a register of count 1) everywhere. */
export function fillKernel(dtype: DType, value: number, to: number): Kernel {
  if (isComplex(dtype)) {
    return (registers) => {
      const target = registers[to] as Float64Array;
      const [re, im] = registers[value] as Float64Array;
      for (let index = 0; index < target.length; index += 2) {
        target[index] = re;
        target[index + 1] = im;
      }
    };
  }
  return (registers) => (registers[to] as NumberArray).fill((registers[value] as NumberArray)[0]);
}

const pad: Emitter = (site) => {
  const { dtype, sizes } = site.outSpecs[0];
  const operandSizes = site.inSpecs[0].sizes;
  const low = site.node.ints('edge_padding_low');
  const interior = site.node.ints('interior_padding');
  const fromStrides = stridesOf(operandSizes);
  const toStrides = stridesOf(sizes);
  // The part of the operand that stays, since edges may be negative: first index, and how many.
  let fromOffset = 0;
  let toOffset = 0;
  const kept = operandSizes.map((size, dimension) => {
    const step = interior[dimension] + 1;
    const first = low[dimension] < 0 ? Math.ceil(-low[dimension] / step) : 0;
    const end = Math.min(size, Math.floor((sizes[dimension] - 1 - low[dimension]) / step) + 1);
    fromOffset += first * fromStrides[dimension];
    toOffset += (low[dimension] + first * step) * toStrides[dimension];
    return Math.max(0, end - first);
  });
  const copy = planCopy(
    dtype,
    kept,
    { strides: fromStrides, offset: fromOffset },
    { strides: toStrides.map((stride, dimension) => stride * (interior[dimension] + 1)), offset: toOffset },
  );
  const [from, value] = site.operands;
  const [to] = site.results;
  return [fillKernel(dtype, value, to), (registers) => copy(registers[from], registers[to])];
};

const iota: Emitter = (site) => {
  const { dtype, sizes } = site.outSpecs[0];
  const dimension = site.node.int('iota_dimension');
  const inner = numel(sizes.slice(dimension + 1));
  const size = sizes[dimension];
  const width = lanes(dtype);
  const encode = isHalf(dtype) ? halfEncoder(dtype) : (index: number) => index;
  const [to] = site.results;
  return (registers) => {
    const target = registers[to];
    const count = target.length / width;
    for (let element = 0; element < count; element++) {
      const index = Math.floor(element / inner) % size;
      if (isBig(dtype)) (target as BigArray)[element] = BigInt(index);
      else (target as NumberArray)[element * width] = encode(index);
      if (width === 2) target[element * 2 + 1] = 0;
    }
  };
};

/** The value of an integer scalar, or of one element of an index tensor; exact up to 2^53, far beyond any size. */
export const indexAt = (array: TypedArray, position: number): number => Number(array[position]);

/** Reads start indices and clamps them so that a box of `sizes` fits into `bounds`; returns its offset. */
function clampedOffset(
  registers: Registers,
  starts: readonly number[],
  bounds: readonly number[],
  sizes: readonly number[],
  strides: readonly number[],
): number {
  let offset = 0;
  for (let dimension = 0; dimension < starts.length; dimension++) {
    const wanted = indexAt(registers[starts[dimension]], 0);
    const start = Math.min(Math.max(wanted, 0), bounds[dimension] - sizes[dimension]);
    offset += start * strides[dimension];
  }
  return offset;
}

/** A copy whose one side is shifted at run time. */
const shifted = (array: TypedArray, offset: number, width: number): TypedArray =>
  array.subarray(offset * width);

const dynamicSlice: Emitter = (site) => {
  const { dtype, sizes } = site.outSpecs[0];
  const bounds = site.inSpecs[0].sizes;
  const strides = stridesOf(bounds);
  const copy: Copy = planCopy(dtype, sizes, { strides, offset: 0 }, { strides: stridesOf(sizes), offset: 0 });
  const [from, ...starts] = site.operands;
  const [to] = site.results;
  return (registers) => {
    const offset = clampedOffset(registers, starts, bounds, sizes, strides);
    copy(shifted(registers[from], offset, lanes(dtype)), registers[to]);
  };
};

const dynamicUpdateSlice: Emitter = (site) => {
  const { dtype, sizes: bounds } = site.outSpecs[0];
  const { sizes } = site.inSpecs[1];
  const strides = stridesOf(bounds);
  const copy = planCopy(dtype, sizes, { strides: stridesOf(sizes), offset: 0 }, { strides, offset: 0 });
  const [from, update, ...starts] = site.operands;
  const [to] = site.results;
  return [
    copyKernel(from, to),
    (registers) => {
      const offset = clampedOffset(registers, starts, bounds, sizes, strides);
      copy(registers[update], shifted(registers[to], offset, lanes(dtype)));
    },
  ];
};

export const shapeEmitters: Readonly<Record<string, Emitter>> = {
  broadcast_in_dim: broadcastInDim,
  transpose,
  slice,
  reverse,
  concatenate,
  pad,
  iota,
  dynamic_slice: dynamicSlice,
  dynamic_update_slice: dynamicUpdateSlice,
};
