// Conditions: short circuits, `is None`, isinstance, and the truth of a value in either language. A condition has a bool,
// what it tells about types, and, when it is known while compiling, its value, so that only one branch is compiled.
import type { SourceRange, Type, Value } from '@weft/ir';
import { InternalError, flatten, isSubtype, sortMembers, typesEqual, unionOf } from '@weft/ir';
import type * as tree from '../frontend/tree.ts';
import { constantValue, insertConstant, isNone } from './constants.ts';
import { annotationString } from '@weft/ir';
import type { Emitter } from './emitter.ts';
import { emitExpression, emitSugared } from './expressions.ts';
import type { RefinementPair, Refinements } from './refinements.ts';
import { bothRefinements, eitherRefinements, negateRefinements, noRefinements } from './refinements.ts';
import { emitOperator } from './schema-matching.ts';
import { fail } from './script-error.ts';
import { SpecialForm } from './callable-values.ts';
import { SimpleValue } from './simple-value.ts';
import { resolveType } from './type-expressions.ts';

export interface Condition {
  readonly value: Value;
  readonly refinements: RefinementPair;
  /** The value, where compilation may rely on it. A constant that got into a variable does not count. */
  readonly known?: boolean;
}

const known = (e: Emitter, value: boolean, refinements = noRefinements): Condition => ({
  value: insertConstant(e.graph, value),
  refinements,
  known: value,
});

export function emitCondition(e: Emitter, expression: tree.Expression): Condition {
  const { range } = expression;
  switch (expression.kind) {
    case 'And':
    case 'Or':
      return emitShortCircuit(e, expression);
    case 'Not': {
      const operand = emitCondition(e, expression.operand);
      return {
        value: emitOperator(e.graph, range, 'aten::__not__', [operand.value]),
        refinements: negateRefinements(operand.refinements),
        known: operand.known === undefined ? undefined : !operand.known,
      };
    }
    case 'Compare':
      if (expression.operator === 'is' || expression.operator === 'isnot') return emitIs(e, expression);
      if (isNoneTest(expression)) {
        return emitIs(e, { ...expression, operator: expression.operator === 'same' ? 'is' : 'isnot' });
      }
      break;
    case 'Condition':
      if (isConditionKind(expression.operand)) return emitCondition(e, expression.operand);
      break;
    case 'Truthy':
      if (isConditionKind(expression.operand)) return emitCondition(e, expression.operand);
      return emitTruthy(e, expression);
    default:
  }
  const inner = expression.kind === 'Condition' ? expression.operand : expression;
  if (inner.kind === 'Apply') {
    const form = specialForm(e, inner);
    if (form === 'isinstance' && inner.arguments.length === 2) {
      return emitIsInstance(e, inner.arguments[0], inner.arguments[1]);
    }
    if (form === 'hasattr' && inner.arguments.length === 2) return emitHasAttr(e, inner);
  }
  const value = toBool(e, range, emitExpression(e, inner));
  const constant = constantValue(value);
  return { value, refinements: noRefinements, known: typeof constant === 'boolean' ? constant : undefined };
}

const isConditionKind = (expression: tree.Expression): boolean =>
  ['And', 'Or', 'Not', 'Compare', 'Truthy', 'Condition'].includes(expression.kind);

const isNoneTest = ({ operator, left, right }: tree.Compare): boolean =>
  (operator === 'same' || operator === 'differ') && (left.kind === 'None' || right.kind === 'None');

function specialForm(e: Emitter, apply: tree.Apply): string | undefined {
  if (apply.callee.kind !== 'Name' || e.environment.has(apply.callee.name)) return undefined;
  const callee = emitSugared(e, apply.callee);
  return callee instanceof SpecialForm ? callee.form : undefined;
}

/** Python's truth. */
export function toBool(e: Emitter, range: SourceRange, value: Value): Value {
  if (value.type.kind === 'bool') return value;
  if (value.type.kind === 'Class' && value.type.methods.has('__bool__')) {
    return new SimpleValue(value).attr(e, range, '__bool__').call(e, range, [], []).asValue(e, range);
  }
  if (!['Tensor', 'int', 'float', 'number'].includes(value.type.kind)) {
    fail(range, `a condition must be a bool, but this is a ${annotationString(value.type)}`);
  }
  return emitOperator(e.graph, range, 'aten::Bool', [value]);
}

