// TypeScript's own library in scripted functions: Math, Number, Object. Each function is a rule that emits operators.
import type { SourceRange, Value } from '@weft/ir';
import { insertConstant } from '../constants.ts';
import { annotationString } from '@weft/ir';
import type { Emitter } from '../emitter.ts';
import { noRefinements } from '../refinements.ts';
import { emitOperator } from '../schema-matching.ts';
import { fail } from '../script-error.ts';
import { SimpleValue } from '../simple-value.ts';
import { SugaredValue } from '../sugared-value.ts';
import { textOf } from './template.ts';

/** Math's functions and constants. */
export class MathValue extends SugaredValue {
  readonly kind = 'Math';
  override attr(e: Emitter, range: SourceRange, name: string): SugaredValue {
    const constant = mathConstants[name];
    if (constant !== undefined) return new SimpleValue(insertConstant(e.graph, constant));
    if (Object.hasOwn(mathFunctions, name)) return new MathFunction(name);
    fail(range, `Math.${name} is not supported in a scripted function`);
  }
}

const mathConstants: Readonly<Record<string, number | undefined>> = {
  PI: Math.PI,
  E: Math.E,
  LN2: Math.LN2,
  LN10: Math.LN10,
  LOG2E: Math.LOG2E,
  LOG10E: Math.LOG10E,
  SQRT2: Math.SQRT2,
  SQRT1_2: Math.SQRT1_2,
};

type MathEmitter = (e: Emitter, range: SourceRange, operands: readonly Value[]) => Value;

const plain =
  (operator: string): MathEmitter =>
  (e, range, operands) =>
    emitOperator(e.graph, range, operator, operands);
/** Ints are whole already. */
const rounding =
  (round: MathEmitter): MathEmitter =>
  (e, range, operands) =>
    operands[0].type.kind === 'int' ? operands[0] : round(e, range, [toFloat(e, range, operands[0])]);
const extreme =
  (operator: string): MathEmitter =>
  (e, range, operands) =>
    operands.reduce((best, next) => emitOperator(e.graph, range, operator, [best, next]));

const toFloat = (e: Emitter, range: SourceRange, value: Value): Value =>
  value.type.kind === 'float' ? value : emitOperator(e.graph, range, 'aten::Float', [value]);

const mathFunctions: Readonly<Record<string, MathEmitter>> = {
  floor: rounding(plain('aten::floor')),
  ceil: rounding(plain('aten::ceil')),
  trunc: rounding(plain('aten::Int')),
  // JavaScript rounds halves up.
  round: rounding((e, range, [value]) => {
    const moved = emitOperator(e.graph, range, 'aten::add', [value, insertConstant(e.graph, 0.5)]);
    return emitOperator(e.graph, range, 'aten::floor', [moved]);
  }),
  abs: plain('prim::abs'),
  min: extreme('prim::min'),
  max: extreme('prim::max'),
  pow: plain('aten::pow'),
  sqrt: plain('aten::sqrt'),
  exp: plain('aten::exp'),
  log: plain('aten::log'),
  log2: (e, range, [value]) => {
    // Math.log2 is exact for powers of two, as is log(x) / log(2) rounded by aten::log with a base.
    return emitOperator(e.graph, range, 'aten::log', [toFloat(e, range, value), insertConstant(e.graph, 2)]);
  },
  log10: plain('aten::log10'),
  log1p: plain('aten::log1p'),
  expm1: plain('aten::expm1'),
  sin: plain('aten::sin'),
  cos: plain('aten::cos'),
  tan: plain('aten::tan'),
  asin: plain('aten::asin'),
  acos: plain('aten::acos'),
  atan: plain('aten::atan'),
  atan2: plain('aten::atan2'),
  sinh: plain('aten::sinh'),
  cosh: plain('aten::cosh'),
  tanh: plain('aten::tanh'),
  asinh: plain('aten::asinh'),
  acosh: plain('aten::acosh'),
  atanh: plain('aten::atanh'),
  hypot: (e, range, operands) => {
    const squares = operands.map((value) => emitOperator(e.graph, range, 'aten::mul', [value, value]));
    const sum = squares.reduce((total, next) => emitOperator(e.graph, range, 'aten::add', [total, next]));
    return emitOperator(e.graph, range, 'aten::sqrt', [sum]);
  },
  sign: (e, range, [value]) => {
    const zero = e.int(0n);
    const [above, below] = ['aten::gt', 'aten::lt'].map((operator) =>
      emitOperator(e.graph, range, 'aten::Int', [emitOperator(e.graph, range, operator, [value, zero])]),
    );
    return emitOperator(e.graph, range, 'aten::sub', [above, below]);
  },
};

class MathFunction extends SugaredValue {
  readonly kind = 'a function of Math';
  constructor(private readonly name: string) {
    super();
  }
  override call(e: Emitter, range: SourceRange, positional: readonly { value: Value }[]): SugaredValue {
    const values = positional.map(({ value }) => value);
    if (values.length === 0) fail(range, `Math.${this.name} takes at least one number`);
    for (const { type } of values) {
      if (type.kind === 'Tensor')
        fail(range, `Math.${this.name} takes numbers; for a tensor write x.${this.name}()`);
      if (type.kind === 'List' && values.length === 1 && (this.name === 'min' || this.name === 'max')) {
        return new SimpleValue(emitOperator(e.graph, range, `prim::${this.name}`, values));
      }
      if (!['int', 'float', 'number', 'bool'].includes(type.kind)) {
        fail(range, `Math.${this.name} takes numbers, but this is a ${annotationString(type)}`);
      }
    }
    return new SimpleValue(mathFunctions[this.name](e, range, values));
  }
}

