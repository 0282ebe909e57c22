// reduce_window and select_and_scatter. Dimensions where the window is trivial are a batch; for each position of the others
// the window's elements are found once and used for the whole batch.
import type { Node, TensorSpec } from '@weft/ir';
import { isComplex, numel } from '@weft/ir';
import { fillKernel } from './shape.ts';
import { decodeKernel, encodeKernel } from './half-kernels.ts';
import { isHalf } from './half.ts';
import type { Emitter, Kernel, Site } from './program.ts';
import type { Scalar } from './region.ts';
import { regionFunction, scalarReader, scalarWriter, simpleBody } from './region.ts';
import { narrowing, scalarFunction } from './scalar-functions.ts';
import { specialize } from './specialize.ts';
import type { TypedArray } from './typed-array.ts';
import { lanes, offsetsOf, stridesOf } from './typed-array.ts';

interface Axis {
  readonly size: number;
  readonly window: number;
  readonly step: number;
  readonly low: number;
  readonly baseDilation: number;
  readonly windowDilation: number;
  readonly inputStride: number;
  readonly outputSize: number;
  readonly outputStride: number;
}

interface Windows {
  readonly axes: readonly Axis[];
  readonly batchInput: Int32Array;
  readonly batchOutput: Int32Array;
  /** Positions of the windowed dimensions, and elements of a window. */
  readonly positions: Int32Array;
  readonly length: number;
}

function windowsOf(node: Node, input: TensorSpec, output: TensorSpec): Windows {
  const ones = input.sizes.map(() => 1);
  const read = (name: string) => (node.attributes.has(name) ? node.ints(name) : ones);
  const window = read('window_dimensions');
  const step = read('window_strides');
  const base = read('base_dilations');
  const dilation = read('window_dilations');
  const padding = node.intPairs('padding');
  const inputStrides = stridesOf(input.sizes);
  const outputStrides = stridesOf(output.sizes);
  const all = input.sizes.map((size, axis): Axis => ({
    size,
    window: window[axis],
    step: step[axis],
    low: padding[axis][0],
    baseDilation: base[axis],
    windowDilation: dilation[axis],
    inputStride: inputStrides[axis],
    outputSize: output.sizes[axis],
    outputStride: outputStrides[axis],
  }));
  const isTrivial = (axis: Axis) =>
    axis.window === 1 && axis.step === 1 && axis.low === 0 && axis.outputSize === axis.size;
  const batch = all.filter(isTrivial);
  const axes = all.filter((axis) => !isTrivial(axis));
  const table = (of: readonly Axis[], stride: (axis: Axis) => number) =>
    offsetsOf(
      of.map((axis) => axis.outputSize),
      of.map(stride),
    );
  return {
    axes,
    batchInput: table(batch, (axis) => axis.inputStride),
    batchOutput: table(batch, (axis) => axis.outputStride),
    positions: table(axes, (axis) => axis.outputStride),
    length: numel(axes.map((axis) => axis.window)),
  };
}

/** Input offsets of the window at the `position`-th place, in row-major order; -1 for padding and between dilated elements. */
function windowElements({ axes, length }: Windows, position: number, elements: Int32Array): void {
  elements.fill(0, 0, length);
  let repeat = 1;
  let rest = position;
  for (let index = axes.length - 1; index >= 0; index--) {
    const axis = axes[index];
    const start = (rest % axis.outputSize) * axis.step - axis.low;
    rest = Math.floor(rest / axis.outputSize);
    for (let element = 0; element < length; element++) {
      if (elements[element] < 0) continue;
      const within = Math.floor(element / repeat) % axis.window;
      const padded = start + within * axis.windowDilation;
      const at = padded / axis.baseDilation;
      if (padded < 0 || at >= axis.size || at !== Math.floor(at)) elements[element] = -1;
      else elements[element] += at * axis.inputStride;
    }
    repeat *= axis.window;
  }
}

type Combine = (a: number, b: number, bits: number) => number;

function foldWindow(
  from: TypedArray,
  to: TypedArray,
  init: TypedArray,
  batchInput: Int32Array,
  batchOutput: Int32Array,
  elements: Int32Array,
  position: number,
  combine: Combine,
  narrow: (x: number) => number,
): void {
  const source = from as Float64Array;
  const target = to as Float64Array;
  const start = init[0] as number;
  for (let batch = 0; batch < batchInput.length; batch++) {
    const base = batchInput[batch];
    let sum = start;
    for (let element = 0; element < elements.length; element++) {
      const offset = elements[element];
      sum = narrow(combine(sum, offset < 0 ? start : source[base + offset], 32));
    }
    target[batchOutput[batch] + position] = sum;
  }
}

