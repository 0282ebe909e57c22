// Gradients against central differences in float64, first and second order, for operators of every family; and the laws
// of the tape: linearity, views and in-place writes give the gradients of the copies that they stand for.
import { expect, test } from '@jest/globals';
import * as w from '../index.ts';
import type { Tensor } from '../index.ts';
import { F, grad, manualSeed, noGrad } from '../index.ts';

type Program = (...inputs: Tensor[]) => Tensor;
const f64 = { dtype: 'float64' } as const;
const make = (sizes: readonly number[]): Tensor => w.randn([...sizes], f64);
const positive = (x: Tensor): Tensor => x.abs().add(0.5);

const programs: Record<string, [sizes: number[][], program: Program]> = {
  'a quotient with broadcasting': [[[3, 1], [4]], (x, y) => x.div(positive(y))],
  'powers and roots': [[[5]], (x) => positive(x).pow(2.5).add(positive(x).sqrt()).add(positive(x).rsqrt())],
  'exponentials and logarithms': [[[4]], (x) => x.exp().log1p().mul(x.expm1())],
  trigonometry: [[[4]], (x) => x.sin().mul(x.cos()).add(x.atan()).add(x.tan().mul(0.1))],
  'hyperbolic functions': [[[4]], (x) => x.tanh().add(x.sinh()).mul(x.cosh()).add(x.asinh())],
  'error functions': [[[4]], (x) => x.erf().add(x.erfc().mul(x))],
  activations: [
    [[6]],
    (x) => F.gelu(x).add(F.silu(x)).add(F.softplus(x)).add(F.elu(x)).add(F.leakyRelu(x, 0.1)),
  ],
  'a matrix product': [
    [
      [3, 4],
      [4, 2],
    ],
    (x, y) => x.mm(y),
  ],
  'a batched matrix product with broadcasting': [
    [
      [2, 1, 3, 4],
      [5, 4, 2],
    ],
    (x, y) => x.matmul(y),
  ],
  einsum: [
    [
      [2, 3, 4],
      [3, 5, 4],
    ],
    (x, y) => w.einsum('bij,ikj->bk', [x, y]),
  ],
  softmax: [[[3, 4]], (x) => x.softmax(1).mul(x)],
  'log softmax': [[[3, 4]], (x) => x.logSoftmax(0).mul(x)],
  logsumexp: [[[3, 4]], (x) => x.logsumexp(1)],
  'mean, variance and deviation': [[[3, 4]], (x) => x.mean(0).add(x.var(0)).add(x.std(0))],
  norms: [[[3, 4]], (x) => x.norm(2, 1).add(x.norm(3, 1))],
  products: [[[3, 4]], (x) => x.prod(1)],
  'running totals': [[[3, 4]], (x) => x.cumsum(1).mul(x.cumprod(0))],
  extremes: [[[3, 4]], (x) => x.amax(1).add(x.min(1)[0]).add(x.max())],
  sorting: [[[7]], (x) => x.sort()[0].mul(w.arange(7, f64))],
  'the largest': [[[7]], (x) => x.topk(3)[0].pow(2)],
  shapes: [[[2, 3, 4]], (x) => x.permute(2, 0, 1).reshape(4, 6).t().flatten().unsqueeze(1).expand(24, 2)],
  'slices and joins': [
    [[4, 3]],
    (x) => w.cat([x.slice(0, 1, 3), x.select(0, 0).unsqueeze(0), x.flip(1)], 0).mul(2),
  ],
  'stacks, rolls and repeats': [[[3]], (x) => w.stack([x, x.roll(1), x.mul(x)]).repeat(2, 1)],
  'gather and scatter': [
    [
      [3, 4],
      [3, 2],
    ],
    (x, y) => {
      const index = w.tensor([
        [0, 2],
        [3, 1],
        [1, 1],
      ]);
      return x
        .gather(1, index)
        .mul(y)
        .add(x.scatterAdd(1, index, y).sum());
    },
  ],
  indexing: [[[4, 3]], (x) => x.index([w.tensor([0, 2, 2])]).mul(x.index([null, w.tensor([1])]).sum())],
  embedding: [
    [[5, 3]],
    (x) =>
      F.embedding(
        w.tensor([
          [1, 4],
          [1, 0],
        ]),
        x,
      ).pow(2),
  ],
  'triangles and diagonals': [[[4, 4]], (x) => x.tril().add(x.triu(1).mul(3)).diagonal().add(x.trace())],
  'where, clamp and masks': [
    [[6]],
    (x) => w.where(x.gt(0), x.pow(2), x.mul(3)).clamp(-1, 1).maskedFill(x.lt(-1), 0),
  ],
  'a convolution': [[[2, 2, 5, 5], [3, 2, 3, 3], [3]], (x, k, b) => F.conv2d(x, k, b, 2, 1)],
  'a grouped, dilated convolution': [
    [
      [1, 4, 7],
      [4, 2, 2],
    ],
    (x, k) => F.conv1d(x, k, null, 1, 0, 2, 2),
  ],
  'a transposed convolution': [
    [
      [1, 2, 3, 3],
      [2, 3, 2, 2],
    ],
    (x, k) => F.convTranspose2d(x, k, null, 2),
  ],
  pooling: [[[1, 2, 6, 6]], (x) => F.maxPool2d(x, 2).add(F.avgPool2d(x, 2)).add(F.adaptiveAvgPool2d(x, 3))],
  padding: [[[1, 2, 4]], (x) => F.pad(x, [1, 2]).mul(2)],
  'layer norm': [[[3, 4], [4], [4]], (x, g, b) => F.layerNorm(x, [4], g, b)],
  'batch norm in training': [[[5, 3], [3], [3]], (x, g, b) => F.batchNorm(x, null, null, g, b, true)],
  'layer norm over two dimensions, without parameters': [[[2, 3, 4]], (x) => F.layerNorm(x, [3, 4])],
  'batch norm of images': [[[2, 3, 2, 2], [3], [3]], (x, g, b) => F.batchNorm(x, null, null, g, b, true)],
  'group norm': [[[2, 4, 3], [4], [4]], (x, g, b) => F.groupNorm(x, 2, g, b)],
  'cross entropy': [[[3, 4]], (x) => F.crossEntropy(x, w.tensor([1, 0, 3]), null, -100, 'mean', 0.1)],
  'mean squared and huber': [[[4], [4]], (x, y) => F.mseLoss(x, y).add(F.huberLoss(x, y, 'sum', 0.3))],
  'binary cross entropy': [[[4]], (x) => F.binaryCrossEntropyWithLogits(x, w.tensor([1, 0, 0.5, 1], f64))],
  'in-place writes': [
    [[3, 3], [3]],
    (x, y) => {
      const z = x.mul(2);
      z.select(0, 1).mul_(y);
      z.t().select(0, 0).copy_(y.mul(y));
      z.diagonal().add_(x.select(0, 0));
      return z.mul(z);
    },
  ],
  'a chain of in-place operators': [[[4]], (x) => x.mul(1).add_(2).mul_(x).sin_()],
};

