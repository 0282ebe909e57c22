// Recorded cases: an archive with the inputs it was called with and what PyTorch answered: outputs, errors, printed text,
// gradients, training runs. A case is checked by doing all of it again.
import type { IValue, ScriptFunction } from '@weft/ir';
import { InternalError, WeftError } from '@weft/ir';
import type { Tensor } from '@weft/tensor';
import { grad, manualSeed, optim } from '@weft/tensor';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runFunction } from '../executor/index.ts';
import { ScriptRuntimeError } from '../runtime/index.ts';
import type { ScriptModule } from '../script-module.ts';
import { bindCall } from './call-arguments.ts';
import type { RecordedOptions } from './corpus-training.ts';
import { makeOptimizer, makeScheduler } from './corpus-training.ts';
import type { Recorded, Tolerance } from './corpus-values.ts';
import { CorpusValues, Mismatch, tensorsIn } from './corpus-values.ts';
import { NotRun, runProgram } from './eager-program.ts';
import { load } from './read.ts';
import { SourceProgram } from './source-program.ts';

export interface RecordedCall {
  readonly method: string;
  readonly inputs: readonly Recorded[];
  readonly kwargs?: Readonly<Record<string, Recorded>>;
  readonly output?: Recorded;
  readonly error?: { readonly type: string; readonly message: string; readonly raised: string };
  readonly printed?: string;
  readonly inputsAfter?: readonly Recorded[];
  readonly seed?: number;
  readonly backward?: {
    readonly cotangents: readonly Recorded[];
    readonly inputGrads: readonly Recorded[];
    readonly parameterGrads: Readonly<Record<string, Recorded>>;
  };
}

export interface RecordedCase {
  readonly kind: 'script' | 'trace' | 'eager' | 'rejected';
  /** The text that was compiled. */
  readonly source?: string;
  /** Of eager cases: the text that was run; the answer is its `result`. */
  readonly program?: string;
  /** Of rejected cases: why PyTorch refused it. */
  readonly error?: { readonly type: string; readonly message: string };
  readonly tolerance?: Tolerance;
  readonly seed?: number;
  readonly calls: readonly RecordedCall[];
  readonly extraFiles?: Readonly<Record<string, string>>;
  readonly grads?: Readonly<Record<string, Recorded>>;
  readonly training?: {
    readonly optimizer: RecordedOptions;
    readonly scheduler?: RecordedOptions;
    readonly clipGradNorm?: number;
    readonly steps: number;
    readonly losses: readonly number[];
    readonly learningRates?: readonly number[];
    readonly parametersAfter?: Readonly<Record<string, Recorded>>;
    readonly buffersAfter?: Readonly<Record<string, Recorded>>;
  };
}

export interface CaseResult {
  readonly passed: boolean;
  /** What went wrong, one line each. */
  readonly failures: readonly string[];
  /** The largest error of a number, |actual - expected| / max(1, |expected|), where numbers were compared. */
  readonly largestError?: number;
  /** Why there is nothing to check in this case. */
  readonly skipped?: string;
}

export interface CaseOptions {
  /** How the module is opened; a round trip can be put in here. */
  readonly open?: (path: string) => ScriptModule;
}

/** Does everything again that is recorded in a folder with `io.json`, `tensors.bin` and `model.pt`. */
export function runCase(folder: string, { open = load }: CaseOptions = {}): CaseResult {
  const recorded = JSON.parse(readFileSync(join(folder, 'io.json'), 'utf8')) as RecordedCase;
  if (recorded.kind === 'rejected') return runRejected(recorded);
  const data = readFileSync(join(folder, 'tensors.bin'));
  const values = new CorpusValues(data, recorded.tolerance ?? { rtol: 0, atol: 0 });
  if (recorded.kind === 'eager') return runEager(recorded, values);
  const path = join(folder, 'model.pt');
  const failures: string[] = [];
  const attempt = (check: () => void): void => {
    try {
      check();
    } catch (error) {
      failures.push(lineOf(error));
    }
  };
  attempt(() => {
    const extraFiles = Object.fromEntries(Object.keys(recorded.extraFiles ?? {}).map((name) => [name, '']));
    const module = recorded.extraFiles === undefined ? open(path) : load(path, { extraFiles });
    for (const [name, text] of Object.entries(recorded.extraFiles ?? {})) {
      if (extraFiles[name] !== text) throw new Mismatch(`extra file '${name}' is '${extraFiles[name]}'`);
    }
    recorded.calls.forEach((call, index) => attempt(() => checkCall(values, module, recorded, index)));
  });
  if (recorded.calls.some((call) => call.backward !== undefined)) {
    attempt(() => {
      const module = open(path);
      recorded.calls.forEach((call, index) =>
        attempt(() => checkBackward(values.withoutStrides, module, call, `call ${index}`)),
      );
    });
  }
  if (recorded.grads !== undefined || recorded.training !== undefined)
    attempt(() => checkTraining(values.withoutStrides, recorded, () => open(path)));
  const { largestError } = values;
  return { passed: failures.length === 0, failures: [...new Set(failures)], largestError };
}

