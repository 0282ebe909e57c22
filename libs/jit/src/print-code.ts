// Graphs as TorchScript source (Python), as PyTorch writes it: what `.code` shows and what archives hold. The text parses
// back to the same graph. A value becomes an expression in place where evaluation order allows, else a variable.
import type {
  Block,
  ClassType,
  EnumType,
  FunctionRef,
  IValue,
  InterfaceType,
  Node,
  Schema,
  SourceRange,
  TupleType,
  Type,
  Use,
  Value,
} from '@weft/ir';
import type { ScriptFunction } from '@weft/ir';
import {
  Complex,
  DeviceValue,
  EnumValue,
  InternalError,
  TupleValue,
  UnsupportedError,
  annotationString,
  containedTypes,
  containerType,
  formatExactFloat,
  quote,
  schemaOfNode,
  typesEqual,
} from '@weft/ir';
import { constantValue } from './emit/constants.ts';
import { isIdentifier, reservedNames } from './python-text.ts';
import type { RangedPiece } from './ranged-text.ts';
import { RangedText, withoutMarks } from './ranged-text.ts';

/** Types and functions that printed code refers to. */
export type Dependency = ClassType | EnumType | InterfaceType | TupleType | FunctionRef;

export interface CodeOptions {
  /** Values that have no literal; written as `CONSTANTS.c0`. New ones are appended. */
  readonly constants?: IValue[];
  /** How a qualified class or function name is written. */
  readonly nameOf?: (qualifiedName: string) => string;
}

/** The source of a function alone. */
export function printFunctionCode(fn: ScriptFunction, options?: CodeOptions): string {
  const printer = new CodePrinter(options);
  printer.function(fn);
  return printer.text;
}

/** The source of a class with its attributes, constants and methods. */
export function printClassCode(type: Exclude<Dependency, FunctionRef>, options?: CodeOptions): string {
  const printer = new CodePrinter(options);
  printer.namedType(type);
  return printer.text;
}

export class CodePrinter {
  private readonly body = new RangedText();
  /** Where the statement that is being printed comes from. */
  private source: SourceRange | undefined;
  private level = 0;
  private readonly constants: IValue[];
  private readonly nameOf: (name: string) => string;
  private readonly nextId = new Map<string, number>();
  private usedNames = new Set<string>();
  private readonly inline = new Set<Node>();
  private readonly scanned = new Map<Node, number>();
  private readonly expressions = new Map<Value, string>();
  private readonly variables = new Map<Value, string>();
  /** What the code printed so far refers to, in the order of first mention. */
  readonly dependencies = new Set<Dependency>();

  constructor({ constants = [], nameOf = (name) => name }: CodeOptions = {}) {
    this.constants = constants;
    this.nameOf = nameOf;
  }

  get text(): string {
    return this.body.text;
  }
  /** Which parts of the text come from where, ascending. */
  get pieces(): readonly RangedPiece[] {
    return this.body.pieces;
  }

  // ---- Lines and names --------------------------------------------------------------------------------------------

  private line(text: string): void {
    this.body.append(`${'  '.repeat(this.level)}${text}\n`, this.source);
  }
  private indented(body: () => void): void {
    this.level++;
    body();
    this.level--;
  }

  private uniqueName(candidate: string): string {
    let name = candidate;
    while (this.usedNames.has(name) || reservedNames.has(name)) {
      const id = this.nextId.get(name) ?? 0;
      this.nextId.set(name, id + 1);
      name = `${candidate}${id}`;
    }
    this.usedNames.add(name);
    return name;
  }

  private define(values: readonly Value[]): void {
    for (const value of values) {
      const base = value.hasName ? value.name.replace(/\.\d+$/, '') : '_';
      this.variables.set(value, this.uniqueName(toIdentifier(base)));
    }
  }

  private use(value: Value): string {
    const text = this.variables.get(value) ?? this.expressions.get(value);
    if (text === undefined) throw new InternalError(`%${value.name} is printed before it is defined`);
    return text;
  }
  private list(values: readonly Value[]): string {
    return values.map((value) => this.use(value)).join(', ');
  }

  private type(type: Type): string {
    this.register(type);
    return annotationString(type, this.nameOf);
  }

  private register(type: Type): void {
    if (type.kind === 'Class' || type.kind === 'Interface' || type.kind === 'Enum')
      this.dependencies.add(type);
    else if (type.kind === 'Tuple' && type.name !== undefined) this.dependencies.add(type);
    for (const inner of containedTypes(type)) this.register(inner);
  }

