import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Epoch as _weft_v1_Epoch, Epoch__Output as _weft_v1_Epoch__Output } from './weft/v1/Epoch.generated.ts';
import type { Tensor as _weft_v1_Tensor, Tensor__Output as _weft_v1_Tensor__Output } from './weft/v1/Tensor.generated.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  weft: {
    v1: {
      Epoch: MessageTypeDefinition<_weft_v1_Epoch, _weft_v1_Epoch__Output>
      Tensor: MessageTypeDefinition<_weft_v1_Tensor, _weft_v1_Tensor__Output>
    }
  }
}

