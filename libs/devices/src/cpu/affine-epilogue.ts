// Elementwise work after a kernel that makes its result feature by feature, as one formula: a sum of tensors, each times a number of
// its feature, plus a number of the feature, clamped; or a number where a tensor is beyond a bound. That is bias, normalisation by
// known statistics, residual and relu, and relu's gradient, which a kernel computes in registers (native/affine.h); other groups are
// pointwise steps.
import type { Node, Value } from '@weft/ir';
import { isComplex, isFloatingPoint, numel, specOf } from '@weft/ir';
import { scalarOf, storedOutputs } from '../reference/compile.ts';
import { isHalf } from '../reference/half.ts';
import { rootOf } from '../reference/schedule.ts';
import type { Access } from './access.ts';
import { isDense, merged } from './access.ts';
import type { Word } from './step.ts';
import { doubleWord } from './step.ts';

/** A number for each feature, as arithmetic on what is in memory. */
type Row =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'load'; readonly source: Value; readonly offset: number; readonly stride: number }
  | { readonly kind: Arithmetic; readonly a: Row; readonly b: Row };
type Arithmetic = 'add' | 'subtract' | 'multiply' | 'divide';

interface Affine {
  readonly kind: 'affine';
  /** Tensors of the result's shape, dense in memory, with their factors. */
  readonly terms: ReadonlyMap<Value, Row>;
  readonly shift: Row;
  /** Applied last: at least `low`, then at most `high`. */
  readonly low: number;
  readonly high: number;
  readonly gate?: Gate;
  /** The value before it was clamped. */
  readonly base?: Value;
}

/** A number takes the place of the value where a tensor of the result's shape compares so. */
interface Gate {
  readonly tensor: Value;
  readonly direction: 'LE' | 'GE' | 'LT' | 'GT';
  readonly bound: number;
  /** Whether the comparison has to fail for it, which NaN makes it do. */
  readonly unless: boolean;
  readonly replacement: number;
}
type Formula =
  | Affine
  | { readonly kind: 'row'; readonly row: Row }
  | {
      readonly kind: 'test';
      readonly direction: string;
      readonly base: Value | undefined;
      /** What is compared, where that is a tensor as it is in memory. */
      readonly tensor: Value | undefined;
      readonly bound: number;
    };

export interface AffineEpilogue {
  /** The last node of the group, whose output is stored. */
  readonly result: Node;
  /** The kernel's own result. */
  readonly node: Node;
  readonly formula: Affine;
}

/** Tensors beside the kernel's own result (mostTerms in native/affine.h). */
const mostTerms = 2;

const constant = (value: number): Row => ({ kind: 'constant', value });
const [zero, one] = [constant(0), constant(1)];
const isConstant = (row: Row, value: number): boolean => row.kind === 'constant' && row.value === value;

function arithmetic(kind: Arithmetic, a: Row, b: Row): Row {
  if (kind === 'multiply' && isConstant(a, 1)) return b;
  if ((kind === 'multiply' || kind === 'divide') && isConstant(b, 1)) return a;
  if (kind === 'add' && isConstant(a, 0)) return b;
  if ((kind === 'add' || kind === 'subtract') && isConstant(b, 0)) return a;
  return { kind, a, b };
}

/** Whether nothing but a clamp or a gate can follow. */
const isClamped = ({ low, high, gate }: Affine): boolean =>
  low !== -Infinity || high !== Infinity || gate !== undefined;

/**
 * The formula of a group after `node`, whose features are these dimensions of its result together; undefined when it has none, or when more
 * than its last value is needed elsewhere.
 * @param accessOf how a value from outside of the group is read
 */
