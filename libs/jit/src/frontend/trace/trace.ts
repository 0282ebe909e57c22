// jit.trace: runs a module or function once on example inputs and makes a script of what it did. Warns of what the recording
// froze, and checks it by a second run with other data.
import type { ScriptFunction } from '@weft/ir';
import { WeftError, isTensorLike } from '@weft/ir';
import type { nn } from '@weft/tensor';
import { Tensor, noGrad } from '@weft/tensor';
import type { ScriptModule } from '../../script-module.ts';
import { scriptModuleOf } from '../../script-module.ts';
import type { ScriptedFunction } from '../../script-function.ts';
import { wrapFunction } from '../../script-function.ts';
import { isModule } from '../typescript/module-access.ts';
import { functionSyntax } from '../typescript/source-file.ts';
import { livePrograms } from '../typescript/live-programs.ts';
import { otherData, sameResult } from './check.ts';
import type { TraceInput, TraceOutput } from './trace-graph.ts';
import { TraceGraphs, TracedObjects } from './trace-graph.ts';
import { Tracer, untraced } from './tracer.ts';
import { TracerWarning } from './tracer-warning.ts';

/** What cannot be traced: no tensors among the inputs, or a result that is no tensor. */
export class TraceError extends WeftError {}

export interface TraceOptions {
  /** Whether the trace is run again with other data and compared with the eager module (default: yes). */
  readonly checkTrace?: boolean;
  /** Receives the warnings; by default they go to the process's warnings. */
  readonly onWarning?: (warning: TracerWarning) => void;
}

type AnyFunction = (...given: never[]) => unknown;
/** What was warned of. */
export interface Traced {
  readonly warnings: readonly TracerWarning[];
}

/**
 * Records a run of `target` on `inputs` (one tensor, or an array with one entry an argument). The result runs exactly the
 * operators that this run did.
 */
export function trace<M extends nn.Module>(
  target: M,
  inputs: unknown,
  options?: TraceOptions,
): ScriptModule & Traced;
export function trace<F extends AnyFunction>(
  target: F,
  inputs: unknown,
  options?: TraceOptions,
): ScriptedFunction<F> & Traced;
export function trace(
  target: nn.Module | AnyFunction,
  inputs: unknown,
  { checkTrace = true, onWarning = emitWarning }: TraceOptions = {},
): (ScriptModule | ScriptedFunction<AnyFunction>) & Traced {
  const given = Array.isArray(inputs) ? (inputs as unknown[]) : [inputs];
  const module = isModule(target) ? target : undefined;
  const run = module === undefined ? (target as (...args: unknown[]) => unknown) : forwardOf(module);
  const tracer = new Tracer(module);
  const traceInputs = given.map((value, index) => inputOf(tracer, value, `input ${index + 1}`));
  const { result, output } = tracer.record(() => {
    const made = run(...given);
    return { result: made, output: outputOf(tracer, made) };
  });
  const objects = new TracedObjects();
  const graphs = new TraceGraphs(objects, tracer.root, output);
  const names = parameterNames(
    module === undefined ? target : (module as unknown as { forward: object }).forward,
  );
  const { warnings } = tracer;
  let traced: ScriptModule | ScriptedFunction<AnyFunction>;
  if (module === undefined) {
    const name = livePrograms().qualify((target as AnyFunction).name || 'traced');
    traced = wrapFunction<AnyFunction>(graphs.rootFunction(name, traceInputs, names));
  } else {
    const object = objects.of(module);
    const forward = graphs.rootFunction(`${object.type.name}.forward`, traceInputs, names);
    object.type.methods.set('forward', forward as ScriptFunction);
    traced = scriptModuleOf(object);
  }
  if (checkTrace) {
    const call =
      module === undefined
        ? (traced as unknown as (...args: unknown[]) => unknown)
        : (traced as ScriptModule).forward.bind(traced);
    check(run, call, given, warnings);
  }
  void result;
  for (const warning of warnings) onWarning(warning);
  Object.defineProperty(traced, 'warnings', { value: warnings, configurable: true });
  return traced as (ScriptModule | ScriptedFunction<AnyFunction>) & Traced;
}

function emitWarning(warning: TracerWarning): void {
  process.emitWarning(warning.message, { type: 'TracerWarning' });
}

function forwardOf(module: nn.Module): (...args: unknown[]) => unknown {
  const { forward } = module as unknown as { forward?: (...args: unknown[]) => unknown };
  if (typeof forward !== 'function')
    throw new TraceError(`${module.constructor.name} has no forward to trace`);
  return forward.bind(module);
}

function inputOf(tracer: Tracer, value: unknown, what: string): TraceInput {
  if (value instanceof Tensor) return { kind: 'tensor', value: tracer.input(value) };
  if (Array.isArray(value) && value.length > 0) {
    return { kind: 'tuple', items: value.map((item, index) => inputOf(tracer, item, `${what}[${index}]`)) };
  }
  const found = value === null ? 'null' : typeof value;
  throw new TraceError(
    `${what} of a trace must be a tensor or a tuple of tensors, but it is ${found}; use jit.script for other arguments`,
  );
}

function outputOf(tracer: Tracer, value: unknown): TraceOutput {
  if (value instanceof Tensor) return { kind: 'tensor', argument: tracer.output(value) };
  if (value === undefined || value === null) return { kind: 'none' };
  if (Array.isArray(value)) return { kind: 'tuple', items: value.map((item) => outputOf(tracer, item)) };
  if (value instanceof Map || (typeof value === 'object' && !isTensorLike(value))) {
    const entries = value instanceof Map ? [...(value as Map<unknown, unknown>)] : Object.entries(value);
    return { kind: 'dict', entries: entries.map(([key, entry]) => [String(key), outputOf(tracer, entry)]) };
  }
  throw new TraceError(
    `a traced function must return tensors, or arrays and Maps of them, but it returned a ${typeof value}; return the tensor itself`,
  );
}

function parameterNames(fn: object): string[] {
  try {
    const { node, file } = functionSyntax(fn);
    return node.parameters.map((parameter) => parameter.name.getText(file).replace(/\W/g, '_'));
  } catch (error) {
    if (error instanceof WeftError) return [];
    throw error;
  }
}

/** Compares traced and eager results, for the inputs themselves and for other numbers of the same shapes. */
function check(
  eager: (...args: unknown[]) => unknown,
  traced: (...args: unknown[]) => unknown,
  inputs: readonly unknown[],
  warnings: TracerWarning[],
): void {
  untraced(() =>
    noGrad(() => {
      const changed = inputs.map((input, index) => otherData(input, index));
      for (const [which, data] of [
        ['the example inputs', inputs.map((input) => otherData(input, -1))],
        ['other data of the same shapes', changed],
      ] as const) {
        const copy = data.map((input) => otherData(input, -1));
        let expected: unknown;
        try {
          expected = eager(...data);
        } catch (error) {
          // Data that the module does not take says nothing about the trace.
          if (error instanceof WeftError) continue;
          throw error;
        }
        const difference = sameResult(expected, traced(...copy));
        if (difference !== undefined) {
          warnings.push(
            new TracerWarning(
              `the traced function does not agree with the original for ${which}: ${difference}; something that depends on the data was frozen, or the function is random`,
              undefined,
            ),
          );
          return;
        }
      }
    }),
  );
}
