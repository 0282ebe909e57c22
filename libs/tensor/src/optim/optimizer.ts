// The base of all optimizers: parameter groups, gradients to forget, and state that can be saved in PyTorch's form. What a step
// does is for its kinds: compiled-optimizer.ts (all but one) and lbfgs.ts.
import { OperatorError, WeftError } from '@weft/ir';
import { noGrad } from '../autograd/grad-mode.ts';
import { Tensor } from '../tensor.ts';
import type { UpdatePlan } from './update-plan.ts';

/** Parameters with options of their own. */
export interface ParameterGroup {
  readonly parameters: Tensor[];
  /** The learning rate of the next step; schedulers change it. */
  lr: number;
  /** What schedulers keep with the group, by PyTorch's names: `initial_lr`, `max_lr`, …. Saved with it. */
  readonly schedule: Record<string, number>;
}

/** What a caller gives for a group: its parameters and what differs from the optimizer's options. */
export interface GroupOptions {
  readonly parameters: Iterable<Tensor> | Tensor;
  readonly lr?: number;
  readonly [option: string]: unknown;
}

/** Parameters to train, or groups of them with options of their own. */
export type Parameters = Iterable<Tensor> | Iterable<GroupOptions>;

/** A state dict that does not fit the optimizer: says what differs. */
export class OptimizerStateError extends WeftError {}

export type StateValue = Tensor | number | boolean | string | null | readonly StateValue[];

/** As PyTorch's, by PyTorch's names: state by the parameter's number, groups with the numbers of their parameters. */
export interface OptimizerStateDict {
  readonly state: Readonly<Record<number, Readonly<Record<string, StateValue>>>>;
  readonly param_groups: readonly ({ readonly params: readonly number[]; readonly lr: number } & Readonly<
    Record<string, StateValue>
  >)[];
}

export const snakeCase = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
export const camelCase = (name: string): string =>
  name.replace(/_+(\w)/g, (_, letter: string) => letter.toUpperCase());

/** Numbers of schedulers in a saved group. */
const scheduled: ReadonlySet<string> = new Set([
  'initial_lr',
  'max_lr',
  'min_lr',
  'base_momentum',
  'max_momentum',
]);

/** How PyTorch carries a step out, which changes nothing in its result. */
const implementation: ReadonlySet<string> = new Set(['foreach', 'fused', 'capturable', 'differentiable']);

export abstract class Optimizer<G extends ParameterGroup = ParameterGroup> {
  readonly paramGroups: G[] = [];
  /** The option that schedules of momentum move: the momentum, or the first of the betas; undefined when there is none. */
  abstract readonly momentum: 'momentum' | 'betas' | undefined;
  /** Steps taken by this object; schedulers want one before their own. */
  stepCount = 0;

  /** Called by constructors once their own fields are there. */
  protected addParameters(parameters: Parameters): void {
    const given = [...parameters] as (Tensor | GroupOptions)[];
    if (given.length === 0) throw new OperatorError('optimizer got an empty parameter list');
    if (given.every((each) => each instanceof Tensor)) this.addParamGroup({ parameters: given });
    else for (const group of given) this.addParamGroup(group as GroupOptions);
  }

  /** Trains more parameters, with options of their own where given. Throws OperatorError for a parameter that is there. */
  addParamGroup({ parameters, ...own }: GroupOptions): void {
    const list = parameters instanceof Tensor ? [parameters] : [...parameters];
    const known = new Set(this.paramGroups.flatMap((group) => group.parameters));
    for (const parameter of list) {
      if (!(parameter instanceof Tensor)) throw new OperatorError('optimizer can only optimize Tensors');
      if (!parameter.isLeaf) throw new OperatorError("can't optimize a non-leaf Tensor");
      if (known.has(parameter)) {
        throw new OperatorError('some parameters appear in more than one parameter group');
      }
      known.add(parameter);
    }
    this.paramGroups.push(this.makeGroup(list, own));
  }

  /** A group from the options that were given for it, over those of the optimizer. */
  protected abstract makeGroup(
    parameters: Tensor[],
    options: Readonly<Record<string, unknown>> & { readonly lr?: number },
  ): G;

  /** Sets gradients to zero, or to null with `setToNone`: then a step passes over parameters that get no new one. */
  zeroGrad(setToNone = false): void {
    for (const { parameters } of this.paramGroups) {
      for (const parameter of parameters) {
        const { grad } = parameter;
        if (grad === null) continue;
        if (setToNone) parameter.grad = null;
        else {
          if (grad.requiresGrad) parameter.grad = grad.detach();
          noGrad(() => parameter.grad!.zero_());
        }
      }
    }
  }

  /**
   * Updates every parameter that has a gradient.
   * @param closure computes the loss again and its gradients; its result is returned
   */
  abstract step(closure?: () => Tensor): Tensor | undefined;

