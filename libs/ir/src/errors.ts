// The errors every part may throw. A user's mistake is an error of a documented class whose message says what was
// given, what was expected, where and what to do; a broken invariant of ours is an InternalError.
import type { SourceRange } from './graph/source-range.ts';

/** Base of all errors of weft that a user may want to catch. */
export class WeftError extends Error {
  /** @param source where in the user's program the mistake is, when it is known. */
  constructor(
    message: string,
    readonly source?: SourceRange,
    options?: ErrorOptions,
  ) {
    super(source === undefined ? message : `${message}\n${source.highlight()}`, options);
    this.name = new.target.name;
  }
}

/** Text (a schema, IR text, a type) that does not parse. */
export class ParseError extends WeftError {}
/** A graph that breaks an invariant of the IR: names the node, the invariant, the source line. */
export class VerifyError extends WeftError {}
/** Operands, attributes or regions that an operator does not accept: names the operator, the shapes, the line. */
export class OperatorError extends WeftError {}
/** Something valid that this part, device or operator does not support: names it and says what would do instead. */
export class UnsupportedError extends WeftError {}

/** An invariant of weft itself broke: a defect to report, not the user's mistake. */
export class InternalError extends Error {
  constructor(invariant: string, options?: ErrorOptions) {
    super(`internal error, please report it: ${invariant}`, options);
    this.name = 'InternalError';
  }
}
