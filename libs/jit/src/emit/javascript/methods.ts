// Methods of arrays, strings and Maps in TypeScript, each a rule that emits operators with JavaScript's meaning.
import type { SourceRange, Type, Value } from '@weft/ir';
import { BoolType, IntType, listOf } from '@weft/ir';
import type * as tree from '../../frontend/tree.ts';
import { emitListLoop } from '../comprehensions.ts';
import { emitCondition } from '../conditions.ts';
import { constantValue, insertConstant } from '../constants.ts';
import { annotationString } from '@weft/ir';
import type { Emitter } from '../emitter.ts';
import { emitExpression, isWidening } from '../expressions.ts';
import { noRefinements } from '../refinements.ts';
import { emitOperator, tryConvert } from '../schema-matching.ts';
import { fail } from '../script-error.ts';
import { enumerated } from '../special-forms.ts';
import type { SugaredValue } from '../sugared-value.ts';
import { SimpleValue } from '../simple-value.ts';
import { sliceValue } from '../subscripts.ts';
import { strictlyEqual } from './arithmetic.ts';

interface Site {
  readonly e: Emitter;
  readonly range: SourceRange;
  readonly self: Value;
  readonly given: readonly tree.Expression[];
  readonly hint: Type | undefined;
}
type Method = (site: Site) => Value | SugaredValue;

/** Whether `name` is a method of TypeScript's library on such a value. */
export const hasMethod = (value: Value, name: string): boolean => {
  const table = methodTables[value.type.kind];
  return table !== undefined && Object.hasOwn(table, name);
};

export function emitMethod(
  e: Emitter,
  range: SourceRange,
  self: Value,
  name: string,
  given: readonly tree.Expression[],
  hint: Type | undefined,
): SugaredValue {
  const result = methodTables[self.type.kind]![name]({ e, range, self, given, hint });
  return 'asValue' in result ? result : new SimpleValue(result);
}

/** Emits the body of a function literal whose parameters are bound. */
export const emitArrow = (e: Emitter, arrow: tree.Arrow, hint?: Type): Value => {
  const value = emitExpression(e, arrow.body, hint);
  return hint === undefined
    ? value
    : tryConvert(e.graph, arrow.range, hint, value, { conversions: false, widen: isWidening(arrow.body) });
};

const strip = (expression: tree.Expression): tree.Expression =>
  expression.kind === 'Widen' ? expression.operand : expression;

function argument({ e, given, range }: Site, index: number, hint?: Type): Value {
  const expression = given[index];
  if (expression === undefined) fail(range, `argument ${index + 1} is missing`);
  const value = emitExpression(e, expression, hint);
  return hint === undefined
    ? value
    : tryConvert(e.graph, expression.range, hint, value, {
        conversions: false,
        widen: isWidening(expression),
      });
}
const optionalArgument = (site: Site, index: number, hint?: Type): Value | undefined =>
  site.given[index] === undefined ? undefined : argument(site, index, hint);

/** Calls an operator with self and every argument. */
const operator =
  (name: string): Method =>
  (site) =>
    emitOperator(site.e.graph, site.range, name, [
      site.self,
      ...site.given.map((_, index) => argument(site, index)),
    ]);

function arrowOf({ given, range }: Site): tree.Arrow {
  const arrow = given[0] && strip(given[0]);
  if (arrow?.kind !== 'Arrow') fail(range, 'a function literal is expected here, such as (x) => x * 2');
  return arrow;
}

const elementType = (self: Value): Type => (self.type.kind === 'List' ? self.type.element : self.type);

/** What the parameters of `(element, index) => …` walk over. */
function walked(site: Site, arrow: tree.Arrow): { target: tree.Expression; iterable: SugaredValue } {
  const { e, range, self } = site;
  const list = new SimpleValue(self);
  const [element, index] = arrow.parameters;
  const unused: tree.Expression = { kind: 'Name', name: e.temporary('unused'), range };
  if (index === undefined) return { target: element ?? unused, iterable: list };
  return {
    target: { kind: 'Tuple', elements: [index, element], range },
    iterable: enumerated(e, range, list),
  };
}

const noValue = (site: Site): Value => insertConstant(site.e.graph, null);

