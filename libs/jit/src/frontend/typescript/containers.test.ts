// Strings, lists, tuples, Maps, records, null, classes and enums: scripted equals eager.
import { describe, expect, test } from '@jest/globals';
import type { int } from '@weft/tensor';
import { script } from '../../script.ts';
import { parity } from './parity.ts';

function concatenation(a: string, n: int, x: number, flag: boolean): string {
  return a + n + '-' + x + '/' + flag;
}
function template(a: string, n: int, x: number, flag: boolean): string {
  return `${a}: ${n} ${x} ${flag}`;
}
function bracesInTemplate(n: int): string {
  return `{${n}} and {}`;
}
function cases(text: string): string[] {
  return [text.toUpperCase(), text.toLowerCase(), text.trim(), text.trimStart(), text.trimEnd()];
}
function searching(text: string, part: string): [int, int, boolean, boolean, boolean] {
  return [
    text.indexOf(part),
    text.lastIndexOf(part),
    text.includes(part),
    text.startsWith(part),
    text.endsWith(part),
  ];
}
function slicing(text: string): string[] {
  return [text.slice(1), text.slice(1, 3), text.slice(-2), text.charAt(0), text[1]];
}
function replacing(text: string): string[] {
  return [
    text.replace('a', 'X'),
    text.replaceAll('a', 'X'),
    'ab'.repeat(3),
    text.padStart(8, '.'),
    text.padEnd(8, '.'),
  ];
}
function splitting(text: string): string[] {
  return text.split(',');
}
function joining(parts: string[]): string {
  return parts.join('; ');
}
function letters(text: string): int {
  let vowels = 0;
  for (const letter of text) {
    if (letter === 'a' || letter === 'e') vowels++;
  }
  return vowels + text.length;
}
function characterCodes(text: string): int[] {
  const codes: int[] = [];
  for (let i = 0; i < text.length; i++) codes.push(text.charCodeAt(i));
  return codes;
}
function compareText(a: string, b: string): boolean[] {
  return [a === b, a !== b, a < b, a > b];
}

function literal(a: int): int[] {
  return [a, a * 2, 7];
}
function mixedLiteral(a: int): number[] {
  return [a, 0.5, 2];
}
function pushing(xs: number[]): number[] {
  xs.push(1);
  xs.push(2, 3);
  return xs;
}
function popping(xs: int[]): int {
  const last = xs.pop()!;
  const first = xs.shift()!;
  xs.unshift(9);
  return last * 10 + first;
}
function indexing(xs: int[]): int[] {
  xs[0] = 10;
  xs[1] += 5;
  return [xs.at(-1)!, xs[xs.length - 1], xs.length];
}
function listSlices(xs: int[]): int[][] {
  return [xs.slice(), xs.slice(1), xs.slice(1, 3), xs.slice(-2)];
}
function spreading(xs: int[], ys: int[]): int[] {
  return [0, ...xs, 5, ...ys];
}
function concatenating(xs: int[], ys: int[]): int[] {
  return xs.concat(ys);
}
function mapping(xs: number[]): number[] {
  return xs.map((x) => x * 2 + 1);
}
function mappingWithIndex(xs: int[]): int[] {
  return xs.map((x, i) => x * i);
}
function filtering(xs: int[]): int[] {
  return xs.filter((x) => x % 2 === 0).map((x) => x + 1);
}
function reducing(xs: number[]): number {
  return xs.reduce((total, x) => total + x, 0);
}
function reducingToText(xs: int[]): string {
  return xs.reduce((text, x) => text + x, '');
}
function quantifying(xs: int[]): boolean[] {
  return [xs.some((x) => x > 3), xs.every((x) => x > 0)];
}
function membership(xs: int[], names: string[]): [boolean, int, boolean, int] {
  return [xs.includes(3), xs.indexOf(3), names.includes('b'), names.indexOf('z')];
}
function sortingNumbers(xs: number[]): number[] {
  xs.sort((a, b) => a - b);
  return xs;
}
function sortingDown(xs: int[]): int[] {
  return xs.toSorted((a, b) => b - a);
}
function sortingText(names: string[]): string[] {
  names.sort();
  return names;
}
function reversing(xs: int[]): int[] {
  xs.reverse();
  return xs;
}
function filled(n: int): number[] {
  const xs = new Array<number>(n).fill(0);
  xs[1] = 2.5;
  return xs;
}
function generated(n: int): int[] {
  return Array.from({ length: n }, (_, i) => i * i);
}
function copied(xs: int[]): int[] {
  const ys = Array.from(xs);
  ys.push(4);
  return ys;
}
function iterating(xs: number[]): number {
  let best = -Infinity;
  for (const x of xs) if (x > best) best = x;
  return best;
}
function entriesOfList(xs: string[]): string {
  let out = '';
  for (const [i, x] of xs.entries()) out += `${i}${x}`;
  return out;
}
function nestedLists(n: int): int[][] {
  const table: int[][] = [];
  for (let i = 0; i < n; i++) {
    const row: int[] = [];
    for (let j = 0; j <= i; j++) row.push(i * j);
    table.push(row);
  }
  return table;
}
function aliasing(xs: int[]): boolean {
  const ys = xs;
  ys.push(1);
  return xs.length === ys.length && xs === ys;
}
function forEachLoop(xs: int[]): int[] {
  const out: int[] = [];
  xs.forEach((x) => out.push(x + 1));
  return out;
}

