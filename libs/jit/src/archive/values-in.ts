// Pickled data → run-time values, by the types that the archive's classes declare: objects of script classes, enums, named
// tuples, lists and dicts with their element types. What was one object in the pickle is one object again.
import type { ClassType, IValue, ScriptFunction, Type } from '@weft/ir';
import {
  Complex,
  DeviceValue,
  EnumValue,
  ObjectValue,
  TupleValue,
  annotationString,
  isTensorLike,
  tagContainer,
} from '@weft/ir';
import { ArchiveError, Parameter, io } from '@weft/tensor';
import { resolveType } from '../emit/type-expressions.ts';
import { parseTypeExpression } from '../frontend/torchscript/parser.ts';
import type { ArchiveProgram } from '../frontend/torchscript/program.ts';
import { runFunction } from '../executor/index.ts';
import { isInstance } from '../runtime/index.ts';

const { PickledGlobal, PickledObject, PickledTuple, PickledValue } = io;
type Pickled = io.Pickled;

const deepest = 1000;
/** Calls and turns of loops that an object may take to set its state. */
const mostSteps = 1_000_000;

/** A member of an enum, before its class is known. */
class PickledEnum {
  constructor(
    readonly type: io.PickledGlobal,
    readonly value: Pickled,
  ) {}
}

const isScriptName = (module: string): boolean => module === '__torch__' || module.startsWith('__torch__.');

/** Names of PyTorch's TorchScript pickles, with the type of the list that they make. */
const listTypes: Readonly<Record<string, string | undefined>> = {
  'torch.jit._pickle.build_intlist': 'List[int]',
  'torch.jit._pickle.build_doublelist': 'List[float]',
  'torch.jit._pickle.build_boollist': 'List[bool]',
  'torch.jit._pickle.build_tensorlist': 'List[Tensor]',
};
const typeTag = 'torch.jit._pickle.restore_type_tag';

export class ValueReader {
  private readonly tags = new Map<Pickled[] | Map<Pickled, Pickled>, string>();
  private readonly converted = new Map<object, IValue>();
  private readonly parsedTags = new Map<string, Type>();
  /** Tuples with the types that they were found to have. */
  private readonly fitting = new Map<TupleValue, Set<Type>>();

  constructor(
    readonly file: string,
    readonly entry: string,
    private readonly storages: io.StorageReader,
    private readonly program: ArchiveProgram,
  ) {}

  private refuse(reason: string): never {
    throw new ArchiveError(this.file, this.entry, reason);
  }

  read(bytes: Uint8Array, type?: Type): IValue {
    return this.convert(io.readPickle(bytes, this.rules, this.file, this.entry), type, 0);
  }

  // ---- What the pickle may call -------------------------------------------------------------------------------------

  private readonly rules: io.PickleRules = {
    allows: (global) => {
      const name = global.toString();
      return (
        isScriptName(global.module) ||
        Object.hasOwn(listTypes, name) ||
        name === typeTag ||
        io.isTensorGlobal(global, this)
      );
    },
    call: (global, given) => this.call(global, given),
    persistent: (id) => this.storages.persistent(id),
  };

