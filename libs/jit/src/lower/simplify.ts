// Clean-up of a core graph that a lowering has just made: equal pure nodes become one (lowerings repeat constants, shapes
// and conversions), then whatever nobody reads goes.
import type { Attribute, Block, Graph, Node, Value } from '@weft/ir';
import { TensorLiteral, asTensorSpec, hasEffect, removeDeadCode } from '@weft/ir';

export function simplifyCoreGraph(graph: Graph): void {
  new Merger().block(graph.block, new Map());
  removeDeadCode(graph);
}

/** Common subexpressions, by scope: a node may stand for equal ones after it in its block and in blocks inside. */
class Merger {
  private readonly literals = new Map<TensorLiteral, number>();
  private readonly ids = new Map<Value, number>();

  block(block: Block, outer: ReadonlyMap<string, Node>): void {
    const known = new Map(outer);
    for (const node of block.nodes()) {
      for (const inner of node.blocks) this.block(inner, known);
      if (node.blocks.length > 0 || hasEffect(node)) continue;
      const key = this.key(node);
      const first = known.get(key);
      if (first === undefined) known.set(key, node);
      else node.replaceWith(first.outputs);
    }
  }

  private key(node: Node): string {
    const attributes = [...node.attributes].map(
      ([name, attribute]) => `${name}=${this.attribute(attribute)}`,
    );
    const inputs = node.inputs.map((input) => this.id(input));
    const [first] = node.outputs;
    const spec = first === undefined ? undefined : asTensorSpec(first.type);
    return `${node.kind}(${inputs.join()})${attributes.sort().join()}:${spec?.dtype}[${spec?.sizes.join()}]`;
  }

  private id(value: Value): number {
    let id = this.ids.get(value);
    if (id === undefined) this.ids.set(value, (id = this.ids.size));
    return id;
  }

  private attribute({ kind, value }: Attribute): string {
    if (value instanceof TensorLiteral) return this.literal(value);
    return `${kind}${Array.isArray(value) ? value.map(String).join('|') : String(value)}`;
  }

  /** Small literals compare by their bytes, large ones by identity. */
  private literal(literal: TensorLiteral): string {
    const { dtype, shape, bytes, splat } = literal;
    if (bytes.length <= 64) return `${dtype}[${shape.join()}]${splat ? 'splat' : ''}${bytes.join()}`;
    let id = this.literals.get(literal);
    if (id === undefined) this.literals.set(literal, (id = this.literals.size));
    return `#${id}`;
  }
}
