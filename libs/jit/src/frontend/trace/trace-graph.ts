// Makes script classes and graphs of a recording. Each call of a submodule becomes a method of its class: what it takes from
// outside becomes its parameters, what is used outside its results. The graph then has PyTorch's traced form: prim::GetAttr
// of submodules and parameters at the head, prim::CallMethod for calls.
import type { Argument, ClassType, IValue, Schema, Type, Value } from '@weft/ir';
import {
  AnyTensorType,
  BoolType,
  Graph,
  InternalError,
  NoneType,
  ObjectValue,
  ScriptFunction,
  createClassType,
  listOf,
  tupleOf,
  unwrapOptional,
  valueType,
} from '@weft/ir';
import type { nn } from '@weft/tensor';
import { insertConstant } from '../../emit/constants.ts';
import { unpackTuple } from '../../emit/schema-matching.ts';
import { eliminateDeadCode } from '../../passes/dead-code.ts';
import { compiledThing, livePrograms } from '../typescript/live-programs.ts';
import { membersOf } from '../typescript/module-access.ts';
import type {
  CompiledEvent,
  OperatorEvent,
  Scope,
  TraceArgument,
  TraceEvent,
  TraceValue,
} from './trace-record.ts';
import { isWithin } from './trace-record.ts';

/** The output of a trace: tensors in tuples and dicts. */
export type TraceOutput =
  | { readonly kind: 'tensor'; readonly argument: TraceArgument }
  | { readonly kind: 'tuple'; readonly items: readonly TraceOutput[] }
  | { readonly kind: 'dict'; readonly entries: readonly (readonly [string, TraceOutput])[] }
  | { readonly kind: 'none' };

/** An input: a tensor or a tuple of inputs, with its name. */
export type TraceInput =
  | { readonly kind: 'tensor'; readonly value: TraceValue }
  | { readonly kind: 'tuple'; readonly items: readonly TraceInput[] };

/** Script objects for a traced module and all below it; compiled submodules keep theirs. */
export class TracedObjects {
  private readonly objects = new Map<object, ObjectValue>();

  of(module: nn.Module): ObjectValue {
    const compiled = (module as { [compiledThing]?: { module?: ObjectValue } })[compiledThing]?.module;
    if (compiled !== undefined) return compiled;
    let object = this.objects.get(module);
    if (object === undefined) {
      const constructor = module.constructor as { name: string; torchName?: string };
      const name = Object.hasOwn(constructor, 'torchName') ? constructor.torchName : undefined;
      const type = createClassType(
        livePrograms().qualify(name ?? constructor.name.replace(/^_(?=[A-Z])/, '')),
        true,
      );
      object = new ObjectValue(type);
      this.objects.set(module, object);
      const { parameters, buffers, modules, others } = membersOf(module);
      const add = (attribute: ClassType['attributes'][number], value: IValue): void => {
        object!.put(type.attributes.push(attribute) - 1, value);
      };
      for (const [own, value] of parameters)
        add({ name: own, type: AnyTensorType, isParameter: true }, value);
      for (const [own, value] of buffers) add({ name: own, type: AnyTensorType, isBuffer: true }, value);
      for (const [own, value] of others) if (value === null) add({ name: own, type: NoneType }, null);
      add({ name: 'training', type: BoolType }, module.training);
      for (const [own, child] of modules) {
        const inner = this.of(child);
        add({ name: own, type: inner.type }, inner);
      }
    }
    return object;
  }
}

/** What a scope takes from outside. */
type Captured = { readonly key: string; readonly argument: TraceArgument };

export class TraceGraphs {
  /** Scopes in which each value is used. */
  private readonly uses = new Map<TraceValue, (Scope | undefined)[]>();

  constructor(
    private readonly objects: TracedObjects,
    private readonly root: Scope,
    private readonly output: TraceOutput,
  ) {
    this.countUses(root);
    const visit = (part: TraceOutput): void => {
      if (part.kind === 'tensor') this.addUse(part.argument, root);
      else if (part.kind === 'tuple') part.items.forEach(visit);
      else if (part.kind === 'dict') part.entries.forEach(([, entry]) => visit(entry));
    };
    visit(output);
  }

  private addUse(argument: TraceArgument, scope: Scope): void {
    if (argument.kind === 'list') for (const item of argument.items) this.addUse(item, scope);
    if (argument.kind !== 'value') return;
    const scopes = this.uses.get(argument.value) ?? [];
    scopes.push(scope);
    this.uses.set(argument.value, scopes);
  }

