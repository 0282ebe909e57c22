// How values get from one logical device to another: the owner offers a value under a key, the receiver pulls it by that
// key. A pull may come before its offer (TensorFlow's rendezvous). A transport belongs to one logical device of one
// job at one epoch; when a newer epoch begins, the old transport is cancelled and everything it holds is dropped.

/** Names one placement of a job: a later leader or a later generation makes earlier ones stale. */
export interface Epoch {
  /** Which scheduler, counted by the store. */
  readonly leader: number;
  /** Which placement of the job, counted by that scheduler. */
  readonly generation: number;
}

/** Negative, zero or positive as `a` is older than, the same as or newer than `b`. */
export const compareEpochs = (a: Epoch, b: Epoch): number =>
  a.leader !== b.leader ? a.leader - b.leader : a.generation - b.generation;

export const epochToString = (epoch: Epoch): string => `${epoch.leader}.${epoch.generation}`;

export interface Transport {
  /** The logical device that sends and receives here. */
  readonly device: number;
  readonly epoch: Epoch;
  /**
   * Offers `bytes` to `peer` under `key`. The bytes must not change until the promise resolves, which it does when they
   * have been pulled; it rejects with TransferError when the transport is cancelled first. Keys are used once.
   */
  offer(peer: number, key: string, bytes: Uint8Array): Promise<void>;
  /**
   * Fills `into` with what `peer` offers under `key`, waiting for the offer as long as it takes. Rejects with
   * TransferError when cancelled, when the peer is gone, or when the sizes differ.
   */
  pull(peer: number, key: string, into: Uint8Array): Promise<void>;
  /** Rejects everything under way with `reason` and drops all offers. Later calls reject too. */
  cancel(reason: Error): void;
}
