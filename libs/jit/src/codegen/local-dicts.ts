// Dicts that only this function sees until it returns them: each entry is a cell that holds its value as generated code
// does, so that asking for a key, reading and writing it is one look-up, and counting makes no bigints.
import type { Graph, Node, Value } from '@weft/ir';
import { qualifiedName, schemaOfNode } from '@weft/ir';

/** The operators that such a dict may meet; none of them takes an entry away. */
const allowed = /^aten::(__contains__|__getitem__\.Dict|_set_item|len\.Dict)(_|\.|$)/;

/** The dicts of a graph that can be held so. */
export function localDicts(graph: Graph): ReadonlySet<Value> {
  const found = new Set<Value>();
  const visit = (node: Node): void => {
    if (node.kind === 'prim::DictConstruct' && isLocal(graph, node.output)) found.add(node.output);
    for (const block of node.blocks) for (const inner of block.nodes()) visit(inner);
  };
  for (const node of graph.nodes()) visit(node);
  return found;
}

function isLocal(graph: Graph, dict: Value): boolean {
  if (dict.type.kind !== 'Dict' || !['int', 'str'].includes(dict.type.key.kind)) return false;
  return dict.uses.every(({ user: node, index }) => {
    if (node === graph.block.returnNode) return graph.outputs.length === 1;
    const schema = schemaOfNode(node);
    return index === 0 && schema !== undefined && allowed.test(qualifiedName(schema));
  });
}

/** What is known of the cells of a dict's keys while code is written: the variables that hold them. */
export class KnownCells {
  private readonly byDict = new Map<Value, Map<Value, string>>();

  get(dict: Value, key: Value): string | undefined {
    return this.byDict.get(dict)?.get(key);
  }
  set(dict: Value, key: Value, cell: string): void {
    let cells = this.byDict.get(dict);
    if (cells === undefined) this.byDict.set(dict, (cells = new Map()));
    cells.set(key, cell);
  }
  /** An entry may have come into being under another key that is equal to one of these. */
  keepOnly(dict: Value, key: Value): void {
    const cell = this.get(dict, key);
    this.byDict.delete(dict);
    if (cell !== undefined) this.set(dict, key, cell);
  }
  /** Writes the code of a block: what is learnt in it holds in it only. */
  within(write: () => void): void {
    const before = new Map([...this.byDict].map(([dict, cells]) => [dict, new Map(cells)]));
    write();
    this.byDict.clear();
    for (const [dict, cells] of before) this.byDict.set(dict, cells);
  }
  /** Forgets the dicts that the blocks of a node write to. */
  forget(node: Node): void {
    for (const block of node.blocks) {
      for (const inner of block.nodes()) {
        if (inner.kind === 'aten::_set_item') this.byDict.delete(inner.inputs[0]);
        this.forget(inner);
      }
    }
  }
}