  private countUses(scope: Scope): void {
    for (const event of scope.events) {
      if (event.kind === 'scope') this.countUses(event);
      else for (const argument of event.args) this.addUse(argument, scope);
    }
  }

  /** The traced function itself. */
  rootFunction(name: string, inputs: readonly TraceInput[], names: readonly string[]): ScriptFunction {
    const { module } = this.root;
    const builder = new ScopeBuilder(this, this.objects, this.root);
    const inputArguments = inputs.map((input, index) =>
      builder.input(input, names[index] ?? `argument_${index + 1}`),
    );
    builder.run();
    const result = builder.output(this.output);
    return this.finish(
      builder,
      name,
      module === undefined ? undefined : this.objects.of(module).type,
      inputArguments,
      result,
    );
  }

  /** The method that one call of a submodule becomes. */
  scopeMethod(scope: Scope): {
    name: string;
    captured: readonly Captured[];
    escaping: readonly TraceValue[];
    type: Type;
  } {
    const type = this.objects.of(scope.module!).type;
    const captured = this.captured(scope);
    const escaping = this.escaping(scope);
    const builder = new ScopeBuilder(this, this.objects, scope);
    const inputArguments = captured.map(({ argument }, index) =>
      builder.captured(argument, `argument_${index + 1}`),
    );
    builder.run();
    const values = escaping.map((value) => builder.value(value));
    const { graph } = builder;
    const result =
      values.length === 1
        ? values[0]
        : values.length === 0
          ? insertConstant(graph, null)
          : graph.insert('prim::TupleConstruct', values, [tupleOf(...values.map(() => AnyTensorType))])
              .output;
    let name = 'forward';
    for (let count = 1; type.methods.has(name); count++) name = `forward${count}`;
    const method = this.finish(builder, `${type.name}.${name}`, type, inputArguments, result);
    type.methods.set(name, method);
    return { name, captured, escaping, type: method.schema.returns[0].type };
  }

  private finish(
    { graph }: ScopeBuilder,
    name: string,
    self: ClassType | undefined,
    inputs: readonly Argument[],
    result: Value,
  ): ScriptFunction {
    graph.addOutput(result);
    eliminateDeadCode(graph);
    const own: Argument[] =
      self === undefined ? [] : [{ name: 'self', type: self, hasDefault: false, kwargOnly: false }];
    const schema: Schema = {
      name: name.slice(name.lastIndexOf('.') + 1),
      overload: '',
      arguments: [...own, ...inputs],
      returns: [{ name: '', type: plain(result.type), hasDefault: false, kwargOnly: false }],
      isVararg: false,
      isVarret: false,
    };
    return new ScriptFunction(name, schema, () => graph);
  }

  /** Values and attributes from outside that a scope uses, in the order of first use. */
  captured(scope: Scope): Captured[] {
    const found = new Map<string, Captured>();
    const visitArgument = (argument: TraceArgument): void => {
      if (argument.kind === 'list') argument.items.forEach(visitArgument);
      const key =
        argument.kind === 'value' && !isWithin(argument.value.scope, scope)
          ? `value ${argument.value.id}`
          : argument.kind === 'attribute' && !startsWith(argument.path, scope.path)
            ? `attribute ${argument.path.join('.')}`
            : undefined;
      if (key !== undefined && !found.has(key)) found.set(key, { key, argument });
    };
    const visit = (event: TraceEvent): void => {
      if (event.kind === 'scope') event.events.forEach(visit);
      else event.args.forEach(visitArgument);
    };
    scope.events.forEach(visit);
    return [...found.values()];
  }

  /** Values made in a scope that are used outside it, in the order they were made. */
  private escaping(scope: Scope): TraceValue[] {
    const values: TraceValue[] = [];
    for (const [value, scopes] of this.uses) {
      if (!isWithin(value.scope, scope)) continue;
      if (scopes.some((user) => !isWithin(user, scope))) values.push(value);
    }
    return values.sort((a, b) => a.id - b.id);
  }
}

const startsWith = (path: readonly string[], prefix: readonly string[]): boolean =>
  prefix.every((part, index) => path[index] === part);

/** The type as schemas show it: without what was seen of tensors. */
function plain(type: Type): Type {
  if (type.kind === 'Tensor') return AnyTensorType;
  if (type.kind === 'Tuple') return { ...type, elements: type.elements.map(plain) };
  if (type.kind === 'Dict') return { ...type, value: plain(type.value) };
  return type;
}

