// Recorded cases and archives as work to be timed: inference calls, or training steps with the recorded optimizer. Whether the
// answers are right is for corpus.ts to say.
import type { Graph, IValue, Value } from '@weft/ir';
import { UnsupportedError, WeftError, differentiate, dtypes, numel, productFlops, specOf } from '@weft/ir';
import type { Tensor } from '@weft/tensor';
import { manualSeed, noGrad } from '@weft/tensor';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { runFunction } from '../executor/index.ts';
import { lowerModule } from '../lower/index.ts';
import { optimize } from '../passes/index.ts';
import { StepRunner } from '../training/train-step.ts';
import type { ScriptModule } from '../script-module.ts';
import { bindCall } from './call-arguments.ts';
import type { RecordedCase } from './corpus.ts';
import { makeOptimizer, makeScheduler } from './corpus-training.ts';
import { CorpusValues } from './corpus-values.ts';
import { load } from './read.ts';

export interface WorkloadCall {
  readonly method: string;
  /** Without `self`. */
  readonly inputs: readonly IValue[];
}

export interface Workload {
  readonly name: string;
  readonly kind: 'inference' | 'training';
  readonly module: ScriptModule;
  readonly calls: readonly WorkloadCall[];
  /** Inference: makes all the calls, without gradients. Training: one step, on the inputs of the next call. */
  run(): void;
  /** Training: how the last step of the first method ran, `compiled` or why not. */
  state?(): string;
}

const quiet = { print: () => undefined, warn: () => undefined };

/** A call that can be made again and again. */
function prepared(module: ScriptModule, { method, inputs }: WorkloadCall): () => IValue {
  const callee = module.method(method);
  const all = [module.object, ...inputs];
  return () => runFunction(callee, all, quiet);
}

/** Calls of an archive's methods as work. */
export function workloadOf(name: string, module: ScriptModule, calls: readonly WorkloadCall[]): Workload {
  const performed = calls.map((call) => prepared(module, call));
  const run = (): void =>
    noGrad(() => {
      for (const perform of performed) perform();
    });
  return { name, kind: 'inference', module, calls, run };
}

/** Opens a recorded case (a folder with `io.json`, `tensors.bin` and `model.pt`). Throws WeftError when there is nothing to run. */
export function openWorkload(folder: string, name = basename(folder)): Workload {
  const path = join(folder, 'model.pt');
  const record = join(folder, 'io.json');
  for (const file of [record, path]) {
    if (!existsSync(file))
      throw new WeftError(`${folder} is no case that can run: it has no ${basename(file)}`);
  }
  const recorded = JSON.parse(readFileSync(record, 'utf8')) as RecordedCase;
  const values = new CorpusValues(readFileSync(join(folder, 'tensors.bin')), { rtol: 0, atol: 0 });
  const module = load(path);
  const calls = recorded.calls
    .filter((call) => call.error === undefined)
    .map(({ method, inputs, kwargs = {} }): WorkloadCall => {
      const given = [module.object, ...inputs.map((input) => values.value(input))];
      const keywords = Object.fromEntries(
        Object.entries(kwargs).map(([key, value]) => [key, values.value(value)]),
      );
      return { method, inputs: bindCall(module.method(method).schema, given, keywords).slice(1) };
    });
  if (calls.length === 0) throw new WeftError(`${folder} records no call that succeeds`);
  if (recorded.seed !== undefined) manualSeed(recorded.seed);
  const { training } = recorded;
  if (training === undefined) return workloadOf(name, module, calls);
  const optimizer = makeOptimizer(training.optimizer, module.parameters());
  const scheduler = training.scheduler && makeScheduler(training.scheduler, optimizer);
  const { clipGradNorm } = training;
  const runners = new Map(
    calls.map(({ method }) => [method, new StepRunner(module.method(method), optimizer, { clipGradNorm })]),
  );
  let step = 0;
  const run = (): void => {
    const { method, inputs } = calls[step++ % calls.length];
    runners.get(method)!.run([module.object, ...inputs]);
    // A schedule may have an end.
    if (step < training.steps) scheduler?.step();
  };
  const state = (): string => runners.get(calls[0].method)!.state;
  return { name, kind: 'training', module, calls, run, state };
}

/** What one run has to do, whatever compiles it. */
export interface Work {
  /** Floating-point operations of matrix products and convolutions, gradients included. */
  readonly flops: number;
  /** Bytes that must move: operands read once and results written once; training reads, writes and differentiates parameters. */
  readonly bytes: number;
}

/** The work of one run (for training: of its first step), from its graphs. Undefined when they cannot be had as a whole. */
export function workOf({ module, kind, calls }: Workload): Work | undefined {
  let [flops, bytes] = [0, 0];
  try {
    for (const { method, inputs } of kind === 'training' ? calls.slice(0, 1) : calls) {
      const lowered = lowerModule(module.object, method, inputs);
      const { graph, parameters } = lowered;
      bytes += bytesOf(graph.inputs.filter(({ hasUses }) => hasUses)) + bytesOf(graph.outputs);
      const graphs: Graph[] = [graph];
      if (kind === 'training') {
        const wrt = parameters
          .filter(({ tensor }) => (tensor as Tensor).requiresGrad)
          .map(({ input }) => input);
        bytes += 2 * bytesOf(wrt.map((input) => graph.inputs[input]));
        const { backward } = differentiate(graph, { wrt, outputs: [0] });
        optimize(backward, 'core');
        graphs.push(backward);
      }
      for (const each of graphs) {
        const found = productFlops(each);
        if (found === undefined) return undefined;
        flops += found;
      }
    }
  } catch (error) {
    // Host code, shapes that depend on data: such work is not told in operations.
    if (error instanceof UnsupportedError || error instanceof WeftError) return undefined;
    throw error;
  }
  return { flops, bytes };
}

function bytesOf(values: readonly Value[]): number {
  let bytes = 0;
  for (const value of new Set(values)) {
    const { sizes, dtype } = specOf(value);
    bytes += numel(sizes) * dtypes[dtype].bytes;
  }
  return bytes;
}
