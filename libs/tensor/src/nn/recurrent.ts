// Recurrent layers and cells. Parameters have PyTorch's names, since they are the keys of state dicts and archives.
import {
  empty,
  gru,
  gruCell,
  lstm,
  lstmCell,
  rnnRelu,
  rnnReluCell,
  rnnTanh,
  rnnTanhCell,
  zeros,
} from '../functions.generated.ts';
import type { Tensor } from '../tensor.ts';
import type { float, int } from '../types.ts';
import * as init from './init.ts';
import { Module } from './module.ts';
import { Parameter } from './parameter.ts';

export interface RecurrentOptions {
  readonly numLayers?: int;
  readonly bias?: boolean;
  /** Input and output are [batch, time, features] instead of [time, batch, features]. */
  readonly batchFirst?: boolean;
  /** Dropout between the layers, in training. */
  readonly dropout?: float;
  readonly bidirectional?: boolean;
}

/** Weights of every layer and direction: input to hidden, hidden to hidden, and their biases. */
abstract class RNNBase extends Module {
  readonly input_size: int;
  readonly hidden_size: int;
  readonly num_layers: int;
  readonly bias: boolean;
  readonly batch_first: boolean;
  readonly dropout: float;
  readonly bidirectional: boolean;
  /** The parameters in the order in which the operators take them. */
  readonly flat_weights: Tensor[];

  constructor(inputSize: int, hiddenSize: int, gates: int, options: RecurrentOptions) {
    super();
    this.input_size = inputSize;
    this.hidden_size = hiddenSize;
    this.num_layers = options.numLayers ?? 1;
    this.bias = options.bias ?? true;
    this.batch_first = options.batchFirst ?? false;
    this.dropout = options.dropout ?? 0;
    this.bidirectional = options.bidirectional ?? false;
    if (!(this.dropout >= 0 && this.dropout <= 1)) {
      throw new RangeError(`dropout should be a number in range [0, 1], but got ${this.dropout}`);
    }
    this.flat_weights = [];
    const rows = gates * hiddenSize;
    for (let layer = 0; layer < this.num_layers; layer++) {
      for (const suffix of this.bidirectional ? ['', '_reverse'] : ['']) {
        const width = layer === 0 ? inputSize : hiddenSize * (this.bidirectional ? 2 : 1);
        this.addWeight(`weight_ih_l${layer}${suffix}`, [rows, width]);
        this.addWeight(`weight_hh_l${layer}${suffix}`, [rows, hiddenSize]);
        if (!this.bias) continue;
        this.addWeight(`bias_ih_l${layer}${suffix}`, [rows]);
        this.addWeight(`bias_hh_l${layer}${suffix}`, [rows]);
      }
    }
    const bound = hiddenSize > 0 ? 1 / Math.sqrt(hiddenSize) : 0;
    for (const weight of this.flat_weights) init.uniform_(weight, -bound, bound);
  }

  private addWeight(name: string, sizes: int[]): void {
    const parameter = new Parameter(empty(sizes));
    (this as unknown as Record<string, unknown>)[name] = parameter;
    this.flat_weights.push(parameter);
  }

  /** Zeros of the state's shape: [layers * directions, batch, hidden], without batch for unbatched input. */
  initialState(input: Tensor): Tensor {
    const directions = this.bidirectional ? 2 : 1;
    if (input.dim() === 2) {
      return zeros([this.num_layers * directions, this.hidden_size], {
        dtype: input.dtype,
        device: input.device,
      });
    }
    const batch = this.batch_first ? input.size(0) : input.size(1);
    return zeros([this.num_layers * directions, batch, this.hidden_size], {
      dtype: input.dtype,
      device: input.device,
    });
  }

  override extraRepr(): string {
    return `${this.input_size}, ${this.hidden_size}${this.num_layers === 1 ? '' : `, num_layers=${this.num_layers}`}`;
  }
}

