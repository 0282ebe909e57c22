// Reads graphs from text: PyTorch's printed form at the torch level, the exact form at the core level. What is printed of
// the graph that is read is the text again. The graph is not verified here; `verifyGraph` does that.
import type { Attribute } from '../graph/attribute.ts';
import type { Block, Node, Value } from '../graph/graph.ts';
import { Graph } from '../graph/graph.ts';
import { SourceRange } from '../graph/source-range.ts';
import { dtypeOfPrintName } from '../types/dtype.ts';
import type { IValue, TensorLiteral } from '../types/ivalue.ts';
import type { Type } from '../types/types.ts';
import { AnyTensorType, tensorSpec } from '../types/types.ts';
import { parseFloatText } from './number-text.ts';
import { createFloatingName } from './opaque.ts';
import { Scanner } from './scanner.ts';
import { scanExactTensor, scanShownTensor, seesShownTensor } from './tensor-text.ts';
import type { TypeParseOptions, TypeResolver } from './type-text.ts';
import { createTypeScope, scanType } from './type-text.ts';
import { scanIValue } from './value-text.ts';

export interface ParseGraphOptions extends TypeResolver {
  /** Names the text in errors; default `graph`. */
  readonly file?: string;
}

/** The graph that `text` shows. Throws ParseError with the line, also for names that are not defined. */
export function parseGraph(text: string, options: ParseGraphOptions = {}): Graph {
  const scanner = new Scanner(text, options.file ?? 'graph');
  const parser = new GraphParser(scanner, options);
  const graph = parser.graph();
  if (!scanner.atEnd) scanner.fail('expected the end of the graph');
  return graph;
}