const listMethods: Readonly<Record<string, Method>> = {
  push(site) {
    const { e, range, self } = site;
    for (const index of site.given.keys()) {
      emitOperator(e.graph, range, 'aten::append', [self, argument(site, index, elementType(self))]);
    }
    return emitOperator(e.graph, range, 'aten::len', [self]);
  },
  unshift(site) {
    const { e, range, self } = site;
    const value = argument(site, 0, elementType(self));
    emitOperator(e.graph, range, 'aten::insert', [self, e.int(0n), value]);
    return emitOperator(e.graph, range, 'aten::len', [self]);
  },
  pop: ({ e, range, self }) =>
    emitOperator(e.graph, range, 'aten::pop', [self, insertConstant(e.graph, -1n)]),
  shift: ({ e, range, self }) =>
    emitOperator(e.graph, range, 'aten::pop', [self, insertConstant(e.graph, 0n)]),
  at: (site) =>
    emitOperator(site.e.graph, site.range, 'aten::__getitem__', [site.self, argument(site, 0, IntType)]),
  slice: sliced,
  concat(site) {
    const { e, range } = site;
    return site.given.reduce<Value>(
      (joined, _, index) => {
        const next = argument(site, index, site.self.type);
        if (next.type.kind !== 'List')
          fail(range, 'concat takes lists here; use [...xs, y] to add an element');
        return emitOperator(e.graph, range, 'aten::add', [joined, next]);
      },
      emitOperator(e.graph, range, 'aten::list', [site.self]),
    );
  },
  includes: (site) => search(site, 'includes'),
  indexOf: (site) => search(site, 'indexOf'),
  reverse({ e, range, self }) {
    emitOperator(e.graph, range, 'aten::reverse', [self]);
    return self;
  },
  toReversed({ e, range, self }) {
    const copy = emitOperator(e.graph, range, 'aten::list', [self]);
    emitOperator(e.graph, range, 'aten::reverse', [copy]);
    return copy;
  },
  sort(site) {
    sortInPlace(site, site.self);
    return site.self;
  },
  toSorted(site) {
    const copy = emitOperator(site.e.graph, site.range, 'aten::list', [site.self]);
    sortInPlace(site, copy);
    return copy;
  },
  fill(site) {
    const { e, range, self } = site;
    const value = argument(site, 0, elementType(self));
    const target: tree.Name = { kind: 'Name', name: e.temporary('index'), range };
    const { iterable } = { iterable: enumerated(e, range, new SimpleValue(self)) };
    const rest: tree.Name = { kind: 'Name', name: e.temporary('unused'), range };
    e.emitFor(range, { kind: 'Tuple', elements: [target, rest], range }, iterable, () => {
      emitOperator(e.graph, range, 'aten::_set_item', [self, emitExpression(e, target), value]);
    });
    return self;
  },
  join(site) {
    const { e, range, self } = site;
    if (elementType(self).kind !== 'str')
      fail(range, 'join is for lists of strings; map the elements to text first');
    const separator = optionalArgument(site, 0) ?? insertConstant(e.graph, ',');
    return emitOperator(e.graph, range, 'aten::join', [separator, self]);
  },
  map(site) {
    const arrow = arrowOf(site);
    const { target, iterable } = walked(site, arrow);
    return emitListLoop(
      site.e,
      { target, range: site.range },
      iterable,
      (type) => emitArrow(site.e, arrow, type),
      site.hint,
    );
  },
  filter(site) {
    const { e, range, self } = site;
    const arrow = arrowOf(site);
    const [element] = arrow.parameters;
    if (element === undefined) fail(range, 'filter needs a function of the element');
    const { target, iterable } = walked(site, arrow);
    const condition: tree.Expression = {
      kind: 'Truthy',
      operand: strip(arrow.body),
      range: arrow.body.range,
    };
    return emitListLoop(
      e,
      { target, condition, range },
      iterable,
      () => emitExpression(e, element),
      self.type,
    );
  },
  forEach(site) {
    const arrow = arrowOf(site);
    const { target, iterable } = walked(site, arrow);
    site.e.emitFor(site.range, target, iterable, () => void emitExpression(site.e, arrow.body));
    return noValue(site);
  },
  some: (site) => quantified(site, true),
  every: (site) => quantified(site, false),
  reduce: reduced,
  keys: (site) => {
    const { e, range, self } = site;
    const length = emitOperator(e.graph, range, 'aten::len', [self]);
    return e.rangeTo(range, length);
  },
  values: ({ self }) => self,
  entries: ({ e, range, self }) => enumerated(e, range, new SimpleValue(self)),
};

/** `slice(start?, end?)` of lists and strings. */
function sliced(site: Site): Value {
  const bounds = [optionalArgument(site, 0, IntType), optionalArgument(site, 1, IntType)];
  return sliceValue(site.e, site.range, site.self, undefined, bounds);
}

