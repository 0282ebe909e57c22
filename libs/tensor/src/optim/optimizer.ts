// The base of all optimizers: parameter groups, state, and a step that runs as one compiled graph over all parameters. The
// formulas are in @weft/ops (optimizerUpdate), where the cluster's planner takes them from too.
import type { Device } from '@weft/devices';
import type { TensorSpec } from '@weft/ir';
import { CoreBuilder, Graph, OperatorError, WeftError, tensorSpec } from '@weft/ir';
import type { Hyperparameters, OptimizerUpdate } from '@weft/ops';
import { hyperparameters, optimizerUpdate } from '@weft/ops';
import { enableGrad, noGrad } from '../autograd/grad-mode.ts';
import { CoreFunction } from '../core-function.ts';
import { tensor } from '../creation.ts';
import { write } from '../dispatch/call.ts';
import { full } from '../functions.generated.ts';
import { Tensor } from '../tensor.ts';

/** Parameters with hyperparameters of their own. */
export interface ParameterGroup {
  readonly parameters: Tensor[];
  /** The learning rate of the next step; schedulers change it. */
  lr: number;
  /** The rate that schedulers start from. */
  initialLr: number;
  hyper: Hyperparameters;
}

/** What a caller gives for a group: its parameters and what differs from the optimizer's options. */
export interface GroupOptions {
  readonly parameters: Iterable<Tensor>;
  readonly lr?: number;
  readonly [hyperparameter: string]: unknown;
}

/** A state dict that does not fit the optimizer: says what differs. */
export class OptimizerStateError extends WeftError {}

/** As PyTorch's: state by the parameter's number, groups with the numbers of their parameters. */
export interface OptimizerStateDict {
  readonly state: ReadonlyMap<number, ReadonlyMap<string, Tensor>>;
  readonly paramGroups: readonly {
    readonly parameters: readonly number[];
    readonly lr: number;
    readonly initialLr: number;
    readonly hyper: Hyperparameters;
  }[];
}

interface ParameterState {
  step: number;
  readonly slots: readonly Tensor[];
}

export class Optimizer {
  readonly paramGroups: ParameterGroup[] = [];
  private readonly update: OptimizerUpdate;
  private readonly states = new Map<Tensor, ParameterState>();
  private readonly compiled = new Map<string, CoreFunction>();

  /**
   * @param name of the update rule: `sgd`, `adam`, …
   * @param parameters to train, or groups of them
   * @param options lr and hyperparameters in camel case; PyTorch's defaults
   */
  constructor(
    name: string,
    parameters: Iterable<Tensor> | Iterable<GroupOptions>,
    private readonly options: Readonly<Record<string, unknown>> & { readonly lr: number },
  ) {
    this.update = optimizerUpdate(name);
    const given = [...parameters] as (Tensor | GroupOptions)[];
    if (given.length === 0) throw new OperatorError('optimizer got an empty parameter list');
    if (given.every((each) => each instanceof Tensor)) this.addParamGroup({ parameters: given });
    else for (const group of given) this.addParamGroup(group as GroupOptions);
  }

  /** Trains more parameters, with options of their own where given. Throws OperatorError for a parameter that is there. */
  addParamGroup({ parameters, ...own }: GroupOptions): void {
    const list = [...parameters];
    const known = new Set(this.paramGroups.flatMap((group) => group.parameters));
    for (const parameter of list) {
      if (!(parameter instanceof Tensor)) throw new OperatorError('optimizer can only optimize Tensors');
      if (!parameter.isLeaf) throw new OperatorError("can't optimize a non-leaf Tensor");
      if (known.has(parameter)) {
        throw new OperatorError('some parameters appear in more than one parameter group');
      }
      known.add(parameter);
    }
    const { lr, ...hyper } = { ...this.options, ...own };
    if (!(lr >= 0)) throw new OperatorError(`Invalid learning rate: ${String(lr)}`);
    this.paramGroups.push({
      parameters: list,
      lr,
      initialLr: lr,
      hyper: hyperparameters(this.update, hyper),
    });
  }

  /** Forgets the gradients (they become null, or zeros when `setToNone` is false). */
  zeroGrad(setToNone = true): void {
    for (const { parameters } of this.paramGroups) {
      for (const parameter of parameters) {
        if (setToNone) parameter.grad = null;
        else if (parameter.grad !== null) noGrad(() => parameter.grad?.zero_());
      }
    }
  }

  /**
   * Updates every parameter that has a gradient.
   * @param closure computes the loss again and its gradients first; its result is returned
   */
  step(closure?: () => Tensor): Tensor | undefined {
    const loss = closure === undefined ? undefined : enableGrad(closure);
    noGrad(() => this.paramGroups.forEach((group, index) => this.updateGroup(group, index)));
    return loss;
  }

  private updateGroup(group: ParameterGroup, index: number): void {
    // Parameters that missed steps have a step count of their own.
    const bySteps = new Map<number, Tensor[]>();
    for (const parameter of group.parameters) {
      if (parameter.grad === null) continue;
      const state = this.stateOf(parameter, group.hyper);
      const members = bySteps.get(state.step);
      if (members === undefined) bySteps.set(state.step, [parameter]);
      else members.push(parameter);
    }
    for (const [step, parameters] of bySteps) this.updateTogether(parameters, group, index, step + 1);
  }

