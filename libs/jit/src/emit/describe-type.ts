// Types in Python's spelling (`List[int]`, `Optional[Tensor]`): how error messages and TorchScript source show them.
import type { Type } from '@weft/ir';
import { InternalError } from '@weft/ir';

const simpleNames: Readonly<Record<string, string | undefined>> = {
  None: 'NoneType',
  number: 'number',
  Device: 'Device',
  ScalarType: 'int',
  Layout: 'int',
  MemoryFormat: 'int',
  QScheme: 'int',
  AnyList: 'list',
  AnyTuple: 'tuple',
  AnyClass: 'AnyClassType',
  AnyEnum: 'AnyEnumType',
};

/** @param className how classes, enums and named tuples are written; their qualified name by default. */
export function describeType(type: Type, className: (name: string) => string = (name) => name): string {
  const describe = (inner: Type): string => describeType(inner, className);
  switch (type.kind) {
    case 'Tensor':
      return 'Tensor';
    case 'List':
      return `List[${describe(type.element)}]`;
    case 'Optional':
      return `Optional[${describe(type.element)}]`;
    case 'Future':
      return `Future[${describe(type.element)}]`;
    case 'Dict':
      return `Dict[${describe(type.key)}, ${describe(type.value)}]`;
    case 'Tuple':
      if (type.name !== undefined) return className(type.name);
      return type.elements.length === 0 ? 'Tuple[()]' : `Tuple[${type.elements.map(describe).join(', ')}]`;
    case 'Union':
      return `Union[${type.members.map(describe).join(', ')}]`;
    case 'Class':
    case 'Interface':
    case 'Enum':
      return className(type.name);
    case 'Var':
      return type.name;
    case 'Function':
      throw new InternalError('a function type has no spelling');
    default:
      return simpleNames[type.kind] ?? type.kind;
  }
}