/** The position of a value in a list, or whether there is one. */
function search(site: Site, what: 'includes' | 'indexOf'): Value {
  const { e, range, self } = site;
  const wanted = argument(site, 0, elementType(self));
  const { kind } = elementType(self);
  if (what === 'includes' && (kind === 'int' || kind === 'float' || kind === 'str')) {
    return emitOperator(e.graph, range, 'aten::__contains__', [self, wanted]);
  }
  const found = e.temporary('found');
  const index: tree.Name = { kind: 'Name', name: e.temporary('index'), range };
  const element: tree.Name = { kind: 'Name', name: e.temporary('element'), range };
  e.environment.set(range, found, new SimpleValue(insertConstant(e.graph, -1n)));
  const iterable = enumerated(e, range, new SimpleValue(self));
  e.emitFor(range, { kind: 'Tuple', elements: [index, element], range }, iterable, () => {
    const equal = strictlyEqual(e, range, emitExpression(e, element), wanted);
    const condition = { value: equal, refinements: noRefinements };
    const read = (): Value => emitExpression(e, { kind: 'Name', name: found, range });
    e.emitBranches(
      range,
      condition,
      () => {
        const first = emitOperator(e.graph, range, 'aten::lt', [read(), e.int(0n)]);
        e.emitBranches(
          range,
          { value: first, refinements: noRefinements },
          () => e.environment.set(range, found, new SimpleValue(emitExpression(e, index))),
          () => {},
        );
      },
      () => {},
    );
  });
  const position = emitExpression(e, { kind: 'Name', name: found, range });
  return what === 'indexOf' ? position : emitOperator(e.graph, range, 'aten::ge', [position, e.int(0n)]);
}

/** `sort((a, b) => a - b)`: JavaScript's own order is that of texts, so numbers need the function. */
function sortInPlace(site: Site, list: Value): void {
  const { e, range, given } = site;
  const { kind } = elementType(list);
  let descending = false;
  if (given.length > 0) {
    const arrow = arrowOf(site);
    const [a, b] = arrow.parameters;
    const body = strip(arrow.body);
    const name = (expression: tree.Expression | undefined): string | undefined =>
      expression !== undefined && strip(expression).kind === 'Name'
        ? (strip(expression) as tree.Name).name
        : undefined;
    const left = body.kind === 'Arithmetic' && body.operator === 'sub' ? name(body.left) : undefined;
    const right = body.kind === 'Arithmetic' ? name(body.right) : undefined;
    if (left !== undefined && left === name(b) && right === name(a)) descending = true;
    else if (left === undefined || left !== name(a) || right !== name(b)) {
      fail(arrow.range, 'lists are sorted by (a, b) => a - b or (a, b) => b - a here');
    }
    if (kind !== 'int' && kind !== 'float')
      fail(range, `(a, b) => a - b sorts numbers, not ${annotationString(elementType(list))}`);
  } else if (kind !== 'str') {
    fail(range, 'without a function, sort compares texts; give it (a, b) => a - b');
  }
  emitOperator(e.graph, range, 'aten::sort', [list, insertConstant(e.graph, descending)]);
}

function quantified(site: Site, some: boolean): Value {
  const { e, range } = site;
  const arrow = arrowOf(site);
  const result = e.temporary('result');
  e.environment.set(range, result, new SimpleValue(insertConstant(e.graph, !some)));
  const { target, iterable } = walked(site, arrow);
  const read: tree.Name = { kind: 'Name', name: result, range };
  const test: tree.Expression = { kind: 'Truthy', operand: strip(arrow.body), range };
  e.emitFor(range, target, iterable, () => {
    const condition = emitCondition(e, { kind: some ? 'Or' : 'And', left: read, right: test, range });
    e.environment.set(range, result, new SimpleValue(condition.value));
  });
  return emitExpression(e, read, BoolType);
}

/** `reduce((total, x) => …, start)`. */
function reduced(site: Site): Value {
  const { e, range, given } = site;
  const arrow = arrowOf(site);
  const [total, ...rest] = arrow.parameters;
  if (given[1] === undefined || total?.kind !== 'Name')
    fail(range, 'reduce needs a function (total, x) => … and a start');
  const isFloat =
    elementType(site.self).kind === 'float' ||
    site.hint?.kind === 'float' ||
    e.floatVariables.has(total.name);
  e.widenable.add(total.name);
  const start = argument(site, 1, isFloat && isWidening(given[1]) ? { kind: 'float' } : undefined);
  e.environment.set(range, total.name, new SimpleValue(start));
  const { target, iterable } = walked(site, { ...arrow, parameters: rest });
  e.emitFor(range, target, iterable, () => {
    e.environment.set(range, total.name, new SimpleValue(emitExpression(e, arrow.body)), undefined, true);
  });
  return emitExpression(e, total);
}

