// Schedules that only fall, or follow one formula: PyTorch's lr_scheduler by its names. Those that go up and down stand in
// cyclic-schedulers.ts, those made of others and the one that watches a measure in composed-schedulers.ts.
import { OperatorError } from '@weft/ir';
import type { Optimizer } from './optimizer.ts';
import type { ScheduleOptions } from './scheduler.ts';
import { LRScheduler } from './scheduler.ts';

/** Python's `%`: the sign of the divisor. */
const modulo = (a: number, b: number): number => a - b * Math.floor(a / b);

/** The number of sorted `milestones` up to `epoch`. */
export const passed = (milestones: readonly number[], epoch: number): number =>
  milestones.filter((milestone) => milestone <= epoch).length;

export type RateFactor = (epoch: number) => number;

function factorsFor(optimizer: Optimizer, factors: RateFactor | readonly RateFactor[]): RateFactor[] {
  if (typeof factors === 'function') return optimizer.paramGroups.map(() => factors);
  if (factors.length !== optimizer.paramGroups.length) {
    throw new OperatorError(`Expected ${optimizer.paramGroups.length} lr_lambdas, but got ${factors.length}`);
  }
  return [...factors];
}

/** The first rate times what a function (one a group, or one for all) makes of the step count. */
export class LambdaLR extends LRScheduler {
  private readonly factors: readonly RateFactor[];

  constructor(
    optimizer: Optimizer,
    factors: RateFactor | readonly RateFactor[],
    options: ScheduleOptions = {},
  ) {
    super(optimizer);
    this.factors = factorsFor(optimizer, factors);
    this.begin(options);
  }
  protected override next(): number[] {
    return this.baseLrs.map((base, group) => base * this.factors[group](this.lastEpoch));
  }
}

/** Multiplies the rate by what a function (one a group, or one for all) makes of the step count. */
export class MultiplicativeLR extends LRScheduler {
  private readonly factors: readonly RateFactor[];

  constructor(
    optimizer: Optimizer,
    factors: RateFactor | readonly RateFactor[],
    options: ScheduleOptions = {},
  ) {
    super(optimizer);
    this.factors = factorsFor(optimizer, factors);
    this.begin(options);
  }
  protected override next(): number[] {
    if (this.lastEpoch <= 0) return this.rates;
    return this.rates.map((rate, group) => rate * this.factors[group](this.lastEpoch));
  }
}

/** Multiplies by `gamma` every `stepSize` steps. */
export class StepLR extends LRScheduler {
  protected override readonly saved = { step_size: 'stepSize', gamma: 'gamma' };

  constructor(
    optimizer: Optimizer,
    readonly stepSize: number,
    readonly gamma = 0.1,
    options: ScheduleOptions = {},
  ) {
    super(optimizer);
    this.begin(options);
  }
  protected override next(): number[] {
    const { lastEpoch, stepSize, gamma } = this;
    if (lastEpoch === 0 || modulo(lastEpoch, stepSize) !== 0) return this.rates;
    return this.rates.map((rate) => rate * gamma);
  }
  protected override closed(): number[] {
    const factor = this.gamma ** Math.floor(this.lastEpoch / this.stepSize);
    return this.baseLrs.map((base) => base * factor);
  }
}

/** Multiplies by `gamma` at each milestone, twice at one that is given twice. */
export class MultiStepLR extends LRScheduler {
  protected override readonly saved = { milestones: 'counts', gamma: 'gamma' };
  private milestones: readonly number[];

  constructor(
    optimizer: Optimizer,
    milestones: readonly number[],
    readonly gamma = 0.1,
    options: ScheduleOptions = {},
  ) {
    super(optimizer);
    this.milestones = [...milestones].sort((a, b) => a - b);
    this.begin(options);
  }
  /** PyTorch saves a count for each milestone. */
  get counts(): Readonly<Record<number, number>> {
    return Object.fromEntries(this.milestones.map((milestone) => [milestone, this.countOf(milestone)]));
  }
  set counts(counts: Readonly<Record<number, number>>) {
    this.milestones = Object.entries(counts)
      .flatMap(([milestone, count]) => new Array<number>(count).fill(Number(milestone)))
      .sort((a, b) => a - b);
  }
  private countOf(epoch: number): number {
    return this.milestones.filter((milestone) => milestone === epoch).length;
  }
  protected override next(): number[] {
    const count = this.countOf(this.lastEpoch);
    return count === 0 ? this.rates : this.rates.map((rate) => rate * this.gamma ** count);
  }
  protected override closed(): number[] {
    const factor = this.gamma ** passed(this.milestones, this.lastEpoch);
    return this.baseLrs.map((base) => base * factor);
  }
}

