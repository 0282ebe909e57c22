// Small whole models as core graphs, with weights of their own: what a device must get right together.
import type { TensorLiteral, Value } from '@weft/ir';
import type { CoreBuilder } from '@weft/ir';
import type { ConformanceCase } from './case.ts';
import { Source, againstReference } from './random-cases.ts';

const tolerance = 1e-4;

/** x W + b over the last dimension. */
function linear(b: CoreBuilder, x: Value, weight: Value, bias: Value, sizes: readonly number[]): Value {
  const product = b.dotGeneral(x, weight, { lhsContracting: [sizes.length - 1], rhsContracting: [0] });
  return b.add(product, b.broadcastTo(bias, sizes));
}

/** Softmax over the last dimension, as a composite with a body. */
function softmax(b: CoreBuilder, x: Value, sizes: readonly number[]): Value {
  const last = sizes.length - 1;
  const kept = sizes.map((_, axis) => axis).slice(0, -1);
  const [result] = b.composite('softmax', [x], { dim: last }, (r, y) => {
    const shifted = r.exponential(r.subtract(y, r.broadcastInDim(r.reduceMax(y, [last]), sizes, kept)));
    return [r.divide(shifted, r.broadcastInDim(r.reduceSum(shifted, [last]), sizes, kept))];
  });
  return result;
}

/** Two layers, mean squared error, and one step of gradient descent written out by hand. */
function perceptron(): ConformanceCase {
  const source = new Source(11);
  const f = (...shape: number[]) => source.tensor('float32', shape);
  const inputs: TensorLiteral[] = [f(8, 5), f(8, 2), f(5, 16), f(16), f(16, 2), f(2)];
  return againstReference(
    'perceptron with a training step',
    'dot_general',
    inputs,
    (b, x, target, w1, b1, w2, b2) => {
      const hidden = b.tanh(linear(b, x, w1, b1, [8, 16]));
      const output = linear(b, hidden, w2, b2, [8, 2]);
      const error = b.subtract(output, target);
      const loss = b.divide(b.reduceSum(b.multiply(error, error), [0, 1]), b.full(16, 'float32'));
      const scaled = b.multiply(error, b.full(1 / 8, 'float32', [8, 2]));
      const gradient2 = b.dotGeneral(hidden, scaled, { lhsContracting: [0], rhsContracting: [0] });
      const back = b.dotGeneral(scaled, w2, { lhsContracting: [1], rhsContracting: [1] });
      const slope = b.subtract(b.full(1, 'float32', [8, 16]), b.multiply(hidden, hidden));
      const gradient1 = b.dotGeneral(x, b.multiply(back, slope), {
        lhsContracting: [0],
        rhsContracting: [0],
      });
      const step = (w: Value, g: Value) => b.subtract(w, b.multiply(g, b.fullLike(g, 0.1)));
      return [loss, step(w1, gradient1), step(w2, gradient2)];
    },
    tolerance,
  );
}

/** Causal self-attention with two heads over embedded tokens. */
function attention(): ConformanceCase {
  const source = new Source(12);
  const [batch, length, heads, width] = [2, 6, 2, 4];
  const model = heads * width;
  const f = (...shape: number[]) => source.tensor('float32', shape);
  const inputs = [source.tensor('uint8', [batch, length]), f(10, model), f(model, 3 * model), f(model, model)]; // prettier-ignore
  return againstReference(
    'causal self-attention',
    'composite',
    inputs,
    (b, tokens, table, qkv, out) => {
      const ids = b.convert(b.reshape(tokens, [batch, length, 1]), 'int64');
      const x = b.gather(table, ids, {
        offsetDims: [2],
        collapsedSliceDims: [0],
        startIndexMap: [0],
        indexVectorDim: 2,
        sliceSizes: [1, model],
      });
      const projected = b.dotGeneral(x, qkv, { lhsContracting: [2], rhsContracting: [0] });
      const [q, k, v] = [0, 1, 2].map((part) => {
        const own = b.slice(projected, [0, 0, part * model], [batch, length, (part + 1) * model]);
        return b.transpose(b.reshape(own, [batch, length, heads, width]), [0, 2, 1, 3]);
      });
      const sizes = [batch, heads, length, length];
      const batching = { lhsBatching: [0, 1], rhsBatching: [0, 1] };
      const scores = b.dotGeneral(q, k, { ...batching, lhsContracting: [3], rhsContracting: [3] });
      const scaled = b.multiply(scores, b.full(1 / Math.sqrt(width), 'float32', sizes));
      const visible = b.compare(b.iota('int32', sizes, 3), b.iota('int32', sizes, 2), 'LE');
      const masked = b.select(visible, scaled, b.full(-Infinity, 'float32', sizes));
      const mixed = b.dotGeneral(softmax(b, masked, sizes), v, {
        ...batching,
        lhsContracting: [3],
        rhsContracting: [2],
      });
      const joined = b.reshape(b.transpose(mixed, [0, 2, 1, 3]), [batch, length, model]);
      return [b.dotGeneral(joined, out, { lhsContracting: [2], rhsContracting: [0] })];
    },
    tolerance,
  );
}

