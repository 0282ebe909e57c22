// Run-time values → pickles, as torch.jit.save writes them: objects with their state, tensors as views on storages, lists and
// dicts with their types.
import type { ClassType, EnumType, IValue, ScriptFunction, Type } from '@weft/ir';
import {
  Complex,
  DeviceValue,
  EnumValue,
  ObjectValue,
  TensorLiteral,
  TupleValue,
  UnsupportedError,
  annotationString,
  containerType,
  isTensorLike,
} from '@weft/ir';
import { Tensor, hostDevice, io } from '@weft/tensor';
import { typeOfValue } from '../emit/constants.ts';
import { runFunction } from '../executor/index.ts';

const deepest = 1000;

const listBuilders: Readonly<Record<string, string | undefined>> = {
  int: 'build_intlist',
  float: 'build_doublelist',
  bool: 'build_boollist',
  Tensor: 'build_tensorlist',
};

export class ValueWriter {
  private readonly pickle = new io.PickleWriter();
  private readonly literals = new Map<TensorLiteral, Tensor>();
  /** States that objects gave, kept so that they stay different objects. */
  private readonly states: IValue[] = [];

  /** @param onType called for the class of every object and enum that is written */
  constructor(
    private readonly storages: io.StorageTable,
    private readonly nameOf: (qualified: string) => string,
    private readonly onType: (type: ClassType | EnumType) => void,
  ) {}

  write(value: IValue): Uint8Array {
    this.value(value, undefined, 'the module', 0);
    return this.pickle.finish();
  }

  /** @param path where the value is, for errors */
  private value(value: IValue, type: Type | undefined, path: string, depth: number): void {
    const { pickle } = this;
    if (depth > deepest)
      throw new UnsupportedError(`${path}: values nested deeper than ${deepest} cannot be saved`);
    if (value === null) return pickle.none();
    switch (typeof value) {
      case 'boolean':
        return pickle.bool(value);
      case 'bigint':
        return pickle.int(value);
      case 'number':
        return pickle.float(value);
      case 'string':
        return pickle.string(value);
      default:
    }
    if (pickle.reference(value)) return;
    const inner = type?.kind === 'Optional' ? type.element : type;
    if (value instanceof TensorLiteral) return this.tensor(this.ofLiteral(value), path);
    if (isTensorLike(value)) return this.tensor(value as Tensor, path);
    if (Array.isArray(value)) return this.list(value, inner, path, depth);
    if (value instanceof Map) return this.dict(value, inner, path, depth);
    if (value instanceof TupleValue) {
      const types = value.type?.elements ?? (inner?.kind === 'Tuple' ? inner.elements : []);
      pickle.tuple(() =>
        value.items.forEach((item, index) => this.value(item, types[index], `${path}[${index}]`, depth + 1)),
      );
      return pickle.defines(value);
    }
    if (value instanceof Complex) return pickle.complex(value);
    if (value instanceof DeviceValue) return pickle.device(value);
    if (value instanceof EnumValue) {
      this.onType(value.type);
      this.named(value.type.name);
      this.value(value.value, value.type.valueType, path, depth + 1);
      return pickle.reduce();
    }
    if (value instanceof ObjectValue) return this.object(value, path, depth);
    throw new UnsupportedError(`${path} cannot be saved: it is a ${annotationString(typeOfValue(value))}`);
  }

  private named(qualified: string): void {
    const name = this.nameOf(qualified);
    const dot = name.lastIndexOf('.');
    this.pickle.global(name.slice(0, dot), name.slice(dot + 1));
  }

  private list(list: IValue[], type: Type | undefined, path: string, depth: number): void {
    const { pickle } = this;
    const own = type?.kind === 'List' ? type : (containerType(list) ?? typeOfValue(list));
    const element = own.kind === 'List' ? own.element : undefined;
    const items = (): void =>
      list.forEach((item, index) => this.value(item, element, `${path}[${index}]`, depth + 1));
    const builder = element === undefined ? undefined : listBuilders[element.kind];
    if (builder !== undefined) {
      pickle.global('torch.jit._pickle', builder);
      pickle.tuple(() => pickle.list(items));
      pickle.reduce();
    } else this.typed(own, () => pickle.list(items));
    pickle.defines(list);
  }

  private dict(dict: Map<IValue, IValue>, type: Type | undefined, path: string, depth: number): void {
    const { pickle } = this;
    const own = type?.kind === 'Dict' ? type : (containerType(dict) ?? typeOfValue(dict));
    const [keyType, valueType] = own.kind === 'Dict' ? [own.key, own.value] : [];
    this.typed(own, () => {
      pickle.emptyDict();
      pickle.setItems(() => {
        for (const [key, entry] of dict) {
          const where = `${path}[${typeof key === 'string' ? JSON.stringify(key) : '…'}]`;
          this.value(key, keyType, where, depth + 1);
          this.value(entry, valueType, where, depth + 1);
        }
      });
    });
    pickle.defines(dict);
  }

  /** Tells the type of a container with it, so that it is known even when it is empty. */
  private typed(type: Type, container: () => void): void {
    const { pickle } = this;
    pickle.global('torch.jit._pickle', 'restore_type_tag');
    pickle.tuple(() => {
      container();
      pickle.string(annotationString(type, this.nameOf));
    });
    pickle.reduce();
  }

  private object(object: ObjectValue, path: string, depth: number): void {
    const { pickle } = this;
    const { type } = object;
    this.onType(type);
    this.named(type.name);
    pickle.emptyTuple();
    pickle.newObject();
    const getState = type.methods.get('__getstate__') as ScriptFunction | undefined;
    if (getState !== undefined && type.methods.has('__setstate__')) {
      const state = runFunction(getState, [object]);
      this.states.push(state);
      this.value(state, getState.schema.returns[0].type, path, depth + 1);
    } else {
      pickle.emptyDict();
      pickle.setItems(() => {
        type.attributes.forEach(({ name, type: declared }, index) => {
          pickle.string(name);
          this.value(object.slots[index] ?? null, declared, `${path}.${name}`, depth + 1);
        });
      });
    }
    pickle.build();
    pickle.defines(object);
  }

  private ofLiteral(literal: TensorLiteral): Tensor {
    let tensor = this.literals.get(literal);
    if (tensor === undefined) {
      tensor = Tensor.fromLiteral(literal, hostDevice());
      this.literals.set(literal, tensor);
    }
    return tensor;
  }

  private tensor(tensor: Tensor, path: string): void {
    const { pickle } = this;
    if (pickle.reference(tensor)) return;
    io.pickleTensor(pickle, this.storages, tensor, tensor.requiresGrad, path);
    pickle.defines(tensor);
  }
}
