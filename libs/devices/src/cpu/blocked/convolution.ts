// Convolutions with blocked results natively (native/blocked.cc): composites of layout.ts.
import type { Node } from '@weft/ir';
import { convolutionPlan, numel, specOf } from '@weft/ir';
import type { NativeFamily, NativeSite, Operand, Word } from '../step.ts';
import { blockedGroups, convolutionIn, isBlockedConvolution, kindOf } from './layout.ts';

/** The input in planes, with dense columns, or in dense blocks. */
function inputOf(site: NativeSite, isPlanes: boolean): Pick<Operand, 'slot' | 'offset' | 'strides'> {
  const operand = site.operand(0);
  const last = operand.sizes.length - 1;
  if (isPlanes && (operand.strides[last] === 1 || operand.sizes[last] === 1)) return operand;
  const { sizes } = operand;
  const strides = sizes.map((_, dimension) => numel(sizes.slice(dimension + 1)));
  return { slot: site.dense(0), offset: 0, strides };
}

function emit(site: NativeSite): void {
  const { convolution, isPlanes, lanes } = convolutionIn(site.node);
  const plan = convolutionPlan(convolution);
  const [given, result] = [specOf(convolution.inputs[0]).sizes, specOf(convolution.output).sizes];
  const input = inputOf(site, isPlanes);
  const kernel = site.operand(1);
  const { featureGroups } = plan;
  const { groups, rows, channels, merged, lastRows, lastChannels } = blockedGroups(
    featureGroups,
    result[1] / featureGroups,
    given[1] / featureGroups,
    lanes,
  )!;
  const [kernelRow, kernelChannel] = [kernel.strides[plan.kernel[0]], kernel.strides[plan.kernel[1]]];
  const axis = (index: number): Word[] => [
    given[index + 2],
    kernel.sizes[plan.kernel[index + 2]],
    result[index + 2],
    plan.strides[index],
    plan.padding[index][0],
    1,
    plan.rhsDilation[index],
    isPlanes ? input.strides[index + 2] : 0,
    kernel.strides[plan.kernel[index + 2]],
    0,
  ];
  site.push(
    kindOf(lanes),
    input.slot,
    kernel.slot,
    site.results[0],
    input.offset,
    kernel.offset,
    groups,
    result[0],
    rows,
    channels,
    merged,
    lastRows,
    lastChannels,
    rows * kernelRow,
    kernelRow,
    kernelChannel,
    isPlanes ? input.strides[0] : 0,
    isPlanes ? input.strides[1] : 0,
    ...axis(0),
    ...axis(1),
    site.constancy(1),
    ...site.epilogue(),
  );
}

export const blockedFamily: NativeFamily = {
  operators: ['composite'],
  accepts: (node: Node) => isBlockedConvolution(node),
  emit,
  // Results come in runs of the positions of a block.
  takesEpilogue: (node) => numel(specOf(node.output).sizes.slice(2)) >= 256,
  affineFeatures: () => [1, 4],
};
