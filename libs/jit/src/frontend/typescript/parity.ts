// The law of the TypeScript front end, for tests: a scripted function returns what the same function returns when it is simply
// called, and leaves its arguments as the call leaves them.
import { expect, test } from '@jest/globals';
import { isTensorLike, verifyGraph } from '@weft/ir';
import { Tensor } from '@weft/tensor';
import { ScriptRuntimeError } from '../../runtime/index.ts';
import { script } from '../../script.ts';

type AnyFunction = (...given: never[]) => unknown;

/** One program with the argument lists that it is tried on. */
export type Program = readonly [fn: AnyFunction, ...calls: readonly unknown[][]];

export function parity(programs: readonly Program[]): void {
  test.each(programs.map((program) => [program[0].name, program] as const))('%s', (_, [fn, ...calls]) => {
    const scripted = script(fn);
    verifyGraph(scripted.graph);
    expect(scripted.code).toContain(`def ${fn.name}`);
    for (const call of calls) expectSame(fn, scripted, call);
  });
}

/** Calls both on copies of the arguments and compares everything. */
export function expectSame(eager: AnyFunction, scripted: AnyFunction, given: readonly unknown[]): void {
  const [first, second] = [given.map(copy), given.map(copy)];
  const [expected, found] = [outcome(eager, first), outcome(scripted, second)];
  expect(comparable(found)).toEqual(comparable(expected));
  expect(comparable(second)).toEqual(comparable(first));
}

function outcome(fn: AnyFunction, given: readonly unknown[]): unknown {
  try {
    return { result: fn(...(given as never[])) ?? null };
  } catch (error) {
    return { threw: true, message: reasonOf(error as Error) };
  }
}

/** What the program said; a scripted one adds its stack. */
const reasonOf = (error: Error): string =>
  error instanceof ScriptRuntimeError ? error.reason : error.message;

function copy(value: unknown): unknown {
  if (value instanceof Tensor) return value.detach().clone();
  if (Array.isArray(value)) return value.map(copy);
  if (value instanceof Map) return new Map([...value].map(([key, entry]) => [key, copy(entry)]));
  if (typeof value === 'object' && value !== null) {
    const same = Object.create(Object.getPrototypeOf(value) as object) as Record<string, unknown>;
    for (const [key, entry] of Object.entries(value)) same[key] = copy(entry);
    return same;
  }
  return value;
}

/** Tensors as plain data, undefined as null, numbers without the sign of zero. */
function comparable(value: unknown): unknown {
  if (isTensorLike(value)) {
    const own = value as Tensor;
    return { dtype: own.dtype, shape: [...own.sizes], data: own.tolist() };
  }
  if (value === undefined) return null;
  if (typeof value === 'number') return value + 0;
  if (Array.isArray(value)) return value.map(comparable);
  if (value instanceof Map) return new Map([...value].map(([key, entry]) => [key, comparable(entry)]));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, comparable(entry)]));
  }
  return value;
}
