// Original file: weft/v1/client.proto

import type { Tensor as _weft_v1_Tensor, Tensor__Output as _weft_v1_Tensor__Output } from '../../weft/v1/Tensor.generated.ts';

export interface RunResponse {
  'results'?: (_weft_v1_Tensor)[];
}

export interface RunResponse__Output {
  'results': (_weft_v1_Tensor__Output)[];
}
