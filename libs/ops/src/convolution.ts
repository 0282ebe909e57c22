// Convolutions of 1 to 3 spatial dimensions: plain, transposed, grouped, dilated, with padding given in numbers or by name.
import type { CoreBuilder, Value } from '@weft/ir';
import { lowerings } from './operator.ts';
import { cppName, printName } from './promotion.ts';
import { check, expandList, fail, range, rankOf, sizesOf } from './broadcast.ts';
import { dtypeOf } from './elementwise.ts';
import { insertDim } from './shapes.ts';
import type { ResultLayout } from './result-layout.ts';
import { geometryOf, imageStrides, layouts, suggestedBy } from './result-layout.ts';
import { contiguousStrides } from './strides.ts';

type Sizes = readonly number[];
const show = (sizes: Sizes): string => `[${sizes.join(', ')}]`;

interface ConvolutionArguments {
  readonly stride: Sizes;
  /** Low and high of each dimension. */
  readonly padding: readonly (readonly [number, number])[];
  readonly dilation: Sizes;
  readonly transposed: boolean;
  readonly outputPadding: Sizes;
  readonly groups: number;
}

function checkOperands(
  input: Value,
  weight: Value,
  bias: Value | null,
  { padding, dilation, groups, transposed, stride }: ConvolutionArguments,
): void {
  const [xs, ws] = [sizesOf(input), sizesOf(weight)];
  if (bias !== null) {
    check(
      dtypeOf(input) === dtypeOf(bias),
      () =>
        `Input type (${cppName(dtypeOf(input))}) and bias type (${cppName(dtypeOf(bias))}) should be the same`,
    );
  }
  check(
    dtypeOf(input) === dtypeOf(weight),
    () => `expected scalar type ${printName(dtypeOf(input))} but found ${printName(dtypeOf(weight))}`,
  );
  check(
    stride.every((each) => each > 0),
    () => 'non-positive stride is not supported',
  );
  check(
    dilation.every((each) => each > 0),
    () => 'dilation should be greater than zero',
  );
  const channels = transposed ? ws[0] : ws[1] * groups;
  const outputs = transposed ? ws[1] * groups : ws[0];
  check(
    xs[1] === channels,
    () =>
      `Given ${transposed ? 'transposed=1' : `groups=${groups}`}, weight of size ${show(ws)}, expected input${show(xs)} to have ${channels} channels, but got ${xs[1]} channels instead`,
  );
  check(
    transposed || ws[0] % groups === 0,
    () =>
      `Given groups=${groups}, expected weight to be divisible by ${groups} at dimension 0, but got weight of size ${show(ws)} instead`,
  );
  if (bias !== null) {
    check(rankOf(bias) === 1 && sizesOf(bias)[0] === outputs, () =>
      `Given ${transposed ? 'transposed=1' : ''}, weight of size ${show(ws)}, expected bias to be 1-dimensional with ${outputs} elements, but got bias of size ${show(sizesOf(bias))} instead`.replace(
        'Given , ',
        'Given ',
      ),
    );
  }
  if (transposed) return;
  const padded = xs.slice(2).map((size, dim) => size + padding[dim][0] + padding[dim][1]);
  const kernel = ws.slice(2).map((size, dim) => dilation[dim] * (size - 1) + 1);
  if (padded.some((size, dim) => size < kernel[dim])) {
    fail(
      `Calculated padded input size per channel: (${padded.join(' x ')}). Kernel size: (${kernel.join(' x ')}). Kernel size can't be greater than actual input size`,
    );
  }
}

export function convolve(
  b: CoreBuilder,
  name: string,
  input: Value,
  weight: Value,
  bias: Value | null,
  options: ConvolutionArguments,
): Value {
  const spatial = Number(/(\d)d$/.exec(name)?.[1] ?? rankOf(weight) - 2);
  if (rankOf(input) !== spatial + 1 && rankOf(input) !== spatial + 2) {
    fail(
      `Expected ${spatial + 1}D (unbatched) or ${spatial + 2}D (batched) input to ${name}, but got input of size: ${show(sizesOf(input))}`,
    );
  }
  const batched = rankOf(input) === spatial + 2;
  const x = batched ? input : insertDim(b, input, 0);
  checkOperands(x, weight, bias, options);
  const result = options.transposed ? transposed(b, x, weight, options) : plain(b, x, weight, options);
  const shifted = bias === null ? result : b.add(result, b.broadcastInDim(bias, sizesOf(result), [1]));
  return batched ? shifted : b.reshape(shifted, sizesOf(shifted).slice(1));
}

const plain = (b: CoreBuilder, x: Value, weight: Value, o: ConvolutionArguments): Value =>
  b.convolution(x, weight, {
    windowStrides: o.stride,
    padding: o.padding,
    rhsDilation: o.dilation,
    featureGroupCount: o.groups,
  });