  private updateTogether(
    parameters: readonly Tensor[],
    group: ParameterGroup,
    index: number,
    step: number,
  ): void {
    const device: Device = parameters[0].storage.device;
    const states = parameters.map((parameter) => this.stateOf(parameter, group.hyper));
    const key = `${index}|${parameters.map((parameter) => parameter.specKey).join('|')}|${JSON.stringify(group.hyper)}`;
    let fn = this.compiled.get(key);
    if (fn === undefined) {
      fn = this.compile(parameters, states, group.hyper);
      this.compiled.set(key, fn);
    }
    const inputs = [tensor(group.lr, { dtype: 'float32' }), tensor(step, { dtype: 'float32' })];
    parameters.forEach((parameter, at) => inputs.push(parameter, parameter.grad!, ...states[at].slots));
    const results = fn.run(inputs, device);
    let at = 0;
    parameters.forEach((parameter, position) => {
      write(parameter, results[at++]);
      for (const slot of states[position].slots) write(slot, results[at++]);
      states[position].step = step;
    });
  }

  private compile(
    parameters: readonly Tensor[],
    states: readonly ParameterState[],
    hyper: Hyperparameters,
  ): CoreFunction {
    const b = new CoreBuilder(new Graph());
    const scalar: TensorSpec = tensorSpec('float32', []);
    const learningRate = b.input(scalar, 'lr');
    const step = b.input(scalar, 'step');
    const outputs = parameters.flatMap((parameter, index) => {
      const site = {
        parameter: b.input(parameter.spec),
        gradient: b.input(parameter.spec),
        state: states[index].slots.map((slot) => b.input(slot.spec)),
        learningRate,
        step,
      };
      const updated = this.update.update(b, hyper, site);
      return [updated.parameter, ...updated.state];
    });
    // A value that two outputs share, or that is an input, still takes a place of its own.
    for (const output of outputs) b.graph.addOutput(output);
    return new CoreFunction(b.graph);
  }

  private stateOf(parameter: Tensor, hyper: Hyperparameters): ParameterState {
    let state = this.states.get(parameter);
    if (state === undefined) {
      const slots = this.update.slots(hyper).map((slot) =>
        noGrad(() =>
          full(parameter.sizes, this.update.initial?.(slot, hyper) ?? 0, {
            dtype: parameter.dtype,
            device: parameter.device,
          }),
        ),
      );
      this.states.set(parameter, (state = { step: 0, slots }));
    }
    return state;
  }

  /** The state with PyTorch's names (`exp_avg`, `momentum_buffer`, `step`). The tensors are the optimizer's own. */
  stateDict(): OptimizerStateDict {
    const all = this.paramGroups.flatMap((group) => group.parameters);
    const state = new Map<number, Map<string, Tensor>>();
    for (const group of this.paramGroups) {
      const names = this.update.slots(group.hyper);
      for (const parameter of group.parameters) {
        const own = this.states.get(parameter);
        if (own === undefined) continue;
        const entries = new Map<string, Tensor>([['step', tensor(own.step, { dtype: 'float32' })]]);
        names.forEach((name, index) => entries.set(name, own.slots[index]));
        state.set(all.indexOf(parameter), entries);
      }
    }
    let first = 0;
    const paramGroups = this.paramGroups.map(({ parameters, lr, initialLr, hyper }) => {
      const numbers = parameters.map((_, index) => first + index);
      first += parameters.length;
      return { parameters: numbers, lr, initialLr, hyper };
    });
    return { state, paramGroups };
  }

  /** Takes on a state; its tensors are copied. Throws OptimizerStateError when it has other groups or shapes. */
  loadStateDict({ state, paramGroups }: OptimizerStateDict): void {
    if (paramGroups.length !== this.paramGroups.length) {
      throw new OptimizerStateError(
        `loaded state dict has a different number of parameter groups: ${paramGroups.length} for ${this.paramGroups.length}`,
      );
    }
    paramGroups.forEach((group, index) => {
      if (group.parameters.length !== this.paramGroups[index].parameters.length) {
        throw new OptimizerStateError(
          "loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
        );
      }
    });
    const made = new Map<Tensor, ParameterState>();
    paramGroups.forEach((group, index) => {
      group.parameters.forEach((number, at) => {
        const entries = state.get(number);
        if (entries === undefined) return;
        const parameter = this.paramGroups[index].parameters[at];
        const slots = this.update.slots(group.hyper).map((name) => {
          const slot = entries.get(name);
          if (slot === undefined || slot.sizes.join() !== parameter.sizes.join()) {
            throw new OptimizerStateError(
              `state '${name}' of parameter ${number} is ${slot === undefined ? 'missing' : `of shape [${slot.sizes.join(', ')}]`}; the parameter has shape [${parameter.sizes.join(', ')}]`,
            );
          }
          return noGrad(() => slot.clone());
        });
        made.set(parameter, { step: entries.get('step')?.item() ?? 0, slots });
      });
    });
    paramGroups.forEach(({ lr, initialLr, hyper }, index) => {
      Object.assign(this.paramGroups[index], { lr, initialLr, hyper });
    });
    this.states.clear();
    for (const [parameter, own] of made) this.states.set(parameter, own);
  }
}
