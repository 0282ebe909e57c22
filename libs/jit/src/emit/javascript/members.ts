// `object.name` and `object[index]` in TypeScript: properties of tensors, lists, strings and Maps under their TypeScript
// names, members of users' objects, of namespaces and of Math. Methods are in methods.ts.
import type { SourceRange, Value } from '@weft/ir';
import { IntType } from '@weft/ir';
import type * as tree from '../../frontend/tree.ts';
import { refinableName } from '../conditions.ts';
import { constantValue, insertConstant } from '../constants.ts';
import { annotationString } from '@weft/ir';
import type { Emitter } from '../emitter.ts';
import { emitExpression, emitSugared } from '../expressions.ts';
import { emitOperator, tryConvert } from '../schema-matching.ts';
import { fail } from '../script-error.ts';
import type { SugaredValue } from '../sugared-value.ts';
import { MethodValue } from '../callable-values.ts';
import { LiveConstant, SimpleValue } from '../simple-value.ts';

/** PyTorch's name of a TypeScript name: `maskedFill` → `masked_fill`, `add_` stays. */
export const snakeCase = (name: string): string =>
  name.replace(/(?<=[a-z0-9])([A-Z])/g, (letter) => `_${letter.toLowerCase()}`);

export function emitMember(e: Emitter, expression: tree.Member): SugaredValue {
  const object = emitSugared(e, expression.object);
  const member = memberOf(e, expression.range, object, expression.name);
  if (member instanceof SimpleValue && member.value.type.kind === 'Optional') {
    const path = refinableName(expression);
    if (path !== undefined && e.environment.isPresent(path)) {
      // Checked again at run time: a method that was called since may have cleared it.
      return new SimpleValue(
        emitOperator(e.graph, expression.range, 'aten::_unwrap_optional', [member.value]),
      );
    }
  }
  return member;
}

/** A constant of the live program is a value once something is done with it. */
export const settled = (e: Emitter, object: SugaredValue): SugaredValue =>
  object instanceof LiveConstant ? new SimpleValue(object.asValue(e)) : object;

export function memberOf(e: Emitter, range: SourceRange, object: SugaredValue, name: string): SugaredValue {
  object = settled(e, object);
  if (!(object instanceof SimpleValue)) return object.attr(e, range, name);
  const { value } = object;
  const { graph } = e;
  const { type } = value;
  switch (type.kind) {
    case 'List':
    case 'str':
      if (name === 'length') return new SimpleValue(emitOperator(graph, range, 'aten::len', [value]));
      break;
    case 'Tuple': {
      if (name === 'length') return new SimpleValue(insertConstant(graph, BigInt(type.elements.length)));
      const field = type.fields?.find((candidate) => candidate === name || candidate === snakeCase(name));
      if (field !== undefined) return object.attr(e, range, field);
      break;
    }
    case 'Dict':
      if (name === 'size') return new SimpleValue(emitOperator(graph, range, 'aten::len', [value]));
      // A record's entry; a Map has no such member.
      if (type.key.kind === 'str') return object.item(e, range, insertConstant(graph, name));
      break;
    case 'Tensor':
      return tensorMember(e, range, object, name);
    case 'Optional':
      fail(range, `this may be null, so its '${name}' cannot be read; test it with !== null first`);
      break;
    default:
      return object.attr(e, range, name);
  }
  fail(range, `a ${annotationString(type)} has no member '${name}' in a scripted function`);
}

function tensorMember(e: Emitter, range: SourceRange, object: SimpleValue, name: string): SugaredValue {
  const { graph } = e;
  const { value } = object;
  switch (name) {
    case 'shape':
    case 'sizes':
      return new SimpleValue(emitOperator(graph, range, 'aten::size', [value]));
    case 'ndim':
      return new SimpleValue(emitOperator(graph, range, 'aten::dim', [value]));
    case 'data':
      fail(range, "'data' is a typed array in TypeScript; use tensor operators, tolist() or item()");
      break;
    default:
  }
  const found = object.tryAttr(e, range, snakeCase(name)) ?? object.tryAttr(e, range, name);
  if (found !== undefined) return found;
  fail(range, `a Tensor has no member '${name}'`);
}

/** `object.name = value`. */
export function assignMember(
  e: Emitter,
  range: SourceRange,
  object: SugaredValue,
  name: string,
  given: Value,
  widen: boolean,
): void {
  if (object instanceof SimpleValue) {
    const { type } = object.value;
    if (type.kind === 'Dict' && type.key.kind === 'str') {
      const value = tryConvert(e.graph, range, type.value, given, { conversions: false, widen });
      emitOperator(e.graph, range, 'aten::_set_item', [object.value, insertConstant(e.graph, name), value]);
      return;
    }
    if (type.kind === 'Class') {
      const setter = type.properties.get(name)?.setter;
      if (setter !== undefined) {
        new MethodValue(object.value, setter).call(e, range, [{ range, value: given, widen }], []);
        return;
      }
      const attribute = type.attributes.find((candidate) => candidate.name === name);
      const value =
        attribute === undefined
          ? given
          : tryConvert(e.graph, range, attribute.type, given, { conversions: false, widen: true });
      object.setAttr(e, range, name, value);
      return;
    }
    fail(range, `'${name}' of a ${annotationString(type)} cannot be assigned in a scripted function`);
  }
  object.setAttr(e, range, name, given);
}

/** `object[index]`. */
export function emitElement(e: Emitter, { object, index, range }: tree.Element): SugaredValue {
  const sugared = settled(e, emitSugared(e, object));
  if (!(sugared instanceof SimpleValue)) {
    if (index.kind === 'String') return memberOf(e, range, sugared, index.value);
    return sugared.item(e, range, emitExpression(e, index));
  }
  const { type } = sugared.value;
  if (type.kind === 'Optional') fail(range, 'this may be null; test it with !== null before it is indexed');
  if (type.kind === 'Tensor') {
    fail(
      range,
      'a tensor has no elements in TypeScript; use x.select(0, i), x.narrow(…) or x.indexSelect(…)',
    );
  }
  const position = emitExpression(e, index, type.kind === 'Dict' ? type.key : IntType);
  const constant = constantValue(position);
  if (type.kind !== 'Dict' && typeof constant === 'bigint' && constant < 0n) {
    fail(range, `index ${constant} is undefined in TypeScript; use .at(${constant}) to count from the end`);
  }
  if (type.kind === 'Dict' && type.key.kind !== position.type.kind) {
    fail(
      range,
      `the keys are ${annotationString(type.key)}, but a ${annotationString(position.type)} is given`,
    );
  }
  if (type.kind !== 'Dict' && position.type.kind !== 'int') {
    fail(
      index.range,
      `an index must be an int, but this is a ${annotationString(position.type)}; declare it as 'int', or use Math.floor or Math.trunc`,
    );
  }
  return sugared.item(e, range, position);
}
