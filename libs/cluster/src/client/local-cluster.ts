// A cluster on this machine: a scheduler in this process, workers as processes beside it. Used by `weft up`, the demo and
// tests. The workers hold the other end of a pipe to this process, so they end when it does, however it ends.
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { DeviceOptions } from '@weft/devices';
import { builtFile } from '../built-file.ts';
import { ClusterError, ConnectionError } from '../errors.ts';
import type { SchedulerLimits } from '../scheduler/machine.ts';
import type { SchedulerHandle, SchedulerPlanner } from '../scheduler/shell.ts';
import { runScheduler } from '../scheduler/shell.ts';
import { temporaryFolder } from '../store/temporary-folder.ts';
import { ClusterClient } from './client.ts';

export interface LocalClusterOptions {
  readonly workers: number;
  /** Default: plans the model description that a job carries. */
  readonly planner?: SchedulerPlanner;
  /** Device names for every worker; default: the cpu device. */
  readonly devices?: readonly string[];
  readonly deviceOptions?: DeviceOptions;
  /** Folder of the store. Default: a temporary one, removed at the end. */
  readonly directory?: string;
  readonly host?: string;
  readonly port?: number;
  /** Start a worker again when its process ends by itself. Default true. */
  readonly restart?: boolean;
  readonly limits?: Partial<SchedulerLimits>;
  /** How long workers may take to join. Default 30 s. */
  readonly readyMs?: number;
  /** What workers write on standard error. Default: kept for error messages only. */
  readonly onWorkerOutput?: (worker: string, text: string) => void;
}

export interface LocalCluster {
  readonly client: ClusterClient;
  readonly scheduler: SchedulerHandle;
  readonly address: string;
  readonly directory: string;
  /** Workers that run now. */
  workers(): readonly { readonly name: string; readonly pid: number }[];
  /** Starts one more worker. */
  addWorker(): string;
  /** Kills a worker with SIGKILL, as if its machine had failed. */
  killWorker(name: string): void;
  /** Ends all processes and removes what is temporary. */
  close(): Promise<void>;
}

/** Starts a scheduler and workers; resolves when all have joined. Leaves nothing behind when it throws. */
export async function startLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  const cluster = new Local(options);
  try {
    await cluster.start();
  } catch (error) {
    await cluster.close();
    throw error;
  }
  return cluster;
}

interface Worker {
  readonly process: ChildProcess;
  readonly exited: Promise<void>;
}

const restartDelayMs = 300;
const quickExitMs = 2_000;
const quickExits = 5;

class Local implements LocalCluster {
  client!: ClusterClient;
  scheduler!: SchedulerHandle;
  readonly directory: string;
  private readonly temporary: boolean;
  private readonly running = new Map<string, Worker>();
  private readonly restarts = new Set<NodeJS.Timeout>();
  private readonly lastWords: string[] = [];
  private nextWorker = 1;
  /** Whether all workers were there once. */
  private started = false;
  private failures = 0;
  private closing: Promise<void> | undefined;
  private readonly onExit = () => {
    for (const { process } of this.running.values()) process.kill('SIGKILL');
  };

  constructor(private readonly options: LocalClusterOptions) {
    this.temporary = options.directory === undefined;
    this.directory = options.directory ?? temporaryFolder('cluster');
  }

  get address(): string {
    return this.scheduler.address;
  }

  async start(): Promise<void> {
    const { planner, host, port, limits, workers, readyMs = 30_000 } = this.options;
    this.scheduler = await runScheduler({
      directory: join(this.directory, 'scheduler'),
      ...(planner === undefined ? {} : { planner }),
      ...(host === undefined ? {} : { host }),
      ...(port === undefined ? {} : { port }),
      ...(limits === undefined ? {} : { limits }),
    });
    process.once('exit', this.onExit);
    this.client = await ClusterClient.connect(this.scheduler.address);
    for (let i = 0; i < workers; i++) this.addWorker();
    const end = Date.now() + readyMs;
    for (;;) {
      const joined = (await this.client.status()).workers.length;
      if (joined >= workers) return void (this.started = true);
      if (this.failures >= quickExits || Date.now() > end)
        throw new ConnectionError(
          `${joined} of ${workers} workers have joined the scheduler at ${this.address}` +
            (this.lastWords.length === 0 ? '' : `; they said:\n${this.lastWords.join('\n')}`),
        );
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  workers(): { name: string; pid: number }[] {
    return [...this.running].map(([name, { process }]) => ({ name, pid: process.pid ?? 0 }));
  }

  addWorker(): string {
    const name = `worker-${this.nextWorker++}`;
    this.spawn(name);
    return name;
  }

  killWorker(name: string): void {
    const worker = this.running.get(name);
    if (worker === undefined) throw new ClusterError(`there is no worker '${name}'`);
    worker.process.kill('SIGKILL');
  }

  private spawn(name: string): void {
    const { devices, deviceOptions, host } = this.options;
    const workerOptions = {
      scheduler: this.address,
      name,
      parentPipe: true,
      cache: join(this.directory, 'cache', name),
      ...(devices === undefined ? {} : { devices }),
      ...(deviceOptions === undefined ? {} : { deviceOptions }),
      ...(host === undefined ? {} : { host }),
    };
    const began = Date.now();
    const child = spawn(process.execPath, [builtFile('worker/process.js'), JSON.stringify(workerOptions)], {
      stdio: ['pipe', 'ignore', 'pipe'],
      // The machine's cores are shared out, unless the user said how.
      env: { WEFT_CPU_THREADS: String(this.threadsOfWorker()), ...process.env },
    });
    child.stdin!.on('error', () => {});
    child.stderr!.setEncoding('utf8');
    child.stderr!.on('data', (text: string) => {
      this.options.onWorkerOutput?.(name, text);
      this.lastWords.push(...text.trimEnd().split('\n'));
      this.lastWords.splice(0, Math.max(0, this.lastWords.length - 20));
    });
    const exited = new Promise<void>((resolve) => {
      const gone = () => {
        resolve();
        if (this.running.get(name)?.process !== child) return;
        this.running.delete(name);
        this.restart(name, Date.now() - began);
      };
      child.once('exit', gone);
      child.once('error', gone);
    });
    this.running.set(name, { process: child, exited });
  }

  private threadsOfWorker(): number {
    return Math.max(1, Math.floor(availableParallelism() / Math.max(1, this.options.workers)));
  }

  /** A worker that ends as soon as it starts, or before all have joined, is given up after a few times. */
  private restart(name: string, lived: number): void {
    const isQuick = lived < quickExitMs || !this.started;
    if (this.closing !== undefined || this.options.restart === false)
      return void (this.failures += isQuick ? 1 : 0);
    this.failures = isQuick ? this.failures + 1 : 0;
    if (this.failures >= quickExits) return;
    const timer = setTimeout(() => {
      this.restarts.delete(timer);
      if (this.closing === undefined) this.spawn(name);
    }, restartDelayMs);
    this.restarts.add(timer);
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    for (const timer of this.restarts) clearTimeout(timer);
    const workers = [...this.running.values()];
    this.client?.close();
    await this.scheduler?.stop('the local cluster is closed');
    for (const { process } of workers) process.stdin?.end();
    const patience = setTimeout(() => {
      for (const { process } of workers) process.kill('SIGKILL');
    }, 3_000);
    await Promise.all(workers.map(({ exited }) => exited));
    clearTimeout(patience);
    process.off('exit', this.onExit);
    if (this.temporary) rmSync(this.directory, { recursive: true, force: true });
    else rmSync(join(this.directory, 'cache'), { recursive: true, force: true });
  }
}
