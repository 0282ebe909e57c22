// Errors of running programs. What PyTorch prints is kept apart in fields (`reason`, `exceptionClass`); the message adds the
// stack of source lines, innermost last, as TorchScript shows it.
import type { SourceRange } from '@weft/ir';
import { WeftError } from '@weft/ir';

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
      `${exceptionClass === null ? '' : `${exceptionClass}: `}${reason}${formatTrace(trace)}`,
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

function formatTrace(trace: readonly TraceEntry[]): string {
  const lines = trace.flatMap(({ functionName, source }) =>
    places(source).map((range) => place(range, functionName)),
  );
  return lines.length === 0 ? '' : `\nTraceback of the script (most recent call last):\n${lines.join('\n')}`;
}

/** A range and the calls that it was inlined through, outermost first. */
function places(source: SourceRange | undefined): SourceRange[] {
  const chain: SourceRange[] = [];
  for (let range = source; range !== undefined; range = range.caller) chain.unshift(range);
  return chain;
}

function place(range: SourceRange, functionName: string): string {
  const lineStart = range.text.lastIndexOf('\n', range.start - 1) + 1;
  const newline = range.text.indexOf('\n', range.start);
  const lineEnd = newline < 0 ? range.text.length : newline;
  const width = Math.max(1, Math.min(range.end, lineEnd) - range.start);
  const text = range.text.slice(lineStart, lineEnd);
  const underline = `${' '.repeat(range.start - lineStart)}${'~'.repeat(width)} <--- HERE`;
  return `  File "${range.file}", line ${range.line}, in ${functionName}\n    ${text}\n    ${underline}`;
}
