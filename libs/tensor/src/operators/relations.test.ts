// Operators that PyTorch's CPU build does not run on ordinary tensors (of MKL-DNN, of GPUs, of several processes), by what
// they must be equal to: operators whose results are recorded.
import { describe, expect, test } from '@jest/globals';
import type { IValue } from '@weft/ir';
import type { Tensor } from '../index.ts';
import { F, callOperator, cat, grad, manualSeed, optim, randn, tensor, zeros } from '../index.ts';

const call = (name: string, ...args: unknown[]): unknown => callOperator(`aten::${name}`, args as IValue[]);
const one = (name: string, ...args: unknown[]): Tensor => call(name, ...args) as Tensor;
const many = (name: string, ...args: unknown[]): Tensor[] => call(name, ...args) as Tensor[];
const normal = (...sizes: number[]): Tensor => randn(sizes);
const positive = (...sizes: number[]): Tensor => randn(sizes).abs().add(0.5);

function expectClose(actual: Tensor | null, expected: Tensor | null): void {
  if (actual === null || expected === null) return expect(actual).toBe(expected);
  expect(actual.shape).toEqual(expected.shape);
  const [x, y] = [actual, expected].map((each) => Array.from(each.data as ArrayLike<number>));
  x.forEach((value, index) =>
    expect(Math.abs(value - y[index])).toBeLessThan(1e-4 * (1 + Math.abs(y[index]))),
  );
}
const expectAll = (actual: readonly (Tensor | null)[], expected: readonly (Tensor | null)[]): void => {
  expect(actual.length).toBe(expected.length);
  actual.forEach((each, index) => expectClose(each, expected[index]));
};

/** Cotangents of the inputs of `body` from ones like its result times `g`. */
function gradients(
  inputs: readonly Tensor[],
  g: Tensor,
  body: (...inputs: Tensor[]) => Tensor,
): (Tensor | null)[] {
  const leaves = inputs.map((each) => each.detach().clone().requiresGrad_());
  return grad([body(...leaves)], leaves, [g]) as (Tensor | null)[];
}

describe('MKL-DNN operators are the plain ones', () => {
  manualSeed(1);
  const [x, w, bias] = [normal(2, 4, 6, 5), normal(6, 2, 3, 3), normal(6)];
  const convolution = one('conv2d', x, w, bias, [2n, 1n], [1n, 0n], [1n, 1n], 2n);
  test('convolution', () => {
    expectClose(one('mkldnn_convolution', x, w, bias, [1n, 0n], [2n, 1n], [1n, 1n], 2n), convolution);
    const prim = callOperator('prim::mkldnn_convolution', [
      x,
      w,
      bias,
      [2n, 1n],
      [1n, 0n],
      [1n, 1n],
      2n,
    ] as unknown as IValue[]);
    expectClose(prim as unknown as Tensor, convolution);
    expectClose(
      one('_nnpack_spatial_convolution', x, normal(6, 4, 3, 3).mul(0), bias, [1n, 1n]),
      one('conv2d', x, zeros([6, 4, 3, 3]), bias, 1n, [1n, 1n]),
    );
    expectClose(one('mkldnn_reorder_conv2d_weight', w), w);
  });
  test('linear and its derivatives', () => {
    const [input, weight, shift, g] = [normal(2, 3, 4), normal(5, 4), normal(5), normal(2, 3, 5)];
    expectClose(one('mkldnn_linear', input, weight, shift), F.linear(input, weight, shift));
    const expected = gradients([input, weight, shift], g, (p, q, r) => F.linear(p, q, r));
    expectAll(many('mkldnn_linear_backward', input, g, weight, [true, true, true]), expected);
    expectAll(many('linear_backward', input, g, weight, [true, true, false]), [
      expected[0],
      expected[1],
      null,
    ]);
    expectClose(one('mkldnn_linear_backward_input', [2n, 3n, 4n], g, weight), expected[0]);
    expectAll(many('mkldnn_linear_backward_weights', g, input, weight, true), expected.slice(1));
    expectAll(many('mkldnn_linear_backward_weights', g, input, weight, false), [expected[1], null]);
  });
  test.each([2, 3])('max_pool%dd', (spatial) => {
    const input = spatial === 2 ? normal(1, 2, 5, 4) : normal(1, 2, 4, 4, 3);
    const window = [[2n], [2n], [1n], [1n], true];
    const pooled = one(`max_pool${spatial}d`, input, ...window);
    expectClose(one(`mkldnn_max_pool${spatial}d`, input, ...window), pooled);
    const g = normal(...pooled.shape);
    const [expected] = gradients([input], g, (p) => one(`max_pool${spatial}d`, p, ...window));
    expectClose(one(`mkldnn_max_pool${spatial}d_backward`, g, pooled, input, ...window), expected);
  });
  test('adaptive average', () => {
    const input = normal(1, 2, 5, 4);
    const g = normal(1, 2, 2, 3);
    expectClose(
      one('mkldnn_adaptive_avg_pool2d', input, [2n, 3n]),
      one('adaptive_avg_pool2d', input, [2n, 3n]),
    );
    const [expected] = gradients([input], g, (p) => one('adaptive_avg_pool2d', p, [2n, 3n]));
    expectClose(one('mkldnn_adaptive_avg_pool2d_backward', g, input), expected);
  });
  test('shapes', () => {
    expectClose(one('_mkldnn_reshape', x, [4n, -1n]), x.reshape([4, -1]));
    expectClose(one('_mkldnn_transpose', x, 0n, 2n), x.transpose(0, 2));
  });
});

