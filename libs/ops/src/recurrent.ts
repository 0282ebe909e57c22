// Recurrent networks: cells, and whole layers unrolled over time (one or two directions, dropout between layers, packed
// sequences).
import type { CoreBuilder, TensorLike, Value } from '@weft/ir';
import type { DataArgument, ReadTensor } from './operator.ts';
import { lowerings, preparations } from './operator.ts';
import type { Scalar } from './operator.ts';
import { check, range, rankOf, sizesOf } from './broadcast.ts';
import { dtypeOf, scalarOf } from './elementwise.ts';
import { insertDim, padDim, pieces, selectDim, sliceDim, swapDims } from './shapes.ts';
import { linear } from './matmul.ts';
import { dropout } from './random.ts';
import { relu } from './activations.ts';
import { cat, stack } from './joining.ts';
import { integersOf, literalOf } from './literal.ts';
import type { ResultLayout } from './result-layout.ts';
import { iteratorOf, layouts, rowMajor } from './result-layout.ts';

interface Weights {
  readonly input: Value;
  readonly hidden: Value;
  readonly inputBias: Value | null;
  readonly hiddenBias: Value | null;
  /** Of an LSTM whose output is projected. */
  readonly projection: Value | null;
}
/** Hidden state, and for an LSTM the cell state. */
type State = readonly Value[];
/** One step: `gates` is what the input contributes. */
type Cell = (b: CoreBuilder, gates: Value, state: State, weights: Weights) => State;

const lstmCell: Cell = (b, gates, [h, c], w) => {
  const total = b.add(gates, linear(b, h, w.hidden, w.hiddenBias));
  const width = sizesOf(c)[1];
  const [i, f, g, o] = pieces(b, total, 1, [width, width, width, width]);
  const cell = b.add(b.multiply(b.logistic(f), c), b.multiply(b.logistic(i), b.tanh(g)));
  const hidden = b.multiply(b.logistic(o), b.tanh(cell));
  return [w.projection === null ? hidden : linear(b, hidden, w.projection, null), cell];
};

const gruCell: Cell = (b, gates, [h], w) => {
  const width = sizesOf(h)[1];
  const [ir, iz, inew] = pieces(b, gates, 1, [width, width, width]);
  const [hr, hz, hnew] = pieces(b, linear(b, h, w.hidden, w.hiddenBias), 1, [width, width, width]);
  const reset = b.logistic(b.add(ir, hr));
  const update = b.logistic(b.add(iz, hz));
  const next = b.tanh(b.add(inew, b.multiply(reset, hnew)));
  return [b.add(next, b.multiply(update, b.subtract(h, next)))];
};

const simpleCell =
  (activate: (b: CoreBuilder, x: Value) => Value): Cell =>
  (b, gates, [h], w) => [activate(b, b.add(gates, linear(b, h, w.hidden, w.hiddenBias)))];
const tanhCell = simpleCell((b, x) => b.tanh(x));
const reluCell = simpleCell(relu);

/** Parameters as modules list them: for each layer and direction w_ih, w_hh, then biases, then the projection. */
function weightsOf(params: readonly Value[], hasBiases: boolean, isProjected: boolean): Weights[] {
  const count = 2 + (hasBiases ? 2 : 0) + (isProjected ? 1 : 0);
  return range(params.length / count).map((at) => {
    const own = params.slice(at * count, (at + 1) * count);
    return {
      input: own[0],
      hidden: own[1],
      inputBias: hasBiases ? own[2] : null,
      hiddenBias: hasBiases ? own[3] : null,
      projection: isProjected ? own[count - 1] : null,
    };
  });
}

/** Steps of a layer in one direction; each entry is [batch, features], batches may shrink over time (packed). */
function runDirection(
  b: CoreBuilder,
  cell: Cell,
  steps: readonly Value[],
  initial: State,
  weights: Weights,
  isReverse: boolean,
): { outputs: Value[]; final: State } {
  // What the inputs contribute, in one product for all steps.
  const all = linear(b, b.concatenate(steps, 0), weights.input, weights.inputBias);
  const gates = pieces(
    b,
    all,
    0,
    steps.map((x) => sizesOf(x)[0]),
  );
  const outputs = new Array<Value>(steps.length);
  const order = isReverse ? range(steps.length).reverse() : range(steps.length);
  const rows = (x: Value, count: number): Value => sliceDim(b, x, 0, 0, count);
  // Forward, sequences that end leave the batch; backward, they enter it with their initial state.
  let state: State = initial.map((x) => rows(x, sizesOf(steps[order[0]])[0]));
  const ended: State[] = [];
  for (const at of order) {
    const batch = sizesOf(gates[at])[0];
    const before = sizesOf(state[0])[0];
    if (batch < before) {
      ended.unshift(state.map((x) => sliceDim(b, x, 0, batch, before)));
      state = state.map((x) => rows(x, batch));
    } else if (batch > before) {
      state = state.map((x, part) => b.concatenate([x, sliceDim(b, initial[part], 0, before, batch)], 0));
    }
    state = cell(b, gates[at], state, weights);
    outputs[at] = state[0];
  }
  return {
    outputs,
    final: state.map((x, part) => b.concatenate([x, ...ended.map((each) => each[part])], 0)),
  };
}

