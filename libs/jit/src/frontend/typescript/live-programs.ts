// Everything that has been compiled from live TypeScript in this thread: functions, classes, enums, by identity of the live
// object, and how live values look to the emitter.
import type { ClassType, EnumType, IValue, ObjectValue, ScriptFunction, SourceRange, Type } from '@weft/ir';
import { AnyTensorType, createClassType, isTensorLike, listOf, tagContainer } from '@weft/ir';
import type { ScriptFunction as Compiled } from '@weft/ir';
import { Tensor, operatorOf } from '@weft/tensor';
import type TS from 'typescript';
import { ts } from './typescript.ts';
import { compileFunction } from '../../emit/compile.ts';
import { typeOfValue } from '../../emit/constants.ts';
import type { SelfBinding } from '../../emit/emitter.ts';
import { NamespaceValue } from '../../emit/javascript/library.ts';
import { fail } from '../../emit/script-error.ts';
import type { SugaredValue } from '../../emit/sugared-value.ts';
import { ClassValue, EnumClassValue, ExceptionClass, FunctionValue } from '../../emit/callable-values.ts';
import { BuiltinFunction, LiveConstant } from '../../emit/simple-value.ts';
import type * as tree from '../tree.ts';
import { Converter } from './converter.ts';
import { freeVariable, inspecting } from './inspector.ts';
import { compileClass } from './live-classes.ts';
import { LiveModules } from './live-modules.ts';
import { LiveResolver } from './live-resolver.ts';
import { isModule, isModuleClass } from './module-access.ts';
import type { FunctionSyntax } from './source-file.ts';
import { classSyntax, functionSyntax } from './source-file.ts';

/** Live objects that are compiled things themselves (jit.script's and jit.trace's results). */
export const compiledThing = Symbol('weft.compiled');
export type CompiledThing = { readonly function: Compiled } | { readonly module: ObjectValue };

export interface CompileOptions {
  /** Makes the tree of a constructor, for which `fn` is the class. */
  readonly adapt?: (converter: Converter) => tree.Def;
  /** What `super.name` is called in the compiled class. */
  readonly superMethod?: (name: string) => string;
}

type AnyFunction = (...given: never[]) => unknown;

export class LivePrograms {
  readonly modules: LiveModules = new LiveModules(this);
  private readonly functions = new WeakMap<object, ScriptFunction>();
  private readonly classes = new WeakMap<object, ClassType>();
  private readonly constructors = new Map<ClassType, AnyFunction>();
  private readonly enums = new WeakMap<object, EnumType>();
  /** Qualified names in use, with what uses them. */
  private readonly names = new Map<string, number>();
  /** Functions that were met and must compile before jit.script returns. */
  private readonly pending: ScriptFunction[] = [];
  private readonly met: (() => void)[] = [];

  /**
   * Runs `body` and then compiles everything that was met. When something cannot be compiled, all that was met on the way is
   * forgotten, so that the next attempt meets the same error.
   */
  compiling<T>(body: () => T): T {
    const start = this.met.length;
    return inspecting(() => {
      try {
        const result = body();
        for (let next = this.pending.pop(); next !== undefined; next = this.pending.pop()) void next.graph;
        if (start === 0) this.met.length = 0;
        return result;
      } catch (error) {
        this.pending.length = 0;
        for (const forget of this.met.splice(start).reverse()) forget();
        throw error;
      }
    });
  }

  /** Notes how to forget something that is being compiled. */
  onFailure(forget: () => void): void {
    this.met.push(forget);
  }

  /** A qualified name for `name`, unlike those given out before; PyTorch's way of telling equal names apart. */
  qualify(name: string): string {
    const full = name.startsWith('__torch__.')
      ? name
      : `__torch__.${name.replace(/[^\p{L}\p{N}_]/gu, '_') || 'lambda'}`;
    const count = this.names.get(full) ?? 0;
    this.names.set(full, count + 1);
    return count === 0 ? full : full.replace(/\.(?=[^.]*$)/, `.___torch_mangle_${count - 1}.`);
  }

  // ---- Functions ----------------------------------------------------------------------------------------------------

  functionOf(fn: AnyFunction): ScriptFunction {
    let compiled = this.functions.get(fn);
    if (compiled === undefined) {
      compiled = this.compile(fn, fn.name || 'lambda', this.qualify(fn.name || 'lambda'));
      this.functions.set(fn, compiled);
      this.onFailure(() => this.functions.delete(fn));
    }
    return compiled;
  }

