// JavaScript for a torch graph, so that V8 compiles its control flow, numbers, lists and strings. Values become variables,
// blocks become `if` and `while`; tensor operators are called as the interpreter calls them. Only names minted here and
// literals in JSON's form enter the text; everything else is in the table K.
import type { Block, Graph, IValue, Node, Type, Value } from '@weft/ir';
import { UnsupportedError, qualifiedName, schemaOfNode } from '@weft/ir';
import { runtimeConstant } from '../runtime/constants.ts';
import { resolveOperator } from '../runtime/operators.ts';
import { needsTag } from '../runtime/code.ts';
import { inlineOperators } from './inline.ts';
import type { Integer } from './integers.ts';
import { narrow } from './integers.ts';

export interface GeneratedSource {
  /** The body of a function of R (support.ts), K and fail that returns the function of (context, …inputs). */
  readonly text: string;
  readonly constants: readonly unknown[];
  /** The nodes that may fail, by the number that `at` has while they run. */
  readonly places: readonly Node[];
}

/** Throws UnsupportedError for what only the interpreter does (`with`, `fork`). */
export function generateJavaScript(graph: Graph): GeneratedSource {
  return new Generator(graph).generate();
}

const isInt = (type: Type): boolean => type.kind === 'int';

class Generator {
  private readonly lines: string[] = [];
  private readonly constants: unknown[] = [];
  private readonly places: Node[] = [];
  private readonly names = new Map<Value, string>();
  private depth = 2;
  private count = 0;

  constructor(private readonly graph: Graph) {}

  generate(): GeneratedSource {
    const { graph } = this;
    const parameters = graph.inputs.map((_, index) => `a${index}`);
    graph.inputs.forEach((input, index) => {
      const given = isInt(input.type) ? `R.narrow(a${index})` : `a${index}`;
      this.line(`let ${this.declare(input)} = ${given};`);
    });
    this.block(graph.block);
    const [output] = graph.outputs;
    this.line(`return ${output === undefined ? 'null' : this.boxed(output)};`);
    const text = [
      '"use strict";',
      `return function (${['X', ...parameters].join(', ')}) {`,
      '  let at = 0;',
      '  try {',
      ...this.lines,
      '  } catch (error) {',
      '    throw fail(error, at);',
      '  }',
      '};',
    ].join('\n');
    return { text, constants: this.constants, places: this.places };
  }

  // ---- names and literals -----------------------------------------------------------------------------------------

  private line(text: string): void {
    this.lines.push(`${'  '.repeat(this.depth)}${text}`);
  }

  private mint(): string {
    return `v${this.count++}`;
  }

  private declare(value: Value): string {
    const name = this.mint();
    this.names.set(value, name);
    return name;
  }

  private name(value: Value): string {
    const known = this.names.get(value);
    if (known !== undefined) return known;
    throw new UnsupportedError(`%${value.name} is read before it is made`);
  }

  private constant(value: unknown): string {
    return `K[${this.constants.push(value) - 1}]`;
  }

  /** The value as all other code holds it. */
  private boxed(value: Value): string {
    const name = this.name(value);
    if (!isInt(value.type)) return name;
    if (/^-?\d+$/.test(name)) return `${name}n`;
    return name.endsWith('n') ? name : `R.widen(${name})`;
  }

  /** `expression`, of type `from`, as a variable of type `to` holds it. */
  private converted(expression: string, from: Type, to: Type): string {
    if (isInt(from) === isInt(to)) return expression;
    return isInt(to) ? `R.narrow(${expression})` : `R.widen(${expression})`;
  }