/** A program that PyTorch refuses to compile is refused here, too; the words of the error may be others. */
function runRejected({ source, error: expected }: RecordedCase): CaseResult {
  try {
    const program = new SourceProgram(source!, 'program');
    if (program.classes.length > 0) {
      const skipped = `its class '${program.classes[0]}' gets its attributes from Python's __init__`;
      return { passed: true, failures: [], skipped };
    }
    program.function('forward');
  } catch (error) {
    if (error instanceof WeftError && !(error instanceof InternalError))
      return { passed: true, failures: [] };
    return { passed: false, failures: [lineOf(error)] };
  }
  return { passed: false, failures: [`it compiles, expected '${expected!.message}'`] };
}

/** A program without an archive: its `result` for every seed. */
function runEager({ program, calls }: RecordedCase, values: CorpusValues): CaseResult {
  const failures: string[] = [];
  for (const [index, { seed, output }] of calls.entries()) {
    try {
      if (seed !== undefined) manualSeed(seed);
      values.check(runProgram(program!), output ?? null, `call ${index}`);
    } catch (error) {
      if (error instanceof NotRun) return { passed: true, failures: [], skipped: error.message };
      failures.push(lineOf(error));
    }
  }
  return { passed: failures.length === 0, failures };
}

function lineOf(error: unknown): string {
  if (error instanceof Mismatch) return error.message;
  if (error instanceof ScriptRuntimeError) return `failed: ${error.reason}`;
  const { name, message, stack = '' } = error as Error;
  if (error instanceof WeftError) return `${name}: ${message.split('\n').slice(0, 8).join(' | ')}`;
  return `${name}: ${message.split('\n')[0]} ${
    stack
      .split('\n')
      .find((line) => line.includes(' at '))
      ?.trim() ?? ''
  }`;
}

interface Outcome {
  readonly inputs: readonly IValue[];
  readonly output?: IValue;
  readonly error?: Error;
  readonly printed: string;
}

function perform(
  values: CorpusValues,
  module: ScriptModule,
  call: RecordedCall,
  inputs: readonly IValue[],
): Outcome {
  if (call.seed !== undefined) manualSeed(call.seed);
  const keywords = Object.fromEntries(
    Object.entries(call.kwargs ?? {}).map(([name, value]) => [name, values.value(value)]),
  );
  let printed = '';
  try {
    const method: ScriptFunction = module.method(call.method);
    const bound = bindCall(method.schema, [module.object, ...inputs], keywords);
    const output = runFunction(method, bound, { print: (text) => (printed += text), warn: () => undefined });
    // Lists and dicts were copied when they were bound; what the program did to them is seen there.
    return { inputs: bound.slice(1, inputs.length + 1), output, printed };
  } catch (error) {
    return { inputs, error: error as Error, printed };
  }
}

function checkCall(values: CorpusValues, module: ScriptModule, recorded: RecordedCase, index: number): void {
  const call = recorded.calls[index];
  const where = `call ${index}`;
  const outcome = perform(
    values,
    module,
    call,
    call.inputs.map((input) => values.value(input)),
  );
  if (call.error !== undefined) {
    if (outcome.error === undefined)
      throw new Mismatch(`${where}: no error, expected '${call.error.message}'`);
    const { type, message } = describeError(outcome.error);
    if (type !== call.error.type || message !== call.error.message) {
      throw new Mismatch(
        `${where}: error '${type}: ${message}' instead of '${call.error.type}: ${call.error.message}'`,
      );
    }
  } else if (outcome.error !== undefined) {
    throw new Mismatch(`${where}: ${lineOf(outcome.error)}`, { cause: outcome.error });
  } else if (call.output !== null || recorded.training === undefined) {
    // A training case may leave the loss to the list of its losses.
    values.check(outcome.output!, call.output ?? null, where);
  }
  if (outcome.printed !== (call.printed ?? '')) {
    throw new Mismatch(
      `${where}: printed ${JSON.stringify(outcome.printed)} instead of ${JSON.stringify(call.printed)}`,
    );
  }
  if (call.inputsAfter !== undefined) {
    call.inputsAfter.forEach((after, index) =>
      values.check(outcome.inputs[index], after, `${where} input ${index} after`),
    );
  }
}