test('matmul_backward', () => {
  manualSeed(2);
  const [x, y, g] = [normal(2, 3, 4), normal(4, 5), normal(2, 3, 5)];
  const expected = gradients([x, y], g, (p, q) => p.matmul(q));
  expectAll(many('matmul_backward', g, x, y, [true, true]), expected);
  expectAll(many('matmul_backward', g, x, y, [false, true]), [null, expected[1]]);
});

describe('a batch norm over two processes is that of the whole batch', () => {
  manualSeed(3);
  const [x, weight, bias, g] = [normal(5, 3, 2), positive(3), normal(3), normal(5, 3, 2)];
  const halves = [x.slice(0, 0, 2), x.slice(0, 2, 5)].map((each) => each.contiguous());
  const cotangents = [g.slice(0, 0, 2), g.slice(0, 2, 5)].map((each) => each.contiguous());
  const counts = tensor([4, 6], { dtype: 'float32' });
  const eps = 1e-3;
  const parts = halves.map((half) => many('batch_norm_stats', half, eps));
  const stacked = [0, 1].map((at) =>
    cat(
      parts.map((part) => part[at].reshape([1, 3])),
      0,
    ),
  );
  const running = (): Tensor[] => [zeros([3]), zeros([3]).add(1)];
  const [mean, variance] = running();
  const [allMean, allInverse] = many(
    'batch_norm_gather_stats_with_counts',
    x,
    stacked[0],
    stacked[1],
    mean,
    variance,
    0.3,
    eps,
    counts,
  );
  const [wholeMean, wholeVariance] = running();
  const [result, savedMean, savedInverse] = many(
    'native_batch_norm',
    x,
    weight,
    bias,
    wholeMean,
    wholeVariance,
    true,
    0.3,
    eps,
  );

  test('statistics', () => {
    expectAll([allMean, allInverse, mean, variance], [savedMean, savedInverse, wholeMean, wholeVariance]);
    const same = halves.map(() => many('batch_norm_stats', halves[0], eps));
    const both = [0, 1].map((at) =>
      cat(
        same.map((part) => part[at].reshape([1, 3])),
        0,
      ),
    );
    expectAll(many('batch_norm_gather_stats', x, both[0], both[1], null, null, 0.1, eps, 4n), same[0]);
  });
  test('the normalised batch', () => {
    const normalised = halves.map((half) =>
      one('batch_norm_elemt', half, weight, bias, allMean, allInverse, eps),
    );
    expectClose(cat(normalised, 0), result);
  });
  test('derivatives', () => {
    const reduced = halves.map((half, at) =>
      many('batch_norm_backward_reduce', cotangents[at], half, allMean, allInverse, weight, true, true, true),
    );
    const [sum, product, gradWeight, gradBias] = [0, 1, 2, 3].map((at) => reduced[0][at].add(reduced[1][at]));
    const inputs = halves.map((half, at) =>
      one(
        'batch_norm_backward_elemt',
        cotangents[at],
        half,
        allMean,
        allInverse,
        weight,
        sum,
        product,
        tensor([4, 6], { dtype: 'int32' }),
      ),
    );
    const expected = many(
      'native_batch_norm_backward',
      g,
      x,
      weight,
      null,
      null,
      savedMean,
      savedInverse,
      true,
      eps,
      [true, true, true],
    );
    expectAll([cat(inputs, 0), gradWeight, gradBias], expected);
    const none = many('batch_norm_backward_reduce', g, x, allMean, allInverse, weight, false, true, false);
    expect(none.map((each) => each === null)).toEqual([true, true, false, true]);
  });
});

