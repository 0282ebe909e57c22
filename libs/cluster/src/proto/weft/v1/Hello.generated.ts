// Original file: weft/v1/scheduler.proto

import type { DeviceDescription as _weft_v1_DeviceDescription, DeviceDescription__Output as _weft_v1_DeviceDescription__Output } from '../../weft/v1/DeviceDescription.generated.ts';

export interface Hello {
  'worker'?: (string);
  'version'?: (string);
  'bulkAddress'?: (string);
  'devices'?: (_weft_v1_DeviceDescription)[];
  'pid'?: (number);
  'host'?: (string);
}

export interface Hello__Output {
  'worker': (string);
  'version': (string);
  'bulkAddress': (string);
  'devices': (_weft_v1_DeviceDescription__Output)[];
  'pid': (number);
  'host': (string);
}
