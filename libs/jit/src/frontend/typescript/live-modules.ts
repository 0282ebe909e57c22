// Live modules as script objects. Parameters, buffers and other members become attributes, readonly members constants,
// submodules attributes of their own class; methods compile when they are needed. Instances that agree in all of this share a
// class, as PyTorch's concrete types do.
import type { ClassAttribute, ClassType, IValue, SourceRange, Type, Value } from '@weft/ir';
import {
  AnyTensorType,
  BoolType,
  FloatType,
  NoneType,
  ObjectValue,
  annotationString,
  createClassType,
  isTensorLike,
} from '@weft/ir';
import type TS from 'typescript';
import type { Emitter, SelfBinding } from '../../emit/emitter.ts';
import { ScriptError, fail } from '../../emit/script-error.ts';
import type { NamedValue } from '../../emit/schema-matching.ts';
import { TupleOfSugared } from '../../emit/iterable-values.ts';
import { SimpleValue, insertGetAttr, LiveConstant } from '../../emit/simple-value.ts';
import { SugaredValue } from '../../emit/sugared-value.ts';
import { constantValue, insertConstant, typeOfValue } from '../../emit/constants.ts';
import { resolveType } from '../../emit/type-expressions.ts';
import { Conversion } from '../../values.ts';
import { Converter } from './converter.ts';
import { defineMethods, fieldsOf } from './live-classes.ts';
import type { LivePrograms } from './live-programs.ts';
import { compiledThing, constantOf } from './live-programs.ts';
import { LiveResolver } from './live-resolver.ts';
import type { LiveModule } from './module-access.ts';
import { isModule, isModuleBase, isModuleDict, isModuleList, membersOf } from './module-access.ts';
import { classSyntax } from './source-file.ts';
import { typeExpression } from './types.ts';

type AnyFunction = (...given: never[]) => unknown;

/** Compiled modules of one thread. */
export class LiveModules {
  private readonly objects = new WeakMap<LiveModule, ObjectValue>();
  private readonly shared = new WeakMap<object, { signature: string; type: ClassType }[]>();
  private readonly identities = new WeakMap<object, number>();
  private lastIdentity = 0;

  constructor(private readonly programs: LivePrograms) {}

  /** The script object of a live module; made once. Its methods are not compiled yet. */
  objectOf(module: LiveModule): ObjectValue {
    const compiled = (module as { [compiledThing]?: { module?: ObjectValue } })[compiledThing]?.module;
    if (compiled !== undefined) return compiled;
    let object = this.objects.get(module);
    if (object === undefined) {
      object = this.create(module);
      this.objects.set(module, object);
    }
    return object;
  }

  private create(module: LiveModule): ObjectValue {
    const members = membersOf(module);
    const attributes: ClassAttribute[] = [];
    const values: IValue[] = [];
    const constants = new Map<string, IValue>();
    const identities: string[] = [];
    const add = (attribute: ClassAttribute, value: IValue): void => {
      attributes.push(attribute);
      values.push(value);
    };
    for (const [name, value] of members.parameters)
      add({ name, type: AnyTensorType, isParameter: true }, value);
    for (const [name, value] of members.buffers) add({ name, type: AnyTensorType, isBuffer: true }, value);
    add({ name: 'training', type: BoolType }, module.training);
    const fields = fieldTypes(this.programs, module);
    const conversion = new Conversion(this.programs);
    for (const [name, value] of members.others) {
      const field = fields.get(name);
      const constant = Array.isArray(value) && value.some(isModule) ? undefined : constantOf(value);
      if (field?.isReadonly === true && constant !== undefined && !isTensorLike(constant)) {
        const isFloat = typeof constant === 'bigint' && field.type()?.kind === 'float';
        constants.set(name, isFloat ? Number(constant) : constant);
        continue;
      }
      const type = attributeType(value, constant, field);
      if (type === undefined) {
        if (typeof value === 'object' || typeof value === 'function')
          identities.push(`${name}=${this.identity(value as object)}`);
        continue;
      }
      add({ name, type }, conversion.into(value, type, `member '${name}' of ${module.constructor.name}`));
    }
    for (const [name, child] of members.modules) {
      const object = this.objectOf(child);
      add({ name, type: object.type }, object);
    }
    const signature = [
      ...attributes.map(
        ({ name, type, isParameter, isBuffer }) => `${name}:${this.typeKey(type)}:${isParameter}:${isBuffer}`,
      ),
      ...[...constants].map(
        ([name, value]) => `${name}=${typeof value}:${JSON.stringify(value, jsonBigint)}`,
      ),
      ...identities,
    ].join('\n');
    return new ObjectValue(this.typeFor(module, signature, attributes, constants), values);
  }

