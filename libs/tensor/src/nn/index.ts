// torch.nn: modules, layers, containers and losses.
export * from './module.ts';
export * from './parameter.ts';
export * from './container.ts';
export { Bilinear, Flatten, Identity, Linear } from './linear.ts';
export * from './embedding.ts';
export * from './convolution.ts';
export { BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm, LayerNorm } from './normalization.ts';
export * from './activation.ts';
export * from './dropout.ts';
export { GRU, GRUCell, LSTM, LSTMCell, RNN, RNNCell } from './recurrent.ts';
export type { CellOptions, RecurrentOptions } from './recurrent.ts';
export * from './attention.ts';
export * from './pooling.ts';
export {
  BCELoss,
  BCEWithLogitsLoss,
  CrossEntropyLoss,
  HuberLoss,
  KLDivLoss,
  L1Loss,
  MSELoss,
  NLLLoss,
  SmoothL1Loss,
} from './loss.ts';
export * as functional from './functional.ts';
export * as init from './init.ts';
