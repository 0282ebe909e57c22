// The table where offers and pulls of one process meet. It moves no bytes: a taker gets the offered bytes themselves and
// says when it has read them. Every key belongs to a scope (a job at an epoch); dropping the scope rejects all that waits
// in it, so nothing outlives a placement.
import { TransferError } from '../errors.ts';

interface Offer {
  readonly bytes: Uint8Array;
  readonly done: () => void;
  readonly failed: (reason: Error) => void;
  taken: boolean;
}

interface Taker {
  readonly found: (taken: Taken) => void;
  readonly failed: (reason: Error) => void;
}

export interface Taken {
  readonly bytes: Uint8Array;
  /** The bytes have been read: the offer is over. */
  release(): void;
  /** The bytes could not be delivered: the offer stands again, for the next pull of the same key. */
  restore(): void;
}

interface Scope {
  readonly offers: Map<string, Offer>;
  readonly takers: Map<string, Taker>;
}

export class Rendezvous {
  private readonly scopes = new Map<string, Scope>();

  /** Resolves when the bytes have been taken and released. */
  offer(scopeName: string, key: string, bytes: Uint8Array): Promise<void> {
    const scope = this.scope(scopeName);
    if (scope.offers.has(key)) return Promise.reject(new TransferError(`'${key}' is offered twice`));
    return new Promise((resolve, reject) => {
      const offer: Offer = {
        bytes,
        done: () => {
          scope.offers.delete(key);
          resolve();
        },
        failed: reject,
        taken: false,
      };
      scope.offers.set(key, offer);
      this.match(scope, key);
    });
  }

  /** Resolves as soon as the key is offered. One taker a key at a time; a signal gives the wait up. */
  take(scopeName: string, key: string, signal?: AbortSignal): Promise<Taken> {
    const scope = this.scope(scopeName);
    if (scope.takers.has(key)) return Promise.reject(new TransferError(`'${key}' is pulled twice`));
    return new Promise((resolve, reject) => {
      const abort = () => {
        if (scope.takers.get(key) !== taker) return;
        scope.takers.delete(key);
        reject(new TransferError(`the pull of '${key}' was cancelled`));
      };
      const taker: Taker = {
        found: (taken) => {
          signal?.removeEventListener('abort', abort);
          resolve(taken);
        },
        failed: (reason) => {
          signal?.removeEventListener('abort', abort);
          reject(reason);
        },
      };
      if (signal?.aborted) return reject(new TransferError(`the pull of '${key}' was cancelled`));
      signal?.addEventListener('abort', abort, { once: true });
      scope.takers.set(key, taker);
      this.match(scope, key);
    });
  }

  private match(scope: Scope, key: string): void {
    const offer = scope.offers.get(key);
    const taker = scope.takers.get(key);
    if (offer === undefined || taker === undefined || offer.taken) return;
    offer.taken = true;
    scope.takers.delete(key);
    taker.found({
      bytes: offer.bytes,
      release: offer.done,
      restore: () => {
        offer.taken = false;
        this.match(scope, key);
      },
    });
  }

  /** Rejects all that waits in the scope and forgets it. */
  drop(scopeName: string, reason: Error): void {
    const scope = this.scopes.get(scopeName);
    if (scope === undefined) return;
    this.scopes.delete(scopeName);
    for (const offer of scope.offers.values()) offer.failed(reason);
    for (const taker of scope.takers.values()) taker.failed(reason);
    scope.offers.clear();
    scope.takers.clear();
  }

  /** How many offers and pulls are waiting, for tests and reports. */
  get size(): { readonly offers: number; readonly takers: number } {
    let offers = 0;
    let takers = 0;
    for (const scope of this.scopes.values()) {
      offers += scope.offers.size;
      takers += scope.takers.size;
    }
    return { offers, takers };
  }

  private scope(name: string): Scope {
    let scope = this.scopes.get(name);
    if (scope === undefined) this.scopes.set(name, (scope = { offers: new Map(), takers: new Map() }));
    return scope;
  }
}

/** The key of a transfer within its scope: the same key may be used in both directions. */
export const transferKey = (from: number, to: number, key: string): string => `${from}>${to} ${key}`;
