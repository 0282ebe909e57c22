// Original file: weft/v1/scheduler.proto

import type { Welcome as _weft_v1_Welcome, Welcome__Output as _weft_v1_Welcome__Output } from '../../weft/v1/Welcome.generated.ts';
import type { Register as _weft_v1_Register, Register__Output as _weft_v1_Register__Output } from '../../weft/v1/Register.generated.ts';
import type { Load as _weft_v1_Load, Load__Output as _weft_v1_Load__Output } from '../../weft/v1/Load.generated.ts';
import type { RunStep as _weft_v1_RunStep, RunStep__Output as _weft_v1_RunStep__Output } from '../../weft/v1/RunStep.generated.ts';
import type { Checkpoint as _weft_v1_Checkpoint, Checkpoint__Output as _weft_v1_Checkpoint__Output } from '../../weft/v1/Checkpoint.generated.ts';
import type { Release as _weft_v1_Release, Release__Output as _weft_v1_Release__Output } from '../../weft/v1/Release.generated.ts';
import type { Shutdown as _weft_v1_Shutdown, Shutdown__Output as _weft_v1_Shutdown__Output } from '../../weft/v1/Shutdown.generated.ts';
import type { Long } from '@grpc/proto-loader';

export interface SchedulerMessage {
  'id'?: (number | string | Long);
  'cause'?: (string);
  'welcome'?: (_weft_v1_Welcome | null);
  'register'?: (_weft_v1_Register | null);
  'load'?: (_weft_v1_Load | null);
  'runStep'?: (_weft_v1_RunStep | null);
  'checkpoint'?: (_weft_v1_Checkpoint | null);
  'release'?: (_weft_v1_Release | null);
  'shutdown'?: (_weft_v1_Shutdown | null);
  'command'?: "welcome"|"register"|"load"|"runStep"|"checkpoint"|"release"|"shutdown";
}

export interface SchedulerMessage__Output {
  'id': (number);
  'cause': (string);
  'welcome'?: (_weft_v1_Welcome__Output | null);
  'register'?: (_weft_v1_Register__Output | null);
  'load'?: (_weft_v1_Load__Output | null);
  'runStep'?: (_weft_v1_RunStep__Output | null);
  'checkpoint'?: (_weft_v1_Checkpoint__Output | null);
  'release'?: (_weft_v1_Release__Output | null);
  'shutdown'?: (_weft_v1_Shutdown__Output | null);
  'command'?: "welcome"|"register"|"load"|"runStep"|"checkpoint"|"release"|"shutdown";
}
