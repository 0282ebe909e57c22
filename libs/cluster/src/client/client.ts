// The cluster as programs see it: submit a job, watch it, run an inference, fetch the state. One gRPC channel; every call has
// errors that name the scheduler's address.
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type * as grpc from '@grpc/grpc-js';
import type { TensorLiteral } from '@weft/ir';
import { BlobStore } from '../store/file-store.ts';
import { temporaryFolder } from '../store/temporary-folder.ts';
import { SafetensorsFile, writeSafetensors } from '@weft/tensor';
import { ClusterError, ConnectionError, JobFailedError } from '../errors.ts';
import type { JobEvent__Output } from '../proto/weft/v1/JobEvent.generated.ts';
import type { StatusResponse__Output } from '../proto/weft/v1/StatusResponse.generated.ts';
import type { JobReport, JobSpec } from '../scheduler/job.ts';
import {
  channelCredentials,
  channelOptions,
  chunkBytes,
  chunksOf,
  connected,
  ownTensorsFromWire,
  tensorsToWire,
  writeAll,
} from '../transport/wire.ts';
import type { Client } from '../transport/grpc-library.ts';
import { grpcLibrary, wire } from '../transport/grpc-library.ts';

export type ClusterStatus = StatusResponse__Output;

/** A report of a job, with the results of its step. */
export interface JobProgress {
  readonly number: number;
  readonly time: number;
  readonly report: JobReport;
  readonly results: ReadonlyMap<string, TensorLiteral>;
}

/** A job without the names that the client makes up. */
export type NewJob = Omit<JobSpec, 'id'> & { readonly id?: string };

export interface ConnectOptions {
  /** How long the scheduler is tried. Default 5 s. */
  readonly timeoutMs?: number;
}

export class ClusterClient {
  private constructor(
    readonly address: string,
    private readonly client: Client<'Client'>,
    private readonly options: ConnectOptions,
  ) {}

  /** Throws ConnectionError naming the address, how long was tried, and the remedy. */
  static async connect(address: string, options: ConnectOptions = {}): Promise<ClusterClient> {
    const client = new (wire().Client)(address, channelCredentials(), channelOptions);
    const remedy = "check the address and that 'weft scheduler' or 'weft up' runs there";
    try {
      await connected(client, address, options.timeoutMs ?? 5_000, 'the scheduler', remedy);
    } catch (error) {
      client.close();
      throw error;
    }
    return new ClusterClient(address, client, options);
  }

  /** Keeps bytes, or the content of a file, with the scheduler. Returns the hash that jobs name it by. */
  async putBlob(content: Uint8Array | { readonly path: string }): Promise<string> {
    return new Promise((resolve, reject) => {
      const call = this.client.putBlob((error, response) =>
        error === null ? resolve(response!.hash) : reject(this.explain(error)),
      );
      const messages = content instanceof Uint8Array ? inMemory(content) : ofFile(content.path);
      writeAll(call, messages).catch((error: unknown) => {
        call.cancel();
        reject(error);
      });
    });
  }

  /** Keeps tensors as one safetensors blob: the initial state of a job, or a data set of rows. */
  putTensors(tensors: ReadonlyMap<string, TensorLiteral>): Promise<string> {
    return this.putBlob(writeSafetensors(tensors));
  }

  /** Returns the job's id. Submitting the same id again changes nothing. */
  async submit(job: NewJob): Promise<string> {
    const spec: JobSpec = { ...job, id: job.id ?? `job-${randomBytes(4).toString('hex')}` };
    return new Promise((resolve, reject) => {
      this.client.submit({ job: JSON.stringify(spec) }, soon(), (error, response) =>
        error === null ? resolve(response!.job) : reject(this.explain(error)),
      );
    });
  }

  /**
   * Reports of a job from its first on, until it is over; the last is done, failed or cancelled. A scheduler that is away for a
   * while is connected to again, and no step is reported twice.
   */
  async *watch(job: string): AsyncGenerator<JobProgress, void> {
    let seen = 0;
    let step = 0;
    let leader: number | undefined;
    for (;;) {
      const call = this.client.watch({ job, after: seen });
      try {
        for await (const event of call as AsyncIterable<JobEvent__Output>) {
          const progress = progressOf(event);
          seen = progress.number;
          const { report } = progress;
          if (report.kind === 'step') {
            if (report.step <= step) continue;
            step = report.step;
          }
          yield progress;
          if (report.kind === 'done' || report.kind === 'failed' || report.kind === 'cancelled') return;
        }
        throw new ConnectionError(`the scheduler at ${this.address} ended the reports of job '${job}'`);
      } catch (error) {
        const lost =
          error instanceof ConnectionError ||
          (error as grpc.ServiceError).code === grpcLibrary().status.UNAVAILABLE;
        if (!lost) throw this.explain(error as grpc.ServiceError);
        await this.reconnected();
        const now = (await this.status()).leader;
        // Another scheduler numbers its reports anew.
        if (now !== leader) seen = 0;
        leader = now;
      } finally {
        call.cancel();
      }
    }
  }

