// JavaScript values ⇄ run-time values, by the type that a schema gives: numbers for int and float, arrays for lists and
// tuples, Maps or plain objects for dicts, instances for objects of scripted classes, enum members as their values.
import type { ClassType, IValue, Type } from '@weft/ir';
import {
  Complex,
  DeviceValue,
  EnumValue,
  ObjectValue,
  TupleValue,
  WeftError,
  isTensorLike,
  tagContainer,
} from '@weft/ir';
import { parseDevice } from './emit/constants.ts';
import { annotationString } from '@weft/ir';
import { isRecord } from './emit/type-expressions.ts';

/** An argument of a scripted function that does not have the type its parameter has. */
export class ArgumentError extends WeftError {}

/** What classes mean on the JavaScript side. */
export interface ClassBinding {
  /** The JavaScript class of a script class, or undefined for those that came from an archive. */
  constructorOf(type: ClassType): ((...given: never[]) => unknown) | undefined;
}

/**
 * One call: containers and objects keep their identity through it, and what the program changed in them is written back
 * to the caller's afterwards.
 */
export class Conversion {
  private readonly toScript = new Map<object, IValue>();
  private readonly fromScript = new Map<object, object>();
  /** What came from the caller, and may have been changed. */
  private readonly given: { readonly live: object; readonly value: object & IValue; readonly type: Type }[] =
    [];

  constructor(private readonly classes: ClassBinding) {}

  private give(live: object, value: object & IValue, type: Type): void {
    this.toScript.set(live, value);
    this.fromScript.set(value, live);
    this.given.push({ live, value, type });
  }

  // ---- In ---------------------------------------------------------------------------------------------------------

  /** @param what names the value in errors: "argument 'x'" */
  into(value: unknown, type: Type, what: string): IValue {
    const refuse = (): never => {
      throw new ArgumentError(`${what} must be a ${annotationString(type)}, but ${describe(value)} is given`);
    };
    switch (type.kind) {
      case 'Tensor':
        return isTensorLike(value) ? value : refuse();
      case 'int':
        if (typeof value === 'bigint') return BigInt.asIntN(64, value);
        return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : refuse();
      case 'float':
        if (typeof value === 'bigint') return Number(value);
        return typeof value === 'number' ? value : refuse();
      case 'number':
        if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
        return typeof value === 'bigint' || typeof value === 'boolean' || value instanceof Complex
          ? value
          : refuse();
      case 'complex':
        if (typeof value === 'number') return new Complex(value, 0);
        return value instanceof Complex ? value : refuse();
      case 'bool':
        return typeof value === 'boolean' ? value : refuse();
      case 'str':
        return typeof value === 'string' ? value : refuse();
      case 'None':
        return value === null || value === undefined ? null : refuse();
      case 'Device':
        if (typeof value === 'string') return parseDevice(value);
        return value instanceof DeviceValue ? value : refuse();
      case 'Optional':
        return value === null || value === undefined ? null : this.into(value, type.element, what);
      case 'Union':
        return this.intoUnion(value, type.members, what) ?? refuse();
      case 'List': {
        if (!Array.isArray(value)) return refuse();
        const known = this.toScript.get(value);
        if (known !== undefined) return known;
        const list = tagContainer([], type) as IValue[];
        this.give(value, list, type);
        value.forEach((item, index) => list.push(this.into(item, type.element, `${what}[${index}]`)));
        return list;
      }
      case 'Tuple': {
        if (value instanceof TupleValue) return value;
        if (!Array.isArray(value) || value.length !== type.elements.length) return refuse();
        const items = value.map((item, index) => this.into(item, type.elements[index], `${what}[${index}]`));
        return new TupleValue(items, type.name === undefined ? undefined : type);
      }
      case 'Dict': {
        if (typeof value !== 'object' || value === null || isTensorLike(value)) return refuse();
        const known = this.toScript.get(value);
        if (known !== undefined) return known;
        const dict = tagContainer(new Map<IValue, IValue>(), type);
        this.give(value, dict, type);
        for (const [key, entry] of value instanceof Map ? value : Object.entries(value)) {
          dict.set(
            this.into(key, type.key, `a key of ${what}`),
            this.into(entry, type.value, `${what}[${String(key)}]`),
          );
        }
        return dict;
      }
      case 'Class':
        return this.intoObject(value, type, what) ?? refuse();
      case 'Interface':
        return value instanceof ObjectValue ? value : refuse();
      case 'Enum': {
        if (value instanceof EnumValue) return value;
        const wanted = typeof value === 'number' && type.valueType.kind === 'int' ? BigInt(value) : value;
        const member = type.members.find((candidate) => candidate.value === wanted);
        return member === undefined ? refuse() : new EnumValue(type, member.name, member.value);
      }
      case 'Any':
        return this.intoAny(value) ?? refuse();
      default:
        return value as IValue;
    }
  }

  private intoUnion(value: unknown, members: readonly Type[], what: string): IValue | undefined {
    for (const member of members) {
      try {
        return this.into(value, member, what);
      } catch (error) {
        if (!(error instanceof ArgumentError)) throw error;
      }
    }
    return undefined;
  }

