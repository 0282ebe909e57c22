// Splits the Python subset of archives into tokens: names, numbers, strings, operators, and the line structure (newline,
// indent, dedent) that Python's grammar needs. Newlines inside brackets do not count.
import { ScriptError } from '../../emit/script-error.ts';
import { SourceRange } from '@weft/ir';

export type TokenKind = 'name' | 'number' | 'string' | 'operator' | 'newline' | 'indent' | 'dedent' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** The text; for strings the value. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const operators = [
  '**=',
  '//=',
  '>>=',
  '<<=',
  '...',
  '->',
  '**',
  '//',
  '<<',
  '>>',
  '<=',
  '>=',
  '==',
  '!=',
  '+=',
  '-=',
  '*=',
  '/=',
  '%=',
  '&=',
  '|=',
  '^=',
  '@=',
  ':=',
  '+',
  '-',
  '*',
  '/',
  '%',
  '@',
  '&',
  '|',
  '^',
  '~',
  '<',
  '>',
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
  ',',
  ':',
  '.',
  ';',
  '=',
];

const namePattern = /[\p{L}_][\p{L}\p{N}_]*/uy;
const numberPattern =
  /(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[jJ]?/y;
const stringPattern = /[rRbBuU]{0,2}(?:"""|'''|"|')/y;

/** Throws ScriptError naming the file and the place. */
export function tokenize(text: string, file: string): Token[] {
  const tokens: Token[] = [];
  const indents = [0];
  let depth = 0;
  let at = 0;
  const fail = (message: string, start: number, end = start + 1): never => {
    throw new ScriptError(message, new SourceRange(file, text, start, end));
  };
  const push = (kind: TokenKind, start: number, end: number, value = text.slice(start, end)) =>
    tokens.push({ kind, text: value, start, end });

  const startLine = (): void => {
    // Measures the indentation of the next line that holds something.
    for (;;) {
      const lineStart = at;
      let width = 0;
      while (text[at] === ' ' || text[at] === '\t') width += text[at++] === '\t' ? 8 - (width % 8) : 1;
      if (text[at] === '#') while (at < text.length && text[at] !== '\n') at++;
      if (text[at] === '\r') at++;
      if (text[at] === '\n') {
        at++;
        continue;
      }
      if (at >= text.length) return;
      if (width > indents[indents.length - 1]) {
        indents.push(width);
        push('indent', lineStart, at);
      }
      while (width < indents[indents.length - 1]) {
        indents.pop();
        push('dedent', at, at);
      }
      if (width !== indents[indents.length - 1])
        fail('this line is indented unlike any block around it', lineStart, at + 1);
      return;
    }
  };

  startLine();
  while (at < text.length) {
    const character = text[at];
    if (character === '\n') {
      push('newline', at, at + 1);
      at++;
      if (depth === 0) startLine();
      else tokens.pop();
      continue;
    }
    if (character === ' ' || character === '\t' || character === '\r') {
      at++;
      continue;
    }
    if (character === '#') {
      while (at < text.length && text[at] !== '\n') at++;
      continue;
    }
    if (character === '\\' && /^\\\r?\n/.test(text.slice(at, at + 3))) {
      at = text.indexOf('\n', at) + 1;
      continue;
    }
    const opening = match(stringPattern, text, at);
    if (opening !== undefined) {
      const [value, end] = readString(text, at, opening, fail);
      push('string', at, end, value);
      at = end;
      continue;
    }
    const number = /[\d.]/.test(character) ? match(numberPattern, text, at) : undefined;
    if (number !== undefined) {
      push('number', at, at + number.length);
      at += number.length;
      continue;
    }
    const name = match(namePattern, text, at);
    if (name !== undefined) {
      push('name', at, at + name.length);
      at += name.length;
      continue;
    }
    const operator = operators.find((candidate) => text.startsWith(candidate, at));
    if (operator === undefined) return fail(`'${character}' has no meaning here`, at);
    if ('([{'.includes(operator)) depth++;
    if (')]}'.includes(operator)) depth = Math.max(0, depth - 1);
    push('operator', at, at + operator.length);
    at += operator.length;
  }
  push('newline', at, at);
  for (let level = indents.length; level > 1; level--) push('dedent', at, at);
  push('end', at, at);
  return tokens;
}

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

const simpleEscapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
  '\n': '',
};

/** Reads a string literal; bytes written by octal or hexadecimal escapes are decoded as UTF-8 when together they are. */
function readString(
  text: string,
  start: number,
  opening: string,
  fail: (message: string, start: number) => never,
): [string, number] {
  const quote = /("""|'''|"|')$/.exec(opening)![0];
  const raw = /r/i.test(opening);
  let at = start + opening.length;
  let value = '';
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length > 0) value += decodeBytes(bytes);
    bytes = [];
  };
  for (;;) {
    if (at >= text.length || (quote.length === 1 && text[at] === '\n'))
      fail('this string is not closed', start);
    if (text.startsWith(quote, at)) {
      flush();
      return [value, at + quote.length];
    }
    if (text[at] !== '\\' || raw) {
      flush();
      value += text[at++];
      continue;
    }
    const rest = text.slice(at + 1, at + 11);
    const octal = /^[0-7]{1,3}/.exec(rest)?.[0];
    const hex = /^x([0-9a-fA-F]{2})/.exec(rest);
    const unicode = /^u([0-9a-fA-F]{4})/.exec(rest) ?? /^U([0-9a-fA-F]{8})/.exec(rest);
    if (octal !== undefined) {
      bytes.push(parseInt(octal, 8) & 0xff);
      at += 1 + octal.length;
    } else if (hex !== null) {
      bytes.push(parseInt(hex[1], 16));
      at += 4;
    } else {
      flush();
      if (unicode !== null) {
        const code = parseInt(unicode[1], 16);
        if (code > 0x10ffff) fail('this escape is no character', at);
        value += String.fromCodePoint(code);
        at += 1 + unicode[0].length;
      } else {
        value += simpleEscapes[text[at + 1]] ?? `\\${text[at + 1]}`;
        at += 2;
      }
    }
  }
}

function decodeBytes(bytes: readonly number[]): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array(bytes));
  } catch {
    return String.fromCharCode(...bytes);
  }
}
