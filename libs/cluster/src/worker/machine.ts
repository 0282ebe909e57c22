// The worker without I/O: commands of the scheduler and events of its sessions in, instructions out. A session is one logical
// device of one job at one epoch; it lives in a thread of the pool (session.ts). Fencing is here: a command whose epoch is
// over is refused, a newer one ends what the older began. When the scheduler is gone every session ends, since only a scheduler can
// go on; when it stays away, the worker goes too, so that no process is left behind.
import { InternalError } from '@weft/ir';
import type { Answer, Command, JobCommand } from '../scheduler/protocol.ts';
import type { Epoch } from '../transport/transport.ts';
import { compareEpochs, epochToString } from '../transport/transport.ts';

export interface WorkerLimits {
  /** How long the worker lives without its scheduler. */
  readonly orphanMs: number;
  /** How long a session may take to give up; a thread stuck in a native call never does, then the process goes. */
  readonly cancelMs: number;
}

export const defaultWorkerLimits: WorkerLimits = { orphanMs: 30_000, cancelMs: 10_000 };

export type SessionPhase =
  'registering' | 'registered' | 'loading' | 'ready' | 'stepping' | 'checkpointing' | 'releasing';

export type WorkerEvent =
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected'; readonly reason: string }
  | { readonly kind: 'command'; readonly id: number; readonly command: Command; readonly cause: string }
  /** A session has done what it was told, or failed at it. */
  | { readonly kind: 'session'; readonly session: number; readonly answer: Answer }
  /** A session's thread is free again. */
  | { readonly kind: 'session-ended'; readonly session: number }
  | { readonly kind: 'stop'; readonly reason: string }
  | { readonly kind: 'tick' };

export type WorkerInstruction = { readonly cause: string } & (
  | { readonly kind: 'answer'; readonly command: number; readonly answer: Answer }
  | {
      readonly kind: 'start';
      readonly session: number;
      readonly command: Extract<JobCommand, { kind: 'register' }>;
    }
  | { readonly kind: 'tell'; readonly session: number; readonly command: JobCommand }
  /** End the session: cancel its transfers, let it stop at the next action. */
  | { readonly kind: 'end'; readonly session: number; readonly reason: string }
  | { readonly kind: 'heartbeat-every'; readonly milliseconds: number }
  | { readonly kind: 'exit'; readonly reason: string; readonly failed: boolean }
);

interface Session {
  readonly id: number;
  readonly job: string;
  readonly epoch: Epoch;
  readonly device: number;
  readonly deviceIndex: number;
  phase: SessionPhase;
  /** The command under way, to be answered. */
  command: number | undefined;
  endingSince: number;
}

export interface WorkerLogEntry {
  readonly id: string;
  readonly cause: string | undefined;
  readonly at: number;
  readonly text: string;
}

type Transition = `${SessionPhase},${SessionPhase}`;
/** Every way a session may go, and what it answers when it gets there. */
const transitions: ReadonlySet<Transition> = new Set<Transition>([
  'registering,registered',
  'registered,loading',
  'loading,ready',
  'ready,loading',
  'ready,stepping',
  'stepping,ready',
  'ready,checkpointing',
  'checkpointing,ready',
  'registering,releasing',
  'registered,releasing',
  'loading,releasing',
  'ready,releasing',
  'stepping,releasing',
  'checkpointing,releasing',
]);

/** Which phase a command begins, and which its success leads to. */
const begins = { load: 'loading', 'run-step': 'stepping', checkpoint: 'checkpointing' } as const;
const finishes: Partial<Record<Answer['kind'], SessionPhase>> = {
  registered: 'registered',
  loaded: 'ready',
  'step-done': 'ready',
  'checkpoint-done': 'ready',
};

const logLimit = 2_000;

export class WorkerMachine {
  readonly sessions = new Map<number, Session>();
  readonly log: WorkerLogEntry[] = [];
  private readonly newest = new Map<string, Epoch>();
  private leader = 0;
  private nextSession = 1;
  private nextEvent = 1;
  private lastConnected: number | undefined;
  private isConnected = false;
  private stopping: { reason: string; failed: boolean } | undefined;
  private cause = 'w0';
  private now = 0;
  private instructions: WorkerInstruction[] = [];

