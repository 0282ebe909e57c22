// L-BFGS: quasi-Newton steps from the last few gradients, with fixed steps or a line search (line-search.ts). It evaluates the
// loss several times a step and decides on what it finds, so it is no update that could be compiled. After minFunc (Schmidt, 2005),
// as torch.optim has it.
import { OperatorError, numel } from '@weft/ir';
import { enableGrad, noGrad } from '../autograd/grad-mode.ts';
import { tensor } from '../creation.ts';
import { cat, zeros } from '../functions.generated.ts';
import { Tensor } from '../tensor.ts';
import type { LinePoint } from './line-search.ts';
import { strongWolfe } from './line-search.ts';
import type { ParameterGroup, StateValue } from './optimizer.ts';
import { Optimizer, OptimizerStateError, checkLearningRate, snakeCase } from './optimizer.ts';

export interface LBFGSOptions {
  readonly lr?: number;
  /** Iterations a step, and evaluations of the loss a step (default: a quarter more than iterations). */
  readonly maxIter?: number;
  readonly maxEval?: number;
  /** Ends a step when no gradient is greater, and when the parameters or the loss change by less. */
  readonly toleranceGrad?: number;
  readonly toleranceChange?: number;
  /** How many gradients are remembered. */
  readonly historySize?: number;
  readonly lineSearchFn?: 'strong_wolfe' | null;
}

type Options = Required<Omit<LBFGSOptions, 'lr'>>;

interface LBFGSGroup extends ParameterGroup {
  options: Options;
}

/** One remembered change: of the gradient, of the parameters, and one over their product. */
interface Pair {
  readonly gradient: Tensor;
  readonly step: Tensor;
  readonly ro: number;
}

/** What a step hands on to the next. */
interface Memory {
  readonly direction: Tensor;
  readonly length: number;
  readonly pairs: readonly Pair[];
  readonly scale: number;
  readonly gradient: Tensor;
  readonly loss: number;
}

export class LBFGS extends Optimizer<LBFGSGroup> {
  override readonly momentum = undefined;
  private evaluations = 0;
  private iterations = 0;
  private memory: Memory | undefined;
  private hasState = false;

  constructor(
    parameters: Iterable<Tensor>,
    private readonly given: LBFGSOptions = {},
  ) {
    super();
    this.addParameters(parameters);
  }

  protected override makeGroup(
    parameters: Tensor[],
    own: Readonly<Record<string, unknown>> & { readonly lr?: number },
  ): LBFGSGroup {
    if (this.paramGroups.length > 0) {
      throw new OperatorError("LBFGS doesn't support per-parameter options (parameter groups)");
    }
    const { lr = 1, ...options } = { ...this.given, ...own } as LBFGSOptions;
    checkLearningRate(lr);
    return { parameters, lr, schedule: {}, options: optionsFrom(options) };
  }

  override momentumOf(): never {
    throw new OperatorError('LBFGS has no momentum');
  }
  override setMomentum(): never {
    throw new OperatorError('LBFGS has no momentum');
  }

  /** @param closure clears the gradients, computes the loss and its gradients; called several times */
  override step(closure?: () => Tensor): Tensor {
    if (closure === undefined) throw new OperatorError('LBFGS needs a closure that computes the loss');
    this.stepCount++;
    const [group] = this.paramGroups;
    return noGrad(() => this.run(group, () => enableGrad(closure)));
  }

