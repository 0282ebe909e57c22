// The base of learning rate schedules: what a step of one is, and how it is saved. A schedule sets the rates of an optimizer's
// groups from the number of steps taken. Most go from the present rate to the next (so that they can be chained, and a rate that
// the user changed stays changed); many also know the rate of any step, which `step(epoch)` uses.
import { OperatorError } from '@weft/ir';
import type { Optimizer, ParameterGroup } from './optimizer.ts';

/** As PyTorch's, by its names. */
export type SchedulerState = Readonly<Record<string, unknown>>;

/** A state, or one with maps for dicts as `load` reads it from a file. */
export type SavedSchedulerState = SchedulerState | ReadonlyMap<unknown, unknown>;

/** The state with objects in place of maps, however deep; lists are copied. */
export const plainState = (saved: SavedSchedulerState): SchedulerState => plain(saved) as SchedulerState;

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  return Object.fromEntries(
    [...(value as Map<unknown, unknown>)].map(([key, item]) => [String(key), plain(item)]),
  );
}

export interface ScheduleOptions {
  /** The last step that was taken, to go on from there; -1 to begin. */
  readonly lastEpoch?: number;
  /** Prints the rates that are set. */
  readonly verbose?: boolean;
}

export abstract class LRScheduler {
  /** Steps taken so far. */
  lastEpoch = -1;
  protected baseLrs: number[] = [];
  protected stepCount = 0;
  protected lastLr: number[] = [];
  protected verbose = false;

  /** PyTorch's names of what is saved, and the properties that hold it. */
  protected readonly saved: Readonly<Record<string, string>> = {};

  constructor(readonly optimizer: Optimizer) {}

  /** Called last by constructors: takes the first step, to the rates of step 0 or of the one to go on from. */
  protected begin({ lastEpoch = -1, verbose = false }: ScheduleOptions): void {
    this.baseLrs = this.optimizer.paramGroups.map(({ schedule, lr }, index) => {
      if (lastEpoch === -1) schedule.initial_lr ??= lr;
      else if (schedule.initial_lr === undefined) {
        throw new OperatorError(
          `param 'initial_lr' is not specified in param_groups[${index}] when resuming an optimizer`,
        );
      }
      return schedule.initial_lr;
    });
    this.lastEpoch = lastEpoch;
    this.verbose = verbose;
    this.initialStep();
  }

  /** @internal Also SequentialLR's, for its first schedule. */
  initialStep(): void {
    this.optimizer.stepCount = 0;
    this.stepCount = 0;
    this.step();
  }

  /** The rates of this step (`lastEpoch`) from those of the one before. */
  protected abstract next(): number[];
  /** The rates of this step from the first ones; where a schedule has none, `next` is taken. */
  protected closed?(): number[];

  protected get groups(): readonly ParameterGroup[] {
    return this.optimizer.paramGroups;
  }
  protected get rates(): number[] {
    return this.groups.map(({ lr }) => lr);
  }

  /**
   * Sets the rates for the next step; called after `optimizer.step()`.
   * @param epoch the step to go to; default: the next
   */
  step(epoch?: number): void {
    this.stepCount++;
    this.lastEpoch = epoch ?? this.lastEpoch + 1;
    this.setRates(epoch === undefined ? this.next() : (this.closed?.() ?? this.next()), epoch);
  }

  protected setRates(rates: readonly number[], epoch?: number): void {
    this.groups.forEach((group, index) => {
      group.lr = rates[index];
      if (!this.verbose) return;
      const what = `adjusting learning rate of group ${index} to ${exponential(group.lr)}.`;
      console.log(epoch === undefined ? what.replace('a', 'A') : `Epoch ${epochText(epoch)}: ${what}`);
    });
    this.lastLr = this.rates;
  }

  /** The rates that the last step set. */
  getLastLr(): number[] {
    return [...this.lastLr];
  }

  private get properties(): Readonly<Record<string, string>> {
    return {
      ...this.saved,
      base_lrs: 'baseLrs',
      last_epoch: 'lastEpoch',
      verbose: 'verbose',
      _step_count: 'stepCount',
      _last_lr: 'lastLr',
    };
  }

  /** Everything but the optimizer, whose own state has the rates, and functions. */
  stateDict(): SchedulerState {
    return Object.fromEntries(
      Object.entries(this.properties).map(([name, property]) => [name, Reflect.get(this, property)]),
    );
  }

  /**
   * Takes on a state, also one with maps for dicts as `load` reads it from a file of PyTorch; the rates of the optimizer are those
   * of its own.
   */
  loadStateDict(saved: SavedSchedulerState): void {
    const state = plainState(saved);
    for (const [name, property] of Object.entries(this.properties)) {
      if (state[name] !== undefined) Reflect.set(this, property, state[name]);
    }
  }
}

/** One value for each group, from one for all or a list. */
export function eachGroup<T>(optimizer: Optimizer, name: string, value: T | readonly T[]): T[] {
  const count = optimizer.paramGroups.length;
  if (!Array.isArray(value)) return optimizer.paramGroups.map(() => value as T);
  if (value.length !== count) {
    throw new OperatorError(`expected ${count} values for ${name}, got ${value.length}`);
  }
  return [...(value as readonly T[])];
}

/** `1.0000e-03` */
export const exponential = (value: number): string =>
  value.toExponential(4).replace(/e([+-])(\d)$/, 'e$10$2');

/** `00003`, or `3.50` between steps. */
export const epochText = (epoch: number): string =>
  Number.isInteger(epoch) ? String(epoch).padStart(5, '0') : epoch.toFixed(2);
