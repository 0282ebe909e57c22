// Original file: weft/v1/client.proto

import type { DeviceDescription as _weft_v1_DeviceDescription, DeviceDescription__Output as _weft_v1_DeviceDescription__Output } from '../../weft/v1/DeviceDescription.generated.ts';
import type { DeviceProgress as _weft_v1_DeviceProgress, DeviceProgress__Output as _weft_v1_DeviceProgress__Output } from '../../weft/v1/DeviceProgress.generated.ts';

export interface WorkerStatus {
  'worker'?: (string);
  'state'?: (string);
  'bulkAddress'?: (string);
  'host'?: (string);
  'pid'?: (number);
  'devices'?: (_weft_v1_DeviceDescription)[];
  'progress'?: (_weft_v1_DeviceProgress)[];
}

export interface WorkerStatus__Output {
  'worker': (string);
  'state': (string);
  'bulkAddress': (string);
  'host': (string);
  'pid': (number);
  'devices': (_weft_v1_DeviceDescription__Output)[];
  'progress': (_weft_v1_DeviceProgress__Output)[];
}
