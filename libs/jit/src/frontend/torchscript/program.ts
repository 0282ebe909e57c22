// The code of an archive: classes, enums, named tuples, interfaces and functions by qualified name, each made from its file
// when it is first asked for. Files are `code/__torch__/a/b.py` for what is in `__torch__.a.b`.
import type {
  ClassType,
  EnumType,
  IValue,
  InterfaceType,
  PrintedText,
  SourceRange,
  TupleType,
  Type,
  ScriptFunction,
} from '@weft/ir';
import { createClassType, isTensorLike } from '@weft/ir';
import { compileFunction } from '../../emit/compile.ts';
import { insertConstant, typeOfValue } from '../../emit/constants.ts';
import { defaultValue } from '../../emit/defaults.ts';
import type { Emitter } from '../../emit/emitter.ts';
import { declaredSchema } from '../../emit/emitter.ts';
import { NamespaceValue } from '../../emit/javascript/library.ts';
import type { Resolver } from '../../emit/resolver.ts';
import { fail } from '../../emit/script-error.ts';
import { ClassValue, EnumClassValue, FunctionValue, NamedTupleValue } from '../../emit/callable-values.ts';
import { SimpleValue } from '../../emit/simple-value.ts';
import { SugaredValue } from '../../emit/sugared-value.ts';
import { dottedName, resolveType } from '../../emit/type-expressions.ts';
import type * as tree from '../tree.ts';
import { pythonBuiltin } from './builtins.ts';
import { parseTorchScript } from './parser.ts';

/** Types that a class of an archive can be. */
export type NamedType = ClassType | EnumType | InterfaceType | TupleType;

/** A file of an archive's code. */
export interface ProgramFile {
  /** How it is named in errors. */
  readonly name: string;
  readonly text: string;
  /** What the text was printed from. */
  readonly printed?: PrintedText;
}

export interface ProgramSource {
  /** The file `code/<path>`, or undefined when there is none. */
  file(path: string): ProgramFile | undefined;
  /** The archive's version, which says what its operators mean; default: what they mean today. */
  readonly version?: number;
  /** Entry `c<index>` of the table of constants, or undefined when it has none. */
  constant(index: number): IValue | undefined;
  /** The type of a qualified name that no file defines. */
  namedType?(qualified: string): NamedType | undefined;
}

type Definition = tree.ClassDef | tree.Def;

export class ArchiveProgram implements Resolver {
  private readonly files = new Map<string, ReadonlyMap<string, Definition> | undefined>();
  private readonly types = new Map<string, NamedType>();
  private readonly functions = new Map<string, ScriptFunction>();

  constructor(private readonly source: ProgramSource) {}

  get operatorVersion(): number | undefined {
    return this.source.version;
  }

  // ---- Names --------------------------------------------------------------------------------------------------------

  value(name: string, range: SourceRange): SugaredValue | undefined {
    if (name === '__torch__') return this.namespace('__torch__');
    if (name === 'CONSTANTS') return this.constants(range);
    return pythonBuiltin(name);
  }

  type(name: string): Type | undefined {
    return name.startsWith('__torch__.') ? this.namedType(name) : undefined;
  }

  private namespace(path: string): SugaredValue {
    return new NamespaceValue((name) => {
      const qualified = `${path}.${name}`;
      const definition = this.definition(qualified);
      if (definition === undefined) return this.namespace(qualified);
      if (definition.kind === 'Def') return new FunctionValue(this.functionNamed(qualified)!);
      const type = this.namedType(qualified)!;
      switch (type.kind) {
        case 'Class':
          return new ArchiveClassValue(type, (method) => this.functionNamed(`${qualified}.${method}`));
        case 'Enum':
          return new EnumClassValue(type);
        case 'Tuple':
          return new NamedTupleValue(type);
        default:
          return undefined;
      }
    });
  }

  private constants(range: SourceRange): SugaredValue {
    return new NamespaceValue((name) => {
      const index = /^c(\d+)$/.exec(name);
      const value = index === null ? undefined : this.source.constant(Number(index[1]));
      if (value === undefined) fail(range, `the archive has no constant '${name}'`);
      return new TableConstant(value);
    });
  }

