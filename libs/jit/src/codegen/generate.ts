// JavaScript for a torch graph, so that V8 compiles its control flow, numbers, lists and strings. Values become variables,
// blocks become `if` and `while`; tensor operators are called as the interpreter calls them. Only names minted here and
// literals in JSON's form enter the text; everything else is in the table K.
import type { Block, Graph, IValue, Node, Type, Value } from '@weft/ir';
import { UnsupportedError, qualifiedName, schemaOfNode } from '@weft/ir';
import { runtimeConstant } from '../runtime/constants.ts';
import { resolveOperator } from '../runtime/operators.ts';
import { needsTag } from '../runtime/code.ts';
import { cannotFail, inlineOperators } from './inline.ts';
import { integerExpression, mayFail } from './integer-code.ts';
import type { Integer } from './integers.ts';
import { narrow } from './integers.ts';
import { KnownCells, localDicts } from './local-dicts.ts';
import type { Ranges } from './ranges.ts';
import { integerRanges } from './ranges.ts';
import type { PartKeys, SplitLoop } from './split-loops.ts';
import { splitLoops } from './split-loops.ts';

export interface GeneratedSource {
  /** The body of a function of R (support.ts), K and fail that returns the function of (context, …inputs). */
  readonly text: string;
  readonly constants: readonly unknown[];
  /** The nodes that may fail, by the number that `S.at` has while they run. */
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
  private depth = 1;
  private count = 0;
  private readonly ranges: Ranges;
  private readonly dicts: ReadonlySet<Value>;
  private readonly cells = new KnownCells();
  private readonly splits: ReadonlyMap<Node, SplitLoop>;
  /** Nodes that a loop over the parts of a text stands for. */
  private readonly replaced = new Set<Node>();
  /** Keys of dicts that are parts of a text, and what finds them. */
  private readonly textKeys = new Map<Value, { readonly dict: Value; readonly finder: string }>();

  constructor(private readonly graph: Graph) {
    this.ranges = integerRanges(graph);
    this.dicts = localDicts(graph);
    this.splits = splitLoops(graph, this.dicts);
    for (const { split, length, readers, keys } of this.splits.values()) {
      const cased = [...(keys?.values ?? [])].map(({ node }) => node);
      for (const node of [split, length, ...readers, ...cased]) this.replaced.add(node);
    }
  }

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
    // Apart from the handler, the loops of the body run up to a fifth faster.
    const text = [
      '"use strict";',
      `function body(${['X', 'S', ...parameters].join(', ')}) {`,
      ...this.lines,
      '}',
      `return function (${['X', ...parameters].join(', ')}) {`,
      '  const S = { at: 0 };',
      '  try {',
      `    return body(${['X', 'S', ...parameters].join(', ')});`,
      '  } catch (error) {',
      '    throw fail(error, S.at);',
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
    if (this.dicts.has(value)) return `R.dictOfCells(${name}, ${this.constant(value.type)})`;
    if (!isInt(value.type)) return name;
    if (/^-?\d+$/.test(name)) return `${name}n`;
    if (name.endsWith('n')) return name;
    return this.ranges.has(value) ? `BigInt(${name})` : `R.widen(${name})`;
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
    for (const node of block.nodes()) if (!this.replaced.has(node)) this.node(node);
  }

