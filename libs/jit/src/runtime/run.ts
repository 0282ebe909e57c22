// The way in for everything that executes script functions: `runFunction` here interprets; what specialises hot stretches
// (executor) stands behind the same call.
import type { IValue, ScriptFunction } from '@weft/ir';
import type { ObjectValue } from '@weft/ir';
import { codeOf } from './code.ts';
import type { RunOptions } from './frame.ts';
import { Frame } from './frame.ts';
import { methodOf } from './methods.ts';

/** Runs a function on values, one for each input of its graph, and returns its result. */
export function runFunction(callee: ScriptFunction, inputs: readonly IValue[], options?: RunOptions): IValue {
  const name = callee.name.slice(callee.name.lastIndexOf('.') + 1);
  return new Frame(codeOf(callee.graph, name), options).run(inputs)[0] ?? null;
}

/** Runs a method of an object, which becomes the first input. */
export function runMethod(
  object: ObjectValue,
  method: string,
  inputs: readonly IValue[],
  options?: RunOptions,
): IValue {
  return runFunction(methodOf(object, method), [object, ...inputs], options);
}