  private intoObject(value: unknown, type: ClassType, what: string): IValue | undefined {
    if (value instanceof ObjectValue) return value;
    if (typeof value !== 'object' || value === null) return undefined;
    const constructor = this.classes.constructorOf(type);
    if (constructor === undefined || !(value instanceof constructor)) return undefined;
    const known = this.toScript.get(value);
    if (known !== undefined) return known;
    const object = new ObjectValue(type);
    this.give(value, object, type);
    const holder = value as unknown as Record<string, unknown>;
    type.attributes.forEach(({ name, type: declared }, slot) => {
      object.put(slot, this.into(holder[name], declared, `${what}.${name}`));
    });
    return object;
  }

  private intoAny(value: unknown): IValue | undefined {
    if (value === undefined || value === null) return null;
    if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
    if (typeof value !== 'object') return value as IValue;
    if (Array.isArray(value)) return value.map((item) => this.intoAny(item)!);
    if (value instanceof Map) {
      return new Map([...value].map(([key, entry]) => [this.intoAny(key)!, this.intoAny(entry)!]));
    }
    return value as IValue;
  }

  // ---- Out --------------------------------------------------------------------------------------------------------

  out(value: IValue, type: Type): unknown {
    if (value === null) return type.kind === 'None' ? undefined : null;
    switch (typeof value) {
      case 'bigint':
        return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
      case 'number':
      case 'boolean':
      case 'string':
        return value;
      default:
    }
    const known = this.fromScript.get(value);
    if (known !== undefined) return known;
    if (isTensorLike(value)) return value;
    if (value instanceof TupleValue) return this.outTuple(value, type);
    if (value instanceof EnumValue)
      return typeof value.value === 'bigint' ? Number(value.value) : value.value;
    if (value instanceof DeviceValue) return value.toString();
    if (Array.isArray(value)) {
      const element: Type = type.kind === 'List' ? type.element : { kind: 'Any' };
      const list: unknown[] = [];
      this.fromScript.set(value, list);
      for (const item of value) list.push(this.out(item, element));
      return list;
    }
    if (value instanceof Map) return this.outDict(value, type);
    if (value instanceof ObjectValue) return this.outObject(value);
    return value;
  }

  private outTuple(value: TupleValue, type: Type): unknown {
    const types = type.kind === 'Tuple' ? type : value.type;
    const items = value.items.map((item, index) => this.out(item, types?.elements[index] ?? { kind: 'Any' }));
    types?.fields?.forEach((field, index) => Object.defineProperty(items, field, { value: items[index] }));
    return items;
  }

  private outDict(value: Map<IValue, IValue>, type: Type): unknown {
    const types = type.kind === 'Dict' ? type : undefined;
    const keyType: Type = types?.key ?? { kind: 'Any' };
    const valueType: Type = types?.value ?? { kind: 'Any' };
    if (isRecord(type)) {
      return Object.fromEntries(
        [...value].map(([key, entry]) => [this.out(key, keyType), this.out(entry, valueType)]),
      );
    }
    const map = new Map<unknown, unknown>();
    this.fromScript.set(value, map);
    for (const [key, entry] of value) map.set(this.out(key, keyType), this.out(entry, valueType));
    return map;
  }

  private outObject(value: ObjectValue): unknown {
    const constructor = this.classes.constructorOf(value.type);
    if (constructor === undefined) return value;
    const object = Object.create(constructor.prototype as object) as Record<string, unknown>;
    this.fromScript.set(value, object);
    for (const [index, attribute] of value.type.attributes.entries()) {
      object[attribute.name] = this.out(value.slots[index], attribute.type);
    }
    return object;
  }

  /** Brings the caller's lists, Maps and objects up to date with what the program did to theirs. */
  writeBack(): void {
    for (const { value, live, type } of this.given) {
      if (Array.isArray(value) && Array.isArray(live)) {
        const element: Type = type.kind === 'List' ? type.element : { kind: 'Any' };
        const items = (value as IValue[]).map((item) => this.out(item, element));
        if (items.length !== live.length || items.some((item, index) => !Object.is(item, live[index]))) {
          live.splice(0, live.length, ...items);
        }
      } else if (value instanceof Map && type.kind === 'Dict') {
        const entries = [...(value as Map<IValue, IValue>)].map(
          ([key, entry]) => [this.out(key, type.key), this.out(entry, type.value)] as const,
        );
        if (live instanceof Map) {
          live.clear();
          for (const [key, entry] of entries) live.set(key, entry);
        } else {
          for (const key of Object.keys(live)) delete (live as Record<string, unknown>)[key];
          for (const [key, entry] of entries) (live as Record<string, unknown>)[String(key)] = entry;
        }
      } else if (value instanceof ObjectValue) {
        for (const [index, attribute] of value.type.attributes.entries()) {
          (live as Record<string, unknown>)[attribute.name] = this.out(value.slots[index], attribute.type);
        }
      }
    }
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (isTensorLike(value)) return `a ${value.dtype} tensor [${value.shape.join(', ')}]`;
  if (typeof value === 'object')
    return `a ${(value as { constructor?: { name?: string } }).constructor?.name ?? 'object'}`;
  return typeof value === 'string' ? `the string '${value}'` : `the ${typeof value} ${String(value)}`;
}
