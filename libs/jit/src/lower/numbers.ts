// Arithmetic on numbers that depend on tensor data (`x.item()`, a counter of a loop that runs on the device). Each is a 0-d
// core value; Python's operators on them become core operators.
import type { CoreBuilder, IValue, Value } from '@weft/ir';
import { Complex, UnsupportedError } from '@weft/ir';
import type { NumberKind } from './symbolic.ts';
import { SymbolicTensor, isSymbolic, numberDType } from './symbolic.ts';

export function numberKindOf(value: IValue): NumberKind | undefined {
  if (isSymbolic(value)) return value.numberKind;
  switch (typeof value) {
    case 'bigint':
      return 'int';
    case 'number':
      return 'float';
    case 'boolean':
      return 'bool';
    default:
      return value instanceof Complex ? 'complex' : undefined;
  }
}

/** The number as a 0-d core value of the dtype of `kind`. */
export function numberValue(b: CoreBuilder, value: IValue, kind: NumberKind): Value {
  const dtype = numberDType[kind];
  if (isSymbolic(value)) return b.convert(value.read(b), dtype);
  if (value instanceof Complex) {
    return b.complex(b.full(value.re, 'float64'), b.full(value.im, 'float64'));
  }
  return b.full(value as bigint | number | boolean, dtype);
}

const rank: readonly NumberKind[] = ['bool', 'int', 'float', 'complex'];
const wider = (a: NumberKind, b: NumberKind): NumberKind => (rank.indexOf(a) > rank.indexOf(b) ? a : b);

type Unary = (b: CoreBuilder, x: Value, kind: NumberKind) => Value;
type Binary = (b: CoreBuilder, x: Value, y: Value, kind: NumberKind) => Value;

/** Floor of the quotient, and the remainder with the divisor's sign. */
function floorDivide(b: CoreBuilder, x: Value, y: Value, kind: NumberKind): Value {
  if (kind === 'float') return b.floor(b.divide(x, y));
  const quotient = b.divide(x, y);
  const isUneven = b.compare(b.multiply(quotient, y), x, 'NE');
  const differ = b.compare(b.compare(x, b.fullLike(x, 0), 'LT'), b.compare(y, b.fullLike(y, 0), 'LT'), 'NE');
  return b.select(b.and(isUneven, differ), b.subtract(quotient, b.fullLike(quotient, 1)), quotient);
}
const floorModulo: Binary = (b, x, y, kind) => b.subtract(x, b.multiply(floorDivide(b, x, y, kind), y));

/** Result kinds: 'same' as the wider operand (at least int), or a fixed one. */
const binary: Readonly<Record<string, readonly [Binary, NumberKind | 'same']>> = {
  'aten::add': [(b, x, y) => b.add(x, y), 'same'],
  'aten::sub': [(b, x, y) => b.subtract(x, y), 'same'],
  'aten::mul': [(b, x, y) => b.multiply(x, y), 'same'],
  'aten::floordiv': [floorDivide, 'same'],
  'aten::remainder': [floorModulo, 'same'],
  'prim::min': [(b, x, y) => b.minimum(x, y), 'same'],
  'prim::max': [(b, x, y) => b.maximum(x, y), 'same'],
  'aten::div': [(b, x, y) => b.divide(x, y), 'float'],
  'aten::pow': [(b, x, y) => b.power(x, y), 'float'],
  'aten::lt': [(b, x, y) => b.compare(x, y, 'LT'), 'bool'],
  'aten::le': [(b, x, y) => b.compare(x, y, 'LE'), 'bool'],
  'aten::gt': [(b, x, y) => b.compare(x, y, 'GT'), 'bool'],
  'aten::ge': [(b, x, y) => b.compare(x, y, 'GE'), 'bool'],
  'aten::eq': [(b, x, y) => b.compare(x, y, 'EQ'), 'bool'],
  'aten::ne': [(b, x, y) => b.compare(x, y, 'NE'), 'bool'],
  'aten::__and__': [(b, x, y) => b.and(x, y), 'same'],
  'aten::__or__': [(b, x, y) => b.or(x, y), 'same'],
  'aten::__xor__': [(b, x, y) => b.xor(x, y), 'same'],
};
const bitwise = new Set(['aten::__and__', 'aten::__or__', 'aten::__xor__']);

