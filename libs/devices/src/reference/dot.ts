// dot_general: operands are seen as [batch, row, depth] and [batch, depth, column] through strides, after a transposing
// copy where a group of dimensions cannot be walked with one stride.
import type { DType, TensorSpec } from '@weft/ir';
import { isComplex, isFloatingPoint, numel } from '@weft/ir';
import { planCopy } from './copy.ts';
import { decodeKernel, encodeKernel } from './half-kernels.ts';
import { isHalf } from './half.ts';
import { contract } from './matmul.ts';
import type { Emitter, Kernel, Site } from './program.ts';
import type { NumberArray, TypedArray } from './typed-array.ts';
import { isBig, offsetsOf, stridesOf } from './typed-array.ts';

/** A register seen as matrices: where each begins, and one stride a group of dimensions. */
interface Matrices {
  readonly register: number;
  readonly starts: Int32Array;
  /** Strides of the outer and the inner group given to `matricesOf`. */
  readonly strides: readonly [number, number];
}

/** The stride that walks `dimensions`, in their order, as one; undefined when there is none. */
function commonStride(
  dimensions: readonly number[],
  sizes: readonly number[],
  strides: readonly number[],
): number | undefined {
  const real = dimensions.filter((dimension) => sizes[dimension] !== 1);
  for (let index = 0; index + 1 < real.length; index++) {
    const [outer, inner] = [real[index], real[index + 1]];
    if (strides[outer] !== strides[inner] * sizes[inner]) return undefined;
  }
  return real.length === 0 ? 1 : strides[real.at(-1)!];
}

function matricesOf(
  site: Site,
  kernels: Kernel[],
  register: number,
  spec: TensorSpec,
  batch: readonly number[],
  outer: readonly number[],
  inner: readonly number[],
): Matrices {
  const strides = stridesOf(spec.sizes);
  const pick = (dimensions: readonly number[], from: readonly number[]) =>
    dimensions.map((dimension) => from[dimension]);
  const outerStride = commonStride(outer, spec.sizes, strides);
  const innerStride = commonStride(inner, spec.sizes, strides);
  if (outerStride !== undefined && innerStride !== undefined) {
    const starts = offsetsOf(pick(batch, spec.sizes), pick(batch, strides));
    return { register, starts, strides: [outerStride, innerStride] };
  }
  const order = [...batch, ...outer, ...inner];
  const sizes = pick(order, spec.sizes);
  const copied = site.scratch(spec.dtype, numel(sizes));
  const copy = planCopy(
    spec.dtype,
    sizes,
    { strides: pick(order, strides), offset: 0 },
    { strides: stridesOf(sizes), offset: 0 },
  );
  kernels.push((registers) => copy(registers[register], registers[copied]));
  const innerCount = numel(pick(inner, spec.sizes));
  const matrix = numel(pick(outer, spec.sizes)) * innerCount;
  const batches = numel(pick(batch, spec.sizes));
  return { register: copied, starts: offsetsOf([batches], [matrix]), strides: [innerCount, 1] };
}

const dotGeneral: Emitter = (site) => {
  const { node } = site;
  const kernels: Kernel[] = [];
  const lhsBatch = node.ints('lhs_batching_dimensions');
  const rhsBatch = node.ints('rhs_batching_dimensions');
  const lhsDepth = node.ints('lhs_contracting_dimensions');
  const rhsDepth = node.ints('rhs_contracting_dimensions');
  const [lhsSpec, rhsSpec] = site.inSpecs;
  const rest = (spec: TensorSpec, ...taken: number[]) =>
    spec.sizes.map((_, dimension) => dimension).filter((dimension) => !taken.includes(dimension));
  const lhsFree = rest(lhsSpec, ...lhsBatch, ...lhsDepth);
  const rhsFree = rest(rhsSpec, ...rhsBatch, ...rhsDepth);
  const count = (spec: TensorSpec, dimensions: readonly number[]) =>
    numel(dimensions.map((dimension) => spec.sizes[dimension]));
  const rows = count(lhsSpec, lhsFree);
  const columns = count(rhsSpec, rhsFree);
  const depth = count(lhsSpec, lhsDepth);

  const widened = (index: number): [number, TensorSpec] => {
    const spec = site.inSpecs[index];
    if (!isHalf(spec.dtype)) return [site.operands[index], spec];
    const register = site.scratch('float32', numel(spec.sizes));
    kernels.push(decodeKernel(spec.dtype, site.operands[index], register));
    return [register, { ...spec, dtype: 'float32' }];
  };
  const [lhsRegister, lhsWide] = widened(0);
  const [rhsRegister, rhsWide] = widened(1);
  const lhs = matricesOf(site, kernels, lhsRegister, lhsWide, lhsBatch, lhsFree, lhsDepth);
  const rhs = matricesOf(site, kernels, rhsRegister, rhsWide, rhsBatch, rhsDepth, rhsFree);

  const { dtype } = site.outSpecs[0];
  const [to] = site.results;
  const target = isHalf(dtype) ? site.scratch('float32', rows * columns * lhs.starts.length) : to;
  const product = productOf(lhsWide.dtype, dtype);
  const [am, ak] = lhs.strides;
  const [bk, bn] = rhs.strides;
  const size = rows * columns;
  kernels.push((registers) => {
    const a = registers[lhs.register];
    const b = registers[rhs.register];
    const out = registers[target];
    for (let batch = 0; batch < lhs.starts.length; batch++) {
      product(a, lhs.starts[batch], am, ak, b, rhs.starts[batch], bk, bn, out, batch * size, rows, columns, depth); // prettier-ignore
    }
  });
  if (isHalf(dtype)) kernels.push(encodeKernel(dtype, target, to));
  return kernels;
};