export function affineEpilogue(
  node: Node,
  features: readonly number[],
  group: readonly Node[],
  accessOf: (value: Value) => Access | undefined,
): AffineEpilogue | undefined {
  const { dtype, sizes } = specOf(node.output);
  if (!isFloatingPoint(dtype) || isComplex(dtype) || isHalf(dtype)) return undefined;
  const inside = new Set(group);
  if (node.output.uses.some(({ user }) => !inside.has(user))) return undefined;
  const stored = storedOutputs(group);
  if (stored.length !== 1) return undefined;
  const [result] = stored;
  if (specOf(result.output).dtype !== dtype || specOf(result.output).sizes.join() !== sizes.join())
    return undefined;
  const formulas = new Map<Value, Formula>();

  const read = (value: Value): Formula | undefined => {
    const known = formulas.get(value);
    if (known !== undefined) return known;
    if (specOf(value).dtype !== dtype) return undefined;
    const access = accessOf(value);
    if (access === undefined) return undefined;
    const { source } = access;
    const literal = source.node.kind === 'core::constant' ? source.node.get('t', 'value') : undefined;
    if (literal !== undefined && (literal.splat || numel(literal.shape) === 1)) {
      return { kind: 'row', row: constant(Number(scalarOf(literal))) };
    }
    const varying = access.strides.flatMap((stride, dimension) =>
      stride !== 0 && access.sizes[dimension] !== 1 ? [dimension] : [],
    );
    if (access.sizes.length !== sizes.length) {
      if (varying.length > 0) return undefined;
    } else if (access.offset === 0 && varying.length > 0 && isDense(access)) {
      const isOwn = rootOf(source) === node.output;
      if (isOwn || varying.some((dimension) => !features.includes(dimension))) {
        const term = isOwn ? node.output : source;
        return {
          kind: 'affine',
          terms: new Map([[term, one]]),
          shift: zero,
          low: -Infinity,
          high: Infinity,
          base: value,
        };
      }
    }
    if (rootOf(source) === node.output || varying.some((dimension) => !features.includes(dimension)))
      return undefined;
    const stride = varying.length === 0 ? 0 : strideAlong(features, access);
    if (stride === undefined) return undefined;
    return { kind: 'row', row: { kind: 'load', source, offset: access.offset, stride } };
  };

  for (const member of group) {
    const given = member.inputs.map(read);
    if (given.some((formula) => formula === undefined)) return undefined;
    const formula = combined(member, given as Formula[]);
    if (formula === undefined) return undefined;
    const isWhole = formula.kind === 'affine' && !isClamped(formula);
    formulas.set(member.output, isWhole ? { ...formula, base: member.output } : formula);
  }
  const formula = formulas.get(result.output);
  if (formula?.kind !== 'affine' || !formula.terms.has(node.output)) return undefined;
  if (formula.terms.size > 1 + mostTerms || formula.gate?.tensor === node.output) return undefined;
  return { result, node, formula };
}

/** From one feature to the next; undefined where these are not one row. */
function strideAlong(features: readonly number[], { sizes, strides }: Access): number | undefined {
  const { walks } = merged(
    features.map((dimension) => sizes[dimension]),
    [features.map((dimension) => strides[dimension])],
  );
  return walks[0].length === 1 ? walks[0][0] : undefined;
}

function combined(node: Node, given: readonly Formula[]): Formula | undefined {
  const [a, b, c] = given;
  switch (node.operator) {
    case 'add':
    case 'subtract':
      return sum(node.operator, a, b);
    case 'negate':
      return product(a, constant(-1));
    case 'multiply':
      if (b.kind === 'row') return product(a, b.row);
      return a.kind === 'row' ? product(b, a.row) : undefined;
    case 'divide':
      if (a.kind !== 'row' || b.kind !== 'row') return undefined;
      return { kind: 'row', row: arithmetic('divide', a.row, b.row) };
    case 'maximum':
      return atLeast(a, b) ?? atLeast(b, a);
    case 'minimum':
      return atMost(a, b) ?? atMost(b, a);
    case 'clamp': {
      const low = atLeast(b, a);
      return low === undefined ? undefined : atMost(low, c);
    }
    case 'compare': {
      // With `select`, relu and its like as they are differentiated.
      const bound = boundOf(b);
      if (bound === undefined || a.kind !== 'affine' || isClamped(a)) return undefined;
      const direction = node.get('s', 'comparison_direction');
      return { kind: 'test', direction, base: a.base, tensor: tensorOf(a), bound };
    }
    case 'select':
      return clamped(a, b, c) ?? gated(a, b, c);
    default:
      return undefined;
  }
}

/** The tensor that a formula is, as it is in memory. */
function tensorOf({ terms, shift }: Affine): Value | undefined {
  const [[tensor, factor]] = terms;
  return terms.size === 1 && isConstant(factor, 1) && isConstant(shift, 0) ? tensor : undefined;
}

/** A value, or a bound where the value is beyond it. */
function clamped(test: Formula, bound: Formula, value: Formula): Affine | undefined {
  if (test.kind !== 'test' || value.kind !== 'affine' || value.gate !== undefined) return undefined;
  if (value.base !== test.base || boundOf(bound) !== test.bound) return undefined;
  const { direction, bound: number } = test;
  if (direction === 'LE' && value.low === -Infinity && number <= value.high) return { ...value, low: number };
  return direction === 'GE' && value.high === Infinity && number >= value.low
    ? { ...value, high: number }
    : undefined;
}

