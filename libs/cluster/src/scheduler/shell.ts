// The scheduler process around its machine: gRPC services for workers and clients, the store, timers, the planner. What the
// machine instructs is done in its order; a record is in the store before anybody hears of what it records.
import type * as grpc from '@grpc/grpc-js';
import { join } from 'node:path';
import type { TensorLiteral } from '@weft/ir';
import { numel } from '@weft/ir';
import { openCheckpoint, retainCheckpoints, writeManifest } from '../checkpoint/manifest.ts';
import { io } from '@weft/tensor';
import { ClusterError, asError, messageOf } from '../errors.ts';
import type { ClientHandlers } from '../proto/weft/v1/Client.generated.ts';
import type { JobEvent } from '../proto/weft/v1/JobEvent.generated.ts';
import type { SchedulerHandlers } from '../proto/weft/v1/Scheduler.generated.ts';
import type { SchedulerMessage } from '../proto/weft/v1/SchedulerMessage.generated.ts';
import type { StatusResponse } from '../proto/weft/v1/StatusResponse.generated.ts';
import type { WorkerMessage__Output } from '../proto/weft/v1/WorkerMessage.generated.ts';
import type { Store } from '../store/file-store.ts';
import { FileStore } from '../store/file-store.ts';
import { healthHandlers } from '../transport/health.ts';
import {
  channelOptions,
  chunkBytes,
  chunksOf,
  listen,
  tensorsFromWire,
  tensorsToWire,
  writeAll,
} from '../transport/wire.ts';
import { grpcLibrary, healthService, wire } from '../transport/grpc-library.ts';
import {
  answerFromWire,
  commandToWire,
  helloFromWire,
  progressFromWire,
  progressToWire,
} from './control-wire.ts';
import type { JobReport, JobSpec, Planner } from './job.ts';
import { isOver } from './job.ts';
import type { Instruction, LogEntry, SchedulerEvent, SchedulerLimits, StoredRecord } from './machine.ts';
import { SchedulerMachine, defaultLimits } from './machine.ts';
import { descriptionPlanner } from './planner.ts';

export interface SchedulerOptions {
  /** Folder of the store: jobs, blobs, and checkpoints of jobs that name no folder. */
  readonly directory: string;
  /** Default: plans the model description that a job carries. */
  readonly planner?: SchedulerPlanner;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default: any free one. */
  readonly port?: number;
  readonly limits?: Partial<SchedulerLimits>;
}

/** A planner with access to the blobs that a job's model names. */
export type SchedulerPlanner = (
  job: JobSpec,
  devices: Parameters<Planner>[1],
  blobPath: (hash: string) => string,
) => ReturnType<Planner>;

export interface SchedulerHandle {
  readonly address: string;
  readonly port: number;
  readonly leader: number;
  readonly log: readonly LogEntry[];
  /** Resolves when the scheduler has ended. */
  readonly ended: Promise<string>;
  stop(reason: string, workers?: boolean): Promise<void>;
}

/** Starts a scheduler. Throws ListenError for a port in use, ClusterError for a store in use. */
export async function runScheduler(options: SchedulerOptions): Promise<SchedulerHandle> {
  const store = await FileStore.open(options.directory);
  try {
    const scheduler = new Scheduler(options, store);
    await scheduler.start();
    return scheduler;
  } catch (error) {
    store.close();
    throw error;
  }
}

type Connection = grpc.ServerDuplexStream<WorkerMessage__Output, SchedulerMessage>;

/** Events of a job that late watchers still get. */
const historyLimit = 20_000;

class Watched {
  readonly history: JobEvent[] = [];
  readonly listeners = new Set<(event: JobEvent) => void>();
}

class Scheduler implements SchedulerHandle {
  address = '';
  port = 0;
  readonly ended: Promise<string>;
  private finish!: (reason: string) => void;
  private readonly machine: SchedulerMachine;
  private readonly server = new (grpcLibrary().Server)(channelOptions);
  private readonly connections = new Map<number, Connection>();
  private readonly watched = new Map<string, Watched>();
  private readonly runs = new Map<
    number,
    { done: (results: ReadonlyMap<string, TensorLiteral>) => void; failed: (error: string) => void }
  >();
  private nextConnection = 1;
  private nextRun = 1;
  private ticker: NodeJS.Timeout | undefined;
  private stopping: Promise<void> | undefined;

