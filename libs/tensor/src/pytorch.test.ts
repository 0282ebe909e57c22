// Eager programs against PyTorch: gradients, in-place operators on views, errors, training, printing. The expected values
// come from tools/make-tensor-fixtures.py, whose functions are the twins of those below.
import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as w from './index.ts';
import { F, Parameter, Tensor, data, grad, manualSeed, nn, optim, tensor } from './index.ts';

type Plain = number | boolean | string | Plain[] | { error: string };
const expected = JSON.parse(readFileSync(join(__dirname, 'pytorch.fixture.json'), 'utf8')) as Record<
  string,
  Plain
>;

const leaf = (...sizes: number[]): Tensor => w.randn(sizes).requiresGrad_();
const f32 = { dtype: 'float32' } as const;

const programs: Record<string, () => unknown> = {
  gradient_of_a_chain() {
    const x = leaf(3, 4);
    x.mm(x.t()).tanh().mul(2).add(x.sum(1)).exp().sum().backward();
    return x.grad;
  },
  gradients_accumulate() {
    const x = leaf(3);
    x.mul(x).sum().backward();
    x.mul(3).sum().backward();
    return x.grad;
  },
  shared_subexpressions() {
    const x = leaf(4);
    const y = x.sin();
    y.mul(y).add(y.mul(x)).sum().backward();
    return x.grad;
  },
  second_derivative() {
    const x = leaf(3);
    const [g] = grad(x.pow(3).add(x.exp().mul(x)).sum(), x, null, { createGraph: true });
    g!.pow(2).sum().backward();
    return [g!.detach(), x.grad];
  },
  third_derivative() {
    const x = leaf(2);
    let y = x.sigmoid().mul(x.tanh()).sum();
    for (let order = 0; order < 2; order++) {
      const [g] = grad(y, x, null, { createGraph: true });
      y = g!.mul(x).sum();
    }
    return grad(y, x)[0];
  },
  gradient_penalty_through_layers() {
    const m = new nn.Sequential(new nn.Linear(3, 4), new nn.Tanh(), new nn.Linear(4, 1));
    const x = leaf(5, 3);
    const [g] = grad(m.forward(x).sum(), x, null, { createGraph: true });
    g!.norm(2, 1).sub(1).pow(2).mean().backward();
    return [...m.parameters()].flatMap((p) => (p.grad === null ? [] : [p.grad]));
  },
  in_place_on_a_view() {
    const x = leaf(3, 3);
    const y = x.mul(2);
    y.select(0, 1).mul_(x.select(0, 0));
    y.select(1, 2).fill_(7);
    y.mul(y).sum().backward();
    return x.grad;
  },
  view_made_before_the_base_changes() {
    const x = leaf(4);
    const y = x.clone();
    const v = y.slice(0, 1, 3);
    y.mul_(3);
    v.mul(v).sum().backward();
    return x.grad;
  },
  view_of_a_view_changes_in_place() {
    const x = leaf(2, 3, 4);
    const y = x.sin();
    const v = y.transpose(0, 2).select(0, 1);
    v.add_(x.select(2, 0).t());
    y.pow(2).sum().backward();
    return x.grad;
  },
  copy_into_a_slice_of_zeros() {
    const x = leaf(2, 3);
    const y = w.zeros(4, 3);
    y.slice(0, 1, 3).copy_(x);
    y.select(0, 0).copy_(x.select(0, 0).mul(5));
    y.mul(w.arange(12, f32).view(4, 3)).sum().backward();
    return x.grad;
  },
  in_place_chain() {
    const x = leaf(5);
    const y = x.mul(1);
    y.exp_().add_(1).mul_(x);
    y.sum().backward();
    return x.grad;
  },
  broadcast_gradients() {
    const [x, y, z] = [leaf(3, 1), leaf(4), leaf(1)];
    x.mul(y)
      .add(z.div(y.mul(y).add(1)))
      .sum()
      .backward();
    return [x.grad, y.grad, z.grad];
  },
  expanded_view() {
    const x = leaf(3, 1);
    x.expand(3, 4).mul(w.arange(4, f32)).sum().backward();
    return x.grad;
  },
  several_outputs() {
    const x = leaf(6);
    const [a, , c] = x.split(2);
    const [values] = x.sort();
    a.mul(c).sum().add(values.select(0, 1).mul(3)).backward();
    return x.grad;
  },
  indices_and_masks() {
    const x = leaf(4, 3);
    const i = tensor([0, 2, 2]);
    x.index([i])
      .sum()
      .add(
        x
          .index([x.gt(0)])
          .pow(2)
          .sum(),
      )
      .add(x.select(0, 1).select(0, 2).mul(4))
      .add(x.gather(1, tensor([[0], [1], [2], [1]])).sum())
      .backward();
    return x.grad;
  },
  hooks_change_gradients() {
    const x = leaf(3);
    const y = x.mul(2);
    y.registerHook((g) => g.mul(10));
    x.registerHook((g) => g.add(1));
    y.retainGrad();
    y.sum().backward();
    return [x.grad, y.grad];
  },
  gradient_with_weights() {
    const x = leaf(3);
    x.exp().backward(tensor([1.0, 0.5, 2.0]));
    return x.grad;
  },
  partial_gradient() {
    const [x, y] = [leaf(2), leaf(2)];
    return grad(x.mul(y).sum(), [y])[0];
  },
  detached_parts() {
    const x = leaf(3);
    x.mul(x.detach()).add(x).sum().backward();
    return x.grad;
  },
  where_and_clamp() {
    const x = leaf(6);
    w.where(x.gt(0), x.mul(2), x.mul(x)).clamp(-1, 2).sum().backward();
    return x.grad;
  },
  max_ties() {
    const x = tensor([1, 3, 3], { dtype: 'float32', requiresGrad: true });
    x.max().add(x.amax().mul(2)).backward();
    return x.grad;
  },
  half_precision() {
    const x = tensor([1, 2, 3], { dtype: 'float16', requiresGrad: true });
    x.mul(x).sum().backward();
    return [x.grad, x.grad?.dtype === 'float16'];
  },
  mixed_dtypes() {
    const x = leaf(3);
    x.to('float64').mul(w.arange(3)).sum().backward();
    return [x.grad, x.grad?.dtype === 'float32'];
  },

  leaf_changed_in_place: () => leaf(3).add_(1),
  view_of_leaf_changed_in_place: () => leaf(3).select(0, 0).mul_(2),
  saved_value_changed_in_place() {
    const y = leaf(3).exp();
    y.add_(1);
    y.sum().backward();
  },
  backward_twice() {
    const x = leaf(3);
    const y = x.mul(x).sum();
    y.backward();
    y.backward();
  },
  no_gradient_wanted: () => w.ones(3).sum().backward(),
  not_a_scalar: () => leaf(3).mul(2).backward(),
  integers_want_gradients: () => w.arange(3).requiresGrad_(),
  unused_input: () => grad(leaf(2).sum(), [leaf(2)]),
  expanded_written: () => w.zeros(1, 3).expand(2, 3).add_(1),
  in_place_shape: () => w.zeros(3).add_(w.zeros(2, 3)),
  in_place_dtype: () => w.arange(3).add_(1.5),
  out_wants_gradients: () => w.callOperator('aten::add.out', [leaf(2), leaf(2), 1n, w.zeros(2)]),
  several_views_changed_in_place: () => leaf(4).mul(1).split(2)[0].mul_(2),

  train_mlp_sgd() {
    const m = mlp();
    return train(m, new optim.SGD(m.parameters(), { lr: 0.1 }), points, 30, classify);
  },
  train_mlp_momentum() {
    const m = mlp();
    const o = new optim.SGD(m.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 0.01, nesterov: true });
    return train(m, o, points, 30, classify, { clip: 0.5, scheduler: new optim.StepLR(o, 5, 0.5) });
  },
  train_mlp_dampened() {
    const m = mlp();
    const o = new optim.SGD(m.parameters(), { lr: 0.05, momentum: 0.8, dampening: 0.3 });
    return train(m, o, points, 20, classify, { scheduler: new optim.LambdaLR(o, (e) => 1 / (1 + e)) });
  },
  train_mlp_adam() {
    const m = mlp();
    const o = new optim.Adam(m.parameters(), { lr: 0.01, weightDecay: 0.01, amsgrad: true });
    return train(m, o, points, 30, classify, { scheduler: new optim.CosineAnnealingLR(o, 20, 0.001) });
  },
  train_mlp_adamw() {
    const m = mlp();
    const o = new optim.AdamW(m.parameters(), { lr: 0.01 });
    const scheduler = new optim.OneCycleLR(o, { maxLr: 0.02, totalSteps: 40, cycleMomentum: false });
    return train(m, o, points, 30, classify, { scheduler });
  },
  train_mlp_rmsprop() {
    const m = mlp();
    const o = new optim.RMSprop(m.parameters(), { lr: 0.01, momentum: 0.5, centered: true });
    return train(m, o, points, 20, classify);
  },
  train_mlp_adagrad() {
    const m = mlp();
    const o = new optim.Adagrad(m.parameters(), { lr: 0.05, lrDecay: 0.01, weightDecay: 0.1 });
    return train(m, o, points, 20, classify);
  },
  train_convnet() {
    const norm = new nn.BatchNorm2d(4);
    const m = new nn.Sequential(
      new nn.Conv2d(1, 4, 3, { padding: 1, bias: false }),
      norm,
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      new nn.Conv2d(4, 8, 3),
      new nn.GELU(),
      new nn.AdaptiveAvgPool2d(1),
      new nn.Flatten(),
      new nn.Dropout(0.25),
      new nn.Linear(8, 3),
    );
    const o = new optim.Adam(m.parameters(), { lr: 0.01 });
    const losses = train(m, o, () => [w.rand(6, 1, 8, 8), w.randint(3, [6])], 15, classify);
    m.eval();
    return [losses, norm.running_mean, norm.running_var, m.forward(w.ones(1, 1, 8, 8))];
  },
  train_transformer() {
    class Model extends nn.Module {
      readonly embed = new nn.Embedding(11, 8);
      readonly layer = new nn.TransformerEncoderLayer(8, 2, {
        dimFeedforward: 16,
        dropout: 0,
        batchFirst: true,
      });
      readonly norm = new nn.LayerNorm(8);
      readonly head = new nn.Linear(8, 11);
      forward(x: Tensor): Tensor {
        const mask = w.full([x.size(1), x.size(1)], -Infinity).triu(1);
        return this.head.forward(this.norm.forward(this.layer.forward(this.embed.forward(x), mask)));
      }
    }
    const m = new Model();
    const nextToken = (model: Trainable, tokens: Tensor): Tensor =>
      F.crossEntropy(model.forward(tokens.slice(1, 0, -1)).reshape(-1, 11), tokens.slice(1, 1).reshape(-1));
    const o = new optim.AdamW(m.parameters(), { lr: 0.01 });
    return train(m, o, () => [w.randint(11, [3, 7])], 15, nextToken, { clip: 1 });
  },
  train_lstm() {
    class Model extends nn.Module {
      readonly lstm = new nn.LSTM(3, 5, { numLayers: 2, batchFirst: true, bidirectional: true });
      readonly head = new nn.Linear(10, 1);
      forward(x: Tensor): Tensor {
        return this.head.forward(this.lstm.forward(x)[0].select(1, -1));
      }
    }
    return regress(new Model(), [4, 6, 3]);
  },
  train_gru() {
    class Model extends nn.Module {
      readonly gru = new nn.GRU(3, 5);
      readonly head = new nn.Linear(5, 1);
      forward(x: Tensor): Tensor {
        return this.head.forward(this.gru.forward(x)[0].select(0, -1));
      }
    }
    return regress(new Model(), [6, 4, 3]);
  },
  dropout_of_a_transposed_tensor() {
    const x = w.arange(1, 31, 1, f32).reshape([5, 6]).t();
    return [
      w.dropout(x, 0.5, true),
      (w.nativeDropout(x, 0.5, true) as readonly Tensor[])[0],
      w.alphaDropout(x, 0.5, true),
      w.dropout_(x.clone(), 0.5, true),
    ];
  },
  data_loader_order() {
    const loader = new data.DataLoader<Tensor[]>(new data.TensorDataset(w.arange(7)), {
      batchSize: 3,
      shuffle: true,
    });
    return [0, 1].map(() => [...loader].map(([batch]) => batch));
  },
  printing() {
    manualSeed(0);
    const wants = { dtype: 'float32', requiresGrad: true } as const;
    const tensors = [
      tensor([1, 2, 3]),
      tensor([1.0, 2.5]),
      tensor(3, f32),
      tensor([true, false]),
      tensor([
        [1.0, -2.25],
        [1e-5, 100.0],
      ]),
      tensor([1e10, 1.0], f32),
      w.zeros(0),
      w.zeros(2, 0),
      tensor([1.0, NaN, Infinity], f32),
      w.arange(6, { dtype: 'float64' }).view(2, 3),
      w.arange(2000),
      w.randn(2, 2, 3),
      tensor([1, 1], wants),
      tensor([1, 1], wants).mul(2),
      tensor([1, 2], { dtype: 'int32' }),
      tensor([0.1, 0.22, 1000.5]),
      w.randn(40, 40),
      tensor(7),
      w.complex(tensor([1, 3], f32), tensor([2, -1], f32)),
      tensor([1e-8, 2e-8]),
      w.rand(30),
      tensor([1.5, 2], { dtype: 'float16' }),
    ];
    return tensors.map(String);
  },
};

