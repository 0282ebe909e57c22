// Original file: weft/v1/scheduler.proto

import type { DeviceProgress as _weft_v1_DeviceProgress, DeviceProgress__Output as _weft_v1_DeviceProgress__Output } from '../../weft/v1/DeviceProgress.generated.ts';

export interface Heartbeat {
  'progress'?: (_weft_v1_DeviceProgress)[];
}

export interface Heartbeat__Output {
  'progress': (_weft_v1_DeviceProgress__Output)[];
}
