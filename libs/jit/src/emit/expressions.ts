// Expressions: operators, literals, members, calls. What only one of the languages has is in special-forms.ts (Python)
// and javascript/ (TypeScript).
import type { SourceRange, Type, Value } from '@weft/ir';
import {
  AnyTensorType,
  InternalError,
  StringType,
  dictOf,
  isSubtype,
  unifyAll,
  unwrapOptional,
} from '@weft/ir';
import { Complex } from '@weft/ir';
import type * as tree from '../frontend/tree.ts';
import { emitComprehension, emitDictComprehension } from './comprehensions.ts';
import { emitCondition } from './conditions.ts';
import { constantValue, insertConstant } from './constants.ts';
import { annotationString } from '@weft/ir';
import type { Emitter } from './emitter.ts';
import { emitArithmetic, emitStrictComparison } from './javascript/arithmetic.ts';
import { emitInvoke, emitNew } from './javascript/calls.ts';
import { emitFallback } from './javascript/fallback.ts';
import { emitElement, emitMember } from './javascript/members.ts';
import { emitTemplate } from './javascript/template.ts';
import { binaryOperators, compareOperators, magicMethods } from './operators.ts';
import type { NamedValue } from './schema-matching.ts';
import { emitBuiltin, emitOperator, insertList, insertTuple, tryConvert } from './schema-matching.ts';
import { fail } from './script-error.ts';
import { emitSpecialForm } from './special-forms.ts';
import type { SugaredValue } from './sugared-value.ts';
import { SpecialForm } from './callable-values.ts';
import { RangeValue } from './iterable-values.ts';
import { SimpleValue } from './simple-value.ts';
import { emitSubscript } from './subscripts.ts';
import { markRecord, resolveType } from './type-expressions.ts';

/** Whether the expression is a TypeScript value: one that may turn from an int into a float. */
export const isWidening = (expression: tree.Expression | undefined): boolean =>
  expression !== undefined &&
  (expression.kind === 'Widen' ||
    expression.kind === 'Number' ||
    (expression.kind === 'List' && expression.elements.some(isWidening)) ||
    (expression.kind === 'Tuple' && expression.elements.some(isWidening)));

/** Emits an expression as a value. `hint` is the type it should have, where that is known; the caller checks. */
export function emitExpression(e: Emitter, expression: tree.Expression, hint?: Type): Value {
  const value = emitSugared(e, expression, hint).asValue(e, expression.range);
  return hint?.kind === 'Any' && value.type.kind !== 'Any' ? e.uncheckedCast(value, hint) : value;
}

/** Emits an expression that need not be a value. */
export function emitSugared(e: Emitter, expression: tree.Expression, hint?: Type): SugaredValue {
  switch (expression.kind) {
    case 'Name': {
      const found =
        e.environment.find(expression.name) ?? e.resolver.value(expression.name, expression.range);
      return found ?? e.environment.notFound(expression.range, expression.name);
    }
    case 'Select':
      return emitSugared(e, expression.object).attr(e, expression.range, expression.name);
    case 'Member':
      return emitMember(e, expression);
    case 'Apply':
      return emitApply(e, expression, hint);
    case 'Invoke':
      return emitInvoke(e, expression, hint);
    case 'New':
      return emitNew(e, expression, hint);
    case 'Subscript':
      return emitSubscript(e, expression, hint);
    case 'Element':
      return emitElement(e, expression);
    case 'Range': {
      const bounds = [expression.start, expression.stop, expression.step].map((bound) =>
        emitExpression(e, bound),
      );
      const fromZero = constantValue(bounds[0]) === 0n && constantValue(bounds[2]) === 1n;
      return new RangeValue(e, expression.range, fromZero ? [bounds[1]] : bounds);
    }
    case 'Widen': {
      const operand = emitSugared(e, expression.operand, hint);
      if (hint === undefined || !(operand instanceof SimpleValue)) return operand;
      const converted = tryConvert(e.graph, expression.range, hint, operand.value, {
        conversions: false,
        widen: true,
      });
      return new SimpleValue(converted);
    }
    case 'Cast':
      return emitCast(e, expression);
    default:
      return new SimpleValue(emitSimple(e, expression, hint));
  }
}

