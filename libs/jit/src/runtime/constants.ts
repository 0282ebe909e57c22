// The run-time value of a prim::Constant: its attribute in the IValue convention, tensor literals made eager tensors.
import type { IValue, Node } from '@weft/ir';
import { DeviceValue, TensorLiteral, TupleValue, containerType, tagContainer } from '@weft/ir';
import { fromLiteral } from '@weft/tensor';

/** None and functions, which have no value, are null. */
export function constantValue(node: Node): IValue {
  return materialize(literalValue(node));
}

/** As `constantValue`, with tensors left as literals. */
export function literalValue(node: Node): IValue {
  const attribute = node.attributes.get('value');
  if (attribute === undefined) return null;
  switch (attribute.kind) {
    case 'i':
      return node.output.type.kind === 'bool' ? attribute.value !== 0n : attribute.value;
    case 's':
      return node.output.type.kind === 'Device' ? parseDevice(attribute.value) : attribute.value;
    case 'is':
    case 'fs':
    case 'bs':
    case 'ss':
    case 'ts':
      return tagContainer([...attribute.value], node.output.type);
    case 'f':
    case 'b':
    case 't':
    case 'ival':
      return attribute.value;
    default:
      return null;
  }
}

function parseDevice(text: string): DeviceValue {
  const [type, index] = text.split(':');
  return new DeviceValue(type, index === undefined ? null : Number(index));
}

/** Tensor literals, also inside lists, tuples and dicts, become eager tensors. */
export function materialize(value: IValue): IValue {
  if (value instanceof TensorLiteral) return fromLiteral(value);
  if (Array.isArray(value)) {
    if (!value.some(holdsLiteral)) return value;
    const list = value.map(materialize);
    const type = containerType(value);
    return type === undefined ? list : tagContainer(list, type);
  }
  if (value instanceof TupleValue && value.items.some(holdsLiteral)) {
    return new TupleValue(value.items.map(materialize), value.type);
  }
  if (value instanceof Map && [...value.values()].some(holdsLiteral)) {
    const dict = new Map([...value].map(([key, item]) => [key, materialize(item)]));
    const type = containerType(value);
    return type === undefined ? dict : tagContainer(dict, type);
  }
  return value;
}

function holdsLiteral(value: IValue): boolean {
  if (value instanceof TensorLiteral) return true;
  if (Array.isArray(value)) return value.some(holdsLiteral);
  if (value instanceof TupleValue) return value.items.some(holdsLiteral);
  return value instanceof Map && [...value.values()].some(holdsLiteral);
}