  constructor(
    private readonly options: SchedulerOptions,
    private readonly store: Store,
  ) {
    const limits = { ...defaultLimits, ...options.limits };
    const checkpoints = join(options.directory, 'checkpoints');
    const records = store.records as StoredRecord[];
    this.machine = new SchedulerMachine(store.leader, checkpoints, limits, records);
    this.ended = new Promise((resolve) => (this.finish = resolve));
  }

  get leader(): number {
    return this.store.leader;
  }
  get log(): readonly LogEntry[] {
    return this.machine.log;
  }

  async start(): Promise<void> {
    await this.store.compact(this.machine.snapshot());
    this.server.addService(wire().Scheduler.service, this.workerService);
    this.server.addService(wire().Client.service, this.clientService);
    this.server.addService(
      healthService().service,
      healthHandlers(['weft.v1.Scheduler', 'weft.v1.Client'], () => this.stopping === undefined),
    );
    const { host = '127.0.0.1', port = 0 } = this.options;
    this.port = await listen(this.server, host, port, '--port');
    this.address = `${host}:${this.port}`;
    const period = Math.max(20, this.machine.limits.heartbeatMs / 2);
    this.ticker = setInterval(() => this.handle({ kind: 'tick' }), period);
  }

  stop(reason: string, workers = true): Promise<void> {
    this.stopping ??= this.close(reason, workers);
    return this.stopping;
  }

  private async close(reason: string, workers: boolean): Promise<void> {
    clearInterval(this.ticker);
    this.handle({ kind: 'shutdown', workers, reason });
    for (const connection of this.connections.values()) connection.end();
    for (const { failed } of this.runs.values()) failed('the scheduler shuts down');
    await new Promise<void>((resolve) => {
      const force = setTimeout(() => {
        this.server.forceShutdown();
        resolve();
      }, 500);
      this.server.tryShutdown(() => {
        clearTimeout(force);
        resolve();
      });
    });
    this.store.close();
    this.finish(reason);
  }

  private handle(event: SchedulerEvent): void {
    for (const instruction of this.machine.handle(event, performance.now())) this.obey(instruction);
  }

  private obey(instruction: Instruction): void {
    switch (instruction.kind) {
      case 'persist':
        return this.store.append(instruction.record, instruction.sync);
      case 'send': {
        const connection = this.connections.get(instruction.connection);
        connection?.write(commandToWire(instruction.id, instruction.cause, instruction.command));
        return;
      }
      case 'disconnect': {
        const connection = this.connections.get(instruction.connection);
        this.connections.delete(instruction.connection);
        connection?.emit('error', { code: grpcLibrary().status.ABORTED, details: instruction.reason });
        return;
      }
      case 'report':
        return this.publish(instruction);
      case 'plan':
        return void this.plan(instruction);
      case 'write-manifest':
        return void this.writeManifest(instruction);
      case 'run-done':
        this.runs.get(instruction.request)?.done(instruction.results);
        return;
      case 'run-failed':
        this.runs.get(instruction.request)?.failed(instruction.error);
        return;
      default:
        instruction satisfies never;
    }
  }

  private async plan({ job, generation, devices }: Extract<Instruction, { kind: 'plan' }>): Promise<void> {
    const { planner = descriptionPlanner } = this.options;
    try {
      const plan = await planner(job, devices, (hash) => this.blobPath(hash));
      this.handle({ kind: 'planned', job: job.id, generation, plan });
    } catch (error) {
      const { name, message } = asError(error);
      this.handle({ kind: 'plan-failed', job: job.id, generation, error: message, errorKind: name });
    }
  }

  private async writeManifest(instruction: Extract<Instruction, { kind: 'write-manifest' }>): Promise<void> {
    const { folder, manifest, generation, directory, keep } = instruction;
    const { job, step } = manifest;
    try {
      await writeManifest(folder, manifest);
      this.handle({ kind: 'manifest-written', job, generation, step });
      retainCheckpoints(directory, keep);
    } catch (error) {
      this.handle({ kind: 'manifest-written', job, generation, step, error: messageOf(error) });
    }
  }

  private blobPath(hash: string): string {
    const path = this.store.blobs.find(hash);
    if (path === undefined) throw new ClusterError(`the scheduler has no blob ${hash}`);
    return path;
  }

  private watchedOf(job: string): Watched {
    let watched = this.watched.get(job);
    if (watched === undefined) this.watched.set(job, (watched = new Watched()));
    return watched;
  }