/** The largest difference between the gradient of sum(program * weight) and central differences. */
function gradientError(inputs: Tensor[], program: Program, order: 1 | 2): number {
  const leaves = inputs.map((input) => input.detach().clone().requiresGrad_());
  const result = program(...leaves);
  const weight = make(result.sizes);
  const scalar = (at: readonly Tensor[]): Tensor => {
    const total = program(...at)
      .mul(weight)
      .sum();
    if (order === 1) return total;
    const first = grad(total, at, null, { createGraph: true, allowUnused: true });
    return first.reduce<Tensor>(
      (sum, g, index) => (g === null ? sum : sum.add(g.mul(directions[index]).sum())),
      w.zeros([], f64),
    );
  };
  const directions = inputs.map((input) => make(input.sizes));
  const value = scalar(leaves);
  const exact = value.requiresGrad
    ? grad(value, leaves, null, { allowUnused: true })
    : leaves.map(() => null);
  const along = inputs.map((input) => make(input.sizes));
  const step = 1e-6;
  const shifted = (sign: number): number => {
    const moved = leaves.map((leaf, index) =>
      noGrad(() => leaf.add(along[index].mul(sign * step))).requiresGrad_(),
    );
    return scalar(moved).item();
  };
  const difference = (shifted(1) - shifted(-1)) / (2 * step);
  const predicted = exact.reduce(
    (sum, g, index) => sum + (g === null ? 0 : g.mul(along[index]).sum().item()),
    0,
  );
  return Math.abs(difference - predicted) / Math.max(1, Math.abs(predicted));
}

test.each(Object.keys(programs))('the gradient of %s agrees with central differences', (name) => {
  const [sizes, program] = programs[name];
  manualSeed(11);
  expect(gradientError(sizes.map(make), program, 1)).toBeLessThan(1e-6);
});

test.each(Object.keys(programs))('the second derivative of %s agrees with central differences', (name) => {
  const [sizes, program] = programs[name];
  manualSeed(12);
  expect(gradientError(sizes.map(make), program, 2)).toBeLessThan(1e-5);
});

test('gradients are linear in the weights of the outputs', () => {
  const x = make([3, 4]).requiresGrad_();
  const y = x.matmul(x.t()).tanh();
  const [a, b] = [make([3, 3]), make([3, 3])];
  const of = (weight: Tensor): Tensor => grad(y, x, weight, { retainGraph: true })[0]!;
  expect(of(a.mul(2).add(b)).sub(of(a).mul(2)).sub(of(b)).abs().max().item()).toBeLessThan(1e-12);
});
