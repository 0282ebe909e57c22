// `a ?? b`, `a || b` and `a && b` where they give one of their operands.
import type { Type, Value } from '@weft/ir';
import type * as tree from '../../frontend/tree.ts';
import { emitCondition, truthOf } from '../conditions.ts';
import { insertConstant, isNone } from '../constants.ts';
import type { Emitter } from '../emitter.ts';
import { emitExpression, isWidening } from '../expressions.ts';
import { noRefinements } from '../refinements.ts';
import { emitOperator } from '../schema-matching.ts';
import { fail } from '../script-error.ts';

export function emitFallback(e: Emitter, expression: tree.Fallback, hint: Type | undefined): Value {
  const { when, left, right, range } = expression;
  const { graph } = e;
  const first = emitExpression(e, left);
  const { type } = first;
  const widen = isWidening(left) || isWidening(right);
  if (when === 'none') {
    if (isNone(first)) return emitExpression(e, right, hint);
    if (type.kind !== 'Optional') return first;
    const { element } = type;
    const present = emitOperator(graph, range, 'aten::__isnot__', [first, insertConstant(graph, null)]);
    return e.emitIfExpression(
      range,
      { value: present, refinements: noRefinements },
      () => e.uncheckedCast(first, element),
      () => emitExpression(e, right, hint ?? element),
      widen,
    );
  }
  if (type.kind === 'Optional') {
    const { element } = type;
    const condition = emitCondition(e, { kind: 'Truthy', operand: left, range });
    if (when === 'truthy') fail(range, `'&&' here gives null or a value; write it with ? :`);
    return e.emitIfExpression(
      range,
      condition,
      () => e.uncheckedCast(first, element),
      () => emitExpression(e, right, hint ?? element),
      widen,
    );
  }
  const truth = truthOf(e, range, first);
  const taken = (): Value => first;
  const other = (): Value => emitExpression(e, right, hint ?? type);
  const [then, otherwise] = when === 'falsy' ? [taken, other] : [other, taken];
  return e.emitIfExpression(range, { value: truth, refinements: noRefinements }, then, otherwise, widen);
}
