// Where derivatives end, and where they are written down. A result can be a value like any other and still be no function of the operands to differentiate
// (statistics that an operator hands out, positions as floats), or be one whose derivative is zero though nothing of the
// operand is in it (`fill`, `pow` with exponent 0). And the derivative of the steps of a lowering need not be PyTorch's where
// something is zero, infinite or NaN: then the formula of PyTorch stands beside it. All are composites, so that every user of a
// lowering sees the same.
import type { CompositeAttributes, CoreBuilder, Node, Value } from '@weft/ir';
import {
  OperatorError,
  compositeAttributes,
  compositeName,
  isDifferentiable,
  registerComposite,
  specOf,
} from '@weft/ir';
import type { KernelVjp } from './operator.ts';
import { computeType } from './promotion.ts';

registerComposite('stop_gradient', { vjp: (_, node) => node.inputs.map(() => null) });

/** The identity that no gradient passes: its result requires none. It is what `detach` and `no_grad` are in one graph. */
export const stopGradient = (b: CoreBuilder, x: Value): Value =>
  b.composite('stop_gradient', [x], {}, (_, inner) => [inner])[0];

export const stopsGradient = (node: Node): boolean =>
  node.kind === 'core::composite' && compositeName(node) === 'stop_gradient';

registerComposite('zero_gradient', { vjp: (_, node, [g]) => [g, ...node.inputs.slice(1).map(() => null)] });

/** `x` as a function of `operands` too, with a derivative of zero: it requires gradients when they do. */
export const zeroGradient = (b: CoreBuilder, x: Value, ...operands: readonly Value[]): Value =>
  b.composite('zero_gradient', [x, ...operands], {}, (_, inner) => [inner])[0];

registerComposite('underivable', {
  vjp(_, node) {
    throw new OperatorError(String(compositeAttributes(node).message));
  },
});

/**
 * `x` as a function of `operands` whose derivative nobody has written: it requires gradients when they do, and asking for one throws
 * PyTorch's `message`.
 */
export const underivable = (
  b: CoreBuilder,
  message: string,
  x: Value,
  ...operands: readonly Value[]
): Value =>
  b.composite('underivable', [stopGradient(b, x), ...operands], { message }, (_, inner) => [inner])[0];

/** PyTorch's words for an operator that has no derivative at all, and for one of which a formula leaves an operand out. */
export const noDerivative = (name: string): string => `derivative for ${name} is not implemented`;
export const noFormula = (name: string): string => `the derivative for '${name}' is not implemented.`;

/** The derivative of a kernel that nobody has written. */
export const underivableKernel =
  (message: string): KernelVjp =>
  () => {
    throw new OperatorError(message);
  };

/** What a written derivative sees: the cotangent of the only result, the operands, the result, the attributes. */
export interface DerivativeSite {
  readonly g: Value;
  readonly operands: readonly Value[];
  readonly result: Value;
  readonly attributes: CompositeAttributes;
}

/**
 * Names a computation with one result whose derivative is `vjp`: a cotangent for each operand (null: zero). The operators that it
 * emits can be differentiated again.
 */
export function withDerivative<A extends CompositeAttributes>(
  name: string,
  body: (b: CoreBuilder, operands: readonly Value[], attributes: A) => Value,
  vjp: (b: CoreBuilder, site: DerivativeSite & { readonly attributes: A }) => (Value | null)[],
): (b: CoreBuilder, operands: readonly Value[], attributes: A) => Value {
  registerComposite(name, {
    vjp(b, node, [g]) {
      if (g === null || g === undefined) return node.inputs.map(() => null);
      const attributes = compositeAttributes(node) as A;
      return vjp(b, { g, operands: node.inputs, result: node.outputs[0], attributes });
    },
  });
  return (b, operands, attributes) =>
    b.composite(name, operands, attributes, (inner, ...values) => [body(inner, values, attributes)])[0];
}

const even = ['max', 'min', 'median', 'nanmedian'];
for (const name of even) {
  registerComposite(name, {
    vjp(b, node, [g]) {
      const [x] = node.inputs;
      const [value] = node.outputs;
      if (g === null || g === undefined || !isDifferentiable(x)) return [null];
      const { dtype, sizes } = specOf(x);
      const all = sizes.map((_, dim) => dim);
      const [target, cotangent] = [b.broadcastTo(value, sizes), b.broadcastTo(g, sizes)];
      const isNaN = (each: Value): Value => b.compare(each, each, 'NE');
      const hit = b.or(b.compare(x, target, 'EQ'), b.and(isNaN(x), isNaN(target)));
      const count = b.reduceSum(b.convert(hit, computeType(dtype)), all);
      const share = b.divide(cotangent, b.broadcastTo(b.convert(count, dtype), sizes));
      return [b.select(hit, share, b.fullLike(share, 0))];
    },
  });
}

/** One of all elements: its gradient is shared by those that are equal to it, or by those that are NaN as it is. */
export const evenly = (
  b: CoreBuilder,
  name: string,
  x: Value,
  body: (b: CoreBuilder, x: Value) => Value,
): Value =>
  even.includes(name) ? b.composite(name, [x], {}, (inner, y) => [body(inner, y)])[0] : body(b, x);
