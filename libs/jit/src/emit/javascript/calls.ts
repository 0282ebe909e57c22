// TypeScript's calls: builtin functions and tensor methods with keywords in a last object literal, methods of lists, strings
// and Maps (methods.ts), users' functions and methods, and `new`.
import type { SourceRange, Type, Value } from '@weft/ir';
import { AnyTensorType, StringType, dictOf, listOf } from '@weft/ir';
import type * as tree from '../../frontend/tree.ts';
import { emitListLoop } from '../comprehensions.ts';
import type { Emitter } from '../emitter.ts';
import { emitArguments, emitExpression, emitSugared, isWidening } from '../expressions.ts';
import type { NamedValue } from '../schema-matching.ts';
import { emitOperator } from '../schema-matching.ts';
import { fail } from '../script-error.ts';
import { listFrom } from '../special-forms.ts';
import type { SugaredValue } from '../sugared-value.ts';
import { ExceptionClass, MethodValue } from '../callable-values.ts';
import { RangeValue } from '../iterable-values.ts';
import { BuiltinFunction, SimpleValue } from '../simple-value.ts';
import { resolveType } from '../type-expressions.ts';
import { memberOf, settled, snakeCase } from './members.ts';
import { emitArrow, emitMethod, hasMethod } from './methods.ts';

export function emitInvoke(e: Emitter, invoke: tree.Invoke, hint: Type | undefined): SugaredValue {
  const { callee, range } = invoke;
  if (callee.kind === 'Member') {
    if (callee.object.kind === 'Name' && callee.object.name === 'Array' && callee.name === 'from') {
      return emitArrayFrom(e, invoke, hint);
    }
    const object = settled(e, emitSugared(e, callee.object));
    if (object instanceof SimpleValue) {
      if (hasMethod(object.value, callee.name)) {
        return emitMethod(e, range, object.value, callee.name, invoke.arguments, hint);
      }
      if (object.value.type.kind === 'Tensor' && callee.name === 'tolist') {
        return memberOf(e, callee.range, object, callee.name);
      }
    }
    return callWith(e, invoke, memberOf(e, callee.range, object, callee.name));
  }
  return callWith(e, invoke, emitSugared(e, callee));
}

function callWith(e: Emitter, invoke: tree.Invoke, callee: SugaredValue): SugaredValue {
  const { range } = invoke;
  const { positional, keywords } = splitArguments(e, invoke.arguments, callee);
  return callee.call(e, range, positional, keywords);
}

/** A last object literal holds the keywords of a builtin; for a user's function it is a value like any other. */
function splitArguments(
  e: Emitter,
  expressions: readonly tree.Expression[],
  callee: SugaredValue,
): { positional: NamedValue[]; keywords: NamedValue[] } {
  const given = expressions.map((expression) =>
    expression.kind === 'Widen' ? expression.operand : expression,
  );
  const last = given.at(-1);
  if (last?.kind !== 'Object' || callee instanceof MethodValue || !takesKeywords(callee)) {
    return { positional: emitArguments(e, expressions), keywords: [] };
  }
  const keywords = last.entries
    .filter(({ value }) => !(value.kind === 'Name' && value.name === 'undefined'))
    .map(({ name, value, range }): NamedValue => ({
      range,
      name: snakeCase(name),
      value: emitExpression(e, value),
      widen: isWidening(value),
    }));
  return { positional: emitArguments(e, expressions.slice(0, -1)), keywords };
}

const takesKeywords = (callee: SugaredValue): boolean =>
  callee instanceof BuiltinFunction || (callee as { takesKeywords?: boolean }).takesKeywords === true;

/** `Array.from({ length: n }, (_, i) => …)` and `Array.from(iterable)`. */
function emitArrayFrom(e: Emitter, invoke: tree.Invoke, hint: Type | undefined): SugaredValue {
  const { range } = invoke;
  const [source, mapper] = invoke.arguments.map((argument) =>
    argument.kind === 'Widen' ? argument.operand : argument,
  );
  if (source?.kind === 'Object') {
    const length = source.entries.find(({ name }) => name === 'length');
    if (length === undefined || source.entries.length !== 1 || mapper?.kind !== 'Arrow') {
      fail(range, 'Array.from takes an iterable, or { length: n } and a function');
    }
    const count = emitExpression(e, length.value);
    const iterable = new RangeValue(e, length.range, [count]);
    const [, index = unnamed(e, range)] = mapper.parameters;
    return new SimpleValue(
      emitListLoop(e, { target: index, range }, iterable, (type) => emitArrow(e, mapper, type), hint),
    );
  }
  if (source === undefined) fail(range, 'Array.from takes an iterable');
  const iterable = e.entries(emitSugared(e, source), source.range);
  if (mapper === undefined) return new SimpleValue(listFrom(e, range, iterable, hint));
  if (mapper.kind !== 'Arrow') fail(mapper.range, 'the second argument must be a function literal here');
  const [target = unnamed(e, range)] = mapper.parameters;
  return new SimpleValue(
    emitListLoop(e, { target, range }, iterable, (type) => emitArrow(e, mapper, type), hint),
  );
}

