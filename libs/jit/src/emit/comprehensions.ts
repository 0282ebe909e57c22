// `[f(x) for x in xs]` and `{k: v for …}`: an empty container that a loop fills, in a scope of its own.
import type { Type, Value } from '@weft/ir';
import { AnyTensorType, StringType, dictOf, listOf } from '@weft/ir';
import type * as tree from '../frontend/tree.ts';
import { emitCondition } from './conditions.ts';
import type { Emitter } from './emitter.ts';
import { emitExpression, emitSugared, itemHint } from './expressions.ts';
import { emitOperator } from './schema-matching.ts';
import { fail } from './script-error.ts';
import type { SugaredValue } from './sugared-value.ts';

/** Runs `body` for each element, in a scope whose variables do not leak. */
function inScope(
  e: Emitter,
  { target, condition, range }: Pick<tree.Comprehension, 'target' | 'condition' | 'range'>,
  iterable: SugaredValue,
  body: () => void,
): void {
  const block = e.graph.insert('prim::ComprehensionScope', [], 0).addBlock();
  e.withFrame(block, () => {
    e.emitFor(range, target, iterable, () => {
      if (condition === undefined) body();
      else e.emitBranches(range, emitCondition(e, condition), body, () => {});
    });
  });
}

/** Fills a list: `element` is emitted in the loop, whose target is bound. */
export function emitListLoop(
  e: Emitter,
  comprehension: Pick<tree.Comprehension, 'target' | 'condition' | 'range'>,
  iterable: SugaredValue,
  element: (hint: Type | undefined) => Value,
  hint: Type | undefined,
): Value {
  const { range } = comprehension;
  const wanted = hint?.kind === 'Optional' ? hint.element : hint;
  if (wanted !== undefined && wanted.kind !== 'List')
    fail(range, 'a list is made here, but something else is expected');
  const list = e.graph.insert('prim::ListConstruct', [], [wanted ?? listOf(AnyTensorType)]).output;
  let known = wanted !== undefined;
  inScope(e, comprehension, iterable, () => {
    const value = element(itemHint(wanted?.element));
    if (!known) list.setType(listOf(value.type));
    known = true;
    emitOperator(e.graph, range, 'aten::append', [list, value]);
  });
  return list;
}

export function emitComprehension(
  e: Emitter,
  comprehension: tree.Comprehension,
  hint: Type | undefined,
): Value {
  const { iterable, element } = comprehension;
  const source = emitSugared(e, iterable).iterable(e, iterable.range);
  return emitListLoop(e, comprehension, source, (type) => emitExpression(e, element, type), hint);
}

export function emitDictComprehension(
  e: Emitter,
  comprehension: tree.DictComprehension,
  hint: Type | undefined,
): Value {
  const { range, iterable, key, value } = comprehension;
  if (hint !== undefined && hint.kind !== 'Dict')
    fail(range, 'a dict is made here, but something else is expected');
  const dict = e.graph.insert('prim::DictConstruct', [], [hint ?? dictOf(StringType, AnyTensorType)]).output;
  let known = hint !== undefined;
  const source = emitSugared(e, iterable).iterable(e, iterable.range);
  inScope(e, comprehension, source, () => {
    const keyValue = emitExpression(e, key, itemHint(hint?.key));
    const entry = emitExpression(e, value, itemHint(hint?.value));
    if (!known) dict.setType(dictOf(keyValue.type, entry.type));
    known = true;
    emitOperator(e.graph, range, 'aten::_set_item', [dict, keyValue, entry]);
  });
  return dict;
}