  /** Waits for the end of a job. Throws JobFailedError with its error. */
  async finished(job: string, each: (progress: JobProgress) => void = () => {}): Promise<JobReport> {
    for await (const progress of this.watch(job)) {
      each(progress);
      const { report } = progress;
      if (report.kind === 'failed') throw new JobFailedError(job, report.error);
      if (report.kind === 'cancelled') throw new JobFailedError(job, 'it was cancelled');
      if (report.kind === 'done') return report;
    }
    throw new ClusterError(`the reports of job '${job}' ended before the job`);
  }

  /** Runs the plan of a serving job once: whole inputs in, results out. Waits while the job is being placed. */
  async run(
    job: string,
    inputs: ReadonlyMap<string, TensorLiteral>,
    timeoutMs?: number,
  ): Promise<Map<string, TensorLiteral>> {
    const options = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
    return new Promise((resolve, reject) => {
      this.client.run({ job, inputs: tensorsToWire(inputs) }, options, (error, response) =>
        error === null ? resolve(ownTensorsFromWire(response!.results)) : reject(this.explain(error)),
      );
    });
  }

  async cancel(job: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.client.cancel({ job }, soon(), (error) =>
        error === null ? resolve() : reject(this.explain(error)),
      );
    });
  }

  async status(): Promise<ClusterStatus> {
    return new Promise((resolve, reject) => {
      this.client.status({}, soon(), (error, response) =>
        error === null ? resolve(response!) : reject(this.explain(error)),
      );
    });
  }

  /** Waits until `count` devices have joined. Throws ConnectionError after the time limit. */
  async devicesReady(count: number, timeoutMs = 30_000): Promise<void> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const { workers } = await this.status();
      const devices = workers.reduce((sum, worker) => sum + worker.devices.length, 0);
      if (devices >= count) return;
      if (Date.now() > end)
        throw new ConnectionError(
          `${devices} of ${count} devices have joined the scheduler at ${this.address} within ${timeoutMs / 1000} s`,
        );
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** The values of a job's newest checkpoint, whole, by name. */
  async state(job: string): Promise<Map<string, TensorLiteral>> {
    const folder = temporaryFolder('state');
    try {
      const blobs = new BlobStore(folder);
      const call = this.client.getState({ job });
      async function* pieces(): AsyncGenerator<Uint8Array, void> {
        for await (const { data } of call as AsyncIterable<{ data: Buffer }>) yield data;
      }
      const file = SafetensorsFile.open(blobs.find(await blobs.put(pieces()))!);
      try {
        return new Map([...file.entries.keys()].map((name) => [name, file.read(name)]));
      } finally {
        file.close();
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Ends the scheduler, and the workers with it. */
  async shutdown(workers = true): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.client.shutdown({ workers }, soon(), (error) =>
        error === null ? resolve() : reject(this.explain(error)),
      );
    });
  }

  close(): void {
    this.client.close();
  }

  private async reconnected(): Promise<void> {
    const timeout = Math.max(30_000, this.options.timeoutMs ?? 0);
    await connected(this.client, this.address, timeout, 'the scheduler', 'has it been stopped?');
  }

  private explain(error: grpc.ServiceError | Error): Error {
    if (!('code' in error)) return error;
    const text = error.details || error.message;
    return error.code === grpcLibrary().status.UNAVAILABLE
      ? new ConnectionError(`the scheduler at ${this.address} is gone: ${text}`)
      : new ClusterError(text);
  }
}

/** The deadline of calls that are answered at once. */
const soon = (): grpc.CallOptions => ({ deadline: Date.now() + 30_000 });

function* inMemory(bytes: Uint8Array): Generator<{ data: Buffer }, void> {
  for (const data of chunksOf(bytes)) yield { data };
}

async function* ofFile(path: string): AsyncGenerator<{ data: Buffer }, void> {
  for await (const data of createReadStream(path, { highWaterMark: chunkBytes }))
    yield { data: data as Buffer };
}

const progressOf = (event: JobEvent__Output): JobProgress => ({
  number: event.number,
  time: event.time,
  report: JSON.parse(event.report) as JobReport,
  results: ownTensorsFromWire(event.results),
});

/** The hash that `putBlob` will give these bytes. */
export const blobHash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