  constructor(
    readonly scheduler: string,
    readonly limits: WorkerLimits = defaultWorkerLimits,
  ) {}

  handle(event: WorkerEvent, at: number): WorkerInstruction[] {
    this.now = at;
    this.lastConnected ??= at;
    this.cause = `w${this.nextEvent++}`;
    this.instructions = [];
    if (event.kind !== 'tick') this.note(describe(event), event.kind === 'command' ? event.cause : undefined);
    this.dispatch(event);
    if (this.stopping !== undefined && this.sessions.size === 0)
      this.push({ kind: 'exit', ...this.stopping });
    return this.instructions;
  }

  private dispatch(event: WorkerEvent): void {
    switch (event.kind) {
      case 'connected':
        this.isConnected = true;
        return;
      case 'disconnected':
        if (this.isConnected) this.lastConnected = this.now;
        this.isConnected = false;
        return this.endAll(`the scheduler is gone: ${event.reason}`);
      case 'command':
        return this.command(event.id, event.command);
      case 'session':
        return this.sessionAnswered(event.session, event.answer);
      case 'session-ended':
        return this.sessionEnded(event.session);
      case 'stop':
        return this.stop(event.reason, false);
      case 'tick':
        return this.tick();
      default:
        event satisfies never;
    }
  }

  private command(id: number, command: Command): void {
    switch (command.kind) {
      case 'welcome':
        if (command.leader < this.leader)
          return this.stop(
            `the scheduler at ${this.scheduler} is number ${command.leader}; this worker has served number ${this.leader}`,
            true,
          );
        this.leader = command.leader;
        return this.push({ kind: 'heartbeat-every', milliseconds: command.heartbeatMs });
      case 'shutdown':
        return this.stop(command.reason, false);
      default:
        return this.jobCommand(id, command);
    }
  }

  private jobCommand(id: number, command: JobCommand): void {
    const { job, epoch, device } = command;
    const newest = this.newest.get(job);
    const stale = epoch.leader < this.leader || (newest !== undefined && compareEpochs(epoch, newest) < 0);
    if (stale)
      return this.refuse(
        id,
        'StaleEpochError',
        `${command.kind} of job '${job}' is of epoch ${epochToString(epoch)}, which is over (newest: ${
          newest === undefined ? `leader ${this.leader}` : epochToString(newest)
        })`,
      );
    if (command.kind === 'register') return this.register(id, command);
    const session = [...this.sessions.values()].find(
      (one) => one.job === job && one.device === device && compareEpochs(one.epoch, epoch) === 0,
    );
    if (command.kind === 'release') {
      if (session === undefined)
        return this.push({ kind: 'answer', command: id, answer: { kind: 'released' } });
      if (session.phase !== 'releasing') this.end(session, 'the scheduler releases it');
      session.command = id;
      return;
    }
    if (session === undefined || session.phase === 'releasing')
      return this.refuse(
        id,
        'StaleEpochError',
        `device ${device} of job '${job}' is not registered here at epoch ${epochToString(epoch)}`,
      );
    const next = begins[command.kind];
    if (!this.may(session, next))
      return this.refuse(
        id,
        'InternalError',
        `device ${device} of job '${job}' is ${session.phase} when told to ${command.kind}`,
      );
    this.to(session, next);
    session.command = id;
    this.push({ kind: 'tell', session: session.id, command });
  }

  private register(id: number, command: Extract<JobCommand, { kind: 'register' }>): void {
    const { job, epoch, device, deviceIndex } = command;
    for (const session of this.sessions.values()) {
      if (session.phase === 'releasing') continue;
      const older = session.job === job && compareEpochs(session.epoch, epoch) < 0;
      if (older) this.end(session, `epoch ${epochToString(epoch)} of job '${job}' has begun`);
      else if (session.deviceIndex === deviceIndex)
        return this.refuse(
          id,
          'InternalError',
          `device number ${deviceIndex} of this worker runs job '${session.job}' when job '${job}' comes`,
        );
    }
    this.newest.set(job, epoch);
    const session: Session = {
      id: this.nextSession++,
      job,
      epoch,
      device,
      deviceIndex,
      phase: 'registering',
      command: id,
      endingSince: 0,
    };
    this.sessions.set(session.id, session);
    this.push({ kind: 'start', session: session.id, command });
  }

