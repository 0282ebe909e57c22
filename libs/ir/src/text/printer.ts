// Graphs as text, in PyTorch's form byte for byte. Core nodes print exactly (tensor data in hexadecimal, floats never like
// integers), so a core graph read back is the same graph.
import type { Attribute } from '../graph/attribute.ts';
import type { Block, Node, Value } from '../graph/graph.ts';
import { Graph } from '../graph/graph.ts';
import type { TensorSpec, Type } from '../types/types.ts';
import { dtypes } from '../types/dtype.ts';
import { formatExactFloat, formatFloat } from './number-text.ts';
import { quote } from './quoted.ts';
import { exactTensorText, tensorText } from './tensor-text.ts';
import { typeToString } from './type-text.ts';
import { ivalueToString } from './value-text.ts';

export interface PrintOptions {
  /** Ends each node's line with `# file:line:column`. */
  readonly sources?: boolean;
  /** Prints torch nodes without loss too: tensor data, overloads. PyTorch does not. */
  readonly exact?: boolean;
}

/** The graph as text, ending in a new line. */
export function printGraph(graph: Graph, options: PrintOptions = {}): string {
  return new Printer(options).graph(graph);
}

/** One node with its blocks, without indentation and last new line; for errors and logs. */
export function printNode(node: Node, options: PrintOptions = {}): string {
  const printer = new Printer(options);
  printer.node(node, 0);
  return printer.lines.join('\n');
}

class Printer {
  readonly lines: string[] = [];
  /** Nodes whose subgraph is printed behind the graph. */
  private readonly groups: Node[] = [];

  constructor(private readonly options: PrintOptions) {}

  graph(graph: Graph): string {
    this.lines.push(`graph(${graph.inputs.map(valueWithType).join(',\n      ')}):`);
    for (const node of graph.nodes()) this.node(node, 1);
    this.lines.push(`  return (${valueList(graph.outputs)})\n`);
    let text = this.lines.join('\n');
    this.groups.forEach((node, index) => {
      text += `with ${node.kind}_${index} = ${printGraph(node.get('g', 'Subgraph'), this.options)}`;
    });
    return text;
  }

  node(node: Node, level: number): void {
    const isGroup = node.attributes.get('Subgraph')?.kind === 'g';
    let line = `${'  '.repeat(level)}${node.outputs.map(valueWithType).join(', ')} = ${node.kind}`;
    if (this.options.exact === true && node.overload) line += `.${node.overload}`;
    if (isGroup) {
      line += `_${this.groups.length}`;
      this.groups.push(node);
    }
    line += this.attributes(node, isGroup);
    line += `(${valueList(node.inputs)})`;
    if (node.scope !== undefined) line += `, scope: ${node.scope}`;
    if (this.options.sources === true && node.source !== undefined) line += ` # ${node.source.toString()}`;
    this.lines.push(line);
    node.blocks.forEach((block, index) => this.block(block, index, level + 1));
  }

  private block(block: Block, index: number, level: number): void {
    this.lines.push(`${'  '.repeat(level)}block${index}(${block.inputs.map(valueWithType).join(', ')}):`);
    for (const node of block.nodes()) this.node(node, level + 1);
    this.lines.push(`${'  '.repeat(level + 1)}-> (${valueList(block.outputs)})`);
  }

  private attributes(node: Node, isGroup: boolean): string {
    if (node.attributes.size === 0) return '';
    const exact = this.options.exact === true || node.kind.startsWith('core::');
    const resultType = node.kind === 'prim::Constant' ? node.outputs[0]?.type : undefined;
    const parts: string[] = [];
    for (const [name, attribute] of node.attributes) {
      if (isGroup && name === 'Subgraph') continue;
      parts.push(`${name}=${attributeText(attribute, resultType, exact)}`);
    }
    return parts.length === 0 ? '' : `[${parts.join(', ')}]`;
  }
}

function attributeText(attribute: Attribute, type: Type | undefined, exact: boolean): string {
  const float = exact ? formatExactFloat : formatFloat;
  const boolean = (value: boolean): string => (exact ? (value ? 'True' : 'False') : String(Number(value)));
  const tensor = exact ? exactTensorText : tensorText;
  switch (attribute.kind) {
    case 'i':
      return String(attribute.value);
    case 'is':
      return `[${attribute.value.join(', ')}]`;
    case 'f':
      return float(attribute.value);
    case 'b':
      return boolean(attribute.value);
    case 's':
      return quote(attribute.value);
    case 't':
      return tensor(attribute.value);
    case 'fs':
      return listText('fs', attribute.value.map(float), exact);
    case 'bs':
      return listText('bs', attribute.value.map(boolean), exact);
    case 'ss':
      return listText('ss', attribute.value.map(quote), exact);
    case 'iss':
      return listText(
        'iss',
        attribute.value.map((row) => `[${row.join(', ')}]`),
        exact,
      );
    case 'ts':
      return exact ? listText('ts', attribute.value.map(tensor), exact) : '[<Tensors>]';
    case 'tys':
      return listText(
        'tys',
        attribute.value.map((item) => typeToString(item)),
        exact,
      );
    case 'ty':
      return typeToString(attribute.value);
    case 'g':
      return printGraph(attribute.value, { exact });
    case 'ival':
      return ivalueToString(attribute.value, type, exact);
    default:
      return attribute satisfies never;
  }
}

/** `[]` is a list of ints; other empty lists say their kind where the form is exact. */
const listText = (kind: string, items: readonly string[], exact: boolean): string =>
  exact && items.length === 0 ? `${kind}[]` : `[${items.join(', ')}]`;

const valueList = (values: readonly Value[]): string => values.map((value) => `%${value.name}`).join(', ');

const valueWithType = (value: Value): string => `%${value.name} : ${valueTypeText(value.type)}`;

/** Core types are the many; they take a short way. */
function valueTypeText(type: Type): string {
  if (type.kind === 'Tensor' && type.dtype !== undefined && type.sizes !== undefined) {
    const { dtype, sizes, strides, device, requiresGrad } = type as TensorSpec;
    if (strides === undefined && device === undefined && requiresGrad === undefined) {
      return `${dtypes[dtype].printName}(${sizes.map((size) => size ?? '*').join(', ')})`;
    }
  }
  return typeToString(type, (value) => (typeof value === 'string' ? value : ivalueToString(value)));
}

// A graph shows as its text, also in console.log.
Object.defineProperties(Graph.prototype, {
  toString: {
    value(this: Graph): string {
      return printGraph(this);
    },
    writable: true,
    configurable: true,
  },
  [Symbol.for('nodejs.util.inspect.custom')]: {
    value(this: Graph): string {
      return printGraph(this);
    },
    writable: true,
    configurable: true,
  },
});