/** Long short-term memory: input, (h, c) → output of every step, (h, c) after the last. */
export class LSTM extends RNNBase {
  static readonly torchName = '__torch__.torch.nn.modules.rnn.LSTM';

  constructor(inputSize: int, hiddenSize: int, options: RecurrentOptions = {}) {
    super(inputSize, hiddenSize, 4, options);
  }

  forward(input: Tensor, hx: [Tensor, Tensor] | null = null): [Tensor, [Tensor, Tensor]] {
    const h0: Tensor = hx === null ? this.initialState(input) : hx[0];
    const c0: Tensor = hx === null ? this.initialState(input) : hx[1];
    if (input.dim() === 2) {
      const time = this.batch_first ? 0 : 1;
      const [output, h, c] = lstm(
        input.unsqueeze(time),
        [h0.unsqueeze(1), c0.unsqueeze(1)],
        this.flat_weights,
        this.bias,
        this.num_layers,
        this.dropout,
        this.training,
        this.bidirectional,
        this.batch_first,
      );
      return [output.squeeze(time), [h.squeeze(1), c.squeeze(1)]];
    }
    const [output, h, c] = lstm(
      input,
      [h0, c0],
      this.flat_weights,
      this.bias,
      this.num_layers,
      this.dropout,
      this.training,
      this.bidirectional,
      this.batch_first,
    );
    return [output, [h, c]];
  }
}

/** Gated recurrent units: input, h → output of every step, h after the last. */
export class GRU extends RNNBase {
  static readonly torchName = '__torch__.torch.nn.modules.rnn.GRU';

  constructor(inputSize: int, hiddenSize: int, options: RecurrentOptions = {}) {
    super(inputSize, hiddenSize, 3, options);
  }

  forward(input: Tensor, hx: Tensor | null = null): [Tensor, Tensor] {
    const h0: Tensor = hx === null ? this.initialState(input) : hx;
    if (input.dim() === 2) {
      const time = this.batch_first ? 0 : 1;
      const [output, h] = gru(
        input.unsqueeze(time),
        h0.unsqueeze(1),
        this.flat_weights,
        this.bias,
        this.num_layers,
        this.dropout,
        this.training,
        this.bidirectional,
        this.batch_first,
      );
      return [output.squeeze(time), h.squeeze(1)];
    }
    const [output, h] = gru(
      input,
      h0,
      this.flat_weights,
      this.bias,
      this.num_layers,
      this.dropout,
      this.training,
      this.bidirectional,
      this.batch_first,
    );
    return [output, h];
  }
}

/** The plain recurrence h' = tanh(Wx + Uh + b), or relu. */
export class RNN extends RNNBase {
  static readonly torchName = '__torch__.torch.nn.modules.rnn.RNN';
  readonly nonlinearity: string;

  constructor(
    inputSize: int,
    hiddenSize: int,
    options: RecurrentOptions & { readonly nonlinearity?: string } = {},
  ) {
    super(inputSize, hiddenSize, 1, options);
    this.nonlinearity = options.nonlinearity ?? 'tanh';
    if (this.nonlinearity !== 'tanh' && this.nonlinearity !== 'relu') {
      throw new RangeError(`Unknown nonlinearity '${this.nonlinearity}'`);
    }
  }

  forward(input: Tensor, hx: Tensor | null = null): [Tensor, Tensor] {
    const h0: Tensor = hx === null ? this.initialState(input) : hx;
    if (this.nonlinearity === 'relu') {
      const [output, h] = rnnRelu(
        input,
        h0,
        this.flat_weights,
        this.bias,
        this.num_layers,
        this.dropout,
        this.training,
        this.bidirectional,
        this.batch_first,
      );
      return [output, h];
    }
    const [output, h] = rnnTanh(
      input,
      h0,
      this.flat_weights,
      this.bias,
      this.num_layers,
      this.dropout,
      this.training,
      this.bidirectional,
      this.batch_first,
    );
    return [output, h];
  }
}