  /** Compiles a live function or method. */
  compile(
    fn: object,
    name: string,
    qualifiedName: string,
    self?: SelfBinding,
    { adapt, superMethod }: CompileOptions = {},
  ): ScriptFunction {
    const syntax = adapt === undefined ? functionSyntax(fn) : classSyntax(fn);
    const converter = new Converter(syntax.file, self === undefined ? undefined : 'self', superMethod);
    const def = adapt?.(converter) ?? converter.def((syntax as FunctionSyntax).node, name);
    const resolver = new LiveResolver(this, fn, syntax, converter.free);
    const compiled = compileFunction({ def, resolver, self, qualifiedName });
    this.pending.push(compiled);
    return compiled;
  }

  // ---- Classes and enums --------------------------------------------------------------------------------------------

  classOf(constructor: AnyFunction): ClassType {
    let type = this.classes.get(constructor);
    if (type === undefined) {
      type = createClassType(this.qualify(constructor.name.replace(/^_(?=[A-Z])/, '')), false);
      this.classes.set(constructor, type);
      this.constructors.set(type, constructor);
      this.onFailure(() => this.classes.delete(constructor));
      compileClass(this, constructor, type);
    }
    return type;
  }

  /** The live class that `type` was compiled from. */
  constructorOf(type: ClassType): AnyFunction | undefined {
    return this.constructors.get(type);
  }

  enumOf(members: Readonly<Record<string, string | number>>, name: string): EnumType {
    let type = this.enums.get(members);
    if (type === undefined) {
      const entries = Object.entries(members).filter(([key]) => !/^-?\d/.test(key));
      const isText = entries.every(([, value]) => typeof value === 'string');
      const isWhole = entries.every(([, value]) => Number.isSafeInteger(value));
      const toValue = (value: string | number): IValue =>
        typeof value === 'number' && isWhole ? BigInt(value) : value;
      type = {
        kind: 'Enum',
        name: this.qualify(name),
        valueType: { kind: isText ? 'str' : isWhole ? 'int' : 'float' },
        members: entries.map(([key, value]) => ({ name: key, value: toValue(value) })),
      };
      this.enums.set(members, type);
    }
    return type;
  }

  // ---- Values -------------------------------------------------------------------------------------------------------

  /** What a live value is to the emitter. */
  sugar(value: unknown, name: string, range: SourceRange): SugaredValue {
    const constant = constantOf(value);
    if (constant !== undefined) return new LiveConstant(constant, typeOfValue(constant));
    if (typeof value === 'function') return this.sugarFunction(value as AnyFunction, name, range);
    if (isModule(value)) {
      fail(range, `module '${name}' cannot be used here; make it a member of the scripted module`);
    }
    if (typeof value === 'object' && value !== null) {
      const thing = (value as { [compiledThing]?: CompiledThing })[compiledThing];
      if (thing !== undefined && 'function' in thing) return new FunctionValue(thing.function);
      if (isEnum(value, name, range)) {
        return new EnumClassValue(this.enumOf(value as Record<string, string | number>, name));
      }
      const { constructor } = value as { constructor?: unknown };
      if (isPlainObject(value) || constructor === undefined) {
        const holder = value as Record<string, unknown>;
        return new NamespaceValue((member, place) =>
          member in holder ? this.sugar(holder[member], member, place) : undefined,
        );
      }
    }
    fail(
      range,
      `'${name}' (${describeLive(value)}) cannot be used in a scripted function; pass it as an argument`,
    );
  }

  private sugarFunction(fn: AnyFunction, name: string, range: SourceRange): SugaredValue {
    const operator = operatorOf(fn);
    if (operator !== undefined) return new BuiltinFunction(operator);
    const thing = (fn as { [compiledThing]?: CompiledThing })[compiledThing];
    if (thing !== undefined && 'function' in thing) return new FunctionValue(thing.function);
    if (fn.prototype instanceof Error || (fn as unknown) === Error) return new ExceptionClass(fn.name);
    if (isModuleClass(fn)) {
      fail(
        range,
        `modules are made outside scripted functions; make the ${name} a member of the scripted module`,
      );
    }
    if (/^class\b/.test(Function.prototype.toString.call(fn))) return new LiveClassValue(this, fn);
    return new FunctionValue(this.functionOf(fn));
  }