const unary: Readonly<Record<string, readonly [Unary, NumberKind | 'same']>> = {
  'aten::neg': [(b, x) => b.negate(x), 'same'],
  'prim::abs': [(b, x) => b.abs(x), 'same'],
  'aten::__not__': [(b, x) => b.not(x), 'bool'],
  'aten::Float': [(b, x) => b.convert(x, 'float64'), 'float'],
  'aten::Int': [(b, x) => b.convert(x, 'int64'), 'int'],
  'aten::Bool': [(b, x) => b.convert(x, 'bool'), 'bool'],
  'aten::floor': [(b, x, kind) => (kind === 'float' ? b.convert(b.floor(x), 'int64') : x), 'int'],
  'aten::ceil': [(b, x, kind) => (kind === 'float' ? b.convert(b.ceil(x), 'int64') : x), 'int'],
  'aten::round': [(b, x) => b.roundNearestEven(b.convert(x, 'float64')), 'float'],
};

/** Functions of a float. */
const functions: Readonly<Record<string, (b: CoreBuilder, x: Value) => Value>> = {
  'aten::sqrt': (b, x) => b.sqrt(x),
  'aten::exp': (b, x) => b.exponential(x),
  'aten::log': (b, x) => b.log(x),
  'aten::sin': (b, x) => b.sine(x),
  'aten::cos': (b, x) => b.cosine(x),
  'aten::tan': (b, x) => b.tan(x),
  'aten::tanh': (b, x) => b.tanh(x),
  'aten::fabs': (b, x) => b.abs(x),
};

/** `and` and `or` of booleans of which one, being known, decides or does not matter. */
function shortCircuit(operator: string, [a, b]: readonly IValue[]): IValue | undefined {
  if (operator !== 'aten::__and__' && operator !== 'aten::__or__') return undefined;
  const known = typeof a === 'boolean' ? a : typeof b === 'boolean' ? b : undefined;
  if (known === undefined) return undefined;
  const other = typeof a === 'boolean' ? b : a;
  return known === (operator === 'aten::__or__') ? known : other;
}

/**
 * The operator `kind` (such as `aten::add`) on numbers of which at least one is symbolic.
 * Throws UnsupportedError naming it when a number known only at run time cannot be used there.
 */
export function evaluateNumbers(b: CoreBuilder, operator: string, args: readonly IValue[]): IValue {
  const kinds = args.map(numberKindOf);
  const one = unary[operator];
  if (one !== undefined && args.length === 1) {
    const [apply, result] = one;
    const kind = kinds[0]!;
    return SymbolicTensor.of(
      apply(b, numberValue(b, args[0], kind), kind),
      result === 'same' ? kind : result,
    );
  }
  const fn = functions[operator];
  if (fn !== undefined && args.length === 1) {
    return SymbolicTensor.of(fn(b, numberValue(b, args[0], 'float')), 'float');
  }
  const decided = shortCircuit(operator, args);
  if (decided !== undefined) return decided;
  const two = binary[operator];
  if (two !== undefined && args.length === 2 && kinds[0] !== undefined && kinds[1] !== undefined) {
    const [apply, result] = two;
    const common = wider(kinds[0], kinds[1]);
    const least: NumberKind = result === 'float' ? wider(common, 'float') : common;
    const kind = least === 'bool' && result === 'same' && !bitwise.has(operator) ? 'int' : least;
    const [x, y] = args.map((arg) => numberValue(b, arg, kind));
    return SymbolicTensor.of(apply(b, x, y, kind), result === 'same' ? kind : result);
  }
  throw new UnsupportedError(
    `${operator} needs a value that is known only when the program runs; a compiled graph cannot do that with it`,
  );
}
