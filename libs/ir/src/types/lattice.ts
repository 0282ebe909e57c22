// How types relate: equality, subtyping, the join of two types, and the matching of a schema's type variables. After
// PyTorch's jit_type.h. Lists and dicts are invariant, tuples and futures covariant; a tensor type is below every tensor
// type that says less.
import type { ClassType, InterfaceType, TensorType, TupleType, Type } from './types.ts';
import { NoneType } from './types.ts';
import { flatten, unionOf } from './union.ts';
import type { Schema } from '../schema/schema.ts';

/** Whether the types are the same. Classes and interfaces are nominal: the same object. */
export function typesEqual(a: Type, b: Type): boolean {
  if (a === b) return true;
  switch (a.kind) {
    case 'Tensor':
      return b.kind === 'Tensor' && tensorsEqual(a, b);
    case 'List':
    case 'Optional':
    case 'Future':
      return b.kind === a.kind && typesEqual(a.element, b.element);
    case 'Dict':
      return b.kind === 'Dict' && typesEqual(a.key, b.key) && typesEqual(a.value, b.value);
    case 'Tuple':
      return (
        b.kind === 'Tuple' &&
        a.elements.length === b.elements.length &&
        sameFields(a, b) &&
        a.elements.every((element, index) => typesEqual(element, b.elements[index]))
      );
    case 'Union':
      return (
        b.kind === 'Union' &&
        a.members.length === b.members.length &&
        a.members.every((member) => b.members.some((other) => typesEqual(member, other)))
      );
    case 'Enum':
      return b.kind === 'Enum' && a.name === b.name;
    case 'Function':
      return b.kind === 'Function' && a.function === b.function;
    case 'Var':
      return b.kind === 'Var' && a.name === b.name;
    case 'Class':
    case 'Interface':
      return false;
    default:
      return a.kind === b.kind;
  }
}

/** Whether every value of type `a` is one of type `b`. */
export function isSubtype(a: Type, b: Type): boolean {
  if (b.kind === 'Any' || typesEqual(a, b)) return true;
  if (a.kind === 'Union' || (a.kind === 'Optional' && b.kind !== 'Optional')) {
    return flatten(a).every((member) => isSubtype(member, b));
  }
  switch (b.kind) {
    case 'Optional':
      if (a.kind === 'Optional') return isSubtype(a.element, b.element);
      return a.kind === 'None' || isSubtype(a, b.element);
    case 'Union':
      if (a.kind === 'number') return flatten(a).every((member) => isSubtype(member, b));
      return b.members.some((member) => isSubtype(a, member));
    case 'number':
      return a.kind === 'int' || a.kind === 'float' || a.kind === 'complex';
    case 'int':
    case 'ScalarType':
    case 'Layout':
    case 'MemoryFormat':
      return isIntLike(a);
    case 'Tensor':
      return a.kind === 'Tensor' && refines(a, b);
    case 'List':
      return a.kind === 'List' && isInvariantSubtype(a.element, b.element);
    case 'Dict':
      return a.kind === 'Dict' && typesEqual(a.key, b.key) && isInvariantSubtype(a.value, b.value);
    case 'Tuple':
      return (
        a.kind === 'Tuple' &&
        a.elements.length === b.elements.length &&
        (b.fields === undefined || sameFields(a, b)) &&
        a.elements.every((element, index) => isSubtype(element, b.elements[index]))
      );
    case 'Future':
      return a.kind === 'Future' && isSubtype(a.element, b.element);
    case 'Interface':
      return (a.kind === 'Class' || a.kind === 'Interface') && implementsInterface(a, b);
    case 'AnyList':
      return a.kind === 'List';
    case 'AnyTuple':
      return a.kind === 'Tuple';
    case 'AnyClass':
      return a.kind === 'Class';
    case 'AnyEnum':
      return a.kind === 'Enum';
    default:
      return false;
  }
}

/**
 * The least type that both are below, as the two branches of an `if` or the items of a list join; undefined when there is
 * none. int and float do not join (TorchScript has no operators on their join).
 * @param toUnion makes a Union where there is no other join
 */
export function unifyTypes(a: Type, b: Type, toUnion = false): Type | undefined {
  if (isSubtype(a, b)) return b;
  if (isSubtype(b, a)) return a;
  if (a.kind === 'Tensor' && b.kind === 'Tensor') return joinTensors(a, b);
  if (a.kind === 'None') return { kind: 'Optional', element: b };
  if (b.kind === 'None') return { kind: 'Optional', element: a };
  if (a.kind === 'Optional' || b.kind === 'Optional') {
    const element = unifyTypes(withoutNone(a), withoutNone(b));
    if (element !== undefined) return element.kind === 'Optional' ? element : { kind: 'Optional', element };
  }
  const joined = unifyContainers(a, b);
  if (joined !== undefined) return joined;
  return toUnion ? unionOf([a, b]) : undefined;
}