  private publish({ job, number, cause, report, results }: Extract<Instruction, { kind: 'report' }>): void {
    const watched = this.watchedOf(job);
    const event = this.eventOf(number, cause, report, results);
    watched.history.push(event);
    if (watched.history.length > historyLimit) watched.history.splice(0, historyLimit / 10);
    for (const listener of [...watched.listeners]) listener(event);
  }

  private eventOf(
    number: number,
    cause: string,
    report: JobReport,
    results?: ReadonlyMap<string, TensorLiteral>,
  ): JobEvent {
    // Only what is small is kept for watchers: losses, norms, counts.
    const small = new Map([...(results ?? [])].filter(([, { shape }]) => numel(shape) <= 1024));
    return { number, cause, time: Date.now(), report: JSON.stringify(report), results: tensorsToWire(small) };
  }

  // ---- workers --------------------------------------------------------------------------------------------------

  private readonly workerService: SchedulerHandlers = {
    Connect: (stream) => {
      const connection = this.nextConnection++;
      this.connections.set(connection, stream);
      let worker: string | undefined;
      const gone = (reason: string) => {
        if (!this.connections.delete(connection)) return;
        if (worker !== undefined) this.handle({ kind: 'worker-left', worker, connection, reason });
      };
      stream.on('data', (message: WorkerMessage__Output) => {
        if (!this.connections.has(connection)) return;
        if (message.message === 'hello') {
          const description = helloFromWire(message.hello!);
          worker = description.worker;
          return this.handle({ kind: 'worker-joined', description, connection });
        }
        if (worker === undefined) return;
        if (message.message === 'heartbeat') {
          const progress = message.heartbeat!.progress.map(progressFromWire);
          return this.handle({ kind: 'heartbeat', worker, connection, progress });
        }
        const answered = answerFromWire(message);
        if (answered !== undefined) this.handle({ kind: 'answer', worker, connection, ...answered });
      });
      stream.on('error', (error: Error) => gone(error.message || 'the connection broke'));
      stream.on('cancelled', () => gone('the connection broke: its process ended or the network failed'));
      stream.on('end', () => {
        gone('it went away');
        stream.end();
      });
    },
    GetBlob: (call) => {
      const path = this.store.blobs.find(call.request.hash);
      if (path === undefined)
        return void call.emit('error', {
          code: grpcLibrary().status.NOT_FOUND,
          details: `the scheduler has no blob ${call.request.hash}`,
        });
      void this.stream(call, this.pieces(call.request.hash));
    },
  };

  private *pieces(hash: string): Generator<{ data: Buffer }, void> {
    for (const data of this.store.blobs.read(hash, chunkBytes)) yield { data };
  }

  private async stream<T>(
    call: grpc.ServerWritableStream<unknown, T>,
    messages: Iterable<T> | AsyncIterable<T>,
  ): Promise<void> {
    try {
      await writeAll(call, messages, () => call.cancelled);
    } catch (error) {
      call.emit('error', { code: grpcLibrary().status.ABORTED, details: messageOf(error) });
    }
  }

  // ---- clients --------------------------------------------------------------------------------------------------

