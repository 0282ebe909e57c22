// Optimizers whose update is a lowering of @weft/ops: a step runs as one compiled graph over all parameters of a group. The
// formulas are where the cluster's planner takes them from too.
import { CoreBuilder, Graph, isComplex, realDType } from '@weft/ir';
import type { Hyperparameters, OptimizerUpdate, StateSlot } from '@weft/ops';
import { hyperparameters, optimizerUpdate } from '@weft/ops';
import { enableGrad, noGrad } from '../autograd/grad-mode.ts';
import { CoreFunction } from '../core-function.ts';
import { tensor } from '../creation.ts';
import { runInto } from '../dispatch/placement.ts';
import { complex, full } from '../functions.generated.ts';
import { Tensor } from '../tensor.ts';
import type { ParameterGroup, Parameters, StateValue } from './optimizer.ts';
import type { ParameterState, UpdatePlan } from './update-plan.ts';
import { joinPlans, planUpdate } from './update-plan.ts';
import { Optimizer, OptimizerStateError, checkLearningRate, snakeCase } from './optimizer.ts';

export interface CompiledGroup extends ParameterGroup {
  /** Numbers and switches by camelCase of PyTorch's names. Replacing it takes effect in the next step. */
  hyper: Hyperparameters;
}

export class CompiledOptimizer extends Optimizer<CompiledGroup> {
  override readonly momentum: 'momentum' | 'betas' | undefined;
  private readonly rule: OptimizerUpdate;
  private readonly states = new Map<Tensor, ParameterState>();
  private readonly compiled = new Map<string, CoreFunction>();

  /**
   * @param name of the update rule: `sgd`, `adam`, …
   * @param parameters to train, or groups of them
   * @param options lr and hyperparameters in camel case; PyTorch's defaults
   */
  constructor(
    name: string,
    parameters: Parameters,
    private readonly options: Readonly<Record<string, unknown>> & { readonly lr?: number },
  ) {
    super();
    this.rule = optimizerUpdate(name);
    const { defaults } = this.rule;
    this.momentum = 'momentum' in defaults ? 'momentum' : 'betas' in defaults ? 'betas' : undefined;
    this.addParameters(parameters);
  }

  protected override makeGroup(
    parameters: Tensor[],
    own: Readonly<Record<string, unknown>> & { readonly lr?: number },
  ): CompiledGroup {
    const { lr = this.rule.learningRate, ...hyper } = { ...this.options, ...own };
    checkLearningRate(lr);
    const group = { parameters, lr, schedule: {}, hyper: hyperparameters(this.rule, hyper) };
    if (this.rule.beginsWithState) parameters.forEach((parameter) => this.keptFor(parameter, group.hyper));
    return group;
  }

  override momentumOf({ hyper }: CompiledGroup): number {
    return this.momentum === 'betas' ? (hyper.betas as readonly number[])[0] : (hyper.momentum as number);
  }
  override setMomentum(group: CompiledGroup, value: number): void {
    const { hyper } = group;
    group.hyper =
      this.momentum === 'betas'
        ? { ...hyper, betas: [value, ...(hyper.betas as readonly number[]).slice(1)] }
        : { ...hyper, momentum: value };
  }

  override step(closure?: () => Tensor): Tensor | undefined {
    this.stepCount++;
    const loss = closure === undefined ? undefined : enableGrad(closure);
    noGrad(() => this.paramGroups.forEach((group) => this.updateGroup(group)));
    return loss;
  }

  private updateGroup(group: CompiledGroup): void {
    const parameters = group.parameters.filter(({ grad }) => grad !== null);
    for (const plan of this.plansOf(group, parameters)) this.update(plan);
  }

  /** Updates of parameters of a group: those that missed steps have a step count of their own. */
  private plansOf(group: CompiledGroup, parameters: readonly Tensor[]): UpdatePlan[] {
    const bySteps = new Map<string, Tensor[]>();
    for (const parameter of parameters) {
      const state = this.keptFor(parameter, group.hyper);
      const key = `${state.step} ${parameter.device}`;
      const members = bySteps.get(key);
      if (members === undefined) bySteps.set(key, [parameter]);
      else members.push(parameter);
    }
    return [...bySteps.values()].map((members) => {
      const states = members.map((parameter) => this.keptFor(parameter, group.hyper));
      return planUpdate(this.rule, group, members, states);
    });
  }

  private update(plan: UpdatePlan): void {
    let fn = this.compiled.get(plan.key);
    if (fn === undefined) this.compiled.set(plan.key, (fn = compileUpdate(plan)));
    const { parameters, operands, targets } = plan;
    const gradients = parameters.map(({ grad }) => grad!);
    runInto(targets, fn, [...parameters, ...gradients, ...operands], parameters[0].storage.device);
    plan.commit();
  }