type Simple = Exclude<
  tree.Expression,
  {
    kind:
      | 'Name'
      | 'Select'
      | 'Member'
      | 'Apply'
      | 'Invoke'
      | 'New'
      | 'Subscript'
      | 'Element'
      | 'Range'
      | 'Widen'
      | 'Cast';
  }
>;

function emitSimple(e: Emitter, expression: Simple, hint: Type | undefined): Value {
  const { graph } = e;
  const { range } = expression;
  const wanted = hint && unwrapOptional(hint);
  switch (expression.kind) {
    case 'Int':
      return e.int(expression.value);
    case 'Float':
      return e.float(expression.value);
    case 'Number':
      return wanted?.kind === 'float' ? e.float(expression.value) : e.int(BigInt(expression.value));
    case 'Imaginary':
      return insertConstant(graph, new Complex(0, expression.value));
    case 'String':
      return insertConstant(graph, expression.value);
    case 'Bool':
      return insertConstant(graph, expression.value);
    case 'None':
      return insertConstant(graph, null);
    case 'List':
      return emitList(e, expression, hint);
    case 'Tuple': {
      const types = wanted?.kind === 'Tuple' ? wanted.elements : [];
      const values = emitElements(e, expression.elements, (index) => types[index]);
      return insertTuple(graph, values);
    }
    case 'Dict':
      return emitDict(
        e,
        range,
        expression.entries.map(({ key, value }) => ({
          key: (type?: Type) => emitExpression(e, key, type),
          value,
        })),
        hint,
      );
    case 'Object': {
      const entries = expression.entries.map(({ name, value }) => ({
        key: () => insertConstant(graph, name),
        value,
      }));
      const dict = emitDict(e, range, entries, hint);
      if (wanted?.kind !== 'Dict') markRecord(dict.type);
      return dict;
    }
    case 'Comprehension':
      return emitComprehension(e, expression, hint);
    case 'DictComprehension':
      return emitDictComprehension(e, expression, hint);
    case 'Format': {
      const holes = expression.parts.filter((part) => typeof part !== 'string');
      const text = expression.parts
        .map((part) => (typeof part === 'string' ? part.replaceAll('{', '{{').replaceAll('}', '}}') : '{}'))
        .join('');
      const values = holes.map((hole): NamedValue => ({ range: hole.range, value: emitExpression(e, hole) }));
      const format = insertConstant(graph, text.replaceAll('{{', '{').replaceAll('}}', '}'));
      return emitBuiltin(graph, range, 'aten::format', [{ range, value: format }, ...values]);
    }
    case 'Template':
      return emitTemplate(e, expression);
    case 'Unary':
      return emitUnary(e, expression, hint);
    case 'Binary':
      return emitBinary(e, expression);
    case 'Arithmetic':
      return emitArithmetic(e, expression, hint);
    case 'Compare':
      if (expression.operator === 'same' || expression.operator === 'differ') {
        return emitStrictComparison(e, expression);
      }
      if (expression.operator === 'is' || expression.operator === 'isnot') {
        return emitCondition(e, expression).value;
      }
      return emitComparison(e, expression);
    case 'Condition':
    case 'Truthy':
    case 'Not':
    case 'And':
    case 'Or':
      return emitCondition(e, expression).value;
    case 'Fallback':
      return emitFallback(e, expression, hint);
    case 'Ternary':
      return emitTernary(e, expression, hint);
    case 'Ellipsis':
    case 'Slice':
      return fail(range, 'this can only stand in an index');
    case 'Starred':
      return fail(range, 'values can only be spread into calls, lists and tuples');
    case 'Arrow':
      return fail(range, 'a function literal can only be given to a method of a list, such as map or filter');
    default:
      throw new InternalError(`unknown expression ${(expression satisfies never as tree.Expression).kind}`);
  }
}

