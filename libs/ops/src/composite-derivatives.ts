// Derivatives of composites that are better than those of their bodies: from the result, without recomputing, stable.
import type { CoreBuilder, Node, Value } from '@weft/ir';
import { compositeAttributes, registerComposite } from '@weft/ir';
import { sizesOf } from './broadcast.ts';
import { dtypeOf, is, like, zeroUnless } from './elementwise.ts';
import { computeType } from './promotion.ts';
import { conjugate } from './matrices.ts';
import { spread } from './softmax.ts';
import { embeddingGradient } from './embedding.ts';

type Vjp = (b: CoreBuilder, node: Node, cotangents: readonly (Value | null)[]) => (Value | null)[];

/** A rule for composites of one result, whose cotangent is there. */
const rule =
  (body: (b: CoreBuilder, node: Node, g: Value) => (Value | null)[]): Vjp =>
  (b, node, [g]) =>
    g === null || g === undefined ? node.inputs.map(() => null) : body(b, node, g);

/** Computes in float32 or wider, gives back the operand's dtype. */
function wide(b: CoreBuilder, values: readonly Value[], body: (...values: Value[]) => Value): Value {
  const dtype = dtypeOf(values[0]);
  const result = body(...values.map((value) => b.convert(value, computeType(dtype))));
  return b.convert(result, dtype);
}

const dimOf = (node: Node): number => Number(compositeAttributes(node).dim);

registerComposite('softmax', {
  vjp: rule((b, node, g) => [
    wide(b, [g, node.outputs[0]], (dy, y) => {
      const product = b.multiply(dy, y);
      const total = spread(b, b.reduceSum(product, [dimOf(node)]), sizesOf(y), [dimOf(node)]);
      return b.subtract(product, b.multiply(y, total));
    }),
  ]),
});

registerComposite('log_softmax', {
  vjp: rule((b, node, g) => [
    wide(b, [g, node.outputs[0]], (dy, y) => {
      const total = spread(b, b.reduceSum(dy, [dimOf(node)]), sizesOf(y), [dimOf(node)]);
      return b.subtract(dy, b.multiply(b.exponential(y), total));
    }),
  ]),
});

registerComposite('relu', {
  vjp: rule((b, node, g) => [b.select(is(b, node.outputs[0], 'LE', 0), like(b, g, 0), g)]),
});

registerComposite('embedding', {
  vjp: rule((b, node, g) => {
    const { rows, padding_idx: padding } = compositeAttributes(node);
    return [embeddingGradient(b, g, node.inputs[1], Number(rows), Number(padding)), null];
  }),
});

/** The product of all elements but each one's own: correct where elements are zero. */
registerComposite('prod', {
  vjp: rule((b, node, g) => {
    const dim = dimOf(node);
    const [x] = node.inputs;
    const sizes = sizesOf(x);
    const zero = is(b, x, 'EQ', 0);
    const zeros = b.reduceSum(b.convert(zero, dtypeOf(x)), [dim]);
    const others = b.reduceProd(b.select(zero, like(b, x, 1), x), [dim]);
    const spreadOf = (value: Value): Value => spread(b, value, sizes, [dim]);
    const safe = b.select(zero, like(b, x, 1), x);
    const none = b.divide(spreadOf(others), safe);
    const nonzero = zeroUnless(b, is(b, spreadOf(zeros), 'EQ', 0), none);
    const single = zeroUnless(b, b.and(zero, is(b, spreadOf(zeros), 'EQ', 1)), spreadOf(others));
    return [b.multiply(spreadOf(g), conjugate(b, b.add(nonzero, single)))];
  }),
});