interface Trainable extends nn.Module {
  forward(x: Tensor): Tensor;
}
interface TrainOptions {
  readonly clip?: number;
  readonly scheduler?: optim.LRScheduler;
}

function train(
  model: Trainable,
  optimizer: optim.Optimizer,
  batch: () => Tensor[],
  steps: number,
  lossOf: (model: Trainable, x: Tensor, y: Tensor) => Tensor,
  { clip, scheduler }: TrainOptions = {},
): number[] {
  return Array.from({ length: steps }, () => {
    optimizer.zeroGrad();
    const [x, y] = batch();
    const loss = lossOf(model, x, y);
    loss.backward();
    if (clip !== undefined) optim.clipGradNorm_(model.parameters(), clip);
    optimizer.step();
    scheduler?.step();
    return loss.item();
  });
}

const mlp = (): nn.Sequential =>
  new nn.Sequential(
    new nn.Linear(4, 16),
    new nn.ReLU(),
    new nn.Linear(16, 16),
    new nn.Tanh(),
    new nn.Linear(16, 3),
  );
const points = (): Tensor[] => [w.rand(8, 4).mul(2).sub(1), w.randint(3, [8])];
const classify = (model: Trainable, x: Tensor, y: Tensor): Tensor => F.crossEntropy(model.forward(x), y);
const regress = (model: Trainable, sizes: number[]): number[] =>
  train(
    model,
    new optim.SGD(model.parameters(), { lr: 0.1 }),
    () => [w.rand(sizes), w.rand(4, 1)],
    10,
    (m, x, y) => F.mseLoss(m.forward(x), y),
  );

