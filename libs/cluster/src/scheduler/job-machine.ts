// One job of the scheduler: a table of phase transitions, and the commands and reports that each brings. No I/O, no time of its
// own. A placement of the job on devices is a generation; answers to an older one never reach it. A step is committed when
// every logical device has answered it, once: steps that are run again after a failure are not reported again.
import type { TensorLiteral } from '@weft/ir';
import { InternalError } from '@weft/ir';
import type { ShardFile } from '../checkpoint/manifest.ts';
import { checkpointFolder, shardWriters } from '../checkpoint/manifest.ts';
import { messageOf } from '../errors.ts';
import type { Plan } from '../plan/program.ts';
import type { Epoch } from '../transport/transport.ts';
import { admit } from './admission.ts';
import type { DeviceSlot, JobPhase, JobReport, JobSpec } from './job.ts';
import { isOver } from './job.ts';
import type { Effect, Results, SchedulerLimits, StoredRecord, WorkerRecord } from './machine.ts';
import type { Answer, JobCommand, LoadFrom } from './protocol.ts';
import { isTransient } from './protocol.ts';

/** What a job may ask of the scheduler around it. */
export interface JobContext {
  readonly leader: number;
  readonly limits: SchedulerLimits;
  readonly directory: string;
  now(): number;
  worker(name: string): WorkerRecord | undefined;
  note(text: string): void;
  emit(effect: Effect): void;
  persist(record: StoredRecord, sync: boolean): void;
  send(worker: string, command: JobCommand): number;
  /** Answers to commands of this job sent so far are not wanted any more. */
  forget(job: string): void;
}

interface Outcome {
  readonly reason: string;
  readonly errorKind: string;
}

type Transition = `${JobPhase},${JobPhase}`;
type CommandBody = JobCommand extends infer C
  ? C extends JobCommand
    ? Omit<C, 'job' | 'epoch' | 'device'>
    : never
  : never;

export class JobMachine {
  phase: JobPhase = 'waiting';
  generation = 0;
  /** Logical device k of the plan is `placement[k]`. Empty unless the job has devices. */
  placement: readonly DeviceSlot[] = [];
  plan: Plan | undefined;
  /** The last step that was committed. */
  committed = 0;
  checkpoint: { readonly step: number; readonly folder: string } | undefined;
  error: string | undefined;
  reports = 0;

  /** The step whose state the devices have, or are at. */
  private step = 0;
  private stepBegan = 0;
  private readonly pending = new Map<number, number>();
  private results = new Map<string, TensorLiteral>();
  private files: ShardFile[] = [];
  private waitingSince: number | undefined;
  private notBefore = 0;
  private restarts = 0;
  private readonly requests: { request: number; inputs: Results }[] = [];
  private readonly stalls = new Map<number, { ticks: number; since: number; reported: boolean }>();

  constructor(
    readonly spec: JobSpec,
    private readonly context: JobContext,
    replayed = false,
  ) {
    if (!replayed) this.report({ kind: 'phase', phase: 'waiting' });
  }

  get epoch(): Epoch {
    return { leader: this.context.leader, generation: this.generation };
  }
  get steps(): number {
    return this.spec.steps ?? 0;
  }
  get checkpointDirectory(): string {
    return this.spec.checkpoint?.directory ?? `${this.context.directory}/${this.spec.id}`;
  }
  get workers(): string[] {
    return [...new Set(this.placement.map(({ worker }) => worker))];
  }

  // ---- events ---------------------------------------------------------------------------------------------------

  /** Takes devices when there are enough, or when it has waited long enough for more. */
  tryStart(free: readonly DeviceSlot[]): void {
    const { minimum = 1, wanted } = this.spec.devices ?? {};
    const { limits } = this.context;
    const now = this.context.now();
    this.waitingSince ??= now;
    if (free.length < minimum || free.length === 0 || now < this.notBefore) return;
    if (wanted !== undefined && free.length < wanted && now - this.waitingSince < limits.rejoinMs) return;
    this.placement = free.slice(0, wanted ?? free.length);
    this.to('planning');
  }

  planned(generation: number, plan: Plan): void {
    if (this.phase !== 'planning' || generation !== this.generation) return;
    try {
      admit(plan, this.placement);
    } catch (error) {
      return this.fail({ reason: messageOf(error), errorKind: (error as Error).name });
    }
    this.plan = plan;
    this.placement = this.placement.slice(0, plan.programs.length);
    this.to('registering');
  }

  planFailed(generation: number, error: string, errorKind: string): void {
    if (this.phase !== 'planning' || generation !== this.generation) return;
    this.fail({ reason: error, errorKind });
  }

