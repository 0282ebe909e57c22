// Pickled data → run-time values, by the types that the archive's classes declare: objects of script classes, enums, named
// tuples, lists and dicts with their element types. What was one object in the pickle is one object again.
import type { ClassType, IValue, Type } from '@weft/ir';
import {
  Complex,
  DeviceValue,
  EnumValue,
  ObjectValue,
  TupleValue,
  isTensorLike,
  tagContainer,
} from '@weft/ir';
import { Parameter } from '@weft/tensor';
import { resolveType } from '../emit/type-expressions.ts';
import { parseTypeExpression } from '../frontend/torchscript/parser.ts';
import type { ArchiveProgram } from '../frontend/torchscript/program.ts';
import { runFunction } from '../runtime/index.ts';
import { ArchiveError } from './archive-error.ts';
import type { Pickled, PickleRules } from './pickle-reader.ts';
import { PickledGlobal, PickledObject, PickledTuple, PickledValue, readPickle } from './pickle-reader.ts';
import type { StorageReader } from './storages.ts';
import type { ScriptFunction } from '@weft/ir';

const deepest = 1000;

/** A member of an enum, before its class is known. */
class PickledEnum {
  constructor(
    readonly type: PickledGlobal,
    readonly value: Pickled,
  ) {}
}

const isScriptName = (module: string): boolean => module === '__torch__' || module.startsWith('__torch__.');

/** Names that data may refer to besides the archive's own classes. */
const allowed: ReadonlySet<string> = new Set([
  'torch._utils._rebuild_tensor_v2',
  'torch._utils._rebuild_tensor',
  'torch._utils._rebuild_parameter',
  'torch.device',
  'collections.OrderedDict',
  'builtins.complex',
  '__builtin__.complex',
  'torch.jit._pickle.restore_type_tag',
  'torch.jit._pickle.build_intlist',
  'torch.jit._pickle.build_doublelist',
  'torch.jit._pickle.build_boollist',
  'torch.jit._pickle.build_tensorlist',
]);
const storageName = /^torch\.\w+Storage$/;
const listTypes: Readonly<Record<string, string>> = {
  build_intlist: 'List[int]',
  build_doublelist: 'List[float]',
  build_boollist: 'List[bool]',
  build_tensorlist: 'List[Tensor]',
};

export class ValueReader {
  private readonly tags = new Map<Pickled[] | Map<Pickled, Pickled>, string>();
  private readonly converted = new Map<object, IValue>();
  private readonly parsedTags = new Map<string, Type>();

  /** @param program undefined for plain data (`torch.save`), which has no classes */
  constructor(
    private readonly file: string,
    private readonly entry: string,
    private readonly storages: StorageReader,
    private readonly program: ArchiveProgram,
  ) {}

  private refuse(reason: string): never {
    throw new ArchiveError(this.file, this.entry, reason);
  }

  read(bytes: Uint8Array, type?: Type): IValue {
    return this.convert(readPickle(bytes, this.rules, this.file, this.entry), type, 0);
  }

  // ---- What the pickle may call -------------------------------------------------------------------------------------

  private readonly rules: PickleRules = {
    allows: (global) => {
      const { module } = global;
      return isScriptName(module) || allowed.has(global.toString()) || storageName.test(global.toString());
    },
    call: (global, given) => this.call(global, given),
    persistent: (id) => this.storages.persistent(id),
  };

  private call(global: PickledGlobal, given: Pickled): Pickled {
    if (isScriptName(global.module)) {
      return new PickledValue(new PickledEnum(global, given));
    }
    const items = given instanceof PickledTuple ? given.items : [given];
    switch (global.name) {
      case '_rebuild_tensor_v2':
      case '_rebuild_tensor':
        return new PickledValue(this.storages.rebuild(given));
      case '_rebuild_parameter':
        return items[0];
      case 'OrderedDict':
        return new Map();
      case 'complex': {
        const [re, im] = items;
        if (typeof re !== 'number' || typeof im !== 'number')
          this.refuse('a complex number has no two parts');
        return new PickledValue(new Complex(re, im));
      }
      case 'device': {
        const [name, index] = items;
        if (typeof name !== 'string') this.refuse('a device has no name');
        const [kind, own] = name.split(':');
        const number = typeof index === 'bigint' ? Number(index) : own === undefined ? null : Number(own);
        return new PickledValue(new DeviceValue(kind, number));
      }
      case 'restore_type_tag': {
        const [value, type] = items;
        if (typeof type !== 'string') this.refuse('a type tag is no text');
        if (Array.isArray(value) || value instanceof Map) this.tags.set(value, type);
        return value;
      }
      default: {
        const type = listTypes[global.name];
        const [list] = items;
        if (type === undefined || !Array.isArray(list)) this.refuse(`${global.toString()} cannot be called`);
        this.tags.set(list, type);
        return list;
      }
    }
  }

  // ---- Values -------------------------------------------------------------------------------------------------------

  private tagged(value: Pickled[] | Map<Pickled, Pickled>): Type | undefined {
    const text = this.tags.get(value);
    if (text === undefined) return undefined;
    let type = this.parsedTags.get(text);
    if (type === undefined) {
      type = resolveType({ resolver: this.program }, parseTypeExpression(text, `${this.file}/${this.entry}`));
      this.parsedTags.set(text, type);
    }
    return type;
  }