function emitTernary(
  e: Emitter,
  { test, then, otherwise, range }: tree.Ternary,
  hint: Type | undefined,
): Value {
  const condition = emitCondition(e, test);
  if (condition.known !== undefined) return emitExpression(e, condition.known ? then : otherwise, hint);
  return e.emitIfExpression(
    range,
    condition,
    () => emitExpression(e, then, hint),
    () => emitExpression(e, otherwise, hint),
    isWidening(then) || isWidening(otherwise),
  );
}

// ---- Operators ----------------------------------------------------------------------------------------------------

/** Emits the operator, or the magic method when the first operand is an object of a user's class. */
export function emitMagic(
  e: Emitter,
  range: SourceRange,
  method: string | undefined,
  operator: string,
  operands: readonly Value[],
): Value {
  const [self, ...rest] = operands;
  if (method !== undefined && self.type.kind === 'Class') {
    const given = rest.map((value): NamedValue => ({ range, value }));
    return new SimpleValue(self).attr(e, range, method).call(e, range, given, []).asValue(e, range);
  }
  return emitOperator(e.graph, range, operator, operands);
}

function emitUnary(e: Emitter, { operator, operand, range }: tree.Unary, hint: Type | undefined): Value {
  const value = emitExpression(e, operand, hint);
  if (operator === 'pos') return value;
  if (operator === 'invert32') {
    const minusOne = e.int(-1n);
    return emitOperator(e.graph, range, 'aten::__xor__', [value, minusOne]);
  }
  const constant = constantValue(value);
  if (operator === 'neg' && (typeof constant === 'bigint' || typeof constant === 'number')) {
    return insertConstant(e.graph, -constant);
  }
  return operator === 'neg'
    ? emitMagic(e, range, '__neg__', 'aten::neg', [value])
    : emitMagic(e, range, '__invert__', 'aten::bitwise_not', [value]);
}

function emitBinary(e: Emitter, { operator, left, right, range }: tree.Binary): Value {
  const first = emitExpression(e, left);
  const second = emitExpression(e, right);
  if (operator === 'mod' && first.type.kind === 'str') {
    const node = e.graph.insert(
      'aten::percentFormat',
      [
        first,
        ...(second.type.kind === 'Tuple' && second.node.kind === 'prim::TupleConstruct'
          ? second.node.inputs
          : [second]),
      ],
      [StringType],
    );
    node.overload = '';
    return node.output;
  }
  return emitMagic(e, range, magicMethods[operator], binaryOperators[operator], [first, second]);
}

function emitComparison(e: Emitter, { operator, left, right, range }: tree.Compare): Value {
  const first = emitExpression(e, left);
  const second = emitExpression(e, right);
  if (operator === 'in' || operator === 'notin') {
    const contained = emitMagic(e, range, '__contains__', 'aten::__contains__', [second, first]);
    return operator === 'in' ? contained : emitOperator(e.graph, range, 'aten::__not__', [contained]);
  }
  return emitMagic(e, range, magicMethods[operator], compareOperators[operator]!, [first, second]);
}

// ---- Literals -----------------------------------------------------------------------------------------------------

/** Values of a list of expressions; `...xs` of a tuple gives its elements. */
export function emitElements(
  e: Emitter,
  expressions: readonly tree.Expression[],
  hint: (index: number) => Type | undefined = () => undefined,
): Value[] {
  const values: Value[] = [];
  for (const expression of expressions) {
    if (expression.kind === 'Starred') {
      const parts = emitSugared(e, expression.operand).asTuple(e, expression.range);
      values.push(...parts.map((part) => part.asValue(e, expression.range)));
    } else {
      values.push(emitExpression(e, expression, hint(values.length)));
    }
  }
  return values;
}

