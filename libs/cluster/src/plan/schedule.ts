// Pipeline schedules as data: for each stage, the order of forward and backward runs of the micro-batches. Communication is
// added when programs are assembled (training.ts); here is compute only.
import { PlanError } from './mesh.ts';

export type ScheduleName = 'gpipe' | '1f1b';

export interface ScheduleStep {
  readonly phase: 'forward' | 'backward';
  readonly microBatch: number;
}

/** One list of steps a stage. */
export type Schedule = readonly (readonly ScheduleStep[])[];

/**
 * GPipe (Huang et al., 2019): all forwards, then all backwards in reverse. 1F1B (PipeDream-Flush, Narayanan et al., 2021):
 * after a warm-up of as many forwards as stages follow, one forward and one backward in turn, so that a stage keeps
 * the activations of at most `stages - stage` micro-batches.
 */
export function makeSchedule(name: ScheduleName, stages: number, microBatches: number): Schedule {
  return Array.from({ length: stages }, (_, stage) => schedules[name](stage, stages, microBatches));
}

const schedules: Readonly<
  Record<ScheduleName, (stage: number, stages: number, microBatches: number) => ScheduleStep[]>
> = {
  gpipe: (_stage, _stages, microBatches) => [
    ...count(microBatches).map(forward),
    ...count(microBatches).reverse().map(backward),
  ],
  '1f1b': (stage, stages, microBatches) => {
    const warmUp = Math.min(stages - stage - 1, microBatches);
    const steps = count(warmUp).map(forward);
    for (let next = 0; next < microBatches; next++) {
      if (warmUp + next < microBatches) steps.push(forward(warmUp + next));
      steps.push(backward(next));
    }
    return steps;
  },
};

export function scheduleNamed(text: string): ScheduleName {
  if (!Object.hasOwn(schedules, text)) {
    throw new PlanError(`there is no schedule '${text}'; known: ${Object.keys(schedules).join(', ')}`);
  }
  return text as ScheduleName;
}

/** Most micro-batches whose forward ran and whose backward has not, at any time of the stage. */
export function activationsInFlight(steps: readonly ScheduleStep[]): number {
  let current = 0;
  let most = 0;
  for (const { phase } of steps) {
    current += phase === 'forward' ? 1 : -1;
    most = Math.max(most, current);
  }
  return most;
}

/**
 * The schedule as a grid, one row a stage and one column a unit of time (a forward or backward run each takes one), with
 * the idle time that waiting for neighbours gives: `F0 F1 .  B0`.
 */
export function printSchedule(schedule: Schedule): string {
  const times = timeSteps(schedule);
  const end = Math.max(0, ...times.flat()) + 1;
  return schedule
    .map((steps, stage) => {
      const cells = Array.from({ length: end }, () => '.');
      steps.forEach(
        (step, index) =>
          (cells[times[stage][index]] = `${step.phase === 'forward' ? 'F' : 'B'}${step.microBatch}`),
      );
      const width = Math.max(...cells.map((cell) => cell.length));
      return `stage ${stage} | ${cells.map((cell) => cell.padEnd(width)).join(' ')}`.trimEnd();
    })
    .join('\n');
}

/** When each step can run, in units; throws PlanError when steps wait for each other in a circle. */
function timeSteps(schedule: Schedule): number[][] {
  const done = new Map<string, number>();
  const times = schedule.map((): number[] => []);
  const total = schedule.reduce((sum, steps) => sum + steps.length, 0);
  const free = schedule.map(() => 0);
  for (let placed = 0; placed < total;) {
    const before = placed;
    schedule.forEach((steps, stage) => {
      while (times[stage].length < steps.length) {
        const step = steps[times[stage].length];
        const needs = dependencies(step, stage, schedule.length);
        if (!needs.every((key) => done.has(key))) return;
        const time = Math.max(free[stage], ...needs.map((key) => done.get(key)! + 1));
        times[stage].push(time);
        free[stage] = time + 1;
        done.set(stepKey(step.phase, step.microBatch, stage), time);
        placed++;
      }
    });
    if (placed === before)
      throw new PlanError('the schedule deadlocks: every stage waits for a step of another');
  }
  return times;
}

function dependencies({ phase, microBatch }: ScheduleStep, stage: number, stages: number): string[] {
  if (phase === 'forward') return stage === 0 ? [] : [stepKey('forward', microBatch, stage - 1)];
  const own = stepKey('forward', microBatch, stage);
  return stage === stages - 1 ? [own] : [own, stepKey('backward', microBatch, stage + 1)];
}

const stepKey = (phase: string, microBatch: number, stage: number): string =>
  `${phase} ${microBatch} ${stage}`;
const count = (length: number): number[] => Array.from({ length }, (_, index) => index);
const forward = (microBatch: number): ScheduleStep => ({ phase: 'forward', microBatch });
const backward = (microBatch: number): ScheduleStep => ({ phase: 'backward', microBatch });
