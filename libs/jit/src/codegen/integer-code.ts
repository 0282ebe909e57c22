// Integer operators as plain arithmetic, where the intervals of operands and result allow it: on 32 bits as V8 computes
// best, else on exact numbers. What is not proven is left to the functions of integers.ts.
import type { Value } from '@weft/ir';
import type { Range, Ranges } from './ranges.ts';
import { isInt32 } from './ranges.ts';

/** An operand: its expression, and what it can be. */
interface Operand {
  readonly text: string;
  readonly range: Range | undefined;
}

type Rule = (operands: readonly Operand[], result: Range | undefined) => string | undefined;

const known = (operands: readonly Operand[]): boolean => operands.every(({ range }) => range !== undefined);
const narrow = (operands: readonly Operand[], result: Range | undefined): boolean =>
  isInt32(result) && operands.every(({ range }) => isInt32(range));

const sum =
  (operator: '+' | '-'): Rule =>
  (operands, result) => {
    if (result === undefined || !known(operands)) return undefined;
    const text = operands.map((operand) => operand.text).join(` ${operator} `);
    return narrow(operands, result) ? `(${text} | 0)` : `(${text})`;
  };

const bits =
  (operator: string): Rule =>
  (operands) =>
    operands.every(({ range }) => isInt32(range))
      ? `(${operands.map(({ text }) => text).join(` ${operator} `)})`
      : undefined;

const rules: Readonly<Record<string, Rule>> = {
  'aten::add.int': sum('+'),
  'aten::sub.int': sum('-'),
  'aten::neg.int': ([a], result) =>
    result === undefined || a.range === undefined
      ? undefined
      : narrow([a], result)
        ? `(0 - ${a.text} | 0)`
        : `(0 - ${a.text})`,
  'aten::mul.int'(operands, result) {
    if (result === undefined || !known(operands)) return undefined;
    const [a, b] = operands;
    if (narrow(operands, result)) return `Math.imul(${a.text}, ${b.text})`;
    // Adding zero turns -0, which no integer is, into 0.
    const isPositive = a.range!.low >= 0 && b.range!.low >= 0;
    return isPositive ? `(${a.text} * ${b.text})` : `(${a.text} * ${b.text} + 0)`;
  },
  'aten::remainder.int'([a, b]) {
    if (a.range === undefined || a.range.low < 0 || b.range === undefined || b.range.low <= 0)
      return undefined;
    const rest = `${a.text} % ${b.text}`;
    return isInt32(a.range) && isInt32(b.range) ? `(${rest} | 0)` : `(${rest})`;
  },
  'aten::floordiv.int'([a, b]) {
    if (!isInt32(a.range) || a.range.low < 0 || !isInt32(b.range) || b.range.low <= 0) return undefined;
    return `(${a.text} / ${b.text} | 0)`;
  },
  'aten::__and__.int': bits('&'),
  'aten::__or__.int': bits('|'),
  'aten::__xor__.int': bits('^'),
};

/** Whether a function of integers.ts (or plain arithmetic) can throw for these operands. */
export const mayFail = (name: string, ranges: readonly (Range | undefined)[]): boolean =>
  (name === 'aten::remainder.int' || name === 'aten::floordiv.int') &&
  (ranges[1] === undefined || (ranges[1].low <= 0 && ranges[1].high >= 0));

/** The expression of an operator's result; undefined where its interval does not tell that one would be exact. */
export function integerExpression(
  name: string,
  inputs: readonly Value[],
  output: Value,
  ranges: Ranges,
  textOf: (value: Value) => string,
): string | undefined {
  const rule = rules[name];
  if (rule === undefined) return undefined;
  const operand = (value: Value): Operand => ({ text: textOf(value), range: ranges.get(value) });
  if (name === 'aten::remainder.int') {
    const once = subtractedOnce(inputs, ranges, textOf);
    if (once !== undefined) return once;
  }
  return rule(inputs.map(operand), ranges.get(output));
}

/**
 * The remainder of what is below twice the divisor m: m is taken away where the sign of m - 1 - x says so, which takes a
 * fraction of the time of a division. Of a sum a + b, that sign is computed from the later operand in one step.
 */
function subtractedOnce(
  [x, m]: readonly Value[],
  ranges: Ranges,
  textOf: (value: Value) => string,
): string | undefined {
  const [of, divisor] = [ranges.get(x), ranges.get(m)];
  if (divisor === undefined || divisor.low !== divisor.high || !isInt32(divisor)) return undefined;
  const { high } = divisor;
  if (!isInt32(of) || of.low < 0 || of.high >= 2 * high) return undefined;
  let rest = `${high - 1} - ${textOf(x)}`;
  const terms = x.node.kind === 'aten::add' && !x.isParameter ? x.node.inputs : [];
  if (terms.length === 2 && terms.every((term) => isInt32(ranges.get(term)))) {
    const [early, late] = isEarly(terms[1]) ? [terms[1], terms[0]] : terms;
    const { low, high: most } = ranges.get(early)!;
    if (isInt32({ low: high - 1 - most, high: high - 1 - low })) {
      rest = `(${high - 1} - ${textOf(early)} | 0) - ${textOf(late)}`;
    }
  }
  return `(${textOf(x)} - (${high} & (${rest}) >> 31) | 0)`;
}

/** Whether a loop hands on this value from what it had when the turn began. */
function isEarly(value: Value): boolean {
  const { block } = value.node;
  if (!value.isParameter || block?.owner?.kind !== 'prim::Loop') return false;
  return block.outputs[block.inputs.indexOf(value)].isParameter;
}
