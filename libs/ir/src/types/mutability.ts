// Which types have values that can change.
import { containedTypes } from './lattice.ts';
import type { Type } from './types.ts';

/** Whether a value of the type can be written to, or holds one that can (a tuple of tensors). */
export function isMutable(type: Type): boolean {
  switch (type.kind) {
    case 'Tensor':
    case 'List':
    case 'Dict':
    case 'Class':
    case 'Interface':
    case 'Any':
    case 'Var':
    case 'Future':
    case 'Generator':
    case 'Stream':
    case 'Storage':
    case 'Capsule':
    case 'AnyList':
    case 'AnyTuple':
    case 'AnyClass':
      return true;
    case 'Tuple':
    case 'Optional':
    case 'Union':
      return containedTypes(type).some(isMutable);
    default:
      return false;
  }
}