  private sessionAnswered(id: number, answer: Answer): void {
    const session = this.sessions.get(id);
    // What a session says while it is being ended is of no use to anybody.
    if (session === undefined || session.phase === 'releasing') return;
    const { command } = session;
    session.command = undefined;
    if (answer.kind === 'failed') {
      this.end(session, answer.error);
    } else {
      const next = finishes[answer.kind];
      if (next === undefined || !this.may(session, next))
        throw new InternalError(`a session that is ${session.phase} answers ${answer.kind}`);
      this.to(session, next);
    }
    if (command !== undefined) this.push({ kind: 'answer', command, answer });
  }

  private sessionEnded(id: number): void {
    const session = this.sessions.get(id);
    if (session === undefined) return;
    this.sessions.delete(id);
    if (session.command === undefined) return;
    const answer: Answer =
      session.phase === 'releasing'
        ? { kind: 'released' }
        : {
            kind: 'failed',
            errorKind: 'ClusterError',
            error: `the thread of device ${session.device} ended`,
          };
    this.push({ kind: 'answer', command: session.command, answer });
  }

  private tick(): void {
    for (const session of this.sessions.values()) {
      if (session.phase !== 'releasing' || this.now - session.endingSince < this.limits.cancelMs) continue;
      return this.push({
        kind: 'exit',
        failed: true,
        reason: `device ${session.device} of job '${session.job}' did not stop within ${this.limits.cancelMs / 1000} s`,
      });
    }
    if (this.isConnected || this.stopping !== undefined) return;
    const away = this.now - (this.lastConnected ?? this.now);
    if (away >= this.limits.orphanMs)
      this.stop(
        `cannot reach the scheduler at ${this.scheduler}: tried for ${(away / 1000).toFixed(0)} s; ` +
          `check the address and that 'weft scheduler' runs there`,
        true,
      );
  }

  private stop(reason: string, failed: boolean): void {
    this.stopping ??= { reason, failed };
    this.endAll(reason);
  }

  private endAll(reason: string): void {
    for (const session of this.sessions.values()) {
      session.command = undefined;
      if (session.phase !== 'releasing') this.end(session, reason);
    }
  }

  private end(session: Session, reason: string): void {
    this.to(session, 'releasing');
    session.command = undefined;
    session.endingSince = this.now;
    this.push({ kind: 'end', session: session.id, reason });
  }

  private may(session: Session, next: SessionPhase): boolean {
    return transitions.has(`${session.phase},${next}`);
  }

  private to(session: Session, next: SessionPhase): void {
    if (!this.may(session, next))
      throw new InternalError(`a session cannot go from ${session.phase} to ${next}`);
    this.note(`session ${session.id} (${session.job} device ${session.device}): ${session.phase} → ${next}`);
    session.phase = next;
  }

  private refuse(command: number, errorKind: string, error: string): void {
    this.push({ kind: 'answer', command, answer: { kind: 'failed', errorKind, error } });
  }

  private push(
    instruction: WorkerInstruction extends infer I ? (I extends unknown ? Omit<I, 'cause'> : never) : never,
  ): void {
    this.instructions.push({ ...instruction, cause: this.cause } as WorkerInstruction);
  }

  private note(text: string, cause?: string): void {
    this.log.push({ id: this.cause, cause, at: this.now, text });
    if (this.log.length > logLimit) this.log.splice(0, logLimit / 10);
  }
}

function describe(event: WorkerEvent): string {
  switch (event.kind) {
    case 'command':
      return `command ${event.id}: ${event.command.kind}`;
    case 'session':
      return `session ${event.session}: ${event.answer.kind}`;
    case 'session-ended':
      return `session ${event.session} ended`;
    case 'disconnected':
    case 'stop':
      return `${event.kind}: ${event.reason}`;
    default:
      return event.kind;
  }
}