  // ---- Which values are written in place --------------------------------------------------------------------------

  private canInline(value: Value): boolean {
    const { node } = value;
    if (node.outputs.length !== 1 || value.uses.length !== 1 || node.blocks.length > 0) return false;
    const [use] = value.uses;
    // A value that was a variable stays one, unless it is only returned.
    if (value.hasName && use.user.kind !== 'prim::Return') return false;
    if (use.user.kind === 'prim::Loop' && use.index >= 2) return false;
    if (use.user.kind === 'prim::fork') return false;
    // Inside a condition, isinstance would narrow types a second time.
    return node.kind !== 'prim::isinstance';
  }

  /** Walks a block backwards: operands that end right where their user begins can stand inside it. */
  private scanBlock(block: Block): void {
    this.scanNode(block.returnNode);
    for (const node of block.reverseNodes()) this.scanNode(node);
  }

  private scanNode(node: Node): Node | undefined {
    if (this.inline.has(node)) return node;
    for (const block of node.blocks) this.scanBlock(block);
    let point = previousNonConstant(node);
    for (const input of [...node.inputs].reverse()) point = this.scanValue(point, input);
    return point;
  }

  private scanValue(point: Node | undefined, value: Value): Node | undefined {
    const { node } = value;
    if (node === point && this.canInline(value)) {
      const before = this.scanNode(node);
      this.inline.add(node);
      return before;
    }
    if (node.kind === 'prim::Constant') this.inline.add(node);
    return point;
  }

  private isLong(text: string): boolean {
    return withoutMarks(text).length + this.level * 2 >= 40;
  }

  /** A long expression becomes a variable, and with it everything that must be evaluated before it. */
  private splitLong(value: Value): void {
    const split: Value[] = [];
    const scan = ({ user, index }: Use, upTo: number): void => {
      const done = this.scanned.get(user);
      for (let position = upTo; position >= (done === undefined ? 0 : done + 1); position--) {
        const operand = user.inputs[position];
        if (operand.node.kind !== 'prim::Constant' && this.inline.has(operand.node)) split.push(operand);
      }
      this.scanned.set(user, upTo);
      if (done === undefined && this.inline.has(user)) {
        const [next] = user.output.uses;
        scan(next, next.index - 1);
      }
      void index;
    };
    const [first] = value.uses;
    scan(first, first.index);
    for (const operand of split.reverse()) this.definition(operand.node, this.use(operand));
  }

  private definition(node: Node, expression: string): void {
    this.define(node.outputs);
    const targets = node.outputs.length > 0 ? `${this.list(node.outputs)} = ` : '';
    const outer = this.source;
    this.source = node.source;
    this.line(`${targets}${expression}`);
    this.source = outer;
  }

  // ---- Functions --------------------------------------------------------------------------------------------------

  function(
    fn: { readonly name: string; readonly schema: Schema; readonly graph: ScriptFunction['graph'] },
    plainName?: string,
  ): void {
    const { graph, schema } = fn;
    this.usedNames = new Set();
    const name = plainName ?? fn.name.slice(fn.name.lastIndexOf('.') + 1);
    const parameters = schema.arguments.map((argument, index) => {
      const own = this.uniqueName(toIdentifier(argument.name));
      this.variables.set(graph.inputs[index], own);
      const given = argument.hasDefault ? `=${this.constant(argument.default ?? null, argument.type)}` : '';
      return `${own}: ${this.type(argument.type)}${given}`;
    });
    const indent = '  '.repeat(this.level);
    this.line(`def ${name}(${parameters.join(`,\n${indent}    `)}) -> ${this.type(schema.returns[0].type)}:`);
    this.functionBody(graph.block);
  }

  private functionBody(block: Block): void {
    const constants = new Set<Node>();
    const collect = (inner: Block): void => {
      for (const node of [...inner.nodes(), inner.returnNode]) {
        for (const input of node.inputs) if (input.node.kind === 'prim::Constant') constants.add(input.node);
        for (const nested of node.blocks) collect(nested);
      }
    };
    collect(block);
    this.scanBlock(block);
    this.indented(() => {
      for (const node of constants) this.plainNode(node);
      this.block(block, block.outputs.length > 0);
      if (block.outputs.length > 0) this.line(`return ${this.list(block.outputs)}`);
    });
  }

