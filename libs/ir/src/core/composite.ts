// Composites: named operations with a body of core operators. A family that knows a better derivative than that of the
// body (one from the result, one that is stable) registers it here under the composite's name.
import type { Node, Value } from '../graph/graph.ts';
import { InternalError } from '../errors.ts';
import type { CoreBuilder } from './builder.ts';
import type { CoreOperator } from './operator.ts';
import { inlineRegion } from './region.ts';
import { vjpThrough } from './reverse.ts';

export interface CompositeDefinition {
  /** As CoreOperator.vjp. Without one the body is differentiated: computed again in the backward pass. */
  readonly vjp?: (b: CoreBuilder, node: Node, cotangents: readonly (Value | null)[]) => (Value | null)[];
}

const composites = new Map<string, CompositeDefinition>();

/** Registers what is special about composites of that name; throws InternalError when it is there already. */
export function registerComposite(name: string, definition: CompositeDefinition): void {
  if (composites.has(name)) throw new InternalError(`composite '${name}' is registered twice`);
  composites.set(name, definition);
}

/** The name of a composite node: `softmax`. */
export const compositeName = (node: Node): string => node.get('s', 'name');

export type CompositeAttributes = Readonly<Record<string, number | boolean | string | readonly number[]>>;
/** The attributes that the composite was made with. */
export const compositeAttributes = (node: Node): CompositeAttributes =>
  JSON.parse(node.get('s', 'composite_attributes')) as CompositeAttributes;

export const compositeVjp: CoreOperator['vjp'] = (b, node, cotangents, scope) => {
  const own = composites.get(compositeName(node))?.vjp;
  if (own !== undefined) return own(b, node, cotangents);
  return vjpThrough(b, node, cotangents, scope, () => inlineRegion(b, node.blocks[0], node.inputs).outputs);
};