/** A module's namespace or an object that only groups functions; its members are resolved one by one. */
export class NamespaceValue extends SugaredValue {
  readonly kind = 'a namespace';
  constructor(private readonly lookUp: (name: string, range: SourceRange) => SugaredValue | undefined) {
    super();
  }
  override attr(_e: Emitter, range: SourceRange, name: string): SugaredValue {
    const found = this.lookUp(name, range);
    if (found === undefined) fail(range, `there is no '${name}' here`);
    return found;
  }
}

/** A function of TypeScript's library that is emitted by a rule (`Number.isNaN`, `Object.keys`, `Array.from`). */
export class RuleFunction extends SugaredValue {
  readonly kind = 'a library function';
  constructor(readonly rule: (e: Emitter, range: SourceRange, values: readonly Value[]) => Value) {
    super();
  }
  override call(e: Emitter, range: SourceRange, positional: readonly { value: Value }[]): SugaredValue {
    return new SimpleValue(
      this.rule(
        e,
        range,
        positional.map(({ value }) => value),
      ),
    );
  }
}

const numberRules: Readonly<
  Record<string, (e: Emitter, range: SourceRange, values: readonly Value[]) => Value>
> = {
  isNaN: (e, range, [value]) => emitOperator(e.graph, range, 'aten::isnan', [toFloat(e, range, value)]),
  isFinite: (e, range, [value]) => emitOperator(e.graph, range, 'aten::isfinite', [toFloat(e, range, value)]),
  isInteger: (e, range, [value]) => {
    if (value.type.kind === 'int') return insertConstant(e.graph, true);
    const float = toFloat(e, range, value);
    const finite = emitOperator(e.graph, range, 'aten::isfinite', [float]);
    return e.emitIfExpression(
      range,
      { value: finite, refinements: noRefinements },
      () =>
        emitOperator(e.graph, range, 'aten::eq', [
          float,
          emitOperator(e.graph, range, 'aten::floor', [float]),
        ]),
      () => insertConstant(e.graph, false),
    );
  },
  parseFloat: (e, range, [value]) => emitOperator(e.graph, range, 'aten::Float', [value]),
};
const objectRules: Readonly<
  Record<string, (e: Emitter, range: SourceRange, values: readonly Value[]) => Value>
> = {
  keys: (e, range, [value]) => emitOperator(e.graph, range, 'aten::keys', [value]),
  values: (e, range, [value]) => emitOperator(e.graph, range, 'aten::values', [value]),
  entries: (e, range, [value]) => emitOperator(e.graph, range, 'aten::items', [value]),
};

/** What the names of TypeScript's own library mean in a scripted function. */
export function libraryValue(name: string): SugaredValue | undefined {
  const rules =
    (table: typeof numberRules) =>
    (member: string): SugaredValue | undefined =>
      Object.hasOwn(table, member) ? new RuleFunction(table[member]) : undefined;
  switch (name) {
    case 'Math':
      return new MathValue();
    case 'Object':
      return new NamespaceValue(rules(objectRules));
    case 'isNaN':
    case 'isFinite':
      return new RuleFunction(numberRules[name]);
    case 'Number':
      return new CallableNamespace(rules(numberRules), (e, range, [value]) =>
        ['int', 'float', 'number'].includes(value.type.kind) ? value : toFloat(e, range, value),
      );
    default:
      return undefined;
  }
}

/** `Number.isNaN(x)` and `Number(x)`. */
class CallableNamespace extends NamespaceValue {
  constructor(
    lookUp: (name: string, range: SourceRange) => SugaredValue | undefined,
    private readonly rule: (e: Emitter, range: SourceRange, values: readonly Value[]) => Value,
  ) {
    super(lookUp);
  }
  override call(e: Emitter, range: SourceRange, positional: readonly { value: Value }[]): SugaredValue {
    return new SimpleValue(
      this.rule(
        e,
        range,
        positional.map(({ value }) => value),
      ),
    );
  }
}

/** `console.log(…)`: prim::Print. */
export class PrintFunction extends SugaredValue {
  readonly kind = 'a function that prints';
  static console(): SugaredValue {
    return new NamespaceValue((name) =>
      name === 'log' || name === 'info' ? new PrintFunction() : undefined,
    );
  }
  override call(e: Emitter, range: SourceRange, positional: readonly { value: Value }[]): SugaredValue {
    e.graph.insert(
      'prim::Print',
      positional.map(({ value }) => (printsAsText(value) ? textOf(e, range, value) : value)),
      0,
    );
    return new SimpleValue(insertConstant(e.graph, null));
  }
}

const printsAsText = (value: Value): boolean => ['float', 'number', 'bool', 'Enum'].includes(value.type.kind);
