// iota as a view: a row of numbers, spread over the other dimensions. Readers that take strides (causal masks, positions) then need no
// tensor of numbers, and nobody computes them.
import type { Block, Graph, Node } from '@weft/ir';
import { CoreBuilder, TensorLiteral, dtypes, encodeElement, specOf } from '@weft/ir';

/** Longer rows are computed at every run rather than kept. */
const mostKept = 1 << 16;

/** Replaces the iotas of a graph by views of constants. */
export function spreadIotas(graph: Graph): void {
  const b = new CoreBuilder(graph);
  const visit = (block: Block): void => {
    for (const node of [...block.nodes()]) {
      if (node.kind === 'core::iota') graph.withInsertPoint(node, () => spread(b, node));
      else for (const nested of node.blocks) visit(nested);
    }
  };
  visit(graph.block);
}

function spread(b: CoreBuilder, node: Node): void {
  const { dtype, sizes } = specOf(node.output);
  const dimension = node.int('iota_dimension');
  const count = sizes[dimension];
  if (count > mostKept) return;
  const { bytes } = dtypes[dtype];
  const data = new Uint8Array(count * bytes);
  const view = new DataView(data.buffer);
  for (let index = 0; index < count; index++) encodeElement(view, index * bytes, dtype, index);
  const row = b.constant(new TensorLiteral(dtype, [count], data));
  node.output.replaceAllUsesWith(sizes.length === 1 ? row : b.broadcastInDim(row, sizes, [dimension]));
  node.destroy();
}