  // ---- Definitions --------------------------------------------------------------------------------------------------

  private definition(qualified: string): Definition | undefined {
    const dot = qualified.lastIndexOf('.');
    if (dot < 0) return undefined;
    return this.definitions(qualified.slice(0, dot))?.get(qualified.slice(dot + 1));
  }

  private definitions(module: string): ReadonlyMap<string, Definition> | undefined {
    if (!this.files.has(module)) {
      const path = `${module.replaceAll('.', '/')}.py`;
      const file = this.source.file(path);
      if (file === undefined) this.files.set(module, undefined);
      else {
        const { body } = parseTorchScript(file.text, file.name, file.printed);
        const found = new Map<string, Definition>();
        for (const item of body) {
          if (item.kind === 'ClassDef' || item.kind === 'Def') found.set(item.name, item);
          else if (!isVersionNumber(item))
            fail(item.range, 'a file of an archive holds classes and functions only');
        }
        this.files.set(module, found);
      }
    }
    return this.files.get(module);
  }

  /** The function of that qualified name, or undefined. */
  functionNamed(qualified: string): ScriptFunction | undefined {
    let compiled = this.functions.get(qualified);
    if (compiled === undefined) {
      const def = this.definition(qualified);
      if (def?.kind !== 'Def') return undefined;
      compiled = compileFunction({ def, resolver: this, qualifiedName: qualified });
      this.functions.set(qualified, compiled);
    }
    return compiled;
  }

  /** The class, enum, named tuple or interface of that qualified name, or undefined. */
  namedType(qualified: string): NamedType | undefined {
    const known = this.types.get(qualified);
    if (known !== undefined) return known;
    const definition = this.definition(qualified);
    if (definition?.kind !== 'ClassDef') return this.source.namedType?.(qualified);
    const [base] = definition.bases.map((expression) => dottedName(expression));
    switch (base) {
      case undefined:
      case 'Module':
        return this.classType(qualified, definition, base === 'Module');
      case 'Interface':
      case 'ModuleInterface':
        return this.interfaceType(qualified, definition, base === 'ModuleInterface');
      case 'NamedTuple':
        return this.namedTuple(qualified, definition);
      case 'Enum':
        return this.enumType(qualified, definition);
      default:
        fail(definition.range, `a class of an archive cannot derive from '${base}'`);
    }
  }

  private classType(qualified: string, { body }: tree.ClassDef, isModule: boolean): ClassType {
    const type = createClassType(qualified, isModule);
    this.types.set(qualified, type);
    const flags = { __parameters__: new Set<string>(), __buffers__: new Set<string>() };
    const attribute = (name: string, written: tree.TypeExpression, value?: tree.Expression): void => {
      const annotated = resolveType({ resolver: this }, written);
      if (value !== undefined) {
        type.constants.set(name, this.constantValue(value, annotated));
        return;
      }
      type.attributes.push({
        name,
        type: annotated,
        ...(flags.__parameters__.has(name) && { isParameter: true }),
        ...(flags.__buffers__.has(name) && { isBuffer: true }),
      });
    };
    const defs: tree.Def[] = [];
    for (const item of body) {
      if (item.kind === 'Def') defs.push(item);
      else if (item.kind === 'Pass') continue;
      else if (item.kind !== 'Assign')
        fail(item.range, 'a class of an archive holds attributes and methods only');
      else {
        const [target] = item.targets;
        if (target.kind === 'Name' && (target.name === '__parameters__' || target.name === '__buffers__')) {
          for (const name of stringsOf(item.value)) flags[target.name].add(name);
        } else if (target.kind === 'Name' && target.name === '__forward_pre_hooks__') {
          type.hooks.before.push(...stringsOf(item.value));
        } else if (target.kind === 'Name' && target.name === '__forward_hooks__') {
          type.hooks.after.push(...stringsOf(item.value));
        } else if (target.kind === 'Name' && item.type !== undefined) {
          attribute(target.name, item.type, item.value);
        } else if (target.kind === 'Subscript' && item.value !== undefined) {
          // __annotations__["0"] = Type: an attribute whose name is no identifier.
          const [name] = target.indices;
          if (name.kind !== 'String') fail(name.range, 'the name of an attribute is a string');
          attribute(name.value, item.value);
        }
      }
    }
    for (const def of defs) {
      const method = compileFunction({
        def,
        resolver: this,
        self: { type, sugared: (value) => new SimpleValue(value) },
        qualifiedName: `${qualified}.${def.name}`,
      });
      type.methods.set(def.name, method);
    }
    return type;
  }