  /** The type that a live value stands for in a type annotation. */
  typeOf(value: unknown, name: string): Type | undefined {
    if (typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value))) {
      if (value === Tensor || value.prototype instanceof Tensor) return AnyTensorType;
      return this.classOf(value as AnyFunction);
    }
    if (typeof value === 'object' && value !== null && isPlainObject(value)) {
      const values = Object.values(value);
      if (
        values.length > 0 &&
        values.every((entry) => typeof entry === 'string' || typeof entry === 'number')
      ) {
        return this.enumOf(value as Record<string, string | number>, name);
      }
    }
    return undefined;
  }

  /** An imported binding through any variable of the running module that holds the imported namespace. */
  importedBy(statement: TS.Statement, name: string, fn: object): { value: unknown } | undefined {
    if (!ts.isImportDeclaration(statement)) return undefined;
    const bindings = statement.importClause?.namedBindings;
    if (bindings === undefined || !ts.isNamedImports(bindings)) return undefined;
    const element = bindings.elements.find((candidate) => candidate.name.text === name);
    if (element === undefined) return undefined;
    const specifier = (statement.moduleSpecifier as TS.StringLiteral).text;
    const stem = specifier
      .replace(/\.\w+$/, '')
      .replace(/^.*\//, '')
      .replace(/[^\w$]/g, '_');
    const namespace = freeVariable(fn, `import_${stem}`)?.value as Record<string, unknown> | undefined;
    const member = (element.propertyName ?? element.name).text;
    return namespace !== undefined && member in namespace ? { value: namespace[member] } : undefined;
  }
}

class LiveClassValue extends ClassValue {
  constructor(
    private readonly programs: LivePrograms,
    private readonly live: AnyFunction,
  ) {
    super(programs.classOf(live));
  }
  override attr(...[e, range, name]: Parameters<ClassValue['attr']>): SugaredValue {
    const member = (this.live as unknown as Record<string, unknown>)[name];
    if (member === undefined) return super.attr(e, range, name);
    return this.programs.sugar(member, name, range);
  }
}

const isPlainObject = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  // Jest and worker realms have an Object.prototype of their own.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
};

/** A numeric enum maps back from its values; an enum of strings is recognised by its declaration. */
function isEnum(value: object, name: string, range: SourceRange): boolean {
  const entries = Object.entries(value);
  if (
    entries.length === 0 ||
    !entries.every(([, entry]) => typeof entry === 'string' || typeof entry === 'number')
  ) {
    return false;
  }
  const holder = value as Record<string, unknown>;
  if (entries.some(([key, entry]) => typeof entry === 'number' && holder[String(entry)] === key)) return true;
  return new RegExp(`\\benum\\s+${name.replace(/\W/g, '')}\\b`).test(range.text);
}

/** A live value that is a constant of the graph, or undefined. */
export function constantOf(value: unknown): IValue | undefined {
  switch (typeof value) {
    case 'number':
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value;
    case 'bigint':
    case 'boolean':
    case 'string':
      return value;
    case 'undefined':
      return null;
    default:
  }
  if (value === null) return null;
  if (isTensorLike(value)) {
    const { toLiteral } = value as unknown as { toLiteral?: () => IValue };
    return toLiteral === undefined ? value : toLiteral.call(value);
  }
  if (Array.isArray(value) && value.length > 0) {
    const items = value.map(constantOf);
    if (items.includes(undefined)) return undefined;
    let list = items as IValue[];
    if (
      list.some((item) => typeof item === 'number') &&
      list.every((item) => typeof item === 'number' || typeof item === 'bigint')
    ) {
      list = list.map(Number);
    }
    const types = new Set(list.map((item) => typeof item));
    return types.size === 1 ? tagContainer(list, listOf(typeOfValue(list[0]))) : undefined;
  }
  return undefined;
}

function describeLive(value: unknown): string {
  if (typeof value !== 'object' || value === null) return typeof value;
  const { constructor } = value as { constructor?: { name?: string } };
  return `a ${constructor?.name ?? 'object'}`;
}

let programs: LivePrograms | undefined;
/** The programs of this thread. */
export const livePrograms = (): LivePrograms => (programs ??= new LivePrograms());
