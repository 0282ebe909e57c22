// The small syntax tree that every front end makes and the emitter reads. It is Python's TorchScript language, plus a
// node of its own wherever TypeScript means something else: the emitter never asks which language a tree came from.
//
//   what                 Python                      TypeScript
//   literal `2`          Int (always an int)         Number (an int, or a float where one is wanted)
//   truth of a value     Condition (aten::Bool)      Truthy (0, NaN, '' and null are false; objects are true)
//   and, or as values    And, Or (bool)              And, Or of Truthy (bool); Fallback for `a || b`, `a ?? b` as values
//   `%`                  Binary 'mod' (divisor's sign) Binary 'rem' (dividend's sign)
//   `//`, `@`, `<<` …    Binary 'floordiv', 'shl' …  Binary 'shl32' … (32-bit operands, as JavaScript)
//   arithmetic           Binary (also on tensors)    Arithmetic (numbers and strings only)
//   equality             Compare 'eq', 'ne'          Compare 'same', 'differ' (`===`, `!==`)
//   member               Select `x.masked_fill`      Member `x.maskedFill`, `xs.length`
//   index                Subscript (negative: from the end; slices, tensors)   Element
//   call                 Apply (keywords)            Invoke (keywords are a last object literal), New
//   iteration            For (dict: keys)            ForOf (Map: entries)
//   text with holes      Format                      Template (JavaScript's number and boolean spelling)
//   conversion           a value keeps its type      Widen (an int becomes a float where one is wanted)
//
// Everything else is common. Types stand in the tree as expressions in Python's spelling (`List[int]`, `Optional[Tensor]`),
// whichever language they came from.
import type { SourceRange } from '@weft/ir';

interface Ranged {
  readonly range: SourceRange;
}

/** A function or method. `parameters` of a method include its `self`. */
export interface Def extends Ranged {
  readonly kind: 'Def';
  readonly name: string;
  readonly parameters: readonly Parameter[];
  /** Absent: inferred from the body's returns. */
  readonly returns?: TypeExpression;
  readonly body: readonly Statement[];
}

export interface Parameter extends Ranged {
  readonly name: string;
  /** Absent: Tensor. */
  readonly type?: TypeExpression;
  readonly default?: Expression;
  readonly keywordOnly?: boolean;
}

/** A class of an archive (`class Main(Module)`), an interface, a named tuple or an enum: the base says which. */
export interface ClassDef extends Ranged {
  readonly kind: 'ClassDef';
  readonly name: string;
  readonly bases: readonly Expression[];
  /** Assign statements (attributes with their annotation, `__parameters__`, constants) and Defs, in order. */
  readonly body: readonly (Statement | Def)[];
}

/** One file of an archive. */
export interface SourceModule extends Ranged {
  readonly kind: 'SourceModule';
  readonly body: readonly (ClassDef | Def | Statement)[];
}

/** A type, written as Python writes it. */
export type TypeExpression = Expression;

// ---- Statements -------------------------------------------------------------------------------------------------

export type Statement =
  | ExpressionStatement
  | Assign
  | AugmentedAssign
  | Return
  | If
  | While
  | For
  | ForOf
  | Break
  | Continue
  | Pass
  | Raise
  | Assert
  | Delete
  | With
  | LocalFunction;

export interface ExpressionStatement extends Ranged {
  readonly kind: 'ExpressionStatement';
  readonly expression: Expression;
}

/**
 * `a = b = value`, `a: T = value`, `a: T` (no value). A target is a Name, Select/Member, Subscript/Element, or a
 * Tuple/List of targets with at most one Starred.
 */
export interface Assign extends Ranged {
  readonly kind: 'Assign';
  readonly targets: readonly Expression[];
  readonly type?: TypeExpression;
  readonly value?: Expression;
  /**
   * The first assignment of a TypeScript variable that has no annotation: when it starts as an int and is given a
   * float later, it is a float from the start (TypeScript knows only `number`).
   */
  readonly declares?: boolean;
}

/** `target op= value`; in place on tensors and lists with Binary operators, as Python. */
export interface AugmentedAssign extends Ranged {
  readonly kind: 'AugmentedAssign';
  readonly operator: BinaryOperator;
  readonly target: Expression;
  readonly value: Expression;
}

export interface Return extends Ranged {
  readonly kind: 'Return';
  /** Absent: returns None. */
  readonly value?: Expression;
}

export interface If extends Ranged {
  readonly kind: 'If';
  /** A Condition or Truthy, or And, Or, Not of them. */
  readonly test: Expression;
  readonly then: readonly Statement[];
  readonly otherwise: readonly Statement[];
}

export interface While extends Ranged {
  readonly kind: 'While';
  readonly test: Expression;
  readonly body: readonly Statement[];
}

/** `for target in iterable`: ranges, lists, tuples and module lists (unrolled), dict keys, strings, tensors, zip… */
export interface For extends Ranged {
  readonly kind: 'For';
  readonly target: Expression;
  readonly iterable: Expression;
  readonly body: readonly Statement[];
}

