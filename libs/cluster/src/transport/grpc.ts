// The transport between processes. A worker has one BulkExchange: a table of what its logical devices offer, a Bulk service
// that others pull from, and channels to the peers it pulls from. Pulls within the process are plain copies. A pull waits on
// the server until its key is offered; when the receiver goes away the offer stands again, when the epoch ends the pull is
// refused, so nothing is kept for anybody who does not come.
import type * as grpc from '@grpc/grpc-js';
import { ConnectionError, StaleEpochError, TransferError } from '../errors.ts';
import type { BulkHandlers } from '../proto/weft/v1/Bulk.generated.ts';
import type { PullRequest__Output } from '../proto/weft/v1/PullRequest.generated.ts';
import { LocalTransport, sizeMismatch } from './in-memory.ts';
import { Rendezvous, transferKey } from './rendezvous.ts';
import type { Epoch } from './transport.ts';
import { compareEpochs, epochToString } from './transport.ts';
import type { Client } from './grpc-library.ts';
import { grpcLibrary, wire } from './grpc-library.ts';
import { channelCredentials, channelOptions, chunksOf, connected, writeAll } from './wire.ts';

type BulkClient = Client<'Bulk'>;

/** Where the logical devices of a job are: their Bulk addresses. */
export type PeerAddresses = ReadonlyMap<number, string>;

export interface ExchangeOptions {
  /** The address that peers are told; a peer with the same one is in this process. */
  readonly address: string;
  /** How long a connection may take. Default 10 s. */
  readonly connectTimeoutMs?: number;
}

export class BulkExchange {
  readonly rendezvous = new Rendezvous();
  private readonly open = new Map<string, GrpcTransport>();
  private readonly newest = new Map<string, Epoch>();
  private readonly clients = new Map<string, Promise<BulkClient>>();
  private closed = false;

  constructor(readonly options: ExchangeOptions) {}

  /** The Bulk service, to be added to the worker's server. */
  readonly handlers: BulkHandlers = { Pull: (call) => void this.serve(call) };

  /**
   * A transport for one logical device. A newer epoch of a job cancels the transports of older ones; an older one throws
   * StaleEpochError.
   */
  transport(job: string, epoch: Epoch, device: number, peers: PeerAddresses): GrpcTransport {
    const newest = this.newest.get(job);
    if (newest !== undefined && compareEpochs(epoch, newest) < 0)
      throw new StaleEpochError(
        `epoch ${epochToString(epoch)} of job '${job}' is over: ${epochToString(newest)} has begun`,
      );
    if (newest !== undefined && compareEpochs(epoch, newest) > 0)
      this.cancelJob(job, new StaleEpochError(`epoch ${epochToString(newest)} of job '${job}' is over`));
    this.newest.set(job, epoch);
    const transport = new GrpcTransport(this, device, epoch, job, peers);
    this.open.set(this.name(job, epoch, device), transport);
    return transport;
  }

  /** Cancels all transports of a job. */
  cancelJob(job: string, reason: Error): void {
    for (const transport of [...this.open.values()]) if (transport.job === job) transport.cancel(reason);
  }

  /** Forgets a job that will not come back. */
  forget(job: string): void {
    this.cancelJob(job, new TransferError(`job '${job}' is over`));
    this.newest.delete(job);
  }

  /** @internal */
  closedTransport(transport: GrpcTransport): void {
    this.open.delete(this.name(transport.job, transport.epoch, transport.device));
  }

  close(): void {
    this.closed = true;
    for (const transport of [...this.open.values()])
      transport.cancel(new TransferError('the worker shuts down'));
    for (const client of this.clients.values()) client.then((c) => c.close()).catch(() => {});
    this.clients.clear();
  }

  private name(job: string, epoch: Epoch, device: number): string {
    return `${job}@${epochToString(epoch)}#${device}`;
  }

  /** @internal A connected client of a peer; one channel a peer for all jobs. */
  client(address: string): Promise<BulkClient> {
    const known = this.clients.get(address);
    if (known !== undefined) return known;
    const { connectTimeoutMs = 10_000 } = this.options;
    const client = new (wire().Bulk)(address, channelCredentials(), channelOptions);
    const ready = connected(
      client,
      address,
      connectTimeoutMs,
      'another worker',
      'check that its --bulk-host is reachable from here',
    ).then(
      () => client,
      (error: unknown) => {
        this.clients.delete(address);
        client.close();
        throw error;
      },
    );
    this.clients.set(address, ready);
    return ready;
  }

