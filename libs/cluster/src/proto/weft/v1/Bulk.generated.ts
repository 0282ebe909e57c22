// Original file: weft/v1/bulk.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { PullChunk as _weft_v1_PullChunk, PullChunk__Output as _weft_v1_PullChunk__Output } from '../../weft/v1/PullChunk.generated.ts';
import type { PullRequest as _weft_v1_PullRequest, PullRequest__Output as _weft_v1_PullRequest__Output } from '../../weft/v1/PullRequest.generated.ts';

export interface BulkClient extends grpc.Client {
  Pull(argument: _weft_v1_PullRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_PullChunk__Output>;
  Pull(argument: _weft_v1_PullRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_PullChunk__Output>;
  pull(argument: _weft_v1_PullRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_PullChunk__Output>;
  pull(argument: _weft_v1_PullRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_PullChunk__Output>;
  
}

export interface BulkHandlers extends grpc.UntypedServiceImplementation {
  Pull: grpc.handleServerStreamingCall<_weft_v1_PullRequest__Output, _weft_v1_PullChunk>;
  
}

export interface BulkDefinition extends grpc.ServiceDefinition {
  Pull: MethodDefinition<_weft_v1_PullRequest, _weft_v1_PullChunk, _weft_v1_PullRequest__Output, _weft_v1_PullChunk__Output>
}
