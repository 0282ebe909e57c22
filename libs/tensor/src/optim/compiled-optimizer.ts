// Optimizers whose update is a lowering of @weft/ops: a step runs as one compiled graph over all parameters of a group. The
// formulas are where the cluster's planner takes them from too.
import type { TensorSpec, Value } from '@weft/ir';
import { CoreBuilder, Graph, isComplex, realDType, specOf, tensorSpec } from '@weft/ir';
import type { Hyperparameters, OptimizerUpdate, StateSlot } from '@weft/ops';
import { hyperparameters, optimizerUpdate } from '@weft/ops';
import { enableGrad, noGrad } from '../autograd/grad-mode.ts';
import { CoreFunction } from '../core-function.ts';
import { tensor } from '../creation.ts';
import { replace } from '../dispatch/placement.ts';
import { complex, full } from '../functions.generated.ts';
import { Tensor } from '../tensor.ts';
import type { ParameterGroup, Parameters, StateValue } from './optimizer.ts';
import { Optimizer, OptimizerStateError, checkLearningRate, snakeCase } from './optimizer.ts';

export interface CompiledGroup extends ParameterGroup {
  /** Numbers and switches by camelCase of PyTorch's names. Replacing it takes effect in the next step. */
  hyper: Hyperparameters;
}

interface ParameterState {
  /** Steps taken with this parameter: it may have missed some. */
  step: number;
  readonly slots: readonly Tensor[];
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
    // Parameters that missed steps have a step count of their own.
    const bySteps = new Map<string, Tensor[]>();
    for (const parameter of group.parameters) {
      if (parameter.grad === null) continue;
      const state = this.keptFor(parameter, group.hyper);
      const key = `${state.step} ${parameter.device}`;
      const members = bySteps.get(key);
      if (members === undefined) bySteps.set(key, [parameter]);
      else members.push(parameter);
    }
    for (const parameters of bySteps.values()) this.updateTogether(parameters, group);
  }

  private updateTogether(parameters: readonly Tensor[], { lr, hyper }: CompiledGroup): void {
    const states = parameters.map((parameter) => this.keptFor(parameter, hyper));
    const step = states[0].step + 1;
    const specs = parameters.map(
      (parameter, at) => `${parameter.specKey} ${states[at].slots.map((slot) => slot.dtype).join()}`,
    );
    const key = `${specs.join('|')}|${structureOf(hyper)}`;
    let fn = this.compiled.get(key);
    if (fn === undefined) {
      fn = compileUpdate(this.rule, hyper, parameters, states);
      this.compiled.set(key, fn);
    }
    const inputs = [lr, step, ...numbersOf(hyper)].map((value) => tensor(value, { dtype: 'float64' }));
    parameters.forEach((parameter, at) => inputs.push(parameter, parameter.grad!, ...states[at].slots));
    const targets = parameters.flatMap((parameter, at) => [parameter, ...states[at].slots]);
    replace(targets, fn, inputs, parameters[0].storage.device);
    for (const state of states) state.step = step;
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

/** Switches, and which numbers are zero: what the graph of an update depends on. */
const structureOf = (hyper: Hyperparameters): string =>
  Object.values(hyper)
    .map((value) => (typeof value === 'boolean' ? value : value === 0 ? '0' : '#'))
    .join();

const numbersOf = (hyper: Hyperparameters): readonly number[] =>
  Object.values(hyper)
    .flat()
    .filter((value) => typeof value === 'number');

function compileUpdate(
  rule: OptimizerUpdate,
  hyper: Hyperparameters,
  parameters: readonly Tensor[],
  states: readonly ParameterState[],
): CoreFunction {
  const b = new CoreBuilder(new Graph());
  const scalar: TensorSpec = tensorSpec('float64', []);
  const learningRate = b.input(scalar, 'lr');
  const step = b.input(scalar, 'step');
  const numbers = new Map<string, Value>();
  for (const [name, value] of Object.entries(hyper)) {
    if (typeof value === 'boolean') continue;
    [value].flat().forEach((_, index) => numbers.set(`${name}.${index}`, b.input(scalar)));
  }
  const number = (name: string, index = 0): Value => numbers.get(`${name}.${index}`)!;
  const outputs = parameters.flatMap((parameter, at) => {
    const apart = isComplex(parameter.dtype) && rule.isComplex !== true;
    const [take, give] = apart ? [asReal, asComplex] : [same, same];
    const site = {
      parameter: take(b, b.input(parameter.spec)),
      gradient: take(b, b.input(parameter.spec)),
      state: states[at].slots.map((slot) => take(b, b.input(slot.spec))),
      learningRate,
      step,
      number,
    };
    const updated = rule.update(b, hyper, site);
    return [updated.parameter, ...updated.state].map((value) => give(b, value));
  });
  for (const output of outputs) b.graph.addOutput(output);
  let operand = b.graph.inputs.length - 2 * parameters.length - sum(states.map(({ slots }) => slots.length));
  let output = 0;
  const inPlace = states.flatMap(({ slots }) => {
    const pairs = [{ input: operand, output: output++ }];
    operand += 2; // its gradient
    for (const _ of slots) pairs.push({ input: operand++, output: output++ });
    return pairs;
  });
  return new CoreFunction(b.graph, { inPlace });
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

const same = (_: CoreBuilder, x: Value): Value => x;

/** A complex tensor as a real one with its parts in a last dimension; real tensors (numbers of the state) stay. */
function asReal(b: CoreBuilder, x: Value): Value {
  const { dtype, sizes } = specOf(x);
  if (!isComplex(dtype)) return x;
  const parts = [b.real(x), b.imag(x)].map((part) => b.reshape(part, [...sizes, 1]));
  return b.concatenate(parts, sizes.length);
}

function asComplex(b: CoreBuilder, x: Value): Value {
  const { sizes } = specOf(x);
  if (sizes.at(-1) !== 2) return x;
  const shape = sizes.slice(0, -1);
  const part = (index: number): Value => {
    const start = [...shape.map(() => 0), index];
    return b.reshape(b.slice(x, start, [...shape, index + 1]), shape);
  };
  return b.complex(part(0), part(1));
}
