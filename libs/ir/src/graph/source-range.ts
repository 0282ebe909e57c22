// Where a node comes from: a span of the user's file, and the chain of calls that were inlined.

export class SourceRange {
  /**
   * @param text the whole source text that `start` and `end` (character offsets) index
   * @param firstLine the line number, from 1, of the first line of `text` in the file
   * @param caller the call that this range was inlined through, innermost first
   */
  constructor(
    readonly file: string,
    readonly text: string,
    readonly start: number,
    readonly end: number,
    readonly firstLine: number = 1,
    readonly caller?: SourceRange,
  ) {}

  /** The line in the file, from 1. */
  get line(): number {
    let line = this.firstLine;
    for (let index = 0; index < this.start; index++) if (this.text[index] === '\n') line++;
    return line;
  }

  /** The column in its line, from 1. */
  get column(): number {
    return this.start - this.text.lastIndexOf('\n', this.start - 1);
  }

  /** The same range, as reached through a call. */
  calledFrom(caller: SourceRange): SourceRange {
    const outer = this.caller === undefined ? caller : this.caller.calledFrom(caller);
    return new SourceRange(this.file, this.text, this.start, this.end, this.firstLine, outer);
  }

  toString(): string {
    return `${this.file}:${this.line}:${this.column}`;
  }

  /** The place and its source lines with the offending text underlined, callers last. */
  highlight(): string {
    const lineStart = this.text.lastIndexOf('\n', this.start - 1) + 1;
    let lineEnd = this.text.indexOf('\n', this.start);
    if (lineEnd < 0) lineEnd = this.text.length;
    const source = this.text.slice(lineStart, lineEnd);
    const length = Math.max(1, Math.min(this.end, lineEnd) - this.start);
    const underline = ' '.repeat(this.start - lineStart) + '~'.repeat(length);
    const own = `  at ${this.toString()}\n    ${source}\n    ${underline} <--- HERE`;
    return this.caller === undefined ? own : `${own}\n${this.caller.highlight()}`;
  }
}
