// Learning rate schedules: each sets the rate of every group from the number of steps taken. Closed forms, so that
// a schedule can be continued from its step count alone.
import { OperatorError } from '@weft/ir';
import type { Optimizer } from './optimizer.ts';

export interface SchedulerState {
  readonly lastEpoch: number;
}

export abstract class LRScheduler {
  /** Steps taken so far. */
  lastEpoch = 0;

  constructor(readonly optimizer: Optimizer) {}

  /** The rate after `epoch` steps of a group that began with `initial`. */
  protected abstract rate(initial: number, epoch: number, group: number): number;

  /** Sets the rates for the next step; called after `optimizer.step()`. */
  step(): void {
    this.lastEpoch++;
    this.apply();
  }

  protected apply(): void {
    this.optimizer.paramGroups.forEach((group, index) => {
      group.lr = this.rate(group.initialLr, this.lastEpoch, index);
    });
  }

  getLastLr(): number[] {
    return this.optimizer.paramGroups.map((group) => group.lr);
  }

  stateDict(): SchedulerState {
    return { lastEpoch: this.lastEpoch };
  }
  loadStateDict({ lastEpoch }: SchedulerState): void {
    this.lastEpoch = lastEpoch;
    this.apply();
  }
}

/** Multiplies by `gamma` every `stepSize` steps. */
export class StepLR extends LRScheduler {
  constructor(
    optimizer: Optimizer,
    readonly stepSize: number,
    readonly gamma = 0.1,
  ) {
    super(optimizer);
  }
  protected override rate(initial: number, epoch: number): number {
    return initial * this.gamma ** Math.floor(epoch / this.stepSize);
  }
}

/** Multiplies by `gamma` at each milestone. */
export class MultiStepLR extends LRScheduler {
  constructor(
    optimizer: Optimizer,
    readonly milestones: readonly number[],
    readonly gamma = 0.1,
  ) {
    super(optimizer);
  }
  protected override rate(initial: number, epoch: number): number {
    return initial * this.gamma ** this.milestones.filter((milestone) => milestone <= epoch).length;
  }
}

/** Multiplies by `gamma` every step. */
export class ExponentialLR extends LRScheduler {
  constructor(
    optimizer: Optimizer,
    readonly gamma: number,
  ) {
    super(optimizer);
  }
  protected override rate(initial: number, epoch: number): number {
    return initial * this.gamma ** epoch;
  }
}

/** From `startFactor` to `endFactor` of the rate in `totalIters` steps. */
export class LinearLR extends LRScheduler {
  constructor(
    optimizer: Optimizer,
    readonly startFactor = 1 / 3,
    readonly endFactor = 1,
    readonly totalIters = 5,
  ) {
    super(optimizer);
    this.apply();
  }
  protected override rate(initial: number, epoch: number): number {
    const part = Math.min(epoch, this.totalIters) / this.totalIters;
    return initial * (this.startFactor + (this.endFactor - this.startFactor) * part);
  }
}

/** Half a cosine from the rate to `etaMin` in `tMax` steps, and back up after it. */
export class CosineAnnealingLR extends LRScheduler {
  constructor(
    optimizer: Optimizer,
    readonly tMax: number,
    readonly etaMin = 0,
  ) {
    super(optimizer);
  }
  protected override rate(initial: number, epoch: number): number {
    return this.etaMin + ((initial - this.etaMin) * (1 + Math.cos((Math.PI * epoch) / this.tMax))) / 2;
  }
}

/** The rate times what a function (one a group, or one for all) makes of the step count. */
export class LambdaLR extends LRScheduler {
  private readonly factors: readonly ((epoch: number) => number)[];

  constructor(
    optimizer: Optimizer,
    factors: ((epoch: number) => number) | readonly ((epoch: number) => number)[],
  ) {
    super(optimizer);
    this.factors = typeof factors === 'function' ? optimizer.paramGroups.map(() => factors) : factors;
    if (this.factors.length !== optimizer.paramGroups.length) {
      throw new OperatorError(
        `Expected ${optimizer.paramGroups.length} lr_lambdas, but got ${this.factors.length}`,
      );
    }
    this.apply();
  }
  protected override rate(initial: number, epoch: number, group: number): number {
    return initial * this.factors[group](epoch);
  }
}

export interface OneCycleOptions {
  readonly maxLr: number;
  readonly totalSteps: number;
  /** The part of the steps in which the rate rises. */
  readonly pctStart?: number;
  readonly annealStrategy?: 'cos' | 'linear';
  readonly divFactor?: number;
  readonly finalDivFactor?: number;
}

/** The 1cycle policy: up to `maxLr`, then down to far below the start (Smith and Topin, 2017). Momentum stays. */
export class OneCycleLR extends LRScheduler {
  constructor(
    optimizer: Optimizer,
    private readonly options: OneCycleOptions,
  ) {
    super(optimizer);
    for (const group of optimizer.paramGroups) group.initialLr = options.maxLr / (options.divFactor ?? 25);
    this.apply();
  }

  protected override rate(initial: number, epoch: number): number {
    const { maxLr, totalSteps, pctStart = 0.3, annealStrategy = 'cos', finalDivFactor = 1e4 } = this.options;
    if (epoch >= totalSteps) {
      throw new OperatorError(
        `Tried to step ${epoch + 1} times. The specified number of total steps is ${totalSteps}`,
      );
    }
    const peak = pctStart * totalSteps - 1;
    const anneal = (from: number, to: number, part: number): number =>
      annealStrategy === 'cos'
        ? to + ((from - to) * (1 + Math.cos(Math.PI * part))) / 2
        : from + (to - from) * part;
    if (epoch <= peak) return anneal(initial, maxLr, epoch / peak);
    return anneal(maxLr, initial / finalDivFactor, (epoch - peak) / (totalSteps - 1 - peak));
  }
}
