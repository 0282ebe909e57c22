// Schedules that go up and down between bounds and move the momentum against the rate: CyclicLR and OneCycleLR.
import { OperatorError } from '@weft/ir';
import type { Optimizer, ParameterGroup } from './optimizer.ts';
import type { ScheduleOptions } from './scheduler.ts';
import { LRScheduler, eachGroup } from './scheduler.ts';

const withoutMomentum = 'optimizer must support momentum with `cycle_momentum` option enabled';

export interface CyclicOptions extends ScheduleOptions {
  /** The bounds of the rate: for all groups, or one each. */
  readonly baseLr: number | readonly number[];
  readonly maxLr: number | readonly number[];
  /** Steps up, and down (default: as many). */
  readonly stepSizeUp?: number;
  readonly stepSizeDown?: number | null;
  /** What becomes of the height of the cycles: it stays, is halved each cycle, or shrinks by `gamma` each step. */
  readonly mode?: 'triangular' | 'triangular2' | 'exp_range';
  readonly gamma?: number;
  /** The height in the place of `mode`, by the number of the cycle (from 1) or of the step. */
  readonly scaleFn?: ((at: number) => number) | null;
  readonly scaleMode?: 'cycle' | 'iterations';
  /** Moves the momentum from its maximum down to its base while the rate goes up. */
  readonly cycleMomentum?: boolean;
  readonly baseMomentum?: number | readonly number[];
  readonly maxMomentum?: number | readonly number[];
}

/** Cycles of straight lines between two rates (Smith, 2015). */
export class CyclicLR extends LRScheduler {
  protected override readonly saved = {
    max_lrs: 'maxLrs',
    total_size: 'totalSize',
    step_ratio: 'stepRatio',
    mode: 'mode',
    gamma: 'gamma',
    scale_mode: 'scaleMode',
    cycle_momentum: 'cycleMomentum',
    base_momentums: 'baseMomentums',
    max_momentums: 'maxMomentums',
  };
  private readonly maxLrs: readonly number[];
  private readonly totalSize: number;
  private readonly stepRatio: number;
  private readonly mode: string;
  private readonly gamma: number;
  private readonly scale: (at: number) => number;
  private readonly scaleMode: 'cycle' | 'iterations';
  private readonly cycleMomentum: boolean;
  private readonly baseMomentums: readonly number[] = [];
  private readonly maxMomentums: readonly number[] = [];

  constructor(optimizer: Optimizer, options: CyclicOptions) {
    super(optimizer);
    const { stepSizeUp = 2000, mode = 'triangular', gamma = 1, scaleFn = null } = options;
    const { lastEpoch = -1, cycleMomentum = true, baseMomentum = 0.8, maxMomentum = 0.9 } = options;
    const groups = optimizer.paramGroups;
    const bases = eachGroup(optimizer, 'base_lr', options.baseLr);
    if (lastEpoch === -1) groups.forEach((group, index) => (group.lr = bases[index]));
    this.maxLrs = eachGroup(optimizer, 'max_lr', options.maxLr);
    this.totalSize = stepSizeUp + (options.stepSizeDown ?? stepSizeUp);
    this.stepRatio = stepSizeUp / this.totalSize;
    this.mode = mode;
    this.gamma = gamma;
    const scales: Readonly<Record<string, ((at: number) => number) | undefined>> = {
      triangular: () => 1,
      triangular2: (cycle) => 1 / 2 ** (cycle - 1),
      exp_range: (step) => this.gamma ** step,
    };
    const scale = scaleFn ?? scales[mode];
    if (scale === undefined) throw new OperatorError('mode is invalid and scale_fn is None');
    this.scale = scale;
    const own = mode === 'exp_range' ? 'iterations' : 'cycle';
    this.scaleMode = scaleFn === null ? own : (options.scaleMode ?? 'cycle');
    this.cycleMomentum = cycleMomentum;
    if (cycleMomentum) {
      if (optimizer.momentum !== 'momentum') throw new OperatorError(withoutMomentum);
      const lows = eachGroup(optimizer, 'base_momentum', baseMomentum);
      if (lastEpoch === -1) groups.forEach((group, index) => optimizer.setMomentum(group, lows[index]));
      this.baseMomentums = groups.map((group) => optimizer.momentumOf(group));
      this.maxMomentums = eachGroup(optimizer, 'max_momentum', maxMomentum);
    }
    this.begin(options);
    this.baseLrs = bases;
  }

  protected override next(): number[] {
    const { lastEpoch, totalSize, stepRatio, optimizer } = this;
    const cycle = Math.floor(1 + lastEpoch / totalSize);
    const x = 1 + lastEpoch / totalSize - cycle;
    const height = x <= stepRatio ? x / stepRatio : (x - 1) / (stepRatio - 1);
    const scale = this.scale(this.scaleMode === 'cycle' ? cycle : lastEpoch);
    if (this.cycleMomentum) {
      this.groups.forEach((group, index) => {
        const most = this.maxMomentums[index];
        optimizer.setMomentum(group, most - (most - this.baseMomentums[index]) * height * scale);
      });
    }
    return this.baseLrs.map((base, group) => base + (this.maxLrs[group] - base) * height * scale);
  }
}

