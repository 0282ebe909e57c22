// Assignments: to variables, attributes, items, and to tuples of them; plain and augmented.
import type { SourceRange, Type, Value } from '@weft/ir';
import { isSubtype } from '@weft/ir';
import type * as tree from '../frontend/tree.ts';
import { annotationString } from '@weft/ir';
import { refinableName } from './conditions.ts';
import { insertConstant } from './constants.ts';
import type { Emitter } from './emitter.ts';
import { emitExpression, emitMagic, emitSugared, isWidening } from './expressions.ts';
import { assignMember } from './javascript/members.ts';
import { augmentedOperators, binaryOperators, inPlaceOperators, magicMethods } from './operators.ts';
import { emitBuiltin, emitOperator, insertList, insertTuple, tryConvert } from './schema-matching.ts';
import { fail } from './script-error.ts';
import type { SugaredValue } from './sugared-value.ts';
import { SimpleValue } from './simple-value.ts';
import { indexTensor, optionalTensor } from './subscripts.ts';
import { resolveType } from './type-expressions.ts';

export function assign(e: Emitter, statement: tree.Assign): void {
  const { targets, value, range } = statement;
  const annotation = statement.type === undefined ? undefined : resolveType(e, statement.type);
  if (value === undefined) {
    // `let x: T;`: the type of assignments to come.
    for (const target of targets) {
      if (target.kind !== 'Name') continue;
      if (annotation === undefined) e.widenable.add(target.name);
      else e.declaredTypes.set(target.name, annotation);
    }
    return;
  }
  if (targets.length === 1) {
    assignOne(e, statement, targets[0], value, annotation);
    return;
  }
  // a = b = value: evaluated once, assigned from left to right.
  const name = e.temporary('assigned');
  e.environment.set(range, name, emitSugared(e, value));
  for (const target of targets) {
    assignOne(e, statement, target, { kind: 'Name', name, range: value.range }, undefined);
  }
}

function assignOne(
  e: Emitter,
  statement: tree.Assign,
  target: tree.Expression,
  value: tree.Expression,
  annotation: Type | undefined,
): void {
  const { range } = statement;
  switch (target.kind) {
    case 'Name': {
      const { name } = target;
      if (statement.declares === true && annotation === undefined) e.widenable.add(name);
      if (e.floatVariables.has(name)) annotation ??= { kind: 'float' };
      const wanted = annotation ?? e.declaredTypes.get(name);
      let sugared = emitSugared(e, value, wanted);
      const widen = isWidening(value);
      if (wanted !== undefined) {
        const simple = sugared.asValue(e, value.range);
        const type = wanted;
        let converted = tryConvert(e.graph, value.range, type, simple, { conversions: true, widen });
        if (type.kind === 'Any' && converted.type.kind !== 'Any')
          converted = e.uncheckedCast(converted, type);
        sugared = new SimpleValue(converted);
      }
      if (e.declaredTypes.has(name) && annotation === undefined && sugared instanceof SimpleValue) {
        const declared = e.declaredTypes.get(name)!;
        if (!isSubtype(sugared.type, declared)) {
          fail(
            value.range,
            `variable '${name}' is declared as ${annotationString(declared)}, but a ${annotationString(sugared.type)} is assigned to it`,
          );
        }
        if (!e.environment.has(name)) annotation = declared;
      }
      if (e.floatVariables.has(name) && e.environment.has(name)) annotation = undefined;
      if (statement.declares === true && annotation !== undefined) e.declaredTypes.set(name, annotation);
      e.environment.set(target.range, name, sugared, annotation, widen || e.widenable.has(name));
      return;
    }
    case 'Tuple':
    case 'List': {
      const wanted = targetCount(target.elements, target.range);
      assignTuple(e, target, emitSugared(e, value), value.range, wanted);
      return;
    }
    case 'Select':
    case 'Member': {
      const object = emitSugared(e, target.object);
      const given = emitSugared(e, value, annotation ?? attributeType(object, target.name)).asValue(
        e,
        value.range,
      );
      setAttribute(e, range, object, target, given, isWidening(value));
      return;
    }
    case 'Subscript':
      assignSubscript(e, range, target, emitExpression(e, value));
      return;
    case 'Element': {
      const object = emitExpression(e, target.object);
      const hint =
        object.type.kind === 'List'
          ? object.type.element
          : object.type.kind === 'Dict'
            ? object.type.value
            : undefined;
      setItem(
        e,
        range,
        object,
        emitExpression(e, target.index),
        emitExpression(e, value, hint),
        isWidening(value),
      );
      return;
    }
    default:
      fail(target.range, 'this cannot be assigned to');
  }
}

const attributeType = (object: SugaredValue, name: string): Type | undefined =>
  'type' in object && isClass(object.type)
    ? object.type.attributes.find((attribute) => attribute.name === name)?.type
    : undefined;

const isClass = (type: unknown): type is Extract<Type, { kind: 'Class' }> =>
  typeof type === 'object' && type !== null && (type as { kind?: unknown }).kind === 'Class';