/** The graph of one scope. */
class ScopeBuilder {
  readonly graph = new Graph();
  private readonly values = new Map<TraceValue, Value>();
  private readonly attributes = new Map<string, Value>();
  private readonly self: Value | undefined;

  constructor(
    private readonly graphs: TraceGraphs,
    private readonly objects: TracedObjects,
    private readonly scope: Scope,
  ) {
    if (scope.module !== undefined) {
      this.self = this.graph.addInput(objects.of(scope.module).type, 'self');
      this.attributes.set(scope.path.join('.'), this.self);
    }
  }

  // ---- Inputs -------------------------------------------------------------------------------------------------------

  input(input: TraceInput, name: string): Argument {
    const type = inputType(input);
    const value = this.graph.addInput(type, name);
    this.bindInput(input, value);
    return { name, type: plain(type), hasDefault: false, kwargOnly: false };
  }

  private bindInput(input: TraceInput, value: Value): void {
    if (input.kind === 'tensor') {
      this.values.set(input.value, value);
      return;
    }
    const parts = unpackTuple(this.graph, value);
    input.items.forEach((item, index) => this.bindInput(item, parts[index]));
  }

  captured(argument: TraceArgument, name: string): Argument {
    const value = this.graph.addInput(AnyTensorType, name);
    if (argument.kind === 'value') this.values.set(argument.value, value);
    else if (argument.kind === 'attribute') this.attributes.set(argument.path.join('.'), value);
    return { name, type: AnyTensorType, hasDefault: false, kwargOnly: false };
  }

  value(value: TraceValue): Value {
    const found = this.values.get(value);
    if (found === undefined) throw new InternalError('a traced value is used outside the graph that has it');
    return found;
  }

  // ---- Attributes -------------------------------------------------------------------------------------------------

  /** An attribute by its path, through GetAttr nodes at the head of the graph. */
  private attribute(path: readonly string[]): Value {
    const key = path.join('.');
    const known = this.attributes.get(key);
    if (known !== undefined) return known;
    const object = this.attribute(path.slice(0, -1));
    const name = path[path.length - 1];
    const type =
      object.type.kind === 'Class'
        ? object.type.attributes.find((own) => own.name === name)?.type
        : undefined;
    if (type === undefined) throw new InternalError(`there is no attribute '${key}' in the traced module`);
    const node = this.graph.create('prim::GetAttr', [object], [type]).set('name', { kind: 's', value: name });
    // The newest first, except below the object it is taken from.
    if (object.isParameter) node.insertAfter(this.graph.block.paramNode);
    else node.insertAfter(object.node);
    node.output.setName(name);
    this.attributes.set(key, node.output);
    return node.output;
  }

  // ---- Events -----------------------------------------------------------------------------------------------------

  run(): void {
    for (const event of this.scope.events) {
      switch (event.kind) {
        case 'operator':
          this.operator(event);
          break;
        case 'compiled':
          this.compiled(event);
          break;
        case 'scope':
          this.call(event);
          break;
        default:
          throw new InternalError(`unknown event ${(event satisfies never as TraceEvent).kind}`);
      }
    }
  }

  private operator({ schema, args, results, source }: OperatorEvent): void {
    const { graph } = this;
    graph.currentSource = source;
    const inputs = args.map((argument, index) =>
      this.argument(argument, valueType(schema.arguments[index].type)),
    );
    const types = schema.returns.map(({ type }, index): Type => {
      const result = results[index];
      return result?.kind === 'value' ? (result.value.type ?? AnyTensorType) : valueType(type);
    });
    const node = graph.insert(schema.name, inputs, types);
    node.overload = schema.overload;
    results.forEach((result, index) => {
      if (result.kind === 'value') this.values.set(result.value, node.outputs[index]);
      else if (result.kind === 'list') {
        const items = graph.insert(
          'prim::ListUnpack',
          [node.outputs[index]],
          result.items.map(({ type }) => type ?? AnyTensorType),
        );
        result.items.forEach((item, position) => this.values.set(item, items.outputs[position]));
      }
    });
  }

