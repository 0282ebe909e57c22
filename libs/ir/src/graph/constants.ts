// prim::Constant nodes: which attribute holds a value of which type is decided here and nowhere else. As in PyTorch, bools are
// ints (their output type tells them apart), devices strings, None no attribute at all.
import { InternalError } from '../errors.ts';
import type { IValue } from '../types/ivalue.ts';
import {
  Complex,
  DeviceValue,
  EnumValue,
  ObjectValue,
  TensorLiteral,
  TupleValue,
  containerType,
  isTensorLike,
} from '../types/ivalue.ts';
import { unifyAll } from '../types/lattice.ts';
import type { Type } from '../types/types.ts';
import {
  AnyTensorType,
  AnyType,
  BoolType,
  ComplexType,
  DeviceType,
  FloatType,
  IntType,
  NoneType,
  StringType,
} from '../types/types.ts';
import { deviceOf } from '../text/value-text.ts';
import type { Attribute } from './attribute.ts';
import type { Graph, Node, Value } from './graph.ts';

/**
 * Inserts a constant at the insertion point.
 * @param type its type; needed where the value does not tell it (an empty list), else inferred
 */
export function insertConstant(graph: Graph, value: IValue, type: Type = typeOfIValue(value)): Value {
  return graph.insertNode(createConstant(graph, value, type)).output;
}

/** As `insertConstant`, but the node stands nowhere yet. */
export function createConstant(graph: Graph, value: IValue, type: Type = typeOfIValue(value)): Node {
  // A constant's type is exact: None in an optional is a None.
  const exactType = type.kind === 'Optional' && value === null ? NoneType : type;
  const node = graph.create('prim::Constant', [], [exactType]);
  const attribute = attributeOf(value);
  if (attribute !== undefined) node.set('value', attribute);
  return node;
}

function attributeOf(value: IValue): Attribute | undefined {
  if (value === null) return undefined;
  switch (typeof value) {
    case 'boolean':
      return { kind: 'i', value: value ? 1n : 0n };
    case 'bigint':
      return { kind: 'i', value };
    case 'number':
      return { kind: 'f', value };
    case 'string':
      return { kind: 's', value };
    default:
  }
  if (value instanceof TensorLiteral) return { kind: 't', value };
  if (value instanceof DeviceValue) return { kind: 's', value: value.toString() };
  return { kind: 'ival', value };
}

/** The value of a prim::Constant (or of the value it makes); undefined for anything else and for functions. */
export function constantValue(of: Node | Value): IValue | undefined {
  const node = 'kind' in of ? of : of.node;
  if (node.kind !== 'prim::Constant') return undefined;
  const { type } = node.output;
  const attribute = node.attributes.get('value');
  if (attribute === undefined) return type.kind === 'Function' ? undefined : null;
  switch (attribute.kind) {
    case 'i':
      return type.kind === 'bool' ? attribute.value !== 0n : attribute.value;
    case 's':
      return type.kind === 'Device' ? deviceOf(attribute.value) : attribute.value;
    case 'f':
    case 'b':
    case 't':
    case 'ival':
      return attribute.value;
    case 'is':
    case 'fs':
    case 'bs':
    case 'ss':
    case 'ts':
      return [...attribute.value];
    default:
      throw new InternalError(`a prim::Constant holds an attribute of kind ${attribute.kind}`);
  }
}

/** The static type of a value: what its JavaScript type and, for containers, its tag or items tell. */
export function typeOfIValue(value: IValue): Type {
  if (value === null) return NoneType;
  switch (typeof value) {
    case 'boolean':
      return BoolType;
    case 'bigint':
      return IntType;
    case 'number':
      return FloatType;
    case 'string':
      return StringType;
    default:
  }
  if (Array.isArray(value)) {
    return (
      containerType(value) ?? {
        kind: 'List',
        element: unifyAll(value.map(typeOfIValue), true) ?? AnyTensorType,
      }
    );
  }
  if (value instanceof Map) {
    const tagged = containerType(value);
    if (tagged !== undefined) return tagged;
    return {
      kind: 'Dict',
      key: unifyAll([...value.keys()].map(typeOfIValue), true) ?? StringType,
      value: unifyAll([...value.values()].map(typeOfIValue), true) ?? AnyTensorType,
    };
  }
  if (value instanceof TupleValue) {
    return value.type ?? { kind: 'Tuple', elements: value.items.map(typeOfIValue) };
  }
  if (value instanceof Complex) return ComplexType;
  if (value instanceof DeviceValue) return DeviceType;
  if (value instanceof EnumValue || value instanceof ObjectValue) return value.type;
  if (isTensorLike(value)) return AnyTensorType;
  if ('isFuture' in value) return { kind: 'Future', element: AnyType };
  return { kind: 'Generator' };
}
