// Moves constants to the head of the graph and merges equal ones. Constants that can change (lists, tensors) are merged where
// nothing writes to them and not both can be told apart from outside.
import type { Block, Graph, IValue, Node } from '@weft/ir';
import { AliasAnalysis, TensorLiteral, typeToString, typesEqual } from '@weft/ir';
import { constantValue } from '../emit/constants.ts';
import { isImmutable, sameConstant } from './constant-propagation.ts';
import type { Pass } from './pass.ts';

/** Returns whether constants were merged. */
export function poolConstants(graph: Graph): boolean {
  const pooling = new Pooling(graph);
  pooling.visit(graph.block);
  return pooling.changed;
}

class Pooling {
  changed = false;
  private readonly pool = new Map<string, Node[]>();
  private analysis: AliasAnalysis | undefined;

  constructor(private readonly graph: Graph) {}

  visit(block: Block): void {
    for (const node of [...block.nodes()]) {
      for (const inner of node.blocks) this.visit(inner);
      if (node.kind === 'prim::Constant') this.place(node);
    }
  }

  private place(node: Node): void {
    const key = keyOf(node);
    const candidates = this.pool.get(key) ?? [];
    const same = candidates.find((candidate) => this.areEqual(node, candidate));
    if (same !== undefined) {
      node.replaceWith([same.output]);
      this.changed = true;
      return;
    }
    this.pool.set(key, [...candidates, node]);
    const first = node.graph.block.paramNode.next!;
    if (first !== node) node.moveBefore(first);
  }

  private areEqual(a: Node, b: Node): boolean {
    const { type } = a.output;
    if (type.kind === 'Function') return typesEqual(type, b.output.type);
    const [first, second] = [constantValue(a.output), constantValue(b.output)];
    if (first === undefined || !sameConstant(first, second)) return false;
    if (isImmutable(type)) return true;
    this.analysis ??= new AliasAnalysis(this.graph);
    return this.analysis.mayMerge([a.output], [b.output]);
  }
}

/** Equal for constants that may be equal. */
function keyOf(node: Node): string {
  const { type } = node.output;
  if (type.kind === 'Function') return `function ${type.function.name}`;
  return `${typeToString(type)} ${textOf(constantValue(node.output))}`;
}

function textOf(value: IValue | undefined): string {
  if (value instanceof TensorLiteral) return `${value.dtype}[${value.shape.join()}]`;
  if (Array.isArray(value)) return String(value.length);
  return value === null || typeof value !== 'object' ? `${typeof value} ${String(value)}` : '';
}

export const constantPoolingPass: Pass = {
  name: 'constant-pooling',
  level: 'torch',
  summary: 'Moves constants to the head of the graph and merges equal ones.',
  run: poolConstants,
};
