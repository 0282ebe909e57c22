// Errors of running programs. What went wrong is kept apart in fields (`reason`, `exceptionClass`); the message is PyTorch's:
// the stack of source lines, innermost last, and for code from an archive the same stack in the program it was made from.
import type { SourceRange } from '@weft/ir';
import { InternalError, UnsupportedError, WeftError } from '@weft/ir';

/** One level of the stack: the function and the place in it that was running. */
export interface TraceEntry {
  readonly functionName: string;
  readonly source: SourceRange | undefined;
}

/** A program failed: an operator refused its operands, or the program raised an exception. */
export class ScriptRuntimeError extends WeftError {
  /**
   * @param reason what went wrong, without the stack
   * @param exceptionClass qualified name of the exception that the program raised (`builtins.ValueError`), or null when
   *   it raised none by class or an operator failed
   * @param trace where, outermost first
   */
  constructor(
    readonly reason: string,
    readonly exceptionClass: string | null,
    readonly trace: readonly TraceEntry[],
    options?: ErrorOptions,
  ) {
    super(
      `The following operation failed in the TorchScript interpreter.\n${formatTrace(trace)}` +
        `${exceptionClass ?? 'RuntimeError'}: ${reason}`,
      undefined,
      options,
    );
  }
}

/** Raised by `prim::RaiseException`; the interpreter gives it its stack. */
export class RaisedException extends Error {
  constructor(
    message: string,
    readonly exceptionClass: string | null,
  ) {
    super(message);
    this.name = 'RaisedException';
  }
}

interface Place {
  readonly functionName: string;
  readonly range: SourceRange;
}

function formatTrace(trace: readonly TraceEntry[]): string {
  const places = trace.flatMap(({ functionName, source }) =>
    chainOf(source).map((range): Place => ({ functionName, range })),
  );
  const written = places.map(({ functionName, range }): Place => ({ functionName, range: range.written }));
  const isPrinted = written.some(({ range }, index) => range !== places[index].range);
  const stack = (title: string, entries: readonly Place[]): string =>
    `Traceback of TorchScript${title} (most recent call last):\n${entries.map(excerpt).join('')}`;
  if (!isPrinted) return stack('', places);
  return `${stack(', serialized code', places)}\n${stack(', original code', written)}`;
}

/** A range and the calls that it was inlined through, outermost first. */
function chainOf(source: SourceRange | undefined): SourceRange[] {
  const chain: SourceRange[] = [];
  for (let range = source; range !== undefined; range = range.caller) chain.unshift(range);
  return chain;
}

/** Lines that are shown before and after the range. */
const context = 2;

/** The range with the lines around it, every line of it underlined, as PyTorch shows it. */
function excerpt({ functionName, range }: Place): string {
  const { text, start, file } = range;
  const end = Math.max(start, Math.min(range.end, text.length));
  // A range that is a whole text is a stack of Python calls, as traced programs have it.
  if (start === 0 && end === text.length) return text;
  const begin = text.lastIndexOf('\n', start - 1) + 1;
  const from = linesBefore(text, begin, context);
  let lines = text.slice(from, begin);
  let at = begin;
  for (;;) {
    const newline = text.indexOf('\n', at);
    const lineEnd = newline < 0 ? text.length : newline;
    const line = text.slice(at, lineEnd);
    lines += `${line}\n`;
    const last = Math.min(end, lineEnd);
    let first = Math.max(at, start);
    while (first < last && text[first] === ' ') first++;
    const isLast = lineEnd >= end || /^[\n ]*$/.test(text.slice(lineEnd, end));
    if (last > first)
      lines += `${' '.repeat(first - at)}${'~'.repeat(last - first)}${isLast ? ' <--- HERE' : ''}\n`;
    at = lineEnd + 1;
    if (lineEnd >= end || at > text.length) break;
  }
  const after = text.slice(at, linesAfter(text, at, context));
  if (after !== '') lines += after.endsWith('\n') ? after : `${after}\n`;
  const place =
    file === '' ? '' : `  File "${range.printed?.name ?? file}", line ${range.line}, in ${functionName}\n`;
  return place + lines;
}

/** Where the line begins that is `count` lines before the one that begins at `at`. */
function linesBefore(text: string, at: number, count: number): number {
  for (; count > 0 && at > 0; count--) at = at < 2 ? 0 : text.lastIndexOf('\n', at - 2) + 1;
  return at;
}

/** Where the line ends that is `count` lines after the one that ends before `at`. */
function linesAfter(text: string, at: number, count: number): number {
  for (; count > 0 && at < text.length; count--) {
    const newline = text.indexOf('\n', at);
    at = newline < 0 ? text.length : newline + 1;
  }
  return at;
}

/** The error with a stack put before the one it has. What is no failure of the program stays as it is. */
export function withStack(error: unknown, own: readonly TraceEntry[]): unknown {
  if (error instanceof InternalError) return error;
  if (error instanceof ScriptRuntimeError) {
    return new ScriptRuntimeError(error.reason, error.exceptionClass, [...own, ...error.trace], {
      cause: error.cause,
    });
  }
  if (error instanceof RaisedException)
    return new ScriptRuntimeError(error.message, error.exceptionClass, own);
  if (error instanceof UnsupportedError) return error;
  if (error instanceof WeftError || error instanceof RangeError) {
    // Operators say what they were called with after the reason.
    const [reason] = error.message.split(/\n {2}(?:in [a-z_]+::|at )/);
    return new ScriptRuntimeError(reason, null, own, { cause: error });
  }
  return error;
}