/** As `contract`, of any dtype. */
type Product = (
  a: TypedArray,
  a0: number,
  am: number,
  ak: number,
  b: TypedArray,
  b0: number,
  bk: number,
  bn: number,
  out: TypedArray,
  o0: number,
  rows: number,
  columns: number,
  depth: number,
) => void;

export function productOf(operand: DType, result: DType): Product {
  if (isComplex(operand)) return complexProduct;
  if (isFloatingPoint(operand)) return contract as Product;
  if (operand === 'bool') return boolProduct;
  return isBig(operand) || isBig(result) ? bigProduct : intProduct;
}

/** Modulo 2^32, which stores wrap further to narrower dtypes. */
const intProduct: Product = (a, a0, am, ak, b, b0, bk, bn, out, o0, rows, columns, depth) => {
  const x = a as Int32Array;
  const y = b as Int32Array;
  for (let m = 0; m < rows; m++) {
    for (let n = 0; n < columns; n++) {
      let sum = 0;
      for (let k = 0; k < depth; k++) {
        sum = (sum + Math.imul(x[a0 + m * am + k * ak], y[b0 + k * bk + n * bn])) | 0;
      }
      (out as NumberArray)[o0 + m * columns + n] = sum;
    }
  }
};

const bigProduct: Product = (a, a0, am, ak, b, b0, bk, bn, out, o0, rows, columns, depth) => {
  for (let m = 0; m < rows; m++) {
    for (let n = 0; n < columns; n++) {
      let sum = 0n;
      for (let k = 0; k < depth; k++) {
        const term = BigInt(a[a0 + m * am + k * ak]) * BigInt(b[b0 + k * bk + n * bn]);
        sum = BigInt.asIntN(64, sum + term);
      }
      (out as BigInt64Array)[o0 + m * columns + n] = sum;
    }
  }
};

const boolProduct: Product = (a, a0, am, ak, b, b0, bk, bn, out, o0, rows, columns, depth) => {
  for (let m = 0; m < rows; m++) {
    for (let n = 0; n < columns; n++) {
      let any = 0;
      for (let k = 0; k < depth; k++) {
        any |= Number(a[a0 + m * am + k * ak]) & Number(b[b0 + k * bk + n * bn]);
      }
      (out as Uint8Array)[o0 + m * columns + n] = any;
    }
  }
};

const complexProduct: Product = (a, a0, am, ak, b, b0, bk, bn, out, o0, rows, columns, depth) => {
  const x = a as Float64Array;
  const y = b as Float64Array;
  const target = out as Float64Array;
  for (let m = 0; m < rows; m++) {
    for (let n = 0; n < columns; n++) {
      let re = 0;
      let im = 0;
      for (let k = 0; k < depth; k++) {
        const p = 2 * (a0 + m * am + k * ak);
        const q = 2 * (b0 + k * bk + n * bn);
        re += x[p] * y[q] - x[p + 1] * y[q + 1];
        im += x[p] * y[q + 1] + x[p + 1] * y[q];
      }
      const at = 2 * (o0 + m * columns + n);
      target[at] = re;
      target[at + 1] = im;
    }
  }
};

export const dotEmitters: Readonly<Record<string, Emitter>> = { dot_general: dotGeneral };