  private convert(value: Pickled, type: Type | undefined, depth: number): IValue {
    if (depth > deepest) this.refuse(`values are nested deeper than ${deepest}`);
    switch (typeof value) {
      case 'bigint':
        if (BigInt.asIntN(64, value) !== value) this.refuse(`${value} is no 64-bit integer`);
        return type?.kind === 'float' ? Number(value) : value;
      case 'boolean':
      case 'number':
      case 'string':
        return value;
      default:
    }
    if (value === null) return null;
    const known = this.converted.get(value);
    if (known !== undefined) return known;
    const inner = type?.kind === 'Optional' ? type.element : type;
    if (value instanceof PickledValue) return this.made(value, inner);
    if (value instanceof PickledTuple) {
      const tuple = inner?.kind === 'Tuple' ? inner : undefined;
      if (tuple !== undefined && tuple.elements.length !== value.items.length) {
        this.refuse(`a tuple of ${value.items.length} stands where ${tuple.elements.length} are expected`);
      }
      const items = value.items.map((item, index) => this.convert(item, tuple?.elements[index], depth + 1));
      const result = new TupleValue(items, tuple?.name === undefined ? undefined : tuple);
      this.converted.set(value, result);
      return result;
    }
    if (Array.isArray(value)) {
      const own = inner?.kind === 'List' ? inner : this.tagged(value);
      const list: IValue[] = own === undefined ? [] : tagContainer([] as IValue[], own);
      this.converted.set(value, list);
      const element = own?.kind === 'List' ? own.element : undefined;
      for (const item of value) list.push(this.convert(item, element, depth + 1));
      return list;
    }
    if (value instanceof Map) {
      const own = inner?.kind === 'Dict' ? inner : this.tagged(value);
      const dict = new Map<IValue, IValue>();
      if (own !== undefined) tagContainer(dict, own);
      this.converted.set(value, dict);
      const [keyType, valueType] = own?.kind === 'Dict' ? [own.key, own.value] : [undefined, undefined];
      for (const [key, entry] of value) {
        dict.set(this.convert(key, keyType, depth + 1), this.convert(entry, valueType, depth + 1));
      }
      return dict;
    }
    if (value instanceof PickledObject) return this.object(value, depth);
    return this.refuse(
      value instanceof PickledGlobal
        ? `${value.toString()} stands where a value is expected`
        : 'bytes stand where a value is expected',
    );
  }

  private made({ value }: PickledValue, type: Type | undefined): IValue {
    if (!(value instanceof PickledEnum)) {
      if (isTensorLike(value) || value instanceof Complex || value instanceof DeviceValue) return value;
      return this.refuse('a storage stands where a value is expected');
    }
    const name = value.type.toString();
    const found = type?.kind === 'Enum' && type.name === name ? type : this.program.namedType(name);
    if (found?.kind !== 'Enum') this.refuse(`'${name}' is called, but it is no enum of the archive`);
    const given = value.value instanceof PickledTuple ? value.value.items[0] : value.value;
    const plain = this.convert(given, found.valueType, 0);
    const member = found.members.find((candidate) => candidate.value === plain);
    if (member === undefined) this.refuse(`enum '${name}' has no member with the value ${String(plain)}`);
    return new EnumValue(found, member.name, member.value);
  }

  private object(pickled: PickledObject, depth: number): ObjectValue {
    const name = pickled.type.toString();
    const type = this.program.namedType(name);
    if (type?.kind !== 'Class') this.refuse(`the archive has no class '${name}'`);
    const object = new ObjectValue(
      type,
      type.attributes.map(() => null),
    );
    this.converted.set(pickled, object);
    const setState = type.methods.get('__setstate__') as ScriptFunction | undefined;
    if (setState !== undefined) {
      const state = this.convert(pickled.state ?? null, setState.schema.arguments[1]?.type, depth + 1);
      runFunction(setState, [object, state]);
      return object;
    }
    const state = pickled.state ?? new Map<Pickled, Pickled>();
    if (!(state instanceof Map)) this.refuse(`the state of an object of '${name}' is no dict`);
    type.attributes.forEach((attribute, index) => {
      if (!state.has(attribute.name)) {
        if (attribute.type.kind === 'None' || attribute.type.kind === 'Optional') return;
        this.refuse(`an object of '${name}' lacks its attribute '${attribute.name}'`);
      }
      const value = this.convert(state.get(attribute.name)!, attribute.type, depth + 1);
      this.check(value, attribute.type, `attribute '${attribute.name}' of '${name}'`);
      object.slots[index] = this.asMember(value, type, index);
    });
    return object;
  }

  private asMember(value: IValue, type: ClassType, index: number): IValue {
    if (type.attributes[index].isParameter !== true || !isTensorLike(value)) return value;
    // The tensor itself becomes a parameter: lists and other attributes may hold it too, and must go on holding the same.
    if (!(value instanceof Parameter)) Object.setPrototypeOf(value, Parameter.prototype);
    return value;
  }

  /** Refuses data that does not have the type its class declares. */
  private check(value: IValue, type: Type, what: string): void {
    const fits = ((): boolean => {
      switch (type.kind) {
        case 'int':
          return typeof value === 'bigint';
        case 'float':
          return typeof value === 'number';
        case 'bool':
          return typeof value === 'boolean';
        case 'str':
          return typeof value === 'string';
        case 'None':
          return value === null;
        case 'Tensor':
          return isTensorLike(value);
        case 'List':
          return Array.isArray(value);
        case 'Dict':
          return value instanceof Map;
        case 'Tuple':
          return value instanceof TupleValue;
        case 'Enum':
          return value instanceof EnumValue && value.type === type;
        case 'Class':
          return value instanceof ObjectValue && value.type === type;
        case 'Optional':
          if (value !== null) this.check(value, type.element, what);
          return true;
        default:
          return true;
      }
    })();
    if (!fits) this.refuse(`${what} does not have its type`);
  }
}
