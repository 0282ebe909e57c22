// Backward operators of convolutions and products.
import type { CoreBuilder, Value } from '@weft/ir';
import { numel } from '@weft/ir';
import { lowerings } from './operator.ts';
import { range, rankOf, sizesOf } from './broadcast.ts';
import { dtypeOf } from './elementwise.ts';
import { cotangentsOf, lowerNamed } from './backward.ts';

type Sizes = readonly number[];
type Mask = readonly boolean[];

const masked = (values: readonly Value[], mask: Mask): (Value | null)[] =>
  values.map((value, index) => (mask[index] ? value : null));

interface Geometry {
  readonly stride: Sizes;
  readonly padding: Sizes;
  readonly dilation: Sizes;
  readonly transposed: boolean;
  readonly outputPadding: Sizes;
  readonly groups: number;
}
const plainGeometry = (stride: Sizes, padding: Sizes, dilation: Sizes = [1], groups = 1): Geometry => ({
  stride,
  padding,
  dilation,
  transposed: false,
  outputPadding: [0],
  groups,
});

const convolution = (b: CoreBuilder, x: Value, w: Value, bias: Value | null, g: Geometry): Value =>
  lowerNamed(b, 'convolution', [
    x,
    w,
    bias,
    g.stride,
    g.padding,
    g.dilation,
    g.transposed,
    g.outputPadding,
    g.groups,
  ]) as Value;

/** Cotangents of input, weight and bias. */
function convolutionBackward(b: CoreBuilder, grad: Value, x: Value, w: Value, g: Geometry): Value[] {
  const [gx, gw] = cotangentsOf(b, [x, w], (inner, y, v) => convolution(inner, y, v, null, g), [grad]);
  const channels = rankOf(grad) - (rankOf(w) - 1);
  const others = range(rankOf(grad)).filter((dim) => dim !== channels);
  return [gx, gw, b.reduceSum(grad, others)];
}

/** The derivative of convolution_backward by its cotangent, the input and the weight. */
function doubleBackward(
  b: CoreBuilder,
  ggInput: Value | null,
  ggWeight: Value | null,
  ggBias: Value | null,
  grad: Value,
  weight: Value,
  input: Value,
  stride: Sizes,
  padding: Sizes,
  dilation: Sizes,
  transposed: boolean,
  outputPadding: Sizes,
  groups: number,
  mask: Mask,
): (Value | null)[] {
  const g = { stride, padding, dilation, transposed, outputPadding, groups };
  const parts: Value[] = [];
  if (ggInput !== null) parts.push(convolution(b, ggInput, weight, null, g));
  if (ggWeight !== null) parts.push(convolution(b, input, ggWeight, null, g));
  if (ggBias !== null) parts.push(b.broadcastInDim(ggBias, sizesOf(grad), [1]));
  const ggGrad = parts.length === 0 ? null : parts.reduce((x, y) => b.add(x, y));
  const gInput = ggWeight && convolutionBackward(b, grad, input, ggWeight, g)[0];
  const gWeight = ggInput && convolutionBackward(b, grad, ggInput, weight, g)[1];
  return [mask[0] ? ggGrad : null, mask[1] ? gInput : null, mask[2] ? gWeight : null];
}

/** Cotangents of the input, the weight and the bias of `input weight^T + bias`. */
function linearBackward(b: CoreBuilder, input: Value, grad: Value, weight: Value): Value[] {
  const [gx, gw] = cotangentsOf(
    b,
    [input, weight],
    (inner, x, w) => lowerNamed(inner, 'linear', [x, w, null]),
    [grad],
  );
  return [gx, gw, b.reduceSum(grad, range(rankOf(grad) - 1))];
}

