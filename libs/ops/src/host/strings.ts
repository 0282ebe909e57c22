// String methods, on bytes (see bytes.ts): letters are those of ASCII, as in PyTorch.
import type { IValue } from '@weft/ir';
import { hostFunctions } from '../operator.ts';
import { asBytes, asText, isAscii } from './bytes.ts';
import { fail } from './error.ts';
import { slicePositions } from './lists.ts';
import { compareValues } from './values.ts';

type StringFunction = (self: string, ...args: never[]) => IValue | readonly IValue[];

/** Registers methods written for bytes: strings among arguments, results and lists of results are converted. */
function onBytes(table: Readonly<Record<string, StringFunction>>): void {
  hostFunctions(
    Object.fromEntries(
      Object.entries(table).map(([name, run]) => [
        `aten::${name}`,
        (...args: IValue[]) => convert((run as (...args: IValue[]) => IValue)(...args.map(bytesOf)), asText),
      ]),
    ),
  );
}

const bytesOf = (value: IValue): IValue => convert(value, asBytes);
function convert(value: IValue, by: (text: string) => string): IValue {
  if (typeof value === 'string') return by(value);
  if (!Array.isArray(value)) return value;
  return value.map((item) => (typeof item === 'string' ? by(item) : item));
}

const isUpper = (char: string): boolean => char >= 'A' && char <= 'Z';
const isLower = (char: string): boolean => char >= 'a' && char <= 'z';
const isLetter = (char: string): boolean => isUpper(char) || isLower(char);
/** Letters of ASCII alone, so that text need not become bytes for it. */
const upper = (text: string): string =>
  isAscii(text) ? text.toUpperCase() : text.replace(/[a-z]+/g, (run) => run.toUpperCase());
const lower = (text: string): string =>
  isAscii(text) ? text.toLowerCase() : text.replace(/[A-Z]+/g, (run) => run.toLowerCase());

/** The span that `start` and `end` name: an end of -1 is the end itself, -2 one before, as PyTorch counts. */
function span(text: string, start: bigint, end: bigint): [number, number] {
  const length = text.length;
  const from = Math.max(0, Number(start) + (start < 0n ? length : 0));
  const to = end < 0n ? Math.max(0, length + Number(end) + 1) : Math.min(length, Number(end));
  return [from, to];
}

/** The text from `start`, which may not lie beyond its end. */
function checkedSlice(text: string, start: bigint, from: number, to: number): string {
  if (from > text.length) {
    fail(`basic_string::substr: __pos (which is ${start}) > this->size() (which is ${text.length})`);
  }
  return text.slice(from, Math.max(from, to));
}

/** The end that is compared with `start`: one beyond the text is not moved to its end. */
const rawEnd = (text: string, end: bigint): number =>
  end < 0n ? text.length + Number(end) + 1 : Number(end);

function find(text: string, part: string, start: bigint, end: bigint): bigint {
  const [from, to] = span(text, start, end);
  if (part === '') return BigInt(from);
  if (rawEnd(text, end) <= from) return -1n;
  const at = checkedSlice(text, start, from, to).indexOf(part);
  return BigInt(at < 0 ? -1 : at + from);
}

function findLast(text: string, part: string, start: bigint, end: bigint): bigint {
  const [from, to] = span(text, start, end);
  if (part === '') return BigInt(Math.max(from, to));
  if (rawEnd(text, end) <= from) return -1n;
  const at = checkedSlice(text, start, from, to).lastIndexOf(part);
  return BigInt(at < 0 ? -1 : at + from);
}

const found = (at: bigint): bigint => (at < 0n ? fail('ValueError: substring not found') : at);

function count(text: string, part: string, start: bigint, end: bigint): bigint {
  const [from, to] = span(text, start, end);
  const within = text.slice(from, Math.max(from, to));
  if (part === '') return BigInt(within.length + 1);
  return BigInt(within.split(part).length - 1);
}