/** A value, or a number where a tensor compares so. */
function gated(test: Formula, whenTrue: Formula, whenFalse: Formula): Affine | undefined {
  if (test.kind !== 'test' || test.tensor === undefined) return undefined;
  const { tensor, direction, bound } = test;
  const unless = whenTrue.kind === 'affine';
  const [value, other] = unless ? [whenTrue, whenFalse] : [whenFalse, whenTrue];
  const replacement = boundOf(other);
  if (value.kind !== 'affine' || value.gate !== undefined || replacement === undefined) return undefined;
  // The comparisons that native/affine.h knows.
  const isKnown = unless ? direction === 'GT' || direction === 'LT' : direction === 'LE' || direction === 'GE'; // prettier-ignore
  if (!isKnown) return undefined;
  return { ...value, gate: { tensor, direction: direction as Gate['direction'], bound, unless, replacement } }; // prettier-ignore
}

function sum(kind: 'add' | 'subtract', a: Formula, b: Formula): Formula | undefined {
  if (a.kind === 'test' || b.kind === 'test') return undefined;
  if (a.kind === 'row' && b.kind === 'row') return { kind: 'row', row: arithmetic(kind, a.row, b.row) };
  const [left, right] = [affineOf(a), affineOf(b)];
  if (isClamped(left) || isClamped(right)) return undefined;
  const terms = new Map(left.terms);
  for (const [term, factor] of right.terms)
    terms.set(term, arithmetic(kind, terms.get(term) ?? zero, factor));
  return { ...left, terms, shift: arithmetic(kind, left.shift, right.shift) };
}

const affineOf = (formula: Affine | { readonly kind: 'row'; readonly row: Row }): Affine =>
  formula.kind === 'affine'
    ? formula
    : { kind: 'affine', terms: new Map(), shift: formula.row, low: -Infinity, high: Infinity };

function product(a: Formula, row: Row): Formula | undefined {
  if (a.kind === 'row') return { kind: 'row', row: arithmetic('multiply', a.row, row) };
  if (a.kind !== 'affine' || isClamped(a)) return undefined;
  const terms = new Map([...a.terms].map(([term, factor]) => [term, arithmetic('multiply', factor, row)]));
  const shift = isConstant(a.shift, 0) ? zero : arithmetic('multiply', a.shift, row);
  return { ...a, terms, shift };
}

/** The number, which orders, that a formula is everywhere. */
function boundOf(formula: Formula): number | undefined {
  if (formula.kind !== 'row' || formula.row.kind !== 'constant' || Number.isNaN(formula.row.value))
    return undefined;
  return formula.row.value;
}
function atLeast(a: Formula, by: Formula): Affine | undefined {
  const low = boundOf(by);
  if (low === undefined || a.kind !== 'affine' || isClamped(a)) return undefined;
  return { ...a, low };
}
function atMost(a: Formula, by: Formula): Affine | undefined {
  const high = boundOf(by);
  if (high === undefined || a.kind !== 'affine' || a.high !== Infinity || a.gate !== undefined) return undefined; // prettier-ignore
  return { ...a, high };
}

const operationOf: Readonly<Record<Row['kind'], number>> = {
  constant: 0,
  load: 1,
  add: 2,
  subtract: 3,
  multiply: 4,
  divide: 5,
};

/** The words that native/affine.h reads. */
export function affineWords({ node, formula }: AffineEpilogue, slotOf: (value: Value) => number): Word[] {
  const code: Word[][] = [];
  const numbers = new Map<string, number>();
  const number = (row: Row): number => {
    let words: Word[];
    if (row.kind === 'constant') words = [operationOf.constant, doubleWord(row.value), 0, 0];
    else if (row.kind === 'load') words = [operationOf.load, slotOf(row.source), row.offset, row.stride];
    else words = [operationOf[row.kind], number(row.a), number(row.b), 0];
    const key = words.join();
    let known = numbers.get(key);
    if (known === undefined) numbers.set(key, (known = code.push(words) - 1));
    return known;
  };
  const own = number(formula.terms.get(node.output)!);
  const others = [...formula.terms]
    .filter(([term]) => term !== node.output)
    .flatMap(([term, factor]) => [slotOf(term), number(factor)]);
  const shift = number(formula.shift);
  return [
    code.length,
    ...code.flat(),
    own,
    shift,
    others.length / 2,
    ...others,
    doubleWord(formula.low),
    doubleWord(formula.high),
    ...gateWords(formula.gate, slotOf),
  ];
}

function gateWords(gate: Gate | undefined, slotOf: (value: Value) => number): Word[] {
  if (gate === undefined) return [0];
  const sign = gate.direction === 'LE' || gate.direction === 'GT' ? 1 : -1;
  return [
    gate.unless ? 2 : 1,
    slotOf(gate.tensor),
    doubleWord(sign),
    doubleWord(sign * gate.bound),
    doubleWord(gate.replacement),
  ];
}