/** JavaScript's truth: 0, NaN, '' and null are false, objects are true. */
export function truthOf(e: Emitter, range: SourceRange, value: Value): Value {
  const { graph } = e;
  switch (value.type.kind) {
    case 'bool':
      return value;
    case 'int':
      return emitOperator(graph, range, 'aten::ne', [value, insertConstant(graph, 0n)]);
    case 'float':
    case 'number': {
      // NaN is false as well: only what differs from 0 in size is true.
      const size = emitOperator(graph, range, 'prim::abs', [asFloat(e, range, value)]);
      return emitOperator(graph, range, 'aten::gt', [size, insertConstant(graph, 0)]);
    }
    case 'str': {
      const length = emitOperator(graph, range, 'aten::len', [value]);
      return emitOperator(graph, range, 'aten::gt', [length, insertConstant(graph, 0n)]);
    }
    case 'Tensor':
      fail(
        range,
        'a tensor object is always true in JavaScript; read its number with .item() and compare that',
      );
      break;
    case 'None':
      return insertConstant(graph, false);
    case 'Any':
    case 'Union':
      fail(range, `the truth of a ${annotationString(value.type)} is not known; compare it with something`);
      break;
    default:
      return insertConstant(graph, true);
  }
  throw new InternalError('unreachable');
}

const asFloat = (e: Emitter, range: SourceRange, value: Value): Value =>
  value.type.kind === 'float' ? value : emitOperator(e.graph, range, 'aten::Float', [value]);

function emitTruthy(e: Emitter, { operand, range }: tree.Truthy): Condition {
  const value = emitExpression(e, operand);
  const { type } = value;
  if (type.kind === 'Optional') {
    const none = insertConstant(e.graph, null);
    const present = emitOperator(e.graph, range, 'aten::__isnot__', [value, none]);
    const inner = type.element;
    const name = refinableName(operand);
    const refinements: RefinementPair =
      name === undefined ? noRefinements : { whenTrue: [{ name, type: inner }], whenFalse: [] };
    if (!['bool', 'int', 'float', 'str', 'number'].includes(inner.kind)) {
      if (inner.kind === 'Tensor' || inner.kind === 'Any' || inner.kind === 'Union') {
        // An object: present means true.
        if (inner.kind !== 'Tensor') truthOf(e, range, value);
      }
      return { value: present, refinements };
    }
    const result = e.emitIfExpression(
      range,
      { value: present, refinements: noRefinements },
      () => truthOf(e, range, e.uncheckedCast(value, inner)),
      () => insertConstant(e.graph, false),
    );
    return { value: result, refinements };
  }
  const truth = truthOf(e, range, value);
  const constant = constantValue(truth);
  return {
    value: truth,
    refinements: noRefinements,
    known: typeof constant === 'boolean' ? constant : undefined,
  };
}

function emitShortCircuit(e: Emitter, { kind, left, right, range }: tree.And | tree.Or): Condition {
  const isOr = kind === 'Or';
  const first = emitCondition(e, left);
  let second!: Condition;
  const constant = (): Value => insertConstant(e.graph, isOr);
  const rest = (): Value => (second = emitCondition(e, right)).value;
  const value = e.emitIfExpression(range, first, isOr ? constant : rest, isOr ? rest : constant);
  const refinements = (isOr ? eitherRefinements : bothRefinements)(first.refinements, second.refinements);
  let result: boolean | undefined;
  if (first.known === isOr || second.known === isOr) result = isOr;
  else if (first.known !== undefined && second.known !== undefined) result = !isOr;
  return { value, refinements, known: result };
}