function plain(value: unknown): Plain {
  if (value instanceof Tensor) return plain(value.tolist());
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return value as Plain;
}

function compare(actual: Plain, wanted: Plain, path: string): void {
  if (Array.isArray(wanted) && Array.isArray(actual)) {
    expect(`${path} ${actual.length}`).toBe(`${path} ${wanted.length}`);
    wanted.forEach((each, index) => compare(actual[index], each, `${path}[${index}]`));
  } else if (typeof wanted === 'number' && typeof actual === 'number') {
    const close = Math.abs(actual - wanted) <= 1e-6 + 1e-5 * Math.abs(wanted);
    if (!close) expect(`${path} ${actual}`).toBe(`${path} ${wanted}`);
  } else expect(`${path} ${JSON.stringify(actual)}`).toBe(`${path} ${JSON.stringify(wanted)}`);
}

test.each(Object.keys(expected))('%s', (name) => {
  manualSeed(0);
  const wanted = expected[name];
  if (typeof wanted === 'object' && !Array.isArray(wanted)) {
    let message = 'no error';
    try {
      programs[name]();
    } catch (error) {
      message = (error as Error).message.split('\n')[0];
    }
    expect(message).toBe(wanted.error);
  } else compare(plain(programs[name]()), wanted, name);
});

test('parameters are leaves that share the storage they were made from', () => {
  const values = w.zeros(2);
  const parameter = new Parameter(values);
  expect([parameter.isLeaf, parameter.requiresGrad]).toEqual([true, true]);
  w.noGrad(() => parameter.fill_(3));
  expect(values.tolist()).toEqual([3, 3]);
});
