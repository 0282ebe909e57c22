// Numbers, booleans and control flow: scripted equals eager.
import { describe } from '@jest/globals';
import type { float, int } from '@weft/tensor';
import { parity } from './parity.ts';

const STEP = 3;
const RATE = 0.25;
const PRIMES = [2, 3, 5, 7];
const LIMITS = { low: -2, high: 9 };

function addition(a: number, b: number): number {
  return a + b;
}
function integerAddition(a: int, b: int): int {
  return a + b;
}
function trueDivision(a: int, b: int): number {
  return a / b;
}
function divisionByZero(a: number, b: number): number {
  return a / b;
}
function remainder(a: int, b: int): int {
  return a % b;
}
function floatRemainder(a: number, b: number): number {
  return a % b;
}
function powers(a: number, b: number): number {
  return a ** b + 2 ** 3;
}
function floorDivision(a: int, b: int): int {
  return Math.floor(a / b);
}
function roundings(x: number): int[] {
  return [Math.floor(x), Math.ceil(x), Math.trunc(x), Math.round(x)];
}
function absolutes(a: int, x: number): [int, number] {
  return [Math.abs(a), Math.abs(x)];
}
function extremes(a: number, b: number, c: number): number {
  return Math.max(a, b, c) - Math.min(a, b, c);
}
function mathFunctions(x: number): number[] {
  return [
    Math.sqrt(x),
    Math.exp(x),
    Math.log(x),
    Math.sin(x),
    Math.cos(x),
    Math.tanh(x),
    Math.log1p(x),
    Math.PI,
    Math.E,
  ];
}
function signs(x: number): number {
  return Math.sign(x) + Math.hypot(3, 4);
}
function bitOperators(a: int, b: int): int[] {
  return [a & b, a | b, a ^ b, ~a, a << 3, a >> 1];
}
function negations(a: int, x: float): number {
  return -a + -x - -3;
}
function compound(a: int): int {
  let value = a;
  value += 5;
  value *= 2;
  value -= 3;
  value++;
  --value;
  return value;
}
function widened(n: int): number {
  let total = 0;
  for (let i = 0; i < n; i++) total += i * 0.5;
  return total;
}
function widenedInBranch(flag: boolean): number {
  let value = 1;
  if (flag) value = 2.5;
  return value;
}
function notANumber(x: number): boolean[] {
  return [isNaN(x), Number.isNaN(x), Number.isFinite(x), Number.isInteger(x)];
}
function specialNumbers(): number[] {
  return [Infinity, -Infinity, 1e300, 5e-324, 0.1 + 0.2, 1e21];
}
function truthOfNumbers(a: int, x: number): string {
  if (a) {
    if (x) return 'both';
    return 'first';
  }
  return x ? 'second' : 'none';
}
function comparisons(a: int, x: number): boolean[] {
  return [a < x, a <= x, a > x, a >= x, a === x, a !== x];
}
function freeConstants(a: int): number {
  return a * STEP + RATE;
}
function freeList(i: int): int {
  return PRIMES[i] + PRIMES.length;
}
function freeObject(a: int): boolean {
  return a > LIMITS.low && a < LIMITS.high;
}
function defaults(a: int, b: int = 2, scale: number = 0.5): number {
  return (a + b) * scale;
}
function optionalArgument(a: int, b?: int): int {
  return b === undefined ? a : a + b;
}

