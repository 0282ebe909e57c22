// Original file: weft/v1/scheduler.proto

import type { Long } from '@grpc/proto-loader';

export interface CheckpointDone {
  'command'?: (number | string | Long);
  'file'?: (string);
}

export interface CheckpointDone__Output {
  'command': (number);
  'file': (string);
}