function split(text: string, separator: string | null, max: bigint): string[] {
  // Without a separator, PyTorch does not look at `max`.
  if (separator === null) return text.match(/[^ \t\n\v\f\r]+/g) ?? [];
  if (separator === '') fail('ValueError: empty separator');
  const parts = text.split(separator);
  if (max < 0n || BigInt(parts.length - 1) <= max) return parts;
  const kept = Number(max);
  return [...parts.slice(0, kept), parts.slice(kept).join(separator)];
}

function splitLast(text: string, separator: string, max: bigint): string[] {
  if (separator === '') fail('ValueError: empty separator');
  const parts = text.split(separator);
  if (max < 0n || BigInt(parts.length - 1) <= max) return parts;
  const cut = parts.length - Number(max);
  return [parts.slice(0, cut).join(separator), ...parts.slice(cut)];
}

/** Every separator ends a line, also each half of CR LF; kept ends come as lines of their own, as PyTorch gives them. */
function splitLines(text: string, keepEnds: boolean): string[] {
  const lines: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    if (!'\n\r\v\f\x1c\x1d\x1e\x85'.includes(text[at])) continue;
    lines.push(text.slice(start, at));
    if (keepEnds) lines.push(text[at]);
    start = at + 1;
  }
  if (start < text.length) lines.push(text.slice(start));
  return lines;
}

function stripLeft(text: string, chars: string): string {
  let at = 0;
  while (at < text.length && chars.includes(text[at])) at++;
  return text.slice(at);
}
function stripRight(text: string, chars: string): string {
  let end = text.length;
  while (end > 0 && chars.includes(text[end - 1])) end--;
  return text.slice(0, end);
}

function replace(text: string, old: string, by: string, max: bigint): string {
  if (old === '') {
    // PyTorch finds the empty string in front again and again.
    if (max < 0n) fail('replace() of an empty string does not end');
    return by.repeat(Number(max)) + text;
  }
  const parts = text.split(old);
  if (max < 0n || BigInt(parts.length - 1) <= max) return parts.join(by);
  const done = Number(max);
  return [...parts.slice(0, done), parts.slice(done).join(old)].join(by);
}

function fill(width: bigint, char: string, text: string): number {
  if (char.length !== 1) fail('TypeError: The fill character must be exactly one character long');
  return Math.max(0, Number(width) - text.length);
}

function title(text: string): string {
  let result = '';
  let inWord = false;
  for (const char of text) {
    result += inWord ? lower(char) : upper(char);
    inWord = isLetter(char);
  }
  return result;
}

function isTitle(text: string): boolean {
  let inWord = false;
  let isAny = false;
  for (const char of text) {
    if (isLetter(char)) {
      if (isUpper(char) === inWord) return false;
      isAny = true;
    }
    inWord = isLetter(char);
  }
  return isAny;
}

/** Tab stops count from the beginning of the text: a new line does not begin again. */
function expandTabs(text: string, size: bigint): string {
  const width = Number(size);
  let column = 0;
  let result = '';
  for (const char of text) {
    if (char === '\t') {
      const blanks = width <= 0 ? 0 : width - (column % width);
      result += ' '.repeat(blanks);
      column += blanks;
    } else {
      result += char;
      column++;
    }
  }
  return result;
}

/** Of all characters, where there is at least one. */
const every = (test: RegExp) => (text: string) => test.test(text);

const swapCase = (text: string): string =>
  [...text].map((char) => (isUpper(char) ? lower(char) : upper(char))).join('');

