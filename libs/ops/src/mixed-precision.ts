// What PyTorch's gradient scaler and its fused Adam call: gradients without their scale and whether all are finite, the scale of
// the next step, an Adam step over lists of tensors.
import type { CoreBuilder, Value } from '@weft/ir';
import { lowerings } from './operator.ts';
import { check, range, rankOf, sizesOf } from './broadcast.ts';
import { dtypeOf, is, like, plus, times } from './elementwise.ts';
import { optimizerUpdate } from './optimizers.ts';

type List = readonly Value[];

/** A number in a tensor of one element, along another tensor. */
const spread = (b: CoreBuilder, scalar: Value, x: Value): Value =>
  b.broadcastInDim(b.convert(b.reshape(scalar, []), dtypeOf(x)), sizesOf(x), []);

const anyInfinite = (b: CoreBuilder, x: Value): Value => b.reduceOr(b.not(b.isFinite(x)), range(rankOf(x)));

/** An Adam step over lists; nothing changes where `foundInf` is one. */
function fusedAdam(
  b: CoreBuilder,
  parameters: List,
  grads: List,
  averages: List,
  squares: List,
  maxima: List,
  steps: List,
  lr: number,
  beta1: number,
  beta2: number,
  weightDecay: number,
  eps: number,
  amsgrad: boolean,
  maximize: boolean,
  gradScale: Value | null,
  foundInf: Value | null,
): List[] {
  const lists = [grads, averages, squares, steps, ...(amsgrad ? [maxima] : [])];
  check(
    lists.every(({ length }) => length === parameters.length),
    () => '_fused_adam: the lists of tensors must have the same length',
  );
  const hyper = { betas: [beta1, beta2], weightDecay, eps, amsgrad, maximize };
  const numbers: Readonly<Record<string, number>> = { weightDecay, eps };
  const results: Value[][] = [[], [], [], [], []];
  for (const [index, parameter] of parameters.entries()) {
    const gradient =
      gradScale === null ? grads[index] : b.divide(grads[index], spread(b, gradScale, grads[index]));
    const state = [averages[index], squares[index], ...(amsgrad ? [maxima[index]] : [])];
    const updated = optimizerUpdate('adam').update(b, hyper, {
      parameter,
      gradient,
      state,
      learningRate: b.full(lr, 'float64'),
      step: b.convert(b.reshape(steps[index], []), 'float64'),
      number: (name, at) => b.full(at === undefined ? numbers[name] : [beta1, beta2][at], 'float64'),
    });
    const keep = (old: Value, value: Value): Value => {
      if (foundInf === null) return value;
      const isFound = is(b, spread(b, foundInf, b.convert(old, 'float32')), 'EQ', 1);
      return b.select(isFound, old, value);
    };
    results[0].push(keep(parameter, updated.parameter));
    results[1].push(keep(grads[index], gradient));
    updated.state.forEach((value, slot) => results[slot + 2].push(keep(state[slot], value)));
  }
  if (!amsgrad) results[4] = [...maxima];
  return results;
}

lowerings({
  'aten::_amp_foreach_non_finite_check_and_unscale': (
    b,
    grads: List,
    foundInf: Value,
    inverseScale: Value,
  ) => {
    const hits = grads
      .map((grad) => anyInfinite(b, grad))
      .reduce((x, y) => b.or(x, y), b.full(false, 'bool'));
    const found = b.select(b.broadcastInDim(hits, sizesOf(foundInf), []), like(b, foundInf, 1), foundInf);
    return [grads.map((grad) => b.multiply(grad, spread(b, inverseScale, grad))), found];
  },
  'aten::_amp_update_scale': (
    b,
    scale: Value,
    tracker: Value,
    foundInf: Value,
    growth: number,
    backoff: number,
    interval: number,
  ) => {
    const isFound = is(b, spread(b, foundInf, scale), 'NE', 0);
    const successful = plus(b, tracker, 1);
    const isGrown = is(b, successful, 'EQ', interval);
    const grown = times(b, scale, growth);
    const canGrow = b.and(b.reshape(isGrown, sizesOf(scale)), b.isFinite(grown));
    const next = b.select(isFound, times(b, scale, backoff), b.select(canGrow, grown, scale));
    const none = b.or(b.reshape(isFound, sizesOf(tracker)), isGrown);
    return [next, b.select(none, like(b, tracker, 0n), successful)];
  },
  'aten::_fused_adam': fusedAdam,
});