/** The derivative of a convolution by its input: spread by the stride, then convolved with the turned kernel. */
function transposed(b: CoreBuilder, x: Value, weight: Value, o: ConvolutionArguments): Value {
  const [inputs, outputs, ...kernel] = sizesOf(weight);
  const spatial = range(kernel.length);
  const grouped = b.reshape(weight, [o.groups, inputs / o.groups, outputs, ...kernel]);
  const turned = b.reshape(b.transpose(grouped, [0, 2, 1, ...spatial.map((dim) => dim + 3)]), [
    o.groups * outputs,
    inputs / o.groups,
    ...kernel,
  ]);
  return b.convolution(
    x,
    b.reverse(
      turned,
      spatial.map((dim) => dim + 2),
    ),
    {
      windowStrides: kernel.map(() => 1),
      padding: spatial.map((dim) => {
        const reach = o.dilation[dim] * (kernel[dim] - 1);
        return [reach - o.padding[dim][0], reach - o.padding[dim][1] + o.outputPadding[dim]];
      }),
      lhsDilation: o.stride,
      rhsDilation: o.dilation,
      featureGroupCount: o.groups,
    },
  );
}

const both = (padding: Sizes): [number, number][] => padding.map((each) => [each, each]);

/** 'valid' pads nothing; 'same' keeps the size, the odd one at the end. */
function namedPadding(name: string, weight: Value, stride: Sizes, dilation: Sizes): [number, number][] {
  const kernel = sizesOf(weight).slice(2);
  if (name === 'valid') return kernel.map(() => [0, 0]);
  if (name !== 'same') fail(`Invalid padding string: '${name}'`);
  check(
    stride.every((each) => each === 1),
    () => "padding='same' is not supported for strided convolutions",
  );
  return kernel.map((size, dim) => {
    const total = dilation[dim] * (size - 1);
    return [Math.floor(total / 2), total - Math.floor(total / 2)];
  });
}

const none = (spatial: number): number[] => range(spatial).map(() => 0);

for (const spatial of [1, 2, 3]) {
  const name = `conv${spatial}d`;
  const options = (stride: Sizes, dilation: Sizes, groups: number) => ({
    stride: expandList(stride, spatial, 'stride'),
    dilation: expandList(dilation, spatial, 'dilation'),
    transposed: false,
    outputPadding: none(spatial),
    groups,
  });
  const transposeName = `conv_transpose${spatial}d`;
  lowerings({
    [`aten::${name}`]: (
      b: CoreBuilder,
      input: Value,
      weight: Value,
      bias: Value | null,
      stride: Sizes,
      padding: Sizes,
      dilation: Sizes,
      groups: number,
    ) =>
      convolve(b, name, input, weight, bias, {
        ...options(stride, dilation, groups),
        padding: both(expandList(padding, spatial, 'padding')),
      }),
    [`aten::${name}.padding`]: (
      b: CoreBuilder,
      input: Value,
      weight: Value,
      bias: Value | null,
      stride: Sizes,
      padding: string,
      dilation: Sizes,
      groups: number,
    ) => {
      const given = options(stride, dilation, groups);
      return convolve(b, name, input, weight, bias, {
        ...given,
        padding: namedPadding(padding, weight, given.stride, given.dilation),
      });
    },
    [spatial === 1 ? `aten::${transposeName}` : `aten::${transposeName}.input`]: (
      b: CoreBuilder,
      input: Value,
      weight: Value,
      bias: Value | null,
      stride: Sizes,
      padding: Sizes,
      outputPadding: Sizes,
      groups: number,
      dilation: Sizes,
    ) =>
      convolve(b, transposeName, input, weight, bias, {
        ...options(stride, dilation, groups),
        padding: both(expandList(padding, spatial, 'padding')),
        outputPadding: expandList(outputPadding, spatial, 'output_padding'),
        transposed: true,
      }),
  });
}

function general(
  b: CoreBuilder,
  input: Value,
  weight: Value,
  bias: Value | null,
  stride: Sizes,
  padding: Sizes,
  dilation: Sizes,
  isTransposed: boolean,
  outputPadding: Sizes,
  groups: number,
): Value {
  const spatial = rankOf(weight) - 2;
  return convolve(b, `conv${isTransposed ? '_transpose' : ''}${spatial}d`, input, weight, bias, {
    stride: expandList(stride, spatial, 'stride'),
    padding: both(expandList(padding, spatial, 'padding')),
    dilation: expandList(dilation, spatial, 'dilation'),
    transposed: isTransposed,
    outputPadding: expandList(outputPadding, spatial, 'output_padding'),
    groups,
  });
}

/** Convolution of two spatial dimensions without groups, as older operators have it. */
const kernelSized = (
  b: CoreBuilder,
  input: Value,
  weight: Value,
  _kernel: Sizes,
  bias: Value | null,
  stride: Sizes,
  padding: Sizes,
  dilation: Sizes | null = null,
): Value => general(b, input, weight, bias, stride, padding, dilation ?? [1], false, [0], 1);