function elseIf(n: int): string {
  if (n < 0) return 'negative';
  else if (n === 0) return 'zero';
  else if (n < 10) return 'small';
  return 'large';
}
function nested(a: int, b: int): int {
  let result = 0;
  if (a > 0) {
    if (b > 0) result = 1;
    else result = 2;
  } else if (b > 0) {
    result = 3;
  }
  return result;
}
function ternaries(n: int): string {
  return n > 0 ? (n > 10 ? 'many' : 'some') : 'none';
}
function shortCircuit(a: int, b: int): boolean {
  return (a !== 0 && 10 / a > b) || b === 3;
}
function negated(a: boolean, b: boolean): boolean {
  return !(a && !b) || (!a && b);
}
function whileLoop(n: int): int {
  let steps = 0;
  while (n !== 1) {
    n = n % 2 === 0 ? Math.floor(n / 2) : 3 * n + 1;
    steps++;
  }
  return steps;
}
function doWhile(n: int): int {
  let count = 0;
  do {
    n = Math.floor(n / 10);
    count++;
  } while (n > 0);
  return count;
}
function doWhileContinue(n: int): int {
  let total = 0;
  let i = 0;
  do {
    i++;
    if (i % 2 === 0) continue;
    total += i;
  } while (i < n);
  return total;
}
function breaks(n: int): int {
  let i = 0;
  while (true) {
    if (i * i > n) break;
    i++;
  }
  return i;
}
function continues(n: int): int[] {
  const kept: int[] = [];
  for (let i = 0; i < n; i++) {
    if (i % 3 === 0) continue;
    if (i > 7) break;
    kept.push(i);
  }
  return kept;
}
function earlyReturn(xs: int[], wanted: int): int {
  for (let i = 0; i < xs.length; i++) {
    if (xs[i] === wanted) return i;
  }
  return -1;
}
function returnFromNestedLoops(grid: int[][], wanted: int): [int, int] {
  for (let i = 0; i < grid.length; i++) {
    for (let j = 0; j < grid[i].length; j++) {
      if (grid[i][j] === wanted) return [i, j];
      if (grid[i][j] < 0) break;
    }
  }
  return [-1, -1];
}
function countingDown(n: int): int[] {
  const out: int[] = [];
  for (let i = n; i >= 0; i -= 2) out.push(i);
  for (let i = 3; i > 0; i--) out.push(-i);
  return out;
}
function inclusive(n: int): int {
  let total = 0;
  for (let i = 1; i <= n; i++) total += i;
  return total;
}
function changingBound(n: int): int[] {
  const xs: int[] = [];
  let limit = n;
  for (let i = 0; i < limit; i++) {
    if (i === 2) limit += 2;
    xs.push(i);
  }
  return xs;
}
function changingCounter(n: int): int[] {
  const xs: int[] = [];
  for (let i = 0; i < n; i++) {
    if (i % 4 === 2) i += 1;
    xs.push(i);
  }
  return xs;
}
function growingList(xs: int[]): int[] {
  for (let i = 0; i < xs.length && i < 8; i++) {
    if (xs[i] > 1) xs.push(xs[i] - 1);
  }
  return xs;
}
function floatBound(n: number): int {
  let turns = 0;
  for (let i = 0; i < n; i++) turns++;
  return turns;
}
function floatCounter(stop: number): number {
  let total = 0;
  for (let x = 0.5; x < stop; x += 0.25) total += x;
  return total;
}
function generalFor(n: int): int {
  let sum = 0;
  for (let i = 1, j = n; i < j; i *= 2) {
    if (i === 4) continue;
    sum += i + j;
  }
  return sum;
}
function emptyLoop(n: int): int {
  let last = -1;
  for (let i = 0; i < n; i++) last = i;
  return last;
}
function shadowing(n: int): int {
  let x = n;
  {
    let x = 10;
    x += 1;
    if (x > n) {
      const x = 100;
      n += x;
    }
    n += x;
  }
  x += n;
  return x;
}
function switching(n: int): string {
  let text = '';
  switch (n) {
    case 0:
      text = 'zero';
      break;
    case 1:
    case 2:
      text = 'few';
      break;
    case 3:
      return 'three';
    default:
      text = 'many';
  }
  return text + '!';
}
function switchOnText(kind: string): int {
  switch (kind) {
    case 'a': {
      return 1;
    }
    case 'b':
      return 2;
  }
  return 0;
}
function gcd(a: int, b: int): int {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}
function factorial(n: int): int {
  return n <= 1 ? 1 : n * factorial(n - 1);
}
function isEven(n: int): boolean {
  return n === 0 ? true : isOdd(n - 1);
}
function isOdd(n: int): boolean {
  return n === 0 ? false : isEven(n - 1);
}
function helpers(a: int, b: int): number {
  return widened(gcd(a, b)) + addition(a, b);
}
function throwing(n: int): int {
  if (n < 0) throw new Error(`negative: ${n}`);
  return n * 2;
}
function throwsInLoop(xs: int[]): int {
  let total = 0;
  for (const x of xs) {
    if (x > 5) throw new RangeError('too large');
    total += x;
  }
  return total;
}
function unreachable(n: int): int {
  if (n > 0) {
    return 1;
  } else {
    return 2;
  }
}
function noReturn(xs: int[]): void {
  xs.push(1);
}
function fallbackValues(a: int, text: string): string {
  return (text || 'empty') + (a && 5);
}
const arrow = (x: number): number => x * x + 1;
const arrowBlock = (x: number, n: int): number => {
  let y = x;
  for (let i = 0; i < n; i++) y = arrow(y) / 2;
  return y;
};