const valueName = /[^\s,():=%#]+/y;
const nodeKind = /[A-Za-z_]\w*::\w+/y;
const overloadName = /\.\w+/y;
const blockHead = /block\d+\(/y;
const scopePath = /, scope: [^\n#]*[^\n#\s]/y;
const sourceComment = /[ \t]*# ([^\n]*):(\d+):(\d+)/y;
const coreType = /([A-Z]\w*)\(((?:\d+(?:, )?)*)\)/y;
const decimal = /^\d+$/;

class GraphParser {
  private readonly target = new Graph();
  private readonly values = new Map<string, Value>();
  private largestId = -1;
  private readonly types: TypeParseOptions;
  private readonly typeCache: Map<string, Type>;
  /** Kinds with their number, `prim::fork_0`, whose subgraphs stand behind this or an enclosing graph. */
  private readonly groupNames: ReadonlySet<string>;
  private readonly pendingGroups = new Map<string, Node>();

  constructor(
    private readonly scanner: Scanner,
    options: ParseGraphOptions,
    shared?: GraphParser,
  ) {
    this.types = shared?.types ?? {
      ...createTypeScope(options),
      parseDefault: (inner: Scanner, type: Type) => scanDefault(inner, type, this.types),
    };
    this.typeCache = shared?.typeCache ?? new Map<string, Type>();
    this.groupNames =
      shared?.groupNames ??
      new Set([...scanner.text.matchAll(/^with (\S+) = graph\(/gm)].map((found) => found[1]));
  }

  graph(): Graph {
    return this.scanner.nest(() => this.wholeGraph());
  }

  private wholeGraph(): Graph {
    const { scanner, target } = this;
    scanner.expect('graph');
    scanner.expect('(');
    this.parameters(target.block);
    scanner.expect(':');
    while (!scanner.acceptWord('return')) this.node(target.block);
    this.results(target.block);
    this.groups();
    // Values with names get the ids behind those that serve as names.
    target.startIdsAt(this.largestId + 1);
    for (const [name, value] of this.values) if (!decimal.test(name)) value.id = target.nextValueId();
    return target;
  }

  private groups(): void {
    const { scanner } = this;
    for (;;) {
      const start = scanner.position;
      if (!scanner.acceptWord('with')) return;
      scanner.skip();
      const name = scanner.match(/\S+/y) ?? '';
      const node = this.pendingGroups.get(name);
      if (node === undefined) {
        // It belongs to the graph around this one.
        scanner.position = start;
        return;
      }
      scanner.expect('=');
      node.set('Subgraph', { kind: 'g', value: new GraphParser(scanner, {}, this).graph() });
      this.pendingGroups.delete(name);
    }
  }

  /** Declared values up to the closing parenthesis, as parameters of the block. */
  private parameters(block: Block): void {
    this.scanner.list(')', () => {
      const [name, type, at] = this.declaration();
      this.define(block.addInput(type), name, at);
    });
  }

  private results(block: Block): void {
    this.scanner.expect('(');
    this.scanner.list(')', () => block.addOutput(this.use()));
  }

  private node(block: Block): void {
    const { scanner } = this;
    const outputs: [string, Type, number][] = [];
    if (scanner.sees('%')) {
      do outputs.push(this.declaration());
      while (scanner.accept(','));
    }
    scanner.expect('=');
    scanner.skip();
    const written = scanner.match(nodeKind) ?? scanner.fail('expected the kind of a node, such as aten::add');
    const isGroup = this.groupNames.has(written);
    const node = this.target.create(isGroup ? written.replace(/_\d+$/, '') : written, [], 0);
    if (isGroup) this.pendingGroups.set(written, node);
    node.overload = scanner.match(overloadName)?.slice(1);
    if (scanner.accept('[')) this.attributes(node, outputs[0]?.[1]);
    scanner.expect('(');
    scanner.list(')', () => node.addInput(this.use()));
    node.scope = scanner.match(scopePath)?.slice(', scope: '.length);
    this.source(node);
    block.appendNode(node);
    for (;;) {
      scanner.skip();
      if (scanner.match(blockHead) === undefined) break;
      scanner.nest(() => this.block(node.addBlock()));
    }
    for (const [name, type, at] of outputs) this.define(node.addOutput(type), name, at);
    nameFunction(node);
  }

  private block(block: Block): void {
    const { scanner } = this;
    this.parameters(block);
    scanner.expect(':');
    while (!scanner.accept('->')) this.node(block);
    this.results(block);
  }

  private source(node: Node): void {
    const comment = this.scanner.match(sourceComment);
    if (comment === undefined) return;
    const [, file, line, column] = /# (.*):(\d+):(\d+)$/.exec(comment)!;
    const indent = Number(column) - 1;
    // The text of the line is not at hand; spaces keep the column.
    node.source = new SourceRange(file, ' '.repeat(indent), indent, indent, Number(line));
  }

  private declaration(): [string, Type, number] {
    const { scanner } = this;
    scanner.expect('%');
    const at = scanner.position;
    const name = scanner.match(valueName) ?? scanner.fail('expected the name of a value');
    return [name, scanner.accept(':') ? this.type() : AnyTensorType, at];
  }

  private type(): Type {
    const { scanner } = this;
    scanner.skip();
    const start = scanner.position;
    const text = scanner.match(coreType);
    const ends = text !== undefined && !/[[?]/.test(scanner.text.charAt(scanner.position));
    if (ends) {
      const cached = this.typeCache.get(text);
      if (cached !== undefined) return cached;
      const open = text.indexOf('(');
      const dtype = dtypeOfPrintName(text.slice(0, open));
      if (dtype !== undefined) {
        const sizes = text.slice(open + 1, -1);
        const type = tensorSpec(dtype, sizes === '' ? [] : sizes.split(', ').map(Number));
        this.typeCache.set(text, type);
        return type;
      }
    }
    scanner.position = start;
    return scanType(scanner, this.types);
  }

  private define(value: Value, name: string, at: number): void {
    if (this.values.has(name)) {
      this.scanner.position = at;
      this.scanner.fail(`%${name} is defined twice`);
    }
    this.values.set(name, value);
    if (decimal.test(name)) {
      value.id = Number(name);
      if (String(value.id) !== name) this.scanner.fail(`%${name} is no number of a value`);
      this.largestId = Math.max(this.largestId, value.id);
    } else value.setName(name);
  }

  private use(): Value {
    const { scanner } = this;
    scanner.expect('%');
    const at = scanner.position;
    const name = scanner.match(valueName) ?? scanner.fail('expected the name of a value');
    const value = this.values.get(name);
    if (value === undefined) {
      scanner.position = at;
      return scanner.fail(`%${name} is not defined before it is used`);
    }
    return value;
  }

  // ---- attributes -----------------------------------------------------------------------------------------------

  private attributes(node: Node, type: Type | undefined): void {
    const { scanner } = this;
    const constantType = node.kind === 'prim::Constant' ? type : undefined;
    scanner.list(']', () => {
      const name = scanner.identifier();
      scanner.expect('=');
      const attribute =
        name === 'value' && constantType !== undefined ? this.constant(constantType) : this.attribute(name);
      node.set(name, attribute);
    });
  }

  /** The value of a prim::Constant, whose type says how to read it. */
  private constant(type: Type): Attribute {
    const { scanner } = this;
    switch (type.kind) {
      case 'int':
      case 'bool':
        return { kind: 'i', value: this.bigint() };
      case 'float':
        return { kind: 'f', value: this.float() };
      case 'str':
      case 'Device':
        return { kind: 's', value: scanner.quoted() };
      case 'Tensor':
        return { kind: 't', value: scanExactTensor(scanner) ?? scanShownTensor(scanner, type) };
      case 'number':
        return this.attribute('value');
      default:
        return { kind: 'ival', value: scanIValue(scanner, type, this.types) };
    }
  }

  /** Any other attribute; its text says its kind. */
  private attribute(name: string): Attribute {
    const { scanner } = this;
    scanner.skip();
    const emptyKind = scanner.match(/(?:fs|bs|ss|iss|ts|tys)\[\]/y);
    if (emptyKind !== undefined) {
      return { kind: emptyKind.slice(0, -2) as 'fs' | 'bs' | 'ss' | 'iss' | 'ts' | 'tys', value: [] };
    }
    if (scanner.sees('"')) return { kind: 's', value: scanner.quoted() };
    const tensor = scanExactTensor(scanner);
    if (tensor !== undefined) return { kind: 't', value: tensor };
    if (scanner.accept('[')) return this.listAttribute(name);
    if (scanner.acceptWord('True')) return { kind: 'b', value: true };
    if (scanner.acceptWord('False')) return { kind: 'b', value: false };
    if (scanner.sees('graph(')) {
      return { kind: 'g', value: new GraphParser(scanner, {}, this).graph() };
    }
    const start = scanner.position;
    const number = scanner.acceptNumber();
    if (number !== undefined) {
      if (scanner.sees(',') || scanner.sees(']')) {
        return decimal.test(number.replace(/^[+-]/, ''))
          ? { kind: 'i', value: BigInt(number) }
          : { kind: 'f', value: parseFloatText(number) };
      }
      scanner.position = start;
    }
    if (scanner.sees('annotate(') || scanner.sees('(') || scanner.sees('{"') || number !== undefined) {
      if (seesShownTensor(scanner) && !scanner.sees('{"')) {
        return { kind: 't', value: scanShownTensor(scanner, undefined) };
      }
      return { kind: 'ival', value: scanIValue(scanner, undefined, this.types) };
    }
    if (seesShownTensor(scanner)) return { kind: 't', value: scanShownTensor(scanner, undefined) };
    return { kind: 'ty', value: this.type() };
  }

  private listAttribute(name: string): Attribute {
    const { scanner } = this;
    if (name === 'types') return { kind: 'tys', value: scanner.list(']', () => this.type()) };
    if (scanner.accept(']')) return { kind: 'is', value: [] };
    if (scanner.sees('"')) return { kind: 'ss', value: scanner.list(']', () => scanner.quoted()) };
    if (scanner.sees('[')) {
      const row = (): bigint[] => {
        scanner.expect('[');
        return scanner.list(']', () => this.bigint());
      };
      return { kind: 'iss', value: scanner.list(']', row) };
    }
    if (scanner.sees('tensor<') || scanner.sees('splat<')) {
      const tensor = (): TensorLiteral => scanExactTensor(scanner) ?? scanner.fail('expected a tensor');
      return { kind: 'ts', value: scanner.list(']', tensor) };
    }
    if (scanner.sees('True') || scanner.sees('False')) {
      const boolean = (): boolean => {
        if (scanner.acceptWord('True')) return true;
        if (!scanner.acceptWord('False')) scanner.fail('expected True or False');
        return false;
      };
      return { kind: 'bs', value: scanner.list(']', boolean) };
    }
    const start = scanner.position;
    const first = scanner.acceptNumber();
    scanner.position = start;
    if (first === undefined) return { kind: 'tys', value: scanner.list(']', () => this.type()) };
    return decimal.test(first.replace(/^[+-]/, ''))
      ? { kind: 'is', value: scanner.list(']', () => this.bigint()) }
      : { kind: 'fs', value: scanner.list(']', () => this.float()) };
  }

  private bigint(): bigint {
    const text = this.scanner.acceptNumber();
    if (text === undefined || !/^[+-]?\d+$/.test(text)) this.scanner.fail('expected an integer');
    return BigInt(text);
  }

  private float(): number {
    return parseFloatText(this.scanner.acceptNumber() ?? this.scanner.fail('expected a number'));
  }
}

/** PyTorch prints strings without quotes here, so they end at the first comma or parenthesis. */
const bareString = /[^,)]*/y;
function scanDefault(scanner: Scanner, type: Type, options: TypeParseOptions): IValue {
  if (type.kind !== 'str') return scanIValue(scanner, type, options);
  scanner.skip();
  return scanner.match(bareString) ?? '';
}

/** A constant function's type holds its function; text has the name in an attribute. */
function nameFunction(node: Node): void {
  const name = node.find('s', 'name');
  if (node.kind === 'prim::Constant' && name !== undefined && node.outputs[0]?.type.kind === 'Function') {
    node.outputs[0].type = { kind: 'Function', function: createFloatingName(name) };
  }
}
