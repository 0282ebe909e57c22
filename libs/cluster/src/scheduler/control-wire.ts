// Commands and answers as protobuf messages, both ways.
import type { ShardFile } from '../checkpoint/manifest.ts';
import { InternalError } from '@weft/ir';
import type { Program } from '../plan/program.ts';
import type { BatchSource } from '../batch/source.ts';
import type { DeviceDescription__Output } from '../proto/weft/v1/DeviceDescription.generated.ts';
import type { DeviceProgress__Output } from '../proto/weft/v1/DeviceProgress.generated.ts';
import type { Epoch__Output } from '../proto/weft/v1/Epoch.generated.ts';
import type { Hello__Output } from '../proto/weft/v1/Hello.generated.ts';
import type {
  SchedulerMessage,
  SchedulerMessage__Output,
} from '../proto/weft/v1/SchedulerMessage.generated.ts';
import type { WorkerMessage, WorkerMessage__Output } from '../proto/weft/v1/WorkerMessage.generated.ts';
import type { DeviceProgress } from '../proto/weft/v1/DeviceProgress.generated.ts';
import { tensorsFromWire, tensorsToWire } from '../transport/wire.ts';
import type { DeviceSummary } from './job.ts';
import type {
  Answer,
  Command,
  JobCommand,
  LoadFrom,
  ReportedProgress,
  WorkerDescription,
} from './protocol.ts';

const noEpoch = { leader: 0, generation: 0 };

export function commandToWire(id: number, cause: string, command: Command): SchedulerMessage {
  const head = { id, cause };
  switch (command.kind) {
    case 'welcome':
      return { ...head, welcome: { leader: command.leader, heartbeatMilliseconds: command.heartbeatMs } };
    case 'shutdown':
      return { ...head, shutdown: { reason: command.reason } };
    case 'register':
      return {
        ...head,
        register: {
          job: command.job,
          epoch: command.epoch,
          deviceIndex: command.deviceIndex,
          program: JSON.stringify(command.program),
          peers: [...command.peers],
          batchSource: command.source === undefined ? '' : JSON.stringify(command.source),
          checkFinite: command.checkFinite,
        },
      };
    case 'load':
      return {
        ...head,
        load: {
          job: command.job,
          epoch: command.epoch,
          device: command.device,
          ...(command.from.kind === 'blob'
            ? { blob: command.from.hash, zeros: [...command.from.zeros] }
            : { checkpoint: command.from.folder }),
        },
      };
    case 'run-step':
      return {
        ...head,
        runStep: {
          job: command.job,
          epoch: command.epoch,
          device: command.device,
          step: command.step,
          inputs: command.inputs === undefined ? [] : tensorsToWire(command.inputs),
        },
      };
    case 'checkpoint': {
      const { job, epoch, device, step, folder, slots } = command;
      return { ...head, checkpoint: { job, epoch, device, step, directory: folder, slots: [...slots] } };
    }
    case 'release':
      return { ...head, release: { job: command.job, epoch: command.epoch, device: command.device } };
    default:
      return command satisfies never;
  }
}

