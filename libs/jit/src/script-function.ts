// What jit.script makes of a function: callable like the function, with its graph and its TorchScript source.
import type { Graph, IValue, ObjectValue, Schema, ScriptFunction as Compiled } from '@weft/ir';
import { Tensor } from '@weft/tensor';
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

/**
 * JavaScript values as the inputs of a compiled function; `self` comes first when it is a method. Throws ArgumentError naming the argument
 * that does not fit.
 */
export function argumentsOf(
  compiled: Compiled,
  given: readonly unknown[],
  self?: ObjectValue,
): { readonly inputs: IValue[]; readonly conversion: Conversion | undefined } {
  const first = self === undefined ? 0 : 1;
  const parameters = compiled.schema.arguments;
  const count = parameters.length - first;
  if (given.length > count) {
    throw new ArgumentError(`${shortName(compiled)} takes ${count} arguments, but ${given.length} are given`);
  }
  // Tensors go as they are; what converts the rest is made when there is any.
  let conversion: Conversion | undefined;
  const inputs = new Array<IValue>(parameters.length);
  if (self !== undefined) inputs[0] = self;
  for (let index = 0; index < count; index++) {
    const { type, name, hasDefault, default: value } = parameters[first + index];
    const argument = given[index];
    if (argument instanceof Tensor && type.kind === 'Tensor') inputs[first + index] = argument;
    else if (argument === undefined && hasDefault) inputs[first + index] = value ?? null;
    else {
      conversion ??= new Conversion(livePrograms());
      inputs[first + index] = conversion.into(argument, type, `argument '${name}' of ${shortName(compiled)}`);
    }
  }
  return { inputs, conversion };
}

/** Calls a compiled function with JavaScript values; `self` comes first when it is a method. */
export function callCompiled(compiled: Compiled, given: readonly unknown[], self?: ObjectValue): unknown {
  const { inputs, conversion: used } = argumentsOf(compiled, given, self);
  let conversion = used;
  const result = run(compiled, inputs, self);
  if (conversion === undefined && result instanceof Tensor) return result;
  conversion ??= new Conversion(livePrograms());
  const out = conversion.out(result, compiled.schema.returns[0].type);
  conversion.writeBack();
  return out;
}

function run(compiled: Compiled, inputs: readonly IValue[], self: ObjectValue | undefined): IValue {
  const tracer = activeTracer();
  if (tracer === undefined) return runFunction(compiled, inputs);
  const result = untraced(() => runFunction(compiled, inputs));
  tracer.compiledCall(compiled, self, self === undefined ? inputs : inputs.slice(1), result);
  return result;
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
