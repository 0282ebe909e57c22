// Calls of Python's TorchScript whose arguments are not plainly evaluated: annotate, isinstance, range, zip, list, fork….
// The resolver of a front end binds their names to SpecialForm values.
import type { Block, SourceRange, Type, Value } from '@weft/ir';
import { AnyTensorType, StringType, dictOf, isSubtype, listOf } from '@weft/ir';
import type * as tree from '../frontend/tree.ts';
import { emitDictComprehension, emitListLoop } from './comprehensions.ts';
import { emitHasAttr, emitIsInstance } from './conditions.ts';
import { insertConstant } from './constants.ts';
import { annotationString } from '@weft/ir';
import type { Emitter } from './emitter.ts';
import { emitArguments, emitElements, emitExpression, emitSugared } from './expressions.ts';
import type { NamedValue } from './schema-matching.ts';
import { emitOperator, insertTuple, tryConvert } from './schema-matching.ts';
import { fail } from './script-error.ts';
import type { SugaredValue } from './sugared-value.ts';
import { ClassValue, ClosureValue } from './callable-values.ts';
import { RangeValue, Zipped } from './iterable-values.ts';
import { SimpleValue } from './simple-value.ts';
import { resolveType } from './type-expressions.ts';

type Form = (e: Emitter, apply: tree.Apply, hint: Type | undefined) => SugaredValue;

const forms: Readonly<Record<string, Form>> = {
  annotate(e, apply) {
    const [typeExpression, valueExpression] = expectArguments(apply, 2);
    const type = resolveType(e, typeExpression);
    const given = emitExpression(e, valueExpression, type);
    const value = tryConvert(e.graph, apply.range, type, given, { conversions: true, widen: false });
    if (!isSubtype(value.type, type)) {
      fail(
        apply.range,
        `a ${annotationString(type)} is expected, but this is a ${annotationString(value.type)}`,
      );
    }
    if (type.kind === 'Optional' && value.type.kind === 'None') {
      return new SimpleValue(insertConstant(e.graph, null, type));
    }
    return new SimpleValue(value);
  },
  unchecked_cast(e, apply) {
    const [typeExpression, valueExpression] = expectArguments(apply, 2);
    const type = resolveType(e, typeExpression);
    const value = emitExpression(e, valueExpression);
    const same =
      value.node.kind === 'prim::unchecked_cast' && annotationString(value.type) === annotationString(type);
    return new SimpleValue(same ? value : e.uncheckedCast(value, type));
  },
  uninitialized(e, apply) {
    const type = resolveType(e, expectArguments(apply, 1)[0]);
    return new SimpleValue(e.graph.insert('prim::Uninitialized', [], [type]).output);
  },
  isinstance(e, apply) {
    const [object, classes] = expectArguments(apply, 2);
    return new SimpleValue(emitIsInstance(e, object, classes).value);
  },
  hasattr(e, apply) {
    expectArguments(apply, 2);
    return new SimpleValue(emitHasAttr(e, apply).value);
  },
  getattr(e, apply) {
    const [object, name] = expectArguments(apply, 2);
    if (name.kind !== 'String') fail(name.range, 'the name must be a string literal');
    return emitSugared(e, object).attr(e, apply.range, name.value);
  },
  tuple(e, apply) {
    const parts = emitSugared(e, expectArguments(apply, 1)[0]).asTuple(e, apply.range);
    return new SimpleValue(
      insertTuple(
        e.graph,
        parts.map((part) => part.asValue(e, apply.range)),
      ),
    );
  },
  CreateObject(e, apply) {
    const argument = emitSugared(e, expectArguments(apply, 1)[0]);
    if (!(argument instanceof ClassValue)) fail(apply.range, '__new__ takes a class');
    return new SimpleValue(e.graph.insert('prim::CreateObject', [], [argument.type]).output);
  },
  range: (e, apply) => new RangeValue(e, apply.range, emitElements(e, apply.arguments)),
  enumerate(e, apply) {
    const [iterable, start, ...rest] = apply.arguments;
    if (iterable === undefined || rest.length > 0) fail(apply.range, 'enumerate takes one or two arguments');
    const from = start === undefined ? [] : [emitExpression(e, start)];
    const source = emitSugared(e, iterable).iterable(e, apply.range);
    return enumerated(e, apply.range, source, from);
  },
  zip(e, apply) {
    if (apply.arguments.length === 0) fail(apply.range, 'zip takes at least one argument');
    const sources = apply.arguments.map((source) => emitSugared(e, source).iterable(e, source.range));
    return new Zipped(apply.range, sources);
  },
  list(e, apply, hint) {
    if (apply.arguments.length === 0) {
      const type = hint?.kind === 'List' ? hint : listOf(AnyTensorType);
      return new SimpleValue(e.graph.insert('prim::ListConstruct', [], [type]).output);
    }
    const source = emitSugared(e, expectArguments(apply, 1)[0]);
    return new SimpleValue(listFrom(e, apply.range, source, hint));
  },
  dict(e, apply, hint) {
    return new SimpleValue(emitDictCall(e, apply, hint));
  },
  tolist(e, apply, hint) {
    if (apply.callee.kind !== 'Select') fail(apply.range, 'tolist is a method');
    if (hint === undefined) fail(apply.range, 'the result of tolist() must be annotated with its type');
    return new SimpleValue(insertToList(e, emitExpression(e, apply.callee.object), hint));
  },
  fork(e, apply) {
    const [callee, ...rest] = apply.arguments;
    if (callee === undefined) fail(apply.range, 'fork takes a function and its arguments');
    const forked = emitSugared(e, callee);
    const positional = emitArguments(e, rest);
    const keywords = apply.keywords.map(({ name, value, range }): NamedValue => ({
      name,
      range,
      value: emitExpression(e, value),
    }));
    return emitFork(e, apply.range, forked, positional, keywords);
  },
};

