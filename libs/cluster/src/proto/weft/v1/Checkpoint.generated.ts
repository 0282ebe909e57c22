// Original file: weft/v1/scheduler.proto

import type { Epoch as _weft_v1_Epoch, Epoch__Output as _weft_v1_Epoch__Output } from '../../weft/v1/Epoch.generated.ts';
import type { Long } from '@grpc/proto-loader';

export interface Checkpoint {
  'job'?: (string);
  'epoch'?: (_weft_v1_Epoch | null);
  'device'?: (number);
  'step'?: (number | string | Long);
  'directory'?: (string);
  'slots'?: (string)[];
}

export interface Checkpoint__Output {
  'job': (string);
  'epoch': (_weft_v1_Epoch__Output | null);
  'device': (number);
  'step': (number);
  'directory': (string);
  'slots': (string)[];
}