function emitIs(e: Emitter, expression: tree.Compare): Condition {
  const { left, right, range } = expression;
  const isIs = expression.operator === 'is';
  const a = emitExpression(e, left);
  const b = emitExpression(e, right);
  const status = [a, b].map((value) =>
    isNone(value) ? 'always' : canBeNone(value.type) ? 'maybe' : 'never',
  );
  if (status[0] === 'always' && status[1] === 'always') return known(e, isIs);
  if (status.includes('always') && status.includes('never')) return known(e, !isIs);
  const value = emitOperator(e.graph, range, isIs ? 'aten::__is__' : 'aten::__isnot__', [a, b]);
  const [subject, subjectValue] = right.kind === 'None' ? [left, a] : left.kind === 'None' ? [right, b] : [];
  const name = subject === undefined ? undefined : refinableName(subject);
  const type = subjectValue && withoutNone(subjectValue.type);
  if (name === undefined || type === undefined) return { value, refinements: noRefinements };
  const present = [{ name, type }];
  return {
    value,
    refinements: isIs ? { whenTrue: [], whenFalse: present } : { whenTrue: present, whenFalse: [] },
  };
}

/** A variable, or a member of one by its path (`self.bias`), which TypeScript narrows as well. */
export const refinableName = (expression: tree.Expression): string | undefined => {
  switch (expression.kind) {
    case 'Name':
      return expression.name;
    case 'Widen':
      return refinableName(expression.operand);
    case 'Member': {
      const object = refinableName(expression.object);
      return object === undefined ? undefined : `${object}.${expression.name}`;
    }
    default:
      return undefined;
  }
};

const canBeNone = (type: Type): boolean =>
  type.kind === 'Optional' ||
  type.kind === 'Any' ||
  (type.kind === 'Union' && type.members.some((member) => member.kind === 'None'));

function withoutNone(type: Type): Type | undefined {
  if (type.kind === 'Optional') return type.element;
  if (type.kind !== 'Union') return undefined;
  const members = type.members.filter((member) => member.kind !== 'None');
  return members.length === 1 ? members[0] : { kind: 'Union', members };
}

/** `isinstance(object, types)`: known where the static type decides it, else a test at run time. */
export function emitIsInstance(e: Emitter, object: tree.Expression, classes: tree.Expression): Condition {
  const types: Type[] = [];
  const gather = (expression: tree.Expression): void => {
    if (expression.kind === 'Tuple' || expression.kind === 'List') expression.elements.forEach(gather);
    else types.push(resolveType(e, expression));
  };
  gather(classes);
  return emitTypeTest(e, object, types);
}

export function emitTypeTest(e: Emitter, object: tree.Expression, types: readonly Type[]): Condition {
  const value = emitExpression(e, object);
  const wanted = alternatives(types);
  /** What the value can be when the test holds, and when it does not. */
  const yes: Type[] = [];
  const no: Type[] = [];
  for (const actual of alternatives([value.type])) {
    if (actual.kind === 'Any') {
      yes.push(...wanted);
      if (!wanted.every(({ kind }) => kind === 'Any')) no.push(actual);
      continue;
    }
    const found = wanted
      .map((type) => (isSubtype(actual, type) ? actual : isSubtype(type, actual) ? type : undefined))
      .find((type) => type !== undefined);
    if (found !== undefined) yes.push(found);
    if (found !== actual) no.push(actual);
  }
  const name = refinableName(object);
  const refine = (members: readonly Type[]): Refinements =>
    name === undefined || members.length === 0 ? [] : [{ name, type: unionOf(members) }];
  const refinements: RefinementPair = { whenTrue: refine(yes), whenFalse: refine(no) };
  if (yes.length === 0) return known(e, false, refinements);
  if (no.length === 0) return known(e, true, refinements);
  const node = e.graph.insert('prim::isinstance', [value], [{ kind: 'bool' }]);
  node.source = object.range;
  node.set('types', { kind: 'tys', value: wanted });
  return { value: node.output, refinements };
}

/** The types that a value of one of `types` can have, each once, in PyTorch's order. */
function alternatives(types: readonly Type[]): readonly Type[] {
  const members: Type[] = [];
  for (const type of types.flatMap(flatten)) {
    if (!members.some((member) => typesEqual(member, type))) members.push(type);
  }
  return sortMembers(members);
}

export function emitHasAttr(e: Emitter, apply: tree.Apply): Condition {
  const [object, name] = apply.arguments;
  if (name.kind !== 'String') fail(name.range, 'the name must be a string literal');
  return known(e, emitSugared(e, object).hasAttr(e, object.range, name.value));
}
