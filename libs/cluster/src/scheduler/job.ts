// A job as its client describes it, and what the client is told about it. Both are plain data: they travel as JSON and stand
// in the store.
import type { Plan } from '../plan/program.ts';
import type { BatchSource } from '../batch/source.ts';

export interface JobSpec {
  /** Unique; chosen by the client, so that a repeated submission is one job. */
  readonly id: string;
  readonly name: string;
  /** Training runs its steps and ends; serving keeps the plan loaded and runs it when asked. */
  readonly kind: 'train' | 'serve';
  /** What the planner makes the plan of. The cluster does not look into it. */
  readonly model: unknown;
  /** Initial values: a safetensors blob of whole values (by its hash); `zeros` names those that begin as zeros. */
  readonly state: { readonly blob: string; readonly zeros?: readonly string[] };
  /** Devices to plan for: starts with `wanted`, or with at least `minimum` when no more come in time. Default: 1, all free. */
  readonly devices?: { readonly minimum?: number; readonly wanted?: number };
  /** Training: the number of the last step, and where batches come from. */
  readonly steps?: number;
  readonly source?: BatchSource;
  readonly checkpoint?: {
    /** A folder that the scheduler and all workers share. Default: one in the scheduler's store. */
    readonly directory?: string;
    /** Steps between two. Default: only at the end. */
    readonly every?: number;
    /** How many are kept. Default 2. */
    readonly keep?: number;
  };
  /** Whether a result that is not finite fails the job. Default true. */
  readonly checkFinite?: boolean;
}

/**
 * waiting for devices → planning → registering → loading → stepping ⇄ checkpointing → done; serving: loading → ready ⇄
 * running. Trouble with workers leads back to waiting, other trouble to failed.
 */
export type JobPhase =
  | 'waiting'
  | 'planning'
  | 'registering'
  | 'loading'
  | 'stepping'
  | 'checkpointing'
  | 'ready'
  | 'running'
  | 'done'
  | 'failed'
  | 'cancelled';

export const isOver = (phase: JobPhase): boolean =>
  phase === 'done' || phase === 'failed' || phase === 'cancelled';

/** A device that a plan may use. */
export interface DeviceSlot {
  readonly worker: string;
  /** Which of the worker's devices. */
  readonly deviceIndex: number;
  readonly info: DeviceSummary;
}

export interface DeviceSummary {
  readonly type: string;
  readonly index: number;
  readonly name: string;
  readonly memory: number;
  readonly flops: number;
  readonly bandwidth: number;
  readonly dtypes: readonly string[];
}

/**
 * Makes a plan for at most `devices.length` logical devices: device k of the plan runs on `devices[k]`. Called again, for the
 * devices that are there then, after a failure.
 */
export type Planner = (job: JobSpec, devices: readonly DeviceSlot[]) => Plan | Promise<Plan>;

/** What watchers of a job are told. */
export type JobReport =
  | { readonly kind: 'phase'; readonly phase: JobPhase; readonly reason?: string }
  | {
      readonly kind: 'placed';
      readonly generation: number;
      readonly mesh: Readonly<Record<string, number>>;
      readonly devices: readonly { readonly device: number; readonly worker: string }[];
      /** The step whose state is loaded: 0 is the initial state. */
      readonly fromStep: number;
    }
  /** A step was committed: everywhere, once. */
  | { readonly kind: 'step'; readonly step: number; readonly milliseconds: number }
  | { readonly kind: 'checkpoint'; readonly step: number; readonly folder: string }
  | { readonly kind: 'worker-lost'; readonly worker: string; readonly reason: string }
  | {
      readonly kind: 'stuck';
      readonly worker: string;
      readonly device: number;
      readonly step: number;
      readonly doing: string;
      readonly waitingFor?: { readonly device: number; readonly worker: string; readonly doing: string };
      readonly seconds: number;
    }
  | { readonly kind: 'done'; readonly step: number; readonly checkpoint?: string }
  | { readonly kind: 'failed'; readonly error: string; readonly errorKind: string }
  | { readonly kind: 'cancelled' };
