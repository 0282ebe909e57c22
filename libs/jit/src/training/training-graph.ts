// A training step as one graph: the loss of a call, the gradients of parameters, and the optimizer's update, which replaces parameters
// and state where they are. Gradients are values inside of it and never tensors, except those of calls that share an update: they are
// kept in `grad`, to which the graphs of such calls add.
import type { InPlace } from '@weft/devices';
import type { IValue, ScriptFunction, Value } from '@weft/ir';
import { CoreBuilder, Graph, UnsupportedError, dtypes, isComplex, numel, specOf, vjpOfGraph } from '@weft/ir';
import type { Tensor, UpdatePlan, optim } from '@weft/tensor';
import { CoreFunction, defaultGenerator, drawRequests, hostDevice, noGrad, runInto } from '@weft/tensor';
import { executorSettings } from '../executor/settings.ts';
import { StateGuard } from '../executor/state-guard.ts';
import type { ExactLowering } from '../lower/index.ts';
import { lowerExactly } from '../lower/index.ts';
import { limitInBytes } from '../memory/bytes.ts';
import { fitMemory } from '../memory/limit.ts';
import { optimize } from '../passes/index.ts';

/** What a call does with its gradients: updates the parameters by them, or keeps them for a call that does. */
export type Ending = 'update' | 'keep';

export interface TrainingGraphOptions {
  /** Bounds the norm of all gradients, taken together, before the update. */
  readonly clipGradNorm?: number;
  /**
   * Calls that share one update, with the mean of their gradients; default 1. Until the last of them gradients are summed in `grad` of
   * the parameters.
   */
  readonly accumulate?: number;
  /**
   * Bytes, or text such as `512MB`, of temporary memory that a call may take: activations and gradients, beside its arguments, the parameters
   * and their state. Activations are computed again in the backward pass where that is needed to keep it.
   * With WEFT_EXECUTOR=interpret it is not kept.
   */
  readonly memoryLimit?: number | string;
}

/** Where things are among the outputs of the graph. */
interface Made {
  readonly fn: CoreFunction;
  /** The first of the results that replace the plan's targets, or that are kept. */
  readonly firstTarget: number;
}

/** A call's ending with the tensors that it is for. */
interface Bound {
  /** The same key is the same graph. */
  readonly key: string;
  readonly parameters: readonly Tensor[];
  /** What is in `grad` of each already. */
  readonly kept: readonly (Tensor | null)[];
  /** Undefined where gradients are kept. */
  readonly plan: UpdatePlan | undefined;
}

export class TrainingGraph {
  private readonly lowering: ExactLowering;
  private readonly guard: StateGuard;
  private readonly loss: number;
  private readonly trained: readonly Tensor[];
  private readonly made = new Map<string, Made>();
  private last: CoreFunction | undefined;

  /** Throws UnsupportedError, or the program's own error, when no graph can stand for such calls. */
  constructor(
    callee: ScriptFunction,
    args: readonly IValue[],
    tensors: readonly Tensor[],
    private readonly optimizer: optim.Optimizer,
    private readonly options: TrainingGraphOptions = {},
  ) {
    const { unrollLimit } = executorSettings;
    this.lowering = lowerExactly(callee, args, { unrollLimit, gradEnabled: true });
    const { graph, result, objects } = this.lowering;
    this.guard = new StateGuard(objects);
    if (result.kind !== 'tensor') throw new UnsupportedError('the result is no new tensor');
    this.loss = result.output;
    const { sizes, dtype } = specOf(graph.outputs[this.loss]);
    if (numel(sizes) !== 1 || dtypes[dtype].category !== 'float')
      throw new UnsupportedError('the result is no single floating-point number');
    if (tensors.some(({ requiresGrad }) => requiresGrad))
      throw new UnsupportedError('an argument requires a gradient');
    const operands = this.bind(tensors);
    const known = new Set(optimizer.paramGroups.flatMap(({ parameters }) => parameters));
    const used = new Set(this.lowering.inputs.map((index) => operands[index]));
    this.trained = [...used].filter((tensor) => tensor.requiresGrad && known.has(tensor));
    const others = operands.filter((tensor) => !this.trained.includes(tensor));
    const storages = new Set(this.trained.map(({ storage }) => storage));
    if (storages.size < this.trained.length || others.some(({ storage }) => storages.has(storage)))
      throw new UnsupportedError('a parameter shares its memory with another tensor');
    const devices = new Set(operands.map(({ storage }) => storage.device));
    if (devices.size > 1) throw new UnsupportedError('the tensors of the call are on several devices');
    if (operands.some((tensor) => !tensor.isRowMajor))
      throw new UnsupportedError('a tensor of the module is strided');
    if (this.trained.length === 0) throw new UnsupportedError('the result depends on no trained parameter');
    this.functionFor(this.bound('update'));
  }

