// Default values of parameters: literals, and names of constants.
import type { IValue, Type } from '@weft/ir';
import { TupleValue, tagContainer } from '@weft/ir';
import type * as tree from '../frontend/tree.ts';
import { constantValue } from './constants.ts';
import type { Resolver } from './resolver.ts';
import { fail } from './script-error.ts';
import { LiveConstant, SimpleValue } from './simple-value.ts';

/** The value of a default expression for a parameter of type `type`. */
export function defaultValue(
  context: { readonly resolver: Resolver },
  expression: tree.Expression,
  type: Type,
): IValue {
  const inner = type.kind === 'Optional' ? type.element : type;
  const element = inner.kind === 'List' ? inner.element : inner;
  switch (expression.kind) {
    case 'Widen':
      return defaultValue(context, expression.operand, type);
    case 'Int':
      return expression.value;
    case 'Float':
      return expression.value;
    case 'Number':
      return inner.kind === 'float' ? expression.value : BigInt(expression.value);
    case 'String':
    case 'Bool':
      return expression.value;
    case 'None':
      return null;
    case 'Unary':
      if (expression.operator === 'neg') {
        const value = defaultValue(context, expression.operand, type);
        if (typeof value === 'bigint' || typeof value === 'number') return -value;
      }
      break;
    case 'List':
      return tagContainer(
        expression.elements.map((item) => defaultValue(context, item, element)),
        inner,
      );
    case 'Tuple': {
      const types = inner.kind === 'Tuple' ? inner.elements : [];
      return new TupleValue(
        expression.elements.map((item, index) => defaultValue(context, item, types[index] ?? element)),
      );
    }
    case 'Name':
    case 'Select':
    case 'Member': {
      const found = constantOf(context, expression);
      if (found !== undefined) {
        return typeof found === 'bigint' && inner.kind === 'float' ? Number(found) : found;
      }
      break;
    }
    default:
  }
  fail(expression.range, 'a default value must be a constant');
}

function constantOf(
  { resolver }: { readonly resolver: Resolver },
  expression: tree.Expression,
): IValue | undefined {
  if (expression.kind !== 'Name') return undefined;
  const value = resolver.value(expression.name, expression.range);
  if (value instanceof LiveConstant) return value.value;
  return value instanceof SimpleValue ? constantValue(value.value) : undefined;
}
