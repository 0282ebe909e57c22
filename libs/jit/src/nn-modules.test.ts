// Parity of the library's modules: each is scripted from its TypeScript and gives what it gives when called.
import { expect, test } from '@jest/globals';
import { TupleValue } from '@weft/ir';
import { Tensor, manualSeed, nn, ones, randn, tensor, zeros } from '@weft/tensor';
import { script } from './index.ts';

type Case = [make: () => nn.Module, inputs: () => unknown[]];
const image = (channels: number) => () => [randn(2, channels, 6, 6)];
const rows = (width: number) => () => [randn(3, width)];
const sequence = (width: number) => () => [randn(4, 2, width)];

const modules: Record<string, Case> = {
  Linear: [() => new nn.Linear(2, 3), rows(2)],
  Bilinear: [() => new nn.Bilinear(2, 2, 3), () => [randn(3, 2), randn(3, 2)]],
  Embedding: [
    () => new nn.Embedding(5, 2, { paddingIdx: 1 }),
    () => [
      tensor([
        [1, 2],
        [4, 0],
      ]),
    ],
  ],
  Conv1d: [() => new nn.Conv1d(2, 4, 3, { groups: 2 }), () => [randn(1, 2, 7)]],
  Conv2d: [() => new nn.Conv2d(1, 2, 3, { stride: 2, padding: 1 }), image(1)],
  ConvTranspose2d: [() => new nn.ConvTranspose2d(1, 2, 3), image(1)],
  BatchNorm2d: [() => new nn.BatchNorm2d(2), image(2)],
  GroupNorm: [() => new nn.GroupNorm(2, 4), image(4)],
  LayerNorm: [() => new nn.LayerNorm(3), rows(3)],
  Dropout2d: [() => new nn.Dropout2d(0.5), image(2)],
  MaxPool2d: [() => new nn.MaxPool2d(2), image(1)],
  AvgPool2d: [() => new nn.AvgPool2d(2), image(1)],
  AdaptiveAvgPool2d: [() => new nn.AdaptiveAvgPool2d(2), image(1)],
  'LSTM, two layers and directions': [
    () => new nn.LSTM(3, 2, { numLayers: 2, bidirectional: true }),
    sequence(3),
  ],
  GRU: [() => new nn.GRU(3, 2, { batchFirst: true }), sequence(3)],
  RNN: [() => new nn.RNN(3, 2, { nonlinearity: 'relu' }), sequence(3)],
  LSTMCell: [() => new nn.LSTMCell(3, 2), rows(3)],
  GRUCell: [() => new nn.GRUCell(3, 2), rows(3)],
  MultiheadAttention: [
    () => new nn.MultiheadAttention(4, 2, { batchFirst: true }),
    () => [
      randn(2, 3, 4),
      randn(2, 3, 4),
      randn(2, 3, 4),
      zeros(2, 3),
      true,
      ones(3, 3, { dtype: 'bool' }).triu(1),
    ],
  ],
  TransformerEncoderLayer: [
    () => new nn.TransformerEncoderLayer(4, 2, { dimFeedforward: 8, activation: 'gelu', normFirst: true }),
    sequence(4),
  ],
  CrossEntropyLoss: [
    () => new nn.CrossEntropyLoss({ labelSmoothing: 0.1 }),
    () => [randn(3, 4), tensor([1, 0, 3])],
  ],
  KLDivLoss: [() => new nn.KLDivLoss({ reduction: 'batchmean' }), () => [randn(2, 3), ones(2, 3)]],
  Sequential: [() => new nn.Sequential(new nn.Linear(2, 3), new nn.GELU(), new nn.Softmax(-1)), rows(2)],
};

const plain = (value: unknown): unknown =>
  value instanceof Tensor
    ? value.tolist()
    : value instanceof TupleValue
      ? value.items.map(plain)
      : Array.isArray(value)
        ? value.map(plain)
        : value;

test.each(Object.keys(modules))('%s', (name) => {
  manualSeed(0);
  const [make, inputs] = modules[name];
  const module = make() as nn.Module & { forward(...given: unknown[]): unknown };
  module.eval();
  const given = inputs();
  const scripted = script(module as never) as unknown as { forward(...given: unknown[]): unknown };
  expect(plain(scripted.forward(...given))).toEqual(plain(module.forward(...given)));
});
