// Original file: weft/v1/client.proto

import type { Tensor as _weft_v1_Tensor, Tensor__Output as _weft_v1_Tensor__Output } from '../../weft/v1/Tensor.generated.ts';

export interface RunRequest {
  'job'?: (string);
  'inputs'?: (_weft_v1_Tensor)[];
}

export interface RunRequest__Output {
  'job': (string);
  'inputs': (_weft_v1_Tensor__Output)[];
}