export interface OneCycleOptions extends ScheduleOptions {
  readonly maxLr: number | readonly number[];
  /** Steps of the whole cycle, or the factors that they are the product of. */
  readonly totalSteps?: number | null;
  readonly epochs?: number | null;
  readonly stepsPerEpoch?: number | null;
  /** The part of the steps in which the rate rises. */
  readonly pctStart?: number;
  readonly annealStrategy?: 'cos' | 'linear';
  /** Moves the momentum from its maximum down to its base while the rate goes up. */
  readonly cycleMomentum?: boolean;
  readonly baseMomentum?: number | readonly number[];
  readonly maxMomentum?: number | readonly number[];
  /** `maxLr` over the first rate, and the first rate over the last. */
  readonly divFactor?: number;
  readonly finalDivFactor?: number;
  /** Down to the first rate in as many steps as up, and only then to the last. */
  readonly threePhase?: boolean;
}

/** From one of the group's marks to another, until a step. */
interface Phase {
  readonly end: number;
  readonly rate: readonly [from: string, to: string];
  readonly momentum: readonly [from: string, to: string];
}

/** The 1cycle policy: up to `maxLr`, then down to far below the start (Smith and Topin, 2017). */
export class OneCycleLR extends LRScheduler {
  protected override readonly saved = { total_steps: 'totalSteps', cycle_momentum: 'cycleMomentum' };
  private readonly totalSteps: number;
  private readonly phases: readonly Phase[];
  private readonly anneal: (from: number, to: number, part: number) => number;
  private readonly cycleMomentum: boolean;

  constructor(optimizer: Optimizer, options: OneCycleOptions) {
    super(optimizer);
    const { pctStart = 0.3, annealStrategy = 'cos', divFactor = 25, finalDivFactor = 1e4 } = options;
    const { lastEpoch = -1, cycleMomentum = true, baseMomentum = 0.85, maxMomentum = 0.95 } = options;
    this.totalSteps = totalStepsOf(options);
    this.phases = phasesOf(this.totalSteps, pctStart, options.threePhase === true);
    if (!(pctStart >= 0 && pctStart <= 1)) {
      throw new OperatorError(`Expected float between 0 and 1 pct_start, but got ${pctStart}`);
    }
    if (annealStrategy === 'cos') {
      this.anneal = (from, to, part) => to + ((from - to) / 2) * (Math.cos(Math.PI * part) + 1);
    } else if (annealStrategy === 'linear') this.anneal = (from, to, part) => (to - from) * part + from;
    else {
      throw new OperatorError(
        `anneal_strategy must by one of 'cos' or 'linear', instead got ${String(annealStrategy)}`,
      );
    }
    const maxLrs = eachGroup(optimizer, 'max_lr', options.maxLr);
    const groups = optimizer.paramGroups;
    if (lastEpoch === -1) {
      groups.forEach(({ schedule }, index) => {
        schedule.initial_lr = maxLrs[index] / divFactor;
        schedule.max_lr = maxLrs[index];
        schedule.min_lr = schedule.initial_lr / finalDivFactor;
      });
    }
    this.cycleMomentum = cycleMomentum;
    if (cycleMomentum) {
      if (optimizer.momentum === undefined) throw new OperatorError(withoutMomentum);
      const most = eachGroup(optimizer, 'max_momentum', maxMomentum);
      const least = eachGroup(optimizer, 'base_momentum', baseMomentum);
      if (lastEpoch === -1) {
        groups.forEach((group, index) => {
          optimizer.setMomentum(group, most[index]);
          group.schedule.max_momentum = most[index];
          group.schedule.base_momentum = least[index];
        });
      }
    }
    this.begin(options);
  }

  protected override next(): number[] {
    const { lastEpoch, totalSteps, phases, optimizer } = this;
    if (lastEpoch > totalSteps) {
      throw new OperatorError(
        `Tried to step ${lastEpoch + 1} times. The specified number of total steps is ${totalSteps}`,
      );
    }
    const found = phases.findIndex(({ end }) => lastEpoch <= end);
    const index = found < 0 ? phases.length - 1 : found;
    const { end, rate, momentum } = phases[index];
    const start = index === 0 ? 0 : phases[index - 1].end;
    const part = (lastEpoch - start) / (end - start);
    const value = ({ schedule }: ParameterGroup, [from, to]: readonly [string, string]): number =>
      this.anneal(schedule[from], schedule[to], part);
    if (this.cycleMomentum) {
      for (const group of this.groups) optimizer.setMomentum(group, value(group, momentum));
    }
    return this.groups.map((group) => value(group, rate));
  }
}

function totalStepsOf({ totalSteps, epochs, stepsPerEpoch }: OneCycleOptions): number {
  const positive = (name: string, value: number | null | undefined): number => {
    if (!(typeof value === 'number' && value > 0 && Number.isInteger(value))) {
      throw new OperatorError(`Expected positive integer ${name}, but got ${String(value)}`);
    }
    return value;
  };
  if ((totalSteps ?? null) !== null) return positive('total_steps', totalSteps);
  if ((epochs ?? null) === null && (stepsPerEpoch ?? null) === null) {
    throw new OperatorError('You must define either total_steps OR (epochs AND steps_per_epoch)');
  }
  return positive('epochs', epochs) * positive('steps_per_epoch', stepsPerEpoch);
}

function phasesOf(total: number, part: number, isThree: boolean): Phase[] {
  const up: Phase = {
    end: part * total - 1,
    rate: ['initial_lr', 'max_lr'],
    momentum: ['max_momentum', 'base_momentum'],
  };
  if (!isThree) {
    return [up, { end: total - 1, rate: ['max_lr', 'min_lr'], momentum: ['base_momentum', 'max_momentum'] }];
  }
  return [
    up,
    {
      end: 2 * part * total - 2,
      rate: ['max_lr', 'initial_lr'],
      momentum: ['base_momentum', 'max_momentum'],
    },
    { end: total - 1, rate: ['initial_lr', 'min_lr'], momentum: ['max_momentum', 'max_momentum'] },
  ];
}
