// gather and scatter. Both walk the index vectors; for each, a window of the operand is copied from, or combined with, a
// window of the slices (gather's result, scatter's updates). Where a window is in either is tabulated once.
import type { DType, Node, TensorSpec } from '@weft/ir';
import { numel } from '@weft/ir';
import { copyKernel } from './copy.ts';
import type { Emitter, Kernel, Registers, Site } from './program.ts';
import type { Scalar } from './region.ts';
import { regionFunction, returnsSecond, scalarReader, scalarWriter, simpleBody } from './region.ts';
import { narrowing, scalarFunction } from './scalar-functions.ts';
import { specialize } from './specialize.ts';
import type { TypedArray } from './typed-array.ts';
import { isBig, lanes, offsetsOf, stridesOf } from './typed-array.ts';

/** Names of the attributes that gather and scatter call differently. */
interface Names {
  readonly window: string;
  readonly removed: string;
  readonly operandBatching: string;
  readonly indicesBatching: string;
  readonly map: string;
}
const gatherNames: Names = {
  window: 'offset_dims',
  removed: 'collapsed_slice_dims',
  operandBatching: 'operand_batching_dims',
  indicesBatching: 'start_indices_batching_dims',
  map: 'start_index_map',
};
const scatterNames: Names = {
  window: 'update_window_dims',
  removed: 'inserted_window_dims',
  operandBatching: 'input_batching_dims',
  indicesBatching: 'scatter_indices_batching_dims',
  map: 'scatter_dims_to_operand_dims',
};

interface Layout {
  /** For each index vector: its first component's position in the indices, and the base in operand and slices. */
  readonly vectors: Int32Array;
  readonly operandBases: Int32Array;
  readonly sliceBases: Int32Array;
  /** Between components of an index vector. */
  readonly vectorStride: number;
  /** For each component: the operand's stride, and the largest start at which the window fits. */
  readonly strides: readonly number[];
  readonly bounds: readonly number[];
  /** For each element of a window: its position in operand and slices. */
  readonly operandWindow: Int32Array;
  readonly sliceWindow: Int32Array;
  /** Both windows are runs of consecutive elements. */
  readonly contiguous: boolean;
  /** For scatter's check of single elements: sizes of the operand, and coordinates within the window, by component. */
  readonly sizes: readonly number[];
  readonly coordinates: readonly Int32Array[];
}

function layoutOf(
  node: Node,
  names: Names,
  operand: TensorSpec,
  indices: TensorSpec,
  slices: TensorSpec,
): Layout {
  const windowDims = node.ints(names.window);
  const operandBatching = node.ints(names.operandBatching);
  const removed = [...node.ints(names.removed), ...operandBatching];
  const indicesBatching = node.ints(names.indicesBatching);
  const map = node.ints(names.map);
  const vectorDim = node.int('index_vector_dim');
  const operandStrides = stridesOf(operand.sizes);
  const indicesStrides = stridesOf(indices.sizes);
  const sliceStrides = stridesOf(slices.sizes);
  const all = (spec: TensorSpec) => spec.sizes.map((_, dimension) => dimension);
  const operandWindowDims = all(operand).filter((dimension) => !removed.includes(dimension));
  const batchDims = all(slices).filter((dimension) => !windowDims.includes(dimension));
  const indicesDims = all(indices).filter((dimension) => dimension !== vectorDim);

  const batchSizes = batchDims.map((dimension) => slices.sizes[dimension]);
  const operandBatchStrides = indicesDims.map((dimension) => {
    const batch = indicesBatching.indexOf(dimension);
    return batch < 0 ? 0 : operandStrides[operandBatching[batch]];
  });
  const windowSizes = windowDims.map((dimension) => slices.sizes[dimension]);
  const strideIn = (dimensions: readonly number[], strides: readonly number[]) =>
    dimensions.map((dimension) => strides[dimension]);
  const operandWindow = offsetsOf(windowSizes, strideIn(operandWindowDims, operandStrides));
  const sliceWindow = offsetsOf(windowSizes, strideIn(windowDims, sliceStrides));
  const isRun = (offsets: Int32Array) => offsets.every((offset, index) => offset === index);
  const windowSizeOf = (dimension: number) => {
    const at = operandWindowDims.indexOf(dimension);
    return at < 0 ? 1 : windowSizes[at];
  };
  return {
    vectors: offsetsOf(batchSizes, strideIn(indicesDims, indicesStrides)),
    operandBases: offsetsOf(batchSizes, operandBatchStrides),
    sliceBases: offsetsOf(batchSizes, strideIn(batchDims, sliceStrides)),
    vectorStride: vectorDim < indices.sizes.length ? indicesStrides[vectorDim] : 0,
    strides: map.map((dimension) => operandStrides[dimension]),
    bounds: map.map((dimension) => operand.sizes[dimension] - windowSizeOf(dimension)),
    operandWindow,
    sliceWindow,
    contiguous: isRun(operandWindow) && isRun(sliceWindow),
    sizes: map.map((dimension) => operand.sizes[dimension]),
    coordinates: map.map((dimension) => {
      const at = operandWindowDims.indexOf(dimension);
      return offsetsOf(
        windowSizes,
        windowSizes.map((_, index) => (index === at ? 1 : 0)),
      );
    }),
  };
}

