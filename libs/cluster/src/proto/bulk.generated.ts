import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { BulkClient as _weft_v1_BulkClient, BulkDefinition as _weft_v1_BulkDefinition } from './weft/v1/Bulk.generated.ts';
import type { Epoch as _weft_v1_Epoch, Epoch__Output as _weft_v1_Epoch__Output } from './weft/v1/Epoch.generated.ts';
import type { PullChunk as _weft_v1_PullChunk, PullChunk__Output as _weft_v1_PullChunk__Output } from './weft/v1/PullChunk.generated.ts';
import type { PullRequest as _weft_v1_PullRequest, PullRequest__Output as _weft_v1_PullRequest__Output } from './weft/v1/PullRequest.generated.ts';
import type { Tensor as _weft_v1_Tensor, Tensor__Output as _weft_v1_Tensor__Output } from './weft/v1/Tensor.generated.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  weft: {
    v1: {
      Bulk: SubtypeConstructor<typeof grpc.Client, _weft_v1_BulkClient> & { service: _weft_v1_BulkDefinition }
      Epoch: MessageTypeDefinition<_weft_v1_Epoch, _weft_v1_Epoch__Output>
      PullChunk: MessageTypeDefinition<_weft_v1_PullChunk, _weft_v1_PullChunk__Output>
      PullRequest: MessageTypeDefinition<_weft_v1_PullRequest, _weft_v1_PullRequest__Output>
      Tensor: MessageTypeDefinition<_weft_v1_Tensor, _weft_v1_Tensor__Output>
    }
  }
}