interface Network {
  readonly cell: Cell;
  readonly params: readonly Value[];
  readonly hasBiases: boolean;
  readonly layers: number;
  readonly dropout: number;
  readonly train: boolean;
  readonly bidirectional: boolean;
}

/** All layers; initial and final states are [layers · directions, batch, features]. */
function runLayers(
  b: CoreBuilder,
  network: Network,
  input: readonly Value[],
  initial: readonly Value[],
): { outputs: Value[]; final: Value[] } {
  const directions = network.bidirectional ? 2 : 1;
  const isProjected = initial.length === 2 && sizesOf(initial[0])[2] !== sizesOf(initial[1])[2];
  const weights = weightsOf(network.params, network.hasBiases, isProjected);
  const finals: State[] = [];
  let steps: Value[] = [...input];
  for (let layer = 0; layer < network.layers; layer++) {
    const results = range(directions).map((direction) => {
      const at = layer * directions + direction;
      const state = initial.map((x) => selectDim(b, x, 0, at));
      const result = runDirection(b, network.cell, steps, state, weights[at], direction === 1);
      finals.push(result.final);
      return result.outputs;
    });
    steps = steps.map((_, time) =>
      b.concatenate(
        results.map((outputs) => outputs[time]),
        1,
      ),
    );
    if (layer < network.layers - 1 && network.dropout > 0 && network.train) {
      steps = dropSteps(b, steps, network.dropout);
    }
  }
  const final = initial.map((_, part) =>
    stack(
      b,
      finals.map((state) => state[part]),
      0,
    ),
  );
  return { outputs: steps, final };
}

/** One draw for the whole layer, in PyTorch's order of elements. */
function dropSteps(b: CoreBuilder, steps: readonly Value[], p: number): Value[] {
  const sizes = steps.map((x) => sizesOf(x)[0]);
  const dropped = dropout(b, cat(b, steps, 0), p, true);
  return pieces(b, dropped, 0, sizes);
}

function checkInput(input: Value, initial: readonly Value[], network: Network, batchFirst: boolean): void {
  const batch = sizesOf(input)[batchFirst ? 0 : 1];
  const count = network.layers * (network.bidirectional ? 2 : 1);
  for (const [part, state] of initial.entries()) {
    const expected = [count, batch, sizesOf(state)[2]];
    check(
      sizesOf(state).join() === expected.join(),
      () =>
        `Expected hidden${initial.length === 2 ? `[${part}]` : ''} size (${expected.join(', ')}), got [${sizesOf(state).join(', ')}]`,
    );
  }
}

function wholeSequence(
  b: CoreBuilder,
  network: Network,
  input: Value,
  initial: readonly Value[],
  batchFirst: boolean,
): Value[] {
  checkInput(input, initial, network, batchFirst);
  const time = batchFirst ? 1 : 0;
  const steps = range(sizesOf(input)[time]).map((at) => selectDim(b, input, time, at));
  const { outputs, final } = runLayers(b, network, steps, initial);
  return [stack(b, outputs, time), ...final];
}

function packedSequence(
  b: CoreBuilder,
  network: Network,
  data: Value,
  batchSizes: readonly number[],
  initial: readonly Value[],
): Value[] {
  const { outputs, final } = runLayers(b, network, pieces(b, data, 0, batchSizes), initial);
  return [b.concatenate(outputs, 0), ...final];
}

/** Sequences are computed time first, also those that are seen batch first. */
const timeFirst = (batchFirst: number): ResultLayout => ({
  kind: 'order',
  order: ({ args }, { length }) => {
    const seen = args[batchFirst] === true && length >= (batchFirst === 2 ? 2 : 3);
    return seen ? [1, 0, ...range(length - 2, 2)] : range(length);
  },
});

type Hidden = Value | readonly Value[];
const statesOf = (hidden: Hidden): readonly Value[] =>
  Array.isArray(hidden) ? (hidden as Value[]) : [hidden as Value];