/** TypeScript's `for (const target of iterable)`; a counted `for (;;)` arrives as For over a Range or as While. */
export interface ForOf extends Ranged {
  readonly kind: 'ForOf';
  readonly target: Expression;
  readonly iterable: Expression;
  readonly body: readonly Statement[];
}

export interface Break extends Ranged {
  readonly kind: 'Break';
}
export interface Continue extends Ranged {
  readonly kind: 'Continue';
}
export interface Pass extends Ranged {
  readonly kind: 'Pass';
}

/** `raise exception`; the exception is a class, or a call of one with its message. */
export interface Raise extends Ranged {
  readonly kind: 'Raise';
  readonly exception: Expression;
}

export interface Assert extends Ranged {
  readonly kind: 'Assert';
  readonly test: Expression;
  readonly message?: Expression;
}

export interface Delete extends Ranged {
  readonly kind: 'Delete';
  readonly targets: readonly Expression[];
}

export interface With extends Ranged {
  readonly kind: 'With';
  readonly items: readonly { readonly context: Expression; readonly target?: Expression }[];
  readonly body: readonly Statement[];
}

/** A function inside a function (a closure that is forked). */
export interface LocalFunction extends Ranged {
  readonly kind: 'LocalFunction';
  readonly def: Def;
}

// ---- Expressions ------------------------------------------------------------------------------------------------

export type Expression =
  | Name
  | Int
  | Float
  | Imaginary
  | NumberLiteral
  | StringLiteral
  | BoolLiteral
  | NoneLiteral
  | EllipsisLiteral
  | ListLiteral
  | TupleLiteral
  | DictLiteral
  | ObjectLiteral
  | Comprehension
  | DictComprehension
  | Format
  | Template
  | Unary
  | Binary
  | Arithmetic
  | Compare
  | Condition
  | Truthy
  | Not
  | And
  | Or
  | Fallback
  | Ternary
  | Select
  | Member
  | Subscript
  | Slice
  | Element
  | Apply
  | Invoke
  | New
  | Starred
  | Range
  | Arrow
  | Widen
  | Cast;

export interface Name extends Ranged {
  readonly kind: 'Name';
  /** Unique in the function: a front end renames variables that shadow others. */
  readonly name: string;
}

export interface Int extends Ranged {
  readonly kind: 'Int';
  readonly value: bigint;
}
export interface Float extends Ranged {
  readonly kind: 'Float';
  readonly value: number;
}
/** `2j` */
export interface Imaginary extends Ranged {
  readonly kind: 'Imaginary';
  readonly value: number;
}
/** TypeScript's literal with an integral value and no point or exponent; others are Float. */
export interface NumberLiteral extends Ranged {
  readonly kind: 'Number';
  readonly value: number;
}
export interface StringLiteral extends Ranged {
  readonly kind: 'String';
  readonly value: string;
}
export interface BoolLiteral extends Ranged {
  readonly kind: 'Bool';
  readonly value: boolean;
}
export interface NoneLiteral extends Ranged {
  readonly kind: 'None';
}
export interface EllipsisLiteral extends Ranged {
  readonly kind: 'Ellipsis';
}
export interface ListLiteral extends Ranged {
  readonly kind: 'List';
  readonly elements: readonly Expression[];
}
export interface TupleLiteral extends Ranged {
  readonly kind: 'Tuple';
  readonly elements: readonly Expression[];
  /** As a target, TypeScript's: there may be more values than targets, which take the first. */
  readonly takesFirst?: boolean;
}
export interface DictLiteral extends Ranged {
  readonly kind: 'Dict';
  readonly entries: readonly { readonly key: Expression; readonly value: Expression }[];
}
/** TypeScript's `{ a: 1, b }`: keywords of a call, or a dict with string keys where one is expected. */
export interface ObjectLiteral extends Ranged {
  readonly kind: 'Object';
  readonly entries: readonly {
    readonly name: string;
    readonly value: Expression;
    readonly range: SourceRange;
  }[];
}
/** `[element for target in iterable]`; with a condition, TypeScript's `filter`. */
export interface Comprehension extends Ranged {
  readonly kind: 'Comprehension';
  readonly element: Expression;
  readonly target: Expression;
  readonly iterable: Expression;
  readonly condition?: Expression;
}
export interface DictComprehension extends Ranged {
  readonly kind: 'DictComprehension';
  readonly key: Expression;
  readonly value: Expression;
  readonly target: Expression;
  readonly iterable: Expression;
  readonly condition?: Expression;
}
/** An f-string: text and holes alternate, Python's spelling of values. */
export interface Format extends Ranged {
  readonly kind: 'Format';
  readonly parts: readonly (string | Expression)[];
}
/** A template string: JavaScript's spelling of values. */
export interface Template extends Ranged {
  readonly kind: 'Template';
  readonly parts: readonly (string | Expression)[];
}

export type UnaryOperator = 'neg' | 'pos' | 'invert' | 'invert32';
export interface Unary extends Ranged {
  readonly kind: 'Unary';
  readonly operator: UnaryOperator;
  readonly operand: Expression;
}