function tuple(a: int, b: string): [int, string] {
  return [a + 1, b + '!'];
}
function unpacking(a: int, b: string): string {
  const [n, text] = tuple(a, b);
  return text + n;
}
function swapping(a: number, b: number): [number, number] {
  [a, b] = [b, a];
  return [a, b];
}
function tupleIndex(pair: [int, [number, string]]): string {
  return pair[1][1] + pair[0] + pair.length;
}
function nestedUnpacking(pair: [int, [number, string]]): string {
  const [a, [b, c]] = pair;
  return c + (a + b);
}
function restOfTuple(triple: [int, int, int]): int {
  const [first, ...rest] = triple;
  return first * 100 + rest[0] * 10 + rest[1];
}
function startOfTuple(triple: [int, int, int]): int {
  const [first, second] = triple;
  return first * 10 + second;
}
function startOfList(words: string[]): string {
  const [first] = words;
  const [a, b] = words.concat([first]);
  return a + b + first;
}
function restOfList(words: string[]): [string, int] {
  const [first, ...rest] = words;
  let joined = first;
  for (const word of rest) joined += '-' + word;
  return [joined, rest.length];
}
function assignedFromList(numbers: number[]): number {
  let [a, b] = [0, 0];
  [a, b] = numbers;
  [, a] = numbers;
  return a * 100 + b;
}
function listOfTuples(pairs: [string, int][]): int {
  let total = 0;
  for (const [name, count] of pairs) total += name.length * count;
  return total;
}

function maps(words: string[]): Map<string, int> {
  const counts = new Map<string, int>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}
function mapQueries(counts: Map<string, int>): [boolean, int, int] {
  return [counts.has('a'), counts.size, counts.get('a') ?? -1];
}
function mapIteration(counts: Map<string, int>): string {
  let out = '';
  for (const [key, value] of counts) out += `${key}=${value};`;
  for (const key of counts.keys()) out += key;
  for (const value of counts.values()) out += value;
  return out;
}
function mapLiteral(): Map<int, string> {
  return new Map([
    [1, 'one'],
    [2, 'two'],
  ]);
}
function mapDeletion(counts: Map<string, int>): boolean {
  const there = counts.delete('a');
  counts.delete('nothing');
  return there;
}
function records(scores: Record<string, number>): number {
  scores['new'] = 5;
  let total = 0;
  for (const key of Object.keys(scores)) total += scores[key];
  return total;
}
function recordLiteral(a: number): Record<string, number> {
  return { first: a, second: a * 2 };
}
function recordEntries(scores: Record<string, int>): string {
  let out = '';
  for (const [key, value] of Object.entries(scores)) out += key + value;
  return 'x' in scores ? out : `no x: ${out}`;
}

