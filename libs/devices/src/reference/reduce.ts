// reduce. Sums, products, extrema and logical folds of one operand are loops over rows (the last dimension is reduced) or over
// columns (it stays); float32 and half precision accumulate in double precision. Any other body is called element by element.
import type { DType, TensorSpec } from '@weft/ir';
import { isComplex, numel } from '@weft/ir';
import { decodeKernel, encodeKernel } from './half-kernels.ts';
import { isHalf } from './half.ts';
import type { Emitter, Kernel, Site } from './program.ts';
import type { Scalar } from './region.ts';
import { regionFunction, scalarReader, scalarWriter, simpleBody } from './region.ts';
import { narrowing, scalarFunction } from './scalar-functions.ts';
import { specialize } from './specialize.ts';
import type { TypedArray } from './typed-array.ts';
import { isBig, lanes, offsetsOf, stridesOf } from './typed-array.ts';

type Combine = (a: number, b: number, bits: number) => number;

/** The layout of a reduction: which offsets give one result each, and which are folded into it. */
export interface Folding {
  readonly kept: Int32Array;
  readonly reduced: Int32Array;
  /** Contiguous elements at the end: all folded (`rows`), or one result each (`columns`). */
  readonly inner: number;
  readonly kind: 'rows' | 'columns';
}

/** Splits a shape into kept and reduced offsets, the innermost run of like dimensions apart. */
export function foldingOf(sizes: readonly number[], dimensions: readonly number[]): Folding {
  const strides = stridesOf(sizes);
  const isReduced = sizes.map((_, dimension) => dimensions.includes(dimension));
  let first = sizes.length;
  const kind = sizes.length > 0 && isReduced[lastLarge(sizes)] ? 'rows' : 'columns';
  while (first > 0 && (sizes[first - 1] === 1 || isReduced[first - 1] === (kind === 'rows'))) first--;
  const outer = sizes
    .slice(0, first)
    .map((size, dimension) => ({ size, stride: strides[dimension], dimension }));
  const table = (reduced: boolean) => {
    const axes = outer.filter(({ dimension }) => isReduced[dimension] === reduced);
    return offsetsOf(
      axes.map(({ size }) => size),
      axes.map(({ stride }) => stride),
    );
  };
  return { kept: table(false), reduced: table(true), inner: numel(sizes.slice(first)), kind };
}

function lastLarge(sizes: readonly number[]): number {
  let last = sizes.length - 1;
  while (last > 0 && sizes[last] === 1) last--;
  return last;
}

function foldRows(
  from: TypedArray,
  to: TypedArray,
  init: TypedArray,
  kept: Int32Array,
  reduced: Int32Array,
  inner: number,
  combine: Combine,
  narrow: (x: number) => number,
  bits: number,
): void {
  const source = from as Float64Array;
  const target = to as Float64Array;
  for (let row = 0; row < kept.length; row++) {
    let sum = init[0] as number;
    for (let part = 0; part < reduced.length; part++) {
      const start = kept[row] + reduced[part];
      for (let index = start; index < start + inner; index++) sum = narrow(combine(sum, source[index], bits));
    }
    target[row] = sum;
  }
}

function foldColumns(
  from: TypedArray,
  to: TypedArray,
  init: TypedArray,
  kept: Int32Array,
  reduced: Int32Array,
  inner: number,
  combine: Combine,
  narrow: (x: number) => number,
  bits: number,
  sums: TypedArray,
): void {
  const source = from as Float64Array;
  const target = to as Float64Array;
  const accumulators = sums as Float64Array;
  for (let row = 0; row < kept.length; row++) {
    accumulators.fill(init[0] as number);
    for (let part = 0; part < reduced.length; part++) {
      const start = kept[row] + reduced[part];
      for (let column = 0; column < inner; column++) {
        accumulators[column] = narrow(combine(accumulators[column], source[start + column], bits));
      }
    }
    for (let column = 0; column < inner; column++) target[row * inner + column] = accumulators[column];
  }
}