  answered(command: number, device: number, answer: Answer): void {
    if (this.pending.get(device) !== command) return;
    this.pending.delete(device);
    switch (answer.kind) {
      case 'failed': {
        const worker = this.placement[device]?.worker;
        if (!isTransient(answer.errorKind))
          return this.fail({ reason: `${worker}: ${answer.error}`, errorKind: answer.errorKind });
        return this.recover(`${worker} could not go on: ${answer.error}`);
      }
      case 'step-done':
        for (const [name, value] of answer.results) this.results.set(name, value);
        break;
      case 'checkpoint-done':
        if (answer.file !== undefined) this.files.push(answer.file);
        break;
      case 'registered':
      case 'loaded':
      case 'released':
        break;
      default:
        answer satisfies never;
    }
    if (this.pending.size === 0) this.allAnswered();
  }

  manifestWritten(generation: number, step: number, error: string | undefined): void {
    if (this.phase !== 'checkpointing' || generation !== this.generation || step !== this.step) return;
    if (error !== undefined) return this.fail({ reason: error, errorKind: 'CorruptFileError' });
    const folder = checkpointFolder(this.checkpointDirectory, step);
    this.checkpoint = { step, folder };
    this.context.persist({ type: 'checkpoint', job: this.spec.id, step, folder }, true);
    this.report({ kind: 'checkpoint', step, folder });
    this.to(this.step >= this.steps ? 'done' : 'stepping');
  }

  workerLost(worker: string, reason: string): void {
    if (!this.workers.includes(worker)) return;
    this.report({ kind: 'worker-lost', worker, reason });
    this.recover(`worker ${worker} is lost: ${reason}`);
  }

  request(request: number, inputs: Results): void {
    this.requests.push({ request, inputs });
    if (this.phase === 'ready') this.to('running');
  }

  cancel(): void {
    if (!isOver(this.phase)) this.to('cancelled');
  }

  /** Finds logical devices that have not moved for long, and who they wait for. */
  watchProgress(): void {
    if (this.phase !== 'stepping' && this.phase !== 'running') return this.stalls.clear();
    const now = this.context.now();
    for (const [device, { worker }] of this.placement.entries()) {
      if (!this.pending.has(device)) {
        this.stalls.delete(device);
        continue;
      }
      const progress = this.progressOf(device);
      if (progress === undefined) continue;
      const stall = this.stalls.get(device);
      if (stall === undefined || stall.ticks !== progress.ticks) {
        this.stalls.set(device, { ticks: progress.ticks, since: now, reported: false });
        continue;
      }
      if (stall.reported || now - stall.since < this.context.limits.stuckMs) continue;
      stall.reported = true;
      const peer = progress.waitingFor;
      const peerProgress = peer === undefined ? undefined : this.progressOf(peer);
      this.report({
        kind: 'stuck',
        worker,
        device,
        step: progress.step,
        doing: progress.doing,
        seconds: (now - stall.since) / 1000,
        ...(peer === undefined
          ? {}
          : {
              waitingFor: {
                device: peer,
                worker: this.placement[peer]?.worker ?? '?',
                doing:
                  peerProgress === undefined ? 'unknown' : `step ${peerProgress.step}: ${peerProgress.doing}`,
              },
            }),
      });
    }
  }

  private progressOf(device: number) {
    return this.context
      .worker(this.placement[device]?.worker ?? '')
      ?.progress.find((one) => one.job === this.spec.id && one.device === device);
  }

  // ---- transitions ----------------------------------------------------------------------------------------------

  private allAnswered(): void {
    switch (this.phase) {
      case 'registering':
        return this.to('loading');
      case 'loading':
        if (this.spec.kind === 'serve') return this.to('ready');
        return this.step >= this.steps
          ? this.to(this.checkpoint === undefined ? 'checkpointing' : 'done')
          : this.to('stepping');
      case 'stepping': {
        this.commit();
        const { every = Infinity } = this.spec.checkpoint ?? {};
        const due = this.step >= this.steps || this.step % every === 0;
        return this.to(due ? 'checkpointing' : 'stepping');
      }
      case 'checkpointing':
        return this.writeManifest();
      case 'running': {
        this.restarts = 0;
        const done = this.requests.shift();
        if (done !== undefined)
          this.context.emit({ kind: 'run-done', request: done.request, results: new Map(this.results) });
        return this.to(this.requests.length > 0 ? 'running' : 'ready');
      }
      default:
        throw new InternalError(`job ${this.spec.id} has answers while it is ${this.phase}`);
    }
  }