  private readonly clientService: ClientHandlers = {
    PutBlob: (call, callback) => {
      async function* pieces(): AsyncGenerator<Uint8Array, void> {
        for await (const { data } of call as AsyncIterable<{ data: Buffer }>) yield data;
      }
      this.store.blobs.put(pieces()).then(
        (hash) => callback(null, { hash }),
        (error: unknown) => callback({ code: grpcLibrary().status.INTERNAL, details: messageOf(error) }),
      );
    },
    Submit: (call, callback) => {
      try {
        const job = JSON.parse(call.request.job) as JobSpec;
        this.checkJob(job);
        this.handle({ kind: 'submit', job });
        callback(null, { job: job.id });
      } catch (error) {
        callback({ code: grpcLibrary().status.INVALID_ARGUMENT, details: messageOf(error) });
      }
    },
    Watch: (call) => {
      const { job: id, after } = call.request;
      const job = this.machine.jobs.get(id);
      if (job === undefined)
        return void call.emit('error', {
          code: grpcLibrary().status.NOT_FOUND,
          details: `there is no job '${id}'`,
        });
      const watched = this.watchedOf(id);
      const isLast = (event: JobEvent) =>
        ['done', 'failed', 'cancelled'].includes((JSON.parse(event.report!) as JobReport).kind);
      for (const event of watched.history) if (Number(event.number) > after) call.write(event);
      if (isOver(job.phase)) {
        // A job that ended under an earlier scheduler has no history here.
        if (!watched.history.some(isLast)) call.write(this.eventOf(after + 1, 'e0', lastReport(job)));
        return call.end();
      }
      const listener = (event: JobEvent) => {
        call.write(event);
        if (!isLast(event)) return;
        watched.listeners.delete(listener);
        call.end();
      };
      watched.listeners.add(listener);
      call.on('cancelled', () => watched.listeners.delete(listener));
    },
    Run: (call, callback) => {
      const request = this.nextRun++;
      this.runs.set(request, {
        done: (results) => {
          this.runs.delete(request);
          callback(null, { results: tensorsToWire(results) });
        },
        failed: (details) => {
          this.runs.delete(request);
          callback({ code: grpcLibrary().status.FAILED_PRECONDITION, details });
        },
      });
      const inputs = tensorsFromWire(call.request.inputs);
      this.handle({ kind: 'run', job: call.request.job, request, inputs });
    },
    Cancel: (call, callback) => {
      if (!this.machine.jobs.has(call.request.job))
        return callback({
          code: grpcLibrary().status.NOT_FOUND,
          details: `there is no job '${call.request.job}'`,
        });
      this.handle({ kind: 'cancel', job: call.request.job });
      callback(null, {});
    },
    Status: (_call, callback) => callback(null, this.status()),
    GetState: (call) => {
      const folder = this.machine.jobs.get(call.request.job)?.checkpoint?.folder;
      if (folder === undefined)
        return void call.emit('error', {
          code: grpcLibrary().status.NOT_FOUND,
          details: `job '${call.request.job}' has no checkpoint`,
        });
      void this.stream(call, stateOf(folder));
    },
    Shutdown: (call, callback) => {
      callback(null, {});
      setImmediate(() => void this.stop('a client asked for it', call.request.workers));
    },
  };

  private checkJob(job: JobSpec): void {
    if (typeof job.id !== 'string' || !/^[\w.-]{1,100}$/.test(job.id))
      throw new ClusterError(`'${job.id}' is no job id: letters, digits, '.', '-' and '_' are expected`);
    this.blobPath(job.state.blob);
    if (job.source !== undefined) this.blobPath(job.source.batches.data);
    if (job.kind === 'train' && !(Number.isSafeInteger(job.steps) && job.steps! > 0))
      throw new ClusterError(
        `job '${job.id}' trains ${job.steps} steps; a positive whole number is expected`,
      );
  }

  private status(): StatusResponse {
    return {
      leader: this.leader,
      workers: [...this.machine.workers.values()].map(({ description, progress }) => ({
        worker: description.worker,
        state: [...this.machine.jobs.values()].some((job) => job.workers.includes(description.worker))
          ? 'busy'
          : 'free',
        bulkAddress: description.bulkAddress,
        host: description.host,
        pid: description.pid,
        devices: description.devices.map((device) => ({ ...device, dtypes: [...device.dtypes] })),
        progress: progress.map(progressToWire),
      })),
      jobs: [...this.machine.jobs.values()].map((job) => ({
        job: job.spec.id,
        name: job.spec.name,
        state: job.phase,
        committed: job.committed,
        steps: job.steps,
        generation: job.generation,
        checkpoint: job.checkpoint?.folder ?? '',
        error: job.error ?? '',
        workers: job.workers,
      })),
    };
  }
}

function lastReport(job: {
  phase: string;
  committed: number;
  error: string | undefined;
  checkpoint: { folder: string } | undefined;
}): JobReport {
  if (job.phase === 'done')
    return {
      kind: 'done',
      step: job.committed,
      ...(job.checkpoint === undefined ? {} : { checkpoint: job.checkpoint.folder }),
    };
  if (job.phase === 'failed')
    return { kind: 'failed', error: job.error ?? 'unknown', errorKind: 'ClusterError' };
  return { kind: 'cancelled' };
}

/** A checkpoint as one safetensors file of whole values, in pieces. */
function* stateOf(folder: string): Generator<{ data: Buffer }, void> {
  const state = openCheckpoint(folder);
  try {
    const values = [...state.values];
    const { header, order } = io.layoutSafetensors(
      values.map(([name, spec]) => ({ name, dtype: spec.dtype, shape: spec.sizes })),
    );
    for (const data of chunksOf(header)) yield { data };
    for (const index of order) {
      const [name, spec] = values[index];
      const whole = state.read({ name, spec, whole: spec, start: spec.sizes.map(() => 0) });
      for (const data of chunksOf(whole)) yield { data };
    }
  } finally {
    state.close();
  }
}