  private block(block: Block, hasMore: boolean): void {
    const nodes = [...block.nodes()].filter((node) => node.kind !== 'prim::Constant');
    if (nodes.length === 0 && !hasMore) this.line('pass');
    const before = this.text.length;
    for (const node of nodes) this.node(node);
    if (nodes.length > 0 && !hasMore && this.text.length === before) this.line('pass');
  }

  private node(node: Node): void {
    const outer = this.source;
    this.source = node.source;
    this.statement(node);
    this.source = outer;
  }

  private statement(node: Node): void {
    for (const value of [...node.inputs, ...node.outputs]) this.register(value.type);
    switch (node.kind) {
      case 'prim::If':
        return this.ifNode(node);
      case 'prim::Loop':
        return this.loopNode(node);
      case 'prim::TupleUnpack':
      case 'prim::ListUnpack': {
        this.define(node.outputs);
        // The trailing comma makes it an unpacking even with one target.
        const targets = node.outputs.length > 0 ? `${this.list(node.outputs)}, = ` : '';
        this.line(`${targets}${this.use(node.inputs[0])}`);
        return;
      }
      case 'prim::SetAttr': {
        const [object, value] = node.inputs;
        this.line(`${this.use(object)}.${node.get('s', 'name')} = ${this.use(value)}`);
        return;
      }
      case 'prim::fork': {
        const name = this.uniqueName('__forked_function');
        const graph = node.get('g', 'Subgraph');
        this.line(`def ${name}():`);
        node.inputs.forEach((input, index) => this.variables.set(graph.inputs[index], this.use(input)));
        this.functionBody(graph.block);
        this.definition(node, `fork(${name})`);
        return;
      }
      case 'prim::Enter': {
        let text = `with ${this.use(node.inputs[0])}`;
        if (node.output.hasUses) {
          this.define(node.outputs);
          text += ` as ${this.use(node.output)}`;
        }
        this.line(`${text}:`);
        this.level++;
        return;
      }
      case 'prim::Exit':
        if (node.prev?.kind === 'prim::Enter') this.line('pass');
        this.level--;
        return;
      case 'prim::ModuleContainerIndex': {
        this.define(node.outputs);
        const [container, key] = node.inputs;
        this.line(
          `${this.use(node.output)} : ${this.type(node.output.type)} = ${this.use(container)}[${this.use(key)}]`,
        );
        return;
      }
      default:
        this.plainNode(node);
    }
  }

  private plainNode(node: Node): void {
    const expression = this.body.mark(this.expression(node), node.source);
    const isConstant = node.kind === 'prim::Constant';
    if (!this.inline.has(node) || (isConstant && this.isLong(expression))) {
      this.definition(node, expression);
      return;
    }
    this.expressions.set(node.output, expression);
    if (this.isLong(expression)) this.splitLong(node.output);
  }

  private assignment(targets: readonly Value[], values: readonly Value[]): void {
    if (targets.length > 0) this.line(`${this.list(targets)} = ${this.list(values)}`);
  }

  private ifNode(node: Node): void {
    this.define(node.outputs);
    const has = node.outputs.length > 0;
    this.line(`if ${this.use(node.inputs[0])}:`);
    for (const [index, block] of node.blocks.entries()) {
      if (index === 1) this.line('else:');
      this.indented(() => {
        this.block(block, has);
        if (index === 0 && node.outputs.some(({ type }) => type.kind === 'Union')) {
          // The first branch declares the union that the other one must fit in.
          node.outputs.forEach((output, position) => {
            const annotation = output.type.kind === 'Union' ? ` : ${this.type(output.type)}` : '';
            this.line(`${this.use(output)}${annotation} = ${this.use(block.outputs[position])}`);
          });
        } else this.assignment(node.outputs, block.outputs);
      });
    }
  }

  private loopNode(node: Node): void {
    const [body] = node.blocks;
    const [trips, start, ...carried] = node.inputs;
    const isFor = constantValue(start) === true && constantValue(body.outputs[0]) === true;
    if (!isFor && constantValue(trips) !== 2n ** 63n - 1n) {
      throw new UnsupportedError(
        'a loop with both a trip count and a condition has no Python form',
        node.source,
      );
    }
    this.define(node.outputs);
    node.outputs.forEach((output, index) => this.variables.set(body.inputs[index + 1], this.use(output)));
    node.outputs.forEach((output, index) => {
      const annotation = typesEqual(output.type, carried[index].type) ? '' : `: ${this.type(output.type)}`;
      this.line(`${this.use(output)}${annotation} = ${this.use(carried[index])}`);
    });
    const [counter] = body.inputs;
    this.define([counter]);
    // In a while loop the counter's place is taken by the condition.
    if (!isFor) this.assignment([counter], [start]);
    this.line(
      isFor ? `for ${this.use(counter)} in range(${this.use(trips)}):` : `while ${this.use(counter)}:`,
    );
    this.indented(() => {
      const offset = isFor ? 1 : 0;
      const targets = body.inputs.slice(offset);
      this.block(body, targets.length > 0);
      this.assignment(targets, body.outputs.slice(offset));
    });
  }

