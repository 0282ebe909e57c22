// Text that knows which source ranges its parts were printed from. Expressions are put together from strings before they stand
// in a line; until then a part carries its range as marks inside the string, in characters that code never has.
import type { SourceRange } from '@weft/ir';

const opening = '\x01';
const number = '\x02';
const closing = '\x03';
const marks = /\x01(\d+)\x02|\x03/g;

/** From `offset` of the text on (in characters) it was printed from `range`, or from nothing. */
export interface RangedPiece {
  readonly offset: number;
  readonly range: SourceRange | undefined;
}

/** An expression without its marks. */
export const withoutMarks = (text: string): string => text.replace(marks, '');

export class RangedText {
  private written = '';
  private readonly ranges: SourceRange[] = [];
  /** Ascending. */
  readonly pieces: RangedPiece[] = [];

  get text(): string {
    return this.written;
  }

  /** An expression that was printed from that range. */
  mark(text: string, range: SourceRange | undefined): string {
    if (range === undefined) return text;
    if (this.ranges.at(-1) !== range) this.ranges.push(range);
    return `${opening}${this.ranges.length - 1}${number}${text}${closing}`;
  }

  /** Adds text that was printed from `range`, but for the marked expressions in it. */
  append(text: string, range: SourceRange | undefined): void {
    const open = [range];
    let at = 0;
    this.change(range);
    for (const match of text.matchAll(marks)) {
      this.written += text.slice(at, match.index);
      at = match.index + match[0].length;
      if (match[0] === closing) open.pop();
      else open.push(this.ranges[Number(match[1])]);
      this.change(open.at(-1));
    }
    this.written += text.slice(at);
  }

  private change(range: SourceRange | undefined): void {
    const last = this.pieces.at(-1);
    if (last?.offset === this.written.length) this.pieces.pop();
    if (this.pieces.at(-1)?.range !== range) this.pieces.push({ offset: this.written.length, range });
  }
}
