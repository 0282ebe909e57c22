// Original file: weft/v1/client.proto

import type { Tensor as _weft_v1_Tensor, Tensor__Output as _weft_v1_Tensor__Output } from '../../weft/v1/Tensor.generated.ts';
import type { Long } from '@grpc/proto-loader';

export interface JobEvent {
  'number'?: (number | string | Long);
  'cause'?: (string);
  'time'?: (number | string);
  'report'?: (string);
  'results'?: (_weft_v1_Tensor)[];
}

export interface JobEvent__Output {
  'number': (number);
  'cause': (string);
  'time': (number);
  'report': (string);
  'results': (_weft_v1_Tensor__Output)[];
}