/**
 * Indices as numbers: 64-bit ones are read as two halves into a scratch register, which is faster than bigints and
 * exact as far as any index can be in bounds.
 */
function indexReader(site: Site, operand: number): (registers: Registers) => TypedArray {
  const register = site.operands[operand];
  const { dtype, sizes } = site.inSpecs[operand];
  if (!isBig(dtype)) return (registers) => registers[register];
  const wide = site.scratch('float64', numel(sizes));
  return (registers) => {
    const source = registers[register];
    const halves = new Uint32Array(source.buffer, source.byteOffset, source.length * 2);
    const target = registers[wide] as Float64Array;
    for (let index = 0; index < target.length; index++) {
      const high = dtype === 'int64' ? halves[2 * index + 1] | 0 : halves[2 * index + 1];
      target[index] = high * 4294967296 + halves[2 * index];
    }
    return target;
  };
}

function gatherWindows(
  from: TypedArray,
  indices: TypedArray,
  to: TypedArray,
  layout: Layout,
  width: number,
): void {
  const source = from as Float64Array;
  const target = to as Float64Array;
  const positions = indices as Float64Array;
  const { vectors, operandBases, sliceBases, vectorStride, strides, bounds } = layout;
  const { operandWindow, sliceWindow, contiguous } = layout;
  const components = strides.length;
  const count = operandWindow.length * width;
  for (let vector = 0; vector < vectors.length; vector++) {
    let start = operandBases[vector];
    for (let component = 0; component < components; component++) {
      const wanted = positions[vectors[vector] + component * vectorStride];
      const most = bounds[component];
      start += (wanted < 0 ? 0 : wanted > most ? most : wanted) * strides[component];
    }
    const read = start * width;
    const write = sliceBases[vector] * width;
    if (contiguous) {
      for (let index = 0; index < count; index++) target[write + index] = source[read + index];
    } else if (width === 1) {
      for (let index = 0; index < count; index++) {
        target[write + sliceWindow[index]] = source[read + operandWindow[index]];
      }
    } else {
      for (let index = 0; index < operandWindow.length; index++) {
        target[write + 2 * sliceWindow[index]] = source[read + 2 * operandWindow[index]];
        target[write + 2 * sliceWindow[index] + 1] = source[read + 2 * operandWindow[index] + 1];
      }
    }
  }
}

const gather: Emitter = (site) => {
  const [operand, indices] = site.inSpecs;
  const layout = layoutOf(site.node, gatherNames, operand, indices, site.outSpecs[0]);
  const read = indexReader(site, 1);
  const [from] = site.operands;
  const [to] = site.results;
  const width = lanes(operand.dtype);
  const loop = specialize(
    gatherWindows,
    `${operand.dtype} ${isBig(indices.dtype) ? 'float64' : indices.dtype}`,
  );
  return (registers) => loop(registers[from], read(registers), registers[to], layout, width);
};

type Combine = (old: number, update: number, bits: number) => number;

