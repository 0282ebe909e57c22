// Unions in canonical form: flat, without members that another member covers, sorted as PyTorch sorts them.
import { isSubtype } from './lattice.ts';
import type { Type } from './types.ts';
import { NoneType, NumberType } from './types.ts';

/** c10's TypeKind order, by which members are sorted. */
const kindOrder: readonly Type['kind'][] = [
  'Any',
  'Enum',
  'AnyEnum',
  'Tensor',
  'Storage',
  'Tuple',
  'List',
  'Dict',
  'number',
  'float',
  'complex',
  'Future',
  'int',
  'None',
  'str',
  'Generator',
  'QScheme',
  'Layout',
  'ScalarType',
  'MemoryFormat',
  'bool',
  'Optional',
  'Var',
  'Device',
  'Stream',
  'Function',
  'Class',
  'Capsule',
  'Interface',
  'Union',
  'AnyList',
  'AnyTuple',
  'AnyClass',
];

/** The union of `types`; one type alone is itself, a type and None are an Optional. */
export function unionOf(types: readonly Type[]): Type {
  const members: Type[] = [];
  for (const type of types.flatMap(flatten)) {
    if (members.some((member) => isSubtype(type, member))) continue;
    const kept = members.filter((member) => !isSubtype(member, type));
    members.splice(0, members.length, ...kept, type);
  }
  if (members.length === 1) return members[0];
  const others = members.filter((member) => member.kind !== 'None');
  if (members.length === 2 && others.length === 1) return { kind: 'Optional', element: others[0] };
  if (members.length === 3 && members.every((member) => isNumber(member))) return NumberType;
  return { kind: 'Union', members: sortMembers(members) };
}

/** Sorts by kind; types of one kind keep the order they were given in. */
export const sortMembers = (members: readonly Type[]): readonly Type[] =>
  [...members].sort((a, b) => kindOrder.indexOf(a.kind) - kindOrder.indexOf(b.kind));

const isNumber = (type: Type): boolean =>
  type.kind === 'int' || type.kind === 'float' || type.kind === 'complex';

/** The alternatives of a type: members of a union, the element and None of an optional, or the type itself. */
export function flatten(type: Type): readonly Type[] {
  if (type.kind === 'Union') return type.members.flatMap(flatten);
  if (type.kind === 'Optional') return [...flatten(type.element), NoneType];
  if (type.kind === 'number') return [{ kind: 'float' }, { kind: 'complex' }, { kind: 'int' }];
  return [type];
}
