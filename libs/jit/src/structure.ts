// Graphs as text that leaves out what may differ between equal programs: names of values and classes, where constants stand,
// the order of attribute reads. Two graphs with the same text have the same structure; tests compare ours with PyTorch's.
import type { Block, Node, Type, Value } from '@weft/ir';
import { EnumValue, Graph, typeToString } from '@weft/ir';
import { constantValue } from './emit/constants.ts';

export interface StructureOptions {
  /** Leaves out what tensors were seen to be (dtype, sizes, …). */
  readonly plainTensors?: boolean;
  /** Keeps names of classes and the order of attribute reads; constants still stand where they are used. */
  readonly exact?: boolean;
}

export function structureOf(graph: Graph, options: StructureOptions = {}): string {
  return new Structure(options).graph(graph);
}

class Structure {
  private readonly names = new Map<Value, string>();
  private readonly lines: string[] = [];
  constructor(private readonly options: StructureOptions) {}

  graph(graph: Graph): string {
    this.block(graph.block, '');
    return this.lines.join('\n');
  }

  private block(block: Block, indent: string): void {
    for (const input of block.inputs) this.define(input);
    this.lines.push(
      `${indent}(${block.inputs.map((input) => `${this.use(input)} : ${this.type(input.type)}`).join(', ')})`,
    );
    for (const node of block.nodes()) this.node(node, `${indent}  `);
    this.lines.push(`${indent}-> (${block.outputs.map((output) => this.use(output)).join(', ')})`);
  }

  private define(value: Value): void {
    this.names.set(value, `%${this.names.size}`);
  }

  /** Constants and attributes are written where they are used, so that their order does not matter. */
  private use(value: Value): string {
    const { node } = value;
    if (node.kind === 'prim::Constant') {
      if (value.type.kind === 'Function') return `function ${lastName(value.type.function.name)}`;
      const constant = constantValue(value);
      return `${this.type(value.type)} ${show(constant)}`;
    }
    if (node.kind === 'prim::GetAttr' && this.options.exact !== true)
      return `${this.use(node.inputs[0])}.${node.get('s', 'name')}`;
    if (node.kind === 'prim::Uninitialized') return `uninitialized ${this.type(value.type)}`;
    return this.names.get(value) ?? '%undefined';
  }

  private node(node: Node, indent: string): void {
    if (node.kind === 'prim::Constant' || node.kind === 'prim::Uninitialized') return;
    if (node.kind === 'prim::GetAttr' && this.options.exact !== true) return;
    const inputs = node.inputs.map((input) => this.use(input));
    for (const output of node.outputs) this.define(output);
    const outputs = node.outputs.map((output) => `${this.use(output)} : ${this.type(output.type)}`);
    const attributes = [...node.attributes]
      .map(([name, { value }]) => `${name}=${this.attribute(value)}`)
      .sort();
    this.lines.push(
      `${indent}${outputs.join(', ')} = ${node.kind}[${attributes.join(', ')}](${inputs.join(', ')})`,
    );
    for (const block of node.blocks) this.block(block, `${indent}  `);
  }

  private attribute(value: unknown): string {
    if (Array.isArray(value)) return value.map((item) => showAttribute(item)).join();
    return value instanceof Graph ? `{${structureOf(value, this.options)}}` : showAttribute(value);
  }

  private type(type: Type): string {
    const exact = this.options.exact === true;
    const text = exact
      ? typeToString(type)
      : typeToString(type).replace(/__torch__\.[\w.]*?(\w+)(?![\w.])/g, '$1');
    return this.options.plainTensors === true
      ? text.replace(/\b(?:Float|Double|Long|Int|Bool|Half)\((?:[^()]|\([^()]*\))*\)/g, 'Tensor')
      : text;
  }
}

const lastName = (name: string): string => name.slice(name.lastIndexOf('.') + 1);

const show = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => {
    if (part instanceof EnumValue) return `${part.type.name}.${part.name}`;
    return typeof part === 'bigint' ? `${part}n` : part;
  }) ?? 'undefined';

const showAttribute = (value: unknown): string =>
  typeof value === 'object' && value !== null && 'kind' in value ? typeToString(value as Type) : show(value);