/** Updates of real elements through an inlined function; `combine` undefined: the update replaces the old. */
function scatterWindows(
  to: TypedArray,
  indices: TypedArray,
  updates: TypedArray,
  layout: Layout,
  combine: Combine | undefined,
  narrow: (x: number) => number,
): void {
  const target = to as Float64Array;
  const given = updates as Float64Array;
  const positions = indices as Float64Array;
  const { vectors, operandBases, sliceBases, vectorStride, strides, bounds, sizes, coordinates } = layout;
  const { operandWindow, sliceWindow } = layout;
  const components = strides.length;
  for (let vector = 0; vector < vectors.length; vector++) {
    let start = operandBases[vector];
    let fits = true;
    for (let component = 0; component < components; component++) {
      const wanted = positions[vectors[vector] + component * vectorStride];
      if (wanted < 0 || wanted > bounds[component]) fits = false;
      start += wanted * strides[component];
    }
    const base = sliceBases[vector];
    for (let index = 0; index < operandWindow.length; index++) {
      if (!fits) {
        let inside = true;
        for (let component = 0; component < components; component++) {
          const at = positions[vectors[vector] + component * vectorStride] + coordinates[component][index];
          if (at < 0 || at >= sizes[component]) inside = false;
        }
        if (!inside) continue;
      }
      const at = start + operandWindow[index];
      const update = given[base + sliceWindow[index]];
      target[at] = combine === undefined ? update : narrow(combine(target[at], update, 32));
    }
  }
}

const asIs = (x: number): number => x;

const scatter: Emitter = (site) => {
  const [operand, indices, updates] = site.inSpecs;
  const [body] = site.node.blocks;
  const layout = layoutOf(site.node, scatterNames, operand, indices, updates);
  const read = indexReader(site, 1);
  const [from, , update] = site.operands;
  const [to] = site.results;
  const { dtype } = operand;
  const start = copyKernel(from, to);
  const replace = returnsSecond(body);
  const operator = simpleBody(body);
  const call = operator === undefined ? undefined : scalarFunction(operator, dtype);
  const plain = !['complex64', 'complex128', 'float16', 'bfloat16'].includes(dtype);
  if (plain && (replace || call !== undefined)) {
    const narrow = (replace ? undefined : narrowing(operator!, dtype)?.call) ?? asIs;
    const key = `${replace ? 'replace' : operator} ${dtype} ${isBig(indices.dtype) ? 'float64' : indices.dtype}`;
    const loop = specialize(scatterWindows, key);
    const combine = replace ? undefined : (call!.call as Combine);
    return [
      start,
      (registers) =>
        loop(
          registers[to],
          read(registers),
          registers[update],
          layout,
          combine,
          narrow as (x: number) => number,
        ),
    ];
  }
  return [start, generalScatter(site, dtype, layout, read)];
};

function generalScatter(
  site: Site,
  dtype: DType,
  layout: Layout,
  read: (registers: Registers) => TypedArray,
): Kernel {
  const combine = regionFunction(site, site.node.blocks[0]);
  const load = scalarReader(dtype);
  const store = scalarWriter(dtype);
  const width = lanes(dtype);
  const given: Scalar[] = new Array<Scalar>(2 * width).fill(0);
  const update = site.operands[2];
  const [to] = site.results;
  return (registers) => {
    const positions = read(registers);
    const target = registers[to];
    layout.vectors.forEach((first, vector) => {
      layout.operandWindow.forEach((window, index) => {
        let at = layout.operandBases[vector] + window;
        for (let component = 0; component < layout.strides.length; component++) {
          const start = Number(positions[first + component * layout.vectorStride]);
          const position = start + layout.coordinates[component][index];
          if (position < 0 || position >= layout.sizes[component]) return;
          at += start * layout.strides[component];
        }
        load(target, at, given, 0);
        load(registers[update], layout.sliceBases[vector] + layout.sliceWindow[index], given, width);
        combine(registers, given, given);
        store(target, at, given, 0);
      });
    });
  };
}

export const indexingEmitters: Readonly<Record<string, Emitter>> = { gather, scatter };