/** The hint for what is put into a container: what goes into a container of anything stays as it is. */
export const itemHint = (type: Type | undefined): Type | undefined =>
  type?.kind === 'Any' ? undefined : type;

function emitList(e: Emitter, expression: tree.ListLiteral, hint: Type | undefined): Value {
  const { elements, range } = expression;
  const wanted = hint && unwrapOptional(hint);
  if (wanted?.kind === 'Tuple') {
    // TypeScript writes tuples like lists.
    const values = emitElements(e, elements, (index) => wanted.elements[index]);
    return insertTuple(e.graph, values, wanted.name === undefined ? undefined : wanted);
  }
  const elementHint = wanted?.kind === 'List' ? wanted.element : undefined;
  const spread = elements.findIndex((element) => element.kind === 'Starred');
  if (spread >= 0) {
    const joined = emitSpreadList(e, expression, hint);
    if (joined !== undefined) return joined;
  }
  let values = emitElements(e, elements, () => itemHint(elementHint));
  let element = elementHint;
  if (element === undefined && values.length > 0) {
    const types = values.map((value) => value.type);
    element = unifyAll(types);
    if (element === undefined && elements.some(isWidening) && types.some(({ kind }) => kind === 'float')) {
      element = types.find(({ kind }) => kind === 'float');
    }
    if (element === undefined) {
      fail(
        range,
        `the elements of a list must be of one type, but these are ${types.map((type) => annotationString(type)).join(', ')}`,
      );
    }
  }
  element ??= AnyTensorType;
  const type = element;
  values = values.map((value, index) =>
    tryConvert(e.graph, range, type, value, { conversions: false, widen: isWidening(elements[index]) }),
  );
  for (const value of values) {
    if (!isSubtype(value.type, type)) {
      fail(
        range,
        `the elements of the list must be ${annotationString(type)}, but one is a ${annotationString(value.type)}`,
      );
    }
  }
  return insertList(e.graph, type, values);
}

/** `[...xs, y]` where xs is a list: lists are joined. Undefined when everything spread is a tuple. */
function emitSpreadList(
  e: Emitter,
  { elements, range }: tree.ListLiteral,
  hint: Type | undefined,
): Value | undefined {
  const parts: { value?: Value; expressions: tree.Expression[] }[] = [];
  let lists = 0;
  for (const element of elements) {
    const spread = element.kind === 'Starred' ? emitSugared(e, element.operand) : undefined;
    if (spread instanceof SimpleValue && (spread.type.kind === 'List' || spread.type.kind === 'str')) {
      const list =
        spread.type.kind === 'str'
          ? emitOperator(e.graph, range, 'aten::list', [spread.value])
          : spread.value;
      parts.push({ value: list, expressions: [] });
      lists++;
    } else {
      const last = parts.at(-1);
      if (last !== undefined && last.value === undefined) last.expressions.push(element);
      else parts.push({ expressions: [element] });
    }
  }
  if (lists === 0) return undefined;
  const type = hint ?? parts.find(({ value }) => value !== undefined)!.value!.type;
  const lists_ = parts.map(
    ({ value, expressions }) => value ?? emitList(e, { kind: 'List', elements: expressions, range }, type),
  );
  if (lists_.length === 1) return emitOperator(e.graph, range, 'aten::list', [lists_[0]]);
  return lists_.reduce((joined, next) => emitOperator(e.graph, range, 'aten::add', [joined, next]));
}