  private literal(value: IValue, type: Type): string {
    if (value === null) return 'null';
    if (isInt(type) && typeof value === 'bigint') {
      const integer: Integer = narrow(value);
      return typeof integer === 'number' ? String(integer) : `${integer}n`;
    }
    if (typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
    if (typeof value === 'number' && Number.isFinite(value) && !Object.is(value, -0)) return String(value);
    return this.constant(value);
  }

  // ---- blocks -----------------------------------------------------------------------------------------------------

  private nested(body: () => void): void {
    this.depth++;
    body();
    this.depth--;
  }

  private block(block: Block): void {
    for (const node of block.nodes()) this.node(node);
  }

  /** Notes which node runs, for the stack of an error. */
  private mark(node: Node): void {
    this.line(`at = ${this.places.push(node) - 1};`);
  }

  private assign(target: Value, expression: string): void {
    this.line(`let ${this.declare(target)} = ${expression};`);
  }

  private node(node: Node): void {
    const { inputs, outputs } = node;
    switch (node.kind) {
      case 'prim::Constant':
        return this.names.set(node.output, this.literalOf(node)) && undefined;
      case 'prim::If':
        return this.branch(node);
      case 'prim::Loop':
        return this.loop(node);
      case 'prim::Uninitialized':
        return this.assign(node.output, isInt(node.output.type) ? '0' : 'null');
      case 'prim::unchecked_cast':
      case 'prim::unchecked_unwrap_optional':
      case 'prim::profile':
      case 'prim::profile_ivalue':
      case 'prim::Guard':
      case 'prim::RequiresGradCheck':
        return outputs.forEach((output, index) =>
          this.assign(output, this.converted(this.name(inputs[index]), inputs[index].type, output.type)),
        );
      case 'prim::GetAttr':
        return this.result(node, this.attribute(node));
      case 'prim::SetAttr':
        return this.line(`${this.attribute(node)} = ${this.boxed(inputs[1])};`);
      case 'prim::CreateObject':
        return this.assign(node.output, `R.create(${this.constant(node.output.type)})`);
      case 'prim::CallMethod': {
        this.mark(node);
        const method = `R.methodOf(${this.name(inputs[0])}, ${JSON.stringify(node.get('s', 'name'))})`;
        return this.result(node, `X.call(${method}, [${this.boxedInputs(node)}])`);
      }
      case 'prim::CallFunction': {
        const { type } = inputs[0];
        if (type.kind !== 'Function') throw new UnsupportedError('something that is no function is called');
        this.mark(node);
        const args = inputs.slice(1).map((input) => this.boxed(input));
        return this.result(node, `X.call(${this.constant(type.function)}, [${args.join(', ')}])`);
      }
      case 'prim::ListConstruct': {
        const type = needsTag(node) ? this.constant(node.output.type) : 'undefined';
        return this.assign(node.output, `R.list([${this.boxedInputs(node)}], ${type})`);
      }
      case 'prim::DictConstruct':
        return this.assign(
          node.output,
          `R.dict([${this.boxedInputs(node)}], ${this.constant(node.output.type)})`,
        );
      case 'prim::TupleConstruct': {
        const { type } = node.output;
        const named = type.kind === 'Tuple' && type.fields !== undefined ? this.constant(type) : 'undefined';
        return this.assign(node.output, `R.tuple([${this.boxedInputs(node)}], ${named})`);
      }
      case 'prim::TupleUnpack':
        return this.unpack(node, `${this.name(inputs[0])}.items`);
      case 'prim::ListUnpack':
        this.mark(node);
        return this.unpack(node, `R.unpackList(${this.name(inputs[0])}, ${outputs.length})`);
      case 'prim::TupleSlice':
        return this.assign(
          node.output,
          `R.tupleSlice(${this.name(inputs[0])}, ${node.int('beg')}, ${node.int('end')})`,
        );
      case 'prim::isinstance':
        return this.assign(
          node.output,
          `R.isInstance(${this.boxed(inputs[0])}, ${this.constant(node.get('tys', 'types'))})`,
        );
      case 'prim::RaiseException':
        this.mark(node);
        return this.line(
          `R.raise(${this.name(inputs[0])}, ${inputs.length > 1 ? this.name(inputs[1]) : 'null'});`,
        );
      case 'prim::fork':
      case 'prim::Enter':
      case 'prim::Exit':
        throw new UnsupportedError(`${node.kind} is left to the interpreter`, node.source);
      default:
        return this.operator(node);
    }
  }

  private literalOf(node: Node): string {
    const value = runtimeConstant(node);
    return this.literal(value, node.output.type);
  }

  private boxedInputs({ inputs }: Node): string {
    return inputs.map((input) => this.boxed(input)).join(', ');
  }

  /** The only output from an expression that gives it boxed; none, when the node has none. */
  private result(node: Node, expression: string): void {
    const [output] = node.outputs;
    if (output === undefined) return this.line(`${expression};`);
    this.assign(output, isInt(output.type) ? `R.narrow(${expression})` : expression);
  }

  private unpack({ outputs }: Node, items: string): void {
    const list = this.mint();
    this.line(`const ${list} = ${items};`);
    outputs.forEach((output, index) => {
      this.assign(output, isInt(output.type) ? `R.narrow(${list}[${index}])` : `${list}[${index}]`);
    });
  }

  private attribute(node: Node): string {
    const name = node.get('s', 'name');
    const [object] = node.inputs;
    const slot =
      object.type.kind === 'Class'
        ? object.type.attributes.findIndex((attribute) => attribute.name === name)
        : -1;
    if (slot < 0) throw new UnsupportedError(`attribute '${name}' of an object of an unknown class`);
    return `${this.name(object)}.slots[${slot}]`;
  }

  private branch(node: Node): void {
    const outputs = node.outputs.map((output) => {
      const name = this.declare(output);
      this.line(`let ${name};`);
      return name;
    });
    node.blocks.forEach((block, index) => {
      this.line(index === 0 ? `if (${this.name(node.inputs[0])} === true) {` : '} else {');
      this.nested(() => {
        this.block(block);
        block.outputs.forEach((value, at) =>
          this.line(
            `${outputs[at]} = ${this.converted(this.name(value), value.type, node.outputs[at].type)};`,
          ),
        );
      });
    });
    this.line('}');
  }

  private loop(node: Node): void {
    const [body] = node.blocks;
    const [index, ...parameters] = body.inputs;
    const [trip, initial, ...carried] = node.inputs;
    const counter = this.mint();
    const condition = this.mint();
    parameters.forEach((parameter, at) =>
      this.assign(parameter, this.converted(this.name(carried[at]), carried[at].type, parameter.type)),
    );
    this.line(`let ${condition} = ${this.name(initial)};`);
    this.line(
      `for (let ${counter} = 0; ${condition} === true && ${counter} < ${this.name(trip)}; ${counter}++) {`,
    );
    this.nested(() => {
      // A copy, since variables of the body live on in it only.
      this.assign(index, counter);
      this.block(body);
      const [next, ...values] = body.outputs;
      const moves = values.map((value, at) =>
        this.converted(this.name(value), value.type, parameters[at].type),
      );
      const temporaries = moves.map((move) => {
        const name = this.mint();
        this.line(`const ${name} = ${move};`);
        return name;
      });
      this.line(`${condition} = ${this.name(next)};`);
      temporaries.forEach((name, at) => this.line(`${this.name(parameters[at])} = ${name};`));
    });
    this.line('}');
    node.outputs.forEach((output, at) =>
      this.assign(output, this.converted(this.name(parameters[at]), parameters[at].type, output.type)),
    );
  }

  // ---- operators ----------------------------------------------------------------------------------------------------

  private operator(node: Node): void {
    const { inputs, outputs } = node;
    const schema = schemaOfNode(node);
    const inline = schema === undefined ? undefined : inlineOperators.get(qualifiedName(schema));
    if (schema !== undefined && inline !== undefined) {
      this.mark(node);
      // Operands of the type `int` come as integers, those of type variables boxed.
      const operands = inputs.map((input, index) =>
        isInt(schema.arguments[index].type)
          ? this.converted(this.name(input), input.type, schema.arguments[index].type)
          : this.boxed(input),
      );
      const expression = inline(...operands);
      if (outputs.length === 0) return this.line(`${expression};`);
      const isInteger = isInt(schema.returns[0].type);
      return isInteger ? this.assign(node.output, expression) : this.result(node, expression);
    }
    const operator = resolveOperator(node);
    if (operator === undefined)
      throw new UnsupportedError(`operator ${node.kind} has no meaning here`, node.source);
    this.mark(node);
    const args = [
      ...inputs.map((input) => this.boxed(input)),
      ...operator.defaults.map((value) => this.constant(value)),
    ];
    const callee = this.constant(operator.run);
    const call =
      operator.kind === 'context' ? `${callee}(X, [${args.join(', ')}])` : `${callee}(${args.join(', ')})`;
    if (outputs.length > 1) return this.unpack(node, call);
    this.result(node, call);
  }
}
