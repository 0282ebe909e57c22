// Connectionist temporal classification (Graves et al., 2006): the sum over all alignments, in logarithms, step by step.
import type { CoreBuilder, TensorLike, Value } from '@weft/ir';
import { numel } from '@weft/ir';
import type { DataArgument, ReadTensor } from './operator.ts';
import { lowerings, preparations } from './operator.ts';
import { check, rankOf, sizesOf } from './broadcast.ts';
import { dtypeOf, is, like, over, zeroUnless } from './elementwise.ts';
import { insertDim, padDim, selectDim, sliceDim } from './shapes.ts';
import { stopGradient } from './gradient-flow.ts';
import { takeAlong } from './gathering.ts';
import { integersOf, literalOf } from './literal.ts';

type Lengths = readonly number[];

/** log(e^x + e^y + e^z) where all may be -inf; the derivative is then zero. */
function logSum(b: CoreBuilder, values: readonly Value[]): Value {
  const most = values.reduce((x, y) => b.maximum(x, y));
  const finite = is(b, most, 'GT', -Infinity);
  const shift = b.select(finite, most, like(b, most, 0));
  const total = values.map((x) => b.exponential(b.subtract(x, shift))).reduce((x, y) => b.add(x, y));
  const safe = b.select(finite, total, like(b, total, 1));
  return b.select(finite, b.add(b.log(safe), shift), like(b, most, -Infinity));
}

/** Targets of all samples as rows, whether they were given as rows or joined one after the other. */
function targetRows(b: CoreBuilder, targets: Value, lengths: Lengths): Value {
  const longest = Math.max(...lengths, 1);
  const wide = b.convert(targets, 'int64');
  if (rankOf(targets) === 2) {
    const width = sizesOf(targets)[1];
    return width >= longest
      ? sliceDim(b, wide, 1, 0, longest)
      : padDim(b, wide, b.full(0n, 'int64'), 1, 0, longest - width);
  }
  let start = 0;
  const rows = lengths.map((length) => {
    const row = sliceDim(b, wide, 0, start, start + length);
    start += length;
    return insertDim(b, padDim(b, row, b.full(0n, 'int64'), 0, 0, longest - length), 0);
  });
  return b.concatenate(rows, 0);
}

/**
 * The negative log-likelihood of each sample, and the logarithms of the probabilities of all prefixes of the path,
 * [batch, time, states]; log_probs is [time, batch, classes].
 */