function emitDict(
  e: Emitter,
  range: SourceRange,
  entries: readonly { key: (hint?: Type) => Value; value: tree.Expression }[],
  hint: Type | undefined,
): Value {
  const wanted = hint && unwrapOptional(hint);
  const type = wanted?.kind === 'Dict' ? wanted : undefined;
  const pairs = entries.map(
    ({ key, value }) => [key(itemHint(type?.key)), emitExpression(e, value, itemHint(type?.value))] as const,
  );
  const widening = entries.some(({ value }) => isWidening(value));
  const keyType = type?.key ?? pairs[0]?.[0].type ?? StringType;
  let valueType = type?.value ?? pairs[0]?.[1].type ?? AnyTensorType;
  if (type === undefined && widening && pairs.some(([, value]) => value.type.kind === 'float')) {
    valueType = { kind: 'float' };
  }
  const inputs = pairs.flatMap(([key, value]) => [
    key,
    tryConvert(e.graph, range, valueType, value, { conversions: false, widen: widening }),
  ]);
  for (const [index, value] of inputs.entries()) {
    const [expected, what] = index % 2 === 0 ? [keyType, 'keys'] : [valueType, 'values'];
    if (!isSubtype(value.type, expected)) {
      fail(
        range,
        `the ${what} of the dict must be ${annotationString(expected)}, but one is a ${annotationString(value.type)}`,
      );
    }
  }
  return e.graph.insert('prim::DictConstruct', inputs, [dictOf(keyType, valueType)]).output;
}

// ---- Calls --------------------------------------------------------------------------------------------------------

function emitApply(e: Emitter, apply: tree.Apply, hint: Type | undefined): SugaredValue {
  const callee = emitSugared(e, apply.callee);
  if (callee instanceof SpecialForm) return emitSpecialForm(e, callee.form, apply, hint);
  const positional = emitArguments(e, apply.arguments);
  const keywords = apply.keywords.map(({ name, value, range }): NamedValue => ({
    range,
    name,
    value: emitExpression(e, value),
  }));
  return callee.call(e, apply.range, positional, keywords);
}

export function emitArguments(e: Emitter, expressions: readonly tree.Expression[]): NamedValue[] {
  return expressions.flatMap((expression): NamedValue[] => {
    const { range } = expression;
    if (expression.kind === 'Starred') {
      return emitElements(e, [expression]).map((value) => ({ range, value }));
    }
    return [{ range, value: emitExpression(e, expression), widen: isWidening(expression) }];
  });
}

/** `value as T` and `value!`. */
function emitCast(e: Emitter, { operand, type, range }: tree.Cast): SugaredValue {
  const wanted = type === undefined ? undefined : resolveType(e, type);
  if (
    wanted === undefined &&
    operand.kind === 'Invoke' &&
    operand.callee.kind === 'Member' &&
    operand.callee.name === 'get'
  ) {
    // `map.get(key)!`: the entry is there.
    const object = emitSugared(e, operand.callee.object);
    if (object instanceof SimpleValue && object.type.kind === 'Dict' && operand.arguments.length === 1) {
      return object.item(e, range, emitExpression(e, operand.arguments[0], object.type.key));
    }
    return emitPresent(e, range, emitSugared(e, operand));
  }
  const value = emitSugared(e, operand, wanted);
  if (wanted === undefined) return emitPresent(e, range, value);
  const simple = tryConvert(e.graph, range, wanted, value.asValue(e, range), {
    conversions: true,
    widen: true,
  });
  if (isSubtype(simple.type, wanted)) return new SimpleValue(simple);
  if (simple.type.kind === 'Optional' && isSubtype(simple.type.element, wanted)) {
    return emitPresent(e, range, new SimpleValue(simple));
  }
  if (isSubtype(wanted, simple.type)) return new SimpleValue(e.uncheckedCast(simple, wanted));
  fail(range, `a ${annotationString(simple.type)} cannot be taken as a ${annotationString(wanted)}`);
}

function emitPresent(e: Emitter, range: SourceRange, sugared: SugaredValue): SugaredValue {
  const value = sugared.asValue(e, range);
  if (value.type.kind !== 'Optional') return new SimpleValue(value);
  return new SimpleValue(emitOperator(e.graph, range, 'aten::_unwrap_optional', [value]));
}
