// Original file: weft/v1/client.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { BlobChunk as _weft_v1_BlobChunk, BlobChunk__Output as _weft_v1_BlobChunk__Output } from '../../weft/v1/BlobChunk.generated.ts';
import type { CancelRequest as _weft_v1_CancelRequest, CancelRequest__Output as _weft_v1_CancelRequest__Output } from '../../weft/v1/CancelRequest.generated.ts';
import type { CancelResponse as _weft_v1_CancelResponse, CancelResponse__Output as _weft_v1_CancelResponse__Output } from '../../weft/v1/CancelResponse.generated.ts';
import type { GetStateRequest as _weft_v1_GetStateRequest, GetStateRequest__Output as _weft_v1_GetStateRequest__Output } from '../../weft/v1/GetStateRequest.generated.ts';
import type { JobEvent as _weft_v1_JobEvent, JobEvent__Output as _weft_v1_JobEvent__Output } from '../../weft/v1/JobEvent.generated.ts';
import type { PutBlobResponse as _weft_v1_PutBlobResponse, PutBlobResponse__Output as _weft_v1_PutBlobResponse__Output } from '../../weft/v1/PutBlobResponse.generated.ts';
import type { RunRequest as _weft_v1_RunRequest, RunRequest__Output as _weft_v1_RunRequest__Output } from '../../weft/v1/RunRequest.generated.ts';
import type { RunResponse as _weft_v1_RunResponse, RunResponse__Output as _weft_v1_RunResponse__Output } from '../../weft/v1/RunResponse.generated.ts';
import type { ShutdownRequest as _weft_v1_ShutdownRequest, ShutdownRequest__Output as _weft_v1_ShutdownRequest__Output } from '../../weft/v1/ShutdownRequest.generated.ts';
import type { ShutdownResponse as _weft_v1_ShutdownResponse, ShutdownResponse__Output as _weft_v1_ShutdownResponse__Output } from '../../weft/v1/ShutdownResponse.generated.ts';
import type { StatusRequest as _weft_v1_StatusRequest, StatusRequest__Output as _weft_v1_StatusRequest__Output } from '../../weft/v1/StatusRequest.generated.ts';
import type { StatusResponse as _weft_v1_StatusResponse, StatusResponse__Output as _weft_v1_StatusResponse__Output } from '../../weft/v1/StatusResponse.generated.ts';
import type { SubmitRequest as _weft_v1_SubmitRequest, SubmitRequest__Output as _weft_v1_SubmitRequest__Output } from '../../weft/v1/SubmitRequest.generated.ts';
import type { SubmitResponse as _weft_v1_SubmitResponse, SubmitResponse__Output as _weft_v1_SubmitResponse__Output } from '../../weft/v1/SubmitResponse.generated.ts';
import type { WatchRequest as _weft_v1_WatchRequest, WatchRequest__Output as _weft_v1_WatchRequest__Output } from '../../weft/v1/WatchRequest.generated.ts';

export interface ClientClient extends grpc.Client {
  Cancel(argument: _weft_v1_CancelRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_CancelResponse__Output>): grpc.ClientUnaryCall;
  Cancel(argument: _weft_v1_CancelRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_weft_v1_CancelResponse__Output>): grpc.ClientUnaryCall;
  Cancel(argument: _weft_v1_CancelRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_CancelResponse__Output>): grpc.ClientUnaryCall;
  Cancel(argument: _weft_v1_CancelRequest, callback: grpc.requestCallback<_weft_v1_CancelResponse__Output>): grpc.ClientUnaryCall;
  cancel(argument: _weft_v1_CancelRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_CancelResponse__Output>): grpc.ClientUnaryCall;
  cancel(argument: _weft_v1_CancelRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_weft_v1_CancelResponse__Output>): grpc.ClientUnaryCall;
  cancel(argument: _weft_v1_CancelRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_CancelResponse__Output>): grpc.ClientUnaryCall;
  cancel(argument: _weft_v1_CancelRequest, callback: grpc.requestCallback<_weft_v1_CancelResponse__Output>): grpc.ClientUnaryCall;
  
