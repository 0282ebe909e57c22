// Operators on numbers, booleans, strings, lists and dicts that generated code computes in place. Operands come as
// expressions, integers as integers.ts holds them; the values and errors are those of the host operators.

/** The expression for a call; R holds the functions of support.ts. */
export type Inline = (...operands: string[]) => string;

const infix =
  (operator: string): Inline =>
  (a, b) =>
    `(${a} ${operator} ${b})`;
const call =
  (name: string): Inline =>
  (...operands) =>
    `R.${name}(${operands.join(', ')})`;

const comparisons: Record<string, string> = { lt: '<', le: '<=', gt: '>', ge: '>=', eq: '===', ne: '!==' };

export const inlineOperators: ReadonlyMap<string, Inline> = new Map<string, Inline>([
  ['aten::add.int', call('addIntegers')],
  ['aten::sub.int', call('subtractIntegers')],
  ['aten::mul.int', call('multiplyIntegers')],
  ['aten::remainder.int', call('moduloIntegers')],
  ['aten::floordiv.int', call('divideIntegers')],
  ['aten::neg.int', call('negateInteger')],
  ['aten::add.float', infix('+')],
  ['aten::sub.float', infix('-')],
  ['aten::mul.float', infix('*')],
  ['aten::neg.float', (a) => `(-${a})`],
  ['aten::add.str', infix('+')],
  ['aten::lower', call('lower')],
  ['aten::upper', call('upper')],
  ['aten::__not__', (a) => `(!${a})`],
  ['aten::__and__.bool', infix('&&')],
  ['aten::__or__.bool', infix('||')],
  ['aten::__is__', infix('===')],
  ['aten::__isnot__', infix('!==')],
  ...Object.entries(comparisons).flatMap(([name, operator]) =>
    (name === 'eq' || name === 'ne' ? ['int', 'float', 'str', 'bool'] : ['int', 'float']).map(
      (overload) => [`aten::${name}.${overload}`, infix(operator)] as const,
    ),
  ),
  ['aten::len.t', (list) => `${list}.length`],
  ['aten::len.Dict_str', (dict) => `${dict}.size`],
  ['aten::__contains__.str', (dict, key) => `${dict}.has(${key})`],
  ['aten::__getitem__.Dict_str', call('dictItem')],
  ['aten::_set_item.str', (dict, key, value) => `${dict}.set(${key}, ${value})`],
  ['aten::__getitem__.t', call('listItem')],
  ['aten::append.t', (list, item) => `R.append(${list}, ${item})`],
]);

const fallible: ReadonlySet<string> = new Set(['aten::__getitem__.Dict_str', 'aten::__getitem__.t']);

/** Whether one of these operators never throws (a division does when it is by zero). */
export const cannotFail = (name: string): boolean => !fallible.has(name);