lowerings({
  'aten::_convolution_double_backward': doubleBackward,
  'aten::convolution_backward_overrideable': (
    b,
    grad: Value,
    input: Value,
    weight: Value,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    transposed: boolean,
    outputPadding: Sizes,
    groups: number,
    mask: Mask,
  ) => {
    const g = { stride, padding, dilation, transposed, outputPadding, groups };
    return masked(convolutionBackward(b, grad, input, weight, g), mask);
  },
  'aten::_slow_conv2d_backward.output_mask': (
    b,
    grad: Value,
    self: Value,
    weight: Value,
    _kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    mask: Mask,
  ) => masked(convolutionBackward(b, grad, self, weight, plainGeometry(stride, padding)), mask),
  'aten::_slow_conv2d_backward.grad_input': (
    b,
    grad: Value,
    self: Value,
    weight: Value,
    _kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
  ) => convolutionBackward(b, grad, self, weight, plainGeometry(stride, padding)),
  'aten::conv_tbc_backward': (b, grad: Value, input: Value, weight: Value, bias: Value, pad: number) =>
    cotangentsOf(
      b,
      [input, weight, bias],
      (inner, x, w, c) => lowerNamed(inner, 'conv_tbc', [x, w, c, pad]),
      [grad],
    ),
  'aten::_nnpack_spatial_convolution': (
    b,
    input: Value,
    weight: Value,
    bias: Value | null,
    padding: Sizes,
    stride: Sizes,
  ) => convolution(b, input, weight, bias, plainGeometry(stride, padding)),
  'aten::linear_backward': (b, self: Value, grad: Value, weight: Value, mask: Mask) =>
    masked(linearBackward(b, self, grad, weight), mask),
  'aten::matmul_backward': (b, grad: Value, self: Value, other: Value, mask: Mask) =>
    masked(
      cotangentsOf(b, [self, other], (inner, x, y) => lowerNamed(inner, 'matmul', [x, y]), [grad]),
      mask,
    ),
});

// ---- MKL-DNN -----------------------------------------------------------------------------------------------------
// Its tensors are ordinary ones here, so that its operators are the plain ones, with arguments in an order of their own.

const asMatrix = (b: CoreBuilder, x: Value): Value => {
  const sizes = sizesOf(x);
  return b.reshape(x, [numel(sizes.slice(0, -1)), sizes.at(-1) ?? 1]);
};
const same = (_b: CoreBuilder, self: Value): Value => self;

for (const spatial of [2, 3]) {
  lowerings({
    [`aten::mkldnn_max_pool${spatial}d`]: (
      b: CoreBuilder,
      self: Value,
      ...window: [Sizes, Sizes, Sizes, Sizes, boolean]
    ) => lowerNamed(b, `max_pool${spatial}d`, [self, ...window]),
    [`aten::mkldnn_max_pool${spatial}d_backward`]: (
      b: CoreBuilder,
      grad: Value,
      _output: Value,
      input: Value,
      ...window: [Sizes, Sizes, Sizes, Sizes, boolean]
    ) =>
      cotangentsOf(b, [input], (inner, x) => lowerNamed(inner, `max_pool${spatial}d`, [x, ...window]), [
        grad,
      ])[0],
    [`aten::mkldnn_reorder_conv${spatial}d_weight`]: same,
  });
}

lowerings({
  'aten::mkldnn_convolution': (
    b,
    self: Value,
    weight: Value,
    bias: Value | null,
    padding: Sizes,
    stride: Sizes,
    dilation: Sizes,
    groups: number,
  ) => convolution(b, self, weight, bias, plainGeometry(stride, padding, dilation, groups)),
  'prim::mkldnn_convolution': (
    b,
    self: Value,
    weight: Value,
    bias: Value | null,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: number,
  ) => convolution(b, self, weight, bias, plainGeometry(stride, padding, dilation, groups)),
  'aten::mkldnn_linear': (b, self: Value, weight: Value, bias: Value | null) =>
    lowerNamed(b, 'linear', [self, weight, bias]),
  'aten::mkldnn_linear_backward': (b, self: Value, grad: Value, weight: Value, mask: Mask) =>
    masked(linearBackward(b, self, grad, weight), mask),
  'aten::mkldnn_linear_backward_input': (b, sizes: Sizes, grad: Value, weight: Value) =>
    linearBackward(b, b.full(0, dtypeOf(grad), sizes), grad, weight)[0],
  'aten::mkldnn_linear_backward_weights': (b, grad: Value, input: Value, weight: Value, hasBias: boolean) => {
    const [, gw, gb] = linearBackward(b, asMatrix(b, input), asMatrix(b, grad), weight);
    return [gw, hasBias ? gb : null];
  },
  'aten::mkldnn_adaptive_avg_pool2d': (b, self: Value, output: Sizes) =>
    lowerNamed(b, 'adaptive_avg_pool2d', [self, output]),
  'aten::mkldnn_adaptive_avg_pool2d_backward': (b, grad: Value, self: Value) =>
    cotangentsOf(
      b,
      [self],
      (inner, x) => lowerNamed(inner, 'adaptive_avg_pool2d', [x, sizesOf(grad).slice(-2)]),
      [grad],
    )[0],
  'aten::_mkldnn_reshape': (b, self: Value, shape: Sizes) => lowerNamed(b, 'reshape', [self, shape]),
  'aten::_mkldnn_transpose': (b, self: Value, dim0: number, dim1: number) =>
    lowerNamed(b, 'transpose.int', [self, dim0, dim1]),
});
