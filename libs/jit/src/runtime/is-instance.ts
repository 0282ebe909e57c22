// Whether a run-time value is of a type: `isinstance` on values whose static type is Any, Union or Optional.
import type { IValue, Type } from '@weft/ir';
import {
  Complex,
  DeviceValue,
  EnumValue,
  ObjectValue,
  TupleValue,
  containerType,
  isSubtype,
  isTensorLike,
} from '@weft/ir';

/**
 * Lists and dicts that carry their static type (tagContainer) are compared by it; others by their elements, an empty one
 * being of every list or dict type.
 */
export function isInstance(value: IValue, type: Type): boolean {
  switch (type.kind) {
    case 'Any':
      return true;
    case 'None':
      return value === null;
    case 'Optional':
      return value === null || isInstance(value, type.element);
    case 'Union':
      return type.members.some((member) => isInstance(value, member));
    case 'Tensor':
      return isTensorLike(value);
    case 'int':
      return typeof value === 'bigint';
    case 'float':
      return typeof value === 'number';
    case 'bool':
      return typeof value === 'boolean';
    case 'str':
      return typeof value === 'string';
    case 'complex':
      return value instanceof Complex;
    case 'number':
      return typeof value === 'bigint' || typeof value === 'number' || value instanceof Complex;
    case 'Device':
      return value instanceof DeviceValue;
    case 'List':
      return Array.isArray(value) && isContainer(value, type, value, type.element);
    case 'Dict':
      return (
        value instanceof Map &&
        isContainer(value, type, [...value.keys()], type.key) &&
        isContainer(value, type, [...value.values()], type.value)
      );
    case 'Tuple':
      return (
        value instanceof TupleValue &&
        (type.name === undefined || value.type?.name === type.name) &&
        value.items.length === type.elements.length &&
        value.items.every((item, index) => isInstance(item, type.elements[index]))
      );
    case 'AnyList':
      return Array.isArray(value);
    case 'AnyTuple':
      return value instanceof TupleValue;
    case 'Class':
      return value instanceof ObjectValue && (value.type === type || value.type.name === type.name);
    case 'Interface':
      return (
        value instanceof ObjectValue && [...type.methods.keys()].every((name) => value.type.methods.has(name))
      );
    case 'AnyClass':
      return value instanceof ObjectValue;
    case 'Enum':
      return value instanceof EnumValue && value.type.name === type.name;
    case 'AnyEnum':
      return value instanceof EnumValue;
    case 'Future':
      return typeof value === 'object' && value !== null && 'isFuture' in value;
    case 'Generator':
      return typeof value === 'object' && value !== null && 'isGenerator' in value;
    default:
      return false;
  }
}

function isContainer(
  container: IValue[] | Map<IValue, IValue>,
  type: Type,
  items: readonly IValue[],
  element: Type,
): boolean {
  const known = containerType(container);
  if (known !== undefined) return isSubtype(known, type);
  return items.every((item) => isInstance(item, element));
}