  /** @internal Peers come and go on the same address; a broken channel is not kept. */
  dropClient(address: string): void {
    const client = this.clients.get(address);
    this.clients.delete(address);
    client?.then((c) => c.close()).catch(() => {});
  }

  private async serve(call: grpc.ServerWritableStream<PullRequest__Output, { data: Buffer }>): Promise<void> {
    const { job, epoch, from, to, key, size } = call.request;
    const scopeEpoch = epoch ?? { leader: 0, generation: 0 };
    if (this.closed || !this.open.has(this.name(job, scopeEpoch, from))) {
      const newest = this.newest.get(job);
      return void call.emit(
        'error',
        Object.assign(new Error(), {
          code: grpcLibrary().status.FAILED_PRECONDITION,
          details: `epoch ${epochToString(scopeEpoch)} of job '${job}' has no device ${from} here (newest: ${
            newest === undefined ? 'none' : epochToString(newest)
          })`,
        }),
      );
    }
    const gone = new AbortController();
    call.on('cancelled', () => gone.abort());
    const scope = `${job}@${epochToString(scopeEpoch)}`;
    try {
      const taken = await this.rendezvous.take(scope, transferKey(from, to, key), gone.signal);
      try {
        if (taken.bytes.byteLength !== size) throw sizeMismatch(key, from, taken.bytes.byteLength, size);
        await writeAll(call, messages(taken.bytes), () => gone.signal.aborted);
      } catch (error) {
        taken.restore();
        throw error;
      }
      if (gone.signal.aborted) taken.restore();
      else taken.release();
    } catch (error) {
      if (gone.signal.aborted) return;
      const details = error instanceof Error ? error.message : String(error);
      call.emit('error', Object.assign(new Error(), { code: grpcLibrary().status.ABORTED, details }));
    }
  }
}

/** Copies each piece: gRPC frames it later, when the sender may have changed the memory. */
function* messages(bytes: Uint8Array): Generator<{ data: Buffer }, void> {
  for (const chunk of chunksOf(bytes)) yield { data: Buffer.from(chunk) };
}

export class GrpcTransport extends LocalTransport {
  private over: Error | undefined;
  private readonly calls = new Set<grpc.ClientReadableStream<unknown>>();

  /** @internal Made by BulkExchange.transport. */
  constructor(
    private readonly exchange: BulkExchange,
    device: number,
    epoch: Epoch,
    job: string,
    private readonly peers: PeerAddresses,
  ) {
    super(exchange.rendezvous, device, epoch, job);
  }

  override async pull(peer: number, key: string, into: Uint8Array): Promise<void> {
    if (this.over) throw this.over;
    const address = this.peers.get(peer);
    if (address === undefined)
      throw new TransferError(`job '${this.job}' has no device ${peer} to pull '${key}' from`);
    if (address === this.exchange.options.address) return super.pull(peer, key, into);
    const client = await this.exchange.client(address);
    if (this.over) throw this.over;
    try {
      await this.stream(client, peer, key, into);
    } catch (error) {
      if (this.over) throw this.over;
      if (error instanceof ConnectionError) this.exchange.dropClient(address);
      throw error;
    }
  }

  private stream(client: BulkClient, peer: number, key: string, into: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const { job, epoch, device } = this;
      const call = client.pull({ job, epoch, from: peer, to: device, key, size: into.byteLength });
      this.calls.add(call);
      let received = 0;
      call.on('data', ({ data }: { data: Buffer }) => {
        if (received + data.byteLength <= into.byteLength) into.set(data, received);
        received += data.byteLength;
      });
      call.on('end', () => {
        this.calls.delete(call);
        if (received === into.byteLength) return resolve();
        // An error, if there is one, comes after the end.
        setImmediate(() => reject(sizeMismatch(key, peer, received, into.byteLength)));
      });
      call.on('error', (error: grpc.ServiceError) => {
        this.calls.delete(call);
        const text = `pull of '${key}' from device ${peer} (${this.peers.get(peer)}): ${error.details}`;
        reject(
          error.code === grpcLibrary().status.UNAVAILABLE
            ? new ConnectionError(text)
            : new TransferError(text),
        );
      });
    });
  }

  override cancel(reason: Error): void {
    if (this.over) return;
    this.over =
      reason instanceof StaleEpochError
        ? reason
        : new TransferError(reason.message, undefined, { cause: reason });
    super.cancel(this.over);
    for (const call of this.calls) call.cancel();
    this.calls.clear();
    this.exchange.closedTransport(this);
  }
}
