// Original file: weft/v1/scheduler.proto

import type { Tensor as _weft_v1_Tensor, Tensor__Output as _weft_v1_Tensor__Output } from '../../weft/v1/Tensor.generated.ts';
import type { Long } from '@grpc/proto-loader';

export interface StepDone {
  'command'?: (number | string | Long);
  'results'?: (_weft_v1_Tensor)[];
  'milliseconds'?: (number | string);
}

export interface StepDone__Output {
  'command': (number);
  'results': (_weft_v1_Tensor__Output)[];
  'milliseconds': (number);
}
