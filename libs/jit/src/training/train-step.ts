// jit.trainStep: a module and its optimizer as one function that makes a step. Where the call can be one graph, it is
// (training-graph.ts); otherwise the step is made of its parts, with the same results.
import type { DType, IValue, ScriptFunction } from '@weft/ir';
import { InternalError, WeftError } from '@weft/ir';
import { autocastDType, checkAutocast, withAutocast } from '@weft/ops';
import type { nn } from '@weft/tensor';
import { Tensor, optim } from '@weft/tensor';
import { runFunction } from '../executor/index.ts';
import { CallPattern } from '../executor/pattern.ts';
import { executorSettings } from '../executor/settings.ts';
import { MemoryLimitError, limitInBytes } from '../memory/bytes.ts';
import { argumentsOf } from '../script-function.ts';
import { ScriptModule } from '../script-module.ts';
import { script } from '../script.ts';
import type { Ending, TrainingGraphOptions } from './training-graph.ts';
import { TrainingGraph } from './training-graph.ts';

export interface TrainStepOptions extends TrainingGraphOptions {
  /** The method that computes the loss; default `forward`. */
  readonly method?: string;
  /** Computes the loss as inside `autocast('cpu', { dtype }, …)`: `bfloat16`. Parameters, gradients and state stay as they are. */
  readonly autocast?: DType;
}

export interface TrainStep {
  /** Makes a step (with `accumulate`: a part of one) and returns the loss before it. */
  (...inputs: unknown[]): Tensor;
  /** How the last call ran: `compiled` as one graph, or why it was not. */
  readonly state: string;
  /** Bytes of temporary memory (activations, gradients) that the last compiled step took; 0 before there is one. */
  readonly memory: number;
}

interface Seen {
  readonly autocast: DType | null;
  readonly pattern: CallPattern;
  graph?: TrainingGraph;
  refusal?: string;
}

/**
 * Makes a function that trains: each call computes the loss of its arguments, the gradients, and the optimizer's update, compiled
 * together as one graph that changes parameters and state where they are. The results are those of
 *
 *     optimizer.zeroGrad(true); const loss = module.forward(...inputs); loss.backward(); optimizer.step();
 *
 * but `grad` of the parameters is null afterwards. The loss is a tensor of one element, without history. Throws WeftError for an optimizer
 * that evaluates the loss several times a step (LBFGS), and MemoryLimitError from a call whose `memoryLimit` cannot be kept: because
 * it is too low, or because the call is not one graph.
 */
export function trainStep(
  module: ScriptModule | nn.Module,
  optimizer: optim.Optimizer,
  { method = 'forward', autocast, ...options }: TrainStepOptions = {},
): TrainStep {
  const { accumulate = 1, memoryLimit } = options;
  if (optimizer instanceof optim.LBFGS)
    throw new WeftError('LBFGS evaluates the loss several times a step: call optimizer.step(closure)');
  if (!Number.isInteger(accumulate) || accumulate < 1)
    throw new WeftError(`accumulate is ${accumulate}; it is a number of calls, 1 or more`);
  if (memoryLimit !== undefined) limitInBytes(memoryLimit);
  if (autocast !== undefined) checkAutocast('cpu', autocast);
  const scripted = module instanceof ScriptModule ? module : script(module);
  const callee = scripted.method(method);
  const runner = new StepRunner(callee, optimizer, options);
  const step = (...given: unknown[]): Tensor =>
    withAutocast(autocast ?? autocastDType(), () =>
      runner.run(argumentsOf(callee, given, scripted.object).inputs),
    );
  return Object.defineProperties(step, {
    state: { get: () => runner.state },
    memory: { get: () => runner.memory },
  }) as unknown as TrainStep;
}

/** @internal Steps on values as the interpreter has them. */
export class StepRunner {
  state = 'not called yet';
  memory = 0;
  private readonly seen: Seen[] = [];
  private calls = 0;

  constructor(
    private readonly callee: ScriptFunction,
    private readonly optimizer: optim.Optimizer,
    private readonly options: TrainingGraphOptions,
  ) {}

  /** @param args the object of the method first */
  run(args: readonly IValue[]): Tensor {
    const { accumulate = 1 } = this.options;
    if (executorSettings.mode === 'interpret') this.state = 'WEFT_EXECUTOR=interpret';
    else {
      const loss = this.compiled(args, (this.calls + 1) % accumulate === 0 ? 'update' : 'keep');
      if (loss !== undefined) {
        this.calls++;
        return loss;
      }
    }
    return this.apart(args);
  }

  /** The step as one graph; undefined where there is none for this call. */
  private compiled(args: readonly IValue[], ending: Ending): Tensor | undefined {
    const { entry, tensors } = entryFor(this.seen, args);
    if (entry.graph === undefined && entry.refusal === undefined) {
      try {
        entry.graph = new TrainingGraph(this.callee, args, tensors, this.optimizer, this.options);
      } catch (error) {
        // Whatever it is, the parts can make the step; tests want to know of defects.
        const isDefect = error instanceof InternalError || error instanceof TypeError;
        if (!(error instanceof Error) || (isDefect && executorSettings.mode === 'compile')) throw error;
        entry.refusal = error.message;
      }
    }
    const refusal = entry.refusal ?? entry.graph?.refuses();
    if (refusal !== undefined) {
      this.state = refusal;
      if (this.options.memoryLimit === undefined) return undefined;
      throw new MemoryLimitError(`memoryLimit cannot be kept, since the step is not one graph: ${refusal}`);
    }
    const loss = entry.graph?.run(tensors, ending);
    if (loss !== undefined) this.memory = entry.graph!.memory;
    this.state = loss !== undefined ? 'compiled' : 'its guard failed';
    // What it was made for is gone: made again at the next call.
    if (loss === undefined) entry.graph = undefined;
    return loss;
  }

  /** The step by its parts. */
  private apart(args: readonly IValue[]): Tensor {
    const { callee, optimizer, options } = this;
    const { clipGradNorm, accumulate = 1 } = options;
    const loss: unknown = runFunction(callee, args);
    if (!(loss instanceof Tensor))
      throw new WeftError(`${callee.name} returns no tensor; a training step needs the loss from it`);
    (accumulate === 1 ? loss : loss.div(accumulate)).backward();
    if (++this.calls % accumulate === 0) {
      if (clipGradNorm !== undefined)
        optim.clipGradNorm_(optimizer.paramGroups.flatMap(({ parameters }) => parameters), clipGradNorm); // prettier-ignore
      optimizer.step();
      optimizer.zeroGrad(true);
    }
    return loss.detach();
  }
}

/** What is known of calls like this one, and its tensors. */
function entryFor(seen: Seen[], args: readonly IValue[]): { entry: Seen; tensors: Tensor[] } {
  const autocast = autocastDType();
  for (const entry of seen) {
    const tensors = entry.autocast === autocast ? entry.pattern.tensorsOf(args) : undefined;
    if (tensors !== undefined) return { entry, tensors };
  }
  const pattern = new CallPattern(args);
  const entry: Seen = { autocast, pattern };
  seen.unshift(entry);
  if (seen.length > executorSettings.maxVariants) seen.pop();
  const tensors = pattern.tensorsOf(args);
  if (tensors === undefined) throw new InternalError('a call does not match its own pattern');
  return { entry, tensors };
}