describe('fused cells are the plain ones', () => {
  manualSeed(4);
  const [x, h, c] = [normal(2, 3), normal(2, 4), normal(2, 4)];
  test('lstm', () => {
    const [wi, wh, bi, bh] = [normal(16, 3), normal(16, 4), normal(16), normal(16)];
    const [hy, cy] = many('lstm_cell', x, [h, c], wi, wh, bi, bh);
    const [igates, hgates] = [F.linear(x, wi), F.linear(h, wh)];
    const [fusedH, fusedC, workspace] = many('_thnn_fused_lstm_cell', igates, hgates, c, bi, bh);
    expectAll([fusedH, fusedC], [hy, cy]);
    const [gh, gc] = [normal(2, 4), normal(2, 4)];
    const expected = many('_thnn_differentiable_lstm_cell_backward', gh, gc, igates, hgates, bi, bh, c, cy);
    expectAll(many('_thnn_fused_lstm_cell_backward', gh, gc, c, cy, workspace, true), expected);
    expectAll(many('_thnn_fused_lstm_cell_backward_impl', gh, gc, c, cy, workspace, false), [
      expected[0],
      expected[2],
      null,
    ]);
  });
  test('gru', () => {
    const [wi, wh, bi, bh] = [normal(12, 3), normal(12, 4), normal(12), normal(12)];
    const [igates, hgates] = [F.linear(x, wi), F.linear(h, wh)];
    const [hy, workspace] = many('_thnn_fused_gru_cell', igates, hgates, h, bi, bh);
    expectClose(hy, one('gru_cell', x, h, wi, wh, bi, bh));
    const g = normal(2, 4);
    const expected = many('_thnn_differentiable_gru_cell_backward', g, igates, hgates, h, bi, bh);
    expectAll(many('_thnn_fused_gru_cell_backward', g, workspace, true), expected);
    expectAll(many('_thnn_fused_gru_cell_backward', g, workspace, false), [
      ...expected.slice(0, 3),
      null,
      null,
    ]);
  });
});

describe('mixed precision', () => {
  test('an Adam step over lists is that of the optimizer', () => {
    manualSeed(5);
    const start = [normal(2, 3), normal(4)];
    const gradient = [normal(2, 3), normal(4)];
    const parameters = start.map((each) => each.clone());
    const state = (): Tensor[] => start.map((each) => each.mul(0));
    const [averages, squares] = [state(), state()];
    const steps = [tensor(1, { dtype: 'float32' }), tensor(1, { dtype: 'float32' })];
    const numbers = [0.1, 0.9, 0.99, 0.01, 1e-8, false, false];
    call(
      '_fused_adam_',
      parameters,
      gradient.map((each) => each.clone()),
      averages,
      squares,
      [],
      steps,
      ...numbers,
      null,
      null,
    );
    const leaves = start.map((each) => each.clone().requiresGrad_());
    leaves.forEach((leaf, at) => (leaf.grad = gradient[at]));
    new optim.Adam(leaves, { lr: 0.1, betas: [0.9, 0.99], weightDecay: 0.01 }).step();
    expectAll(
      parameters,
      leaves.map((each) => each.detach()),
    );
    const before = parameters.map((each) => each.clone());
    call(
      '_fused_adam_',
      parameters,
      gradient,
      averages,
      squares,
      [],
      steps,
      ...numbers,
      tensor(2, { dtype: 'float32' }),
      tensor(1, { dtype: 'float32' }),
    );
    expectAll(parameters, before);
  });

  test('gradients lose their scale, and infinities are found', () => {
    const grads = [tensor([2, 4], { dtype: 'float32' }), tensor([6], { dtype: 'float32' })];
    const found = tensor([0], { dtype: 'float32' });
    call('_amp_foreach_non_finite_check_and_unscale_', grads, found, tensor(0.5));
    expect([...grads, found].map((each) => each.tolist())).toEqual([[1, 2], [3], [0]]);
    call('_amp_foreach_non_finite_check_and_unscale_', [tensor([1, Infinity])], found, tensor(0.5));
    expect(found.tolist()).toEqual([1]);
  });

  test.each([
    [8, 0, 0, [8, 1]],
    [8, 1, 0, [16, 0]],
    [8, 1, 1, [4, 0]],
  ])('the scale %d after %d good steps, found %d: %j', (scale, tracker, found, expected) => {
    const [size, count] = [tensor([scale], { dtype: 'float32' }), tensor([tracker], { dtype: 'int32' })];
    call('_amp_update_scale_', size, count, tensor([found], { dtype: 'float32' }), 2, 0.5, 2n);
    expect([size.tolist(), count.tolist()].flat()).toEqual(expected);
  });
});

describe('operators without a meaning say why', () => {
  test.each([
    ['aten::to_sparse', 'tensors are dense'],
    ['aten::quantize_per_tensor', 'there are no tensors of quantized dtypes'],
    ['aten::cudnn_convolution', 'it belongs to a backend of PyTorch'],
    ['aten::sum.dim_DimnameList', 'tensors have no named dimensions'],
    ['aten::to_here', "PyTorch's RPC"],
    ['aten::_test_string_default', "PyTorch's own tests"],
  ])('%s', (name, reason) => {
    expect(() => callOperator(name, [])).toThrow(`operator ${name} is not supported: `);
    expect(() => callOperator(name, [])).toThrow(reason);
  });
});
