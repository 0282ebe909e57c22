// What jit.script makes of a function: callable like the function, with its graph and its TorchScript source.
import type { Graph, ObjectValue, Schema, ScriptFunction as Compiled } from '@weft/ir';
import { fail } from './emit/script-error.ts';
import { compiledThing, livePrograms } from './frontend/typescript/live-programs.ts';
import { activeTracer, untraced } from './frontend/trace/tracer.ts';
import { inlined } from './inlined.ts';
import { printFunctionCode } from './print-code.ts';
import { runFunction } from './executor/index.ts';
import { ArgumentError, Conversion } from './values.ts';

type AnyFunction = (...given: never[]) => unknown;

export interface Scripted {
  readonly graph: Graph;
  /** The graph with every call replaced by the callee's body. */
  readonly inlinedGraph: Graph;
  /** TorchScript source. */
  readonly code: string;
  readonly schema: Schema;
  /** The compiled function itself. */
  readonly compiled: Compiled;
}

/** A scripted function: called like the original. */
export type ScriptedFunction<F extends AnyFunction> = F & Scripted;

/** Calls a compiled function with JavaScript values; `self` comes first when it is a method. */
export function callCompiled(compiled: Compiled, given: readonly unknown[], self?: ObjectValue): unknown {
  const conversion = new Conversion(livePrograms());
  const parameters = self === undefined ? compiled.schema.arguments : compiled.schema.arguments.slice(1);
  if (given.length > parameters.length) {
    throw new ArgumentError(
      `${shortName(compiled)} takes ${parameters.length} arguments, but ${given.length} are given`,
    );
  }
  const inputs = parameters.map((parameter, index) => {
    const value = given[index];
    if (value === undefined && parameter.hasDefault) return parameter.default ?? null;
    return conversion.into(value, parameter.type, `argument '${parameter.name}' of ${shortName(compiled)}`);
  });
  const all = self === undefined ? inputs : [self, ...inputs];
  const tracer = activeTracer();
  const result =
    tracer === undefined ? runFunction(compiled, all) : untraced(() => runFunction(compiled, all));
  tracer?.compiledCall(compiled, self, inputs, result);
  const out = conversion.out(result, compiled.schema.returns[0].type);
  conversion.writeBack();
  return out;
}

const shortName = ({ name }: Compiled): string => name.slice(name.lastIndexOf('.') + 1);

export function wrapFunction<F extends AnyFunction>(compiled: Compiled): ScriptedFunction<F> {
  const call = (...given: unknown[]): unknown => callCompiled(compiled, given);
  Object.defineProperty(call, 'name', { value: shortName(compiled) });
  Object.defineProperties(call, {
    graph: { get: () => compiled.graph },
    inlinedGraph: { get: () => inlined(compiled.graph) },
    code: { get: () => printFunctionCode(compiled) },
    schema: { get: () => compiled.schema },
    compiled: { value: compiled },
    [compiledThing]: { value: { function: compiled } },
  });
  return call as unknown as ScriptedFunction<F>;
}

/** Compiles a live function and all it calls. Throws ScriptError. */
export function scriptFunction<F extends AnyFunction>(fn: F): ScriptedFunction<F> {
  if (typeof fn !== 'function') fail(undefined, 'jit.script takes a function, a class or a module');
  const programs = livePrograms();
  return wrapFunction<F>(programs.compiling(() => programs.functionOf(fn)));
}