function setAttribute(
  e: Emitter,
  range: SourceRange,
  object: SugaredValue,
  target: tree.Select | tree.Member,
  given: Value,
  widen: boolean,
): void {
  if (target.kind === 'Member') {
    const path = refinableName(target);
    if (path !== undefined)
      e.environment.setPresent(path, given.type.kind !== 'Optional' && given.type.kind !== 'None');
    return assignMember(e, range, object, target.name, given, widen);
  }
  const type = attributeType(object, target.name);
  const value =
    type === undefined ? given : tryConvert(e.graph, range, type, given, { conversions: false, widen });
  object.setAttr(e, range, target.name, value);
}

/** How many values the targets need at least, and whether there is a starred one that takes the rest. */
function targetCount(
  targets: readonly tree.Expression[],
  range: SourceRange,
): { count: number; starred: boolean } {
  const starred = targets.filter((target) => target.kind === 'Starred').length;
  if (starred > 1) fail(range, 'only one target can take the rest');
  if (starred === 1 && targets.length === 1)
    fail(range, 'a target that takes the rest needs others beside it');
  return { count: targets.length - starred, starred: starred === 1 };
}

function assignTuple(
  e: Emitter,
  target: tree.TupleLiteral | tree.ListLiteral,
  value: SugaredValue,
  range: SourceRange,
  { count, starred }: { count: number; starred: boolean },
): void {
  const takesFirst = target.kind === 'Tuple' && target.takesFirst === true;
  if (takesFirst && value instanceof SimpleValue && value.type.kind === 'List')
    return assignFromList(e, target.elements, value, range, count);
  const all = value.asTuple(e, range, starred ? undefined : count);
  const parts = takesFirst && !starred ? all.slice(0, count) : all;
  if (parts.length < count || (parts.length > count && !starred)) {
    fail(
      target.range,
      `${count}${starred ? ' or more' : ''} values are unpacked here, but there are ${parts.length}`,
    );
  }
  emitTargets(e, range, target.elements, parts);
}

function restVariable(target: tree.Expression): tree.Name {
  if (target.kind === 'Starred' && target.operand.kind === 'Name') return target.operand;
  fail(target.range, 'the rest can only be assigned to a variable');
}

/** Takes the first elements of a list, however many there are; `...rest` takes a list of the others. */
function assignFromList(
  e: Emitter,
  targets: readonly tree.Expression[],
  list: SimpleValue,
  range: SourceRange,
  count: number,
): void {
  const index = (at: number): Value => insertConstant(e.graph, BigInt(at));
  const first = targets.slice(0, count);
  emitTargets(e, range, first, first.map((_, at) => list.item(e, range, index(at)))); // prettier-ignore
  const rest = targets.at(count);
  if (rest === undefined) return;
  const variable = restVariable(rest);
  const bounds = [index(count), insertConstant(e.graph, null), index(1)];
  const others = emitOperator(e.graph, range, 'aten::slice', [list.value, ...bounds]);
  e.environment.set(variable.range, variable.name, new SimpleValue(others));
}

/** Assigns `values` to `targets` one by one. */
export function emitTargets(
  e: Emitter,
  range: SourceRange,
  targets: readonly tree.Expression[],
  values: readonly SugaredValue[],
): void {
  let next = 0;
  for (const target of targets) {
    switch (target.kind) {
      case 'Starred': {
        const operand = restVariable(target);
        const taken = values.length - (targets.length - 1);
        const rest = values.slice(next, next + taken).map((value) => value.asValue(e, target.range));
        next += taken;
        e.environment.set(operand.range, operand.name, new SimpleValue(insertTuple(e.graph, rest)));
        continue;
      }
      case 'Name':
        e.environment.set(target.range, target.name, values[next]);
        break;
      case 'Tuple':
      case 'List':
        assignTuple(e, target, values[next], range, targetCount(target.elements, target.range));
        break;
      case 'Subscript':
        assignSubscript(e, range, target, values[next].asValue(e, range));
        break;
      case 'Element': {
        const object = emitExpression(e, target.object);
        setItem(e, range, object, emitExpression(e, target.index), values[next].asValue(e, range), true);
        break;
      }
      case 'Select':
      case 'Member':
        setAttribute(e, range, emitSugared(e, target.object), target, values[next].asValue(e, range), false);
        break;
      default:
        fail(target.range, 'this cannot be assigned to');
    }
    next++;
  }
}

// ---- Items --------------------------------------------------------------------------------------------------------