/** Convolution, normalisation over the batch, ReLU, max pooling, a classifier, log-likelihood. */
function convolutionNet(): ConformanceCase {
  const source = new Source(13);
  const f = (...shape: number[]) => source.tensor('float32', shape);
  const inputs = [f(2, 3, 8, 8), f(4, 3, 3, 3), f(4), f(4), f(64, 5)];
  return againstReference(
    'convolution net',
    'convolution',
    inputs,
    (b, image, kernel, gain, shift, classes) => {
      const sizes = [2, 4, 8, 8];
      const x = b.convolution(image, kernel, { windowStrides: [1, 1], padding: [[1, 1], [1, 1]] }); // prettier-ignore
      const spread = (v: Value) => b.broadcastInDim(v, sizes, [1]);
      const mean = (v: Value) => b.divide(b.reduceSum(v, [0, 2, 3]), b.full(128, 'float32', [4]));
      const centred = b.subtract(x, spread(mean(x)));
      const variance = mean(b.multiply(centred, centred));
      const inverse = b.rsqrt(b.add(variance, b.full(1e-5, 'float32', [4])));
      const normal = b.add(b.multiply(centred, spread(b.multiply(inverse, gain))), spread(shift));
      const active = b.maximum(normal, b.full(0, 'float32', sizes));
      const [pooled] = b.reduceWindow([active], [b.full(-Infinity, 'float32')], { windowDimensions: [1, 1, 2, 2], windowStrides: [1, 1, 2, 2] }, (r, p, q) => [r.maximum(p, q)]); // prettier-ignore
      const logits = b.dotGeneral(b.reshape(pooled, [2, 64]), classes, { lhsContracting: [1], rhsContracting: [0] }); // prettier-ignore
      return [b.log(softmax(b, logits, [2, 5])), ...b.topK(logits, 2)];
    },
    tolerance,
  );
}

/** A recurrent cell run for as many steps as a loop says, on slices of the input. */
function recurrentNet(): ConformanceCase {
  const source = new Source(14);
  const f = (...shape: number[]) => source.tensor('float32', shape);
  return againstReference(
    'recurrent net in a loop',
    'while',
    [f(5, 2, 3), f(3, 4), f(4, 4)],
    (b, sequence, input, recurrent) => {
      const zero = b.full(0, 'int32');
      return b.while(
        [zero, b.full(0, 'float32', [2, 4])],
        (r, step) => [r.compare(step, r.full(5, 'int32'), 'LT')],
        (r, step, state) => {
          const now = r.reshape(r.dynamicSlice(sequence, [step, zero, zero], [1, 2, 3]), [2, 3]);
          const own = r.dotGeneral(state, recurrent, { lhsContracting: [1], rhsContracting: [0] });
          const given = r.dotGeneral(now, input, { lhsContracting: [1], rhsContracting: [0] });
          return [r.add(step, r.full(1, 'int32')), r.logistic(r.add(own, given))];
        },
      );
    },
    tolerance,
  );
}

export const modelCases = (): ConformanceCase[] => [
  perceptron(),
  attention(),
  convolutionNet(),
  recurrentNet(),
];
