// convolution natively: strides and window of each dimension, group by group. Dimensions under a window that covers nothing but its own
// position, or all of the input at once, are joined with their neighbours, so that a kernel of size 1 is a plain product.
import type { Node } from '@weft/ir';
import { convolutionPlan, numel, specOf } from '@weft/ir';
import { isHalf } from '../reference/half.ts';
import { stridesOf } from '../reference/typed-array.ts';
import { canWiden, wideResult, widened } from './half.ts';
import type { NativeFamily, NativeSite, Word } from './step.ts';

/** A spatial dimension, in the order in which native/spatial.h reads it. */
interface Axis {
  readonly input: number;
  readonly kernel: number;
  readonly output: number;
  readonly step: number;
  readonly low: number;
  readonly inputDilation: number;
  readonly kernelDilation: number;
  readonly inputStride: number;
  readonly kernelStride: number;
  readonly outputStride: number;
}

const wordsOf = (axis: Axis): Word[] => [
  axis.input,
  axis.kernel,
  axis.output,
  axis.step,
  axis.low,
  axis.inputDilation,
  axis.kernelDilation,
  axis.inputStride,
  axis.kernelStride,
  axis.outputStride,
];

const isPlain = ({ low, inputDilation }: Axis): boolean => low === 0 && inputDilation === 1;
/** Output positions are input positions. */
const isPointwise = (axis: Axis): boolean =>
  isPlain(axis) && axis.kernel === 1 && axis.step === 1 && axis.output === axis.input;
/** The kernel lies on the whole input, once. */
const isWhole = (axis: Axis): boolean =>
  isPlain(axis) && axis.output === 1 && axis.kernelDilation === 1 && axis.kernel === axis.input;

/** One axis for two, the first the outer one; undefined where there is none. */
function joined(outer: Axis, inner: Axis): Axis | undefined {
  if (outer.inputStride !== inner.inputStride * inner.input) return undefined;
  if (isPointwise(outer) && isPointwise(inner)) {
    if (outer.outputStride !== inner.outputStride * inner.output) return undefined;
    return { ...inner, input: outer.input * inner.input, output: outer.output * inner.output };
  }
  if (isWhole(outer) && isWhole(inner)) {
    if (outer.kernelStride !== inner.kernelStride * inner.kernel) return undefined;
    return { ...inner, input: outer.input * inner.input, kernel: outer.kernel * inner.kernel };
  }
  return undefined;
}

const point: Axis = {
  input: 1,
  kernel: 1,
  output: 1,
  step: 1,
  low: 0,
  inputDilation: 1,
  kernelDilation: 1,
  inputStride: 1,
  kernelStride: 1,
  outputStride: 1,
};

function emitConvolution(site: NativeSite): void {
  const { node } = site;
  const [{ sizes }] = site.outSpecs;
  if (numel(sizes) === 0) return;
  const plan = convolutionPlan(node);
  const [input, kernel] = [widened(site, 0), widened(site, 1)];
  const result = wideResult(site);
  const strides = stridesOf(sizes);
  let kernelOffset = kernel.offset;
  const axes: Axis[] = [];
  plan.strides.forEach((step, index) => {
    const [i, k, o] = [plan.input[index + 2], plan.kernel[index + 2], plan.output[index + 2]];
    let kernelStride = kernel.strides[k];
    if (plan.reversal[index]) {
      kernelOffset += (kernel.sizes[k] - 1) * kernelStride;
      kernelStride = -kernelStride;
    }
    const axis: Axis = {
      input: input.sizes[i],
      kernel: kernel.sizes[k],
      output: sizes[o],
      step,
      low: plan.padding[index][0],
      inputDilation: plan.lhsDilation[index],
      kernelDilation: plan.rhsDilation[index],
      inputStride: input.strides[i],
      kernelStride,
      outputStride: strides[o],
    };
    const last = axes.at(-1);
    const both = last === undefined ? undefined : joined(last, axis);
    if (both === undefined) axes.push(axis);
    else axes[axes.length - 1] = both;
  });
  if (axes.length === 0) axes.push(point);
  // Positions that see the same taps are computed apart, then interleaved.
  const isDilated = axes.some(({ inputDilation }) => inputDilation > 1);
  const apart = isDilated ? site.scratch(input.dtype, numel(sizes)) : result.slot;
  const { featureGroups, batchGroups } = plan;
  const groups = Math.max(featureGroups, batchGroups);
  const [images, features] = [sizes[plan.output[0]], sizes[plan.output[1]] / groups];
  const channels = kernel.sizes[plan.kernel[1]];
  const [inputImage, inputChannel] = [input.strides[plan.input[0]], input.strides[plan.input[1]]];
  const [kernelRow, kernelChannel] = [kernel.strides[plan.kernel[0]], kernel.strides[plan.kernel[1]]];
  const [outputImage, outputRow] = [strides[plan.output[0]], strides[plan.output[1]]];
  site.push(
    `convolution.${input.dtype}`,
    input.slot,
    kernel.slot,
    result.slot,
    input.offset,
    kernelOffset,
    groups,
    images,
    features,
    channels,
    batchGroups > 1 ? images * inputImage : channels * inputChannel,
    inputImage,
    inputChannel,
    features * kernelRow,
    kernelRow,
    kernelChannel,
    features * outputRow,
    outputImage,
    outputRow,
    axes.length,
    ...axes.flatMap(wordsOf),
    site.constancy(1),
    apart,
    ...site.epilogue(),
  );
  result.narrow();
}

export const convolutionFamily: NativeFamily = {
  operators: ['convolution'],
  accepts(node: Node, library) {
    const { dtype, sizes } = specOf(node.inputs[0]);
    const { sizes: kernel } = specOf(node.inputs[1]);
    if (sizes.length > 10 || numel(sizes) === 0 || numel(kernel) === 0) return false;
    return (
      library.operations.has(`convolution.${isHalf(dtype) ? 'float32' : dtype}`) &&
      canWiden(dtype, { library })
    );
  },
  emit: emitConvolution,
  takesEpilogue(node) {
    const { dtype, sizes } = specOf(node.output);
    if (isHalf(dtype)) return false;
    // Results come in runs of positions, too short ones of which cost more than another pass.
    const { output, featureGroups, batchGroups } = convolutionPlan(node);
    const positions = output.slice(2).map((dimension) => sizes[dimension]);
    const isTapByTap = sizes[output[1]] / Math.max(featureGroups, batchGroups) <= 2;
    return (isTapByTap ? (positions.at(-1) ?? 1) : numel(positions)) >= 256;
  },
  affineFeatures(node) {
    const { dtype } = specOf(node.output);
    const { output, featureGroups, batchGroups } = convolutionPlan(node);
    // Features that are one dimension of the result in memory, and images that are whole.
    const isPlanes = output.every((dimension, index) => dimension === index);
    return isHalf(dtype) || !isPlanes || featureGroups * batchGroups < 1 ? undefined : [1];
  },
};