  private run({ parameters, lr, options }: LBFGSGroup, closure: () => Tensor): Tensor {
    const { maxIter, maxEval, toleranceGrad, toleranceChange, historySize } = options;
    const result = closure();
    let loss = result.item();
    let evaluated = 1;
    this.hasState = true;
    this.evaluations++;
    let gradient = flatGradient(parameters);
    if (largest(gradient) <= toleranceGrad) return result;

    let { memory } = this;
    for (let count = 1; count <= maxIter; count++) {
      const isFirst = ++this.iterations === 1 || memory === undefined;
      const { pairs, scale } = isFirst ? { pairs: [], scale: 1 } : remember(memory!, gradient, historySize);
      const direction = isFirst ? gradient.neg() : directionFrom(pairs, scale, gradient);
      const before = loss;
      let length = isFirst ? Math.min(1, 1 / gradient.abs().sum().item()) * lr : lr;
      const slope = gradient.dot(direction).item();
      memory = { direction, length, pairs, scale, gradient, loss: before };
      if (slope > -toleranceChange) break;

      let isOptimal = false;
      let calls = 0;
      if (options.lineSearchFn === 'strong_wolfe') {
        const start = parameters.map((parameter) => parameter.clone());
        const evaluate = (at: number): LinePoint => {
          move(parameters, direction, at);
          const found = closure().item();
          const there = flatGradient(parameters);
          parameters.forEach((parameter, index) => parameter.copy_(start[index]));
          return { at, loss: found, gradient: there, slope: there.dot(direction).item() };
        };
        const origin = { at: 0, loss, gradient, slope };
        const found = strongWolfe(evaluate, origin, length, largest(direction), toleranceChange);
        ({ loss, gradient, at: length } = found.point);
        calls = found.evaluations;
        move(parameters, direction, length);
        isOptimal = largest(gradient) <= toleranceGrad;
      } else {
        move(parameters, direction, length);
        if (count !== maxIter) {
          loss = closure().item();
          gradient = flatGradient(parameters);
          isOptimal = largest(gradient) <= toleranceGrad;
          calls = 1;
        }
      }
      memory = { ...memory, length };
      evaluated += calls;
      this.evaluations += calls;
      if (evaluated >= maxEval || isOptimal) break;
      if (largest(direction.mul(length)) <= toleranceChange) break;
      if (Math.abs(loss - before) < toleranceChange) break;
    }
    this.memory = memory;
    return result;
  }

  // ---- state ------------------------------------------------------------------------------------------------------

  protected override optionsOf({ options }: LBFGSGroup): Record<string, StateValue> {
    return Object.fromEntries(Object.entries(options).map(([name, value]) => [snakeCase(name), value]));
  }

  protected override takeOptions(group: LBFGSGroup, options: Readonly<Record<string, unknown>>): void {
    group.options = optionsFrom(options);
  }

  /** All of it is kept with the first parameter. */
  protected override stateOf(
    parameter: Tensor,
    { parameters }: LBFGSGroup,
  ): Record<string, StateValue> | undefined {
    if (!this.hasState || parameter !== parameters[0]) return undefined;
    const counts = { func_evals: this.evaluations, n_iter: this.iterations };
    const { memory } = this;
    if (memory === undefined) return counts;
    const scalar = (value: number): Tensor => tensor(value, { dtype: parameter.dtype });
    return {
      ...counts,
      d: memory.direction,
      t: memory.length,
      old_dirs: memory.pairs.map(({ gradient }) => gradient),
      old_stps: memory.pairs.map(({ step }) => step),
      ro: memory.pairs.map(({ ro }) => scalar(ro)),
      H_diag: memory.pairs.length === 0 ? memory.scale : scalar(memory.scale),
      prev_flat_grad: memory.gradient,
      prev_loss: memory.loss,
    };
  }

  protected override readState(
    parameter: Tensor,
    { parameters }: LBFGSGroup,
    saved: Readonly<Record<string, StateValue>>,
    number: number,
  ): () => void {
    const count = parameters.reduce((total, each) => total + numel(each.sizes), 0);
    const flat = (name: string, value: StateValue | undefined): Tensor => {
      if (!(value instanceof Tensor) || value.sizes.join() !== String(count)) {
        throw new OptimizerStateError(
          `state '${name}' of parameter ${number} is ${value instanceof Tensor ? `of shape [${value.sizes.join(', ')}]` : 'missing'}; the parameters have ${count} elements`,
        );
      }
      return noGrad(() => value.detach().to(parameter.device, parameter.dtype).clone());
    };
    const scalar = (value: StateValue | undefined): number =>
      value instanceof Tensor ? value.item() : (value as number);
    const list = (name: string): readonly StateValue[] => (saved[name] ?? []) as readonly StateValue[];
    const memory =
      saved.d === undefined
        ? undefined
        : {
            direction: flat('d', saved.d),
            length: scalar(saved.t),
            pairs: list('old_dirs').map((gradient, index) => ({
              gradient: flat('old_dirs', gradient),
              step: flat('old_stps', list('old_stps')[index]),
              ro: scalar(list('ro')[index]),
            })),
            scale: scalar(saved.H_diag),
            gradient: flat('prev_flat_grad', saved.prev_flat_grad),
            loss: scalar(saved.prev_loss),
          };
    return () => {
      this.hasState = true;
      this.evaluations = scalar(saved.func_evals ?? 0);
      this.iterations = scalar(saved.n_iter ?? 0);
      this.memory = memory;
    };
  }

