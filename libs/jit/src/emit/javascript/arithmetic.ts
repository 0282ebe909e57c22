// TypeScript's operators on numbers and strings, and `===`. Tensors have no operators there: eager code would silently make
// text of them, so the error says which method to call.
import type { SourceRange, Type, Value } from '@weft/ir';
import type * as tree from '../../frontend/tree.ts';
import { emitCondition } from '../conditions.ts';
import { insertConstant } from '../constants.ts';
import { annotationString } from '@weft/ir';
import type { Emitter } from '../emitter.ts';
import { emitExpression } from '../expressions.ts';
import { binaryOperators } from '../operators.ts';
import { emitOperator } from '../schema-matching.ts';
import { fail } from '../script-error.ts';
import { textOf } from './template.ts';

const signs: Readonly<Partial<Record<tree.BinaryOperator, [sign: string, method: string]>>> = {
  add: ['+', 'add'],
  sub: ['-', 'sub'],
  mul: ['*', 'mul'],
  div: ['/', 'div'],
  pow: ['**', 'pow'],
  rem: ['%', 'fmod'],
};

export function emitArithmetic(e: Emitter, expression: tree.Arithmetic, hint: Type | undefined): Value {
  // A literal beside a float is a float: the graph then holds no conversion.
  const wanted = hint?.kind === 'float' && expression.operator !== 'div' ? hint : undefined;
  const left = emitExpression(e, expression.left, wanted);
  const right = emitExpression(e, expression.right, wanted);
  return emitArithmeticOn(e, expression.range, expression.operator, left, right);
}

export function emitArithmeticOn(
  e: Emitter,
  range: SourceRange,
  operator: tree.BinaryOperator,
  left: Value,
  right: Value,
): Value {
  const { graph } = e;
  if (operator === 'add' && (left.type.kind === 'str' || right.type.kind === 'str')) {
    return emitOperator(graph, range, 'aten::add', [textOf(e, range, left), textOf(e, range, right)]);
  }
  const operands = [left, right].map((value) => numberOf(e, range, operator, value));
  const name = binaryOperators[operator];
  switch (operator) {
    case 'rem': {
      const remainder = emitOperator(graph, range, name, operands);
      const ints = operands.every((value) => value.type.kind === 'int');
      return ints ? emitOperator(graph, range, 'aten::Int', [remainder]) : remainder;
    }
    case 'and32':
    case 'or32':
    case 'xor32':
      return toInt32(
        e,
        range,
        emitOperator(
          graph,
          range,
          name,
          operands.map((value) => intOf(e, range, value)),
        ),
      );
    case 'shl32':
    case 'shr32': {
      const [value, count] = operands.map((operand) => intOf(e, range, operand));
      const masked = emitOperator(graph, range, 'aten::__and__', [count, e.int(31n)]);
      const shifted = emitOperator(graph, range, name, [toInt32(e, range, value), masked]);
      return toInt32(e, range, shifted);
    }
    default:
      return emitOperator(graph, range, name, operands);
  }
}

/** The operand as a number; enum members stand for their value. */
function numberOf(e: Emitter, range: SourceRange, operator: tree.BinaryOperator, value: Value): Value {
  const { kind } = value.type;
  if (kind === 'int' || kind === 'float' || kind === 'number') return value;
  if (kind === 'bool') return emitOperator(e.graph, range, 'aten::Int', [value]);
  if (kind === 'Enum') return e.graph.insert('prim::EnumValue', [value], [value.type.valueType]).output;
  const [sign, method] = signs[operator] ?? [operator.replace('32', ''), undefined];
  if (kind === 'Tensor') {
    const remedy = method === undefined ? '' : `; write a.${method}(b)`;
    fail(range, `'${sign}' does not work on tensors in TypeScript${remedy}`);
  }
  fail(range, `'${sign}' needs numbers, but this is a ${annotationString(value.type)}`);
}

const intOf = (e: Emitter, range: SourceRange, value: Value): Value =>
  value.type.kind === 'int' ? value : emitOperator(e.graph, range, 'aten::Int', [value]);

/** JavaScript's bit operators see 32 bits. */
function toInt32(e: Emitter, range: SourceRange, value: Value): Value {
  const offset = e.int(2n ** 31n);
  const moved = emitOperator(e.graph, range, 'aten::add', [value, offset]);
  const low = emitOperator(e.graph, range, 'aten::__and__', [moved, e.int(2n ** 32n - 1n)]);
  return emitOperator(e.graph, range, 'aten::sub', [low, offset]);
}

/** `a === b`: numbers, strings and booleans by value, objects by identity. */
export function emitStrictComparison(e: Emitter, expression: tree.Compare): Value {
  const { left, right, operator, range } = expression;
  if (left.kind === 'None' || right.kind === 'None') return emitCondition(e, expression).value;
  const equal = strictlyEqual(
    e,
    range,
    emitExpression(e, left),
    emitExpression(e, right),
    operator === 'differ',
  );
  return equal;
}

const comparedByValue: ReadonlySet<string> = new Set([
  'int',
  'float',
  'number',
  'str',
  'bool',
  'Enum',
  'Device',
]);

export function strictlyEqual(e: Emitter, range: SourceRange, a: Value, b: Value, negated = false): Value {
  const { graph } = e;
  const inner = [a, b].map((value) => (value.type.kind === 'Optional' ? value.type.element : value.type));
  if (inner.every(({ kind }) => comparedByValue.has(kind))) {
    const optional = [a, b].findIndex((value) => value.type.kind === 'Optional');
    if (optional >= 0) {
      // null equals nothing but null.
      const value = optional === 0 ? a : b;
      const other = optional === 0 ? b : a;
      const none = insertConstant(graph, null);
      const present = emitOperator(graph, range, 'aten::__isnot__', [value, none]);
      const result = e.emitIfExpression(
        range,
        { value: present, refinements: { whenTrue: [], whenFalse: [] } },
        () => strictlyEqual(e, range, e.uncheckedCast(value, inner[optional]), other),
        () =>
          other.type.kind === 'Optional'
            ? emitOperator(graph, range, 'aten::__is__', [other, insertConstant(graph, null)])
            : insertConstant(graph, false),
      );
      return negated ? emitOperator(graph, range, 'aten::__not__', [result]) : result;
    }
    const numeric = (kind: string): boolean => kind === 'int' || kind === 'float' || kind === 'number';
    const [first, second] = inner;
    if (first.kind === second.kind || (numeric(first.kind) && numeric(second.kind))) {
      return emitOperator(graph, range, negated ? 'aten::ne' : 'aten::eq', [a, b]);
    }
    const members = [a, b].map((value) =>
      value.type.kind === 'Enum'
        ? graph.insert('prim::EnumValue', [value], [value.type.valueType]).output
        : value,
    );
    if (members[0] !== a || members[1] !== b) return strictlyEqual(e, range, members[0], members[1], negated);
    fail(range, `a ${annotationString(a.type)} never equals a ${annotationString(b.type)}`);
  }
  return emitOperator(graph, range, negated ? 'aten::__isnot__' : 'aten::__is__', [a, b]);
}