  /** Notes which node runs, for the stack of an error. */
  private mark(node: Node): void {
    this.line(`S.at = ${this.places.push(node) - 1};`);
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
        return this.result(node, `${this.name(inputs[0])}.slots[${slotOf(node)}]`);
      case 'prim::SetAttr':
        return this.line(`${this.name(inputs[0])}.put(${slotOf(node)}, ${this.boxed(inputs[1])});`);
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
        return this.dicts.has(node.output)
          ? this.localDict(node)
          : this.assign(
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

  private branch(node: Node): void {
    const outputs = node.outputs.map((output) => {
      const name = this.declare(output);
      this.line(`let ${name};`);
      return name;
    });
    node.blocks.forEach((block, index) => {
      this.line(index === 0 ? `if (${this.name(node.inputs[0])} === true) {` : '} else {');
      this.nested(() => {
        this.cells.within(() => this.block(block));
        block.outputs.forEach((value, at) =>
          this.line(
            `${outputs[at]} = ${this.converted(this.name(value), value.type, node.outputs[at].type)};`,
          ),
        );
      });
    });
    this.line('}');
    this.cells.forget(node);
  }

  private loop(node: Node): void {
    const [body] = node.blocks;
    const [index, ...parameters] = body.inputs;
    const [, initial, ...carried] = node.inputs;
    parameters.forEach((parameter, at) =>
      this.assign(parameter, this.converted(this.name(carried[at]), carried[at].type, parameter.type)),
    );
    this.cells.forget(node);
    // A condition that is always true is none.
    const isTrue = (value: Value): boolean => this.names.get(value) === 'true';
    const condition = isTrue(initial) && isTrue(body.outputs[0]) ? undefined : this.mint();
    if (condition !== undefined) this.line(`let ${condition} = ${this.name(initial)};`);
    const split = this.splits.get(node);
    const counter = split === undefined ? this.loopHead(node, condition) : this.splitHead(split, condition);
    this.nested(() => {
      // A copy, since variables of the body live on in it only.
      if (index.hasUses && counter !== undefined) this.assign(index, counter);
      this.cells.within(() => this.block(body));
      const [next, ...values] = body.outputs;
      const moves = values.map((value, at) =>
        this.converted(this.name(value), value.type, parameters[at].type),
      );
      const temporaries = moves.map((move) => {
        const name = this.mint();
        this.line(`const ${name} = ${move};`);
        return name;
      });
      if (condition !== undefined) this.line(`${condition} = ${this.name(next)};`);
      temporaries.forEach((name, at) => this.line(`${this.name(parameters[at])} = ${name};`));
    });
    this.line('}');
    node.outputs.forEach((output, at) =>
      this.assign(output, this.converted(this.name(parameters[at]), parameters[at].type, output.type)),
    );
  }

  /** Opens a loop; returns the variable that counts its turns, when one does. */
  private loopHead(node: Node, condition: string | undefined): string | undefined {
    const [trip] = node.inputs;
    const name = this.name(trip);
    const isCounted = !(/n$/.test(name) && BigInt(name.slice(0, -1)) > Number.MAX_SAFE_INTEGER);
    const tests = condition === undefined ? [] : [`${condition} === true`];
    if (!isCounted && !node.blocks[0].inputs[0].hasUses) {
      this.line(`while (${tests[0] ?? 'true'}) {`);
      return undefined;
    }
    const counter = this.mint();
    if (isCounted) {
      const limit = this.mint();
      this.line(`const ${limit} = Number(${name});`);
      tests.push(`${counter} < ${limit}`);
    }
    this.line(`for (let ${counter} = 0; ${tests.join(' && ')}; ${counter}++) {`);
    return counter;
  }

  /** Opens a loop over the parts of a text; the part of the turn is what its readers read. */
  private splitHead(loop: SplitLoop, condition: string | undefined): string {
    const { split, readers, separator, keys } = loop;
    if (keys !== undefined) return this.keyedHead(loop, keys, condition);
    const [text, list, from, to, part, counter] = [0, 1, 2, 3, 4, 5].map(() => this.mint());
    const literal = JSON.stringify(separator);
    this.line(`const ${text} = ${this.name(split.inputs[0])};`);
    // Where the text has parts of characters, those of neighbours may make whole ones.
    this.line(`const ${list} = ${text}.isWellFormed() ? null : R.split(${text}, ${literal}, -1n);`);
    this.line(`let ${from} = 0;`);
    const test = condition === undefined ? '' : `${condition} === true`;
    this.line(`for (let ${counter} = 0; ${test}; ${counter}++) {`);
    this.nested(() => {
      this.line(`let ${part};`);
      this.line(`if (${list} === null) {`);
      this.line(`  if (${from} < 0) break;`);
      this.line(`  const ${to} = ${text}.indexOf(${literal}, ${from});`);
      this.line(`  ${part} = ${to} < 0 ? ${text}.slice(${from}) : ${text}.slice(${from}, ${to});`);
      this.line(`  ${from} = ${to} < 0 ? -1 : ${to} + ${separator.length};`);
      this.line('} else {');
      this.line(`  if (${counter} >= ${list}.length) break;`);
      this.line(`  ${part} = ${list}[${counter}];`);
      this.line('}');
    });
    for (const reader of readers) this.names.set(reader.output, part);
    return counter;
  }

  /** As `splitHead`, where parts are keys of a dict: strings are made of them only where one is read. */
  private keyedHead(
    { split, readers, separator }: SplitLoop,
    keys: PartKeys,
    condition: string | undefined,
  ): string {
    const [finder, part, key, counter] = [0, 1, 2, 3].map(() => this.mint());
    const text = this.name(split.inputs[0]);
    const given = [text, JSON.stringify(separator), JSON.stringify(keys.textCase), `${text}.isWellFormed()`];
    this.line(`const ${finder} = R.textKeys(${given.join(', ')});`);
    const tests = [...(condition === undefined ? [] : [`${condition} === true`]), `${finder}.next()`];
    this.line(`for (let ${counter} = 0; ${tests.join(' && ')}; ${counter}++) {`);
    this.nested(() => this.line(`let ${part}, ${key};`));
    for (const reader of readers) this.names.set(reader.output, `(${part} ??= ${finder}.part())`);
    for (const value of keys.values) {
      this.names.set(value, `(${key} ??= ${finder}.key())`);
      this.textKeys.set(value, { dict: keys.dict, finder });
    }
    return counter;
  }

  // ---- dicts that are seen here only ----------------------------------------------------------------------------------

  /** A key or value as the cells hold it. */
  private inner(value: Value, type: Type): string {
    return isInt(type) ? this.converted(this.name(value), value.type, type) : this.boxed(value);
  }

  private localDict(node: Node): void {
    const { inputs, output } = node;
    const { type } = output;
    if (type.kind !== 'Dict') throw new UnsupportedError('a dict of no dict type');
    this.assign(output, 'new Map()');
    for (let at = 0; at < inputs.length; at += 2) {
      const [key, value] = [this.inner(inputs[at], type.key), this.inner(inputs[at + 1], type.value)];
      this.line(`${this.name(output)}.set(${key}, { value: ${value} });`);
    }
  }

  private dictOperator(node: Node): void {
    const [dict, key, value] = node.inputs;
    const { type } = dict;
    if (type.kind !== 'Dict') throw new UnsupportedError('a dict of no dict type');
    const name = this.name(dict);
    if (node.kind === 'aten::len') return this.assign(node.output, `${name}.size`);
    const keyText = this.inner(key, type.key);
    const textKey = this.textKeys.get(key);
    const finder = textKey?.dict === dict ? textKey.finder : undefined;
    let cell = this.cells.get(dict, key);
    if (cell === undefined) {
      cell = this.mint();
      if (finder === undefined) this.line(`let ${cell} = ${name}.get(${keyText});`);
      else {
        this.line(`let ${cell} = ${finder}.find();`);
        this.line(
          `if (${cell} === undefined && (${cell} = ${name}.get(${keyText})) !== undefined) ${finder}.learn(${cell});`,
        );
      }
      this.cells.set(dict, key, cell);
    }
    switch (node.kind) {
      case 'aten::__contains__':
        return this.assign(node.output, `${cell} !== undefined`);
      case 'aten::__getitem__':
        this.mark(node);
        this.line(`if (${cell} === undefined) R.noKey(${this.boxed(key)});`);
        return this.assign(node.output, this.converted(`${cell}.value`, type.value, node.output.type));
      default: {
        const text = this.inner(value, type.value);
        const learn = finder === undefined ? '' : ` ${finder}.learn(${cell});`;
        this.line(
          `if (${cell} === undefined) { ${name}.set(${keyText}, ${cell} = { value: ${text} });${learn} }`,
        );
        this.line(`else ${cell}.value = ${text};`);
        return this.cells.keepOnly(dict, key);
      }
    }
  }

  // ---- operators ----------------------------------------------------------------------------------------------------

  private operator(node: Node): void {
    const { inputs, outputs } = node;
    if (this.dicts.has(inputs[0])) return this.dictOperator(node);
    const schema = schemaOfNode(node);
    const name = schema === undefined ? undefined : qualifiedName(schema);
    const inline = name === undefined ? undefined : inlineOperators.get(name);
    if (schema !== undefined && name !== undefined && outputs.length === 1) {
      const textOf = (value: Value): string => this.name(value);
      const exact = integerExpression(name, inputs, outputs[0], this.ranges, textOf);
      if (exact !== undefined) return this.assign(outputs[0], exact);
    }
    if (schema !== undefined && name !== undefined && inline !== undefined) {
      const isSafe =
        cannotFail(name) &&
        !mayFail(
          name,
          inputs.map((input) => this.ranges.get(input)),
        );
      if (!isSafe) this.mark(node);
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

/** The place of the attribute that a node reads or assigns. */
function slotOf(node: Node): number {
  const name = node.get('s', 'name');
  const { type } = node.inputs[0];
  const slot = type.kind === 'Class' ? type.attributes.findIndex((attribute) => attribute.name === name) : -1;
  if (slot < 0) throw new UnsupportedError(`attribute '${name}' of an object of an unknown class`);
  return slot;
}
