// An update of parameters as a part of a graph: what goes in beside parameters and gradients, what comes out, and where that goes.
// An optimizer's step is such a graph by itself; a compiled training step has it behind the gradients.
import type { CoreBuilder, Value } from '@weft/ir';
import { isComplex, specOf } from '@weft/ir';
import type { Hyperparameters, OptimizerUpdate } from '@weft/ops';
import { tensor } from '../creation.ts';
import type { Tensor } from '../tensor.ts';

export interface UpdatePlan {
  /** What the graph depends on besides the specs of the tensors: the same key is the same graph. */
  readonly key: string;
  readonly parameters: readonly Tensor[];
  /** Numbers of this step, then the state. */
  readonly operands: readonly Tensor[];
  /** Parameters and state, in the order of the results that replace them. */
  readonly targets: readonly Tensor[];
  /** Emits the new contents of the targets; the values stand for the tensors above. */
  emit(
    b: CoreBuilder,
    parameters: readonly Value[],
    gradients: readonly Value[],
    operands: readonly Value[],
  ): Value[];
  /** Counts the step, once the results are in their places. */
  commit(): void;
}

export interface ParameterState {
  /** Steps taken with this parameter: it may have missed some. */
  step: number;
  readonly slots: readonly Tensor[];
}

/** The update of parameters that have taken the same number of steps. */
export function planUpdate(
  rule: OptimizerUpdate,
  { lr, hyper }: { readonly lr: number; readonly hyper: Hyperparameters },
  parameters: readonly Tensor[],
  states: readonly ParameterState[],
): UpdatePlan {
  const step = states[0].step + 1;
  const specs = parameters.map(
    (parameter, at) => `${parameter.specKey} ${states[at].slots.map((slot) => slot.dtype).join()}`,
  );
  const numbers = [lr, step, ...numbersOf(hyper)];
  return {
    key: `${rule.name} ${specs.join('|')}|${structureOf(hyper)}`,
    parameters,
    operands: [
      ...numbers.map((value) => tensor(value, { dtype: 'float64' })),
      ...states.flatMap(({ slots }) => slots),
    ],
    targets: parameters.flatMap((parameter, at) => [parameter, ...states[at].slots]),
    emit(b, given, gradients, operands) {
      const [learningRate, count, ...rest] = operands;
      const number = numbersByName(hyper, rest);
      const slots = rest.slice(numbers.length - 2);
      return given.flatMap((parameter, at) => {
        const apart = isComplex(specOf(parameter).dtype) && rule.isComplex !== true;
        const [take, give] = apart ? [asReal, asComplex] : [same, same];
        const updated = rule.update(b, hyper, {
          parameter: take(b, parameter),
          gradient: take(b, gradients[at]),
          state: slots.splice(0, states[at].slots.length).map((slot) => take(b, slot)),
          learningRate,
          step: count,
          number,
        });
        return [updated.parameter, ...updated.state].map((value) => give(b, value));
      });
    },
    commit() {
      for (const state of states) state.step = step;
    },
  };
}

/** Several updates as one. */
export function joinPlans(plans: readonly UpdatePlan[]): UpdatePlan {
  return {
    key: plans.map(({ key }) => key).join('&'),
    parameters: plans.flatMap(({ parameters }) => parameters),
    operands: plans.flatMap(({ operands }) => operands),
    targets: plans.flatMap(({ targets }) => targets),
    emit(b, parameters, gradients, operands) {
      const [own, arrived, others] = [[...parameters], [...gradients], [...operands]];
      return plans.flatMap((plan) => {
        const count = plan.parameters.length;
        return plan.emit(b, own.splice(0, count), arrived.splice(0, count), others.splice(0, plan.operands.length)); // prettier-ignore
      });
    },
    commit() {
      for (const plan of plans) plan.commit();
    },
  };
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

/** Finds a number among the values, which are in the order of `numbersOf`. */
function numbersByName(
  hyper: Hyperparameters,
  values: readonly Value[],
): (name: string, index?: number) => Value {
  const places = new Map<string, Value>();
  let at = 0;
  for (const [name, value] of Object.entries(hyper)) {
    if (typeof value === 'boolean') continue;
    [value].flat().forEach((_, index) => places.set(`${name}.${index}`, values[at++]));
  }
  return (name, index = 0) => places.get(`${name}.${index}`)!;
}

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
