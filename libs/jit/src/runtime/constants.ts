// The run-time value of a prim::Constant: its attribute in the IValue convention, tensor literals made eager tensors.
import type { IValue, Node } from '@weft/ir';
import { TensorLiteral, TupleValue, constantValue, containerType, tagContainer } from '@weft/ir';
import { Tensor, hostDevice } from '@weft/tensor';

/** The value of a constant with its tensors eager; null for functions, which are known by their type. */
export const runtimeConstant = (node: Node): IValue => materialize(constantValue(node) ?? null);

/** Tensor literals, also inside lists, tuples and dicts, become eager tensors. */
export function materialize(value: IValue): IValue {
  if (value instanceof TensorLiteral) return Tensor.fromLiteral(value, hostDevice());
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
