// A whole cluster in virtual time for tests: the scheduler's machine, any number of workers with their machines, and a network with
// delays; killing, hanging and cutting off workers. Sessions do not compute: a step is a number that must follow the last.
import type { Plan } from '../plan/program.ts';
import type { WorkerEvent } from '../worker/machine.ts';
import { WorkerMachine } from '../worker/machine.ts';
import type { JobReport, JobSpec } from './job.ts';
import type { Instruction, SchedulerEvent, SchedulerLimits, StoredRecord } from './machine.ts';
import { SchedulerMachine, defaultLimits } from './machine.ts';
import type { Answer, JobCommand } from './protocol.ts';

interface Scheduled {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** A small generator, so that a failing run can be repeated. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 4294967296;
  };
}

export class SimulatedWorker {
  readonly machine = new WorkerMachine('simulated', { orphanMs: 20_000, cancelMs: 5_000 });
  connection: number | undefined;
  alive = true;
  /** A hung worker takes part in nothing but its connection stays. */
  hung = false;
  /** What each session has: the step its state belongs to. */
  readonly state = new Map<number, { command: JobCommand; step: number; ended: boolean; ticks: number }>();
  exitReason: string | undefined;

  constructor(
    readonly name: string,
    readonly devices: number,
  ) {}
}

export class Simulation {
  now = 0;
  scheduler: SchedulerMachine;
  readonly workers = new Map<string, SimulatedWorker>();
  readonly store: StoredRecord[] = [];
  readonly reports: { job: string; report: JobReport }[] = [];
  readonly runs = new Map<number, string>();
  /** Steps that logical devices ran, in order of time: a step may run several times, but must be committed once. */
  ran = 0;
  readonly random: () => number;
  private queue: Scheduled[] = [];
  private order = 0;
  private connections = 0;
  /** Raised when the scheduler restarts: messages to the old one are lost. */
  private incarnation = 1;

  constructor(
    seed: number,
    readonly planner: (job: JobSpec, devices: number) => Plan,
    readonly limits: SchedulerLimits = { ...defaultLimits, rejoinMs: 3_000 },
  ) {
    this.random = randomFrom(seed);
    this.scheduler = new SchedulerMachine(1, 'checkpoints', limits);
    this.every(200, () => this.tell({ kind: 'tick' }));
  }

  after(delay: number, run: () => void): void {
    this.queue.push({ at: this.now + delay, order: this.order++, run });
  }

  every(period: number, run: () => void): void {
    const again = () => {
      run();
      this.after(period, again);
    };
    this.after(period, again);
  }

  /** Runs until `until` holds; throws when it does not within `limit` of virtual time. */
  runUntil(until: () => boolean, limit: number): void {
    const end = this.now + limit;
    while (!until()) {
      // A heap would be faster; thousands of entries sort quickly because they nearly are.
      this.queue.sort((a, b) => a.at - b.at || a.order - b.order);
      const next = this.queue.shift();
      if (next === undefined || next.at > end) {
        const phases = [...this.scheduler.jobs.values()].map(
          (job) => `${job.spec.id} ${job.phase} ${job.committed}`,
        );
        throw new Error(`nothing of the kind within ${limit} ms: ${phases.join('; ')}`);
      }
      this.now = next.at;
      next.run();
    }
  }

  addWorker(name: string, devices = 1): SimulatedWorker {
    const worker = new SimulatedWorker(name, devices);
    this.workers.set(name, worker);
    this.every(500, () => {
      if (!worker.alive || worker.hung) return;
      this.feed(worker, { kind: 'tick' });
      this.heartbeat(worker);
    });
    this.connect(worker);
    return worker;
  }

  /** SIGKILL: its connection breaks after a moment, what it was doing is lost. */
  kill(worker: SimulatedWorker): void {
    worker.alive = false;
    this.breakConnection(worker, 'the connection was reset');
  }

  cutOff(worker: SimulatedWorker): void {
    this.breakConnection(worker, 'network');
    this.feed(worker, { kind: 'disconnected', reason: 'network' });
    this.after(1_000 + this.random() * 2_000, () => worker.alive && this.connect(worker));
  }

  private breakConnection(worker: SimulatedWorker, reason: string): void {
    const { connection, name } = worker;
    worker.connection = undefined;
    if (connection === undefined) return;
    this.later(() => this.tell({ kind: 'worker-left', worker: name, connection, reason }));
  }

  restartScheduler(): void {
    this.incarnation++;
    const leader = this.scheduler.leader + 1;
    this.scheduler = new SchedulerMachine(leader, 'checkpoints', this.limits, this.store);
    for (const worker of this.workers.values()) {
      if (worker.connection === undefined) continue;
      worker.connection = undefined;
      this.feed(worker, { kind: 'disconnected', reason: 'the scheduler is gone' });
      this.after(500 + this.random() * 1_000, () => worker.alive && this.connect(worker));
    }
  }

  private connect(worker: SimulatedWorker): void {
    if (worker.connection !== undefined || worker.exitReason !== undefined) return;
    worker.connection = ++this.connections;
    const { connection } = worker;
    this.feed(worker, { kind: 'connected' });
    this.later(() =>
      this.tell({
        kind: 'worker-joined',
        connection,
        description: {
          worker: worker.name,
          version: '0',
          bulkAddress: worker.name,
          pid: 0,
          host: 'simulated',
          devices: Array.from({ length: worker.devices }, (_, index) => ({
            type: 'simulated',
            index,
            name: 'simulated',
            memory: 1e9,
            flops: 1e9,
            bandwidth: 1e9,
            dtypes: ['float32'],
          })),
        },
      }),
    );
  }

