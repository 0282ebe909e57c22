// What cannot be scripted is refused with the user's file, line and text, and with what to write instead.
import { describe, expect, test } from '@jest/globals';
import type { int, Tensor } from '@weft/tensor';
import { nn, ones } from '@weft/tensor';
import { readFileSync } from 'node:fs';
import { ArgumentError } from '../../values.ts';
import { ScriptError } from '../../emit/script-error.ts';
import { script } from '../../script.ts';
import { trace } from '../trace/trace.ts';

declare const __filename: string;

type AnyFunction = (...given: never[]) => unknown;

async function asynchronous(x: Tensor): Promise<Tensor> {
  return await Promise.resolve(x);
}
function catching(x: int): int {
  try {
    return x;
  } catch {
    return 0;
  }
}
function tensorOperator(x: Tensor, y: Tensor): unknown {
  // @ts-expect-error -- TypeScript refuses it as well
  return x * y;
}
function tensorCondition(x: Tensor): Tensor {
  if (x.gt(0)) return x;
  return x.neg();
}
function unknownName(x: Tensor): Tensor {
  // @ts-expect-error -- no such variable
  return x.add(nowhere);
}
function unknownMethod(x: Tensor): Tensor {
  // @ts-expect-error -- no such method
  return x.additionally(x);
}
function wrongType(flag: boolean): int {
  let n: int = 1;
  // @ts-expect-error -- a string is no number
  if (flag) n = 'text';
  return n;
}
function mismatch(flag: boolean) {
  return flag ? 1 : 'text';
}
function floatIndex(xs: number[], i: number): number {
  return xs[i];
}
function negativeIndex(xs: number[]): number {
  return xs[-1];
}
function tensorIndex(x: Tensor): unknown {
  // @ts-expect-error -- tensors have no elements
  return x[0];
}
function restInItem(words: string[], parts: string[][]): string {
  let first = '';
  [first, ...parts[0]] = words;
  return first;
}
function objectPattern({ a }: { a: Tensor }): Tensor {
  return a;
}
function restParameters(...xs: Tensor[]): Tensor {
  return xs[0];
}
function looseEquality(a: int, b: int): boolean {
  // eslint-disable-next-line eqeqeq -- what is refused
  return a == b;
}
function stepInExpression(xs: int[]): int {
  let i = 0;
  return xs[i++];
}
function innerFunction(x: int): int {
  function inner(y: int): int {
    return y;
  }
  return inner(x);
}
function fallthrough(n: int): int {
  let total = 0;
  switch (n) {
    // @ts-expect-error -- TypeScript warns of it as well
    case 1:
      total += 1;
    case 2:
      total += 2;
      break;
  }
  return total;
}
function labelled(n: int): int {
  outer: for (let i = 0; i < n; i++) {
    while (true) continue outer;
  }
  return n;
}
// @ts-expect-error -- TypeScript asks for the return as well
function missingReturn(n: int): int {
  if (n > 0) return 1;
}
function maybeUndefined(flag: boolean): int {
  let n: int;
  if (flag) n = 1;
  // @ts-expect-error -- used before it is assigned
  return n;
}
function nullable(text: string | null): int {
  // @ts-expect-error -- may be null
  return text.length;
}
function unannotatedRecursion(n: int) {
  if (n > 0) return unannotatedRecursion(n - 1);
  return n;
}
function wrongArguments(x: Tensor): Tensor {
  return x.sum('zero' as unknown as int);
}
function wrongOverload(x: Tensor): Tensor {
  // @ts-expect-error -- dimensions are numbers
  return x.transpose('first', 1);
}
function regularExpression(text: string): boolean {
  return /a/.test(text);
}
function library(): number {
  return new Date().getTime();
}
function plainSort(xs: int[]): int[] {
  return xs.sort();
}
class WithPlainArray extends nn.Module {
  layers = [new nn.Linear(2, 2)];
  forward(x: Tensor): Tensor {
    for (const layer of this.layers) x = layer.forward(x);
    return x;
  }
}
class AssignsReadonly extends nn.Module {
  readonly count: int = 0;
  forward(x: Tensor): Tensor {
    // @ts-expect-error -- readonly
    this.count = 1;
    return x;
  }
}

