// The worker process around its machine: one gRPC stream to the scheduler, a Bulk service for other workers, and a piscina pool whose
// threads run the sessions. The main thread moves messages and bytes only; models run in the pool.
import { rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { MessageChannel } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import type * as grpc from '@grpc/grpc-js';
import type { DeviceOptions } from '@weft/devices';
import { defaultDevice } from '@weft/devices';
import { InternalError, TensorLiteral } from '@weft/ir';
import type { Piscina } from 'piscina';
import { builtFile } from '../built-file.ts';
import { TransferError, asError, messageOf } from '../errors.ts';
import { ProgressCounters } from '../runner/progress.ts';
import type { SchedulerMessage__Output } from '../proto/weft/v1/SchedulerMessage.generated.ts';
import type { WorkerMessage } from '../proto/weft/v1/WorkerMessage.generated.ts';
import { answerToWire, commandFromWire, helloToWire, progressToWire } from '../scheduler/control-wire.ts';
import type { DeviceSummary } from '../scheduler/job.ts';
import type { Answer, JobCommand, ReportedProgress, WorkerDescription } from '../scheduler/protocol.ts';
import { BlobStore } from '../store/file-store.ts';
import { temporaryFolder } from '../store/temporary-folder.ts';
import { BulkExchange } from '../transport/grpc.ts';
import type { GrpcTransport } from '../transport/grpc.ts';
import { healthHandlers } from '../transport/health.ts';
import { channelCredentials, channelOptions, connected, expanded, listen } from '../transport/wire.ts';
import type { Client } from '../transport/grpc-library.ts';
import { grpcLibrary, healthService, wire } from '../transport/grpc-library.ts';
import type { WorkerEvent, WorkerLimits, WorkerLogEntry } from './machine.ts';
import { WorkerMachine, defaultWorkerLimits } from './machine.ts';
import { handOver } from './hand-over.ts';
import type { TransferReply, TransferRequest } from './port-transport.ts';
import { serveTransfer } from './port-transport.ts';
import type { CloneableAnswer, SessionAnswer, SessionCommand, SessionStart } from './session.ts';
import type { ThreadTask } from './session-thread.ts';

export interface WorkerOptions {
  /** `host:port` of the scheduler. */
  readonly scheduler: string;
  /** Unique in the cluster; default: host and process number. */
  readonly name?: string;
  /** Device names (types, packages, paths) in order of preference; default: the cpu device. */
  readonly devices?: readonly string[];
  readonly deviceOptions?: DeviceOptions;
  /** Where other workers reach this one. Default 127.0.0.1. */
  readonly host?: string;
  /** Port of the Bulk service; default: any free one. */
  readonly port?: number;
  /** Folder for blobs; default: one for this process, removed at its end. */
  readonly cache?: string;
  readonly limits?: Partial<WorkerLimits>;
  readonly connectTimeoutMs?: number;
}

export interface WorkerHandle {
  readonly name: string;
  readonly bulkAddress: string;
  readonly devices: readonly DeviceSummary[];
  readonly log: readonly WorkerLogEntry[];
  /** Resolves when the worker has ended, with why. */
  readonly ended: Promise<{ readonly reason: string; readonly failed: boolean }>;
  /** Ends sessions, then the worker. */
  stop(reason: string): void;
}

const tickMs = 250;
const version = '0.1.0';

/**
 * Starts a worker. Throws DeviceError for unknown devices and ListenError for a port in use; a scheduler that cannot be reached is
 * tried until the time limit, then `ended` says so.
 */
export async function runWorker(options: WorkerOptions): Promise<WorkerHandle> {
  const worker = new Worker(options);
  try {
    await worker.start();
  } catch (error) {
    await worker.close();
    throw error;
  }
  return worker;
}

interface LiveSession {
  readonly port: MessagePort;
  readonly transport: GrpcTransport | undefined;
  readonly counters: ProgressCounters;
  readonly command: Extract<JobCommand, { kind: 'register' }>;
}

class Worker implements WorkerHandle {
  readonly name: string;
  devices: readonly DeviceSummary[] = [];
  readonly ended: Promise<{ reason: string; failed: boolean }>;
  private finish!: (outcome: { reason: string; failed: boolean }) => void;
  private readonly machine: WorkerMachine;
  private readonly server = new (grpcLibrary().Server)(channelOptions);
  private readonly client: Client<'Scheduler'>;
  private readonly sessions = new Map<number, LiveSession>();
  private readonly fetching = new Map<string, Promise<string>>();
  private pool: Piscina | undefined;
  private exchange: BulkExchange | undefined;
  private blobs: BlobStore | undefined;
  private ownCache: string | undefined;
  private stream: grpc.ClientDuplexStream<WorkerMessage, SchedulerMessage__Output> | undefined;
  private heartbeat: NodeJS.Timeout | undefined;
  private ticker: NodeJS.Timeout | undefined;
  private reconnect: NodeJS.Timeout | undefined;
  private attempts = 0;
  private isOver = false;

  constructor(private readonly options: WorkerOptions) {
    this.name = options.name ?? `${hostname()}-${process.pid}`;
    this.machine = new WorkerMachine(options.scheduler, { ...defaultWorkerLimits, ...options.limits });
    this.client = new (wire().Scheduler)(options.scheduler, channelCredentials(), channelOptions);
    this.ended = new Promise((resolve) => (this.finish = resolve));
  }

  get bulkAddress(): string {
    return this.exchange!.options.address;
  }
  get log(): readonly WorkerLogEntry[] {
    return this.machine.log;
  }

  async start(): Promise<void> {
    const { host = '127.0.0.1', port = 0, devices = [defaultDevice], deviceOptions = {} } = this.options;
    // Loaded by workers only.
    const { Piscina: Pool } = await import('piscina');
    this.pool = new Pool({
      filename: builtFile('worker/session-thread.js'),
      minThreads: 1,
      maxThreads: 64,
      concurrentTasksPerWorker: 1,
      // A thread that has opened a device is worth keeping for the next session.
      idleTimeout: 60_000,
      // Sessions live by their message ports; a thread that blocks between tasks would not hear them.
      atomics: 'disabled',
    });
    const task: ThreadTask = { kind: 'describe', devices: { names: devices, options: deviceOptions } };
    this.devices = (await this.pool.run(task)) as DeviceSummary[];

    const holder: { exchange?: BulkExchange } = {};
    this.server.addService(wire().Bulk.service, {
      Pull: (call: Parameters<BulkExchange['handlers']['Pull']>[0]) => holder.exchange!.handlers.Pull(call),
    });
    this.server.addService(
      healthService().service,
      healthHandlers(['weft.v1.Bulk'], () => !this.isOver),
    );
    const bound = await listen(this.server, host, port, '--port');
    this.exchange = holder.exchange = new BulkExchange({ address: `${host}:${bound}` });
    this.blobs = new BlobStore(this.options.cache ?? (this.ownCache = temporaryFolder('worker')));
    this.ticker = setInterval(() => this.handle({ kind: 'tick' }), tickMs);
    void this.connect();
  }

  stop(reason: string): void {
    this.handle({ kind: 'stop', reason });
  }

  private handle(event: WorkerEvent): void {
    if (this.isOver) return;
    for (const instruction of this.machine.handle(event, performance.now())) {
      switch (instruction.kind) {
        case 'answer':
          this.send(answerToWire(instruction.command, instruction.answer));
          break;
        case 'start':
          void this.startSession(instruction.session, instruction.command);
          break;
        case 'tell':
          void this.tell(instruction.session, instruction.command);
          break;
        case 'end': {
          const session = this.sessions.get(instruction.session);
          session?.transport?.cancel(new TransferError(instruction.reason));
          session?.port.postMessage({ kind: 'end', reason: instruction.reason } satisfies SessionCommand);
          break;
        }
        case 'heartbeat-every':
          clearInterval(this.heartbeat);
          this.heartbeat = setInterval(() => this.sendHeartbeat(), instruction.milliseconds);
          break;
        case 'exit':
          return void this.exit(instruction.reason, instruction.failed);
        default:
          instruction satisfies never;
      }
    }
  }

  private async connect(): Promise<void> {
    const { scheduler, connectTimeoutMs = 5_000 } = this.options;
    try {
      await connected(this.client, scheduler, connectTimeoutMs, 'the scheduler', 'is it running?');
    } catch (error) {
      return this.disconnected(messageOf(error));
    }
    if (this.isOver) return;
    const stream = (this.stream = this.client.connect());
    const gone = (reason: string) => {
      if (this.stream !== stream) return;
      this.stream = undefined;
      this.disconnected(reason);
    };
    stream.on('data', (message: SchedulerMessage__Output) => {
      if (this.stream !== stream) return;
      if (message.command === 'welcome') this.attempts = 0;
      const command = commandFromWire(message);
      if (command !== undefined)
        this.handle({ kind: 'command', id: message.id, cause: message.cause, command });
    });
    stream.on('error', (error: grpc.ServiceError) => gone(error.details || error.message));
    stream.on('end', () => gone('the scheduler ended the stream'));
    this.handle({ kind: 'connected' });
    const description: WorkerDescription = {
      worker: this.name,
      version,
      bulkAddress: this.bulkAddress,
      devices: this.devices,
      pid: process.pid,
      host: hostname(),
    };
    this.send(helloToWire(description));
  }

  private disconnected(reason: string): void {
    if (this.isOver) return;
    clearInterval(this.heartbeat);
    this.handle({ kind: 'disconnected', reason });
    if (this.isOver) return;
    const delay = Math.min(2_000, 100 * 2 ** this.attempts++);
    this.reconnect = setTimeout(() => void this.connect(), delay);
  }

  private send(message: WorkerMessage): void {
    this.stream?.write(message);
  }

  private sendHeartbeat(): void {
    const progress = [...this.sessions.values()].map(({ counters, command }): ReportedProgress => ({
      job: command.job,
      ...counters.read(command.program),
    }));
    this.send({ heartbeat: { progress: progress.map(progressToWire) } });
  }

  private async startSession(id: number, command: Extract<JobCommand, { kind: 'register' }>): Promise<void> {
    const { job, epoch, device, deviceIndex, program, peers, source, checkFinite } = command;
    const { port1: port, port2 } = new MessageChannel();
    const counters = new ProgressCounters();
    let transport: GrpcTransport | undefined;
    try {
      const addresses = new Map(peers.map(({ device: peer, bulkAddress }) => [peer, bulkAddress]));
      transport = this.exchange!.transport(job, epoch, device, addresses);
      const session: LiveSession = { port, transport, counters, command };
      this.sessions.set(id, session);
      port.on('message', (message: SessionAnswer | TransferRequest) =>
        this.fromSession(id, session, message),
      );
      const dataPath = source === undefined ? undefined : await this.blob(source.batches.data);
      const { devices = [defaultDevice], deviceOptions = {} } = this.options;
      const start: SessionStart = {
        worker: this.name,
        job,
        epoch,
        program,
        device: { names: devices, index: deviceIndex, options: deviceOptions },
        progress: counters.shared,
        checkFinite,
        ...(source === undefined ? {} : { source, dataPath }),
      };
      const task: ThreadTask = { kind: 'session', start, port: port2 };
      await this.pool!.run(task, { transferList: [port2] });
    } catch (error) {
      const { name, message } = asError(error);
      this.handle({
        kind: 'session',
        session: id,
        answer: { kind: 'failed', error: message, errorKind: name },
      });
    }
    transport?.cancel(new TransferError(`device ${device} of job '${job}' has ended`));
    port.close();
    this.sessions.delete(id);
    this.handle({ kind: 'session-ended', session: id });
  }

  private fromSession(id: number, session: LiveSession, message: SessionAnswer | TransferRequest): void {
    if (message.kind === 'answer')
      return this.handle({ kind: 'session', session: id, answer: revive(message.answer) });
    void serveTransfer(message, session.transport!, (reply: TransferReply) =>
      session.port.postMessage(reply),
    );
  }

  private async tell(id: number, command: JobCommand): Promise<void> {
    const session = this.sessions.get(id);
    if (session === undefined) return;
    try {
      handOver(session.port, await this.forSession(command));
    } catch (error) {
      const { name, message } = asError(error);
      this.handle({
        kind: 'session',
        session: id,
        answer: { kind: 'failed', error: message, errorKind: name },
      });
    }
  }

  private async forSession(command: JobCommand): Promise<SessionCommand> {
    switch (command.kind) {
      case 'load':
        return command.from.kind === 'checkpoint'
          ? { kind: 'load', checkpoint: command.from.folder }
          : { kind: 'load', path: await this.blob(command.from.hash), zeros: command.from.zeros };
      case 'run-step': {
        const inputs = [...(command.inputs ?? [])].map(([name, value]) => ({
          name,
          dtype: value.dtype,
          shape: value.shape,
          bytes: expanded(value),
        }));
        return { kind: 'run-step', step: command.step, ...(inputs.length === 0 ? {} : { inputs }) };
      }
      case 'checkpoint': {
        const { step, folder, slots } = command;
        return { kind: 'checkpoint', step, folder, slots };
      }
      default:
        throw new InternalError(`a session is told to ${command.kind}`);
    }
  }

  /** The path of a blob; fetched from the scheduler when it is not here. */
  private blob(hash: string): Promise<string> {
    const known = this.blobs!.find(hash);
    if (known !== undefined) return Promise.resolve(known);
    let fetch = this.fetching.get(hash);
    if (fetch === undefined) {
      fetch = this.fetch(hash).finally(() => this.fetching.delete(hash));
      this.fetching.set(hash, fetch);
    }
    return fetch;
  }

  private async fetch(hash: string): Promise<string> {
    const call = this.client.getBlob({ hash });
    async function* pieces(): AsyncGenerator<Uint8Array, void> {
      for await (const { data } of call as AsyncIterable<{ data: Buffer }>) yield data;
    }
    await this.blobs!.put(pieces(), hash);
    return this.blobs!.find(hash)!;
  }

  private async exit(reason: string, failed: boolean): Promise<void> {
    if (this.isOver) return;
    this.isOver = true;
    await this.close();
    this.finish({ reason, failed });
  }

  async close(): Promise<void> {
    this.isOver = true;
    clearInterval(this.ticker);
    clearInterval(this.heartbeat);
    clearTimeout(this.reconnect);
    this.stream?.end();
    this.exchange?.close();
    for (const { port } of this.sessions.values()) port.close();
    // A thread inside a native call does not end; the process that is about to go must not wait for it.
    await Promise.race([this.pool?.destroy(), new Promise((resolve) => setTimeout(resolve, 1_000).unref())]);
    this.client.close();
    this.server.forceShutdown();
    if (this.ownCache !== undefined) rmSync(this.ownCache, { recursive: true, force: true });
  }
}

function revive(answer: CloneableAnswer): Answer {
  if (answer.kind !== 'step-done') return answer;
  return {
    ...answer,
    results: new Map(
      answer.results.map(({ name, dtype, shape, bytes }) => [name, new TensorLiteral(dtype, shape, bytes)]),
    ),
  };
}