  GetState(argument: _weft_v1_GetStateRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_BlobChunk__Output>;
  GetState(argument: _weft_v1_GetStateRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_BlobChunk__Output>;
  getState(argument: _weft_v1_GetStateRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_BlobChunk__Output>;
  getState(argument: _weft_v1_GetStateRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_BlobChunk__Output>;
  
  PutBlob(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_PutBlobResponse__Output>): grpc.ClientWritableStream<_weft_v1_BlobChunk>;
  PutBlob(metadata: grpc.Metadata, callback: grpc.requestCallback<_weft_v1_PutBlobResponse__Output>): grpc.ClientWritableStream<_weft_v1_BlobChunk>;
  PutBlob(options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_PutBlobResponse__Output>): grpc.ClientWritableStream<_weft_v1_BlobChunk>;
  PutBlob(callback: grpc.requestCallback<_weft_v1_PutBlobResponse__Output>): grpc.ClientWritableStream<_weft_v1_BlobChunk>;
  putBlob(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_PutBlobResponse__Output>): grpc.ClientWritableStream<_weft_v1_BlobChunk>;
  putBlob(metadata: grpc.Metadata, callback: grpc.requestCallback<_weft_v1_PutBlobResponse__Output>): grpc.ClientWritableStream<_weft_v1_BlobChunk>;
  putBlob(options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_PutBlobResponse__Output>): grpc.ClientWritableStream<_weft_v1_BlobChunk>;
  putBlob(callback: grpc.requestCallback<_weft_v1_PutBlobResponse__Output>): grpc.ClientWritableStream<_weft_v1_BlobChunk>;
  
  Run(argument: _weft_v1_RunRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_RunResponse__Output>): grpc.ClientUnaryCall;
  Run(argument: _weft_v1_RunRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_weft_v1_RunResponse__Output>): grpc.ClientUnaryCall;
  Run(argument: _weft_v1_RunRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_RunResponse__Output>): grpc.ClientUnaryCall;
  Run(argument: _weft_v1_RunRequest, callback: grpc.requestCallback<_weft_v1_RunResponse__Output>): grpc.ClientUnaryCall;
  run(argument: _weft_v1_RunRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_RunResponse__Output>): grpc.ClientUnaryCall;
  run(argument: _weft_v1_RunRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_weft_v1_RunResponse__Output>): grpc.ClientUnaryCall;
  run(argument: _weft_v1_RunRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_RunResponse__Output>): grpc.ClientUnaryCall;
  run(argument: _weft_v1_RunRequest, callback: grpc.requestCallback<_weft_v1_RunResponse__Output>): grpc.ClientUnaryCall;
  
  Shutdown(argument: _weft_v1_ShutdownRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_ShutdownResponse__Output>): grpc.ClientUnaryCall;
  Shutdown(argument: _weft_v1_ShutdownRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_weft_v1_ShutdownResponse__Output>): grpc.ClientUnaryCall;
  Shutdown(argument: _weft_v1_ShutdownRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_ShutdownResponse__Output>): grpc.ClientUnaryCall;
  Shutdown(argument: _weft_v1_ShutdownRequest, callback: grpc.requestCallback<_weft_v1_ShutdownResponse__Output>): grpc.ClientUnaryCall;
  shutdown(argument: _weft_v1_ShutdownRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_ShutdownResponse__Output>): grpc.ClientUnaryCall;
  shutdown(argument: _weft_v1_ShutdownRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_weft_v1_ShutdownResponse__Output>): grpc.ClientUnaryCall;
  shutdown(argument: _weft_v1_ShutdownRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_ShutdownResponse__Output>): grpc.ClientUnaryCall;
  shutdown(argument: _weft_v1_ShutdownRequest, callback: grpc.requestCallback<_weft_v1_ShutdownResponse__Output>): grpc.ClientUnaryCall;
  
  Status(argument: _weft_v1_StatusRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  Status(argument: _weft_v1_StatusRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_weft_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  Status(argument: _weft_v1_StatusRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  Status(argument: _weft_v1_StatusRequest, callback: grpc.requestCallback<_weft_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  status(argument: _weft_v1_StatusRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  status(argument: _weft_v1_StatusRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_weft_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  status(argument: _weft_v1_StatusRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  status(argument: _weft_v1_StatusRequest, callback: grpc.requestCallback<_weft_v1_StatusResponse__Output>): grpc.ClientUnaryCall;
  
  Submit(argument: _weft_v1_SubmitRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_SubmitResponse__Output>): grpc.ClientUnaryCall;
  Submit(argument: _weft_v1_SubmitRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_weft_v1_SubmitResponse__Output>): grpc.ClientUnaryCall;
  Submit(argument: _weft_v1_SubmitRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_SubmitResponse__Output>): grpc.ClientUnaryCall;
  Submit(argument: _weft_v1_SubmitRequest, callback: grpc.requestCallback<_weft_v1_SubmitResponse__Output>): grpc.ClientUnaryCall;
  submit(argument: _weft_v1_SubmitRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_SubmitResponse__Output>): grpc.ClientUnaryCall;
  submit(argument: _weft_v1_SubmitRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_weft_v1_SubmitResponse__Output>): grpc.ClientUnaryCall;
  submit(argument: _weft_v1_SubmitRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_weft_v1_SubmitResponse__Output>): grpc.ClientUnaryCall;
  submit(argument: _weft_v1_SubmitRequest, callback: grpc.requestCallback<_weft_v1_SubmitResponse__Output>): grpc.ClientUnaryCall;
  
  Watch(argument: _weft_v1_WatchRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_JobEvent__Output>;
  Watch(argument: _weft_v1_WatchRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_JobEvent__Output>;
  watch(argument: _weft_v1_WatchRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_JobEvent__Output>;
  watch(argument: _weft_v1_WatchRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_weft_v1_JobEvent__Output>;
  
}

export interface ClientHandlers extends grpc.UntypedServiceImplementation {
  Cancel: grpc.handleUnaryCall<_weft_v1_CancelRequest__Output, _weft_v1_CancelResponse>;
  
  GetState: grpc.handleServerStreamingCall<_weft_v1_GetStateRequest__Output, _weft_v1_BlobChunk>;
  
  PutBlob: grpc.handleClientStreamingCall<_weft_v1_BlobChunk__Output, _weft_v1_PutBlobResponse>;
  
  Run: grpc.handleUnaryCall<_weft_v1_RunRequest__Output, _weft_v1_RunResponse>;
  
  Shutdown: grpc.handleUnaryCall<_weft_v1_ShutdownRequest__Output, _weft_v1_ShutdownResponse>;
  
  Status: grpc.handleUnaryCall<_weft_v1_StatusRequest__Output, _weft_v1_StatusResponse>;
  
  Submit: grpc.handleUnaryCall<_weft_v1_SubmitRequest__Output, _weft_v1_SubmitResponse>;
  
  Watch: grpc.handleServerStreamingCall<_weft_v1_WatchRequest__Output, _weft_v1_JobEvent>;
  
}

export interface ClientDefinition extends grpc.ServiceDefinition {
  Cancel: MethodDefinition<_weft_v1_CancelRequest, _weft_v1_CancelResponse, _weft_v1_CancelRequest__Output, _weft_v1_CancelResponse__Output>
  GetState: MethodDefinition<_weft_v1_GetStateRequest, _weft_v1_BlobChunk, _weft_v1_GetStateRequest__Output, _weft_v1_BlobChunk__Output>
  PutBlob: MethodDefinition<_weft_v1_BlobChunk, _weft_v1_PutBlobResponse, _weft_v1_BlobChunk__Output, _weft_v1_PutBlobResponse__Output>
  Run: MethodDefinition<_weft_v1_RunRequest, _weft_v1_RunResponse, _weft_v1_RunRequest__Output, _weft_v1_RunResponse__Output>
  Shutdown: MethodDefinition<_weft_v1_ShutdownRequest, _weft_v1_ShutdownResponse, _weft_v1_ShutdownRequest__Output, _weft_v1_ShutdownResponse__Output>
  Status: MethodDefinition<_weft_v1_StatusRequest, _weft_v1_StatusResponse, _weft_v1_StatusRequest__Output, _weft_v1_StatusResponse__Output>
  Submit: MethodDefinition<_weft_v1_SubmitRequest, _weft_v1_SubmitResponse, _weft_v1_SubmitRequest__Output, _weft_v1_SubmitResponse__Output>
  Watch: MethodDefinition<_weft_v1_WatchRequest, _weft_v1_JobEvent, _weft_v1_WatchRequest__Output, _weft_v1_JobEvent__Output>
}