function likelihoods(
  b: CoreBuilder,
  logProbs: Value,
  targets: Value,
  inputLengths: Lengths,
  targetLengths: Lengths,
  blank: number,
): [loss: Value, alphas: Value] {
  const [time, batch, classes] = sizesOf(logProbs);
  check(blank >= 0 && blank < classes, () => 'blank must be in label range');
  check(inputLengths.length === batch, () => 'input_lengths must be of size batch_size');
  check(targetLengths.length === batch, () => 'target_lengths must be of size batch_size');
  for (const length of inputLengths) {
    check(
      length <= time,
      () =>
        `Expected input_lengths to have value at most ${time}, but got value ${length} (while checking arguments for ctc_loss_cpu)`,
    );
  }
  const dtype = dtypeOf(logProbs);
  const labels = targetRows(b, targets, targetLengths);
  const longest = sizesOf(labels)[1];
  const states = 2 * longest + 1;
  // Blank, label, blank, label … blank.
  const blanks = b.full(BigInt(blank), 'int64', [batch, longest]);
  const pairs = b.reshape(b.concatenate([insertDim(b, blanks, 2), insertDim(b, labels, 2)], 2), [
    batch,
    2 * longest,
  ]);
  const path = b.concatenate([pairs, b.full(BigInt(blank), 'int64', [batch, 1])], 1);
  const shape = [batch, states];
  const number = b.iota('int64', shape, 1);
  const earlier = padDim(
    b,
    sliceDim(b, path, 1, 0, Math.max(states - 2, 0)),
    b.full(-1n, 'int64'),
    1,
    Math.min(2, states),
    0,
  );
  // A label may follow another one directly when they differ.
  const skips = b.and(
    b.and(is(b, path, 'NE', blank), b.compare(path, earlier, 'NE')),
    is(b, number, 'GE', 2),
  );
  const never = b.full(-Infinity, dtype);
  const moved = (alpha: Value, by: number): Value =>
    by >= states
      ? like(b, alpha, -Infinity)
      : padDim(b, sliceDim(b, alpha, 1, 0, states - by), never, 1, by, 0);
  const column = (values: readonly number[], sizes: readonly number[]): Value =>
    b.broadcastInDim(b.constant(literalOf('int64', [batch], values)), sizes, [0]);
  const emissions = (at: number): Value => takeAlong(b, selectDim(b, logProbs, 0, at), path, 1);
  let alpha = b.select(is(b, number, 'LE', 1), emissions(0), like(b, emissions(0), -Infinity));
  const alphas = [insertDim(b, alpha, 1)];
  for (let at = 1; at < time; at++) {
    const skipped = b.select(skips, moved(alpha, 2), like(b, alpha, -Infinity));
    const next = b.add(logSum(b, [alpha, moved(alpha, 1), skipped]), emissions(at));
    const running = b.compare(like(b, number, BigInt(at)), column(inputLengths, shape), 'LT');
    alpha = b.select(running, next, alpha);
    alphas.push(insertDim(b, alpha, 1));
  }
  // The path ends at the last label or at the blank after it.
  const end = (offset: number): Value => {
    const places = targetLengths.map((length) => Math.max(2 * length - offset, 0));
    const value = b.reshape(takeAlong(b, alpha, b.reshape(column(places, [batch]), [batch, 1]), 1), [batch]);
    if (offset === 0) return value;
    const isThere = is(b, column(targetLengths, [batch]), 'GT', 0);
    return b.select(isThere, value, like(b, value, -Infinity));
  };
  const loss = b.negate(logSum(b, [end(0), end(1)]));
  // PyTorch's derivative is that by the logits of a softmax: by log_probs it has their exponentials besides, which a
  // log_softmax before takes away again.
  const isInside = b.compare(
    b.iota('int64', [time, batch, classes], 0),
    b.broadcastInDim(column(inputLengths, [batch]), [time, batch, classes], [1]),
    'LT',
  );
  const sums = b.reduceSum(zeroUnless(b, isInside, b.exponential(logProbs)), [0, 2]);
  return [b.add(loss, b.subtract(sums, stopGradient(b, sums))), stopGradient(b, b.concatenate(alphas, 1))];
}

function ctcLoss(
  b: CoreBuilder,
  logProbs: Value,
  targets: Value,
  inputLengths: Lengths,
  targetLengths: Lengths,
  blank: number,
  reduction: number,
  zeroInfinity: boolean,
): Value {
  const single = rankOf(logProbs) === 2;
  const x = single ? insertDim(b, logProbs, 1) : logProbs;
  const [raw] = likelihoods(
    b,
    x,
    single ? b.reshape(targets, [1, numel(sizesOf(targets))]) : targets,
    inputLengths,
    targetLengths,
    blank,
  );
  const losses = zeroInfinity ? zeroUnless(b, is(b, raw, 'NE', Infinity), raw) : raw;
  if (reduction === 2) return b.reduceSum(losses, [0]);
  if (reduction === 0) return single ? b.reshape(losses, []) : losses;
  const lengths = b.constant(
    literalOf(
      dtypeOf(losses),
      [targetLengths.length],
      targetLengths.map((length) => Math.max(length, 1)),
    ),
  );
  return over(b, b.reduceSum(b.divide(losses, lengths), [0]), targetLengths.length);
}

/** Lengths that stand in tensors become numbers. */
const readLengths = (
  read: ReadTensor,
  logProbs: TensorLike,
  targets: TensorLike,
  inputLengths: TensorLike,
  targetLengths: TensorLike,
  ...rest: DataArgument[]
): readonly DataArgument[] => [
  logProbs,
  targets,
  integersOf(read(inputLengths)).map(Number),
  integersOf(read(targetLengths)).map(Number),
  ...rest,
];
preparations({ 'aten::ctc_loss.Tensor': readLengths, 'aten::_ctc_loss.Tensor': readLengths });

lowerings({
  'aten::ctc_loss.IntList': ctcLoss,
  'aten::ctc_loss.Tensor': ctcLoss,
  'aten::_ctc_loss': likelihoods,
  'aten::_ctc_loss.Tensor': likelihoods,
});
