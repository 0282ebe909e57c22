// For tests: a module of every class of the library, with inputs for it. Parity of script and eager, and archives that PyTorch
// opens, are checked over this table.
import { TupleValue } from '@weft/ir';
import { Tensor, nn, ones, randn, tensor, zeros } from '@weft/tensor';

export interface ModuleCase {
  readonly make: () => nn.Module;
  readonly inputs: () => readonly unknown[];
}

const image = (channels: number) => () => [randn(2, channels, 6, 6)];
const line = (channels: number) => () => [randn(2, channels, 8)];
const volume = (channels: number) => () => [randn(1, channels, 4, 4, 4)];
const rows = (width: number) => () => [randn(3, width)];
const sequence = (width: number) => () => [randn(4, 2, width)];
const pairs = () => [randn(3, 2), randn(3, 2)];
const shares = () => [randn(3, 2).sigmoid(), randn(3, 2).sigmoid()];
const classes = () => [randn(3, 4), tensor([1, 0, 3])];

const table: Readonly<Record<string, readonly [ModuleCase['make'], ModuleCase['inputs']]>> = {
  Identity: [() => new nn.Identity(), rows(2)],
  Flatten: [() => new nn.Flatten(), image(1)],
  Linear: [() => new nn.Linear(2, 3), rows(2)],
  'Linear without bias': [() => new nn.Linear(2, 3, { bias: false }), rows(2)],
  Bilinear: [() => new nn.Bilinear(2, 2, 3), pairs],
  Embedding: [
    () => new nn.Embedding(5, 2, { paddingIdx: 1 }),
    () => [
      tensor([
        [1, 2],
        [4, 0],
      ]),
    ],
  ],
  Conv1d: [() => new nn.Conv1d(2, 4, 3, { groups: 2 }), line(2)],
  Conv2d: [() => new nn.Conv2d(1, 2, 3, { stride: 2, padding: 1 }), image(1)],
  Conv3d: [() => new nn.Conv3d(1, 2, 2, { dilation: 2 }), volume(1)],
  ConvTranspose2d: [() => new nn.ConvTranspose2d(1, 2, 3), image(1)],
  BatchNorm1d: [() => new nn.BatchNorm1d(3), rows(3)],
  BatchNorm2d: [() => new nn.BatchNorm2d(2), image(2)],
  BatchNorm3d: [() => new nn.BatchNorm3d(2), volume(2)],
  GroupNorm: [() => new nn.GroupNorm(2, 4), image(4)],
  LayerNorm: [() => new nn.LayerNorm(3), rows(3)],
  'LayerNorm without parameters': [
    () => new nn.LayerNorm([2, 3], { elementwiseAffine: false }),
    () => [randn(4, 2, 3)],
  ],
  ReLU: [() => new nn.ReLU(), rows(4)],
  ReLU6: [() => new nn.ReLU6(), rows(4)],
  Tanh: [() => new nn.Tanh(), rows(4)],
  Sigmoid: [() => new nn.Sigmoid(), rows(4)],
  SiLU: [() => new nn.SiLU(), rows(4)],
  Mish: [() => new nn.Mish(), rows(4)],
  Hardswish: [() => new nn.Hardswish(), rows(4)],
  Hardsigmoid: [() => new nn.Hardsigmoid(), rows(4)],
  GELU: [() => new nn.GELU({ approximate: 'tanh' }), rows(4)],
  LeakyReLU: [() => new nn.LeakyReLU(0.2), rows(4)],
  ELU: [() => new nn.ELU(0.5), rows(4)],
  Softplus: [() => new nn.Softplus(2), rows(4)],
  PReLU: [() => new nn.PReLU(2), image(2)],
  Softmax: [() => new nn.Softmax(-1), rows(4)],
  LogSoftmax: [() => new nn.LogSoftmax(1), rows(4)],
  Dropout: [() => new nn.Dropout(0.5), rows(4)],
  Dropout1d: [() => new nn.Dropout1d(0.5), line(2)],
  Dropout2d: [() => new nn.Dropout2d(0.5), image(2)],
  Dropout3d: [() => new nn.Dropout3d(0.5), volume(2)],
  MaxPool1d: [() => new nn.MaxPool1d(3, { ceilMode: true }), line(1)],
  MaxPool2d: [() => new nn.MaxPool2d(2), image(1)],
  MaxPool3d: [() => new nn.MaxPool3d(2, { stride: 1 }), volume(1)],
  AvgPool1d: [() => new nn.AvgPool1d(3, { padding: 1 }), line(1)],
  AvgPool2d: [() => new nn.AvgPool2d(2), image(1)],
  AvgPool3d: [() => new nn.AvgPool3d(2), volume(1)],
  AdaptiveAvgPool1d: [() => new nn.AdaptiveAvgPool1d(3), line(1)],
  AdaptiveAvgPool2d: [() => new nn.AdaptiveAvgPool2d(2), image(1)],
  AdaptiveAvgPool3d: [() => new nn.AdaptiveAvgPool3d([1, 2, 3]), volume(1)],
  'LSTM, two layers and directions': [
    () => new nn.LSTM(3, 2, { numLayers: 2, bidirectional: true }),
    sequence(3),
  ],
  GRU: [() => new nn.GRU(3, 2, { batchFirst: true }), sequence(3)],
  RNN: [() => new nn.RNN(3, 2, { nonlinearity: 'relu' }), sequence(3)],
  LSTMCell: [() => new nn.LSTMCell(3, 2), rows(3)],
  GRUCell: [() => new nn.GRUCell(3, 2), rows(3)],
  RNNCell: [() => new nn.RNNCell(3, 2), rows(3)],
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
  MSELoss: [() => new nn.MSELoss(), pairs],
  L1Loss: [() => new nn.L1Loss({ reduction: 'sum' }), pairs],
  SmoothL1Loss: [() => new nn.SmoothL1Loss({ beta: 0.5 }), pairs],
  HuberLoss: [() => new nn.HuberLoss({ delta: 0.5 }), pairs],
  BCELoss: [() => new nn.BCELoss(), shares],
  BCEWithLogitsLoss: [() => new nn.BCEWithLogitsLoss(), shares],
  NLLLoss: [() => new nn.NLLLoss(), classes],
  CrossEntropyLoss: [() => new nn.CrossEntropyLoss({ labelSmoothing: 0.1 }), classes],
  KLDivLoss: [() => new nn.KLDivLoss({ reduction: 'batchmean' }), () => [randn(2, 3), ones(2, 3)]],
  Sequential: [() => new nn.Sequential(new nn.Linear(2, 3), new nn.GELU(), new nn.Softmax(-1)), rows(2)],
};

export const moduleCases: ReadonlyMap<string, ModuleCase> = new Map(
  Object.entries(table).map(([name, [make, inputs]]) => [name, { make, inputs }]),
);

/** A result with its tensors as nested lists. */
export const plainResult = (value: unknown): unknown =>
  value instanceof Tensor
    ? value.tolist()
    : value instanceof TupleValue
      ? value.items.map(plainResult)
      : Array.isArray(value)
        ? value.map(plainResult)
        : value;