  // ---- Expressions ------------------------------------------------------------------------------------------------

  private expression(node: Node): string {
    const { inputs } = node;
    const given = (): string => this.list(inputs);
    switch (node.kind) {
      case 'prim::Uninitialized':
        return `uninitialized(${this.type(node.output.type)})`;
      case 'prim::Constant': {
        const { type } = node.output;
        if (type.kind === 'Function') {
          this.dependencies.add(type.function);
          return this.nameOf(type.function.name);
        }
        return this.constant(constantValue(node.output) ?? null, type);
      }
      case 'aten::ScalarImplicit':
      case 'aten::FloatImplicit':
      case 'aten::IntImplicit':
      case 'aten::ComplexImplicit':
        return `annotate(${this.type(node.output.type)}, ${given()})`;
      case 'aten::Int':
        return `int(${given()})`;
      case 'aten::Float':
        return `float(${given()})`;
      case 'aten::Bool':
        return `bool(${given()})`;
      case 'aten::str':
        return `str(${given()})`;
      case 'aten::__getitem__': {
        const object = this.use(inputs[0]);
        return `${isIdentifier(object) ? object : `(${object})`}[${this.use(inputs[1])}]`;
      }
      case 'prim::Print':
        return `print(${given()})`;
      case 'aten::sorted':
        return `sorted(${given()})`;
      case 'prim::TupleConstruct': {
        const { type } = node.output;
        const name = type.kind === 'Tuple' && type.name !== undefined ? this.type(type) : '';
        return `${name}(${given()}${inputs.length === 1 ? ',' : ''})`;
      }
      case 'prim::TupleIndex':
        return `(${this.use(inputs[0])})[${this.use(inputs[1])}]`;
      case 'prim::TupleSlice':
        return `(${this.use(inputs[0])})[${node.int('beg')}:${node.int('end')}]`;
      case 'prim::ListConstruct': {
        const { type } = node.output;
        if (type.kind !== 'List') throw new InternalError('a list that has no list type');
        return inputs.length === 0 || !inferable(type.element)
          ? `annotate(${this.type(type)}, [${given()}])`
          : `[${given()}]`;
      }
      case 'prim::DictConstruct': {
        const { type } = node.output;
        if (type.kind !== 'Dict') throw new InternalError('a dict that has no dict type');
        const pairs = inputs.flatMap((key, index) =>
          index % 2 === 0 ? [`${this.use(key)}: ${this.use(inputs[index + 1])}`] : [],
        );
        const text = `{${pairs.join(', ')}}`;
        return inputs.length === 0 || !inferable(type.key) || !inferable(type.value)
          ? `annotate(${this.type(type)}, ${text})`
          : text;
      }
      case 'prim::CreateObject': {
        const name = this.type(node.output.type);
        return `${name}.__new__(${name})`;
      }
      case 'prim::GetAttr': {
        const name = node.get('s', 'name');
        const object = this.use(inputs[0]);
        return isIdentifier(name) ? `${object}.${name}` : `getattr(${object}, ${quote(name)})`;
      }
      case 'prim::CallFunction':
        return `${this.use(inputs[0])}(${this.callArguments(inputs.slice(1))})`;
      case 'prim::CallMethod':
        return `(${this.use(inputs[0])}).${node.get('s', 'name')}(${this.callArguments(inputs.slice(1))})`;
      case 'aten::_unwrap_optional':
        if (inputs[0].type.kind === 'None') {
          const type: Type = { kind: 'Optional', element: node.output.type };
          return `torch._unwrap_optional(annotate(${this.type(type)}, ${given()}))`;
        }
        return `torch._unwrap_optional(${given()})`;
      case 'prim::unchecked_cast':
        return `unchecked_cast(${this.type(node.output.type)}, ${given()})`;
      case 'prim::isinstance': {
        const types = node.get('tys', 'types').map((type) => this.type(type));
        return `isinstance(${given()}, ${types.length === 1 ? types[0] : `(${types.join(', ')})`})`;
      }
      case 'prim::tolist':
        return `annotate(${this.type(node.output.type)}, ${this.use(inputs[0])}.tolist())`;
      case 'prim::EnumValue':
        return `(${given()}).value`;
      case 'prim::EnumName':
        return `(${given()}).name`;
      default:
        return this.operatorCall(node);
    }
  }