  private typeKey(type: Type): string {
    return type.kind === 'Class' ? `class ${this.identity(type)}` : annotationString(type);
  }

  private identity(object: object | null): number {
    if (object === null) return 0;
    let id = this.identities.get(object);
    if (id === undefined) this.identities.set(object, (id = ++this.lastIdentity));
    return id;
  }

  private typeFor(
    module: LiveModule,
    signature: string,
    attributes: readonly ClassAttribute[],
    constants: ReadonlyMap<string, IValue>,
  ): ClassType {
    const constructor = module.constructor as AnyFunction & { torchName?: string };
    const known = this.shared.get(constructor) ?? [];
    this.shared.set(constructor, known);
    const found = known.find((candidate) => candidate.signature === signature);
    if (found !== undefined) return found.type;
    const own = Object.hasOwn(constructor, 'torchName') ? constructor.torchName : undefined;
    const type = createClassType(
      this.programs.qualify(own ?? constructor.name.replace(/^_(?=[A-Z])/, '')),
      true,
    );
    type.attributes.push(...attributes);
    for (const [name, value] of constants) type.constants.set(name, value);
    known.push({ signature, type });
    this.bindings.set(type, { type, sugared: (value) => new ModuleValue(this, value, type, module) });
    this.lives.set(type, module);
    return type;
  }

  private readonly bindings = new WeakMap<ClassType, SelfBinding>();
  private readonly lives = new WeakMap<ClassType, LiveModule>();

  /** Compiles the method (or getter, setter) `name` of a module class, if the live module has it. */
  ensureMember(type: ClassType, name: string): void {
    if (type.methods.has(name) || type.properties.has(name)) return;
    const live = this.lives.get(type);
    const binding = this.bindings.get(type);
    if (live === undefined || binding === undefined) return;
    // Also what a chain of overridden methods needs: all of one name are defined together.
    const plain = /^_super_\d+_(.+)$/.exec(name)?.[1] ?? name;
    defineMethods(
      this.programs,
      live.constructor as AnyFunction,
      type,
      binding,
      isModuleBase,
      (own) => own === plain,
    );
  }

  /** Names of the methods that the module's own classes define. */
  methodNames(module: LiveModule): string[] {
    const names: string[] = [];
    for (
      let prototype: object = Object.getPrototypeOf(module) as object;
      !isModuleBase(prototype);
      prototype = Object.getPrototypeOf(prototype) as object
    ) {
      for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
        if (name !== 'constructor' && typeof value === 'function' && !names.includes(name)) names.push(name);
      }
    }
    return names;
  }

  sugar(value: unknown, name: string, range: SourceRange): SugaredValue {
    return this.programs.sugar(value, name, range);
  }
}

const jsonBigint = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value);

interface Field {
  readonly isReadonly: boolean;
  /** The annotated type, or undefined when there is none that can be scripted. */
  readonly type: () => Type | undefined;
  readonly text: string;
}

/** The declared fields of a module's classes. */
function fieldTypes(programs: LivePrograms, module: LiveModule): Map<string, Field> {
  const fields = new Map<string, Field>();
  for (
    let prototype: object = Object.getPrototypeOf(module) as object;
    !isModuleBase(prototype);
    prototype = Object.getPrototypeOf(prototype) as object
  ) {
    const { constructor } = prototype as { constructor: AnyFunction };
    const syntax = classSyntax(constructor);
    const converter = new Converter(syntax.file, 'self');
    const resolver = new LiveResolver(programs, constructor, syntax, converter.free);
    for (const { name, written, isReadonly } of fieldsOf(syntax.node)) {
      if (fields.has(name)) continue;
      const type = (): Type | undefined => annotated(resolver, syntax.file, written);
      fields.set(name, { isReadonly, type, text: written?.getText(syntax.file) ?? '' });
    }
  }
  return fields;
}

function annotated(
  resolver: LiveResolver,
  file: TS.SourceFile,
  written: TS.TypeNode | undefined,
): Type | undefined {
  if (written === undefined) return undefined;
  try {
    return resolveType({ resolver }, typeExpression(file, written));
  } catch (error) {
    // A field whose type has no meaning here is left to the code that uses it.
    if (error instanceof ScriptError) return undefined;
    throw error;
  }
}

function attributeType(
  value: unknown,
  constant: IValue | undefined,
  field: Field | undefined,
): Type | undefined {
  if (typeof value === 'function') return undefined;
  if (value === null || value === undefined) {
    // A parameter that is switched off stays off, so code for it is not compiled.
    if (field === undefined || /\b(?:Parameter|Buffer)\b/.test(field.text)) return NoneType;
    return field.type() ?? NoneType;
  }
  const type = field?.type();
  if (type !== undefined) return type;
  if (constant === undefined) return undefined;
  return typeof value === 'number' && !Number.isInteger(value) ? FloatType : typeOfValue(constant);
}