export interface CellOptions {
  readonly bias?: boolean;
}

/** One step of a recurrence. */
abstract class RNNCellBase extends Module {
  readonly input_size: int;
  readonly hidden_size: int;
  readonly weight_ih: Parameter;
  readonly weight_hh: Parameter;
  readonly bias_ih: Parameter | null;
  readonly bias_hh: Parameter | null;

  constructor(inputSize: int, hiddenSize: int, gates: int, options: CellOptions) {
    super();
    this.input_size = inputSize;
    this.hidden_size = hiddenSize;
    const rows = gates * hiddenSize;
    const bias = options.bias ?? true;
    this.weight_ih = new Parameter(empty([rows, inputSize]));
    this.weight_hh = new Parameter(empty([rows, hiddenSize]));
    this.bias_ih = bias ? new Parameter(empty([rows])) : null;
    this.bias_hh = bias ? new Parameter(empty([rows])) : null;
    const bound = hiddenSize > 0 ? 1 / Math.sqrt(hiddenSize) : 0;
    for (const parameter of this.parameters()) init.uniform_(parameter, -bound, bound);
  }

  override extraRepr(): string {
    return `${this.input_size}, ${this.hidden_size}`;
  }
}

/** [batch, input], (h, c) → (h, c). */
export class LSTMCell extends RNNCellBase {
  static readonly torchName = '__torch__.torch.nn.modules.rnn.LSTMCell';

  constructor(inputSize: int, hiddenSize: int, options: CellOptions = {}) {
    super(inputSize, hiddenSize, 4, options);
  }

  forward(input: Tensor, hx: [Tensor, Tensor] | null = null): [Tensor, Tensor] {
    const start: Tensor = zeros([input.size(0), this.hidden_size], {
      dtype: input.dtype,
      device: input.device,
    });
    const h0: Tensor = hx === null ? start : hx[0];
    const c0: Tensor = hx === null ? start : hx[1];
    return lstmCell(input, [h0, c0], this.weight_ih, this.weight_hh, this.bias_ih, this.bias_hh);
  }
}

/** [batch, input], h → h. */
export class GRUCell extends RNNCellBase {
  static readonly torchName = '__torch__.torch.nn.modules.rnn.GRUCell';

  constructor(inputSize: int, hiddenSize: int, options: CellOptions = {}) {
    super(inputSize, hiddenSize, 3, options);
  }

  forward(input: Tensor, hx: Tensor | null = null): Tensor {
    const start: Tensor = zeros([input.size(0), this.hidden_size], {
      dtype: input.dtype,
      device: input.device,
    });
    const h0: Tensor = hx === null ? start : hx;
    return gruCell(input, h0, this.weight_ih, this.weight_hh, this.bias_ih, this.bias_hh);
  }
}

/** [batch, input], h → h. */
export class RNNCell extends RNNCellBase {
  static readonly torchName = '__torch__.torch.nn.modules.rnn.RNNCell';
  readonly nonlinearity: string;

  constructor(
    inputSize: int,
    hiddenSize: int,
    options: CellOptions & { readonly nonlinearity?: string } = {},
  ) {
    super(inputSize, hiddenSize, 1, options);
    this.nonlinearity = options.nonlinearity ?? 'tanh';
  }

  forward(input: Tensor, hx: Tensor | null = null): Tensor {
    const start: Tensor = zeros([input.size(0), this.hidden_size], {
      dtype: input.dtype,
      device: input.device,
    });
    const h0: Tensor = hx === null ? start : hx;
    if (this.nonlinearity === 'relu') {
      return rnnReluCell(input, h0, this.weight_ih, this.weight_hh, this.bias_ih, this.bias_hh);
    }
    return rnnTanhCell(input, h0, this.weight_ih, this.weight_hh, this.bias_ih, this.bias_hh);
  }
}
