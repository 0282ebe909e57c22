// The fused cells of recurrent networks that graphs of PyTorch's GPU programs name: gates are given as what the input and the
// hidden state contribute, biases apart; what the forward pass leaves for the backward pass is its `workspace`.
import type { CoreBuilder, Value } from '@weft/ir';
import { lowerings } from './operator.ts';
import { sizesOf } from './broadcast.ts';
import { like } from './elementwise.ts';
import { cotangentsOf } from './backward.ts';
import { pieces } from './shapes.ts';

type Optional = Value | null;

const plus = (b: CoreBuilder, x: Value, bias: Optional): Value =>
  bias === null ? x : b.add(x, b.broadcastTo(bias, sizesOf(x)));
const parts = (b: CoreBuilder, x: Value, count: number): Value[] =>
  pieces(b, x, 1, new Array<number>(count).fill(sizesOf(x)[1] / count));
const complement = (b: CoreBuilder, x: Value): Value => b.subtract(like(b, x, 1), x);
const product = (b: CoreBuilder, ...factors: Value[]): Value => factors.reduce((x, y) => b.multiply(x, y));
const overBatch = (b: CoreBuilder, x: Value): Value => b.reduceSum(x, [0]);

/** Hidden state, cell state, and the four gates after their activations. */
function lstm(
  b: CoreBuilder,
  inputGates: Value,
  hiddenGates: Value,
  cx: Value,
  inputBias: Optional,
  hiddenBias: Optional,
): Value[] {
  const total = plus(b, plus(b, b.add(inputGates, hiddenGates), inputBias), hiddenBias);
  const [i, f, g, o] = parts(b, total, 4);
  const gates = [b.logistic(i), b.logistic(f), b.tanh(g), b.logistic(o)];
  const cy = b.add(b.multiply(gates[1], cx), b.multiply(gates[0], gates[2]));
  return [b.multiply(gates[3], b.tanh(cy)), cy, b.concatenate(gates, 1)];
}

/** Cotangents of the gates before their activations, and of the old cell state. */
function lstmBackward(
  b: CoreBuilder,
  gradHy: Optional,
  gradCy: Optional,
  cx: Value,
  cy: Value,
  workspace: Value,
): [gates: Value, cx: Value] {
  const [i, f, g, o] = parts(b, workspace, 4);
  const tanh = b.tanh(cy);
  const zero = like(b, cx, 0);
  const gh = gradHy ?? zero;
  const through = product(b, gh, o, b.subtract(like(b, tanh, 1), b.multiply(tanh, tanh)));
  const gc = gradCy === null ? through : b.add(through, gradCy);
  const gates = [
    product(b, gc, g, i, complement(b, i)),
    product(b, gc, cx, f, complement(b, f)),
    product(b, gc, i, b.subtract(like(b, g, 1), b.multiply(g, g))),
    product(b, gh, tanh, o, complement(b, o)),
  ];
  return [b.concatenate(gates, 1), b.multiply(gc, f)];
}

/** The new state, and reset gate, update gate, candidate, old state and the candidate's hidden part. */
function gru(
  b: CoreBuilder,
  inputGates: Value,
  hiddenGates: Value,
  hx: Value,
  inputBias: Optional,
  hiddenBias: Optional,
): Value[] {
  const [ir, iz, inew] = parts(b, plus(b, inputGates, inputBias), 3);
  const [hr, hz, hnew] = parts(b, plus(b, hiddenGates, hiddenBias), 3);
  const reset = b.logistic(b.add(ir, hr));
  const update = b.logistic(b.add(iz, hz));
  const next = b.tanh(b.add(inew, b.multiply(reset, hnew)));
  const hy = b.add(next, b.multiply(update, b.subtract(hx, next)));
  return [hy, b.concatenate([reset, update, next, hx, hnew], 1)];
}

function gruBackward(
  b: CoreBuilder,
  grad: Value,
  workspace: Value,
): [input: Value, hidden: Value, hx: Value] {
  const [reset, update, next, hx, hnew] = parts(b, workspace, 5);
  const gUpdate = product(b, grad, b.subtract(hx, next), update, complement(b, update));
  const gNext = product(b, grad, complement(b, update), b.subtract(like(b, next, 1), b.multiply(next, next)));
  const gReset = product(b, gNext, hnew, reset, complement(b, reset));
  return [
    b.concatenate([gReset, gUpdate, gNext], 1),
    b.concatenate([gReset, gUpdate, b.multiply(gNext, reset)], 1),
    b.multiply(grad, update),
  ];
}

lowerings({
  'aten::_thnn_fused_lstm_cell': lstm,
  'aten::_thnn_fused_lstm_cell_backward_impl': (
    b,
    gradHy: Optional,
    gradCy: Optional,
    cx: Value,
    cy: Value,
    workspace: Value,
    hasBias: boolean,
  ) => {
    const [gates, gcx] = lstmBackward(b, gradHy, gradCy, cx, cy, workspace);
    return [gates, gcx, hasBias ? overBatch(b, gates) : null];
  },
  'aten::_thnn_fused_lstm_cell_backward': (
    b,
    gradHy: Optional,
    gradCy: Optional,
    cx: Value,
    cy: Value,
    workspace: Value,
    hasBias: boolean,
  ) => {
    const [gates, gcx] = lstmBackward(b, gradHy, gradCy, cx, cy, workspace);
    const bias = hasBias ? overBatch(b, gates) : null;
    return [gates, gates, gcx, bias, bias];
  },
  'aten::_thnn_differentiable_lstm_cell_backward': (
    b,
    gradHy: Optional,
    gradCy: Optional,
    inputGates: Value,
    hiddenGates: Value,
    inputBias: Optional,
    hiddenBias: Optional,
    cx: Value,
    cy: Value,
  ) => {
    const workspace = lstm(b, inputGates, hiddenGates, cx, inputBias, hiddenBias)[2];
    const [gates, gcx] = lstmBackward(b, gradHy, gradCy, cx, cy, workspace);
    const bias = inputBias === null ? null : overBatch(b, gates);
    return [gates, gates, gcx, bias, bias];
  },
  'aten::_thnn_fused_gru_cell': gru,
  'aten::_thnn_fused_gru_cell_backward': (b, grad: Value, workspace: Value, hasBias: boolean) => {
    const [input, hidden, hx] = gruBackward(b, grad, workspace);
    return [input, hidden, hx, hasBias ? overBatch(b, input) : null, hasBias ? overBatch(b, hidden) : null];
  },
  'aten::_thnn_differentiable_gru_cell_backward': (
    b,
    grad: Value,
    inputGates: Value,
    hiddenGates: Value,
    hx: Value,
    inputBias: Optional,
    hiddenBias: Optional,
  ) => {
    const [input, hidden, gx] = cotangentsOf(
      b,
      [inputGates, hiddenGates, hx, ...[inputBias, hiddenBias].filter((bias) => bias !== null)],
      (inner, x, h, state, ...biases) => {
        const [first, second] = inputBias === null ? [null, null] : biases;
        return [gru(inner, x, h, state, first, second)[0]];
      },
      [grad],
    );
    const hasBias = inputBias !== null;
    return [input, hidden, gx, hasBias ? overBatch(b, input) : null, hasBias ? overBatch(b, hidden) : null];
  },
});
