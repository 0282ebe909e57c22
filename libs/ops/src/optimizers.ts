// The updates of optimizers as core operators: used by the eager optimizers (one compiled graph over all parameters) and by the
// planner, which puts them at the end of a worker's step. Here is what an update is and which there are; the formulas, torch.optim's
// with its defaults, stand in descent-updates.ts and adaptive-updates.ts.
import type { CoreBuilder, Value } from '@weft/ir';
import { OperatorError } from '@weft/ir';
import { adam, adamax, adamw, nadam, radam } from './adaptive-updates.ts';
import { adadelta, adagrad, asgd, rmsprop, rprop, sgd } from './descent-updates.ts';

/** Numbers and switches of an optimizer, by camelCase of PyTorch's names. All have PyTorch's defaults. */
export type Hyperparameters = Readonly<Record<string, number | boolean | readonly number[]>>;

/** A value that is kept for each parameter from step to step. */
export interface StateSlot {
  /** PyTorch's name: `exp_avg`. */
  readonly name: string;
  /** One number (float32) for the whole parameter; otherwise the slot has the parameter's dtype and shape. */
  readonly isScalar?: boolean;
  /** What it holds before the first step (default 0); an update may also fill it in its first step. */
  readonly initial?: number;
}

export interface UpdateSite {
  readonly parameter: Value;
  readonly gradient: Value;
  /** State values, in the order of `slots`. */
  readonly state: readonly Value[];
  /** float64 scalars: the rate of this step, and the number of this parameter's update from 1. */
  readonly learningRate: Value;
  readonly step: Value;
  /**
   * A number among the hyperparameters as a float64 scalar (`index` into a list): an input of the graph where it may change
   * from step to step, else a constant.
   */
  number(name: string, index?: number): Value;
}

export interface UpdateResult {
  readonly parameter: Value;
  readonly state: readonly Value[];
}

export interface OptimizerUpdate {
  readonly name: string;
  readonly defaults: Hyperparameters;
  /** torch.optim's learning rate; undefined where one must be given. */
  readonly learningRate: number | undefined;
  /** How PyTorch keeps the number of steps: a tensor, an int, or not at all. */
  readonly stepKind: 'tensor' | 'int' | 'none';
  /** Whether state is there from the beginning, not from a parameter's first step on. */
  readonly beginsWithState?: boolean;
  /** Throws OperatorError, in PyTorch's wording, for values that make no sense. */
  check?(hyper: Hyperparameters): void;
  slots(hyper: Hyperparameters): readonly StateSlot[];
  /**
   * Of `hyper` only switches, and which numbers are zero, decide on the graph; the values come from `site.number`.
   * Complex parameters are given as real ones with the parts in a last dimension, unless `isComplex`.
   */
  update(b: CoreBuilder, hyper: Hyperparameters, site: UpdateSite): UpdateResult;
  /** Whether complex parameters are given as they are. */
  readonly isComplex?: boolean;
}

const updates: ReadonlyMap<string, OptimizerUpdate> = new Map(
  [sgd, adam, adamw, adamax, nadam, radam, adadelta, adagrad, rmsprop, rprop, asgd].map((update) => [
    update.name,
    update,
  ]),
);

/** The update rule of that name. Throws OperatorError naming the known ones. */
export function optimizerUpdate(name: string): OptimizerUpdate {
  const update = updates.get(name);
  if (update === undefined)
    throw new OperatorError(`there is no optimizer '${name}'; known: ${[...updates.keys()].join(', ')}`);
  return update;
}

/**
 * `given` over the defaults; throws OperatorError naming a hyperparameter that the optimizer does not have, or one whose value
 * makes no sense.
 */
export function hyperparameters(
  update: OptimizerUpdate,
  given: Readonly<Record<string, unknown>>,
): Hyperparameters {
  const merged: Record<string, number | boolean | readonly number[]> = { ...update.defaults };
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(update.defaults, name)) {
      throw new OperatorError(
        `${update.name} has no hyperparameter '${name}'; it has lr, ${Object.keys(update.defaults).join(', ')}`,
      );
    }
    if (value === undefined) continue;
    const kindOf = (each: unknown): string => (Array.isArray(each) ? `${each.length} numbers` : typeof each);
    if (kindOf(value) !== kindOf(update.defaults[name])) {
      throw new OperatorError(
        `hyperparameter '${name}' of ${update.name} is a ${kindOf(value)}; it takes a ${kindOf(update.defaults[name])}`,
      );
    }
    merged[name] = value as number | boolean | readonly number[];
  }
  update.check?.(merged);
  return merged;
}

/** The hyperparameters as constants of the graph, for updates that are compiled once. */
export const constantNumbers =
  (b: CoreBuilder, hyper: Hyperparameters): UpdateSite['number'] =>
  (name, index = 0) =>
    b.full(([hyper[name]] as (number | readonly number[])[]).flat()[index], 'float64');
