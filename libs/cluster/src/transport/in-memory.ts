// A transport between logical devices of one process: tests, single-process runs of a plan, and the oracle for the others.
import { StaleEpochError, TransferError } from '../errors.ts';
import { Rendezvous, transferKey } from './rendezvous.ts';
import type { Epoch, Transport } from './transport.ts';
import { epochToString } from './transport.ts';

/** Joins any number of in-memory transports; one network serves many jobs and epochs. */
export class InMemoryNetwork {
  readonly rendezvous = new Rendezvous();

  transport(device: number, epoch: Epoch = { leader: 1, generation: 1 }, job = 'job'): Transport {
    return new LocalTransport(this.rendezvous, device, epoch, job);
  }
}

/** Offers and pulls within one rendezvous table. */
export class LocalTransport implements Transport {
  private cancelled: Error | undefined;
  protected readonly scope: string;

  constructor(
    protected readonly rendezvous: Rendezvous,
    readonly device: number,
    readonly epoch: Epoch,
    readonly job: string,
  ) {
    this.scope = `${job}@${epochToString(epoch)}`;
  }

  async offer(peer: number, key: string, bytes: Uint8Array): Promise<void> {
    if (this.cancelled) throw this.cancelled;
    return this.rendezvous.offer(this.scope, transferKey(this.device, peer, key), bytes);
  }

  async pull(peer: number, key: string, into: Uint8Array): Promise<void> {
    if (this.cancelled) throw this.cancelled;
    const taken = await this.rendezvous.take(this.scope, transferKey(peer, this.device, key));
    if (taken.bytes.byteLength !== into.byteLength) {
      taken.restore();
      throw sizeMismatch(key, peer, taken.bytes.byteLength, into.byteLength);
    }
    into.set(taken.bytes);
    taken.release();
  }

  cancel(reason: Error): void {
    if (this.cancelled) return;
    this.cancelled =
      reason instanceof StaleEpochError
        ? reason
        : new TransferError(reason.message, undefined, { cause: reason });
    this.rendezvous.drop(this.scope, this.cancelled);
  }
}

export const sizeMismatch = (key: string, peer: number, offered: number, expected: number): TransferError =>
  new TransferError(
    `device ${peer} offers ${offered} bytes under '${key}' where ${expected} are expected: the two run different plans`,
  );