const asIs = (x: number): number => x;

const reduce: Emitter = (site) => {
  const operator = simpleBody(site.node.blocks[0]);
  const [{ dtype }] = site.inSpecs;
  const call = operator === undefined ? undefined : scalarFunction(operator, dtype);
  if (call === undefined || isComplex(dtype) || site.outSpecs.length !== 1) return generalReduce(site);
  return foldKernels(site, operator!, call.call as Combine, dtype);
};

function foldKernels(site: Site, operator: string, combine: Combine, dtype: DType): Kernel[] {
  const { sizes } = site.inSpecs[0];
  const folding = foldingOf(sizes, site.node.ints('dimensions'));
  const kernels: Kernel[] = [];
  let [from, init] = site.operands;
  let [to] = site.results;
  let computed = dtype;
  if (isHalf(dtype)) {
    const wide = [site.scratch('float32', numel(sizes)), site.scratch('float32', 1)];
    kernels.push(decodeKernel(dtype, from, wide[0]), decodeKernel(dtype, init, wide[1]));
    [from, init] = wide;
    to = site.scratch('float32', numel(site.outSpecs[0].sizes));
    computed = 'float32';
  }
  // Floats accumulate in double, wherever they come from; integers wrap at every step.
  const isFloat = computed === 'float32' || computed === 'float64';
  const narrow = (isFloat ? undefined : narrowing(operator, dtype)?.call) ?? asIs;
  const accumulator: DType = isFloat ? 'float64' : dtype;
  const { kept, reduced, inner } = folding;
  const step = narrow as (x: number) => number;
  const key = `${operator} ${computed}`;
  if (folding.kind === 'rows') {
    const loop = specialize(foldRows, key);
    kernels.push((registers) =>
      loop(registers[from], registers[to], registers[init], kept, reduced, inner, combine, step, 32),
    );
  } else {
    const loop = specialize(foldColumns, key);
    const sums = site.scratch(accumulator, inner);
    kernels.push(
      (registers) =>
      loop(registers[from], registers[to], registers[init], kept, reduced, inner, combine, step, 32, registers[sums]), // prettier-ignore
    );
  }
  if (isHalf(dtype)) kernels.push(encodeKernel(dtype, to, site.results[0]));
  return kernels;
}

/** Several operands, complex ones, or any body. */
function generalReduce(site: Site): Kernel {
  const count = site.outSpecs.length;
  const { sizes } = site.inSpecs[0];
  const dimensions = site.node.ints('dimensions');
  const strides = stridesOf(sizes);
  const offsets = (reduced: boolean) => {
    const axes = sizes.map((_, index) => index).filter((index) => dimensions.includes(index) === reduced);
    return offsetsOf(
      axes.map((axis) => sizes[axis]),
      axes.map((axis) => strides[axis]),
    );
  };
  const kept = offsets(false);
  const folded = offsets(true);
  const body = regionFunction(site, site.node.blocks[0]);
  const specs: readonly TensorSpec[] = site.inSpecs.slice(0, count);
  let at = 0;
  const operands = specs.map(({ dtype }, index) => {
    const operand = {
      from: site.operands[index],
      init: site.operands[count + index],
      to: site.results[index],
      at,
      read: scalarReader(dtype),
      write: scalarWriter(dtype),
    };
    at += lanes(dtype);
    return operand;
  });
  const width = at;
  const given: Scalar[] = new Array<Scalar>(2 * width).fill(isBig(specs[0].dtype) ? 0n : 0);
  return (registers) => {
    for (let result = 0; result < kept.length; result++) {
      for (const { init, at, read } of operands) read(registers[init], 0, given, at);
      for (let step = 0; step < folded.length; step++) {
        const position = kept[result] + folded[step];
        for (const { from, at, read } of operands) read(registers[from], position, given, width + at);
        body(registers, given, given);
      }
      for (const { to, at, write } of operands) write(registers[to], result, given, at);
    }
  };
}

export const reduceEmitters: Readonly<Record<string, Emitter>> = { reduce };