/** The class and the first line of an error, as PyTorch shows them beneath the TorchScript traceback. */
function describeError(error: Error): { type: string; message: string } {
  if (error instanceof ScriptRuntimeError) {
    const text = `${error.exceptionClass ?? 'RuntimeError'}: ${error.reason}`.split('\n')[0];
    const [, type, message] = /^([A-Za-z_][\w.]*): ?(.*)$/.exec(text)!;
    return { type, message: withoutAddresses(message) };
  }
  return { type: 'RuntimeError', message: withoutAddresses(error.message.trim().split('\n')[0]) };
}

/** Recorded messages have what looks like an address in memory blanked. */
const withoutAddresses = (message: string): string => message.replace(/0x[0-9a-f]{6,}/g, '0x...');

function checkBackward(values: CorpusValues, module: ScriptModule, call: RecordedCall, where: string): void {
  const inputs = call.inputs.map((input) => values.value(input));
  const leaves = inputs.flatMap(tensorsIn);
  const { backward } = call;
  if (backward !== undefined) {
    for (const leaf of leaves) if (/float|complex/.test(leaf.dtype)) leaf.requiresGrad = true;
  }
  const { output, error } = perform(values, module, call, inputs);
  if (backward === undefined) return;
  if (error !== undefined) throw new Mismatch(`${where} with gradients: ${lineOf(error)}`, { cause: error });
  const pairs = tensorsIn(output!).flatMap((tensor, index) => {
    const cotangent = values.value(backward.cotangents[index] ?? null);
    return cotangent === null ? [] : [{ tensor, cotangent: cotangent as unknown as Tensor }];
  });
  const parameters = [...module.namedParameters()].filter(([, parameter]) => parameter.requiresGrad);
  const wanted = leaves.filter((leaf) => leaf.requiresGrad);
  const grads = grad(
    pairs.map(({ tensor }) => tensor),
    [...wanted, ...parameters.map(([, parameter]) => parameter)],
    pairs.map(({ cotangent }) => cotangent),
    { allowUnused: true },
  );
  leaves.forEach((leaf, index) => {
    const own = leaf.requiresGrad ? grads.shift()! : null;
    values.check(own, backward.inputGrads[index], `${where} gradient of input ${index}`);
  });
  for (const [name] of parameters) {
    values.check(grads.shift()!, backward.parameterGrads[name] ?? null, `${where} gradient of ${name}`);
  }
}

function checkTraining(values: CorpusValues, recorded: RecordedCase, open: () => ScriptModule): void {
  const { calls, training, grads } = recorded;
  const inputs = calls.map((call) => call.inputs.map((input) => values.value(input)));
  const loss = (module: ScriptModule, step: number): Tensor => {
    const method: ScriptFunction = module.method('forward');
    const bound = bindCall(method.schema, [module.object, ...inputs[step % inputs.length]]);
    return runFunction(method, bound, { warn: () => undefined }) as unknown as Tensor;
  };
  // A recording may hold gradients, losses and what parameters became, or the losses only.
  if (grads !== undefined) {
    const first = open();
    if (recorded.seed !== undefined) manualSeed(recorded.seed);
    loss(first, 0).backward();
    for (const [name, parameter] of first.namedParameters()) {
      values.check(parameter.grad, grads[name] ?? null, `gradient of ${name}`);
    }
  }
  if (training === undefined) return;
  const module = open();
  const optimizer = makeOptimizer(training.optimizer, module.parameters());
  const scheduler = training.scheduler && makeScheduler(training.scheduler, optimizer);
  if (recorded.seed !== undefined) manualSeed(recorded.seed);
  for (let step = 0; step < training.steps; step++) {
    optimizer.zeroGrad();
    const result = loss(module, step);
    result.backward();
    if (training.clipGradNorm !== undefined) optim.clipGradNorm_(module.parameters(), training.clipGradNorm);
    if (scheduler !== undefined) {
      values.check(
        optimizer.paramGroups[0].lr,
        { float: training.learningRates![step] },
        `learning rate of step ${step}`,
      );
    }
    optimizer.step();
    scheduler?.step();
    values.check(result.item(), { float: training.losses[step] }, `loss of step ${step}`);
  }
  const { parametersAfter, buffersAfter } = training;
  if (parametersAfter !== undefined) {
    for (const [name, parameter] of module.namedParameters())
      values.check(parameter, parametersAfter[name] ?? null, `${name} after training`);
  }
  if (buffersAfter !== undefined) {
    for (const [name, buffer] of module.namedBuffers())
      values.check(buffer, buffersAfter[name] ?? null, `${name} after training`);
  }
}