lowerings({
  'aten::convolution': general,
  'aten::_convolution': general,
  'aten::_convolution.deprecated': general,
  'aten::convolution_overrideable': general,
  'aten::_convolution_mode': (
    b,
    input: Value,
    weight: Value,
    bias: Value | null,
    stride: Sizes,
    padding: string,
    dilation: Sizes,
    groups: number,
  ) => {
    const spatial = rankOf(weight) - 2;
    const [steps, spaces] = [
      expandList(stride, spatial, 'stride'),
      expandList(dilation, spatial, 'dilation'),
    ];
    return convolve(b, `conv${spatial}d`, input, weight, bias, {
      stride: steps,
      dilation: spaces,
      padding: namedPadding(padding, weight, steps, spaces),
      transposed: false,
      outputPadding: none(spatial),
      groups,
    });
  },
  'aten::thnn_conv2d': kernelSized,
  'aten::slow_conv3d': kernelSized,
  'aten::slow_conv3d_forward': kernelSized,
  'aten::_slow_conv2d_forward': kernelSized,
  'aten::conv_depthwise3d': (
    b,
    input: Value,
    weight: Value,
    _kernel: Sizes,
    bias: Value | null,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
  ) =>
    general(b, input, weight, bias, stride, padding, dilation, false, [0], sizesOf(input)[rankOf(input) - 4]),
  'aten::slow_conv_dilated2d': kernelSized,
  'aten::slow_conv_dilated3d': kernelSized,
  'aten::_conv_depthwise2d': (
    b,
    input: Value,
    weight: Value,
    _kernel: Sizes,
    bias: Value | null,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
  ) =>
    general(b, input, weight, bias, stride, padding, dilation, false, [0], sizesOf(input)[rankOf(input) - 3]),
  'aten::slow_conv_transpose2d': (
    b,
    input: Value,
    weight: Value,
    _kernel: Sizes,
    bias: Value | null,
    stride: Sizes,
    padding: Sizes,
    outputPadding: Sizes,
    dilation: Sizes,
  ) => general(b, input, weight, bias, stride, padding, dilation, true, outputPadding, 1),
  'aten::slow_conv_transpose3d': (
    b,
    input: Value,
    weight: Value,
    _kernel: Sizes,
    bias: Value | null,
    stride: Sizes,
    padding: Sizes,
    outputPadding: Sizes,
    dilation: Sizes,
  ) => general(b, input, weight, bias, stride, padding, dilation, true, outputPadding, 1),
  /** Time, batch, channel; the kernel is time, input, output. */
  'aten::conv_tbc': (b, self: Value, weight: Value, bias: Value, pad: number) => {
    const result = b.convolution(self, weight, {
      windowStrides: [1],
      padding: [[pad, pad]],
      inputDimensions: [1, 2, 0],
      kernelDimensions: [2, 1, 0],
      outputDimensions: [1, 2, 0],
    });
    return b.add(result, b.broadcastInDim(bias, sizesOf(result), [2]));
  },
});

/**
 * Images stay channels last when they or the kernel are; without a batch there is one of size 1. Signals are made row-major
 * and become images of one row, so that the kernel decides alone. Transposed convolutions, and those of volumes, are
 * row-major.
 */
const convolvedLayout = (transposed: number | null): ResultLayout => ({
  kind: 'strides',
  follows: true,
  gradients: suggestedBy(0, 1),
  strides: (site, sizes) => {
    const [input, kernel] = [geometryOf(site, 0), geometryOf(site, 1)];
    const spatial = kernel.sizes.length - 2;
    if (spatial > 2 || (transposed !== null && site.args[transposed] === true)) {
      return contiguousStrides(sizes);
    }
    return spatial === 1
      ? imageStrides(sizes, 1, [{ ...kernel, isBatched: true }])
      : imageStrides(sizes, 2, [
          { ...input, isBatched: input.sizes.length === 4 },
          { ...kernel, isBatched: true },
        ]);
  },
});

layouts({
  'aten::conv1d': convolvedLayout(null),
  'aten::conv1d.padding': convolvedLayout(null),
  'aten::conv2d': convolvedLayout(null),
  'aten::conv2d.padding': convolvedLayout(null),
  'aten::convolution': convolvedLayout(6),
  'aten::_convolution': convolvedLayout(6),
  'aten::_convolution.deprecated': convolvedLayout(6),
  'aten::convolution_overrideable': convolvedLayout(6),
  'aten::_convolution_mode': convolvedLayout(null),
  'aten::thnn_conv2d': convolvedLayout(null),
  'aten::_slow_conv2d_forward': convolvedLayout(null),
  'aten::slow_conv_dilated2d': convolvedLayout(null),
});
