// What the scheduler and a worker say to each other, as plain data. control-wire.ts turns it into protobuf and back.
import type { TensorLiteral } from '@weft/ir';
import type { BatchSource } from '../batch/source.ts';
import type { ShardFile } from '../checkpoint/manifest.ts';
import type { Program } from '../plan/program.ts';
import type { Epoch } from '../transport/transport.ts';
import type { DeviceSummary } from './job.ts';

export interface WorkerDescription {
  readonly worker: string;
  readonly version: string;
  readonly bulkAddress: string;
  readonly devices: readonly DeviceSummary[];
  readonly pid: number;
  readonly host: string;
}

export interface Peer {
  readonly device: number;
  readonly worker: string;
  readonly bulkAddress: string;
}

/** Where a load takes its values from. */
export type LoadFrom =
  | { readonly kind: 'blob'; readonly hash: string; readonly zeros: readonly string[] }
  | { readonly kind: 'checkpoint'; readonly folder: string };

/** A command about one logical device of a job; refused when its epoch is over. */
export type JobCommand = { readonly job: string; readonly epoch: Epoch; readonly device: number } & (
  | {
      readonly kind: 'register';
      readonly deviceIndex: number;
      readonly program: Program;
      readonly peers: readonly Peer[];
      readonly source?: BatchSource;
      readonly checkFinite: boolean;
    }
  | { readonly kind: 'load'; readonly from: LoadFrom }
  | { readonly kind: 'run-step'; readonly step: number; readonly inputs?: ReadonlyMap<string, TensorLiteral> }
  | {
      readonly kind: 'checkpoint';
      readonly step: number;
      readonly folder: string;
      readonly slots: readonly string[];
    }
  | { readonly kind: 'release' }
);

export type Command =
  | JobCommand
  | { readonly kind: 'welcome'; readonly leader: number; readonly heartbeatMs: number }
  | { readonly kind: 'shutdown'; readonly reason: string };

export type Answer =
  | { readonly kind: 'registered' }
  | { readonly kind: 'loaded' }
  | {
      readonly kind: 'step-done';
      readonly results: ReadonlyMap<string, TensorLiteral>;
      readonly milliseconds: number;
    }
  | { readonly kind: 'checkpoint-done'; readonly file?: ShardFile }
  | { readonly kind: 'released' }
  | { readonly kind: 'failed'; readonly error: string; readonly errorKind: string };

/** Progress of one logical device, as heartbeats carry it. */
export interface ReportedProgress {
  readonly job: string;
  readonly device: number;
  readonly step: number;
  readonly action: number;
  readonly doing: string;
  readonly waitingFor?: number;
  readonly ticks: number;
}

/** Failures that come from a peer or the network rather than from the job: the job may succeed elsewhere or again. */
export const isTransient = (errorKind: string): boolean =>
  errorKind === 'TransferError' || errorKind === 'ConnectionError' || errorKind === 'StaleEpochError';