function nullable(a: int | null): int {
  if (a === null) return -1;
  return a + 1;
}
function notNull(a: int | null, b: int | null): int {
  if (a !== null && b !== null) return a + b;
  if (a === null || b === null) return 0;
  return 1;
}
function coalescing(a: number | null, text: string | null): string {
  return (text ?? 'none') + (a ?? 1.5);
}
function returnsNull(a: int): int | null {
  if (a > 0) return a;
  return null;
}
function truthyOptional(a: int | null, text: string | null): string {
  if (a) return text ? `both ${a}` : 'number';
  return 'nothing';
}
function reassignedOptional(xs: int[]): int | null {
  let best: int | null = null;
  for (const x of xs) {
    if (best === null || x > best) best = x;
  }
  return best;
}
function optionalChain(text: string | null): int | null {
  return text?.length ?? null;
}
function assertion(a: int | null): int {
  return a! + 1;
}
function unions(value: int | string): string {
  if (typeof value === 'string') return value + '!';
  return `number ${value}`;
}

enum Color {
  Red,
  Green = 5,
  Blue,
}
enum Level {
  Low = 'low',
  High = 'high',
}
function enums(color: Color): int {
  if (color === Color.Red) return 1;
  return color === Color.Blue ? 2 : 3;
}
function enumResult(flag: boolean): Color {
  return flag ? Color.Green : Color.Blue;
}
function textEnums(level: Level): string {
  return level === Level.High ? 'up' : `is ${level}`;
}

class Point {
  x: number;
  y: number;
  constructor(x: number, y: number) {
    this.x = x;
    this.y = y;
  }
  get norm(): number {
    return Math.sqrt(this.x * this.x + this.y * this.y);
  }
  set size(value: number) {
    const scale = value / this.norm;
    this.x *= scale;
    this.y *= scale;
  }
  plus(other: Point): Point {
    return new Point(this.x + other.x, this.y + other.y);
  }
  move(dx: number): void {
    this.x += dx;
  }
  static origin(): Point {
    return new Point(0, 0);
  }
}
class Counter {
  count = 0;
  names: string[] = [];
  constructor(
    private readonly step: int,
    public label: string = 'c',
  ) {}
  next(name: string): int {
    this.count += this.step;
    this.names.push(this.label + name);
    return this.count;
  }
}
class Shape {
  constructor(readonly name: string) {}
  area(): number {
    return 0;
  }
  describe(): string {
    return `${this.name} ${this.area()}`;
  }
}
class Square extends Shape {
  constructor(private readonly side: number) {
    super('square');
  }
  override area(): number {
    return this.side * this.side;
  }
  override describe(): string {
    return super.describe() + '!';
  }
}
function classes(x: number, y: number): number {
  const p = new Point(x, y);
  const q = p.plus(new Point(1, 1));
  q.move(2);
  q.x += 0.5;
  return q.x * 10 + q.y + p.norm;
}
function setters(x: number): Point {
  const p = new Point(x, 0);
  p.size = 3;
  return p;
}
function statics(): number {
  return Point.origin().norm;
}
function classArgument(p: Point): number {
  p.move(5);
  return p.x;
}
function fields(n: int): string {
  const counter = new Counter(2);
  for (let i = 0; i < n; i++) counter.next(`${i}`);
  return counter.names.join(',') + counter.count;
}
function inheritance(side: number): string {
  return new Square(side).describe();
}
function objectsInList(n: int): number {
  const points: Point[] = [];
  for (let i = 0; i < n; i++) points.push(new Point(i, 1));
  let total = 0;
  for (const p of points) total += p.x;
  return total;
}