  private to(next: JobPhase, outcome?: Outcome): void {
    const transition: Transition = `${this.phase},${next}`;
    const enter = this.transitions[transition];
    if (enter === undefined) throw new InternalError(`a job cannot go from ${this.phase} to ${next}`);
    const changed = this.phase !== next;
    this.phase = next;
    if (changed) this.context.note(`job ${this.spec.id}: ${transition.replace(',', ' → ')}`);
    if (changed && next !== 'checkpointing' && next !== 'stepping' && next !== 'running' && next !== 'ready')
      this.report({
        kind: 'phase',
        phase: next,
        ...(outcome === undefined ? {} : { reason: outcome.reason }),
      });
    else if (changed && next === 'ready' && this.requests.length === 0 && transition === 'loading,ready')
      this.report({ kind: 'phase', phase: next });
    enter(outcome);
  }

  private readonly transitions: Partial<Record<Transition, (outcome?: Outcome) => void>> = {
    'waiting,planning': () => this.startPlanning(),
    'planning,registering': () => this.register(),
    'registering,loading': () => this.load(),
    'loading,stepping': () => this.runStep(),
    'loading,checkpointing': () => this.startCheckpoint(),
    'loading,done': () => this.finish(),
    'loading,ready': () => this.serveNext(),
    'stepping,stepping': () => this.runStep(),
    'stepping,checkpointing': () => this.startCheckpoint(),
    'checkpointing,stepping': () => this.runStep(),
    'checkpointing,done': () => this.finish(),
    'ready,running': () => this.runRequest(),
    'running,running': () => this.runRequest(),
    'running,ready': () => {},
    'planning,waiting': () => this.giveUpPlacement(),
    'registering,waiting': () => this.giveUpPlacement(),
    'loading,waiting': () => this.giveUpPlacement(),
    'stepping,waiting': () => this.giveUpPlacement(),
    'checkpointing,waiting': () => this.giveUpPlacement(),
    'ready,waiting': () => this.giveUpPlacement(),
    'running,waiting': () => this.giveUpPlacement(),
    'waiting,failed': (outcome) => this.end(outcome),
    'planning,failed': (outcome) => this.end(outcome),
    'registering,failed': (outcome) => this.end(outcome),
    'loading,failed': (outcome) => this.end(outcome),
    'stepping,failed': (outcome) => this.end(outcome),
    'checkpointing,failed': (outcome) => this.end(outcome),
    'ready,failed': (outcome) => this.end(outcome),
    'running,failed': (outcome) => this.end(outcome),
    'waiting,cancelled': () => this.end(),
    'planning,cancelled': () => this.end(),
    'registering,cancelled': () => this.end(),
    'loading,cancelled': () => this.end(),
    'stepping,cancelled': () => this.end(),
    'checkpointing,cancelled': () => this.end(),
    'ready,cancelled': () => this.end(),
    'running,cancelled': () => this.end(),
  };

  private startPlanning(): void {
    this.generation++;
    this.context.persist({ type: 'generation', job: this.spec.id, generation: this.generation }, true);
    this.context.emit({ kind: 'plan', job: this.spec, generation: this.generation, devices: this.placement });
  }

  private register(): void {
    const peers = this.placement.map(({ worker }, device) => ({
      device,
      worker,
      bulkAddress: this.context.worker(worker)!.description.bulkAddress,
    }));
    this.step = this.checkpoint?.step ?? 0;
    this.report({
      kind: 'placed',
      generation: this.generation,
      mesh: this.plan!.mesh,
      devices: peers.map(({ device, worker }) => ({ device, worker })),
      fromStep: this.step,
    });
    this.sendAll((device) => ({
      kind: 'register',
      deviceIndex: this.placement[device].deviceIndex,
      program: this.plan!.programs[device],
      peers,
      checkFinite: this.spec.checkFinite ?? true,
      ...(this.spec.source === undefined ? {} : { source: this.spec.source }),
    }));
  }

  private load(): void {
    const from: LoadFrom =
      this.checkpoint === undefined
        ? { kind: 'blob', hash: this.spec.state.blob, zeros: this.spec.state.zeros ?? [] }
        : { kind: 'checkpoint', folder: this.checkpoint.folder };
    this.sendAll(() => ({ kind: 'load', from }));
  }

  private runStep(): void {
    this.step++;
    this.stepBegan = this.context.now();
    this.results = new Map();
    this.sendAll(() => ({ kind: 'run-step', step: this.step }));
  }

  private commit(): void {
    if (this.step <= this.committed) return;
    this.committed = this.step;
    this.restarts = 0;
    this.context.persist({ type: 'step', job: this.spec.id, step: this.step }, false);
    const milliseconds = this.context.now() - this.stepBegan;
    this.report({ kind: 'step', step: this.step, milliseconds }, new Map(this.results));
  }

  private startCheckpoint(): void {
    this.files = [];
    const writers = shardWriters(this.plan!);
    const folder = checkpointFolder(this.checkpointDirectory, this.step);
    this.sendAll((device) => ({
      kind: 'checkpoint',
      step: this.step,
      folder,
      slots: writers.get(device) ?? [],
    }));
  }