/** [program, the offending text, what the message says] */
const cases: readonly [AnyFunction, string, RegExp][] = [
  [asynchronous, 'asynchronous', /async functions cannot be scripted/],
  [catching, 'try {', /exceptions cannot be caught.*test for the condition beforehand/],
  [tensorOperator, 'x * y', /'\*' does not work on tensors in TypeScript; write a\.mul\(b\)/],
  [
    tensorCondition,
    'x.gt(0)',
    /a tensor object is always true in JavaScript; read its number with \.item\(\)/,
  ],
  [unknownName, 'nowhere', /'nowhere' is not defined/],
  [unknownMethod, 'x.additionally', /a Tensor has no member 'additionally'/],
  [wrongType, "'text'", /variable 'n' .* int, but a str is assigned/],
  [mismatch, "flag ? 1 : 'text'", /one branch is a int, the other a str/],
  [floatIndex, 'i', /an index must be an int, but this is a float; declare it as 'int'/],
  [negativeIndex, 'xs[-1]', /index -1 is undefined in TypeScript; use \.at\(-1\)/],
  [tensorIndex, 'x[0]', /use x\.select\(0, i\)/],
  [restInItem, '...parts[0]', /the rest can only be assigned to a variable/],
  [objectPattern, '{ a }', /a parameter must be a plain name/],
  [restParameters, '...xs: Tensor[]', /rest parameters cannot be scripted; take a list/],
  [looseEquality, 'a == b', /'==' converts its operands; write ===/],
  [stepInExpression, 'i++', /cannot be used as a value; write the assignment as a statement of its own/],
  [innerFunction, 'inner', /move it outside/],
  [fallthrough, 'case 1:', /a case must end with break, return or throw/],
  [
    labelled,
    'outer: for (let i = 0; i < n; i++) {',
    /not supported in a scripted function \(labeled statement\)/,
  ],
  [missingReturn, 'missingReturn', /should return a int, but its end can be reached without a return/],
  [maybeUndefined, 'n', /'n' is not defined in the false branch/],
  [nullable, 'text.length', /this may be null, so its 'length' cannot be read; test it with !== null first/],
  [unannotatedRecursion, 'unannotatedRecursion', /calls itself.*write the return type/],
  [wrongArguments, "'zero' as unknown as int", /a str cannot be taken as a int/],
  [
    wrongOverload,
    "x.transpose('first', 1)",
    /transpose cannot be called with \(Tensor, str, int\)\. It has these forms:/,
  ],
  [regularExpression, '/a/', /not supported in a scripted function \(regular expression literal\)/],
  [library, 'Date', /'Date' is not defined/],
  [plainSort, 'xs.sort()', /give it \(a, b\) => a - b/],
];

const source = readFileSync(__filename, 'utf8');

function failure(body: () => unknown): ScriptError {
  try {
    body();
  } catch (error) {
    if (error instanceof ScriptError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('errors of scripting', () => {
  test.each(cases.map((each) => [each[0].name, each] as const))('%s', (name, [fn, text, message]) => {
    const error = failure(() => script(fn));
    expect(error.message).toMatch(message);
    const range = error.source!;
    expect(range.file).toBe(__filename);
    const offending = range.text.slice(range.start, range.end).split('\n')[0];
    expect(offending).toBe(text);
    // The line is inside the function, in the file as its author wrote it.
    const start = source.split('\n').findIndex((line) => line.includes(`function ${name}(`)) + 1;
    expect(range.line).toBeGreaterThanOrEqual(start);
    expect(range.line).toBeLessThan(start + 12);
    expect(source.split('\n')[range.line - 1]).toContain(offending);
    expect(error.message).toContain(`${__filename}:${range.line}:${range.column}`);
  });

  test('a plain array of modules', () => {
    expect(failure(() => script(new WithPlainArray())).message).toMatch(/use nn\.ModuleList/);
  });
  test('an assignment to a readonly member', () => {
    expect(failure(() => script(new AssignsReadonly())).message).toMatch(
      /readonly, so it is a constant here/,
    );
  });
  test('a native function', () => {
    expect(failure(() => script(Math.max)).message).toMatch(/has no source that can be scripted/);
  });
  test('a failed compilation leaves nothing behind', () => {
    failure(() => script(tensorOperator));
    expect(script(negativeIndexAfter)([1, 2])).toBe(2);
  });
});
function negativeIndexAfter(xs: number[]): number {
  return xs.at(-1)!;
}

describe('errors of calling', () => {
  const typed = (): ((...given: unknown[]) => unknown) => script(plainFunction) as never;
  test.each([
    [['text', 1], /argument 'x' of plainFunction must be a Tensor, but the string 'text' is given/],
    [[ones([1]), 1.5], /argument 'n' of plainFunction must be a int, but the number 1\.5 is given/],
    [[ones([1])], /argument 'n' of plainFunction must be a int, but undefined is given/],
    [[ones([1]), 1, 2], /plainFunction takes 2 arguments, but 3 are given/],
  ])('%#', (given, message) => {
    expect(() => typed()(...given)).toThrow(ArgumentError);
    expect(() => typed()(...given)).toThrow(message);
  });
  test('what a trace cannot take or give', () => {
    expect(() => trace((x: Tensor) => x.size(0), ones([2]))).toThrow(/a traced function must return tensors/);
    expect(() => trace((x: Tensor) => x, 'text')).toThrow(/input 1 of a trace must be a tensor/);
  });
});
function plainFunction(x: Tensor, n: int): Tensor {
  return x.mul(n);
}