onBytes({
  'len.str': (text) => BigInt(text.length),
  '__getitem__.str': (text, index: bigint) => characterAt(text, index),
  'slice.str': (text, start: bigint | null, end: bigint | null, step: bigint) =>
    slicePositions(text.length, start, end, step)
      .map((position) => text[position])
      .join(''),
  list: (text) => [...text],
  title,
  istitle: isTitle,
  capitalize: (text) => upper(text.slice(0, 1)) + lower(text.slice(1)),
  swapcase: swapCase,
  find,
  rfind: findLast,
  'index.str': (text, part: string, start: bigint, end: bigint) => found(find(text, part, start, end)),
  rindex: (text, part: string, start: bigint, end: bigint) => found(findLast(text, part, start, end)),
  count,
  startswith: (text, part: string, start: bigint, end: bigint) => {
    const [from, to] = span(text, start, end);
    return checkedSlice(text, start, from, to).startsWith(part);
  },
  endswith: (text, part: string, start: bigint, end: bigint) => {
    const [from, to] = span(text, start, end);
    return checkedSlice(text, start, from, to).endsWith(part);
  },
  'split.str': split,
  rsplit: splitLast,
  splitlines: splitLines,
  strip: (text, chars: string) => stripLeft(stripRight(text, chars), chars),
  lstrip: stripLeft,
  rstrip: stripRight,
  replace,
  center: (text, width: bigint, char: string) => {
    const blanks = fill(width, char, text);
    const left = Math.floor(blanks / 2) + (blanks % 2 === 1 && Number(width) % 2 === 1 ? 1 : 0);
    return char.repeat(left) + text + char.repeat(blanks - left);
  },
  ljust: (text, width: bigint, char: string) => text + char.repeat(fill(width, char, text)),
  rjust: (text, width: bigint, char: string) => char.repeat(fill(width, char, text)) + text,
  zfill: (text, width: bigint) => '0'.repeat(fill(width, '0', text)) + text,
  expandtabs: expandTabs,
  partition: (text, separator: string) => {
    const at = text.indexOf(separator);
    if (at < 0) return [text, '', ''];
    return [text.slice(0, at), separator, text.slice(at + separator.length)];
  },
  rpartition: (text, separator: string) => {
    const at = text.lastIndexOf(separator);
    if (at < 0) return ['', '', text];
    return [text.slice(0, at), separator, text.slice(at + separator.length)];
  },
  isalnum: every(/^[A-Za-z\d]+$/),
  isalpha: every(/^[A-Za-z]+$/),
  isdecimal: every(/^\d+$/),
  isdigit: every(/^\d+$/),
  isnumeric: every(/^\d+$/),
  isidentifier: every(/^[A-Za-z][A-Za-z\d]*$/),
  isprintable: every(/^[ -~]*$/),
  isspace: every(/^[ \t\n\v\f\r]+$/),
  islower: (text) => /[a-z]/.test(text) && !/[A-Z]/.test(text),
  isupper: (text) => /[A-Z]/.test(text) && !/[a-z]/.test(text),
});

function characterAt(text: string, index: bigint): string {
  const length = BigInt(text.length);
  const position = index < 0n ? index + length : index;
  if (position < 0n || position >= length) {
    fail(
      `basic_string::at: __n (which is ${BigInt.asUintN(64, position)}) >= this->size() (which is ${length})`,
    );
  }
  return text[Number(position)];
}

hostFunctions({
  'prim::StringIndex': (text: string, index: bigint) => asText(characterAt(asBytes(text), index)),
  'aten::add.str': (a: string, b: string) => a + b,
  'aten::join': (separator: string, parts: string[]) => parts.join(separator),
  'aten::eq.str': (a: string, b: string) => a === b,
  'aten::ne.str': (a: string, b: string) => a !== b,
  'aten::lt.str': (a: string, b: string) => compareValues(a, b) < 0,
  'aten::le.str': (a: string, b: string) => compareValues(a, b) <= 0,
  'aten::gt.str': (a: string, b: string) => compareValues(a, b) > 0,
  'aten::ge.str': (a: string, b: string) => compareValues(a, b) >= 0,
});

hostFunctions({ 'aten::lower': lower, 'aten::upper': upper });