/** As `unifyTypes` over a list; undefined for an empty list. */
export function unifyAll(types: readonly Type[], toUnion = false): Type | undefined {
  let joined: Type | undefined = types[0];
  for (const type of types.slice(1)) {
    if (joined === undefined) return undefined;
    joined = unifyTypes(joined, type, toUnion);
  }
  return joined;
}

function unifyContainers(a: Type, b: Type): Type | undefined {
  if (a.kind === 'Tuple' && b.kind === 'Tuple' && a.elements.length === b.elements.length) {
    const elements = a.elements.map((element, index) => unifyTypes(element, b.elements[index]));
    if (elements.includes(undefined)) return undefined;
    return { ...(sameFields(a, b) ? a : { kind: 'Tuple' }), elements: elements as Type[] };
  }
  if (a.kind === 'Future' && b.kind === 'Future') {
    const element = unifyTypes(a.element, b.element);
    return element && { kind: 'Future', element };
  }
  // Containers are invariant, so only tensors that differ in refinement join.
  if (a.kind === 'List' && b.kind === 'List' && a.element.kind === 'Tensor' && b.element.kind === 'Tensor') {
    return { kind: 'List', element: joinTensors(a.element, b.element) };
  }
  if (a.kind === 'Dict' && b.kind === 'Dict' && typesEqual(a.key, b.key)) {
    if (a.value.kind === 'Tensor' && b.value.kind === 'Tensor') {
      return { kind: 'Dict', key: a.key, value: joinTensors(a.value, b.value) };
    }
  }
  return undefined;
}

const withoutNone = (type: Type): Type => (type.kind === 'Optional' ? type.element : type);

/** The tensor type that says what both say. */
export function joinTensors(a: TensorType, b: TensorType): TensorType {
  const joined: { -readonly [K in keyof TensorType]: TensorType[K] } = { kind: 'Tensor' };
  if (a.dtype !== undefined && a.dtype === b.dtype) joined.dtype = a.dtype;
  if (a.device !== undefined && a.device === b.device) joined.device = a.device;
  if (a.requiresGrad !== undefined && a.requiresGrad === b.requiresGrad) joined.requiresGrad = a.requiresGrad;
  joined.sizes = joinSizes(a.sizes, b.sizes);
  joined.strides = joinSizes(a.strides, b.strides);
  if (joined.sizes === undefined) delete joined.sizes;
  if (joined.strides === undefined) delete joined.strides;
  return joined;
}

type Sizes = readonly (number | null)[] | undefined;
const joinSizes = (a: Sizes, b: Sizes): Sizes =>
  a !== undefined && b !== undefined && a.length === b.length
    ? a.map((size, index) => (size === b[index] ? size : null))
    : undefined;

const sizesEqual = (a: Sizes, b: Sizes): boolean =>
  a === b ||
  (a !== undefined &&
    b !== undefined &&
    a.length === b.length &&
    a.every((size, index) => size === b[index]));

const tensorsEqual = (a: TensorType, b: TensorType): boolean =>
  a.dtype === b.dtype &&
  a.device === b.device &&
  a.requiresGrad === b.requiresGrad &&
  sizesEqual(a.sizes, b.sizes) &&
  sizesEqual(a.strides, b.strides);

const sizesRefine = (a: Sizes, b: Sizes): boolean =>
  b === undefined ||
  (a !== undefined && a.length === b.length && b.every((size, index) => size === null || size === a[index]));

const refines = (a: TensorType, b: TensorType): boolean =>
  (b.dtype === undefined || a.dtype === b.dtype) &&
  (b.device === undefined || a.device === b.device) &&
  (b.requiresGrad === undefined || a.requiresGrad === b.requiresGrad) &&
  sizesRefine(a.sizes, b.sizes) &&
  sizesRefine(a.strides, b.strides);

/** Elements of mutable containers must be equal, but refinements of tensors (and int's aliases) do not count. */
const isInvariantSubtype = (a: Type, b: Type): boolean =>
  typesEqual(a, b) ||
  (a.kind === 'Tensor' && b.kind === 'Tensor' && refines(a, b)) ||
  (isIntLike(a) && isIntLike(b)) ||
  (a.kind === 'List' && b.kind === 'List' && isInvariantSubtype(a.element, b.element)) ||
  (a.kind === 'Tuple' && b.kind === 'Tuple' && isSubtype(a, b) && isSubtype(b, eraseRefinements(a)));

const isIntLike = (type: Type): boolean =>
  type.kind === 'int' || type.kind === 'ScalarType' || type.kind === 'Layout' || type.kind === 'MemoryFormat';

const sameFields = (a: TupleType, b: TupleType): boolean =>
  (a.name ?? '') === (b.name ?? '') &&
  (a.fields === undefined) === (b.fields === undefined) &&
  (a.fields ?? []).every((field, index) => field === b.fields?.[index]);