  private callArguments(values: readonly Value[]): string {
    return values.map((value) => `${this.use(value)}, `).join('');
  }

  /** Trailing positional arguments that have their default value are left out. */
  private operatorCall(node: Node): string {
    const schema = schemaOfNode(node);
    const special = specialNames[node.kind];
    const name =
      special ??
      (node.namespace === 'aten' ? `torch.${node.operator}` : `ops.${node.namespace}.${node.operator}`);
    const parts: string[] = [];
    let { length } = node.inputs;
    const kept = (index: number): boolean => {
      const argument = schema?.arguments[index];
      return !(argument?.hasDefault === true && isDefault(node.inputs[index], argument.default));
    };
    if (
      schema !== undefined &&
      !schema.isVararg &&
      !schema.arguments.some((argument) => argument.kwargOnly && argument.alias?.isWrite)
    ) {
      while (length > 0 && !kept(length - 1)) length--;
    }
    for (let index = 0; index < length; index++) {
      const argument = schema?.arguments[index];
      if (argument?.kwargOnly === true) {
        if (kept(index)) parts.push(`${argument.name}=${this.use(node.inputs[index])}`);
      } else parts.push(this.use(node.inputs[index]));
    }
    return `${name}(${parts.join(', ')})`;
  }

  /** A literal, or a reference into the table of constants. */
  constant(value: IValue, type?: Type): string {
    if (value === null) return 'None';
    switch (typeof value) {
      case 'bigint':
        return String(value);
      case 'number':
        return formatExactFloat(value);
      case 'boolean':
        return value ? 'True' : 'False';
      case 'string':
        if (type?.kind === 'Device') return `torch.device(${quote(value)})`;

        return /^[\x00-\x7f]*$/.test(value) ? quote(value) : this.tableEntry(value);
      default:
    }
    if (value instanceof Complex)
      return `complex(${formatExactFloat(value.re)}, ${formatExactFloat(value.im)})`;
    if (value instanceof DeviceValue) return `torch.device(${quote(value.toString())})`;
    if (value instanceof EnumValue) return `${this.type(value.type)}.${value.name}`;
    if (value instanceof TupleValue) {
      const name = value.type?.name === undefined ? '' : this.type(value.type);
      const items = value.items.map((item) => this.constant(item));
      return `${name}(${items.join(', ')}${items.length === 1 ? ',' : ''})`;
    }
    if (Array.isArray(value)) {
      const own = type ?? containerType(value);
      const text = `[${value.map((item) => this.constant(item)).join(', ')}]`;
      return value.length > 0 || own === undefined ? text : `annotate(${this.type(own)}, ${text})`;
    }
    if (value instanceof Map) {
      const own = type ?? containerType(value);
      const entries = [...value].map(([key, entry]) => `${this.constant(key)}: ${this.constant(entry)}`);
      const text = `{${entries.join(', ')}}`;
      return value.size > 0 || own === undefined ? text : `annotate(${this.type(own)}, ${text})`;
    }
    return this.tableEntry(value);
  }

  private tableEntry(value: IValue): string {
    let index = this.constants.indexOf(value);
    if (index < 0) index = this.constants.push(value) - 1;
    return `CONSTANTS.c${index}`;
  }

  // ---- Named types ------------------------------------------------------------------------------------------------

