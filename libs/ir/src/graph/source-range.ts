// Where a node comes from: a span of the user's file, and the chain of calls that were inlined. The code in an archive was
// printed from a program that somebody wrote; a range in it knows what it was printed from.

/** Text that was printed from another text: the code of an archive. */
export interface PrintedText {
  /** How tracebacks name the printed text: `code/__torch__.py`. */
  readonly name: string;
  /** The place that a part of the printed text was made from, or undefined when that is not known. */
  originalOf(range: SourceRange): SourceRange | undefined;
}

export class SourceRange {
  /**
   * @param text the whole source text that `start` and `end` (character offsets) index
   * @param firstLine the line number, from 1, of the first line of `text` in the file
   * @param caller the call that this range was inlined through, innermost first
   * @param printed given when `text` was printed from another one
   */
  constructor(
    readonly file: string,
    readonly text: string,
    readonly start: number,
    readonly end: number,
    readonly firstLine: number = 1,
    readonly caller?: SourceRange,
    readonly printed?: PrintedText,
  ) {}

  /** The text that somebody wrote: for printed text what it was printed from, where that is known, else this. */
  get written(): SourceRange {
    return this.printed?.originalOf(this) ?? this;
  }

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
    return new SourceRange(this.file, this.text, this.start, this.end, this.firstLine, outer, this.printed);
  }

  /** The place in the text that somebody wrote: `file:line:column`. */
  toString(): string {
    const { file, line, column } = this.written;
    return `${file}:${line}:${column}`;
  }

  /** The place and its source lines with the offending text underlined, callers last. */
  highlight(): string {
    const { written } = this;
    const parts = [written.underlined()];
    if (written !== this) parts.push(this.underlined('printed '));
    if (this.caller !== undefined) parts.push(this.caller.highlight());
    return parts.join('\n');
  }

  private underlined(what = ''): string {
    const { text, start, end } = this;
    const lineStart = text.lastIndexOf('\n', start - 1) + 1;
    let lineEnd = text.indexOf('\n', start);
    if (lineEnd < 0) lineEnd = text.length;
    const source = text.slice(lineStart, lineEnd);
    const length = Math.max(1, Math.min(end, lineEnd) - start);
    const underline = ' '.repeat(start - lineStart) + '~'.repeat(length);
    return `  ${what}at ${this.file}:${this.line}:${this.column}\n    ${source}\n    ${underline} <--- HERE`;
  }
}
