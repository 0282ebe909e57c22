// Layout: a transpose that undoes others above it goes with them, through what is computed element by element in between, which is
// then computed in the order of the operands. As in networks that put channels last for a norm or a linear layer and back for a
// convolution. Done where fewer elements are moved than before; every element stays what it was. A transpose of a concatenation is one of
// its pieces, which are moved anyway.
import type { Block, Graph, Node, Value } from '@weft/ir';
import { CoreBuilder, TensorLiteral, constantOf, coreOperator, inferTypes, numel, specOf } from '@weft/ir';
import type { Pass } from './pass.ts';

/** Nodes that a transpose is taken through, at most. */
const deepest = 64;

/** Returns whether a transpose went. */
export function cancelTransposes(graph: Graph): boolean {
  return visit(graph.block, new CoreBuilder(graph));
}

function visit(block: Block, b: CoreBuilder): boolean {
  let changed = false;
  for (const node of block.nodes()) {
    for (const inner of node.blocks) changed = visit(inner, b) || changed;
    if (node.kind !== 'core::transpose' || !node.output.hasUses) continue;
    const raised = new Raised(node);
    const isRaised = raised.plan(node.inputs[0], node) === true && raised.moved < 0;
    if (!isRaised && !isOfPieces(node)) continue;
    const replacement = b.graph.withInsertPoint(node, () => isRaised ? raised.emit(b, node.inputs[0]) : ofPieces(node, b)); // prettier-ignore
    replacement.node.source ??= node.source;
    node.replaceWith([replacement]);
    changed = true;
  }
  return changed;
}

/** Whether a transpose is of a concatenation that nothing else reads. */
const isOfPieces = ({ inputs: [joined] }: Node): boolean =>
  joined.node.kind === 'core::concatenate' && joined.uses.length === 1;

/** The concatenation of the pieces' transposes. */
function ofPieces(node: Node, b: CoreBuilder): Value {
  const joined = node.inputs[0].node;
  const permutation = node.ints('permutation');
  const pieces = joined.inputs.map((piece) => b.transpose(piece, [...permutation]));
  return b.concatenate(pieces, permutation.indexOf(joined.int('dimension')));
}

/** A transpose taken up through the nodes above it. */
class Raised {
  /** Elements that are moved then, less those that are moved now. */
  moved: number;
  private readonly permutation: readonly number[];
  private readonly planned = new Set<Value>();
  /** What is computed anew, in the order of its operands. */
  private readonly through = new Set<Node>();
  private readonly made = new Map<Value, Value>();

  constructor(private readonly root: Node) {
    this.permutation = root.ints('permutation');
    this.moved = -numel(specOf(root.output).sizes);
  }

  /** Counts what it takes to have the value in the order of the transpose; undefined when it cannot be had so. */
  plan(value: Value, reader: Node): true | undefined {
    if (this.planned.has(value)) return true;
    if (this.planned.size >= deepest) return undefined;
    this.planned.add(value);
    const { node } = value;
    const elements = numel(specOf(value).sizes);
    if (constantOf(value)?.splat === true || node.operator === 'broadcast_in_dim') return true;
    if (node.kind === 'core::transpose') {
      if (!this.isUndone(node)) return undefined;
      // It goes when nobody else reads it.
      if (this.isOnlyRead(value)) this.moved -= elements;
      return true;
    }
    if (this.isThrough(node, reader)) {
      this.through.add(node);
      return node.inputs.every((input) => this.plan(input, node)) || undefined;
    }
    this.moved += elements;
    return true;
  }

  private isUndone(node: Node): boolean {
    const inner = node.ints('permutation');
    return this.permutation.every((from, to) => inner[from] === to);
  }

  /** Whether the node is computed element by element, for this transpose alone. */
  private isThrough(node: Node, reader: Node): boolean {
    if (node.block !== reader.block || node.outputs.length !== 1 || node.blocks.length > 0) return false;
    if (node.namespace !== 'core' || coreOperator(node.operator).isElementwise !== true) return false;
    const sizes = String(specOf(node.output).sizes);
    return (
      this.isOnlyRead(node.output) && node.inputs.every((input) => String(specOf(input).sizes) === sizes)
    );
  }

  private isOnlyRead = (value: Value): boolean =>
    value.uses.every(
      ({ user }) => user === this.root || (user.outputs.length === 1 && this.planned.has(user.output)),
    );

  emit(b: CoreBuilder, value: Value): Value {
    let made = this.made.get(value);
    if (made === undefined) this.made.set(value, (made = this.emitNew(b, value)));
    return made;
  }

  private emitNew(b: CoreBuilder, value: Value): Value {
    const { permutation } = this;
    const { node } = value;
    const { sizes, dtype } = specOf(value);
    const reordered = permutation.map((dim) => sizes[dim]);
    const literal = constantOf(value);
    if (literal?.splat === true) return b.constant(new TensorLiteral(dtype, reordered, literal.bytes, true));
    if (node.operator === 'broadcast_in_dim') {
      const places = node.ints('broadcast_dimensions').map((dim) => permutation.indexOf(dim));
      const sorted = places.toSorted((a, c) => a - c);
      const operand = b.transpose(node.inputs[0], sorted.map((place) => places.indexOf(place))); // prettier-ignore
      return b.broadcastInDim(operand, reordered, sorted);
    }
    if (node.kind === 'core::transpose' && this.isUndone(node)) return node.inputs[0];
    if (!this.through.has(node)) return b.transpose(value, [...permutation]);
    const operands = node.inputs.map((input) => this.emit(b, input));
    const again = b.graph.create(node.kind, operands, 0);
    again.copyAttributes(node);
    again.source = node.source;
    for (const spec of inferTypes(again)) again.addOutput(spec);
    return b.graph.insertNode(again).output;
  }
}

export const coreTransposesPass: Pass = {
  name: 'core-transposes',
  level: 'core',
  summary:
    'Cancels transposes with those they undo, through what is computed element by element in between, and takes them into concatenations.',
  run: cancelTransposes,
};