/** `factor` of the rate for `totalIters` steps. */
export class ConstantLR extends LRScheduler {
  protected override readonly saved = { factor: 'factor', total_iters: 'totalIters' };

  constructor(
    optimizer: Optimizer,
    readonly factor = 1 / 3,
    readonly totalIters = 5,
    options: ScheduleOptions = {},
  ) {
    super(optimizer);
    if (!(factor >= 0 && factor <= 1)) {
      throw new OperatorError('Constant multiplicative factor expected to be between 0 and 1.');
    }
    this.begin(options);
  }
  protected override next(): number[] {
    const { lastEpoch, factor } = this;
    if (lastEpoch === 0) return this.rates.map((rate) => rate * factor);
    return lastEpoch === this.totalIters ? this.rates.map((rate) => rate * (1 / factor)) : this.rates;
  }
  protected override closed(): number[] {
    const rest = this.lastEpoch >= this.totalIters ? 1 - this.factor : 0;
    return this.baseLrs.map((base) => base * (this.factor + rest));
  }
}

/** From `startFactor` to `endFactor` of the rate in `totalIters` steps. */
export class LinearLR extends LRScheduler {
  protected override readonly saved = {
    start_factor: 'startFactor',
    end_factor: 'endFactor',
    total_iters: 'totalIters',
  };

  constructor(
    optimizer: Optimizer,
    readonly startFactor = 1 / 3,
    readonly endFactor = 1,
    readonly totalIters = 5,
    options: ScheduleOptions = {},
  ) {
    super(optimizer);
    if (!(startFactor >= 0 && startFactor <= 1)) {
      throw new OperatorError('Starting multiplicative factor expected to be between 0 and 1.');
    }
    if (!(endFactor >= 0 && endFactor <= 1)) {
      throw new OperatorError('Ending multiplicative factor expected to be between 0 and 1.');
    }
    this.begin(options);
  }
  protected override next(): number[] {
    const { lastEpoch, totalIters, startFactor } = this;
    if (lastEpoch === 0) return this.rates.map((rate) => rate * startFactor);
    if (lastEpoch > totalIters) return this.rates;
    const rise = this.endFactor - startFactor;
    const factor = 1 + rise / (totalIters * startFactor + (lastEpoch - 1) * rise);
    return this.rates.map((rate) => rate * factor);
  }
  protected override closed(): number[] {
    const { totalIters, startFactor } = this;
    const part = ((this.endFactor - startFactor) * Math.min(totalIters, this.lastEpoch)) / totalIters;
    return this.baseLrs.map((base) => base * (startFactor + part));
  }
}

/** Multiplies by `gamma` every step. */
export class ExponentialLR extends LRScheduler {
  protected override readonly saved = { gamma: 'gamma' };

  constructor(
    optimizer: Optimizer,
    readonly gamma: number,
    options: ScheduleOptions = {},
  ) {
    super(optimizer);
    this.begin(options);
  }
  protected override next(): number[] {
    return this.lastEpoch === 0 ? this.rates : this.rates.map((rate) => rate * this.gamma);
  }
  protected override closed(): number[] {
    return this.baseLrs.map((base) => base * this.gamma ** this.lastEpoch);
  }
}

/** Down to zero in `totalIters` steps along a power of what is left. */
export class PolynomialLR extends LRScheduler {
  protected override readonly saved = { total_iters: 'totalIters', power: 'power' };

  constructor(
    optimizer: Optimizer,
    readonly totalIters = 5,
    readonly power = 1,
    options: ScheduleOptions = {},
  ) {
    super(optimizer);
    this.begin(options);
  }
  protected override next(): number[] {
    const { lastEpoch, totalIters } = this;
    if (lastEpoch === 0 || lastEpoch > totalIters) return this.rates;
    const factor = ((1 - lastEpoch / totalIters) / (1 - (lastEpoch - 1) / totalIters)) ** this.power;
    return this.rates.map((rate) => rate * factor);
  }
  protected override closed(): number[] {
    const rest = 1 - Math.min(this.totalIters, this.lastEpoch) / this.totalIters;
    return this.baseLrs.map((base) => base * rest ** this.power);
  }
}