  /** A message on its way to the scheduler that is there now. */
  private later(run: () => void): void {
    const { incarnation } = this;
    this.after(1 + this.random() * 5, () => incarnation === this.incarnation && run());
  }

  tell(event: SchedulerEvent): void {
    for (const instruction of this.scheduler.handle(event, this.now)) this.obey(instruction);
  }

  private obey(instruction: Instruction): void {
    switch (instruction.kind) {
      case 'persist':
        this.store.push(instruction.record);
        return;
      case 'report':
        this.reports.push({ job: instruction.job, report: instruction.report });
        return;
      case 'run-done':
        this.runs.set(instruction.request, 'done');
        return;
      case 'run-failed':
        this.runs.set(instruction.request, instruction.error);
        return;
      case 'plan': {
        const { job, generation, devices } = instruction;
        this.later(() =>
          this.tell({ kind: 'planned', job: job.id, generation, plan: this.planner(job, devices.length) }),
        );
        return;
      }
      case 'write-manifest': {
        const { manifest, generation } = instruction;
        this.later(() =>
          this.tell({ kind: 'manifest-written', job: manifest.job, generation, step: manifest.step }),
        );
        return;
      }
      case 'send': {
        const worker = this.workers.get(instruction.worker);
        const { id, command, cause, connection } = instruction;
        this.after(1 + this.random() * 5, () => {
          if (worker?.alive && worker.connection === connection)
            this.feed(worker, { kind: 'command', id, command, cause });
        });
        return;
      }
      case 'disconnect': {
        const worker = this.workers.get(instruction.worker);
        if (worker?.connection !== instruction.connection) return;
        worker.connection = undefined;
        if (worker.alive && !worker.hung) this.cutOff(worker);
        return;
      }
      default:
        instruction satisfies never;
    }
  }

  private feed(worker: SimulatedWorker, event: WorkerEvent): void {
    if (worker.hung || worker.exitReason !== undefined) return;
    for (const instruction of worker.machine.handle(event, this.now)) {
      switch (instruction.kind) {
        case 'answer':
          this.answer(worker, instruction.command, instruction.answer);
          break;
        case 'start':
          worker.state.set(instruction.session, {
            command: instruction.command,
            step: -1,
            ended: false,
            ticks: 0,
          });
          this.finish(worker, instruction.session, { kind: 'registered' });
          break;
        case 'tell':
          this.work(worker, instruction.session, instruction.command);
          break;
        case 'end': {
          const { session } = instruction;
          worker.state.get(session)!.ended = true;
          this.after(this.random() * 50, () => this.feed(worker, { kind: 'session-ended', session }));
          break;
        }
        case 'exit':
          worker.exitReason = instruction.reason;
          worker.alive = false;
          this.breakConnection(worker, instruction.reason);
          break;
        case 'heartbeat-every':
          break;
        default:
          instruction satisfies never;
      }
    }
  }

  private work(worker: SimulatedWorker, session: number, command: JobCommand): void {
    const state = worker.state.get(session)!;
    state.ticks++;
    switch (command.kind) {
      case 'load':
        state.step = command.from.kind === 'blob' ? 0 : Number(/step-(\d+)/.exec(command.from.folder)![1]);
        return this.finish(worker, session, { kind: 'loaded' });
      case 'run-step':
        if (command.inputs === undefined && command.step !== state.step + 1)
          throw new Error(`step ${command.step} is run on the state of step ${state.step}`);
        state.step = command.step;
        this.ran++;
        return this.finish(worker, session, { kind: 'step-done', results: new Map(), milliseconds: 1 });
      case 'checkpoint':
        if (command.step !== state.step) throw new Error(`state of ${state.step} is kept as ${command.step}`);
        return this.finish(worker, session, { kind: 'checkpoint-done' });
      default:
        throw new Error(`a session is told to ${command.kind}`);
    }
  }

  private finish(worker: SimulatedWorker, session: number, answer: Answer): void {
    this.after(1 + this.random() * (answer.kind === 'step-done' ? 200 : 20), () => {
      const state = worker.state.get(session)!;
      if (!worker.alive || worker.hung || state.ended) return;
      this.feed(worker, { kind: 'session', session, answer });
    });
  }

  private answer(worker: SimulatedWorker, command: number, answer: Answer): void {
    const { connection, name } = worker;
    if (connection === undefined) return;
    this.later(() => this.tell({ kind: 'answer', worker: name, connection, command, answer }));
  }

  private heartbeat(worker: SimulatedWorker): void {
    const { connection, name } = worker;
    if (connection === undefined) return;
    const progress = [...worker.state.values()]
      .filter(({ ended }) => !ended)
      .map(({ command, step, ticks }) => ({
        job: command.job,
        device: command.device,
        step,
        action: 0,
        doing: 'run forward',
        ticks,
      }));
    this.later(() => this.tell({ kind: 'heartbeat', worker: name, connection, progress }));
  }
}