  /** Why calls with this ending have to be made by their parts, as things are. */
  refuses(): string | undefined {
    const parameters = this.optimizer.paramGroups.flatMap((group) => group.parameters);
    for (const parameter of parameters) {
      const { grad, storage } = parameter;
      if (grad === null) continue;
      if (!this.trained.includes(parameter))
        return 'a parameter that the result does not depend on has a gradient';
      if (!grad.isRowMajor || grad.requiresGrad || grad.storage.device !== storage.device)
        return 'there is a gradient that is strided, elsewhere, or has a history';
    }
    return undefined;
  }

  /** Makes the step with the tensors of the arguments; undefined when the call has to be interpreted: then nothing was changed. */
  run(tensors: readonly Tensor[], ending: Ending = 'update'): Tensor | undefined {
    if (!this.guard.holds()) return undefined;
    const { requests, condition, writes, inputs } = this.lowering;
    const operands = this.bind(tensors);
    if (this.hasSharedWrites(operands)) return undefined;
    const bound = this.bound(ending);
    const { parameters, kept, plan } = bound;
    const { fn, firstTarget } = this.functionFor(bound);
    this.last = fn;
    const device = operands[0]?.storage.device ?? hostDevice();
    const before = condition !== undefined && requests.length > 0 ? defaultGenerator.getState() : undefined;
    const all = [
      ...inputs.map((index) => operands[index]),
      ...drawRequests(requests, device),
      ...kept.filter((grad) => grad !== null),
      ...(plan?.operands ?? []),
    ];
    const targets = plan?.targets ?? kept;
    const into = fn.outputSpecs.map((_, index) => targets[index - firstTarget] ?? null);
    const results = noGrad(() => runInto(into, fn, all, device));
    if (condition !== undefined && results[condition].element() !== true) {
      if (before !== undefined) defaultGenerator.setState(before);
      return undefined;
    }
    for (const { operand, output } of writes) {
      operands[operand].writeBytes(results[output].bytes());
      operands[operand].storage.version++;
    }
    if (plan === undefined)
      parameters.forEach((parameter, at) => (parameter.grad = results[firstTarget + at]));
    else {
      plan.commit();
      if (kept.some((grad) => grad !== null)) this.optimizer.zeroGrad(true);
    }
    return results[this.loss];
  }

  /** Bytes of temporary memory that the last step took. */
  get memory(): number {
    return this.last?.memory ?? 0;
  }

  private bind(tensors: readonly Tensor[]): Tensor[] {
    return this.lowering.operands.map((source) =>
      source.kind === 'held' ? source.tensor : tensors[source.index],
    );
  }

  /** An operand that the program changes, whose memory another one shares: their aliasing is not in the graph. */
  private hasSharedWrites(operands: readonly Tensor[]): boolean {
    return this.lowering.writes.some(({ operand }) =>
      operands.some((other, index) => index !== operand && other.storage === operands[operand].storage),
    );
  }

  private bound(ending: Ending): Bound {
    const plan = ending === 'update' ? this.optimizer.planUpdate(this.trained) : undefined;
    if (ending === 'update' && plan === undefined)
      throw new UnsupportedError('the optimizer has no update that can be compiled');
    const parameters = plan?.parameters ?? this.trained;
    const kept = parameters.map(({ grad }) => grad);
    const present = kept.map((grad) => (grad === null ? '0' : '1')).join('');
    return { key: `${plan?.key ?? 'keep'} ${present}`, parameters, kept, plan };
  }

