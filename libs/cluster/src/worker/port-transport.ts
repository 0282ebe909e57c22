// A transport for a thread: the thread asks over a message port, the main thread answers with its own transport. Tensors are
// in shared memory, so only their places cross; the main thread reads and writes them there.
import type { MessagePort } from 'node:worker_threads';
import { TransferError, messageOf } from '../errors.ts';
import type { Epoch, Transport } from '../transport/transport.ts';

/** What crosses the port for transfers; other messages of the same port have other kinds. */
export type TransferRequest = {
  readonly kind: 'offer' | 'pull';
  readonly id: number;
  readonly peer: number;
  readonly key: string;
  readonly bytes: Uint8Array;
};
export interface TransferReply {
  readonly kind: 'transferred';
  readonly id: number;
  readonly error?: string;
  readonly errorKind?: string;
}

const isShared = (bytes: Uint8Array): boolean =>
  Object.prototype.toString.call(bytes.buffer) === '[object SharedArrayBuffer]';

/** The thread's side. */
export class PortTransport implements Transport {
  private readonly waiting = new Map<number, { done: () => void; failed: (error: Error) => void }>();
  private nextId = 1;
  private cancelled: Error | undefined;

  constructor(
    private readonly port: MessagePort,
    readonly device: number,
    readonly epoch: Epoch,
  ) {}

  offer(peer: number, key: string, bytes: Uint8Array): Promise<void> {
    return this.ask('offer', peer, key, isShared(bytes) ? bytes : shareCopy(bytes));
  }

  async pull(peer: number, key: string, into: Uint8Array): Promise<void> {
    if (isShared(into)) return this.ask('pull', peer, key, into);
    const shared = shareCopy(into);
    await this.ask('pull', peer, key, shared);
    into.set(shared);
  }

  private ask(kind: 'offer' | 'pull', peer: number, key: string, bytes: Uint8Array): Promise<void> {
    if (this.cancelled) return Promise.reject(this.cancelled);
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { done: resolve, failed: reject });
      const request: TransferRequest = { kind, id, peer, key, bytes };
      this.port.postMessage(request);
    });
  }

  /** To be called with every reply that the port brings. */
  replied({ id, error, errorKind }: TransferReply): void {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (error === undefined) return waiting?.done();
    const failure = new TransferError(error);
    if (errorKind !== undefined) failure.name = errorKind;
    waiting?.failed(failure);
  }

  cancel(reason: Error): void {
    if (this.cancelled) return;
    this.cancelled = reason;
    for (const { failed } of this.waiting.values()) failed(reason);
    this.waiting.clear();
  }
}

function shareCopy(bytes: Uint8Array): Uint8Array {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.byteLength));
  shared.set(bytes);
  return shared;
}

/** The main thread's side: does what a request asks and posts the reply. */
export async function serveTransfer(
  request: TransferRequest,
  transport: Transport,
  reply: (message: TransferReply) => void,
): Promise<void> {
  const { kind, id, peer, key, bytes } = request;
  try {
    await (kind === 'offer' ? transport.offer(peer, key, bytes) : transport.pull(peer, key, bytes));
    reply({ kind: 'transferred', id });
  } catch (error) {
    const errorKind = error instanceof Error ? error.name : 'Error';
    reply({ kind: 'transferred', id, error: messageOf(error), errorKind });
  }
}
