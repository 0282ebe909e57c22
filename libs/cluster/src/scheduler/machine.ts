// The scheduler without I/O: events in, instructions out, time as an argument. It knows workers and hands their events to
// the jobs they concern (job-machine.ts). The shell (shell.ts) does gRPC, timers and the store. Whole-cluster failures are
// therefore plain unit tests in virtual time.
import type { TensorLiteral } from '@weft/ir';
import { InternalError } from '@weft/ir';
import type { Manifest } from '../checkpoint/manifest.ts';
import { ClusterError } from '../errors.ts';
import type { Plan } from '../plan/program.ts';
import { JobMachine } from './job-machine.ts';
import type { DeviceSlot, JobReport, JobSpec } from './job.ts';
import { isOver } from './job.ts';
import type { Answer, Command, JobCommand, ReportedProgress, WorkerDescription } from './protocol.ts';

export interface SchedulerLimits {
  readonly heartbeatMs: number;
  /** A worker that is silent for so long is given up. */
  readonly deadMs: number;
  /** A logical device that makes no progress for so long, though its worker lives, is reported. */
  readonly stuckMs: number;
  /** How long a job waits for as many devices as it wants before it takes what is there. */
  readonly rejoinMs: number;
  /** After a failure, how long further bad news is waited for before planning. */
  readonly settleMs: number;
  /** How often a job may lose workers without committing a step in between. */
  readonly restarts: number;
}

export const defaultLimits: SchedulerLimits = {
  heartbeatMs: 500,
  deadMs: 5_000,
  stuckMs: 30_000,
  rejoinMs: 10_000,
  settleMs: 300,
  restarts: 10,
};

/** Results of a step by name. */
export type Results = ReadonlyMap<string, TensorLiteral>;

export type SchedulerEvent =
  | { readonly kind: 'worker-joined'; readonly description: WorkerDescription; readonly connection: number }
  | {
      readonly kind: 'worker-left';
      readonly worker: string;
      readonly connection: number;
      readonly reason: string;
    }
  | {
      readonly kind: 'heartbeat';
      readonly worker: string;
      readonly connection: number;
      readonly progress: readonly ReportedProgress[];
    }
  | {
      readonly kind: 'answer';
      readonly worker: string;
      readonly connection: number;
      readonly command: number;
      readonly answer: Answer;
    }
  | { readonly kind: 'submit'; readonly job: JobSpec }
  | { readonly kind: 'run'; readonly job: string; readonly request: number; readonly inputs: Results }
  | { readonly kind: 'cancel'; readonly job: string }
  | { readonly kind: 'planned'; readonly job: string; readonly generation: number; readonly plan: Plan }
  | {
      readonly kind: 'plan-failed';
      readonly job: string;
      readonly generation: number;
      readonly error: string;
      readonly errorKind: string;
    }
  | {
      readonly kind: 'manifest-written';
      readonly job: string;
      readonly generation: number;
      readonly step: number;
      readonly error?: string;
    }
  | { readonly kind: 'shutdown'; readonly workers: boolean; readonly reason: string }
  | { readonly kind: 'tick' };

/** What the shell must do, in this order. Each carries the event that caused it. */
export type Instruction = { readonly cause: string } & (
  | {
      readonly kind: 'send';
      readonly worker: string;
      readonly connection: number;
      readonly id: number;
      readonly command: Command;
    }
  | {
      readonly kind: 'disconnect';
      readonly worker: string;
      readonly connection: number;
      readonly reason: string;
    }
  | {
      readonly kind: 'plan';
      readonly job: JobSpec;
      readonly generation: number;
      readonly devices: readonly DeviceSlot[];
    }
  | {
      readonly kind: 'write-manifest';
      readonly generation: number;
      readonly folder: string;
      readonly manifest: Manifest;
      readonly directory: string;
      readonly keep: number;
    }
  /** Must be in the store before anything after it is done. */
  | { readonly kind: 'persist'; readonly record: StoredRecord; readonly sync: boolean }
  | {
      readonly kind: 'report';
      readonly job: string;
      readonly number: number;
      readonly at: number;
      readonly report: JobReport;
      readonly results?: Results;
    }
  | { readonly kind: 'run-done'; readonly request: number; readonly results: Results }
  | { readonly kind: 'run-failed'; readonly request: number; readonly error: string }
);

type WithoutCause<T> = T extends unknown ? Omit<T, 'cause'> : never;
/** An instruction before its cause is known. */
export type Effect = WithoutCause<Instruction>;

/** What the store keeps of jobs; `replay` makes the jobs of it. */
export type StoredRecord =
  | { readonly type: 'job'; readonly spec: JobSpec }
  | { readonly type: 'generation'; readonly job: string; readonly generation: number }
  | { readonly type: 'step'; readonly job: string; readonly step: number }
  | { readonly type: 'checkpoint'; readonly job: string; readonly step: number; readonly folder: string }
  | {
      readonly type: 'ended';
      readonly job: string;
      readonly phase: 'done' | 'failed' | 'cancelled';
      readonly error?: string;
    };

