// Constants of torch graphs: `prim::Constant` nodes made from run-time values, and read back.
import type { EnumValue, Graph, IValue, ObjectValue, Type, Value } from '@weft/ir';
import {
  AnyType,
  AnyTensorType,
  BoolType,
  Complex,
  ComplexType,
  DeviceType,
  DeviceValue,
  EnumValue as EnumValueClass,
  FloatType,
  InternalError,
  IntType,
  NoneType,
  ObjectValue as ObjectValueClass,
  StringType,
  TensorLiteral,
  TupleValue,
  containerType,
  dictOf,
  isTensorLike,
  listOf,
} from '@weft/ir';

/** Inserts a constant at the insertion point; `type` overrides the type that the value shows (for None and lists). */
export function insertConstant(graph: Graph, value: IValue, type?: Type): Value {
  const node = graph.create('prim::Constant', [], [type ?? typeOfValue(value)]);
  setConstant(node, value);
  return graph.insertNode(node).output;
}

function setConstant(node: ReturnType<Graph['create']>, value: IValue): void {
  if (value === null) return;
  if (typeof value === 'bigint') node.set('value', { kind: 'i', value });
  else if (typeof value === 'boolean') node.set('value', { kind: 'i', value: value ? 1n : 0n });
  else if (typeof value === 'number') node.set('value', { kind: 'f', value });
  else if (typeof value === 'string') node.set('value', { kind: 's', value });
  else if (value instanceof DeviceValue) node.set('value', { kind: 's', value: value.toString() });
  else if (value instanceof TensorLiteral) node.set('value', { kind: 't', value });
  else node.set('value', { kind: 'ival', value });
}

/** The value of a constant, or undefined when `value` is no constant. None is null. */
export function constantValue(value: Value): IValue | undefined {
  const { node } = value;
  if (node.kind !== 'prim::Constant' || value.type.kind === 'Function') return undefined;
  const attribute = node.attributes.get('value');
  if (attribute === undefined) return null;
  switch (attribute.kind) {
    case 'i':
      return value.type.kind === 'bool' ? attribute.value !== 0n : attribute.value;
    case 'b':
    case 'f':
    case 't':
    case 'ival':
      return attribute.value;
    case 's':
      return value.type.kind === 'Device' ? parseDevice(attribute.value) : attribute.value;
    case 'is':
    case 'fs':
    case 'bs':
    case 'ss':
    case 'ts':
      return [...attribute.value] as IValue[];
    default:
      return undefined;
  }
}

/** Whether the value is None for sure. */
export const isNone = (value: Value): boolean =>
  value.type.kind === 'None' || (value.node.kind === 'prim::Constant' && constantValue(value) === null);

export function parseDevice(text: string): DeviceValue {
  const [type, index] = text.split(':');
  return new DeviceValue(type, index === undefined ? null : Number(index));
}

/** The type of a run-time value; lists and dicts without a recorded type take it from their first entry. */
export function typeOfValue(value: IValue): Type {
  switch (typeof value) {
    case 'bigint':
      return IntType;
    case 'number':
      return FloatType;
    case 'boolean':
      return BoolType;
    case 'string':
      return StringType;
    default:
  }
  if (value === null) return NoneType;
  if (isTensorLike(value)) return AnyTensorType;
  if (value instanceof Complex) return ComplexType;
  if (value instanceof DeviceValue) return DeviceType;
  if (value instanceof TupleValue)
    return value.type ?? { kind: 'Tuple', elements: value.items.map(typeOfValue) };
  if (value instanceof EnumValueClass) return (value satisfies EnumValue).type;
  if (value instanceof ObjectValueClass) return (value satisfies ObjectValue).type;
  if (Array.isArray(value))
    return containerType(value) ?? listOf(value.length > 0 ? typeOfValue(value[0]) : AnyTensorType);
  if (value instanceof Map) {
    const recorded = containerType(value);
    if (recorded !== undefined) return recorded;
    for (const [key, entry] of value) return dictOf(typeOfValue(key), typeOfValue(entry));
    return dictOf(StringType, AnyTensorType);
  }
  if ('isFuture' in value) return { kind: 'Future', element: AnyType };
  if ('isGenerator' in value) return { kind: 'Generator' };
  throw new InternalError('a run-time value has no type');
}
