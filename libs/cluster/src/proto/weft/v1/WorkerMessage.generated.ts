// Original file: weft/v1/scheduler.proto

import type { Hello as _weft_v1_Hello, Hello__Output as _weft_v1_Hello__Output } from '../../weft/v1/Hello.generated.ts';
import type { Heartbeat as _weft_v1_Heartbeat, Heartbeat__Output as _weft_v1_Heartbeat__Output } from '../../weft/v1/Heartbeat.generated.ts';
import type { Registered as _weft_v1_Registered, Registered__Output as _weft_v1_Registered__Output } from '../../weft/v1/Registered.generated.ts';
import type { Loaded as _weft_v1_Loaded, Loaded__Output as _weft_v1_Loaded__Output } from '../../weft/v1/Loaded.generated.ts';
import type { StepDone as _weft_v1_StepDone, StepDone__Output as _weft_v1_StepDone__Output } from '../../weft/v1/StepDone.generated.ts';
import type { CheckpointDone as _weft_v1_CheckpointDone, CheckpointDone__Output as _weft_v1_CheckpointDone__Output } from '../../weft/v1/CheckpointDone.generated.ts';
import type { Released as _weft_v1_Released, Released__Output as _weft_v1_Released__Output } from '../../weft/v1/Released.generated.ts';
import type { CommandFailed as _weft_v1_CommandFailed, CommandFailed__Output as _weft_v1_CommandFailed__Output } from '../../weft/v1/CommandFailed.generated.ts';

export interface WorkerMessage {
  'hello'?: (_weft_v1_Hello | null);
  'heartbeat'?: (_weft_v1_Heartbeat | null);
  'registered'?: (_weft_v1_Registered | null);
  'loaded'?: (_weft_v1_Loaded | null);
  'stepDone'?: (_weft_v1_StepDone | null);
  'checkpointDone'?: (_weft_v1_CheckpointDone | null);
  'released'?: (_weft_v1_Released | null);
  'failed'?: (_weft_v1_CommandFailed | null);
  'message'?: "hello"|"heartbeat"|"registered"|"loaded"|"stepDone"|"checkpointDone"|"released"|"failed";
}

export interface WorkerMessage__Output {
  'hello'?: (_weft_v1_Hello__Output | null);
  'heartbeat'?: (_weft_v1_Heartbeat__Output | null);
  'registered'?: (_weft_v1_Registered__Output | null);
  'loaded'?: (_weft_v1_Loaded__Output | null);
  'stepDone'?: (_weft_v1_StepDone__Output | null);
  'checkpointDone'?: (_weft_v1_CheckpointDone__Output | null);
  'released'?: (_weft_v1_Released__Output | null);
  'failed'?: (_weft_v1_CommandFailed__Output | null);
  'message'?: "hello"|"heartbeat"|"registered"|"loaded"|"stepDone"|"checkpointDone"|"released"|"failed";
}