export interface WorkerRecord {
  readonly description: WorkerDescription;
  readonly connection: number;
  lastHeard: number;
  progress: readonly ReportedProgress[];
}

/** One line of the log: what happened, when, and what led to it. */
export interface LogEntry {
  readonly id: string;
  readonly cause: string | undefined;
  readonly at: number;
  readonly text: string;
}

const logLimit = 10_000;

export class SchedulerMachine {
  readonly workers = new Map<string, WorkerRecord>();
  readonly jobs = new Map<string, JobMachine>();
  readonly log: LogEntry[] = [];
  private readonly commands = new Map<number, { job: string; device: number; cause: string }>();
  private nextEvent = 1;
  private nextCommand = 1;
  private cause = 'e0';
  private now = 0;
  private effects: Instruction[] = [];
  private leaving = false;

  /** @param directory where checkpoints of jobs without a folder of their own go. */
  constructor(
    readonly leader: number,
    readonly directory: string,
    readonly limits: SchedulerLimits = defaultLimits,
    records: readonly StoredRecord[] = [],
  ) {
    this.replay(records);
  }

  /** Takes one event; `at` (milliseconds) never decreases. Returns what is to be done about it. */
  handle(event: SchedulerEvent, at: number): Instruction[] {
    this.now = at;
    const known = event.kind === 'answer' ? this.commands.get(event.command) : undefined;
    this.cause = `e${this.nextEvent++}`;
    if (event.kind !== 'tick' && event.kind !== 'heartbeat') this.note(describeEvent(event), known?.cause);
    this.effects = [];
    this.dispatch(event);
    this.startWaiting();
    return this.effects;
  }

  /** Devices of connected workers that no job has, in order of joining. */
  freeDevices(): DeviceSlot[] {
    const taken = new Set<string>();
    for (const job of this.jobs.values())
      for (const { worker, deviceIndex } of job.placement) taken.add(`${worker}/${deviceIndex}`);
    return [...this.workers.values()].flatMap(({ description }) =>
      description.devices.flatMap((info, deviceIndex) =>
        taken.has(`${description.worker}/${deviceIndex}`)
          ? []
          : [{ worker: description.worker, deviceIndex, info }],
      ),
    );
  }

  private dispatch(event: SchedulerEvent): void {
    switch (event.kind) {
      case 'worker-joined':
        return this.join(event.description, event.connection);
      case 'worker-left':
        if (this.isCurrent(event)) this.lose(event.worker, event.reason);
        return;
      case 'heartbeat': {
        if (!this.isCurrent(event)) return;
        const worker = this.workers.get(event.worker)!;
        worker.lastHeard = this.now;
        worker.progress = event.progress;
        return;
      }
      case 'answer': {
        if (!this.isCurrent(event)) return;
        this.workers.get(event.worker)!.lastHeard = this.now;
        const command = this.commands.get(event.command);
        this.commands.delete(event.command);
        // Without an entry the command belongs to a placement that is over.
        if (command !== undefined)
          this.jobs.get(command.job)?.answered(event.command, command.device, event.answer);
        return;
      }
      case 'submit':
        return this.submit(event.job);
      case 'run': {
        const job = this.jobs.get(event.job);
        if (job?.spec.kind === 'serve' && !isOver(job.phase)) return job.request(event.request, event.inputs);
        const error =
          job === undefined
            ? `there is no job '${event.job}'`
            : `job '${event.job}' ${isOver(job.phase) ? `is ${job.phase}${job.error === undefined ? '' : `: ${job.error}`}` : 'is not one that serves'}`;
        return this.emit({ kind: 'run-failed', request: event.request, error });
      }
      case 'cancel':
        return this.jobs.get(event.job)?.cancel();
      case 'planned':
        return this.jobs.get(event.job)?.planned(event.generation, event.plan);
      case 'plan-failed':
        return this.jobs.get(event.job)?.planFailed(event.generation, event.error, event.errorKind);
      case 'manifest-written':
        return this.jobs.get(event.job)?.manifestWritten(event.generation, event.step, event.error);
      case 'shutdown':
        this.leaving = true;
        if (event.workers)
          for (const { description, connection } of this.workers.values())
            this.sendTo(description.worker, connection, { kind: 'shutdown', reason: event.reason });
        return;
      case 'tick':
        return this.tick();
      default:
        event satisfies never;
    }
  }

  private isCurrent({ worker, connection }: { worker: string; connection: number }): boolean {
    return this.workers.get(worker)?.connection === connection;
  }