/** Every method of the interface is there with the same arguments, self aside, and a result that is below its own. */
function implementsInterface(type: ClassType | InterfaceType, target: InterfaceType): boolean {
  if (target.isModule && !type.isModule) return false;
  for (const [name, wanted] of target.methods) {
    const found = type.kind === 'Class' ? type.methods.get(name)?.schema : type.methods.get(name);
    if (found === undefined || !schemaCovers(found, wanted)) return false;
  }
  return true;
}

/** Whether a method with schema `found` may stand where `wanted` is called (both have self first). */
function schemaCovers(found: Schema, wanted: Schema): boolean {
  return (
    found.arguments.length === wanted.arguments.length &&
    found.returns.length === wanted.returns.length &&
    wanted.arguments.every(
      (argument, index) => index === 0 || isSubtype(argument.type, found.arguments[index].type),
    ) &&
    found.returns.every((result, index) => isSubtype(result.type, wanted.returns[index].type))
  );
}

/** The type with every tensor type in it plain. */
export function eraseRefinements(type: Type): Type {
  return type.kind === 'Tensor' ? { kind: 'Tensor' } : mapElements(type, eraseRefinements);
}

/** The type that values of a schema's type have in graphs: ScalarType, Layout and MemoryFormat are ints there. */
export function valueType(type: Type): Type {
  return isIntLike(type) ? { kind: 'int' } : mapElements(type, valueType);
}

/** Types that a type is made of. */
export function containedTypes(type: Type): readonly Type[] {
  switch (type.kind) {
    case 'List':
    case 'Optional':
    case 'Future':
      return [type.element];
    case 'Dict':
      return [type.key, type.value];
    case 'Tuple':
      return type.elements;
    case 'Union':
      return type.members;
    default:
      return [];
  }
}

/** A type of the same kind with other contained types. */
export function mapElements(type: Type, change: (element: Type) => Type): Type {
  switch (type.kind) {
    case 'List':
    case 'Optional':
    case 'Future':
      return { ...type, element: change(type.element) };
    case 'Dict':
      return { ...type, key: change(type.key), value: change(type.value) };
    case 'Tuple':
      return { ...type, elements: type.elements.map(change) };
    case 'Union':
      return { ...type, members: type.members.map(change) };
    default:
      return type;
  }
}

/** Types that a schema's variables stand for. */
export type TypeBindings = Map<string, Type>;

/**
 * Matches an argument's type, which may hold type variables, against the type of what is given; binds variables in
 * `bindings`. Returns whether `actual` fits (up to the implicit conversions that only an emitter does).
 */
export function matchType(formal: Type, actual: Type, bindings: TypeBindings): boolean {
  if (!hasVariables(formal)) return isSubtype(actual, formal);
  switch (formal.kind) {
    case 'Var': {
      const bound = bindings.get(formal.name);
      if (bound === undefined) {
        bindings.set(formal.name, eraseRefinements(actual));
        return true;
      }
      const joined = unifyTypes(bound, eraseRefinements(actual));
      if (joined === undefined) return false;
      bindings.set(formal.name, joined);
      return true;
    }
    case 'Optional':
      if (actual.kind === 'Optional') return matchType(formal.element, actual.element, bindings);
      return actual.kind === 'None' || matchType(formal.element, actual, bindings);
    case 'List':
      if (actual.kind === 'Tuple' && actual.elements.length > 0) {
        return actual.elements.every((element) => matchType(formal.element, element, bindings));
      }
      return actual.kind === 'List' && matchType(formal.element, actual.element, bindings);
    case 'Future':
      return actual.kind === 'Future' && matchType(formal.element, actual.element, bindings);
    case 'Dict':
      return (
        actual.kind === 'Dict' &&
        matchType(formal.key, actual.key, bindings) &&
        matchType(formal.value, actual.value, bindings)
      );
    case 'Tuple':
      return (
        actual.kind === 'Tuple' &&
        actual.elements.length === formal.elements.length &&
        formal.elements.every((element, index) => matchType(element, actual.elements[index], bindings))
      );
    default:
      return false;
  }
}

/** Replaces variables by what they are bound to; an unbound one stays. */
export function substituteVariables(type: Type, bindings: TypeBindings): Type {
  if (type.kind === 'Var') return bindings.get(type.name) ?? type;
  return hasVariables(type) ? mapElements(type, (element) => substituteVariables(element, bindings)) : type;
}

export const hasVariables = (type: Type): boolean =>
  type.kind === 'Var' || containedTypes(type).some(hasVariables);

/** The element type of an optional, or the type without None. */
export const unwrapOptional = (type: Type): Type =>
  type.kind === 'Optional'
    ? type.element
    : type.kind === 'Union'
      ? unionOf(type.members.filter((member) => !typesEqual(member, NoneType)))
      : type;