/** Undefined for a command that this version does not know. */
export function commandFromWire(message: SchedulerMessage__Output): Command | undefined {
  const target = (of: { job: string; epoch: Epoch__Output | null; device: number }) => ({
    job: of.job,
    epoch: of.epoch ?? noEpoch,
    device: of.device,
  });
  switch (message.command) {
    case 'welcome':
      return {
        kind: 'welcome',
        leader: message.welcome!.leader,
        heartbeatMs: message.welcome!.heartbeatMilliseconds,
      };
    case 'shutdown':
      return { kind: 'shutdown', reason: message.shutdown!.reason };
    case 'register': {
      const { job, epoch, deviceIndex, program: text, peers, batchSource, checkFinite } = message.register!;
      const program = JSON.parse(text) as Program;
      return {
        kind: 'register',
        job,
        epoch: epoch ?? noEpoch,
        device: program.device,
        deviceIndex,
        program,
        peers,
        checkFinite,
        ...(batchSource === '' ? {} : { source: JSON.parse(batchSource) as BatchSource }),
      };
    }
    case 'load': {
      const { blob, checkpoint, zeros, from: which } = message.load!;
      const from: LoadFrom =
        which === 'checkpoint'
          ? { kind: 'checkpoint', folder: checkpoint! }
          : { kind: 'blob', hash: blob ?? '', zeros };
      return { ...target(message.load!), kind: 'load', from };
    }
    case 'runStep': {
      const { step, inputs } = message.runStep!;
      const command: JobCommand = { ...target(message.runStep!), kind: 'run-step', step };
      return inputs.length === 0 ? command : { ...command, inputs: tensorsFromWire(inputs) };
    }
    case 'checkpoint': {
      const { step, directory, slots } = message.checkpoint!;
      return { ...target(message.checkpoint!), kind: 'checkpoint', step, folder: directory, slots };
    }
    case 'release':
      return { ...target(message.release!), kind: 'release' };
    default:
      return undefined;
  }
}

export function answerToWire(command: number, answer: Answer): WorkerMessage {
  switch (answer.kind) {
    case 'registered':
      return { registered: { command } };
    case 'loaded':
      return { loaded: { command } };
    case 'released':
      return { released: { command } };
    case 'step-done':
      return {
        stepDone: { command, results: tensorsToWire(answer.results), milliseconds: answer.milliseconds },
      };
    case 'checkpoint-done':
      return {
        checkpointDone: { command, file: answer.file === undefined ? '' : JSON.stringify(answer.file) },
      };
    case 'failed':
      return { failed: { command, error: answer.error, kind: answer.errorKind } };
    default:
      return answer satisfies never;
  }
}

/** The command that is answered, and the answer; undefined for messages that are none. */
export function answerFromWire(
  message: WorkerMessage__Output,
): { readonly command: number; readonly answer: Answer } | undefined {
  switch (message.message) {
    case 'registered':
    case 'loaded':
    case 'released':
      return { command: message[message.message]!.command, answer: { kind: message.message } };
    case 'stepDone': {
      const { command, results, milliseconds } = message.stepDone!;
      return { command, answer: { kind: 'step-done', results: tensorsFromWire(results), milliseconds } };
    }
    case 'checkpointDone': {
      const { command, file } = message.checkpointDone!;
      const answer: Answer =
        file === ''
          ? { kind: 'checkpoint-done' }
          : { kind: 'checkpoint-done', file: JSON.parse(file) as ShardFile };
      return { command, answer };
    }
    case 'failed': {
      const { command, error, kind } = message.failed!;
      return { command, answer: { kind: 'failed', error, errorKind: kind } };
    }
    default:
      return undefined;
  }
}

export const helloToWire = (description: WorkerDescription): WorkerMessage => ({
  hello: {
    ...description,
    devices: description.devices.map((device) => ({ ...device, dtypes: [...device.dtypes] })),
  },
});

export function helloFromWire(hello: Hello__Output): WorkerDescription {
  const { worker, version, bulkAddress, devices, pid, host } = hello;
  if (worker === '') throw new InternalError('a worker says hello without a name');
  return { worker, version, bulkAddress, pid, host, devices: devices.map(deviceFromWire) };
}

export const deviceFromWire = (device: DeviceDescription__Output): DeviceSummary => ({
  type: device.type,
  index: device.index,
  name: device.name,
  memory: device.memory,
  flops: device.flops,
  bandwidth: device.bandwidth,
  dtypes: device.dtypes,
});

export const progressToWire = (progress: ReportedProgress): DeviceProgress => ({ ...progress });

export const progressFromWire = (progress: DeviceProgress__Output): ReportedProgress => ({
  job: progress.job,
  device: progress.device,
  step: progress.step,
  action: progress.action,
  doing: progress.doing,
  ticks: progress.ticks,
  ...(progress.waitingFor === undefined ? {} : { waitingFor: progress.waitingFor }),
});