  private join(description: WorkerDescription, connection: number): void {
    const old = this.workers.get(description.worker);
    if (old !== undefined) {
      this.emit({
        kind: 'disconnect',
        worker: description.worker,
        connection: old.connection,
        reason: 'the worker has connected again',
      });
      this.lose(description.worker, 'it connected again: its process was restarted or its connection broke');
    }
    this.workers.set(description.worker, { description, connection, lastHeard: this.now, progress: [] });
    this.sendTo(description.worker, connection, {
      kind: 'welcome',
      leader: this.leader,
      heartbeatMs: this.limits.heartbeatMs,
    });
  }

  private lose(worker: string, reason: string): void {
    this.workers.delete(worker);
    for (const job of this.jobs.values()) job.workerLost(worker, reason);
  }

  private submit(spec: JobSpec): void {
    if (this.jobs.has(spec.id)) return;
    this.persist({ type: 'job', spec }, true);
    this.jobs.set(spec.id, new JobMachine(spec, this.context()));
  }

  private tick(): void {
    for (const { description, connection, lastHeard } of [...this.workers.values()]) {
      if (this.now - lastHeard <= this.limits.deadMs) continue;
      const reason = `nothing was heard from it for ${((this.now - lastHeard) / 1000).toFixed(1)} s`;
      this.note(`worker ${description.worker} is given up: ${reason}`);
      this.emit({ kind: 'disconnect', worker: description.worker, connection, reason });
      this.lose(description.worker, reason);
    }
    for (const job of this.jobs.values()) job.watchProgress();
  }

  /** Jobs that wait get devices, first come first served. */
  private startWaiting(): void {
    if (this.leaving) return;
    for (const job of this.jobs.values()) if (job.phase === 'waiting') job.tryStart(this.freeDevices());
  }

  private context() {
    return {
      leader: this.leader,
      limits: this.limits,
      directory: this.directory,
      now: () => this.now,
      worker: (name: string) => this.workers.get(name),
      note: (text: string) => this.note(text),
      emit: (effect: Effect) => this.emit(effect),
      persist: (record: StoredRecord, sync: boolean) => this.persist(record, sync),
      send: (worker: string, command: JobCommand) => this.command(worker, command),
      forget: (job: string) => {
        for (const [id, command] of this.commands) if (command.job === job) this.commands.delete(id);
      },
    };
  }

  /** Sends a command about a job and remembers it until it is answered. Returns its number. */
  private command(worker: string, command: JobCommand): number {
    const record = this.workers.get(worker);
    if (record === undefined) throw new InternalError(`a command goes to worker '${worker}', which is gone`);
    const id = this.sendTo(worker, record.connection, command);
    if (command.kind !== 'release')
      this.commands.set(id, { job: command.job, device: command.device, cause: this.cause });
    return id;
  }

  private sendTo(worker: string, connection: number, command: Command): number {
    const id = this.nextCommand++;
    this.emit({ kind: 'send', worker, connection, id, command });
    return id;
  }

  private persist(record: StoredRecord, sync: boolean): void {
    this.emit({ kind: 'persist', record, sync });
  }

  private emit(effect: Effect): void {
    this.effects.push({ ...effect, cause: this.cause } as Instruction);
  }

  private note(text: string, cause?: string): void {
    this.log.push({ id: this.cause, cause, at: this.now, text });
    if (this.log.length > logLimit) this.log.splice(0, logLimit / 10);
  }

  private replay(records: readonly StoredRecord[]): void {
    for (const record of records) {
      if (record.type === 'job') {
        this.jobs.set(record.spec.id, new JobMachine(record.spec, this.context(), true));
        continue;
      }
      const job = this.jobs.get(record.job);
      if (job === undefined)
        throw new ClusterError(`the store speaks of job '${record.job}', which it has not`);
      job.replay(record);
    }
  }

  /** Fewest records that mean the same as all so far. */
  snapshot(): StoredRecord[] {
    return [...this.jobs.values()].flatMap((job) => job.records());
  }
}

function describeEvent(event: SchedulerEvent): string {
  switch (event.kind) {
    case 'worker-joined':
      return `worker ${event.description.worker} joined with ${event.description.devices.length} devices`;
    case 'worker-left':
      return `worker ${event.worker} left: ${event.reason}`;
    case 'answer':
      return `worker ${event.worker} answers command ${event.command}: ${event.answer.kind}${
        event.answer.kind === 'failed' ? ` (${event.answer.errorKind}: ${event.answer.error})` : ''
      }`;
    case 'submit':
      return `job ${event.job.id} (${event.job.name}) is submitted`;
    case 'plan-failed':
      return `job ${event.job} cannot be planned: ${event.error}`;
    default:
      return 'job' in event ? `${event.kind} of job ${event.job}` : event.kind;
  }
}
