import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { BlobChunk as _weft_v1_BlobChunk, BlobChunk__Output as _weft_v1_BlobChunk__Output } from './weft/v1/BlobChunk.generated.ts';
import type { Checkpoint as _weft_v1_Checkpoint, Checkpoint__Output as _weft_v1_Checkpoint__Output } from './weft/v1/Checkpoint.generated.ts';
import type { CheckpointDone as _weft_v1_CheckpointDone, CheckpointDone__Output as _weft_v1_CheckpointDone__Output } from './weft/v1/CheckpointDone.generated.ts';
import type { CommandFailed as _weft_v1_CommandFailed, CommandFailed__Output as _weft_v1_CommandFailed__Output } from './weft/v1/CommandFailed.generated.ts';
import type { DeviceDescription as _weft_v1_DeviceDescription, DeviceDescription__Output as _weft_v1_DeviceDescription__Output } from './weft/v1/DeviceDescription.generated.ts';
import type { DeviceProgress as _weft_v1_DeviceProgress, DeviceProgress__Output as _weft_v1_DeviceProgress__Output } from './weft/v1/DeviceProgress.generated.ts';
import type { Epoch as _weft_v1_Epoch, Epoch__Output as _weft_v1_Epoch__Output } from './weft/v1/Epoch.generated.ts';
import type { GetBlobRequest as _weft_v1_GetBlobRequest, GetBlobRequest__Output as _weft_v1_GetBlobRequest__Output } from './weft/v1/GetBlobRequest.generated.ts';
import type { Heartbeat as _weft_v1_Heartbeat, Heartbeat__Output as _weft_v1_Heartbeat__Output } from './weft/v1/Heartbeat.generated.ts';
import type { Hello as _weft_v1_Hello, Hello__Output as _weft_v1_Hello__Output } from './weft/v1/Hello.generated.ts';
import type { Load as _weft_v1_Load, Load__Output as _weft_v1_Load__Output } from './weft/v1/Load.generated.ts';
import type { Loaded as _weft_v1_Loaded, Loaded__Output as _weft_v1_Loaded__Output } from './weft/v1/Loaded.generated.ts';
import type { Peer as _weft_v1_Peer, Peer__Output as _weft_v1_Peer__Output } from './weft/v1/Peer.generated.ts';
import type { Register as _weft_v1_Register, Register__Output as _weft_v1_Register__Output } from './weft/v1/Register.generated.ts';
import type { Registered as _weft_v1_Registered, Registered__Output as _weft_v1_Registered__Output } from './weft/v1/Registered.generated.ts';
import type { Release as _weft_v1_Release, Release__Output as _weft_v1_Release__Output } from './weft/v1/Release.generated.ts';
import type { Released as _weft_v1_Released, Released__Output as _weft_v1_Released__Output } from './weft/v1/Released.generated.ts';
import type { RunStep as _weft_v1_RunStep, RunStep__Output as _weft_v1_RunStep__Output } from './weft/v1/RunStep.generated.ts';
import type { SchedulerClient as _weft_v1_SchedulerClient, SchedulerDefinition as _weft_v1_SchedulerDefinition } from './weft/v1/Scheduler.generated.ts';
import type { SchedulerMessage as _weft_v1_SchedulerMessage, SchedulerMessage__Output as _weft_v1_SchedulerMessage__Output } from './weft/v1/SchedulerMessage.generated.ts';
import type { Shutdown as _weft_v1_Shutdown, Shutdown__Output as _weft_v1_Shutdown__Output } from './weft/v1/Shutdown.generated.ts';
import type { StepDone as _weft_v1_StepDone, StepDone__Output as _weft_v1_StepDone__Output } from './weft/v1/StepDone.generated.ts';
import type { Tensor as _weft_v1_Tensor, Tensor__Output as _weft_v1_Tensor__Output } from './weft/v1/Tensor.generated.ts';
import type { Welcome as _weft_v1_Welcome, Welcome__Output as _weft_v1_Welcome__Output } from './weft/v1/Welcome.generated.ts';
import type { WorkerMessage as _weft_v1_WorkerMessage, WorkerMessage__Output as _weft_v1_WorkerMessage__Output } from './weft/v1/WorkerMessage.generated.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  weft: {
    v1: {
      BlobChunk: MessageTypeDefinition<_weft_v1_BlobChunk, _weft_v1_BlobChunk__Output>
      Checkpoint: MessageTypeDefinition<_weft_v1_Checkpoint, _weft_v1_Checkpoint__Output>
      CheckpointDone: MessageTypeDefinition<_weft_v1_CheckpointDone, _weft_v1_CheckpointDone__Output>
      CommandFailed: MessageTypeDefinition<_weft_v1_CommandFailed, _weft_v1_CommandFailed__Output>
      DeviceDescription: MessageTypeDefinition<_weft_v1_DeviceDescription, _weft_v1_DeviceDescription__Output>
      DeviceProgress: MessageTypeDefinition<_weft_v1_DeviceProgress, _weft_v1_DeviceProgress__Output>
      Epoch: MessageTypeDefinition<_weft_v1_Epoch, _weft_v1_Epoch__Output>
      GetBlobRequest: MessageTypeDefinition<_weft_v1_GetBlobRequest, _weft_v1_GetBlobRequest__Output>
      Heartbeat: MessageTypeDefinition<_weft_v1_Heartbeat, _weft_v1_Heartbeat__Output>
      Hello: MessageTypeDefinition<_weft_v1_Hello, _weft_v1_Hello__Output>
      Load: MessageTypeDefinition<_weft_v1_Load, _weft_v1_Load__Output>
      Loaded: MessageTypeDefinition<_weft_v1_Loaded, _weft_v1_Loaded__Output>
      Peer: MessageTypeDefinition<_weft_v1_Peer, _weft_v1_Peer__Output>
      Register: MessageTypeDefinition<_weft_v1_Register, _weft_v1_Register__Output>
      Registered: MessageTypeDefinition<_weft_v1_Registered, _weft_v1_Registered__Output>
      Release: MessageTypeDefinition<_weft_v1_Release, _weft_v1_Release__Output>
      Released: MessageTypeDefinition<_weft_v1_Released, _weft_v1_Released__Output>
      RunStep: MessageTypeDefinition<_weft_v1_RunStep, _weft_v1_RunStep__Output>
      Scheduler: SubtypeConstructor<typeof grpc.Client, _weft_v1_SchedulerClient> & { service: _weft_v1_SchedulerDefinition }
      SchedulerMessage: MessageTypeDefinition<_weft_v1_SchedulerMessage, _weft_v1_SchedulerMessage__Output>
      Shutdown: MessageTypeDefinition<_weft_v1_Shutdown, _weft_v1_Shutdown__Output>
      StepDone: MessageTypeDefinition<_weft_v1_StepDone, _weft_v1_StepDone__Output>
      Tensor: MessageTypeDefinition<_weft_v1_Tensor, _weft_v1_Tensor__Output>
      Welcome: MessageTypeDefinition<_weft_v1_Welcome, _weft_v1_Welcome__Output>
      WorkerMessage: MessageTypeDefinition<_weft_v1_WorkerMessage, _weft_v1_WorkerMessage__Output>
    }
  }
}