/** Operators of both languages; see the table above for those that only one of them has. */
export type BinaryOperator =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'pow'
  | 'mod'
  | 'rem'
  | 'floordiv'
  | 'matmul'
  | 'and'
  | 'or'
  | 'xor'
  | 'shl'
  | 'shr'
  | 'and32'
  | 'or32'
  | 'xor32'
  | 'shl32'
  | 'shr32';
export interface Binary extends Ranged {
  readonly kind: 'Binary';
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
}
/** TypeScript's operators: numbers, and `add` of strings. Tensors have no operators there. */
export interface Arithmetic extends Ranged {
  readonly kind: 'Arithmetic';
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
}

export type CompareOperator =
  'lt' | 'le' | 'gt' | 'ge' | 'eq' | 'ne' | 'is' | 'isnot' | 'in' | 'notin' | 'same' | 'differ';
/** One comparison; chains arrive as And of two. */
export interface Compare extends Ranged {
  readonly kind: 'Compare';
  readonly operator: CompareOperator;
  readonly left: Expression;
  readonly right: Expression;
}

/** Python's truth of a value. */
export interface Condition extends Ranged {
  readonly kind: 'Condition';
  readonly operand: Expression;
}
/** JavaScript's truth of a value. */
export interface Truthy extends Ranged {
  readonly kind: 'Truthy';
  readonly operand: Expression;
}
export interface Not extends Ranged {
  readonly kind: 'Not';
  readonly operand: Expression;
}
export interface And extends Ranged {
  readonly kind: 'And';
  readonly left: Expression;
  readonly right: Expression;
}
export interface Or extends Ranged {
  readonly kind: 'Or';
  readonly left: Expression;
  readonly right: Expression;
}
/** `left ?? right` (when 'none'), `left || right` (when 'falsy') or `left && right` (when 'truthy') as a value. */
export interface Fallback extends Ranged {
  readonly kind: 'Fallback';
  readonly when: 'none' | 'falsy' | 'truthy';
  readonly left: Expression;
  readonly right: Expression;
}
export interface Ternary extends Ranged {
  readonly kind: 'Ternary';
  readonly test: Expression;
  readonly then: Expression;
  readonly otherwise: Expression;
}

/** Python's `object.name` */
export interface Select extends Ranged {
  readonly kind: 'Select';
  readonly object: Expression;
  readonly name: string;
}
/** TypeScript's `object.name`. */
export interface Member extends Ranged {
  readonly kind: 'Member';
  readonly object: Expression;
  readonly name: string;
}
/** `object[indices]`; an index is an expression, a Slice, an Ellipsis or None. */
export interface Subscript extends Ranged {
  readonly kind: 'Subscript';
  readonly object: Expression;
  readonly indices: readonly Expression[];
}
/** `start:stop:step`, only inside a Subscript. */
export interface Slice extends Ranged {
  readonly kind: 'Slice';
  readonly start?: Expression;
  readonly stop?: Expression;
  readonly step?: Expression;
}
/** TypeScript's `object[index]`. */
export interface Element extends Ranged {
  readonly kind: 'Element';
  readonly object: Expression;
  readonly index: Expression;
}

export interface Keyword extends Ranged {
  readonly name: string;
  readonly value: Expression;
}
/** Python's call. */
export interface Apply extends Ranged {
  readonly kind: 'Apply';
  readonly callee: Expression;
  readonly arguments: readonly Expression[];
  readonly keywords: readonly Keyword[];
}
/** TypeScript's call. */
export interface Invoke extends Ranged {
  readonly kind: 'Invoke';
  readonly callee: Expression;
  readonly arguments: readonly Expression[];
}
/** `new Class(…)`, `new Map([…])`, `new Array(n)`. */
export interface New extends Ranged {
  readonly kind: 'New';
  readonly callee: Expression;
  readonly arguments: readonly Expression[];
  /** Type arguments (`new Map<string, Tensor>()`). */
  readonly typeArguments?: readonly TypeExpression[];
}
export interface Starred extends Ranged {
  readonly kind: 'Starred';
  readonly operand: Expression;
}
/** `range(start, stop, step)` of ints, only as an iterable. */
export interface Range extends Ranged {
  readonly kind: 'Range';
  readonly start: Expression;
  readonly stop: Expression;
  readonly step: Expression;
}
/** A function literal, only as an argument of a list method (`xs.map((x) => x * 2)`). */
export interface Arrow extends Ranged {
  readonly kind: 'Arrow';
  readonly parameters: readonly Expression[];
  readonly body: Expression;
}
/** A TypeScript value that becomes a float where a float is wanted and it is an int. */
export interface Widen extends Ranged {
  readonly kind: 'Widen';
  readonly operand: Expression;
}
/** `value as T`, `value!` (no type: the value is not None), checked at run time where the type can be wrong. */
export interface Cast extends Ranged {
  readonly kind: 'Cast';
  readonly operand: Expression;
  readonly type?: TypeExpression;
}