  private call(scope: Scope): void {
    const { name, captured, escaping, type } = this.graphs.scopeMethod(scope);
    const self = this.attribute(scope.path);
    const inputs = captured.map(({ argument }) => this.argument(argument, AnyTensorType));
    const node = this.graph.insert('prim::CallMethod', [self, ...inputs], [type]);
    node.set('name', { kind: 's', value: name });
    if (escaping.length === 1) this.values.set(escaping[0], node.output);
    else if (escaping.length > 1) {
      unpackTuple(this.graph, node.output).forEach((part, index) => this.values.set(escaping[index], part));
    }
  }

  private compiled({ callee, self, args, result, parts, source }: CompiledEvent): void {
    const { graph } = this;
    graph.currentSource = source;
    const { schema } = callee;
    const formals = self === undefined ? schema.arguments : schema.arguments.slice(1);
    const given = args.map((argument, index) => this.argument(argument, formals[index].type));
    const type = schema.returns[0].type;
    let output: Value;
    if (self !== undefined) {
      const node = graph.insert('prim::CallMethod', [this.attribute(self.path), ...given], [type]);
      output = node.set('name', { kind: 's', value: schema.name }).output;
    } else {
      const constant = graph.insert('prim::Constant', [], [{ kind: 'Function', function: callee }]);
      constant.set('name', { kind: 's', value: schema.name });
      output = graph.insert('prim::CallFunction', [constant.output, ...given], [type]).output;
    }
    this.values.set(result, output);
    const unpacked = new Map<string, readonly Value[]>();
    for (const { path, value } of parts) {
      let current = output;
      for (const [depth, index] of path.entries()) {
        const key = path.slice(0, depth).join();
        let members = unpacked.get(key);
        if (members === undefined) {
          members = this.unpack(current, parts.length);
          unpacked.set(key, members);
        }
        current = members[index];
      }
      this.values.set(value, current);
    }
  }

  private unpack(value: Value, atLeast: number): readonly Value[] {
    if (value.type.kind === 'Tuple') return unpackTuple(this.graph, value);
    const element = value.type.kind === 'List' ? value.type.element : AnyTensorType;
    return this.graph.insert(
      'prim::ListUnpack',
      [value],
      Array.from({ length: atLeast }, () => element),
    ).outputs;
  }

  // ---- Arguments --------------------------------------------------------------------------------------------------

  private argument(argument: TraceArgument, type: Type): Value {
    switch (argument.kind) {
      case 'value':
        return this.value(argument.value);
      case 'attribute':
        return this.attribute(argument.path);
      case 'literal':
        return insertConstant(this.graph, argument.tensor.toLiteral());
      case 'list': {
        const wanted = unwrapOptional(type);
        const element = wanted.kind === 'List' ? wanted.element : AnyTensorType;
        const items = argument.items.map((item) => this.argument(item, element));
        return this.graph.insert('prim::ListConstruct', items, [listOf(element)]).output;
      }
      case 'constant':
        return this.constant(argument.value, type);
      default:
        throw new InternalError(`unknown argument ${(argument satisfies never as TraceArgument).kind}`);
    }
  }

  private constant(value: IValue, type: Type): Value {
    const wanted = unwrapOptional(type);
    if (Array.isArray(value) && wanted.kind === 'List') {
      const items = value.map((item) => this.constant(item, wanted.element));
      return this.graph.insert('prim::ListConstruct', items, [wanted]).output;
    }
    if (wanted.kind === 'float' && typeof value === 'bigint')
      return insertConstant(this.graph, Number(value));
    return insertConstant(this.graph, value);
  }

  output(output: TraceOutput): Value {
    switch (output.kind) {
      case 'tensor':
        return this.argument(output.argument, AnyTensorType);
      case 'none':
        return insertConstant(this.graph, null);
      case 'tuple': {
        const items = output.items.map((item) => this.output(item));
        return this.graph.insert('prim::TupleConstruct', items, [tupleOf(...items.map((item) => item.type))])
          .output;
      }
      case 'dict': {
        const inputs = output.entries.flatMap(([key, entry]) => [
          insertConstant(this.graph, key),
          this.output(entry),
        ]);
        const type: Type = {
          kind: 'Dict',
          key: { kind: 'str' },
          value: plain(inputs[1]?.type ?? AnyTensorType),
        };
        return this.graph.insert('prim::DictConstruct', inputs, [type]).output;
      }
      default:
        throw new InternalError('unknown output');
    }
  }
}

const inputType = (input: TraceInput): Type =>
  input.kind === 'tensor' ? (input.value.type ?? AnyTensorType) : tupleOf(...input.items.map(inputType));
