// Constant tensors without dimensions become numbers where they are the second operand of arithmetic. A tensor decides on the
// dtype of a result, a number does not (a trace of `loss * 0.01` keeps 0.01 as a float64 tensor), and PyTorch's executor makes
// numbers of them before it runs a graph. It does so for these four operators only.
import type { Block, Graph, IValue, Node } from '@weft/ir';
import { TensorLiteral, constantValue, insertConstant, schemaOfNode } from '@weft/ir';
import { Tensor, hostDevice } from '@weft/tensor';
import type { Pass } from './pass.ts';

const arithmetic: ReadonlySet<string> = new Set(['aten::add', 'aten::sub', 'aten::mul', 'aten::div']);

/** The number that stands as a tensor in the second operand of an addition, subtraction, product or quotient. */
export function scalarOperand(node: Node): IValue | undefined {
  if (!arithmetic.has(node.kind) || schemaOfNode(node)?.overload !== 'Tensor') return undefined;
  const value = constantValue(node.inputs[1]);
  if (!(value instanceof TensorLiteral) || value.shape.length > 0 || value.dtype === 'bool') return undefined;
  return Tensor.fromLiteral(value, hostDevice()).element();
}

/** Returns whether there were any. */
export function numbersForScalarTensors(graph: Graph): boolean {
  return visit(graph.block);
}

function visit(block: Block): boolean {
  let changed = false;
  for (const node of block.nodes()) {
    for (const inner of node.blocks) changed = visit(inner) || changed;
    const scalar = scalarOperand(node);
    if (scalar === undefined) continue;
    const { graph } = node;
    const number = graph.withInsertPoint(node, () => insertConstant(graph, scalar));
    number.node.source = node.source;
    node.replaceInput(1, number);
    node.overload = 'Scalar';
    changed = true;
  }
  return changed;
}

export const scalarOperandsPass: Pass = {
  name: 'scalar-operands',
  level: 'torch',
  summary: 'Makes numbers of constant tensors without dimensions in arithmetic.',
  run: numbersForScalarTensors,
};