/** A module of the graph with the live one it stands for. */
export class ModuleValue extends SugaredValue {
  readonly kind = 'a module';
  constructor(
    private readonly modules: LiveModules,
    readonly value: Value,
    readonly type: ClassType,
    private readonly live: LiveModule,
  ) {
    super();
  }

  override asValue(): Value {
    return this.value;
  }

  override hasAttr(_e: Emitter, _range: SourceRange, name: string): boolean {
    return name in this.live;
  }

  override attr(e: Emitter, range: SourceRange, name: string): SugaredValue {
    const { type, live, value } = this;
    const member = (live as unknown as Record<string, unknown>)[name];
    const attribute = type.attributes.find((candidate) => candidate.name === name);
    if (attribute !== undefined) {
      const result = insertGetAttr(e, range, value, name, attribute.type);
      if (!isModule(member)) return new SimpleValue(result);
      const object = this.modules.objectOf(member);
      return (member as { [compiledThing]?: unknown })[compiledThing] === undefined
        ? new ModuleValue(this.modules, result, object.type, member)
        : new SimpleValue(result);
    }
    const constant = type.constants.get(name);
    if (constant !== undefined) return new LiveConstant(constant);
    if (isModuleList(live) && name === 'length') return new LiveConstant(BigInt(this.children().length));
    if (isModuleList(live) && name === 'at') {
      return new RuleFunctionOfConstant((index, place) => this.item(e, place, index));
    }
    if (isModuleDict(live) && name === 'get') {
      return new RuleFunctionOfConstant((key, place) => {
        const child = constantValue(key);
        if (typeof child !== 'string') fail(place, 'a module of a dict is named by a string constant');
        return this.attr(e, place, child);
      });
    }
    this.modules.ensureMember(type, name);
    if (type.methods.has(name) || type.properties.has(name))
      return new SimpleValue(value).attr(e, range, name);
    if (!(name in live)) fail(range, `${live.constructor.name} has no member '${name}'`);
    if (Array.isArray(member) && member.some(isModule)) {
      fail(range, `'${name}' is a plain array of modules; use nn.ModuleList, which registers them`);
    }
    return this.modules.sugar(member, name, range);
  }

  override setAttr(e: Emitter, range: SourceRange, name: string, given: Value): void {
    if (this.type.constants.has(name)) {
      fail(
        range,
        `'${name}' is readonly, so it is a constant here; declare it without readonly to assign it`,
      );
    }
    this.modules.ensureMember(this.type, name);
    new SimpleValue(this.value).setAttr(e, range, name, given);
  }

  override call(
    e: Emitter,
    range: SourceRange,
    positional: readonly NamedValue[],
    keywords: readonly NamedValue[],
  ): SugaredValue {
    return this.attr(e, range, 'forward').call(e, range, positional, keywords);
  }

  private children(): string[] {
    return [...this.live.namedChildren()].map(([name]) => name);
  }

  override iterable(e: Emitter, range: SourceRange): SugaredValue {
    const { live } = this;
    if (isModuleList(live))
      return new TupleOfSugared(this.children().map((name) => this.attr(e, range, name)));
    if (isModuleDict(live)) {
      const entries = this.children().map(
        (name) =>
          new TupleOfSugared([new SimpleValue(insertConstant(e.graph, name)), this.attr(e, range, name)]),
      );
      return new TupleOfSugared(entries);
    }
    return super.iterable(e, range);
  }

  override asTuple(e: Emitter, range: SourceRange): SugaredValue[] {
    return this.iterable(e, range).asTuple(e, range);
  }

  override length(e: Emitter): Value {
    return insertConstant(e.graph, BigInt(this.children().length));
  }

  override item(e: Emitter, range: SourceRange, index: Value): SugaredValue {
    const position = constantValue(index);
    if (typeof position !== 'bigint') {
      fail(range, 'a module of a list is picked by a constant; loop over the list instead');
    }
    const name = this.children().at(Number(position));
    if (name === undefined)
      fail(range, `the list has ${this.children().length} modules, none at ${position}`);
    return this.attr(e, range, name);
  }
}

/** A method whose argument must be known while compiling. */
class RuleFunctionOfConstant extends SugaredValue {
  readonly kind = 'a method';
  constructor(private readonly rule: (value: Value, range: SourceRange) => SugaredValue) {
    super();
  }
  override call(_e: Emitter, range: SourceRange, positional: readonly NamedValue[]): SugaredValue {
    if (positional.length !== 1) fail(range, 'one argument is taken here');
    return this.rule(positional[0].value, range);
  }
}