  private writeManifest(): void {
    this.context.emit({
      kind: 'write-manifest',
      generation: this.generation,
      folder: checkpointFolder(this.checkpointDirectory, this.step),
      directory: this.checkpointDirectory,
      keep: this.spec.checkpoint?.keep ?? 2,
      manifest: { version: 1, job: this.spec.id, step: this.step, epoch: this.epoch, files: this.files },
    });
  }

  private serveNext(): void {
    if (this.requests.length > 0) this.to('running');
  }

  private runRequest(): void {
    this.results = new Map();
    this.step++;
    this.sendAll(() => ({ kind: 'run-step', step: this.step, inputs: this.requests[0].inputs }));
  }

  private recover(reason: string): void {
    if (isOver(this.phase) || this.phase === 'waiting') return;
    const { limits } = this.context;
    if (++this.restarts > limits.restarts)
      return this.fail({
        reason: `it was started ${this.restarts} times without completing a step; the last time: ${reason}`,
        errorKind: 'ClusterError',
      });
    this.to('waiting', { reason, errorKind: '' });
  }

  private giveUpPlacement(): void {
    this.release();
    this.waitingSince = undefined;
    this.notBefore = this.context.now() + this.context.limits.settleMs;
  }

  /** Frees the devices of workers that are still there; what they answer to older commands is not wanted. */
  private release(): void {
    this.context.forget(this.spec.id);
    this.pending.clear();
    this.stalls.clear();
    if (this.plan !== undefined)
      this.placement.forEach(({ worker }, device) => {
        if (this.context.worker(worker) !== undefined)
          this.context.send(worker, { kind: 'release', job: this.spec.id, epoch: this.epoch, device });
      });
    this.placement = [];
    this.plan = undefined;
  }

  private fail(outcome: Outcome): void {
    if (!isOver(this.phase)) this.to('failed', outcome);
  }

  private finish(): void {
    this.end();
  }

  private end(outcome?: Outcome): void {
    this.release();
    const phase = this.phase as 'done' | 'failed' | 'cancelled';
    this.error = outcome?.reason;
    this.context.persist(
      {
        type: 'ended',
        job: this.spec.id,
        phase,
        ...(outcome === undefined ? {} : { error: outcome.reason }),
      },
      true,
    );
    if (phase === 'done')
      this.report({
        kind: 'done',
        step: this.step,
        ...(this.checkpoint === undefined ? {} : { checkpoint: this.checkpoint.folder }),
      });
    else if (phase === 'failed')
      this.report({ kind: 'failed', error: outcome!.reason, errorKind: outcome!.errorKind });
    else this.report({ kind: 'cancelled' });
    for (const { request } of this.requests.splice(0))
      this.context.emit({
        kind: 'run-failed',
        request,
        error: `job '${this.spec.id}' is ${phase}${outcome === undefined ? '' : `: ${outcome.reason}`}`,
      });
  }

  /** Sends every logical device its command; the phase ends when all have answered. */
  private sendAll(body: (device: number) => CommandBody): void {
    this.placement.forEach(({ worker }, device) => {
      const command = { ...body(device), job: this.spec.id, epoch: this.epoch, device } as JobCommand;
      this.pending.set(device, this.context.send(worker, command));
    });
  }

  private report(report: JobReport, results?: Results): void {
    this.context.emit({
      kind: 'report',
      job: this.spec.id,
      number: ++this.reports,
      at: this.context.now(),
      report,
      ...(results === undefined ? {} : { results }),
    });
  }

  // ---- the store ------------------------------------------------------------------------------------------------

  replay(record: Exclude<StoredRecord, { type: 'job' }>): void {
    switch (record.type) {
      case 'generation':
        this.generation = record.generation;
        return;
      case 'step':
        this.committed = Math.max(this.committed, record.step);
        return;
      case 'checkpoint':
        this.checkpoint = { step: record.step, folder: record.folder };
        return;
      case 'ended':
        this.phase = record.phase;
        this.error = record.error;
        return;
      default:
        record satisfies never;
    }
  }

  records(): StoredRecord[] {
    const job = this.spec.id;
    return [
      { type: 'job', spec: this.spec },
      { type: 'generation', job, generation: this.generation },
      { type: 'step', job, step: this.committed },
      ...(this.checkpoint === undefined ? [] : [{ type: 'checkpoint', job, ...this.checkpoint } as const]),
      ...(isOver(this.phase)
        ? [
            {
              type: 'ended',
              job,
              phase: this.phase as 'done' | 'failed' | 'cancelled',
              ...(this.error === undefined ? {} : { error: this.error }),
            } as const,
          ]
        : []),
    ];
  }
}