  private constantValue(expression: tree.Expression, type: Type): IValue {
    if (expression.kind === 'Select') {
      const text = dottedName(expression) ?? '';
      const index = /^CONSTANTS\.c(\d+)$/.exec(text);
      const value = index === null ? undefined : this.source.constant(Number(index[1]));
      if (value !== undefined) return value;
    }
    return defaultValue({ resolver: this }, expression, type);
  }

  private interfaceType(qualified: string, { body }: tree.ClassDef, isModule: boolean): InterfaceType {
    const type: InterfaceType = { kind: 'Interface', name: qualified, isModule, methods: new Map() };
    this.types.set(qualified, type);
    for (const def of body) {
      if (def.kind !== 'Def') continue;
      const schema = declaredSchema({ def, resolver: this, qualifiedName: `${qualified}.${def.name}` });
      const [self, ...rest] = schema.arguments;
      type.methods.set(def.name, { ...schema, arguments: [{ ...self, type }, ...rest] });
    }
    return type;
  }

  private namedTuple(qualified: string, { body }: tree.ClassDef): TupleType {
    const fields: string[] = [];
    const elements: Type[] = [];
    const defaults: IValue[] = [];
    const type: TupleType = { kind: 'Tuple', name: qualified, elements, fields, defaults };
    this.types.set(qualified, type);
    for (const item of body) {
      if (item.kind !== 'Assign' || item.type === undefined || item.targets[0].kind !== 'Name') continue;
      const element = resolveType({ resolver: this }, item.type);
      fields.push(item.targets[0].name);
      elements.push(element);
      if (item.value !== undefined) defaults.push(this.constantValue(item.value, element));
    }
    return type;
  }

  private enumType(qualified: string, { body, range }: tree.ClassDef): EnumType {
    const members = body.flatMap((item) => {
      if (item.kind !== 'Assign' || item.targets[0].kind !== 'Name' || item.value === undefined) return [];
      return [
        { name: item.targets[0].name, value: defaultValue({ resolver: this }, item.value, { kind: 'Any' }) },
      ];
    });
    if (members.length === 0) fail(range, 'an enum needs members');
    const type: EnumType = {
      kind: 'Enum',
      name: qualified,
      valueType: typeOfValue(members[0].value),
      members,
    };
    this.types.set(qualified, type);
    return type;
  }
}

/** `op_version_set = 1`: the first line of each file in archives of PyTorch 1.3, which have the version of the archive. */
const isVersionNumber = (item: tree.Statement): boolean =>
  item.kind === 'Assign' && item.targets[0].kind === 'Name' && item.targets[0].name === 'op_version_set';

function stringsOf(expression: tree.Expression | undefined): string[] {
  if (expression?.kind !== 'List') return [];
  return expression.elements.flatMap((element) => (element.kind === 'String' ? [element.value] : []));
}

/** An entry of the table of constants. */
class TableConstant extends SugaredValue {
  readonly kind = 'a constant';
  constructor(private readonly constant: IValue) {
    super();
  }
  override asValue(e: Emitter): ReturnType<typeof insertConstant> {
    const { constant } = this;
    const { toLiteral } = constant as { toLiteral?: () => IValue };
    return insertConstant(
      e.graph,
      isTensorLike(constant) && toLiteral !== undefined ? toLiteral.call(constant) : constant,
    );
  }
}

/** A class of an archive; functions that stand in its namespace are its static methods. */
class ArchiveClassValue extends ClassValue {
  constructor(
    type: ClassType,
    private readonly staticMethod: (name: string) => ScriptFunction | undefined,
  ) {
    super(type);
  }
  override attr(e: Emitter, range: SourceRange, name: string): SugaredValue {
    const method = name === '__new__' ? undefined : this.staticMethod(name);
    return method === undefined ? super.attr(e, range, name) : new FunctionValue(method);
  }
}
