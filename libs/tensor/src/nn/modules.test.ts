// Modules: names of state as PyTorch has them, what layers compute against their definitions, modes, loading, errors.
import { describe, expect, test } from '@jest/globals';
import * as w from '../index.ts';
import type { Tensor } from '../index.ts';
import { F, Parameter, manualSeed, nn, noGrad, tensor } from '../index.ts';

const names = (module: nn.Module): string[] => [...module.stateDict().keys()];
const gap = (a: Tensor, b: Tensor): number => a.sub(b).abs().max().item();

describe('names in state dicts are PyTorch’s', () => {
  const table: [name: string, make: () => nn.Module, keys: string[]][] = [
    ['Linear', () => new nn.Linear(2, 3), ['weight', 'bias']],
    ['Linear without bias', () => new nn.Linear(2, 3, { bias: false }), ['weight']],
    [
      'BatchNorm2d',
      () => new nn.BatchNorm2d(2),
      ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'],
    ],
    [
      'Sequential in Sequential',
      () => new nn.Sequential(new nn.Linear(1, 1), new nn.ReLU(), new nn.Sequential(new nn.PReLU())),
      ['0.weight', '0.bias', '2.0.weight'],
    ],
    [
      'two-layer bidirectional GRU',
      () => new nn.GRU(1, 1, { numLayers: 2, bidirectional: true }),
      ['l0', 'l0_reverse', 'l1', 'l1_reverse'].flatMap((suffix) =>
        ['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh'].map((kind) => `${kind}_${suffix}`),
      ),
    ],
    [
      'TransformerEncoderLayer',
      () => new nn.TransformerEncoderLayer(4, 2, { dimFeedforward: 3 }),
      [
        'self_attn.in_proj_weight',
        'self_attn.in_proj_bias',
        'self_attn.out_proj.weight',
        'self_attn.out_proj.bias',
        ...['linear1', 'linear2', 'norm1', 'norm2'].flatMap((name) => [`${name}.weight`, `${name}.bias`]),
      ],
    ],
  ];
  test.each(table)('%s', (_, make, keys) => expect(names(make())).toEqual(keys));
});

test('layers compute what their definitions say', () => {
  manualSeed(1);
  const x = w.randn(2, 4, 6);
  const linear = new nn.Linear(6, 3);
  expect(gap(linear.forward(x), x.matmul(linear.weight.t()).add(linear.bias!))).toBeLessThan(1e-6);
  const norm = new nn.LayerNorm(6);
  const scaled = x.sub(x.mean([2], true)).div(x.var([2], false, true).add(1e-5).sqrt());
  expect(gap(norm.forward(x), scaled)).toBeLessThan(1e-5);
  const embedding = new nn.Embedding(5, 3, { paddingIdx: 0 });
  expect(embedding.forward(tensor([0, 2])).tolist()).toEqual([
    [0, 0, 0],
    embedding.weight.select(0, 2).tolist(),
  ]);
  const bilinear = new nn.Bilinear(2, 3, 4);
  const [a, b] = [w.randn(5, 2), w.randn(5, 3)];
  expect(
    gap(bilinear.forward(a, b), w.einsum('bi,oij,bj->bo', [a, bilinear.weight, b]).add(bilinear.bias!)),
  ).toBeLessThan(1e-5);
});

test('attention is a softmax of scaled products', () => {
  manualSeed(2);
  const attention = new nn.MultiheadAttention(4, 1, { batchFirst: true });
  const x = w.randn(2, 3, 4);
  const [q, k, v] = attention.in_proj_weight.chunk(3).map((weight) => x.matmul(weight.t()));
  const mask = w.ones(3, 3, { dtype: 'bool' }).triu(1);
  const weights = q.matmul(k.transpose(1, 2)).div(2).maskedFill(mask, -Infinity).softmax(-1);
  const expected = attention.out_proj.forward(weights.matmul(v));
  const [output, averaged] = attention.forward(x, x, x, null, true, mask);
  expect(gap(output, expected)).toBeLessThan(1e-6);
  expect(gap(averaged!, weights)).toBeLessThan(1e-6);
  const padding = tensor([
    [false, false, true],
    [false, true, true],
  ]);
  const [, padded] = attention.forward(x, x, x, padding);
  expect(padded!.select(2, 2).abs().max().item()).toBe(0);
});

test('recurrent layers equal their cells step by step', () => {
  manualSeed(3);
  const lstm = new nn.LSTM(3, 2);
  const cell = new nn.LSTMCell(3, 2);
  cell.loadStateDict(new Map([...lstm.stateDict()].map(([key, value]) => [key.replace('_l0', ''), value])));
  const x = w.randn(4, 5, 3);
  let state: [Tensor, Tensor] | null = null;
  for (const step of x.unbind(0)) state = cell.forward(step, state);
  const [output, [h, c]] = lstm.forward(x);
  expect(gap(h.squeeze(0), state![0])).toBeLessThan(1e-6);
  expect(gap(c.squeeze(0), state![1])).toBeLessThan(1e-6);
  expect(gap(output.select(0, -1), state![0])).toBeLessThan(1e-6);
  const [single] = lstm.forward(x.select(1, 0));
  expect(gap(single, output.select(1, 0))).toBeLessThan(1e-6);
});