export const unnamed = (e: Emitter, range: SourceRange): tree.Name => ({
  kind: 'Name',
  name: e.temporary('unused'),
  range,
});

// ---- new ----------------------------------------------------------------------------------------------------------

const errorClasses: ReadonlySet<string> = new Set([
  'Error',
  'TypeError',
  'RangeError',
  'EvalError',
  'SyntaxError',
]);

export function emitNew(e: Emitter, expression: tree.New, hint: Type | undefined): SugaredValue {
  const { callee, range } = expression;
  if (callee.kind === 'Name' && !e.environment.has(callee.name)) {
    if (callee.name === 'Map') return new SimpleValue(emitNewMap(e, expression, hint));
    if (callee.name === 'Array') return new SimpleValue(emitNewArray(e, expression, hint));
    if (errorClasses.has(callee.name)) {
      const [message] = emitArguments(e, expression.arguments.slice(0, 1));
      return new ExceptionClass(callee.name).call(e, range, message === undefined ? [] : [message]);
    }
  }
  const target = emitSugared(e, callee);
  return target.call(e, range, emitArguments(e, expression.arguments), []);
}

function emitNewMap(
  e: Emitter,
  { arguments: given, typeArguments, range }: tree.New,
  hint: Type | undefined,
): Value {
  const wanted = hint?.kind === 'Optional' ? hint.element : hint;
  let type = wanted?.kind === 'Dict' ? wanted : undefined;
  if (typeArguments?.length === 2) {
    const [key, value] = typeArguments.map((argument) => resolveType(e, argument));
    type = { kind: 'Dict', key, value };
  }
  const [source] = given.map((argument) => (argument.kind === 'Widen' ? argument.operand : argument));
  if (source === undefined || (source.kind === 'List' && source.elements.length === 0)) {
    return e.graph.insert('prim::DictConstruct', [], [type ?? dictOf(StringType, AnyTensorType)]).output;
  }
  if (source.kind === 'List') {
    const entries = source.elements.map((element) => {
      const pair = element.kind === 'Widen' ? element.operand : element;
      if ((pair.kind !== 'List' && pair.kind !== 'Tuple') || pair.elements.length !== 2) {
        fail(pair.range, 'the entries of a Map are [key, value] pairs');
      }
      return { key: pair.elements[0], value: pair.elements[1] };
    });
    return emitExpression(e, { kind: 'Dict', entries, range }, type);
  }
  const value = emitExpression(e, source);
  return emitOperator(e.graph, range, value.type.kind === 'Dict' ? 'aten::copy' : 'aten::dict', [value]);
}

/** `new Array<T>()`; `new Array(n).fill(x)` is a method call on this. */
function emitNewArray(
  e: Emitter,
  { arguments: given, typeArguments, range }: tree.New,
  hint: Type | undefined,
): Value {
  const wanted = hint?.kind === 'Optional' ? hint.element : hint;
  let type: Type = wanted?.kind === 'List' ? wanted : listOf(AnyTensorType);
  if (typeArguments?.length === 1) type = listOf(resolveType(e, typeArguments[0]));
  if (given.length > 0)
    fail(range, 'an array of a length needs its elements: write new Array(n).fill(value)');
  return e.graph.insert('prim::ListConstruct', [], [type]).output;
}

/** `new Array(n).fill(value)`: a list of n times the value. */
export function emitFilledArray(
  e: Emitter,
  range: SourceRange,
  length: tree.Expression,
  value: tree.Expression,
  hint: Type | undefined,
): Value {
  const wanted = hint?.kind === 'List' ? hint.element : undefined;
  const element = emitExpression(e, value, wanted);
  const one = e.graph.insert('prim::ListConstruct', [element], [listOf(element.type)]).output;
  return emitOperator(e.graph, range, 'aten::mul', [one, emitExpression(e, length)]);
}
