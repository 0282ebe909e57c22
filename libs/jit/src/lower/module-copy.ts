// The state of a module while a method of it is lowered: a copy of the object tree that the evaluation may change, its
// tensors symbolic. Tensors that stand in several places stay one; what the method did to them is seen here afterwards.
import type { ClassType, IValue, TensorLiteral, TensorSpec, Value } from '@weft/ir';
import {
  Graph,
  ObjectValue,
  TupleValue,
  UnsupportedError,
  containerType,
  isTensorLike,
  tagContainer,
  tensorSpec,
} from '@weft/ir';
import { valuesEqual } from '@weft/ops';
import { Tensor } from '@weft/tensor';
import { SymbolicStorage, SymbolicTensor, isSymbolic } from './symbolic.ts';

/** A tensor of the module while it is lowered. */
export interface HeldTensor {
  /** Where it stands, as in the state dict; the first name is its own, others are of tied weights. */
  readonly names: string[];
  readonly isParameter: boolean;
  readonly source: IValue;
  readonly tensor: SymbolicTensor;
}

export class ModuleCopy {
  readonly held: HeldTensor[] = [];
  private readonly bySource = new Map<object, HeldTensor>();
  /** Originals and their copies. */
  readonly copies = new Map<ObjectValue, ObjectValue>();

  /** A copy of an object that the evaluation may change, its tensors symbolic. */
  copyObject(object: ObjectValue, prefix: string): ObjectValue {
    const known = this.copies.get(object);
    if (known !== undefined) return known;
    const copy = new ObjectValue(object.type, []);
    this.copies.set(object, copy);
    object.type.attributes.forEach((attribute, slot) => {
      const isParameter = attribute.isParameter === true;
      copy.put(slot, this.copyValue(object.slots[slot], `${prefix}${attribute.name}`, isParameter));
    });
    return copy;
  }

  private copyValue(value: IValue, name: string, isParameter: boolean): IValue {
    if (isTensorLike(value)) return this.hold(value, name, isParameter);
    if (value instanceof ObjectValue) return this.copyObject(value, `${name}.`);
    if (Array.isArray(value)) {
      const list = value.map((item, index) => this.copyValue(item, `${name}.${index}`, false));
      const type = containerType(value);
      return type === undefined ? list : tagContainer(list, type);
    }
    if (value instanceof TupleValue) {
      return new TupleValue(
        value.items.map((item, index) => this.copyValue(item, `${name}.${index}`, false)),
        value.type,
      );
    }
    if (value instanceof Map) {
      return new Map(
        [...value].map(([key, item]) => [key, this.copyValue(item, `${name}.${String(key)}`, false)]),
      );
    }
    return value;
  }

  private hold(source: IValue & object, name: string, isParameter: boolean): SymbolicTensor {
    const known = this.bySource.get(source);
    if (known !== undefined) {
      known.names.push(name);
      return known.tensor;
    }
    const { dtype, shape } = source as TensorLiteral | Tensor;
    const spec = tensorSpec(dtype, [...shape]);
    // The value is replaced by the graph's input once the order of inputs is known.
    const strides = source instanceof Tensor ? source.strides : undefined;
    const storage = new SymbolicStorage(placeholder(spec), strides);
    const tensor = new SymbolicTensor(storage, spec);
    tensor.requiresGrad = source instanceof Tensor ? source.requiresGrad : isParameter;
    const held: HeldTensor = { names: [name], isParameter, source, tensor };
    this.held.push(held);
    this.bySource.set(source, held);
    return tensor;
  }

  /** The tensor that stands now where `held` stood. */
  now(held: HeldTensor): SymbolicTensor | undefined {
    for (const [object, copy] of this.copies) {
      const slot = object.slots.indexOf(held.source);
      if (slot >= 0) return isSymbolic(copy.slots[slot]) ? copy.slots[slot] : undefined;
    }
    return undefined;
  }

  /** State that is no tensor must be what it was: a compiled graph cannot hand it back. */
  checkAttributes(): void {
    for (const [original, copy] of this.copies) {
      original.type.attributes.forEach((attribute, slot) => {
        const [before, after] = [original.slots[slot], copy.slots[slot]];
        if (isTensorLike(before) || before instanceof ObjectValue) return;
        if (holdsTensor(before) || holdsTensor(after) ? sameShape(before, after) : valuesEqual(before, after))
          return;
        throw new UnsupportedError(
          `the method changes the attribute '${attribute.name}' of ${className(original.type)}, which is no tensor; a compiled graph can only change tensors`,
        );
      });
    }
  }
}

/** A value that stands for a module's tensor until its input exists; nothing may read it. */
function placeholder(spec: TensorSpec): Value {
  return new Graph().addInput(spec);
}

function holdsTensor(value: IValue): boolean {
  if (isTensorLike(value)) return true;
  if (Array.isArray(value)) return value.some(holdsTensor);
  if (value instanceof TupleValue) return value.items.some(holdsTensor);
  return value instanceof Map && [...value.values()].some(holdsTensor);
}

/** Whether containers of tensors are as long as they were and hold tensors where they did. */
function sameShape(before: IValue, after: IValue): boolean {
  if (isTensorLike(before) || isTensorLike(after)) return isTensorLike(before) && isTensorLike(after);
  const items = (value: IValue): readonly IValue[] | undefined =>
    Array.isArray(value)
      ? value
      : value instanceof TupleValue
        ? value.items
        : value instanceof Map
          ? [...value.values()]
          : undefined;
  const [first, second] = [items(before), items(after)];
  if (first === undefined || second === undefined) return valuesEqual(before, after);
  return first.length === second.length && first.every((item, index) => sameShape(item, second[index]));
}

const className = (type: ClassType): string => type.name.slice(type.name.lastIndexOf('.') + 1);