  private call(global: io.PickledGlobal, given: Pickled): Pickled {
    if (isScriptName(global.module)) {
      return new PickledValue(new PickledEnum(global, given));
    }
    const made = io.callTensorGlobal(global, given, this.storages, this);
    if (made !== undefined) return made;
    const [value, tag] = given instanceof PickledTuple ? given.items : [given];
    const type = global.toString() === typeTag ? tag : listTypes[global.toString()];
    if (typeof type !== 'string') this.refuse(`${global.toString()} cannot be called so`);
    if (!Array.isArray(value) && !(value instanceof Map))
      this.refuse(`${type} is made of no list and no dict`);
    this.tags.set(value, type);
    return value;
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
    if (value instanceof PickledValue) return this.made(value, inner, depth);
    if (value instanceof PickledTuple) {
      const tuple = inner?.kind === 'Tuple' ? inner : undefined;
      if (tuple !== undefined && tuple.elements.length !== value.items.length) {
        this.refuse(`a tuple of ${value.items.length} stands where ${tuple.elements.length} are expected`);
      }
      const items = value.items.map((item, index) => this.typed(item, tuple?.elements[index], depth + 1));
      const result = new TupleValue(items, tuple?.name === undefined ? undefined : tuple);
      this.converted.set(value, result);
      return result;
    }
    if (Array.isArray(value)) {
      const own = inner?.kind === 'List' ? inner : this.tagged(value);
      const list: IValue[] = own === undefined ? [] : tagContainer([] as IValue[], own);
      this.converted.set(value, list);
      const element = own?.kind === 'List' ? own.element : undefined;
      for (const item of value) list.push(this.typed(item, element, depth + 1));
      return list;
    }
    if (value instanceof Map) {
      const own = inner?.kind === 'Dict' ? inner : this.tagged(value);
      const dict = new Map<IValue, IValue>();
      if (own !== undefined) tagContainer(dict, own);
      this.converted.set(value, dict);
      const [keyType, valueType] = own?.kind === 'Dict' ? [own.key, own.value] : [undefined, undefined];
      for (const [key, entry] of value) {
        dict.set(this.typed(key, keyType, depth + 1), this.typed(entry, valueType, depth + 1));
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

  private made({ value }: io.PickledValue, type: Type | undefined, depth: number): IValue {
    if (!(value instanceof PickledEnum)) {
      if (isTensorLike(value) || value instanceof Complex || value instanceof DeviceValue) return value;
      return this.refuse('a storage stands where a value is expected');
    }
    const name = value.type.toString();
    const found = type?.kind === 'Enum' && type.name === name ? type : this.program.namedType(name);
    if (found?.kind !== 'Enum') this.refuse(`'${name}' is called, but it is no enum of the archive`);
    const given = value.value instanceof PickledTuple ? value.value.items[0] : value.value;
    const plain = this.convert(given, found.valueType, depth + 1);
    const member = found.members.find((candidate) => candidate.value === plain);
    if (member === undefined) this.refuse(`enum '${name}' has no member with the value ${String(plain)}`);
    return new EnumValue(found, member.name, member.value);
  }

  private object(pickled: io.PickledObject, depth: number): ObjectValue {
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
      const [, argument] = setState.schema.arguments;
      if (argument === undefined) this.refuse(`'${name}.__setstate__' takes no state`);
      const state = this.typed(pickled.state ?? null, argument.type, depth + 1, `the state of '${name}'`);
      runFunction(setState, [object, state], { maxSteps: mostSteps });
      return object;
    }
    const state = pickled.state ?? new Map<Pickled, Pickled>();
    if (!(state instanceof Map)) this.refuse(`the state of an object of '${name}' is no dict`);
    type.attributes.forEach((attribute, index) => {
      if (!state.has(attribute.name)) {
        if (attribute.type.kind === 'None' || attribute.type.kind === 'Optional') return;
        this.refuse(`an object of '${name}' lacks its attribute '${attribute.name}'`);
      }
      const what = `attribute '${attribute.name}' of '${name}'`;
      const value = this.typed(state.get(attribute.name)!, attribute.type, depth + 1, what);
      object.put(index, this.asMember(value, type, index));
    });
    return object;
  }

  private asMember(value: IValue, type: ClassType, index: number): IValue {
    if (type.attributes[index].isParameter !== true || !isTensorLike(value)) return value;
    // The tensor itself becomes a parameter: lists and other attributes may hold it too, and must go on holding the same.
    if (!(value instanceof Parameter)) Object.setPrototypeOf(value, Parameter.prototype);
    return value;
  }

  /** Converts data and refuses what does not have the type that is declared for it. */
  private typed(given: Pickled, type: Type | undefined, depth: number, what = 'a value'): IValue {
    const value = this.convert(given, type, depth);
    if (type !== undefined && !this.fits(value, type))
      this.refuse(`${what} does not have its type, ${annotationString(type)}`);
    return value;
  }

  /** Elements of lists and dicts were compared when they were made with their type. */
  private fits(value: IValue, type: Type): boolean {
    switch (type.kind) {
      case 'Optional':
        return value === null || this.fits(value, type.element);
      case 'Union':
        return type.members.some((member) => this.fits(value, member));
      case 'Tuple': {
        if (!(value instanceof TupleValue) || value.items.length !== type.elements.length) return false;
        let known = this.fitting.get(value);
        if (known === undefined) this.fitting.set(value, (known = new Set()));
        if (known.has(type)) return true;
        const result = value.items.every((item, index) => this.fits(item, type.elements[index]));
        if (result) known.add(type);
        return result;
      }
      case 'Future':
      case 'Generator':
        return false;
      default:
        return isInstance(value, type);
    }
  }
}
