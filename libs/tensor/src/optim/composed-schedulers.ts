// Schedules made of others, one after another or all at once, and the one that lowers rates when a measure stops improving.
import { OperatorError } from '@weft/ir';
import { Tensor } from '../tensor.ts';
import type { Optimizer } from './optimizer.ts';
import type { SavedSchedulerState, SchedulerState } from './scheduler.ts';
import { LRScheduler, epochText, exponential, plainState } from './scheduler.ts';
import { passed } from './schedulers.ts';

/** A schedule for each stretch between milestones. */
export class SequentialLR extends LRScheduler {
  constructor(
    optimizer: Optimizer,
    private readonly schedulers: readonly LRScheduler[],
    private milestones: readonly number[],
    { lastEpoch = -1 }: { readonly lastEpoch?: number } = {},
  ) {
    super(optimizer);
    schedulers.forEach((scheduler, index) => {
      if (scheduler.optimizer !== optimizer) {
        throw new OperatorError(
          `Sequential Schedulers expects all schedulers to belong to the same optimizer, but got schedulers at index ${index} to be different than the optimizer passed in.`,
        );
      }
    });
    if (milestones.length !== schedulers.length - 1) {
      throw new OperatorError(
        `Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone points, but got number of schedulers ${schedulers.length} and the number of milestones to be equal to ${milestones.length}`,
      );
    }
    this.lastEpoch = lastEpoch + 1;
    // What the schedules did when they were made is undone; only the first begins.
    for (const group of optimizer.paramGroups) group.lr = group.schedule.initial_lr;
    for (const scheduler of schedulers) scheduler.lastEpoch--;
    schedulers[0].initialStep();
    this.lastLr = schedulers[0].getLastLr();
  }

  override step(): void {
    this.lastEpoch++;
    const index = passed(this.milestones, this.lastEpoch);
    const scheduler = this.schedulers[index];
    if (index > 0 && this.milestones[index - 1] === this.lastEpoch) scheduler.step(0);
    else scheduler.step();
    this.lastLr = scheduler.getLastLr();
  }
  protected override next(): number[] {
    return this.rates;
  }

  override stateDict(): SchedulerState {
    return {
      _milestones: this.milestones,
      last_epoch: this.lastEpoch,
      _last_lr: this.lastLr,
      _schedulers: this.schedulers.map((scheduler) => scheduler.stateDict()),
    };
  }
  override loadStateDict(saved: SavedSchedulerState): void {
    const state = plainState(saved);
    this.milestones = state._milestones as readonly number[];
    this.lastEpoch = state.last_epoch as number;
    this.lastLr = state._last_lr as number[];
    loadAll(this.schedulers, state);
  }
}

/** Several schedules, one after another in every step. */
export class ChainedScheduler extends LRScheduler {
  constructor(private readonly schedulers: readonly LRScheduler[]) {
    super(schedulers[0].optimizer);
    schedulers.forEach((scheduler, index) => {
      if (scheduler.optimizer !== this.optimizer) {
        throw new OperatorError(
          `ChainedScheduler expects all schedulers to belong to the same optimizer, but got schedulers at index 0 and ${index} to be different`,
        );
      }
    });
    this.lastLr = this.rates;
  }

  override step(): void {
    for (const scheduler of this.schedulers) scheduler.step();
    this.lastLr = this.rates;
  }
  protected override next(): number[] {
    return this.rates;
  }

  override stateDict(): SchedulerState {
    return {
      _last_lr: this.lastLr,
      _schedulers: this.schedulers.map((scheduler) => scheduler.stateDict()),
    };
  }
  override loadStateDict(saved: SavedSchedulerState): void {
    const state = plainState(saved);
    this.lastLr = state._last_lr as number[];
    loadAll(this.schedulers, state);
  }
}

function loadAll(schedulers: readonly LRScheduler[], state: SchedulerState): void {
  const saved = state._schedulers as readonly SchedulerState[];
  schedulers.forEach((scheduler, index) => scheduler.loadStateDict(saved[index]));
}

export interface PlateauOptions {
  /** Whether less or more is better. */
  readonly mode?: 'min' | 'max';
  readonly factor?: number;
  /** Steps without improvement that are waited for. */
  readonly patience?: number;
  /** What counts as an improvement, as a part of the best or as a difference from it. */
  readonly threshold?: number;
  readonly thresholdMode?: 'rel' | 'abs';
  /** Steps after a change in which nothing counts. */
  readonly cooldown?: number;
  readonly minLr?: number | readonly number[];
  /** Changes of the rate that are not made because they are smaller. */
  readonly eps?: number;
  readonly verbose?: boolean;
}

