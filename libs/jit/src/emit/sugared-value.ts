// What an expression denotes while it is emitted: a value of the graph, or something that only exists at compile time (a
// function, a class, a method bound to its object, a range, a pair of zipped lists). After TorchScript's sugared values.
import type { SourceRange, Value } from '@weft/ir';
import type { Emitter } from './emitter.ts';
import type { NamedValue } from './schema-matching.ts';
import { fail } from './script-error.ts';

export abstract class SugaredValue {
  /** What it is, for error messages: 'a module', 'a function'. */
  abstract readonly kind: string;

  /** The value as one of the graph. */
  asValue(_e: Emitter, range: SourceRange): Value {
    fail(range, `${this.kind} cannot be used as a value`);
  }
  attr(_e: Emitter, range: SourceRange, name: string): SugaredValue {
    fail(range, `${this.kind} has no member '${name}'`);
  }
  hasAttr(_e: Emitter, range: SourceRange, _name: string): boolean {
    fail(range, `${this.kind} has no members`);
  }
  setAttr(_e: Emitter, range: SourceRange, name: string, _value: Value): void {
    fail(range, `member '${name}' of ${this.kind} cannot be assigned`);
  }
  /** The parts, for unpacking; `size` is how many are wanted, when that is known. */
  asTuple(_e: Emitter, range: SourceRange, _size?: number): SugaredValue[] {
    fail(range, `${this.kind} cannot be unpacked`);
  }
  call(
    _e: Emitter,
    range: SourceRange,
    _positional: readonly NamedValue[],
    _keywords: readonly NamedValue[],
  ): SugaredValue {
    fail(range, `${this.kind} cannot be called`);
  }
  /** Something to iterate over: it has `length` and `item`. */
  iterable(_e: Emitter, range: SourceRange): SugaredValue {
    fail(range, `${this.kind} cannot be iterated over`);
  }
  length(_e: Emitter, range: SourceRange): Value {
    fail(range, `${this.kind} has no length`);
  }
  item(_e: Emitter, range: SourceRange, _index: Value): SugaredValue {
    fail(range, `${this.kind} cannot be indexed`);
  }
  /** The number of elements when a loop over this is unrolled; undefined when it is a real loop. */
  get unrolledLength(): number | undefined {
    return undefined;
  }
}
