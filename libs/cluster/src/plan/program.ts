// What a worker is given: core graphs, where values live between them, and lists of actions. Schedules are data: they print,
// are compared with golden files, and are checked for deadlock before anything runs. A device never sees a collective
// or a transfer: graphs are cut there and the worker does them between two runs.
import type { TensorSpec } from '@weft/ir';

/**
 * Names a value a worker holds. Persistent slots (parameters, optimizer state) keep their value from step to step; all
 * others live within one step and are freed after their last use.
 */
export type Slot = string;

export interface PersistentSlot {
  readonly slot: Slot;
  readonly spec: TensorSpec;
  /** Name of the whole value in checkpoints (`layers.0.weight`, `adam.exp_avg.layers.0.weight`). */
  readonly name: string;
  /** Which part of the whole value this device holds: start and size of each dimension. */
  readonly whole: TensorSpec;
  readonly start: readonly number[];
}

/**
 * Inputs of a step that are not rows of the batch, by these names: `lr` (float64, the learning rate), `step` (float64, the
 * number of this update from 1) and `rng` (uint64[2 × micro-batches], a Philox key and counter for each).
 */
export const stepInputs = { learningRate: 'lr', step: 'step', random: 'rng' } as const;

/** Which part of a batch input (by its name) this device needs for a micro-batch: rows `start … start + size` of dimension 0. */
export interface BatchInput {
  readonly slot: Slot;
  readonly input: string;
  readonly microBatch: number;
  readonly spec: TensorSpec;
  readonly start: number;
}

export type Action =
  /** Runs `graph` (a name in Program.graphs). Outputs may name persistent slots: they are replaced. */
  | {
      readonly kind: 'run';
      readonly graph: string;
      readonly inputs: readonly Slot[];
      readonly outputs: readonly Slot[];
      readonly label?: string;
    }
  /** Offers the value under `key` to `peer` (a logical device), which pulls it. */
  | { readonly kind: 'send'; readonly slot: Slot; readonly peer: number; readonly key: string }
  | {
      readonly kind: 'recv';
      readonly slot: Slot;
      readonly peer: number;
      readonly key: string;
      readonly spec: TensorSpec;
    }
  /** Reduces each of `slots` over the group, all in one exchange; results replace them, or go to `outputs` where given. */
  | {
      readonly kind: 'all_reduce';
      readonly slots: readonly Slot[];
      readonly outputs?: readonly Slot[];
      readonly group: readonly number[];
      readonly reduction: 'sum' | 'max' | 'min' | 'prod';
      readonly key: string;
    }
  | {
      readonly kind: 'all_gather';
      readonly slot: Slot;
      readonly output: Slot;
      readonly dimension: number;
      readonly group: readonly number[];
      readonly key: string;
    }
  | {
      readonly kind: 'reduce_scatter';
      readonly slot: Slot;
      readonly output: Slot;
      readonly dimension: number;
      readonly group: readonly number[];
      readonly reduction: 'sum' | 'max' | 'min' | 'prod';
      readonly key: string;
    };

/** One logical device's share of a plan. */
export interface Program {
  /** Logical device number, and its coordinate on each mesh axis. */
  readonly device: number;
  readonly coordinate: Readonly<Record<string, number>>;
  /** Core graphs by name, in IR text form when shipped. */
  readonly graphs: Readonly<Record<string, string>>;
  readonly persistent: readonly PersistentSlot[];
  readonly batchInputs: readonly BatchInput[];
  /** What a step does, in order. Keys of transfers are unique within a step. */
  readonly actions: readonly Action[];
  /** Values reported at the end of a step (loss, generated logits): slot and public name. Each name is reported by one device. */
  readonly results: readonly { readonly slot: Slot; readonly name: string; readonly spec: TensorSpec }[];
  /** Bytes: persistent, and the peak of the others during a step. */
  readonly memory: { readonly persistent: number; readonly peak: number };
}

/** A planned job: one program a logical device. */
export interface Plan {
  readonly mesh: Readonly<Record<string, number>>;
  readonly microBatches: number;
  readonly schedule: 'gpipe' | '1f1b';
  readonly programs: readonly Program[];
  /** Full batch inputs of one step: name and spec of the whole batch. */
  readonly inputs: readonly { readonly name: string; readonly spec: TensorSpec }[];
}