describe('numbers', () => {
  parity([
    [addition, [1.5, 2.25], [1, 2]],
    [integerAddition, [3, -4]],
    [trueDivision, [7, 2], [6, 3], [1, -3]],
    [divisionByZero, [1.5, 2]],
    [remainder, [7, 3], [-7, 3], [7, -3], [-7, -3]],
    [floatRemainder, [7.5, 2], [-7.5, 2], [7.5, -2]],
    [powers, [2, 10], [2.5, 0.5]],
    [floorDivision, [7, 2], [-7, 2]],
    [roundings, [2.5], [-2.5], [2.4], [-0.6], [3]],
    [absolutes, [-3, -2.5]],
    [extremes, [1, 5, 3], [-1.5, 2, 0]],
    [mathFunctions, [0.7], [2]],
    [signs, [-2.5], [0], [3]],
    [bitOperators, [12, 10], [-5, 3], [2 ** 31 - 1, 1]],
    [negations, [3, 1.5]],
    [compound, [4]],
    [widened, [5], [0]],
    [widenedInBranch, [true], [false]],
    [notANumber, [NaN], [Infinity], [2], [2.5]],
    [specialNumbers, []],
    [truthOfNumbers, [0, 0], [1, 0], [1, NaN], [0, 0.5], [2, 3]],
    [comparisons, [2, 2], [2, 2.5]],
    [freeConstants, [4]],
    [freeList, [2]],
    [freeObject, [3], [20]],
    [defaults, [1], [1, 5], [1, 5, 2]],
    [optionalArgument, [1], [1, 2]],
  ]);
});

describe('control flow', () => {
  parity([
    [elseIf, [-1], [0], [5], [50]],
    [nested, [1, 1], [1, -1], [-1, 1], [-1, -1]],
    [ternaries, [-1], [5], [50]],
    [shortCircuit, [0, 1], [2, 1], [0, 3]],
    [negated, [true, true], [true, false], [false, true]],
    [whileLoop, [27], [1]],
    [doWhile, [0], [12345]],
    [doWhileContinue, [6]],
    [breaks, [50]],
    [continues, [20], [3]],
    [earlyReturn, [[5, 6, 7], 6], [[5], 1], [[], 1]],
    [
      returnFromNestedLoops,
      [
        [
          [1, 2],
          [3, -4, 5],
          [6, 7],
        ],
        7,
      ],
      [[[1, -1, 2]], 2],
    ],
    [countingDown, [7], [-1]],
    [inclusive, [10], [0]],
    [changingBound, [4]],
    [changingCounter, [10]],
    [growingList, [[3, 1, 2]]],
    [floatBound, [3], [2.5]],
    [floatCounter, [2]],
    [generalFor, [20]],
    [emptyLoop, [0], [3]],
    [shadowing, [5], [20]],
    [switching, [0], [1], [2], [3], [4]],
    [switchOnText, ['a'], ['b'], ['c']],
    [gcd, [48, 36]],
    [factorial, [10]],
    [isEven, [7], [8]],
    [helpers, [12, 18]],
    [throwing, [3], [-3]],
    [throwsInLoop, [[1, 2]], [[1, 9]]],
    [unreachable, [1], [-1]],
    [noReturn, [[5]]],
    [fallbackValues, [0, ''], [2, 'x']],
    [arrow, [1.5]],
    [arrowBlock, [1.5, 3]],
  ]);
});
