// Template strings, and values turned into text: JavaScript writes true, 1 (for 1.0) and 1.5.
import type { SourceRange, Value } from '@weft/ir';
import type * as tree from '../../frontend/tree.ts';
import { insertConstant } from '../constants.ts';
import { annotationString } from '@weft/ir';
import type { Emitter } from '../emitter.ts';
import { emitExpression } from '../expressions.ts';
import { emitBuiltin, emitOperator } from '../schema-matching.ts';
import { fail } from '../script-error.ts';

export function emitTemplate(e: Emitter, { parts, range }: tree.Template): Value {
  const holes = parts.filter((part) => typeof part !== 'string');
  if (holes.length === 0) return insertConstant(e.graph, parts.join(''));
  if (parts.some((part) => typeof part === 'string' && part.includes('{}'))) {
    // '{}' is a hole for aten::format: such text is joined instead.
    const texts = parts.map((part) =>
      typeof part === 'string'
        ? insertConstant(e.graph, part)
        : textOf(e, part.range, emitExpression(e, part)),
    );
    return texts.reduce((joined, next) => emitOperator(e.graph, range, 'aten::add', [joined, next]));
  }
  const format = parts.map((part) => (typeof part === 'string' ? part : '{}')).join('');
  const values = holes.map((hole) => textOf(e, hole.range, emitExpression(e, hole)));
  return emitBuiltin(
    e.graph,
    range,
    'aten::format',
    [insertConstant(e.graph, format), ...values].map((value) => ({ range, value })),
  );
}

/** The text that JavaScript makes of a value. */
export function textOf(e: Emitter, range: SourceRange, value: Value): Value {
  const { graph } = e;
  switch (value.type.kind) {
    case 'str':
      return value;
    case 'int':
      return emitOperator(graph, range, 'aten::str', [value]);
    case 'bool':
      return choose(e, range, value, 'true', 'false');
    case 'float':
    case 'number':
      return numberText(e, range, value);
    case 'Enum':
      return textOf(e, range, graph.insert('prim::EnumValue', [value], [value.type.valueType]).output);
    case 'Optional': {
      const { element } = value.type;
      const none = insertConstant(graph, null);
      const present = emitOperator(graph, range, 'aten::__isnot__', [value, none]);
      return e.emitIfExpression(
        range,
        { value: present, refinements: { whenTrue: [], whenFalse: [] } },
        () => textOf(e, range, e.uncheckedCast(value, element)),
        () => insertConstant(graph, 'null'),
      );
    }
    case 'None':
      return insertConstant(graph, 'null');
    default:
      fail(range, `a ${annotationString(value.type)} cannot be made into text in a scripted function`);
  }
}

const choose = (e: Emitter, range: SourceRange, condition: Value, yes: string, no: string): Value =>
  e.emitIfExpression(
    range,
    { value: condition, refinements: { whenTrue: [], whenFalse: [] } },
    () => insertConstant(e.graph, yes),
    () => insertConstant(e.graph, no),
  );

/** A whole float is written without its point. */
function numberText(e: Emitter, range: SourceRange, value: Value): Value {
  const { graph } = e;
  const float = value.type.kind === 'float' ? value : emitOperator(graph, range, 'aten::Float', [value]);
  const size = emitOperator(graph, range, 'prim::abs', [float]);
  const small = emitOperator(graph, range, 'aten::lt', [size, insertConstant(graph, 2 ** 53)]);
  const whole = e.emitIfExpression(
    range,
    { value: small, refinements: { whenTrue: [], whenFalse: [] } },
    () => {
      const int = emitOperator(graph, range, 'aten::Int', [float]);
      return emitOperator(graph, range, 'aten::eq', [int, float]);
    },
    () => insertConstant(graph, false),
  );
  return e.emitIfExpression(
    range,
    { value: whole, refinements: { whenTrue: [], whenFalse: [] } },
    () => emitOperator(graph, range, 'aten::str', [emitOperator(graph, range, 'aten::Int', [float])]),
    () => emitOperator(graph, range, 'aten::str', [float]),
  );
}