  /**
   * The update of these parameters as a part of a graph, with the learning rates and numbers of now; undefined for optimizers whose step is no
   * graph.
   */
  planUpdate(_parameters: readonly Tensor[]): UpdatePlan | undefined {
    return undefined;
  }

  /** What `momentum` names, in one group. */
  abstract momentumOf(group: G): number;
  abstract setMomentum(group: G, value: number): void;

  /** The group's options by PyTorch's names, without `lr` and `params`. */
  protected abstract optionsOf(group: G): Readonly<Record<string, StateValue>>;
  /** Gives the group options that were saved. */
  protected abstract takeOptions(group: G, options: Readonly<Record<string, unknown>>): void;
  /** What is kept for a parameter by PyTorch's names; undefined when there is nothing. */
  protected abstract stateOf(parameter: Tensor, group: G): Readonly<Record<string, StateValue>> | undefined;
  /**
   * Reads saved state of a parameter without taking it on yet.
   * @returns what takes it on
   */
  protected abstract readState(
    parameter: Tensor,
    group: G,
    state: Readonly<Record<string, StateValue>>,
    number: number,
  ): () => void;
  protected abstract forgetState(): void;

  /** The state in PyTorch's form and with its names (`exp_avg`, `momentum_buffer`, `step`). The tensors are the optimizer's own. */
  stateDict(): OptimizerStateDict {
    const state: Record<number, Readonly<Record<string, StateValue>>> = {};
    let first = 0;
    const groups = this.paramGroups.map((group) => {
      const params = group.parameters.map((parameter, index) => {
        const own = this.stateOf(parameter, group);
        if (own !== undefined) state[first + index] = own;
        return first + index;
      });
      first += params.length;
      return { lr: group.lr, ...this.optionsOf(group), ...group.schedule, params };
    });
    return { state, param_groups: groups };
  }

  /**
   * Takes on a state, also one with maps for dicts as `load` reads it from a file; its tensors are copied. Throws
   * OptimizerStateError when it has other groups or shapes; then nothing changed.
   */
  loadStateDict(saved: OptimizerStateDict | ReadonlyMap<unknown, unknown>): void {
    const { state, param_groups: groups } =
      saved instanceof Map ? fromMaps(saved) : (saved as OptimizerStateDict);
    if (groups.length !== this.paramGroups.length) {
      throw new OptimizerStateError('loaded state dict has a different number of parameter groups');
    }
    groups.forEach((saved, index) => {
      if (saved.params.length !== this.paramGroups[index].parameters.length) {
        throw new OptimizerStateError(
          "loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
        );
      }
    });
    const taken = groups.map((saved, index) => this.readGroup(this.paramGroups[index], saved));
    const states = groups.flatMap(({ params }, index) =>
      params.flatMap((number, at) => {
        const own = state[number] as Readonly<Record<string, StateValue>> | undefined;
        if (own === undefined) return [];
        return [this.readState(this.paramGroups[index].parameters[at], taken[index], own, number)];
      }),
    );
    this.forgetState();
    this.paramGroups.splice(0, this.paramGroups.length, ...taken);
    for (const take of states) take();
  }

  private readGroup(own: G, saved: OptimizerStateDict['param_groups'][number]): G {
    const group = { ...own, lr: saved.lr, schedule: {} as Record<string, number> };
    const options: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(saved)) {
      if (name === 'params' || name === 'lr' || implementation.has(name)) continue;
      if (scheduled.has(name)) group.schedule[name] = value as number;
      else options[camelCase(name)] = value;
    }
    this.takeOptions(group, options);
    return group;
  }
}

function fromMaps(saved: ReadonlyMap<unknown, unknown>): OptimizerStateDict {
  const state = saved.get('state');
  const groups = saved.get('param_groups');
  const isGroup = (group: unknown): boolean => group instanceof Map && Array.isArray(group.get('params'));
  const isState = state instanceof Map && [...state.values()].every((own) => own instanceof Map);
  if (!isState || !Array.isArray(groups) || !groups.every(isGroup)) {
    throw new OptimizerStateError("this is no optimizer's state dict: it has no 'state' and 'param_groups'");
  }
  return objectOf(
    new Map<unknown, unknown>([
      [
        'state',
        objectOf(
          new Map([...state].map(([number, own]) => [number, objectOf(own as Map<unknown, unknown>)])),
        ),
      ],
      ['param_groups', groups.map((group) => objectOf(group as Map<unknown, unknown>))],
    ]),
  ) as unknown as OptimizerStateDict;
}

const objectOf = (map: ReadonlyMap<unknown, unknown>): Record<string, unknown> =>
  Object.fromEntries([...map].map(([key, value]) => [String(key), value]));

/** Throws OperatorError for a learning rate that is missing or negative. */
export function checkLearningRate(lr: unknown): asserts lr is number {
  if (lr === undefined) {
    throw new OperatorError("parameter group didn't specify a value of required optimization parameter lr");
  }
  if (!((lr as number) >= 0)) throw new OperatorError(`Invalid learning rate: ${String(lr)}`);
}