/** Multiplies the rates by `factor` when a measure has not improved for `patience` steps. */
export class ReduceLROnPlateau {
  private readonly options: Required<Omit<PlateauOptions, 'minLr'>>;
  private minLrs: readonly number[];
  private best: number;
  private badEpochs = 0;
  private cooldownCounter = 0;
  private lastEpoch = 0;
  private lastLr: number[];

  constructor(
    readonly optimizer: Optimizer,
    options: PlateauOptions = {},
  ) {
    const { minLr = 0, ...rest } = options;
    this.options = {
      mode: 'min',
      factor: 0.1,
      patience: 10,
      threshold: 1e-4,
      thresholdMode: 'rel',
      cooldown: 0,
      eps: 1e-8,
      verbose: false,
      ...rest,
    };
    const { factor, mode, thresholdMode } = this.options;
    if (!(factor < 1)) throw new OperatorError('Factor should be < 1.0.');
    if (mode !== 'min' && mode !== 'max') throw new OperatorError(`mode ${String(mode)} is unknown!`);
    if (thresholdMode !== 'rel' && thresholdMode !== 'abs') {
      throw new OperatorError(`threshold mode ${String(thresholdMode)} is unknown!`);
    }
    const groups = optimizer.paramGroups;
    if (typeof minLr === 'number') this.minLrs = groups.map(() => minLr);
    else if (minLr.length === groups.length) this.minLrs = minLr;
    else throw new OperatorError(`expected ${groups.length} min_lrs, got ${minLr.length}`);
    this.best = this.worst;
    this.lastLr = groups.map(({ lr }) => lr);
  }

  private get worst(): number {
    return this.options.mode === 'min' ? Infinity : -Infinity;
  }

  /** @param measure of this step: a number, or a tensor with one element */
  step(measure: number | Tensor, epoch = this.lastEpoch + 1): void {
    const { patience, cooldown } = this.options;
    const current = measure instanceof Tensor ? measure.item() : measure;
    this.lastEpoch = epoch;
    if (this.isBetter(current)) {
      this.best = current;
      this.badEpochs = 0;
    } else this.badEpochs++;
    if (this.cooldownCounter > 0) {
      this.cooldownCounter--;
      this.badEpochs = 0;
    }
    if (this.badEpochs > patience) {
      this.reduce(epoch);
      this.cooldownCounter = cooldown;
      this.badEpochs = 0;
    }
    this.lastLr = this.optimizer.paramGroups.map(({ lr }) => lr);
  }

  private isBetter(value: number): boolean {
    const { mode, threshold, thresholdMode } = this.options;
    const { best } = this;
    if (thresholdMode === 'rel') {
      return mode === 'min' ? value < best * (1 - threshold) : value > best * (threshold + 1);
    }
    return mode === 'min' ? value < best - threshold : value > best + threshold;
  }

  private reduce(epoch: number): void {
    const { factor, eps, verbose } = this.options;
    this.optimizer.paramGroups.forEach((group, index) => {
      const rate = Math.max(group.lr * factor, this.minLrs[index]);
      if (!(group.lr - rate > eps)) return;
      group.lr = rate;
      if (verbose) {
        console.log(
          `Epoch ${epochText(epoch)}: reducing learning rate of group ${index} to ${exponential(rate)}.`,
        );
      }
    });
  }

  /** The rates after the last step. */
  getLastLr(): number[] {
    return [...this.lastLr];
  }

  stateDict(): SchedulerState {
    const { mode, factor, patience, threshold, thresholdMode, cooldown, eps, verbose } = this.options;
    return {
      factor,
      min_lrs: this.minLrs,
      patience,
      verbose,
      cooldown,
      cooldown_counter: this.cooldownCounter,
      mode,
      threshold,
      threshold_mode: thresholdMode,
      best: this.best,
      num_bad_epochs: this.badEpochs,
      mode_worse: this.worst,
      eps,
      last_epoch: this.lastEpoch,
      _last_lr: this.lastLr,
    };
  }

  /** As that of a schedule: a state, also one with maps for dicts. */
  loadStateDict(saved: SavedSchedulerState): void {
    const state = plainState(saved);
    const number = (name: string): number => state[name] as number;
    Object.assign(this.options, {
      factor: number('factor'),
      patience: number('patience'),
      cooldown: number('cooldown'),
      threshold: number('threshold'),
      eps: number('eps'),
      mode: state.mode,
      thresholdMode: state.threshold_mode,
      verbose: state.verbose,
    });
    this.minLrs = state.min_lrs as readonly number[];
    this.best = number('best');
    this.badEpochs = number('num_bad_epochs');
    this.cooldownCounter = number('cooldown_counter');
    this.lastEpoch = number('last_epoch');
    if (state._last_lr !== undefined) this.lastLr = state._last_lr as number[];
  }
}