  override planUpdate(parameters: readonly Tensor[]): UpdatePlan {
    const wanted = new Set(parameters);
    const plan = joinPlans(
      this.paramGroups.flatMap((group) =>
        this.plansOf(
          group,
          group.parameters.filter((parameter) => wanted.has(parameter)),
        ),
      ),
    );
    return {
      ...plan,
      commit: () => {
        plan.commit();
        this.stepCount++;
      },
    };
  }

  /** The state of a parameter, begun when it is first asked for. */
  private keptFor(parameter: Tensor, hyper: Hyperparameters): ParameterState {
    let state = this.states.get(parameter);
    if (state === undefined) {
      const slots = this.rule.slots(hyper).map((slot) => noGrad(() => initialValue(slot, parameter)));
      this.states.set(parameter, (state = { step: 0, slots }));
    }
    return state;
  }

  // ---- state ------------------------------------------------------------------------------------------------------

  protected override optionsOf({ hyper }: CompiledGroup): Record<string, StateValue> {
    return Object.fromEntries(Object.entries(hyper).map(([name, value]) => [snakeCase(name), value]));
  }

  protected override takeOptions(group: CompiledGroup, options: Readonly<Record<string, unknown>>): void {
    group.hyper = hyperparameters(this.rule, options);
  }

  protected override stateOf(
    parameter: Tensor,
    { hyper }: CompiledGroup,
  ): Record<string, StateValue> | undefined {
    const own = this.states.get(parameter);
    if (own === undefined) return undefined;
    const { stepKind } = this.rule;
    const state: Record<string, StateValue> = {};
    if (stepKind === 'tensor') state.step = tensor(own.step, { dtype: 'float32' });
    if (stepKind === 'int') state.step = own.step;
    this.rule.slots(hyper).forEach(({ name }, index) => (state[name] = own.slots[index]));
    return state;
  }

  protected override readState(
    parameter: Tensor,
    { hyper }: CompiledGroup,
    saved: Readonly<Record<string, StateValue>>,
    number: number,
  ): () => void {
    const slots = this.rule.slots(hyper);
    const present = slots.filter(({ name }) => (saved[name] ?? null) !== null);
    // PyTorch's SGD saves nothing, or None, for a parameter without momentum yet.
    if (this.rule.stepKind === 'none' && present.length === 0) return () => undefined;
    const values = slots.map((slot) => {
      const value = saved[slot.name];
      const sizes = slot.isScalar === true ? [] : parameter.sizes;
      if (!(value instanceof Tensor) || value.sizes.join() !== sizes.join()) {
        throw new OptimizerStateError(
          `state '${slot.name}' of parameter ${number} is ${value instanceof Tensor ? `of shape [${value.sizes.join(', ')}]` : 'missing'}; the parameter has shape [${parameter.sizes.join(', ')}]`,
        );
      }
      // State follows the parameter's dtype, a complex parameter's stays as it is.
      const dtype = isComplex(parameter.dtype) ? value.dtype : parameter.dtype;
      return noGrad(() => value.detach().to(parameter.device, dtype).clone());
    });
    const { step } = saved;
    const count = step instanceof Tensor ? step.item() : typeof step === 'number' ? step : 1;
    return () => this.states.set(parameter, { step: count, slots: values });
  }

  protected override forgetState(): void {
    this.states.clear();
  }
}

/** What the slot of a new parameter holds. */
function initialValue({ isScalar = false, initial = 0 }: StateSlot, parameter: Tensor): Tensor {
  const { dtype, device, sizes } = parameter;
  if (isScalar) return full([], initial, { dtype: 'float32', device });
  if (!isComplex(dtype)) return full(sizes, initial, { dtype, device });
  const part = full(sizes, initial, { dtype: realDType(dtype), device });
  return complex(part, part);
}

function compileUpdate(plan: UpdatePlan): CoreFunction {
  const b = new CoreBuilder(new Graph());
  const parameters = plan.parameters.map(({ spec }) => b.input(spec));
  const gradients = plan.parameters.map(({ spec }) => b.input(spec));
  const operands = plan.operands.map(({ spec }) => b.input(spec));
  for (const output of plan.emit(b, parameters, gradients, operands)) b.graph.addOutput(output);
  const tensors = [...plan.parameters, ...plan.parameters.map(() => null), ...plan.operands];
  const inPlace = plan.targets.map((target, output) => ({ input: tensors.indexOf(target), output }));
  return new CoreFunction(b.graph, { inPlace });
}
