// Derivatives of the operators that move elements: each is the transposed move.
import type { Node, Value } from '../../graph/graph.ts';
import type { CoreBuilder } from '../builder.ts';
import { specOf } from '../infer-types.ts';
import type { CoreOperator } from '../operator.ts';
import { keepWhere, sumToScalar } from '../cotangent.ts';
import { range } from './inference.ts';

type MoveRule = (b: CoreBuilder, node: Node, g: Value) => (Value | null)[];
const zero = (b: CoreBuilder, g: Value): Value => b.full(0, specOf(g).dtype);

const rules: Readonly<Record<string, MoveRule>> = {
  reshape: (b, node, g) => [b.reshape(g, specOf(node.inputs[0]).sizes)],
  transpose: (b, node, g) => [b.transpose(g, inverse(node.ints('permutation')))],
  reverse: (b, node, g) => [b.reverse(g, node.ints('dimensions'))],
  broadcast_in_dim(b, node, g) {
    const { sizes } = specOf(node.inputs[0]);
    const dimensions = node.ints('broadcast_dimensions');
    const shape = node.ints('shape');
    const kept = (at: number) => {
      const from = dimensions.indexOf(at);
      return from >= 0 && sizes[from] === shape[at];
    };
    const sum = b.reduceSum(
      g,
      range(shape.length).filter((at) => !kept(at)),
    );
    // What is left stands in the order of the result; the operand may have it in another.
    const left = range(shape.length).filter(kept);
    const order = dimensions.filter(kept).map((at) => left.indexOf(at));
    return [b.reshape(b.transpose(sum, order), sizes)];
  },
  slice(b, node, g) {
    const { sizes } = specOf(node.inputs[0]);
    const start = node.ints('start_indices');
    const strides = node.ints('strides');
    const high = specOf(g).sizes.map(
      (size, at) => sizes[at] - start[at] - (size === 0 ? 0 : (size - 1) * strides[at] + 1),
    );
    const interior = strides.map((stride) => stride - 1);
    return [b.pad(g, zero(b, g), start, high, interior)];
  },
  pad(b, node, g) {
    const { sizes } = specOf(node.inputs[0]);
    const low = node.ints('edge_padding_low');
    const high = node.ints('edge_padding_high');
    const interior = node.ints('interior_padding');
    const zeros = low.map(() => 0);
    const cropped = b.pad(g, zero(b, g), low.map(negated), high.map(negated));
    const limit = specOf(cropped).sizes;
    const operand = interior.every((amount) => amount === 0)
      ? cropped
      : b.slice(
          cropped,
          zeros,
          limit,
          interior.map((amount) => amount + 1),
        );
    const padding = b.pad(b.full(false, 'bool', sizes), b.full(true, 'bool'), low, high, interior);
    return [operand, sumToScalar(b, keepWhere(b, padding, g))];
  },
  concatenate(b, node, g) {
    const dimension = node.int('dimension');
    let start = 0;
    return node.inputs.map((input) => {
      const { sizes } = specOf(input);
      const first = sizes.map((_, at) => (at === dimension ? start : 0));
      start += sizes[dimension];
      return b.slice(
        g,
        first,
        first.map((at, index) => at + sizes[index]),
      );
    });
  },
};

const negated = (amount: number): number => (amount === 0 ? 0 : -amount);

/** The permutation that undoes `permutation`. */
export function inverse(permutation: readonly number[]): number[] {
  const result: number[] = [];
  permutation.forEach((from, to) => (result[from] = to));
  return result;
}

export const shapeVjps: Readonly<Record<string, CoreOperator['vjp']>> = Object.fromEntries(
  Object.entries(rules).map(([name, rule]): [string, CoreOperator['vjp']] => [
    name,
    (b, node, [g]) => (g === null ? node.inputs.map(() => null) : rule(b, node, g)),
  ]),
);