function setItem(
  e: Emitter,
  range: SourceRange,
  object: Value,
  index: Value,
  value: Value,
  widen: boolean,
): void {
  const { type } = object;
  if (type.kind === 'Tuple') fail(range, 'the elements of a tuple cannot be assigned');
  if (type.kind === 'Class') {
    const given = [index, value].map((argument) => ({ range, value: argument }));
    new SimpleValue(object).attr(e, range, '__setitem__').call(e, range, given, []);
    return;
  }
  if (type.kind === 'Tensor') {
    fail(
      range,
      'an element of a tensor cannot be assigned so; use a method such as indexPut_ or select(dim, i).copy_(value)',
    );
  }
  const wanted = type.kind === 'List' ? type.element : type.kind === 'Dict' ? type.value : undefined;
  const converted =
    wanted === undefined ? value : tryConvert(e.graph, range, wanted, value, { conversions: false, widen });
  emitOperator(e.graph, range, 'aten::_set_item', [object, index, converted]);
}

function assignSubscript(e: Emitter, range: SourceRange, target: tree.Subscript, given: Value): void {
  const object = emitExpression(e, target.object);
  const { graph } = e;
  if (object.type.kind !== 'Tensor') {
    if (target.indices.length !== 1 || target.indices[0].kind === 'Slice') {
      fail(target.range, `slices of a ${annotationString(object.type)} cannot be assigned`);
    }
    setItem(e, range, object, emitExpression(e, target.indices[0]), given, false);
    return;
  }
  const [view, indices] = indexTensor(e, target.range, object, target.indices);
  let value = given;
  if (['int', 'float', 'bool', 'number', 'complex'].includes(given.type.kind)) {
    const dtype = emitOperator(graph, range, 'prim::dtype', [view]);
    const device = emitOperator(graph, range, 'prim::device', [view]);
    value = emitBuiltin(
      graph,
      range,
      'aten::tensor',
      [{ range, value: given }],
      [
        { range, name: 'dtype', value: dtype },
        { range, name: 'device', value: device },
      ],
    );
  }
  if (indices.length === 0) {
    emitOperator(graph, range, 'aten::copy_', [view, value]);
    return;
  }
  const list = insertList(graph, optionalTensor, indices);
  emitOperator(graph, range, 'aten::index_put_', [view, list, value]);
}

// ---- Augmented ----------------------------------------------------------------------------------------------------

export function augmentedAssign(e: Emitter, statement: tree.AugmentedAssign): void {
  const { target, range } = statement;
  switch (target.kind) {
    case 'Name': {
      const value = augmented(e, statement, emitExpression(e, target));
      e.environment.set(target.range, target.name, new SimpleValue(value));
      return;
    }
    case 'Select': {
      const object = emitSugared(e, target.object);
      const old = object.attr(e, target.range, target.name).asValue(e, target.range);
      object.setAttr(e, range, target.name, augmented(e, statement, old));
      return;
    }
    case 'Subscript': {
      const object = emitExpression(e, target.object);
      if (object.type.kind === 'Tensor') {
        augmentTensorItems(e, statement, target, object);
        return;
      }
      if (target.indices.length !== 1 || target.indices[0].kind === 'Slice') {
        fail(target.range, `slices of a ${annotationString(object.type)} cannot be assigned`);
      }
      const index = emitExpression(e, target.indices[0]);
      const item = new SimpleValue(object).item(e, range, index).asValue(e, range);
      const value = augmented(e, statement, item);
      setItem(e, range, object, index, value, false);
      return;
    }
    case 'Member':
    case 'Element':
    default:
      fail(target.range, 'this cannot be assigned to');
  }
}

/** The operator of `x op= y`: in place on tensors and lists. */
function augmentedOperator(statement: tree.AugmentedAssign, type: Type): string {
  const { operator, range } = statement;
  const inPlace = type.kind === 'Tensor' || type.kind === 'List';
  const found = inPlace
    ? inPlaceOperators[operator]
    : (augmentedOperators[operator] ?? binaryOperators[operator]);
  if (found === undefined) fail(range, 'this operator cannot be combined with an assignment');
  return found;
}

function augmented(e: Emitter, statement: tree.AugmentedAssign, old: Value): Value {
  const { operator, range } = statement;
  const given = emitExpression(e, statement.value);
  if (old.type.kind !== 'Class') {
    return emitOperator(e.graph, range, augmentedOperator(statement, old.type), [old, given]);
  }
  const plain = magicMethods[operator];
  const inPlace = plain?.replace('__', '__i');
  const method = inPlace !== undefined && old.type.methods.has(inPlace) ? inPlace : plain;
  return emitMagic(e, range, method, binaryOperators[operator], [old, given]);
}

function augmentTensorItems(
  e: Emitter,
  statement: tree.AugmentedAssign,
  target: tree.Subscript,
  object: Value,
): void {
  const { graph } = e;
  const { range } = statement;
  const [view, indices] = indexTensor(e, target.range, object, target.indices);
  const given = emitExpression(e, statement.value);
  const operator = augmentedOperator(statement, object.type);
  if (indices.length === 0) {
    emitOperator(graph, range, operator, [view, given]);
    return;
  }
  const list = insertList(graph, optionalTensor, indices);
  const items = emitOperator(graph, range, 'aten::index', [view, list]);
  const changed = emitOperator(graph, range, operator, [items, given]);
  emitOperator(graph, range, 'aten::index_put_', [view, list, changed]);
}