for (const [name, cell] of Object.entries({
  lstm: lstmCell,
  gru: gruCell,
  rnn_tanh: tanhCell,
  rnn_relu: reluCell,
})) {
  lowerings({
    [`aten::${name}.input`]: (
      b: CoreBuilder,
      input: Value,
      hidden: Hidden,
      params: readonly Value[],
      hasBiases: boolean,
      layers: number,
      p: number,
      train: boolean,
      bidirectional: boolean,
      batchFirst: boolean,
    ) =>
      wholeSequence(
        b,
        { cell, params, hasBiases, layers, dropout: p, train, bidirectional },
        input,
        statesOf(hidden),
        batchFirst,
      ),
    [`aten::${name}.data`]: (
      b: CoreBuilder,
      data: Value,
      batchSizes: readonly number[],
      hidden: Hidden,
      params: readonly Value[],
      hasBiases: boolean,
      layers: number,
      p: number,
      train: boolean,
      bidirectional: boolean,
    ) =>
      packedSequence(
        b,
        { cell, params, hasBiases, layers, dropout: p, train, bidirectional },
        data,
        batchSizes,
        statesOf(hidden),
      ),
    [`aten::${name}_cell`]: (
      b: CoreBuilder,
      input: Value,
      hidden: Hidden,
      weightInput: Value,
      weightHidden: Value,
      biasInput: Value | null,
      biasHidden: Value | null,
    ) => {
      const states = statesOf(hidden);
      const single = rankOf(input) === 1;
      const rows = (x: Value): Value => (single ? insertDim(b, x, 0) : x);
      const next = cell(b, linear(b, rows(input), weightInput, biasInput), states.map(rows), {
        input: weightInput,
        hidden: weightHidden,
        inputBias: biasInput,
        hiddenBias: biasHidden,
        projection: null,
      });
      const result = next.map((x) => (single ? b.reshape(x, sizesOf(x).slice(1)) : x));
      return result.length === 1 ? result[0] : result;
    },
  });
  preparations({ [`aten::${name}.data`]: readBatchSizes });
  layouts({ [`aten::${name}.input`]: [timeFirst(8), rowMajor, rowMajor] });
}

/** Batch sizes fix the shapes of the steps: they become numbers. */
function readBatchSizes(
  read: ReadTensor,
  data: TensorLike,
  batchSizes: TensorLike,
  ...rest: DataArgument[]
): readonly DataArgument[] {
  return [data, integersOf(read(batchSizes)).map(Number), ...rest];
}

preparations({
  'aten::_pack_padded_sequence': (read, input: TensorLike, lengths: TensorLike, batchFirst: boolean) => [
    input,
    integersOf(read(lengths)).map(Number),
    batchFirst,
  ],
  'aten::_pad_packed_sequence': readBatchSizes,
});

lowerings({
  'aten::_pack_padded_sequence': (b, input: Value, lengths: readonly number[], batchFirst: boolean) => {
    const x = batchFirst ? swapDims(b, input, 0, 1) : input;
    check(
      lengths.every((length) => length > 0),
      () => "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0",
    );
    check(
      lengths.every((length, at) => at === 0 || length <= lengths[at - 1]),
      () =>
        '`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do not need ONNX exportability.',
    );
    const batchSizes = range(lengths[0]).map((time) => lengths.filter((length) => length > time).length);
    const rows = batchSizes.map((batch, time) => sliceDim(b, selectDim(b, x, 0, time), 0, 0, batch));
    return [b.concatenate(rows, 0), b.constant(literalOf('int64', [batchSizes.length], batchSizes))];
  },
  'aten::_pad_packed_sequence': (
    b,
    data: Value,
    batchSizes: readonly number[],
    batchFirst: boolean,
    paddingValue: Scalar,
    totalLength: number,
  ) => {
    const batch = batchSizes[0];
    const length = Math.max(totalLength, batchSizes.length);
    const filler = scalarOf(b, paddingValue, dtypeOf(data));
    const rows = pieces(b, data, 0, batchSizes).map((x) => padDim(b, x, filler, 0, 0, batch - sizesOf(x)[0]));
    const blank = b.broadcastTo(filler, sizesOf(rows[0]));
    const steps = [...rows, ...range(length - rows.length).map(() => blank)];
    const lengths = range(batch).map((at) => batchSizes.filter((size) => size > at).length);
    return [stack(b, steps, batchFirst ? 1 : 0), b.constant(literalOf('int64', [batch], lengths))];
  },
});

layouts({
  'aten::gru_cell': iteratorOf(1),
  'aten::_pad_packed_sequence': [timeFirst(2), rowMajor],
});
