// One session: a logical device of a job on a device of this worker, obeying one command at a time. It runs wherever a message
// port leads: in a thread of the worker's pool (session-thread.ts), or in the same thread in tests.
import type { MessagePort } from 'node:worker_threads';
import type { Device, DeviceOptions } from '@weft/devices';
import { BatchReader, stepValues } from '../batch/source.ts';
import type { BatchSource } from '../batch/source.ts';
import { openCheckpoint, openWholeState, writeShards } from '../checkpoint/manifest.ts';
import { ClusterError, TransferError, asError } from '../errors.ts';
import type { Program } from '../plan/program.ts';
import type { Batch } from '../runner/program-runner.ts';
import { ProgramRunner } from '../runner/program-runner.ts';
import { ProgressCounters } from '../runner/progress.ts';
import type { Answer } from '../scheduler/protocol.ts';
import type { Epoch } from '../transport/transport.ts';
import { TensorLiteral } from '@weft/ir';
import type { DType } from '@weft/ir';
import type { TransferReply } from './port-transport.ts';
import { handOver } from './hand-over.ts';
import { PortTransport } from './port-transport.ts';

/** What a session begins with. Structured-cloneable. */
export interface SessionStart {
  readonly worker: string;
  readonly job: string;
  readonly epoch: Epoch;
  readonly program: Program;
  readonly device: DeviceChoice;
  readonly progress: Int32Array;
  readonly checkFinite: boolean;
  readonly source?: BatchSource;
  /** Where the blob of the source is. */
  readonly dataPath?: string;
}

/** Which device of this machine; opened by the thread that uses it. */
export interface DeviceChoice {
  /** Names in the user's order: the first is the device, the others take what it does not support. */
  readonly names: readonly string[];
  /** Which of the first one's devices. */
  readonly index: number;
  readonly options: DeviceOptions;
}

export interface WireTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** What the main thread tells a session. */
export type SessionCommand =
  | { readonly kind: 'load'; readonly checkpoint: string }
  | { readonly kind: 'load'; readonly path: string; readonly zeros: readonly string[] }
  | { readonly kind: 'run-step'; readonly step: number; readonly inputs?: readonly WireTensor[] }
  | {
      readonly kind: 'checkpoint';
      readonly step: number;
      readonly folder: string;
      readonly slots: readonly string[];
    }
  | { readonly kind: 'end'; readonly reason: string }
  | TransferReply;

/** What a session says of itself; results as plain objects, since classes do not cross threads. */
export type SessionAnswer = { readonly kind: 'answer'; readonly answer: CloneableAnswer };
export type CloneableAnswer =
  | Exclude<Answer, { kind: 'step-done' }>
  | { readonly kind: 'step-done'; readonly results: readonly WireTensor[]; readonly milliseconds: number };

/** Serves the port until it is told to end. Never rejects: failures are answers. */
export async function runSession(
  start: SessionStart,
  port: MessagePort,
  openDevice: (choice: DeviceChoice) => Promise<Device>,
): Promise<void> {
  const transport = new PortTransport(port, start.program.device, start.epoch);
  const say = (answer: CloneableAnswer) => handOver(port, { kind: 'answer', answer });
  let session: Session | undefined;
  let working: Promise<void> = Promise.resolve();
  const work = (does: () => Promise<CloneableAnswer>) => {
    working = working.then(async () => {
      try {
        say(await does());
      } catch (error) {
        const { name, message } = asError(error);
        say({ kind: 'failed', error: message, errorKind: name });
      }
    });
  };

  await new Promise<void>((ended) => {
    port.on('message', (command: SessionCommand) => {
      switch (command.kind) {
        case 'transferred':
          return transport.replied(command);
        case 'end':
          transport.cancel(new TransferError(command.reason));
          // Whatever is under way ends at its next action; then the thread is free.
          return void working.then(ended);
        default:
          return work(async () => {
            if (session === undefined) throw new ClusterError('the session has not begun');
            return session.obey(command);
          });
      }
    });
    port.on('close', () => {
      transport.cancel(new TransferError('the worker shuts down'));
      void working.then(ended);
    });
    work(async () => {
      session = new Session(start, await openDevice(start.device), transport);
      return { kind: 'registered' };
    });
  });
  session?.close();
  port.close();
}

class Session {
  private readonly runner: ProgramRunner;
  private readonly reader: BatchReader | undefined;

  constructor(
    private readonly start: SessionStart,
    device: Device,
    transport: PortTransport,
  ) {
    this.runner = new ProgramRunner(start.program, device, transport, {
      worker: start.worker,
      checkFinite: start.checkFinite,
      progress: new ProgressCounters(start.progress),
    });
    if (start.source !== undefined && start.dataPath !== undefined)
      this.reader = new BatchReader(start.source, start.dataPath);
  }

  async obey(command: Exclude<SessionCommand, { kind: 'end' | 'transferred' }>): Promise<CloneableAnswer> {
    switch (command.kind) {
      case 'load': {
        const state =
          'checkpoint' in command
            ? openCheckpoint(command.checkpoint)
            : openWholeState(command.path, new Set(command.zeros));
        try {
          await this.runner.load((slot) => state.read(slot));
        } finally {
          state.close();
        }
        return { kind: 'loaded' };
      }
      case 'run-step': {
        const began = performance.now();
        const results = await this.runner.run(command.step, this.batch(command.step, command.inputs));
        return {
          kind: 'step-done',
          milliseconds: performance.now() - began,
          results: [...results].map(([name, { dtype, shape, bytes }]) => ({ name, dtype, shape, bytes })),
        };
      }
      case 'checkpoint': {
        const wanted = new Set(command.slots);
        const slots = this.start.program.persistent.filter(({ slot }) => wanted.has(slot));
        const { device } = this.start.program;
        const file = await writeShards(command.folder, device, this.start.epoch, slots, ({ slot }) =>
          this.runner.read(slot),
        );
        return file === undefined ? { kind: 'checkpoint-done' } : { kind: 'checkpoint-done', file };
      }
      default:
        return command satisfies never;
    }
  }

  /** What the source makes of the step, and over it what the command brought. */
  private batch(step: number, given: readonly WireTensor[] = []): Batch {
    const batch = new Map(this.reader?.batch(step) ?? stepValues({ seed: 0 }, step));
    for (const { name, dtype, shape, bytes } of given)
      batch.set(name, new TensorLiteral(dtype, shape, bytes));
    return batch;
  }

  close(): void {
    this.runner.close();
    this.reader?.close();
  }
}