const asIs = (x: number): number => x;

const reduceWindow: Emitter = (site) => {
  const operator = simpleBody(site.node.blocks[0]);
  const [{ dtype, sizes }] = site.inSpecs;
  const call = operator === undefined ? undefined : scalarFunction(operator, dtype);
  const windows = windowsOf(site.node, site.inSpecs[0], site.outSpecs[0]);
  const elements = new Int32Array(windows.length);
  if (call === undefined || isComplex(dtype)) return generalWindow(site, windows, elements);
  const kernels: Kernel[] = [];
  let [from, init] = site.operands;
  let [to] = site.results;
  if (isHalf(dtype)) {
    const wide = [site.scratch('float32', numel(sizes)), site.scratch('float32', 1)];
    kernels.push(decodeKernel(dtype, from, wide[0]), decodeKernel(dtype, init, wide[1]));
    [from, init] = wide;
    to = site.scratch('float32', numel(site.outSpecs[0].sizes));
  }
  const isFloat = dtype.startsWith('float') || isHalf(dtype);
  const narrow = ((isFloat ? undefined : narrowing(operator!, dtype)?.call) ?? asIs) as (x: number) => number;
  const loop = specialize(foldWindow, `${operator} ${isHalf(dtype) ? 'float32' : dtype}`);
  kernels.push((registers) => {
    windows.positions.forEach((offset, position) => {
      windowElements(windows, position, elements);
      loop(
        registers[from],
        registers[to],
        registers[init],
        windows.batchInput,
        windows.batchOutput,
        elements,
        offset,
        call.call as Combine,
        narrow,
      );
    });
  });
  if (isHalf(dtype)) kernels.push(encodeKernel(dtype, to, site.results[0]));
  return kernels;
};

function generalWindow(site: Site, windows: Windows, elements: Int32Array): Kernel {
  const count = site.outSpecs.length;
  const body = regionFunction(site, site.node.blocks[0]);
  let width = 0;
  const operands = site.outSpecs.map(({ dtype }, index) => {
    const operand = {
      from: site.operands[index],
      init: site.operands[count + index],
      to: site.results[index],
      at: width,
      read: scalarReader(dtype),
      write: scalarWriter(dtype),
    };
    width += lanes(dtype);
    return operand;
  });
  const given: Scalar[] = new Array<Scalar>(2 * width).fill(0);
  return (registers) => {
    windows.positions.forEach((offset, position) => {
      windowElements(windows, position, elements);
      windows.batchInput.forEach((base, batch) => {
        for (const { init, at, read } of operands) read(registers[init], 0, given, at);
        for (const element of elements) {
          for (const { from, init, at, read } of operands) {
            if (element < 0) read(registers[init], 0, given, width + at);
            else read(registers[from], base + element, given, width + at);
          }
          body(registers, given, given);
        }
        const result = windows.batchOutput[batch] + offset;
        for (const { to, at, write } of operands) write(registers[to], result, given, at);
      });
    });
  };
}

const selectAndScatter: Emitter = (site) => {
  const [operand, source, init] = site.operands;
  const [to] = site.results;
  const { dtype } = site.inSpecs[0];
  const windows = windowsOf(site.node, site.inSpecs[0], site.inSpecs[1]);
  const elements = new Int32Array(windows.length);
  const select = regionFunction(site, site.node.blocks[0]);
  const combine = regionFunction(site, site.node.blocks[1]);
  const read = scalarReader(dtype);
  const write = scalarWriter(dtype);
  const width = lanes(dtype);
  const given: Scalar[] = new Array<Scalar>(2 * width).fill(0);
  const answer: Scalar[] = [0];
  return [
    fillKernel(dtype, init, to),
    (registers) => {
      windows.positions.forEach((offset, position) => {
        windowElements(windows, position, elements);
        windows.batchInput.forEach((base, batch) => {
          let chosen = -1;
          for (const element of elements) {
            if (element < 0) continue;
            const at = base + element;
            if (chosen < 0) {
              chosen = at;
              continue;
            }
            read(registers[operand], chosen, given, 0);
            read(registers[operand], at, given, width);
            select(registers, given, answer);
            if (answer[0] === 0) chosen = at;
          }
          if (chosen < 0) return;
          read(registers[to], chosen, given, 0);
          read(registers[source], windows.batchOutput[batch] + offset, given, width);
          combine(registers, given, given);
          write(registers[to], chosen, given, 0);
        });
      });
    },
  ];
};

export const windowEmitters: Readonly<Record<string, Emitter>> = {
  reduce_window: reduceWindow,
  select_and_scatter: selectAndScatter,
};