describe('strings', () => {
  parity([
    [concatenation, ['a', 3, 1.5, true], ['b', -1, 2, false]],
    [template, ['a', 3, 1.5, true], ['', 0, 100, false]],
    [bracesInTemplate, [3]],
    [cases, ['  Hello World ']],
    [searching, ['banana', 'an'], ['banana', 'x'], ['ban', 'ban']],
    [slicing, ['hello']],
    [replacing, ['banana']],
    [splitting, ['a,b,,c']],
    [joining, [['x', 'y']], [[]]],
    [letters, ['elephant']],
    [characterCodes, ['aZ0']],
    [compareText, ['a', 'b'], ['b', 'b']],
  ]);
});
describe('lists', () => {
  parity([
    [literal, [2]],
    [mixedLiteral, [2]],
    [pushing, [[0.5]]],
    [popping, [[1, 2, 3]]],
    [indexing, [[1, 2, 3]]],
    [listSlices, [[1, 2, 3, 4]]],
    [spreading, [[1, 2], [3]]],
    [concatenating, [[1, 2], [3]]],
    [mapping, [[1, 2.5]], [[]]],
    [mappingWithIndex, [[5, 6, 7]]],
    [filtering, [[1, 2, 3, 4]]],
    [reducing, [[1.5, 2, 3]], [[]]],
    [reducingToText, [[1, 2]]],
    [quantifying, [[1, 2, 5]], [[-1]], [[]]],
    [
      membership,
      [
        [1, 3],
        ['a', 'b'],
      ],
      [[], []],
    ],
    [sortingNumbers, [[3, 10, 2.5]]],
    [sortingDown, [[3, 10, 2]]],
    [sortingText, [['b', 'a', 'c']]],
    [reversing, [[1, 2, 3]]],
    [filled, [3]],
    [generated, [4]],
    [copied, [[1, 2]]],
    [iterating, [[1, 5.5, 3]], [[]]],
    [entriesOfList, [['a', 'b']]],
    [nestedLists, [3]],
    [aliasing, [[0]]],
    [forEachLoop, [[1, 2]]],
  ]);
});
test('a list that is too short to be taken apart is refused, where JavaScript gives undefined', () => {
  expect(() => script(assignedFromList)([1])).toThrow(/list index out of range/);
});
describe('tuples', () => {
  parity([
    [tuple, [1, 'a']],
    [unpacking, [1, 'a']],
    [swapping, [1, 2.5]],
    [tupleIndex, [[1, [2.5, 'x']]]],
    [nestedUnpacking, [[1, [2.5, 'x']]]],
    [restOfTuple, [[1, 2, 3]]],
    [startOfTuple, [[1, 2, 3]]],
    [startOfList, [['a']], [['a', 'b', 'c']]],
    [restOfList, [['a']], [['a', 'b', 'c']]],
    [assignedFromList, [[1.5, 2.5]], [[1, 2, 3]]],
    [
      listOfTuples,
      [
        [
          ['ab', 2],
          ['c', 3],
        ],
      ],
    ],
  ]);
});
describe('maps and records', () => {
  parity([
    [maps, [['a', 'b', 'a']]],
    [mapQueries, [new Map([['a', 1]])], [new Map()]],
    [
      mapIteration,
      [
        new Map([
          ['a', 1],
          ['b', 2],
        ]),
      ],
    ],
    [mapLiteral, []],
    [
      mapDeletion,
      [
        new Map([
          ['a', 1],
          ['b', 2],
        ]),
      ],
    ],
    [records, [{ a: 1, b: 2.5 }]],
    [recordLiteral, [1.5]],
    [recordEntries, [{ x: 1, y: 2 }], [{ z: 3 }]],
  ]);
});
describe('null and unions', () => {
  parity([
    [nullable, [1], [null]],
    [notNull, [1, 2], [null, 2], [1, null]],
    [coalescing, [1.25, 'a'], [null, null]],
    [returnsNull, [1], [-1]],
    [truthyOptional, [1, 'a'], [1, ''], [0, 'a'], [null, null]],
    [reassignedOptional, [[1, 5, 2]], [[]]],
    [optionalChain, ['abc'], [null]],
    [assertion, [4]],
    [unions, [3], ['a']],
  ]);
});
describe('classes and enums', () => {
  parity([
    [enums, [Color.Red], [Color.Green], [Color.Blue]],
    [enumResult, [true], [false]],
    [textEnums, [Level.High], [Level.Low]],
    [classes, [3, 4]],
    [setters, [2]],
    [statics, []],
    [classArgument, [new Point(1, 2)]],
    [fields, [3]],
    [inheritance, [1.5]],
    [objectsInList, [4]],
  ]);
});
