// Reads text left to right: the part that the parsers of types, schemas, literals and graphs share. Knows no grammar.
import { ParseError } from '../errors.ts';
import { SourceRange } from '../graph/source-range.ts';
import { readQuoted } from './quoted.ts';

const spacePattern = /(?:\s+|#[^\n]*)+/y;
const identifierPattern = /[A-Za-z_][A-Za-z0-9_]*/y;
const qualifiedPattern = /[A-Za-z_$][A-Za-z0-9_$]*(?:\.(?=[A-Za-z_$])[A-Za-z_$][A-Za-z0-9_$]*)*/y;
const numberPattern = /[+-]?(?:inf|nan|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/y;

/** Nesting beyond this is refused: text of others must not exhaust the stack. */
const deepest = 200;

export class Scanner {
  position = 0;
  private depth = 0;

  /** @param what names the text in errors, such as `schema` or a file name */
  constructor(
    readonly text: string,
    readonly what: string,
  ) {}

  /** Skips white space and `#` comments. */
  skip(): void {
    const code = this.text.charCodeAt(this.position);
    if (code > 35) return;
    this.match(spacePattern);
  }

  get atEnd(): boolean {
    this.skip();
    return this.position >= this.text.length;
  }

  /** The text that a sticky pattern matches here, without skipping; undefined when it does not. */
  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.position;
    if (!pattern.test(this.text)) return undefined;
    const start = this.position;
    this.position = pattern.lastIndex;
    return this.text.slice(start, this.position);
  }

  /** Whether `token` comes next. */
  sees(token: string): boolean {
    this.skip();
    return this.text.startsWith(token, this.position);
  }

  /** Takes `token` when it comes next. */
  accept(token: string): boolean {
    if (!this.sees(token)) return false;
    this.position += token.length;
    return true;
  }

  expect(token: string): void {
    if (!this.accept(token)) this.fail(`expected '${token}'`);
  }

  /** Takes the word when it comes next and is not the beginning of a longer one. */
  acceptWord(word: string): boolean {
    if (!this.sees(word) || /[A-Za-z0-9_.]/.test(this.text.charAt(this.position + word.length))) return false;
    this.position += word.length;
    return true;
  }

  /** The next identifier without taking it. */
  peekIdentifier(): string | undefined {
    this.skip();
    const start = this.position;
    const found = this.match(identifierPattern);
    this.position = start;
    return found;
  }

  identifier(): string {
    this.skip();
    return this.match(identifierPattern) ?? this.fail('expected a name');
  }

  /** Names joined by dots. */
  qualifiedName(): string {
    this.skip();
    return this.match(qualifiedPattern) ?? this.fail('expected a name');
  }

  /** A number as it is written: `-1`, `2.5`, `1e-05`, `inf`, `nan`; undefined when none comes next. */
  acceptNumber(): string | undefined {
    this.skip();
    return this.match(numberPattern);
  }

  integer(): number {
    const text = this.acceptNumber();
    if (text === undefined || !/^[+-]?\d+$/.test(text)) this.fail('expected an integer');
    return Number(text);
  }

  /** A string in double quotes with PyTorch's escapes. */
  quoted(): string {
    this.skip();
    const found = readQuoted(this.text, this.position);
    if (found === undefined) this.fail('expected a string in double quotes');
    this.position = found.end;
    return found.value;
  }

  /** Runs `body`, which reads something that may hold more of its kind. Fails when it is nested too deep. */
  nest<T>(body: () => T): T {
    if (this.depth >= deepest) this.fail(`nested more than ${deepest} deep`);
    this.depth++;
    try {
      return body();
    } finally {
      this.depth--;
    }
  }

  /** `item` between separating commas, up to and with `close`; `open` has been taken. */
  list<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    if (this.accept(close)) return items;
    do items.push(item());
    while (this.accept(','));
    this.expect(close);
    return items;
  }

  /** Throws ParseError at the current position. */
  fail(reason: string): never {
    const found = this.text.slice(this.position, this.position + 24).split('\n')[0];
    const at = new SourceRange(
      this.what,
      this.text,
      this.position,
      this.position + Math.max(found.length, 1),
    );
    throw new ParseError(`${reason}, found ${found === '' ? 'the end of the line' : `'${found}'`}`, at);
  }
}
