// String methods, on bytes (see bytes.ts): letters are those of ASCII, as in PyTorch.
import type { IValue } from '@weft/ir';
import { TupleValue } from '@weft/ir';
import { hostFunctions } from '../operator.ts';
import { asBytes, asText } from './bytes.ts';
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
const upper = (text: string): string => text.replace(/[a-z]+/g, (run) => run.toUpperCase());
const lower = (text: string): string => text.replace(/[A-Z]+/g, (run) => run.toLowerCase());

/** The span that `start` and `end` name: an end of -1 is the end itself, -2 one before, as PyTorch counts. */
function span(text: string, start: bigint, end: bigint): [number, number] {
  const length = text.length;
  const from = Math.max(0, Number(start) + (start < 0n ? length : 0));
  const to = end < 0n ? Math.max(0, length + Number(end) + 1) : Math.min(length, Number(end));
  return [from, to];
}

function find(text: string, part: string, start: bigint, end: bigint): bigint {
  const [from, to] = span(text, start, end);
  if (part === '') return from > text.length && from !== Number(start) ? -1n : BigInt(from);
  const at = text.slice(0, to).indexOf(part, from);
  return BigInt(from > to ? -1 : at);
}

function findLast(text: string, part: string, start: bigint, end: bigint): bigint {
  const [from, to] = span(text, start, end);
  if (part === '') return BigInt(to);
  const at = text.slice(0, to).lastIndexOf(part);
  return BigInt(at < from ? -1 : at);
}

const found = (at: bigint): bigint => (at < 0n ? fail('ValueError: substring not found') : at);

function count(text: string, part: string, start: bigint, end: bigint): bigint {
  const [from, to] = span(text, start, end);
  const within = text.slice(from, Math.max(from, to));
  if (part === '') return BigInt(within.length + 1);
  return BigInt(within.split(part).length - 1);
}

const space = ' \t\n\v\f\r';

function splitSpace(text: string, max: bigint): string[] {
  const parts: string[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && space.includes(text[at])) at++;
    if (at >= text.length) return parts;
    if (max >= 0n && BigInt(parts.length) === max) {
      parts.push(text.slice(at));
      return parts;
    }
    let end = at;
    while (end < text.length && !space.includes(text[end])) end++;
    parts.push(text.slice(at, end));
    at = end;
  }
}

function split(text: string, separator: string | null, max: bigint): string[] {
  if (separator === null) return splitSpace(text, max);
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

function splitLines(text: string, keepEnds: boolean): string[] {
  const lines = text.match(/[^\n\r\v\f\x1c-\x1e\x85]*(?:\r\n|[\n\r\v\f\x1c-\x1e\x85]|$)/g) ?? [];
  if (lines.at(-1) === '') lines.pop();
  return keepEnds ? lines : lines.map((line) => line.replace(/(?:\r\n|[\n\r\v\f\x1c-\x1e\x85])$/, ''));
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
  let result = '';
  let at = 0;
  for (let done = 0n; max < 0n || done < max; done++) {
    const next = old === '' ? at : text.indexOf(old, at);
    if (next < 0 || (old === '' && at > text.length)) break;
    result += text.slice(at, next) + by;
    if (old === '') {
      result += text.slice(at, at + 1);
      at++;
    } else at = next + old.length;
  }
  return result + text.slice(at);
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
      column = char === '\n' || char === '\r' ? 0 : column + 1;
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
  lower,
  upper,
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
    return from <= text.length && text.slice(from, Math.max(from, to)).startsWith(part);
  },
  endswith: (text, part: string, start: bigint, end: bigint) => {
    const [from, to] = span(text, start, end);
    return from <= text.length && text.slice(from, Math.max(from, to)).endsWith(part);
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
  isidentifier: every(/^[A-Za-z_]\w*$/),
  isprintable: every(/^[ -~]*$/),
  isspace: every(/^[ \t\n\v\f\r]+$/),
  islower: (text) => /[a-z]/.test(text) && !/[A-Z]/.test(text),
  isupper: (text) => /[A-Z]/.test(text) && !/[a-z]/.test(text),
});

function characterAt(text: string, index: bigint): string {
  const position = Number(index) + (index < 0n ? text.length : 0);
  if (position < 0 || position >= text.length) {
    const shown = position < 0 ? BigInt.asUintN(64, BigInt(position)) : position;
    fail(`basic_string::at: __n (which is ${shown}) >= this->size() (which is ${text.length})`);
  }
  return text[position];
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