export function emitSpecialForm(
  e: Emitter,
  form: string,
  apply: tree.Apply,
  hint: Type | undefined,
): SugaredValue {
  return forms[form](e, apply, hint);
}

function expectArguments(apply: tree.Apply, count: number): readonly tree.Expression[] {
  if (apply.arguments.length !== count || apply.keywords.length > 0) {
    fail(apply.range, `exactly ${count} arguments are taken here`);
  }
  return apply.arguments;
}

/** Index and element, walked together. */
export function enumerated(
  e: Emitter,
  range: SourceRange,
  source: SugaredValue,
  from: readonly Value[] = [],
): SugaredValue {
  const endless = e.int(2n ** 63n - 1n);
  const counter = new RangeValue(e, range, [...from, endless], source.unrolledLength);
  return new Zipped(range, [counter, source]);
}

/** A new list with the elements of `source`. */
export function listFrom(
  e: Emitter,
  range: SourceRange,
  source: SugaredValue,
  hint: Type | undefined,
): Value {
  if (source instanceof SimpleValue && (source.type.kind === 'List' || source.type.kind === 'str')) {
    return emitOperator(e.graph, range, 'aten::list', [source.value]);
  }
  const name = e.temporary('element');
  const target: tree.Expression = { kind: 'Name', name, range };
  const iterable = source.iterable(e, range);
  return emitListLoop(e, { target, range }, iterable, (type) => emitExpression(e, target, type), hint);
}

function emitDictCall(e: Emitter, apply: tree.Apply, hint: Type | undefined): Value {
  const { range } = apply;
  const addKeywords = (dict: Value): Value => {
    for (const { name, value } of apply.keywords) {
      const key = insertConstant(e.graph, name);
      emitOperator(e.graph, range, 'aten::_set_item', [dict, key, emitExpression(e, value)]);
    }
    return dict;
  };
  const [source] = apply.arguments;
  if (source === undefined || ((source.kind === 'List' || source.kind === 'Dict') && isEmpty(source))) {
    const [first] = apply.keywords;
    const type =
      hint ??
      (first === undefined
        ? dictOf(StringType, AnyTensorType)
        : dictOf(StringType, emitExpression(e, first.value).type));
    return addKeywords(e.graph.insert('prim::DictConstruct', [], [type]).output);
  }
  if (source.kind === 'DictComprehension') return addKeywords(emitDictComprehension(e, source, hint));
  const value = emitSugared(e, source, source.kind === 'Dict' ? hint : undefined);
  if (value instanceof SimpleValue && value.type.kind === 'Dict') {
    return addKeywords(emitOperator(e.graph, range, 'aten::dict', [value.value]));
  }
  const iterable = e.temporary('iterable');
  e.environment.set(range, iterable, value);
  const [key, entry] = ['key', 'value'].map((prefix): tree.Name => ({
    kind: 'Name',
    name: e.temporary(prefix),
    range,
  }));
  return addKeywords(
    emitDictComprehension(
      e,
      {
        kind: 'DictComprehension',
        range,
        key,
        value: entry,
        target: { kind: 'Tuple', elements: [key, entry], range },
        iterable: { kind: 'Name', name: iterable, range },
      },
      hint,
    ),
  );
}

const isEmpty = (literal: tree.ListLiteral | tree.DictLiteral): boolean =>
  literal.kind === 'List' ? literal.elements.length === 0 : literal.entries.length === 0;

/** `tensor.tolist()` with the type it should have: the number of dimensions and the kind of element as constants. */
export function insertToList(e: Emitter, tensor: Value, type: Type): Value {
  let depth = 0n;
  let element = type;
  for (; element.kind === 'List'; element = element.element) depth++;
  const code = { int: 0n, float: 1n, bool: 2n, complex: 3n }[
    element.kind as 'int' | 'bool' | 'float' | 'complex'
  ];
  const inputs = [tensor, insertConstant(e.graph, depth), insertConstant(e.graph, code)];
  return e.graph.insert('prim::tolist', inputs, [type]).output;
}

/** `fork`: a closure that is called on another thread of control; its result is a Future. */
export function emitFork(
  e: Emitter,
  range: SourceRange,
  forked: SugaredValue,
  positional: readonly NamedValue[],
  keywords: readonly NamedValue[],
): SugaredValue {
  const node = e.graph.insert('prim::forkClosure', [], 1);
  node.source = range;
  const type = e.graph.withInsertPoint(node, (): Type => {
    if (forked instanceof ClosureValue) {
      node.addInput(forked.value);
      return forked.value.node.blocks[0].outputs[0].type;
    }
    let result!: Type;
    const closure = e.closure((block: Block) => {
      const value = forked.call(e, range, positional, keywords).asValue(e, range);
      block.addOutput(value);
      result = value.type;
    });
    node.addInput(closure.value);
    return result;
  });
  node.output.setType({ kind: 'Future', element: type });
  return new SimpleValue(node.output);
}