const stringMethods: Readonly<Record<string, Method>> = {
  toUpperCase: operator('aten::upper'),
  toLowerCase: operator('aten::lower'),
  trim: operator('aten::strip'),
  trimStart: operator('aten::lstrip'),
  trimEnd: operator('aten::rstrip'),
  startsWith: operator('aten::startswith'),
  endsWith: operator('aten::endswith'),
  indexOf: operator('aten::find'),
  lastIndexOf: operator('aten::rfind'),
  replaceAll: operator('aten::replace'),
  padStart: operator('aten::rjust'),
  padEnd: operator('aten::ljust'),
  slice: sliced,
  substring: sliced,
  at: listMethods.at,
  includes(site) {
    const { e, range, self } = site;
    const position = emitOperator(e.graph, range, 'aten::find', [self, argument(site, 0)]);
    return emitOperator(e.graph, range, 'aten::ge', [position, e.int(0n)]);
  },
  replace(site) {
    const { e, range, self } = site;
    return emitOperator(e.graph, range, 'aten::replace', [
      self,
      argument(site, 0),
      argument(site, 1),
      e.int(1n),
    ]);
  },
  split(site) {
    const { e, range, self } = site;
    const separator = argument(site, 0);
    if (constantValue(separator) === '') return emitOperator(e.graph, range, 'aten::list', [self]);
    return emitOperator(e.graph, range, 'aten::split', [self, separator]);
  },
  concat(site) {
    const { e, range } = site;
    return site.given.reduce<Value>(
      (text, _, index) => emitOperator(e.graph, range, 'aten::add', [text, argument(site, index)]),
      site.self,
    );
  },
  charAt(site) {
    const { e, range, self } = site;
    const start = argument(site, 0, IntType);
    const stop = emitOperator(e.graph, range, 'aten::add', [start, e.int(1n)]);
    return sliceValue(e, range, self, undefined, [start, stop]);
  },
  charCodeAt(site) {
    const { e, range, self } = site;
    const letter = emitOperator(e.graph, range, 'aten::__getitem__', [self, argument(site, 0, IntType)]);
    return emitOperator(e.graph, range, 'aten::ord', [letter]);
  },
  repeat(site) {
    const { e, range, self } = site;
    const one = e.graph.insert('prim::ListConstruct', [self], [listOf({ kind: 'str' })]).output;
    const many = emitOperator(e.graph, range, 'aten::mul', [one, argument(site, 0, IntType)]);
    return emitOperator(e.graph, range, 'aten::join', [insertConstant(e.graph, ''), many]);
  },
  toString: ({ self }: Site) => self,
};

const keyOf = (self: Value): Type => (self.type.kind === 'Dict' ? self.type.key : self.type);

const mapMethods: Readonly<Record<string, Method>> = {
  get: (site) =>
    emitOperator(site.e.graph, site.range, 'aten::get', [site.self, argument(site, 0, keyOf(site.self))]),
  has: (site) =>
    emitOperator(site.e.graph, site.range, 'aten::__contains__', [
      site.self,
      argument(site, 0, keyOf(site.self)),
    ]),
  set(site) {
    const { e, range, self } = site;
    if (self.type.kind !== 'Dict') return self;
    const entry = [argument(site, 0, self.type.key), argument(site, 1, self.type.value)];
    emitOperator(e.graph, range, 'aten::_set_item', [self, ...entry]);
    return self;
  },
  delete(site) {
    const { e, range, self } = site;
    const key = argument(site, 0, keyOf(self));
    const present = emitOperator(e.graph, range, 'aten::__contains__', [self, key]);
    e.emitBranches(
      range,
      { value: present, refinements: noRefinements },
      () => void emitOperator(e.graph, range, 'aten::Delete', [self, key]),
      () => {},
    );
    return present;
  },
  clear: (site) => emitOperator(site.e.graph, site.range, 'aten::clear', [site.self]),
  keys: (site) => emitOperator(site.e.graph, site.range, 'aten::keys', [site.self]),
  values: (site) => emitOperator(site.e.graph, site.range, 'aten::values', [site.self]),
  entries: (site) => emitOperator(site.e.graph, site.range, 'aten::items', [site.self]),
};

const numberMethods: Readonly<Record<string, Method>> = {
  toString: ({ e, range, self, given }: Site) => {
    if (given.length > 0) fail(range, 'toString takes no radix in a scripted function');
    return emitOperator(e.graph, range, 'aten::str', [self]);
  },
};

const methodTables: Readonly<Record<string, Readonly<Record<string, Method>> | undefined>> = {
  List: listMethods,
  str: stringMethods,
  Dict: mapMethods,
  int: numberMethods,
};