/** Half a cosine from the rate to `etaMin` in `tMax` steps, and back up after it. */
export class CosineAnnealingLR extends LRScheduler {
  protected override readonly saved = { T_max: 'tMax', eta_min: 'etaMin' };

  constructor(
    optimizer: Optimizer,
    readonly tMax: number,
    readonly etaMin = 0,
    options: ScheduleOptions = {},
  ) {
    super(optimizer);
    this.begin(options);
  }
  protected override next(): number[] {
    const { lastEpoch, tMax, etaMin } = this;
    if (lastEpoch === 0) return this.rates;
    if (this.stepCount === 1 && lastEpoch > 0) return this.closed();
    if (modulo(lastEpoch - 1 - tMax, 2 * tMax) === 0) {
      const rise = (1 - Math.cos(Math.PI / tMax)) / 2;
      return this.rates.map((rate, group) => rate + (this.baseLrs[group] - etaMin) * rise);
    }
    const factor =
      (1 + Math.cos((Math.PI * lastEpoch) / tMax)) / (1 + Math.cos((Math.PI * (lastEpoch - 1)) / tMax));
    return this.rates.map((rate) => factor * (rate - etaMin) + etaMin);
  }
  protected override closed(): number[] {
    const { etaMin } = this;
    const part = 1 + Math.cos((Math.PI * this.lastEpoch) / this.tMax);
    return this.baseLrs.map((base) => etaMin + ((base - etaMin) * part) / 2);
  }
}

/** Half a cosine from the rate to `etaMin` in `t0` steps, then again from the top, each time `tMult` times as long. */
export class CosineAnnealingWarmRestarts extends LRScheduler {
  protected override readonly saved = {
    T_0: 't0',
    T_i: 'length',
    T_mult: 'tMult',
    eta_min: 'etaMin',
    T_cur: 'current',
  };
  /** The length of this run, and the steps taken in it. */
  private length: number;
  private current: number;

  constructor(
    optimizer: Optimizer,
    readonly t0: number,
    readonly tMult = 1,
    readonly etaMin = 0,
    options: ScheduleOptions = {},
  ) {
    super(optimizer);
    if (!(t0 > 0 && Number.isInteger(t0))) {
      throw new OperatorError(`Expected positive integer T_0, but got ${t0}`);
    }
    if (!(tMult >= 1 && Number.isInteger(tMult))) {
      throw new OperatorError(`Expected integer T_mult >= 1, but got ${tMult}`);
    }
    this.length = t0;
    this.current = options.lastEpoch ?? -1;
    this.begin(options);
  }

  /** @param epoch may lie between two steps */
  override step(epoch?: number): void {
    const to = epoch ?? (this.lastEpoch < 0 ? 0 : undefined);
    if (to === undefined) {
      this.current++;
      if (this.current >= this.length) {
        this.current -= this.length;
        this.length *= this.tMult;
      }
      this.lastEpoch = Math.floor(this.lastEpoch + 1);
    } else {
      this.goTo(to);
      this.lastEpoch = Math.floor(to);
    }
    this.setRates(this.next(), to ?? this.lastEpoch);
  }

  private goTo(epoch: number): void {
    const { t0, tMult } = this;
    if (epoch < 0) throw new OperatorError(`Expected non-negative epoch, but got ${epoch}`);
    if (epoch < t0) {
      this.length = t0;
      this.current = epoch;
    } else if (tMult === 1) this.current = modulo(epoch, t0);
    else {
      const runs = Math.trunc(Math.log((epoch / t0) * (tMult - 1) + 1) / Math.log(tMult));
      this.current = epoch - (t0 * (tMult ** runs - 1)) / (tMult - 1);
      this.length = t0 * tMult ** runs;
    }
  }

  protected override next(): number[] {
    const { etaMin } = this;
    const part = 1 + Math.cos((Math.PI * this.current) / this.length);
    return this.baseLrs.map((base) => etaMin + ((base - etaMin) * part) / 2);
  }
}
