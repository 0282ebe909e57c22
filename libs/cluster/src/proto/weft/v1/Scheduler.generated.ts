// Original file: weft/v1/scheduler.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { BlobChunk as _weft_v1_BlobChunk, BlobChunk__Output as _weft_v1_BlobChunk__Output } from '../../weft/v1/BlobChunk.generated.ts';
import type { GetBlobRequest as _weft_v1_GetBlobRequest, GetBlobRequest__Output as _weft_v1_GetBlobRequest__Output } from '../../weft/v1/GetBlobRequest.generated.ts';
import type { SchedulerMessage as _weft_v1_SchedulerMessage, SchedulerMessage__Output as _weft_v1_SchedulerMessage__Output } from '../../weft/v1/SchedulerMessage.generated.ts';
import type { WorkerMessage as _weft_v1_WorkerMessage, WorkerMessage__Output as _weft_v1_WorkerMessage__Output } from '../../weft/v1/WorkerMessage.generated.ts';

export interface SchedulerClient extends grpc.Client {
  Connect(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_weft_v1_WorkerMessage, _weft_v1_SchedulerMessage__Output>;
  Connect(options?: grpc.CallOptions): grpc.ClientDuplexStream<_weft_v1_WorkerMessage, _weft_v1_SchedulerMessage__Output>;
  connect(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_weft_v1_WorkerMessage, _weft_v1_SchedulerMessage__Output>;
  connect(options?: grpc.CallOptions): grpc.ClientDuplexStream<_weft_v1_WorkerMessage, _weft_v1_SchedulerMessage__Output>;
  
  GetBlob(argument: _weft_v1_GetBlobRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_BlobChunk__Output>;
  GetBlob(argument: _weft_v1_GetBlobRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_BlobChunk__Output>;
  getBlob(argument: _weft_v1_GetBlobRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_BlobChunk__Output>;
  getBlob(argument: _weft_v1_GetBlobRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_BlobChunk__Output>;
  
}

export interface SchedulerHandlers extends grpc.UntypedServiceImplementation {
  Connect: grpc.handleBidiStreamingCall<_weft_v1_WorkerMessage__Output, _weft_v1_SchedulerMessage>;
  
  GetBlob: grpc.handleServerStreamingCall<_weft_v1_GetBlobRequest__Output, _weft_v1_BlobChunk>;
  
}

export interface SchedulerDefinition extends grpc.ServiceDefinition {
  Connect: MethodDefinition<_weft_v1_WorkerMessage, _weft_v1_SchedulerMessage, _weft_v1_WorkerMessage__Output, _weft_v1_SchedulerMessage__Output>
  GetBlob: MethodDefinition<_weft_v1_GetBlobRequest, _weft_v1_BlobChunk, _weft_v1_GetBlobRequest__Output, _weft_v1_BlobChunk__Output>
}
