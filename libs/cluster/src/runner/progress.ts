// What a runner is doing right now, in a few shared integers: its thread writes them, the worker's main thread reads them
// for every heartbeat, also while the thread is inside a native call. Stuck is told from dead by these.
import type { Program } from '../plan/program.ts';
import { summarizeAction } from './liveness.ts';

const fields = { step: 0, action: 1, waitingFor: 2, ticks: 3 } as const;
const length = Object.keys(fields).length;
const nobody = -1;

/** A snapshot of the counters, in words. */
export interface Progress {
  readonly device: number;
  readonly step: number;
  /** Index of the action under way; the number of actions when the step is over; -1 before the first. */
  readonly action: number;
  readonly doing: string;
  /** The logical device whose value is being pulled, if any. */
  readonly waitingFor?: number;
  /** Grows with everything that happens; two equal readings mean that nothing did. */
  readonly ticks: number;
}

export class ProgressCounters {
  constructor(readonly shared: Int32Array = new Int32Array(new SharedArrayBuffer(length * 4)).fill(-1)) {}

  begin(step: number, action: number): void {
    Atomics.store(this.shared, fields.step, step);
    Atomics.store(this.shared, fields.action, action);
    this.tick();
  }

  waitFor(device: number | undefined): void {
    Atomics.store(this.shared, fields.waitingFor, device ?? nobody);
    this.tick();
  }

  private tick(): void {
    Atomics.add(this.shared, fields.ticks, 1);
  }

  read(program: Program): Progress {
    const [step, action, waitingFor, ticks] = Array.from(this.shared.keys(), (at) =>
      Atomics.load(this.shared, at),
    );
    const current = program.actions[action];
    const doing =
      current !== undefined
        ? summarizeAction(current)
        : action < 0
          ? 'waiting for the first step'
          : 'between steps';
    return {
      device: program.device,
      step,
      action,
      doing,
      ticks,
      ...(waitingFor === nobody ? {} : { waitingFor }),
    };
  }
}