test('parameters are found wherever they are, once, in order', () => {
  const shared = new nn.Linear(2, 2);
  class Model extends nn.Module {
    readonly scale = new Parameter(w.ones(1));
    readonly first = shared;
    readonly again = shared;
    readonly list = new nn.ModuleList([new nn.ReLU(), new nn.Linear(1, 1, { bias: false })]);
  }
  const model = new Model();
  expect([...model.namedParameters()].map(([name]) => name)).toEqual([
    'scale',
    'first.weight',
    'first.bias',
    'list.1.weight',
  ]);
  expect([...model.namedModules()].map(([name]) => name)).toEqual(['', 'first', 'list', 'list.0', 'list.1']);
  model.eval();
  expect([...model.modules()].every((module) => !module.training)).toBe(true);
});

test('batch norm uses the batch in training and its statistics afterwards', () => {
  manualSeed(4);
  const norm = new nn.BatchNorm1d(3);
  const x = w.randn(8, 3);
  expect(norm.forward(x).mean(0).abs().max().item()).toBeLessThan(1e-6);
  expect(norm.num_batches_tracked.item()).toBe(1);
  norm.eval();
  const expected = x.sub(norm.running_mean).div(norm.running_var.add(1e-5).sqrt());
  expect(gap(norm.forward(x), expected)).toBeLessThan(1e-6);
  expect(norm.num_batches_tracked.item()).toBe(1);
});

test('a state dict goes back in; one that does not fit changes nothing and is explained', () => {
  const [from, to] = [new nn.Linear(2, 3), new nn.Linear(2, 3)];
  to.loadStateDict(from.stateDict());
  expect(to.weight.tolist()).toEqual(from.weight.tolist());
  expect(to.weight).not.toBe(from.weight);
  const wrong = new Map([
    ['weight', w.zeros(3, 3)],
    ['extra', w.zeros(1)],
  ]);
  expect(() => to.loadStateDict(wrong)).toThrow(
    [
      'Error(s) in loading state_dict for Linear:',
      'Unexpected key(s) in state_dict: "extra".',
      'Missing key(s) in state_dict: "bias".',
      'size mismatch for weight: copying a param with shape torch.Size([3, 3]) from checkpoint, the shape in current model is torch.Size([3, 2]).',
    ].join('\n\t'),
  );
  expect(to.weight.tolist()).toEqual(from.weight.tolist());
});

test('modules convert, clear their gradients, and print as PyTorch’s', () => {
  const model = new nn.Sequential(new nn.Linear(2, 3), new nn.ReLU());
  model.forward(w.ones(1, 2)).sum().backward();
  model.zeroGrad();
  expect([...model.parameters()].every((parameter) => parameter.grad === null)).toBe(true);
  model.to('float64');
  expect([...model.parameters()].map((parameter) => parameter.dtype)).toEqual(['float64', 'float64']);
  expect(String(model)).toBe(
    'Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n  (1): ReLU()\n)',
  );
});

test('a dtype that there is not is refused, and nothing is converted', () => {
  const layer = new nn.Linear(2, 2);
  expect(() => layer.to('half' as never)).toThrow(
    /Module\.to\(\): "half" is no dtype; those are uint8, .*bfloat16/,
  );
  expect(layer.weight.dtype).toBe('float32');
});

test('initialisers reach the statistics that they promise', () => {
  manualSeed(5);
  const x = w.empty(200, 300);
  expect(nn.init.xavierNormal_(x).std().item()).toBeCloseTo(Math.sqrt(2 / 500), 2);
  expect(nn.init.kaimingNormal_(x, { nonlinearity: 'relu' }).std().item()).toBeCloseTo(Math.sqrt(2 / 300), 2);
  const q = nn.init.orthogonal_(w.empty(4, 6));
  expect(gap(q.mm(q.t()), w.eye(4))).toBeLessThan(1e-5);
  const clipped = nn.init.truncNormal_(w.empty(1000), 0, 1, -0.5, 1);
  expect([clipped.min().item() >= -0.5, clipped.max().item() <= 1]).toEqual([true, true]);
});

test('losses are means, sums or elements', () => {
  const [x, y] = [tensor([1, 2, 4], { dtype: 'float32' }), tensor([1, 0, 1], { dtype: 'float32' })];
  const values = ['none', 'sum', 'mean'].map((reduction) => F.mseLoss(x, y, reduction).tolist());
  expect(values.map((value) => [value].flat())).toEqual([[0, 4, 9], [13], [expect.closeTo(13 / 3, 5)]]);
  expect(() => F.mseLoss(x, y, 'median')).toThrow('median is not a valid value for reduction');
});

test('nothing is recorded while parameters are initialised', () => {
  const layer = new nn.Linear(2, 2);
  expect([
    layer.weight.isLeaf,
    layer.weight.requiresGrad,
    noGrad(() => layer.forward(w.ones(1, 2)).requiresGrad),
  ]).toEqual([true, true, false]);
});