  /** The graph for the optimizer's switches and the gradients that are there. */
  private functionFor(bound: Bound): Made {
    let made = this.made.get(bound.key);
    if (made === undefined) this.made.set(bound.key, (made = this.make(bound)));
    return made;
  }

  private make({ parameters: trained, kept, plan }: Bound): Made {
    const { graph: forward, operands, inputs: used, condition } = this.lowering;
    const { clipGradNorm, accumulate = 1, memoryLimit } = this.options;
    const b = new CoreBuilder(new Graph());
    const inputs = forward.inputs.map((input) => b.input(specOf(input)));
    const seeds = forward.outputs.map((output, index) =>
      index === this.loss ? b.full(1 / accumulate, specOf(output).dtype, specOf(output).sizes) : null,
    );
    const { outputs, cotangents } = vjpOfGraph(b, forward, inputs, seeds);
    const places = trained.map((parameter) =>
      used.findIndex((index) => {
        const source = operands[index];
        return source.kind === 'held' && source.tensor === parameter;
      }),
    );
    if (places.some((place) => cotangents[place] === null))
      throw new UnsupportedError('the result does not depend on a parameter that it reads');
    const parameters = places.map((place) => inputs[place]);
    const keptInputs = kept.map((grad) => (grad === null ? null : b.input(grad.spec)));
    const gradients = places.map((place, at) => {
      const own = keptInputs[at];
      return own === null ? cotangents[place]! : b.add(own, cotangents[place]!);
    });
    // Each result with what it replaces.
    let results: readonly Value[] = gradients;
    let replaced: readonly (Value | null)[] = keptInputs;
    if (plan !== undefined) {
      const given = plan.operands.map((operand) => b.input(operand.spec));
      const arrived = clipGradNorm === undefined ? gradients : clipped(b, gradients, clipGradNorm);
      results = plan.emit(b, parameters, arrived, given);
      replaced = plan.targets.map((target) => {
        const parameter = trained.indexOf(target);
        return parameter < 0 ? given[plan.operands.indexOf(target)] : parameters[parameter];
      });
    }
    for (const output of outputs) b.graph.addOutput(output);
    const firstTarget = outputs.length;
    const inPlace: InPlace[] = [];
    results.forEach((value, at) => {
      const old = replaced[at];
      if (old !== null) inPlace.push({ input: b.graph.inputs.indexOf(old), output: firstTarget + at });
      // Where the run may not be used everything stays as it was.
      b.graph.addOutput(condition === undefined || old === null ? value : b.select(outputs[condition], value, old)); // prettier-ignore
    });
    const fn = new CoreFunction(b.graph, {
      inPlace,
      optimize: (graph, pairs = []) => {
        optimize(graph, 'core');
        if (memoryLimit === undefined) return;
        const device = this.trained[0].storage.device;
        const measure = (tried: Graph): number => device.compile(tried, { inPlace: pairs }).memory;
        fitMemory(graph, limitInBytes(memoryLimit), measure);
      },
    });
    return { fn, firstTarget };
  }
}

/** Gradients scaled so that their norm, taken together, is at most `bound`: as clipGradNorm_. */
function clipped(b: CoreBuilder, gradients: readonly Value[], bound: number): Value[] {
  const wide = gradients.map((gradient) => {
    const { dtype } = specOf(gradient);
    if (isComplex(dtype)) throw new UnsupportedError('complex gradients are clipped apart');
    return dtype === 'float64' ? gradient : b.convert(gradient, 'float32');
  });
  const squares = wide.map((value) => {
    const all = specOf(value).sizes.map((_, dimension) => dimension);
    return b.convert(b.reduceSum(b.multiply(value, value), all), 'float64');
  });
  const norm = b.sqrt(squares.reduce((sum, square) => b.add(sum, square)));
  const number = (value: number): Value => b.full(value, 'float64');
  const factor = b.minimum(b.divide(number(bound), b.add(norm, number(1e-6))), number(1));
  return gradients.map((gradient, index) => {
    const { dtype, sizes } = specOf(wide[index]);
    const scaled = b.multiply(wide[index], b.broadcastTo(b.convert(factor, dtype), sizes));
    return b.convert(scaled, specOf(gradient).dtype);
  });
}
