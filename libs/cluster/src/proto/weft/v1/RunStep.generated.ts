// Original file: weft/v1/scheduler.proto

import type { Epoch as _weft_v1_Epoch, Epoch__Output as _weft_v1_Epoch__Output } from '../../weft/v1/Epoch.generated.ts';
import type { Tensor as _weft_v1_Tensor, Tensor__Output as _weft_v1_Tensor__Output } from '../../weft/v1/Tensor.generated.ts';
import type { Long } from '@grpc/proto-loader';

export interface RunStep {
  'job'?: (string);
  'epoch'?: (_weft_v1_Epoch | null);
  'device'?: (number);
  'step'?: (number | string | Long);
  'inputs'?: (_weft_v1_Tensor)[];
}

export interface RunStep__Output {
  'job': (string);
  'epoch': (_weft_v1_Epoch__Output | null);
  'device': (number);
  'step': (number);
  'inputs': (_weft_v1_Tensor__Output)[];
}