  protected override forgetState(): void {
    this.memory = undefined;
    this.evaluations = this.iterations = 0;
    this.hasState = false;
  }
}

const known: ReadonlySet<string> = new Set([
  'maxIter',
  'maxEval',
  'toleranceGrad',
  'toleranceChange',
  'historySize',
  'lineSearchFn',
]);

function optionsFrom(options: LBFGSOptions): Options {
  for (const name of Object.keys(options)) {
    if (!known.has(name)) {
      throw new OperatorError(`lbfgs has no option '${name}'; it has lr, ${[...known].join(', ')}`);
    }
  }
  const {
    maxIter = 20,
    maxEval = Math.floor((maxIter * 5) / 4),
    toleranceGrad = 1e-7,
    toleranceChange = 1e-9,
    historySize = 100,
    lineSearchFn = null,
  } = options;
  if (lineSearchFn !== null && lineSearchFn !== 'strong_wolfe') {
    throw new OperatorError("only 'strong_wolfe' is supported");
  }
  return { maxIter, maxEval, toleranceGrad, toleranceChange, historySize, lineSearchFn };
}

/** All gradients in a row; zeros for parameters that have none. */
const flatGradient = (parameters: readonly Tensor[]): Tensor =>
  cat(
    parameters.map(({ grad, dtype, device, sizes }) =>
      grad === null ? zeros([numel(sizes)], { dtype, device }) : grad.reshape(-1),
    ),
  );

const largest = (x: Tensor): number => x.abs().max().item();

/** Goes along the direction by its multiple `length`. */
function move(parameters: readonly Tensor[], direction: Tensor, length: number): void {
  let start = 0;
  for (const parameter of parameters) {
    const count = numel(parameter.sizes);
    parameter.add_(direction.slice(0, start, start + count).view(parameter.sizes), { alpha: length });
    start += count;
  }
}

/** The pairs with that of the last step, if the loss curved upwards along it, and the scale of the inverse Hessian. */
function remember(
  { pairs, scale, gradient: before, direction, length }: Memory,
  gradient: Tensor,
  historySize: number,
): { pairs: readonly Pair[]; scale: number } {
  const change = gradient.sub(before);
  const step = direction.mul(length);
  const product = change.dot(step).item();
  if (!(product > 1e-10)) return { pairs, scale };
  const kept = pairs.length === historySize ? pairs.slice(1) : pairs;
  return {
    pairs: [...kept, { gradient: change, step, ro: 1 / product }],
    scale: product / change.dot(change).item(),
  };
}

/** Minus the inverse Hessian times the gradient, by two loops over the pairs (Nocedal, 1980). */
function directionFrom(pairs: readonly Pair[], scale: number, gradient: Tensor): Tensor {
  const direction = gradient.neg();
  const shares = new Array<number>(pairs.length);
  for (let index = pairs.length - 1; index >= 0; index--) {
    const { gradient: change, step, ro } = pairs[index];
    shares[index] = step.dot(direction).item() * ro;
    direction.add_(change, { alpha: -shares[index] });
  }
  direction.mul_(scale);
  pairs.forEach(({ gradient: change, step, ro }, index) => {
    direction.add_(step, { alpha: shares[index] - change.dot(direction).item() * ro });
  });
  return direction;
}