  namedType(type: Exclude<Dependency, FunctionRef>): void {
    const name = (qualified: string): string => qualified.slice(qualified.lastIndexOf('.') + 1);
    switch (type.kind) {
      case 'Class':
        return this.classType(type, name(type.name));
      case 'Tuple':
        this.line(`class ${name(type.name!)}(NamedTuple):`);
        this.indented(() => {
          type.fields!.forEach((field, index) => this.line(`${field} : ${this.type(type.elements[index])}`));
        });
        return;
      case 'Enum':
        this.line(`class ${name(type.name)}(Enum):`);
        this.indented(() => {
          for (const member of type.members) this.line(`${member.name} = ${this.constant(member.value)}`);
        });
        return;
      case 'Interface':
        this.line(`class ${name(type.name)}(${type.isModule ? 'ModuleInterface' : 'Interface'}):`);
        this.indented(() => {
          for (const [method, schema] of type.methods) {
            const rest = schema.arguments
              .slice(1)
              .map((argument) => `, ${argument.name}: ${this.type(argument.type)}`);
            this.line(`def ${method}(self${rest.join('')}) -> ${this.type(schema.returns[0].type)}:`);
            this.line('  pass');
          }
        });
        return;
      default:
        throw new InternalError(`unknown named type ${(type satisfies never as Type).kind}`);
    }
  }

  private classType(type: ClassType, name: string): void {
    this.line(`class ${name}${type.isModule ? '(Module)' : ''}:`);
    this.indented(() => {
      if (type.isModule) {
        const names = (flag: 'isParameter' | 'isBuffer'): string =>
          type.attributes
            .flatMap((attribute) => (attribute[flag] === true ? [`${quote(attribute.name)}, `] : []))
            .join('');
        this.line(`__parameters__ = [${names('isParameter')}]`);
        this.line(`__buffers__ = [${names('isBuffer')}]`);
        const { before, after } = type.hooks;
        const list = (hooks: readonly string[]): string => hooks.map((hook) => `${quote(hook)}, `).join('');
        if (before.length > 0) this.line(`__forward_pre_hooks__ = [${list(before)}]`);
        if (after.length > 0) this.line(`__forward_hooks__ = [${list(after)}]`);
      }
      type.attributes.forEach((attribute, index) => {
        if (isIdentifier(attribute.name)) {
          this.line(`${attribute.name} : ${this.type(attribute.type)}`);
          return;
        }
        if (index === 0) this.line('__annotations__ = []');
        this.line(`__annotations__[${quote(attribute.name)}] = ${this.type(attribute.type)}`);
      });
      for (const [constant, value] of type.constants) {
        this.line(`${constant} : Final[${this.constantType(value)}] = ${this.constant(value)}`);
      }
      for (const [method, fn] of type.methods) this.function(fn as ScriptFunction, method);
    });
  }

  private constantType(value: IValue): string {
    if (value === null) return 'NoneType';
    if (Array.isArray(value) || value instanceof Map) {
      const type = containerType(value);
      if (type !== undefined) return this.type(type);
    }
    const kinds: Readonly<Record<string, string>> = {
      bigint: 'int',
      number: 'float',
      boolean: 'bool',
      string: 'str',
    };
    return (
      kinds[typeof value] ??
      (value instanceof TupleValue
        ? `Tuple[${value.items.map((item) => this.constantType(item)).join(', ')}]`
        : 'Any')
    );
  }
}

const specialNames: Readonly<Record<string, string | undefined>> = {
  'aten::backward': 'torch.autograd.backward',
  'aten::grad': 'torch.autograd.grad',
};

/** Whether the element type of a literal is the common type of its elements. */
function inferable(type: Type): boolean {
  if (type.kind === 'Union' || type.kind === 'Any' || type.kind === 'Optional' || type.kind === 'Interface')
    return false;
  if (type.kind === 'number') return false;
  return type.kind === 'Class' || type.kind === 'Enum' || containedTypes(type).every(inferable);
}

function isDefault(value: Value, expected: IValue | undefined): boolean {
  if (expected === undefined) return false;
  const constant = constantValue(value);
  if (constant !== undefined) return same(constant, expected);
  if (value.node.kind !== 'prim::ListConstruct') return false;
  const items = value.node.inputs.map((input) => constantValue(input));
  const wanted = Array.isArray(expected) ? expected : items.map(() => expected);
  return (
    items.length === wanted.length &&
    items.every((item, index) => item !== undefined && same(item, wanted[index]))
  );
}

const same = (a: IValue, b: IValue): boolean =>
  Object.is(a, b) || (typeof a === 'number' && typeof b === 'bigint' && a === Number(b));

function previousNonConstant(node: Node): Node | undefined {
  let previous = node.prev;
  while (previous?.kind === 'prim::Constant') previous = previous.prev;
  return previous;
}

function toIdentifier(name: string): string {
  const text = name.replace(/[^A-Za-z0-9_]/g, '_');
  return text === '' || /^\d/.test(text) ? `_${text}` : text;
}
